//! The real collect and judge loops in virtual time, between a broker and a store in memory that
//! fail by a seed: thousands of lives a minute. Whatever happens, each run must end with a ledger that
//! adds up, and with the reports, statistics, alerts and messages of a run without trouble.
//!
//! `DRIFTD_SIMULATIONS=100000` runs more of them; a seed that fails is printed.

mod broker;
mod store;

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use broker::{Broker, Entry};
use driftd::collect::observe::Watched;
use driftd::collect::{self, Collector};
use driftd::config::{Collect, Infer};
use driftd::drift::answer::{Answer, Confidence, Uncertainty};
use driftd::drift::checkpoint::{Ledger, Partition};
use driftd::drift::closing::Closing;
use driftd::drift::course::Watch;
use driftd::drift::detector::Sensitivity;
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::observation::{HeadSource, Joined};
use driftd::drift::record::{Record, VersionMatch};
use driftd::drift::reference::{Reference, ReferenceKind};
use driftd::drift::retraining::{Mode, Policy, Trigger};
use driftd::drift::task::{ModelSpec, TaskKind, TaskSpec};
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::window::WindowRule;
use driftd::health::Health;
use driftd::judge::Judge;
use driftd::judge::rows::Receiver;
use driftd::source::{DeadLetterSink, Refused, Source, SourceError};
use driftd::store::ModelRow;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use store::{MemoryStore, clock};
use tokio_util::sync::CancellationToken;

const PARTITIONS: usize = 3;
const WINDOW: Span = Span::from_secs(10);
const CLOSING: Closing =
    Closing { window: WindowRule::Time(WINDOW), grace: Span::from_secs(2), idle_after: Span::from_secs(20) };

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
        tasks: vec![task("intent", 3), task("mood", 2)],
        embedding_dimension: None,
        attributes: Vec::new(),
        segments: None,
    }
}

/// A record at some milliseconds; `shift` moves the first head's answers.
fn record(rng: &mut StdRng, ms: i64, shift: bool) -> Record {
    let mut answer = |classes: u32, shift: bool| {
        let class = if shift { 0 } else { rng.random_range(0..classes) };
        let uncertainty = Uncertainty { margin: None, entropy: None, energy: None };
        Some(Answer::Class { class, confidence: Confidence::Known(rng.random()), uncertainty })
    };
    Record {
        id: None,
        model: 0,
        version: VersionMatch::Same,
        time: Timestamp::from_micros(ms * 1_000),
        text: None,
        embedding: None,
        answers: vec![answer(3, shift), answer(2, false)],
        labels: Vec::new(),
        unknown_tasks: 0,
        tags: Vec::new(),
        attributes: Vec::new(),
    }
}

fn reference() -> Arc<Reference> {
    static FITTED: OnceLock<Arc<Reference>> = OnceLock::new();
    let fitted = FITTED.get_or_init(|| {
        let mut rng = StdRng::seed_from_u64(1);
        let joined = |record: Record| FitRecord {
            time: record.time,
            joined: Joined::new(record, None, HeadSource::Predictions),
            labels: Vec::new(),
        };
        let mut records: Vec<FitRecord> = (0..3_000).map(|i| joined(record(&mut rng, i * 200, false))).collect();
        let spec = spec();
        let plan = Plan {
            spec: &spec,
            heads: HeadSource::Predictions,
            window: WindowRule::Time(WINDOW),
            kind: ReferenceKind::Fixed,
            token: &|_| None,
        };
        Arc::new(fit(&plan, &mut records).expect("enough to learn from").reference)
    });
    fitted.clone()
}

/// Records in an order that is nearly theirs, with late and unreadable ones and markers.
fn logs() -> Vec<Vec<Entry>> {
    let mut rng = StdRng::seed_from_u64(5);
    let mut logs = vec![Vec::new(); PARTITIONS];
    for i in 0..600_i64 {
        let shift = i > 300;
        let ms = match rng.random_range(0..40) {
            0 => i * 200 - 15_000,
            1 => i * 200 - 400_000,
            _ => i * 200 + rng.random_range(-300..300),
        };
        let log = &mut logs[rng.random_range(0..PARTITIONS)];
        log.push(match rng.random_range(0..60) {
            0 => Entry::Unreadable,
            1 => Entry::Marker,
            _ => Entry::Record(record(&mut rng, 1_000_000 + ms, shift)),
        });
    }
    // A marker at the very end would never be passed: nothing comes after it.
    logs.iter_mut().for_each(|log| log.push(Entry::Unreadable));
    logs
}

