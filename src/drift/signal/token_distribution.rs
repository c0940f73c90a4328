//! Which tokens the input is made of. The reference's most frequent tokens have a cell each, by
//! name; all others share hashed ones, so that the number of cells does not depend on the vocabulary.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;

/// Tokens with a cell of their own.
const MOST_NAMED: usize = 2_048;
/// Cells that all other tokens share.
const BUCKETS: usize = 512;
/// Occurrences in the reference that earn a token its own cell.
const LEAST_COUNT: u32 = 3;

/// Counts of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenDistribution {
    /// Named tokens, the most frequent first.
    names: Vec<String>,
    /// Cell + 1 of each token id up to the largest named one; 0 for none.
    cells: Vec<u16>,
}

impl Fit for TokenDistribution {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let mut counts: HashMap<u32, u32> = HashMap::new();
        for id in sample.observations.iter().filter_map(|o| o.input.as_ref()).flat_map(|input| &input.ids) {
            *counts.entry(*id).or_default() += 1;
        }
        if counts.is_empty() {
            return Vec::new();
        }
        let mut frequent: Vec<(u32, u32)> = counts.into_iter().filter(|(_, n)| *n >= LEAST_COUNT).collect();
        frequent.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
        frequent.truncate(MOST_NAMED);
        let largest = frequent.iter().map(|(id, _)| *id as usize + 1).max().unwrap_or(0);
        let mut cells = vec![0_u16; largest];
        for (cell, (id, _)) in frequent.iter().enumerate() {
            cells[*id as usize] = cell as u16 + 1;
        }
        let name = |id: u32| (sample.token)(id).unwrap_or_else(|| format!("token {id}"));
        let names = frequent.iter().map(|(id, _)| name(*id)).collect();
        vec![(key(Scope::Input, None, "token_distribution"), TokenDistribution { names, cells })]
    }
}

impl Signal for TokenDistribution {
    fn width(&self) -> usize {
        self.names.len() + BUCKETS
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        for id in observation.input.iter().flat_map(|input| &input.ids) {
            let cell = match self.cells.get(*id as usize) {
                Some(cell) if *cell > 0 => usize::from(cell - 1),
                // Knuth's multiplicative hash.
                _ => self.names.len() + (id.wrapping_mul(2_654_435_761) >> 16) as usize % BUCKETS,
            };
            cells[cell] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        match self.names.get(cell) {
            Some(token) => format!("`{token}`"),
            None => format!("rare tokens, bucket {}", cell - self.names.len() + 1),
        }
    }
}
