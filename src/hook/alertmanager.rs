//! Alerts for Alertmanager: its API v2, and the body it sends to webhooks itself (version 4), which its
//! many bridges understand.
//!
//! Alertmanager forgets: an alert that is not sent again ends by itself. So whatever fires is sent again
//! every `INTERVAL`, with an end four intervals ahead, and an end is told for `KEEP_RESOLVED`; both as
//! Prometheus does it. A restart of Alertmanager then loses nothing for longer than an interval.

use serde_json::{Value, json};

use super::labels::{Labels, annotations, fingerprint, labels};
use super::message::{Event, Message};
use super::words::words;
use crate::drift::time::{Span, Timestamp};

/// How often standing alerts are sent again.
pub const INTERVAL: Span = Span::from_secs(60);
/// For so long the end of an alert is told again.
pub const KEEP_RESOLVED: Span = Span::from_secs(15 * 60);
/// An alert ends by itself after so many intervals in silence.
const PATIENCE: i64 = 4;
/// What has no end of its own (lost records) is shown for so long.
const SHOWN: Span = Span::from_secs(3_600);
/// How webhooks write that an alert has no end yet: Go's zero time.
const NO_END: &str = "0001-01-01T00:00:00Z";

/// A message and when it was written.
#[derive(Clone, Debug)]
pub struct Item {
    /// The message.
    pub message: Message,
    /// When it was written, by this machine's clock.
    pub created: Timestamp,
}

impl Item {
    /// When it ends: for a standing alert always some intervals ahead.
    fn ends(&self, now: Timestamp) -> Timestamp {
        match self.message.event() {
            // The same at every repetition, and never in the future, whatever event time says.
            Event::Resolved => self.created,
            Event::Pipeline | Event::Retraining => self.created.plus(SHOWN),
            _ => now.plus(Span::from_micros(PATIENCE * INTERVAL.micros())),
        }
    }

    /// When it began, never after its end.
    fn starts(&self, now: Timestamp) -> Timestamp {
        let opened = self.message.data.opened_at.unwrap_or(self.message.timestamp);
        opened.min(self.ends(now)).min(now)
    }
}

/// An alert as the API v2 takes it.
pub fn alert(item: &Item, now: Timestamp, public_url: Option<&str>) -> Value {
    let words = words(&item.message, public_url);
    let mut alert = json!({
        "labels": labels(&item.message),
        "annotations": annotations(&item.message, &words),
        "startsAt": item.starts(now),
        "endsAt": item.ends(now),
    });
    if let Some(link) = words.link {
        alert["generatorURL"] = json!(link);
    }
    alert
}

/// The body of a webhook, version 4, as Alertmanager itself would send it.
pub fn webhook(items: &[Item], now: Timestamp, receiver: &str, public_url: Option<&str>) -> Value {
    let told: Vec<(Labels, Labels, Value)> = items
        .iter()
        .map(|item| {
            let words = words(&item.message, public_url);
            let (labels, annotations) = (labels(&item.message), annotations(&item.message, &words));
            let over = item.message.is_resolved();
            let ends = if over { item.ends(now).to_string() } else { NO_END.to_owned() };
            let alert = json!({
                "status": if over { "resolved" } else { "firing" },
                "labels": labels, "annotations": annotations, "startsAt": item.starts(now), "endsAt": ends,
                "generatorURL": words.link.unwrap_or_default(), "fingerprint": fingerprint(&labels),
            });
            (labels, annotations, alert)
        })
        .collect();
    let common_labels = common(told.iter().map(|(labels, _, _)| labels));
    let group: Labels =
        common_labels.iter().filter(|(name, _)| GROUP.contains(*name)).map(|(n, v)| (*n, v.clone())).collect();
    let pairs: Vec<String> = group.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let firing = items.iter().any(|item| !item.message.is_resolved());
    json!({
        "version": "4",
        "groupKey": format!("{{}}:{{{}}}", pairs.join(", ")),
        "truncatedAlerts": 0,
        "status": if firing { "firing" } else { "resolved" },
        "receiver": receiver,
        "groupLabels": group,
        "commonLabels": common_labels,
        "commonAnnotations": common(told.iter().map(|(_, annotations, _)| annotations)),
        "externalURL": public_url.unwrap_or_default(),
        "alerts": told.into_iter().map(|(_, _, alert)| alert).collect::<Vec<_>>(),
    })
}

