//! Mean place of a window in the encoder's space: fixed-point sums of whitened principal
//! coordinates, tested by T².
//!
//! Cells: records with a place, records whose embedding is not usable, then one sum a coordinate.

use serde::{Deserialize, Serialize};

use super::{Effect, Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::{Observation, Place};
use crate::drift::task::TaskSpec;
use crate::stats::fixed::{from_fixed, to_fixed};
use crate::stats::hypothesis::{Allowance, TestResult, mean_shift};

const PLACED: usize = 0;
const INVALID: usize = 1;
const SUMS: usize = 2;

/// Sums of principal coordinates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderMean {
    axes: usize,
}

impl Fit for EncoderMean {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        sample
            .geometry
            .map(|geometry| (key(Scope::Encoder, None, "encoder_mean"), EncoderMean { axes: geometry.axes() }))
            .into_iter()
            .collect()
    }
}

impl EncoderMean {
    /// Means of whitened coordinates; the reference's own means are subtracted, since its axes are
    /// single-precision and leave a rounding of their own.
    fn shift(&self, current: &[i64], reference: &[i64]) -> Option<Vec<f64>> {
        let (n, total) = (current[PLACED], reference[PLACED]);
        if n == 0 || total == 0 {
            return None;
        }
        let mean = |cells: &[i64], n: i64, j: usize| from_fixed(cells[SUMS + j]) / n as f64;
        Some((0..self.axes).map(|j| mean(current, n, j) - mean(reference, total, j)).collect())
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
            Place::At(coordinates) => {
                cells[PLACED] += 1;
                for (cell, coordinate) in cells[SUMS..].iter_mut().zip(coordinates) {
                    *cell = cell.saturating_add(to_fixed(f64::from(*coordinate)).unwrap_or(0));
                }
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

    fn test(&self, current: &[i64], reference: &[i64], allowance: Allowance) -> Option<TestResult> {
        mean_shift(&self.shift(current, reference)?, current[PLACED] as f64, allowance)
    }

    fn effect(&self, current: &[i64], reference: &[i64]) -> Option<Effect> {
        let shift = self.shift(current, reference)?;
        Some(Effect::Mahalanobis(shift.iter().map(|s| s * s).sum::<f64>().sqrt()))
    }

    fn counts(&self) -> bool {
        false
    }
}
