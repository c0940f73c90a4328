//! Alert states and their transitions, each with its reason. There is one alert for one cause.
//!
//! | from | when | to |
//! |---|---|---|
//! | inactive | evidence ≥ a tenth of the threshold, and nothing fires | pending |
//! | inactive, pending | an alarm shows a cause that no firing alert explains | firing |
//! | pending | evidence below a tenth again | inactive |
//! | firing | a further alarm shows more of the cause, or what explains it | firing: it grows |
//! | firing | for the configured number of windows no alarm of its cause, and no rising evidence | resolved, which is inactive |

use serde::{Deserialize, Serialize};

use super::cause::{Cause, CauseKind};
use super::judgement::{Report, Verdict};
use super::localization::{Found, Witness};
use super::time::Timestamp;
use super::window::Slot;
use super::witness::ln_evidence_of;

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

/// A cause that explains an alert takes its place within so many windows, the longest scale: parts that
/// need more records to see it have caught up by then. What comes later is something else.
const CATCH_UP: Slot = 16;

/// An alert while it is pending or firing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Window in which it became what it is now.
    pub opened_slot: Slot,
    /// Which of the alerts opened in that window.
    pub ordinal: u32,
    /// End of that window.
    pub opened_at: Timestamp,
    /// Where it drifted; undetermined while pending.
    pub cause: Cause,
    /// ln of the evidence when it fired, or of the latest while pending.
    pub ln_evidence: f64,
    /// The signals that led to it and those it explains, as of its latest alarm, the strongest first.
    pub witnesses: Vec<Witness>,
}

/// All alerts of a model that are not over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alerts {
    /// Evidence is rising.
    pending: Option<Alert>,
    firing: Vec<Firing>,
}

/// A firing alert, and for how many windows it has been quiet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Firing {
    alert: Alert,
    /// Quiet windows in a row.
    quiet: u32,
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

impl Alerts {
    /// The firing ones, the oldest first.
    pub fn firing(&self) -> impl Iterator<Item = &Alert> {
        self.firing.iter().map(|f| &f.alert)
    }

    /// All of them: those that fire, and the one whose evidence is rising.
    pub fn open(&self) -> impl Iterator<Item = &Alert> {
        self.firing().chain(&self.pending)
    }

    /// Moves all alerts through one report. `causes` is what localization says, asked for only when the
    /// report alarms; `resolve_after` counts quiet windows.
    pub fn advance(
        &mut self,
        report: &Report,
        causes: impl FnOnce() -> Vec<Found>,
        resolve_after: u32,
    ) -> Vec<Transition> {
        match report.verdict {
            Verdict::InsufficientData => Vec::new(),
            Verdict::Warning => {
                self.firing.iter_mut().for_each(|f| f.quiet = 0);
                self.rise(report).into_iter().collect()
            }
            Verdict::Ok => {
                let fell = self.pending.take().map(|alert| {
                    transition(report, alert, AlertState::Pending, AlertState::Inactive, Reason::EvidenceFell)
                });
                let over = self.calm(report, &[], resolve_after);
                fell.into_iter().chain(over).collect()
            }
            Verdict::Drift => {
                let mut changes = Vec::new();
                let mut renewed = Vec::new();
                for found in causes() {
                    let (place, change) = self.alarm(report, found);
                    renewed.push(place);
                    changes.extend(change);
                }
                changes.extend(self.calm(report, &renewed, resolve_after));
                changes
            }
        }
    }

    fn rise(&mut self, report: &Report) -> Option<Transition> {
        if let Some(pending) = &mut self.pending {
            pending.ln_evidence = report.ln_evidence;
        }
        if self.pending.is_some() || !self.firing.is_empty() {
            return None;
        }
        let alert = fresh(report, 0, Found { cause: Cause::undetermined(Vec::new()), witnesses: Vec::new() });
        self.pending = Some(alert.clone());
        Some(transition(report, alert, AlertState::Inactive, AlertState::Pending, Reason::EvidenceRose))
    }

