//! Alert states and their transitions, each with its reason.
//!
//! | from | when | to |
//! |---|---|---|
//! | inactive | evidence ≥ a tenth of the threshold | pending |
//! | inactive, pending | evidence ≥ threshold | firing |
//! | pending | evidence below a tenth again | inactive |
//! | firing | evidence ≥ threshold again after a restart | firing: the cause may grow |
//! | firing | quiet for the configured number of windows | resolved, which is inactive |

use serde::{Deserialize, Serialize};

use super::judgement::{Report, Verdict};
use super::localization::{Cause, CauseKind};
use super::time::Timestamp;
use super::window::Slot;

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
            Reason::EvidenceFell => f.write_str("evidence fell below a tenth of the threshold"),
            Reason::CauseGrew => f.write_str("a further alarm showed more of the cause"),
            Reason::QuietFor(windows) => write!(f, "{windows} windows in a row were quiet"),
        }
    }
}

/// An alert while it is pending or firing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Window in which it became what it is now.
    pub opened_slot: Slot,
    /// End of that window.
    pub opened_at: Timestamp,
    /// Where it drifted; undetermined while pending.
    pub cause: Cause,
    /// ln of the evidence when it fired, or of the latest while pending.
    pub ln_evidence: f64,
}

/// The alert's place in its life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    /// No alert.
    Inactive,
    /// Evidence is rising.
    Pending(Alert),
    /// Firing, and for how many windows it has been quiet.
    Firing {
        /// The alert.
        alert: Alert,
        /// Quiet windows in a row.
        quiet: u32,
    },
}

/// One change of state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The alert as it stands after the change.
    pub alert: Alert,
    /// From this state.
    pub from: AlertState,
    /// To this one.
    pub to: AlertState,
    /// Why.
    pub reason: Reason,
    /// End of the window that caused it.
    pub at: Timestamp,
    /// That window.
    pub slot: Slot,
}

/// Moves an alert through one report. `cause` is what localization says, asked for only when the
/// report alarms; `resolve_after` counts quiet windows.
pub fn advance(
    phase: &mut Phase,
    report: &Report,
    cause: impl FnOnce() -> Cause,
    resolve_after: u32,
) -> Option<Transition> {
    let fresh =
        |cause| Alert { opened_slot: report.slot, opened_at: report.end, cause, ln_evidence: report.ln_evidence };
    let (next, change) = match (std::mem::replace(phase, Phase::Inactive), report.verdict) {
        (same, Verdict::InsufficientData) => (same, None),
        (Phase::Inactive, Verdict::Ok) => (Phase::Inactive, None),
        (Phase::Inactive, Verdict::Warning) => {
            let alert = fresh(Cause::undetermined(Vec::new()));
            (
                Phase::Pending(alert.clone()),
                Some((alert, AlertState::Inactive, AlertState::Pending, Reason::EvidenceRose)),
            )
        }
        (Phase::Pending(alert), Verdict::Warning) => {
            (Phase::Pending(Alert { ln_evidence: report.ln_evidence, ..alert }), None)
        }
        (Phase::Pending(alert), Verdict::Ok) => {
            (Phase::Inactive, Some((alert, AlertState::Pending, AlertState::Inactive, Reason::EvidenceFell)))
        }
        (earlier @ (Phase::Inactive | Phase::Pending(_)), Verdict::Drift) => {
            let from = if matches!(earlier, Phase::Inactive) { AlertState::Inactive } else { AlertState::Pending };
            // A pending alert keeps its identity, so that its story is one.
            let alert = match earlier {
                Phase::Pending(pending) => Alert { cause: cause(), ln_evidence: report.ln_evidence, ..pending },
                _ => fresh(cause()),
            };
            let firing = Phase::Firing { alert: alert.clone(), quiet: 0 };
            (firing, Some((alert, from, AlertState::Firing, Reason::EvidenceReachedThreshold)))
        }
        (Phase::Firing { alert, .. }, Verdict::Drift) => {
            let grown = grow(&alert.cause, &cause());
            let changed = grown != alert.cause;
            let alert = Alert { cause: grown, ..alert };
            let change = (alert.clone(), AlertState::Firing, AlertState::Firing, Reason::CauseGrew);
            (Phase::Firing { alert, quiet: 0 }, changed.then_some(change))
        }
        (Phase::Firing { alert, .. }, Verdict::Warning) => (Phase::Firing { alert, quiet: 0 }, None),
        (Phase::Firing { alert, quiet }, Verdict::Ok) if quiet + 1 >= resolve_after => {
            let reason = Reason::QuietFor(quiet + 1);
            (Phase::Inactive, Some((alert, AlertState::Firing, AlertState::Resolved, reason)))
        }
        (Phase::Firing { alert, quiet }, Verdict::Ok) => (Phase::Firing { alert, quiet: quiet + 1 }, None),
    };
    *phase = next;
    change.map(|(alert, from, to, reason)| Transition { alert, from, to, reason, at: report.end, slot: report.slot })
}

