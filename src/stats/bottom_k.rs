//! The smallest ranks of a stream: samples that do not depend on the order of what was seen, nor on how it was
//! split (bottom-k sketches; Cohen & Kaplan, PODC 2007).
//!
//! Each item has a rank, uniform over 64 bits, that follows from its key alone. The items below the
//! (k + 1)-th rank are a uniform sample without replacement. Given the other ranks, an item is in the sample
//! exactly if its own lies below that threshold, so 1 over the threshold as a share of all ranks is a weight
//! that makes totals unbiased. Samples over several sets that use the same ranks may be united: an item is in
//! the union exactly if its rank lies below the largest threshold of its sets (Cohen, Kaplan & Sen, VLDB 2009).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Keeps the items of the smallest ranks, and one more: the threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BottomK<T> {
    most: usize,
    kept: BTreeMap<(u64, String), T>,
}

impl<T: Clone + Ord> BottomK<T> {
    /// For samples of up to `most` items.
    pub fn new(most: usize) -> BottomK<T> {
        BottomK { most, kept: BTreeMap::new() }
    }

    /// Whether an item of this rank would be kept, as things stand.
    pub fn wants(&self, rank: u64, key: &str) -> bool {
        let largest = self.kept.last_key_value().filter(|_| self.kept.len() > self.most);
        largest.is_none_or(|((last, of), _)| (rank, key) <= (*last, of.as_str()))
    }

    /// Takes an item. Of two with the same key the smaller stays, whichever came first.
    pub fn push(&mut self, rank: u64, key: &str, item: &T) {
        if !self.wants(rank, key) {
            return;
        }
        self.kept
            .entry((rank, key.to_owned()))
            .and_modify(|there| {
                if item < there {
                    *there = item.clone();
                }
            })
            .or_insert_with(|| item.clone());
        if self.kept.len() > self.most + 1 {
            self.kept.pop_last();
        }
    }

    /// Takes all that another has kept; it must have been made for as many.
    pub fn merge(&mut self, other: &BottomK<T>) {
        for ((rank, key), item) in &other.kept {
            self.push(*rank, key, item);
        }
    }

    /// The same ranks and keys without their items.
    pub fn keys(&self) -> BottomK<()> {
        BottomK { most: self.most, kept: self.kept.keys().map(|key| (key.clone(), ())).collect() }
    }

    /// The sample of `k` items, at most as many as this was made for, by rank.
    pub fn sample(&self, k: usize) -> impl Iterator<Item = (u64, &str, &T)> {
        self.kept.iter().take(k.min(self.most)).map(|((rank, key), item)| (*rank, key.as_str(), item))
    }

    /// How likely each item was to come into the sample of `k`: 1 if all that were seen are in it.
    pub fn probability(&self, k: usize) -> f64 {
        self.kept.keys().nth(k.min(self.most)).map_or(1.0, |(rank, _)| share(*rank))
    }
}

/// A rank as a share of all ranks, above 0.
fn share(rank: u64) -> f64 {
    (rank as f64 + 1.0) / 2f64.powi(64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    #[test]
    fn the_threshold_is_the_next_rank() {
        let mut all = BottomK::new(3);
        assert_eq!((all.sample(3).count(), all.probability(3)), (0, 1.0));
        for (i, rank) in [5u64, 1, 4, 2, 3].into_iter().enumerate() {
            all.push(rank << 60, &format!("k{i}"), &i);
        }
        let picked: Vec<(u64, &str, &usize)> = all.sample(2).collect();
        assert_eq!(picked, [(1 << 60, "k1", &1), (2 << 60, "k3", &3)]);
        assert_eq!((all.probability(2), all.probability(3)), (3.0 / 16.0, 4.0 / 16.0));
    }

    #[test]
    fn a_key_is_kept_once_and_the_smaller_item_stays() {
        let (mut first, mut second) = (BottomK::new(2), BottomK::new(2));
        for (into, items) in [(&mut first, [9, 3]), (&mut second, [3, 9])] {
            items.iter().for_each(|item| into.push(7, "a", item));
        }
        assert_eq!(first, second);
        assert_eq!(first.sample(2).collect::<Vec<_>>(), [(7, "a", &3)]);
    }

    #[test]
    fn weights_count_what_was_seen() {
        let (n, k, trials) = (1_000, 50, 2_000);
        let mut rng = StdRng::seed_from_u64(5);
        let mut sum = 0.0;
        for _ in 0..trials {
            let mut sample = BottomK::new(k);
            (0..n).for_each(|i| sample.push(rng.random(), &i.to_string(), &i));
            sum += sample.sample(k).filter(|(.., i)| **i < 300).count() as f64 / sample.probability(k);
        }
        // The estimate's standard deviation is about 300 · √(0.7 / 15); four of their mean's.
        let mean = sum / f64::from(trials);
        assert!((mean - 300.0).abs() < 4.0 * 300.0 * (0.05f64).sqrt() / f64::from(trials).sqrt(), "{mean}");
    }
}
