//! Traffic that never was: texts from a grammar, answers from the real model, drift on request. The
//! demo, the tests and anyone who wants to see an alarm use it.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::drift::record::InputText;
use crate::drift::time::{Span, Timestamp};
use crate::model::onnx::OnnxModel;
use crate::model::{Manifest, ModelError};

/// Kinds of drift, and what each does.
pub mod drift_kind;
/// Texts from a grammar.
pub mod grammar;
/// Records in the native format.
pub mod record;

use drift_kind::DriftKind;
use grammar::Grammar;

/// What the simulated traffic is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything random follows from it.
    pub seed: u64,
    /// Time of the first record.
    pub start: Timestamp,
    /// Time from one record to the next.
    pub interval: Span,
    /// What drifts, if anything.
    pub drift: Option<DriftKind>,
    /// From which record on.
    pub drift_after: u64,
    /// Whether records carry production's answers.
    pub predictions: bool,
}

/// Simulated production: a grammar, a model, and a plan.
pub struct Traffic {
    grammar: Grammar,
    model: OnnxModel,
    plan: Plan,
    rng: StdRng,
    ordinal: u64,
}

/// Texts in one call of the model.
const BATCH: usize = 32;

impl Traffic {
    /// From the beginning of a plan.
    pub fn new(grammar: Grammar, model: OnnxModel, plan: Plan) -> Traffic {
        let rng = StdRng::seed_from_u64(plan.seed);
        Traffic { grammar, model, plan, rng, ordinal: 0 }
    }

    /// The model's manifest.
    pub fn manifest(&self) -> &Manifest {
        self.model.manifest()
    }

    /// Moves the time of the next record, so that a live stream follows the clock.
    pub fn set_time(&mut self, time: Timestamp) {
        let gone = i64::try_from(self.ordinal).unwrap_or(i64::MAX).saturating_mul(self.plan.interval.micros());
        self.plan.start = time.minus(Span::from_micros(gone));
    }

    /// Begins the drift with the next record, if it has not begun.
    pub fn start_drift(&mut self) {
        self.plan.drift_after = self.plan.drift_after.min(self.ordinal);
    }

    /// The next records as (id, JSON).
    ///
    /// # Errors
    /// [`ModelError`] if the model fails.
    pub fn next(&mut self, count: usize) -> Result<Vec<(String, String)>, ModelError> {
        let mut texts = Vec::with_capacity(count);
        let mut heads = Vec::with_capacity(count);
        for i in 0..count as u64 {
            let drift = self.plan.drift.as_ref().filter(|_| self.ordinal + i >= self.plan.drift_after);
            let text = match drift {
                Some(drift) => drift.text(&self.grammar, &mut self.rng),
                None => self.grammar.text(&mut self.rng),
            };
            texts.push(InputText { text, pair: None });
            heads.push(drift.and_then(DriftKind::broken_task).map(str::to_owned));
        }
        let raw = if self.plan.predictions { self.model.raw_outputs(&texts, BATCH)? } else { Vec::new() };
        let mut records = Vec::with_capacity(count);
        for (i, text) in texts.iter().enumerate() {
            let ordinal = self.ordinal + i as u64;
            let id = format!("sim-{}-{ordinal}", self.plan.seed);
            let after = i64::try_from(ordinal).unwrap_or(i64::MAX).saturating_mul(self.plan.interval.micros());
            let time = self.plan.start.plus(Span::from_micros(after));
            let value = record::json(self.model.manifest(), &id, time, &text.text, raw.get(i), heads[i].as_deref());
            records.push((id, value));
        }
        self.ordinal += count as u64;
        Ok(records)
    }
}

/// One of several, by weight; `None` for an empty list or no weight.
fn weighted<'a, T>(rng: &mut StdRng, items: impl Iterator<Item = (&'a T, f64)> + Clone) -> Option<&'a T> {
    let total: f64 = items.clone().map(|(_, weight)| weight).sum();
    let mut left = rng.random::<f64>() * total;
    let mut last = None;
    for (item, weight) in items {
        last = Some(item);
        left -= weight;
        if left < 0.0 {
            break;
        }
    }
    last
}
