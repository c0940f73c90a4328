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

use crate::drift::checkpoint::{Partition, Position};
use crate::drift::closing::Reached;
use crate::drift::retraining::Kind;
use crate::drift::rollup::Grain;
use crate::drift::time::Timestamp;
use crate::drift::window::Slot;

/// Keys, sessions, the audit.
pub mod access;
mod accessing;
mod accounting;
mod alerting;
mod changes;
mod collecting;
mod covering;
mod delivering;
mod examples;
mod fleet;
mod gates;
mod ids;
mod judging;
mod label_days;
mod label_rows;
mod labels;
mod maintaining;
mod performance;
mod postgres;
mod promotions;
mod reading;
mod references;
mod request_columns;
mod requests;
mod retraining;
mod rows;
mod shadows;
mod sql;
mod sqlite;
mod tallies;
mod values;

pub use access::{AccessStore, AuditRow};
pub use alerting::OpenAlert;
pub use changes::ChangeStore;
pub use covering::CoverStore;
pub use examples::{ExampleRow, ExampleStore, ForgetExamples, Kept, ReadExamples, Texts};
pub use fleet::FleetStore;
pub use gates::CandidateRow;
pub use ids::stable_id;
pub use label_rows::*;
pub use labels::LabelStore;
pub use performance::{PerformanceStore, TaskPoints};
pub use promotions::{Promoted, PromotionRow, PromotionStore};
pub use requests::*;
pub use rows::*;
pub use shadows::{ShadowChange, ShadowKey, ShadowPartial, ShadowRow, ShadowStore};
pub use sql::SqlStore;
pub use tallies::TallyStore;

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
    /// No answer came: a network that hangs, say.
    #[error("the store gives no answer")]
    Silent,
    /// Another request of the model was opened in the meantime.
    #[error("another retraining request of the model was opened in the meantime")]
    Taken,
    /// Something stored does not decode.
    #[error("the store holds something that does not decode: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// Whether doing the same again later may help.
    pub fn is_transient(&self) -> bool {
        !matches!(self, StoreError::Schema(_) | StoreError::Corrupt(_))
    }
}

/// How long a loop waits for one answer: longer than the server's own limit for a statement, so that
/// only a network that hangs comes to it.
const PATIENCE: Duration = Duration::from_secs(25);

/// Gives up on an answer that does not come. What was asked may still have happened: asking again
/// must be harmless, as it is with every write of ours.
///
/// # Errors
/// [`StoreError::Silent`], or what the store says.
pub async fn within<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or(Err(StoreError::Silent))
}

/// What the collect loop asks of a store.
#[async_trait]
pub trait CollectStore: Send + Sync {
    /// Stored positions of these partitions; those never read are left out.
    async fn positions(&self, partitions: &[Partition]) -> Result<Vec<(Partition, Position)>, StoreError>;

    /// Applies one flush in one transaction.
    async fn commit_collected(&self, collected: &Collected) -> Result<Commit, StoreError>;

    /// Notes how many partitions each topic has: one that was never read holds windows open. Gives how many each had
    /// when it was first noted.
    async fn note_topics(&self, topics: &[(String, i32)], now: Timestamp) -> Result<Vec<(String, i32)>, StoreError>;

    /// Notes that these partitions have been at their ends, which are these positions, for long
    /// enough to be idle; one that has moved on is left alone.
    async fn confirm_idle(&self, idle: &[(Partition, i64)], now: Timestamp) -> Result<(), StoreError>;
}

/// What the judge loop asks of a store.
#[async_trait]
pub trait JudgeStore: CoverStore + LabelStore + ShadowStore + ExampleStore {
    /// Takes or renews a lease; false while another holds it.
    async fn lease(&self, name: &str, holder: &str, now: Timestamp, ttl: Duration) -> Result<bool, StoreError>;

    /// Writes what readers should know of a model and its reference.
    async fn register(&self, model: &ModelRow, reference: &ReferenceRow, now: Timestamp) -> Result<(), StoreError>;

    /// How far all partitions of all topics are, also those that were never read.
    async fn reached(&self) -> Result<Vec<Reached>, StoreError>;

    /// All losses, the oldest first.
    async fn gaps(&self) -> Result<Vec<GapRow>, StoreError>;

    /// Losses that nobody was told of.
    async fn unannounced_gaps(&self) -> Result<Vec<GapRow>, StoreError>;

    /// Writes messages about a loss, once.
    async fn announce(&self, gap: &GapRow, deliveries: &[NewDelivery], now: Timestamp) -> Result<(), StoreError>;

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

    /// A model's alerts that are pending or fire, the oldest first.
    async fn open_alerts(&self, model: &str) -> Result<Vec<OpenAlert>, StoreError>;

    /// The report of a window that late records are about to revise.
    async fn report(&self, model: &str, reference_id: &str, start: Timestamp) -> Result<Option<ReportRow>, StoreError>;

