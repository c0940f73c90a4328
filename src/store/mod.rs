//! The store door: everything that must outlive the process.
//!
//! Contract, held by one conformance suite for every adapter:
//! - `CollectStore::commit_collected` applies tallies *and* positions, or nothing; a position
//!   that is not where the batch was read from fences the whole batch.
//! - `JudgeStore::commit_judged` applies a judgement *and* the course it came from, once: its
//!   version is compared, and the tallies it consumed are gone with it.
//! - `DeliverStore::claim` gives each due delivery to one caller at a time, until the lease ends.
//! - What is read back has the same bits as what was written.

use std::time::Duration;

use async_trait::async_trait;

use crate::drift::checkpoint::{CheckpointDelta, Ledger, Partition, Position};
use crate::drift::time::Timestamp;
use crate::drift::window::Slot;

mod collecting;
mod delivering;
mod judging;
mod postgres;
mod reading;
mod references;
mod sql;
mod sqlite;

pub use sql::SqlStore;

/// What goes wrong with a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or opened.
    #[error("the store cannot be opened at `{place}`")]
    Open {
        /// Where, without password.
        place: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The server takes no writes.
    #[error("the store at `{place}` is read-only: a standby, or `default_transaction_read_only` is on")]
    ReadOnly {
        /// Where, without password.
        place: String,
    },
    /// The schema is not ours.
    #[error("the store's schema does not fit this driftd: {0}")]
    Schema(String),
    /// A statement failed.
    #[error("the store")]
    Query(#[from] sqlx::Error),
    /// Something stored does not decode.
    #[error("the store holds something that does not decode: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether doing the same again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, StoreError::Open { .. } | StoreError::ReadOnly { .. } | StoreError::Query(_))
    }
}

/// Tallies of one flush for one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Name of the model.
    pub model: String,
    /// Reference whose layout the tallies have.
    pub reference_id: String,
    /// The window.
    pub slot: Slot,
    /// An encoded [`crate::drift::summary::Summary`].
    pub body: Vec<u8>,
}

/// One flush: tallies and the positions they moved.
#[derive(Clone, Debug)]
pub struct Collected {
    /// Unique: makes the ids of its partials.
    pub flush_id: String,
    /// Tallies.
    pub partials: Vec<Partial>,
    /// Positions.
    pub delta: CheckpointDelta,
    /// Wall clock.
    pub now: Timestamp,
}

/// What became of a flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Everything was applied.
    Applied,
    /// Nothing was: this partition was moved by somebody else.
    Fenced(Partition),
}

/// What the collect loop asks of a store.
#[async_trait]
pub trait CollectStore: Send + Sync {
    /// Stored positions of these partitions; those never read are left out.
    async fn positions(&self, partitions: &[Partition]) -> Result<Vec<(Partition, Position)>, StoreError>;

    /// Applies one flush in one transaction.
    async fn commit_collected(&self, collected: &Collected) -> Result<Commit, StoreError>;
}

/// How far a partition is, for closing windows.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Which.
    pub partition: Partition,
    /// Event time it has reached.
    pub watermark: Option<Timestamp>,
    /// When its position last moved, by the wall clock.
    pub updated: Timestamp,
    /// Next offset.
    pub next_offset: i64,
    /// Offset at which accounting began.
    pub first_offset: i64,
    /// What became of the records between.
    pub ledger: Ledger,
}

/// A model's course as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCourse {
    /// Compare-and-set counter.
    pub version: i64,
    /// An encoded [`crate::drift::course::Course`].
    pub body: Vec<u8>,
}

/// A partial with the id under which it is consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPartial {
    /// Its id.
    pub partial_id: String,
    /// The window.
    pub slot: Slot,
    /// An encoded summary.
    pub body: Vec<u8>,
}

