//! Redacted texts: those that wait for their window's judgement, and those that show what an alert is about.

use std::fmt;

use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Transaction};

use super::accessing::write_audit;
use super::sql::{Columns, SqlStore};
use super::values::{chunks, list};
use super::{AuditRow, Collected, Judged, StoreError};
use crate::drift::redaction::Redacted;
use crate::drift::time::Timestamp;

type Tx = Transaction<'static, Any>;

/// Redacted texts of one flush for one window.
#[derive(Clone, PartialEq, Eq)]
pub struct Texts {
    /// An encoded [`crate::drift::examples::Drawn`].
    pub body: Vec<u8>,
    /// Until when they may be kept if nobody judges their window.
    pub until: Timestamp,
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Texts({} bytes until {})", self.body.len(), self.until)
    }
}

/// A text that shows what an alert is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleRow {
    /// Which alert.
    pub alert_id: String,
    /// Its place, from 0: the most telling first.
    pub ordinal: i64,
    /// Name of the model.
    pub model: String,
    /// Start of the window in which it was seen.
    pub window: Timestamp,
    /// The text.
    pub text: Redacted,
    /// The second text of a pair.
    pub pair: Option<Redacted>,
    /// Cells that hold more than they should, as JSON.
    pub reasons: String,
    /// When it was found.
    pub found: Timestamp,
    /// Until when it is kept.
    pub until: Timestamp,
}

/// What a process knows of a model's texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Name of the model.
    pub model: String,
    /// Those found before may go; `None` where no texts are kept: all of them.
    pub before: Option<Timestamp>,
}

/// What is asked of a store where texts are concerned.
#[async_trait]
pub trait ExampleStore: Send + Sync {
    /// Texts of these partials, in any order; most have none.
    async fn texts(&self, partial_ids: &[String]) -> Result<Vec<Vec<u8>>, StoreError>;
}

/// What people ask of a store who may read texts.
#[async_trait]
pub trait ReadExamples: Send + Sync {
    /// Examples of an alert, the most telling first. That they were read is written in the same transaction.
    async fn examples(&self, alert_id: &str, audit: &AuditRow) -> Result<Vec<ExampleRow>, StoreError>;
}

/// What maintenance asks of a store where texts are concerned.
#[async_trait]
pub trait ForgetExamples: Send + Sync {
    /// Removes texts whose time is over, and those that these models do not keep any more.
    async fn forget_examples(&self, kept: &[Kept], now: Timestamp) -> Result<u64, StoreError>;
}

#[async_trait]
impl ExampleStore for SqlStore {
    async fn texts(&self, partial_ids: &[String]) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut found = Vec::new();
        for ids in chunks(partial_ids) {
            let statement =
                format!("-- texts\nselect body from example_partial where partial_id in ({})", list(0, ids.len()));
            let query = ids.iter().fold(sqlx::query(AssertSqlSafe(statement)), sqlx::query::Query::bind);
            for row in query.fetch_all(&self.pool).await? {
                found.push(row.bytes("body")?);
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl ReadExamples for SqlStore {
    async fn examples(&self, alert_id: &str, audit: &AuditRow) -> Result<Vec<ExampleRow>, StoreError> {
        let mut transaction = self.begin().await?;
        let rows = sqlx::query(
            "-- examples\nselect * from alert_example where alert_id = $1 and until_us > $2 order by ordinal",
        )
        .bind(alert_id)
        .bind(audit.at.micros())
        .fetch_all(&mut *transaction)
        .await?;
        write_audit(&mut transaction, audit).await?;
        transaction.commit().await?;
        Ok(rows.iter().map(example).collect::<Result<_, _>>()?)
    }
}

#[async_trait]
impl ForgetExamples for SqlStore {
    async fn forget_examples(&self, kept: &[Kept], now: Timestamp) -> Result<u64, StoreError> {
        let mut removed = 0;
        for statement in [
            "-- forget_examples\ndelete from alert_example where until_us <= $1",
            "-- forget_examples (partials)\ndelete from example_partial where until_us <= $1",
        ] {
            removed += sqlx::query(statement).bind(now.micros()).execute(&self.pool).await?.rows_affected();
        }
        for Kept { model, before } in kept {
            removed +=
                sqlx::query("-- forget_examples (model)\ndelete from alert_example where model = $1 and found_us < $2")
                    .bind(model)
                    .bind(before.map_or(i64::MAX, Timestamp::micros))
                    .execute(&self.pool)
                    .await?
                    .rows_affected();
            if before.is_none() {
                removed += sqlx::query("-- forget_examples (off)\ndelete from example_partial where model = $1")
                    .bind(model)
                    .execute(&self.pool)
                    .await?
                    .rows_affected();
            }
        }
        Ok(removed)
    }
}

/// Texts of a flush, in its transaction.
pub(super) async fn write_texts(transaction: &mut Tx, collected: &Collected) -> Result<(), StoreError> {
    for (i, partial) in collected.partials.iter().enumerate() {
        let Some(texts) = &partial.texts else { continue };
        sqlx::query(
            "-- write_texts
            insert into example_partial (partial_id, model, body, until_us) values ($1, $2, $3, $4)",
        )
        .bind(format!("{}-{i}", collected.flush_id))
        .bind(&partial.model)
        .bind(&texts.body)
        .bind(texts.until.micros())
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Examples of alerts in the place of those before them; texts of the windows that were judged go.
pub(super) async fn write_examples(transaction: &mut Tx, judged: &Judged) -> Result<(), StoreError> {
    for ids in chunks(&judged.consumed) {
        let statement = format!(
            "-- write_examples (consumed)\ndelete from example_partial where partial_id in ({})",
            list(0, ids.len())
        );
        let query = ids.iter().fold(sqlx::query(AssertSqlSafe(statement)), sqlx::query::Query::bind);
        query.execute(&mut **transaction).await?;
    }
    for row in &judged.examples {
        if row.ordinal == 0 {
            sqlx::query("-- write_examples (before)\ndelete from alert_example where alert_id = $1")
                .bind(&row.alert_id)
                .execute(&mut **transaction)
                .await?;
        }
        sqlx::query(
            "-- write_examples
            insert into alert_example (alert_id, ordinal, model, window_us, text, pair, reasons, found_us, until_us)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&row.alert_id)
        .bind(row.ordinal)
        .bind(&row.model)
        .bind(row.window.micros())
        .bind(row.text.as_str())
        .bind(row.pair.as_ref().map(|pair| pair.as_str().to_owned()))
        .bind(&row.reasons)
        .bind(row.found.micros())
        .bind(row.until.micros())
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

fn example(row: &AnyRow) -> Result<ExampleRow, sqlx::Error> {
    Ok(ExampleRow {
        alert_id: row.text("alert_id")?,
        ordinal: row.int("ordinal")?,
        model: row.text("model")?,
        window: row.time("window_us")?,
        text: Redacted::stored(row.text("text")?),
        pair: row.maybe_text("pair")?.map(Redacted::stored),
        reasons: row.text("reasons")?,
        found: row.time("found_us")?,
        until: row.time("until_us")?,
    })
}
