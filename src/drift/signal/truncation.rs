//! Inputs that the model saw only the beginning of.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::inference::Cut;
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;

/// Counts of whole and of truncated inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Truncation;

impl Fit for Truncation {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let seen = sample.cut() == Cut::Tokens && sample.observations.iter().any(|o| o.input.is_some());
        if seen { vec![(key(Scope::Input, None, "truncation"), Truncation)] } else { Vec::new() }
    }
}

impl Signal for Truncation {
    fn width(&self) -> usize {
        2
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(input) = &observation.input {
            cells[usize::from(input.truncated)] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        if cell == 0 { "whole".to_owned() } else { "truncated".to_owned() }
    }
}