/// Labels that make a group: one for each model and kind of alert.
const GROUP: [&str; 2] = ["alertname", "model"];

/// What all of them have in common.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let mut shared = sets.next().cloned().unwrap_or_default();
    for set in sets {
        shared.retain(|name, value| set.get(name) == Some(value));
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::super::message::samples;
    use super::*;

    const URL: Option<&str> = Some("https://driftd.example");

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    fn item(value: &Value, created: &str) -> Item {
        Item { message: samples::read(value), created: at(created) }
    }

    /// The fields of `shared/fixtures/alertmanager_v2_post.json`.
    #[test]
    fn a_standing_alert_ends_four_intervals_ahead() {
        let firing = item(&samples::alert("drift.alarm.firing"), "2026-11-22T10:20:01Z");
        let alert = alert(&firing, at("2026-11-22T10:24:00Z"), URL);
        assert_eq!(alert["labels"]["alertname"], "ModelDrift");
        assert_eq!(
            (&alert["startsAt"], &alert["endsAt"]),
            (&json!("2026-11-22T10:20:00Z"), &json!("2026-11-22T10:28:00Z"))
        );
        assert_eq!(alert["generatorURL"], "https://driftd.example/#/alerts/al_01JDB3");
        for (name, value) in alert["labels"].as_object().expect("labels") {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            assert!(value.as_str().is_some_and(|v| !v.is_empty()), "{name}: {value}");
        }
    }

    #[test]
    fn an_end_is_the_same_at_every_repetition_and_never_ahead() {
        let mut value = samples::alert("drift.alarm.resolved");
        // Event time may run ahead of this machine's clock.
        value["data"]["opened_at"] = json!("2026-11-22T11:00:00Z");
        let over = item(&value, "2026-11-22T10:30:00Z");
        let first = alert(&over, at("2026-11-22T10:30:00Z"), URL);
        assert_eq!(first, alert(&over, at("2026-11-22T10:44:00Z"), URL));
        assert_eq!(
            (&first["startsAt"], &first["endsAt"]),
            (&json!("2026-11-22T10:30:00Z"), &json!("2026-11-22T10:30:00Z"))
        );
    }

    #[test]
    fn a_webhook_has_every_field_of_version_4() {
        let firing = item(&samples::alert("drift.alarm.firing"), "2026-11-22T10:20:01Z");
        let mut other = samples::alert("drift.alarm.resolved");
        other["data"]["cause"]["task"] = json!("sentiment");
        let items = [firing, item(&other, "2026-11-22T10:30:00Z")];
        let body = webhook(&items, at("2026-11-22T10:30:00Z"), "bridge", URL);
        let mut fields: Vec<&str> = body.as_object().expect("an object").keys().map(String::as_str).collect();
        fields.sort_unstable();
        let documented = [
            "alerts",
            "commonAnnotations",
            "commonLabels",
            "externalURL",
            "groupKey",
            "groupLabels",
            "receiver",
            "status",
            "truncatedAlerts",
            "version",
        ];
        assert_eq!(fields, documented);
        assert_eq!(
            (&body["version"], &body["status"], &body["receiver"]),
            (&json!("4"), &json!("firing"), &json!("bridge"))
        );
        assert_eq!(body["groupKey"], "{}:{alertname=\"ModelDrift\", model=\"support-mtl\"}");
        assert_eq!((&body["alerts"][0]["endsAt"], &body["alerts"][1]["status"]), (&json!(NO_END), &json!("resolved")));
        assert!(body["commonLabels"].get("task").is_none() && body["commonLabels"]["model"] == "support-mtl");
        assert_eq!(body["alerts"][0]["fingerprint"].as_str().expect("text").len(), 16);
    }
}
