//! Statements about what was read, what was lost, and where the folded records are.

use sqlx::any::AnyRow;
use sqlx::{Any, Executor};

use super::judging::write_delivery;
use super::sql::{Columns, Dialect, SqlStore, ledger, partition};
use super::{Accounts, ClosedPartition, GapRow, Held, NewDelivery, Progress, StoreError};
use crate::drift::checkpoint::Partition;
use crate::drift::closing::Reached;
use crate::drift::time::{Span, Timestamp};

impl SqlStore {
    /// All of the ledger as it is at one time: between two statements by themselves a flush may add records to
    /// one side only.
    pub(super) async fn whole_ledger(&self) -> Result<Accounts, StoreError> {
        let mut snapshot = match self.dialect {
            Dialect::Postgres => self.pool.begin_with("begin isolation level repeatable read, read only").await?,
            Dialect::Sqlite => self.pool.begin().await?,
        };
        if self.dialect == Dialect::Postgres {
            // Before the snapshot is taken: a day that is dropped while it is open vanishes from it, and what
            // was counted of that day does not come to be seen.
            snapshot.execute("lock table report in access share mode").await?;
        }
        let partitions = positions(&mut *snapshot).await?;
        let closed = closed(&mut *snapshot).await?;
        let losses = gaps(&mut *snapshot, false).await?;
        let held = held(&mut *snapshot).await?;
        snapshot.commit().await?;
        Ok(Accounts { partitions, closed, losses, held })
    }

    pub(super) async fn all_positions(&self) -> Result<Vec<Progress>, StoreError> {
        positions(&self.pool).await
    }

    pub(super) async fn all_reached(&self) -> Result<Vec<Reached>, StoreError> {
        let mut all: Vec<Reached> = self.all_positions().await?.into_iter().map(|p| p.reached).collect();
        let topics = sqlx::query("-- all_reached\nselect * from topic order by name").fetch_all(&self.pool).await?;
        for row in topics {
            let (topic, count, seen) = (row.text("name")?, row.int("partitions")?, row.time("seen_us")?);
            for number in 0..i32::try_from(count).unwrap_or(i32::MAX) {
                let partition = Partition { topic: topic.clone(), number };
                if !all.iter().any(|r| r.partition == partition) {
                    all.push(Reached { partition, watermark: None, moved: seen, idle: None });
                }
            }
        }
        Ok(all)
    }

    pub(super) async fn all_gaps(&self, unannounced: bool) -> Result<Vec<GapRow>, StoreError> {
        gaps(&self.pool, unannounced).await
    }

    pub(super) async fn announce_gap(
        &self,
        gap: &GapRow,
        deliveries: &[NewDelivery],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for (i, delivery) in (0..).zip(deliveries) {
            write_delivery(&mut transaction, delivery, now.plus(Span::from_micros(i))).await?;
        }
        sqlx::query(
            "-- announce_gap
            update gap set announced_us = $5
            where topic = $1 and partition = $2 and generation = $3 and from_offset = $4",
        )
        .bind(&gap.partition.topic)
        .bind(i64::from(gap.partition.number))
        .bind(gap.generation)
        .bind(gap.from)
        .bind(now.micros())
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    pub(super) async fn all_closed(&self) -> Result<Vec<ClosedPartition>, StoreError> {
        closed(&self.pool).await
    }

    pub(super) async fn all_held(&self) -> Result<Held, StoreError> {
        held(&self.pool).await
    }
}

async fn positions(database: impl Executor<'_, Database = Any>) -> Result<Vec<Progress>, StoreError> {
    let rows = sqlx::query(
        "-- all_positions
        select p.*, t.partitions from position p left join topic t on t.name = p.topic order by p.topic, p.partition",
    )
    .fetch_all(database)
    .await?;
    let row = |row: &AnyRow| -> Result<Option<Progress>, sqlx::Error> {
        // A topic that was created anew with fewer partitions will bring nothing for the others.
        if row.maybe_int("partitions")?.is_some_and(|n| row.int("partition").is_ok_and(|number| number >= n)) {
            return Ok(None);
        }
        let reached = Reached {
            partition: partition(row)?,
            watermark: row.maybe_time("watermark_us")?,
            moved: row.time("updated_us")?,
            idle: row.maybe_time("idle_us")?,
        };
        Ok(Some(Progress {
            reached,
            generation: row.int("generation")?,
            next_offset: row.int("next_offset")?,
            first_offset: row.int("first_offset")?,
            ledger: ledger(row)?,
        }))
    };
    Ok(rows.iter().filter_map(|r| row(r).transpose()).collect::<Result<_, _>>()?)
}

async fn gaps(database: impl Executor<'_, Database = Any>, unannounced: bool) -> Result<Vec<GapRow>, StoreError> {
    let rows = sqlx::query(
        "-- all_gaps
        select * from gap where $1 = 0 or announced_us is null order by found_us, topic, partition, from_offset",
    )
    .bind(i64::from(unannounced))
    .fetch_all(database)
    .await?;
    let row = |row: &AnyRow| -> Result<_, sqlx::Error> {
        Ok(GapRow {
            partition: partition(row)?,
            generation: row.int("generation")?,
            from: row.int("from_offset")?,
            to: row.maybe_int("to_offset")?,
            reason: row.text("reason")?,
            after: row.maybe_time("after_us")?,
            until: row.maybe_time("until_us")?,
            found: row.time("found_us")?,
        })
    };
    Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
}

async fn closed(database: impl Executor<'_, Database = Any>) -> Result<Vec<ClosedPartition>, StoreError> {
    let rows = sqlx::query("-- all_closed\nselect * from position_closed order by topic, partition, generation")
        .fetch_all(database)
        .await?;
    let row = |row: &AnyRow| -> Result<_, sqlx::Error> {
        Ok(ClosedPartition {
            partition: partition(row)?,
            generation: row.int("generation")?,
            first_offset: row.int("first_offset")?,
            next_offset: row.int("next_offset")?,
            ledger: ledger(row)?,
        })
    };
    Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
}

/// One statement, so that a judgement that moves records from open to judged is not seen halfway.
async fn held(database: impl Executor<'_, Database = Any>) -> Result<Held, StoreError> {
    let row = sqlx::query(
        "-- all_held
        select cast((select coalesce(sum(records), 0) from report) as bigint) as judged,
            cast((select coalesce(sum(records), 0) from window_partial) as bigint) as open,
            cast((select coalesce(sum(records), 0) from expired) as bigint) as expired",
    )
    .fetch_one(database)
    .await?;
    Ok(Held { judged: row.int("judged")?, open: row.int("open")?, expired: row.int("expired")? })
}
