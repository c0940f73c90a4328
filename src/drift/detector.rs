//! Evidence per signal and window scale, and the weighted tree that makes one number of it.
//!
//! A signal is judged on base windows and on merged ones, since a small lasting shift needs the
//! larger n. A scale's clock ticks when it has gathered its windows *and* enough units; until then
//! the cells are carried, never judged and never thrown away, so a task with little traffic has a
//! slow clock and no gaps. A detector on merges of s windows takes 1/s as many steps, so s·R still
//! has an expectation of at most t after t base windows.
//!
//! Weights: model → scopes with equal shares → tasks with equal shares → signals → scales.

use serde::{Deserialize, Serialize};

use super::reference::Reference;
use super::signal::Scope;
use crate::stats::evidence::{Evidence, ln_e_value, ln_weighted_sum};
use crate::stats::hypothesis::TestResult;

/// Windows merged at each scale.
pub const SCALES: [u32; 3] = [1, 4, 16];

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
    evidence: Evidence,
}

/// What one window did to one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalStep {
    /// The test at the base scale, if its clock ticked, with ln e.
    pub tested: Option<(TestResult, f64)>,
    /// The cells the base-scale test looked at, carried ones included.
    pub cells: Vec<i64>,
    /// ln of the signal's evidence over all scales.
    pub ln_evidence: f64,
}

impl Detectors {
    /// Detectors without evidence.
    pub fn new(reference: &Reference) -> Detectors {
        let empty = |width: usize| ScaleDetector { windows: 0, carried: vec![0; width], evidence: Evidence::NONE };
        let signals = reference.signals.iter();
        Detectors { signals: signals.map(|s| SCALES.map(|_| empty(s.totals.len())).to_vec()).collect() }
    }

    /// Whether these detectors belong to the layout of a reference.
    pub fn fits(&self, reference: &Reference) -> bool {
        self.signals.len() == reference.signals.len()
            && self.signals.iter().zip(&reference.signals).all(|(scales, signal)| {
                scales.len() == SCALES.len() && scales.iter().all(|s| s.carried.len() == signal.totals.len())
            })
    }

    /// Steps every signal with the cells of one closed window.
    pub fn step(&mut self, reference: &Reference, cells: &[i64], sensitivity: Sensitivity) -> Vec<SignalStep> {
        let mut steps = Vec::with_capacity(reference.signals.len());
        for (scales, signal) in self.signals.iter_mut().zip(&reference.signals) {
            let current = &cells[signal.cells()];
            let measured = signal.measure.as_signal();
            let allowance = signal.allowance(sensitivity.margin);
            let mut step = SignalStep { tested: None, cells: Vec::new(), ln_evidence: f64::NEG_INFINITY };
            for (scale, detector) in SCALES.iter().zip(scales.iter_mut()) {
                detector.windows += 1;
                detector.carried.iter_mut().zip(current).for_each(|(carried, cell)| *carried += cell);
                let ticks = detector.windows >= *scale && measured.n(&detector.carried) >= sensitivity.min_records;
                if *scale == 1 {
                    step.cells.clone_from(&detector.carried);
                }
                if !ticks {
                    continue;
                }
                if let Some(test) = measured.test(&detector.carried, &signal.totals, allowance) {
                    let ln_e = ln_e_value(test.ln_p);
                    detector.evidence.step(ln_e);
                    if *scale == 1 {
                        step.tested = Some((test, ln_e));
                    }
                }
                detector.windows = 0;
                detector.carried.fill(0);
            }
            step.ln_evidence = ln_weighted_sum(
                SCALES.iter().zip(scales.iter()).map(|(s, d)| (f64::from(*s) / SCALES.len() as f64, d.evidence.ln())),
            );
            steps.push(step);
        }
        steps
    }

    /// Takes all evidence back to zero, after an alarm; carried cells stay.
    pub fn restart(&mut self) {
        self.signals.iter_mut().flatten().for_each(|detector| detector.evidence = Evidence::NONE);
    }
}

/// A node of the tree that people look at: the input, the encoder, or one head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Part {
    /// Part of the model.
    pub scope: Scope,
    /// The head's task.
    pub task: Option<usize>,
}

/// The parts that a reference has signals for, in the order of the tree.
pub fn parts(reference: &Reference) -> Vec<Part> {
    let mut parts: Vec<Part> =
        reference.signals.iter().map(|s| Part { scope: s.key.scope, task: s.key.task }).collect();
    parts.dedup();
    parts
}

/// ln evidence of each part: the mean over its signals.
pub fn part_evidence(reference: &Reference, steps: &[SignalStep]) -> Vec<(Part, f64)> {
    let of = |part: Part| {
        let signals = reference.signals.iter().zip(steps);
        signals.filter(move |(s, _)| (s.key.scope, s.key.task) == (part.scope, part.task)).map(|(_, step)| step)
    };
    parts(reference)
        .into_iter()
        .map(|part| {
            let weight = 1.0 / of(part).count() as f64;
            (part, ln_weighted_sum(of(part).map(|step| (weight, step.ln_evidence))))
        })
        .collect()
}

/// ln evidence of the model: scopes share equally, and so do the parts within a scope.
pub fn model_evidence(parts: &[(Part, f64)]) -> f64 {
    let in_scope = |scope: Scope| parts.iter().filter(move |(part, _)| part.scope == scope).count();
    let scopes = [Scope::Input, Scope::Encoder, Scope::Head].into_iter().filter(|s| in_scope(*s) > 0).count();
    ln_weighted_sum(parts.iter().map(|(part, ln)| (1.0 / (scopes * in_scope(part.scope)) as f64, *ln)))
}
