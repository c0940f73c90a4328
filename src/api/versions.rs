//! Versions that records name, as the API shows them.

use serde::{Deserialize, Serialize};

use crate::drift::cause::CauseKind;

/// Records that name another version of the model.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct OtherVersionsView {
    /// How many.
    pub records: i64,
    /// Which versions they name, the most seen first: at most sixteen.
    pub versions: Vec<VersionView>,
}

/// A version that records name.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct VersionView {
    /// Its name.
    pub version: String,
    /// Records that name it.
    pub records: i64,
}

/// The part of a skew that was stored before parts were.
pub(super) fn part_of_skew(cause: &str, task: Option<&str>) -> Option<String> {
    (cause == CauseKind::Skew.name()).then(|| if task.is_some() { "head" } else { "encoder" }.to_owned())
}
