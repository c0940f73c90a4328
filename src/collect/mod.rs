//! The collect loop: read, infer, fold, commit.
//!
//! Everything between two commits lives in memory only. Whenever it is unsure (another replica moved a position, the
//! model fails, the commit's outcome is unknown) the loop drops that memory and reads again from the stored positions:
//! nothing is lost, and nothing counts twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Collect;
use crate::drift::checkpoint::Partition;
use crate::drift::record::Record;
use crate::health::{Health, Part};
use crate::retry::Backoff;
use crate::source::{DeadLetterSink, Event, Message, Refused, Source};
use crate::store::{self, CollectStore, Collected, Commit, StoreError};
use crate::telemetry::chain;
use crate::{fault, metrics, traces};

mod labels;
/// Which records are run, and how they become observations.
pub mod observe;
mod partition;
/// Candidates beside the current model.
pub mod shadow;
mod taking_over;
mod windows;

use observe::Watched;
use partition::{Heard, Outcome, Reading};
use windows::Windows;

/// Texts that go to the model in one call: enough to fill its batches.
const TEXTS: usize = 256;
/// Confirmations of idle partitions while one lasts.
const CONFIRMATIONS: u32 = 4;

/// The collect loop's state.
pub struct Collector {
    store: Arc<dyn CollectStore>,
    dead_letters: Box<dyn DeadLetterSink>,
    models: Vec<Watched>,
    limits: Collect,
    clock: Clock,
    health: Health,
    committed: Arc<Notify>,
    partitions: BTreeMap<Partition, Reading>,
    starting: BTreeMap<Partition, u64>,
    windows: Windows,
    refused: Vec<(Partition, i64, Refused)>,
    unflushed: u64,
    traces: Vec<String>,
    confirmed: Option<tokio::time::Instant>,
    /// Whether no broker answers.
    silent: bool,
}

/// What a collector works with.
pub struct Doors {
    /// Where tallies and positions go.
    pub store: Arc<dyn CollectStore>,
    /// Where refused records go.
    pub dead_letters: Box<dyn DeadLetterSink>,
    /// What time it is.
    pub clock: Clock,
    /// Who is told of trouble.
    pub health: Health,
    /// Notified after each commit.
    pub committed: Arc<Notify>,
}

impl Collector {
    /// A collector that has read nothing.
    pub fn new(doors: Doors, models: Vec<Watched>, limits: Collect) -> Collector {
        Collector {
            store: doors.store,
            dead_letters: doors.dead_letters,
            models,
            limits,
            clock: doors.clock,
            health: doors.health,
            committed: doors.committed,
            partitions: BTreeMap::new(),
            starting: BTreeMap::new(),
            windows: Windows::default(),
            refused: Vec::new(),
            unflushed: 0,
            traces: Vec::new(),
            confirmed: None,
            silent: false,
        }
    }

