//! CloudEvents 1.0 in structured mode: a message with the envelope that event buses route by.

use serde_json::{Value, json};

use super::message::Message;

/// The body's type.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// The body of a message; `id` stays the same over all attempts, so a bus can tell a repetition.
pub fn body(message: &Message, data: &Value, id: &str, public_url: Option<&str>) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": public_url.unwrap_or("/driftd"),
        "type": message.event,
        "subject": message.about(),
        "time": message.timestamp,
        "datacontenttype": "application/json",
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use super::super::message::samples;
    use super::*;

    #[test]
    fn the_envelope_has_what_the_specification_requires() {
        let value = samples::alert("drift.alarm.firing");
        let body = body(&samples::read(&value), &value["data"], "msg_1", None);
        for (attribute, expected) in [
            ("specversion", "1.0"),
            ("id", "msg_1"),
            ("source", "/driftd"),
            ("type", "drift.alarm.firing"),
            ("subject", "al_01JDB3"),
            ("time", "2026-11-22T10:20:00Z"),
        ] {
            assert_eq!(body[attribute], expected, "{attribute}");
        }
        assert_eq!(body["data"], value["data"], "nothing is lost");
    }
}
