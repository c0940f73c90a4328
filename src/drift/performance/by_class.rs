//! Each class of a head by itself: how often it is missed where it is right, as the reference knows it, and how often
//! that is to be expected of answers whose labels came.
//!
//! Of sets of labels each label is a class here. A mean over all answers hides a rare one: if three of a hundred texts
//! are fraud, a head that calls none of them so is right on ninety-seven.

use std::collections::BTreeMap;

use super::{COMMON, Performance, WANDERS, by_label};
use crate::drift::losses::Answers;
use crate::drift::task::TaskKind;
use crate::stats::performance::confusion::{Confusion, expected};
use crate::stats::performance::interval::upper_bound;

/// A class may be missed by so much more of the records that have it than the reference's upper bound, before that is
/// harm: of a rare class a few points are a record or two.
pub const TOLERANCE_OF_CLASS: f64 = 0.1;
/// Of a class that so few labelled records have nothing is known.
const LEAST_OF_CLASS: f64 = 20.0;
/// Level at which all upper bounds of a head's classes hold together.
const BOUND_LEVEL: f64 = 0.95;
/// So much of an answer is always expected to be missing, spread over the reference's: what none of them missed is no
/// less likely to be than that.
const AT_LEAST: f64 = 0.5;

/// What a reference knows of one class of a head.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnownClass {
    /// Index of the class, or of the label.
    pub class: u32,
    /// Labelled records that have it.
    pub records: f64,
    /// The share of them that was not given it.
    pub missed: f64,
    /// The share that is tolerated.
    pub tolerated: f64,
    /// How many times as often as [`Performance::missing`] expects it may be missing, for all that the reference knows.
    pub ratio: f64,
    /// The share of the labelled answers that were given it.
    pub given: f64,
}

/// How often one class was missing in answers whose labels came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Missing {
    /// Records that have it, and were given it.
    pub found: u64,
    /// Records that have it, and were not.
    pub missed: u64,
    /// Of all that were not given it, how many were to be expected to have it.
    pub expected: f64,
}

impl Performance {
    /// The classes that enough of the reference's labelled records have, in their order; none for heads that answer
    /// neither classes nor sets of labels.
    pub fn known_classes(&self) -> Vec<KnownClass> {
        let sample = self.sample();
        let reference = self.reference_answers(&sample);
        let of_class = |(class, missing): (u32, Missing)| {
            let records = (missing.found + missing.missed) as f64;
            (class < self.classes as u32 && records >= LEAST_OF_CLASS).then_some((class, records, missing))
        };
        let enough: Vec<_> = self.missing_of(&reference, &sample).into_iter().filter_map(of_class).collect();
        let level = 1.0 - (1.0 - BOUND_LEVEL) / enough.len().max(1) as f64;
        let known = |(class, records, missing): (u32, f64, Missing)| {
            let missed = missing.missed as f64 / records;
            let bound = upper_bound(missing.missed, records as u64, level).unwrap_or(1.0);
            let given: f64 = sample.iter().filter(|((a, b), _)| self.is_given(class, (*a, *b))).map(|(_, n)| n).sum();
            KnownClass {
                class,
                records,
                missed,
                // Its errors are taken to wander in proportion to those of all.
                tolerated: bound + TOLERANCE_OF_CLASS.max(WANDERS * self.wander * missed / self.loss),
                ratio: (bound * records / missing.expected).max(1.0),
                given: given.max(1.0) / self.labelled as f64,
            }
        };
        enough.into_iter().map(known).filter(|known| known.tolerated < 1.0).collect()
    }

    /// How often each class was missing in these answers, and was to be expected to be: their losses that were
    /// expected, spread over the classes as the reference's wrong answers were.
    pub fn missing(&self, answers: &Answers) -> BTreeMap<u32, Missing> {
        self.missing_of(answers, &self.sample())
    }

