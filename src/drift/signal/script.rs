//! Writing systems of the inputs, with cells for empty texts and for texts without letters.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::drift::text::Script;

/// Counts of records by writing system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScriptClass;

impl Fit for ScriptClass {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let seen = sample.observations.iter().any(|o| o.text.is_some());
        if seen { vec![(key(Scope::Input, None, "script"), ScriptClass)] } else { Vec::new() }
    }
}

impl Signal for ScriptClass {
    fn width(&self) -> usize {
        Script::ALL.len()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(text) = &observation.text {
            cells[text.script as usize] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        Script::ALL[cell].name().to_owned()
    }
}
