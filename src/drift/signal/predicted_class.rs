//! What a head answers: counts of predicted classes. Multi-label heads count every label given and
//! the empty set; token heads count the label of every token. A class the manifest does not know
//! has the cell `other`.

use serde::{Deserialize, Serialize};

use super::{Fit, MANY_KINDS, Sample, Scope, Signal, SignalKey, key};
use crate::drift::answer::Answer;
use crate::drift::observation::{Observation, ValueOf};
use crate::drift::task::{TaskKind, TaskSpec};

/// Counts by class of one head: its classes, `other`, and for multi-label heads `none`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedClass {
    task: usize,
    classes: usize,
    has_none: bool,
}

impl Fit for PredictedClass {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let tasks = sample.spec.tasks.iter().enumerate();
        tasks
            .filter(|(i, task)| task.kind.has_classes() && sample.answered(*i))
            .map(|(i, task)| {
                let has_none = task.kind == TaskKind::Multilabel;
                let signal = PredictedClass { task: i, classes: task.classes.len(), has_none };
                (key(Scope::Head, Some(i), "predicted_class"), signal)
            })
            .collect()
    }
}

impl Signal for PredictedClass {
    fn width(&self) -> usize {
        self.classes + 1 + usize::from(self.has_none)
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        let mut count = |class: u32| cells[(class as usize).min(self.classes)] += 1;
        match observation.answers.get(self.task).and_then(Option::as_ref) {
            Some(Answer::Class { class, .. }) => count(*class),
            Some(Answer::Labels { labels, .. }) if labels.is_empty() && self.has_none => cells[self.classes + 1] += 1,
            Some(Answer::Labels { labels, .. } | Answer::Tokens { labels, .. }) => {
                labels.iter().for_each(|label| count(*label));
            }
            Some(Answer::Value(_)) | None => {}
        }
    }

    fn cell_name(&self, cell: usize, task: Option<&TaskSpec>) -> String {
        if cell > self.classes {
            return "none".to_owned();
        }
        task.map_or_else(|| format!("class {cell}"), |task| task.class_name(cell).to_owned())
    }

    fn open_cell(&self) -> Option<usize> {
        Some(self.classes)
    }

    fn name_unlisted(&self, observation: &Observation, found: &mut dyn FnMut(&str)) {
        observation.unlisted_of(ValueOf::Head(self.task)).for_each(found);
    }

    fn counts_kinds(&self) -> bool {
        self.classes >= MANY_KINDS
    }

    fn per_segment(&self) -> bool {
        true
    }
}
