//! How far production's numbers are from the exported model's: embeddings, and each head's confidence.
//! A change is told and is no alarm: another precision or batch size moves numbers and not answers.

use serde::{Deserialize, Serialize};

use super::answer_skew::skew_of;
use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;

/// Upper edges of the cells but the last.
const EDGES: [f32; 7] = [1e-5, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3];

/// Counts of records by distance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServedNumbers {
    /// The head whose confidence is compared; `None` for the embedding.
    task: Option<usize>,
}

impl Fit for ServedNumbers {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let all = std::iter::once(None).chain((0..sample.spec.tasks.len()).map(Some));
        let known = all.map(|task| ServedNumbers { task });
        let compared = known.filter(|s| sample.observations.iter().any(|o| s.distance(o).is_some()));
        let name = |task: Option<usize>| if task.is_some() { "served_confidence" } else { "served_embedding" };
        compared.map(|signal| (key(Scope::Skew, signal.task, name(signal.task)), signal)).collect()
    }
}

impl ServedNumbers {
    fn distance(&self, observation: &Observation) -> Option<f32> {
        match self.task {
            None => observation.skew.as_ref()?.embedding,
            Some(task) => skew_of(observation, task)?.confidence,
        }
    }
}

impl Signal for ServedNumbers {
    fn width(&self) -> usize {
        EDGES.len() + 1
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(distance) = self.distance(observation) {
            cells[EDGES.iter().position(|edge| distance < *edge).unwrap_or(EDGES.len())] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        EDGES.get(cell).map_or_else(|| format!("from {}", EDGES[EDGES.len() - 1]), |edge| format!("below {edge}"))
    }

    fn decides(&self) -> bool {
        false
    }
}
