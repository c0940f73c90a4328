//! Tallies of open windows, in memory until the next flush.

use std::collections::BTreeMap;
use std::time::Instant;

use super::labels::Labels;
use super::observe::{self, Watched};
use super::partition::{Heard, OfAnother};
use super::shadow::Shadows;
use crate::drift::examples::{Drawn, Ticket};
use crate::drift::observation::Observation;
use crate::drift::record::Record;
use crate::drift::summary::Summary;
use crate::drift::time::Timestamp;
use crate::drift::window::Slot;
use crate::metrics;
use crate::model::ModelError;
use crate::source::{Leftovers, Spent};
use crate::store::{Labelled, Partial, ShadowPartial, Texts};

/// Open windows by model, slot, and whether their records came late.
#[derive(Default)]
pub(super) struct Windows {
    open: BTreeMap<(usize, Slot, bool), Summary>,
    /// Redacted texts of the same windows, but for records that came late: no alert comes of those.
    texts: BTreeMap<(usize, Slot), Drawn>,
    /// What the flush before left of the windows that it had texts of: the samples go on from there.
    drawn: BTreeMap<(usize, Slot), Drawn>,
    /// Predictions and labels to be joined.
    labels: Labels,
    /// What was counted of candidates.
    shadows: Shadows,
}

/// What is left of records that were folded.
#[derive(Default)]
struct Folded {
    records: Vec<Record>,
    observed: Vec<Vec<(Timestamp, Observation)>>,
}

impl Leftovers for Folded {
    fn free_one(&mut self) -> bool {
        if self.observed.last_mut().is_some_and(|observed| observed.pop().is_none()) {
            self.observed.pop();
        }
        self.records.pop().is_some()
    }
}

impl Windows {
    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Forgets all, but for which texts can still come into a sample: all else is in the store.
    pub fn stored(&mut self) {
        let drawn = std::mem::take(&mut self.texts).into_iter().map(|(window, drawn)| (window, drawn.stored()));
        let drawn = drawn.collect();
        self.clear();
        self.drawn = drawn;
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.open.clear();
        self.texts.clear();
        self.drawn.clear();
        self.labels.clear();
        self.shadows.clear();
    }

    /// Runs records through their models where they ask for it, and folds them in: all of them or,
    /// if a model fails, perhaps some, after which everything must be forgotten. Gives what is left of them.
    pub async fn fold(
        &mut self,
        models: &[Watched],
        records: Vec<(Record, Heard)>,
        now: Timestamp,
    ) -> Result<Vec<Spent>, ModelError> {
        let mut spent: Vec<Spent> = Vec::new();
        let mut by_model: BTreeMap<usize, (Vec<Record>, Vec<Heard>)> = BTreeMap::new();
        for (record, heard) in records {
            let (records, heards) = by_model.entry(record.model).or_default();
            records.push(record);
            heards.push(heard);
        }
        for (index, (mut records, heards)) in by_model {
            let watched = &models[index];
            let compared: Vec<bool> = heards.iter().map(|heard| heard.compared).collect();
            let started = Instant::now();
            let inferences = observe::infer(watched, &records, &compared).await?;
            self.shadows.spent(index, watched, &inferences, started.elapsed());
            let beside = self.shadows.run(index, watched, &records, &heards, now).await;
            let late = heards.iter().filter(|heard| heard.late).count() as u64;
            let in_time = heards.len() as u64 - late;
            let mut left = Folded::default();
            let mut by_slot: BTreeMap<(Slot, bool), Vec<(Timestamp, Observation)>> = BTreeMap::new();
            let each = records.iter_mut().zip(inferences).zip(heards).zip(beside);
            for (((record, inference), heard), beside) in each {
                let (time, slot) = (record.time, watched.closing.window.slot(record.time, 0));
                let ticket = self.ticket(index, watched, slot, heard.late, record);
                let observation = Observation::new(record, inference, &watched.reference);
                let (id, labels) = (record.id.as_deref(), std::mem::take(&mut record.labels));
                if let Some(candidate) = &beside {
                    self.shadows.take(index, watched, &observation.answers, candidate);
                }
                if let Some(ticket) = ticket
                    && let Some(drawn) = self.texts.get_mut(&(index, slot))
                {
                    drawn.take(ticket, &watched.reference, &observation);
                }
                self.labels.keep(watched, id, time, heard.at, (&observation.answers, beside.as_deref()));
                self.labels.take(watched, id, heard.at, labels);
                by_slot.entry((slot, heard.late)).or_default().push((time, observation));
            }
            for ((slot, late), observed) in by_slot {
                let window = self.open.entry((index, slot, late)).or_insert_with(|| Summary::empty(&watched.reference));
                let observations: Vec<(Timestamp, &Observation)> = observed.iter().map(|(t, o)| (*t, o)).collect();
                window.fold_all(&watched.reference, &observations);
                left.observed.push(observed);
            }
            left.records = records;
            spent.push(Box::new(left));
            metrics::record("folded", in_time);
            metrics::record("folded_late", late);
        }
        Ok(spent)
    }

    /// A record's place among the texts of its window: its text is redacted here.
    fn ticket(&mut self, index: usize, watched: &Watched, slot: Slot, late: bool, record: &Record) -> Option<Ticket> {
        let (rule, text) = (watched.examples.filter(|_| !late)?, record.text.as_ref()?);
        let window = (index, slot);
        let drawn = self.texts.entry(window).or_insert_with(|| self.drawn.remove(&window).unwrap_or_default());
        drawn.ticket(rule.most_characters, record.id.as_deref(), record.time, text)
    }

    /// Counts a record of another version in its window.
    pub fn count_other(&mut self, models: &[Watched], record: &OfAnother) {
        let OfAnother { model, time, version } = record;
        let watched = &models[*model];
        let slot = watched.closing.window.slot(*time, 0);
        let window = self.open.entry((*model, slot, false)).or_insert_with(|| Summary::empty(&watched.reference));
        window.others.add(version);
    }

    /// Takes a record's labels, heard at this moment.
    pub fn take_labels(&mut self, models: &[Watched], record: Record, heard: Timestamp) {
        self.labels.take(&models[record.model], record.id.as_deref(), heard, record.labels);
    }

    /// Predictions and labels to be joined.
    pub fn labelled(&self) -> Labelled {
        self.labels.rows()
    }

    /// What was counted of candidates.
    pub fn shadows(&self, models: &[Watched]) -> Vec<ShadowPartial> {
        self.shadows.partials(models)
    }

    /// What the store is to be given.
    pub fn partials(&self, models: &[Watched], trace: Option<&String>, now: Timestamp) -> Vec<Partial> {
        let texts = |model: usize, slot: Slot, late: bool| {
            let body = self.texts.get(&(model, slot)).filter(|_| !late)?.encode()?;
            Some(Texts { body, until: now.plus(models[model].examples?.retention) })
        };
        let partial = |((model, slot, late), summary): (&(usize, Slot, bool), &Summary)| Partial {
            model: models[*model].reference.spec.name.clone(),
            reference_id: models[*model].reference.id.clone(),
            slot: *slot,
            late: *late,
            records: i64::try_from(summary.records).unwrap_or(i64::MAX),
            trace: trace.cloned(),
            body: summary.encode(),
            texts: texts(*model, *slot, *late),
        };
        self.open.iter().map(partial).collect()
    }
}
