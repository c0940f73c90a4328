//! What our own run of the exported model gave for one text; never to be mixed up with a
//! prediction, which is production's.

use serde::{Deserialize, Serialize};

use super::answer::Answer;

/// Facts about a text that need only the tokenizer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFacts {
    /// Tokens without special ones, after truncation to the model's limit.
    pub tokens: u32,
    /// How many of them are the unknown token.
    pub unknown: u32,
    /// Whether the text was longer than the model takes.
    pub truncated: bool,
    /// Ids of the tokens, special ones left out.
    pub ids: Vec<u32>,
}

/// One text through tokenizer and model.
#[derive(Clone, Debug, PartialEq)]
pub struct Inference {
    /// What the tokenizer said.
    pub input: InputFacts,
    /// The encoder's embedding; empty if the model has none or was not run.
    pub embedding: Vec<f32>,
    /// The heads' answers by task index; empty if the model was not run.
    pub answers: Vec<Option<Answer>>,
}