    /// Applies one judgement in one transaction; false if the course has moved on meanwhile.
    async fn commit_judged(&self, judged: &Judged) -> Result<bool, StoreError>;
}

/// What the maintain loop asks of a store.
#[async_trait]
pub trait MaintainStore: JudgeStore + ForgetExamples {
    /// Starts of roll-ups that are complete and not made, or made before one of their parts changed.
    async fn unrolled(&self, model: &str, reference_id: &str, grain: Grain) -> Result<Vec<Timestamp>, StoreError>;

    /// What a roll-up is made of.
    async fn parts(
        &self,
        model: &str,
        reference_id: &str,
        grain: Grain,
        from: Timestamp,
    ) -> Result<Vec<Part>, StoreError>;

    /// Writes a roll-up in one transaction; false, and nothing is written, if one of its parts has
    /// changed meanwhile.
    async fn commit_rollup(&self, rollup: &RollupRow, parts: &[Part], now: Timestamp) -> Result<bool, StoreError>;

    /// Removes what is old. What it held of the ledger is counted in the same transaction.
    async fn expire(&self, cutoffs: &Cutoffs) -> Result<u64, StoreError>;
}

/// What the deliver loop asks of a store.
#[async_trait]
pub trait DeliverStore: Send + Sync {
    /// Claims due deliveries until `lease_until`, the oldest first, at most one an endpoint, so
    /// that an endpoint gets its messages in order.
    async fn claim(&self, now: Timestamp, lease_until: Timestamp) -> Result<Vec<Delivery>, StoreError>;

    /// Records an attempt and what follows from it, in one transaction.
    async fn settle(&self, settled: &Settled) -> Result<(), StoreError>;

    /// Everything that waits for an endpoint, the oldest first.
    async fn waiting(&self, endpoint: &str, limit: i64) -> Result<Vec<Delivery>, StoreError>;

    /// Silences that last now.
    async fn silences_at(&self, now: Timestamp) -> Result<Vec<SilenceRow>, StoreError>;

    /// Settles a delivery without sending it: somebody wants quiet.
    async fn hush(&self, delivery_id: &str, why: &str, now: Timestamp) -> Result<(), StoreError>;

    /// Whether an endpoint was told of an alert, or it was tried to the end.
    async fn was_told(&self, alert_id: &str, endpoint: &str) -> Result<bool, StoreError>;

    /// What an endpoint was last told of each alert that fires, or that resolved since.
    async fn standing(&self, endpoint: &str, resolved_since: Timestamp) -> Result<Vec<Told>, StoreError>;

    /// Alerts that fire and of which an endpoint must hear again: it was silenced, or its time has come.
    async fn untold(&self, now: Timestamp) -> Result<Vec<Told>, StoreError>;

    /// The end of a model's latest judged window.
    async fn judged_until(&self, model: &str) -> Result<Option<Timestamp>, StoreError>;

    /// Writes messages.
    async fn write(&self, deliveries: &[NewDelivery], now: Timestamp) -> Result<(), StoreError>;

    /// Forgets that endpoints were disabled, at start: the operator has kept them in the
    /// configuration.
    async fn enable(&self, endpoints: &[String]) -> Result<(), StoreError>;
}

