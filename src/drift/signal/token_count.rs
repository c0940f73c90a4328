//! Length of the input in tokens, or words, in equal-mass bins.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::location::{Location, ordered_location};

/// Counts of records by number of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenCount {
    bins: Bins,
}

impl Fit for TokenCount {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let lengths: Vec<f64> = sample.observations.iter().filter_map(tokens).collect();
        let bins = Bins::fit(&lengths, &TAIL_QUANTILES);
        if lengths.is_empty() {
            Vec::new()
        } else {
            let name = sample.cut().name("token_count", "word_count");
            vec![(key(Scope::Input, None, name), TokenCount { bins })]
        }
    }
}

fn tokens(observation: &Observation) -> Option<f64> {
    observation.input.as_ref().map(|input| f64::from(input.tokens))
}

impl Signal for TokenCount {
    fn width(&self) -> usize {
        self.bins.cells()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(tokens) = tokens(observation) {
            cells[self.bins.cell(tokens)] += 1;
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
