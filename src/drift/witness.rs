//! What a cause rests on and what it explains, signal by signal.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::alert::Alert;
use super::cause::{Cause, CauseKind};
use super::detector::{AtScale, SignalStep};
use super::harm::{HarmReport, Harmed, Lately};
use super::localization::{MAIN_SHARE, MOVED, is_spread, moves_elsewhere};
use super::reference::{Reference, SignalReference};
use super::signal::{Measure, Scope};
use super::tree::weights;
use super::window::Slot;
use crate::stats::evidence::{AS_RARE, ln_weighted_sum};
use crate::stats::probability::ln_add;

/// Labels are no signal; where an alert was found from them, this stands for one.
pub const LABELS: &str = "labels";

/// A signal that drifted when an alert fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Witness {
    /// Index of the signal in the reference.
    pub signal: u32,
    /// ln of its evidence.
    pub ln_evidence: f64,
    /// Whether the cause explains it rather than rests on it.
    pub explained: bool,
}

/// A cause with the signals that led to it and those that it explains, the strongest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Where it drifted.
    pub cause: Cause,
    /// The signals.
    pub witnesses: Vec<Witness>,
    /// Whether it is beyond what any other cause makes move, and so stands beside those that would explain it.
    pub by_itself: bool,
    /// Whether it is beyond what any other mix of a head's classes makes move.
    pub beyond_mixes: bool,
    /// Tasks that labels prove worse, and that it may make so.
    pub harmed: Vec<Harmed>,
}

impl Found {
    /// A cause that others may explain.
    pub fn plain(cause: Cause, witnesses: Vec<Witness>) -> Found {
        Found { cause, witnesses, by_itself: false, beyond_mixes: false, harmed: Vec::new() }
    }

    /// Whether another cause is not so: a head that answers otherwise by itself has no other mix of texts.
    pub fn refutes(&self, other: &Cause) -> bool {
        let same = self.cause.task == other.task;
        self.by_itself && self.cause.kind == CauseKind::Head && other.kind == CauseKind::PriorShift && same
    }

    /// ln evidence of the strongest signal that the cause rests on; −∞ for none.
    pub fn ln_evidence(&self) -> f64 {
        ln_evidence_of(&self.witnesses)
    }
}

/// ln evidence of the strongest of the signals that a cause rests on; −∞ for none.
pub fn ln_evidence_of(witnesses: &[Witness]) -> f64 {
    witnesses.iter().filter(|w| !w.explained).map(|w| w.ln_evidence).fold(f64::NEG_INFINITY, f64::max)
}

/// What a window says of an alert that fires: before it is over, what it rests on must have been looked at again
/// and be quiet (docs/decisions/0038).
pub trait Looks {
    /// Windows that have to be quiet at least after an alarm of this cause.
    fn patience(&self, found: &Found) -> u32;
    /// Whether what the alert rests on holds more evidence than something quiet does.
    fn moves(&self, alert: &Alert) -> bool;
    /// Whether the window says anything of what the alert rests on: of one from labels, whether labels came, and do not
    /// say that it goes on.
    fn heard(&self, alert: &Alert) -> bool;
    /// Whether the alert names a segment, and what moves in it moves in the others of its tag too.
    fn is_spread(&self, alert: &Alert) -> bool;
    /// Whether the alert names a segment, and something of a cause moves in the others of its tag.
    fn is_elsewhere(&self, alert: &Alert, found: &Found) -> bool;
    /// Which attribute or tag a witness of the input is about, the empty name for the text itself; `None` for others.
    fn source(&self, witness: &Witness) -> Option<&str>;
    /// Whether this window alone shows a signal of the input that a cause rests on, as an earlier one would have.
    fn shows_input_at_once(&self, found: &Found) -> bool;
    /// Whether this window alone shows input or encoder, on which a cause rests, and none of the so many before it, each
    /// of which would have.
    fn appears_after(&self, windows: Slot, found: &Found) -> bool;
}

/// Quiet looks in a row until an alert may be over, at the scale that it was found at: one may be missed by chance.
const QUIET_LOOKS: u32 = 2;

/// One window as alerts look at it.
pub struct Looked<'a> {
    /// What is normal.
    pub reference: &'a Reference,
    /// What the window did to each signal.
    pub steps: &'a [SignalStep],
    /// What its labels say,
    pub harm: &'a HarmReport,
    /// and what they have said lately.
    pub lately: &'a Lately,
    /// ln of the evidence at which the model alarms.
    pub ln_threshold: f64,
}

