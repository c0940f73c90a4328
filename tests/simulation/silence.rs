//! What production stops sending, and sends again, through the collect and judge loops: what is told of it.

use serde_json::Value;

use super::*;

/// Windows of the stream, with fifty records each.
const WINDOWS: i64 = 70;
const EACH: i64 = 50;
/// The first window's number.
const FIRST: i64 = 100;
/// When `mood` is not answered, and when there are no embeddings.
const NO_MOOD: std::ops::Range<i64> = 15..25;
const NO_EMBEDDING: std::ops::Range<i64> = 40..50;

/// Scope, task, kind and since when.
type Told = (String, Option<String>, String, String);

fn embedded_spec() -> ModelSpec {
    let mut spec = spec();
    spec.tasks.push(TaskSpec { name: "seldom".into(), ..spec.tasks[1].clone() });
    ModelSpec { embedding_dimension: Some(4), ..spec }
}

/// A record of a window from the first on; one in twenty answers the last task.
fn complete(rng: &mut StdRng, id: Option<String>, ms: i64) -> Record {
    let mut record = record(rng, id, ms, false);
    let seldom = record.answers[1].clone().filter(|_| rng.random_bool(0.05));
    record.answers.push(seldom);
    let embedding = (0..4).map(|i| (i as f32 + 1.0) * (rng.random::<f32>() - 0.5)).collect();
    Record { embedding: Some(embedding), ..record }
}

fn embedded_reference() -> Arc<Reference> {
    let mut rng = StdRng::seed_from_u64(1);
    let fitted = |mut record: Record| FitRecord {
        time: record.time,
        labels: Vec::new(),
        joined: Joined::new(&mut record, None, HeadSource::Predictions),
    };
    let mut records: Vec<FitRecord> = (0..5_000).map(|i| fitted(complete(&mut rng, None, i * 200))).collect();
    learned(&embedded_spec(), &mut records)
}

fn logs() -> Vec<Vec<Entry>> {
    let mut rng = StdRng::seed_from_u64(3);
    let mut logs = vec![Vec::new(); PARTITIONS];
    for i in 0..WINDOWS * EACH {
        let mut record = complete(&mut rng, Some(format!("p{i}")), FIRST * 10_000 + i * 200);
        if NO_MOOD.contains(&(i / EACH)) {
            record.answers[1] = None;
        }
        if NO_EMBEDDING.contains(&(i / EACH)) {
            record.embedding = None;
        }
        logs[i as usize % PARTITIONS].push(Entry::Record(record));
    }
    logs
}

/// What is told with the windows that end well before the stream. With trouble, judges come and go.
fn told(seed: u64, trouble: f64) -> Vec<Vec<Told>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        driftd::retry::seed(seed);
        let began = tokio::time::Instant::now();
        let reference = embedded_reference();
        let (store, broker) = (MemoryStore::new(seed ^ 1, trouble), Broker::new(logs(), seed ^ 2, trouble));
        let model = ModelRow { reference_id: reference.id.clone(), ..judge().model };
        let judge = Judge { reference: reference.clone(), examples: None, model, ..judge() };
        let watched = Watched { reference, examples: None, ..watched() };
        let limits = Collect {
            flush_every: Duration::from_millis(500),
            flush_records: 40,
            max_record_bytes: 1 << 20,
            max_future: Span::from_secs(3_600),
            idle_after: CLOSING.idle_after,
            max_open_windows: 20,
        };
        let clock = || clock(began, Span::from_secs(0));
        let shutdown = CancellationToken::new();
        let collector = tokio::spawn(collecting_for(watched, store.clone(), broker, limits, clock(), shutdown));
        let mut judges = tokio::task::JoinSet::new();
        judges.spawn(judging(store.clone(), clock(), "first".to_owned(), judge.clone()));
        let deadline = began + TROUBLE + RECOVERY;
        let mut judged = 0;
        while judged < WINDOWS - 5 {
            if began.elapsed() >= TROUBLE {
                store.recover();
            }
            assert!(tokio::time::Instant::now() < deadline, "{judged} windows are judged");
            if trouble > 0.0 {
                judges.shutdown().await;
                for holder in ["one", "another"] {
                    judges.spawn(judging(store.clone(), clock(), format!("{holder} {judged}"), judge.clone()));
                }
            }
            tokio::time::sleep(Duration::from_secs(7)).await;
            judged = store.rows().reports.len() as i64;
        }
        collector.abort();
        judges.shutdown().await;
        let rows = store.rows();
        let mut reports: Vec<_> = rows.reports.values().map(|report| (report.slot, report.parts.clone())).collect();
        reports.sort_unstable();
        assert!(reports.iter().zip(FIRST..).all(|((slot, _), expected)| *slot == expected), "one a window");
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let told = |part: &Value| {
            let what = text(&part["lacks"])?;
            Some((text(&part["scope"])?, text(&part["task"]), what, text(&part["since"])?))
        };
        let of_window = |parts: &str| -> Vec<_> {
            let parts: Vec<Value> = serde_json::from_str(parts).expect("decodes");
            parts.iter().filter_map(told).collect()
        };
        reports.iter().take((WINDOWS - 5) as usize).map(|(_, parts)| of_window(parts)).collect()
    })
}

#[test]
fn what_is_not_sent_any_more_is_told_until_it_comes_again() {
    let told = told(0, 0.0);
    let since = |window: i64| Timestamp::from_micros((FIRST + window) * WINDOW.micros()).to_string();
    let entry = |scope: &str, task: Option<&str>, what: &str, from: i64| {
        (scope.to_owned(), task.map(str::to_owned), what.to_owned(), since(from))
    };
    for (window, told) in (0..).zip(&told) {
        // Told with the second window without it, over with the second that has it again; of a task that is seldom
        // answered nothing.
        let lasts = |silent: &std::ops::Range<i64>| (silent.start + 1..silent.end + 1).contains(&window);
        let expected = match () {
            () if lasts(&NO_MOOD) => vec![entry("head", Some("mood"), "answers", NO_MOOD.start)],
            () if lasts(&NO_EMBEDDING) => vec![entry("encoder", None, "embeddings", NO_EMBEDDING.start)],
            () => vec![],
        };
        assert_eq!(*told, expected, "window {window}");
    }
}

#[test]
fn trouble_changes_nothing_of_it() {
    let undisturbed = told(0, 0.0);
    for seed in 1..4 {
        assert!(told(seed, 0.1) == undisturbed, "seed {seed}");
    }
}
