//! What people do: silence, acknowledge, send again; and what is told again because of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use driftd::clock::Clock;
use driftd::deliver::{self, Doors};
use driftd::desk::{self, By, NewSilence};
use driftd::drift::time::{Span, Timestamp};
use driftd::store::access::Actor;
use driftd::store::{AuditRow, DeliverStore as _, DeskStore, NewDelivery, SqlStore, Thread};
use serde_json::Value;

use super::doors::{Change, body, doors, judged_until, message_id, route, store, webhook, write};

/// A receiver that remembers event types.
async fn receiver() -> (String, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = seen.clone();
    let take = move |axum::Json(body): axum::Json<Value>| {
        kept.lock().expect("not poisoned").push(body["type"].as_str().unwrap_or_default().to_owned());
        async { StatusCode::NO_CONTENT }
    };
    let router = axum::Router::new().route("/", axum::routing::post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, seen)
}

fn ada() -> By<'static> {
    fn act(action: &str, object: &str, detail: &Value) -> AuditRow {
        let actor = Actor { name: "ada".into(), id: "ada".into(), means: "command" };
        AuditRow::done(&actor, action, object, detail, Timestamp::from_micros(1))
    }
    By { name: "ada", act: &act }
}

/// A loop whose time the test moves.
struct House {
    _directory: tempfile::TempDir,
    store: SqlStore,
    doors: Arc<Doors>,
    now: Arc<Mutex<Timestamp>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl House {
    async fn new() -> House {
        let (directory, store) = store().await;
        let (url, seen) = receiver().await;
        let built = doors(Arc::new(store.clone()), [route("e", webhook(&url), Duration::from_secs(5))]);
        let mut built = Arc::into_inner(built).expect("nobody else has it");
        let now = Arc::new(Mutex::new(Timestamp::parse("2026-11-22T10:30:00Z").expect("a time")));
        let shown = now.clone();
        built.clock = Clock::from_fn(move || *shown.lock().expect("not poisoned"));
        House { _directory: directory, store, doors: Arc::new(built), now, seen }
    }

    fn now(&self) -> Timestamp {
        *self.now.lock().expect("not poisoned")
    }

    fn later(&self, secs: i64) {
        let mut now = self.now.lock().expect("not poisoned");
        *now = now.plus(Span::from_secs(secs));
    }

    async fn happens(&self, event: &str, number: i64) {
        let thread = Thread { repeat: Some(Span::from_secs(3_600)), follows: event == "resolved", ..Thread::default() };
        let change = Change { alert: "al_1", event, number, endpoints: &["e"], now: self.now(), thread };
        write(&self.store, change).await;
    }

    /// An alert fires about a window of a backlog.
    async fn happens_in_the_past(&self) {
        let (alert, event, number, now) = ("al_1", "firing", 1, self.now());
        let change = Change { alert, event, number, endpoints: &[], now, thread: Thread::default() };
        let delivery_id = message_id(&change, "e");
        write(&self.store, change).await;
        let mut body = body(alert, event);
        body["data"]["backfill"] = true.into();
        let message = NewDelivery {
            delivery_id,
            endpoint: "e".into(),
            event: "drift.alarm.firing".into(),
            model: "m".into(),
            body: body.to_string(),
            thread: Thread { alert_id: Some(alert.into()), ..Thread::default() },
        };
        self.store.write(&[message], now).await.expect("writes");
    }

    /// The model's latest window ends then.
    async fn judged_until(&self, end: Timestamp) {
        judged_until(&self.store, end, self.now()).await;
    }

    /// Lets the loop do everything that is due, and takes what arrived.
    async fn arrives(&self) -> Vec<String> {
        deliver::tell_again(&self.doors).await.expect("tells again");
        while deliver::step(&self.doors).await.expect("steps") > 0 {}
        let events = std::mem::take(&mut *self.seen.lock().expect("not poisoned"));
        events.into_iter().map(|e| e.trim_start_matches("drift.alarm.").to_owned()).collect()
    }

    async fn silence(&self, secs: i64) -> String {
        let ends = self.now().plus(Span::from_secs(secs));
        let new = NewSilence { model: Some("m".into()), ..NewSilence::until(ends, "known") };
        desk::silence(&self.store, new, ada(), self.now()).await.expect("silences").silence_id
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fires_in_a_silence_is_told_when_it_ends() {
    let house = House::new().await;
    house.silence(600).await;
    house.happens("firing", 1).await;
    assert!(house.arrives().await.is_empty(), "silenced");
    house.later(599);
    assert!(house.arrives().await.is_empty(), "still");
    house.later(1);
    assert_eq!(house.arrives().await, ["firing"]);
    assert!(house.arrives().await.is_empty(), "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fires_in_a_backlog_is_told_if_it_still_fires_after_it() {
    let mut house = House::new().await;
    let doors = Arc::get_mut(&mut house.doors).expect("nobody else has it");
    doors.backfill_after = Some(Span::from_secs(6 * 3_600));
    house.happens_in_the_past().await;
    let now = house.now();
    house.judged_until(now.minus(Span::from_secs(20 * 3_600))).await;
    assert!(house.arrives().await.is_empty(), "of a backlog");
    let told = house.store.deliveries_in(Some("silenced"), Some("e"), 9).await.expect("reads");
    assert_eq!(told.len(), 1);
    house.judged_until(now.minus(Span::from_secs(6 * 3_600 + 1))).await;
    assert!(house.arrives().await.is_empty(), "still behind");
    house.judged_until(now.minus(Span::from_secs(6 * 3_600))).await;
    assert_eq!(house.arrives().await, ["firing"]);
    assert!(house.arrives().await.is_empty(), "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_begins_and_ends_in_a_backlog_is_never_told() {
    let mut house = House::new().await;
    let doors = Arc::get_mut(&mut house.doors).expect("nobody else has it");
    doors.backfill_after = Some(Span::from_secs(6 * 3_600));
    house.happens_in_the_past().await;
    assert!(house.arrives().await.is_empty());
    house.happens("resolved", 2).await;
    house.judged_until(house.now()).await;
    assert!(house.arrives().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_begins_and_ends_in_a_silence_is_never_told() {
    let house = House::new().await;
    house.silence(600).await;
    house.happens("firing", 1).await;
    assert!(house.arrives().await.is_empty());
    house.later(60);
    house.happens("resolved", 2).await;
    assert!(house.arrives().await.is_empty());
    house.later(3_600);
    assert!(house.arrives().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_what_was_told_is_told_silence_or_not() {
    let house = House::new().await;
    house.happens("firing", 1).await;
    assert_eq!(house.arrives().await, ["firing"]);
    let silence = house.silence(600).await;
    house.later(60);
    house.happens("updated", 2).await;
    assert!(house.arrives().await.is_empty(), "growth is silenced");
    house.later(60);
    house.happens("resolved", 3).await;
    assert_eq!(house.arrives().await, ["resolved"]);
    let ended = desk::expire(&house.store, &silence, ada(), house.now()).await.expect("ends");
    assert_eq!(ended.ends, house.now());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_told_again_until_somebody_takes_it_on() {
    let house = House::new().await;
    house.happens("firing", 1).await;
    assert_eq!(house.arrives().await, ["firing"]);
    house.later(3_599);
    assert!(house.arrives().await.is_empty());
    house.later(1);
    assert_eq!(house.arrives().await, ["updated"]);
    house.later(3_600);
    assert_eq!(house.arrives().await, ["updated"]);
    desk::acknowledge(&house.store, "al_1", ada(), "on it", house.now()).await.expect("takes it on");
    assert_eq!(house.arrives().await, ["acknowledged"]);
    house.later(36_000);
    assert!(house.arrives().await.is_empty(), "somebody has it");
    house.happens("resolved", 2).await;
    assert_eq!(house.arrives().await, ["resolved"]);
    desk::acknowledge(&house.store, "al_1", ada(), "", house.now()).await.expect_err("it is over");
    desk::acknowledge(&house.store, "al_9", ada(), "", house.now()).await.expect_err("there is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_again_when_somebody_says_so() {
    let house = House::new().await;
    house.happens("firing", 1).await;
    assert_eq!(house.arrives().await, ["firing"]);
    let change = Change {
        alert: "al_1",
        event: "firing",
        number: 1,
        endpoints: &[],
        now: house.now(),
        thread: Thread::default(),
    };
    let id = message_id(&change, "e");
    desk::redeliver(&house.store, &id, ada(), house.now()).await.expect("again");
    desk::redeliver(&house.store, &id, ada(), house.now()).await.expect_err("it waits already");
    assert_eq!(house.arrives().await, ["firing"]);
    let attempts = house.store.attempts(&id).await.expect("reads");
    assert_eq!(attempts.iter().map(|a| a.attempt).collect::<Vec<_>>(), [1, 2]);
    desk::redeliver(&house.store, "msg_none", ada(), house.now()).await.expect_err("there is none");
}
