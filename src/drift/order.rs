//! Whether records lie in the order of their answers, as a file does that was sorted by class.

use std::collections::BTreeMap;

use super::answer::Answer;

/// Answers of a task that say something of their order.
const LEAST_ANSWERS: u64 = 100;
/// From this agreement of an answer with the one before it on, beyond chance (Cohen's kappa, 1960), it was not time
/// that put them in a row.
const SORTED: f64 = 0.5;
/// Classes of a sorted file come in few runs; conversations, whose answers agree as much, come in many.
const MOST_RUNS: f64 = 16.0;

/// How often an answer follows one of the same class, task by task.
#[derive(Debug, Default)]
pub(super) struct Runs(BTreeMap<usize, Run>);

#[derive(Debug, Default)]
struct Run {
    last: Option<u32>,
    answers: u64,
    same: u64,
    by_class: BTreeMap<u32, u64>,
}

/// A task whose answers lie in order.
#[derive(Debug, PartialEq)]
pub(super) struct Sorted {
    pub(super) task: usize,
    /// Share of its answers that follow one of the same class,
    pub(super) same: f64,
    /// and what it would be in no order.
    pub(super) by_chance: f64,
}

impl Runs {
    /// Takes the next record's answers.
    pub(super) fn take(&mut self, answers: &[Option<Answer>]) {
        for (task, answer) in answers.iter().enumerate() {
            if let Some(Answer::Class { class, .. }) = answer {
                let run = self.0.entry(task).or_default();
                run.answers += 1;
                run.same += u64::from(run.last == Some(*class));
                run.last = Some(*class);
                *run.by_class.entry(*class).or_default() += 1;
            }
        }
    }

    /// The task whose answers lie most in order, if any does.
    pub(super) fn sorted(&self) -> Option<Sorted> {
        let of = |(task, run): (&usize, &Run)| {
            let n = run.answers as f64;
            let same = run.same as f64 / (n - 1.0).max(1.0);
            let by_chance = run.by_class.values().map(|count| (*count as f64 / n).powi(2)).sum::<f64>();
            let beyond = (same - by_chance) / (1.0 - by_chance).max(f64::MIN_POSITIVE);
            let classes = run.by_class.len();
            let few_runs = (run.answers - run.same) as f64 <= MOST_RUNS * classes as f64;
            let sorted = run.answers >= LEAST_ANSWERS && classes > 1 && beyond > SORTED && few_runs;
            sorted.then_some((beyond, Sorted { task: *task, same, by_chance }))
        };
        self.0.iter().filter_map(of).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, sorted)| sorted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::answer::{Confidence, Uncertainty};

    fn runs(classes: impl Iterator<Item = u32>) -> Option<Sorted> {
        let mut runs = Runs::default();
        for class in classes {
            let uncertainty = Uncertainty::default();
            runs.take(&[None, Some(Answer::Class { class, confidence: Confidence::Absent, uncertainty })]);
        }
        runs.sorted()
    }

    #[test]
    fn sorted_answers_are_told_from_mixed_ones() {
        let mixed = |i: u32| i.wrapping_mul(2_654_435_761) >> 29;
        assert_eq!(runs((0..800).map(mixed)), None);
        assert_eq!(runs((0..4_000).map(|i| mixed(i / 10))), None, "conversations of ten records each");
        let found = runs((0..800).map(|i| i / 100)).expect("is sorted");
        assert_eq!(found.task, 1);
        assert!(found.same > 0.98 && (found.by_chance - 0.125).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn one_class_or_few_answers_are_in_no_order() {
        assert_eq!(runs((0..800).map(|_| 3)), None);
        assert_eq!(runs((0..90).map(|i| i / 30)), None);
        // Mostly one class: neighbours agree by chance.
        assert_eq!(runs((0..800).map(|i| u32::from(i % 50 == 0))), None);
    }
}
