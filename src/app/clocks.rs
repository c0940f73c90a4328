//! Whether this machine's clock agrees with the store's. Processes compare each other's times (a
//! partition is idle while its collector keeps saying so, a lease lasts so long), so clocks that
//! differ keep windows open and make leases change hands, and nothing else would tell.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::drift::time::Span;
use crate::metrics;
use crate::store::{SqlStore, StoreError, within};

/// How often they are compared: clocks drift slowly, and a step is noticed within a lease or two.
const EVERY: Duration = Duration::from_secs(60);
/// Two processes may be off by so much, one early and one late, and still share leases of 30 seconds.
const TOLERATED: Span = Span::from_secs(5);

/// Compares until `shutdown`; `idle_after` is the shortest time that processes compare.
pub async fn watch(store: SqlStore, clock: Clock, idle_after: Span, shutdown: CancellationToken) {
    let tolerated = TOLERATED.micros().min(idle_after.micros() / 4);
    let mut was_off = false;
    while !shutdown.is_cancelled() {
        match offset(&store, &clock).await {
            Ok(None) => return,
            Ok(Some(offset)) => {
                let secs = offset as f64 / 1e6;
                metrics::clock_offset(secs);
                let is_off = offset.abs() > tolerated;
                if is_off && !was_off {
                    tracing::warn!(
                        offset_secs = secs,
                        "this machine's clock differs from the store's: windows may stay open and leases change \
                         hands; synchronize both (chrony, systemd-timesyncd)"
                    );
                } else if was_off && !is_off {
                    tracing::info!(offset_secs = secs, "this machine's clock agrees with the store's again");
                }
                was_off = is_off;
            }
            Err(error) => tracing::debug!(%error, "the store's clock could not be read"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Microseconds by which this clock, in the middle of the question, is ahead of the store's; `None` where both are one.
async fn offset(store: &SqlStore, clock: &Clock) -> Result<Option<i64>, StoreError> {
    let asked = clock.now().micros();
    let Some(theirs) = within(store.time()).await? else { return Ok(None) };
    let middle = asked + (clock.now().micros() - asked) / 2;
    Ok(Some(middle - theirs.micros()))
}
