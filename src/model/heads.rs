//! Head outputs to answers.

use std::borrow::Cow;

use super::manifest::Activation;
use crate::drift::answer::{Answer, Uncertainty, least_certain, mean_confidence, sigmoid, softmax, top_class};
use crate::drift::task::{TaskKind, TaskSpec};

/// A head's row with a number a class, and what turns it into probabilities.
///
/// A binary head that was trained with a binary cross-entropy gives one number for both classes: a logit x, which is
/// the pair (0, x), or with no activation the second class's probability p, which is (1 − p, p).
pub fn columns<'a>(task: &TaskSpec, activation: Activation, row: &'a [f32]) -> (Activation, Cow<'a, [f32]>) {
    match (task.kind, activation, row) {
        (TaskKind::Binary, Activation::None, [p]) => (activation, Cow::Owned(vec![1.0 - p, *p])),
        (TaskKind::Binary, _, [x]) => (Activation::Softmax, Cow::Owned(vec![0.0, *x])),
        _ => (activation, Cow::Borrowed(row)),
    }
}

/// Turns one text's row of a head's output into an answer.
///
/// `row` holds one number a class ([`columns`] for the one of a binary head), or a row of them a token for token
/// heads, in which case `special` says which tokens do not count. Non-numbers give an `Invalid` confidence, never a
/// panic.
pub fn answer(task: &TaskSpec, activation: Activation, row: &[f32], special: &[bool]) -> Answer {
    let (activation, row) = columns(task, activation, row);
    let row = row.as_ref();
    let probabilities = |row: &[f32]| match activation {
        Activation::None => row.to_vec(),
        Activation::Sigmoid => sigmoid(row, task.temperature),
        Activation::Softmax => softmax(row, task.temperature),
    };
    let top = |row: &[f32]| {
        let p = probabilities(row);
        let uncertainty = Uncertainty::of_classes(&p);
        let uncertainty = if activation == Activation::Softmax { uncertainty.with_energy(row) } else { uncertainty };
        let (class, confidence) = top_class(&p);
        (class, confidence, uncertainty)
    };
    match task.kind {
        TaskKind::Regression => Answer::Value(row.first().copied().map_or(f64::NAN, f64::from)),
        TaskKind::Binary | TaskKind::Multiclass => {
            let (class, confidence, uncertainty) = top(row);
            Answer::Class { class, confidence, uncertainty }
        }
        TaskKind::Multilabel => {
            let p = probabilities(row);
            let given = p.iter().enumerate().filter(|(_, p)| **p >= task.threshold).map(|(i, _)| i as u32);
            Answer::Labels {
                labels: given.collect(),
                confidence: least_certain(p.iter().copied()),
                uncertainty: Uncertainty::of_labels(p.iter().copied()),
            }
        }
        TaskKind::TokenLabels => {
            let rows = row.chunks_exact(task.classes.len().max(1)).zip(special);
            let tops: Vec<_> = rows.filter(|(_, special)| !**special).map(|(row, _)| top(row)).collect();
            Answer::Tokens {
                labels: tops.iter().map(|(class, ..)| *class).collect(),
                confidence: mean_confidence(tops.iter().map(|(_, confidence, _)| *confidence)),
                uncertainty: Uncertainty::mean(tops.iter().map(|(.., uncertainty)| *uncertainty)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::answer::Confidence;

    fn task(kind: TaskKind, classes: usize) -> TaskSpec {
        let classes = (0..classes).map(|c| c.to_string()).collect();
        TaskSpec { name: "t".into(), kind, classes, threshold: 0.5, temperature: 1.0 }
    }

    #[test]
    fn labels_pass_the_threshold_and_the_least_certain_counts() {
        let found = answer(&task(TaskKind::Multilabel, 3), Activation::None, &[0.9, 0.2, 0.5], &[]);
        let Answer::Labels { labels, confidence, uncertainty } = found else { panic!("labels") };
        assert_eq!((labels, confidence), (vec![0, 2], Confidence::Known(0.5)));
        assert!(uncertainty.entropy.is_some_and(|e| e > 0.69), "a coin and two surer ones: {uncertainty:?}");
    }

    #[test]
    fn special_tokens_do_not_count() {
        let rows = [9.0, 0.0, 0.0, 9.0, 9.0, 0.0];
        let found = answer(&task(TaskKind::TokenLabels, 2), Activation::Softmax, &rows, &[true, false, true]);
        let Answer::Tokens { labels, .. } = found else { panic!("tokens") };
        assert_eq!(labels, [1]);
    }

    #[test]
    fn one_number_of_a_binary_head_stands_for_two() {
        let binary = TaskSpec { temperature: 2.0, ..task(TaskKind::Binary, 2) };
        for activation in [Activation::Softmax, Activation::Sigmoid] {
            for x in [-3.0, 0.0, 0.7, 40.0, f32::NAN] {
                let found = answer(&binary, activation, &[x], &[]);
                let expected = answer(&binary, Activation::Softmax, &[0.0, x], &[]);
                assert_eq!(format!("{found:?}"), format!("{expected:?}"));
            }
        }
        let found = answer(&binary, Activation::None, &[0.75], &[]);
        let uncertainty = Uncertainty::of_classes(&[0.25, 0.75]);
        assert_eq!(found, Answer::Class { class: 1, confidence: Confidence::Known(0.75), uncertainty });
        let found = answer(&binary, Activation::None, &[1.5], &[]);
        assert_eq!(found.confidence(), Confidence::Invalid, "a logit taken for a probability");
        let several = answer(&task(TaskKind::Multilabel, 1), Activation::Sigmoid, &[3.0], &[]);
        assert!(matches!(several, Answer::Labels { labels, .. } if labels == [0]), "one label is no pair of classes");
    }

    #[test]
    fn non_numbers_are_invalid_and_other() {
        let found = answer(&task(TaskKind::Multiclass, 3), Activation::Softmax, &[f32::NAN, 0.0, 1.0], &[]);
        let uncertainty = Uncertainty::default();
        assert_eq!(found, Answer::Class { class: 3, confidence: Confidence::Invalid, uncertainty });
    }
}
