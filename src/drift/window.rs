//! Windows: half-open spans of event time, or counts of records in a back-test.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::time::{Span, Timestamp};

/// The number of a window on its model's time line.
pub type Slot = i64;

/// How a stream is cut into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WindowRule {
    /// Tumbling windows of event time, aligned to the epoch.
    Time(Span),
    /// Every so many records; for files only, since it needs one order of all records.
    Records(u64),
}

impl WindowRule {
    /// The slot of a record, given its time and its ordinal number in the stream.
    pub fn slot(self, time: Timestamp, ordinal: u64) -> Slot {
        match self {
            WindowRule::Time(length) => time.micros().div_euclid(length.micros().max(1)),
            WindowRule::Records(count) => (ordinal / count.max(1)) as Slot,
        }
    }

    /// Start and end of a slot in event time; `None` where records are counted.
    pub fn bounds(self, slot: Slot) -> Option<(Timestamp, Timestamp)> {
        match self {
            WindowRule::Time(length) => {
                let start = slot.saturating_mul(length.micros());
                Some((Timestamp::from_micros(start), Timestamp::from_micros(start).plus(length)))
            }
            WindowRule::Records(_) => None,
        }
    }
}

impl fmt::Display for WindowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WindowRule::Time(length) => write!(f, "{length}"),
            WindowRule::Records(count) => write!(f, "{count} records"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_half_open_and_aligned() {
        let rule = WindowRule::Time(Span::from_secs(300));
        let (start, end) = rule.bounds(7).expect("a window of time has bounds");
        assert_eq!(rule.slot(start, 0), 7);
        assert_eq!(rule.slot(end, 0), 8);
        assert_eq!(rule.slot(Timestamp::from_micros(-1), 0), -1, "before the epoch too");
    }

    #[test]
    fn record_windows_follow_the_ordinal() {
        let rule = WindowRule::Records(250);
        let slots: Vec<Slot> = [0, 249, 250].map(|i| rule.slot(Timestamp::from_micros(0), i)).to_vec();
        assert_eq!((slots, rule.bounds(1)), (vec![0, 0, 1], None));
    }
}
