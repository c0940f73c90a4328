//! Where an alert stands, and why it came there.

use serde::{Deserialize, Serialize};

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// Nothing is wrong.
    Inactive,
    /// Evidence is rising.
    Pending,
    /// Evidence has reached the threshold.
    Firing,
    /// It fired and is over.
    Resolved,
}

impl AlertState {
    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            AlertState::Inactive => "inactive",
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        }
    }
}

/// Why an alert changed its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Evidence passed a tenth of the threshold.
    EvidenceRose,
    /// Evidence reached the threshold.
    EvidenceReachedThreshold,
    /// Most records of a window name another version.
    AnotherVersion,
    /// Evidence fell below a tenth of the threshold before it fired.
    EvidenceFell,
    /// A new alarm while firing showed more of the cause.
    CauseGrew,
    /// So many windows in a row were quiet.
    QuietFor(u32),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Reason::EvidenceRose => f.write_str("evidence passed a tenth of the threshold"),
            Reason::EvidenceReachedThreshold => f.write_str("evidence reached the threshold"),
            Reason::AnotherVersion => f.write_str("most records of a window name another version of the model"),
            Reason::EvidenceFell => f.write_str("evidence fell below a tenth of the threshold"),
            Reason::CauseGrew => f.write_str("a further alarm showed more of the cause"),
            Reason::QuietFor(windows) => write!(f, "{windows} windows in a row were quiet"),
        }
    }
}
