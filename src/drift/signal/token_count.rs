//! Length of the input in tokens, in equal-mass bins of the reference.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::binning::{Bins, TAIL_QUANTILES};

/// Counts of records by token-count bin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenCount {
    bins: Bins,
}

impl Fit for TokenCount {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let tokens: Vec<f64> =
            sample.observations.iter().filter_map(|o| o.input).map(|i| f64::from(i.tokens)).collect();
        if tokens.is_empty() {
            return Vec::new();
        }
        vec![(key(Scope::Input, None, "token_count"), TokenCount { bins: Bins::fit(&tokens, &TAIL_QUANTILES) })]
    }
}

impl Signal for TokenCount {
    fn width(&self) -> usize {
        self.bins.cells()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(input) = observation.input {
            cells[self.bins.cell(f64::from(input.tokens))] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        format!("{} tokens", self.bins.name(cell))
    }
}
