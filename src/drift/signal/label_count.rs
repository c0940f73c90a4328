//! How many labels a multi-label head gives a record.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::answer::Answer;
use crate::drift::observation::Observation;
use crate::drift::task::{TaskKind, TaskSpec};

/// Numbers told apart; as many or more share the last cell.
const MOST: usize = 8;

/// Counts of records by the size of one head's label set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelCount {
    task: usize,
}

impl Fit for LabelCount {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let tasks = sample.spec.tasks.iter().enumerate();
        tasks
            .filter(|(i, task)| task.kind == TaskKind::Multilabel && sample.answered(*i))
            .map(|(task, _)| (key(Scope::Head, Some(task), "label_count"), LabelCount { task }))
            .collect()
    }
}

impl Signal for LabelCount {
    fn width(&self) -> usize {
        MOST + 1
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(Some(Answer::Labels { labels, .. })) = observation.answers.get(self.task) {
            cells[labels.len().min(MOST)] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        match cell {
            1 => "1 label".to_owned(),
            MOST => format!("{MOST} labels or more"),
            _ => format!("{cell} labels"),
        }
    }
}
