//! Texts to token ids, in bounded time and memory.

use tokenizers::{EncodeInput, Tokenizer as Library, TruncationParams};

use super::ModelError;
use super::manifest::RawTokenizer;
use crate::drift::inference::{Cut, InputFacts};
use crate::drift::record::InputText;

/// A token is hardly ever longer than this; what lies beyond `max_tokens` of them is cut before
/// the tokenizer sees it, so that a 10 MB text costs no more than a long one.
const BYTES_PER_TOKEN: usize = 64;

/// A loaded tokenizer.
pub struct Tokenizer {
    library: Library,
    most_bytes: usize,
    unknown: Option<u32>,
}

/// One text as the model takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    /// Ids, special tokens included.
    pub ids: Vec<i64>,
    /// Segment ids.
    pub segments: Vec<i64>,
    /// Which of them are special tokens.
    pub special: Vec<bool>,
    /// Facts about the text.
    pub facts: InputFacts,
}

impl Tokenizer {
    /// Loads a `tokenizer.json` and fixes truncation and padding to ours.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] if it is not one, or has no such unknown token.
    pub fn load(raw: &RawTokenizer) -> Result<Tokenizer, ModelError> {
        let fail = |reason: String| ModelError::Tokenizer { path: raw.file.clone(), reason };
        let mut library = Library::from_file(&raw.file).map_err(|error| fail(error.to_string()))?;
        let truncation = TruncationParams { max_length: raw.max_tokens, ..TruncationParams::default() };
        library.with_truncation(Some(truncation)).map_err(|error| fail(error.to_string()))?;
        library.with_padding(None);
        let unknown = match &raw.unknown_token {
            Some(token) => Some(library.token_to_id(token).ok_or_else(|| fail(format!("it has no token `{token}`")))?),
            None => None,
        };
        Ok(Tokenizer { library, most_bytes: raw.max_tokens.saturating_mul(BYTES_PER_TOKEN), unknown })
    }

    /// Number of ids it can give.
    pub fn vocabulary(&self) -> usize {
        self.library.get_vocab_size(true)
    }

    /// The token behind an id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.library.id_to_token(id)
    }

    /// Tokenizes one text or pair.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the library fails on the text.
    pub fn encode(&self, input: &InputText) -> Result<Tokens, ModelError> {
        let text = clip(&input.text, self.most_bytes);
        let encoded: EncodeInput = match &input.pair {
            Some(pair) => (text, clip(pair, self.most_bytes)).into(),
            None => text.into(),
        };
        let encoding =
            self.library.encode_fast(encoded, true).map_err(|error| ModelError::Runtime(error.to_string()))?;
        let special: Vec<bool> = encoding.get_special_tokens_mask().iter().map(|m| *m == 1).collect();
        let own = encoding.get_ids().iter().zip(&special).filter(|(_, special)| !**special).map(|(id, _)| *id);
        let own: Vec<u32> = own.collect();
        Ok(Tokens {
            ids: encoding.get_ids().iter().map(|id| i64::from(*id)).collect(),
            segments: encoding.get_type_ids().iter().map(|id| i64::from(*id)).collect(),
            facts: InputFacts {
                tokens: own.len() as u32,
                unknown: own.iter().filter(|id| Some(**id) == self.unknown).count() as u32,
                truncated: text.len() < input.text.len() || !encoding.get_overflowing().is_empty(),
                ids: own,
                cut: Cut::Tokens,
            },
            special,
        })
    }
}

/// At most `bytes` of a text, cut at a character.
fn clip(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::clip;

    #[test]
    fn clipping_respects_characters() {
        assert_eq!(clip("añb", 2), "a");
        assert_eq!(clip("añb", 3), "añ");
        assert_eq!(clip("ab", 10), "ab");
    }
}
