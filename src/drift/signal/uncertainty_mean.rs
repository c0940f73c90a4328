//! How unsure a head is on average given its answer: one number, tested with its skewness. A small
//! share of records the head knows nothing about moves it before it moves the bins.
//!
//! Cells: records, and the fixed-point sum of residuals in standard deviations, clipped at the extremes
//! of the reference.

use serde::{Deserialize, Serialize};

use super::uncertainty_given_class::{Quantity, Residual, Seen};
use super::{Effect, Fit, HeldOut, Measure, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::segment::Segment;
use crate::drift::task::TaskSpec;
use crate::stats::fixed::{add, mean_difference};
use crate::stats::hypothesis::{Allowance, TestResult};
use crate::stats::location::Location;

/// Residuals beyond these quantiles of the reference count as these.
const CLIP: [f64; 2] = [0.005, 0.995];

/// Sum of residuals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UncertaintyMean {
    residual: Residual,
    clip: [f64; 2],
    deviation: f64,
    skewness: f64,
}

impl Fit for UncertaintyMean {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let fit = |(task, quantity): (usize, Quantity)| {
            let (residual, mut residuals) = Residual::fit(sample, task, quantity)?;
            residuals.retain(|r| r.is_finite());
            residuals.sort_by(f64::total_cmp);
            let last = residuals.len().checked_sub(1)?;
            let clip = CLIP.map(|q| residuals[(q * last as f64).round() as usize]);
            let (deviation, skewness) = shape(&residuals.iter().map(|r| r.clamp(clip[0], clip[1])))?;
            let name = format!("{}_mean_given_class", quantity.name());
            Some((key(Scope::Head, Some(task), &name), UncertaintyMean { residual, clip, deviation, skewness }))
        };
        let tasks = 0..sample.spec.tasks.len();
        tasks
            .flat_map(|task| Quantity::given(sample, task).into_iter().map(move |q| (task, q)))
            .filter_map(fit)
            .collect()
    }
}

/// Standard deviation and skewness; `None` without variance.
fn shape(values: &(impl Iterator<Item = f64> + Clone)) -> Option<(f64, f64)> {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let moment = |k: i32| values.clone().map(|v| (v - mean).powi(k)).sum::<f64>() / n;
    let deviation = moment(2).sqrt();
    (deviation > 0.0).then(|| (deviation, moment(3) / deviation.powi(3)))
}

impl UncertaintyMean {
    fn add(&self, residual: Option<f64>, cells: &mut [i64]) {
        if let Some(residual) = residual.filter(|r| r.is_finite()) {
            cells[0] += 1;
            let standardized = residual.clamp(self.clip[0], self.clip[1]) / self.deviation;
            add(&mut cells[1..], &[standardized as f32]);
        }
    }

    fn moved(&self, current: &[i64], reference: &[f64]) -> Option<f64> {
        self.shift(current, reference)?.first().copied()
    }
}

impl Signal for UncertaintyMean {
    fn width(&self) -> usize {
        2
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        self.add(self.residual.of(observation, Seen::Later), cells);
    }

    fn fold_held_out(&self, observation: &Observation, held: HeldOut, cells: &mut [i64]) {
        self.add(self.residual.of(observation, Seen::in_reference(held)), cells);
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        if cell == 0 { "records".to_owned() } else { "sum of residuals".to_owned() }
    }

    fn n(&self, cells: &[i64]) -> i64 {
        cells[0]
    }

    /// A mean has no fit beside its location.
    fn tests(&self) -> (bool, bool) {
        (false, true)
    }

    fn test(&self, _current: &[i64], _reference: &[f64], _allowance: Allowance) -> Option<TestResult> {
        None
    }

    fn location(&self, current: &[i64], reference: &[f64]) -> Option<Location> {
        Some(Location { shift: self.moved(current, reference)?, skewness: self.skewness, ln_alike: f64::NEG_INFINITY })
    }

    fn effect(&self, current: &[i64], reference: &[f64]) -> Option<Effect> {
        self.moved(current, reference).map(Effect::StandardizedMean)
    }

    fn counts(&self) -> bool {
        false
    }

    fn shift(&self, current: &[i64], reference: &[f64]) -> Option<Vec<f64>> {
        mean_difference(&current[1..], current[0] as f64, &reference[1..], reference[0])
    }

    fn per_segment(&self) -> bool {
        true
    }

    fn in_segment(&self, sample: &Sample, segment: Segment) -> Option<Measure> {
        let of = |(o, _): (&Observation, usize)| self.residual.of(o, Seen::InSample).filter(|r| r.is_finite());
        let residuals: Vec<f64> = sample.within(Some(segment)).filter_map(of).collect();
        let (deviation, skewness) = shape(&residuals.iter().map(|r| r.clamp(self.clip[0], self.clip[1])))?;
        Some(Measure::UncertaintyMean(UncertaintyMean { deviation, skewness, ..self.clone() }))
    }
}
