//! What signals see of one record: facts about the input, a place in the encoder's space, and
//! the heads' answers, each from the one place the model's configuration takes it from.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::inference::{Inference, InputFacts};
use super::record::Record;
use crate::stats::principal::Principal;

/// Whose answers feed the head signals. Never both in one window, or records would count twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeadSource {
    /// Production's predictions.
    Predictions,
    /// Our own run of the exported model.
    Inference,
}

/// Where a record lies in the encoder's space.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// No embedding.
    Absent,
    /// An embedding that holds a non-number or has another dimension than the reference's.
    Invalid,
    /// Whitened principal coordinates.
    At(Vec<f32>),
}

/// One record as the signals see it.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Facts from the tokenizer.
    pub input: Option<InputFacts>,
    /// Place in the encoder's space.
    pub place: Place,
    /// Answers by task index; may be empty.
    pub answers: Vec<Option<Answer>>,
}

impl Observation {
    /// Joins a record with our inference of it. The embedding is ours where we ran the model, else
    /// the one production logged.
    pub fn new(
        record: Record,
        inference: Option<Inference>,
        heads: HeadSource,
        geometry: Option<&Principal>,
    ) -> Observation {
        let input = inference.as_ref().map(|i| i.input);
        let (ours, inferred) = inference.map_or((Vec::new(), Vec::new()), |i| (i.embedding, i.answers));
        let embedding = if ours.is_empty() { record.embedding.unwrap_or_default() } else { ours };
        let answers = match heads {
            HeadSource::Predictions => record.answers,
            HeadSource::Inference => inferred,
        };
        Observation { input, place: place(&embedding, geometry), answers }
    }
}

/// The place of an embedding, empty for none.
pub fn place(embedding: &[f32], geometry: Option<&Principal>) -> Place {
    match geometry {
        _ if embedding.is_empty() => Place::Absent,
        None => Place::Absent,
        Some(geometry) => geometry.coordinates(embedding).map_or(Place::Invalid, Place::At),
    }
}
