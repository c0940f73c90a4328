//! What is Postgres's own: the pool and the settings of its sessions.

use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Connection as _, Executor, Row};

use super::StoreError;
use super::sql::place;

const CONNECTIONS: u32 = 8;
/// How long a caller waits for a connection before the step fails and is tried again.
const ACQUIRE: Duration = Duration::from_secs(5);
/// A connection that does not answer its greeting for so long is thrown away.
const GREETING: Duration = Duration::from_secs(3);
/// No statement of ours takes longer; a lock or a dead disk does.
const SESSION: &str = "set statement_timeout = '20s'; set lock_timeout = '10s'; \
                       set idle_in_transaction_session_timeout = '30s'";

/// Why there is no connection: a pool that waited for one says no more than that.
async fn alone(url: &str) -> sqlx::Error {
    match tokio::time::timeout(GREETING, AnyConnection::connect(url)).await {
        Ok(Err(error)) => error,
        Ok(Ok(_)) | Err(_) => sqlx::Error::PoolTimedOut,
    }
}

/// Opens the pool. Every connection is asked whether it takes writes, since a pooler or a service
/// may have moved us to a standby.
pub(super) async fn open(url: &str) -> Result<AnyPool, StoreError> {
    let fail = |source| StoreError::Open { place: place(url), source };
    let pool = AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(SESSION).await?;
                Ok(())
            })
        })
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                let ask = connection.fetch_one("select current_setting('transaction_read_only') as read_only");
                let Ok(row) = tokio::time::timeout(GREETING, ask).await else { return Ok(false) };
                let read_only: String = row?.try_get("read_only")?;
                Ok(read_only == "off")
            })
        })
        // What was given up in the middle of an answer must not hold its place in the pool for ever.
        .after_release(|connection, _| {
            Box::pin(async move {
                let answers = tokio::time::timeout(GREETING, connection.ping()).await;
                answers.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
            })
        })
        .connect(url)
        .await;
    let pool = match pool {
        Err(sqlx::Error::PoolTimedOut) => return Err(fail(alone(url).await)),
        pool => pool.map_err(fail)?,
    };
    let row = pool.fetch_one("select current_setting('transaction_read_only') as read_only").await.map_err(fail)?;
    match row.try_get::<String, _>("read_only") {
        Ok(value) if value == "off" => Ok(pool),
        Ok(_) => Err(StoreError::ReadOnly { place: place(url) }),
        Err(error) => Err(fail(error)),
    }
}
