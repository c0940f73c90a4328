//! The API on a store of 100 models × 10 tasks × 90 days: how long each read takes, and the fleet page in a browser.
//!
//!     scripts/with-services.sh --postgres -- cargo run --release --example scale [MODELS DAYS]
//!
//! Windows are hours, 24 signals each: with windows of five minutes the same store would hold twelve times as
//! many rows, and no read looks at more than a page of them. Rows are written by Postgres itself, from one
//! window that was really tallied.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use driftd::api::access::{Access, Policy};
use driftd::api::settings::Settings;
use driftd::api::{self, ApiState};
use driftd::clock::Clock;
use driftd::drift::answer::{Answer, Confidence, Uncertainty};
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::geometry::place;
use driftd::drift::observation::{HeadSource, Joined};
use driftd::drift::reference::{Reference, ReferenceKind};
use driftd::drift::summary::Summary;
use driftd::drift::task::{ModelSpec, TaskKind, TaskSpec};
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::window::WindowRule;
use driftd::retrain::desk::Desk;
use driftd::store::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tokio_util::sync::CancellationToken;

const TASKS: usize = 10;
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// The first day, in days since the epoch: 2026-08-01.
const FIRST_DAY: i64 = 20_666;
/// Questions to each address.
const QUESTIONS: usize = 200;
/// What an address may take at the 95th percentile.
const AIM: Duration = Duration::from_millis(100);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let numbers: Vec<i64> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let (models, days) = match numbers[..] {
        [models, days] => (models, days),
        _ => (100, 90),
    };
    let admin =
        std::env::var("POSTGRES_URL").context("POSTGRES_URL: run this by scripts/with-services.sh --postgres")?;
    let url = fresh(&admin, "scale").await?;
    let began = Instant::now();
    // One alert a model in three days.
    fill(&url, models, days, days / 3).await?;
    println!(
        "{models} models × {TASKS} tasks × {days} days of hours: filled in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    sizes(&url).await?;
    measure(&url, models, days).await
}

/// A database of this name, empty.
pub async fn fresh(admin: &str, name: &str) -> anyhow::Result<String> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(admin).await?;
    connection.execute(AssertSqlSafe(format!("drop database if exists {name}"))).await?;
    connection.execute(AssertSqlSafe(format!("create database {name}"))).await?;
    let (server, _) = admin.rsplit_once('/').context("the URL names a database")?;
    Ok(format!("{server}/{name}"))
}

/// Fills an empty database; `alerts` of each model.
pub async fn fill(url: &str, models: i64, days: i64, alerts: i64) -> anyhow::Result<()> {
    let store = SqlStore::open(&url.to_owned().into()).await?;
    let reference = reference()?;
    let (summary, first) = (tallies(&reference).encode(), "model_0".to_owned());
    let mut row = ReferenceRow::of(&reference, Timestamp::from_micros(FIRST_DAY * DAY));
    (row.reference_id, row.model) = ("ref_0".into(), first.clone());
    store.register(&model(&first), &row, row.created).await?;
    for day in 0..days {
        // The store's own way makes the tables of the day.
        ensure!(store.commit_judged(&midnight(FIRST_DAY + day, day, &summary)).await?, "the course moves on");
    }
    store.close().await;
    let mut connection = AnyConnection::connect(url).await?;
    connection.execute("set synchronous_commit = off").await?;
    let last = models - 1;
    for statement in [
        format!(
            "insert into model select 'model_' || i, version, 'ref_' || i, budget, threshold, window_us, embedding_dimension,
                 tasks, inference, updated_us from model, generate_series(1, {last}) i"
        ),
        format!(
            "insert into model_reference select 'ref_' || i, 'model_' || i, version, records, windows, first_us, last_us,
                 guarantee, created_us, body, kind from model_reference, generate_series(1, {last}) i"
        ),
        format!("insert into course select 'model_' || i, 'ref_' || i, version, next_slot, body from course, generate_series(1, {last}) i"),
    ] {
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    for day in FIRST_DAY..FIRST_DAY + days {
        let (from, to) = (day * DAY, (day + 1) * DAY - HOUR);
        let hours = format!(
            "generate_series(0, {last}) m, generate_series({from}::bigint, {to}::bigint, {HOUR}::bigint) t
             where not (m = 0 and t = {from})"
        );
        let reports = format!(
            "insert into report (model, reference_id, slot, start_us, end_us, records, revision, verdict, ln_evidence,
                 ln_threshold, guarantee, parts, summary, judged_us, late_records, incomplete)
             select 'model_' || m, 'ref_' || m, t / {HOUR}, t, t + {HOUR}, records, revision, verdict, ln_evidence,
                 ln_threshold, guarantee, parts, summary, t + {HOUR}, 0, 0
             from (select * from report where model = 'model_0' and start_us = {from}) r, {hours}"
        );
        let statistics = format!(
            "insert into statistic (model, reference_id, start_us, end_us, scope, task, segment, signal, n, statistic,
                 degrees_of_freedom, ln_p, ln_e, ln_evidence, effect, movers, guarantee)
             select 'model_' || m, 'ref_' || m, t, t + {HOUR}, scope, task, segment, signal, n, statistic,
                 degrees_of_freedom, ln_p, ln_e, ln_evidence, effect, movers, guarantee
             from (select * from statistic where model = 'model_0' and start_us = {from}) s, {hours}"
        );
        connection.execute(AssertSqlSafe(reports)).await?;
        connection.execute(AssertSqlSafe(statistics)).await?;
    }
    consequences(&mut connection, last, days, alerts).await?;
    connection.execute("analyze").await?;
    Ok(())
}

