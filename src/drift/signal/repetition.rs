//! Equal texts: retries, replays and bots. Texts are counted by a digest in buckets; too many pairs
//! within a bucket are too many equal texts.

use serde::{Deserialize, Serialize};

use super::{Effect, Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::hypothesis::{Allowance, TestResult, excess_pairs};

const BUCKETS: usize = 1_024;

/// Counts of texts by bucket of their digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repetition;

impl Fit for Repetition {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let seen = sample.observations.iter().any(|o| o.text.is_some());
        if seen { vec![(key(Scope::Input, None, "repetition"), Repetition)] } else { Vec::new() }
    }
}

impl Signal for Repetition {
    fn width(&self) -> usize {
        BUCKETS
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(text) = &observation.text {
            cells[text.digest as usize % BUCKETS] += 1;
        }
    }

    fn test(&self, current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
        excess_pairs(current, reference, allowance)
    }

    fn effect(&self, current: &[i64], reference: &[f64]) -> Option<Effect> {
        let test = excess_pairs(current, reference, Allowance::EXACT)?;
        (test.null_mean > 0.0).then(|| Effect::PairRatio(test.statistic / test.null_mean))
    }

    fn deviation(&self, current: &[i64], reference: &[f64]) -> Vec<f64> {
        let test = excess_pairs(current, reference, Allowance::EXACT);
        test.map_or_else(Vec::new, |t| vec![(t.statistic - t.null_mean) / t.null_mean.max(1.0).sqrt()])
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        format!("texts in bucket {cell}")
    }

    fn counts(&self) -> bool {
        false
    }
}
