//! Labels meet their predictions, in the daemon: which predictions are kept, when a label is tried, and what
//! becomes of it.
//!
//! Predictions and labels may lie in different partitions, and come in any order. Each is *heard* in the
//! window of the moment at which its own partition told of it: the later of its own time and of the
//! partition's watermark. Once a window is closed, everything heard in it is known, on whichever replica; so
//! labels are tried in the window in which they were heard, among the predictions heard until then, and the
//! outcome depends on the records alone. A label without its prediction is tried again after one window, two,
//! four and so on.

use std::collections::{BTreeSet, HashMap};

use sha2::{Digest, Sha256};

use super::label::Label;
use super::labelling::{Arrival, Arrivals};
use super::matured::{Change, Joined, Kept, Losses, Outcome, join};
use super::performance::Performance;
use super::shadow::Pair;
use super::time::{Span, Timestamp};
use super::window::{Slot, WindowRule};

/// Names a prediction of a model, as one reference looks at it: the first 64 bits of a digest. Of a billion
/// predictions, two share a key with a probability of 3 %.
pub fn prediction_key(model: &str, reference_id: &str, prediction_id: &str) -> i64 {
    let mut digest = Sha256::new();
    for part in [model, reference_id, prediction_id] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let bytes: [u8; 8] = digest.finalize()[..8].try_into().expect("a digest has 32 bytes");
    i64::from_be_bytes(bytes)
}

/// Whether a prediction of this key belongs to a sample of this share: the same on every replica, and for its
/// labels.
pub fn is_sampled(key: i64, share: f64) -> bool {
    (key.cast_unsigned() as f64) < share * 2_f64.powi(64) || share >= 1.0
}

/// When a record was heard: never before its partition had come so far.
pub fn heard(time: Timestamp, watermark: Option<Timestamp>) -> Timestamp {
    watermark.map_or(time, |w| w.max(time))
}

/// A label that is not joined yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// Its prediction.
    pub key: i64,
    /// The window in which it was heard.
    pub heard: Slot,
    /// The label.
    pub label: Label,
}

/// What becomes of a label that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It found its prediction.
    Settled(Outcome),
    /// It is tried again in this window.
    Waits(Slot),
    /// It has waited long enough.
    GivenUp,
}

/// Labels of one window on their way to their predictions.
#[derive(Debug)]
pub struct Joining<'a> {
    known: &'a [Performance],
    rule: WindowRule,
    most_windows: i64,
    slot: Slot,
    predictions: HashMap<i64, (Timestamp, Kept)>,
    joined: HashMap<(i64, usize), Joined>,
    touched: BTreeSet<(i64, usize)>,
    /// What changed in the windows' tallies, with the task.
    pub changes: Vec<(usize, Change)>,
    /// Losses that became known.
    pub losses: Losses,
    /// How long these took.
    pub arrivals: Arrivals,
    /// The same beside those of candidates, with their ids.
    pub pairs: Vec<(String, Pair)>,
}

impl<'a> Joining<'a> {
    /// Labels of the heads that are `known`, tried in this window; one whose prediction is not there is given
    /// up after `wait`.
    pub fn new(known: &'a [Performance], rule: WindowRule, wait: Span, slot: Slot) -> Joining<'a> {
        let most_windows = match rule {
            WindowRule::Time(length) => wait.micros() / length.micros().max(1),
            WindowRule::Records(_) => i64::MAX,
        };
        Joining {
            known,
            rule,
            most_windows: most_windows.max(1),
            slot,
            predictions: HashMap::new(),
            joined: HashMap::new(),
            touched: BTreeSet::new(),
            changes: Vec::new(),
            losses: Losses::default(),
            arrivals: Arrivals::default(),
            pairs: Vec::new(),
        }
    }

    /// A prediction that was heard until then. Of several with one id the earliest is the one that labels
    /// speak of.
    pub fn know(&mut self, key: i64, predicted: Timestamp, kept: Kept) {
        match self.predictions.get(&key) {
            Some((earlier, _)) if *earlier <= predicted => {}
            _ => drop(self.predictions.insert(key, (predicted, kept))),
        }
    }

    /// A prediction that was joined in an earlier window.
    pub fn know_joined(&mut self, key: i64, task: usize, joined: Joined) {
        self.joined.insert((key, task), joined);
    }

    /// Tries a label; those of one prediction and task in the order in which they supersede each other.
    pub fn take(&mut self, pending: Pending) -> Fate {
        let Pending { key, heard, label } = pending;
        let (task, label_at) = (label.task, label.at);
        let known = self.known.iter().find(|p| p.task == task);
        let scale = known.map_or(1.0, |p| p.scale);
        let change = match (self.joined.get(&(key, task)), self.predictions.get(&key)) {
            (Some(earlier), _) => Some(earlier.take(label, scale)),
            (None, Some((predicted, kept))) => {
                let slot = self.rule.slot(*predicted, 0);
                let window = self.rule.bounds(slot).map_or(*predicted, |(start, _)| start);
                join(kept, *predicted, window, label, scale)
            }
            (None, None) => {
                let waited = self.slot.saturating_sub(heard);
                return match waited >= self.most_windows {
                    true => Fate::GivenUp,
                    false => Fate::Waits(self.slot.saturating_add(waited.max(1))),
                };
            }
        };
        let Some(change) = change else { return Fate::Settled(Outcome::Unanswered) };
        let outcome = change.outcome;
        if let Some(known) = known.filter(|_| change.loss.is_some()) {
            self.losses.take(task, known.kind, &change);
            // When it was tried, where it could not be before.
            let tried = self.rule.bounds(self.slot).map(|(start, _)| start);
            let arrived = tried.map_or(label_at, |tried| tried.max(label_at));
            let (window, predicted) = (change.window, change.joined.predicted());
            self.arrivals.add(task, Arrival { window, predicted, arrived });
        }
        if let Some((id, pair)) = self.predictions.get(&key).and_then(|(_, kept)| kept.pair(task, &change, scale)) {
            self.pairs.push((id.to_owned(), pair));
        }
        self.joined.insert((key, task), change.joined.clone());
        self.touched.insert((key, task));
        self.changes.push((task, change));
        Fate::Settled(outcome)
    }

    /// Joined predictions that are to be kept as they are now.
    pub fn touched(&self) -> impl Iterator<Item = (i64, usize, &Joined)> {
        self.touched.iter().map(|(key, task)| (*key, *task, &self.joined[&(*key, *task)]))
    }
}

#[cfg(test)]
#[path = "joining_tests.rs"]
mod tests;
