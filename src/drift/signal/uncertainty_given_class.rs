//! How unsure a head is given its answer: the logarithms of entropy and of margin, and the energy, less
//! the reference mean of the predicted class, in equal-mass bins that are finer in the tails.

use serde::{Deserialize, Serialize};

use super::given_class::{MeansByClass, class_of, classes};
use super::{Fit, HeldOut, Sample, Scope, Signal, SignalKey, key};
use crate::drift::answer::{Answer, Confidence};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::location::{Location, ordered_location};

/// A measure of a head's uncertainty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quantity {
    /// Entropy of its distribution.
    Entropy,
    /// Likeliest less next class.
    Margin,
    /// Free energy of its logits.
    Energy,
    /// Probability of its answer, where the record carries no more than that.
    Confidence,
}

impl Quantity {
    pub(super) fn name(self) -> &'static str {
        match self {
            Quantity::Entropy => "entropy",
            Quantity::Margin => "margin",
            Quantity::Energy => "energy",
            Quantity::Confidence => "confidence",
        }
    }

    /// Its value on an answer, on a scale where a sure head's small doubts spread as widely as large
    /// ones: logarithms, but for the energy, which is one.
    pub(super) fn of(self, answer: &Answer) -> Option<f32> {
        const LEAST: f32 = 1e-4;
        let uncertainty = answer.uncertainty();
        match self {
            Quantity::Entropy => uncertainty.entropy.map(|h| (h + LEAST).ln()),
            Quantity::Margin => uncertainty.margin.map(|m| -(1.0 - m + LEAST).ln()),
            Quantity::Energy => uncertainty.energy,
            Quantity::Confidence => match answer.confidence() {
                Confidence::Known(probability) => Some(-(1.0 - probability + LEAST).ln()),
                Confidence::Absent | Confidence::Invalid => None,
            },
        }
    }

    /// What a head's answers give: all but confidence where there is entropy, else confidence.
    pub(super) fn given(sample: &Sample, task: usize) -> Vec<Quantity> {
        let has = |quantity: &Quantity| sample.answers(task).any(|a| quantity.of(a).is_some());
        let full: Vec<Quantity> =
            [Quantity::Entropy, Quantity::Margin, Quantity::Energy].into_iter().filter(has).collect();
        if full.is_empty() { [Quantity::Confidence].into_iter().filter(has).collect() } else { full }
    }
}

/// Whether an observation is one that the means were learned from.
#[derive(Clone, Copy)]
pub(super) enum Seen {
    InSample,
    Later,
}

impl Seen {
    /// Of a record of the reference.
    pub(super) fn in_reference(held: HeldOut) -> Seen {
        if held.sampled { Seen::InSample } else { Seen::Later }
    }
}

/// Residuals of a quantity: less the mean of the answer's class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Residual {
    task: usize,
    classes: usize,
    quantity: Quantity,
    means: MeansByClass,
}

impl Residual {
    /// For one head, with the residuals of the sample.
    pub(super) fn fit(sample: &Sample, task: usize, quantity: Quantity) -> Option<(Residual, Vec<f64>)> {
        let value = |i: usize| Some(vec![quantity.of(sample.observations[i].answers.get(task)?.as_ref()?)?]);
        let means = MeansByClass::fit(sample, task, 1, value)?;
        let residual = Residual { task, classes: classes(&sample.spec.tasks[task]), quantity, means };
        let residuals = sample.observations.iter().filter_map(|o| residual.of(o, Seen::InSample)).collect();
        Some((residual, residuals))
    }

    /// The residual of one observation.
    ///
    /// Of the reference's own records only the record itself is left out of the mean, and not a fold of them: folds'
    /// means differ by far more, and heads' numbers crowd at rounded values and at the ends of their scales. A
    /// crowd that falls into one cell by one fold's mean and into the next by another's is later found in one.
    pub(super) fn of(&self, observation: &Observation, seen: Seen) -> Option<f64> {
        let answer = observation.answers.get(self.task)?.as_ref()?;
        let class = class_of(answer, self.classes);
        let residual = f64::from(self.quantity.of(answer)? - self.means.mean(class)[0]);
        Some(match seen {
            Seen::Later => residual,
            Seen::InSample => residual * self.means.without_itself(class),
        })
    }
}

/// Counts of records by the bin of a residual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UncertaintyGivenClass {
    residual: Residual,
    bins: Bins,
}

impl Fit for UncertaintyGivenClass {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let fit = |(task, quantity): (usize, Quantity)| {
            let (residual, _) = Residual::fit(sample, task, quantity)?;
            let whole: Vec<f64> = sample.observations.iter().filter_map(|o| residual.of(o, Seen::Later)).collect();
            let bins = Bins::between(&whole, &TAIL_QUANTILES);
            let name = format!("{}_given_class", quantity.name());
            Some((key(Scope::Head, Some(task), &name), UncertaintyGivenClass { residual, bins }))
        };
        let tasks = 0..sample.spec.tasks.len();
        tasks
            .flat_map(|task| Quantity::given(sample, task).into_iter().map(move |q| (task, q)))
            .filter_map(fit)
            .collect()
    }
}

impl Signal for UncertaintyGivenClass {
    fn width(&self) -> usize {
        self.bins.cells()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(residual) = self.residual.of(observation, Seen::Later) {
            cells[self.bins.cell(residual)] += 1;
        }
    }

    fn fold_held_out(&self, observation: &Observation, held: HeldOut, cells: &mut [i64]) {
        if let Some(residual) = self.residual.of(observation, Seen::in_reference(held)) {
            cells[self.bins.cell(residual)] += 1;
        }
    }

    fn tests(&self) -> (bool, bool) {
        (true, true)
    }

    fn location(&self, current: &[i64], reference: &[f64]) -> Option<Location> {
        let ordered = self.bins.ordered();
        ordered_location(&current[..ordered], &reference[..ordered])
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        self.bins.name(cell)
    }
}
