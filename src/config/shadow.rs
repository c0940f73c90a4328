//! A candidate that answers live inputs beside the current model.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate::Checker;
use crate::drift::time::Span;

/// Stands for the version that a retraining run brought.
const VERSION: &str = "{version}";

/// A candidate that answers a sample of the live inputs beside the current model, and is judged continuously: tasks
/// that are not `drifted` must stay within the margins of `retraining`, drifted ones must gain more than its
/// `min_gain`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawShadow {
    /// The candidate's manifest. With `{version}` in it, such as `/models/support/{version}/manifest.yaml`, the
    /// candidate is the one that the latest retraining run brought and that the gate did not refuse; what is `drifted`
    /// is then what it was retrained for.
    pub manifest: String,
    /// Share of the records that are run; which ones follows from the record's id. Labels are awaited for those that
    /// `labels.sample` keeps too.
    #[serde(default = "default_sample")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
    /// Tasks that must get better.
    #[serde(default)]
    pub drifted: Vec<String>,
    /// How often each bound may ever err, however often one looks.
    #[serde(default = "default_share")]
    #[schemars(range(min = 0.0, max = 0.5))]
    pub error: f64,
    /// Right answers that may become wrong, as a share of the labelled ones.
    #[serde(default = "default_share")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub most_flips: f64,
    /// The candidate pauses while the records that are read are older than this: catching up goes first.
    #[serde(default = "default_pause")]
    pub pause_behind: String,
}

/// The same, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Shadow {
    /// The candidate's manifest.
    pub manifest: String,
    /// Share of the records that are run.
    pub sample: f64,
    /// Tasks that must get better.
    pub drifted: Vec<String>,
    /// How often each bound may ever err.
    pub error: f64,
    /// Right answers that may become wrong.
    pub most_flips: f64,
    /// It pauses while records are older than this.
    pub pause_behind: Span,
}

impl Shadow {
    /// Whether the candidate is one that a retraining run is to bring.
    pub fn follows_runs(&self) -> bool {
        self.manifest.contains(VERSION)
    }

    /// Where the manifest of a version is.
    pub fn manifest_of(&self, version: &str) -> PathBuf {
        PathBuf::from(self.manifest.replace(VERSION, version))
    }
}

fn default_sample() -> f64 {
    0.1
}

fn default_share() -> f64 {
    0.05
}

fn default_pause() -> String {
    "1m".into()
}

impl Checker<'_> {
    /// A model's candidate.
    pub(super) fn shadow(&mut self, i: usize, raw: &RawShadow) -> Option<Shadow> {
        let at = |key: &str| format!("/models/{i}/shadow/{key}");
        for (key, share, most) in
            [("sample", raw.sample, 1.0), ("error", raw.error, 0.5), ("most_flips", raw.most_flips, 1.0)]
        {
            if !(share > 0.0 && share <= most) || (key == "error" && share >= most) {
                self.fail(&at(key), format!("found `{share}`, expected a share above 0 and up to {most}"));
            }
        }
        if raw.manifest.contains(VERSION) && !raw.drifted.is_empty() {
            self.fail(&at("drifted"), "follows from the retraining request where `manifest` contains `{version}`");
        }
        Some(Shadow {
            manifest: self.document.directory().join(&raw.manifest).display().to_string(),
            sample: raw.sample,
            drifted: raw.drifted.clone(),
            error: raw.error,
            most_flips: raw.most_flips,
            pause_behind: self.positive(&at("pause_behind"), &raw.pause_behind)?,
        })
    }
}