impl Looks for Looked<'_> {
    fn patience(&self, found: &Found) -> u32 {
        if let (CauseKind::Concept, Some(task)) = (found.cause.kind, found.cause.task) {
            return self.lately.rising(task);
        }
        let weights = weights(self.reference);
        let longest = |witness: &Witness| {
            let step = self.steps.get(witness.signal as usize)?;
            // What a single window shows is seen in the next one too.
            let at_once = self.is_shown_at_once(&weights, witness);
            if at_once { step.by_scale.first() } else { longest_seen(&step.by_scale) }.map(|scale| scale.windows)
        };
        QUIET_LOOKS * found.witnesses.iter().filter_map(longest).max().unwrap_or(0)
    }

    fn moves(&self, alert: &Alert) -> bool {
        if alert.cause.kind == CauseKind::Concept {
            let own = self.harm.tasks.iter().find(|harm| Some(harm.task) == alert.cause.task);
            return own.is_some_and(|harm| harm.ln_evidence >= MOVED.ln()) || self.says_worse(alert);
        }
        // What the cause explains tells of it as well.
        let steps = alert.witnesses.iter().filter_map(|w| self.steps.get(w.signal as usize));
        let weight = 1.0 / steps.clone().count().max(1) as f64;
        ln_weighted_sum(steps.map(|step| (weight, step.ln_named()))) >= MOVED.ln()
    }

    fn heard(&self, alert: &Alert) -> bool {
        let labelled = |task| self.harm.tasks.iter().any(|harm| harm.task == task && harm.labels > 0);
        alert.cause.kind != CauseKind::Concept || (alert.cause.task.is_none_or(labelled) && !self.says_worse(alert))
    }

    fn is_spread(&self, alert: &Alert) -> bool {
        let is_spread = |segment| is_spread(self.reference, self.steps, segment, &alert.cause.tasks_affected);
        alert.cause.segment.is_some_and(is_spread)
    }

    fn is_elsewhere(&self, alert: &Alert, found: &Found) -> bool {
        let moves = |segment, signal| moves_elsewhere(self.reference, self.steps, segment, signal);
        let mut signals = found.witnesses.iter().map(|witness| witness.signal as usize);
        alert.cause.segment.is_some_and(|segment| signals.any(|signal| moves(segment, signal)))
    }

    fn source(&self, witness: &Witness) -> Option<&str> {
        let key = &self.reference.signals.get(witness.signal as usize)?.key;
        let name = key.signal.strip_prefix("rising_in_").unwrap_or(&key.signal);
        let is_measured = name.starts_with("attribute_") || name.starts_with("segment_mix_");
        (key.scope == Scope::Input).then_some(if is_measured { name } else { "" })
    }

    fn shows_input_at_once(&self, found: &Found) -> bool {
        let weights = weights(self.reference);
        let scope = |witness: &Witness| self.reference.signals.get(witness.signal as usize).map(|s| s.key.scope);
        let of_input = found.witnesses.iter().filter(|witness| scope(witness) == Some(Scope::Input));
        of_input.into_iter().any(|witness| self.is_shown_at_once(&weights, witness))
    }

    fn appears_after(&self, windows: Slot, found: &Found) -> bool {
        let weights = weights(self.reference);
        let of_shared = |witness: &&Witness| {
            let scope = self.reference.signals.get(witness.signal as usize).map(|s| s.key.scope);
            !witness.explained && matches!(scope, Some(Scope::Input | Scope::Encoder))
        };
        let shared: Vec<&Witness> = found.witnesses.iter().filter(of_shared).collect();
        let is_new = |witness: &Witness| {
            let Some(step) = self.steps.get(witness.signal as usize) else { return false };
            let in_this = step.tested.map_or(0.0, |(_, ln_e)| ln_e.max(0.0));
            step.ln_evidence - in_this <= (MOVED * AS_RARE).ln()
        };
        // A window in which it begins shows little of it, and a slow clock looks at several at once.
        let looked = |witness: &Witness| {
            let look = self.steps.get(witness.signal as usize).and_then(|step| step.by_scale.first());
            look.is_some_and(|look| windows >= 2 * Slot::from(look.windows))
        };
        let mut at_once = shared.iter().filter(|witness| self.is_shown_at_once(&weights, witness));
        shared.iter().all(|witness| is_new(witness)) && at_once.any(|witness| looked(witness))
    }
}

