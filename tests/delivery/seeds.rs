//! Seeded runs with faults: every transition is delivered at least once, in order, whatever answers come and
//! wherever the loop dies. `DRIFTD_DELIVERY_SEEDS` says how many runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use driftd::clock::Clock;
use driftd::deliver;
use driftd::drift::time::{Span, Timestamp};
use driftd::hook::receiver::Target;
use driftd::store::{
    DeliverStore, Delivery, DeskStore, NewDelivery, Settled, SilenceRow, SqlStore, StoreError, Thread, Told,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::doors::{Change, doors, message_id, route, store, webhook, write};
use super::support::secret;

/// Runs where the environment says nothing; the whole number is a matter of minutes.
const RUNS: u64 = 60;
const TIMEOUT: Duration = Duration::from_millis(150);
/// A run is over by then, or something waits for ever.
const MOST_STEPS: usize = 4_000;

/// What the receivers do and what they have taken.
struct World {
    random: Mutex<StdRng>,
    /// Share of requests that go wrong; none at the end of a run.
    trouble: Mutex<f64>,
    /// Ids taken with a 2xx, by path, in the order of arrival.
    taken: Mutex<BTreeMap<String, Vec<String>>>,
}

impl World {
    fn chance(&self) -> f64 {
        self.random.lock().expect("not poisoned").random::<f64>()
    }

    fn in_trouble(&self) -> bool {
        self.chance() < *self.trouble.lock().expect("not poisoned")
    }
}

/// One request: taken, refused in one of several ways, or taken and not answered.
async fn answer(State(world): State<Arc<World>>, uri: axum::http::Uri, headers: HeaderMap) -> (StatusCode, HeaderMap) {
    let id = headers.get("webhook-id").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let take = || {
        world.taken.lock().expect("not poisoned").entry(uri.path().to_owned()).or_default().push(id.clone());
    };
    let mut told = HeaderMap::new();
    if !world.in_trouble() {
        take();
        return (StatusCode::OK, told);
    }
    let status = match (world.chance() * 6.0) as u32 {
        0 => StatusCode::INTERNAL_SERVER_ERROR,
        1 => StatusCode::SERVICE_UNAVAILABLE,
        2 => StatusCode::FOUND,
        3 => {
            told.insert("retry-after", axum::http::HeaderValue::from_static("30"));
            StatusCode::TOO_MANY_REQUESTS
        }
        4 => {
            // It has it, and says so too late.
            take();
            tokio::time::sleep(TIMEOUT * 2).await;
            StatusCode::OK
        }
        _ => StatusCode::UNAUTHORIZED,
    };
    (status, told)
}

/// A store whose settling fails now and then: what was sent is not recorded, as after a crash.
struct Forgetful {
    store: SqlStore,
    world: Arc<World>,
}

#[async_trait]
impl DeliverStore for Forgetful {
    async fn claim(&self, now: Timestamp, lease_until: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.store.claim(now, lease_until).await
    }

    async fn settle(&self, settled: &Settled) -> Result<(), StoreError> {
        if self.world.in_trouble() {
            return Err(StoreError::Silent);
        }
        self.store.settle(settled).await
    }

    async fn waiting(&self, endpoint: &str, limit: i64) -> Result<Vec<Delivery>, StoreError> {
        self.store.waiting(endpoint, limit).await
    }

    async fn silences_at(&self, now: Timestamp) -> Result<Vec<SilenceRow>, StoreError> {
        self.store.silences_at(now).await
    }

    async fn hush(&self, delivery_id: &str, why: &str, now: Timestamp) -> Result<(), StoreError> {
        self.store.hush(delivery_id, why, now).await
    }

    async fn was_told(&self, alert_id: &str, endpoint: &str) -> Result<bool, StoreError> {
        self.store.was_told(alert_id, endpoint).await
    }

    async fn standing(&self, endpoint: &str, resolved_since: Timestamp) -> Result<Vec<Told>, StoreError> {
        self.store.standing(endpoint, resolved_since).await
    }

    async fn untold(&self, now: Timestamp) -> Result<Vec<Told>, StoreError> {
        self.store.untold(now).await
    }

    async fn judged_until(&self, model: &str) -> Result<Option<Timestamp>, StoreError> {
        self.store.judged_until(model).await
    }

    async fn write(&self, deliveries: &[NewDelivery], now: Timestamp) -> Result<(), StoreError> {
        self.store.write(deliveries, now).await
    }

    async fn enable(&self, endpoints: &[String]) -> Result<(), StoreError> {
        self.store.enable(endpoints).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_transition_is_delivered_at_least_once_over_seeded_faults() {
    let runs = std::env::var("DRIFTD_DELIVERY_SEEDS").ok().map_or(RUNS, |n| n.parse().expect("a number of runs"));
    let (_directory, store) = store().await;
    let (mut repeated, mut merged) = (0, 0);
    for seed in 0..runs {
        let (again, told_by_others) = run(&store, seed).await;
        repeated += again;
        merged += told_by_others;
    }
    println!("{runs} runs: {repeated} messages arrived more than once, {merged} were told by a later one");
    assert!(repeated > 0 && merged > 0, "the faults and the digests really happen");
}

/// One run: alerts fire, grow and resolve while receivers and store fail; then all is well, and what is owed
/// must arrive. Messages that arrived again, and those that others told.
async fn run(store: &SqlStore, seed: u64) -> (usize, usize) {
    let world = Arc::new(World {
        random: Mutex::new(StdRng::seed_from_u64(seed)),
        trouble: Mutex::new(0.5),
        taken: Mutex::default(),
    });
    let router = axum::Router::new().fallback(answer).with_state(world.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move { axum::serve(listener, router).await });

    let (hook, chat) = (format!("hook{seed}"), format!("chat{seed}"));
    let endpoints = [hook.as_str(), chat.as_str()];
    let routes = [
        route(&hook, webhook(&format!("http://{address}/hook")), TIMEOUT),
        route(&chat, Target::Slack { url: secret(&format!("http://{address}/chat")) }, TIMEOUT),
    ];
    let forgetful = Forgetful { store: store.clone(), world: world.clone() };
    let now = Arc::new(Mutex::new(Timestamp::parse("2026-11-22T10:30:00Z").expect("a time")));
    let mut built = Arc::into_inner(doors(Arc::new(forgetful), routes)).expect("nobody else has it");
    let shown = now.clone();
    built.clock = Clock::from_fn(move || *shown.lock().expect("not poisoned"));
    let doors = Arc::new(built);
    let later = |secs: i64| {
        let mut now = now.lock().expect("not poisoned");
        *now = now.plus(Span::from_secs(secs));
    };

    let mut owed: Vec<String> = Vec::new();
    let alerts = [format!("al_{seed}_a"), format!("al_{seed}_b")];
    for (number, (alert, event)) in [(0, "firing"), (1, "firing"), (0, "updated"), (0, "resolved"), (1, "resolved")]
        .into_iter()
        .map(|(a, event)| (&alerts[a], event))
        .enumerate()
    {
        // Names tell nothing of the order.
        let number = 9 - i64::try_from(number).expect("small");
        let at = *now.lock().expect("not poisoned");
        let change = || Change { alert, event, number, endpoints: &endpoints, now: at, thread: Thread::default() };
        write(store, change()).await;
        owed.push(message_id(&change(), &hook));
        // Windows that are judged in one go are written at the same moment.
        if world.chance() < 0.5 {
            continue;
        }
        for _ in 0..2 {
            // A failed step is a crash: its leases run out.
            let _ = deliver::step(&doors).await;
            later(1 + (world.chance() * 20.0) as i64);
        }
    }
    *world.trouble.lock().expect("not poisoned") = 0.0;
    let mut steps = 0;
    loop {
        let mut waiting = 0;
        for endpoint in endpoints {
            waiting += store.deliveries_in(Some("pending"), Some(endpoint), 100).await.expect("reads").len();
        }
        if waiting == 0 {
            break;
        }
        steps += 1;
        assert!(steps < MOST_STEPS, "seed {seed}: {waiting} messages wait for ever");
        deliver::step(&doors).await.expect("all is well now");
        later(20);
    }
    server.abort();

    let taken = world.taken.lock().expect("not poisoned").get("/hook").cloned().unwrap_or_default();
    let mut first = Vec::new();
    for id in &taken {
        if !first.contains(id) {
            first.push(id.clone());
        }
    }
    assert_eq!(first, owed, "seed {seed}: each at least once, and in order");
    // The chat hears of each change by itself or by a later message that did arrive.
    let rows = store.deliveries_in(None, Some(&chat), 100).await.expect("reads");
    let states: BTreeSet<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    assert!(states.iter().all(|s| ["delivered", "merged"].contains(s)), "seed {seed}: {states:?}");
    assert_eq!(rows.len(), owed.len());
    let merged = rows.iter().filter(|row| row.state == "merged").count();
    (taken.len() - first.len(), merged)
}
