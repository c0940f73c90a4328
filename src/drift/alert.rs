//! Alert states and their transitions, each with its reason. There is one alert for one cause.
//!
//! | from | when | to |
//! |---|---|---|
//! | inactive | evidence ≥ a tenth of the threshold, and nothing fires | pending |
//! | inactive, pending | an alarm shows a cause that no firing alert explains | firing |
//! | pending | evidence below a tenth again | inactive |
//! | firing | a further alarm shows more of the cause, or what explains it | firing: it grows |
//! | inactive, pending | most records of a window name another version ([`crate::drift::versions`]) | firing, with what it explains |
//! | firing | for the configured number of windows no alarm of its cause, and no rising evidence; and for as many as two looks take at what it was found by | resolved, which is inactive |

use serde::{Deserialize, Serialize};

/// Alerts as courses of earlier formats hold them.
#[path = "alert_formats.rs"]
mod formats;

pub(super) use formats::{Earlier, WithoutClasses, WithoutPatience};

pub use super::alert_state::{AlertState, Reason};
use super::cause::{Cause, CauseKind};
use super::harm::Harmed;
use super::judgement::{Report, Verdict};
use super::localization::{Found, Witness};
use super::reference::Reference;
use super::time::Timestamp;
use super::versions::{Seen, Standing};
use super::window::Slot;
use super::witness::{Looks, left_out, ln_evidence_of};

/// A cause that explains an alert takes its place within so many windows, the longest scale: parts that
/// need more records to see it have caught up by then. What comes later is something else.
const CATCH_UP: Slot = 16;

/// So many times as long as is needed an alert is held by evidence that neither alarms nor goes: evidence of small
/// drifts fades slowly, and what goes on would have alarmed again by then.
const MOST_HELD: u32 = 3;

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
    /// Tasks that labels prove worse than their reference while it fires, in their order.
    pub harmed: Vec<Harmed>,
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
    /// So many of them are needed at least: what it was found by looks no oftener.
    patience: u32,
}

/// What a window is for an alert.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quiet {
    /// No quiet one.
    Not,
    /// No alarm, but what the alert rests on still holds evidence.
    ButMoving,
    /// A quiet one.
    Entirely,
}

impl Quiet {
    fn all(quiet: bool) -> Quiet {
        if quiet { Quiet::Entirely } else { Quiet::Not }
    }
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
    /// Versions that records name, where the cause is one.
    pub versions: Option<Seen>,
}

impl Transition {
    /// One sentence on its cause.
    pub fn summary(&self, reference: &Reference) -> String {
        let mut summary = self.alert.cause.summary(reference);
        if let Some(seen) = &self.versions {
            summary = format!("{summary}; {}", seen.summary(reference));
        }
        let spec = &reference.spec;
        let alone = self.alert.cause.kind == CauseKind::Concept;
        for harmed in &self.alert.harmed {
            let missed = harmed.says(spec);
            // That it is worse is what a concept says.
            if !alone {
                summary += &format!("; labels prove `{}` worse than its reference", harmed.names(spec).0);
            }
            if !missed.is_empty() {
                summary += if alone { "; " } else { ", " };
                summary += &missed;
            }
        }
        summary
    }
}

impl Alerts {
    /// The firing ones, the oldest first.
    pub fn firing(&self) -> impl Iterator<Item = &Alert> {
        self.firing.iter().map(|f| &f.alert)
    }

    /// The firing ones, and whether the latest window was no quiet one for them.
    pub fn renewed(&self) -> impl Iterator<Item = (&Alert, bool)> {
        self.firing.iter().map(|f| (&f.alert, f.quiet == 0))
    }

    /// All of them: those that fire, and the one whose evidence is rising.
    pub fn open(&self) -> impl Iterator<Item = &Alert> {
        self.firing().chain(&self.pending)
    }

    /// Moves all alerts through one report. `causes` is what localization says, asked for only when the
    /// report alarms; `versions` is what records name; `resolve_after` counts quiet windows, which `looks` tells
    /// from those that only look so.
    pub fn advance(
        &mut self,
        report: &Report,
        causes: impl FnOnce() -> Vec<Found>,
        versions: Standing,
        resolve_after: u32,
        looks: &impl Looks,
    ) -> Vec<Transition> {
        let mut changes = self.name_versions(report, versions, looks);
        let mut renewed = Vec::new();
        match report.verdict {
            Verdict::InsufficientData => {}
            Verdict::Warning => {
                self.firing.iter_mut().filter(|f| !is_version(&f.alert)).for_each(|f| f.quiet = 0);
                changes.extend(self.rise(report));
            }
            Verdict::Ok => changes.extend(self.pending.take().map(|alert| {
                transition(report, alert, AlertState::Pending, AlertState::Inactive, Reason::EvidenceFell)
            })),
            Verdict::Drift => {
                let mut causes = causes();
                // An alert that goes on is no other cause's.
                causes.sort_by_key(|found| self.at(&found.cause).is_none());
                for found in causes {
                    let by_labels = found.cause.kind == CauseKind::Concept;
                    let (place, change) = self.alarm(report, found, resolve_after, looks, &renewed);
                    // Labels that prove harm of what an alert tells do not say that it goes on.
                    if !by_labels || self.firing[place].alert.cause.kind == CauseKind::Concept {
                        renewed.push(place);
                    }
                    changes.extend(change);
                }
            }
        }
        let is_quiet = |place: usize, firing: &Firing| {
            let alert = &firing.alert;
            match (is_version(alert), report.verdict) {
                (true, _) => Quiet::all(versions == Standing::Ours),
                // What an alarm moves is the alarm's.
                (_, Verdict::Drift) if renewed.contains(&place) => Quiet::Not,
                (_, Verdict::Drift) if looks.moves(alert) => Quiet::ButMoving,
                (_, Verdict::Drift) => Quiet::Entirely,
                (_, Verdict::Ok) => match (looks.moves(alert), looks.heard(alert)) {
                    (true, true) => Quiet::ButMoving,
                    (true, false) => Quiet::Not,
                    (false, heard) => Quiet::all(heard || firing.quiet > 0),
                },
                _ => Quiet::Not,
            }
        };
        changes.extend(self.calm(report, is_quiet, resolve_after));
        changes
    }

