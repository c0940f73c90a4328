//! What became of every record: per partition, and whether it adds up.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::ApiState;
use super::problem::Problem;
use crate::drift::checkpoint::Ledger;
use crate::drift::time::Timestamp;
use crate::store::{Accounts, ClosedPartition, GapRow, Progress, ReadStore, StoreError};

/// The whole ledger.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LedgerView {
    /// Whether all of it adds up: every partition, and the folded records with those in windows.
    pub adds_up: bool,
    /// Partitions, by topic and number.
    pub partitions: Vec<PartitionView>,
    /// Ledgers of partitions whose topics were created anew since.
    pub closed: Vec<ClosedView>,
    /// Records lost before they could be read.
    pub losses: Vec<LossView>,
    /// Where the folded records are.
    pub windows: HeldView,
}

/// A partition's progress and ledger.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PartitionView {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// How often the topic was created anew.
    pub generation: i64,
    /// Next offset to read.
    pub next_offset: i64,
    /// Offset at which accounting began.
    pub first_offset: i64,
    /// Event time reached.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub watermark: Option<Timestamp>,
    /// When it was last confirmed to be idle: nothing to read for a while.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub idle_at: Option<Timestamp>,
    /// Records folded into windows.
    pub folded: i64,
    /// Records set aside: labels, other versions, too late.
    pub set_aside: i64,
    /// Records dead-lettered.
    pub dead_lettered: i64,
    /// Offsets without a record for us: removed by retention, compacted, markers of transactions.
    pub gaps: i64,
    /// Whether all of these are the offsets passed.
    pub adds_up: bool,
}

/// The ledger of a partition whose topic was created anew.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ClosedView {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Which of its lives.
    pub generation: i64,
    /// Offset at which accounting began.
    pub first_offset: i64,
    /// Offset after the last one read.
    pub next_offset: i64,
    /// Records folded into windows.
    pub folded: i64,
    /// Whether its ledger adds up.
    pub adds_up: bool,
}

/// Records lost before they could be read.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LossView {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// First offset lost.
    pub from_offset: i64,
    /// First offset after it; null where nobody knows.
    pub to_offset: Option<i64>,
    /// `retention` or `topic_recreated`.
    pub reason: String,
    /// When it was found.
    #[schema(value_type = String, format = DateTime)]
    pub found_at: Timestamp,
}

/// Where the folded records are.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HeldView {
    /// Folded, over all partitions.
    pub folded: i64,
    /// In windows that were judged.
    pub judged: i64,
    /// In windows that are open, or that late records will revise.
    pub open: i64,
    /// In windows that retention has removed.
    pub expired: i64,
}

/// What became of every record, and whether it adds up.
#[utoipa::path(get, path = "/api/v1/ledger", tag = "status",
    responses((status = 200, body = LedgerView), (status = 503, body = Problem)))]
pub async fn show(State(state): State<ApiState>) -> Result<Json<LedgerView>, Problem> {
    Ok(Json(read(state.store.as_ref()).await?))
}

/// Reads the ledger, and compares.
///
/// # Errors
/// [`StoreError`] if the store does not answer.
pub async fn read(store: &dyn ReadStore) -> Result<LedgerView, StoreError> {
    let Accounts { partitions, closed, losses, held } = store.accounts().await?;
    let partitions: Vec<PartitionView> = partitions.into_iter().map(Into::into).collect();
    let closed: Vec<ClosedView> = closed.into_iter().map(Into::into).collect();
    let losses = losses.into_iter().map(Into::into).collect();
    let folded = partitions.iter().map(|p| p.folded).chain(closed.iter().map(|c| c.folded)).sum();
    let windows = HeldView { folded, judged: held.judged, open: held.open, expired: held.expired };
    let adds_up = partitions.iter().all(|p| p.adds_up)
        && closed.iter().all(|c| c.adds_up)
        && windows.folded == windows.judged + windows.open + windows.expired;
    Ok(LedgerView { adds_up, partitions, closed, losses, windows })
}

fn adds_up(first_offset: i64, next_offset: i64, ledger: Ledger) -> bool {
    next_offset - first_offset == ledger.total()
}

impl From<Progress> for PartitionView {
    fn from(row: Progress) -> PartitionView {
        let reached = row.reached;
        PartitionView {
            adds_up: adds_up(row.first_offset, row.next_offset, row.ledger),
            topic: reached.partition.topic,
            partition: reached.partition.number,
            generation: row.generation,
            next_offset: row.next_offset,
            first_offset: row.first_offset,
            watermark: reached.watermark,
            idle_at: reached.idle,
            folded: row.ledger.folded,
            set_aside: row.ledger.set_aside,
            dead_lettered: row.ledger.dead_lettered,
            gaps: row.ledger.gaps,
        }
    }
}

impl From<ClosedPartition> for ClosedView {
    fn from(row: ClosedPartition) -> ClosedView {
        ClosedView {
            adds_up: adds_up(row.first_offset, row.next_offset, row.ledger),
            topic: row.partition.topic,
            partition: row.partition.number,
            generation: row.generation,
            first_offset: row.first_offset,
            next_offset: row.next_offset,
            folded: row.ledger.folded,
        }
    }
}

impl From<GapRow> for LossView {
    fn from(row: GapRow) -> LossView {
        LossView {
            topic: row.partition.topic,
            partition: row.partition.number,
            from_offset: row.from,
            to_offset: row.to,
            reason: row.reason,
            found_at: row.found,
        }
    }
}