/// A report row.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportRow {
    /// Name of the model.
    pub model: String,
    /// Reference it was judged against.
    pub reference_id: String,
    /// The window's number.
    pub slot: Slot,
    /// Start.
    pub start: Timestamp,
    /// End, exclusive.
    pub end: Timestamp,
    /// Records.
    pub records: i64,
    /// How often late records changed it.
    pub revision: i64,
    /// Verdict's name.
    pub verdict: String,
    /// ln evidence, `None` for no evidence at all.
    pub ln_evidence: Option<f64>,
    /// ln threshold.
    pub ln_threshold: f64,
    /// Guarantee as JSON.
    pub guarantee: String,
    /// Evidence by part as JSON.
    pub parts: String,
    /// An encoded summary.
    pub summary: Vec<u8>,
}

/// A statistic row.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticRow {
    /// Scope's name.
    pub scope: String,
    /// Task's name, empty for none.
    pub task: String,
    /// Segment's name, empty for all records.
    pub segment: String,
    /// Signal's name.
    pub signal: String,
    /// Units.
    pub n: i64,
    /// Statistic, if it was computed.
    pub statistic: Option<f64>,
    /// Degrees of freedom.
    pub degrees_of_freedom: Option<f64>,
    /// ln p-value.
    pub ln_p: Option<f64>,
    /// ln e-value.
    pub ln_e: Option<f64>,
    /// ln evidence of the signal.
    pub ln_evidence: Option<f64>,
    /// Effect as JSON.
    pub effect: String,
    /// Movers as JSON.
    pub movers: String,
    /// Name of how far the budget is promised for this signal.
    pub guarantee: String,
}

/// An alert row.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRow {
    /// Stable id.
    pub alert_id: String,
    /// Name of the model.
    pub model: String,
    /// Reference it was found against.
    pub reference_id: String,
    /// State's name.
    pub state: String,
    /// Cause's kind.
    pub cause: String,
    /// Cause's task.
    pub cause_task: Option<String>,
    /// Cause's segment.
    pub cause_segment: Option<String>,
    /// Tasks affected as a JSON array.
    pub tasks_affected: String,
    /// One sentence.
    pub summary: String,
    /// When it opened.
    pub opened: Timestamp,
    /// Start of the window in which it opened.
    pub opened_window: Timestamp,
    /// When it resolved.
    pub resolved: Option<Timestamp>,
    /// ln evidence when it fired.
    pub ln_evidence: Option<f64>,
    /// ln threshold.
    pub ln_threshold: f64,
    /// Guarantee as JSON.
    pub guarantee: String,
}

/// A transition row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitionRow {
    /// Stable id.
    pub transition_id: String,
    /// The alert.
    pub alert_id: String,
    /// When.
    pub at: Timestamp,
    /// From this state.
    pub from: String,
    /// To this one.
    pub to: String,
    /// Why.
    pub reason: String,
}

/// A retraining request row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRow {
    /// Stable id.
    pub request_id: String,
    /// Name of the model.
    pub model: String,
    /// The alert that led to it.
    pub alert_id: String,
    /// State's name.
    pub state: String,
    /// Tasks to retrain as a JSON array.
    pub tasks: String,
    /// Protected tasks as a JSON array.
    pub protected_tasks: String,
    /// Why.
    pub reason: String,
    /// When.
    pub created: Timestamp,
}

/// A message to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Stable id, the message's id on the wire.
    pub delivery_id: String,
    /// Which endpoint.
    pub endpoint: String,
    /// Event type.
    pub event: String,
    /// Name of the model.
    pub model: String,
    /// The body to send.
    pub body: String,
}

/// Everything one judged window changes.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The model's name.
    pub model: String,
    /// The course's version this judgement started from; 0 for none yet.
    pub expected_version: i64,
    /// The reference it was judged against.
    pub reference_id: String,
    /// First window not judged yet.
    pub next_slot: Option<Slot>,
    /// Encoded course after the window.
    pub course: Vec<u8>,
    /// Partials merged into the report, to be removed.
    pub consumed: Vec<String>,
    /// The report; replaces an earlier revision.
    pub report: Option<ReportRow>,
    /// Its statistics.
    pub statistics: Vec<StatisticRow>,
    /// The alert as it stands.
    pub alert: Option<AlertRow>,
    /// Its change.
    pub transition: Option<TransitionRow>,
    /// A retraining request.
    pub request: Option<RequestRow>,
    /// Messages to send.
    pub deliveries: Vec<NewDelivery>,
    /// Wall clock.
    pub now: Timestamp,
}

