//! What a cause rests on and what it explains, signal by signal.

use serde::{Deserialize, Serialize};

use super::cause::{Cause, CauseKind};
use super::reference::{Reference, SignalReference};
use super::signal::{Measure, Scope};

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
}

impl Found {
    /// ln evidence of the strongest signal that the cause rests on; −∞ for none.
    pub fn ln_evidence(&self) -> f64 {
        ln_evidence_of(&self.witnesses)
    }
}

/// ln evidence of the strongest of the signals that a cause rests on; −∞ for none.
pub fn ln_evidence_of(witnesses: &[Witness]) -> f64 {
    witnesses.iter().filter(|w| !w.explained).map(|w| w.ln_evidence).fold(f64::NEG_INFINITY, f64::max)
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
