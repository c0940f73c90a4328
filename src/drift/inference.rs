//! What our own run of the exported model gave for one text; never to be mixed up with a
//! prediction, which is production's.

use serde::{Deserialize, Serialize};

use super::answer::Answer;

/// What texts are cut into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cut {
    /// Tokens, by the model's tokenizer.
    #[default]
    Tokens,
    /// Words, where there is none.
    Words,
}

impl Cut {
    /// Of two names of a thing, the one that speaks of tokens or of words.
    pub fn name(self, of_tokens: &'static str, of_words: &'static str) -> &'static str {
        match self {
            Cut::Tokens => of_tokens,
            Cut::Words => of_words,
        }
    }
}

/// Facts about a text that need only the tokenizer, or what stands in for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFacts {
    /// Tokens without special ones, after truncation to the model's limit; or words.
    pub tokens: u32,
    /// How many of them are the unknown token.
    pub unknown: u32,
    /// Whether the text was longer than the model takes.
    pub truncated: bool,
    /// Ids of the tokens, special ones left out; or numbers of the words.
    pub ids: Vec<u32>,
    /// Which of the two.
    pub cut: Cut,
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
