//! `driftd demo`: everything in one process, to look at. A broker inside the process, SQLite, the
//! example model, traffic that is normal and then drifts, a receiver that prints what
//! arrives, and the dashboard. Only the broker is a stand-in; every other part is the daemon's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::run::App;
use super::{fit, runtime, simulate};
use crate::cli::{Demo, Fit, ModelArgs, Role, WindowArgs};
use crate::clock;
use crate::config::{self, raw::Device};
use crate::drift::reference::ReferenceKind;
use crate::drift::time::{Span, Timestamp};
use crate::signature;
use crate::simulate::drift_kind::DriftKind;
use crate::simulate::{Plan, Traffic};
use crate::source::producer::{InProcessBroker, Producer};
use crate::{metrics, telemetry};

const TOPIC: &str = "support.predictions";
const DEAD_LETTERS: &str = "driftd.dead-letter";
/// The signing secret of a receiver that exists only here.
const SECRET: &str = "whsec_ZHJpZnRkLWRlbW8tcmVjZWl2ZXIta2V5LTAwMDE=";
const WINDOW: &str = "2s";
const RATE: u64 = 100;
const REFERENCE_RECORDS: usize = 24_000;
/// Traffic is normal for this long, so that people see what normal looks like.
const QUIET: Duration = Duration::from_secs(24);
/// With `--once`, everything must have arrived by then.
const DEADLINE: Duration = Duration::from_secs(110);

/// Runs the demonstration.
///
/// # Errors
/// If it cannot be set up, or with `--once` if the alert or the request did not arrive.
pub fn main(args: &Demo) -> anyhow::Result<()> {
    if std::env::var_os("RUST_LOG").is_none() {
        // The story is told on the terminal; of the log only warnings belong beside it.
        telemetry::install(config::raw::LogFormat::Text, Some("warn,ort=error,sqlx=error,rdkafka=off"));
    } else {
        telemetry::install(config::raw::LogFormat::Text, None);
    }
    let temporary = std::env::temp_dir().join(format!("driftd-demo-{}", std::process::id()));
    let directory = args.directory.clone().unwrap_or_else(|| temporary.clone());
    std::fs::create_dir_all(&directory).with_context(|| format!("`{}` cannot be made", directory.display()))?;
    let outcome = runtime()?.block_on(show(args, &directory));
    if args.directory.is_none() {
        // Leftovers of a demonstration in a temporary folder harm nobody.
        let _ = std::fs::remove_dir_all(&temporary);
    }
    outcome
}

