//! Which tokens the input is made of. The tokens of a part of the reference have a cell each, the most frequent ones
//! where they are too many; all others share hashed ones, so that the number of cells does not depend on the vocabulary.
//!
//! The rest of the reference is counted: what was chosen because it came is rarer afterwards, and what never came does
//! come.
//!
//! Words are told only where the operator lets the fit have them, and then only those of many records.
//!
//! Where no tokenizer is at hand, words stand in for tokens. Of these there are always new ones: what shares a cell has
//! no name then, but for the words of a text that is shown.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::{Fit, HeldOut, Sample, Scope, Signal, SignalKey, key};
use crate::drift::inference::Cut;
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::drift::words::{number, words};

/// Tokens with a cell of their own.
const MOST_NAMED: usize = 2_048;
/// Cells that all other tokens share.
const BUCKETS: usize = 512;

/// Records of the reference that a token must be in before it is told.
const LEAST_RECORDS: u32 = 20;
/// Occurrences in a window before a token that the reference hardly knew is told.
const LEAST_TOLD: i64 = 5;
/// Begins the name of a token that fewer records of the reference hold: it is told like one that it hardly knew.
const SELDOM: &str = "\0";
/// Words of one shared cell that are told; of more, none is.
const MOST_SHARED: usize = 3;
/// What shared cells of words are called: nobody can list the words that may come.
const RARE_WORDS: &str = "rare words, group";
/// Ids that are looked at for the words of shared cells.
const MOST_IDS: u32 = 1 << 20;

/// Counts of tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenDistribution {
    /// Tokens with a cell of their own, the most frequent first; by rank where the word is not told, and marked where
    /// only a window that holds several tells it.
    names: Vec<String>,
    /// Tokens of each shared cell, where they are few and told; of words the cell's own name.
    shared: Vec<String>,
    /// Cell + 1 of each token id up to the largest named one; 0 for none.
    cells: Vec<u16>,
}

impl Fit for TokenDistribution {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let mut counts: HashMap<u32, u32> = HashMap::new();
        let mut records: HashMap<u32, u32> = HashMap::new();
        for input in sample.naming().filter_map(|o| o.input.as_ref()) {
            input.ids.iter().for_each(|id| *counts.entry(*id).or_default() += 1);
        }
        for input in sample.observations.iter().filter_map(|o| o.input.as_ref()) {
            let distinct: HashSet<u32> = input.ids.iter().copied().collect();
            distinct.into_iter().for_each(|id| *records.entry(id).or_default() += 1);
        }
        if records.is_empty() {
            return Vec::new();
        }
        let mut frequent: Vec<(u32, u32)> = counts.into_iter().collect();
        frequent.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
        frequent.truncate(MOST_NAMED);
        let largest = frequent.iter().map(|(id, _)| *id as usize + 1).max().unwrap_or(0);
        let mut cells = vec![0_u16; largest];
        for (cell, (id, _)) in frequent.iter().enumerate() {
            cells[*id as usize] = cell as u16 + 1;
        }
        let unit = sample.cut().name("token", "word");
        let name = |(rank, (id, _)): (usize, &(u32, u32))| {
            let often = records.get(id).is_some_and(|n| *n >= LEAST_RECORDS);
            // Pieces of a vocabulary that came with the model are nobody's, if several of a window have them.
            let told = often || matches!(sample.cut(), Cut::Tokens);
            let mark = if often { "" } else { SELDOM };
            let word = told.then(|| (sample.token)(*id)).flatten();
            word.map_or_else(|| format!("{unit} of rank {}", rank + 1), |word| format!("{mark}`{word}`"))
        };
        let names = frequent.iter().enumerate().map(name).collect();
        let shared = match sample.cut() {
            Cut::Tokens => shared_words(sample, &cells),
            Cut::Words => (1..=BUCKETS).map(|group| format!("{RARE_WORDS} {group}")).collect(),
        };
        let name = sample.cut().name("token_distribution", "word_distribution");
        vec![(key(Scope::Input, None, name), TokenDistribution { names, shared, cells })]
    }
}

/// The words of each shared cell, empty for those with too many.
fn shared_words(sample: &Sample, cells: &[u16]) -> Vec<String> {
    let mut words: Vec<Vec<String>> = vec![Vec::new(); BUCKETS];
    for (id, word) in (0..MOST_IDS).map_while(|id| Some((id, (sample.token)(id)?))) {
        if cells.get(id as usize).is_none_or(|cell| *cell == 0) {
            words[bucket(id)].push(format!("`{word}`"));
        }
    }
    words.into_iter().map(|w| if w.len() <= MOST_SHARED { w.join(" or ") } else { String::new() }).collect()
}

/// Knuth's multiplicative hash.
fn bucket(id: u32) -> usize {
    (id.wrapping_mul(2_654_435_761) >> 16) as usize % BUCKETS
}

impl TokenDistribution {
    fn cell(&self, id: u32) -> usize {
        match self.cells.get(id as usize) {
            Some(cell) if *cell > 0 => usize::from(cell - 1),
            _ => self.names.len() + bucket(id),
        }
    }
}

impl Signal for TokenDistribution {
    fn width(&self) -> usize {
        self.names.len() + BUCKETS
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        for id in observation.input.iter().flat_map(|input| &input.ids) {
            cells[self.cell(*id)] += 1;
        }
    }

    fn fold_held_out(&self, observation: &Observation, held: HeldOut, cells: &mut [i64]) {
        if !held.names() {
            self.fold(observation, cells);
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        let shared = cell.wrapping_sub(self.names.len());
        match (self.names.get(cell), self.shared.get(shared).filter(|words| !words.is_empty())) {
            (Some(name), _) | (None, Some(name)) => name.strip_prefix(SELDOM).unwrap_or(name).to_owned(),
            (None, None) => format!("rare tokens, group {}", shared + 1),
        }
    }

    fn words_in(&self, cell: usize, text: &str) -> Vec<String> {
        let shared = cell.checked_sub(self.names.len()).and_then(|shared| self.shared.get(shared));
        if !shared.is_some_and(|name| name.starts_with(RARE_WORDS)) {
            return Vec::new();
        }
        let mut found: Vec<String> = Vec::new();
        for word in words(text).filter(|word| self.cell(number(word)) == cell) {
            if !found.iter().any(|told| *told == word) {
                found.push(word.into_owned());
            }
        }
        found
    }

    fn counts_kinds(&self) -> bool {
        true
    }

    fn may_name(&self, cell: usize, current_count: i64) -> bool {
        self.names.get(cell).is_some_and(|name| !name.starts_with(SELDOM)) || current_count >= LEAST_TOLD
    }
}
