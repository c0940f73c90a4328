//! A store in memory that holds the door's contract, and fails when it is told to: before it does
//! what is asked, or after, when nobody hears that it was done.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::labels;
use async_trait::async_trait;
use driftd::clock::Clock;
use driftd::drift::checkpoint::{Ledger, Partition, Position, applies};
use driftd::drift::closing::Reached;
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::window::Slot;
use driftd::store::*;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// A partition's row.
#[derive(Clone)]
pub struct Row {
    pub position: Position,
    pub first_offset: i64,
    pub ledger: Ledger,
    moved: Timestamp,
    idle: Option<Timestamp>,
}

/// All rows.
#[derive(Default)]
pub struct Rows {
    pub positions: BTreeMap<Partition, Row>,
    topics: BTreeMap<String, i32>,
    pub partials: BTreeMap<String, Partial>,
    course: Option<StoredCourse>,
    pub reports: BTreeMap<Slot, ReportRow>,
    pub statistics: BTreeMap<String, StatisticRow>,
    pub alerts: BTreeMap<String, AlertRow>,
    pub transitions: BTreeMap<String, TransitionRow>,
    pub requests: BTreeMap<String, RequestRow>,
    pub deliveries: BTreeMap<String, NewDelivery>,
    leases: BTreeMap<String, (String, Timestamp)>,
    pub labels: labels::Labels,
    pub examples: BTreeMap<String, Vec<ExampleRow>>,
}

/// Rows behind a door that may fail.
#[derive(Clone)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
    troubles: Arc<Mutex<StdRng>>,
    /// The share of calls that fail.
    share: Arc<Mutex<f64>>,
}

impl MemoryStore {
    pub fn new(seed: u64, share: f64) -> MemoryStore {
        let troubles = Arc::new(Mutex::new(StdRng::seed_from_u64(seed)));
        MemoryStore { rows: Arc::default(), troubles, share: Arc::new(Mutex::new(share)) }
    }

    pub fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().expect("not poisoned")
    }

    /// From now on every call does what it is asked.
    pub fn recover(&self) {
        *self.share.lock().expect("not poisoned") = 0.0;
    }

    /// Takes a while; fails before or after the work.
    pub async fn work<T>(&self, work: impl FnOnce(&mut Rows) -> T) -> Result<T, StoreError> {
        let share = *self.share.lock().expect("not poisoned");
        let (before, after, fate) = {
            let mut rng = self.troubles.lock().expect("not poisoned");
            let slow = if rng.random_bool(share / 4.0) { 40_000 } else { 5 };
            (rng.random_range(0..=slow), rng.random_range(0..=slow), rng.random::<f64>())
        };
        tokio::time::sleep(Duration::from_millis(before)).await;
        if fate < share / 2.0 {
            return Err(StoreError::Silent);
        }
        let done = work(&mut self.rows());
        tokio::time::sleep(Duration::from_millis(after)).await;
        if fate < share { Err(StoreError::Silent) } else { Ok(done) }
    }
}

#[async_trait]
impl CollectStore for MemoryStore {
    async fn positions(&self, partitions: &[Partition]) -> Result<Vec<(Partition, Position)>, StoreError> {
        let found = |rows: &mut Rows| {
            partitions.iter().filter_map(|p| Some((p.clone(), rows.positions.get(p)?.position.clone()))).collect()
        };
        self.work(found).await
    }

    async fn commit_collected(&self, collected: &Collected) -> Result<Commit, StoreError> {
        self.work(|rows| {
            for (partition, delta) in &collected.delta {
                let stored = rows.positions.get(partition).map(|row| row.position.next_offset);
                if !applies(stored, delta) {
                    return Commit::Fenced(partition.clone());
                }
            }
            for (partition, delta) in &collected.delta {
                let position =
                    Position { next_offset: delta.to, watermark: delta.watermark.clone(), used: delta.used.clone() };
                let before = rows.positions.get(partition);
                let first_offset = before.map_or(delta.to - delta.ledger.total(), |row| row.first_offset);
                let mut ledger = before.map(|row| row.ledger).unwrap_or_default();
                ledger.add(delta.ledger);
                let row = Row { position, first_offset, ledger, moved: collected.now, idle: None };
                rows.positions.insert(partition.clone(), row);
            }
            rows.labels.collect(&collected.flush_id, &collected.labelled);
            for (i, partial) in collected.partials.iter().enumerate() {
                rows.partials.insert(format!("{}-{i}", collected.flush_id), partial.clone());
            }
            Commit::Applied
        })
        .await
    }

