//! How wrong answers turned out to be, counted until evidence of harm is drawn from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Losses that became known, by how large they are and were expected to be: what evidence of harm is drawn from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// How many of each, by task.
    pub by_task: BTreeMap<usize, BTreeMap<Loss, u64>>,
}

/// How wrong one answer is, in parts of [`super::label::PARTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Loss {
    /// By its label.
    pub found: u8,
    /// By its confidence, before the label came; `None` if nothing was known.
    pub expected: Option<u8>,
}

/// Losses as courses of earlier formats hold them: by how large they are alone.
pub(super) type Earlier = BTreeMap<usize, BTreeMap<u8, u64>>;

impl From<Earlier> for Losses {
    fn from(earlier: Earlier) -> Losses {
        let loss = |(found, n)| (Loss { found, expected: None }, n);
        let by_task = earlier.into_iter().map(|(task, losses)| (task, losses.into_iter().map(loss).collect()));
        Losses { by_task: by_task.collect() }
    }
}

impl Losses {
    /// One more.
    pub fn add(&mut self, task: usize, loss: Loss) {
        *self.by_task.entry(task).or_default().entry(loss).or_default() += 1;
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Losses) {
        for (task, losses) in &other.by_task {
            let own = self.by_task.entry(*task).or_default();
            losses.iter().for_each(|(loss, n)| *own.entry(*loss).or_default() += n);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_task.is_empty()
    }
}
