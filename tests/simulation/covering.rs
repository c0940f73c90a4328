//! What a retraining request covers that nobody decides about, while its alerts stand and others join them; and when an
//! alert asks that could not at first.

use driftd::drift::retraining::life::State;
use driftd::store::AlertRow;
use serde_json::{Value, json};

use super::*;

const WINDOWS: i64 = 40;
const EACH: i64 = 50;
const FIRST: i64 = 100;
/// From when on the labels of `intent`, and those of `mood`, say something else.
const WRONG: [i64; 2] = [12, 20];

/// Records with their labels, which come seconds later.
fn logs() -> Vec<Vec<Entry>> {
    let mut rng = StdRng::seed_from_u64(11);
    let mut entries = Vec::new();
    for i in 0..WINDOWS * EACH {
        let ms = FIRST * 10_000 + i * 200;
        let record = record(&mut rng, Some(format!("p{i}")), ms, false);
        for (task, from) in WRONG.into_iter().enumerate() {
            let wrong = if i / EACH >= from { 0.7 } else { 0.2 };
            let label = labels_of(&mut rng, &record, wrong).swap_remove(task);
            entries.push(label_record(&record, label, 3_000));
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

/// What is not done yet.
fn left(store: &MemoryStore, ends: &[i64]) -> String {
    let done = |rows: &store::Rows| {
        let reached: Vec<i64> = rows.positions.values().map(|row| row.position.next_offset).collect();
        // The last labels come after the last record.
        let end = Timestamp::from_micros((FIRST + WINDOWS + 1) * WINDOW.micros());
        reached == ends && rows.labels.pending.is_empty() && rows.reports.values().any(|report| report.end == end)
    };
    if done(&store.rows()) { String::new() } else { super::left(store, ends) }
}

/// The requests at the end, the alerts, and the end of the last judged window.
type Ended = (Vec<RequestRow>, Vec<AlertRow>, Timestamp);

fn requests(seed: u64, trouble: f64) -> Ended {
    requests_with(seed, trouble, Span::from_secs(86_400), |_| ())
}

/// The same with people who change what is stored, now and then.
fn requests_with(seed: u64, trouble: f64, cooldown: Span, mut people: impl FnMut(&mut store::Rows)) -> Ended {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        driftd::retry::seed(seed);
        let began = tokio::time::Instant::now();
        let (store, broker) = (MemoryStore::new(seed ^ 1, trouble), Broker::new(logs(), seed ^ 2, trouble));
        let mut judge = Judge { examples: None, ..judge() };
        judge.watch.retraining.cooldown = cooldown;
        let limits = Collect {
            flush_every: Duration::from_millis(500),
            flush_records: 40,
            max_record_bytes: 1 << 20,
            max_future: Span::from_secs(3_600),
            idle_after: CLOSING.idle_after,
            max_open_windows: 20,
        };
        let clock = || clock(began, Span::from_secs(0));
        let watched = Watched { examples: None, ..watched() };
        let collecting = collecting_for(watched, store.clone(), broker, limits, clock(), CancellationToken::new());
        let collector = tokio::spawn(collecting);
        let mut judges = tokio::task::JoinSet::new();
        judges.spawn(judging(store.clone(), clock(), "first".to_owned(), judge.clone()));
        let ends: Vec<i64> = logs().iter().map(|log| i64::try_from(log.len()).expect("small")).collect();
        while !left(&store, &ends).is_empty() {
            if began.elapsed() >= TROUBLE {
                store.recover();
            }
            assert!(began.elapsed() < TROUBLE + RECOVERY, "{}", left(&store, &ends));
            people(&mut store.rows());
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
        collector.abort();
        judges.shutdown().await;
        let rows = store.rows();
        let end = rows.reports.values().map(|report| report.end).max().expect("windows");
        (rows.requests.values().cloned().collect(), rows.alerts.values().cloned().collect(), end)
    })
}

#[test]
fn a_request_grows_with_its_alerts_until_somebody_decides() {
    let (requests, alerts, end) = requests(0, 0.0);
    let [request] = requests.as_slice() else { panic!("one in a cooldown: {requests:#?}") };
    let of = |task: &str| {
        let found = |alert: &&AlertRow| alert.cause_task.as_deref() == Some(task);
        alerts.iter().find(found).unwrap_or_else(|| panic!("an alert of `{task}`: {alerts:#?}"))
    };
    let (intent, mood) = (of("intent"), of("mood"));
    assert_eq!((&*intent.state, &*mood.state), ("firing", "firing"));
    assert!(mood.opened > intent.opened, "the one that asked came first");
    assert_eq!(request.alert_id, intent.alert_id);
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    assert_eq!(body["data"]["window"], json!({"start": intent.opened_window, "end": end}));
    assert_eq!(request.covers_until, Some(end));
    assert_eq!((&*request.tasks, &*request.protected_tasks), (r#"["intent","mood"]"#, "[]"));
    assert_eq!(body["reason"]["alarms"], json!([intent.alert_id, mood.alert_id]));
    assert_eq!(body["reason"]["summary"], request.reason);
    assert!(request.reason.contains("`intent`") && request.reason.contains("`mood`"), "{}", request.reason);
    assert_eq!(body["scope"]["protected_tasks"], json!([]));
    assert_eq!(
        body["scope"]["tasks"][1],
        json!({"name": "mood", "action": "retrain", "drift": "concept", "priority": 1})
    );
    assert_eq!(body["acceptance"]["min_delta"], json!({"intent": {"delta": 0.0}, "mood": {"delta": 0.0}}));
    assert_eq!(body["data"]["replay"]["seed"], request.request_id, "what it is drawn by stays");
}

#[test]
fn trouble_changes_nothing_of_it() {
    let undisturbed = requests(0, 0.0);
    for seed in 1..4 {
        assert_eq!(requests(seed, 0.1), undisturbed, "seed {seed}");
    }
}

/// The alerts that a request names.
fn named(request: &RequestRow) -> Vec<String> {
    let body: Value = serde_json::from_str(&request.body).expect("JSON");
    serde_json::from_value(body["reason"]["alarms"].clone()).unwrap_or_default()
}

#[test]
fn an_alert_beside_a_persons_open_request_asks_when_that_has_ended() {
    let ends_at = Timestamp::from_micros((FIRST + 26) * WINDOW.micros());
    let (mut begun, mut ended) = (false, false);
    let (requests, alerts, _) = requests_with(0, 0.0, Span::from_secs(86_400), |rows| {
        if !begun {
            rows.requests.insert("a_persons".to_owned(), manual());
            begun = true;
        }
        if !ended && rows.reports.values().any(|report| report.end >= ends_at) {
            rows.requests.get_mut("a_persons").expect("is there").state = State::Failed;
            ended = true;
        }
    });
    let opened: Vec<Timestamp> = alerts.iter().filter(|alert| alert.state == "firing").map(|a| a.opened).collect();
    assert!(opened.len() == 2 && opened.iter().all(|at| *at < ends_at), "both fire beside it: {opened:?}");
    let [persons, asked] = requests.as_slice() else { panic!("one more: {requests:#?}") };
    assert_eq!((&*persons.request_id, named(persons)), ("a_persons", vec![]), "nothing joins what a person asked for");
    assert!(asked.created >= ends_at, "{:?} before {ends_at:?}", asked.created);
    assert_eq!((named(asked).len(), &*asked.tasks), (2, r#"["intent","mood"]"#));
}

#[test]
fn an_alert_within_the_cooldown_asks_after_it() {
    let cooldown = Span::from_micros(15 * WINDOW.micros());
    let (requests, alerts, _) = requests_with(0, 0.0, cooldown, |rows| {
        rows.requests.values_mut().for_each(|request| request.state = State::Rejected);
    });
    let mut in_time = requests.clone();
    in_time.sort_by_key(|request| request.created);
    let at = |request: &RequestRow, task: &str| {
        let is_its = |alert: &&AlertRow| alert.cause_task.as_deref() == Some(task);
        let its = |alert: &AlertRow| named(request).contains(&alert.alert_id).then_some(alert.opened);
        alerts.iter().filter(is_its).find_map(its)
    };
    let [first, second] = in_time.as_slice() else { panic!("one for each alert: {requests:#?}") };
    let (intent, mood) = (at(first, "intent").expect("asks first"), at(second, "mood").expect("asks then"));
    let windows = |span: Span| span.micros() / WINDOW.micros();
    assert_eq!((&*first.tasks, &*first.protected_tasks), (r#"["intent"]"#, r#"["mood"]"#), "the other is protected");
    assert!(windows(first.created.since(intent)) <= 2 && at(first, "mood").is_none(), "nothing was in the way");
    assert!(windows(second.created.since(mood)) > 4, "the second fired within the cooldown");
    assert!(second.created.since(first.created) >= cooldown, "and asked after it");
    let twice = named(first).into_iter().find(|alert| named(second).contains(alert));
    assert_eq!(twice, None, "none asks twice, rejected or not");
}

/// Training that a person asked for.
fn manual() -> RequestRow {
    RequestRow {
        request_id: "a_persons".into(),
        model: "m".into(),
        version: "1".into(),
        kind: "manual".into(),
        mode: "propose".into(),
        dry_run: false,
        alert_id: String::new(),
        state: State::Running,
        tasks: "[]".into(),
        protected_tasks: "[]".into(),
        reason: "a new product".into(),
        body: "{}".into(),
        hook: None,
        covers_until: None,
        created: Timestamp::from_micros(0),
        deadline: None,
        run_url: None,
        new_model_version: None,
        result: "{}".into(),
        attempts: 0,
        next_attempt: Timestamp::from_micros(0),
        token: None,
        moves: 3,
    }
}
