//! Predictions whose labels came: joined by prediction id, counted by window of prediction time and task.
//!
//! What is counted is a function of the prediction and of the one label that counts, so the counts are the
//! same in whatever order labels, their corrections and retractions come, and however often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use super::kept::Kept;
use super::label::{CERTAIN, KeptAnswer, Label, LabelValue, PARTS};
pub use super::losses::{Loss, Losses};
use super::performance::{Estimate, Performance, Z, f1};
use super::task::TaskKind;
use super::time::Timestamp;
use crate::stats::performance::confusion::Confusion;
use crate::stats::performance::interval::wilson;

/// One task of a prediction with the label that counts now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Joined {
    answer: KeptAnswer,
    predicted: Timestamp,
    window: Timestamp,
    label: Label,
    /// What was added to the window's tally for it.
    counted: Option<Contribution>,
    /// Whether evidence was drawn from it: once, by its first label.
    has_bet: bool,
}

/// What one labelled prediction adds to its window's tally.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    loss: u8,
    expected: Option<u16>,
    delay_us: i64,
    confusion: Vec<(u32, u32)>,
}

/// Labelled predictions of one task in one window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub labelled: i64,
    losses: i64,
    expected: i64,
    expected_of: i64,
    delay_us: i64,
    confusion: BTreeMap<(u32, u32), i64>,
}

impl Contribution {
    fn loss(&self) -> Loss {
        let wrong = |right: u16| in_parts(1.0 - f64::from(right) / f64::from(CERTAIN));
        Loss { found: self.loss, expected: self.expected.map(wrong) }
    }

    /// The cells of a confusion table that it adds one to.
    pub(super) fn cells(&self) -> &[(u32, u32)] {
        &self.confusion
    }
}

/// What became of one label.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The prediction with the label that counts now.
    pub joined: Joined,
    /// The window whose tally changes.
    pub window: Timestamp,
    /// Taken from its tally.
    pub minus: Option<Contribution>,
    /// Added to it.
    pub plus: Option<Contribution>,
    /// A loss that became known.
    pub loss: Option<Loss>,
    /// In one word.
    pub outcome: Outcome,
}

/// What became of one label, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The first of its prediction and task.
    Joined,
    /// It replaced an earlier one.
    Corrected,
    /// It took an earlier one back.
    Retracted,
    /// It repeats what is known, or is older than what counts.
    Superseded,
    /// It cannot be compared with the answer.
    Unusable,
    /// It names a class that the task does not have.
    UnknownClass,
    /// The prediction has no answer of this task.
    Unanswered,
}

/// How the labelled predictions of a window did.
#[derive(Clone, Debug, PartialEq)]
pub struct Realised {
    /// How many.
    pub labelled: i64,
    /// Accuracy: share of right answers, sets or tokens; for numbers one less the mean loss.
    pub accuracy: f64,
    /// Its 95 % interval (Wilson).
    pub interval: (f64, f64),
    /// Macro-F1, for kinds that have one.
    pub macro_f1: Option<f64>,
    /// What the accuracy of these very predictions was estimated to be.
    pub expected: Option<f64>,
    /// Mean time from prediction to label.
    pub delay_us: i64,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 7] = [
        Outcome::Joined,
        Outcome::Corrected,
        Outcome::Retracted,
        Outcome::Superseded,
        Outcome::Unusable,
        Outcome::UnknownClass,
        Outcome::Unanswered,
    ];

    /// The name used in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Joined => "joined",
            Outcome::Corrected => "corrected",
            Outcome::Retracted => "retracted",
            Outcome::Superseded => "superseded",
            Outcome::Unusable => "unusable",
            Outcome::UnknownClass => "unknown_class",
            Outcome::Unanswered => "unanswered",
        }
    }
}

/// The first label of one task of a prediction. `scale` is what distances between numbers are divided by.
pub fn join(kept: &Kept, predicted: Timestamp, window: Timestamp, label: Label, scale: f64) -> Option<Change> {
    let answer = kept.answers.iter().find(|a| usize::from(a.task) == label.task)?.clone();
    let counted = contribution(&answer, predicted, &label, scale);
    let loss = counted.as_ref().map(Contribution::loss);
    let outcome = match &counted {
        Some(_) => Outcome::Joined,
        None => without_loss(&label),
    };
    let joined = Joined { answer, predicted, window, label, counted: counted.clone(), has_bet: loss.is_some() };
    Some(Change { joined, window, minus: None, plus: counted, loss, outcome })
}

impl Joined {
    /// A further label of the same task of the same prediction.
    pub fn take(&self, label: Label, scale: f64) -> Change {
        if !label.supersedes(&self.label) {
            let joined = self.clone();
            return Change {
                joined,
                window: self.window,
                minus: None,
                plus: None,
                loss: None,
                outcome: Outcome::Superseded,
            };
        }
        let counted = contribution(&self.answer, self.predicted, &label, scale);
        let loss = counted.as_ref().map(Contribution::loss).filter(|_| !self.has_bet);
        let outcome = match (&counted, &self.counted) {
            // Its time still decides what a later one comes after.
            (Some(_), Some(_)) if label.value == self.label.value => Outcome::Superseded,
            (Some(_), Some(_)) => Outcome::Corrected,
            (Some(_), None) => Outcome::Joined,
            (None, _) => without_loss(&label),
        };
        let has_bet = self.has_bet || loss.is_some();
        let joined = Joined { label, counted: counted.clone(), has_bet, ..self.clone() };
        Change { joined, window: self.window, minus: self.counted.clone(), plus: counted, loss, outcome }
    }

    /// When the prediction was made.
    pub fn predicted(&self) -> Timestamp {
        self.predicted
    }

