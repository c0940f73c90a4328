//! Statements about what open requests cover.

use async_trait::async_trait;
use sqlx::{Any, Transaction};

use super::request_columns::request_row;
use super::sql::SqlStore;
use super::{Added, Covered, Judged, RequestRow, StoreError};
use crate::drift::time::Timestamp;

/// What the judge loop asks of a store about requests.
#[async_trait]
pub trait CoverStore: Send + Sync {
    /// A model's requests that were made since then, and the open one, of which there is one at most.
    async fn requests_since(&self, model: &str, since: Timestamp) -> Result<Vec<RequestRow>, StoreError>;
}

#[async_trait]
impl CoverStore for SqlStore {
    async fn requests_since(&self, model: &str, since: Timestamp) -> Result<Vec<RequestRow>, StoreError> {
        let rows = sqlx::query(
            "-- requests_since
            select * from retraining_request
            where model = $1
                and (created_us >= $2 or state in ('proposed', 'requested', 'accepted', 'running'))
            order by created_us, request_id",
        )
        .bind(model)
        .bind(since.micros())
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(request_row).collect::<Result<_, _>>()?)
    }
}

/// What a window changes of the model's open request, and the one that it leads to.
pub(super) async fn write_requests(
    transaction: &mut Transaction<'static, Any>,
    judged: &Judged,
    told: Timestamp,
) -> Result<(), StoreError> {
    if let Some(covered) = &judged.covered {
        cover(transaction, covered).await?;
    }
    if let Some(request) = &judged.request {
        // Somebody else was quicker: the alert asks again when that request has ended.
        if super::retraining::add(transaction, request, told).await? == Added::Busy {
            return Err(StoreError::Taken);
        }
    }
    Ok(())
}

/// What somebody has decided about stays as it was when they did.
async fn cover(transaction: &mut Transaction<'static, Any>, covered: &Covered) -> Result<(), StoreError> {
    sqlx::query(
        "-- cover
        update retraining_request set covers_until_us = $2
        where request_id = $1 and state in ('proposed', 'requested', 'accepted', 'running')",
    )
    .bind(&covered.request_id)
    .bind(covered.until.micros())
    .execute(&mut **transaction)
    .await?;
    let Some(proposal) = &covered.proposal else { return Ok(()) };
    sqlx::query(
        "-- cover (proposal)
        update retraining_request set tasks = $2, protected_tasks = $3, reason = $4, body = $5
        where request_id = $1 and state = 'proposed'",
    )
    .bind(&covered.request_id)
    .bind(&proposal.tasks)
    .bind(&proposal.protected_tasks)
    .bind(&proposal.reason)
    .bind(&proposal.body)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
