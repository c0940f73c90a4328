//! A small world in SQLite: one model with a reference that was really fitted, some windows with the tallies
//! of real records, an alert and what followed from it.

use std::sync::Arc;

use driftd::api::access::{Access, Policy};
use driftd::api::settings::{InForce, Settings};
use driftd::api::{self, ApiState};
use driftd::drift::answer::{Answer, Confidence, Uncertainty};
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::geometry::place;
use driftd::drift::inference::InputFacts;
use driftd::drift::observation::{HeadSource, Joined};
use driftd::drift::redaction::Redacted;
use driftd::drift::reference::{Reference, ReferenceKind};
use driftd::drift::retraining::life::State;
use driftd::drift::summary::Summary;
use driftd::drift::task::{ModelSpec, TaskKind, TaskSpec};
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::window::WindowRule;
use driftd::retrain::desk::Desk;
use driftd::store::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;

/// Length of the world's windows, in seconds.
pub const WINDOW: i64 = 50;
/// Windows that were judged.
pub const WINDOWS: i64 = 4;

/// A served world.
pub struct World {
    /// The API's address, `http://127.0.0.1:PORT`.
    pub url: String,
    /// The store behind it.
    pub store: SqlStore,
    /// What the model is compared with.
    pub reference: Reference,
    /// Stops the server.
    pub shutdown: CancellationToken,
    _directory: tempfile::TempDir,
}

/// Moments after the epoch.
pub fn at(secs: i64) -> Timestamp {
    Timestamp::from_micros(secs * 1_000_000)
}

fn spec() -> ModelSpec {
    let task = |name: &str, classes: usize| TaskSpec {
        name: name.into(),
        kind: TaskKind::Multiclass,
        classes: (0..classes).map(|c| format!("c{c}")).collect(),
        threshold: 0.5,
        temperature: 1.0,
    };
    ModelSpec {
        name: "m".into(),
        version: "1".into(),
        tasks: vec![task("intent", 5), task("urgency", 3)],
        embedding_dimension: Some(4),
        attributes: vec![],
        segments: None,
    }
}

fn record(rng: &mut StdRng, second: i64) -> FitRecord {
    let length = rng.random_range(1..40);
    let answer = |class: u32, rng: &mut StdRng| {
        let uncertainty = Uncertainty { margin: None, entropy: None, energy: None };
        Some(Answer::Class { class, confidence: Confidence::Known(0.5 + rng.random::<f32>() / 2.0), uncertainty })
    };
    let (intent, urgency) = ((rng.random::<f64>().powi(2) * 5.0) as u32, rng.random_range(0..3));
    let joined = Joined {
        input: Some(InputFacts {
            tokens: length,
            unknown: 0,
            truncated: false,
            ids: (0..length).map(|_| (rng.random::<f64>().powi(3) * 4_000.0) as u32).collect(),
            ..InputFacts::default()
        }),
        text: None,
        attributes: vec![],
        tags: vec![("channel".to_owned(), if rng.random_bool(0.3) { "mail" } else { "chat" }.to_owned())],
        embedding: (0..4).map(|i| (4.0 - i as f32) * (rng.random::<f32>() - 0.5)).collect(),
        answers: vec![answer(intent, rng), answer(urgency, rng)],
        skew: None,
    };
    FitRecord { time: at(second), joined, labels: Vec::new() }
}

/// A reference of three thousand records; fitted once.
pub fn reference() -> Reference {
    static FITTED: std::sync::OnceLock<Reference> = std::sync::OnceLock::new();
    FITTED.get_or_init(fitted).clone()
}

fn fitted() -> Reference {
    let mut rng = StdRng::seed_from_u64(7);
    let mut records: Vec<FitRecord> = (0..3_000).map(|second| record(&mut rng, second)).collect();
    let window = WindowRule::Time(Span::from_secs(WINDOW));
    let (heads, kind) = (HeadSource::Predictions, ReferenceKind::Fixed);
    let plan = Plan { spec: &spec(), heads, window, kind, token: &|_| None };
    fit(&plan, &mut records).expect("enough to learn from").reference
}