    /// Bytes for the store.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data always encodes")
    }

    /// From the store's bytes.
    ///
    /// # Errors
    /// If they are not that.
    pub fn decode(bytes: &[u8]) -> Result<Joined, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

impl Change {
    /// What its label says.
    pub(super) fn truth(&self) -> Option<&LabelValue> {
        self.joined.label.value.as_ref()
    }
}

pub(super) fn in_parts(loss: f64) -> u8 {
    (loss * f64::from(PARTS)).round() as u8
}

/// What becomes of a label that no loss follows from.
fn without_loss(label: &Label) -> Outcome {
    match label.value {
        _ if label.retracted => Outcome::Retracted,
        Some(LabelValue::Unknown) => Outcome::UnknownClass,
        _ => Outcome::Unusable,
    }
}

fn contribution(answer: &KeptAnswer, predicted: Timestamp, label: &Label, scale: f64) -> Option<Contribution> {
    let truth = label.value.as_ref().filter(|_| !label.retracted)?;
    let loss = answer.answer.loss(truth, scale)?;
    Some(Contribution {
        loss: in_parts(loss),
        expected: answer.expected,
        delay_us: label.at.since(predicted).micros(),
        confusion: answer.answer.confusion(truth),
    })
}

impl Tally {
    /// Adds or takes away what a label changes.
    pub fn apply(&mut self, change: &Change) {
        change.minus.iter().for_each(|c| self.add(c, -1));
        change.plus.iter().for_each(|c| self.add(c, 1));
    }

    fn add(&mut self, contribution: &Contribution, sign: i64) {
        self.labelled += sign;
        self.losses += sign * i64::from(contribution.loss);
        self.delay_us += sign * contribution.delay_us;
        if let Some(expected) = contribution.expected {
            self.expected += sign * i64::from(expected);
            self.expected_of += sign;
        }
        for cell in &contribution.confusion {
            let count = self.confusion.entry(*cell).or_default();
            *count += sign;
            if *count == 0 {
                self.confusion.remove(cell);
            }
        }
    }

    /// Adds another tally.
    pub fn merge(&mut self, other: &Tally) {
        self.labelled += other.labelled;
        self.losses += other.losses;
        self.expected += other.expected;
        self.expected_of += other.expected_of;
        self.delay_us += other.delay_us;
        other.confusion.iter().for_each(|(cell, n)| *self.confusion.entry(*cell).or_default() += n);
    }

    /// What it says; `None` without labels.
    pub fn realised(&self, kind: TaskKind) -> Option<Realised> {
        let n = self.labelled as f64;
        let right = n - self.losses as f64 / f64::from(PARTS);
        let interval = wilson(right, n, Z)?;
        Some(Realised {
            labelled: self.labelled,
            accuracy: right / n,
            interval,
            macro_f1: f1(kind, &self.table()),
            expected: self.expected_accuracy(),
            delay_us: self.delay_us / self.labelled,
        })
    }

    /// Answers by cell of the confusion table.
    pub fn table(&self) -> Confusion {
        self.confusion.iter().map(|(cell, n)| (*cell, *n as f64)).collect()
    }

    fn expected_accuracy(&self) -> Option<f64> {
        (self.expected_of > 0).then(|| self.expected as f64 / self.expected_of as f64 / f64::from(CERTAIN))
    }

    /// Whether the labels contradict the estimate: on the very predictions that they are of, the realised
    /// accuracy's interval at four standard errors, widened by what the reference does not know, leaves the
    /// estimate out. So far out that asking at every window finds no contradiction by chance.
    pub fn contradicts(&self, known: Known) -> bool {
        /// Closer than this nobody is misled.
        const LEAST: f64 = 0.01;
        let Some(expected) = self.expected_accuracy() else { return false };
        let n = self.labelled as f64;
        let right = n - self.losses as f64 / f64::from(PARTS);
        let Some((low, high)) = wilson(right, n, 4.0) else { return false };
        let learned = 4.0 * (known.loss * (1.0 - known.loss) / known.labelled as f64).sqrt();
        let reach = |half: f64| (half * half + learned * learned).sqrt().max(LEAST);
        let accuracy = right / n;
        expected < accuracy - reach(accuracy - low) || expected > accuracy + reach(high - accuracy)
    }

    /// Bytes for the store.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data always encodes")
    }

    /// From the store's bytes.
    ///
    /// # Errors
    /// If they are not that.
    pub fn decode(bytes: &[u8]) -> Result<Tally, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

/// How many windows with labels, up to the one in question, decide together whether an estimate is muted.
pub const MUTING_WINDOWS: usize = 20;

/// What the reference knows of a head's error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// Labelled records.
    pub labelled: u64,
    /// Mean loss on them.
    pub loss: f64,
}

impl From<&Performance> for Known {
    fn from(performance: &Performance) -> Known {
        Known { labelled: performance.labelled, loss: performance.loss }
    }
}

/// Whether the estimate of a window is muted, from the tallies of the windows with labels until it, the latest
/// first.
pub fn is_muted<'a>(latest_first: impl Iterator<Item = &'a Tally>, known: Known) -> bool {
    let mut pooled = Tally::default();
    latest_first.take(MUTING_WINDOWS).for_each(|tally| pooled.merge(tally));
    pooled.contradicts(known)
}

/// How far an estimate and what labels say of the same window lie apart, in points; for measuring.
pub fn points_apart(estimate: &Estimate, realised: &Realised) -> f64 {
    100.0 * (estimate.accuracy - realised.accuracy).abs()
}

#[cfg(test)]
#[path = "matured_tests.rs"]
mod tests;
