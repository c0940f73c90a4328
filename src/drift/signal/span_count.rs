//! Spans that a token head marks in a record, and how long they are: runs of labels other than the one
//! that most tokens have.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::answer::Answer;
use crate::drift::observation::Observation;
use crate::drift::task::{TaskKind, TaskSpec};

/// Numbers told apart; as many or more share the last cell.
const MOST: usize = 6;

/// Counts of records by their spans, or of spans by their length in tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SpanCount {
    task: usize,
    /// The label of tokens outside any span.
    outside: u32,
    lengths: bool,
}

impl Fit for SpanCount {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let tasks = sample.spec.tasks.iter().enumerate();
        tasks
            .filter(|(i, task)| task.kind == TaskKind::TokenLabels && sample.answered(*i))
            .flat_map(|(i, task)| {
                let outside = outside(sample, i, task.classes.len());
                [("span_count", false), ("span_length", true)]
                    .map(|(name, lengths)| (key(Scope::Head, Some(i), name), SpanCount { task: i, outside, lengths }))
            })
            .collect()
    }
}

/// The most frequent label: `O` wherever there is one.
pub(super) fn outside(sample: &Sample, task: usize, classes: usize) -> u32 {
    let mut counts = vec![0_u64; classes + 1];
    for answer in sample.answers(task) {
        if let Answer::Tokens { labels, .. } = answer {
            labels.iter().for_each(|label| counts[(*label as usize).min(classes)] += 1);
        }
    }
    counts.iter().enumerate().max_by_key(|(i, n)| (**n, usize::MAX - i)).map_or(0, |(i, _)| i as u32)
}

impl Signal for SpanCount {
    fn width(&self) -> usize {
        MOST + 1
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        let Some(Some(Answer::Tokens { labels, .. })) = observation.answers.get(self.task) else { return };
        let spans = labels.split(|label| *label == self.outside).filter(|run| !run.is_empty());
        if self.lengths {
            spans.for_each(|run| cells[run.len().min(MOST)] += 1);
        } else {
            cells[spans.count().min(MOST)] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        let (one, many) = if self.lengths { ("token", "tokens") } else { ("span", "spans") };
        match cell {
            1 => format!("1 {one}"),
            MOST => format!("{MOST} {many} or more"),
            _ => format!("{cell} {many}"),
        }
    }
}