/// Standings, and what follows from windows: alerts with their transitions, a request each, and a message to
/// two endpoints.
async fn consequences(connection: &mut AnyConnection, last: i64, days: i64, alerts: i64) -> anyhow::Result<()> {
    let step = days * DAY / alerts;
    let alerts = format!("generate_series(0, {last}) m, generate_series(0, {}) k", alerts - 1);
    let at = format!("{FIRST_DAY} * {DAY}::bigint + k * {step}::bigint + m * 1000000");
    for statement in [
        // One model's windows were judged; the others stand as it does.
        "update standing set windows = (select count(*) from report where model = 'model_0'),
             records = (select cast(sum(records) as bigint) from report where model = 'model_0')"
            .to_owned(),
        format!(
            "insert into standing select 'model_' || i, windows, records, latest_start_us, 'ref_' || i, latest_end_us,
                 verdict, ln_evidence, parts, guarantee from standing, generate_series(1, {last}) i"
        ),
        format!(
            "insert into alert (alert_id, model, reference_id, state, cause, tasks_affected, summary, opened_us,
                 opened_window_us, resolved_us, ln_evidence, ln_threshold, guarantee, updated_us, evidence)
             select 'al_' || m || '_' || k, 'model_' || m, 'ref_' || m, 'resolved', 'input', '[\"task_0\"]', 'the input changed',
                 {at}, {at} - {HOUR}, {at} + {HOUR}, 12, 9, '{{}}', {at} + {HOUR}, '[]' from {alerts}"
        ),
        format!(
            "insert into alert_transition (transition_id, alert_id, at_us, from_state, to_state, reason)
             select 'tr_' || m || '_' || k || '_' || s, 'al_' || m || '_' || k, {at} + s, 'pending', 'firing', 'evidence'
             from {alerts}, generate_series(1, 3) s"
        ),
        format!(
            "insert into retraining_request (request_id, model, alert_id, state, tasks, protected_tasks, reason, created_us)
             select 'rt_' || m || '_' || k, 'model_' || m, 'al_' || m || '_' || k, 'rejected', '[]', '[]', 'x', {at} from {alerts}"
        ),
        format!(
            "insert into delivery (delivery_id, endpoint, event, model, body, state, attempts, created_us, next_attempt_us,
                 lease_until_us, delivered_us)
             select 'msg_' || m || '_' || k || '_' || e, 'endpoint_' || e, 'drift.alarm.firing', 'model_' || m, '{{}}',
                 'delivered', 1, {at}, {at}, 0, {at} + 1 from {alerts}, generate_series(1, 2) e"
        ),
        "insert into delivery_attempt select delivery_id, 1, created_us, 204, 1000, 'delivered' from delivery".to_owned(),
    ] {
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    Ok(())
}

async fn sizes(url: &str) -> anyhow::Result<()> {
    use sqlx::Row as _;
    let mut connection = AnyConnection::connect(url).await?;
    let row = connection
        .fetch_one(
            "select (select count(*) from report) as windows, (select count(*) from statistic) as statistics,
                 pg_database_size(current_database()) as bytes",
        )
        .await?;
    let gigabytes = row.get::<i64, _>("bytes") as f64 / 1e9;
    println!(
        "{} windows, {} statistics, {gigabytes:.1} GB",
        row.get::<i64, _>("windows"),
        row.get::<i64, _>("statistics")
    );
    Ok(())
}

