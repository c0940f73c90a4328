//! What the signals that condition on a head's answer share: which class an answer belongs to, and
//! the means of something by class.
//!
//! Pooled over classes, what the encoder sees and how sure a head is mostly show how the mix of classes
//! moves; less the mean of the predicted class, they stay quiet then and find new content.

use serde::{Deserialize, Serialize};

use super::{FOLDS, Sample};
use crate::drift::answer::Answer;
use crate::drift::task::{TaskKind, TaskSpec};

/// Means by class of a vector, over a whole sample and, while a reference is fitted, over the sample
/// without each of its folds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct MeansByClass {
    dimension: usize,
    /// Row-major [classes, dimension].
    means: Vec<f32>,
    #[serde(skip)]
    held_out: Vec<Vec<f32>>,
    /// Records that each class's mean rests on, those by which it is shrunk among them; while a reference is fitted.
    #[serde(skip)]
    records: Vec<f64>,
}

/// A class's mean over so many records hangs on no single one of them. What values then move by when their own
/// record is left out changes their variance by half a hundredth, and would untie those that are equal.
const SETTLED: f64 = 200.0;

/// Number of classes that [`class_of`] tells apart for a task.
pub(super) fn classes(task: &TaskSpec) -> usize {
    match task.kind {
        TaskKind::Binary | TaskKind::Multiclass => task.classes.len() + 1,
        TaskKind::Multilabel => task.classes.len() + 3,
        TaskKind::TokenLabels | TaskKind::Regression => 1,
    }
}

/// The class an answer is conditioned on: the predicted one; for a set of labels its only one, or that
/// there are none or several. Kinds without such a class have one for all.
pub(super) fn class_of(answer: &Answer, classes: usize) -> usize {
    match answer {
        Answer::Class { class, .. } => (*class as usize).min(classes - 1),
        Answer::Labels { labels, .. } => match labels.as_slice() {
            [] => classes - 2,
            [label] => (*label as usize).min(classes - 3),
            _ => classes - 1,
        },
        Answer::Tokens { .. } | Answer::Value(_) => 0,
    }
}

impl MeansByClass {
    /// Means of the finite ones of what `value` gives for the observations that one task's head answered. A class's mean
    /// is shrunk towards the pooled one by as many records as its spread within classes outweighs that
    /// between them (empirical Bayes). `None` if there is no value.
    pub(super) fn fit(
        sample: &Sample,
        task: usize,
        dimension: usize,
        value: impl Fn(usize) -> Option<Vec<f32>>,
    ) -> Option<MeansByClass> {
        let classes = classes(&sample.spec.tasks[task]);
        let mut sums = vec![Sums::new(classes, dimension); FOLDS];
        let mut squares = 0.0;
        for (i, observation) in sample.observations.iter().enumerate() {
            let Some(answer) = observation.answers.get(task).and_then(Option::as_ref) else { continue };
            let Some(value) = value(i).filter(|v| v.iter().all(|v| v.is_finite())) else { continue };
            squares += value.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
            sums[sample.folds[i]].add(class_of(answer, classes), &value);
        }
        let mut all = Sums::new(classes, dimension);
        sums.iter().for_each(|fold| all.merge(fold, 1.0));
        let n: f64 = all.counts.iter().sum();
        if n < 2.0 {
            return None;
        }
        let prior = all.prior(squares, n);
        let held_out = sums.iter().map(|fold| {
            let mut rest = all.clone();
            rest.merge(fold, -1.0);
            rest.means(prior)
        });
        let held_out = held_out.collect();
        // Of a class that the sample does not hold no record has a part in its mean.
        let records = all.counts.iter().map(|count| if *count > 0.0 { count + prior } else { SETTLED }).collect();
        Some(MeansByClass { dimension, means: all.means(prior), held_out, records })
    }

    /// The mean of a class.
    pub(super) fn mean(&self, class: usize) -> &[f32] {
        &self.means[class * self.dimension..(class + 1) * self.dimension]
    }

    /// The mean of a class over the sample without a fold.
    pub(super) fn mean_without(&self, class: usize, fold: usize) -> &[f32] {
        let means = self.held_out.get(fold).unwrap_or(&self.means);
        &means[class * self.dimension..(class + 1) * self.dimension]
    }

    /// How many times as far a record of the sample lies from its class's mean as soon as it has no part in it:
    /// n / (n − 1), and 1 where the mean is settled.
    pub(super) fn without_itself(&self, class: usize) -> f64 {
        let records = self.records.get(class).copied().unwrap_or(SETTLED);
        if records < SETTLED { records / (records - 1.0) } else { 1.0 }
    }

