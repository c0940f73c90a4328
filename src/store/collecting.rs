//! Statements of the collect loop.

use async_trait::async_trait;
use sqlx::{Any, Transaction};

use super::sql::{Columns, SqlStore};
use super::{CollectStore, Collected, Commit, StoreError};
use crate::drift::checkpoint::{Delta, Partition, Position};
use crate::drift::time::Timestamp;

#[async_trait]
impl CollectStore for SqlStore {
    async fn positions(&self, partitions: &[Partition]) -> Result<Vec<(Partition, Position)>, StoreError> {
        let mut found = Vec::with_capacity(partitions.len());
        for partition in partitions {
            let row = sqlx::query(
                "-- positions
                select next_offset, watermark from position where topic = $1 and partition = $2",
            )
            .bind(&partition.topic)
            .bind(i64::from(partition.number))
            .fetch_optional(&self.pool)
            .await?;
            if let Some(row) = row {
                let watermark = postcard::from_bytes(&row.bytes("watermark")?)
                    .map_err(|error| StoreError::Corrupt(format!("watermark of `{}`: {error}", partition.topic)))?;
                found.push((partition.clone(), Position { next_offset: row.int("next_offset")?, watermark }));
            }
        }
        Ok(found)
    }

    async fn commit_collected(&self, collected: &Collected) -> Result<Commit, StoreError> {
        let mut transaction = self.begin().await?;
        for (partition, delta) in &collected.delta {
            if !move_position(&mut transaction, partition, delta, collected.now).await? {
                transaction.rollback().await?;
                return Ok(Commit::Fenced(partition.clone()));
            }
        }
        for (i, partial) in collected.partials.iter().enumerate() {
            sqlx::query(
                "-- commit_collected
                insert into window_partial (partial_id, model, reference_id, slot, body) values ($1, $2, $3, $4, $5)",
            )
            .bind(format!("{}-{i}", collected.flush_id))
            .bind(&partial.model)
            .bind(&partial.reference_id)
            .bind(partial.slot)
            .bind(&partial.body)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(Commit::Applied)
    }
}

/// The compare-and-set; false if the stored position is not where the delta starts.
async fn move_position(
    transaction: &mut Transaction<'static, Any>,
    partition: &Partition,
    delta: &Delta,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let watermark = postcard::to_stdvec(&delta.watermark).expect("a list of times always encodes");
    let statement = match delta.from {
        Some(_) => {
            "-- move_position
            update position set next_offset = $3, watermark = $4, watermark_us = $5, folded = folded + $6,
                set_aside = set_aside + $7, dead_lettered = dead_lettered + $8, gaps = gaps + $9, updated_us = $10
            where topic = $1 and partition = $2 and next_offset = $11"
        }
        None => {
            "-- move_position (new)
            insert into position (topic, partition, next_offset, watermark, watermark_us, folded, set_aside,
                dead_lettered, gaps, updated_us, first_offset)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (topic, partition) do nothing"
        }
    };
    let done = sqlx::query(statement)
        .bind(&partition.topic)
        .bind(i64::from(partition.number))
        .bind(delta.to)
        .bind(watermark)
        .bind(delta.watermark.reached().map(Timestamp::micros))
        .bind(delta.ledger.folded)
        .bind(delta.ledger.set_aside)
        .bind(delta.ledger.dead_lettered)
        .bind(delta.ledger.gaps)
        .bind(now.micros())
        .bind(delta.from.unwrap_or(delta.to - delta.ledger.total()))
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected() == 1)
}
