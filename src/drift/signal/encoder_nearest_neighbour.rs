//! How far records lie from the nearest of the reference's in the encoder's space. What resembles nothing that is known
//! is new, wherever it lies.
//!
//! Cells: equal-mass bins of the cosine distance, finer in the tails, then one for unusable embeddings. Tested by the
//! mean of exponential scores, which a few far ones move most.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::geometry::Place;
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::hypothesis::{Allowance, TestResult};
use crate::stats::location::{Location, tail_location};

/// Counts of records by that distance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderNearestNeighbour {
    bins: Bins,
}

impl Fit for EncoderNearestNeighbour {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let nearest = |o: &Observation| Some(f64::from(o.place.located()?.nearest?));
        let distances: Vec<f64> = sample.observations.iter().filter_map(nearest).collect();
        if distances.is_empty() {
            return Vec::new();
        }
        let bins = Bins::between(&distances, &TAIL_QUANTILES);
        vec![(key(Scope::Encoder, None, "encoder_nearest_neighbour"), EncoderNearestNeighbour { bins })]
    }
}

impl Signal for EncoderNearestNeighbour {
    fn width(&self) -> usize {
        self.bins.cells()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        match &observation.place {
            Place::Absent => {}
            Place::Invalid => cells[self.bins.cell(f64::NAN)] += 1,
            Place::At(located) => cells[self.bins.cell(located.nearest.map_or(f64::NAN, f64::from))] += 1,
        }
    }

    /// What is far is far on one side.
    fn tests(&self) -> (bool, bool) {
        (false, true)
    }

    fn test(&self, _current: &[i64], _reference: &[f64], _allowance: Allowance) -> Option<TestResult> {
        None
    }

    fn location(&self, current: &[i64], reference: &[f64]) -> Option<Location> {
        let ordered = self.bins.ordered();
        tail_location(&current[..ordered], &reference[..ordered])
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        self.bins.name(cell)
    }
}