struct Nowhere;

#[async_trait]
impl DeadLetterSink for Nowhere {
    async fn send(&self, _: &[(Partition, i64, Refused)]) -> Result<(), SourceError> {
        Ok(())
    }
}

fn judge() -> Judge {
    let reference = reference();
    Judge {
        watch: Watch {
            threshold: 500.0,
            sensitivity: Sensitivity { min_records: 20, margin: 0.05 },
            resolve_after: 3,
            retraining: Policy { mode: Mode::Auto, on: Trigger::Drift, cooldown: Span::from_secs(60) },
        },
        closing: CLOSING,
        topics: Vec::new(),
        plan: driftd::drift::retraining::plan::Plan::default(),
        receivers: vec![Receiver { endpoint: "a".into(), alerts: true, retraining: true, pipeline: true }],
        rules: vec![],
        backfill_after: None,
        model: ModelRow {
            name: "m".into(),
            version: "1".into(),
            reference_id: reference.id.clone(),
            budget: "1/1d".into(),
            threshold: 500.0,
            window_us: WINDOW.micros(),
            embedding_dimension: None,
            tasks: "[]".into(),
            inference: None,
        },
        reference,
    }
}

async fn collecting(store: MemoryStore, broker: Broker, limits: Collect, shutdown: CancellationToken) {
    let doors = collect::Doors {
        store: Arc::new(store),
        dead_letters: Box::new(Nowhere),
        clock: clock(),
        health: Health::default(),
        committed: Arc::default(),
    };
    let watched = Watched {
        reference: reference(),
        model: None,
        heads: HeadSource::Predictions,
        skew_sample: 0.0,
        infer: Infer::Never,
        closing: CLOSING,
        late_limit: Span::from_secs(300),
    };
    let first = broker.join();
    let reopen = move || -> anyhow::Result<Box<dyn Source>> { Ok(broker.join()) };
    let _ = Collector::new(doors, vec![watched], limits).run(first, reopen, shutdown).await;
}

async fn judging(store: MemoryStore, holder: String, judge: Judge) {
    let (clock, mut registered) = (clock(), false);
    loop {
        // A step that fails is done again; what it says is tested elsewhere.
        let _ = judge.step(&store, &holder, &mut registered, clock.now()).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
}

/// What a run ends with.
#[derive(Debug, PartialEq)]
struct End {
    ledgers: Vec<(i64, i64, Ledger)>,
    reports: Vec<String>,
    statistics: Vec<String>,
    alerts: Vec<String>,
    messages: Vec<String>,
}

/// One life: replicas and judges come and go while records are read.
async fn life(seed: u64, trouble: f64, judge: Judge) -> End {
    driftd::retry::seed(seed);
    let mut rng = StdRng::seed_from_u64(seed);
    let store = MemoryStore::new(seed ^ 1, trouble);
    let broker = Broker::new(logs(), seed ^ 2, trouble);
    let limits = Collect {
        flush_every: Duration::from_millis(rng.random_range(50..2_000)),
        flush_records: rng.random_range(5..200),
        max_record_bytes: 1 << 20,
        max_future: Span::from_secs(3_600),
        idle_after: CLOSING.idle_after,
        max_open_windows: rng.random_range(1..20),
    };
    let mut replicas = Vec::new();
    let mut judges = tokio::task::JoinSet::new();
    let start = |rng: &mut StdRng| {
        let shutdown = CancellationToken::new();
        let limits = Collect { flush_records: rng.random_range(5..200), ..limits };
        (tokio::spawn(collecting(store.clone(), broker.clone(), limits, shutdown.clone())), shutdown)
    };
    replicas.push(start(&mut rng));
    judges.spawn(judging(store.clone(), "j0".to_owned(), judge.clone()));
    let changes = if trouble > 0.0 { rng.random_range(0..12) } else { 0 };
    for change in 0..changes {
        tokio::time::sleep(Duration::from_millis(rng.random_range(20..1_500))).await;
        match rng.random_range(0..5) {
            0 | 1 if replicas.len() < 3 => replicas.push(start(&mut rng)),
            2 if !replicas.is_empty() => {
                let (replica, _) = replicas.remove(rng.random_range(0..replicas.len()));
                replica.abort();
            }
            3 if !replicas.is_empty() => {
                let (replica, shutdown) = replicas.remove(rng.random_range(0..replicas.len()));
                shutdown.cancel();
                let _ = tokio::time::timeout(Duration::from_secs(60), replica).await;
            }
            _ => {
                judges.abort_all();
                judges.spawn(judging(store.clone(), format!("j{change}"), judge.clone()));
                judges.spawn(judging(store.clone(), format!("k{change}"), judge.clone()));
            }
        }
    }
    replicas.push(start(&mut rng));
    let ends: Vec<i64> = logs().iter().map(|log| i64::try_from(log.len()).expect("small")).collect();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(24 * 3_600);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let rows = store.rows();
        let reached: Vec<i64> = rows.positions.values().map(|row| row.position.next_offset).collect();
        if reached == ends && rows.partials.is_empty() {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "a day is over: {reached:?} of {ends:?}, {} partials",
            rows.partials.len()
        );
    }
    replicas.iter().for_each(|(replica, _)| replica.abort());
    judges.abort_all();
    let rows = store.rows();
    let report = |r: &driftd::store::ReportRow| format!("{:?}", driftd::store::ReportRow { revision: 0, ..r.clone() });
    End {
        ledgers: rows.positions.values().map(|r| (r.first_offset, r.position.next_offset, r.ledger)).collect(),
        reports: rows.reports.values().map(report).collect(),
        statistics: rows.statistics.iter().map(|(key, s)| format!("{key} {s:?}")).collect(),
        alerts: rows
            .alerts
            .values()
            .map(|a| format!("{a:?}"))
            .chain(rows.transitions.values().map(|t| format!("{t:?}")))
            .chain(rows.requests.values().map(|r| format!("{r:?}")))
            .collect(),
        messages: rows.deliveries.values().map(|d| format!("{d:?}")).collect(),
    }
}

