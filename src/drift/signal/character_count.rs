//! Length of the input in characters, in equal-mass bins: what a tokenizer hides, such as markup or
//! spaces, shows here.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::location::{Location, ordered_location};

/// Counts of records by number of characters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CharacterCount {
    bins: Bins,
}

impl Fit for CharacterCount {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let lengths: Vec<f64> = sample.observations.iter().filter_map(characters).collect();
        if lengths.is_empty() {
            return Vec::new();
        }
        let bins = Bins::fit(&lengths, &TAIL_QUANTILES);
        vec![(key(Scope::Input, None, "character_count"), CharacterCount { bins })]
    }
}

fn characters(observation: &Observation) -> Option<f64> {
    observation.text.map(|text| f64::from(text.characters))
}

impl Signal for CharacterCount {
    fn width(&self) -> usize {
        self.bins.cells()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(characters) = characters(observation) {
            cells[self.bins.cell(characters)] += 1;
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
}
