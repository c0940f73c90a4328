//! The real collect and judge loops in virtual time, between a broker and a store in memory that
//! fail by a seed. Whatever happens, each run must end with a ledger that
//! adds up, and with the reports, statistics, alerts and messages of a run without trouble.
//!
//! `DRIFTD_SIMULATIONS=100000` runs more of them; a seed that fails is printed.

mod arrivals;
mod broker;
mod covering;
mod labels;
mod silence;
mod store;

use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use broker::{Broker, Entry};
use driftd::clock::Clock;
use driftd::collect::observe::Watched;
use driftd::collect::{self, Collector};
use driftd::config::{Collect, Infer};
use driftd::drift::allowance::Used;
use driftd::drift::answer::{Answer, Confidence, Uncertainty};
use driftd::drift::checkpoint::{Ledger, Partition};
use driftd::drift::closing::Closing;
use driftd::drift::course::Watch;
use driftd::drift::detector::Sensitivity;
use driftd::drift::examples::Rule;
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::label::{Label, LabelValue};
use driftd::drift::observation::{HeadSource, Joined};
use driftd::drift::record::{InputText, Record, VersionMatch};
use driftd::drift::reference::{Reference, ReferenceKind};
use driftd::drift::retraining::{Mode, Policy, Trigger};
use driftd::drift::task::{ModelSpec, TaskKind, TaskSpec};
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::window::WindowRule;
use driftd::health::Health;
use driftd::judge::Judge;
use driftd::judge::labels::Labelling;
use driftd::judge::rows::Receiver;
use driftd::source::{DeadLetterSink, Refused, Source, SourceError};
use driftd::store::{ExampleRow, ModelRow, RequestRow};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use store::{MemoryStore, clock};
use tokio_util::sync::CancellationToken;

const EXAMPLES: Rule = Rule { keep: 5, most_characters: 60, retention: Span::from_secs(3_600) };
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
fn record(rng: &mut StdRng, id: Option<String>, ms: i64, shift: bool) -> Record {
    let mut answer = |classes: u32, shift: bool| {
        let class = if shift { 0 } else { rng.random_range(0..classes) };
        let uncertainty = Uncertainty { margin: None, entropy: None, energy: None };
        Some(Answer::Class { class, confidence: Confidence::Known(rng.random()), uncertainty })
    };
    Record {
        id,
        model: 0,
        version: VersionMatch::Same,
        time: Timestamp::from_micros(ms * 1_000),
        text: None,
        embedding: None,
        answers: vec![answer(3, shift), answer(2, false)],
        labels: Vec::new(),
        unknown_tasks: 0,
        unknown_label_tasks: 0,
        unknown_classes: Vec::new(),
        unknown_labels: Vec::new(),
        score_order: Default::default(),
        tags: Vec::new(),
        attributes: Vec::new(),
    }
}

fn reference() -> Arc<Reference> {
    static FITTED: OnceLock<Arc<Reference>> = OnceLock::new();
    let fitted = FITTED.get_or_init(|| {
        let mut rng = StdRng::seed_from_u64(1);
        let labelled = |mut record: Record| FitRecord {
            time: record.time,
            labels: labels_of(&mut StdRng::seed_from_u64(record.time.micros().unsigned_abs()), &record, 0.2),
            joined: Joined::new(&mut record, None, HeadSource::Predictions),
        };
        let mut records: Vec<FitRecord> =
            (0..3_000).map(|i| labelled(record(&mut rng, None, i * 200, false))).collect();
        learned(&spec(), &mut records)
    });
    fitted.clone()
}

/// A reference from these records, in windows of the simulation.
fn learned(spec: &ModelSpec, records: &mut Vec<FitRecord>) -> Arc<Reference> {
    let plan = Plan {
        spec,
        heads: HeadSource::Predictions,
        window: WindowRule::Time(WINDOW),
        kind: ReferenceKind::Fixed,
        token: &|_| None,
    };
    Arc::new(fit(&plan, records).expect("enough to learn from").reference)
}

/// Labels of both tasks, each wrong with some probability, given when the record was made.
fn labels_of(rng: &mut StdRng, record: &Record, wrong: f64) -> Vec<Label> {
    let truth = |(task, answer): (usize, &Option<Answer>)| {
        let Some(Answer::Class { class, .. }) = answer else { return None };
        let classes = if task == 0 { 3 } else { 2 };
        let class = if rng.random_bool(wrong) { (class + 1) % classes } else { *class };
        let value = Some(LabelValue::Class(class));
        Some(Label { task, value, revision: 0, at: record.time, retracted: false })
    };
    record.answers.iter().enumerate().filter_map(truth).collect()
}

