//! What both databases share: a pool, transactions, decoding of rows. Statements use `$1`
//! placeholders and types that both know; what differs stands in `postgres` and `sqlite`.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, Once};

use secrecy::{ExposeSecret, SecretString};
use sqlx::Executor as _;
use sqlx::any::{AnyRow, AnyTypeInfo};
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::migrate::MigrateError;
use sqlx::{Any, AnyPool, Database, Row, Transaction, Type};

use super::{StoreError, postgres, sqlite};
use crate::drift::checkpoint::{Ledger, Partition};
use crate::drift::time::Timestamp;

static DRIVERS: Once = Once::new();

/// Which database is behind a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

/// A store in Postgres or SQLite; cheap to clone.
#[derive(Clone, Debug)]
pub struct SqlStore {
    pub(super) pool: AnyPool,
    pub(super) dialect: Dialect,
    /// Days whose tables are known to be there.
    pub(super) days: Arc<Mutex<HashSet<i64>>>,
    /// Days of predictions whose tables are known to be there, and when that was noted.
    pub(super) label_days: Arc<Mutex<HashMap<i64, Timestamp>>>,
}

impl SqlStore {
    /// Opens `postgres://…` or `sqlite:FILE` (created if missing) and brings its schema up to date;
    /// of several processes one migrates while the others wait.
    ///
    /// # Errors
    /// [`StoreError::Open`], [`StoreError::ReadOnly`] or [`StoreError::Schema`].
    pub async fn open(url: &SecretString) -> Result<SqlStore, StoreError> {
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let url = url.expose_secret();
        let (pool, dialect) = if url.starts_with("sqlite:") {
            (sqlite::open(url).await?, Dialect::Sqlite)
        } else {
            (postgres::open(url).await?, Dialect::Postgres)
        };
        let migrations = match dialect {
            Dialect::Postgres => sqlx::migrate!("migrations/postgres"),
            Dialect::Sqlite => sqlx::migrate!("migrations/sqlite"),
        };
        let why = |error| match error {
            MigrateError::VersionMissing(version) => format!(
                "a newer driftd brought it up to date (migration {version}): go on with that one, or with a dump of before"
            ),
            error => error.to_string(),
        };
        migrations.run(&pool).await.map_err(|error| StoreError::Schema(why(error)))?;
        Ok(SqlStore { pool, dialect, days: Arc::default(), label_days: Arc::default() })
    }

    /// What the server's clock shows; `None` where the store has no clock but ours.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn time(&self) -> Result<Option<Timestamp>, StoreError> {
        if self.dialect == Dialect::Sqlite {
            return Ok(None);
        }
        let row = self.pool.fetch_one("select (extract(epoch from clock_timestamp()) * 1000000)::bigint as now_us");
        Ok(Some(row.await?.time("now_us")?))
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// A writing transaction. SQLite takes its write lock at once, or two writers that began as
    /// readers would deadlock.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Any>, StoreError> {
        Ok(match self.dialect {
            Dialect::Postgres => self.pool.begin().await?,
            Dialect::Sqlite => self.pool.begin_with("begin immediate").await?,
        })
    }
}

/// A number that may be missing, for `bind`. sqlx 0.9's `Any` tells Postgres that a missing `f64` is an `f32`:
/// a statement whose first row on a connection lacks the number is prepared so, and refuses numbers there ever
/// after. It has the two mixed up, so a missing `f32` is told right; a test watches over it.
pub(super) struct Number(pub(super) Option<f64>);

impl Type<Any> for Number {
    fn type_info() -> AnyTypeInfo {
        <f64 as Type<Any>>::type_info()
    }
}

impl<'q> Encode<'q, Any> for Number {
    fn encode_by_ref(&self, buffer: &mut <Any as Database>::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match self.0 {
            Some(number) => Encode::<'q, Any>::encode_by_ref(&number, buffer),
            None => Encode::<'q, Any>::encode_by_ref(&None::<f32>, buffer),
        }
    }
}

/// The address of a store without its password.
pub(super) fn place(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{}", host.split('?').next().unwrap_or(host)),
        _ => url.split('?').next().unwrap_or(url).to_owned(),
    }
}

/// Columns of rows, by name.
pub(super) trait Columns {
    fn int(&self, name: &str) -> Result<i64, sqlx::Error>;
    fn maybe_int(&self, name: &str) -> Result<Option<i64>, sqlx::Error>;
    fn maybe_float(&self, name: &str) -> Result<Option<f64>, sqlx::Error>;
    fn float(&self, name: &str) -> Result<f64, sqlx::Error>;
    fn text(&self, name: &str) -> Result<String, sqlx::Error>;
    fn maybe_text(&self, name: &str) -> Result<Option<String>, sqlx::Error>;
    fn bytes(&self, name: &str) -> Result<Vec<u8>, sqlx::Error>;
    fn time(&self, name: &str) -> Result<Timestamp, sqlx::Error>;
    fn maybe_time(&self, name: &str) -> Result<Option<Timestamp>, sqlx::Error>;
}

impl Columns for AnyRow {
    fn int(&self, name: &str) -> Result<i64, sqlx::Error> {
        self.try_get(name)
    }

    fn maybe_int(&self, name: &str) -> Result<Option<i64>, sqlx::Error> {
        self.try_get(name)
    }

    fn maybe_float(&self, name: &str) -> Result<Option<f64>, sqlx::Error> {
        self.try_get(name)
    }

    fn float(&self, name: &str) -> Result<f64, sqlx::Error> {
        self.try_get(name)
    }

    fn text(&self, name: &str) -> Result<String, sqlx::Error> {
        self.try_get(name)
    }

    fn maybe_text(&self, name: &str) -> Result<Option<String>, sqlx::Error> {
        self.try_get(name)
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, sqlx::Error> {
        self.try_get(name)
    }

    fn time(&self, name: &str) -> Result<Timestamp, sqlx::Error> {
        self.int(name).map(Timestamp::from_micros)
    }

    fn maybe_time(&self, name: &str) -> Result<Option<Timestamp>, sqlx::Error> {
        self.maybe_int(name).map(|t| t.map(Timestamp::from_micros))
    }
}

/// The partition columns of a row.
pub(super) fn partition(row: &AnyRow) -> Result<Partition, sqlx::Error> {
    let number = i32::try_from(row.int("partition")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Partition { topic: row.text("topic")?, number })
}

/// The ledger columns of a row.
pub(super) fn ledger(row: &AnyRow) -> Result<Ledger, sqlx::Error> {
    Ok(Ledger {
        folded: row.int("folded")?,
        set_aside: row.int("set_aside")?,
        dead_lettered: row.int("dead_lettered")?,
        gaps: row.int("gaps")?,
    })
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_holds_no_password() {
        assert_eq!(
            place("postgres://user:secret@db.example:5432/drift?sslmode=require"),
            "postgres://db.example:5432/drift"
        );
        assert_eq!(place("sqlite:/var/lib/driftd.db?mode=rwc"), "sqlite:/var/lib/driftd.db");
    }
}
