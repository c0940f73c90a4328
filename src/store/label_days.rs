//! Tables of predictions by day: made as needed, dropped whole. SQLite has one table, and deletes.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Executor as _};

use super::StoreError;
use super::maintaining::{DAY, lock, named};
use super::sql::{Columns, Dialect, SqlStore};
use crate::drift::time::{Span, Timestamp};

/// Tables that have one a day of predictions.
const TABLES: [&str; 2] = ["kept_prediction", "label_join"];
/// A day that was noted as touched is not noted again before this. Much shorter than any retention.
const NOTED_FOR: Span = Span::from_secs(3_600);

/// The days of these times.
pub(super) fn days_of(times: impl Iterator<Item = Timestamp>) -> BTreeSet<i64> {
    times.map(|time| time.micros().div_euclid(DAY)).collect()
}

impl SqlStore {
    /// Makes the tables of these days where they are missing, and notes that the days are in use: one of
    /// long ago may be read again.
    pub(super) async fn make_label_days(&self, days: BTreeSet<i64>, now: Timestamp) -> Result<(), StoreError> {
        for day in days {
            let noted = self.label_days.lock().ok().and_then(|noted| noted.get(&day).copied());
            if noted.is_some_and(|at| now.since(at) < NOTED_FOR && at.since(now) < NOTED_FOR) {
                continue;
            }
            let mut transaction = self.begin().await?;
            if self.dialect == Dialect::Postgres {
                lock(&mut transaction).await?;
            }
            sqlx::query(
                "-- make_label_days
                insert into label_day (day, touched_us) values ($1, $2)
                on conflict (day) do update set touched_us = excluded.touched_us",
            )
            .bind(day)
            .bind(now.micros())
            .execute(&mut *transaction)
            .await?;
            if self.dialect == Dialect::Postgres {
                for table in TABLES {
                    let name = format!("{table}_d{}", named(day));
                    let there =
                        sqlx::query("-- make_label_days (there)\nselect coalesce(to_regclass($1)::text, '') as name")
                            .bind(&name)
                            .fetch_one(&mut *transaction)
                            .await?;
                    if there.text("name")?.is_empty() {
                        let (from, to) = (day * DAY, (day + 1) * DAY);
                        let make = format!("create table {name} (like {table} including defaults including indexes)");
                        let attach =
                            format!("alter table {table} attach partition {name} for values from ({from}) to ({to})");
                        transaction.execute(AssertSqlSafe(make)).await?;
                        transaction.execute(AssertSqlSafe(attach)).await?;
                    }
                }
            }
            transaction.commit().await?;
            if let Ok(mut noted) = self.label_days.lock() {
                noted.insert(day, now);
            }
        }
        Ok(())
    }

    /// Removes predictions of days that ended before `before` and that nobody has touched since. Labels
    /// that still wait for one then never find it, and are given up by the judge.
    pub(super) async fn drop_label_days(&self, before: Timestamp) -> Result<u64, StoreError> {
        let rows = sqlx::query(
            "-- drop_label_days (which)
            select day from label_day where day < $1 and touched_us < $2 order by day",
        )
        .bind(before.micros().div_euclid(DAY))
        .bind(before.micros())
        .fetch_all(&self.pool)
        .await?;
        let mut removed = 0;
        for row in rows {
            let day = row.int("day")?;
            let mut transaction = self.begin().await?;
            if self.dialect == Dialect::Postgres {
                lock(&mut transaction).await?;
            }
            let gone = sqlx::query("-- drop_label_days\ndelete from label_day where day = $1 and touched_us < $2")
                .bind(day)
                .bind(before.micros())
                .execute(&mut *transaction)
                .await?;
            if gone.rows_affected() == 0 {
                transaction.rollback().await?;
                continue;
            }
            for table in TABLES {
                let statement = match self.dialect {
                    Dialect::Postgres => format!("drop table if exists {table}_d{}", named(day)),
                    Dialect::Sqlite => {
                        format!(
                            "delete from {table} where predicted_us >= {} and predicted_us < {}",
                            day * DAY,
                            (day + 1) * DAY
                        )
                    }
                };
                transaction.execute(AssertSqlSafe(statement)).await?;
            }
            transaction.commit().await?;
            removed += 1;
        }
        Ok(removed)
    }
}