/// A model's row for readers.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRow {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Active reference.
    pub reference_id: String,
    /// Budget as written.
    pub budget: String,
    /// Windows to one false alarm.
    pub threshold: f64,
    /// Window length in microseconds.
    pub window_us: i64,
    /// Embedding dimension.
    pub embedding_dimension: Option<i64>,
    /// Tasks as JSON.
    pub tasks: String,
    /// Where it really runs, as JSON; `None` if this deployment runs no model.
    pub inference: Option<String>,
}

/// A reference's row for readers.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceRow {
    /// Id.
    pub reference_id: String,
    /// Model.
    pub model: String,
    /// Version.
    pub version: String,
    /// Name of its kind.
    pub kind: String,
    /// Records.
    pub records: i64,
    /// Windows.
    pub windows: i64,
    /// First event time.
    pub first: Timestamp,
    /// Last event time.
    pub last: Timestamp,
    /// Guarantee as JSON.
    pub guarantee: String,
    /// When it was stored.
    pub created: Timestamp,
    /// The encoded reference.
    pub body: Vec<u8>,
}

/// What the judge loop asks of a store.
#[async_trait]
pub trait JudgeStore: Send + Sync {
    /// Takes or renews a lease; false while another holds it.
    async fn lease(&self, name: &str, holder: &str, now: Timestamp, ttl: Duration) -> Result<bool, StoreError>;

    /// Writes what readers should know of a model and its reference.
    async fn register(&self, model: &ModelRow, reference: &ReferenceRow, now: Timestamp) -> Result<(), StoreError>;

    /// How far all partitions are.
    async fn progress(&self) -> Result<Vec<Progress>, StoreError>;

    /// The model's course, if it has one.
    async fn course(&self, model: &str) -> Result<Option<StoredCourse>, StoreError>;

    /// Partials of a model below a slot, in the order of slots, at most `limit` slots of them.
    async fn partials(
        &self,
        model: &str,
        reference_id: &str,
        below: Slot,
        limit: i64,
    ) -> Result<Vec<StoredPartial>, StoreError>;

    /// The report of a window that late records are about to revise.
    async fn report(&self, model: &str, reference_id: &str, slot: Slot) -> Result<Option<ReportRow>, StoreError>;

    /// Applies one judgement in one transaction; false if the course has moved on meanwhile.
    async fn commit_judged(&self, judged: &Judged) -> Result<bool, StoreError>;
}

/// A claimed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Stable id.
    pub delivery_id: String,
    /// Which endpoint.
    pub endpoint: String,
    /// Body.
    pub body: String,
    /// Attempts so far.
    pub attempts: i64,
    /// When it was written.
    pub created: Timestamp,
}

/// How a delivery goes on after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done.
    Delivered,
    /// Try again at this time.
    RetryAt(Timestamp),
    /// Given up.
    Failed,
    /// The endpoint is gone: this and everything pending for it is given up.
    Disable,
}

/// One attempt, settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which delivery.
    pub delivery_id: String,
    /// Its endpoint.
    pub endpoint: String,
    /// HTTP status, if there was one.
    pub status: Option<i64>,
    /// Bounded outcome.
    pub outcome: String,
    /// How long it took.
    pub took: Duration,
    /// How it goes on.
    pub settlement: Settlement,
    /// Wall clock.
    pub now: Timestamp,
}

/// What the deliver loop asks of a store.
#[async_trait]
pub trait DeliverStore: Send + Sync {
    /// Claims due deliveries until `lease_until`, the oldest first, at most one an endpoint, so
    /// that an endpoint gets its messages in order.
    async fn claim(&self, now: Timestamp, lease_until: Timestamp) -> Result<Vec<Delivery>, StoreError>;

    /// Records an attempt and what follows from it, in one transaction.
    async fn settle(&self, settled: &Settled) -> Result<(), StoreError>;

    /// Forgets that endpoints were disabled, at start: the operator has kept them in the
    /// configuration.
    async fn enable(&self, endpoints: &[String]) -> Result<(), StoreError>;
}

