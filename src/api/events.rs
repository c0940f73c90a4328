//! Server-sent events: a page hears that something changed, and asks for what it shows.
//!
//! One loop asks the store what is new, while somebody listens; every listener gets the same events. They
//! name kind and model and nothing else, so that a page that missed some is mended by asking again.

use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::ApiState;
use super::access::Caller;
use super::problem::Problem;
use crate::access::Role;
use crate::drift::time::Span;
use crate::store::{Happened, ReadStore, within};
use crate::{clock, metrics};

/// How often the store is asked while somebody listens: what people see as at once.
const EVERY: Duration = Duration::from_secs(1);
/// How far back it is asked: longer than a transaction may take, and clocks differ.
const HORIZON: Span = Span::from_secs(120);
/// Events that wait for one listener at most; one that is slower hears that it missed some.
const QUEUE: usize = 256;
/// Events that are kept for those who come back.
const KEPT: usize = 512;
/// Listeners at most, so that pages left open cannot take all connections.
const MOST_LISTENERS: usize = 256;
/// A quiet stream says so this often, or proxies close it.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A listener has to say again who it is after this long.
const LONGEST: Duration = Duration::from_secs(3_600);
/// A browser whose stream broke comes back after this long.
const RETRY: Duration = Duration::from_secs(3);

/// Kinds of changes.
const KINDS: [&str; 4] = ["window", "alert", "request", "delivery"];

/// Who listens, and what they are told.
#[derive(Clone)]
pub struct Events(Arc<Inner>);

struct Inner {
    sender: broadcast::Sender<Event>,
    past: Mutex<Past>,
    places: Arc<Semaphore>,
    came: Notify,
    shutdown: CancellationToken,
}

/// What was told last.
struct Past {
    /// Tells streams of this process from those of others and of earlier ones.
    epoch: i64,
    last: u64,
    kept: VecDeque<Event>,
}

/// Something that changed, with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    epoch: i64,
    number: u64,
    kind: &'static str,
    /// `None` for any.
    model: Option<String>,
}

/// What an event says.
#[derive(Debug, Serialize)]
struct Data<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    model: Option<&'a str>,
}

impl Events {
    /// Nobody listens yet; streams end at `shutdown`.
    pub fn new(shutdown: CancellationToken) -> Events {
        let past = Past { epoch: clock::now().micros(), last: 0, kept: VecDeque::new() };
        Events(Arc::new(Inner {
            sender: broadcast::channel(QUEUE).0,
            past: Mutex::new(past),
            places: Arc::new(Semaphore::new(MOST_LISTENERS)),
            came: Notify::new(),
            shutdown,
        }))
    }

    /// Asks the store what is new, for as long as somebody listens, until the shutdown.
    pub async fn watch(self, store: Arc<dyn ReadStore>) {
        let shutdown = self.0.shutdown.clone();
        shutdown.run_until_cancelled(self.ask_for_ever(store.as_ref())).await;
    }

    async fn ask_for_ever(&self, store: &dyn ReadStore) {
        let mut seen: Option<HashSet<Happened>> = None;
        loop {
            if self.0.sender.receiver_count() == 0 {
                seen = None;
                self.0.came.notified().await;
            }
            match within(store.changes(clock::now().minus(HORIZON))).await {
                Ok(changes) => {
                    match &seen {
                        Some(seen) => self.tell(&changes, seen),
                        // What happened between a page's questions and now is not known.
                        None => self.tell_anything(),
                    }
                    seen = Some(changes.into_iter().collect());
                }
                Err(error) => tracing::debug!(error = %crate::telemetry::chain(&error), "nothing is heard of changes"),
            }
            sleep(EVERY).await;
        }
    }

    fn tell(&self, changes: &[Happened], seen: &HashSet<Happened>) {
        let mut told = HashSet::new();
        for change in changes.iter().filter(|change| !seen.contains(*change)) {
            let Some(kind) = KINDS.into_iter().find(|kind| *kind == change.kind) else { continue };
            if told.insert((kind, &change.model)) {
                self.send(kind, Some(change.model.clone()));
            }
        }
    }