async fn measure(url: &str, models: i64, days: i64) -> anyhow::Result<()> {
    let store = Arc::new(SqlStore::open(&url.to_owned().into()).await?);
    let access = Arc::new(Access::new(Policy::Local, store.clone(), Clock::wall()));
    let shutdown = CancellationToken::new();
    let state = ApiState::new(
        store.clone(),
        Desk::of(store),
        vec!["api".into()],
        access,
        Settings::default(),
        shutdown.clone(),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}/api/v1", listener.local_addr()?);
    tokio::spawn(api::serve(listener, api::router(state), shutdown));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut rng = StdRng::seed_from_u64(5);
    let mut slow = Vec::new();
    println!("{:<62} {:>8} {:>8} {:>9}", "GET /api/v1/", "p50 ms", "p95 ms", "kB");
    for shape in ADDRESSES {
        let (mut took, mut bytes) = (Vec::new(), 0);
        for question in 0..=QUESTIONS {
            let start = Timestamp::from_micros(FIRST_DAY * DAY + rng.random_range(0..days * 24) * HOUR);
            let model = format!("model_{}", rng.random_range(0..models));
            let address = shape.replace("{m}", &model).replace("{start}", &start.to_string());
            let began = Instant::now();
            let answer = client.get(format!("{base}/{address}")).send().await?;
            ensure!(answer.status() == 200, "{address}: {}", answer.status());
            bytes = answer.bytes().await?.len();
            // The first one opens connections.
            if question > 0 {
                took.push(began.elapsed());
            }
        }
        took.sort_unstable();
        let at = |share: f64| took[(share * (took.len() - 1) as f64) as usize];
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!("{shape:<62} {:>8.1} {:>8.1} {:>9.1}", ms(at(0.5)), ms(at(0.95)), bytes as f64 / 1e3);
        if at(0.95) > AIM {
            slow.push(shape);
        }
    }
    println!("the fleet page in a browser that has never seen it");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = format!("{}:{}", root.join(".deps/node/bin").display(), std::env::var("PATH")?);
    let mut browser = std::process::Command::new("node");
    browser.arg("tools/paint.mjs").arg(base.trim_end_matches("/api/v1")).arg(models.to_string());
    browser.current_dir(root.join("dashboards/web")).env("PATH", path);
    let painted = tokio::task::spawn_blocking(move || browser.status()).await?.context("`node`: run `make setup`")?;
    ensure!(slow.is_empty(), "slower than {AIM:?} at the 95th percentile: {slow:?}");
    ensure!(painted.success(), "the fleet page is painted late, or complains");
    Ok(())
}

/// Every read of the API that looks at what grows.
const ADDRESSES: [&str; 18] = [
    "models",
    "models/{m}",
    "models/{m}/references",
    "models/{m}/windows",
    "models/{m}/windows?limit=500",
    "models/{m}/windows/{start}/statistics",
    "models/{m}/statistics",
    "models/{m}/statistics?scope=head&task=task_3&signal=confidence",
    "models/{m}/statistics?scope=head&task=task_3&signal=confidence&segment=&limit=500",
    "models/{m}/distributions?scope=head&task=task_3&signal=predicted_class&start={start}",
    "models/{m}/map?start={start}",
    "models/{m}/rollups",
    "alerts",
    "alerts?limit=500",
    "alerts?model={m}",
    "deliveries?limit=500",
    "retraining-requests?model={m}",
    "ledger",
];

fn spec() -> ModelSpec {
    let task = |number: usize| TaskSpec {
        name: format!("task_{number}"),
        kind: TaskKind::Multiclass,
        classes: (0..12).map(|c| format!("class_{c}")).collect(),
        threshold: 0.5,
        temperature: 1.0,
    };
    let tasks = (0..TASKS).map(task).collect();
    let (name, version) = ("model_0".into(), "1".into());
    ModelSpec { name, version, tasks, embedding_dimension: Some(32), attributes: vec![], segments: None }
}

fn record(rng: &mut StdRng, second: i64) -> FitRecord {
    let answer = |rng: &mut StdRng| {
        let uncertainty = Uncertainty { margin: None, entropy: None, energy: None };
        let class = (rng.random::<f64>().powi(2) * 12.0) as u32;
        Some(Answer::Class { class, confidence: Confidence::Known(0.5 + rng.random::<f32>() / 2.0), uncertainty })
    };
    let joined = Joined {
        input: None,
        text: None,
        attributes: vec![],
        tags: vec![],
        embedding: (0..32).map(|_| rng.random::<f32>() - 0.5).collect(),
        answers: (0..TASKS).map(|_| answer(rng)).collect(),
        skew: None,
    };
    FitRecord { time: Timestamp::from_micros(second * 1_000_000), joined, labels: Vec::new() }
}

