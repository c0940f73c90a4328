//! What is told again: alerts that stand, to receivers that forget; alerts that a silence held back, once it
//! is over; alerts of a backlog that still fire after it; alerts that nobody has taken on, after the time a route says.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Doors;
use super::mute::Mute;
use crate::drift::time::Timestamp;
use crate::hook::Attempt;
use crate::hook::alertmanager::{INTERVAL, Item, KEEP_RESOLVED};
use crate::hook::message::Message;
use crate::metrics;
use crate::store::{NewDelivery, StoreError, Thread, Told, within};

/// How often the store is asked what must be told again.
const EVERY: Duration = Duration::from_secs(5);
/// Alerts in one request at most: Alertmanager answers for all of them at once.
const MOST_TOGETHER: usize = 200;

/// Runs until `shutdown`.
pub async fn run(doors: &Doors, shutdown: &CancellationToken) {
    let mut resend_at = Instant::now();
    while !shutdown.is_cancelled() {
        let mut outcome = tell_again(doors, doors.clock.now()).await;
        if outcome.is_ok() && Instant::now() >= resend_at {
            resend_at = Instant::now() + doors.resend_every;
            outcome = resend(doors, doors.clock.now()).await;
        }
        if let Err(error) = outcome {
            metrics::step_failed("deliver");
            tracing::warn!(error = %crate::telemetry::chain(&error), "telling again failed; trying again");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(EVERY.min(doors.resend_every)) => {}
        }
    }
}

/// How often standing alerts are sent again, as a duration.
pub fn interval() -> Duration {
    INTERVAL.to_std()
}

/// Standing alerts to receivers that forget, and ends for a while. A failure needs no more than the next
/// round.
async fn resend(doors: &Doors, now: Timestamp) -> Result<(), StoreError> {
    for (endpoint, route) in doors.routes.iter().filter(|(_, route)| route.receiver.forgets()) {
        let told = within(doors.store.standing(endpoint, now.minus(KEEP_RESOLVED))).await?;
        let item = |told: &Told| {
            let message = Message::read(&told.delivery.body).ok()?;
            Some(Item { message, created: told.delivery.created })
        };
        let items: Vec<Item> = told.iter().filter_map(item).collect();
        for items in items.chunks(MOST_TOGETHER) {
            let outcome = match route.receiver.send_alerts(items, now).await {
                Attempt::Delivered { .. } => "repeated",
                Attempt::Retry { reason, .. } => reason,
                Attempt::Gone => "gone",
            };
            metrics::delivery(endpoint, outcome);
        }
    }
    Ok(())
}

/// Writes messages for what fires and must be heard of again; two replicas write the same ones.
pub(super) async fn tell_again(doors: &Doors, now: Timestamp) -> Result<(), StoreError> {
    let untold = within(doors.store.untold(now)).await?;
    if untold.is_empty() {
        return Ok(());
    }
    let silences = within(doors.store.silences_at(now)).await?;
    let mute = Mute::new(&silences, &doors.maintenance, now);
    let mut fresh = Vec::new();
    for Told { delivery, .. } in untold.iter().filter(|t| doors.routes.contains_key(&t.delivery.endpoint)) {
        let Ok(message) = Message::read(&delivery.body) else { continue };
        let (Some(alert), None) = (&delivery.alert_id, mute.why(&message.facts())) else { continue };
        if message.data.backfill && !caught_up(doors, &delivery.model, now).await? {
            continue;
        }
        let known = within(doors.store.was_told(alert, &delivery.endpoint)).await?;
        let event = if known { "drift.alarm.updated" } else { "drift.alarm.firing" };
        let Some(body) = again(&delivery.body, event) else { continue };
        fresh.push(NewDelivery {
            delivery_id: next_id(&delivery.delivery_id),
            endpoint: delivery.endpoint.clone(),
            event: event.to_owned(),
            model: delivery.model.clone(),
            body,
            thread: Thread {
                alert_id: delivery.alert_id.clone(),
                group_key: delivery.group_key.clone(),
                repeat: delivery.repeat,
                ..Thread::default()
            },
        });
    }
    if fresh.is_empty() { Ok(()) } else { within(doors.store.write(&fresh, now)).await }
}

/// Whether a model's latest window is of the present.
async fn caught_up(doors: &Doors, model: &str, now: Timestamp) -> Result<bool, StoreError> {
    let Some(after) = doors.backfill_after else { return Ok(true) };
    let until = within(doors.store.judged_until(model)).await?;
    Ok(until.is_some_and(|until| now.since(until) <= after))
}

fn again(body: &str, event: &str) -> Option<String> {
    let mut value: serde_json::Value = serde_json::from_str(body).ok()?;
    value["type"] = event.into();
    value["data"]["reason"] = "it still fires".into();
    value["data"]["backfill"] = false.into();
    Some(value.to_string())
}

/// The id of the repetition of a message: follows from it, so that it is written once.
fn next_id(id: &str) -> String {
    match id.rsplit_once("-r") {
        Some((stem, number)) if number.bytes().all(|b| b.is_ascii_digit()) && !number.is_empty() => {
            format!("{stem}-r{}", number.parse::<u64>().unwrap_or(0) + 1)
        }
        _ => format!("{id}-r1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_counted_in_the_id() {
        assert_eq!(
            (next_id("msg_ab"), next_id("msg_ab-r1"), next_id("msg_ab-r9")),
            ("msg_ab-r1".into(), "msg_ab-r2".into(), "msg_ab-r10".into())
        );
        assert_eq!(next_id("msg-read"), "msg-read-r1");
    }
}
