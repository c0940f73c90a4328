//! Serving skew: what production answered beside what the exported model answers for the same text.
//!
//! Numbers never agree to the bit: batches, devices and precisions move them. What is counted is whether
//! an answer is *materially* another one, and apart from that how far the numbers are from each other.

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Confidence};
use super::inference::Inference;
use super::record::Record;

/// One record's skew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skew {
    /// Relative distance of the embeddings, ‖served − ours‖ / ‖ours‖; `None` where either is missing.
    pub embedding: Option<f32>,
    /// By task; `None` where either has no answer.
    pub answers: Vec<Option<AnswerSkew>>,
}

/// Two answers of one head to one text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerSkew {
    /// Whether they say something else.
    pub differs: bool,
    /// Absolute difference of the confidences, where both have one.
    pub confidence: Option<f32>,
}

/// Two label sets say the same if at least this share of their union is in both.
const SAME_LABELS: f64 = 0.5;
/// Two sequences of token labels say the same if at most this share of the tokens is labelled otherwise.
const OTHER_TOKENS: f64 = 0.1;
/// Two values say the same up to this share of the larger one, or of 1.
const OTHER_VALUE: f64 = 0.05;

impl Skew {
    /// Of a record and our own run of it; `None` if there is nothing to compare.
    pub fn between(served: &Record, ours: &Inference) -> Option<Skew> {
        let embedding = served.embedding.as_ref().and_then(|e| relative_distance(e, &ours.embedding));
        let pair = |(a, b): (&Option<Answer>, &Option<Answer>)| answer_skew(a.as_ref()?, b.as_ref()?);
        let answers: Vec<Option<AnswerSkew>> = served.answers.iter().zip(&ours.answers).map(pair).collect();
        let anything = embedding.is_some() || answers.iter().any(Option::is_some);
        anything.then_some(Skew { embedding, answers })
    }
}

fn relative_distance(served: &[f32], ours: &[f32]) -> Option<f32> {
    if served.len() != ours.len() || ours.is_empty() {
        return None;
    }
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>();
    let distance = square(&mut served.iter().zip(ours).map(|(a, b)| a - b));
    let length = square(&mut ours.iter().copied());
    Some((distance / length.max(f64::MIN_POSITIVE)).sqrt() as f32)
}

/// How one answer differs from another; `None` if they are of different kinds.
pub fn answer_skew(served: &Answer, ours: &Answer) -> Option<AnswerSkew> {
    let differs = match (served, ours) {
        (Answer::Class { class: a, .. }, Answer::Class { class: b, .. }) => a != b,
        (Answer::Labels { labels: a, .. }, Answer::Labels { labels: b, .. }) => {
            let common = a.iter().filter(|label| b.contains(label)).count();
            let union = a.len() + b.len() - common;
            union > 0 && (common as f64) < SAME_LABELS * union as f64
        }
        (Answer::Tokens { labels: a, .. }, Answer::Tokens { labels: b, .. }) => {
            let others = unmatched(a, b) as f64;
            others > OTHER_TOKENS * a.len().max(b.len()) as f64
        }
        (Answer::Value(a), Answer::Value(b)) => (a - b).abs() > OTHER_VALUE * a.abs().max(b.abs()).max(1.0),
        _ => return None,
    };
    let confidence = match (served.confidence(), ours.confidence()) {
        (Confidence::Known(a), Confidence::Known(b)) => Some((a - b).abs()),
        _ => None,
    };
    Some(AnswerSkew { differs, confidence })
}

/// Labels of the longer list that have no partner in the other, wherever they stand: production may
/// label words where we label tokens.
fn unmatched(a: &[u32], b: &[u32]) -> usize {
    let mut rest = b.to_vec();
    let matched =
        a.iter().filter(|label| rest.iter().position(|r| r == *label).map(|at| rest.swap_remove(at)).is_some());
    a.len().max(b.len()) - matched.count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::answer::Uncertainty;

    fn labels(labels: &[u32]) -> Answer {
        let (confidence, uncertainty) = (Confidence::Absent, Uncertainty::default());
        Answer::Labels { labels: labels.to_vec(), confidence, uncertainty }
    }

    fn class(class: u32, p: f32) -> Answer {
        Answer::Class { class, confidence: Confidence::Known(p), uncertainty: Uncertainty::default() }
    }

    fn tokens(labels: &[u32]) -> Answer {
        let (confidence, uncertainty) = (Confidence::Absent, Uncertainty::default());
        Answer::Tokens { labels: labels.to_vec(), confidence, uncertainty }
    }

    #[test]
    fn answers_differ_where_it_matters() {
        let differs = |a: &Answer, b: &Answer| answer_skew(a, b).expect("comparable").differs;
        assert!(differs(&class(1, 0.9), &class(2, 0.9)) && !differs(&class(1, 0.9), &class(1, 0.2)));
        assert!(!differs(&labels(&[]), &labels(&[])) && differs(&labels(&[1]), &labels(&[])));
        assert!(!differs(&labels(&[1, 2]), &labels(&[1])) && differs(&labels(&[1, 2, 3]), &labels(&[1])));
        assert!(!differs(&tokens(&[0; 20]), &tokens(&[[0; 10].as_slice(), &[1], &[0; 9]].concat())));
        assert!(differs(&tokens(&[0; 5]), &tokens(&[0, 0, 1, 0, 0])));
        assert!(
            !differs(&Answer::Value(1.0), &Answer::Value(1.02)) && differs(&Answer::Value(1.0), &Answer::Value(9.0))
        );
        assert_eq!(answer_skew(&class(1, 0.9), &Answer::Value(1.0)), None);
        let near = answer_skew(&class(1, 0.9), &class(1, 0.8)).and_then(|s| s.confidence).expect("both know theirs");
        assert!((near - 0.1).abs() < 1e-6);
    }

    #[test]
    fn embeddings_are_compared_by_their_length() {
        assert_eq!(relative_distance(&[3.0, 4.0], &[0.0, 5.0]), Some(10.0_f32.sqrt() / 5.0));
        assert_eq!(relative_distance(&[1.0], &[1.0, 2.0]), None);
        assert_eq!(relative_distance(&[], &[]), None);
    }
}
