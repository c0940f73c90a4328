//! Which windows of a model are closed.
//!
//! A window is closed once every partition has passed its end and the grace: by its watermark, or by
//! being idle. A partition is idle only where a collector keeps confirming that it has been at the
//! end for long enough, by a clock that nobody sets; one whose collector is dead or cut off holds windows open, however long, because what it
//! will bring is not known. Where all are idle, the wall clock closes what is past.

use super::checkpoint::Partition;
use super::time::{Span, Timestamp};
use super::window::{Slot, WindowRule};

/// How far one partition is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// Which.
    pub partition: Partition,
    /// Its watermark; `None` before its first record.
    pub watermark: Option<Timestamp>,
    /// When its position last moved, by the collector's clock.
    pub moved: Timestamp,
    /// When a collector last confirmed that it is idle, by its clock; `None` since it moved.
    pub idle: Option<Timestamp>,
}

/// When windows close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    /// How the stream is cut.
    pub window: WindowRule,
    /// How long a window waits for stragglers, in event time.
    pub grace: Span,
    /// How long a partition must have been at its end to be idle; a confirmation lasts as long.
    pub idle_after: Span,
}

impl Reached {
    fn is_idle(&self, idle_after: Span, now: Timestamp) -> bool {
        self.idle.is_some_and(|seen| now.since(seen) < idle_after && seen.since(now) < idle_after)
    }
}

impl Closing {
    /// The first slot that is still open; `None` if nothing is known to be closed.
    pub fn first_open(&self, partitions: &[Reached], now: Timestamp) -> Option<Slot> {
        if partitions.is_empty() {
            return None;
        }
        let busy = partitions.iter().filter(|p| !p.is_idle(self.idle_after, now)).map(|p| p.watermark);
        let least = match busy.min() {
            Some(watermark) => watermark?,
            None => now.minus(self.idle_after),
        };
        Some(self.window.slot(least.minus(self.grace), 0))
    }

    /// Whether a record of this time came after its window had closed by its own partition, given
    /// that partition's watermark. It depends on the partition's records alone, so every replica and
    /// every replay says the same.
    pub fn is_late(&self, time: Timestamp, watermark: Option<Timestamp>) -> bool {
        let end = self.window.bounds(self.window.slot(time, 0)).map(|(_, end)| end);
        matches!((end, watermark), (Some(end), Some(reached)) if reached.minus(self.grace) >= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSING: Closing = Closing {
        window: WindowRule::Time(Span::from_secs(10)),
        grace: Span::from_secs(2),
        idle_after: Span::from_secs(60),
    };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_micros(secs * 1_000_000)
    }

    fn partition(number: i32, watermark: Option<i64>, idle: Option<i64>) -> Reached {
        let partition = Partition { topic: "t".into(), number };
        Reached { partition, watermark: watermark.map(at), moved: at(100), idle: idle.map(at) }
    }

    #[test]
    fn the_slowest_partition_decides() {
        let both = |slow| [partition(0, Some(95), None), partition(1, slow, None)];
        assert_eq!(CLOSING.first_open(&both(Some(33)), at(1_000)), Some(3));
        assert_eq!(CLOSING.first_open(&both(Some(31)), at(1_000)), Some(2), "the grace");
        assert_eq!(CLOSING.first_open(&both(None), at(1_000)), None, "nothing is known of it");
        assert_eq!(CLOSING.first_open(&[], at(1_000)), None);
    }

    #[test]
    fn only_a_confirmed_end_is_idle() {
        let with = |idle| [partition(0, Some(95), None), partition(1, Some(33), idle)];
        assert_eq!(CLOSING.first_open(&with(None), at(1_000)), Some(3), "its collector may be dead");
        assert_eq!(CLOSING.first_open(&with(Some(990)), at(1_000)), Some(9));
        assert_eq!(CLOSING.first_open(&with(Some(900)), at(1_000)), Some(3), "an old confirmation");
        assert_eq!(CLOSING.first_open(&with(Some(4_600)), at(1_000)), Some(3), "the clock was set back");
    }

    #[test]
    fn where_all_are_idle_the_wall_clock_goes_on() {
        let idle = [partition(0, Some(33), Some(995)), partition(1, None, Some(995))];
        assert_eq!(CLOSING.first_open(&idle, at(1_000)), Some(93));
    }

    #[test]
    fn late_is_after_the_end_and_the_grace() {
        assert!(!CLOSING.is_late(at(25), Some(at(31))) && CLOSING.is_late(at(25), Some(at(32))));
        assert!(!CLOSING.is_late(at(25), None));
    }
}
