//! Predictions that will wait for their labels, and labels that came, until the next flush.

use std::collections::BTreeMap;

use super::observe::Watched;
use crate::drift::answer::Answer;
use crate::drift::joining::{is_sampled, prediction_key};
use crate::drift::label::Label;
use crate::drift::matured::Kept;
use crate::drift::time::Timestamp;
use crate::drift::window::Slot;
use crate::metrics;
use crate::store::{KeptRow, LabelRow, Labelled};

/// What was read since the last flush.
#[derive(Default)]
pub(super) struct Labels {
    predictions: BTreeMap<(i64, Timestamp), (Slot, Vec<u8>)>,
    labels: Vec<LabelRow>,
}

impl Labels {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.predictions.clear();
        self.labels.clear();
    }

    /// Keeps what is needed of a prediction that was heard at this moment, with what a candidate answered beside it,
    /// if it belongs to the sample.
    pub fn keep(
        &mut self,
        watched: &Watched,
        id: Option<&str>,
        time: Timestamp,
        heard: Timestamp,
        (answers, beside): (&[Option<Answer>], Option<&[Option<Answer>]>),
    ) {
        if watched.reference.performance.is_empty() {
            return;
        }
        let Some(key) = id.map(|id| key(watched, id)).filter(|key| is_sampled(*key, watched.label_sample)) else {
            return;
        };
        let Some(mut kept) = Kept::of(&watched.reference, answers) else { return };
        if let Some((candidate, beside)) = watched.shadow.as_ref().zip(beside) {
            kept = kept.beside(&candidate.id, beside);
        }
        let heard = watched.closing.window.slot(heard, 0);
        // The same prediction once more: it was known as soon as it was first heard.
        let entry = self.predictions.entry((key, time)).or_insert_with(|| {
            metrics::kept(&watched.reference.spec.name, 1);
            (heard, kept.encode())
        });
        entry.0 = entry.0.min(heard);
    }

    /// Takes labels that were heard at this moment.
    pub fn take(&mut self, watched: &Watched, id: Option<&str>, heard: Timestamp, labels: Vec<Label>) {
        // Most records bring none, and a key is a digest.
        if labels.is_empty() {
            return;
        }
        let reference = &watched.reference;
        let Some(key) = id.map(|id| key(watched, id)) else {
            metrics::labels("without_id", labels.len() as u64);
            return;
        };
        if !is_sampled(key, watched.label_sample) {
            metrics::labels("not_sampled", labels.len() as u64);
            return;
        }
        for label in labels {
            if reference.performance_of(label.task).is_none() {
                metrics::labels("not_watched", 1);
                continue;
            }
            self.labels.push(LabelRow {
                model: reference.spec.name.clone(),
                reference_id: reference.id.clone(),
                key,
                task: i64::try_from(label.task).unwrap_or(i64::MAX),
                revision: label.revision,
                at: label.at,
                retracted: label.retracted,
                heard: watched.closing.window.slot(heard, 0),
                value: postcard::to_stdvec(&label.value).expect("plain data always encodes"),
            });
        }
    }

    /// What the store is to be given.
    pub fn rows(&self) -> Labelled {
        let row = |((key, predicted), (heard, answers)): (&(i64, Timestamp), &(Slot, Vec<u8>))| KeptRow {
            key: *key,
            predicted: *predicted,
            heard: *heard,
            answers: answers.clone(),
        };
        Labelled { predictions: self.predictions.iter().map(row).collect(), labels: self.labels.clone() }
    }
}

fn key(watched: &Watched, id: &str) -> i64 {
    prediction_key(&watched.reference.spec.name, &watched.reference.id, id)
}
