//! What pictures are drawn from: tallies of windows and roll-ups, and what they are compared with.

use async_trait::async_trait;
use sqlx::any::AnyRow;

use super::judging::report_row;
use super::reading::rollup_row;
use super::references::{flag, read};
use super::sql::{Columns, SqlStore};
use super::{KeptFacts, ReferenceFacts, ReferenceRow, ReportRow, RollupRow, StoreError};
use crate::drift::rollup::Grain;
use crate::drift::time::Timestamp;

/// Reads tallies, and references with and without their bodies.
#[async_trait]
pub trait TallyStore: Send + Sync {
    /// A reference.
    async fn reference(&self, reference_id: &str) -> Result<Option<ReferenceRow>, StoreError>;
    /// References of a model without their bodies, newest first.
    async fn references_of(&self, model: &str) -> Result<Vec<KeptFacts>, StoreError>;
    /// The window that starts then; of several references, the one judged last.
    async fn window(&self, model: &str, start: Timestamp) -> Result<Option<ReportRow>, StoreError>;
    /// The roll-up that starts then; of several references, the one built last.
    async fn rollup(&self, model: &str, grain: Grain, start: Timestamp) -> Result<Option<RollupRow>, StoreError>;
}

#[async_trait]
impl TallyStore for SqlStore {
    async fn reference(&self, reference_id: &str) -> Result<Option<ReferenceRow>, StoreError> {
        let row = sqlx::query("-- reference\nselect * from model_reference where reference_id = $1")
            .bind(reference_id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    async fn references_of(&self, model: &str) -> Result<Vec<KeptFacts>, StoreError> {
        let rows = sqlx::query(
            "-- references_of
            select r.reference_id, r.version, r.kind, r.records, r.windows, r.first_us, r.last_us, r.guarantee, r.created_us,
                case when a.reference_id is null then 0 else 1 end as is_active,
                case when m.reference_id is null then 0 else 1 end as is_in_use
            from model_reference r
            left join active_reference a on a.model = r.model and a.reference_id = r.reference_id
            left join model m on m.name = r.model and m.reference_id = r.reference_id
            where r.model = $1
            order by r.created_us desc, r.reference_id",
        )
        .bind(model)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(facts).collect::<Result<_, _>>()?)
    }

    async fn window(&self, model: &str, start: Timestamp) -> Result<Option<ReportRow>, StoreError> {
        let row = sqlx::query(
            "-- window
            select * from report where model = $1 and start_us = $2 order by judged_us desc, reference_id limit 1",
        )
        .bind(model)
        .bind(start.micros())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.as_ref().map(report_row).transpose()?)
    }

    async fn rollup(&self, model: &str, grain: Grain, start: Timestamp) -> Result<Option<RollupRow>, StoreError> {
        let row = sqlx::query(
            "-- rollup
            select * from rollup where model = $1 and grain = $2 and start_us = $3
            order by built_us desc, reference_id limit 1",
        )
        .bind(model)
        .bind(grain.name())
        .bind(start.micros())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| rollup_row(&row, grain)).transpose()?)
    }
}

fn facts(row: &AnyRow) -> Result<KeptFacts, sqlx::Error> {
    Ok(KeptFacts {
        facts: ReferenceFacts {
            reference_id: row.text("reference_id")?,
            version: row.text("version")?,
            kind: row.text("kind")?,
            records: row.int("records")?,
            windows: row.int("windows")?,
            first: row.time("first_us")?,
            last: row.time("last_us")?,
            guarantee: row.text("guarantee")?,
            created: row.time("created_us")?,
        },
        active: flag(row, "is_active")?,
        in_use: flag(row, "is_in_use")?,
    })
}