    async fn note_topics(&self, topics: &[(String, i32)], _: Timestamp) -> Result<Vec<(String, i32)>, StoreError> {
        self.work(|rows| {
            rows.topics.extend(topics.iter().cloned());
            topics.to_vec()
        })
        .await
    }

    async fn confirm_idle(&self, idle: &[(Partition, i64)], now: Timestamp) -> Result<(), StoreError> {
        self.work(|rows| {
            for (partition, next) in idle {
                if let Some(row) = rows.positions.get_mut(partition).filter(|r| r.position.next_offset == *next) {
                    row.idle = Some(now);
                }
            }
        })
        .await
    }
}

#[async_trait]
impl JudgeStore for MemoryStore {
    async fn lease(&self, name: &str, holder: &str, now: Timestamp, ttl: Duration) -> Result<bool, StoreError> {
        let until = now.plus(Span::from_micros(i64::try_from(ttl.as_micros()).expect("short")));
        self.work(|rows| {
            let held = rows.leases.get(name).is_some_and(|(by, until)| by != holder && *until >= now);
            if !held {
                rows.leases.insert(name.to_owned(), (holder.to_owned(), until));
            }
            !held
        })
        .await
    }

    async fn register(&self, _: &ModelRow, _: &ReferenceRow, _: Timestamp) -> Result<(), StoreError> {
        self.work(|_| ()).await
    }

    async fn reached(&self) -> Result<Vec<Reached>, StoreError> {
        self.work(|rows| {
            let mut all = Vec::new();
            for (topic, partitions) in &rows.topics {
                for number in 0..*partitions {
                    let partition = Partition { topic: topic.clone(), number };
                    let row = rows.positions.get(&partition);
                    all.push(Reached {
                        watermark: row.and_then(|r| r.position.watermark.reached()),
                        moved: row.map_or(Timestamp::from_micros(0), |r| r.moved),
                        idle: row.and_then(|r| r.idle),
                        partition,
                    });
                }
            }
            all
        })
        .await
    }

    async fn gaps(&self) -> Result<Vec<GapRow>, StoreError> {
        self.work(|_| Vec::new()).await
    }

    async fn unannounced_gaps(&self) -> Result<Vec<GapRow>, StoreError> {
        self.work(|_| Vec::new()).await
    }

    async fn announce(&self, _: &GapRow, _: &[NewDelivery], _: Timestamp) -> Result<(), StoreError> {
        self.work(|_| ()).await
    }

    async fn course(&self, _: &str) -> Result<Option<StoredCourse>, StoreError> {
        self.work(|rows| rows.course.clone()).await
    }

    async fn partials(&self, _: &str, _: &str, below: Slot, limit: i64) -> Result<Vec<StoredPartial>, StoreError> {
        self.work(|rows| {
            let mut found: Vec<StoredPartial> = rows
                .partials
                .iter()
                .filter(|(_, p)| p.slot < below)
                .map(|(id, p)| StoredPartial {
                    partial_id: id.clone(),
                    slot: p.slot,
                    late: p.late,
                    trace: p.trace.clone(),
                    body: p.body.clone(),
                })
                .collect();
            found.sort_by_key(|p| p.slot);
            let mut slots: Vec<Slot> = found.iter().map(|p| p.slot).collect();
            slots.dedup();
            let last = slots.get(usize::try_from(limit).expect("small") - 1).copied().unwrap_or(Slot::MAX);
            found.retain(|p| p.slot <= last);
            found
        })
        .await
    }

    async fn open_alerts(&self, _: &str) -> Result<Vec<OpenAlert>, StoreError> {
        self.work(|rows| {
            let open = rows.alerts.values().filter(|a| ["pending", "firing"].contains(&a.state.as_str()));
            open.map(|alert| OpenAlert { alert: alert.clone(), version: "1".to_owned() }).collect()
        })
        .await
    }

