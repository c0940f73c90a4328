//! The parts of a report: evidence by part, and what is told beside alerts.

use serde::{Deserialize, Serialize};

use super::versions::{OtherVersionsView, VersionView};
use super::views::{PartView, evidence};
use crate::drift::time::Timestamp;

/// Something that production lacks, and that a part of the model is judged by.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LackView {
    /// `input`, `encoder` or `head`.
    pub scope: String,
    /// The head's task.
    pub task: Option<String>,
    /// `texts`, `embeddings`, `answers`, `fields` (something beside the answers), `class_names` that the manifest knows, or
    /// confidences that are `probabilities`.
    pub lacks: String,
    /// Whether nothing of the part is judged meanwhile.
    pub silent: bool,
    /// Start of the first window that lacked it.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// In words, of the latest windows that it was looked for in.
    pub said: String,
}

/// A part as a report keeps it.
#[derive(Deserialize)]
struct StoredPart {
    #[serde(default)]
    scope: String,
    task: Option<String>,
    segment: Option<String>,
    ln_evidence: Option<f64>,
    #[serde(default)]
    notice: bool,
    #[serde(default)]
    records: i64,
    /// Present where the notice is of other versions.
    versions: Option<Vec<VersionView>>,
    /// Present where it is of what could not be judged, with what follows.
    lacks: Option<String>,
    #[serde(default)]
    silent: bool,
    since: Option<Timestamp>,
    #[serde(default)]
    said: String,
}

/// What a report keeps of its parts.
pub(super) struct Parts {
    pub(super) parts: Vec<PartView>,
    pub(super) harmless_skew: Vec<String>,
    pub(super) other_versions: OtherVersionsView,
    pub(super) not_judged: Vec<LackView>,
}

/// Evidence by part, what production's numbers differ in while its answers are the exported model's
/// (`embedding`, or tasks), other versions, and what could not be judged. A page of windows holds thousands of parts, so
/// they are read once and into place.
pub(super) fn read(json: &str) -> Parts {
    let stored: Vec<StoredPart> = serde_json::from_str(json).unwrap_or_default();
    let (notices, parts): (Vec<_>, Vec<_>) = stored.into_iter().partition(|part| part.notice);
    let part = |StoredPart { scope, task, segment, ln_evidence, .. }| PartView {
        scope,
        task,
        segment,
        evidence: evidence(ln_evidence),
    };
    let mut found = Parts {
        parts: parts.into_iter().map(part).collect(),
        harmless_skew: Vec::new(),
        other_versions: <_>::default(),
        not_judged: Vec::new(),
    };
    for notice in notices {
        let StoredPart { scope, silent, said, .. } = notice;
        match (notice.lacks.zip(notice.since), notice.versions) {
            (Some((lacks, since)), _) => {
                found.not_judged.push(LackView { scope, task: notice.task, lacks, silent, since, said });
            }
            (None, Some(versions)) => {
                found.other_versions = OtherVersionsView { records: notice.records, versions };
            }
            (None, None) => found.harmless_skew.push(notice.task.unwrap_or_else(|| "embedding".to_owned())),
        }
    }
    found
}
