//! Windows that are judged in one go share their time; an endpoint hears of them in the order in which they were.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use driftd::clock::Clock;
use driftd::deliver::{self, Doors};
use driftd::desk::{self, By, NewSilence};
use driftd::drift::time::{Span, Timestamp};
use driftd::hook::receiver::Target;
use driftd::store::access::Actor;
use driftd::store::{AuditRow, DeskStore as _, SqlStore, Thread};
use serde_json::Value;

use super::doors::{Change, doors, message_id, route, webhook, write};
use super::support::secret;

/// A deliver loop with a webhook that hears of each change, and a chat that is told several together.
struct House {
    store: SqlStore,
    doors: Arc<Doors>,
    now: Arc<Mutex<Timestamp>>,
    heard: Arc<Mutex<Vec<String>>>,
    told: i64,
}

impl House {
    async fn new(store: &SqlStore) -> House {
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = heard.clone();
        let take = move |axum::Json(body): axum::Json<Value>| {
            let alert = body["data"]["alarm_id"].as_str().unwrap_or_default();
            let event = body["type"].as_str().unwrap_or_default().trim_start_matches("drift.alarm.");
            kept.lock().expect("not poisoned").push(format!("{alert} {event}"));
            async { StatusCode::NO_CONTENT }
        };
        let router = axum::Router::new()
            .route("/hook", axum::routing::post(take))
            .route("/chat", axum::routing::post(async || StatusCode::OK));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let timeout = Duration::from_secs(5);
        let routes = [
            route("hook", webhook(&format!("{url}/hook")), timeout),
            route("chat", Target::Slack { url: secret(&format!("{url}/chat")) }, timeout),
        ];
        let mut built = Arc::into_inner(doors(Arc::new(store.clone()), routes)).expect("nobody else has it");
        let now = Arc::new(Mutex::new(Timestamp::parse("2026-11-22T10:30:00Z").expect("a time")));
        let shown = now.clone();
        built.clock = Clock::from_fn(move || *shown.lock().expect("not poisoned"));
        House { store: store.clone(), doors: Arc::new(built), now, heard, told: 0 }
    }

    fn now(&self) -> Timestamp {
        *self.now.lock().expect("not poisoned")
    }

    fn later(&self, secs: i64) {
        let mut now = self.now.lock().expect("not poisoned");
        *now = now.plus(Span::from_secs(secs));
    }

    /// Windows of one round, a change each. The names of their messages sort the other way round.
    async fn judged(&mut self, changes: &[(&str, &str)]) {
        for (alert, event) in changes {
            self.told += 1;
            for (endpoint, wait) in [("hook", 0), ("chat", 30)] {
                let group_key = if wait > 0 { "all" } else { "" };
                let thread =
                    Thread { wait: Span::from_secs(wait), group_key: group_key.to_owned(), ..Thread::default() };
                let number = 1_000 - 2 * self.told - i64::from(wait > 0);
                write(&self.store, Change { alert, event, number, endpoints: &[endpoint], now: self.now(), thread })
                    .await;
            }
        }
    }

    /// Everything is sent that is due, and after the chat's wait; what the webhook heard.
    async fn arrives(&self) -> Vec<String> {
        for _ in 0..2 {
            while deliver::step(&self.doors).await.expect("steps") > 0 {}
            self.later(30);
        }
        std::mem::take(&mut *self.heard.lock().expect("not poisoned"))
    }

    /// Nobody wants to hear of an alert; in these tests an alert's task has its name.
    async fn silence(&self, task: &str) -> String {
        let ends = self.now().plus(Span::from_secs(3_600));
        let new = NewSilence { task: Some(task.to_owned()), ..NewSilence::until(ends, "known") };
        desk::silence(&self.store, new, ada(), self.now()).await.expect("silences").silence_id
    }

    /// How the chat's messages of an alert ended, in the order of their changes.
    async fn chat(&self, alert: &str) -> Vec<(String, String)> {
        let mut rows = self.store.deliveries_in(None, Some("chat"), 100).await.expect("reads");
        rows.retain(|row| row.alert_id.as_deref() == Some(alert));
        // Later changes have smaller numbers.
        rows.sort_by(|a, b| b.delivery_id.cmp(&a.delivery_id));
        rows.into_iter().map(|r| (r.event.trim_start_matches("drift.alarm.").to_owned(), r.state)).collect()
    }

