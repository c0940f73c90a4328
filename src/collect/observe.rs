//! Which records are run through the model, and what becomes of them. The collect loop and the
//! back-test share this.

use std::sync::Arc;

use super::shadow::Candidate;
use crate::config::Infer;
use crate::drift::allowance::{Limit, Used};
use crate::drift::closing::Closing;
use crate::drift::examples::Rule;
use crate::drift::inference::Inference;
use crate::drift::observation::HeadSource;
use crate::drift::record::{InputText, Record};
use crate::drift::reference::Reference;
use crate::drift::time::Span;
use crate::metrics;
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
    /// Texts that are run only for that, at most, by window and partition.
    pub skew_limit: Option<u32>,
    /// How its stream is cut, and when a record is late.
    pub closing: Closing,
    /// Later records are set aside.
    pub late_limit: Span,
    /// Share of predictions that are kept for their labels.
    pub label_sample: f64,
    /// A candidate beside it.
    pub shadow: Option<Candidate>,
    /// How examples of what is new are kept; `None` for no texts at all.
    pub examples: Option<Rule>,
}

/// What is asked of the model.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Which records are run.
    pub infer: Infer,
    /// Whose answers feed the head signals.
    pub heads: HeadSource,
    /// Whether there is a use for embeddings.
    pub embedding: bool,
}

impl Wanted {
    /// How deep a record's text is to be looked into, given whether its answers are to be compared; `None` for not
    /// at all.
    pub fn depth(&self, record: &Record, compared: bool) -> Option<Depth> {
        record.text.as_ref()?;
        let (lacks, id) = (self.lacks(record), record.id.as_deref().unwrap_or_default());
        match self.infer {
            Infer::Never => None,
            Infer::Always => Some(Depth::Full),
            Infer::Missing => Some(if lacks || compared { Depth::Full } else { Depth::Tokens }),
            Infer::Sample(rate) => (number(id) < rate).then_some(Depth::Full),
        }
    }

    /// A record whose text is run only if its answers are to be compared: it has both, and nothing else asks for
    /// a run of its own.
    pub fn may_compare(&self, record: &Record) -> bool {
        let both = record.text.is_some() && !record.answers.is_empty();
        both && self.infer == Infer::Missing && !self.lacks(record)
    }

    fn lacks(&self, record: &Record) -> bool {
        (self.embedding && record.embedding.is_none()) || self.heads == HeadSource::Inference
    }
}

/// A number from 0 to below 1 that follows from a record's id: a sample of some rate is what lies below it, the
/// same on every replica.
pub fn number(id: &str) -> f64 {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(id.as_bytes());
    let number = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]);
    f64::from(number) / (f64::from(u32::MAX) + 1.0)
}

/// Whether a record, the next of its partition, is run for its answers to be compared; what that takes of the
/// limit is used up.
pub fn compares(watched: &Watched, record: &Record, used: &mut Used) -> bool {
    if !watched.wanted().may_compare(record) {
        return false;
    }
    let number = number(record.id.as_deref().unwrap_or_default());
    let slot = watched.closing.window.slot(record.time, 0);
    let limit = Limit { texts: watched.skew_limit, rate: watched.skew_sample };
    let compared = used.take(&watched.reference.spec.name, slot, number, limit);
    match (compared, number < limit.rate) {
        (true, _) => metrics::skew_text("compared"),
        (false, true) => metrics::skew_text("over_limit"),
        (false, false) => {}
    }
    compared
}

impl Watched {
    fn wanted(&self) -> Wanted {
        Wanted { infer: self.infer, heads: self.heads, embedding: self.reference.geometry.is_some() }
    }
}

/// Whether a record brings labels, be they of unknown tasks, and nothing to fold.
pub fn is_only_label(record: &Record) -> bool {
    let has_labels = !record.labels.is_empty() || (record.unknown_label_tasks > 0 && record.unknown_tasks == 0);
    has_labels && record.text.is_none() && record.embedding.is_none() && record.answers.is_empty()
}

/// Runs what the records ask for, and those to be compared; one entry a record.
///
/// # Errors
/// As [`ModelHandle::infer`].
pub async fn infer(
    watched: &Watched,
    records: &[Record],
    compared: &[bool],
) -> Result<Vec<Option<Inference>>, ModelError> {
    let Some(model) = &watched.model else { return Ok(vec![None; records.len()]) };
    let wanted = watched.wanted();
    let depth = |(record, compared): (&Record, &bool)| wanted.depth(record, *compared);
    let depths: Vec<Option<Depth>> = records.iter().zip(compared).map(depth).collect();
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
            unknown_label_tasks: 0,
            unknown_classes: Vec::new(),
            unknown_labels: Vec::new(),
            score_order: Default::default(),
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
            let wanted = Wanted { infer: Infer::Missing, heads, embedding: wants };
            assert_eq!(wanted.depth(record, false), Some(expected));
        }
        let wanted = |infer| Wanted { infer, heads: Predictions, embedding: true };
        assert!(!wanted(Infer::Missing).may_compare(&full), "no answers to compare");
        let answered = Record { answers: vec![None], ..record(Some(vec![1.0])) };
        assert!(wanted(Infer::Missing).may_compare(&answered) && !wanted(Infer::Always).may_compare(&answered));
        assert!(
            !wanted(Infer::Missing).may_compare(&Record { answers: vec![None], ..record(None) }),
            "it is run anyway"
        );
        assert_eq!(wanted(Infer::Missing).depth(&answered, true), Some(Depth::Full));
        assert_eq!(wanted(Infer::Missing).depth(&answered, false), Some(Depth::Tokens));
        assert_eq!(wanted(Infer::Never).depth(&bare, true), None);
        assert_eq!(wanted(Infer::Always).depth(&Record { text: None, ..bare }, true), None);
    }

    #[test]
    fn sampling_is_stable_and_has_its_rate() {
        let share = (0..10_000).filter(|i| number(&i.to_string()) < 0.2).count();
        assert!((1_850..2_150).contains(&share), "{share}");
        // From SHA-256, as Python gives it: every version of driftd draws the same.
        assert!((number("x") - 1_108_767_021.0 / 4_294_967_296.0).abs() < 1e-12);
    }
}
