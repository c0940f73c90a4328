//! Mean of what the principal axes do not explain of the embeddings: a small shift along directions in
//! which the reference hardly varies, such as another build of the encoder makes, shows there first.
//!
//! Cells: records with a place, then one fixed-point sum a dimension of the centred embedding. The axes
//! are taken off the difference of two means, not off each record.

use serde::{Deserialize, Serialize};

use super::{Effect, Fit, LEAST_UNEXPLAINED, Sample, Scope, Signal, SignalKey, key};
use crate::drift::geometry::Located;
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::fixed::{add, mean_difference};
use crate::stats::hypothesis::{Allowance, TestResult, mean_shift};
use crate::stats::principal::Principal;
use crate::stats::quadratic::QuadraticLaw;

/// Sums of centred embeddings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderResidualMean {
    principal: Principal,
    /// One over the typical size of an unexplained entry.
    scale: f32,
    law: QuadraticLaw,
}

impl Fit for EncoderResidualMean {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let Some(geometry) = sample.geometry else { return Vec::new() };
        if geometry.principal.explained() > 1.0 - LEAST_UNEXPLAINED {
            return Vec::new();
        }
        let unexplained =
            |o: &Observation| Some(geometry.principal.unexplained(&within_reach(o.place.located()?, 1.0)));
        let mut vectors: Vec<Vec<f32>> = sample.observations.iter().filter_map(unexplained).collect();
        let squares: f64 = vectors.iter().flatten().map(|v| f64::from(*v).powi(2)).sum();
        let entries = vectors.len() * geometry.principal.dimension();
        let size = (squares / entries.max(1) as f64).sqrt();
        if size.is_nan() || size <= 0.0 {
            return Vec::new();
        }
        let scale = (1.0 / size) as f32;
        vectors.iter_mut().flatten().for_each(|v| *v *= scale);
        let Some(law) = QuadraticLaw::fit(&vectors) else { return Vec::new() };
        let principal = geometry.principal.clone();
        vec![(key(Scope::Encoder, None, "encoder_residual_mean"), EncoderResidualMean { principal, scale, law })]
    }
}

/// A centred embedding so many times as long, what the axes do not explain of it being within the reference's reach.
fn within_reach(located: &Located, scale: f32) -> Vec<f32> {
    let share = scale * located.residual_share;
    located.centred.iter().map(|v| v * share).collect()
}

impl Signal for EncoderResidualMean {
    fn width(&self) -> usize {
        1 + self.principal.dimension()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(located) = observation.place.located() {
            cells[0] += 1;
            add(&mut cells[1..], &within_reach(located, self.scale));
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        if cell == 0 {
            "records with an embedding".to_owned()
        } else {
            format!("dimension {cell} beyond the principal axes")
        }
    }

    fn n(&self, cells: &[i64]) -> i64 {
        cells[0]
    }

    fn test(&self, current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
        mean_shift(&self.shift(current, reference)?, current[0] as f64, &self.law, allowance)
    }

    fn effect(&self, current: &[i64], reference: &[f64]) -> Option<Effect> {
        let squares = self.shift(current, reference)?.iter().map(|s| s * s).sum::<f64>();
        Some(Effect::Mahalanobis((squares * self.law.degrees_of_freedom() / self.law.mean()).sqrt()))
    }

    fn deviation(&self, current: &[i64], reference: &[f64]) -> Vec<f64> {
        let noise = (current[0] as f64 * self.principal.dimension() as f64 / self.law.mean()).sqrt();
        self.shift(current, reference).map_or_else(Vec::new, |s| s.into_iter().map(|s| s * noise).collect())
    }

    fn directions(&self, current: &[i64], reference: &[f64]) -> Vec<(usize, f64)> {
        self.deviation(current, reference).into_iter().enumerate().map(|(i, d)| (1 + i, d)).collect()
    }

    fn counts(&self) -> bool {
        false
    }

    fn shift(&self, current: &[i64], reference: &[f64]) -> Option<Vec<f64>> {
        let difference = mean_difference(&current[1..], current[0] as f64, &reference[1..], reference[0])?;
        let narrow: Vec<f32> = difference.into_iter().map(|d| d as f32).collect();
        Some(self.principal.unexplained(&narrow).into_iter().map(f64::from).collect())
    }
}