fn run(seed: u64, trouble: f64) -> End {
    run_with(seed, trouble, judge())
}

fn run_with(seed: u64, trouble: f64, judge: Judge) -> End {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(life(seed, trouble, judge))
}

#[test]
fn every_life_ends_the_same() {
    let undisturbed = run(0, 0.0);
    assert!(undisturbed.ledgers.iter().all(|(first, next, ledger)| next - first == ledger.total()));
    assert!(undisturbed.alerts.iter().any(|a| a.contains("firing")), "{:#?}", undisturbed.alerts);
    assert!(undisturbed.reports.iter().any(|r| !r.contains("late_records: 0")), "records come late");
    let lives: u64 = std::env::var("DRIFTD_SIMULATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let began = std::time::Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let undisturbed = &undisturbed;
            scope.spawn(move || {
                for seed in (1..=lives).filter(|seed| seed % threads == thread) {
                    let trouble = [0.02, 0.1, 0.3][seed as usize % 3];
                    let end = std::panic::catch_unwind(|| run(seed, trouble));
                    let end = end.unwrap_or_else(|_| panic!("seed {seed} did not end"));
                    assert!(end == *undisturbed, "seed {seed}:\n{}", difference(undisturbed, &end));
                }
            });
        }
    });
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    eprintln!("{lives} lives, {:.0} a minute", lives as f64 / minutes);
}

/// The stream is of long ago: with a limit its alerts are of a backlog, and only the messages say so.
#[test]
fn alerts_of_a_backlog_are_marked() {
    let told = run(0, 0.0);
    let marked = run_with(0, 0.0, Judge { backfill_after: Some(Span::from_secs(3_600)), ..judge() });
    assert_eq!((&marked.alerts, &marked.reports), (&told.alerts, &told.reports));
    let firing = |end: &End| -> Vec<bool> {
        let alerts = end.messages.iter().filter(|m| m.contains("drift.alarm."));
        alerts.map(|m| m.contains(r#"\"backfill\":true"#)).collect()
    };
    assert!(!firing(&told).is_empty() && !firing(&told).contains(&true));
    assert_eq!(firing(&marked), vec![true; firing(&told).len()]);
}

fn difference(a: &End, b: &End) -> String {
    let parts =
        [(&a.reports, &b.reports), (&a.statistics, &b.statistics), (&a.alerts, &b.alerts), (&a.messages, &b.messages)];
    let lines = parts.iter().flat_map(|(a, b)| a.iter().zip(b.iter())).filter(|(a, b)| a != b);
    let shown: Vec<String> = lines.take(2).map(|(a, b)| format!("- {a:.300}\n+ {b:.300}")).collect();
    let counts: Vec<String> = parts.iter().map(|(a, b)| format!("{} {}", a.len(), b.len())).collect();
    format!("{:?}\n{:?}\n{counts:?}\n{}", a.ledgers, b.ledgers, shown.join("\n"))
}
