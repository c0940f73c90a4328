//! A stored message, read back: what receivers make their bodies of. The store keeps one form, that of
//! Standard Webhooks (`type`, `timestamp`, `data`), and every receiver's form is a pure function of it.
//! Fields that an older driftd did not write are empty and never an error.

use serde::Deserialize;
use serde_json::Value;

use crate::drift::routing::Facts;
use crate::drift::severity::Severity;
use crate::drift::time::Timestamp;

/// A message.
#[derive(Clone, Debug, Deserialize)]
pub struct Message {
    /// Event type, such as `drift.alarm.firing`.
    #[serde(rename = "type")]
    pub event: String,
    /// When what it tells of happened.
    pub timestamp: Timestamp,
    /// What it tells.
    #[serde(default)]
    pub data: Data,
}

/// What a message tells: of an alert, of a retraining request, or of lost records.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Data {
    /// The alert; empty if it is not about one.
    pub alarm_id: String,
    /// The retraining request; empty if it is not about one.
    pub request_id: String,
    /// The model.
    pub model: Model,
    /// The alert's state.
    pub state: String,
    /// One sentence.
    pub summary: String,
    /// Where it drifted.
    pub cause: Cause,
    /// When the alert opened.
    pub opened_at: Option<Timestamp>,
    /// The window that changed it.
    pub window: Window,
    /// Evidence divided by its threshold.
    pub evidence_ratio: Option<f64>,
    /// False alarms allowed.
    pub budget: String,
    /// Whether the budget is promised.
    pub guarantee: Guarantee,
    /// The strongest signals.
    pub evidence: Vec<Evidence>,
    /// Why it changed; an object in a retraining request.
    pub reason: Value,
    /// Whether it is about a window of a backlog.
    pub backfill: bool,
    /// Who has taken it on.
    pub acknowledgement: Option<Acknowledgement>,
    /// Tasks of a retraining request.
    pub scope: Value,
    /// The topic that lost records.
    pub topic: String,
    /// The endpoint that was disabled.
    pub endpoint: String,
    /// Its partition.
    pub partition: Option<i64>,
    /// Where the loss begins.
    pub from_offset: Option<i64>,
}

/// A model in a message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Model {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
}

/// A cause in a message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Cause {
    /// The kind's name.
    pub kind: String,
    /// The head's task.
    pub task: Option<String>,
    /// The segment.
    pub segment: Option<String>,
    /// Which part of production differs, of a skew.
    pub part: Option<String>,
    /// Tasks whose heads drift.
    pub tasks_affected: Vec<String>,
}

impl Cause {
    /// Whether it is another version of the model that production serves.
    pub fn is_version(&self) -> bool {
        self.part.as_deref() == Some("version")
    }
}

/// A window in a message.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Window {
    /// Start.
    pub start: Option<Timestamp>,
    /// End, exclusive.
    pub end: Option<Timestamp>,
    /// Records in it.
    pub records: Option<u64>,
}

/// Whether the budget is promised.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Guarantee {
    /// `valid`, `provisional` or `broken`.
    pub status: String,
    /// Why.
    pub reason: String,
}

/// A signal that the alert rests on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Part of the model.
    pub scope: String,
    /// The head's task.
    pub task: Option<String>,
    /// The segment.
    pub segment: Option<String>,
    /// Signal.
    pub signal: String,
    /// Records, labels or tokens judged.
    pub n: Option<i64>,
    /// Where a mean moved most.
    pub directions: Vec<Direction>,
}

/// A direction in which a mean moved.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Direction {
    /// What it is called.
    pub cell: String,
    /// How far, in standard errors of the window.
    pub standard_errors: f64,
}

/// Who has taken an alert on.
#[derive(Clone, Debug, Deserialize)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// What they said.
    #[serde(default)]
    pub comment: String,
}

/// What kind of event a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An alert fires.
    Firing,
    /// More of its cause has shown.
    Updated,
    /// It is over.
    Resolved,
    /// Somebody has taken it on.
    Acknowledged,
    /// A retraining request.
    Retraining,
    /// Something else: the way of the records.
    Pipeline,
}

