//! How often production's answer is materially another one than the exported model's, by head.
//!
//! Judged from one side against a rate, not against the reference's shares: answers near a decision's
//! edge flip with batch and precision, and only a rate of them that would cost accuracy is worth a call.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::skew::AnswerSkew;
use crate::drift::task::TaskSpec;
use crate::stats::hypothesis::{Allowance, TestResult, rate_above};

/// Flips beyond the reference's own rate that are nobody's business.
pub const HARMLESS: f64 = 0.02;

/// Records that agree, and records that differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServedAnswer {
    task: usize,
}

/// The skew of one head's answers.
pub(super) fn skew_of(observation: &Observation, task: usize) -> Option<AnswerSkew> {
    observation.skew.as_ref()?.answers.get(task).copied().flatten()
}

impl Fit for ServedAnswer {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let compared = |task: &usize| sample.observations.iter().any(|o| skew_of(o, *task).is_some());
        let tasks = (0..sample.spec.tasks.len()).filter(compared);
        tasks.map(|task| (key(Scope::Skew, Some(task), "served_answer"), ServedAnswer { task })).collect()
    }
}

impl Signal for ServedAnswer {
    fn width(&self) -> usize {
        2
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(skew) = skew_of(observation, self.task) {
            cells[usize::from(skew.differs)] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        if cell == 0 { "as the exported model".to_owned() } else { "differs".to_owned() }
    }

    fn test(&self, current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
        rate_above(current[1], current[0] + current[1], reference[1], reference[0] + reference[1], HARMLESS, allowance)
    }
}
