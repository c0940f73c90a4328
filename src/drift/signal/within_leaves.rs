//! How a head answers for the same kind of embedding: what its answers are within each leaf of the encoder's
//! space, compared with the reference's at the window's own mix of leaves. What the encoder sees is taken out;
//! what is left is the head.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Sample, Signal};
use crate::drift::answer::Answer;
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::contingency::match_rows;
use crate::stats::leaf_tree::LeafTree;
use crate::stats::location::{Location, location_within_rows};

/// Depth of the tree: 16 leaves.
const DEPTH: u32 = 4;
/// A leaf needs this many answered reference records, or there is no table.
const LEAST_PER_LEAF: usize = 30;

/// What a head's answers are sorted into.
pub trait Columns {
    /// How many columns there are.
    fn count(&self) -> usize;

    /// The column of an answer; `None` for one of another kind of head.
    fn of(&self, answer: &Answer) -> Option<usize>;

    /// How many of the columns, the first, are in order: their middle is tested as well.
    fn ordered(&self) -> Option<usize> {
        None
    }

    /// What a column is called; `task` is the head's.
    fn name(&self, column: usize, task: Option<&TaskSpec>) -> String;
}

/// A table of leaves and of what answers are sorted into, row-major.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WithinLeaves<C> {
    task: usize,
    tree: LeafTree,
    columns: C,
}

impl<C: Columns> WithinLeaves<C> {
    /// The table of one head, whose columns are learned from its answers. `None` where too few records of the
    /// sample have both an answer and a place, or all of their answers fall into one column.
    pub(super) fn of(sample: &Sample, task: usize, columns: impl FnOnce(&[&Answer]) -> C) -> Option<Self> {
        let located = |o: &'_ Observation| o.place.located().map(|located| located.coordinates.clone());
        let both = |o| Some((Observation::answer(o, task)?, located(o)?));
        let (answers, points): (Vec<&Answer>, Vec<Vec<f32>>) = sample.observations.iter().filter_map(both).unzip();
        if answers.len() < LEAST_PER_LEAF << DEPTH {
            return None;
        }
        let columns = columns(&answers);
        let mut used = answers.iter().filter_map(|answer| columns.of(answer));
        let first = used.next()?;
        used.any(|column| column != first).then_some(())?;
        Some(WithinLeaves { task, tree: LeafTree::fit(&points, DEPTH)?, columns })
    }
}

impl<C: Columns> Signal for WithinLeaves<C> {
    fn width(&self) -> usize {
        self.tree.leaves() * self.columns.count()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        let column = observation.answer(self.task).and_then(|answer| self.columns.of(answer));
        if let (Some(column), Some(located)) = (column, observation.place.located()) {
            cells[self.tree.leaf(&located.coordinates) * self.columns.count() + column] += 1;
        }
    }

    fn cell_name(&self, cell: usize, task: Option<&TaskSpec>) -> String {
        let (leaf, column) = (cell / self.columns.count(), cell % self.columns.count());
        format!("{} in leaf {}", self.columns.name(column, task), leaf + 1)
    }

    fn tests(&self) -> (bool, bool) {
        (true, self.columns.ordered().is_some())
    }

    fn location(&self, current: &[i64], reference: &[f64]) -> Option<Location> {
        location_within_rows(current, reference, self.columns.count(), self.columns.ordered()?)
    }

    fn expected<'a>(&self, current: &[i64], reference: &'a [f64]) -> Cow<'a, [f64]> {
        Cow::Owned(match_rows(reference, current, self.columns.count()))
    }
}