impl Looked<'_> {
    /// Whether labels since the last alarm say that the head of an alert errs more than is tolerated.
    fn says_worse(&self, alert: &Alert) -> bool {
        alert.cause.task.is_some_and(|task| self.lately.is_worse(task))
    }

    /// Whether a signal's single window would alarm by itself.
    fn is_shown_at_once(&self, weights: &[f64], witness: &Witness) -> bool {
        let signal = witness.signal as usize;
        let tested = self.steps.get(signal).and_then(|step| step.tested).zip(weights.get(signal));
        tested.is_some_and(|((_, ln_e), weight)| ln_e + weight.ln() >= self.ln_threshold)
    }
}

/// Those of the input that are about an attribute or tag, or about the text, of which the others say nothing.
pub(super) fn left_out(looks: &impl Looks, witnesses: &[Witness], others: &[Witness]) -> Vec<Witness> {
    let held = |w: &&Witness| !w.explained && looks.source(w).is_some();
    let told: BTreeSet<&str> = others.iter().filter(held).filter_map(|w| looks.source(w)).collect();
    witnesses.iter().filter(held).filter(|w| looks.source(w).is_some_and(|s| !told.contains(s))).cloned().collect()
}

/// The longest scale at which a signal has moved; where there is none, the one with the most evidence.
fn longest_seen(scales: &[AtScale]) -> Option<&AtScale> {
    let most = scales.iter().max_by(|a, b| a.ln_evidence.total_cmp(&b.ln_evidence));
    scales.iter().rev().find(|scale| scale.ln_evidence >= MOVED.ln()).or(most)
}

/// Whether a cause rests on a signal.
pub(super) fn owns_signal(cause: &Cause, reference: &Reference, signal: usize) -> bool {
    let SignalReference { key, measure, .. } = &reference.signals[signal];
    let whole = key.segment.is_none();
    match cause.kind {
        CauseKind::Input => whole && matches!(key.scope, Scope::Input | Scope::Encoder),
        CauseKind::Encoder => whole && key.scope == Scope::Encoder,
        CauseKind::Head => whole && key.scope == Scope::Head && key.task == cause.task,
        CauseKind::PriorShift => whole && measure.is_mix() && key.task == cause.task,
        CauseKind::Link => whole && matches!(measure, Measure::TaskLink(l) if l.tasks() == *cause.tasks_affected),
        CauseKind::Skew => whole && key.scope == Scope::Skew && cause.task.is_none_or(|t| key.task == Some(t)),
        CauseKind::Segment => key.segment == cause.segment,
        // Labels are no signal; whatever else moves is beside it.
        CauseKind::Concept | CauseKind::Version => false,
        CauseKind::Undetermined => true,
    }
}

/// Whether a signal moves because a head does: it looks at the head's answers, in a segment or beside another's.
pub(super) fn follows_from_head(cause: &Cause, reference: &Reference, signal: usize) -> bool {
    let SignalReference { key, measure, .. } = &reference.signals[signal];
    let in_link = |task| matches!(measure, Measure::TaskLink(link) if link.tasks().contains(&task));
    cause.kind == CauseKind::Head && cause.task.is_some_and(|task| key.task == Some(task) || in_link(task))
}

/// Signals named at most of a cause that rests on none of those that drift.
const STRONGEST: usize = 5;

/// The signals of a cause that together hold most of what all of its signals do, the strongest first, from each
/// signal's share (ln) in the model's evidence.
pub(super) fn strongest_of(cause: &Cause, reference: &Reference, ln_share: &[f64]) -> Vec<usize> {
    let is_own = |i: &usize| ln_share[*i].is_finite() && owns_signal(cause, reference, *i);
    let mut own: Vec<usize> = (0..ln_share.len()).filter(is_own).collect();
    own.sort_by(|a, b| ln_share[*b].total_cmp(&ln_share[*a]).then(a.cmp(b)));
    let sum = |signals: &[usize]| signals.iter().map(|i| ln_share[*i]).fold(f64::NEG_INFINITY, ln_add);
    let most = sum(&own) + MAIN_SHARE.ln();
    let enough = (1..=own.len()).find(|n| sum(&own[..*n]) >= most).unwrap_or(own.len());
    own.truncate(enough.min(STRONGEST));
    own
}

/// Whether a skew makes a signal drift: of a head, all that looks at its answers; of the encoder, all but
/// the input.
pub(super) fn explains_signal(skew: &Cause, reference: &Reference, signal: usize) -> bool {
    let SignalReference { key, measure, .. } = &reference.signals[signal];
    match skew.task {
        None => key.scope != Scope::Input,
        Some(task) => {
            key.task == Some(task) || matches!(measure, Measure::TaskLink(link) if link.tasks().contains(&task))
        }
    }
}
