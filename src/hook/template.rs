//! Any other system that takes JSON by POST. The body is JSON that the operator wrote; places in it
//! are filled with values of the request, as JSON: nothing is ever pasted into a text, so nothing in a
//! request can become more than a value.

use async_trait::async_trait;
use serde_json::Value;

use super::site::{Site, json as json_of};
use super::trainer::{Order, Start, Trainer};
use crate::drift::time::Timestamp;

/// A value of the request, by JSON pointer.
const VALUE: &str = "$value";
/// The same, encoded as JSON in a string.
const ENCODED: &str = "$json";

/// A call that the operator describes.
pub struct Template {
    /// Where it goes.
    pub site: Site,
    /// Below the system's address.
    pub path: String,
    /// The body, with places to fill.
    pub body: Value,
    /// Whether the request's id goes along as `idempotency-key`.
    pub idempotency_key: bool,
    /// Statuses that say "it is there already".
    pub existed: Vec<u16>,
    /// Where in the answer the run's address is.
    pub run_url: Option<String>,
}

impl Template {
    fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|s| !s.is_empty()).collect()
    }
}

/// The template with its places filled: `{"$value": "/pointer"}` by the value, `{"$json": "/pointer"}` by a
/// string that holds its JSON; what the request does not have is null.
pub fn filled(template: &Value, request: &Value) -> Value {
    match template {
        Value::Object(fields) => {
            let place = |key: &str| match (fields.len(), fields.get(key)) {
                (1, Some(Value::String(pointer))) => Some(request.pointer(pointer).cloned().unwrap_or(Value::Null)),
                _ => None,
            };
            match (place(VALUE), place(ENCODED)) {
                (Some(value), _) => value,
                (_, Some(value)) => Value::String(value.to_string()),
                _ => Value::Object(fields.iter().map(|(k, v)| (k.clone(), filled(v, request))).collect()),
            }
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| filled(item, request)).collect()),
        plain => plain.clone(),
    }
}

#[async_trait]
impl Trainer for Template {
    async fn start(&self, order: &Order, _: Timestamp) -> Start {
        let url = self.site.at(&self.segments());
        let key = self.idempotency_key.then_some(order.request_id.as_str());
        let answer = match self.site.send(url, &filled(&self.body, &order.body), order, key).await {
            Ok(answer) => answer,
            Err(failure) => return failure.into(),
        };
        let told = json_of(&answer);
        let run_url = self.run_url.as_ref().and_then(|p| told.pointer(p)?.as_str().map(str::to_owned));
        let run_url = run_url.filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        match answer.status {
            status if self.existed.contains(&status) => Start::existed(&answer, run_url),
            200..=299 => Start::new_run(&answer, run_url),
            _ => Start::unexpected(&answer),
        }
    }

    fn preview(&self, order: &Order) -> String {
        self.site.preview(&self.segments(), order, |order| filled(&self.body, &order.body))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_stay_values_whatever_they_hold() {
        let request = json!({"request_id": "rt_1", "reason": {"summary": "\"},\"ref\":\"evil\""}, "tasks": ["a"]});
        let template = json!({"ref": "main", "inputs": [{"$value": "/request_id"}, {"$value": "/reason/summary"}],
            "payload": {"$json": "/tasks"}, "none": {"$value": "/missing"}, "all": {"$json": ""}});
        let body = filled(&template, &request);
        assert_eq!(body["ref"], "main");
        assert_eq!(body["inputs"], json!(["rt_1", "\"},\"ref\":\"evil\""]));
        assert_eq!((&body["payload"], &body["none"]), (&json!("[\"a\"]"), &Value::Null));
        assert_eq!(serde_json::from_str::<Value>(body["all"].as_str().expect("a string")).expect("JSON"), request);
        // What the request holds is never taken for a template.
        let sly = json!({"x": {"$value": "/secret"}, "secret": 1});
        assert_eq!(filled(&json!({"$value": "/x"}), &sly), json!({"$value": "/secret"}));
    }
}
