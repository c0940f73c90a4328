//! Labels that stop and come again, through the collect and judge loops: the notice.

use driftd::drift::labelling::{Stage, TaskLabels};
use driftd::drift::standing::TaskNotices;

use super::*;

const HOUR: Span = Span::from_secs(3_600);
const HOURLY: Closing =
    Closing { window: WindowRule::Time(HOUR), grace: Span::from_secs(60), idle_after: Span::from_secs(20) };
/// Predictions of an hour.
const EACH: i64 = 24;
const DAY: i64 = 24;

/// A reference over windows of an hour.
fn hourly_reference() -> Arc<Reference> {
    let mut rng = StdRng::seed_from_u64(1);
    let fitted = |mut record: Record| FitRecord {
        time: record.time,
        labels: labels_of(&mut StdRng::seed_from_u64(record.time.micros().unsigned_abs()), &record, 0.2),
        joined: Joined::new(&mut record, None, HeadSource::Predictions),
    };
    let spacing = HOUR.micros() / 1_000 / 50;
    let mut records: Vec<FitRecord> = (0..3_000).map(|i| fitted(record(&mut rng, None, i * spacing, false))).collect();
    let spec = spec();
    let plan = Plan {
        spec: &spec,
        heads: HeadSource::Predictions,
        window: WindowRule::Time(HOUR),
        kind: ReferenceKind::Fixed,
        token: &|_| None,
    };
    Arc::new(fit(&plan, &mut records).expect("enough to learn from").reference)
}

/// Predictions hour after hour, three of four of which get labels hours later, but for some hours.
fn hourly_logs(hours: i64, silent: std::ops::Range<i64>) -> Vec<Vec<Entry>> {
    let mut rng = StdRng::seed_from_u64(7);
    let hour_ms = HOUR.micros() / 1_000;
    let mut entries = Vec::new();
    for i in 0..hours * EACH {
        let ms = 200 * hour_ms + i * hour_ms / EACH;
        let record = record(&mut rng, Some(format!("p{i}")), ms, false);
        if !silent.contains(&(i / EACH)) && rng.random_bool(0.75) {
            let delay = rng.random_range(hour_ms / 2..4 * hour_ms);
            for label in labels_of(&mut rng, &record, 0.2) {
                entries.push(label_record(&record, label, delay));
            }
        }
        entries.push((ms, record));
    }
    entries.sort_by_key(|(ms, _)| *ms);
    let mut logs = vec![Vec::new(); PARTITIONS];
    for (i, (_, record)) in entries.into_iter().enumerate() {
        logs[i % PARTITIONS].push(Entry::Record(record));
    }
    logs
}

/// What is told of the first task's labels, window after window; from some hour on, another judge is told that the
/// sample of predictions is another.
fn told(hours: i64, silent: std::ops::Range<i64>, resampled: Option<i64>) -> Vec<TaskLabels> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let began = tokio::time::Instant::now();
        let reference = hourly_reference();
        let (store, broker) = (MemoryStore::new(1, 0.0), Broker::new(hourly_logs(hours, silent), 2, 0.0));
        let judge = Judge {
            closing: HOURLY,
            labelling: Labelling { sample: 1.0, wait: Span::from_secs(48 * 3_600) },
            model: ModelRow { reference_id: reference.id.clone(), window_us: HOUR.micros(), ..super::judge().model },
            reference: reference.clone(),
            ..super::judge()
        };
        let watched = Watched {
            reference,
            closing: HOURLY,
            late_limit: Span::from_secs(48 * 3_600),
            label_sample: 1.0,
            ..watched()
        };
        let limits = Collect {
            flush_every: Duration::from_millis(500),
            flush_records: 200,
            max_record_bytes: 1 << 20,
            max_future: Span::from_secs(3_600),
            idle_after: HOURLY.idle_after,
            max_open_windows: 20,
        };
        let clock = || clock(began, Span::from_secs(0));
        let shutdown = CancellationToken::new();
        let collector = tokio::spawn(collecting_for(watched, store.clone(), broker, limits, clock(), shutdown));
        let mut judges = tokio::task::JoinSet::new();
        judges.spawn(judging(store.clone(), clock(), "j".to_owned(), judge.clone()));
        let mut resampled = resampled;
        let deadline = began + Duration::from_secs(24 * 3_600);
        // The last hours have no windows behind them that would close them.
        while (store.rows().reports.len() as i64) < hours - 8 {
            let reports = store.rows().reports.len();
            assert!(tokio::time::Instant::now() < deadline, "{reports} windows are judged");
            if resampled.take_if(|hour| reports as i64 >= *hour).is_some() {
                judges.shutdown().await;
                let labelling = Labelling { sample: 0.5, ..judge.labelling };
                judges.spawn(judging(store.clone(), clock(), "k".to_owned(), Judge { labelling, ..judge.clone() }));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        collector.abort();
        judges.shutdown().await;
        let rows = store.rows();
        let of_task = rows.labels.told.iter().filter(|row| row.task == "intent");
        let notices = of_task.map(|row| serde_json::from_str::<TaskNotices>(&row.notices).expect("decodes"));
        notices.map(|notices| notices.labels.expect("is told")).collect()
    })
}

#[test]
fn labels_that_stop_are_told_until_they_come_again() {
    let (from, until) = (16 * DAY, 18 * DAY);
    let told = told(30 * DAY, from..until, None);
    let stands: Vec<bool> =
        told.iter().map(|t| t.coverage.as_ref().is_some_and(|signal| signal.changed_since.is_some())).collect();
    let judged = told.iter().position(|t| t.stage == Stage::Judged).expect("a week says what is usual") as i64;
    assert!((7 * DAY..12 * DAY).contains(&judged), "judged after {judged} hours");
    let usual = told[judged as usize].coverage.as_ref().expect("judged").usual;
    assert!((usual - 0.75).abs() < 0.03, "{usual}");
    let begins = stands.iter().position(|stands| *stands).expect("it is told") as i64;
    assert!((from..from + 3 * DAY).contains(&begins), "told after {begins} hours, they stopped after {from}");
    let ends = stands.iter().rposition(|stands| *stands).expect("it is told") as i64 + 1;
    assert!((until..28 * DAY).contains(&ends), "over after {ends} hours, they came again after {until}");
    let changes = stands.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert_eq!(changes, 2, "it begins once and ends once");
}

#[test]
fn another_sample_is_learned_anew() {
    let told = told(34 * DAY, 0..0, Some(14 * DAY));
    let mut stages: Vec<Stage> = told.iter().map(|t| t.stage).collect();
    stages.dedup();
    assert_eq!(stages, [Stage::Learning, Stage::Judged, Stage::Learning, Stage::Judged]);
    let stands = |t: &TaskLabels| t.coverage.as_ref().is_some_and(|signal| signal.changed_since.is_some());
    assert!(!told.iter().any(stands), "no labels came otherwise");
}
