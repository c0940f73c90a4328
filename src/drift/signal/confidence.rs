//! How sure a head is: its confidence in equal-mass bins of the reference, finer in the tails. What
//! cannot be a probability has a cell of its own.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::answer::{Answer, Confidence};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::location::{Location, ordered_location};

/// Counts of records by the bin of one head's confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadConfidence {
    task: usize,
    bins: Bins,
}

impl Fit for HeadConfidence {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        (0..sample.spec.tasks.len())
            .filter_map(|i| {
                let known: Vec<f64> =
                    sample.observations.iter().filter_map(|o| confidence(o, i)).filter(|c| c.is_finite()).collect();
                let signal = HeadConfidence { task: i, bins: Bins::between(&known, &TAIL_QUANTILES) };
                (!known.is_empty()).then(|| (key(Scope::Head, Some(i), "confidence"), signal))
            })
            .collect()
    }
}

/// The confidence of a head on a record; infinite for one that cannot be a probability.
fn confidence(observation: &Observation, task: usize) -> Option<f64> {
    match observation.answers.get(task)?.as_ref().map(Answer::confidence)? {
        Confidence::Absent => None,
        Confidence::Invalid => Some(f64::INFINITY),
        Confidence::Known(probability) => Some(f64::from(probability)),
    }
}

impl Signal for HeadConfidence {
    fn width(&self) -> usize {
        self.bins.cells()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(confidence) = confidence(observation, self.task) {
            cells[self.bins.cell(confidence)] += 1;
        }
    }

    fn tests(&self) -> (bool, bool) {
        (true, true)
    }

    fn location(&self, current: &[i64], reference: &[f64]) -> Option<Location> {
        let ordered = self.bins.ordered();
        ordered_location(&current[..ordered], &reference[..ordered])
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        self.bins.name(cell)
    }

    fn per_segment(&self) -> bool {
        true
    }
}
