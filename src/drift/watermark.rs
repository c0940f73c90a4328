//! Event-time progress of one partition.
//!
//! The watermark is a high quantile of the latest event times, so that a few records from the year
//! 9999 move nothing, and it never goes back. It is stored in the partition's position row and thus
//! is the same whichever replica reads on.

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// How many recent event times are kept: six wild ones among them change nothing.
const RECENT: usize = 64;
/// Below this many times the median is taken instead, for the same safety.
const FEW: usize = 16;
const QUANTILE: f64 = 0.9;

/// A partition's recent event times and the watermark they gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    recent: Vec<i64>,
    next: u8,
    reached: Option<i64>,
}

impl Watermark {
    /// Takes in the event time of one record.
    pub fn observe(&mut self, time: Timestamp) {
        if self.recent.len() < RECENT {
            self.recent.push(time.micros());
        } else {
            self.recent[usize::from(self.next)] = time.micros();
        }
        self.next = (self.next + 1) % RECENT as u8;
    }

    /// Recomputes and returns the watermark; `None` before the first record.
    pub fn advance(&mut self) -> Option<Timestamp> {
        if self.recent.is_empty() {
            return None;
        }
        let mut sorted = self.recent.clone();
        sorted.sort_unstable();
        let share = if sorted.len() < FEW { 0.5 } else { QUANTILE };
        let candidate = sorted[(share * (sorted.len() - 1) as f64) as usize];
        self.reached = Some(self.reached.map_or(candidate, |r| r.max(candidate)));
        self.reached.map(Timestamp::from_micros)
    }

    /// The watermark as of the last [`Watermark::advance`].
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

    #[test]
    fn follows_ordered_records_closely() {
        let mut watermark = Watermark::default();
        assert_eq!(watermark.advance(), None);
        (0..1_000).for_each(|s| watermark.observe(at(s)));
        let reached = watermark.advance().expect("has records");
        assert!(reached >= at(990) && reached <= at(999), "{reached}");
    }

    #[test]
    fn wild_times_move_nothing() {
        let mut watermark = Watermark::default();
        (0..100).for_each(|s| watermark.observe(at(s)));
        let before = watermark.advance();
        (0..6).for_each(|_| watermark.observe(Timestamp::parse("9999-01-01T00:00:00Z").expect("valid")));
        assert!(watermark.advance() <= Some(at(100)) && watermark.reached() >= before);
    }

    #[test]
    fn never_goes_back() {
        let mut watermark = Watermark::default();
        (0..100).for_each(|_| watermark.observe(at(500)));
        watermark.advance();
        (0..100).for_each(|_| watermark.observe(at(10)));
        assert_eq!(watermark.advance(), Some(at(500)));
    }
}
