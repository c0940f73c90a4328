//! How many texts are run through the model only to compare production's answers with its own: at most so many
//! a window and partition, whatever the traffic.
//!
//! A limit by a clock would choose other records on another machine, or when records are read again. This one is
//! decided by the partition's own records in their order, and what is used up is stored with its position: so
//! whichever replica reads on, and however often, chooses the same records, and their tallies are the same bits.
//!
//! Which is the smallest hash of a window is known only when it is over. So the sample's rate goes down by halves
//! while a window's allowance is used up: half of the texts are drawn at the configured rate, a quarter at half of
//! it, and so on. A burst is compared from its beginning to its end, ever more thinly, and never beyond the limit.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::window::Slot;

/// Windows of a model whose use is kept, the newest: a partition is in order but for stragglers. Records of older
/// windows are not compared.
const KEPT: usize = 4;

/// What one partition has used up, by model and window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used(BTreeMap<String, BTreeMap<Slot, u32>>);

/// A model's limit in one partition.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Texts in a window; `None` for no limit.
    pub texts: Option<u32>,
    /// Share of the records that are chosen while there is enough of it.
    pub rate: f64,
}

impl Used {
    /// Whether the record with this number (from its id, in [0, 1)) is compared, the next in its partition;
    /// what it takes is used up.
    pub fn take(&mut self, model: &str, slot: Slot, number: f64, limit: Limit) -> bool {
        if number >= limit.rate {
            return false;
        }
        let Some(texts) = limit.texts else { return true };
        let used = self.of(model, slot);
        let halvings = used.map(|used| halvings(*used, texts));
        let taken = matches!(halvings, Some(Some(halvings)) if number < limit.rate / f64::from(halvings).exp2());
        if taken && let Some(used) = self.of(model, slot) {
            *used += 1;
        }
        taken
    }

    /// Nothing is used up.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a window has used up; `None` for one that is too old.
    fn of(&mut self, model: &str, slot: Slot) -> Option<&mut u32> {
        if !self.0.contains_key(model) {
            self.0.insert(model.to_owned(), BTreeMap::new());
        }
        let windows = self.0.get_mut(model)?;
        let oldest = windows.keys().next().copied();
        if windows.len() >= KEPT && !windows.contains_key(&slot) {
            if oldest.is_some_and(|oldest| slot < oldest) {
                return None;
            }
            windows.pop_first();
        }
        Some(windows.entry(slot).or_insert(0))
    }
}

/// How often the rate is halved once so many texts of the limit are used; `None` when all are.
fn halvings(used: u32, texts: u32) -> Option<u32> {
    let left = texts.checked_sub(used).filter(|left| *left > 0)?;
    Some((texts / left).ilog2())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers as hashes give them: spread evenly and without order.
    fn numbers() -> impl Iterator<Item = f64> {
        (1_u64..).map(|i| (i as f64 * 0.618_033_988_749_895).fract())
    }

    fn taken(limit: Limit, records: usize) -> Vec<usize> {
        let mut used = Used::default();
        let takes = |(_, number): &(usize, f64)| used.take("m", 7, *number, limit);
        numbers().take(records).enumerate().filter(takes).map(|(at, _)| at).collect()
    }

    #[test]
    fn the_rate_goes_down_by_halves_and_the_limit_holds() {
        assert_eq!([0, 49, 50, 74, 75, 99].map(|used| halvings(used, 100)), [0, 0, 1, 1, 2, 6].map(Some));
        assert_eq!((halvings(100, 100), halvings(101, 100)), (None, None), "a limit may have been lowered");
        let limit = Limit { texts: Some(100), rate: 0.1 };
        let quiet = taken(limit, 400);
        assert!((38..=42).contains(&quiet.len()), "below the limit it is the sample: {}", quiet.len());
        let burst = taken(limit, 1_000_000);
        assert_eq!(burst.len(), 100);
        let [half, quarter] = [burst[49], burst[74]];
        assert!((450..550).contains(&half) && (900..1_100).contains(&quarter), "{half} {quarter}");
        assert_eq!(taken(Limit { texts: None, ..limit }, 10_000).len(), 1_000, "no limit");
        assert_eq!(taken(Limit { texts: Some(1), ..limit }, 10_000).len(), 1);
    }

    #[test]
    fn whoever_reads_on_chooses_the_same() {
        let limit = Limit { texts: Some(30), rate: 0.5 };
        let records: Vec<(Slot, f64)> = numbers().take(2_000).enumerate().map(|(i, n)| (i as Slot / 400, n)).collect();
        let run = |used: &mut Used, of: &[(Slot, f64)]| -> Vec<bool> {
            of.iter().map(|(slot, number)| used.take("m", *slot, *number, limit)).collect()
        };
        let whole = run(&mut Used::default(), &records);
        assert_eq!(whole.iter().filter(|taken| **taken).count(), 5 * 30);
        for cut in [1, 333, 400, 1_234] {
            let mut first = Used::default();
            let mut parts = run(&mut first, &records[..cut]);
            // Stored with the position, and dropped again where the rest is not committed.
            let stored = postcard::to_stdvec(&first).expect("encodes");
            for _ in 0..2 {
                let mut read: Used = postcard::from_bytes(&stored).expect("decodes");
                parts.truncate(cut);
                parts.extend(run(&mut read, &records[cut..]));
                assert!(read.0["m"].len() <= KEPT);
            }
            assert_eq!(parts, whole, "read on at {cut}");
        }
    }

    #[test]
    fn windows_and_models_have_their_own_and_old_ones_none() {
        let limit = Limit { texts: Some(1), rate: 1.0 };
        let mut used = Used::default();
        let mut take = |model, slot| used.take(model, slot, 0.5, limit);
        assert!(take("a", 10) && !take("a", 10) && take("b", 10) && take("a", 9) && !take("a", 9));
        assert!(take("a", 11) && take("a", 12) && take("a", 13), "the newest push the oldest out");
        assert!(!take("a", 9) && take("b", 9), "which is not begun anew");
    }
}
