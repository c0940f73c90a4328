//! Evidence per signal and window scale, and the weighted tree that makes one number of it.
//!
//! A signal is judged on base windows and on merged ones, since a small lasting shift needs the
//! larger n. A scale's clock ticks when it has gathered its windows *and* enough units; until then
//! the cells are carried, never judged and never thrown away, so a task or a segment with little
//! traffic has a slow clock and no gaps. A detector on merges of s windows takes 1/s as many steps, so
//! s·R still has an expectation of at most t after t base windows.
//!
//! Weights: model → input, encoder, heads, segments with equal shares → tasks or segments with equal
//! shares → signals → scales.

use serde::{Deserialize, Serialize};

use super::reference::{Expected, Reference};
use super::segment::Segment;
use super::signal::{Scope, SignalKey};
use super::summary::Summary;
use crate::stats::evidence::{Evidence, ln_e_value, ln_weighted_sum};
use crate::stats::hypothesis::TestResult;

/// What the detectors need to know besides the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// Units a test needs at least.
    pub min_records: i64,
    /// Practical margin, Cohen's w.
    pub margin: f64,
}

/// All detectors of one reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detectors {
    signals: Vec<Vec<ScaleDetector>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ScaleDetector {
    windows: u32,
    carried: Vec<i64>,
    phases: Vec<i64>,
    evidence: Evidence,
}

/// What one window did to one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalStep {
    /// The test at the base scale, if its clock ticked, with ln e.
    pub tested: Option<(TestResult, f64)>,
    /// The cells the base-scale test looked at, carried ones included.
    pub cells: Vec<i64>,
    /// What they were compared with.
    pub expected: Expected,
    /// ln of the signal's evidence over all scales.
    pub ln_evidence: f64,
}

impl Detectors {
    /// Detectors without evidence.
    pub fn new(reference: &Reference) -> Detectors {
        let empty = |width: usize| ScaleDetector {
            windows: 0,
            carried: vec![0; width],
            phases: vec![0; reference.phases()],
            evidence: Evidence::NONE,
        };
        let of_signal = |width: usize| reference.scales.iter().map(|_| empty(width)).collect();
        Detectors { signals: reference.signals.iter().map(|s| of_signal(s.totals.len())).collect() }
    }

    /// Whether these detectors belong to the layout of a reference.
    pub fn fits(&self, reference: &Reference) -> bool {
        self.signals.len() == reference.signals.len()
            && self.signals.iter().zip(&reference.signals).all(|(scales, signal)| {
                let fits =
                    |s: &ScaleDetector| s.carried.len() == signal.totals.len() && s.phases.len() == reference.phases();
                scales.len() == reference.scales.len() && scales.iter().all(fits)
            })
    }

    /// Steps every signal with the tallies of one closed window.
    pub fn step(&mut self, reference: &Reference, window: &Summary, sensitivity: Sensitivity) -> Vec<SignalStep> {
        let mut steps = Vec::with_capacity(reference.signals.len());
        let share = 1.0 / reference.scales.len() as f64;
        for (scales, signal) in self.signals.iter_mut().zip(&reference.signals) {
            let current = &window.cells[signal.cells()];
            let measured = signal.measure.as_signal();
            let mut base = None;
            for (index, (scale, detector)) in reference.scales.iter().zip(scales.iter_mut()).enumerate() {
                detector.windows += 1;
                detector.carried.iter_mut().zip(current).for_each(|(carried, cell)| *carried += cell);
                detector.phases.iter_mut().zip(&window.phases).for_each(|(carried, count)| *carried += count);
                let ticks = detector.windows >= *scale && measured.n(&detector.carried) >= sensitivity.min_records;
                if !ticks && index > 0 {
                    continue;
                }
                let expected = signal.expected(&detector.phases);
                let allowance = signal.allowance(index, expected.effective_n, sensitivity.margin);
                let test = if ticks { measured.test(&detector.carried, &expected.cells, allowance) } else { None };
                let tested = test.map(|test| (test, ln_e_value(test.ln_p)));
                if let Some((_, ln_e)) = tested {
                    detector.evidence.step(ln_e);
                }
                if index == 0 {
                    base = Some((tested, detector.carried.clone(), expected));
                }
                if ticks {
                    detector.windows = 0;
                    detector.carried.fill(0);
                    detector.phases.fill(0);
                }
            }
            let (tested, cells, expected) = base.expect("every reference has the base scale");
            let weighted = reference.scales.iter().zip(scales.iter());
            let ln_evidence = ln_weighted_sum(weighted.map(|(s, d)| (f64::from(*s) * share, d.evidence.ln())));
            steps.push(SignalStep { tested, cells, expected, ln_evidence });
        }
        steps
    }

    /// Takes all evidence back to zero, after an alarm; carried cells stay.
    pub fn restart(&mut self) {
        self.signals.iter_mut().flatten().for_each(|detector| detector.evidence = Evidence::NONE);
    }
}

/// A node of the tree that people look at: the input, the encoder, one head, or one segment.
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
    let mut parts: Vec<Part> = reference.signals.iter().map(|s| Part::of(&s.key)).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

/// Each signal's weight within the model; they sum to 1.
pub fn weights(reference: &Reference) -> Vec<f64> {
    let parts = parts(reference);
    let scopes = parts.iter().map(|p| p.scope).collect::<std::collections::BTreeSet<_>>().len() as f64;
    let weight = |key: &SignalKey| {
        let part = Part::of(key);
        let siblings = parts.iter().filter(|p| p.scope == part.scope).count() as f64;
        let signals = reference.signals.iter().filter(|s| Part::of(&s.key) == part).count() as f64;
        1.0 / (scopes * siblings * signals)
    };
    reference.signals.iter().map(|s| weight(&s.key)).collect()
}

/// ln evidence of each part: the mean over its signals.
pub fn part_evidence(reference: &Reference, steps: &[SignalStep]) -> Vec<(Part, f64)> {
    let evidence = |part: Part| {
        let own = || reference.signals.iter().zip(steps).filter(move |(s, _)| Part::of(&s.key) == part);
        let weight = 1.0 / own().count() as f64;
        (part, ln_weighted_sum(own().map(|(_, step)| (weight, step.ln_evidence))))
    };
    parts(reference).into_iter().map(evidence).collect()
}

/// ln evidence of the model: the weighted mean over all signals.
pub fn model_evidence(weights: &[f64], steps: &[SignalStep]) -> f64 {
    ln_weighted_sum(weights.iter().zip(steps).map(|(weight, step)| (*weight, step.ln_evidence)))
}
