//! PagerDuty's Events API v2. One incident there for one of ours: the deduplication key is its id, an
//! update triggers it again, an end resolves it.

use serde_json::{Map, Value, json};

use super::message::{Event, Message};
use super::words::{Words, cut};

/// Where events go unless the configuration says otherwise.
pub const ADDRESS: &str = "https://events.pagerduty.com/v2/enqueue";
const MOST_SUMMARY: usize = 1_024;
const MOST_KEY: usize = 255;
/// A detail is cut here; an event may have 512 KB.
const MOST_DETAIL: usize = 4_000;

/// The body of a message.
pub fn body(message: &Message, words: &Words, routing_key: &str) -> Value {
    let action = match message.event() {
        Event::Resolved => "resolve",
        Event::Acknowledged => "acknowledge",
        _ => "trigger",
    };
    let data = &message.data;
    let mut details: Map<String, Value> =
        words.facts.iter().map(|(name, text)| ((*name).to_owned(), json!(cut(text, MOST_DETAIL)))).collect();
    details.insert("Window".to_owned(), json!({"start": data.window.start, "end": data.window.end}));
    let name = if data.model.name.is_empty() { &data.topic } else { &data.model.name };
    let source = if name.is_empty() { "driftd" } else { name };
    let mut body = json!({
        "routing_key": routing_key,
        "event_action": action,
        "dedup_key": cut(&format!("driftd/{}", message.about()), MOST_KEY),
        "client": "driftd",
        "payload": {
            "summary": cut(&words.title, MOST_SUMMARY),
            "source": cut(source, MOST_KEY),
            "severity": words.severity.name(),
            "timestamp": data.opened_at.unwrap_or(message.timestamp),
            "component": cut(data.cause.task.as_deref().unwrap_or("model"), MOST_KEY),
            "group": cut(source, MOST_KEY),
            "class": if data.cause.kind.is_empty() { message.event.as_str() } else { data.cause.kind.as_str() },
            "custom_details": details,
        },
    });
    if let Some(link) = &words.link {
        body["client_url"] = json!(link);
        body["links"] = json!([{"href": link, "text": "Open in driftd"}]);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::super::message::samples;
    use super::super::words::words;
    use super::*;

    fn told(value: &Value) -> Value {
        let message = samples::read(value);
        body(&message, &words(&message, Some("https://driftd.example")), "R0UT1NGKEY")
    }

    #[test]
    fn one_incident_is_triggered_grown_taken_on_and_resolved() {
        let keys_and_actions: Vec<(String, String)> = ["firing", "updated", "acknowledged", "resolved"]
            .into_iter()
            .map(|event| told(&samples::alert(&format!("drift.alarm.{event}"))))
            .map(|body| (body["dedup_key"].to_string(), body["event_action"].as_str().expect("text").to_owned()))
            .collect();
        assert!(keys_and_actions.iter().all(|(key, _)| key == "\"driftd/al_01JDB3\""), "{keys_and_actions:?}");
        let actions: Vec<&str> = keys_and_actions.iter().map(|(_, action)| action.as_str()).collect();
        assert_eq!(actions, ["trigger", "trigger", "acknowledge", "resolve"]);
    }

    #[test]
    fn an_event_has_what_the_api_asks_for() {
        let body = told(&samples::alert("drift.alarm.firing"));
        assert_eq!((&body["routing_key"], &body["client"]), (&json!("R0UT1NGKEY"), &json!("driftd")));
        let payload = &body["payload"];
        assert_eq!(payload["summary"], "Drift: support-mtl 12, head intent");
        assert_eq!((&payload["source"], &payload["severity"]), (&json!("support-mtl"), &json!("critical")));
        assert_eq!((&payload["component"], &payload["class"]), (&json!("intent"), &json!("head")));
        assert_eq!(payload["timestamp"], "2026-11-22T10:20:00Z");
        assert_eq!(body["links"][0]["href"], "https://driftd.example/#/alerts/al_01JDB3");
        assert_eq!(told(&samples::gap())["payload"]["source"], "predictions");
    }

    #[test]
    fn limits_hold_whatever_the_names() {
        let body = told(&samples::hostile(&"ä".repeat(100_000)));
        assert!(body["payload"]["summary"].as_str().expect("text").chars().count() <= 1_024);
        assert!(body.to_string().len() < 512_000);
    }
}
