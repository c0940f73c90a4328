//! Statements of the collect loop.

use async_trait::async_trait;
use sqlx::{Any, Transaction};

use super::labels::write_labelled;
use super::sql::{Columns, SqlStore};
use super::{CollectStore, Collected, Commit, StoreError};
use crate::drift::allowance::Used;
use crate::drift::checkpoint::{Delta, Gap, Partition, Position};
use crate::drift::time::Timestamp;
use crate::drift::watermark::Watermark;
use crate::fault;

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
                let (watermark, used) = progress(&row.bytes("watermark")?)
                    .map_err(|error| StoreError::Corrupt(format!("watermark of `{}`: {error}", partition.topic)))?;
                found.push((partition.clone(), Position { next_offset: row.int("next_offset")?, watermark, used }));
            }
        }
        Ok(found)
    }

    async fn commit_collected(&self, collected: &Collected) -> Result<Commit, StoreError> {
        self.make_days_of(&collected.labelled, collected.now).await?;
        let mut transaction = self.begin().await?;
        for (partition, delta) in &collected.delta {
            let moved = match delta.restart {
                Some(start) => begin_anew(&mut transaction, partition, delta, start, collected.now).await?,
                None => move_position(&mut transaction, partition, delta, collected.now).await?,
            };
            if !moved {
                transaction.rollback().await?;
                return Ok(Commit::Fenced(partition.clone()));
            }
            if let Some(gap) = &delta.gap {
                write_gap(&mut transaction, partition, gap, collected.now).await?;
            }
        }
        fault::point("in_commit");
        for (i, partial) in collected.partials.iter().enumerate() {
            sqlx::query(
                "-- commit_collected
                insert into window_partial (partial_id, model, reference_id, slot, late, records, body, flushed_us, trace)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            )
            .bind(format!("{}-{i}", collected.flush_id))
            .bind(&partial.model)
            .bind(&partial.reference_id)
            .bind(partial.slot)
            .bind(i64::from(partial.late))
            .bind(partial.records)
            .bind(&partial.body)
            .bind(collected.now.micros())
            .bind(partial.trace.clone())
            .execute(&mut *transaction)
            .await?;
        }
        super::examples::write_texts(&mut transaction, collected).await?;
        super::shadows::write_partials(&mut transaction, collected).await?;
        write_labelled(&mut transaction, &collected.flush_id, &collected.labelled, collected.now).await?;
        transaction.commit().await?;
        Ok(Commit::Applied)
    }

    async fn note_topics(&self, topics: &[(String, i32)], now: Timestamp) -> Result<Vec<(String, i32)>, StoreError> {
        let mut first = Vec::with_capacity(topics.len());
        for (topic, partitions) in topics {
            sqlx::query(
                "-- note_topics
                insert into topic (name, partitions, seen_us) values ($1, $2, $3)
                on conflict (name) do update set partitions = excluded.partitions, seen_us = excluded.seen_us",
            )
            .bind(topic)
            .bind(i64::from(*partitions))
            .bind(now.micros())
            .execute(&self.pool)
            .await?;
            sqlx::query(
                "-- note_topics (begun)
                insert into topic_begun (name, partitions) values ($1, $2) on conflict (name) do nothing",
            )
            .bind(topic)
            .bind(i64::from(*partitions))
            .execute(&self.pool)
            .await?;
            let begun = "-- note_topics (first)\nselect partitions from topic_begun where name = $1";
            let row = sqlx::query(begun).bind(topic).fetch_one(&self.pool).await?;
            first.push((topic.clone(), i32::try_from(row.int("partitions")?).unwrap_or(i32::MAX)));
        }
        Ok(first)
    }

    async fn confirm_idle(&self, idle: &[(Partition, i64)], now: Timestamp) -> Result<(), StoreError> {
        for (partition, next) in idle {
            sqlx::query(
                "-- confirm_idle
                update position set idle_us = $4 where topic = $1 and partition = $2 and next_offset = $3",
            )
            .bind(&partition.topic)
            .bind(i64::from(partition.number))
            .bind(*next)
            .bind(now.micros())
            .execute(&self.pool)
            .await?;
        }
        Ok(())
    }
}

/// Closes the ledger of a partition whose topic was created anew, and begins another.
async fn begin_anew(
    transaction: &mut Transaction<'static, Any>,
    partition: &Partition,
    delta: &Delta,
    start: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let closed = sqlx::query(
        "-- begin_anew (close)
        insert into position_closed (topic, partition, generation, first_offset, next_offset, folded, set_aside,
            dead_lettered, gaps, closed_us)
        select topic, partition, generation, first_offset, next_offset, folded, set_aside, dead_lettered, gaps, $4
        from position where topic = $1 and partition = $2 and next_offset = $3",
    )
    .bind(&partition.topic)
    .bind(i64::from(partition.number))
    .bind(delta.from)
    .bind(now.micros())
    .execute(&mut **transaction)
    .await?;
    if closed.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query(
        "-- begin_anew
        update position set generation = generation + 1, first_offset = $3, next_offset = $3, folded = 0, set_aside = 0,
            dead_lettered = 0, gaps = 0
        where topic = $1 and partition = $2",
    )
    .bind(&partition.topic)
    .bind(i64::from(partition.number))
    .bind(start)
    .execute(&mut **transaction)
    .await?;
    let moved = Delta { from: Some(start), restart: None, ..delta.clone() };
    move_position(transaction, partition, &moved, now).await
}

/// A loss, or the end of one that was written before.
async fn write_gap(
    transaction: &mut Transaction<'static, Any>,
    partition: &Partition,
    gap: &Gap,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_gap
        insert into gap (topic, partition, generation, from_offset, to_offset, reason, after_us, until_us, found_us)
        select topic, partition, generation, $3, $4, $5, $6, $7, $8 from position where topic = $1 and partition = $2
        on conflict (topic, partition, generation, from_offset) do update set until_us = excluded.until_us",
    )
    .bind(&partition.topic)
    .bind(i64::from(partition.number))
    .bind(gap.from)
    .bind(gap.to)
    .bind(gap.reason.name())
    .bind(gap.after.map(Timestamp::micros))
    .bind(gap.until.map(Timestamp::micros))
    .bind(now.micros())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A watermark, and behind it what was used up of allowances, where there are any.
fn progress(bytes: &[u8]) -> Result<(Watermark, Used), postcard::Error> {
    let (watermark, rest) = postcard::take_from_bytes(bytes)?;
    Ok((watermark, if rest.is_empty() { Used::default() } else { postcard::from_bytes(rest)? }))
}

/// The compare-and-set; false if the stored position is not where the delta starts.
async fn move_position(
    transaction: &mut Transaction<'static, Any>,
    partition: &Partition,
    delta: &Delta,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut watermark = postcard::to_stdvec(&delta.watermark).expect("a list of times always encodes");
    if !delta.used.is_empty() {
        watermark.extend(postcard::to_stdvec(&delta.used).expect("counts by name always encode"));
    }
    let statement = match delta.from {
        Some(_) => {
            "-- move_position
            update position set next_offset = $3, watermark = $4, watermark_us = $5, folded = folded + $6,
                set_aside = set_aside + $7, dead_lettered = dead_lettered + $8, gaps = gaps + $9, updated_us = $10,
                idle_us = null
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
