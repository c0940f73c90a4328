//! How rare the tokens of each input are: the mean over its tokens of −ln of their share in the reference, its cross
//! entropy under a model of single tokens. Two thousand counts of tokens hardly see what moves all of them a little;
//! one number a text does. (That likelihood tells shifts of background from those of meaning: Arora, Huang, He,
//! EMNLP 2021.)
//!
//! Shares are taken from a part of the reference, and the rest is counted. To leave out each record's own tokens is not
//! enough: which of many tokens of like frequency the sample has more often is chance, and its records have those.

use serde::{Deserialize, Serialize};

use super::{Fit, HeldOut, Sample, Scope, Signal, SignalKey, key};
use crate::drift::inference::InputFacts;
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::location::{Location, ordered_location};

/// Tokens that the sample holds less often are all taken to be as rare as one that it holds once.
const LEAST_COUNT: u32 = 3;
/// Ids from here on are as rare as unseen ones, so that no id makes a table of any length.
const MOST_IDS: u32 = 1 << 20;

/// Counts of records by the mean surprisal of their tokens, in equal-mass bins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenSurprisal {
    /// Occurrences in that part by token id, up to the largest that has [`LEAST_COUNT`].
    counts: Vec<u32>,
    /// Occurrences of all tokens.
    total: u64,
    bins: Bins,
}

impl Fit for TokenSurprisal {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let mut counts: Vec<u32> = Vec::new();
        let mut total = 0;
        for id in sample.naming().filter_map(|o| o.input.as_ref()).flat_map(|input| &input.ids) {
            total += 1;
            if *id < MOST_IDS {
                let at = *id as usize;
                if at >= counts.len() {
                    counts.resize(at + 1, 0);
                }
                counts[at] = counts[at].saturating_add(1);
            }
        }
        counts.iter_mut().filter(|count| **count < LEAST_COUNT).for_each(|count| *count = 0);
        counts.truncate(counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1));
        let mut surprisal = TokenSurprisal { counts, total, bins: Bins::fit(&[], &[]) };
        let values: Vec<f64> = sample.not_naming().filter_map(|o| surprisal.of(o.input.as_ref()?)).collect();
        if values.is_empty() {
            return Vec::new();
        }
        surprisal.bins = Bins::between(&values, &TAIL_QUANTILES);
        vec![(key(Scope::Input, None, sample.cut().name("token_surprisal", "word_surprisal")), surprisal)]
    }
}

impl TokenSurprisal {
    /// Mean surprisal in nats; `None` without tokens.
    fn of(&self, input: &InputFacts) -> Option<f64> {
        let sum: f64 = input.ids.iter().map(|id| self.logarithm(*id)).sum();
        (!input.ids.is_empty()).then(|| (self.total.max(1) as f64).ln() - sum / input.ids.len() as f64)
    }

    /// Of how often a token was counted.
    fn logarithm(&self, id: u32) -> f64 {
        let count = self.counts.get(id as usize).copied().unwrap_or(0);
        if count < LEAST_COUNT { 0.0 } else { f64::from(count).ln() }
    }
}

impl Signal for TokenSurprisal {
    fn width(&self) -> usize {
        self.bins.cells()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(surprisal) = observation.input.as_ref().and_then(|input| self.of(input)) {
            cells[self.bins.cell(surprisal)] += 1;
        }
    }

    fn fold_held_out(&self, observation: &Observation, held: HeldOut, cells: &mut [i64]) {
        if !held.names() {
            self.fold(observation, cells);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn input(ids: &[u32]) -> InputFacts {
        InputFacts { tokens: ids.len() as u32, ids: ids.to_vec(), ..InputFacts::default() }
    }

    fn of_ten() -> TokenSurprisal {
        TokenSurprisal { counts: vec![0, 6, 4], total: 10, bins: Bins::fit(&[], &[]) }
    }

    #[test]
    fn it_is_the_mean_over_the_tokens() {
        let surprisal = of_ten().of(&input(&[1, 2, 7])).expect("has tokens");
        let by_hand = -(f64::ln(0.6) + f64::ln(0.4) + f64::ln(0.1)) / 3.0;
        assert!((surprisal - by_hand).abs() < 1e-12, "{surprisal}");
        assert_eq!(of_ten().of(&input(&[])), None);
    }
}