    /// The same means after a linear map of each.
    pub(super) fn map(&self, dimension: usize, map: impl Fn(&[f32]) -> Vec<f32>) -> MeansByClass {
        let apply = |means: &Vec<f32>| means.chunks_exact(self.dimension).flat_map(&map).collect();
        let held_out = self.held_out.iter().map(apply).collect();
        MeansByClass { dimension, means: apply(&self.means), held_out, records: self.records.clone() }
    }
}

#[derive(Clone)]
struct Sums {
    dimension: usize,
    counts: Vec<f64>,
    sums: Vec<f64>,
}

impl Sums {
    fn new(classes: usize, dimension: usize) -> Sums {
        Sums { dimension, counts: vec![0.0; classes], sums: vec![0.0; classes * dimension] }
    }

    fn add(&mut self, class: usize, value: &[f32]) {
        self.counts[class] += 1.0;
        let own = &mut self.sums[class * self.dimension..(class + 1) * self.dimension];
        own.iter_mut().zip(value).for_each(|(sum, v)| *sum += f64::from(*v));
    }

    fn merge(&mut self, other: &Sums, sign: f64) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += sign * b);
        self.sums.iter_mut().zip(&other.sums).for_each(|(a, b)| *a += sign * b);
    }

    fn pooled(&self) -> Vec<f64> {
        let n = self.counts.iter().sum::<f64>().max(1.0);
        let mut mean = vec![0.0; self.dimension];
        for row in self.sums.chunks_exact(self.dimension) {
            mean.iter_mut().zip(row).for_each(|(m, s)| *m += s / n);
        }
        mean
    }

    /// Records that the pooled mean weighs against a class's own.
    fn prior(&self, squares: f64, n: f64) -> f64 {
        let length = |row: &[f64]| row.iter().map(|x| x * x).sum::<f64>();
        let used = self.counts.iter().filter(|c| **c > 0.0).count() as f64;
        let rows = self.sums.chunks_exact(self.dimension).zip(&self.counts).filter(|(_, c)| **c > 0.0);
        let of_means: f64 = rows.map(|(row, c)| length(row) / c).sum();
        let within = ((squares - of_means) / (n - used).max(1.0)).max(0.0);
        let between = (of_means - n * length(&self.pooled()) - (used - 1.0) * within) / n;
        (within / between.max(1e-12)).clamp(0.1, 100.0)
    }

    fn means(&self, prior: f64) -> Vec<f32> {
        let pooled = self.pooled();
        let rows = self.sums.chunks_exact(self.dimension).zip(&self.counts);
        rows.flat_map(|(row, c)| row.iter().zip(&pooled).map(move |(s, m)| ((s + prior * m) / (c + prior)) as f32))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::answer::{Confidence, Uncertainty};
    use crate::drift::geometry::Place;
    use crate::drift::observation::Observation;
    use crate::drift::task::ModelSpec;

    #[test]
    fn a_record_is_left_out_where_it_weighs_and_has_a_part() {
        let classes = vec!["few".into(), "many".into(), "none".into()];
        let task = TaskSpec { name: "t".into(), kind: TaskKind::Multiclass, classes, threshold: 0.5, temperature: 1.0 };
        let spec = ModelSpec {
            name: "m".into(),
            version: "1".into(),
            tasks: vec![task],
            embedding_dimension: None,
            attributes: Vec::new(),
            segments: None,
        };
        let observation = |i: u32| Observation {
            input: None,
            text: None,
            attributes: Vec::new(),
            segments: Vec::new(),
            place: Place::Absent,
            answers: vec![Some(Answer::Class {
                class: u32::from(i >= 10),
                confidence: Confidence::Absent,
                uncertainty: Uncertainty::default(),
            })],
            skew: None,
            unlisted: Vec::new(),
        };
        let observations: Vec<Observation> = (0..500).map(observation).collect();
        let folds: Vec<usize> = (0..500).map(|i| i % FOLDS).collect();
        let (segments, token) = (&[], &|_: u32| None);
        let sample =
            Sample { spec: &spec, observations: &observations, folds: &folds, geometry: None, segments, token };
        let value = |i: usize| Some(vec![(i % 7) as f32 + f32::from(u8::from(i < 10)) * 50.0]);
        let means = MeansByClass::fit(&sample, 0, 1, value).expect("has values");
        assert!((1.05..1.2).contains(&means.without_itself(0)), "n / (n - 1): {}", means.without_itself(0));
        assert_eq!([means.without_itself(1), means.without_itself(2)], [1.0, 1.0], "settled, and not of the sample");
    }
}
