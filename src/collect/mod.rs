//! The collect loop: read, infer, fold, commit.
//!
//! Everything between two commits lives in memory only. Whenever it is unsure (another replica moved
//! a position, the model fails, the commit's outcome is unknown) the loop drops that memory and
//! reads again from the stored positions: nothing is lost, and nothing counts twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Collect;
use crate::drift::checkpoint::{CheckpointDelta, Delta, Partition, Position};
use crate::drift::observation::Observation;
use crate::drift::record::{Record, VersionMatch};
use crate::drift::summary::Summary;
use crate::drift::time::Timestamp;
use crate::drift::window::Slot;
use crate::metrics;
use crate::retry::Backoff;
use crate::source::dead_letter::DeadLetters;
use crate::source::kafka::KafkaSource;
use crate::source::{Event, Message, Refused};
use crate::store::{CollectStore, Collected, Commit, Partial, StoreError};

/// Which records are run, and how they become observations.
pub mod observe;

use observe::Watched;

/// Texts that go to the model in one call: enough to fill its batches.
const TEXTS: usize = 256;

/// The collect loop's state.
pub struct Collector {
    store: Arc<dyn CollectStore>,
    dead_letters: DeadLetters,
    models: Vec<Watched>,
    limits: Collect,
    committed: Arc<Notify>,
    partitions: HashMap<Partition, Reading>,
    starting: HashMap<Partition, u64>,
    windows: BTreeMap<(usize, Slot), Summary>,
    refused: Vec<(Partition, i64, Refused)>,
    unflushed: u64,
}

/// A partition being read.
struct Reading {
    epoch: u64,
    delta: Delta,
}

impl Collector {
    /// A collector that has read nothing. `committed` is notified after each commit.
    pub fn new(
        store: Arc<dyn CollectStore>,
        dead_letters: DeadLetters,
        models: Vec<Watched>,
        limits: Collect,
        committed: Arc<Notify>,
    ) -> Collector {
        Collector {
            store,
            dead_letters,
            models,
            limits,
            committed,
            partitions: HashMap::new(),
            starting: HashMap::new(),
            windows: BTreeMap::new(),
            refused: Vec::new(),
            unflushed: 0,
        }
    }

    /// Runs until `shutdown`, reopening the source with `reopen` after every trouble. On shutdown
    /// what was folded is committed before the group is left.
    ///
    /// # Errors
    /// None that time heals; only a source that cannot be reopened because of its configuration.
    pub async fn run<F>(mut self, first: KafkaSource, reopen: F, shutdown: CancellationToken) -> anyhow::Result<()>
    where
        F: Fn() -> anyhow::Result<KafkaSource> + Clone + Send + 'static,
    {
        let mut source = Some(first);
        let mut backoff = Backoff::new();
        while !shutdown.is_cancelled() {
            let mut current = match source.take() {
                Some(source) => source,
                None => {
                    let reopen = reopen.clone();
                    match tokio::task::spawn_blocking(reopen).await.context("the reopening thread")? {
                        Ok(source) => source,
                        Err(error) => {
                            metrics::step_failed("collect");
                            tracing::warn!(error = format!("{error:#}"), "the source cannot be opened; trying again");
                            backoff.wait(&shutdown).await;
                            continue;
                        }
                    }
                }
            };
            let outcome = self.session(&mut current, &shutdown, &mut backoff).await;
            current.stop().await;
            if let Err(error) = outcome {
                self.forget();
                metrics::step_failed("collect");
                tracing::warn!(error = format!("{error:#}"), "reading again from the stored positions");
                backoff.wait(&shutdown).await;
            }
        }
        Ok(())
    }