    fn tell_anything(&self) {
        KINDS.into_iter().for_each(|kind| self.send(kind, None));
    }

    fn send(&self, kind: &'static str, model: Option<String>) {
        let mut past = self.past();
        past.last += 1;
        let event = Event { epoch: past.epoch, number: past.last, kind, model };
        if past.kept.len() == KEPT {
            past.kept.pop_front();
        }
        past.kept.push_back(event.clone());
        // Without listeners there is nobody to tell; the lock keeps the order.
        let _ = self.0.sender.send(event);
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.0.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among the listeners, with what they missed since the event they name.
    fn join(&self, last_id: Option<&str>) -> Option<Listener> {
        let place = self.0.places.clone().try_acquire_owned().ok()?;
        let past = self.past();
        let receiver = self.0.sender.subscribe();
        let missed = last_id.map_or_else(VecDeque::new, |id| past.since(id));
        drop(past);
        self.0.came.notify_one();
        metrics::listeners(MOST_LISTENERS - self.0.places.available_permits());
        Some(Listener {
            events: self.clone(),
            receiver,
            missed,
            greeted: false,
            until: Instant::now() + LONGEST,
            place,
        })
    }
}

impl Past {
    /// Events after the one of this id; where they are not known, that anything may have changed.
    fn since(&self, id: &str) -> VecDeque<Event> {
        let parsed = |(epoch, number): (&str, &str)| Some((epoch.parse::<i64>().ok()?, number.parse::<u64>().ok()?));
        let number = id.split_once('-').and_then(parsed);
        let oldest = self.last - self.kept.len() as u64;
        match number {
            Some((epoch, number)) if epoch == self.epoch && (oldest..=self.last).contains(&number) => {
                self.kept.iter().filter(|event| event.number > number).cloned().collect()
            }
            _ => anything(self.epoch, self.last).into(),
        }
    }
}

fn anything(epoch: i64, number: u64) -> [Event; 4] {
    KINDS.map(|kind| Event { epoch, number, kind, model: None })
}

impl Event {
    fn shown(&self) -> sse::Event {
        let data = Data { kind: self.kind, model: self.model.as_deref() };
        let data = serde_json::to_string(&data).expect("two texts always serialize");
        sse::Event::default().id(format!("{}-{}", self.epoch, self.number)).event(self.kind).data(data)
    }
}

/// One open stream.
struct Listener {
    events: Events,
    receiver: broadcast::Receiver<Event>,
    missed: VecDeque<Event>,
    greeted: bool,
    until: Instant,
    #[expect(dead_code, reason = "held for as long as the stream is open")]
    place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<sse::Event> {
        if !self.greeted {
            self.greeted = true;
            return Some(sse::Event::default().retry(RETRY).comment("listening"));
        }
        loop {
            if let Some(event) = self.missed.pop_front() {
                return Some(event.shown());
            }
            let shutdown = self.events.0.shutdown.clone();
            let next = timeout_at(self.until, self.receiver.recv());
            match shutdown.run_until_cancelled(next).await {
                Some(Ok(Ok(event))) => return Some(event.shown()),
                Some(Ok(Err(RecvError::Lagged(_)))) => {
                    let past = self.events.past();
                    self.missed = anything(past.epoch, past.last).into();
                    drop(past);
                    self.receiver = self.receiver.resubscribe();
                }
                Some(Ok(Err(RecvError::Closed)) | Err(_)) | None => return None,
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Its own place is given back a moment later.
        metrics::listeners((MOST_LISTENERS - self.events.0.places.available_permits()).saturating_sub(1));
    }
}

/// Changes as they happen, as server-sent events of the types `window`, `alert`, `request` and `delivery`:
/// `{"type": "window", "model": "support"}`. Without a model anything may have changed. A stream ends after
/// an hour, and with `Last-Event-ID` the next one begins where it ended.
#[utoipa::path(get, path = "/api/v1/events", tag = "status",
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = 503, body = Problem)))]
pub async fn listen(State(state): State<ApiState>, caller: Caller, headers: HeaderMap) -> Result<Response, Problem> {
    caller.require(Role::Viewer)?;
    let last_id = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let Some(listener) = state.events.join(last_id) else {
        let full = Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("{MOST_LISTENERS} pages listen already"));
        return Ok(([(header::RETRY_AFTER, "60")], full).into_response());
    };
    let next = async |mut listener: Listener| {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    };
    let quiet = KeepAlive::new().interval(HEARTBEAT).text("quiet");
    let mut response = Sse::new(stream::unfold(listener, next)).keep_alive(quiet).into_response();
    // A proxy that gathers answers would hold events back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(kind: &str, model: &str, mark: &str) -> Happened {
        Happened { kind: kind.into(), model: model.into(), mark: mark.into() }
    }

    fn told(listener: &mut Listener) -> Vec<(&'static str, Option<String>)> {
        std::iter::from_fn(|| listener.receiver.try_recv().ok()).map(|event| (event.kind, event.model)).collect()
    }

    #[test]
    fn each_kind_of_a_model_is_told_once() {
        let events = Events::new(CancellationToken::new());
        let mut listener = events.join(None).expect("a place");
        let seen = [change("window", "a", "1"), change("alert", "a", "al 1")].into();
        let now = [
            change("window", "a", "2"),
            change("alert", "a", "al 1"),
            change("delivery", "a", "m1 pending"),
            change("delivery", "a", "m2 pending"),
            change("window", "b", "1"),
            change("comet", "b", "1"),
        ];
        events.tell(&now, &seen);
        let (a, b) = (Some("a".to_owned()), Some("b".to_owned()));
        assert_eq!(told(&mut listener), [("window", a.clone()), ("delivery", a), ("window", b)]);
    }

    #[test]
    fn who_comes_back_hears_what_was_missed_or_that_anything_may_be() {
        let events = Events::new(CancellationToken::new());
        for i in 0..10 {
            events.send("window", Some(i.to_string()));
        }
        let epoch = events.past().epoch;
        let missed = |id: &str| events.join(Some(id)).expect("a place").missed.clone();
        assert_eq!(missed(&format!("{epoch}-7")).iter().map(|e| e.number).collect::<Vec<_>>(), [8, 9, 10]);
        assert!(missed(&format!("{epoch}-10")).is_empty() && events.join(None).expect("a place").missed.is_empty());
        for unknown in [format!("{epoch}-11"), format!("{}-7", epoch - 1), "7".to_owned(), String::new()] {
            let all: Vec<_> = missed(&unknown).into_iter().map(|e| (e.kind, e.model)).collect();
            assert_eq!(all, KINDS.map(|kind| (kind, None)), "{unknown}");
        }
        for _ in 0..KEPT {
            events.send("alert", None);
        }
        assert_eq!(missed(&format!("{epoch}-7")).len(), KINDS.len(), "too long ago");
        assert_eq!(missed(&format!("{epoch}-10")).len(), KEPT);
    }

    #[tokio::test]
    async fn a_slow_listener_takes_no_memory_and_hears_of_it() {
        let events = Events::new(CancellationToken::new());
        let mut listener = events.join(None).expect("a place");
        let _ = listener.next().await.expect("a greeting");
        for _ in 0..10 * QUEUE {
            events.send("window", Some("a".to_owned()));
        }
        for _ in KINDS {
            let _ = listener.next().await.expect("that anything may have changed");
        }
        assert!(listener.missed.is_empty() && told(&mut listener).is_empty());
    }

    #[tokio::test]
    async fn places_end_and_come_free_and_streams_end_at_the_shutdown() {
        let events = Events::new(CancellationToken::new());
        let mut all: Vec<Listener> = (0..MOST_LISTENERS).map(|_| events.join(None).expect("a place")).collect();
        assert!(events.join(None).is_none());
        let mut last = all.pop().expect("many");
        drop(all);
        assert!(events.join(None).is_some());
        let _ = last.next().await.expect("a greeting");
        events.0.shutdown.cancel();
        assert!(last.next().await.is_none());
    }
}
