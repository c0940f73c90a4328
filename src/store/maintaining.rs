//! Statements of the maintain loop: roll-ups and retention. Postgres keeps reports and statistics in
//! one table a day of event time and drops them whole; SQLite deletes rows.

use async_trait::async_trait;
use sqlx::{Any, AssertSqlSafe, Executor, Transaction};

use super::sql::{Columns, Dialect, SqlStore};
use super::{Cutoffs, MaintainStore, Part, RollupRow, StoreError};
use crate::drift::rollup::Grain;
use crate::drift::time::Timestamp;
use crate::fault;

type Tx = Transaction<'static, Any>;

/// Rows of the audit that a round removes: a shorter retention must not hold others up, and rounds come every
/// minute.
const MOST_AUDIT: i64 = 10_000;
/// Microseconds in a day.
pub(super) const DAY: i64 = 86_400_000_000;

#[async_trait]
impl MaintainStore for SqlStore {
    async fn unrolled(&self, model: &str, reference_id: &str, grain: Grain) -> Result<Vec<Timestamp>, StoreError> {
        // The latest window's roll-up is still growing; it is made once something follows it.
        let statement = match grain {
            Grain::Hour => {
                "-- unrolled (hour)
                select distinct start_us - start_us % $3 as bucket from report
                where model = $1 and reference_id = $2 and rolled = 0 and start_us - start_us % $3 + $3 <= (
                    select max(end_us) from report where model = $1 and reference_id = $2)
                order by bucket limit 100"
            }
            Grain::Day => {
                "-- unrolled (day)
                select distinct start_us - start_us % $3 as bucket from rollup
                where model = $1 and reference_id = $2 and grain = 'hour' and rolled = 0 and start_us - start_us % $3 + $3 <= (
                    select max(end_us) from report where model = $1 and reference_id = $2)
                order by bucket limit 100"
            }
        };
        let rows = sqlx::query(statement)
            .bind(model)
            .bind(reference_id)
            .bind(grain.length().micros())
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(|row| row.time("bucket")).collect::<Result<_, _>>()?)
    }

    async fn parts(
        &self,
        model: &str,
        reference_id: &str,
        grain: Grain,
        from: Timestamp,
    ) -> Result<Vec<Part>, StoreError> {
        let statement = match grain {
            Grain::Hour => {
                "-- parts (hour)
                select start_us, revision as version, 1 as windows, incomplete, summary from report
                where model = $1 and reference_id = $2 and start_us >= $3 and start_us < $4 order by start_us"
            }
            Grain::Day => {
                "-- parts (day)
                select start_us, built_us as version, windows, incomplete, summary from rollup
                where model = $1 and reference_id = $2 and grain = 'hour' and start_us >= $3 and start_us < $4
                order by start_us"
            }
        };
        let rows = sqlx::query(statement)
            .bind(model)
            .bind(reference_id)
            .bind(from.micros())
            .bind(from.plus(grain.length()).micros())
            .fetch_all(&self.pool)
            .await?;
        let part = |row: &sqlx::any::AnyRow| -> Result<_, sqlx::Error> {
            Ok(Part {
                start: row.time("start_us")?,
                version: row.int("version")?,
                windows: row.int("windows")?,
                incomplete: row.int("incomplete")? == 1,
                summary: row.bytes("summary")?,
            })
        };
        Ok(rows.iter().map(part).collect::<Result<_, _>>()?)
    }

    async fn commit_rollup(&self, rollup: &RollupRow, parts: &[Part], now: Timestamp) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "-- commit_rollup
            insert into rollup (model, reference_id, grain, start_us, end_us, windows, records, incomplete, summary,
                statistics, built_us, rolled)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            on conflict (model, grain, start_us, reference_id) do update set windows = excluded.windows,
                records = excluded.records, incomplete = excluded.incomplete, summary = excluded.summary,
                statistics = excluded.statistics, built_us = excluded.built_us, rolled = excluded.rolled",
        )
        .bind(&rollup.model)
        .bind(&rollup.reference_id)
        .bind(rollup.grain.name())
        .bind(rollup.start.micros())
        .bind(rollup.end.micros())
        .bind(rollup.windows)
        .bind(rollup.records)
        .bind(i64::from(rollup.incomplete))
        .bind(&rollup.summary)
        .bind(&rollup.statistics)
        .bind(now.micros())
        .bind(i64::from(rollup.grain == Grain::Day))
        .execute(&mut *transaction)
        .await?;
        fault::point("in_maintenance");
        for part in parts {
            let statement = match rollup.grain {
                Grain::Hour => {
                    "-- commit_rollup (window)
                    update report set rolled = 1 where model = $1 and reference_id = $2 and start_us = $3 and revision = $4"
                }
                Grain::Day => {
                    "-- commit_rollup (hour)
                    update rollup set rolled = 1
                    where model = $1 and reference_id = $2 and grain = 'hour' and start_us = $3 and built_us = $4"
                }
            };
            let done = sqlx::query(statement)
                .bind(&rollup.model)
                .bind(&rollup.reference_id)
                .bind(part.start.micros())
                .bind(part.version)
                .execute(&mut *transaction)
                .await?;
            // It was revised meanwhile: the roll-up is made again.
            if done.rows_affected() != 1 {
                transaction.rollback().await?;
                return Ok(false);
            }
        }
        transaction.commit().await?;
        Ok(true)
    }

    async fn expire(&self, cutoffs: &Cutoffs) -> Result<u64, StoreError> {
        let mut removed = match self.dialect {
            Dialect::Postgres => {
                self.drop_days("statistic", cutoffs.statistics).await?
                    + self.drop_days("report", cutoffs.windows).await?
            }
            Dialect::Sqlite => self.delete_windows(cutoffs).await?,
        };
        for (statement, before) in [
            (
                "-- expire (rollup)\ndelete from rollup where start_us < $1 and built_us < $1 and rolled = 1",
                cutoffs.rollups,
            ),
            (
                "-- expire (attempt)
                delete from delivery_attempt where delivery_id in (
                    select delivery_id from delivery where state <> 'pending' and created_us < $1
                        and coalesce(alert_id, '') not in (select alert_id from alert where state = 'firing'))",
                cutoffs.deliveries,
            ),
            (
                // What a firing alert was told with says who must hear of its end.
                "-- expire (delivery)
                delete from delivery where state <> 'pending' and created_us < $1
                    and coalesce(alert_id, '') not in (select alert_id from alert where state = 'firing')",
                cutoffs.deliveries,
            ),
            (
                // Of candidates that nobody judges any more.
                "-- expire (shadow)\ndelete from shadow_partial where flushed_us < $1",
                cutoffs.windows,
            ),
            (
                "-- expire (performance)\ndelete from window_performance where start_us < $1 and updated_us < $1",
                cutoffs.windows,
            ),
        ] {
            removed += sqlx::query(statement).bind(before.micros()).execute(&self.pool).await?.rows_affected();
        }
        removed += sqlx::query(
            "-- expire (audit)
            delete from audit where audit_id in (select audit_id from audit where at_us < $1 order by at_us limit $2)",
        )
        .bind(cutoffs.audit.micros())
        .bind(MOST_AUDIT)
        .execute(&self.pool)
        .await?
        .rows_affected();
        removed += self.drop_label_days(cutoffs.predictions).await?;
        removed += self.expire_labels(cutoffs).await?;
        Ok(removed + self.expire_partials(cutoffs).await?)
    }
}

