//! A thousand requests, each with faults of its own: the target fails before and after it has made the
//! run, the loop's process dies in the middle of a step, two processes step at once, people and runs
//! speak out of turn. Afterwards: one run at most for each request, and every move told at least once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use driftd::deliver::{self, Doors, Route, Together};
use driftd::drift::retraining::life::State;
use driftd::drift::time::Span;
use driftd::hook::receiver::{Receiver, Style, Target};
use driftd::retrain::messages::{Told, messages};
use driftd::store::{Page, ReadStore as _, RetrainingStore as _};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scene::{HOOKS, Scene};
use crate::support;
use crate::target::Fault;

const SEEDS: u64 = 1_000;
/// Ops until a request is led to its end without further faults.
const MOST_OPS: usize = 40;

/// Ids that the receiver of events has had, with how often.
type Received = Arc<Mutex<BTreeMap<String, usize>>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_faulty_lives_have_one_run_at_most_and_every_move_is_told() {
    let names: Vec<(String, &str)> =
        (0..SEEDS).map(|seed| (format!("m{seed}"), HOOKS[seed as usize % HOOKS.len()])).collect();
    let models: Vec<(&str, &str)> = names.iter().map(|(name, hook)| (name.as_str(), *hook)).collect();
    let scene = Scene::new(&models).await;
    // Messages go out while requests live, as they do in a daemon.
    let (received, looping, stop) = deliver(&scene).await;
    let (mut ends, mut with_run, mut tries, mut ids) = (BTreeMap::<&str, usize>::new(), 0, 0, Vec::new());
    for seed in 0..SEEDS {
        let id = live(&scene, seed, &format!("m{seed}")).await;
        let history = scene.history(&id).await;
        let runs = scene.runs(&id);
        assert!(runs <= 1, "seed {seed}: {runs} runs\n{history:#?}");
        assert!(!history.row.state.is_open(), "seed {seed}: {history:#?}");
        let reported = history.moves.iter().any(|m| matches!(m.to, State::Accepted | State::Running));
        assert!(!reported || runs == 1, "seed {seed}: a run that nobody made\n{history:#?}");
        for pair in history.moves.windows(2) {
            assert_eq!(pair[1].from, Some(pair[0].to), "seed {seed}");
        }
        *ends.entry(history.row.state.name()).or_default() += 1;
        with_run += runs;
        tries += history.attempts.len();
        ids.push((id, history.moves.len()));
    }
    assert_eq!(scene.offences(), Vec::<String>::new());
    println!("{SEEDS} requests, {tries} recorded tries, {with_run} runs, ends: {ends:?}");
    assert!(with_run > 500 && ends.len() >= 4, "the faults leave something to look at: {ends:?}");

    // Every move has its message, and every message arrives, whatever the receiver does.
    let newest = Page { limit: 1, before_us: i64::MAX };
    let began = std::time::Instant::now();
    while scene.store.deliveries(None, newest).await.expect("read").iter().any(|d| d.state != "delivered") {
        assert!(began.elapsed() < Duration::from_secs(600), "messages are stuck");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.cancel();
    looping.await.expect("ends");
    let received = received.lock().expect("not poisoned");
    for (id, moves) in &ids {
        for sequence in 1..=*moves {
            let message = driftd::store::stable_id("msg", &[id, &sequence.to_string(), "events"]);
            assert!(received.get(&message).is_some_and(|times| *times >= 1), "move {sequence} of {id}");
        }
    }
    let again = received.values().filter(|times| **times > 1).count();
    println!("{} messages, {again} of them more than once", received.len());
    assert!(again > 0, "the receiver's faults were met");
}

/// One request from its beginning to its end.
async fn live(scene: &Scene, seed: u64, model: &str) -> String {
    let mut rng = StdRng::seed_from_u64(seed);
    let id = match rng.random_bool(0.5) {
        true => {
            let mut request = scene.alerted(model, &format!("al_{seed}"));
            let told = Told { to: State::Proposed, at: request.now, who: "driftd", why: "x", sequence: 1 };
            request.deliveries = messages(&scene.desk().endpoints, &request.row, told);
            scene.store.add_request(&request).await.expect("made");
            request.row.request_id
        }
        false => scene.desk().ask(model, &["intent".into()], "ada", "x", "k").await.expect("made").row.request_id,
    };
    for _ in 0..MOST_OPS {
        if !scene.history(&id).await.row.state.is_open() {
            return id;
        }
        op(scene, &mut rng, &id, model).await;
    }
    // From here on nothing fails: it must come to an end.
    scene.target.lock().expect("not poisoned").faults.clear();
    scene.desk().pause(model, false, "ada", "").await.expect("resumed");
    let _ = scene.desk().approve(&id, "ada", "").await;
    scene.wait(1_000);
    scene.step().await;
    if scene.runs(&id) > 0 {
        let _ = scene.call_back(&id, &scene.token(&id), "succeeded").await;
    }
    if scene.history(&id).await.row.state.is_open() {
        scene.wait(5 * 86_400);
        scene.step().await;
    }
    id
}

async fn op(scene: &Scene, rng: &mut StdRng, id: &str, model: &str) {
    match rng.random_range(0..14) {
        0..=4 => {
            let faults = [Fault::None, Fault::None, Fault::None, Fault::Before, Fault::After, Fault::Refused];
            let fault = faults[rng.random_range(0..faults.len())];
            // A hang costs its time: it is rarer than the others.
            let fault = if rng.random_bool(0.02) { Fault::HangAfter } else { fault };
            let at = rng.random_range(0..2);
            {
                let mut world = scene.target.lock().expect("not poisoned");
                world.faults.clear();
                world.faults.extend((0..at).map(|_| Fault::None));
                world.faults.push_back(fault);
            }
            scene.step().await;
        }
        5 | 6 => {
            // The process dies somewhere in its step. What it has sent may still arrive.
            let life = Duration::from_micros(rng.random_range(0..6_000));
            let _ = tokio::time::timeout(life, scene.retrainer.step()).await;
            // Kubeflow lists its runs: what is on its way must be there before another looks.
            let settles = if scene.history(id).await.row.hook.as_deref() == Some("kubeflow") { 60 } else { 5 };
            tokio::time::sleep(Duration::from_millis(settles)).await;
            // Its lease ends before anybody else tries.
            scene.wait(60);
        }
        7 => {
            let (a, b) = tokio::join!(scene.retrainer.step(), scene.retrainer.step());
            a.and(b).expect("the store answers");
        }
        8 => scene.wait(rng.random_range(1..1_000)),
        9 => {
            let (approve, reject) =
                tokio::join!(scene.desk().approve(id, "ada", ""), scene.desk().reject(id, "bob", ""));
            assert!(!(approve.is_ok() && reject.is_ok()), "both have won");
        }
        10 => {
            let _ = scene.desk().approve(id, "ada", "").await;
        }
        11 => scene.desk().pause(model, rng.random_bool(0.3), "ada", "x").await.expect("turned"),
        12 => {
            assert!(scene.call_back(id, "drc_forged", "succeeded").await.is_err(), "forged");
        }
        _ => {
            if scene.runs(id) > 0 {
                let state = ["started", "started", "succeeded", "failed", "cancelled", "done"][rng.random_range(0..6)];
                let _ = scene.call_back(id, &scene.token(id), state).await;
            }
        }
    }
}

/// Runs the deliver loop against a receiver that now and then says 500, also after it has taken a message.
async fn deliver(scene: &Scene) -> (Received, JoinHandle<()>, CancellationToken) {
    let received = Received::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let app = Router::new().route("/", axum::routing::post(take)).with_state(received.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let target = Target::Webhook { url: support::secret(&url), key: None, style: Style::Standard, bearer: None };
    let receiver = Receiver::new("events", target, None, Duration::from_secs(5)).expect("a receiver");
    let route = Route {
        receiver,
        together: Together::Never,
        pipeline: false,
        timeout: Duration::from_secs(5),
        max_age: Span::from_secs(1 << 40),
    };
    let stop = CancellationToken::new();
    let routes = std::collections::HashMap::from([("events".to_owned(), route)]);
    let store = Arc::new(scene.store.clone());
    let looping = tokio::spawn(deliver::run(Doors::new(store, routes, Vec::new()), Arc::default(), stop.clone()));
    (received, looping, stop)
}

async fn take(Shared(received): Shared<Received>, headers: HeaderMap) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let mut received = received.lock().expect("not poisoned");
    let total: usize = received.values().sum();
    let times = received.entry(id).or_default();
    *times += 1;
    // Every 150th is taken and said not to be.
    if total % 150 == 149 { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::NO_CONTENT }
}