    /// Runs until `shutdown`, reopening the source with `reopen` after every trouble. On shutdown what was folded is
    /// committed before the group is left.
    ///
    /// # Errors
    /// None that time heals; only a source that cannot be reopened because of its configuration.
    pub async fn run<F>(mut self, first: Box<dyn Source>, reopen: F, shutdown: CancellationToken) -> anyhow::Result<()>
    where
        F: Fn() -> anyhow::Result<Box<dyn Source>> + Clone + Send + 'static,
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
                            self.health.trouble(Part::Source, format!("{error:#}"));
                            tracing::warn!(error = format!("{error:#}"), "the source cannot be opened; trying again");
                            backoff.wait(&shutdown).await;
                            continue;
                        }
                    }
                }
            };
            self.health.well(Part::Source);
            self.silent = false;
            let outcome = self.session(current.as_mut(), &shutdown, &mut backoff).await;
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
        source: &mut dyn Source,
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
                    self.confirm_idle().await;
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

    async fn take(&mut self, event: Event, source: &dyn Source, shutdown: &CancellationToken) -> anyhow::Result<()> {
        match event {
            Event::Assigned { partitions, topics, epoch, positions } => {
                let first = self.note(&topics, shutdown).await?;
                let stored = self.positions(&partitions, shutdown).await?;
                let known = |p: &Partition| (p.clone(), taking_over::known(p, stored.get(p), &first));
                let answer = partitions.iter().map(known).collect();
                for partition in partitions {
                    let Some(s) = stored.get(&partition) else {
                        // Never read: nothing is known of it until the source says where it starts.
                        self.starting.insert(partition, epoch);
                        continue;
                    };
                    self.partitions.insert(partition, Reading::new(epoch, s.going_on()));
                }
                if positions.send(answer).is_err() {
                    bail!("the source gave up waiting for positions");
                }
            }
            Event::Started { begins } => self.begin_all(begins, shutdown).await?,
            Event::Silent(silent) => {
                if !std::mem::replace(&mut self.silent, true) {
                    tracing::warn!(seconds = silent.as_secs(), "no broker answers; waiting for one");
                }
                self.health.trouble(Part::Source, format!("no broker has answered for {} s", silent.as_secs()));
            }
            Event::Ends(ends) => {
                self.hear();
                for end in ends {
                    if let Some(reading) = self.partitions.get_mut(&end.partition) {
                        reading.ended(end.handed_over);
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
                self.hear();
                self.fold(messages, source).await?;
                if self.unflushed >= self.limits.flush_records || self.windows.len() >= self.limits.max_open_windows {
                    self.flush(source, shutdown).await?;
                }
            }
        }
        Ok(())
    }

    /// A broker has answered.
    fn hear(&mut self) {
        if std::mem::take(&mut self.silent) {
            self.health.well(Part::Source);
            tracing::info!("a broker answers again");
        }
    }

    /// Waits after an error of the store that time may heal; any other ends the session.
    async fn wait(
        &self,
        error: StoreError,
        what: &str,
        backoff: &mut Backoff,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        metrics::step_failed("collect");
        if !error.is_transient() {
            return Err(error.into());
        }
        tracing::warn!(error = %chain(&error), "{what}; trying again");
        self.health.trouble(Part::Store, format!("{what}: {}", chain(&error)));
        if !backoff.wait(shutdown).await {
            bail!("shutting down while the store is away: the last records will be read again");
        }
        Ok(())
    }

    async fn fold(&mut self, messages: Vec<Message>, source: &dyn Source) -> anyhow::Result<()> {
        let mut waiting: Vec<(Record, Heard)> = Vec::with_capacity(TEXTS);
        for mut message in messages {
            if let Some(trace) = message.trace.take() {
                traces::keep(&mut self.traces, trace);
            }
            let Some(reading) = self.partitions.get_mut(message.partition.as_ref()) else { continue };
            match reading.account(message, &self.models) {
                Outcome::Ignore => continue,
                Outcome::Done => {}
                Outcome::Refuse(refused) => self.refused.push(refused),
                Outcome::Fold(record, heard) => waiting.push((record, heard)),
                Outcome::Other(record) => self.windows.count_other(&self.models, &record),
                Outcome::Label(record, at) => self.windows.take_labels(&self.models, record, at),
            }
            self.unflushed += 1;
            if waiting.len() >= TEXTS {
                let full = std::mem::replace(&mut waiting, Vec::with_capacity(TEXTS));
                self.fold_all(full, source).await?;
            }
        }
        self.fold_all(waiting, source).await
    }

    async fn fold_all(&mut self, records: Vec<(Record, Heard)>, source: &dyn Source) -> anyhow::Result<()> {
        fault::point("in_inference");
        let folded = self.windows.fold(&self.models, records, self.clock.now()).await;
        match &folded {
            Ok(_) => self.health.well(Part::Model),
            Err(error) => self.health.trouble(Part::Model, chain(error)),
        }
        folded?.into_iter().for_each(|spent| source.give_back(spent));
        Ok(())
    }

    /// Dead letters first, then tallies and positions in one transaction, then the hint to Kafka.
    async fn flush(&mut self, source: &dyn Source, shutdown: &CancellationToken) -> anyhow::Result<()> {
        if !self.partitions.values().any(|r| r.delta.is_moved()) {
            return Ok(());
        }
        let started = Instant::now();
        if let Err(error) = self.dead_letters.send(&self.refused).await {
            self.health.trouble(Part::DeadLetters, chain(&error));
            return Err(error.into());
        }
        self.health.well(Part::DeadLetters);
        let records = ("messaging.batch.message_count", self.unflushed.to_string());
        let trace = traces::span("flush", SystemTime::now() - started.elapsed(), &self.traces, [records]);
        let collected = self.collected(trace.as_ref());
        let windows = collected.partials.len();
        fault::point("before_commit");
        self.commit(&collected, shutdown).await?;
        fault::point("after_commit");
        self.refused.drain(..).for_each(|(.., refused)| metrics::dead_letter(refused.why.reason));
        self.windows.stored();
        self.unflushed = 0;
        self.traces.clear();
        for (partition, reading) in &mut self.partitions {
            if let Some(reached) = reading.delta.watermark.reached() {
                metrics::watermark(&partition.topic, partition.number, reached.micros() as f64 / 1e6);
            }
            reading.delta = reading.delta.committed();
        }
        source.hint(collected.delta.iter().map(|(p, d)| (p.clone(), d.to)).collect());
        self.committed.notify_one();
        metrics::flush(started.elapsed(), windows);
        fault::point("after_hint");
        Ok(())
    }

    /// Confirms, now and then, which partitions are idle: no others are taken for it.
    async fn confirm_idle(&mut self) {
        let idle_after = Duration::from_micros(self.limits.idle_after.micros().unsigned_abs());
        if self.confirmed.is_some_and(|at| at.elapsed() < idle_after / CONFIRMATIONS) {
            return;
        }
        let idle = self.partitions.iter().filter(|(_, reading)| reading.is_idle(idle_after));
        let idle: Vec<(Partition, i64)> = idle.map(|(p, r)| (p.clone(), r.delta.to)).collect();
        match store::within(self.store.confirm_idle(&idle, self.clock.now())).await {
            Ok(()) => {
                self.confirmed = Some(tokio::time::Instant::now());
                if !idle.is_empty() {
                    self.committed.notify_one();
                }
            }
            Err(error) => tracing::debug!(error = %chain(&error), "idle partitions could not be confirmed"),
        }
    }

    fn collected(&self, trace: Option<&String>) -> Collected {
        let moved = self.partitions.iter().filter(|(_, reading)| reading.delta.is_moved());
        let now = self.clock.now();
        Collected {
            flush_id: uuid::Uuid::now_v7().simple().to_string(),
            partials: self.windows.partials(&self.models, trace, now),
            labelled: self.windows.labelled(),
            shadows: self.windows.shadows(&self.models),
            delta: moved.map(|(p, reading)| (p.clone(), reading.delta.clone())).collect(),
            now,
        }
    }

    /// Commits, trying again while the store is away. If an earlier try went through after all, the next is fenced.
    async fn commit(&self, collected: &Collected, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let mut backoff = Backoff::new();
        loop {
            let started = Instant::now();
            match store::within(self.store.commit_collected(collected)).await {
                Ok(Commit::Applied) => {
                    metrics::transaction("collect", started.elapsed());
                    self.health.well(Part::Store);
                    return Ok(());
                }
                Ok(Commit::Fenced(partition)) => {
                    metrics::fenced();
                    bail!("another replica has moved `{}` partition {}", partition.topic, partition.number);
                }
                Err(error) => self.wait(error, "a flush failed", &mut backoff, shutdown).await?,
            }
        }
    }

    /// Drops everything that is not committed.
    fn forget(&mut self) {
        self.partitions.clear();
        self.starting.clear();
        self.windows.clear();
        self.refused.clear();
        self.traces.clear();
        self.unflushed = 0;
    }
}
