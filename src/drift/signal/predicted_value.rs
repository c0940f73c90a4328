//! What a regression head answers, in equal-mass bins of the reference.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::answer::Answer;
use crate::drift::observation::Observation;
use crate::drift::task::{TaskKind, TaskSpec};
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::location::{Location, ordered_location};

/// Counts of records by the bin of the predicted value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedValue {
    task: usize,
    bins: Bins,
}

impl Fit for PredictedValue {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let tasks = sample.spec.tasks.iter().enumerate();
        tasks
            .filter(|(_, task)| task.kind == TaskKind::Regression)
            .filter_map(|(i, _)| {
                let values: Vec<f64> = sample.observations.iter().filter_map(|o| value(o, i)).collect();
                let signal = PredictedValue { task: i, bins: Bins::between(&values, &TAIL_QUANTILES) };
                (!values.is_empty()).then(|| (key(Scope::Head, Some(i), "predicted_value"), signal))
            })
            .collect()
    }
}

fn value(observation: &Observation, task: usize) -> Option<f64> {
    match observation.answers.get(task)? {
        Some(Answer::Value(value)) => Some(*value),
        _ => None,
    }
}

impl Signal for PredictedValue {
    fn width(&self) -> usize {
        self.bins.cells()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(value) = value(observation, self.task) {
            cells[self.bins.cell(value)] += 1;
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
