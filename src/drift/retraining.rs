//! When to ask for retraining, and for which tasks.

use serde::{Deserialize, Serialize};

use super::alert::{AlertState, Transition};
use super::cause::CauseKind;
use super::time::{Span, Timestamp};

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

/// A model's policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Who decides.
    pub mode: Mode,
    /// Event time between two requests for one model.
    pub cooldown: Span,
}

/// A retraining request, created at most once for each alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Tasks to retrain.
    pub tasks: Vec<usize>,
    /// Tasks that must not get worse.
    pub protected: Vec<usize>,
    /// Whether it goes out at once or waits for approval.
    pub state: RequestState,
    /// When.
    pub at: Timestamp,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Waits for a person.
    Proposed,
    /// Sent to the hooks.
    Requested,
}

impl RequestState {
    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            RequestState::Proposed => "proposed",
            RequestState::Requested => "requested",
        }
    }
}

/// The request that a transition asks for under a policy, if any. `last` is when the model's
/// latest request was made, and moves when one is made now.
///
/// The cause's tasks are retrained: a head's own, or those an input or encoder shift has reached;
/// the others are protected. An undetermined cause asks for nothing, nor does one that training does not
/// mend.
pub fn request(policy: Policy, transition: &Transition, tasks: usize, last: &mut Option<Timestamp>) -> Option<Request> {
    let state = match policy.mode {
        Mode::Off => return None,
        Mode::Propose => RequestState::Proposed,
        Mode::Auto => RequestState::Requested,
    };
    let fired = transition.to == AlertState::Firing && transition.from != AlertState::Firing;
    let cooling = last.is_some_and(|last| transition.at.since(last) < policy.cooldown);
    let cause = &transition.alert.cause;
    let retrain: Vec<usize> = match (cause.kind, cause.task) {
        (CauseKind::Head, Some(task)) => vec![task],
        // A skew is mended in serving, another mix of classes by new priors: training mends neither.
        (CauseKind::Undetermined | CauseKind::Skew | CauseKind::PriorShift, _) => Vec::new(),
        _ => cause.tasks_affected.clone(),
    };
    if !fired || cooling || retrain.is_empty() {
        return None;
    }
    *last = Some(transition.at);
    let protected = (0..tasks).filter(|t| !retrain.contains(t)).collect();
    Some(Request { tasks: retrain, protected, state, at: transition.at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::alert::{Alert, Reason};
    use crate::drift::cause::Cause;

    fn fired(kind: CauseKind, task: Option<usize>, affected: &[usize], at: i64) -> Transition {
        let cause = Cause { kind, task, segment: None, tasks_affected: affected.to_vec() };
        let at = Timestamp::from_micros(at);
        Transition {
            alert: Alert { opened_slot: 1, ordinal: 0, opened_at: at, cause, ln_evidence: 9.0, witnesses: Vec::new() },
            from: AlertState::Pending,
            to: AlertState::Firing,
            reason: Reason::EvidenceReachedThreshold,
            at,
            slot: 1,
        }
    }

    const AUTO: Policy = Policy { mode: Mode::Auto, cooldown: Span::from_secs(10) };

    #[test]
    fn a_head_is_retrained_and_the_others_protected() {
        let made = request(AUTO, &fired(CauseKind::Head, Some(1), &[1, 2], 0), 3, &mut None).expect("a request");
        assert_eq!((made.tasks, made.protected, made.state), (vec![1], vec![0, 2], RequestState::Requested));
    }

    #[test]
    fn an_unknown_cause_a_cooling_model_and_a_policy_of_off_ask_for_nothing() {
        assert_eq!(request(AUTO, &fired(CauseKind::Undetermined, None, &[0], 0), 3, &mut None), None);
        let mut last = Some(Timestamp::from_micros(0));
        assert_eq!(request(AUTO, &fired(CauseKind::Head, Some(0), &[0], 9_999_999), 3, &mut last), None);
        assert!(request(AUTO, &fired(CauseKind::Head, Some(0), &[0], 10_000_000), 3, &mut last).is_some());
        let off = Policy { mode: Mode::Off, ..AUTO };
        assert_eq!(request(off, &fired(CauseKind::Head, Some(0), &[0], 0), 3, &mut None), None);
    }
}
