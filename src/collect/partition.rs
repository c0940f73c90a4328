//! One partition being read: where it is, what became of its records, whether it has ended for now.

use std::time::Duration;

use tokio::time::Instant;

use crate::drift::checkpoint::{Delta, Partition};
use crate::drift::joining::heard;
use crate::drift::record::{Record, VersionMatch};
use crate::drift::time::Timestamp;
use crate::metrics;
use crate::source::{Begin, Message, Refused};

use super::observe::{self, Watched};

/// A partition being read.
pub(super) struct Reading {
    /// The assignment it is read under.
    pub epoch: u64,
    /// What is not committed yet.
    pub delta: Delta,
    /// Since when, and when last, it was told that everything the broker holds has been taken in.
    at_end: Option<(Instant, Instant)>,
}

/// Word of a partition's end is good for so long: the broker gives it every second.
const GOOD_FOR: Duration = Duration::from_secs(3);

/// What becomes of one message.
pub(super) enum Outcome {
    /// It is to be folded.
    Fold(Record, Heard),
    /// It brings labels and nothing to fold.
    Label(Record, Timestamp),
    /// It names another version of the model: counted in its window, and nothing else.
    Other(OfAnother),
    /// It goes to the dead-letter topic.
    Refuse((Partition, i64, Refused)),
    /// It is accounted, and that is all.
    Done,
    /// It is not this assignment's, or was taken in before.
    Ignore,
}

/// A record of another version.
pub(super) struct OfAnother {
    /// Index of its model.
    pub model: usize,
    /// When it happened.
    pub time: Timestamp,
    /// The version that it names.
    pub version: Box<str>,
}

/// When a record came, by its own partition.
#[derive(Clone, Copy)]
pub(super) struct Heard {
    /// Whether that was after its window had closed.
    pub late: bool,
    /// Whether it is run only for its answers to be compared.
    pub compared: bool,
    /// The later of its own time and its partition's watermark.
    pub at: Timestamp,
}

impl Reading {
    /// A partition that is read under this assignment from where the delta starts.
    pub fn new(epoch: u64, delta: Delta) -> Reading {
        Reading { epoch, delta, at_end: None }
    }

    /// The broker says that nothing follows what it handed over.
    pub fn ended(&mut self, handed_over: Option<i64>) {
        let all = handed_over.is_none_or(|offset| self.delta.to >= offset);
        let since =
            self.at_end.filter(|(_, last)| last.elapsed() < GOOD_FOR).map_or_else(Instant::now, |(since, _)| since);
        self.at_end = all.then(|| (since, Instant::now()));
    }

    /// Whether it is committed up to its end, and has been there for so long.
    pub fn is_idle(&self, idle_after: Duration) -> bool {
        let at_end = |(since, last): (Instant, Instant)| since.elapsed() >= idle_after && last.elapsed() < GOOD_FOR;
        self.at_end.is_some_and(at_end) && !self.delta.is_moved()
    }

    /// Reading of a partition with a stored position begins.
    pub fn begin(&mut self, begin: Begin) {
        match begin {
            Begin::At(_) => {}
            Begin::Lost(oldest) => {
                metrics::gaps((oldest - self.delta.to).unsigned_abs());
                metrics::lost("retention");
                self.delta.lose_until(oldest);
            }
            Begin::Anew(start) => {
                metrics::lost("topic_recreated");
                self.delta.begin_anew(start);
            }
        }
    }

    /// Enters one message in the ledger. Everything is decided by the partition's own records, so
    /// that whoever reads them again decides the same.
    pub fn account(&mut self, message: Message, models: &[Watched]) -> Outcome {
        if message.epoch < self.epoch {
            return Outcome::Ignore;
        }
        self.at_end = None;
        let before = self.delta.ledger.gaps;
        if !self.delta.pass(message.offset) {
            metrics::record("repeated", 1);
            return Outcome::Ignore;
        }
        // A counter is looked up by its name: not for nothing, and not for each record.
        if self.delta.ledger.gaps != before {
            metrics::gaps((self.delta.ledger.gaps - before).unsigned_abs());
        }
        let record = match message.decoded {
            Ok(record) => record,
            Err(refused) => {
                self.delta.ledger.dead_lettered += 1;
                return Outcome::Refuse((message.partition.as_ref().clone(), message.offset, refused));
            }
        };
        let watermark = self.delta.observe(record.time);
        if record.unknown_tasks > 0 {
            metrics::unknown_tasks(u64::from(record.unknown_tasks));
        }
        if record.unknown_label_tasks > 0 {
            metrics::labels("unknown_task", u64::from(record.unknown_label_tasks));
        }
        let watched = &models[record.model];
        // Labels may be as late as they like: they are joined when they are heard.
        let only_label = observe::is_only_label(&record);
        let aside = match () {
            () if record.version != VersionMatch::Same => Some("other_version"),
            () if only_label => Some("label"),
            () if watermark.is_some_and(|w| record.time < w.minus(watched.late_limit)) => Some("late"),
            () => None,
        };
        let at = heard(record.time, watermark);
        let late = watched.closing.is_late(record.time, watermark);
        if let Some(outcome) = aside {
            self.delta.ledger.set_aside += 1;
            metrics::record(outcome, 1);
            return match record.version {
                // Labels come when another version serves already, and a window that is judged stays as it is.
                VersionMatch::Other(version) if !only_label && !late => {
                    Outcome::Other(OfAnother { model: record.model, time: record.time, version })
                }
                VersionMatch::Same if outcome == "label" => Outcome::Label(record, at),
                _ => Outcome::Done,
            };
        }
        self.delta.ledger.folded += 1;
        let compared = observe::compares(watched, &record, &mut self.delta.used);
        Outcome::Fold(record, Heard { late, compared, at })
    }
}
