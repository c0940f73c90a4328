//! What is told of a request: to endpoints at each of its moves, to the hook that starts it.

use serde_json::{Value, json};

use crate::drift::retraining::life::State;
use crate::drift::time::Timestamp;
use crate::store::{NewDelivery, RequestRow, Thread, stable_id};

/// One move, as it is told.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Where the request comes to.
    pub to: State,
    /// When.
    pub at: Timestamp,
    /// Who moves it.
    pub who: &'a str,
    /// Why.
    pub why: &'a str,
    /// Which of its moves, counted from 1; receivers put messages in order by it.
    pub sequence: i64,
}

/// What a hook is told: the request's body with its id, who decided, and how its run calls back.
pub fn order(row: &RequestRow, callback: Option<Value>) -> Value {
    let mut body = parsed(&row.body);
    if let Some(fields) = body.as_object_mut() {
        fields.insert("request_id".to_owned(), json!(row.request_id));
        fields.insert("mode".to_owned(), json!(mode(row)));
        if let Some(callback) = callback {
            fields.insert("callback".to_owned(), callback);
        }
    }
    body
}

/// Messages to all endpoints that hear of retraining. They never carry a call-back's token.
pub fn messages(endpoints: &[String], row: &RequestRow, told: Told<'_>) -> Vec<NewDelivery> {
    let mut data = order(row, None);
    if let Some(fields) = data.as_object_mut() {
        fields.insert("state".to_owned(), json!(told.to));
        fields.insert("sequence".to_owned(), json!(told.sequence));
        fields.insert("who".to_owned(), json!(told.who));
        fields.insert("why".to_owned(), json!(told.why));
        fields.insert("run_url".to_owned(), json!(row.run_url));
        fields.insert("new_model_version".to_owned(), json!(row.new_model_version));
    }
    let body = json!({"type": told.to.event(), "timestamp": told.at, "data": data}).to_string();
    let message = |endpoint: &String| NewDelivery {
        delivery_id: stable_id("msg", &[&row.request_id, &told.sequence.to_string(), endpoint]),
        endpoint: endpoint.clone(),
        event: told.to.event().to_owned(),
        model: row.model.clone(),
        body: body.clone(),
        thread: Thread::default(),
    };
    endpoints.iter().map(message).collect()
}

/// The alerts' time that a request's body names.
pub fn window(body: &Value) -> Option<(Timestamp, Timestamp)> {
    let time = |key: &str| serde_json::from_value(body["data"]["window"][key].clone()).ok();
    time("start").zip(time("end"))
}

/// The alerts' time that a request covers so far. What was sent to its hook ends with its approval; this goes on as
/// long as the request is open and its alerts stand.
pub fn covers(row: &RequestRow) -> Option<(Timestamp, Timestamp)> {
    let (start, end) = window(&parsed(&row.body))?;
    Some((start, row.covers_until.map_or(end, |until| until.max(end))))
}

/// Who starts it: `auto`, `manual`, or nobody: `dry-run`.
pub fn mode(row: &RequestRow) -> &'static str {
    match (row.dry_run, row.mode.as_str()) {
        (true, _) => "dry-run",
        (false, "auto") => "auto",
        (false, _) => "manual",
    }
}

/// JSON that driftd wrote itself.
fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
