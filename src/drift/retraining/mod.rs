//! When to ask for retraining, and for which tasks.

use serde::{Deserialize, Serialize};

use super::cause::{Cause, CauseKind};
use super::time::Span;

/// From the first word to the last: states, and what leads from one to the next.
pub mod life;

/// Which alerts ask, and when.
pub mod asking;

/// What a request covers while its alerts stand.
pub mod covering;

/// What training is told, and by which a new model is accepted.
pub mod plan;

/// Who decides about a retraining request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nobody: no requests are made.
    Off,
    /// A person approves what driftd proposes.
    #[default]
    Propose,
    /// driftd requests by itself.
    Auto,
}

/// What asks for retraining.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Only harm: labels show that answers have become worse.
    Harm,
    /// Every drift that training may mend, harmful or not.
    Drift,
    /// Harm is handled as `mode` says; drift alone is only ever proposed.
    #[default]
    Both,
}

/// Why a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Labels show harm.
    Harm,
    /// Drift, harmful or not.
    Drift,
    /// It was time.
    Schedule,
    /// A person wanted it.
    Manual,
}

/// A model's policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Who decides.
    pub mode: Mode,
    /// What asks.
    pub on: Trigger,
    /// Event time between two requests for one model.
    pub cooldown: Span,
}

impl Mode {
    /// The name in the configuration and the store.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Propose => "propose",
            Mode::Auto => "auto",
        }
    }
}

impl Kind {
    /// The name in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Harm => "harm",
            Kind::Drift => "drift",
            Kind::Schedule => "schedule",
            Kind::Manual => "manual",
        }
    }
}

impl Policy {
    /// Who decides about a request of this kind; `None` if none is made.
    pub fn decides(self, kind: Kind) -> Option<Mode> {
        match (self.mode, self.on, kind) {
            (Mode::Off, ..) => None,
            (_, Trigger::Harm, Kind::Drift) => None,
            (Mode::Auto, Trigger::Both, Kind::Drift) => Some(Mode::Propose),
            (mode, ..) => Some(mode),
        }
    }
}

/// The tasks whose training mends a cause.
pub fn mended(cause: &Cause) -> Vec<usize> {
    match (cause.kind, cause.task) {
        (CauseKind::Head, Some(task)) => vec![task],
        // A skew is mended in serving, another mix of classes by new priors: training mends neither.
        (CauseKind::Undetermined | CauseKind::Skew | CauseKind::Version | CauseKind::PriorShift, _) => Vec::new(),
        _ => cause.tasks_affected.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_asks_for_is_decided_as_the_mode_says() {
        let propose = Policy { mode: Mode::Propose, on: Trigger::Drift, cooldown: Span::from_secs(10) };
        assert_eq!(propose.decides(Kind::Manual), Some(Mode::Propose));
        assert_eq!(Policy { mode: Mode::Off, ..propose }.decides(Kind::Manual), None);
    }
}
