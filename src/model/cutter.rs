//! What texts are cut with: the model's tokenizer, or into words where the manifest names none.

use super::{Manifest, ModelError, Tokenizer};
use crate::drift::inference::{Inference, InputFacts};
use crate::drift::record::InputText;
use crate::drift::words;

/// Cuts texts without running a model.
pub enum Cutter {
    /// Into tokens.
    Tokens(Box<Tokenizer>),
    /// Into words.
    Words,
}

impl Cutter {
    /// What the manifest asks for.
    ///
    /// # Errors
    /// As [`Tokenizer::load`].
    pub fn load(manifest: &Manifest) -> Result<Cutter, ModelError> {
        match &manifest.tokenizer {
            Some(raw) => Ok(Cutter::Tokens(Box::new(Tokenizer::load(raw)?))),
            None => Ok(Cutter::Words),
        }
    }

    /// What a text is made of.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn facts(&self, text: &InputText) -> Result<InputFacts, ModelError> {
        match self {
            Cutter::Tokens(tokenizer) => Ok(tokenizer.encode(text)?.facts),
            Cutter::Words => Ok(words::facts(text)),
        }
    }

    /// Texts that no model is run on, in their order.
    ///
    /// # Errors
    /// As [`Cutter::facts`].
    pub fn cut<'a>(&self, texts: impl Iterator<Item = &'a InputText>) -> Result<Vec<Inference>, ModelError> {
        let cut = |text| Ok(Inference { input: self.facts(text)?, embedding: Vec::new(), answers: Vec::new() });
        texts.map(cut).collect()
    }
}
