//! Mean place in the encoder's space given a head's answer: the sum of each record's coordinates less
//! the mean of its predicted class. Quiet when only the mix of classes moves; it finds new content.
//!
//! Cells: records, then one fixed-point sum a coordinate.

use serde::{Deserialize, Serialize};

use super::given_class::{MeansByClass, class_of, classes};
use super::{Effect, Fit, HeldOut, Measure, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::segment::Segment;
use crate::drift::task::{TaskKind, TaskSpec};
use crate::stats::fixed::{add, mean_difference};
use crate::stats::hypothesis::{Allowance, TestResult, mean_shift};
use crate::stats::quadratic::QuadraticLaw;
use crate::stats::whitening::Whitening;

/// Sums of residuals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MeanGivenClass {
    task: usize,
    classes: usize,
    means: MeansByClass,
    whitening: Whitening,
    law: QuadraticLaw,
}

impl Fit for MeanGivenClass {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let Some(geometry) = sample.geometry else { return Vec::new() };
        let axes = geometry.principal.axes();
        let fit = |task: usize| {
            let coordinates = |i: usize| Some(sample.observations[i].place.located()?.coordinates.clone());
            let means = MeansByClass::fit(sample, task, axes, coordinates)?;
            let mut signal = MeanGivenClass {
                task,
                classes: classes(&sample.spec.tasks[task]),
                means,
                whitening: Whitening::none(axes),
                law: QuadraticLaw::white(axes),
            };
            let residuals = signal.residuals(sample, None);
            signal.whitening = Whitening::fit(&residuals)?;
            signal.law = signal.law_of(&residuals)?;
            Some((key(Scope::Head, Some(task), "mean_given_class"), signal))
        };
        // Heads without a class of their own would all repeat the encoder's mean.
        let conditioned =
            |task: &usize| !matches!(sample.spec.tasks[*task].kind, TaskKind::TokenLabels | TaskKind::Regression);
        (0..sample.spec.tasks.len()).filter(conditioned).filter_map(fit).collect()
    }
}

impl MeanGivenClass {
    fn residual<'a>(&'a self, observation: &'a Observation, fold: Option<usize>) -> Option<impl Iterator<Item = f32>> {
        let located = observation.place.located()?;
        let class = class_of(observation.answers.get(self.task)?.as_ref()?, self.classes);
        let mean = fold.map_or_else(|| self.means.mean(class), |fold| self.means.mean_without(class, fold));
        Some(located.coordinates.iter().zip(mean).map(|(z, m)| z - m))
    }

    fn add(&self, observation: &Observation, cells: &mut [i64], fold: Option<usize>) {
        if let Some(residual) = self.residual(observation, fold) {
            cells[0] += 1;
            add(&mut cells[1..], &residual.collect::<Vec<f32>>());
        }
    }

    /// Residuals of a segment's observations, or of all.
    fn residuals(&self, sample: &Sample, segment: Option<Segment>) -> Vec<Vec<f32>> {
        sample.within(segment).filter_map(|(o, fold)| Some(self.residual(o, Some(fold))?.collect())).collect()
    }

    fn law_of(&self, residuals: &[Vec<f32>]) -> Option<QuadraticLaw> {
        let white = |row: &Vec<f32>| {
            let wide: Vec<f64> = row.iter().map(|v| f64::from(*v)).collect();
            self.whitening.apply(&wide).into_iter().map(|v| v as f32).collect()
        };
        QuadraticLaw::fit(&residuals.iter().map(white).collect::<Vec<Vec<f32>>>())
    }
}

impl Signal for MeanGivenClass {
    fn width(&self) -> usize {
        1 + self.whitening.dimension()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        self.add(observation, cells, None);
    }

    fn fold_held_out(&self, observation: &Observation, held: HeldOut, cells: &mut [i64]) {
        self.add(observation, cells, Some(held.fold));
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        if cell == 0 { "records".to_owned() } else { format!("principal coordinate {cell} given the class") }
    }

    fn n(&self, cells: &[i64]) -> i64 {
        cells[0]
    }

    fn test(&self, current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
        mean_shift(&self.shift(current, reference)?, current[0] as f64, &self.law, allowance)
    }

    fn effect(&self, current: &[i64], reference: &[f64]) -> Option<Effect> {
        Some(Effect::Mahalanobis(self.shift(current, reference)?.iter().map(|s| s * s).sum::<f64>().sqrt()))
    }

    fn deviation(&self, current: &[i64], reference: &[f64]) -> Vec<f64> {
        let noise = (current[0] as f64).sqrt();
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
        Some(self.whitening.apply(&difference))
    }

    fn per_segment(&self) -> bool {
        true
    }

    fn in_segment(&self, sample: &Sample, segment: Segment) -> Option<Measure> {
        let law = self.law_of(&self.residuals(sample, Some(segment)))?;
        Some(Measure::MeanGivenClass(MeanGivenClass { law, ..self.clone() }))
    }
}
