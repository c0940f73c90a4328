//! A candidate beside the current model: run on its sample of the records, counted until the next flush. It never
//! keeps the current one waiting for long: the sample is a share, and while records are read late it pauses. That it
//! fails is told, and is no trouble of the collect loop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::observe::Watched;
use super::partition::Heard;
use crate::drift::answer::Answer;
use crate::drift::inference::Inference;
use crate::drift::joining::{is_sampled, prediction_key};
use crate::drift::record::{InputText, Record};
use crate::drift::shadow::{Tally, Who};
use crate::drift::time::{Span, Timestamp};
use crate::drift::translation::Translation;
use crate::metrics;
use crate::model::{Depth, ModelHandle};
use crate::store::{ShadowKey, ShadowPartial};
use crate::telemetry::chain;

/// A candidate as the collect loop needs it.
#[derive(Clone)]
pub struct Candidate {
    /// Its id.
    pub id: String,
    /// The way to its thread.
    pub model: ModelHandle,
    /// Its answers as the current model's.
    pub translation: Arc<Translation>,
    /// Share of the records that it answers.
    pub sample: f64,
    /// It pauses while records are older than this.
    pub pause_behind: Span,
}

/// One record's answers by task index; `None` where the candidate was not asked.
pub(super) type Beside = Option<Vec<Option<Answer>>>;

/// What was counted since the last flush, by model.
#[derive(Default)]
pub(super) struct Shadows {
    tallies: BTreeMap<usize, Tally>,
    is_failing: bool,
}

impl Shadows {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.tallies.clear();
    }

    /// Runs a model's candidate on its sample of these records; one entry a record.
    pub async fn run(
        &mut self,
        index: usize,
        watched: &Watched,
        records: &[Record],
        heards: &[Heard],
        now: Timestamp,
    ) -> Vec<Beside> {
        let mut beside: Vec<Beside> = vec![None; records.len()];
        let Some(candidate) = &watched.shadow else { return beside };
        let chosen = |(i, record): (usize, &Record)| Some((i, (candidate.wants(watched, record)?, Depth::Full)));
        let (places, texts): (Vec<usize>, Vec<(InputText, Depth)>) =
            records.iter().enumerate().filter_map(chosen).unzip();
        let (name, count) = (&watched.reference.spec.name, texts.len() as u64);
        let latest = heards.iter().map(|heard| heard.at).max();
        if latest.is_some_and(|latest| now.since(latest) > candidate.pause_behind) {
            metrics::shadow_records(name, "paused", count);
            return beside;
        }
        let started = Instant::now();
        match candidate.model.infer(texts).await {
            Ok(inferences) => {
                self.is_failing = false;
                metrics::shadow_records(name, "compared", count);
                self.tally(index, watched).spend(Who::Candidate, count, micros(started.elapsed()));
                for (place, inference) in places.into_iter().zip(inferences) {
                    beside[place] = Some(candidate.translation.of(&inference.answers));
                }
            }
            Err(error) => {
                metrics::shadow_records(name, "failed", count);
                if !std::mem::replace(&mut self.is_failing, true) {
                    let error = chain(&error);
                    tracing::warn!(model = name, error, "the candidate fails; the current model goes on without it");
                }
            }
        }
        beside
    }

    /// Notes how long the current model took, where all its texts were run whole.
    pub fn spent(&mut self, index: usize, watched: &Watched, inferences: &[Option<Inference>], took: Duration) {
        let ran = inferences.iter().flatten().count();
        let whole = inferences.iter().flatten().filter(|inference| !inference.answers.is_empty()).count();
        if watched.shadow.is_some() && ran > 0 && ran == whole {
            self.tally(index, watched).spend(Who::Baseline, ran as u64, micros(took));
        }
    }

    /// Counts one record that both were asked.
    pub fn take(&mut self, index: usize, watched: &Watched, baseline: &[Option<Answer>], candidate: &[Option<Answer>]) {
        self.tally(index, watched).take(&watched.reference.spec, baseline, candidate);
    }

    /// What the store is to be given.
    pub fn partials(&self, models: &[Watched]) -> Vec<ShadowPartial> {
        let partial = |(index, tally): (&usize, &Tally)| {
            let watched = &models[*index];
            let of = ShadowKey {
                model: watched.reference.spec.name.clone(),
                reference_id: watched.reference.id.clone(),
                candidate_id: watched.shadow.as_ref()?.id.clone(),
            };
            Some(ShadowPartial { of, body: tally.encode() })
        };
        self.tallies.iter().filter_map(partial).collect()
    }

    fn tally(&mut self, index: usize, watched: &Watched) -> &mut Tally {
        self.tallies.entry(index).or_insert_with(|| Tally::empty(&watched.reference.spec))
    }
}

impl Candidate {
    /// The text of a record that belongs to the sample: the one whose labels are joined, as far as both reach.
    fn wants(&self, watched: &Watched, record: &Record) -> Option<InputText> {
        let reference = &watched.reference;
        let key = prediction_key(&reference.spec.name, &reference.id, record.id.as_deref()?);
        record.text.clone().filter(|_| is_sampled(key, self.sample))
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}
