//! The deliver loop: claims due messages, sends them, records each attempt and what follows.
//!
//! At least once: a message whose attempt was not recorded is sent again after its lease, with the
//! same id. Endpoints do not wait for each other; the messages of one go in order.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::drift::maintenance::Maintenance;
use crate::drift::time::{Span, Timestamp};
use crate::fault;
use crate::hook::Attempt;
use crate::hook::message::Message;
use crate::hook::receiver::{Letter, Receiver};
use crate::metrics;
use crate::retry::jittered;
use crate::store::{self, DeliverStore, Delivery, NewDelivery, Settled, Settlement, StoreError, Thread, stable_id};

/// What is told again.
mod again;
/// Whether somebody wants quiet.
mod mute;
/// What of a queue may be told before its turn.
mod out_of_turn;
/// What is sent of what waits.
pub mod plan;

use mute::Mute;
pub use plan::Together;
use plan::{Plan, plan};

/// The event of an alert's end.
const RESOLVED: &str = "drift.alarm.resolved";
/// Somebody has taken an alert on. It opens nothing at a receiver: it never stands for a message that does.
const ACKNOWLEDGED: &str = "drift.alarm.acknowledged";

/// How often due messages are looked for without being told.
const EVERY: Duration = Duration::from_millis(500);
/// A lease outlives the attempt's deadline by this much.
const MARGIN: Duration = Duration::from_secs(10);
/// First and longest wait between attempts: an alert should not lag far behind a receiver that came back.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LONGEST_RETRY: Duration = Duration::from_secs(900);
/// A message that the receiver calls wrong is given up after so many attempts: it holds back the others.
const MOST_REFUSALS: i64 = 8;
/// So much of an endpoint's queue is looked at for what belongs together: the bound on memory.
const MOST_WAITING: i64 = 500;
/// So many characters of what was said are kept with an attempt: enough for a sentence of the receiver's.
const MOST_DETAIL: usize = 300;

/// Why an alert about the past is not told.
const BACKFILL: &str = "backfill: told if it still fires when its model has caught up";

/// An endpoint with its limits.
pub struct Route {
    /// How messages are sent.
    pub receiver: Receiver,
    /// What may be told together.
    pub together: Together,
    /// Whether it wants to hear what goes wrong with driftd itself.
    pub pipeline: bool,
    /// One exchange's deadline.
    pub timeout: Duration,
    /// Older messages are given up.
    pub max_age: Span,
}

/// What the loop works with.
pub struct Doors {
    /// Where messages come from.
    pub store: Arc<dyn DeliverStore>,
    /// Endpoints by name.
    pub routes: HashMap<String, Route>,
    /// Times at which nobody wants to hear of alerts.
    pub maintenance: Vec<Maintenance>,
    /// How often standing alerts are sent again to receivers that forget.
    pub resend_every: Duration,
    /// A model whose latest window ended longer ago has not caught up.
    pub backfill_after: Option<Span>,
    /// The time.
    pub clock: Clock,
}

impl Doors {
    /// With the interval that Prometheus uses.
    pub fn new(store: Arc<dyn DeliverStore>, routes: HashMap<String, Route>, maintenance: Vec<Maintenance>) -> Doors {
        Doors {
            store,
            routes,
            maintenance,
            resend_every: again::interval(),
            backfill_after: None,
            clock: Clock::wall(),
        }
    }
}

/// Runs until `shutdown`; woken by `written` or a timer.
pub async fn run(doors: Doors, written: Arc<Notify>, shutdown: CancellationToken) {
    let doors = Arc::new(doors);
    let names: Vec<String> = doors.routes.keys().cloned().collect();
    if let Err(error) = doors.store.enable(&names).await {
        tracing::warn!(error = %crate::telemetry::chain(&error), "disabled endpoints stay disabled");
    }
    tokio::join!(deliver(&doors, &written, &shutdown), again::run(&doors, &shutdown));
}

/// Attempts under way, at most one an endpoint.
type Sends = JoinSet<Result<(), StoreError>>;