/// What people ask of a store who act on alerts. What changes is written with its row of the audit.
#[async_trait]
pub trait DeskStore: Send + Sync {
    /// An alert.
    async fn alert(&self, alert_id: &str) -> Result<Option<AlertRow>, StoreError>;
    /// Who has taken an alert on.
    async fn acknowledgement(&self, alert_id: &str) -> Result<Option<AcknowledgementRow>, StoreError>;
    /// What each endpoint was last told of an alert.
    async fn told(&self, alert_id: &str) -> Result<Vec<Told>, StoreError>;
    /// Notes who has taken an alert on, and writes messages about it, in one transaction.
    async fn acknowledge(
        &self,
        acknowledgement: &AcknowledgementRow,
        deliveries: &[NewDelivery],
        audit: &AuditRow,
    ) -> Result<(), StoreError>;
    /// Silences, newest first.
    async fn silences(&self, page: Page) -> Result<Vec<SilenceRow>, StoreError>;
    /// Adds a silence.
    async fn add_silence(&self, silence: &SilenceRow, audit: &AuditRow) -> Result<(), StoreError>;
    /// Ends a silence now, if it has not ended; `None` if there is none of this id.
    async fn expire_silence(
        &self,
        silence_id: &str,
        now: Timestamp,
        audit: &AuditRow,
    ) -> Result<Option<SilenceRow>, StoreError>;
    /// A delivery.
    async fn delivery(&self, delivery_id: &str) -> Result<Option<DeliveryRow>, StoreError>;
    /// The attempts of a delivery, in order.
    async fn attempts(&self, delivery_id: &str) -> Result<Vec<AttemptRow>, StoreError>;
    /// Deliveries in a state, of one endpoint or all, newest first.
    async fn deliveries_in(
        &self,
        state: Option<&str>,
        endpoint: Option<&str>,
        limit: i64,
    ) -> Result<Vec<DeliveryRow>, StoreError>;
    /// Lets a settled delivery be sent once more, at once, also to an endpoint that failed or was disabled;
    /// false if it waits to be sent already.
    async fn redeliver(&self, delivery_id: &str, now: Timestamp, audit: &AuditRow) -> Result<bool, StoreError>;
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

/// What retraining asks of a store. Every change names the state it starts from, and happens only
/// if the request is still there.
#[async_trait]
pub trait RetrainingStore: Send + Sync {
    /// Makes a request with its first move and messages, unless it exists or its model has an open one.
    async fn add_request(&self, request: &NewRequest) -> Result<Added, StoreError>;
    /// A request with everything that happened to it.
    async fn request(&self, request_id: &str) -> Result<Option<RequestHistory>, StoreError>;
    /// Requests that are open: one a model at most.
    async fn open_requests(&self) -> Result<Vec<RequestRow>, StoreError>;
    /// When a model's latest request of a kind was made.
    async fn latest_request(&self, model: &str, kind: Kind) -> Result<Option<Timestamp>, StoreError>;
    /// Moves a request with its messages; false, and nothing is written, if it is no longer where the
    /// change starts from.
    async fn move_request(&self, change: &Change) -> Result<bool, StoreError>;
    /// Approvals by driftd itself, over all models, from `since` on.
    async fn approvals(&self, since: Timestamp) -> Result<i64, StoreError>;
    /// Claims a request that is to be started now, until `lease_until`; notes the token that its run
    /// will call back with.
    async fn claim_start(
        &self,
        request_id: &str,
        token: Option<&Token>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<RequestRow>, StoreError>;
    /// Records a try to start a run, and the change that follows from it, in one transaction. A
    /// request that has moved on meanwhile keeps its state; the try is recorded all the same.
    async fn settle_start(&self, tried: &Tried) -> Result<(), StoreError>;
    /// Records what the gate said of a candidate, up to `most` for each request; false, and nothing is written, if
    /// there are as many, or the request has ended.
    async fn add_gate(&self, gate: &GateRow, most: i64) -> Result<bool, StoreError>;
    /// The candidate of a model that a run brought last, and that the gate did not refuse: it passed or was left
    /// undecided there, or its request has succeeded without being asked.
    async fn latest_candidate(&self, model: &str) -> Result<Option<CandidateRow>, StoreError>;
    /// Records a call-back that was refused, up to a limit for each request.
    async fn refuse_callback(&self, refused: &Callback) -> Result<(), StoreError>;
    /// The kill switch's newest row of each model, and of all.
    async fn pauses(&self) -> Result<Vec<Pause>, StoreError>;
    /// Turns the kill switch.
    async fn pause(&self, pause: &Pause, audit: Option<&AuditRow>) -> Result<(), StoreError>;
}

/// What the API asks of a store. Lists are newest first.
#[async_trait]
pub trait ReadStore: FleetStore + TallyStore + ChangeStore + PerformanceStore + ShadowStore + ReadExamples {
    /// `postgres` or `sqlite`.
    fn kind(&self) -> &'static str;
    /// Answers if the store does.
    async fn ping(&self) -> Result<(), StoreError>;
    /// All models by name.
    async fn models(&self) -> Result<Vec<ModelRow>, StoreError>;
    /// Roll-ups of a model.
    async fn rollups(&self, model: &str, grain: Grain, page: Page) -> Result<Vec<RollupRow>, StoreError>;
    /// Windows of a model, without their tallies.
    async fn windows(&self, model: &str, page: Page) -> Result<Vec<ReportRow>, StoreError>;
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
    /// How far all partitions are that were ever read.
    async fn partitions(&self) -> Result<Vec<Progress>, StoreError>;
    /// Ledgers of partitions whose topics were created anew since.
    async fn closed_partitions(&self) -> Result<Vec<ClosedPartition>, StoreError>;
    /// All losses, the oldest first.
    async fn losses(&self) -> Result<Vec<GapRow>, StoreError>;
    /// What became of every record: these and where the folded ones are, as they are at one time.
    async fn accounts(&self) -> Result<Accounts, StoreError>;
    /// Where the folded records are.
    async fn held(&self) -> Result<Held, StoreError>;
}

/// What the API asks of a store.
pub trait ApiStore: ReadStore + DeskStore {}

impl<T: ReadStore + DeskStore> ApiStore for T {}

/// A store that serves every loop.
pub trait Store: CollectStore + JudgeStore + DeliverStore + RetrainingStore + ReadStore + DeskStore {}

impl<T: CollectStore + JudgeStore + DeliverStore + RetrainingStore + ReadStore + DeskStore> Store for T {}
