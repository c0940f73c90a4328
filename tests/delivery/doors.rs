//! A deliver loop on a SQLite store of its own, and rows for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use driftd::deliver::{Doors, Route, Together};
use driftd::drift::time::{Span, Timestamp};
use driftd::hook::receiver::{Receiver, Style, Target};
use driftd::store::{
    AlertRow, DeliverStore, JudgeStore, Judged, LabelChanges, NewDelivery, ReportRow, SqlStore, Thread, TransitionRow,
};
use serde_json::{Value, json};

use super::support::{secret, sqlite_url};

/// A store in a folder that lives as long as it.
pub async fn store() -> (tempfile::TempDir, SqlStore) {
    let directory = tempfile::tempdir().expect("a folder");
    let store = SqlStore::open(&secret(&sqlite_url(directory.path()))).await.expect("opens");
    (directory, store)
}

pub fn webhook(url: &str) -> Target {
    Target::Webhook { url: secret(url), key: None, style: Style::Standard, bearer: None }
}

/// An endpoint with a deadline; what may go together follows from its kind.
pub fn route(name: &str, target: Target, timeout: Duration) -> (String, Route) {
    let never = matches!(&target, Target::Webhook { style: Style::Standard | Style::CloudEvents, .. });
    let receiver = Receiver::new(name, target, Some("https://driftd.example"), timeout).expect("a receiver");
    route_over(name, receiver, never, timeout)
}

/// As [`route`], for a receiver that is there.
pub fn route_over(name: &str, receiver: Receiver, never: bool, timeout: Duration) -> (String, Route) {
    let together = match receiver.takes_several() {
        _ if never => Together::Never,
        true => Together::SeveralAlerts,
        false => Together::OneAlert,
    };
    (name.to_owned(), Route { receiver, together, pipeline: false, timeout, max_age: Span::from_secs(3 * 86_400) })
}

pub fn doors(store: Arc<dyn DeliverStore>, routes: impl IntoIterator<Item = (String, Route)>) -> Arc<Doors> {
    Arc::new(Doors::new(store, routes.into_iter().collect::<HashMap<_, _>>(), vec![]))
}

/// A change of an alert of the model `m`, told to endpoints; written as the judge writes it.
pub struct Change<'a> {
    pub alert: &'a str,
    pub event: &'a str,
    pub number: i64,
    pub endpoints: &'a [&'a str],
    pub now: Timestamp,
    pub thread: Thread,
}

/// The message of a change as it is stored.
pub fn body(alert: &str, event: &str) -> Value {
    json!({"type": format!("drift.alarm.{event}"), "timestamp": "2026-11-22T10:20:00Z", "data": {
        "alarm_id": alert, "state": if event == "resolved" { "resolved" } else { "firing" },
        "model": {"name": "m", "version": "1"}, "summary": "the input changed",
        "cause": {"kind": "input", "task": null, "segment": null, "tasks_affected": [alert]},
        "opened_at": "2026-11-22T10:20:00Z", "window": {"records": 100}, "evidence_ratio": 5.0, "budget": "1/30d"}})
}

/// The id of a change's message to an endpoint.
pub fn message_id(change: &Change<'_>, endpoint: &str) -> String {
    format!("msg_{}_{}_{endpoint}", change.alert, change.number)
}

pub async fn write(store: &SqlStore, change: Change<'_>) {
    let state = if change.event == "resolved" { "resolved" } else { "firing" };
    let at = Timestamp::parse("2026-11-22T10:20:00Z").expect("a time");
    let alert = AlertRow {
        alert_id: change.alert.to_owned(),
        model: "m".into(),
        reference_id: "r".into(),
        state: state.into(),
        cause: "input".into(),
        cause_task: None,
        cause_segment: None,
        cause_part: None,
        versions: "[]".into(),
        tasks_affected: "[]".into(),
        summary: "the input changed".into(),
        opened: at,
        opened_window: at,
        resolved: None,
        ln_evidence: Some(10.0),
        ln_threshold: 9.0,
        guarantee: "{}".into(),
        evidence: "[]".into(),
    };
    let transition = TransitionRow {
        transition_id: format!("tr_{}_{}", change.alert, change.number),
        alert_id: change.alert.to_owned(),
        at,
        from: "firing".into(),
        to: state.into(),
        reason: "evidence".into(),
    };
    let delivery = |endpoint: &&str| NewDelivery {
        delivery_id: message_id(&change, endpoint),
        endpoint: (*endpoint).to_owned(),
        event: format!("drift.alarm.{}", change.event),
        model: "m".into(),
        body: body(change.alert, change.event).to_string(),
        thread: Thread { alert_id: Some(change.alert.to_owned()), ..change.thread.clone() },
    };
    let version = store.course("m").await.expect("reads").map_or(0, |c| c.version);
    let judged = Judged {
        model: "m".into(),
        expected_version: version,
        reference_id: "r".into(),
        next_slot: None,
        course: vec![],
        consumed: vec![],
        report: None,
        statistics: vec![],
        alerts: vec![(alert, transition)],
        request: None,
        covered: None,
        deliveries: change.endpoints.iter().map(delivery).collect(),
        labels: LabelChanges::default(),
        shadow: None,
        examples: Vec::new(),
        now: change.now,
    };
    assert!(store.commit_judged(&judged).await.expect("applies"));
}

/// A quiet window of the model `m` that ends then.
pub async fn judged_until(store: &SqlStore, end: Timestamp, now: Timestamp) {
    let start = end.minus(Span::from_secs(60));
    let report = ReportRow {
        model: "m".into(),
        reference_id: "r".into(),
        slot: start.micros() / 60_000_000,
        start,
        end,
        records: 100,
        revision: 0,
        late_records: 0,
        incomplete: false,
        verdict: "ok".into(),
        ln_evidence: Some(0.5),
        ln_threshold: 9.0,
        guarantee: "{}".into(),
        parts: "[]".into(),
        summary: vec![],
    };
    let version = store.course("m").await.expect("reads").map_or(0, |c| c.version);
    let judged = Judged {
        model: "m".into(),
        expected_version: version,
        reference_id: "r".into(),
        next_slot: None,
        course: vec![],
        consumed: vec![],
        report: Some(report),
        statistics: vec![],
        alerts: vec![],
        request: None,
        covered: None,
        deliveries: vec![],
        labels: LabelChanges::default(),
        shadow: None,
        examples: Vec::new(),
        now,
    };
    assert!(store.commit_judged(&judged).await.expect("applies"));
}
