//! The distribution in the encoder's space given a head's answer: means of random Fourier features of
//! each record's coordinates less the mean of its predicted class. The squared distance of two such
//! means is a maximum mean discrepancy; it sees a new cluster that leaves the mean where it was.
//!
//! Cells: records, then one fixed-point sum a feature.

use serde::{Deserialize, Serialize};

use super::given_class::{MeansByClass, class_of, classes};
use super::{Effect, Fit, HeldOut, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::task::{TaskKind, TaskSpec};
use crate::stats::fixed::{add, mean_difference};
use crate::stats::hypothesis::{Allowance, TestResult, mean_shift};
use crate::stats::quadratic::QuadraticLaw;
use crate::stats::random_features::cosines;

/// Sums of features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeaturesGivenClass {
    task: usize,
    classes: usize,
    /// Projections of the class means.
    means: MeansByClass,
    phases: Vec<f32>,
    /// One over the kernel's bandwidth, in units of the principal coordinates.
    scale: f32,
    law: QuadraticLaw,
}

impl Fit for FeaturesGivenClass {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let Some(geometry) = sample.geometry else { return Vec::new() };
        let axes = geometry.principal.axes();
        let projection = &geometry.projection;
        let fit = |task: usize| {
            let coordinates = |i: usize| Some(sample.observations[i].place.located()?.coordinates.clone());
            let of_coordinates = MeansByClass::fit(sample, task, axes, coordinates)?;
            let classes = classes(&sample.spec.tasks[task]);
            let mut signal = FeaturesGivenClass {
                task,
                classes,
                means: of_coordinates.map(projection.features(), |mean| projection.project(mean)),
                phases: projection.phases().to_vec(),
                scale: 1.0,
                law: QuadraticLaw::white(1),
            };
            let residual = |i: usize| -> Option<Vec<f32>> {
                let answer = sample.observations[i].answers.get(task)?.as_ref()?;
                let mean = of_coordinates.mean_without(class_of(answer, classes), sample.folds[i]);
                Some(coordinates(i)?.iter().zip(mean).map(|(z, m)| z - m).collect())
            };
            let residuals: Vec<Vec<f32>> = (0..sample.observations.len()).filter_map(residual).collect();
            signal.scale = 1.0 / median_distance(&residuals)?;
            const MOST: usize = 4_000;
            let every = sample.observations.len().div_ceil(MOST);
            let chosen = sample.observations.iter().zip(sample.folds).step_by(every);
            let features: Vec<Vec<f32>> = chosen.filter_map(|(o, fold)| signal.features(o, Some(*fold))).collect();
            signal.law = QuadraticLaw::fit(&features)?;
            Some((key(Scope::Head, Some(task), "features_given_class"), signal))
        };
        let conditioned =
            |task: &usize| !matches!(sample.spec.tasks[*task].kind, TaskKind::TokenLabels | TaskKind::Regression);
        (0..sample.spec.tasks.len()).filter(conditioned).filter_map(fit).collect()
    }
}

/// The median distance of pairs of points: the usual bandwidth. `None` without two different ones.
fn median_distance(points: &[Vec<f32>]) -> Option<f32> {
    let half = points.len() / 2;
    let pairs = points[..half].iter().zip(&points[half..]);
    let distance = |(a, b): (&Vec<f32>, &Vec<f32>)| a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum::<f32>().sqrt();
    let mut distances: Vec<f32> = pairs.map(distance).collect();
    distances.sort_by(f32::total_cmp);
    distances.get(distances.len() / 2).copied().filter(|d| *d > 0.0)
}

impl FeaturesGivenClass {
    fn features(&self, observation: &Observation, fold: Option<usize>) -> Option<Vec<f32>> {
        let located = observation.place.located()?;
        let class = class_of(observation.answers.get(self.task)?.as_ref()?, self.classes);
        let mean = fold.map_or_else(|| self.means.mean(class), |fold| self.means.mean_without(class, fold));
        Some(cosines(&located.projections, mean, &self.phases, self.scale))
    }
}

impl Signal for FeaturesGivenClass {
    fn width(&self) -> usize {
        1 + self.phases.len()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(features) = self.features(observation, None) {
            cells[0] += 1;
            add(&mut cells[1..], &features);
        }
    }

    fn fold_held_out(&self, observation: &Observation, held: HeldOut, cells: &mut [i64]) {
        if let Some(features) = self.features(observation, Some(held.fold)) {
            cells[0] += 1;
            add(&mut cells[1..], &features);
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        if cell == 0 { "records".to_owned() } else { format!("random feature {cell}") }
    }

    fn n(&self, cells: &[i64]) -> i64 {
        cells[0]
    }

    fn test(&self, current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
        let shift = self.shift(current, reference)?;
        mean_shift(&shift, current[0] as f64, &self.law, allowance)
    }

    fn effect(&self, current: &[i64], reference: &[f64]) -> Option<Effect> {
        let shift = self.shift(current, reference)?;
        let squared = 2.0 / shift.len() as f64 * shift.iter().map(|s| s * s).sum::<f64>();
        Some(Effect::MeanDiscrepancy(squared.sqrt()))
    }

    fn deviation(&self, current: &[i64], reference: &[f64]) -> Vec<f64> {
        let noise = (current[0] as f64 * self.phases.len() as f64 / self.law.mean()).sqrt();
        self.shift(current, reference).map_or_else(Vec::new, |s| s.into_iter().map(|s| s * noise).collect())
    }

    fn counts(&self) -> bool {
        false
    }

    fn shift(&self, current: &[i64], reference: &[f64]) -> Option<Vec<f64>> {
        mean_difference(&current[1..], current[0] as f64, &reference[1..], reference[0])
    }
}
