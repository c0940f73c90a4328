//! Positions in the input, and the one rule that moves them.
//!
//! A delta moves a partition from the position it was read at to the next one. It applies only if
//! the stored position is where the delta starts:
//!
//! | stored position | delta starts at | outcome |
//! |---|---|---|
//! | none yet | anywhere | applies: the partition is new |
//! | n | n | applies: stored becomes the delta's end |
//! | n | anything else | fenced: another replica moved it; drop everything and read again from n |

use std::collections::BTreeMap;

use super::watermark::Watermark;

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// Topic name.
    pub topic: String,
    /// Partition number.
    pub number: i32,
}

/// How many records of a partition ended where. All outcomes together are the records read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Folded into a window.
    pub folded: i64,
    /// Accounted without being folded: labels, other versions, later than the limit.
    pub set_aside: i64,
    /// Refused and dead-lettered.
    pub dead_lettered: i64,
    /// Offsets that Kafka skipped: transaction markers, compaction, retention.
    pub gaps: i64,
}

impl Ledger {
    /// Everything accounted for.
    pub fn total(self) -> i64 {
        self.folded + self.set_aside + self.dead_lettered + self.gaps
    }

    /// Adds another ledger.
    pub fn add(&mut self, other: Ledger) {
        self.folded += other.folded;
        self.set_aside += other.set_aside;
        self.dead_lettered += other.dead_lettered;
        self.gaps += other.gaps;
    }
}

/// What the store knows of one partition.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// The next offset to read.
    pub next_offset: i64,
    /// Event-time progress.
    pub watermark: Watermark,
}

/// One partition's progress since the last commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// Where it was read from; `None` if the store has no position yet.
    pub from: Option<i64>,
    /// The next offset to read.
    pub to: i64,
    /// Event-time progress at `to`.
    pub watermark: Watermark,
    /// What became of the records between.
    pub ledger: Ledger,
}

/// The progress of all partitions since the last commit.
pub type CheckpointDelta = BTreeMap<Partition, Delta>;

/// Whether a delta may be applied to what is stored; the table above.
pub fn applies(stored: Option<i64>, delta: &Delta) -> bool {
    match (stored, delta.from) {
        (None, None) => true,
        (Some(stored), Some(from)) => stored == from,
        (None, Some(_)) | (Some(_), None) => false,
    }
}

impl Delta {
    /// A delta that starts at a stored position, or at the beginning of a new partition.
    pub fn starting(from: Option<i64>, to: i64, watermark: Watermark) -> Delta {
        Delta { from, to, watermark, ledger: Ledger::default() }
    }

    /// Moves past one record; offsets skipped on the way are gaps. Returns false, changing
    /// nothing, for a record that lies before the delta's end: it was taken in already.
    pub fn pass(&mut self, offset: i64) -> bool {
        if offset < self.to {
            return false;
        }
        self.ledger.gaps += offset - self.to;
        self.to = offset + 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds() {
        let delta = |from| Delta::starting(from, 12, Watermark::default());
        for (stored, from, outcome) in [
            (None, None, true),
            (Some(10), Some(10), true),
            (Some(11), Some(10), false),
            (Some(9), None, false),
            (None, Some(10), false),
        ] {
            assert_eq!(applies(stored, &delta(from)), outcome, "stored {stored:?}, from {from:?}");
        }
    }

    #[test]
    fn passing_counts_gaps_and_refuses_what_was_taken_in() {
        let mut delta = Delta::starting(Some(10), 10, Watermark::default());
        assert!(delta.pass(10) && delta.pass(13));
        assert!(!delta.pass(13) && !delta.pass(5));
        assert_eq!((delta.to, delta.ledger.gaps), (14, 2));
    }
}
