//! Answers of two models to the same row, on one line, with what is right where it is known:
//! `{"prediction_id": …, "baseline": {task: output}, "candidate": {task: output}, "labels": {task: label}}`.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::labelled::{Golds, golds};
use super::native::NativeDecoder;
use crate::drift::answer::Answer;
use crate::drift::record::{RejectReason, Rejected};
use crate::drift::task::ModelSpec;
use crate::drift::time::Timestamp;

/// One row as both models answered it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The row's id.
    pub id: String,
    /// The current model's answers by task index; empty for none.
    pub baseline: Vec<Option<Answer>>,
    /// The candidate's.
    pub candidate: Vec<Option<Answer>>,
    /// Right answers by task index.
    pub gold: Golds,
}

/// Reads pairs, and refuses a row that comes twice: it would count twice.
pub struct PairDecoder<'a> {
    spec: &'a ModelSpec,
    outputs: NativeDecoder,
    seen: HashSet<String>,
}

#[derive(Deserialize)]
struct RawPair<'a> {
    prediction_id: String,
    #[serde(borrow)]
    baseline: Option<&'a RawValue>,
    #[serde(borrow)]
    candidate: Option<&'a RawValue>,
}

impl<'a> PairDecoder<'a> {
    /// For a model's tasks; longer lines than `most_bytes` are refused.
    pub fn new(spec: &'a ModelSpec, most_bytes: usize) -> PairDecoder<'a> {
        let outputs = NativeDecoder::new(vec![Arc::new(spec.clone())], most_bytes);
        PairDecoder { spec, outputs, seen: HashSet::new() }
    }

    /// The pair of a line.
    ///
    /// # Errors
    /// [`Rejected`] with the reason, without any text of the row.
    pub fn decode(&mut self, line: &[u8]) -> Result<Pair, Rejected> {
        let raw: RawPair = serde_json::from_slice(line).map_err(|error| {
            let reason = if error.is_data() { RejectReason::InvalidShape } else { RejectReason::InvalidJson };
            Rejected::new(reason, "expected `prediction_id`, `baseline`, `candidate` and, where known, `labels`")
        })?;
        let (baseline, candidate) = (self.answers(raw.baseline)?, self.answers(raw.candidate)?);
        if baseline.is_empty() && candidate.is_empty() {
            return Err(Rejected::new(RejectReason::NothingInIt, "neither model has answered"));
        }
        if !self.seen.insert(raw.prediction_id.clone()) {
            return Err(Rejected::new(RejectReason::InvalidShape, "its `prediction_id` was there before"));
        }
        let gold = golds(self.spec, line).unwrap_or_else(|| vec![None; self.spec.tasks.len()]);
        Ok(Pair { id: raw.prediction_id, baseline, candidate, gold })
    }

    fn answers(&self, outputs: Option<&RawValue>) -> Result<Vec<Option<Answer>>, Rejected> {
        let Some(outputs) = outputs.filter(|o| o.get() != "null") else { return Ok(Vec::new()) };
        // As a record that has nothing else: one code reads answers, wherever they stand.
        let record = format!("{{\"outputs\":{}}}", outputs.get());
        let at = Timestamp::from_micros(0);
        match self.outputs.decode(record.as_bytes(), Some(at), at) {
            Ok(record) => Ok(record.answers),
            Err(rejected) if rejected.reason == RejectReason::NothingInIt => Ok(Vec::new()),
            Err(rejected) => Err(rejected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::gold::Gold;
    use crate::drift::task::{TaskKind, TaskSpec};

    fn spec() -> ModelSpec {
        let task = TaskSpec {
            name: "intent".into(),
            kind: TaskKind::Multiclass,
            classes: vec!["a".into(), "b".into()],
            threshold: 0.5,
            temperature: 1.0,
        };
        ModelSpec {
            name: "m".into(),
            version: "1".into(),
            tasks: vec![task],
            embedding_dimension: None,
            attributes: Vec::new(),
            segments: None,
        }
    }

    #[test]
    fn both_answers_and_the_right_one_are_read() {
        let spec = spec();
        let mut decoder = PairDecoder::new(&spec, 1 << 10);
        let line = br#"{"prediction_id":"1","baseline":{"intent":{"label":"a"}},"candidate":{"intent":{"label":"b"}},"labels":{"intent":"b"}}"#;
        let pair = decoder.decode(line).expect("a pair");
        let class = |answers: &[Option<Answer>]| match &answers[0] {
            Some(Answer::Class { class, .. }) => *class,
            other => panic!("{other:?}"),
        };
        assert_eq!((class(&pair.baseline), class(&pair.candidate)), (0, 1));
        assert_eq!(pair.gold, [Some(Gold::Class(1))]);
        assert_eq!(decoder.decode(line).expect_err("twice").reason, RejectReason::InvalidShape);
        let silent = decoder.decode(br#"{"prediction_id":"2","baseline":null,"candidate":{"intent":{"label":"b"}}}"#);
        assert_eq!(silent.expect("one answers").baseline, []);
        for (wrong, reason) in [
            (&b"{"[..], RejectReason::InvalidJson),
            (br#"{"baseline":{}}"#, RejectReason::InvalidShape),
            (br#"{"prediction_id":"3","labels":{"intent":"a"}}"#, RejectReason::NothingInIt),
            (br#"{"prediction_id":"4","candidate":{"intent":{"value":1}}}"#, RejectReason::WrongKind),
        ] {
            assert_eq!(
                decoder.decode(wrong).expect_err("refused").reason,
                reason,
                "{}",
                String::from_utf8_lossy(wrong)
            );
        }
    }
}
