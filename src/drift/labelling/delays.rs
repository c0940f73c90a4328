//! Delays from prediction to label, in fixed bins of half an octave: each edge is about 1.4 times the one before.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::drift::time::{Span, Timestamp};

/// Bins: the last ends after 16 days, longer than predictions are kept by default.
pub const BINS: u8 = 42;

/// How many delays lie in each bin; empty ones are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delays(BTreeMap<u8, u64>);

/// Upper edge of a bin: 1, 2, 3, 4, 6, 8, 12 … seconds. Whole numbers, so that a delay lies in one bin on every
/// machine.
pub fn edge(bin: u8) -> Span {
    Span::from_secs(match bin {
        0 => 1,
        odd if odd % 2 == 1 => 1 << odd.div_ceil(2).min(62),
        even => 3 << (even / 2 - 1).min(60),
    })
}

/// The bin of a delay; a label that comes before its prediction took no time.
pub fn bin(delay: Span) -> u8 {
    (0..BINS - 1).find(|bin| delay <= edge(*bin)).unwrap_or(BINS - 1)
}

/// The same from two moments.
pub fn between(predicted: Timestamp, labelled: Timestamp) -> u8 {
    bin(labelled.since(predicted))
}

impl Delays {
    /// So many more.
    pub fn add(&mut self, bin: u8, n: u64) {
        *self.0.entry(bin).or_default() += n;
    }

    /// Adds others, up to a bin.
    pub fn merge_until(&mut self, other: &Delays, last: u8) {
        other.0.range(..=last).for_each(|(bin, n)| self.add(*bin, *n));
    }

    /// How many, up to a bin.
    pub fn count_until(&self, last: u8) -> u64 {
        self.0.range(..=last).map(|(_, n)| n).sum()
    }

    /// The bin that holds this share of them, counted from the shortest; `None` without any.
    pub fn quantile(&self, share: f64) -> Option<u8> {
        let all = self.count_until(BINS);
        let (mut below, least) = (0, share * all as f64);
        self.0
            .iter()
            .find(|(_, n)| {
                below += **n;
                below as f64 >= least
            })
            .map(|(bin, _)| *bin)
            .filter(|_| all > 0)
    }

    /// Counts of the bins up to one, in order.
    pub fn cells(&self, last: u8) -> Vec<i64> {
        (0..=last).map(|bin| self.0.get(&bin).map_or(0, |n| i64::try_from(*n).unwrap_or(i64::MAX))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_rise_by_half_an_octave_and_every_delay_has_a_bin() {
        let secs: Vec<i64> = (0..9).map(|bin| edge(bin).micros() / 1_000_000).collect();
        assert_eq!(secs, [1, 2, 3, 4, 6, 8, 12, 16, 24]);
        assert!((1..BINS).all(|bin| edge(bin) > edge(bin - 1)));
        assert!(edge(BINS - 2) > Span::from_secs(14 * 86_400), "longer than predictions are kept");
        for (secs, expected) in
            [(-5, 0), (0, 0), (1, 0), (2, 1), (5, 4), (24, 8), (25, 9), (i64::from(u32::MAX), BINS - 1)]
        {
            assert_eq!(bin(Span::from_secs(secs)), expected, "{secs} s");
        }
    }

    #[test]
    fn quantiles_count_from_the_shortest() {
        let mut delays = Delays::default();
        assert_eq!(delays.quantile(0.5), None);
        for (bin, n) in [(3, 50), (7, 45), (9, 5)] {
            delays.add(bin, n);
        }
        assert_eq!([0.5, 0.51, 0.95, 0.96].map(|share| delays.quantile(share)), [Some(3), Some(7), Some(7), Some(9)]);
        assert_eq!((delays.count_until(7), delays.cells(4)), (95, vec![0, 0, 0, 50, 0]));
    }
}