fn reference() -> anyhow::Result<Reference> {
    let mut rng = StdRng::seed_from_u64(7);
    let mut records: Vec<FitRecord> = (0..3_000).map(|second| record(&mut rng, second)).collect();
    let (window, heads) = (WindowRule::Time(Span::from_secs(100)), HeadSource::Predictions);
    let plan = Plan { spec: &spec(), heads, window, kind: ReferenceKind::Fixed, token: &|_| None };
    Ok(fit(&plan, &mut records)?.reference)
}

fn tallies(reference: &Reference) -> Summary {
    let mut rng = StdRng::seed_from_u64(8);
    let mut summary = Summary::empty(reference);
    for second in 0..1_000 {
        let FitRecord { time, joined, .. } = record(&mut rng, second);
        let place = place(&joined.embedding, reference.geometry.as_ref(), time);
        summary.fold(reference, time, &joined.observe(place, &reference.segments));
    }
    summary
}

fn model(name: &str) -> ModelRow {
    let tasks: Vec<_> = (0..TASKS)
        .map(|t| serde_json::json!({"name": format!("task_{t}"), "kind": "multiclass", "classes": 12}))
        .collect();
    ModelRow {
        name: name.into(),
        version: "1".into(),
        reference_id: "ref_0".into(),
        budget: "1/30d".into(),
        threshold: 720.0,
        window_us: HOUR,
        embedding_dimension: Some(32),
        tasks: serde_json::json!(tasks).to_string(),
        examples: 0,
        inference: None,
    }
}

/// The window at a day's midnight, with 24 signals.
fn midnight(day: i64, version: i64, summary: &[u8]) -> Judged {
    let part = |scope: &str, task: Option<String>| serde_json::json!({"scope": scope, "task": task, "segment": null, "ln_evidence": 0.5});
    let heads = (0..TASKS).map(|t| part("head", Some(format!("task_{t}"))));
    let parts: Vec<_> = [part("input", None), part("encoder", None)].into_iter().chain(heads).collect();
    let movers: Vec<_> = (0..5)
        .map(|c| {
            serde_json::json!({"cell": format!("class_{c}"), "reference_count": 300, "current_count": 80,
                "reference_share": 0.1, "current_share": 0.08, "current_interval": [0.06, 0.1]})
        })
        .collect();
    let statistic = |scope: &str, task: String, signal: &str| StatisticRow {
        scope: scope.into(),
        task,
        segment: String::new(),
        signal: signal.into(),
        n: 1_000,
        statistic: Some(10.5),
        degrees_of_freedom: Some(11.0),
        ln_p: Some(-0.7),
        ln_e: Some(-0.1),
        ln_evidence: Some(0.5),
        effect: r#"{"hellinger":0.02,"jensen_shannon":0.001,"psi":0.01}"#.into(),
        movers: serde_json::json!(movers).to_string(),
        guarantee: "valid".into(),
    };
    let of_heads =
        (0..TASKS).flat_map(|t| ["predicted_class", "confidence"].map(|s| statistic("head", format!("task_{t}"), s)));
    let of_all = [
        ("input", "token_count"),
        ("input", "unknown_rate"),
        ("encoder", "encoder_leaf_16"),
        ("encoder", "encoder_mean"),
    ];
    let of_all = of_all.map(|(scope, signal)| statistic(scope, String::new(), signal));
    let start = Timestamp::from_micros(day * DAY);
    Judged {
        model: "model_0".into(),
        expected_version: version,
        reference_id: "ref_0".into(),
        next_slot: Some(day * 24 + 1),
        course: vec![1],
        consumed: vec![],
        report: Some(ReportRow {
            model: "model_0".into(),
            reference_id: "ref_0".into(),
            slot: day * 24,
            start,
            end: start.plus(Span::from_micros(HOUR)),
            records: 1_000,
            revision: 0,
            late_records: 0,
            incomplete: false,
            verdict: "ok".into(),
            ln_evidence: Some(0.5),
            ln_threshold: 6.6,
            guarantee: r#"{"status":"valid","reason":"variation between windows was learned"}"#.into(),
            parts: serde_json::json!(parts).to_string(),
            summary: summary.to_vec(),
        }),
        statistics: of_heads.chain(of_all).collect(),
        alerts: vec![],
        request: None,
        covered: None,
        labels: LabelChanges::default(),
        shadow: None,
        examples: Vec::new(),
        deliveries: vec![],
        now: start,
    }
}
