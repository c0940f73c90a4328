//! What was right for one record, and how right an answer is, from 0 to 1.

use super::answer::Answer;
use super::task::TaskKind;

/// The right answer for one task.
#[derive(Clone, Debug, PartialEq)]
pub enum Gold {
    /// A class; one past the last is one that the manifest does not know.
    Class(u32),
    /// A set of labels, sorted.
    Labels(Vec<u32>),
    /// One label a token.
    Tokens(Vec<u32>),
    /// A number.
    Value(f64),
}

/// What a score measures, by the kind of task.
pub fn metric(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Binary | TaskKind::Multiclass => "accuracy",
        TaskKind::Multilabel => "f1",
        TaskKind::TokenLabels => "token_accuracy",
        TaskKind::Regression => "closeness",
    }
}

/// How right an answer is: 0 or 1 for classes, F1 of the sets for labels, the share of right tokens, and for
/// numbers how near they are, in parts of `scale`. `None` if the two cannot be compared.
pub fn score(answer: &Answer, gold: &Gold, scale: f64) -> Option<f64> {
    match (answer, gold) {
        (Answer::Class { class, .. }, Gold::Class(right)) => Some(f64::from(u8::from(class == right))),
        (Answer::Labels { labels, .. }, Gold::Labels(right)) => {
            let common = labels.iter().filter(|label| right.contains(label)).count();
            let all = labels.len() + right.len();
            Some(if all == 0 { 1.0 } else { 2.0 * common as f64 / all as f64 })
        }
        (Answer::Tokens { labels, .. }, Gold::Tokens(right)) => {
            let comparable = labels.len() == right.len() && !right.is_empty();
            let same = labels.iter().zip(right).filter(|(a, b)| a == b).count();
            comparable.then(|| same as f64 / right.len() as f64)
        }
        (Answer::Value(value), Gold::Value(right)) => {
            let error = ((value - right) / scale).abs();
            Some(if error.is_finite() { (1.0 - error).max(0.0) } else { 0.0 })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::answer::{Confidence, Uncertainty};

    #[test]
    fn answers_are_as_right_as_they_are() {
        let (confidence, uncertainty) = (Confidence::Absent, Uncertainty::default());
        let class = |class| Answer::Class { class, confidence, uncertainty };
        let labels = |l: &[u32]| Answer::Labels { labels: l.to_vec(), confidence, uncertainty };
        let tokens = |l: &[u32]| Answer::Tokens { labels: l.to_vec(), confidence, uncertainty };
        for (answer, gold, expected) in [
            (class(1), Gold::Class(1), Some(1.0)),
            (class(1), Gold::Class(2), Some(0.0)),
            (labels(&[]), Gold::Labels(vec![]), Some(1.0)),
            (labels(&[0, 1]), Gold::Labels(vec![1]), Some(2.0 / 3.0)),
            (tokens(&[0, 1, 1, 0]), Gold::Tokens(vec![0, 1, 0, 0]), Some(0.75)),
            (tokens(&[0]), Gold::Tokens(vec![0, 1]), None),
            (Answer::Value(0.75), Gold::Value(0.5), Some(0.875)),
            (Answer::Value(9.0), Gold::Value(0.5), Some(0.0)),
            (Answer::Value(f64::NAN), Gold::Value(0.5), Some(0.0)),
            (class(1), Gold::Value(1.0), None),
        ] {
            assert_eq!(score(&answer, &gold, 2.0), expected, "{answer:?} {gold:?}");
        }
    }
}
