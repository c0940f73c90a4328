//! Which records are run through the model, and what becomes of them. The collect loop and the
//! back-test share this.

use std::sync::Arc;

use super::shadow::Candidate;
use crate::config::Infer;
use crate::drift::closing::Closing;
use crate::drift::inference::Inference;
use crate::drift::observation::HeadSource;
use crate::drift::record::{InputText, Record};
use crate::drift::reference::Reference;
use crate::drift::time::Span;
use crate::model::{Depth, ModelError, ModelHandle};

/// One model as the collect loop needs it.
#[derive(Clone)]
pub struct Watched {
    /// What its windows are compared with.
    pub reference: Arc<Reference>,
    /// The way to its thread; `None` where nothing is ever run.
    pub model: Option<ModelHandle>,
    /// Whose answers feed the head signals.
    pub heads: HeadSource,
    /// Which records are run.
    pub infer: Infer,
    /// Share of records whose answers are compared with the model's own.
    pub skew_sample: f64,
    /// How its stream is cut, and when a record is late.
    pub closing: Closing,
    /// Later records are set aside.
    pub late_limit: Span,
    /// Share of predictions that are kept for their labels.
    pub label_sample: f64,
    /// A candidate beside it.
    pub shadow: Option<Candidate>,
}

/// What is asked of the model.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Which records are run.
    pub infer: Infer,
    /// Share of records whose answers are compared.
    pub skew_sample: f64,
    /// Whose answers feed the head signals.
    pub heads: HeadSource,
    /// Whether there is a use for embeddings.
    pub embedding: bool,
}

impl Wanted {
    /// How deep a record's text is to be looked into; `None` for not at all.
    pub fn depth(&self, record: &Record) -> Option<Depth> {
        record.text.as_ref()?;
        let lacks = (self.embedding && record.embedding.is_none()) || self.heads == HeadSource::Inference;
        let id = record.id.as_deref().unwrap_or_default();
        let compared = !record.answers.is_empty() && chosen(id, self.skew_sample);
        match self.infer {
            Infer::Never => None,
            Infer::Always => Some(Depth::Full),
            Infer::Missing => Some(if lacks || compared { Depth::Full } else { Depth::Tokens }),
            Infer::Sample(rate) => chosen(id, rate).then_some(Depth::Full),
        }
    }
}

/// Whether a record with this id belongs to a sample of this rate: the same on every replica.
fn chosen(id: &str, rate: f64) -> bool {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(id.as_bytes());
    let number = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(number) < rate * (f64::from(u32::MAX) + 1.0)
}

/// Whether a record brings labels and nothing to fold.
pub fn is_only_label(record: &Record) -> bool {
    !record.labels.is_empty() && record.text.is_none() && record.embedding.is_none() && record.answers.is_empty()
}

/// Runs what the records ask for; one entry a record.
///
/// # Errors
/// As [`ModelHandle::infer`].
pub async fn infer(watched: &Watched, records: &[Record]) -> Result<Vec<Option<Inference>>, ModelError> {
    let Some(model) = &watched.model else { return Ok(vec![None; records.len()]) };
    let wanted = Wanted {
        infer: watched.infer,
        skew_sample: watched.skew_sample,
        heads: watched.heads,
        embedding: watched.reference.geometry.is_some(),
    };
    let depths: Vec<Option<Depth>> = records.iter().map(|record| wanted.depth(record)).collect();
    let texts: Vec<(InputText, Depth)> =
        records.iter().zip(&depths).filter_map(|(record, depth)| Some((record.text.clone()?, (*depth)?))).collect();
    let mut inferences = model.infer(texts).await?.into_iter();
    Ok(depths.into_iter().map(|depth| depth.and_then(|_| inferences.next())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::record::VersionMatch;
    use crate::drift::time::Timestamp;

    fn record(embedding: Option<Vec<f32>>) -> Record {
        Record {
            id: Some("a".into()),
            model: 0,
            version: VersionMatch::Same,
            time: Timestamp::from_micros(0),
            text: Some(InputText { text: "hi".into(), pair: None }),
            embedding,
            answers: Vec::new(),
            labels: Vec::new(),
            unknown_tasks: 0,
            tags: Vec::new(),
            attributes: Vec::new(),
        }
    }

    #[test]
    fn only_what_is_missing_is_run() {
        use HeadSource::{Inference, Predictions};
        let (bare, full) = (record(None), record(Some(vec![1.0])));
        for (heads, wants, record, expected) in [
            (Predictions, true, &full, Depth::Tokens),
            (Predictions, true, &bare, Depth::Full),
            (Predictions, false, &bare, Depth::Tokens),
            (Inference, false, &full, Depth::Full),
        ] {
            let wanted = Wanted { infer: Infer::Missing, skew_sample: 0.0, heads, embedding: wants };
            assert_eq!(wanted.depth(record), Some(expected));
        }
        let wanted = |infer| Wanted { infer, skew_sample: 1.0, heads: Predictions, embedding: true };
        assert_eq!(wanted(Infer::Missing).depth(&full), Some(Depth::Tokens), "no answers to compare");
        let answered = Record { answers: vec![None], ..record(Some(vec![1.0])) };
        assert_eq!(wanted(Infer::Missing).depth(&answered), Some(Depth::Full));
        assert_eq!(wanted(Infer::Never).depth(&bare), None);
        assert_eq!(wanted(Infer::Always).depth(&Record { text: None, ..bare }), None);
    }

    #[test]
    fn sampling_is_stable_and_has_its_rate() {
        let share = (0..10_000).filter(|i| chosen(&i.to_string(), 0.2)).count();
        assert!((1_850..2_150).contains(&share), "{share}");
        assert!(!chosen("x", 0.0) && chosen("x", 1.0));
    }
}
