//! Into how many tokens the tokenizer cuts a text of some length. What it was not made for (misspelt words, other
//! languages, markup, broken encodings) it cuts into more pieces, also where no token is unknown to it, as with
//! bytes for an alphabet.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::location::{Location, ordered_location};

/// Counts of records by tokens a character, in equal-mass bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokensPerCharacter {
    bins: Bins,
}

impl Fit for TokensPerCharacter {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let ratios: Vec<f64> = sample.observations.iter().filter_map(ratio).collect();
        if ratios.is_empty() {
            return Vec::new();
        }
        let bins = Bins::fit(&ratios, &TAIL_QUANTILES);
        let name = sample.cut().name("tokens_per_character", "words_per_character");
        vec![(key(Scope::Input, None, name), TokensPerCharacter { bins })]
    }
}

/// Of a text that was cut off the tokens are not all there, and an empty one has no ratio.
fn ratio(observation: &Observation) -> Option<f64> {
    let (input, text) = (observation.input.as_ref()?, observation.text.as_ref()?);
    (!input.truncated && text.characters > 0).then(|| f64::from(input.tokens) / f64::from(text.characters))
}

impl Signal for TokensPerCharacter {
    fn width(&self) -> usize {
        self.bins.cells()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(ratio) = ratio(observation) {
            cells[self.bins.cell(ratio)] += 1;
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