    /// An alert of another version fires, or goes on, before anything that it explains.
    fn name_versions(&mut self, report: &Report, versions: Standing, looks: &impl Looks) -> Vec<Transition> {
        if matches!(versions, Standing::Mixed | Standing::Others) {
            self.firing.iter_mut().filter(|f| is_version(&f.alert)).for_each(|f| f.quiet = 0);
        }
        if versions != Standing::Others {
            return Vec::new();
        }
        let found = Found::plain(Cause::another_version(), Vec::new());
        self.alarm(report, found, 0, looks, &[]).1.into_iter().collect()
    }

    fn rise(&mut self, report: &Report) -> Option<Transition> {
        if let Some(pending) = &mut self.pending {
            pending.ln_evidence = report.ln_evidence;
        }
        if self.pending.is_some() || !self.firing.is_empty() {
            return None;
        }
        let alert = fresh(report, 0, Found::plain(Cause::undetermined(Vec::new()), Vec::new()));
        self.pending = Some(alert.clone());
        Some(transition(report, alert, AlertState::Inactive, AlertState::Pending, Reason::EvidenceRose))
    }

    /// The firing alert of the same place.
    fn at(&self, cause: &Cause) -> Option<usize> {
        self.firing.iter().position(|f| f.alert.cause.is_at(cause))
    }

