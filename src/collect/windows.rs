//! Tallies of open windows, in memory until the next flush.

use std::collections::BTreeMap;

use super::observe::{self, Watched};
use crate::drift::observation::Observation;
use crate::drift::record::Record;
use crate::drift::summary::Summary;
use crate::drift::time::Timestamp;
use crate::drift::window::Slot;
use crate::metrics;
use crate::model::ModelError;
use crate::store::Partial;

/// Open windows by model, slot, and whether their records came late.
#[derive(Default)]
pub(super) struct Windows {
    open: BTreeMap<(usize, Slot, bool), Summary>,
}

impl Windows {
    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.open.clear();
    }

    /// Runs records through their models where they ask for it, and folds them in: all of them or,
    /// if a model fails, perhaps some, after which everything must be forgotten.
    pub async fn fold(&mut self, models: &[Watched], records: Vec<(Record, bool)>) -> Result<(), ModelError> {
        let mut by_model: BTreeMap<usize, (Vec<Record>, Vec<bool>)> = BTreeMap::new();
        for (record, late) in records {
            let (records, lates) = by_model.entry(record.model).or_default();
            records.push(record);
            lates.push(late);
        }
        for (index, (records, lates)) in by_model {
            let watched = &models[index];
            let inferences = observe::infer(watched, &records).await?;
            let late = lates.iter().filter(|late| **late).count() as u64;
            let in_time = lates.len() as u64 - late;
            let mut by_slot: BTreeMap<(Slot, bool), Vec<(Timestamp, Observation)>> = BTreeMap::new();
            for ((record, inference), late) in records.into_iter().zip(inferences).zip(lates) {
                let (time, slot) = (record.time, watched.closing.window.slot(record.time, 0));
                let observation = Observation::new(record, inference, &watched.reference);
                by_slot.entry((slot, late)).or_default().push((time, observation));
            }
            for ((slot, late), observations) in by_slot {
                let window = self.open.entry((index, slot, late)).or_insert_with(|| Summary::empty(&watched.reference));
                let observations: Vec<(Timestamp, &Observation)> = observations.iter().map(|(t, o)| (*t, o)).collect();
                window.fold_all(&watched.reference, &observations);
            }
            metrics::record("folded", in_time);
            metrics::record("folded_late", late);
        }
        Ok(())
    }

    /// What the store is to be given.
    pub fn partials(&self, models: &[Watched], trace: Option<&String>) -> Vec<Partial> {
        let partial = |((model, slot, late), summary): (&(usize, Slot, bool), &Summary)| Partial {
            model: models[*model].reference.spec.name.clone(),
            reference_id: models[*model].reference.id.clone(),
            slot: *slot,
            late: *late,
            records: i64::try_from(summary.records).unwrap_or(i64::MAX),
            trace: trace.cloned(),
            body: summary.encode(),
        };
        self.open.iter().map(partial).collect()
    }
}