/// Why a stored message cannot be told.
#[derive(Debug, thiserror::Error)]
#[error("the message is not one of ours")]
pub struct Unreadable(#[from] serde_json::Error);

impl Message {
    /// Reads a stored body.
    ///
    /// # Errors
    /// [`Unreadable`] if it is not a message.
    pub fn read(body: &str) -> Result<Message, Unreadable> {
        Ok(serde_json::from_str(body)?)
    }

    /// What kind of event it is.
    pub fn event(&self) -> Event {
        match self.event.as_str() {
            "drift.alarm.firing" => Event::Firing,
            "drift.alarm.updated" => Event::Updated,
            "drift.alarm.resolved" => Event::Resolved,
            "drift.alarm.acknowledged" => Event::Acknowledged,
            event if event.starts_with("retraining.") => Event::Retraining,
            _ => Event::Pipeline,
        }
    }

    /// How urgent it is.
    pub fn severity(&self) -> Severity {
        match self.event() {
            Event::Retraining => Severity::Info,
            Event::Pipeline => Severity::Warning,
            _ => Severity::of_name(&self.data.cause.kind),
        }
    }

    /// What it is about, the same for all its messages.
    pub fn about(&self) -> String {
        let data = &self.data;
        match self.event() {
            Event::Retraining => data.request_id.clone(),
            Event::Pipeline => {
                let number = |n: Option<i64>| n.map_or_else(String::new, |n| n.to_string());
                let what = if data.endpoint.is_empty() { &data.topic } else { &data.endpoint };
                format!("{}/{what}/{}/{}", self.event, number(data.partition), number(data.from_offset))
            }
            _ => data.alarm_id.clone(),
        }
    }

    /// What rules and silences ask of its alert.
    pub fn facts(&self) -> Facts {
        let data = &self.data;
        Facts {
            alert: data.alarm_id.clone(),
            model: data.model.name.clone(),
            cause: data.cause.kind.clone(),
            task: data.cause.task.clone(),
            tasks_affected: data.cause.tasks_affected.clone(),
            segment: data.cause.segment.clone(),
            severity: self.severity(),
        }
    }

    /// Whether it is over.
    pub fn is_resolved(&self) -> bool {
        self.event() == Event::Resolved
    }
}

/// Messages for tests, as the judge writes them.
#[cfg(test)]
pub(super) mod samples {
    use serde_json::{Value, json};

    /// An alert of a head of `support`.
    pub fn alert(event: &str) -> Value {
        json!({
            "type": event, "timestamp": "2026-11-22T10:20:00Z",
            "data": {
                "alarm_id": "al_01JDB3", "transition_id": "tr_1", "state": "firing",
                "model": {"name": "support-mtl", "version": "12"},
                "summary": "head `intent` answers differently, and input and encoder do not account for it",
                "cause": {"kind": "head", "task": "intent", "segment": null, "tasks_affected": ["intent"]},
                "opened_at": "2026-11-22T10:20:00Z",
                "window": {"start": "2026-11-22T10:15:00Z", "end": "2026-11-22T10:20:00Z", "records": 18212},
                "evidence_ratio": 14.2, "budget": "1/30d",
                "guarantee": {"status": "valid", "reason": ""},
                "evidence": [{"scope": "head", "task": "intent", "segment": null, "signal": "predicted_class", "n": 18212}],
                "explained": 0, "reason": "evidence reached the threshold",
            },
        })
    }

    /// The same with a model of a hostile name.
    pub fn hostile(name: &str) -> Value {
        let mut message = alert("drift.alarm.firing");
        message["data"]["model"]["name"] = json!(name);
        message["data"]["summary"] = json!(format!("the input changed; it reaches `{name}`"));
        message["data"]["cause"] = json!({"kind": "input", "tasks_affected": [name]});
        message["data"]["evidence"][0]["task"] = json!(name);
        message
    }

    /// Lost records.
    pub fn gap() -> Value {
        json!({"type": "pipeline.data_gap", "timestamp": "2026-11-22T10:20:00Z", "data": {
            "topic": "predictions", "partition": 3, "from_offset": 100, "to_offset": 250, "records": 150,
            "reason": "retention", "summary": "150 records of `predictions` partition 3 were lost",
            "event_time": {"after": null, "until": null}}})
    }

    /// An endpoint that wants nothing more.
    pub fn disabled() -> Value {
        json!({"type": "endpoint.disabled", "timestamp": "2026-11-22T10:20:00Z", "data": {
            "endpoint": "oncall", "delivery_id": "msg_1", "status": 410,
            "summary": "endpoint `oncall` answered 410 and is sent no more messages"}})
    }

    /// A retraining request.
    pub fn request() -> Value {
        json!({"type": "retraining.requested", "timestamp": "2026-11-22T10:20:00Z", "data": {
            "request_id": "rt_1", "mode": "auto", "model": {"name": "support-mtl", "version": "12"},
            "reason": {"kind": "drift", "summary": "head `intent` answers differently", "alarms": ["al_01JDB3"]},
            "scope": {"tasks": [{"name": "intent", "action": "retrain", "priority": 1}], "protected_tasks": ["ner"]}}})
    }

    /// The sample as it would be read.
    pub fn read(value: &Value) -> super::Message {
        super::Message::read(&value.to_string()).expect("a message")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_every_kind_are_read() {
        let events = [
            (samples::alert("drift.alarm.firing"), Event::Firing, "al_01JDB3"),
            (samples::alert("drift.alarm.resolved"), Event::Resolved, "al_01JDB3"),
            (samples::gap(), Event::Pipeline, "pipeline.data_gap/predictions/3/100"),
            (samples::disabled(), Event::Pipeline, "endpoint.disabled/oncall//"),
            (samples::request(), Event::Retraining, "rt_1"),
        ];
        for (value, event, about) in events {
            let message = samples::read(&value);
            assert_eq!((message.event(), message.about().as_str()), (event, about));
        }
        assert_eq!(samples::read(&samples::alert("drift.alarm.firing")).severity(), Severity::Critical);
    }

    #[test]
    fn what_an_older_driftd_left_out_is_empty() {
        let short = r#"{"type":"drift.alarm.firing","timestamp":"2026-11-22T10:20:00Z","data":{"alarm_id":"al_1"}}"#;
        let message = Message::read(short).expect("a message");
        assert_eq!((message.data.alarm_id.as_str(), message.data.model.name.as_str()), ("al_1", ""));
        Message::read("{}").expect_err("no message");
    }
}
