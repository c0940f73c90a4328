//! The deliver loop: claims due messages, sends them, records each attempt and what follows.
//!
//! At least once: a message whose attempt was not recorded is sent again after its lease, with the
//! same id.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::drift::time::{Span, Timestamp};
use crate::fault;
use crate::hook::Attempt;
use crate::hook::receiver::{Letter, Receiver};
use crate::metrics;
use crate::retry::jittered;
use crate::store::{self, DeliverStore, Delivery, Settled, Settlement, StoreError};

/// How often due messages are looked for without being told.
const EVERY: Duration = Duration::from_millis(500);
/// A lease outlives the attempt's deadline by this much.
const MARGIN: Duration = Duration::from_secs(10);
/// First and longest wait between attempts.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(3_600);

/// An endpoint with its limits.
pub struct Route {
    /// How messages are sent.
    pub receiver: Receiver,
    /// One exchange's deadline.
    pub timeout: Duration,
    /// Older messages are given up.
    pub max_age: Span,
}

/// Runs until `shutdown`; woken by `written` or a timer.
pub async fn run(
    store: Arc<dyn DeliverStore>,
    routes: HashMap<String, Route>,
    written: Arc<Notify>,
    shutdown: CancellationToken,
) {
    let routes = Arc::new(routes);
    let longest = routes.values().map(|r| r.timeout).max().unwrap_or_default() + MARGIN;
    let names: Vec<String> = routes.keys().cloned().collect();
    if let Err(error) = store.enable(&names).await {
        tracing::warn!(error = %crate::telemetry::chain(&error), "disabled endpoints stay disabled");
    }
    while !shutdown.is_cancelled() {
        match step(&store, &routes, longest).await {
            // One endpoint's next message may be due at once.
            Ok(sent) if sent > 0 => continue,
            Ok(_) => {}
            Err(error) => {
                metrics::step_failed("deliver");
                tracing::warn!(error = %crate::telemetry::chain(&error), "delivering failed; trying again");
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = written.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Claims and sends what is due; endpoints do not wait for each other.
async fn step(
    store: &Arc<dyn DeliverStore>,
    routes: &Arc<HashMap<String, Route>>,
    longest: Duration,
) -> Result<usize, StoreError> {
    let now = clock::now();
    let lease_until = now.plus(Span::from_micros(i64::try_from(longest.as_micros()).unwrap_or(i64::MAX)));
    let claimed = store::within(store.claim(now, lease_until)).await?;
    metrics::queue("deliver", claimed.len());
    if !claimed.is_empty() {
        fault::point("after_claim");
    }
    let mut sends = JoinSet::new();
    for delivery in claimed {
        let (store, routes) = (store.clone(), routes.clone());
        sends.spawn(async move { send(store.as_ref(), routes.get(&delivery.endpoint), delivery).await });
    }
    let mut sent = 0;
    while let Some(outcome) = sends.join_next().await {
        match outcome {
            Ok(settled) => settled?,
            Err(error) => tracing::error!(%error, "a delivery panicked; it is tried again after its lease"),
        }
        sent += 1;
    }
    Ok(sent)
}

async fn send(store: &dyn DeliverStore, route: Option<&Route>, delivery: Delivery) -> Result<(), StoreError> {
    let started = Instant::now();
    let (status, outcome, settlement) = match route {
        Some(route) => {
            let bodies = [(delivery.body.clone(), delivery.created)];
            let letter = Letter { id: &delivery.delivery_id, bodies: &bodies, late: false };
            let attempt = route.receiver.send(letter, clock::now()).await;
            fault::point("after_answer");
            settlement(&attempt, &delivery, route.max_age, clock::now())
        }
        None => (None, "unknown_endpoint", Settlement::Failed),
    };
    metrics::delivery(&delivery.endpoint, outcome);
    if settlement != Settlement::Delivered {
        tracing::warn!(
            endpoint = delivery.endpoint, delivery = delivery.delivery_id, attempt = delivery.attempts + 1,
            outcome, next = ?settlement, "a message was not delivered"
        );
    }
    let settled = Settled {
        delivery_id: delivery.delivery_id,
        endpoint: delivery.endpoint,
        status,
        outcome: outcome.to_owned(),
        took: started.elapsed(),
        settlement,
        now: clock::now(),
    };
    store::within(store.settle(&settled)).await
}

/// What follows from an attempt: a receiver's `Retry-After` is a lower bound on the wait.
fn settlement(
    attempt: &Attempt,
    delivery: &Delivery,
    max_age: Span,
    now: Timestamp,
) -> (Option<i64>, &'static str, Settlement) {
    match attempt {
        Attempt::Delivered { status } => (Some(i64::from(*status)), "delivered", Settlement::Delivered),
        Attempt::Gone => (Some(410), "gone", Settlement::Disable),
        Attempt::Retry { status, reason, .. } if now.since(delivery.created) >= max_age || *reason == "unreadable" => {
            (status.map(i64::from), reason, Settlement::Failed)
        }
        Attempt::Retry { status, after, reason } => {
            let failures = u32::try_from(delivery.attempts).unwrap_or(u32::MAX);
            let wait = jittered(FIRST_RETRY, LONGEST_RETRY, failures).max(after.unwrap_or_default());
            let at = now.plus(Span::from_micros(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)));
            (status.map(i64::from), reason, Settlement::RetryAt(at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(attempts: i64) -> Delivery {
        Delivery {
            delivery_id: "msg_1".into(),
            endpoint: "x".into(),
            body: String::new(),
            attempts,
            created: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn retry_after_is_obeyed_and_age_ends_it() {
        let busy = Attempt::Retry { status: Some(429), after: Some(Duration::from_secs(60)), reason: "rate_limited" };
        let now = Timestamp::from_micros(1_000_000);
        let (_, _, next) = settlement(&busy, &delivery(0), Span::from_secs(10), now);
        let Settlement::RetryAt(at) = next else { panic!("a retry") };
        assert!(at >= now.plus(Span::from_secs(60)));
        let (_, _, next) = settlement(&busy, &delivery(0), Span::from_secs(1), now);
        assert_eq!(next, Settlement::Failed);
        let (_, _, next) = settlement(&Attempt::Gone, &delivery(3), Span::from_secs(1), now);
        assert_eq!(next, Settlement::Disable);
    }
}
