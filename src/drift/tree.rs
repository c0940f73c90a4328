//! The tree of evidence: how the signals' evidence becomes one number a part and one for the model.
//!
//! Weights: model → input, encoder, heads, segments, and harm where the reference knows errors, with equal
//! shares → tasks or segments with equal shares → signals. Any weighted mean of e-detectors is one, under any
//! dependence between them.

use serde::{Deserialize, Serialize};

use super::detector::SignalStep;
use super::reference::{Reference, SignalReference};
use super::segment::Segment;
use super::signal::{Scope, SignalKey};
use crate::stats::evidence::ln_weighted_sum;

/// A node of the tree that people look at: the input, the encoder, one head, its links or its skew, or
/// one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Part {
    /// Part of the model, or [`Scope::Segment`].
    pub scope: Scope,
    /// The head's task.
    pub task: Option<usize>,
    /// The segment.
    pub segment: Option<Segment>,
}

impl Part {
    /// The part that a signal belongs to.
    pub fn of(key: &SignalKey) -> Part {
        match key.segment {
            Some(segment) => Part { scope: Scope::Segment, task: None, segment: Some(segment) },
            None => Part { scope: key.scope, task: key.task, segment: None },
        }
    }
}

/// The parts that a reference has signals for, in the order of the tree.
pub fn parts(reference: &Reference) -> Vec<Part> {
    let mut parts: Vec<Part> = reference.signals.iter().filter(|s| decides(s)).map(|s| Part::of(&s.key)).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

/// The weight of harm within the model: that of one scope where labels told the reference how often heads
/// are right, else nothing.
pub fn harm_weight(reference: &Reference) -> f64 {
    if reference.performance.is_empty() { 0.0 } else { 1.0 / scopes(reference) }
}

/// Scopes that share the evidence, harm being one of them.
fn scopes(reference: &Reference) -> f64 {
    let scopes = parts(reference).iter().map(|p| p.scope).collect::<std::collections::BTreeSet<_>>().len();
    (scopes + usize::from(!reference.performance.is_empty())) as f64
}

/// Each signal's weight within the model; with that of harm they sum to 1.
pub fn weights(reference: &Reference) -> Vec<f64> {
    let parts = parts(reference);
    let scopes = scopes(reference);
    let weight = |signal: &SignalReference| {
        if !decides(signal) {
            return 0.0;
        }
        let part = Part::of(&signal.key);
        let siblings = parts.iter().filter(|p| p.scope == part.scope).count() as f64;
        let signals = reference.signals.iter().filter(|s| decides(s) && Part::of(&s.key) == part).count() as f64;
        1.0 / (scopes * siblings * signals)
    };
    reference.signals.iter().map(weight).collect()
}

fn decides(signal: &SignalReference) -> bool {
    signal.measure.as_signal().decides()
}

/// ln evidence of each part: the mean over its signals.
pub fn part_evidence(reference: &Reference, steps: &[SignalStep]) -> Vec<(Part, f64)> {
    by_part(reference, steps, |step| step.ln_evidence)
}

/// As [`part_evidence`], on the scale of [`SignalStep::ln_moved`].
pub fn part_moved(reference: &Reference, steps: &[SignalStep]) -> Vec<(Part, f64)> {
    by_part(reference, steps, |step| step.ln_moved)
}

fn by_part(reference: &Reference, steps: &[SignalStep], ln: fn(&SignalStep) -> f64) -> Vec<(Part, f64)> {
    let evidence = |part: Part| {
        let own = || reference.signals.iter().zip(steps).filter(move |(s, _)| decides(s) && Part::of(&s.key) == part);
        let weight = 1.0 / own().count() as f64;
        (part, ln_weighted_sum(own().map(|(_, step)| (weight, ln(step)))))
    };
    parts(reference).into_iter().map(evidence).collect()
}

/// ln evidence of the model: the weighted mean over all signals.
pub fn model_evidence(weights: &[f64], steps: &[SignalStep]) -> f64 {
    ln_weighted_sum(weights.iter().zip(steps).map(|(weight, step)| (*weight, step.ln_evidence)))
}