/// A record that brings a label, some milliseconds after its prediction or before it.
fn label_record(record: &Record, label: Label, delay_ms: i64) -> (i64, Record) {
    let time = record.time.plus(Span::from_micros(delay_ms * 1_000));
    let labels = vec![Label { at: time, ..label }];
    (time.micros() / 1_000, Record { time, text: None, answers: Vec::new(), labels, ..record.clone() })
}

/// Labels of a record as they come: late, before it, partial, twice, corrected, taken back, or never.
fn told(rng: &mut StdRng, record: &Record, wrong: f64) -> Vec<(i64, Record)> {
    let labels = labels_of(rng, record, wrong);
    let mut told = Vec::new();
    for label in labels {
        let delay = |rng: &mut StdRng| rng.random_range(-3_000..60_000);
        let first = label_record(record, label.clone(), delay(rng));
        match rng.random_range(0..12) {
            0 => {}
            1 => told.extend([first.clone(), first]),
            2 => {
                let value = Some(LabelValue::Class(0));
                told.push(label_record(record, Label { value, revision: 1, ..label }, delay(rng)));
                told.push(first);
            }
            3 => {
                told.push(label_record(record, Label { retracted: true, revision: 2, ..label }, delay(rng)));
                told.push(first);
            }
            4 => {
                let stray = Record { id: record.id.as_ref().map(|id| format!("{id}?")), ..first.1 };
                told.push((first.0, stray));
            }
            _ => told.push(first),
        }
    }
    told
}

/// Records in an order that is nearly theirs, with late and unreadable ones and markers, and labels.
fn logs() -> Vec<Vec<Entry>> {
    let mut rng = StdRng::seed_from_u64(5);
    let mut logs = vec![Vec::new(); PARTITIONS];
    let (mut entries, mut later) = (Vec::new(), Vec::new());
    for i in 0..600_i64 {
        let shift = i > 300;
        let ms = match rng.random_range(0..40) {
            0 => i * 200 - 15_000,
            1 => i * 200 - 400_000,
            _ => i * 200 + rng.random_range(-300..300),
        };
        // An id now and then comes twice.
        let id = if i % 50 == 7 { i - 1 } else { i };
        let text = Some(InputText { text: format!("hello from p{id}@mail.example, {shift} {i}"), pair: None });
        let record = Record { text, ..record(&mut rng, Some(format!("p{id}")), 1_000_000 + ms, shift) };
        if rng.random_bool(0.4) {
            let wrong = if i > 420 { 0.9 } else { 0.2 };
            later.extend(told(&mut rng, &record, wrong));
        }
        entries.push((
            i * 200,
            match rng.random_range(0..60) {
                0 => Entry::Unreadable,
                1 => Entry::Marker,
                _ => Entry::Record(record),
            },
        ));
    }
    // A roll-out that nobody told of, rolled back before long; some of its records come late too.
    for i in 60..420_i64 {
        let ms = 12_000 + i * 40 - if i % 37 == 0 { 15_000 } else { 0 };
        let version = VersionMatch::Other(if i % 9 == 0 { "14" } else { "13" }.into());
        let record = Record { version, ..record(&mut rng, Some(format!("q{i}")), 1_000_000 + ms, false) };
        entries.push((12_000 + i * 40, Entry::Record(record)));
    }
    entries.extend(later.into_iter().map(|(ms, record)| (ms - 1_000_000, Entry::Record(record))));
    entries.sort_by_key(|(ms, _)| *ms);
    for (_, entry) in entries {
        logs[rng.random_range(0..PARTITIONS)].push(entry);
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
        labelling: Labelling { sample: 0.9, wait: Span::from_secs(40) },
        run_on: 1.0,
        topics: Vec::new(),
        plan: driftd::drift::retraining::plan::Plan::default(),
        receivers: vec![Receiver { endpoint: "a".into(), alerts: true, retraining: true, pipeline: true }],
        rules: vec![],
        backfill_after: None,
        shadowing: None,
        examples: Some(EXAMPLES),
        model: ModelRow {
            name: "m".into(),
            version: "1".into(),
            reference_id: reference.id.clone(),
            budget: "1/1d".into(),
            threshold: 500.0,
            window_us: WINDOW.micros(),
            embedding_dimension: None,
            tasks: "[]".into(),
            examples: 5,
            inference: None,
        },
        reference,
    }
}