async fn deliver(doors: &Arc<Doors>, written: &Notify, shutdown: &CancellationToken) {
    let mut sends = Sends::new();
    while !shutdown.is_cancelled() {
        if let Err(error) = begin(doors, &mut sends).await {
            told(&error);
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            // Its endpoint's next message may be due at once, and waits for no other endpoint.
            Some(outcome) = sends.join_next() => {
                ended(outcome);
                while let Some(outcome) = sends.try_join_next() {
                    ended(outcome);
                }
            }
            () = written.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    // What was sent is recorded, or it is sent again.
    while let Some(outcome) = sends.join_next().await {
        ended(outcome);
    }
}

fn ended(outcome: Result<Result<(), StoreError>, JoinError>) {
    match outcome {
        Ok(Ok(())) => {}
        Ok(Err(error)) => told(&error),
        Err(error) => tracing::error!(%error, "a delivery panicked; it is tried again after its lease"),
    }
}

fn told(error: &StoreError) {
    metrics::step_failed("deliver");
    tracing::warn!(error = %crate::telemetry::chain(error), "delivering failed; trying again");
}

/// Claims what is due now and sends it to its end; the number of messages that were due.
///
/// # Errors
/// If the store fails; the step can be done again.
pub async fn step(doors: &Arc<Doors>) -> Result<usize, StoreError> {
    let mut sends = Sends::new();
    let due = begin(doors, &mut sends).await?;
    while let Some(outcome) = sends.join_next().await {
        match outcome {
            Ok(settled) => settled?,
            panicked @ Err(_) => ended(panicked),
        }
    }
    Ok(due)
}

/// Claims what is due now and begins to send it; the number of messages. An endpoint whose message is under way
/// has none that is due: the younger wait for it.
async fn begin(doors: &Arc<Doors>, sends: &mut Sends) -> Result<usize, StoreError> {
    let now = doors.clock.now();
    let longest = doors.routes.values().map(|r| r.timeout).max().unwrap_or_default() + MARGIN;
    let lease_until = now.plus(Span::from_micros(i64::try_from(longest.as_micros()).unwrap_or(i64::MAX)));
    let claimed = store::within(doors.store.claim(now, lease_until)).await?;
    metrics::queue("deliver", claimed.len());
    if claimed.is_empty() {
        return Ok(0);
    }
    fault::point("after_claim");
    let silences = store::within(doors.store.silences_at(now)).await?;
    let mute = Arc::new(Mute::new(&silences, &doors.maintenance, now));
    let due = claimed.len();
    for delivery in claimed {
        let (doors, mute) = (doors.clone(), mute.clone());
        sends.spawn(async move { handle(&doors, &mute, delivery).await });
    }
    Ok(due)
}

/// Tells again what must be, once.
///
/// # Errors
/// If the store fails; it can be done again.
pub async fn tell_again(doors: &Doors) -> Result<(), StoreError> {
    again::tell_again(doors, doors.clock.now()).await
}

/// Sends a claimed message with what belongs to it, or finds that nobody wants to hear it.
async fn handle(doors: &Doors, mute: &Mute, claimed: Delivery) -> Result<(), StoreError> {
    let store = doors.store.as_ref();
    let Some(route) = doors.routes.get(&claimed.endpoint) else {
        let outcome =
            Outcome { status: None, reason: "unknown_endpoint", detail: String::new(), settlement: Settlement::Failed };
        return settle(doors, claimed, Vec::new(), outcome, Duration::ZERO).await;
    };
    if let Some(why) = unwanted(store, mute, &claimed).await? {
        metrics::delivery(&claimed.endpoint, "silenced");
        return store::within(store.hush(&claimed.delivery_id, &why, doors.clock.now())).await;
    }
    let mut queue = match route.together {
        Together::Never => Vec::new(),
        _ => store::within(store.waiting(&claimed.endpoint, MOST_WAITING)).await?,
    };
    if queue.first().is_none_or(|first| first.delivery_id != claimed.delivery_id) {
        queue = vec![claimed];
    }
    queue = out_of_turn::may_be_told(store, mute, queue).await?;
    let Plan { send, covers, late } = plan(&queue, route.together, doors.clock.now());
    let bodies: Vec<(String, Timestamp)> = send.iter().map(|i| (queue[*i].body.clone(), queue[*i].created)).collect();
    let covers = covers.into_iter().map(|i| queue[i].delivery_id.clone()).collect();
    let first = queue.swap_remove(0);
    let started = Instant::now();
    let letter = Letter { id: &first.delivery_id, bodies: &bodies, late };
    let attempt = route.receiver.send(letter, doors.clock.now()).await;
    fault::point("after_answer");
    let outcome = settlement(&attempt, &first, route.max_age, doors.clock.now());
    settle(doors, first, covers, outcome, started.elapsed()).await
}

fn quiet(mute: &Mute, delivery: &Delivery) -> Option<String> {
    delivery.alert_id.as_ref()?;
    let message = Message::read(&delivery.body).ok()?;
    if message.data.backfill {
        return Some(BACKFILL.to_owned());
    }
    mute.why(&message.facts()).map(str::to_owned)
}

/// Why a message is not sent. The end of an alert goes to whoever heard of it, silence or not, and to nobody
/// else; an acknowledgement is always told.
async fn unwanted(store: &dyn DeliverStore, mute: &Mute, delivery: &Delivery) -> Result<Option<String>, StoreError> {
    match (delivery.event.as_str(), &delivery.alert_id) {
        (RESOLVED, Some(alert)) => {
            let told = store::within(store.was_told(alert, &delivery.endpoint)).await?;
            Ok((!told).then(|| "nothing was told of it".to_owned()))
        }
        (ACKNOWLEDGED, _) => Ok(None),
        _ => Ok(quiet(mute, delivery)),
    }
}

/// How an attempt ended and what follows.
#[derive(Debug, PartialEq)]
struct Outcome {
    status: Option<i64>,
    reason: &'static str,
    detail: String,
    settlement: Settlement,
}

async fn settle(
    doors: &Doors,
    delivery: Delivery,
    covers: Vec<String>,
    outcome: Outcome,
    took: Duration,
) -> Result<(), StoreError> {
    metrics::delivery(&delivery.endpoint, outcome.reason);
    if outcome.settlement == Settlement::Failed {
        metrics::gave_up(&delivery.endpoint, outcome.reason);
    }
    if outcome.settlement != Settlement::Delivered {
        tracing::warn!(
            endpoint = delivery.endpoint, delivery = delivery.delivery_id, attempt = delivery.attempts + 1,
            outcome = outcome.reason, next = ?outcome.settlement, "a message was not delivered"
        );
    }
    let settled = Settled {
        endpoint_failed: outcome.settlement != Settlement::Delivered && !about_message(outcome.status, outcome.reason),
        delivery_id: delivery.delivery_id.clone(),
        tell: match outcome.settlement {
            Settlement::Disable => disabled(doors, &delivery, outcome.status),
            _ => Vec::new(),
        },
        endpoint: delivery.endpoint.clone(),
        status: outcome.status,
        outcome: outcome.reason.to_owned(),
        detail: outcome.detail.chars().take(MOST_DETAIL).collect(),
        took,
        settlement: outcome.settlement,
        covers,
        now: doors.clock.now(),
    };
    store::within(doors.store.settle(&settled)).await
}

/// Tells the others that nobody listens at an endpoint any more: who relied on it hears nothing, and so does not miss it.
fn disabled(doors: &Doors, last: &Delivery, status: Option<i64>) -> Vec<NewDelivery> {
    let answer = status.map_or_else(|| "nothing".to_owned(), |status| status.to_string());
    let data = json!({
        "endpoint": last.endpoint,
        "delivery_id": last.delivery_id,
        "status": status,
        "summary": format!("endpoint `{}` answered {answer} and is sent no more messages", last.endpoint),
    });
    let body = json!({"type": "endpoint.disabled", "timestamp": doors.clock.now(), "data": data}).to_string();
    let others = doors.routes.iter().filter(|(name, route)| route.pipeline && **name != last.endpoint);
    let message = |(name, _): (&String, &Route)| NewDelivery {
        delivery_id: stable_id("msg", &["disabled", &last.delivery_id, &last.attempts.to_string(), name]),
        endpoint: name.clone(),
        event: "endpoint.disabled".to_owned(),
        model: last.model.clone(),
        body: body.clone(),
        thread: Thread::default(),
    };
    others.map(message).collect()
}

/// Whether the failure lies in the message: another one may go through.
fn about_message(status: Option<i64>, reason: &str) -> bool {
    matches!(status, Some(400 | 413 | 415 | 422)) || matches!(reason, "unreadable" | "unknown_endpoint" | "bad_request")
}

/// What follows from an attempt: a receiver's `Retry-After` is a lower bound on the wait.
fn settlement(attempt: &Attempt, delivery: &Delivery, max_age: Span, now: Timestamp) -> Outcome {
    let (status, after, reason, detail) = match attempt {
        Attempt::Delivered { status } => {
            return Outcome {
                status: Some(i64::from(*status)),
                reason: "delivered",
                detail: String::new(),
                settlement: Settlement::Delivered,
            };
        }
        Attempt::Gone => {
            let detail = "it is gone for good, and is sent no more messages".to_owned();
            return Outcome { status: Some(410), reason: "gone", detail, settlement: Settlement::Disable };
        }
        Attempt::Retry { status, after, reason, detail } => (status.map(i64::from), *after, *reason, detail.clone()),
    };
    let refused = about_message(status, reason) && delivery.attempts + 1 >= MOST_REFUSALS;
    if reason == "unreadable" || refused || now.since(delivery.created) >= max_age {
        return Outcome { status, reason, detail, settlement: Settlement::Failed };
    }
    let failures = u32::try_from(delivery.attempts).unwrap_or(u32::MAX);
    let wait = jittered(FIRST_RETRY, LONGEST_RETRY, failures).max(after.unwrap_or_default());
    let at = now.plus(Span::from_micros(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)));
    Outcome { status, reason, detail, settlement: Settlement::RetryAt(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(attempts: i64) -> Delivery {
        Delivery {
            delivery_id: "msg_1".into(),
            endpoint: "x".into(),
            event: "drift.alarm.firing".into(),
            model: "m".into(),
            alert_id: None,
            group_key: String::new(),
            repeat: None,
            body: String::new(),
            attempts,
            created: Timestamp::from_micros(0),
        }
    }

    fn next(attempt: &Attempt, attempts: i64, max_age_secs: i64) -> Settlement {
        let now = Timestamp::from_micros(1_000_000);
        settlement(attempt, &delivery(attempts), Span::from_secs(max_age_secs), now).settlement
    }

    #[test]
    fn retry_after_is_obeyed_and_age_ends_it() {
        let busy = Attempt::Retry {
            status: Some(429),
            after: Some(Duration::from_secs(60)),
            reason: "rate_limited",
            detail: String::new(),
        };
        let Settlement::RetryAt(at) = next(&busy, 0, 10) else { panic!("a retry") };
        assert!(at >= Timestamp::from_micros(61_000_000));
        assert_eq!(next(&busy, 0, 1), Settlement::Failed);
        assert_eq!(next(&Attempt::Gone, 3, 1), Settlement::Disable);
    }

    #[test]
    fn a_message_that_is_called_wrong_is_given_up_and_an_endpoint_that_fails_is_not() {
        let retry =
            |status, reason| Attempt::Retry { status: Some(status), after: None, reason, detail: String::new() };
        assert_eq!(next(&retry(400, "client_error"), MOST_REFUSALS - 1, 9_999), Settlement::Failed);
        assert!(matches!(next(&retry(400, "client_error"), 0, 9_999), Settlement::RetryAt(_)));
        for (status, reason) in [(404, "client_error"), (503, "server_error"), (401, "auth_error")] {
            assert!(matches!(next(&retry(status, reason), 1_000, 9_999), Settlement::RetryAt(_)), "{status}");
        }
        let unreadable = Attempt::Retry { status: None, after: None, reason: "unreadable", detail: String::new() };
        assert_eq!(next(&unreadable, 0, 9_999), Settlement::Failed);
    }
}
