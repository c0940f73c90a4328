//! Ground truth that comes with a prediction or long after it, and what has to be kept of a prediction
//! until it comes.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::task::TaskKind;
use super::time::Timestamp;

/// What is said about the truth of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Index of the task.
    pub task: usize,
    /// The truth; `None` where it cannot be compared with what the task's head answers.
    pub value: Option<LabelValue>,
    /// The largest of one prediction and task is the one that counts.
    pub revision: i64,
    /// When it was given.
    pub at: Timestamp,
    /// Whether it takes back what was said before.
    pub retracted: bool,
}

/// The truth of one task. Classes are those of the task; one past the last is a class that it does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum LabelValue {
    /// Of a binary or multiclass head.
    Class(u32),
    /// Of a multi-label head, sorted.
    Labels(Vec<u32>),
    /// Of a token head, one a token.
    Tokens(Vec<u32>),
    /// Of a regression head.
    Value(f64),
    /// Names a class that the task does not have: no answer can be right, and none is wrong for it. Only labels do.
    Unknown,
}

/// What is kept of one task's answer until its label comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// Index of the task.
    pub task: u16,
    /// What was answered.
    pub answer: LabelValue,
    /// How likely it was taken to be right, in 65,535ths; `None` if nothing was known.
    pub expected: Option<u16>,
}

/// The largest `expected`.
pub const CERTAIN: u16 = u16::MAX;

/// Losses are kept in so many parts, which is exact for right and wrong.
pub const PARTS: u8 = u8::MAX;

impl Label {
    /// Whether it can make an answer right or wrong.
    pub fn says_something(&self) -> bool {
        !self.retracted && !matches!(self.value, None | Some(LabelValue::Unknown))
    }

    /// Whether it counts instead of another label of the same prediction and task, whichever came first:
    /// by revision, then by when it was given, then by whether it retracts; of two that differ in none of
    /// these and yet in what they say, always the same one.
    pub fn supersedes(&self, other: &Label) -> bool {
        let rank = |label: &Label| {
            let value = postcard::to_stdvec(&label.value).expect("plain data always encodes");
            (label.revision, label.at, label.retracted, value)
        };
        rank(self) > rank(other)
    }
}

impl LabelValue {
    /// The part of an answer that a label can be compared with.
    pub fn of(answer: &Answer) -> LabelValue {
        match answer {
            Answer::Class { class, .. } => LabelValue::Class(*class),
            Answer::Labels { labels, .. } => LabelValue::Labels(labels.clone()),
            Answer::Tokens { labels, .. } => LabelValue::Tokens(labels.clone()),
            Answer::Value(value) => LabelValue::Value(*value),
        }
    }

    /// Whether it can be the truth, or the answer, of a head of this kind.
    pub fn fits(&self, kind: TaskKind) -> bool {
        matches!(
            (self, kind),
            (LabelValue::Class(_), TaskKind::Binary | TaskKind::Multiclass)
                | (LabelValue::Labels(_), TaskKind::Multilabel)
                | (LabelValue::Tokens(_), TaskKind::TokenLabels)
                | (LabelValue::Value(_), TaskKind::Regression)
        )
    }

    /// How wrong this answer is, in [0, 1]: a class, or a set of labels, is right or wrong; of tokens the
    /// share that is wrong; of numbers their distance as a share of `scale`. `None` if the two cannot be
    /// compared.
    pub fn loss(&self, truth: &LabelValue, scale: f64) -> Option<f64> {
        let wrong = |is: bool| if is { 1.0 } else { 0.0 };
        match (self, truth) {
            (LabelValue::Class(answer), LabelValue::Class(truth)) => Some(wrong(answer != truth)),
            (LabelValue::Labels(answer), LabelValue::Labels(truth)) => Some(wrong(answer != truth)),
            (LabelValue::Tokens(answer), LabelValue::Tokens(truth)) if answer.len() == truth.len() => {
                let errors = answer.iter().zip(truth).filter(|(a, t)| a != t).count();
                (!truth.is_empty()).then(|| errors as f64 / truth.len() as f64)
            }
            (LabelValue::Value(answer), LabelValue::Value(truth)) if truth.is_finite() => {
                // An answer that is no number is as wrong as can be.
                Some(if answer.is_finite() { ((answer - truth).abs() / scale).min(1.0) } else { 1.0 })
            }
            _ => None,
        }
    }

    /// The cells of a confusion table that this answer adds one to: true and predicted class; for a set of
    /// labels, each with 0 for rightly given, 1 for wrongly given, 2 for missing.
    pub fn confusion(&self, truth: &LabelValue) -> Vec<(u32, u32)> {
        match (self, truth) {
            (LabelValue::Class(answer), LabelValue::Class(truth)) => vec![(*truth, *answer)],
            (LabelValue::Labels(answer), LabelValue::Labels(truth)) => {
                let given = answer.iter().map(|label| (*label, u32::from(!truth.contains(label))));
                let missing = truth.iter().filter(|label| !answer.contains(label)).map(|label| (*label, 2));
                given.chain(missing).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_by_kind() {
        use LabelValue::{Class, Labels, Tokens, Unknown, Value};
        for (answer, truth, expected) in [
            (Class(1), Class(1), Some(0.0)),
            (Class(1), Class(2), Some(1.0)),
            (Labels(vec![1, 2]), Labels(vec![1, 2]), Some(0.0)),
            (Labels(vec![1]), Labels(vec![1, 2]), Some(1.0)),
            (Tokens(vec![0, 0, 1, 1]), Tokens(vec![0, 0, 1, 2]), Some(0.25)),
            (Tokens(vec![0]), Tokens(vec![0, 1]), None),
            (Value(1.0), Value(2.0), Some(0.5)),
            (Value(9.0), Value(2.0), Some(1.0)),
            (Value(f64::NAN), Value(2.0), Some(1.0)),
            (Value(1.0), Value(f64::NAN), None),
            (Class(1), Value(1.0), None),
            (Class(1), Unknown, None),
            (Labels(vec![]), Unknown, None),
        ] {
            assert_eq!(answer.loss(&truth, 2.0), expected, "{answer:?} {truth:?}");
        }
        assert_eq!(Labels(vec![1, 2]).confusion(&Labels(vec![2, 3])), [(1, 1), (2, 0), (3, 2)]);
    }

    #[test]
    fn one_label_of_two_counts_whichever_came_first() {
        let label = |revision, at, retracted, class| Label {
            task: 0,
            value: Some(LabelValue::Class(class)),
            revision,
            at: Timestamp::from_micros(at),
            retracted,
        };
        let in_order = [
            label(0, 9, false, 0),
            label(1, 5, false, 0),
            label(1, 6, false, 0),
            label(1, 6, false, 1),
            label(1, 6, true, 0),
            label(2, 0, false, 0),
        ];
        for (i, earlier) in in_order.iter().enumerate() {
            assert!(!earlier.supersedes(earlier), "a duplicate changes nothing");
            for later in &in_order[i + 1..] {
                assert!(later.supersedes(earlier) && !earlier.supersedes(later), "{earlier:?} {later:?}");
            }
        }
    }
}