    /// A cause of an alarm: of a firing alert that explains it, of one that it explains, or of a new one.
    fn alarm(&mut self, report: &Report, found: Found) -> (usize, Option<Transition>) {
        let explained = self.firing.iter().position(|f| f.alert.cause.explains(&found.cause));
        let caught_up = |f: &Firing| {
            let recent = report.slot - f.alert.opened_slot <= CATCH_UP || f.alert.cause.kind == CauseKind::Undetermined;
            recent && found.cause.explains(&f.alert.cause)
        };
        let known = explained.or_else(|| self.firing.iter().position(caught_up));
        if let Some(known) = known {
            let Firing { alert, quiet } = &mut self.firing[known];
            let recent = report.slot - alert.opened_slot <= CATCH_UP;
            let leads = found.cause.displaces(&alert.cause) && found.ln_evidence() > ln_evidence_of(&alert.witnesses);
            let grown = if recent && leads { found.cause.grow(&alert.cause) } else { alert.cause.grow(&found.cause) };
            (*quiet, alert.witnesses) = (0, found.witnesses);
            if grown == alert.cause {
                return (known, None);
            }
            alert.cause = grown;
            let change = (alert.clone(), AlertState::Firing, AlertState::Firing, Reason::CauseGrew);
            return (known, Some(transition(report, change.0, change.1, change.2, change.3)));
        }
        // A pending alert keeps its identity, so that its story is one.
        let (from, alert) = match self.pending.take() {
            Some(pending) => {
                let (cause, witnesses) = (found.cause, found.witnesses);
                (AlertState::Pending, Alert { cause, witnesses, ln_evidence: report.ln_evidence, ..pending })
            }
            None => {
                let opened = self.firing.iter().filter(|f| f.alert.opened_slot == report.slot).count();
                (AlertState::Inactive, fresh(report, opened as u32, found))
            }
        };
        self.firing.push(Firing { alert: alert.clone(), quiet: 0 });
        let change = transition(report, alert, from, AlertState::Firing, Reason::EvidenceReachedThreshold);
        (self.firing.len() - 1, Some(change))
    }

    /// One more quiet window for all but those that were just renewed.
    fn calm(&mut self, report: &Report, renewed: &[usize], resolve_after: u32) -> Vec<Transition> {
        let mut over = Vec::new();
        for (at, mut firing) in std::mem::take(&mut self.firing).into_iter().enumerate() {
            firing.quiet += u32::from(!renewed.contains(&at));
            if firing.quiet >= resolve_after && !renewed.contains(&at) {
                let reason = Reason::QuietFor(firing.quiet);
                over.push(transition(report, firing.alert, AlertState::Firing, AlertState::Resolved, reason));
            } else {
                self.firing.push(firing);
            }
        }
        over
    }
}

fn fresh(report: &Report, ordinal: u32, found: Found) -> Alert {
    Alert {
        opened_slot: report.slot,
        ordinal,
        opened_at: report.end,
        cause: found.cause,
        ln_evidence: report.ln_evidence,
        witnesses: found.witnesses,
    }
}

