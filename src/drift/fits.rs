//! Whether a reference belongs to a model.

use super::reference::{Reference, ReferenceKind};
use super::task::ModelSpec;

/// Why a reference cannot be used with a model; empty if it can.
pub fn misfits(ours: &ModelSpec, reference: &Reference) -> Vec<String> {
    let theirs = &reference.spec;
    let mut reasons = Vec::new();
    let same_version = ours.version == theirs.version || reference.kind == ReferenceKind::OtherVersion;
    if ours.name != theirs.name || !same_version {
        reasons.push(format!(
            "it was fitted for `{}` version `{}`, the manifest describes `{}` version `{}`",
            theirs.name, theirs.version, ours.name, ours.version
        ));
    }
    if ours.tasks != theirs.tasks {
        reasons.push("tasks, kinds, classes or thresholds differ".to_owned());
    }
    if ours.embedding_dimension != theirs.embedding_dimension {
        let show = |d: Option<usize>| d.map_or_else(|| "no embedding".to_owned(), |d| format!("{d} dimensions"));
        reasons.push(format!(
            "it has {}, the manifest {}",
            show(theirs.embedding_dimension),
            show(ours.embedding_dimension)
        ));
    }
    if ours.attributes != theirs.attributes {
        reasons.push("attributes or their kinds differ".to_owned());
    }
    reasons
}
