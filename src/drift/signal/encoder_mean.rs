//! Mean place of a window in the encoder's space: fixed-point sums of whitened principal
//! coordinates, tested by T².
//!
//! Cells: records with a place, records whose embedding is not usable, then one sum a coordinate.

use serde::{Deserialize, Serialize};

use super::{Effect, Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::geometry::Place;
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::fixed::{add, mean_difference};
use crate::stats::hypothesis::{Allowance, TestResult, mean_shift};
use crate::stats::quadratic::QuadraticLaw;

const PLACED: usize = 0;
const INVALID: usize = 1;
const SUMS: usize = 2;

/// Sums of principal coordinates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderMean {
    axes: usize,
    law: QuadraticLaw,
}

impl Fit for EncoderMean {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let Some(geometry) = sample.geometry else { return Vec::new() };
        let coordinates = |o: &Observation| Some(o.place.located()?.coordinates.clone());
        let placed: Vec<Vec<f32>> = sample.observations.iter().filter_map(coordinates).collect();
        let Some(law) = QuadraticLaw::fit(&placed) else { return Vec::new() };
        vec![(key(Scope::Encoder, None, "encoder_mean"), EncoderMean { axes: geometry.principal.axes(), law })]
    }
}

impl Signal for EncoderMean {
    fn width(&self) -> usize {
        SUMS + self.axes
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        match &observation.place {
            Place::Absent => {}
            Place::Invalid => cells[INVALID] += 1,
            Place::At(located) => {
                cells[PLACED] += 1;
                add(&mut cells[SUMS..], &located.coordinates);
            }
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        match cell {
            PLACED => "records with an embedding".to_owned(),
            INVALID => "records with an unusable embedding".to_owned(),
            _ => format!("principal coordinate {}", cell - SUMS + 1),
        }
    }

    fn n(&self, cells: &[i64]) -> i64 {
        cells[PLACED]
    }

    fn test(&self, current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
        mean_shift(&self.shift(current, reference)?, current[PLACED] as f64, &self.law, allowance)
    }

    fn effect(&self, current: &[i64], reference: &[f64]) -> Option<Effect> {
        Some(Effect::Mahalanobis(self.shift(current, reference)?.iter().map(|s| s * s).sum::<f64>().sqrt()))
    }

    fn deviation(&self, current: &[i64], reference: &[f64]) -> Vec<f64> {
        let noise = (current[PLACED] as f64).sqrt();
        self.shift(current, reference).map_or_else(Vec::new, |s| s.into_iter().map(|s| s * noise).collect())
    }

    fn directions(&self, current: &[i64], reference: &[f64]) -> Vec<(usize, f64)> {
        self.deviation(current, reference).into_iter().enumerate().map(|(i, d)| (SUMS + i, d)).collect()
    }

    fn counts(&self) -> bool {
        false
    }

    /// Means of whitened coordinates; the reference's own means are subtracted, since its axes are
    /// single-precision and leave a rounding of their own.
    fn shift(&self, current: &[i64], reference: &[f64]) -> Option<Vec<f64>> {
        mean_difference(&current[SUMS..], current[PLACED] as f64, &reference[SUMS..], reference[PLACED])
    }
}
