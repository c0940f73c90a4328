//! Which classes a head gives for the same kind of embedding.

use serde::{Deserialize, Serialize};

use super::given_class::{class_of, classes};
use super::within_leaves::{Columns, WithinLeaves};
use super::{Fit, Sample, Scope, SignalKey, key};
use crate::drift::answer::Answer;
use crate::drift::task::{TaskKind, TaskSpec};

/// Classes with a column of their own, the commonest; the others share one.
const MOST_CLASSES: usize = 15;

/// A table of leaves and classes.
pub type ClassGivenLeaf = WithinLeaves<Classes>;

/// The commonest classes of a head.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classes {
    /// Number of classes that answers are sorted into.
    classes: usize,
    /// The table's column of each class.
    columns: Vec<u8>,
    names: Vec<String>,
}

impl Fit for ClassGivenLeaf {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        // Other heads have columns of another kind; references of formats before 9 sort sets of labels into the only
        // one, none and several.
        let with_classes = |t: &usize| matches!(sample.spec.tasks[*t].kind, TaskKind::Binary | TaskKind::Multiclass);
        let of = |task: usize| Self::of(sample, task, |answers| Classes::of(&sample.spec.tasks[task], answers));
        (0..sample.spec.tasks.len())
            .filter(with_classes)
            .filter_map(|task| Some((key(Scope::Head, Some(task), "class_given_leaf"), of(task)?)))
            .collect()
    }
}

impl Classes {
    fn of(spec: &TaskSpec, answers: &[&Answer]) -> Classes {
        let classes = classes(spec);
        let mut counts = vec![0_u64; classes];
        answers.iter().for_each(|answer| counts[class_of(answer, classes)] += 1);
        let mut order: Vec<usize> = (0..classes).filter(|c| counts[*c] > 0).collect();
        order.sort_by_key(|c| (std::cmp::Reverse(counts[*c]), *c));
        order.truncate(MOST_CLASSES);
        let mut columns = vec![order.len() as u8; classes];
        order.iter().enumerate().for_each(|(column, class)| columns[*class] = column as u8);
        let name = |class: &usize| spec.class_name(*class).to_owned();
        let names = order.iter().map(name).chain(["another".to_owned()]).collect();
        Classes { classes, columns, names }
    }
}

impl Columns for Classes {
    fn count(&self) -> usize {
        self.names.len()
    }

    fn of(&self, answer: &Answer) -> Option<usize> {
        Some(usize::from(self.columns[class_of(answer, self.classes)]))
    }

    fn name(&self, column: usize, _task: Option<&TaskSpec>) -> String {
        self.names[column].clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::signal::Signal;
    use crate::stats::leaf_tree::LeafTree;

    #[test]
    fn the_stored_form_is_that_of_earlier_versions() {
        let tree = LeafTree::fit(&vec![vec![1.0, 2.0]; 9], 2).expect("has points");
        let names = vec!["a".to_owned(), "another".to_owned()];
        let before = postcard::to_stdvec(&(3_usize, &tree, 2_usize, vec![0_u8, 1], &names)).expect("encodes");
        let read: ClassGivenLeaf = postcard::from_bytes(&before).expect("decodes");
        assert_eq!(postcard::to_stdvec(&read).expect("encodes"), before);
        assert_eq!(read.width(), 4 * 2);
    }
}
