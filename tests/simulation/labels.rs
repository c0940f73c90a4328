//! The part of the store in memory that labels need.

use std::collections::BTreeMap;

use async_trait::async_trait;
use driftd::drift::time::Timestamp;
use driftd::drift::window::Slot;
use driftd::store::*;

use super::store::MemoryStore;

/// Rows about labels.
#[derive(Default)]
pub struct Labels {
    kept: BTreeMap<(i64, Timestamp), KeptRow>,
    /// With the window in which each is tried.
    pub pending: BTreeMap<String, (Slot, LabelRow)>,
    joined: BTreeMap<(i64, i64, Timestamp), Vec<u8>>,
    pub estimates: BTreeMap<TaskWindow, EstimateRow>,
    pub realised: BTreeMap<TaskWindow, RealisedRow>,
    pub tasks: BTreeMap<String, TaskRow>,
    /// What was committed of tasks, window after window.
    pub told: Vec<TaskRow>,
}

impl Labels {
    pub fn collect(&mut self, flush_id: &str, labelled: &Labelled) {
        for row in &labelled.predictions {
            let kept = self.kept.entry((row.key, row.predicted)).or_insert_with(|| row.clone());
            kept.heard = kept.heard.min(row.heard);
        }
        for (i, row) in labelled.labels.iter().enumerate() {
            self.pending.insert(format!("{flush_id}-{i}"), (row.heard, row.clone()));
        }
    }

    /// Whether all of it could be applied; nothing is, otherwise.
    pub fn judge(&mut self, changes: &LabelChanges) -> bool {
        let mut ids = changes.settled.iter().chain(changes.postponed.iter().map(|(id, _)| id));
        if !ids.all(|id| self.pending.contains_key(id)) {
            return false;
        }
        changes.settled.iter().for_each(|id| drop(self.pending.remove(id)));
        for (id, due) in &changes.postponed {
            self.pending.get_mut(id).expect("looked").0 = *due;
        }
        for row in &changes.joined {
            self.joined.insert((row.key, row.task, row.predicted), row.body.clone());
        }
        self.estimates.extend(changes.estimates.iter().map(|row| (row.of.clone(), row.clone())));
        self.realised.extend(changes.realised.iter().map(|row| (row.of.clone(), row.clone())));
        self.told.extend(changes.tasks.iter().cloned());
        for row in &changes.tasks {
            let labels = self.tasks.get(&row.task).map_or(0, |before| before.labels);
            self.tasks.insert(row.task.clone(), TaskRow { labels: labels + row.labels, ..row.clone() });
        }
        true
    }
}

#[async_trait]
impl LabelStore for MemoryStore {
    async fn first_due(&self, _: &str, _: &str) -> Result<Option<Slot>, StoreError> {
        self.work(|rows| rows.labels.pending.values().map(|(due, _)| *due).min()).await
    }

    async fn due_labels(&self, _: &str, _: &str, until: Slot, limit: i64) -> Result<Vec<PendingRow>, StoreError> {
        self.work(|rows| {
            let due = rows.labels.pending.iter().filter(|(_, (due, _))| *due <= until);
            let mut due: Vec<PendingRow> =
                due.map(|(id, (_, label))| PendingRow { label_id: id.clone(), label: label.clone() }).collect();
            let rank = |l: &LabelRow| (l.key, l.task, l.revision, l.at, l.retracted, l.value.clone());
            due.sort_by_key(|p| (rank(&p.label), p.label_id.clone()));
            // Small chunks, so that windows take several.
            due.truncate(usize::try_from(limit).expect("small").min(50));
            due
        })
        .await
    }

    async fn kept(&self, keys: &[i64], until: Slot) -> Result<Vec<KeptRow>, StoreError> {
        let found = |row: &&KeptRow| keys.contains(&row.key) && row.heard <= until;
        self.work(|rows| rows.labels.kept.values().filter(found).cloned().collect()).await
    }

    async fn joined(&self, keys: &[i64]) -> Result<Vec<JoinRow>, StoreError> {
        self.work(|rows| {
            let found = rows.labels.joined.iter().filter(|((key, ..), _)| keys.contains(key));
            let row = |((key, task, predicted), body): (&(i64, i64, Timestamp), &Vec<u8>)| JoinRow {
                key: *key,
                task: *task,
                predicted: *predicted,
                body: body.clone(),
            };
            found.map(row).collect()
        })
        .await
    }

    async fn tallies(&self, _: &str, _: &str, starts: &[Timestamp]) -> Result<Vec<(TaskWindow, Vec<u8>)>, StoreError> {
        self.work(|rows| {
            let found = rows.labels.realised.values().filter(|row| starts.contains(&row.of.start));
            found.map(|row| (row.of.clone(), row.tally.clone())).collect()
        })
        .await
    }

    async fn recent_tallies(
        &self,
        _: &str,
        _: &str,
        task: &str,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let limit = usize::try_from(limit).expect("small");
        self.work(|rows| {
            let found = rows.labels.realised.values().rev();
            let found = found.filter(|row| row.of.task == task && row.of.start <= until && row.labelled > 0);
            found.take(limit).map(|row| row.tally.clone()).collect()
        })
        .await
    }
}
