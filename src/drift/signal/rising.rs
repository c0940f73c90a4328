//! One kind that comes up more often than it did: a class, a token, a category or a region of the
//! encoder's space. It looks at the cells of another signal, whose own test sums over all of them and
//! hardly sees one of a hundred and fifty.

use serde::{Deserialize, Serialize};

use super::{Effect, Fit, Measure, Sample, Signal, SignalKey};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::hypothesis::{Allowance, TestResult, goodness_of_fit};
use crate::stats::rise::greatest_rise;

/// The p-value of the best of many is 1 in most quiet windows, and evidence staked on it in full would be lost
/// with each of them. Half keeps half, and costs a factor of two in a window that tells.
const STAKE: f64 = 0.5;

/// The cells of another signal, each looked at by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rising {
    /// Whose cells they are.
    of: SignalKey,
    measure: Box<Measure>,
    /// By how many times each cell's counts vary more than binomial ones; empty until that is learned.
    extra_variance: Vec<f32>,
}

impl Fit for Rising {
    /// None: what there is to look at is known when the others are fitted, [`beside`] them.
    fn fit(_sample: &Sample) -> Vec<(SignalKey, Self)> {
        Vec::new()
    }
}

/// One for each signal that counts kinds.
pub(super) fn beside(signals: &[(SignalKey, Measure)]) -> Vec<(SignalKey, Measure)> {
    let rising = |(key, measure): &(SignalKey, Measure)| {
        let own = SignalKey { signal: format!("rising_in_{}", key.signal), ..key.clone() };
        let rising = Rising { of: key.clone(), measure: Box::new(measure.clone()), extra_variance: Vec::new() };
        (own, Measure::Rising(rising))
    };
    signals.iter().filter(|(_, measure)| measure.as_signal().counts_kinds()).map(rising).collect()
}

impl Measure {
    /// Whether it looks at the mix of a head's classes, or at one class of it.
    pub(in crate::drift) fn is_mix(&self) -> bool {
        match self {
            Measure::PredictedClass(_) => true,
            Measure::Rising(rising) => rising.measure.is_mix(),
            _ => false,
        }
    }
}

impl Signal for Rising {
    fn width(&self) -> usize {
        self.measure.as_signal().width()
    }

    fn looks_at(&self) -> Option<&SignalKey> {
        Some(&self.of)
    }

    /// The other signal folds.
    fn fold(&self, _observation: &Observation, _cells: &mut [i64]) {}

    fn fold_all(&self, _observations: &[&Observation], _cells: &mut [i64]) {}

    fn n(&self, cells: &[i64]) -> i64 {
        self.measure.as_signal().n(cells)
    }

    fn test(&self, current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
        greatest_rise(current, reference, &self.extra_variance, allowance).map(|rise| rise.test)
    }

    fn stake(&self) -> f64 {
        STAKE
    }

    fn compare(&self, current: &[i64], reference: &[f64]) -> Option<TestResult> {
        goodness_of_fit(current, reference, Allowance::EXACT)
    }

    fn learn_extra_variance(&mut self, by_cell: Vec<f32>) {
        self.extra_variance = by_cell;
    }

    fn effect(&self, current: &[i64], reference: &[f64]) -> Option<Effect> {
        greatest_rise(current, reference, &self.extra_variance, Allowance::EXACT).map(|rise| Effect::Rise(rise.by))
    }

    fn cell_name(&self, cell: usize, task: Option<&TaskSpec>) -> String {
        self.measure.as_signal().cell_name(cell, task)
    }

    fn words_in(&self, cell: usize, text: &str) -> Vec<String> {
        self.measure.as_signal().words_in(cell, text)
    }

    fn may_name(&self, cell: usize, current_count: i64) -> bool {
        self.measure.as_signal().may_name(cell, current_count)
    }
}
