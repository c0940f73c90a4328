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

use super::allowance::Used;
use super::time::Timestamp;
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
    /// Texts that were re-computed for comparison.
    pub used: Used,
}

impl Position {
    /// The delta that goes on from here.
    pub fn going_on(&self) -> Delta {
        let delta = Delta::starting(Some(self.next_offset), self.next_offset, self.watermark.clone());
        Delta { used: self.used.clone(), ..delta }
    }
}

/// Why records were lost before they could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// Kafka's retention removed them.
    Retention,
    /// The topic was deleted and created anew.
    TopicRecreated,
}

impl GapReason {
    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            GapReason::Retention => "retention",
            GapReason::TopicRecreated => "topic_recreated",
        }
    }
}

/// Records of a partition that were lost before they could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first offset lost.
    pub from: i64,
    /// The first offset after it; `None` where nobody knows how many there were.
    pub to: Option<i64>,
    /// Why.
    pub reason: GapReason,
    /// The watermark before it: what was lost is later than this, but for stragglers.
    pub after: Option<Timestamp>,
    /// Event time of the first record after it, once there is one.
    pub until: Option<Timestamp>,
}

/// One partition's progress since the last commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    /// Where it was read from; `None` if the store has no position yet.
    pub from: Option<i64>,
    /// Where the ledger begins anew, if the topic was created anew since `from`.
    pub restart: Option<i64>,
    /// The next offset to read.
    pub to: i64,
    /// Event-time progress at `to`.
    pub watermark: Watermark,
    /// Texts re-computed for comparison, as of `to`.
    pub used: Used,
    /// What became of the records between.
    pub ledger: Ledger,
    /// The latest loss, until the first record after it is committed.
    pub gap: Option<Gap>,
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
        Delta { from, restart: None, to, watermark, used: Used::default(), ledger: Ledger::default(), gap: None }
    }

    /// The delta that goes on where this one was committed.
    pub fn committed(&mut self) -> Delta {
        let open = self.gap.filter(|gap| gap.until.is_none());
        let going_on = Delta::starting(Some(self.to), self.to, std::mem::take(&mut self.watermark));
        Delta { gap: open, used: std::mem::take(&mut self.used), ..going_on }
    }

    /// Whether there is anything to commit.
    pub fn is_moved(&self) -> bool {
        self.from != Some(self.to) || self.restart.is_some()
    }

    /// The records up to `oldest` were removed before they were read: they become a gap.
    pub fn lose_until(&mut self, oldest: i64) {
        let gap = Gap {
            from: self.to,
            to: Some(oldest),
            reason: GapReason::Retention,
            after: self.watermark.reached(),
            until: None,
        };
        self.ledger.gaps += oldest - self.to;
        self.to = oldest;
        self.gap = Some(gap);
    }

    /// The topic was created anew: its ledger begins again at `start`.
    pub fn begin_anew(&mut self, start: i64) {
        self.gap = Some(Gap {
            from: self.to,
            to: None,
            reason: GapReason::TopicRecreated,
            after: self.watermark.reached(),
            until: None,
        });
        self.restart = Some(start);
        self.ledger = Ledger::default();
        self.to = start;
    }

    /// Takes in the event time of a record that was passed.
    pub fn observe(&mut self, time: Timestamp) -> Option<Timestamp> {
        if let Some(gap) = &mut self.gap {
            gap.until.get_or_insert(time);
        }
        self.watermark.observe(time)
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
    fn a_loss_stays_until_its_end_is_committed() {
        let mut delta = Delta::starting(Some(10), 10, Watermark::default());
        delta.observe(Timestamp::from_micros(5));
        delta.lose_until(14);
        assert_eq!((delta.to, delta.ledger.gaps, delta.is_moved()), (14, 4, true));
        let mut next = delta.committed();
        assert_eq!((next.from, next.is_moved()), (Some(14), false));
        next.pass(14);
        next.observe(Timestamp::from_micros(9));
        let gap = next.gap.expect("open until now");
        assert_eq!(
            (gap.from, gap.to, gap.after, gap.until),
            (10, Some(14), Some(Timestamp::from_micros(5)), Some(Timestamp::from_micros(9)))
        );
        assert_eq!(next.committed().gap, None);
    }

    #[test]
    fn a_topic_created_anew_has_a_ledger_of_its_own() {
        let mut delta = Delta::starting(Some(100), 100, Watermark::default());
        delta.begin_anew(0);
        delta.pass(0);
        assert_eq!((delta.from, delta.restart, delta.to, delta.ledger.gaps), (Some(100), Some(0), 1, 0));
        assert!(applies(Some(100), &delta) && !applies(Some(1), &delta));
    }

    #[test]
    fn passing_counts_gaps_and_refuses_what_was_taken_in() {
        let mut delta = Delta::starting(Some(10), 10, Watermark::default());
        assert!(delta.pass(10) && delta.pass(13));
        assert!(!delta.pass(13) && !delta.pass(5));
        assert_eq!((delta.to, delta.ledger.gaps), (14, 2));
    }
}