/// Which statistics a reader wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatisticFilter {
    /// Scope's name.
    pub scope: Option<String>,
    /// Task's name.
    pub task: Option<String>,
    /// Segment's name, empty for all records.
    pub segment: Option<String>,
    /// Signal's name.
    pub signal: Option<String>,
}

/// One page of a list: at most `limit` rows strictly before the cursor's time, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows at most.
    pub limit: i64,
    /// Only rows before this time (microseconds).
    pub before_us: i64,
}

/// A statistic with its window.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedStatistic {
    /// Start of the window.
    pub start: Timestamp,
    /// End of the window.
    pub end: Timestamp,
    /// The statistic.
    pub row: StatisticRow,
}

/// A delivery for readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Stable id.
    pub delivery_id: String,
    /// Endpoint.
    pub endpoint: String,
    /// Event type.
    pub event: String,
    /// Model.
    pub model: String,
    /// State's name.
    pub state: String,
    /// Attempts so far.
    pub attempts: i64,
    /// When it was written.
    pub created: Timestamp,
    /// When it arrived.
    pub delivered: Option<Timestamp>,
    /// Bounded reason of the last failure.
    pub last_error: Option<String>,
}

/// A reference with its place among those of its model.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptReference {
    /// Its row.
    pub row: ReferenceRow,
    /// Whether it is what a configuration without a file takes.
    pub active: bool,
    /// Whether the daemon judges by it.
    pub in_use: bool,
}

/// What the commands about references ask of a store.
#[async_trait]
pub trait ReferenceStore: Send + Sync {
    /// Stores a reference, and makes it the one that its model is compared with where the
    /// configuration names no file.
    async fn activate(&self, reference: &ReferenceRow, now: Timestamp) -> Result<(), StoreError>;
    /// All references, by model, oldest first.
    async fn references(&self) -> Result<Vec<KeptReference>, StoreError>;
    /// A model's active reference.
    async fn active_reference(&self, model: &str) -> Result<Option<ReferenceRow>, StoreError>;
}

/// What the API asks of a store. Lists are newest first.
#[async_trait]
pub trait ReadStore: Send + Sync {
    /// `postgres` or `sqlite`.
    fn kind(&self) -> &'static str;
    /// Answers if the store does.
    async fn ping(&self) -> Result<(), StoreError>;
    /// All models by name.
    async fn models(&self) -> Result<Vec<ModelRow>, StoreError>;
    /// A reference.
    async fn reference(&self, reference_id: &str) -> Result<Option<ReferenceRow>, StoreError>;
    /// Windows of a model.
    async fn windows(&self, model: &str, page: Page) -> Result<Vec<ReportRow>, StoreError>;
    /// Records of a model over all its windows.
    async fn records(&self, model: &str) -> Result<i64, StoreError>;
    /// Statistics of one window.
    async fn window_statistics(&self, model: &str, start: Timestamp) -> Result<Vec<TimedStatistic>, StoreError>;
    /// Statistics over time.
    async fn statistics(
        &self,
        model: &str,
        filter: &StatisticFilter,
        page: Page,
    ) -> Result<Vec<TimedStatistic>, StoreError>;
    /// Alerts, of one model or all.
    async fn alerts(&self, model: Option<&str>, page: Page) -> Result<Vec<AlertRow>, StoreError>;
    /// Transitions of an alert, oldest first.
    async fn transitions(&self, alert_id: &str) -> Result<Vec<TransitionRow>, StoreError>;
    /// Deliveries, of one model or all.
    async fn deliveries(&self, model: Option<&str>, page: Page) -> Result<Vec<DeliveryRow>, StoreError>;
    /// Retraining requests, of one model or all.
    async fn requests(&self, model: Option<&str>, page: Page) -> Result<Vec<RequestRow>, StoreError>;
    /// How far all partitions are.
    async fn partitions(&self) -> Result<Vec<Progress>, StoreError>;
}

/// A store that serves every loop.
pub trait Store: CollectStore + JudgeStore + DeliverStore + ReadStore {}

impl<T: CollectStore + JudgeStore + DeliverStore + ReadStore> Store for T {}