    async fn report(&self, _: &str, _: &str, start: Timestamp) -> Result<Option<ReportRow>, StoreError> {
        self.work(|rows| rows.reports.values().find(|r| r.start == start).cloned()).await
    }

    async fn commit_judged(&self, judged: &Judged) -> Result<bool, StoreError> {
        self.work(|rows| {
            let version = rows.course.as_ref().map_or(0, |c| c.version);
            let there = judged.consumed.iter().all(|id| rows.partials.contains_key(id));
            if version != judged.expected_version || !there || !rows.labels.judge(&judged.labels) {
                return false;
            }
            rows.course = Some(StoredCourse { version: version + 1, body: judged.course.clone() });
            judged.consumed.iter().for_each(|id| drop(rows.partials.remove(id)));
            if let Some(report) = &judged.report {
                rows.reports.insert(report.slot, report.clone());
                for s in &judged.statistics {
                    let key = format!("{} {} {} {} {}", report.slot, s.scope, s.task, s.segment, s.signal);
                    // As the SQL does: a revision leaves the evidence of the judgement alone.
                    let before = rows.statistics.get(&key).map(|b| (b.ln_e, b.ln_evidence));
                    let (ln_e, ln_evidence) = before.unwrap_or((s.ln_e, s.ln_evidence));
                    rows.statistics.insert(key, StatisticRow { ln_e, ln_evidence, ..s.clone() });
                }
            }
            for row in &judged.examples {
                let of = rows.examples.entry(row.alert_id.clone()).or_default();
                of.truncate(usize::try_from(row.ordinal).expect("small"));
                of.push(row.clone());
            }
            rows.alerts.extend(judged.alerts.iter().map(|(a, _)| (a.alert_id.clone(), a.clone())));
            rows.transitions.extend(judged.alerts.iter().map(|(_, t)| (t.transition_id.clone(), t.clone())));
            // A deadline follows the wall clock, which faults move.
            let request = |r: &NewRequest| RequestRow { deadline: None, ..r.row.clone() };
            rows.requests.extend(judged.request.iter().map(|r| (r.row.request_id.clone(), request(r))));
            if let Some(covered) = &judged.covered
                && let Some(row) = rows.requests.get_mut(&covered.request_id)
            {
                row.covers_until = Some(covered.until);
                if let Some(Proposal { tasks, protected_tasks, reason, body }) = covered.proposal.clone() {
                    *row = RequestRow { tasks, protected_tasks, reason, body, ..row.clone() };
                }
            }
            rows.deliveries.extend(judged.deliveries.iter().map(|d| (d.delivery_id.clone(), d.clone())));
            true
        })
        .await
    }
}

#[async_trait]
impl CoverStore for MemoryStore {
    async fn requests_since(&self, _: &str, _: Timestamp) -> Result<Vec<RequestRow>, StoreError> {
        // Nobody decides about it here: the first stays open.
        self.work(|rows| rows.requests.values().cloned().collect()).await
    }
}

#[async_trait]
impl ExampleStore for MemoryStore {
    async fn texts(&self, partial_ids: &[String]) -> Result<Vec<Vec<u8>>, StoreError> {
        self.work(|rows| {
            let texts = |id: &String| Some(rows.partials.get(id)?.texts.as_ref()?.body.clone());
            partial_ids.iter().filter_map(texts).collect()
        })
        .await
    }
}

/// Nothing stands beside the model here.
#[async_trait]
impl ShadowStore for MemoryStore {
    async fn shadow_partials(&self, _: &ShadowKey, _: i64) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.work(|_| Vec::new()).await
    }

    async fn shadow(&self, _: &ShadowKey) -> Result<Option<ShadowRow>, StoreError> {
        self.work(|_| None).await
    }

    async fn latest_shadow(&self, _: &str) -> Result<Option<ShadowRow>, StoreError> {
        self.work(|_| None).await
    }

    async fn commit_shadow(&self, _: &ShadowChange) -> Result<bool, StoreError> {
        self.work(|_| false).await
    }
}

/// A clock that shows the simulation's time, so much fast.
pub fn clock(began: tokio::time::Instant, fast: Span) -> Clock {
    Clock::from_fn(move || {
        let since = i64::try_from(began.elapsed().as_micros()).expect("short");
        Timestamp::from_micros(1_800_000_000_000_000 + since).plus(fast)
    })
}
