//! A golden set: texts whose answers are known from the day the model was exported. The model that is loaded
//! must give them again, within what batches, devices and libraries change, or everything that is compared
//! with its answers is compared with another model's.

use serde::Deserialize;

use super::answer::{Answer, Confidence};
use super::inference::Inference;
use super::record::Record;
use super::skew::{Skew, answer_skew};

/// How far numbers may be from the expected ones.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tolerance {
    /// Distance of the embeddings, relative to the expected one's length.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub embedding: f32,
    /// Absolute difference of a confidence.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub confidence: f32,
}

impl Default for Tolerance {
    /// Room for half precision in the file, other kernels and TF32 (ten fraction bits over some layers); int8
    /// models, whose scales depend on the batch, need more.
    fn default() -> Tolerance {
        Tolerance { embedding: 0.02, confidence: 0.02 }
    }
}

/// What is not as expected of one text.
#[derive(Clone, Debug, PartialEq)]
pub enum Unlike {
    /// The embedding, by its relative distance.
    Embedding(f32),
    /// The embedding cannot be compared: another dimension, or not numbers.
    Incomparable,
    /// The answer of a task.
    Answer(usize),
    /// The confidence of a task, by its difference.
    Confidence(usize, f32),
}

/// Everything in which the model's own run of a text differs from the expected answers and embedding.
///
/// An answer may be another one where the model itself is undecided within the tolerance.
pub fn unlike(expected: &Record, ours: &Inference, tolerance: Tolerance) -> Vec<Unlike> {
    let mut found = Vec::new();
    if let Some(embedding) = &expected.embedding {
        match Skew::between(expected, ours).and_then(|skew| skew.embedding) {
            Some(distance) if distance <= tolerance.embedding => {}
            Some(distance) if distance.is_finite() => found.push(Unlike::Embedding(distance)),
            // A model without an embedding has nothing to be compared.
            None if ours.embedding.is_empty() && !embedding.is_empty() => {}
            _ => found.push(Unlike::Incomparable),
        }
    }
    for (task, (expected, ours)) in expected.answers.iter().zip(&ours.answers).enumerate() {
        let (Some(expected), Some(ours)) = (expected, ours) else { continue };
        match answer_skew(expected, ours) {
            None => found.push(Unlike::Answer(task)),
            Some(skew) if skew.differs && !is_undecided(ours, tolerance.confidence) => {
                found.push(Unlike::Answer(task));
            }
            Some(skew) => match skew.confidence {
                Some(difference) if difference > tolerance.confidence => {
                    found.push(Unlike::Confidence(task, difference));
                }
                _ => {}
            },
        }
    }
    found
}

/// Whether two classes are nearly tied, or a label nearly on its threshold, where both probabilities may be
/// off by the tolerance.
fn is_undecided(answer: &Answer, tolerance: f32) -> bool {
    match (answer, answer.confidence()) {
        (Answer::Class { .. }, _) => answer.uncertainty().margin.is_some_and(|margin| margin <= 2.0 * tolerance),
        (Answer::Labels { .. }, Confidence::Known(least_certain)) => least_certain <= 0.5 + tolerance,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::answer::Uncertainty;
    use crate::drift::inference::InputFacts;
    use crate::drift::record::VersionMatch;
    use crate::drift::time::Timestamp;

    fn class(class: u32, p: f32, margin: f32) -> Answer {
        let uncertainty = Uncertainty { margin: Some(margin), ..Uncertainty::default() };
        Answer::Class { class, confidence: Confidence::Known(p), uncertainty }
    }

    fn expected(embedding: Option<Vec<f32>>, answers: Vec<Option<Answer>>) -> Record {
        Record {
            id: None,
            model: 0,
            version: VersionMatch::Same,
            time: Timestamp::from_micros(0),
            text: None,
            embedding,
            answers,
            labels: Vec::new(),
            unknown_tasks: 0,
            unknown_label_tasks: 0,
            unknown_classes: Vec::new(),
            unknown_labels: Vec::new(),
            score_order: Default::default(),
            tags: Vec::new(),
            attributes: Vec::new(),
        }
    }

    fn ours(embedding: Vec<f32>, answers: Vec<Option<Answer>>) -> Inference {
        Inference { input: InputFacts::default(), embedding, answers }
    }

    #[test]
    fn answers_are_the_same_within_the_tolerance() {
        let tolerance = Tolerance { embedding: 0.02, confidence: 0.02 };
        for (was, is, found) in [
            (class(1, 0.9, 0.8), class(1, 0.91, 0.82), vec![]),
            (class(1, 0.9, 0.8), class(1, 0.8, 0.6), vec![Unlike::Confidence(0, 0.1)]),
            (class(1, 0.9, 0.8), class(2, 0.9, 0.8), vec![Unlike::Answer(0)]),
            (class(1, 0.50, 0.01), class(0, 0.51, 0.02), vec![]),
            (class(1, 0.9, 0.8), Answer::Value(1.0), vec![Unlike::Answer(0)]),
        ] {
            let told = unlike(&expected(None, vec![Some(was)]), &ours(vec![], vec![Some(is)]), tolerance);
            let same = |(a, b): (&Unlike, &Unlike)| match (a, b) {
                (Unlike::Confidence(a, x), Unlike::Confidence(b, y)) => a == b && (x - y).abs() < 1e-6,
                (a, b) => a == b,
            };
            assert!(told.len() == found.len() && told.iter().zip(&found).all(same), "{told:?} {found:?}");
        }
        assert_eq!(unlike(&expected(None, vec![None]), &ours(vec![], vec![]), tolerance), []);
    }

    #[test]
    fn embeddings_are_near_or_named() {
        let told = |was: &[f32], is: &[f32]| {
            unlike(&expected(Some(was.to_vec()), vec![]), &ours(is.to_vec(), vec![]), Tolerance::default())
        };
        assert_eq!(told(&[3.0, 4.0], &[3.0, 4.01]), []);
        assert!(matches!(told(&[3.0, 4.0], &[3.0, 5.0])[..], [Unlike::Embedding(d)] if d > 0.1));
        assert_eq!(told(&[3.0, 4.0], &[3.0]), [Unlike::Incomparable]);
        assert_eq!(told(&[3.0, 4.0], &[f32::NAN, 4.0]), [Unlike::Incomparable]);
        assert_eq!(told(&[3.0, 4.0], &[]), [], "a model without an embedding");
    }
}