async fn show(args: &Demo, directory: &Path) -> anyhow::Result<()> {
    let manifest = args.example.join("manifest.yaml");
    if !manifest.exists() {
        bail!(
            "`{}` is missing: run the demo from the repository, or name the folder with `--example`",
            manifest.display()
        );
    }
    let began = Instant::now();
    say(began, "learning what is normal from simulated records");
    let reference = directory.join("reference.bin");
    tokio::task::block_in_place(|| learn(&manifest, directory, &reference))?;

    let broker = InProcessBroker::start(&[TOPIC, DEAD_LETTERS], 2)?;
    let (arrivals, mut arrived) = mpsc::unbounded_channel();
    let receiver = receive(arrivals).await?;
    say(began, &format!("a broker in this process at {}, a webhook receiver at {receiver}", broker.brokers()));

    let shutdown = CancellationToken::new();
    let config_file = directory.join("driftd.yaml");
    std::fs::write(&config_file, configuration(&broker.brokers(), &manifest, &reference, &receiver, args.port)?)?;
    let config = config::load(&config_file)?;
    let roles = [Role::Collect, Role::Judge, Role::Deliver, Role::Api];
    // Nobody changes the settings of a demonstration.
    let (app, _) = App::start(config, &roles, metrics::install()?, shutdown.clone()).await?;
    let address = app.api.context("the API has an address")?;
    say(began, &format!("the dashboard: http://{address}/"));

    let drifting = Arc::new(AtomicBool::new(false));
    let traffic = open_traffic(&manifest, &args.drift)?;
    let producing = tokio::spawn(produce(traffic, broker.brokers(), drifting.clone(), shutdown.clone()));
    say(
        began,
        &format!(
            "{RATE} records a second, windows of {WINDOW}; drift ({}) begins in {} s",
            describe(&args.drift),
            QUIET.as_secs()
        ),
    );

    let quiet_until = began.elapsed() + QUIET;
    let (mut alert, mut request) = (None, None);
    // A fault of serving, or another mix of classes, is not mended by training.
    let wants_request = !matches!(args.drift, DriftKind::BrokenHead(_) | DriftKind::PriorShift(..));
    let mut told = false;
    let outcome = loop {
        tokio::select! {
            Some(event) = arrived.recv() => {
                tell(began, &event);
                match event["type"].as_str() {
                    Some("drift.alarm.firing") => alert = Some(event),
                    Some("retraining.requested") => request = Some(event),
                    _ => {}
                }
                if alert.is_some() && (request.is_some() || !wants_request) && !told {
                    told = true;
                    say(began, if wants_request { "the alert and the retraining request have arrived" } else { "the alert has arrived" });
                    if args.once {
                        break Ok(());
                    }
                    say(began, &format!("still serving http://{address}/ until Ctrl-C"));
                }
            }
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                if began.elapsed() > quiet_until && !drifting.swap(true, Ordering::AcqRel) {
                    say(began, "the drift begins");
                }
                if args.once && began.elapsed() > DEADLINE {
                    break Err(anyhow::anyhow!("the alert and the retraining request did not both arrive in {} s", DEADLINE.as_secs()));
                }
                if producing.is_finished() {
                    break Err(anyhow::anyhow!("the traffic has stopped"));
                }
            }
            _ = tokio::signal::ctrl_c() => break Ok(()),
        }
    };
    let outcome = outcome.and_then(|()| judge_cause(args, alert.as_ref()));
    shutdown.cancel();
    app.join().await?;
    outcome
}

/// With `--once`, the alert must name what was planted.
fn judge_cause(args: &Demo, alert: Option<&Value>) -> anyhow::Result<()> {
    let (true, Some(alert)) = (args.once, alert) else { return Ok(()) };
    let cause = &alert["data"]["cause"];
    let right = match &args.drift {
        DriftKind::BrokenHead(task) => cause["kind"] == "skew" && cause["task"] == task.as_str(),
        DriftKind::PriorShift(..) => cause["kind"] == "prior_shift",
        DriftKind::NewTopic(_) | DriftKind::Typos(_) | DriftKind::LanguageMix(_) => {
            cause["kind"] == "input" || cause["kind"] == "encoder"
        }
    };
    anyhow::ensure!(right, "the alert names {cause}, planted was {:?}", args.drift);
    Ok(())
}

fn model_args(manifest: &Path) -> ModelArgs {
    ModelArgs { manifest: manifest.to_owned(), device: Device::Cpu, batch: 32, threads: Some(1), skew_sample: 0.0 }
}

fn plan(seed: u64, start: Timestamp, drift: Option<DriftKind>) -> Plan {
    let interval = Span::from_micros(1_000_000 / RATE as i64);
    Plan { seed, start, interval, drift, drift_after: u64::MAX, predictions: true }
}

/// Simulates held-out records and fits a reference to them with the command's own code.
fn learn(manifest: &Path, directory: &Path, reference: &Path) -> anyhow::Result<()> {
    let records: PathBuf = directory.join("reference.jsonl");
    let earlier = Timestamp::from_micros(clock::now().minus(Span::from_secs(3_600)).micros() / 2_000_000 * 2_000_000);
    let mut traffic = simulate::open(&model_args(manifest), None, plan(11, earlier, None))?;
    let mut lines = String::new();
    let mut made = 0;
    while made < REFERENCE_RECORDS {
        for (_, record) in traffic.next(1_000)? {
            lines.push_str(&record);
            lines.push('\n');
            made += 1;
        }
    }
    std::fs::write(&records, lines)?;
    let windows = WindowArgs { window: Some(WINDOW.to_owned()), window_records: None };
    let args = Fit {
        model: model_args(manifest),
        input: vec![records],
        labels: None,
        output: reference.to_owned(),
        windows,
        heads: None,
        kind: ReferenceKind::Fixed,
        words: true,
        from: None,
        to: None,
    };
    fit::main(&args)
}