impl SqlStore {
    /// Makes the tables of a day. Attaching them takes no lock that readers or writers wait for.
    pub(super) async fn make_day(&self, at: Timestamp) -> Result<(), StoreError> {
        let day = at.micros().div_euclid(DAY);
        if self.dialect == Dialect::Sqlite || self.days.lock().is_ok_and(|days| days.contains(&day)) {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        lock(&mut transaction).await?;
        for table in ["report", "statistic"] {
            let name = format!("{table}_d{}", named(day));
            let there = sqlx::query("-- make_day\nselect coalesce(to_regclass($1)::text, '') as name")
                .bind(&name)
                .fetch_one(&mut *transaction)
                .await?;
            if there.text("name")?.is_empty() {
                let (from, to) = (day * DAY, (day + 1) * DAY);
                let make = format!("create table {name} (like {table} including defaults including indexes)");
                let attach = format!("alter table {table} attach partition {name} for values from ({from}) to ({to})");
                transaction.execute(AssertSqlSafe(make)).await?;
                transaction.execute(AssertSqlSafe(attach)).await?;
            }
        }
        transaction.commit().await?;
        if let Ok(mut days) = self.days.lock() {
            days.insert(day);
        }
        Ok(())
    }

    /// Drops the days that ended before `before` and in which nothing was judged since.
    async fn drop_days(&self, table: &str, before: Timestamp) -> Result<u64, StoreError> {
        let rows = sqlx::query(
            "-- drop_days
            select c.relname::text as name, coalesce(to_regclass(replace(c.relname, $1, 'report'))::text, '') as reports
            from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = to_regclass($1) and c.relname like $1 || '\\_d%' order by 1",
        )
        .bind(table)
        .fetch_all(&self.pool)
        .await?;
        let mut dropped = 0;
        for row in rows {
            let (name, reports) = (row.text("name")?, row.text("reports")?);
            let Some(day) = day_of(&name) else { continue };
            if (day + 1) * DAY > before.micros() {
                continue;
            }
            let mut transaction = self.begin().await?;
            lock(&mut transaction).await?;
            if !reports.is_empty() {
                let young = format!("-- drop_days (young)\nselect count(*) as n from {reports} where judged_us >= $1");
                let young =
                    sqlx::query(AssertSqlSafe(young)).bind(before.micros()).fetch_one(&mut *transaction).await?;
                if young.int("n")? > 0 {
                    transaction.rollback().await?;
                    continue;
                }
            }
            if table == "report" {
                let count = format!(
                    "-- drop_days (count)
                    insert into expired (model, windows, records)
                    select model, count(*), cast(sum(records) as bigint) from {name} group by model
                    on conflict (model) do update set windows = expired.windows + excluded.windows,
                        records = expired.records + excluded.records"
                );
                sqlx::query(AssertSqlSafe(count)).execute(&mut *transaction).await?;
            }
            transaction.execute(AssertSqlSafe(format!("drop table {name}"))).await?;
            fault::point("in_maintenance");
            transaction.commit().await?;
            if let Ok(mut days) = self.days.lock() {
                days.remove(&day);
            }
            dropped += 1;
        }
        Ok(dropped)
    }

    async fn delete_windows(&self, cutoffs: &Cutoffs) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let statistics = sqlx::query(
            "-- delete_windows (statistics)
            delete from statistic where start_us < $1 and not exists (
                select 1 from report r where r.model = statistic.model and r.start_us = statistic.start_us and r.judged_us >= $1)",
        )
        .bind(cutoffs.statistics.micros())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "-- delete_windows (count)
            insert into expired (model, windows, records)
            select model, count(*), cast(sum(records) as bigint) from report where start_us < $1 and judged_us < $1 group by model
            on conflict (model) do update set windows = expired.windows + excluded.windows,
                records = expired.records + excluded.records",
        )
        .bind(cutoffs.windows.micros())
        .execute(&mut *transaction)
        .await?;
        let windows = sqlx::query("-- delete_windows\ndelete from report where start_us < $1 and judged_us < $1")
            .bind(cutoffs.windows.micros())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(statistics.rows_affected() + windows.rows_affected())
    }

    /// Labels for references that no model is compared with any more are never joined.
    async fn expire_labels(&self, cutoffs: &Cutoffs) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "-- expire_labels
            delete from label_pending
            where received_us < $1 and reference_id not in (select reference_id from model)",
        )
        .bind(cutoffs.partials.micros())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Tallies for references that no model is compared with any more are never judged.
    async fn expire_partials(&self, cutoffs: &Cutoffs) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "-- expire_partials (count)
            insert into expired (model, windows, records)
            select model, 0, cast(sum(records) as bigint) from window_partial
            where flushed_us < $1 and reference_id not in (select reference_id from model) group by model
            on conflict (model) do update set records = expired.records + excluded.records",
        )
        .bind(cutoffs.partials.micros())
        .execute(&mut *transaction)
        .await?;
        let done = sqlx::query(
            "-- expire_partials
            delete from window_partial
            where flushed_us < $1 and reference_id not in (select reference_id from model)",
        )
        .bind(cutoffs.partials.micros())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected())
    }
}

/// Days are made and dropped by one at a time.
pub(super) async fn lock(transaction: &mut Tx) -> Result<(), StoreError> {
    transaction.execute("-- lock (days)\nselect pg_advisory_xact_lock(7236501)::text").await?;
    Ok(())
}

/// A day's number in a table's name; days before 1970 have an `m`.
pub(super) fn named(day: i64) -> String {
    if day < 0 { format!("m{}", day.unsigned_abs()) } else { day.to_string() }
}

fn day_of(table: &str) -> Option<i64> {
    let text = table.rsplit_once("_d")?.1;
    match text.strip_prefix('m') {
        Some(before) => before.parse().ok().map(|day: i64| -day),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_keep_their_names() {
        for day in [0, 20_780, -3] {
            assert_eq!(day_of(&format!("report_d{}", named(day))), Some(day));
        }
        assert_eq!(day_of("report_default"), None);
    }
}
