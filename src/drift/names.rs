//! Names that nobody can list beforehand, counted so that memory is bounded and any split of the records counts the
//! same: versions of a model, values of an attribute that the reference never saw.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Letters kept of a name: a digest of a file has 64.
const MOST_LETTERS: usize = 64;

/// How often which name came up: of more than `MOST`, the first by name are counted by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names<const MOST: usize> {
    /// Records of all names.
    pub records: u64,
    /// Records by name.
    pub by_name: BTreeMap<String, u64>,
}

/// A name as a record gave it, short enough to be kept and fit to be shown.
pub fn name(given: &str) -> Box<str> {
    let shown = |letter: char| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter };
    given.chars().take(MOST_LETTERS).map(shown).collect::<String>().into_boxed_str()
}

/// What values are called together that are none of these.
pub fn other_than(values: &[String]) -> &'static str {
    if values.iter().any(|value| value == "other") { "any other" } else { "other" }
}

impl<const MOST: usize> Names<MOST> {
    /// Counts a record.
    pub fn add(&mut self, name: &str) {
        self.count(name, 1);
        self.records += 1;
    }

    /// Adds others up: counting is exact in any order, for what is among the first of all is among the first
    /// of each part.
    pub fn merge(&mut self, other: &Names<MOST>) {
        other.by_name.iter().for_each(|(name, records)| self.count(name, *records));
        self.records += other.records;
    }

    fn count(&mut self, name: &str, records: u64) {
        match self.by_name.get_mut(name) {
            Some(known) => *known += records,
            None => _ = self.by_name.insert(name.to_owned(), records),
        }
        if self.by_name.len() > MOST {
            self.by_name.pop_last();
        }
    }

    /// Names with their records, the most seen first.
    pub fn most_seen(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self.by_name.iter().map(|(name, n)| (name.as_str(), *n)).collect();
        all.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_split_counts_the_same_and_names_stay_few() {
        let names: Vec<String> = (0..40).map(|i| format!("{:02}", i * 7 % 40)).collect();
        let mut whole = Names::<16>::default();
        names.iter().chain(&names).for_each(|name| whole.add(name));
        for parts in [2, 3, 7, 80] {
            let all: Vec<&String> = names.iter().chain(&names).collect();
            let mut merged = Names::default();
            for part in all.chunks(parts).rev() {
                let mut other = Names::default();
                part.iter().for_each(|name| other.add(name));
                merged.merge(&other);
            }
            assert_eq!(merged, whole, "in chunks of {parts}");
        }
        assert_eq!((whole.records, whole.by_name.len(), whole.by_name.get("15")), (80, 16, Some(&2)));
    }

    #[test]
    fn names_are_short_and_can_be_shown() {
        assert_eq!(&*name("2026-11\n<b>"), "2026-11\u{fffd}<b>");
        assert_eq!(name(&"x".repeat(1_000)).len(), MOST_LETTERS);
        let mut names = Names::<4>::default();
        for (name, n) in [("a", 1), ("c", 4), ("b", 4)] {
            (0..n).for_each(|_| names.add(name));
        }
        assert_eq!(names.most_seen(), [("b", 4), ("c", 4), ("a", 1)]);
    }
}