fn open_traffic(manifest: &Path, drift: &DriftKind) -> anyhow::Result<Traffic> {
    simulate::open(&model_args(manifest), None, plan(12, clock::now(), Some(drift.clone())))
}

/// Sends records at the demo's rate; the drift begins when it is told to.
async fn produce(
    mut traffic: Traffic,
    brokers: String,
    drifting: Arc<AtomicBool>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let producer = Producer::connect(&brokers, TOPIC)?;
    let mut tick = tokio::time::interval(Duration::from_millis(250));
    while !shutdown.is_cancelled() {
        tick.tick().await;
        traffic.set_time(clock::now());
        if drifting.load(Ordering::Acquire) {
            traffic.start_drift();
        }
        let records = tokio::task::block_in_place(|| traffic.next(RATE as usize / 4))?;
        producer.send(&records).await?;
    }
    Ok(())
}

/// A receiver that checks signatures and passes on what arrives.
async fn receive(arrivals: mpsc::UnboundedSender<Value>) -> anyhow::Result<String> {
    async fn take(
        State(arrivals): State<mpsc::UnboundedSender<Value>>,
        headers: HeaderMap,
        body: String,
    ) -> StatusCode {
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let key = signature::key(SECRET).unwrap_or_default();
        let time = header("webhook-timestamp").parse().unwrap_or_default();
        if signature::sign(&key, header("webhook-id"), time, &body) != header("webhook-signature") {
            return StatusCode::UNAUTHORIZED;
        }
        match serde_json::from_str(&body) {
            Ok(event) => match arrivals.send(event) {
                Ok(()) => StatusCode::NO_CONTENT,
                Err(_) => StatusCode::SERVICE_UNAVAILABLE,
            },
            Err(_) => StatusCode::BAD_REQUEST,
        }
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = Router::new().route("/hook", post(take)).with_state(arrivals);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/hook"))
}

fn configuration(
    brokers: &str,
    manifest: &Path,
    reference: &Path,
    receiver: &str,
    port: u16,
) -> anyhow::Result<String> {
    let manifest = std::fs::canonicalize(manifest)?;
    let reference = std::fs::canonicalize(reference)?;
    let secret = reference.with_file_name("receiver.secret");
    std::fs::write(&secret, SECRET)?;
    let store = reference.with_file_name("driftd.db");
    Ok(format!(
        "# Written by `driftd demo`: short windows and a short budget, so that something happens while you watch.\n\
         kafka:\n  brokers: '{brokers}'\n  topics: [{TOPIC}]\n  start: earliest\n  dead_letter_topic: {DEAD_LETTERS}\n\
         store:\n  url: 'sqlite:{store}'\n\
         models:\n  - manifest: '{manifest}'\n    reference: '{reference}'\n    device: cpu\n    budget: 1/1d\n    resolve_after: 15\n\
         \x20   window: {{length: {WINDOW}, grace: 500ms, min_records: 50}}\n    retraining: {{mode: auto, on: drift, cooldown: 1h}}\n\
         collect: {{flush_every: 500ms, idle_after: 10s}}\n\
         endpoints:\n  - {{name: demo, url: '{receiver}', secret: {{file: '{secret}'}}}}\n\
         api: {{listen: '127.0.0.1:{port}'}}\nops: {{listen: '127.0.0.1:0'}}\n",
        store = store.display(),
        manifest = manifest.display(),
        reference = reference.display(),
        secret = secret.display(),
    ))
}

fn describe(drift: &DriftKind) -> String {
    match drift {
        DriftKind::BrokenHead(task) => format!("head `{task}` breaks, texts stay as they are"),
        DriftKind::NewTopic(share) => format!("{:.0} % of texts about a topic never seen", share * 100.0),
        DriftKind::PriorShift(intent, factor) => format!("`{intent}` comes {factor} times as often"),
        DriftKind::Typos(share) => format!("{:.0} % of texts misspelled", share * 100.0),
        DriftKind::LanguageMix(share) => format!("{:.0} % of texts in another language", share * 100.0),
    }
}

fn say(began: Instant, what: &str) {
    println!("[{:>5.1} s] {what}", began.elapsed().as_secs_f64());
}

/// A signal with what moved in it: cells of counts, directions of means, or nothing that has a name.
fn sign(entry: &Value) -> String {
    let shown = |key: &str| entry[key].as_array().into_iter().flatten().take(3);
    let mover = |m: &Value| {
        let share = |key: &str| m[key].as_f64().unwrap_or(0.0) * 100.0;
        let cell = m["cell"].as_str().unwrap_or_default();
        format!("{cell} {:.1} % → {:.1} %", share("reference_share"), share("current_share"))
    };
    let direction = |d: &Value| {
        let moved = d["standard_errors"].as_f64().unwrap_or(0.0);
        format!("{} by {moved:+.1} standard errors", d["cell"].as_str().unwrap_or_default())
    };
    let moved: Vec<String> = shown("movers").map(mover).chain(shown("directions").map(direction)).collect();
    let place = entry["task"].as_str().or(entry["scope"].as_str()).unwrap_or_default();
    let signal = entry["signal"].as_str().unwrap_or_default();
    if moved.is_empty() { format!("{place} {signal}") } else { format!("{place} {signal}: {}", moved.join(", ")) }
}

/// The strongest evidence of each part of the model, that of the cause's own part first.
fn telling(data: &Value) -> Vec<&Value> {
    const MOST: usize = 3;
    let mut entries: Vec<&Value> = data["evidence"].as_array().into_iter().flatten().collect();
    entries.sort_by_key(|entry| entry["scope"] != data["cause"]["kind"]);
    let mut found: Vec<&Value> = Vec::new();
    for entry in entries {
        let same_part = |other: &&Value| ["scope", "task"].iter().all(|key| other[key] == entry[key]);
        if found.len() < MOST && !found.iter().any(same_part) {
            found.push(entry);
        }
    }
    found
}

fn tell(began: Instant, event: &Value) {
    let data = &event["data"];
    let summary = data["summary"].as_str().or(data["reason"]["summary"].as_str()).unwrap_or_default();
    let what = event["type"].as_str().unwrap_or("a message");
    say(began, &format!("RECEIVED {what}: {summary}"));
    for entry in telling(data) {
        println!("           {}", sign(entry));
    }
    if let Some(tasks) = data["scope"]["tasks"].as_array() {
        let names: Vec<&str> = tasks.iter().filter_map(|t| t["name"].as_str()).collect();
        println!("           retrain {}; protect {}", names.join(", "), data["scope"]["protected_tasks"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_part_is_told_once_and_the_causes_own_first() {
        let entry = |scope: &str, signal: &str| json!({"scope": scope, "task": null, "signal": signal});
        let evidence =
            [("encoder", "a"), ("encoder", "b"), ("input", "c"), ("input", "d"), ("link", "e"), ("skew", "f")];
        let data = json!({"cause": {"kind": "input"}, "evidence": evidence.map(|(scope, s)| entry(scope, s))});
        let signals: Vec<&str> = telling(&data).iter().filter_map(|e| e["signal"].as_str()).collect();
        assert_eq!(signals, ["c", "a", "e"]);
        assert!(telling(&json!({"reason": {}})).is_empty());
    }

    #[test]
    fn a_sign_says_what_moved_or_nothing_of_it() {
        let counts = json!({"scope": "head", "task": "intent", "signal": "predicted_class",
            "movers": [{"cell": "refund", "reference_share": 0.125, "current_share": 0.5}]});
        assert_eq!(sign(&counts), "intent predicted_class: refund 12.5 % → 50.0 %");
        let mean = json!({"scope": "encoder", "task": null, "signal": "encoder_residual_mean",
            "directions": [{"cell": "dimension 7 beyond the principal axes", "standard_errors": -4.25}]});
        let expected = "encoder encoder_residual_mean: dimension 7 beyond the principal axes by -4.2 standard errors";
        assert_eq!(sign(&mean), expected);
        let bare = json!({"scope": "head", "task": "intent", "signal": "features_given_class", "movers": []});
        assert_eq!(sign(&bare), "intent features_given_class");
    }
}