/// Tallies of a window's records, one a second.
pub fn tallies(reference: &Reference, slot: i64) -> Summary {
    let mut rng = StdRng::seed_from_u64(100 + slot as u64);
    let mut summary = Summary::empty(reference);
    for second in slot * WINDOW..(slot + 1) * WINDOW {
        let FitRecord { time, joined, .. } = record(&mut rng, second);
        let place = place(&joined.embedding, reference.geometry.as_ref(), time);
        summary.fold(reference, time, &joined.observe(place, &reference.segments));
    }
    summary
}

/// A judged window without a course of its own.
pub fn judged(reference: &Reference, slot: i64, version: i64, now: Timestamp) -> Judged {
    let summary = tallies(reference, slot);
    let report = ReportRow {
        model: "m".into(),
        reference_id: reference.id.clone(),
        slot,
        start: at(slot * WINDOW),
        end: at((slot + 1) * WINDOW),
        records: i64::try_from(summary.records).expect("small"),
        revision: 0,
        late_records: 0,
        incomplete: false,
        verdict: "ok".into(),
        ln_evidence: Some(0.5),
        ln_threshold: 9.0,
        guarantee: r#"{"status":"provisional","reason":"few windows"}"#.into(),
        parts: r#"[{"scope":"encoder","task":null,"segment":null,"ln_evidence":0.5}]"#.into(),
        summary: summary.encode(),
    };
    let statistic = |signal: &str, scope: &str, task: &str| StatisticRow {
        scope: scope.into(),
        task: task.into(),
        segment: String::new(),
        signal: signal.into(),
        n: WINDOW,
        statistic: Some(1.5),
        degrees_of_freedom: Some(4.0),
        ln_p: Some(-0.2),
        ln_e: Some(-0.1),
        ln_evidence: Some(0.5),
        effect: r#"{"psi":0.01}"#.into(),
        movers: "[]".into(),
        guarantee: "provisional".into(),
    };
    Judged {
        model: "m".into(),
        expected_version: version,
        reference_id: reference.id.clone(),
        next_slot: Some(slot + 1),
        course: vec![1],
        consumed: vec![],
        report: Some(report),
        statistics: vec![statistic("predicted_class", "head", "intent"), statistic("token_count", "input", "")],
        alerts: vec![],
        request: None,
        covered: None,
        deliveries: vec![],
        labels: LabelChanges::default(),
        shadow: None,
        examples: Vec::new(),
        now,
    }
}

/// An alert that fires, with a message and a request.
pub fn alarmed(mut judged: Judged) -> Judged {
    let report = judged.report.as_ref().expect("has one");
    let alert = AlertRow {
        alert_id: "al_1".into(),
        model: "m".into(),
        reference_id: judged.reference_id.clone(),
        state: "firing".into(),
        cause: "head".into(),
        cause_task: Some("intent".into()),
        cause_segment: None,
        cause_part: None,
        versions: "[]".into(),
        tasks_affected: r#"["intent"]"#.into(),
        summary: "head `intent` answers differently".into(),
        opened: report.end,
        opened_window: report.start,
        resolved: None,
        ln_evidence: Some(12.5),
        ln_threshold: 9.0,
        guarantee: report.guarantee.clone(),
        evidence: "[]".into(),
    };
    let transition = TransitionRow {
        transition_id: "tr_1".into(),
        alert_id: "al_1".into(),
        at: report.end,
        from: "pending".into(),
        to: "firing".into(),
        reason: "evidence".into(),
    };
    let row = RequestRow {
        request_id: "rt_1".into(),
        model: "m".into(),
        version: "1".into(),
        kind: "drift".into(),
        mode: "propose".into(),
        dry_run: false,
        alert_id: "al_1".into(),
        state: State::Proposed,
        tasks: r#"["intent"]"#.into(),
        protected_tasks: r#"["urgency"]"#.into(),
        reason: alert.summary.clone(),
        body: "{}".into(),
        hook: None,
        covers_until: None,
        created: report.end,
        deadline: None,
        run_url: None,
        new_model_version: None,
        result: "{}".into(),
        attempts: 0,
        next_attempt: at(0),
        token: None,
        moves: 1,
    };
    judged.request = Some(NewRequest { row, who: "driftd".into(), deliveries: vec![], audit: None, now: judged.now });
    judged.alerts = vec![(alert, transition)];
    judged.examples =
        vec![example(&judged, 0, "where is 4711 0815 12", None), example(&judged, 1, "x", Some("locker"))];
    judged.deliveries = vec![NewDelivery {
        delivery_id: "msg_1".into(),
        endpoint: "pager".into(),
        event: "drift.alarm.firing".into(),
        model: "m".into(),
        body: "{}".into(),
        thread: Thread::default(),
    }];
    judged
}

