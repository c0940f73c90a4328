//! Share of unknown tokens in each input. The cells are fixed, not learned: a reference without any
//! unknown token must still tell one from many.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::inference::Cut;
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;

/// Upper bounds of the cells' shares; above the last there is one more cell.
const BOUNDS: [f64; 4] = [0.0, 0.1, 0.25, 0.5];

/// Counts of records by their share of unknown tokens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnknownRate;

impl Fit for UnknownRate {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let seen = sample.cut() == Cut::Tokens && sample.observations.iter().any(|o| o.input.is_some());
        if seen { vec![(key(Scope::Input, None, "unknown_rate"), UnknownRate)] } else { Vec::new() }
    }
}

impl Signal for UnknownRate {
    fn width(&self) -> usize {
        BOUNDS.len() + 1
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(input) = &observation.input {
            let share = f64::from(input.unknown) / f64::from(input.tokens.max(1));
            cells[BOUNDS.partition_point(|bound| *bound < share)] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        match (cell, BOUNDS.get(cell)) {
            (0, _) => "no unknown token".to_owned(),
            (_, Some(bound)) => format!("≤ {:.0} % unknown", bound * 100.0),
            (_, None) => format!("> {:.0} % unknown", BOUNDS[BOUNDS.len() - 1] * 100.0),
        }
    }
}