async fn collecting(store: MemoryStore, broker: Broker, limits: Collect, clock: Clock, shutdown: CancellationToken) {
    collecting_for(watched(), store, broker, limits, clock, shutdown).await;
}

async fn collecting_for(
    watched: Watched,
    store: MemoryStore,
    broker: Broker,
    limits: Collect,
    clock: Clock,
    shutdown: CancellationToken,
) {
    let doors = collect::Doors {
        store: Arc::new(store),
        dead_letters: Box::new(Nowhere),
        clock,
        health: Health::default(),
        committed: Arc::default(),
    };
    let first = broker.join();
    let reopen = move || -> anyhow::Result<Box<dyn Source>> { Ok(broker.join()) };
    let _ = Collector::new(doors, vec![watched], limits).run(first, reopen, shutdown).await;
}

fn watched() -> Watched {
    Watched {
        reference: reference(),
        model: None,
        heads: HeadSource::Predictions,
        // Nothing is run; what would be is chosen, and the choice is stored.
        skew_sample: 0.7,
        skew_limit: Some(9),
        infer: Infer::Missing,
        closing: CLOSING,
        late_limit: Span::from_secs(300),
        label_sample: 0.9,
        shadow: None,
        examples: Some(EXAMPLES),
    }
}

async fn judging(store: MemoryStore, clock: Clock, holder: String, judge: Judge) {
    let mut registered = false;
    loop {
        // A step that fails is done again; what it says is tested elsewhere.
        let _ = judge.step(&store, &holder, &mut registered, clock.now()).await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
}

/// An example as it is read, but for when it was found, which follows the wall clock.
fn shown(row: &ExampleRow) -> String {
    format!("{} {} {} {} {}", row.alert_id, row.ordinal, row.window, row.text.as_str(), row.reasons)
}

/// What is known of performance, row by row.
fn performance(labels: &labels::Labels) -> Vec<String> {
    let estimates = labels.estimates.values().map(|row| format!("{row:?}"));
    let realised = labels.realised.values().map(|row| format!("{row:?}"));
    estimates.chain(realised).chain(labels.tasks.values().map(|row| format!("{row:?}"))).collect()
}

/// What a run ends with.
#[derive(Debug, PartialEq)]
struct End {
    ledgers: Vec<(i64, i64, Ledger)>,
    compared: Vec<Used>,
    reports: Vec<String>,
    statistics: Vec<String>,
    alerts: Vec<String>,
    examples: Vec<String>,
    performance: Vec<String>,
    messages: Vec<String>,
    requests: Vec<RequestRow>,
}

/// For so long the store is in trouble, if it takes that long to read everything: at the highest share, a step
/// of a dozen calls succeeds once in some hundred tries, and all of it would take half a day.
const TROUBLE: Duration = Duration::from_secs(3_600);
/// After so long without trouble, nothing may be left: whatever still turns in circles is found so.
const RECOVERY: Duration = Duration::from_secs(600);

/// Clocks differ by at most this many microseconds from the true time: together less than `idle_after`,
/// beyond which no judge takes a collector's word that a partition is idle.
const FAST: i64 = 5_000_000;

/// What is not done yet.
fn left(store: &MemoryStore, ends: &[i64]) -> String {
    let rows = store.rows();
    let reached: Vec<i64> = rows.positions.values().map(|row| row.position.next_offset).collect();
    let (partials, labels) = (rows.partials.len(), rows.labels.pending.len());
    format!("{reached:?} of {ends:?} are read, {partials} partials and {labels} labels are left")
}

/// One life: replicas and judges come and go while records are read.
async fn life(seed: u64, trouble: f64, judge: Judge) -> End {
    driftd::retry::seed(seed);
    let began = tokio::time::Instant::now();
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
    let a_clock = |rng: &mut StdRng| clock(began, Span::from_micros(rng.random_range(-FAST..=FAST)));
    let start = |rng: &mut StdRng| {
        let shutdown = CancellationToken::new();
        let limits = Collect { flush_records: rng.random_range(5..200), ..limits };
        (tokio::spawn(collecting(store.clone(), broker.clone(), limits, a_clock(rng), shutdown.clone())), shutdown)
    };
    replicas.push(start(&mut rng));
    judges.spawn(judging(store.clone(), a_clock(&mut rng), "j0".to_owned(), judge.clone()));
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
                judges.spawn(judging(store.clone(), a_clock(&mut rng), format!("j{change}"), judge.clone()));
                judges.spawn(judging(store.clone(), a_clock(&mut rng), format!("k{change}"), judge.clone()));
            }
        }
    }
    replicas.push(start(&mut rng));
    let ends: Vec<i64> = logs().iter().map(|log| i64::try_from(log.len()).expect("small")).collect();
    let read_all = |rows: &store::Rows| {
        let reached: Vec<i64> = rows.positions.values().map(|row| row.position.next_offset).collect();
        reached == ends && rows.partials.is_empty() && rows.labels.pending.is_empty()
    };
    let deadline = began + TROUBLE + RECOVERY;
    while !read_all(&store.rows()) {
        if began.elapsed() >= TROUBLE {
            store.recover();
        }
        assert!(tokio::time::Instant::now() < deadline, "{}", left(&store, &ends));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    replicas.iter().for_each(|(replica, _)| replica.abort());
    judges.abort_all();
    let rows = store.rows();
    let report = |r: &driftd::store::ReportRow| format!("{:?}", driftd::store::ReportRow { revision: 0, ..r.clone() });
    End {
        ledgers: rows.positions.values().map(|r| (r.first_offset, r.position.next_offset, r.ledger)).collect(),
        compared: rows.positions.values().map(|r| r.position.used.clone()).collect(),
        reports: rows.reports.values().map(report).collect(),
        statistics: rows.statistics.iter().map(|(key, s)| format!("{key} {s:?}")).collect(),
        alerts: rows
            .alerts
            .values()
            .map(|a| format!("{a:?}"))
            .chain(rows.transitions.values().map(|t| format!("{t:?}")))
            .collect(),
        examples: rows.examples.values().flatten().map(shown).collect(),
        performance: performance(&rows.labels),
        messages: rows.deliveries.values().map(|d| format!("{d:?}")).collect(),
        requests: rows.requests.values().cloned().collect(),
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
    assert!(undisturbed.performance.iter().filter(|row| row.contains("RealisedRow")).count() > 20, "labels are joined");
    assert!(undisturbed.alerts.iter().any(|a| a.contains("concept")), "and found to say something");
    assert!(undisturbed.compared.iter().all(|used| !used.is_empty()), "texts are chosen for comparison");
    let examples = &undisturbed.examples;
    assert!(examples.len() > 3 && examples.iter().all(|e| e.contains(" hello from [email], ")), "{examples:#?}");
    let elsewhere = [&undisturbed.reports, &undisturbed.statistics, &undisturbed.alerts, &undisturbed.messages];
    assert!(!elsewhere.into_iter().flatten().any(|row| row.contains("hello")), "texts are with the examples alone");
    let versions: Vec<&String> =
        undisturbed.alerts.iter().filter(|a| a.contains(r#"cause_part: Some("version")"#)).collect();
    let [alert] = versions.as_slice() else { panic!("one alert of another version: {versions:#?}") };
    for told in
        [r#"cause: "skew""#, "records name another version than the manifest's `1`: `13` (", r#"state: "resolved""#]
    {
        assert!(alert.contains(told), "{told}: {alert}");
    }
    let message = undisturbed.messages.iter().find(|m| m.contains("most records of a window name another version"));
    assert!(message.expect("is told").contains(r#"\"part\":\"version\""#), "{message:?}");
    let lives: u64 = std::env::var("DRIFTD_SIMULATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(100);
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
    let parts = [
        (&a.examples, &b.examples),
        (&a.reports, &b.reports),
        (&a.statistics, &b.statistics),
        (&a.alerts, &b.alerts),
        (&a.performance, &b.performance),
        (&a.messages, &b.messages),
    ];
    let lines = parts.iter().flat_map(|(a, b)| a.iter().zip(b.iter())).filter(|(a, b)| a != b);
    let shown: Vec<String> = lines.take(2).map(|(a, b)| format!("- {a:.300}\n+ {b:.300}")).collect();
    let counts: Vec<String> = parts.iter().map(|(a, b)| format!("{} {}", a.len(), b.len())).collect();
    format!("{:?}\n{:?}\n{counts:?}\n{}", a.ledgers, b.ledgers, shown.join("\n"))
}