fn transition(report: &Report, alert: Alert, from: AlertState, to: AlertState, reason: Reason) -> Transition {
    Transition { alert, from, to, reason, at: report.end, slot: report.slot }
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

    fn place(kind: CauseKind, task: Option<usize>, tasks_affected: &[usize]) -> Found {
        let cause = Cause { kind, task, segment: None, tasks_affected: tasks_affected.to_vec() };
        Found { cause, witnesses: Vec::new() }
    }

    fn head(task: usize) -> Found {
        place(CauseKind::Head, Some(task), &[task])
    }

    fn story(verdicts: &[Verdict]) -> Vec<(Slot, AlertState, AlertState)> {
        let mut alerts = Alerts::default();
        let steps = verdicts.iter().enumerate();
        steps
            .flat_map(|(i, v)| alerts.advance(&report(i as Slot, *v), || vec![head(0)], 2))
            .map(|t| (t.slot, t.from, t.to))
            .collect()
    }

    /// Goes through alarms with these causes; the kinds and tasks that fire at the end.
    fn firing(alarms: &[Vec<Found>]) -> Vec<(CauseKind, Option<usize>)> {
        let mut alerts = Alerts::default();
        for (slot, found) in alarms.iter().enumerate() {
            let verdict = if found.is_empty() { Verdict::Ok } else { Verdict::Drift };
            alerts.advance(&report(slot as Slot, verdict), || found.clone(), 3);
        }
        alerts.firing().map(|a| (a.cause.kind, a.cause.task)).collect()
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
        let mut alerts = Alerts::default();
        alerts.advance(&report(0, Verdict::Drift), || vec![place(CauseKind::Input, None, &[1])], 3);
        let grown = alerts.advance(&report(1, Verdict::Drift), || vec![head(0)], 3);
        let [grown] = grown.as_slice() else { panic!("one change: {grown:?}") };
        let cause = &grown.alert.cause;
        assert_eq!(
            (cause.kind, &cause.tasks_affected, &grown.reason),
            (CauseKind::Input, &vec![0, 1], &Reason::CauseGrew)
        );
        assert_eq!(grown.alert.opened_slot, 0, "still the same alert");
    }

    #[test]
    fn a_mix_of_classes_with_more_evidence_takes_the_place_of_a_young_encoder() {
        use CauseKind::{Encoder, PriorShift};
        let with = |kind, task, ln_evidence| {
            let witnesses = vec![Witness { signal: 0, ln_evidence, explained: false }];
            vec![Found { witnesses, ..place(kind, task, &[0, 1]) }]
        };
        let mix = |task, ln_evidence| with(PriorShift, Some(task), ln_evidence);
        let encoder = |ln_evidence| with(Encoder, None, ln_evidence);
        assert_eq!(firing(&[encoder(9.0), mix(1, 12.0)]), [(PriorShift, Some(1))]);
        assert_eq!(firing(&[encoder(9.0), mix(1, 8.0)]), [(Encoder, None)]);
        assert_eq!(firing(&[mix(1, 9.0), encoder(12.0)]), [(PriorShift, Some(1))]);
        let later: Vec<Vec<Found>> = std::iter::repeat_n(encoder(9.0), 18).chain([mix(1, 12.0)]).collect();
        assert_eq!(firing(&later), [(Encoder, None)], "the place of an old alert stands");
    }

    #[test]
    fn causes_apart_are_alerts_apart() {
        use CauseKind::{Head, Input, Skew, Undetermined};
        let two = vec![head(0), head(2)];
        assert_eq!(firing(std::slice::from_ref(&two)), [(Head, Some(0)), (Head, Some(2))]);
        assert_eq!(firing(&[vec![head(0)], two]), [(Head, Some(0)), (Head, Some(2))]);
        let later = [vec![place(Undetermined, None, &[1])], vec![head(1)], vec![place(Input, None, &[0, 1])]];
        assert_eq!(firing(&later), [(Input, None)], "what explains it takes its place");
        let skew = vec![place(Skew, Some(0), &[0])];
        assert_eq!(firing(&[vec![head(0)], skew.clone()]), [(Skew, Some(0))]);
        assert_eq!(firing(&[skew, vec![head(0), head(1)]]), [(Skew, Some(0)), (Head, Some(1))]);
    }

    #[test]
    fn an_alert_is_over_while_another_goes_on() {
        let mut alerts = Alerts::default();
        alerts.advance(&report(0, Verdict::Drift), || vec![head(0), head(1)], 2);
        assert_eq!(alerts.advance(&report(1, Verdict::Drift), || vec![head(1)], 2), []);
        let over = alerts.advance(&report(2, Verdict::Drift), || vec![head(1)], 2);
        assert_eq!(
            over.iter().map(|t| (t.to, t.alert.cause.task)).collect::<Vec<_>>(),
            [(AlertState::Resolved, Some(0))]
        );
        assert_eq!(alerts.firing().map(|a| (a.ordinal, a.cause.task)).collect::<Vec<_>>(), [(1, Some(1))]);
    }
}
