//! A candidate beside the current model: what flushes counted, and what is known in all.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Transaction};

use super::sql::{Columns, SqlStore};
use super::values::{chunks, list};
use super::{Collected, Judged, StoreError};
use crate::drift::time::Timestamp;

type Tx = Transaction<'static, Any>;

/// A candidate, as one reference looks at the model that it stands beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowKey {
    /// Name of the model.
    pub model: String,
    /// Its reference.
    pub reference_id: String,
    /// The candidate.
    pub candidate_id: String,
}

/// What one flush counted of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowPartial {
    /// Of which.
    pub of: ShadowKey,
    /// An encoded [`crate::drift::shadow::Tally`].
    pub body: Vec<u8>,
}

/// What is known of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowRow {
    /// Which.
    pub of: ShadowKey,
    /// How often it has changed; 0 before the first time.
    pub version: i64,
    /// Since when it is known.
    pub begun: Timestamp,
    /// When it changed last.
    pub updated: Timestamp,
    /// The verdict's name.
    pub verdict: String,
    /// Labels that a decision takes besides those at hand.
    pub labels_needed: Option<i64>,
    /// The report as JSON.
    pub report: String,
    /// An encoded [`crate::drift::shadow::Tally`].
    pub tally: Vec<u8>,
}

/// A candidate's next row, and the partials that it contains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowChange {
    /// The row; its version is that from which the change starts.
    pub row: ShadowRow,
    /// Partials that were added, to be removed.
    pub consumed: Vec<String>,
}

/// What is asked of a store where candidates are concerned.
#[async_trait]
pub trait ShadowStore: Send + Sync {
    /// What flushes counted of a candidate, with ids; at most so many.
    async fn shadow_partials(&self, of: &ShadowKey, limit: i64) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// What is known of a candidate.
    async fn shadow(&self, of: &ShadowKey) -> Result<Option<ShadowRow>, StoreError>;

    /// The row of a model's candidate that changed last.
    async fn latest_shadow(&self, model: &str) -> Result<Option<ShadowRow>, StoreError>;

    /// Applies a change in one transaction; false, and nothing is written, if the row has changed meanwhile or one
    /// of the partials is gone.
    async fn commit_shadow(&self, change: &ShadowChange) -> Result<bool, StoreError>;
}

#[async_trait]
impl ShadowStore for SqlStore {
    async fn shadow_partials(&self, of: &ShadowKey, limit: i64) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let rows = sqlx::query(
            "-- shadow_partials
            select partial_id, body from shadow_partial where model = $1 and reference_id = $2 and candidate_id = $3
            order by partial_id limit $4",
        )
        .bind(&of.model)
        .bind(&of.reference_id)
        .bind(&of.candidate_id)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let row = |row: &AnyRow| -> Result<_, sqlx::Error> { Ok((row.text("partial_id")?, row.bytes("body")?)) };
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    async fn shadow(&self, of: &ShadowKey) -> Result<Option<ShadowRow>, StoreError> {
        let row = sqlx::query(
            "-- shadow
            select * from shadow where model = $1 and reference_id = $2 and candidate_id = $3",
        )
        .bind(&of.model)
        .bind(&of.reference_id)
        .bind(&of.candidate_id)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.as_ref().map(shadow_row).transpose()?)
    }

    async fn latest_shadow(&self, model: &str) -> Result<Option<ShadowRow>, StoreError> {
        let row = sqlx::query(
            "-- latest_shadow
            select * from shadow where model = $1 order by updated_us desc, begun_us desc, candidate_id limit 1",
        )
        .bind(model)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.as_ref().map(shadow_row).transpose()?)
    }

    async fn commit_shadow(&self, change: &ShadowChange) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        if !write_shadow(&mut transaction, change).await? {
            transaction.rollback().await?;
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }
}

/// What a flush counted, in its transaction.
pub(super) async fn write_partials(transaction: &mut Tx, collected: &Collected) -> Result<(), StoreError> {
    for (i, partial) in collected.shadows.iter().enumerate() {
        sqlx::query(
            "-- write_partials (shadow)
            insert into shadow_partial (partial_id, model, reference_id, candidate_id, body, flushed_us)
            values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(format!("{}-{i}", collected.flush_id))
        .bind(&partial.of.model)
        .bind(&partial.of.reference_id)
        .bind(&partial.of.candidate_id)
        .bind(&partial.body)
        .bind(collected.now.micros())
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// What a judgement changes, if anything; false as below.
pub(super) async fn write_judged(transaction: &mut Tx, judged: &Judged) -> Result<bool, StoreError> {
    match &judged.shadow {
        Some(change) => write_shadow(transaction, change).await,
        None => Ok(true),
    }
}

/// A change; false if it starts from elsewhere, or a partial is gone.
pub(super) async fn write_shadow(transaction: &mut Tx, change: &ShadowChange) -> Result<bool, StoreError> {
    for ids in chunks(&change.consumed) {
        let statement = format!(
            "-- write_shadow (consumed)\ndelete from shadow_partial where partial_id in ({})",
            list(0, ids.len())
        );
        let query = ids.iter().fold(sqlx::query(AssertSqlSafe(statement)), sqlx::query::Query::bind);
        if query.execute(&mut **transaction).await?.rows_affected() != ids.len() as u64 {
            return Ok(false);
        }
    }
    let row = &change.row;
    let statement = if row.version == 0 {
        "-- write_shadow (new)
        insert into shadow (model, reference_id, candidate_id, version, updated_us, verdict, labels_needed, report,
            tally, begun_us)
        values ($1, $2, $3, $4 + 1, $5, $6, $7, $8, $9, $10) on conflict (model, reference_id, candidate_id) do nothing"
    } else {
        "-- write_shadow
        update shadow set version = version + 1, updated_us = $5, verdict = $6, labels_needed = $7, report = $8,
            tally = $9, begun_us = $10
        where model = $1 and reference_id = $2 and candidate_id = $3 and version = $4"
    };
    let done = sqlx::query(statement)
        .bind(&row.of.model)
        .bind(&row.of.reference_id)
        .bind(&row.of.candidate_id)
        .bind(row.version)
        .bind(row.updated.micros())
        .bind(&row.verdict)
        .bind(row.labels_needed)
        .bind(&row.report)
        .bind(&row.tally)
        .bind(row.begun.micros())
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected() == 1)
}

fn shadow_row(row: &AnyRow) -> Result<ShadowRow, sqlx::Error> {
    Ok(ShadowRow {
        of: ShadowKey {
            model: row.text("model")?,
            reference_id: row.text("reference_id")?,
            candidate_id: row.text("candidate_id")?,
        },
        version: row.int("version")?,
        begun: row.time("begun_us")?,
        updated: row.time("updated_us")?,
        verdict: row.text("verdict")?,
        labels_needed: row.maybe_int("labels_needed")?,
        report: row.text("report")?,
        tally: row.bytes("tally")?,
    })
}