/// A cause only grows: further tasks join, and `undetermined` may become a place. A skew that shows later
/// explains whatever was found before.
fn grow(known: &Cause, new: &Cause) -> Cause {
    let mut tasks_affected: Vec<usize> = known.tasks_affected.iter().chain(&new.tasks_affected).copied().collect();
    tasks_affected.sort_unstable();
    tasks_affected.dedup();
    let explained = known.kind == CauseKind::Undetermined || new.kind == CauseKind::Skew;
    let place = if explained { new } else { known };
    Cause { tasks_affected, ..place.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(slot: Slot, verdict: Verdict) -> Report {
        Report {
            slot,
            start: Timestamp::from_micros(slot),
            end: Timestamp::from_micros(slot + 1),
            records: 100,
            verdict,
            ln_evidence: 1.0,
            ln_threshold: 5.0,
            parts: Vec::new(),
            notices: Vec::new(),
            statistics: Vec::new(),
        }
    }

    fn head(task: usize) -> Cause {
        Cause { kind: CauseKind::Head, task: Some(task), segment: None, tasks_affected: vec![task] }
    }

    fn story(verdicts: &[Verdict]) -> Vec<(Slot, AlertState, AlertState)> {
        let mut phase = Phase::Inactive;
        let steps = verdicts.iter().enumerate();
        steps
            .filter_map(|(i, v)| advance(&mut phase, &report(i as Slot, *v), || head(0), 2))
            .map(|t| (t.slot, t.from, t.to))
            .collect()
    }

    #[test]
    fn an_alert_rises_fires_once_and_resolves_when_quiet() {
        use AlertState::{Firing, Inactive, Pending, Resolved};
        use Verdict::{Drift, InsufficientData, Ok, Warning};
        let found = story(&[Ok, Warning, Drift, Drift, Ok, Warning, Ok, InsufficientData, Ok, Ok]);
        assert_eq!(found, [(1, Inactive, Pending), (2, Pending, Firing), (8, Firing, Resolved)]);
    }

    #[test]
    fn a_pending_alert_that_calms_down_says_so() {
        use AlertState::{Inactive, Pending};
        let found = story(&[Verdict::Warning, Verdict::Ok]);
        assert_eq!(found, [(0, Inactive, Pending), (1, Pending, Inactive)]);
    }

    #[test]
    fn a_cause_grows_and_keeps_its_place() {
        let mut phase = Phase::Inactive;
        advance(&mut phase, &report(0, Verdict::Drift), || head(1), 3);
        let grown = advance(&mut phase, &report(1, Verdict::Drift), || head(0), 3).expect("the cause grew");
        assert_eq!(
            (grown.alert.cause.task, grown.alert.cause.tasks_affected, grown.reason),
            (Some(1), vec![0, 1], Reason::CauseGrew)
        );
        assert_eq!(grown.alert.opened_slot, 0, "still the same alert");
    }
}