    /// What is known to have been told last of an alert.
    async fn last(&self, alert: &str, endpoint: &str) -> String {
        let told = self.store.told(alert).await.expect("reads");
        let told = told.into_iter().find(|t| t.delivery.endpoint == endpoint).expect("one an endpoint");
        told.delivery.event.trim_start_matches("drift.alarm.").to_owned()
    }
}

fn ada() -> By<'static> {
    fn act(action: &str, object: &str, detail: &Value) -> AuditRow {
        let actor = Actor { name: "ada".into(), id: "ada".into(), means: "command" };
        AuditRow::done(&actor, action, object, detail, Timestamp::from_micros(1))
    }
    By { name: "ada", act: &act }
}

fn ended(events: &[(&str, &str)]) -> Vec<(String, String)> {
    events.iter().map(|(event, state)| ((*event).to_owned(), (*state).to_owned())).collect()
}

pub async fn windows_of_one_round_are_told_in_their_order(store: &SqlStore) {
    let mut house = House::new(store).await;
    let round =
        [("b", "firing"), ("b", "updated"), ("a", "firing"), ("b", "resolved"), ("a", "updated"), ("a", "resolved")];
    house.judged(&round).await;
    let expected: Vec<String> = round.iter().map(|(alert, event)| format!("{alert} {event}")).collect();
    assert_eq!(house.arrives().await, expected);
    for alert in ["a", "b"] {
        assert_eq!(house.last(alert, "hook").await, "resolved");
        assert_eq!(house.last(alert, "chat").await, "resolved");
        let chat = house.chat(alert).await;
        assert!(chat.iter().all(|(_, state)| state == "delivered" || state == "merged"), "{chat:?}");
    }
    let change =
        Change { alert: "b", event: "", number: 997, endpoints: &[], now: house.now(), thread: Thread::default() };
    let first = store.delivery(&message_id(&change, "chat")).await.expect("reads").expect("is there");
    assert_eq!(
        (first.event.as_str(), first.state.as_str()),
        ("drift.alarm.firing", "delivered"),
        "it carried the digest"
    );
}

pub async fn a_clock_that_is_set_back_changes_no_order(store: &SqlStore) {
    let mut house = House::new(store).await;
    house.judged(&[("a", "firing")]).await;
    house.later(-7);
    house.judged(&[("a", "resolved")]).await;
    house.later(7);
    assert_eq!(house.arrives().await, ["a firing", "a resolved"]);
    assert_eq!(house.last("a", "hook").await, "resolved");
}

pub async fn what_a_silence_held_back_ends_without_a_word(store: &SqlStore) {
    let mut house = House::new(store).await;
    let silence = house.silence("a").await;
    house.judged(&[("a", "firing")]).await;
    assert!(house.arrives().await.is_empty());
    desk::expire(&house.store, &silence, ada(), house.now()).await.expect("ends");
    house.judged(&[("b", "firing"), ("a", "resolved"), ("b", "resolved")]).await;
    assert_eq!(house.arrives().await, ["b firing", "b resolved"]);
    assert_eq!(house.chat("a").await, ended(&[("firing", "silenced"), ("resolved", "silenced")]));
    assert_eq!(house.last("b", "chat").await, "resolved");
}

pub async fn the_end_is_the_last_that_is_told_when_a_silence_began_between(store: &SqlStore) {
    let mut house = House::new(store).await;
    house.judged(&[("a", "firing")]).await;
    assert_eq!(house.arrives().await, ["a firing"]);
    house.silence("a").await;
    house.judged(&[("b", "firing"), ("a", "updated"), ("a", "resolved"), ("b", "updated")]).await;
    assert_eq!(house.arrives().await, ["b firing", "a resolved", "b updated"]);
    let chat = ended(&[("firing", "delivered"), ("updated", "silenced"), ("resolved", "delivered")]);
    assert_eq!(house.chat("a").await, chat);
}