    /// A cause of an alarm: of the firing alert of its place, of one that explains it, of one that it explains and
    /// that the same alarm did not renew, or of a new one.
    fn alarm(
        &mut self,
        report: &Report,
        found: Found,
        resolve_after: u32,
        looks: &impl Looks,
        renewed: &[usize],
    ) -> (usize, Option<Transition>) {
        let found_in = looks.patience(&found);
        let by_labels = found.cause.kind == CauseKind::Concept;
        let is_recent = |f: &Firing| report.slot - f.alert.opened_slot <= CATCH_UP;
        // What moves in the others of a tag, long after a segment was found alone, is not the segment's.
        let is_of_others = |f: &Firing| found.cause.segment.is_none() && looks.is_elsewhere(&f.alert, &found);
        // Nor is what is measured of the texts, and would have been seen at once, the encoder's.
        let is_of_texts = |f: &Firing| {
            (f.alert.cause.kind, found.cause.kind) == (CauseKind::Encoder, CauseKind::Input)
                && looks.shows_input_at_once(&found)
        };
        let explains = |f: &Firing| {
            let own = &f.alert.cause;
            let is_beyond = (found.by_itself && !own.comprises(&found.cause))
                || (found.beyond_mixes && own.kind == CauseKind::PriorShift)
                || (!is_recent(f) && (is_of_others(f) || is_of_texts(f)));
            // What has been quiet for so long is not why labels say that a head errs.
            let is_over = by_labels && f.quiet >= resolve_after && !looks.moves(&f.alert);
            own.explains(&found.cause) && !is_beyond && !is_over
        };
        let explained = self.at(&found.cause).or_else(|| self.firing.iter().position(explains));
        // What appears from one window to the next is not what moved a head for some windows: only beside heads'
        // alerts is it known what input and encoder gathered before.
        let of_heads = self.firing.iter().all(|f| f.alert.cause.kind == CauseKind::Head);
        let is_later = |f: &Firing| of_heads && looks.appears_after(report.slot - f.alert.opened_slot, &found);
        let caught_up = |(place, f): (usize, &Firing)| {
            let recent = (is_recent(f) && !is_later(f)) || f.alert.cause.kind == CauseKind::Undetermined;
            let explains = recent && !renewed.contains(&place) && found.cause.explains(&f.alert.cause);
            explains.then_some(place)
        };
        let known = explained.or_else(|| self.firing.iter().enumerate().find_map(caught_up));
        if let Some(known) = known {
            let recent = is_recent(&self.firing[known]);
            let Firing { alert, quiet, patience } = &mut self.firing[known];
            let leads = found.cause.displaces(&alert.cause) && found.ln_evidence() > ln_evidence_of(&alert.witnesses);
            // A name that turns out wrong is given up, a mix of answers however long it stood.
            let of_all = recent && found.cause.segment.is_none() && looks.is_spread(alert);
            // What the encoder sees did change with the texts, if these took longer to show it.
            let by_texts = (alert.cause.kind, found.cause.kind) == (CauseKind::Encoder, CauseKind::Input);
            let refuted = found.refutes(&alert.cause)
                || (of_all && found.cause.explains(&alert.cause))
                || (by_texts && recent && !looks.shows_input_at_once(&found));
            let grown = if (recent && leads) || refuted {
                found.cause.grow(&alert.cause)
            } else {
                alert.cause.grow(&found.cause)
            };
            // Attributes and tags have nothing to do with each other: one that joins an alert is news, and stays in it.
            let left = left_out(looks, &alert.witnesses, &found.witnesses);
            let joins = alert.cause.kind == CauseKind::Input
                && found.cause.kind == CauseKind::Input
                && !left_out(looks, &found.witnesses, &alert.witnesses).is_empty();
            match (alert.cause.kind, found.cause.kind) {
                (CauseKind::Version, CauseKind::Version) => {}
                // They are no signals, and say nothing of those that the alert rests on.
                _ if by_labels && grown.kind != CauseKind::Concept => {}
                // What follows from another version does not say that it goes on.
                (CauseKind::Version, _) => alert.witnesses = all_explained(found.witnesses),
                (_, CauseKind::Version) => {
                    (*quiet, alert.witnesses) = (0, all_explained(std::mem::take(&mut alert.witnesses)));
                }
                _ => (*quiet, *patience, alert.witnesses) = (0, found_in.max(*patience), found.witnesses),
            }
            if grown.kind == CauseKind::Input {
                let follows = found.cause.kind != CauseKind::Input && !left.is_empty();
                alert.witnesses.retain(|w| left.iter().all(|l| l.signal != w.signal));
                alert.witnesses.iter_mut().for_each(|w| w.explained |= follows && looks.source(w).is_none());
                alert.witnesses.extend(left);
            } else if by_texts {
                alert.witnesses.iter_mut().filter(|w| looks.source(w).is_some()).for_each(|w| w.explained = true);
            }
            let harmed = Harmed::union(&alert.harmed, &found.harmed);
            // A class more is no news of its own: receivers hear of it with the next.
            let is_more = joins || grown != alert.cause || harmed.len() > alert.harmed.len();
            (alert.cause, alert.harmed) = (grown, harmed);
            let grew = |alert| transition(report, alert, AlertState::Firing, AlertState::Firing, Reason::CauseGrew);
            return (known, is_more.then(|| grew(alert.clone())));
        }
        let reason = match found.cause.kind {
            CauseKind::Version => Reason::AnotherVersion,
            _ => Reason::EvidenceReachedThreshold,
        };
        // A pending alert keeps its identity, so that its story is one.
        let (from, alert) = match self.pending.take() {
            Some(pending) => {
                let Found { cause, witnesses, harmed, .. } = found;
                (AlertState::Pending, Alert { cause, witnesses, harmed, ln_evidence: report.ln_evidence, ..pending })
            }
            None => {
                let opened = self.firing.iter().filter(|f| f.alert.opened_slot == report.slot).count();
                (AlertState::Inactive, fresh(report, opened as u32, found))
            }
        };
        self.firing.push(Firing { alert: alert.clone(), quiet: 0, patience: found_in });
        let change = transition(report, alert, from, AlertState::Firing, reason);
        (self.firing.len() - 1, Some(change))
    }

    /// One more quiet window for those that had one.
    fn calm(
        &mut self,
        report: &Report,
        is_quiet: impl Fn(usize, &Firing) -> Quiet,
        resolve_after: u32,
    ) -> Vec<Transition> {
        let mut over = Vec::new();
        for (at, mut firing) in std::mem::take(&mut self.firing).into_iter().enumerate() {
            let quiet = is_quiet(at, &firing);
            firing.quiet += u32::from(quiet != Quiet::Not);
            let enough = resolve_after.max(firing.patience);
            let resolves = match quiet {
                Quiet::Not => false,
                Quiet::ButMoving => firing.quiet >= enough.saturating_mul(MOST_HELD),
                Quiet::Entirely => firing.quiet >= enough,
            };
            if resolves {
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
        harmed: found.harmed,
    }
}

fn is_version(alert: &Alert) -> bool {
    alert.cause.kind == CauseKind::Version
}

fn all_explained(witnesses: Vec<Witness>) -> Vec<Witness> {
    witnesses.into_iter().map(|witness| Witness { explained: true, ..witness }).collect()
}

fn transition(report: &Report, alert: Alert, from: AlertState, to: AlertState, reason: Reason) -> Transition {
    Transition { alert, from, to, reason, at: report.end, slot: report.slot, versions: None }
}

#[cfg(test)]
#[path = "alert_tests.rs"]
mod tests;