    async fn session(
        &mut self,
        source: &mut KafkaSource,
        shutdown: &CancellationToken,
        backoff: &mut Backoff,
    ) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(self.limits.flush_every);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                _ = tick.tick() => {
                    self.flush(source, shutdown).await?;
                    backoff.reset();
                }
                event = source.next() => match event {
                    Some(event) => self.take(event, source, shutdown).await?,
                    None => bail!("the source's thread has ended"),
                },
            }
        }
        self.flush(source, shutdown).await
    }

    async fn take(&mut self, event: Event, source: &KafkaSource, shutdown: &CancellationToken) -> anyhow::Result<()> {
        match event {
            Event::Assigned { partitions, epoch, positions } => {
                let stored = self.positions(&partitions, shutdown).await?;
                let answer = partitions.iter().map(|p| (p.clone(), stored.get(p).map(|s| s.next_offset))).collect();
                for partition in partitions {
                    let Some(s) = stored.get(&partition) else {
                        // Never read: nothing is known of it until the source says where it starts.
                        self.starting.insert(partition, epoch);
                        continue;
                    };
                    let delta = Delta::starting(Some(s.next_offset), s.next_offset, s.watermark.clone());
                    self.partitions.insert(partition, Reading { epoch, delta });
                }
                if positions.send(answer).is_err() {
                    bail!("the source gave up waiting for positions");
                }
            }
            Event::Started { offsets } => {
                for (partition, offset) in offsets {
                    if let Some(epoch) = self.starting.remove(&partition) {
                        let delta = Delta::starting(None, offset, Default::default());
                        self.partitions.insert(partition, Reading { epoch, delta });
                    } else if let Some(reading) = self.partitions.get_mut(&partition) {
                        let gap = offset - reading.delta.to;
                        reading.delta.ledger.gaps += gap;
                        metrics::gaps(gap.unsigned_abs());
                        reading.delta.to = offset;
                    }
                }
            }
            Event::Revoked { partitions, done } => {
                self.flush(source, shutdown).await?;
                for partition in &partitions {
                    self.partitions.remove(partition);
                    self.starting.remove(partition);
                }
                // The source stops waiting after a while; then nobody listens, and that is fine.
                let _ = done.send(());
            }
            Event::Messages(messages) => {
                self.fold(messages).await?;
                if self.unflushed >= self.limits.flush_records {
                    self.flush(source, shutdown).await?;
                }
            }
        }
        Ok(())
    }

    /// Stored positions, asked for until the store answers: without them nothing can be read.
    async fn positions(
        &self,
        partitions: &[Partition],
        shutdown: &CancellationToken,
    ) -> anyhow::Result<HashMap<Partition, Position>> {
        let mut backoff = Backoff::new();
        loop {
            match self.store.positions(partitions).await {
                Ok(found) => return Ok(found.into_iter().collect()),
                Err(error) if error.is_transient() => trouble(&error, "positions cannot be read; trying again"),
                Err(error) => return Err(error.into()),
            }
            if !backoff.wait(shutdown).await {
                bail!("shutting down");
            }
        }
    }

    async fn fold(&mut self, messages: Vec<Message>) -> anyhow::Result<()> {
        let mut waiting: Vec<Record> = Vec::new();
        for message in messages {
            if let Some(record) = self.account(message) {
                waiting.push(record);
            }
            if waiting.len() >= TEXTS {
                self.infer_and_fold(std::mem::take(&mut waiting)).await?;
            }
        }
        self.infer_and_fold(waiting).await
    }

    /// Enters one message in its partition's ledger; gives the record back if it is to be folded.
    fn account(&mut self, message: Message) -> Option<Record> {
        let reading = self.partitions.get_mut(message.partition.as_ref())?;
        if message.epoch < reading.epoch {
            return None;
        }
        let before = reading.delta.ledger.gaps;
        if !reading.delta.pass(message.offset) {
            metrics::record("repeated", 1);
            return None;
        }
        metrics::gaps((reading.delta.ledger.gaps - before).unsigned_abs());
        self.unflushed += 1;
        let ledger = &mut reading.delta.ledger;
        let record = match message.decoded {
            Ok(record) => record,
            Err(refused) => {
                ledger.dead_lettered += 1;
                metrics::dead_letter(refused.why.reason);
                self.refused.push((message.partition.as_ref().clone(), message.offset, refused));
                return None;
            }
        };
        reading.delta.watermark.observe(record.time);
        metrics::unknown_tasks(u64::from(record.unknown_tasks));
        let watched = &self.models[record.model];
        let late = reading.delta.watermark.reached().is_some_and(|w| record.time < w.minus(watched.late_limit));
        let aside = match () {
            () if record.version == VersionMatch::Other => Some("other_version"),
            () if late => Some("late"),
            () if observe::is_only_label(&record) => Some("label"),
            () => None,
        };
        if let Some(outcome) = aside {
            ledger.set_aside += 1;
            metrics::record(outcome, 1);
            return None;
        }
        ledger.folded += 1;
        Some(record)
    }

    async fn infer_and_fold(&mut self, records: Vec<Record>) -> anyhow::Result<()> {
        let count = records.len() as u64;
        let mut by_model: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
        for record in records {
            by_model.entry(record.model).or_default().push(record);
        }
        for (index, records) in by_model {
            let watched = &self.models[index];
            let inferences = observe::infer(watched, &records).await?;
            let mut by_slot: BTreeMap<Slot, Vec<(Timestamp, Observation)>> = BTreeMap::new();
            for (record, inference) in records.into_iter().zip(inferences) {
                let (time, slot) = (record.time, watched.window.slot(record.time, 0));
                let observation = Observation::new(record, inference, &watched.reference);
                by_slot.entry(slot).or_default().push((time, observation));
            }
            for (slot, observations) in by_slot {
                let window = self.windows.entry((index, slot)).or_insert_with(|| Summary::empty(&watched.reference));
                let observations: Vec<(Timestamp, &Observation)> = observations.iter().map(|(t, o)| (*t, o)).collect();
                window.fold_all(&watched.reference, &observations);
            }
        }
        metrics::record("folded", count);
        Ok(())
    }

    /// Dead letters first, then tallies and positions in one transaction, then the hint to Kafka.
    async fn flush(&mut self, source: &KafkaSource, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let changed = self.partitions.values().any(|r| r.delta.from != Some(r.delta.to));
        if !changed {
            return Ok(());
        }
        let started = Instant::now();
        self.dead_letters.send(&self.refused).await?;
        let collected = self.collected();
        let windows = collected.partials.len();
        match self.commit(&collected, shutdown).await? {
            Commit::Applied => {}
            Commit::Fenced(partition) => {
                metrics::fenced();
                bail!("another replica has moved `{}` partition {}", partition.topic, partition.number);
            }
        }
        self.refused.clear();
        self.windows.clear();
        self.unflushed = 0;
        for reading in self.partitions.values_mut() {
            let delta = &mut reading.delta;
            *delta = Delta::starting(Some(delta.to), delta.to, std::mem::take(&mut delta.watermark));
        }
        let positions: Vec<(Partition, i64)> = collected.delta.iter().map(|(p, d)| (p.clone(), d.to)).collect();
        source.hint(positions);
        self.committed.notify_one();
        metrics::flush(started.elapsed(), windows);
        Ok(())
    }

    fn collected(&mut self) -> Collected {
        let mut delta = CheckpointDelta::new();
        for (partition, reading) in &mut self.partitions {
            if reading.delta.from != Some(reading.delta.to) {
                reading.delta.watermark.advance();
                delta.insert(partition.clone(), reading.delta.clone());
            }
        }
        let partial = |((model, slot), summary): (&(usize, Slot), &Summary)| Partial {
            model: self.models[*model].reference.spec.name.clone(),
            reference_id: self.models[*model].reference.id.clone(),
            slot: *slot,
            body: summary.encode(),
        };
        Collected {
            flush_id: uuid::Uuid::now_v7().simple().to_string(),
            partials: self.windows.iter().map(partial).collect(),
            delta,
            now: clock::now(),
        }
    }

    /// Commits, trying again while the store is away. If an earlier try did go through after all,
    /// the next one finds the position moved and is fenced, which leads to reading again.
    async fn commit(&self, collected: &Collected, shutdown: &CancellationToken) -> anyhow::Result<Commit> {
        let mut backoff = Backoff::new();
        loop {
            match self.store.commit_collected(collected).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) if error.is_transient() => {
                    metrics::step_failed("collect");
                    trouble(&error, "a flush failed; trying again");
                }
                Err(error) => return Err(error.into()),
            }
            if !backoff.wait(shutdown).await {
                bail!("shutting down while the store is away: the last records will be read again");
            }
        }
    }

    /// Drops everything that is not committed.
    fn forget(&mut self) {
        self.partitions.clear();
        self.starting.clear();
        self.windows.clear();
        self.refused.clear();
        self.unflushed = 0;
    }
}

fn trouble(error: &StoreError, message: &str) {
    tracing::warn!(error = %crate::telemetry::chain(error), "{message}");
}

/// How long a flush at shutdown may take before the process gives up; the records are read again.
pub const DRAIN: Duration = Duration::from_secs(8);