/// A text of the alert, for a day.
fn example(judged: &Judged, ordinal: i64, text: &str, pair: Option<&str>) -> ExampleRow {
    ExampleRow {
        alert_id: "al_1".into(),
        ordinal,
        model: "m".into(),
        window: judged.report.as_ref().expect("has one").start,
        text: Redacted::of(text, 80),
        pair: pair.map(|pair| Redacted::of(pair, 80)),
        reasons: serde_json::json!([{"scope": "encoder", "task": null, "segment": null, "signal": "encoder_leaf_16",
            "cell": "leaf 3", "reference_share": 0.06, "current_share": 0.2}])
        .to_string(),
        found: judged.now,
        until: driftd::clock::now().plus(Span::from_secs(86_400)),
    }
}

/// Writes the world and serves it.
pub async fn start() -> World {
    let directory = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", directory.path().join("driftd.db").display());
    let store = SqlStore::open(&url.into()).await.expect("opens");
    let reference = reference();
    let model = ModelRow {
        name: "m".into(),
        version: "1".into(),
        reference_id: reference.id.clone(),
        budget: "1/30d".into(),
        threshold: 8_640.0,
        window_us: WINDOW * 1_000_000,
        embedding_dimension: Some(4),
        tasks:
            r#"[{"name":"intent","kind":"multiclass","classes":5},{"name":"urgency","kind":"multiclass","classes":3}]"#
                .into(),
        examples: 5,
        inference: None,
    };
    store.register(&model, &ReferenceRow::of(&reference, at(10)), at(10)).await.expect("registered");
    for slot in 0..WINDOWS {
        let judged = judged(&reference, slot, slot, at(1_000 + slot));
        let judged = if slot == WINDOWS - 1 { alarmed(judged) } else { judged };
        assert!(store.commit_judged(&judged).await.expect("judged"));
    }
    let in_force = InForce {
        shown: serde_json::json!({"log": "text"}),
        late_limits: [("m".to_owned(), Span::from_secs(2 * WINDOW))].into(),
        ..InForce::default()
    };
    let shutdown = CancellationToken::new();
    let (read, settings) = (Arc::new(store.clone()), Settings::new(in_force));
    let access = Arc::new(Access::new(Policy::Local, read.clone(), driftd::clock::Clock::wall()));
    let state = ApiState::new(
        read.clone(),
        Desk::of(Arc::new(store.clone())),
        vec!["api".into()],
        access,
        settings,
        shutdown.clone(),
    );
    tokio::spawn(state.events.clone().watch(read));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(api::serve(listener, api::router(state), shutdown.clone()));
    World { url, store, reference, shutdown, _directory: directory }
}

impl World {
    /// GET under `/api/v1`: status, headers and JSON.
    pub async fn get(&self, path: &str) -> (u16, reqwest::header::HeaderMap, serde_json::Value) {
        self.get_with(path, &[]).await
    }

    /// [`World::get`] with request headers.
    pub async fn get_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (u16, reqwest::header::HeaderMap, serde_json::Value) {
        let mut request = client().get(format!("{}/api/v1/{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.expect("a body");
        (status, headers, serde_json::from_slice(&body).unwrap_or(serde_json::Value::Null))
    }
}

/// A client that follows nothing and asks no proxy.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}
