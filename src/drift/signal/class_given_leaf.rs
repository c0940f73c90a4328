//! How a head answers for the same kind of embedding: its classes within each leaf of the encoder's space,
//! compared with the reference's at the window's own mix of leaves. What the encoder sees is taken out;
//! what is left is the head.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::given_class::{class_of, classes};
use super::{Effect, Fit, Sample, Scope, Signal, SignalKey, deviation, key};
use crate::drift::observation::Observation;
use crate::drift::task::{TaskKind, TaskSpec};
use crate::stats::contingency::match_rows;
use crate::stats::distance::effects;
use crate::stats::hypothesis::{Allowance, TestResult, goodness_of_fit};
use crate::stats::leaf_tree::LeafTree;

/// Depth of the tree: 16 leaves.
const DEPTH: u32 = 4;
/// A leaf needs this many answered reference records, or there is no table.
const LEAST_PER_LEAF: usize = 30;
/// Classes with a column of their own, the commonest; the others share one.
const MOST_CLASSES: usize = 15;

/// A table of leaves and classes, row-major.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassGivenLeaf {
    task: usize,
    tree: LeafTree,
    /// Number of classes that answers are sorted into.
    classes: usize,
    /// The table's column of each class.
    columns: Vec<u8>,
    names: Vec<String>,
}

impl Fit for ClassGivenLeaf {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        // Heads without a class have nothing to put into the columns.
        let with_classes =
            |t: &usize| !matches!(sample.spec.tasks[*t].kind, TaskKind::TokenLabels | TaskKind::Regression);
        (0..sample.spec.tasks.len())
            .filter(with_classes)
            .filter_map(|task| Some((key(Scope::Head, Some(task), "class_given_leaf"), Self::of(sample, task)?)))
            .collect()
    }
}

impl ClassGivenLeaf {
    fn of(sample: &Sample, task: usize) -> Option<ClassGivenLeaf> {
        let spec = &sample.spec.tasks[task];
        let classes = classes(spec);
        let mut counts = vec![0_u64; classes];
        let mut points = Vec::new();
        for observation in sample.observations {
            let answer = observation.answers.get(task).and_then(Option::as_ref);
            if let (Some(answer), Some(located)) = (answer, observation.place.located()) {
                counts[class_of(answer, classes)] += 1;
                points.push(located.coordinates.clone());
            }
        }
        let mut order: Vec<usize> = (0..classes).filter(|c| counts[*c] > 0).collect();
        if order.len() < 2 || points.len() < LEAST_PER_LEAF << DEPTH {
            return None;
        }
        order.sort_by_key(|c| (std::cmp::Reverse(counts[*c]), *c));
        order.truncate(MOST_CLASSES);
        let mut columns = vec![order.len() as u8; classes];
        order.iter().enumerate().for_each(|(column, class)| columns[*class] = column as u8);
        let name = |class: &usize| match (spec.kind, *class) {
            (TaskKind::Multilabel, c) if c == classes - 2 => "none".to_owned(),
            (TaskKind::Multilabel, c) if c == classes - 1 => "several".to_owned(),
            (_, c) => spec.class_name(c).to_owned(),
        };
        let names = order.iter().map(name).chain(["another".to_owned()]).collect();
        Some(ClassGivenLeaf { task, tree: LeafTree::fit(&points, DEPTH)?, classes, columns, names })
    }

    fn width_of_row(&self) -> usize {
        self.names.len()
    }

    fn matched(&self, current: &[i64], reference: &[f64]) -> Vec<f64> {
        match_rows(reference, current, self.width_of_row())
    }
}

impl Signal for ClassGivenLeaf {
    fn width(&self) -> usize {
        self.tree.leaves() * self.width_of_row()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        let answer = observation.answers.get(self.task).and_then(Option::as_ref);
        if let (Some(answer), Some(located)) = (answer, observation.place.located()) {
            let column = usize::from(self.columns[class_of(answer, self.classes)]);
            cells[self.tree.leaf(&located.coordinates) * self.width_of_row() + column] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        format!("{} in leaf {}", self.names[cell % self.width_of_row()], cell / self.width_of_row() + 1)
    }

    fn expected<'a>(&self, current: &[i64], reference: &'a [f64]) -> Cow<'a, [f64]> {
        Cow::Owned(self.matched(current, reference))
    }

    fn test(&self, current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
        goodness_of_fit(current, &self.matched(current, reference), allowance)
    }

    fn effect(&self, current: &[i64], reference: &[f64]) -> Option<Effect> {
        effects(current, &self.matched(current, reference)).map(|e| Effect::Counts {
            psi: e.psi,
            jensen_shannon: e.jensen_shannon,
            hellinger: e.hellinger,
        })
    }

    fn deviation(&self, current: &[i64], reference: &[f64]) -> Vec<f64> {
        deviation(current, &self.matched(current, reference))
    }
}
