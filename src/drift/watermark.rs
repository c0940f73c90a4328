//! Event-time progress of one partition.
//!
//! The watermark is a high quantile of the latest event times, so that a few records from the year
//! 9999 move nothing, and it never goes back. It depends on the partition's records and their order
//! alone, never on when they were read or flushed; it is stored in the partition's position row and
//! thus is the same whichever replica reads on, and however often.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// How many recent event times are kept: six wild ones among them change nothing.
const RECENT: usize = 64;
/// Below this many times the median is taken instead, for the same safety.
const FEW: usize = 16;
const QUANTILE: f64 = 0.9;
/// Once there are enough, it is recomputed at every so many records.
const EVERY: u8 = 8;

/// A partition's recent event times and the watermark they gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    recent: Vec<i64>,
    next: u8,
    reached: Option<i64>,
}

impl Watermark {
    /// Takes in the event time of one record, and returns the watermark after it.
    pub fn observe(&mut self, time: Timestamp) -> Option<Timestamp> {
        if self.recent.len() < RECENT {
            self.recent.push(time.micros());
        } else {
            self.recent[usize::from(self.next)] = time.micros();
        }
        self.next = (self.next + 1) % RECENT as u8;
        if self.recent.len() < RECENT || self.next.is_multiple_of(EVERY) {
            let candidate = self.quantile();
            self.reached = Some(self.reached.map_or(candidate, |r| r.max(candidate)));
        }
        self.reached()
    }

    fn quantile(&self) -> i64 {
        let share = if self.recent.len() < FEW { 0.5 } else { QUANTILE };
        let mut times = self.recent.clone();
        let rank = (share * (times.len() - 1) as f64) as usize;
        *times.select_nth_unstable(rank).1
    }

    /// The watermark; `None` before the first record.
    pub fn reached(&self) -> Option<Timestamp> {
        self.reached.map(Timestamp::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_micros(secs * 1_000_000)
    }

    fn feed(watermark: &mut Watermark, times: impl Iterator<Item = i64>) -> Option<Timestamp> {
        times.fold(watermark.reached(), |_, secs| watermark.observe(at(secs)))
    }

    #[test]
    fn follows_ordered_records_closely() {
        let mut watermark = Watermark::default();
        assert_eq!(watermark.reached(), None);
        let reached = feed(&mut watermark, 0..1_000).expect("has records");
        assert!(reached >= at(985) && reached <= at(999), "{reached}");
    }

    #[test]
    fn wild_times_move_nothing() {
        let mut watermark = Watermark::default();
        let before = feed(&mut watermark, 0..100);
        let after = feed(&mut watermark, std::iter::repeat_n(253_370_764_800, 6));
        assert!(after <= Some(at(100)) && after >= before);
    }

    #[test]
    fn never_goes_back() {
        let mut watermark = Watermark::default();
        feed(&mut watermark, std::iter::repeat_n(500, 100));
        assert_eq!(feed(&mut watermark, std::iter::repeat_n(10, 100)), Some(at(500)));
    }
}
