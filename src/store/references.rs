//! Statements about references: kept by id, one of each model's active.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{Any, Executor};

use super::sql::{Columns, SqlStore};
use super::{KeptReference, ReferenceRow, ReferenceStore, StoreError};
use crate::drift::reference::Reference;
use crate::drift::time::Timestamp;

impl ReferenceRow {
    /// The row of a reference.
    pub fn of(reference: &Reference, now: Timestamp) -> ReferenceRow {
        let guarantee = serde_json::to_string(&reference.guarantee());
        ReferenceRow {
            reference_id: reference.id.clone(),
            model: reference.spec.name.clone(),
            version: reference.spec.version.clone(),
            kind: reference.kind.name().to_owned(),
            records: i64::try_from(reference.records).unwrap_or(i64::MAX),
            windows: i64::try_from(reference.windows).unwrap_or(i64::MAX),
            first: reference.span.0,
            last: reference.span.1,
            guarantee: guarantee.expect("plain data with text for keys always serializes"),
            created: now,
            body: reference.encode(),
        }
    }
}

#[async_trait]
impl ReferenceStore for SqlStore {
    async fn activate(&self, reference: &ReferenceRow, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        keep(&mut *transaction, reference).await?;
        point(&mut *transaction, reference, now).await?;
        Ok(transaction.commit().await?)
    }

    async fn references(&self) -> Result<Vec<KeptReference>, StoreError> {
        let rows = sqlx::query(
            "-- references
            select r.*, case when a.reference_id is null then 0 else 1 end as is_active,
                case when m.reference_id is null then 0 else 1 end as is_in_use
            from model_reference r
            left join active_reference a on a.model = r.model and a.reference_id = r.reference_id
            left join model m on m.name = r.model and m.reference_id = r.reference_id
            order by r.model, r.created_us, r.reference_id",
        )
        .fetch_all(&self.pool)
        .await?;
        let kept = |row: &AnyRow| -> Result<_, sqlx::Error> {
            let (active, in_use) = (flag(row, "is_active")?, flag(row, "is_in_use")?);
            Ok(KeptReference { row: read(row)?, active, in_use })
        };
        Ok(rows.iter().map(kept).collect::<Result<_, _>>()?)
    }

    async fn active_reference(&self, model: &str) -> Result<Option<ReferenceRow>, StoreError> {
        let row = sqlx::query(
            "-- active_reference
            select r.* from active_reference a join model_reference r on r.reference_id = a.reference_id
            where a.model = $1",
        )
        .bind(model)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.as_ref().map(read).transpose()?)
    }
}

/// Stores a reference unless it is there already.
pub(super) async fn keep<'c>(
    executor: impl Executor<'c, Database = Any>,
    reference: &ReferenceRow,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- keep
        insert into model_reference (reference_id, model, version, kind, records, windows, first_us, last_us, guarantee,
            created_us, body)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (reference_id) do nothing",
    )
    .bind(&reference.reference_id)
    .bind(&reference.model)
    .bind(&reference.version)
    .bind(&reference.kind)
    .bind(reference.records)
    .bind(reference.windows)
    .bind(reference.first.micros())
    .bind(reference.last.micros())
    .bind(&reference.guarantee)
    .bind(reference.created.micros())
    .bind(&reference.body)
    .execute(executor)
    .await?;
    Ok(())
}

/// Makes a reference its model's active one.
pub(super) async fn point<'c>(
    executor: impl Executor<'c, Database = Any>,
    reference: &ReferenceRow,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- activate
        insert into active_reference (model, reference_id, activated_us) values ($1, $2, $3)
        on conflict (model) do update set reference_id = excluded.reference_id, activated_us = excluded.activated_us",
    )
    .bind(&reference.model)
    .bind(&reference.reference_id)
    .bind(now.micros())
    .execute(executor)
    .await?;
    Ok(())
}

/// A reference from its row.
pub(super) fn read(row: &AnyRow) -> Result<ReferenceRow, sqlx::Error> {
    Ok(ReferenceRow {
        reference_id: row.text("reference_id")?,
        model: row.text("model")?,
        version: row.text("version")?,
        kind: row.text("kind")?,
        records: row.int("records")?,
        windows: row.int("windows")?,
        first: row.time("first_us")?,
        last: row.time("last_us")?,
        guarantee: row.text("guarantee")?,
        created: row.time("created_us")?,
        body: row.bytes("body")?,
    })
}

/// A literal 0 or 1, whose integer type the two databases choose differently.
pub(super) fn flag(row: &AnyRow, name: &str) -> Result<bool, sqlx::Error> {
    use sqlx::Row as _;
    row.try_get::<i64, _>(name).or_else(|_| row.try_get::<i32, _>(name).map(i64::from)).map(|value| value != 0)
}
