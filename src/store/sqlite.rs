//! What is SQLite's own: one file, one writer, a write-ahead log.

use std::time::Duration;

use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Executor};

use super::StoreError;
use super::sql::place;

const CONNECTIONS: u32 = 4;
const ACQUIRE: Duration = Duration::from_secs(10);
/// `normal` loses nothing at a crash of the process; at a power cut the last transactions may be
/// gone, and are read from Kafka again, since positions go with them.
const SESSION: &str = "pragma journal_mode = wal; pragma synchronous = normal; pragma foreign_keys = on; \
                       pragma busy_timeout = 10000";

/// Opens the pool, creating the file if it is missing.
pub(super) async fn open(url: &str) -> Result<AnyPool, StoreError> {
    let with_mode = if url.contains('?') { url.to_owned() } else { format!("{url}?mode=rwc") };
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(SESSION).await?;
                Ok(())
            })
        })
        .connect(&with_mode)
        .await
        .map_err(|source| StoreError::Open { place: place(url), source })
}
