//! Labels of a token head by record: how many records hold each label at all. Per token, one long
//! text can move the shares; per record it cannot.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::answer::Answer;
use crate::drift::observation::Observation;
use crate::drift::task::{TaskKind, TaskSpec};

/// Counts of records that hold a label: the classes, and `other`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenLabels {
    task: usize,
    classes: usize,
}

impl Fit for TokenLabels {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let tasks = sample.spec.tasks.iter().enumerate();
        tasks
            .filter(|(i, task)| task.kind == TaskKind::TokenLabels && sample.answered(*i))
            .map(|(i, task)| {
                let signal = TokenLabels { task: i, classes: task.classes.len() };
                (key(Scope::Head, Some(i), "labels_by_record"), signal)
            })
            .collect()
    }
}

impl Signal for TokenLabels {
    fn width(&self) -> usize {
        self.classes + 1
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(Some(Answer::Tokens { labels, .. })) = observation.answers.get(self.task) {
            let mut seen: Vec<usize> = labels.iter().map(|label| (*label as usize).min(self.classes)).collect();
            seen.sort_unstable();
            seen.dedup();
            seen.into_iter().for_each(|label| cells[label] += 1);
        }
    }

    fn cell_name(&self, cell: usize, task: Option<&TaskSpec>) -> String {
        task.map_or_else(|| format!("class {cell}"), |task| task.class_name(cell).to_owned())
    }
}