    /// Of a window whose cells these are, how many answers there are, and how many of them were given each class.
    pub fn given<'a>(&self, cells: &'a [i64]) -> (f64, impl Fn(u32) -> f64 + 'a) {
        let wide = if self.kind == TaskKind::Multilabel { 1 } else { 2 };
        let of_class = move |class: u32| cells.get(COMMON + wide * class as usize).map_or(0.0, |n| *n as f64);
        (cells[0] as f64, of_class)
    }

    /// Whether answers in this cell of the confusion table were given the class.
    fn is_given(&self, class: u32, (first, second): (u32, u32)) -> bool {
        match self.kind {
            // Label, and whether it is right, wrong or missing.
            TaskKind::Multilabel => first == class && second < 2,
            _ => second == class,
        }
    }

    fn missing_of(&self, answers: &Answers, sample: &Confusion) -> BTreeMap<u32, Missing> {
        match self.kind {
            TaskKind::Binary | TaskKind::Multiclass => self.missing_classes(answers, sample),
            TaskKind::Multilabel => self.missing_labels(answers, sample),
            TaskKind::TokenLabels | TaskKind::Regression => BTreeMap::new(),
        }
    }

    fn missing_classes(&self, answers: &Answers, sample: &Confusion) -> BTreeMap<u32, Missing> {
        // By class given: how often, and how often wrongly.
        let mut wrongly: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for ((truth, given), n) in sample {
            let (all, wrong) = wrongly.entry(*given).or_default();
            (*all, *wrong) = (*all + n, *wrong + if truth == given { 0.0 } else { *n });
        }
        let otherwise = |given: u32| wrongly.get(&given).map_or(self.loss, |(all, wrong)| wrong / all.max(1.0));
        let each = answers.given.iter().map(|(class, given)| {
            let n = given.answers as f64;
            (*class, n, n - given.expected_loss(otherwise(*class)).min(n))
        });
        let table = expected(each, sample);
        let mut found: BTreeMap<u32, Missing> = BTreeMap::new();
        for ((truth, given), n) in &answers.cells {
            let own = found.entry(*truth).or_default();
            *(if truth == given { &mut own.found } else { &mut own.missed }) += n;
        }
        for ((truth, given), n) in &table {
            if truth != given {
                found.entry(*truth).or_default().expected += n;
            }
        }
        let all: u64 = answers.given.values().map(|given| given.answers).sum();
        for (class, missing) in &mut found {
            let own = answers.given.get(class).map_or(0, |given| given.answers);
            let known = self.labelled as f64 - wrongly.get(class).map_or(0.0, |(all, _)| *all);
            missing.expected += AT_LEAST * (all - own) as f64 / known.max(1.0);
        }
        found
    }

    fn missing_labels(&self, answers: &Answers, sample: &Confusion) -> BTreeMap<u32, Missing> {
        let Some(given) = answers.given.get(&Answers::ALL) else { return BTreeMap::new() };
        let n = given.answers as f64;
        let worse = if self.loss > 0.0 { given.expected_loss(self.loss) / (n * self.loss) } else { 1.0 };
        let counted = by_label::counts(&answers.cells.iter().map(|(cell, n)| (*cell, *n as f64)).collect());
        let missing = |(label, [right, wrong, missing]): (u32, by_label::Counts)| {
            let left = (self.labelled as f64 - right - wrong).max(1.0);
            let [found, wrongly, missed] = counted.get(&label).copied().unwrap_or_default();
            let expected = (n - found - wrongly) * (missing * worse + AT_LEAST) / left;
            (label, Missing { found: found as u64, missed: missed as u64, expected })
        };
        by_label::counts(sample).into_iter().map(missing).collect()
    }

    /// The reference's labelled records as answers of which nothing but its own rates is expected.
    fn reference_answers(&self, sample: &Confusion) -> Answers {
        let mut answers = Answers::default();
        for ((truth, given), n) in sample {
            answers.cells.insert((*truth, *given), *n as u64);
            if self.kind != TaskKind::Multilabel {
                answers.count(*given, *n as u64);
            }
        }
        if self.kind == TaskKind::Multilabel {
            answers.count(Answers::ALL, self.labelled);
        }
        answers
    }
}

#[cfg(test)]
#[path = "by_class_tests.rs"]
mod tests;
