//! What has changed, for those who watch live.

use async_trait::async_trait;
use sqlx::any::AnyRow;

use super::sql::{Columns, SqlStore};
use super::{Happened, StoreError};
use crate::drift::time::Timestamp;

/// Tells what has changed.
#[async_trait]
pub trait ChangeStore: Send + Sync {
    /// How far each model is, and what happened since a moment. A change keeps its mark, so that one that
    /// is told again can be told apart from a new one: a transaction may commit after others that began later.
    async fn changes(&self, since: Timestamp) -> Result<Vec<Happened>, StoreError>;
}

#[async_trait]
impl ChangeStore for SqlStore {
    async fn changes(&self, since: Timestamp) -> Result<Vec<Happened>, StoreError> {
        let rows = sqlx::query(
            "-- changes
            select 'window' as kind, model, cast(version as text) as mark from course
            union all
            select 'alert', model, alert_id || ' ' || cast(updated_us as text) from alert where updated_us >= $1
            union all
            select 'request', r.model, v.request_id || ' ' || cast(v.move as text)
            from retraining_move v join retraining_request r on r.request_id = v.request_id where v.at_us >= $1
            union all
            select 'delivery', model, delivery_id || ' ' || state from delivery where created_us >= $1
            union all
            select 'delivery', d.model, a.delivery_id || ' ' || cast(a.attempt as text)
            from delivery_attempt a join delivery d on d.delivery_id = a.delivery_id where a.at_us >= $1",
        )
        .bind(since.micros())
        .fetch_all(&self.pool)
        .await?;
        let change = |row: &AnyRow| -> Result<_, sqlx::Error> {
            Ok(Happened { kind: row.text("kind")?, model: row.text("model")?, mark: row.text("mark")? })
        };
        Ok(rows.iter().map(change).collect::<Result<_, _>>()?)
    }
}
