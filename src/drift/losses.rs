//! How wrong answers turned out to be, counted until evidence of harm is drawn from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::label::PARTS;
use super::matured::Change;
use super::task::TaskKind;

/// Losses that became known, by how large they are and were expected to be: what evidence of harm is drawn from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// How many of each, by task.
    pub by_task: BTreeMap<usize, BTreeMap<Loss, u64>>,
    /// The same answers by what they are and should have been, of tasks that answer classes or sets of labels.
    pub by_class: BTreeMap<usize, Answers>,
}

/// Labelled answers of a task by what they are and should have been.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// How many, by cell of a confusion table ([`super::label::LabelValue::confusion`]).
    pub cells: BTreeMap<(u32, u32), u64>,
    /// What was expected of them, by the class that was given; of sets of labels of all of them, by
    /// [`Answers::ALL`].
    pub given: BTreeMap<u32, Given>,
}

/// What was expected of some answers before their labels came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// How many there are.
    pub answers: u64,
    /// Of how many something was expected.
    known: u64,
    /// The losses that were, summed, in parts of [`PARTS`].
    loss: u64,
}

/// How wrong one answer is, in parts of [`super::label::PARTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Loss {
    /// By its label.
    pub found: u8,
    /// By its confidence, before the label came; `None` if nothing was known.
    pub expected: Option<u8>,
}

/// Losses as courses of earlier formats hold them: without classes,
pub(super) type WithoutClasses = BTreeMap<usize, BTreeMap<Loss, u64>>;
/// and before that by how large they are alone.
pub(super) type Earlier = BTreeMap<usize, BTreeMap<u8, u64>>;

impl From<WithoutClasses> for Losses {
    fn from(by_task: WithoutClasses) -> Losses {
        Losses { by_task, by_class: BTreeMap::new() }
    }
}

impl From<Earlier> for Losses {
    fn from(earlier: Earlier) -> Losses {
        let loss = |(found, n)| (Loss { found, expected: None }, n);
        let by_task = earlier.into_iter().map(|(task, losses)| (task, losses.into_iter().map(loss).collect()));
        Losses::from(by_task.collect::<WithoutClasses>())
    }
}

impl Losses {
    /// One more.
    pub fn add(&mut self, task: usize, loss: Loss) {
        *self.by_task.entry(task).or_default().entry(loss).or_default() += 1;
    }

    /// The loss that a label of a task of this kind made known, if it did.
    pub fn take(&mut self, task: usize, kind: TaskKind, change: &Change) {
        let Some(loss) = change.loss else { return };
        self.add(task, loss);
        let cells = change.plus.as_ref().map_or(&[][..], |counted| counted.cells());
        let given = match (kind, cells) {
            (TaskKind::Binary | TaskKind::Multiclass, [(_, given)]) => *given,
            (TaskKind::Multilabel, _) => Answers::ALL,
            _ => return,
        };
        self.by_class.entry(task).or_default().add(cells, given, loss.expected);
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Losses) {
        for (task, losses) in &other.by_task {
            let own = self.by_task.entry(*task).or_default();
            losses.iter().for_each(|(loss, n)| *own.entry(*loss).or_default() += n);
        }
        for (task, answers) in &other.by_class {
            self.by_class.entry(*task).or_default().merge(answers);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_task.is_empty()
    }
}

impl Answers {
    /// Where a set of labels is counted, which no single class was given by.
    pub const ALL: u32 = 0;

    /// One more, in these cells, and what was expected of it.
    pub fn add(&mut self, cells: &[(u32, u32)], given: u32, expected: Option<u8>) {
        cells.iter().for_each(|cell| *self.cells.entry(*cell).or_default() += 1);
        let one = Given { answers: 1, known: u64::from(expected.is_some()), loss: expected.map_or(0, u64::from) };
        self.given.entry(given).or_default().merge(one);
    }

    /// So many more that were given this class, of which nothing was expected.
    pub fn count(&mut self, given: u32, answers: u64) {
        self.given.entry(given).or_default().answers += answers;
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Answers) {
        other.cells.iter().for_each(|(cell, n)| *self.cells.entry(*cell).or_default() += n);
        other.given.iter().for_each(|(given, own)| self.given.entry(*given).or_default().merge(*own));
    }
}

impl Given {
    fn merge(&mut self, other: Given) {
        self.answers += other.answers;
        self.known += other.known;
        self.loss += other.loss;
    }

    /// The loss that was expected of them together, where one of `otherwise` is taken of those of which nothing was
    /// known.
    pub fn expected_loss(self, otherwise: f64) -> f64 {
        self.loss as f64 / f64::from(PARTS) + (self.answers - self.known) as f64 * otherwise
    }
}
