//! The whole way: a real Apache Kafka, a real Postgres, the real binary with a real ONNX model, an
//! HTTP receiver, a real browser.

#[path = "../support/mod.rs"]
mod support;

mod browser;
mod examples;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use driftd::api::access::{Access, Policy};
use driftd::source::producer::Producer;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Headers as _;
use serde_json::Value;
use sqlx::{AnyConnection, Connection as _, Row as _};
use support::daemon::{CLASSIC, Daemon, Setup};
use support::{eventually, fail_with, get_json, service};

#[path = "../../examples/assist_records.rs"]
#[allow(dead_code, reason = "its main is for the command line")]
mod assist_records;

const LONG: Duration = Duration::from_secs(120);

/// A model with a reference and a drifting stream: the development data's where a checkout has
/// them, else the example's.
struct Scene {
    name: &'static str,
    /// A task whose head the new topic reaches.
    reached: &'static str,
    manifest: PathBuf,
    reference: PathBuf,
    records: Vec<(String, String)>,
    window: &'static str,
    budget: &'static str,
}

fn read(file: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file).expect("readable");
    text.lines().enumerate().map(|(i, line)| (i.to_string(), line.to_owned())).collect()
}

fn assist(directory: &Path, data: &Path) -> Scene {
    let at = |name: &str| directory.join(name);
    assist_records::write_manifest(data, directory).expect("unpacked");
    for stream in ["reference", "new_topic_40"] {
        assist_records::convert(data, stream, &at(&format!("{stream}.jsonl"))).expect("converted");
    }
    let mut command = support::driftd();
    command.args(["reference", "fit", "--device", "cpu", "--window", "1h", "-m"]).arg(at("manifest.yaml"));
    support::succeed(command.arg("-i").arg(at("reference.jsonl")).arg("-o").arg(at("ref.bin")));
    Scene {
        name: "assist",
        reached: "intent",
        manifest: at("manifest.yaml"),
        reference: at("ref.bin"),
        records: read(&at("new_topic_40.jsonl")),
        window: "1h",
        budget: "1/60d",
    }
}

fn example(directory: &Path) -> Scene {
    let stream = directory.join("stream.jsonl");
    let start = ["--seed", "5", "--interval", "10ms", "--start", "2026-03-02T00:00:00Z"];
    let drift = ["--drift", "new_topic:0.5", "--drift-after", "2000"];
    support::simulate(&stream, 4_000, &[&start[..], &drift[..]].concat());
    Scene {
        name: "support",
        reached: "intent",
        manifest: support::example_manifest(),
        reference: support::example_reference(directory, "2s"),
        records: read(&stream),
        window: "2s",
        budget: "1/1d",
    }
}

/// Configuration of the real binary.
fn setup(
    directory: &Path,
    scene: &Scene,
    topics: &(String, String),
    store: &str,
    receiver: &str,
    infer: &'static str,
) -> Setup {
    Setup {
        directory: directory.to_owned(),
        manifest: scene.manifest.clone(),
        reference: scene.reference.clone(),
        brokers: service("KAFKA_BROKERS"),
        topic: topics.0.clone(),
        dead_letter_topic: topics.1.clone(),
        begin: "earliest",
        store: store.to_owned(),
        receiver: receiver.to_owned(),
        infer,
        budget: scene.budget,
        model: String::new(),
        window: format!("length: {}, grace: 0s", scene.window),
        collect: "flush_every: 200ms".into(),
        properties: CLASSIC.into(),
        store_more: String::new(),
        retraining: "mode: auto, on: drift",
        auth: "none",
        more: String::new(),
        roles: "collect,judge,deliver,api",
        env: Vec::new(),
    }
}

/// (records passed, folded, set aside, dead-lettered, gaps) over all partitions.
async fn ledger(connection: &mut AnyConnection) -> (i64, i64, i64, i64, i64) {
    let row = sqlx::query(
        "select coalesce(sum(next_offset - first_offset), 0)::bigint as passed, coalesce(sum(folded), 0)::bigint as folded,
            coalesce(sum(set_aside), 0)::bigint as aside, coalesce(sum(dead_lettered), 0)::bigint as dead,
            coalesce(sum(gaps), 0)::bigint as gaps from position",
    )
    .fetch_one(connection)
    .await
    .expect("reads");
    (row.get("passed"), row.get("folded"), row.get("aside"), row.get("dead"), row.get("gaps"))
}

/// Records in judged windows and in those still open.
async fn in_windows(connection: &mut AnyConnection) -> i64 {
    let judged: i64 = sqlx::query("select coalesce(sum(records), 0)::bigint as n from report")
        .fetch_one(&mut *connection)
        .await
        .expect("reads")
        .get("n");
    let partials = sqlx::query("select body from window_partial").fetch_all(connection).await.expect("reads");
    let open: u64 = partials
        .iter()
        .map(|row| driftd::drift::summary::Summary::decode(&row.get::<Vec<u8>, _>("body")).expect("decodes").records)
        .sum();
    judged + i64::try_from(open).expect("small")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drift_becomes_an_alert_a_request_rows_and_a_picture() {
    let directory = tempfile::tempdir().expect("a folder");
    let data = support::development_data();
    let scene = match &data {
        Some(data) => assist(directory.path(), data),
        None => example(directory.path()),
    };
    let (topics, store) = (support::fresh_topics(2).await, support::fresh_database().await);
    let (url, arrivals) = support::receiver().await;
    arrivals.answer_first(&[503]);
    let producer = Producer::connect(&service("KAFKA_BROKERS"), &topics.0).expect("connects");
    let mut daemon = setup(directory.path(), &scene, &topics, &store, &url, "always").start();
    daemon.ready(LONG).await;
    producer.send(&scene.records).await.expect("sent");

    let firing = eventually("the alert", LONG, || async { arrivals.first("drift.alarm.firing") }).await;
    let cause = &firing["data"]["cause"];
    assert!(["input", "encoder"].iter().any(|kind| cause["kind"] == *kind), "{firing}");
    assert!(!firing.to_string().contains("input\":{\"text"), "no text leaves");
    let request = eventually("the request", LONG, || async { arrivals.first("retraining.requested") }).await;
    let asked = request["data"]["scope"]["tasks"].as_array().expect("tasks");
    assert!(asked.iter().any(|task| task["name"] == scene.reached), "{request}");
    // Alert and request are written together; whichever went first met the 503.
    let arrived = arrivals.all();
    let refused = &arrived[0].0;
    let tries = arrived.iter().filter(|(id, _)| id == refused).count();
    assert!(tries >= 2, "`{refused}` is tried again under its id: {arrived:?}");

    // The rows behind it.
    let mut connection = AnyConnection::connect(&store).await.expect("connects");
    let produced = i64::try_from(scene.records.len()).expect("small");
    let deadline = Instant::now() + LONG;
    while ledger(&mut connection).await.1 < produced {
        assert!(Instant::now() < deadline, "{:?} of {produced}", ledger(&mut connection).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(ledger(&mut connection).await, (produced, produced, 0, 0, 0));
    let row = sqlx::query("select state, cause from alert").fetch_one(&mut connection).await.expect("one alert");
    let stored = (row.get::<String, _>("state"), row.get::<String, _>("cause"));
    assert_eq!(stored, ("firing".to_owned(), cause["kind"].as_str().expect("a kind").to_owned()));
    let delivered = || async {
        let list = get_json(&format!("{}/api/v1/deliveries", daemon.api)).await?;
        let rows = list["data"].as_array()?.clone();
        (rows.len() >= 2 && rows.iter().all(|r| r["state"] == "delivered")).then_some(rows)
    };
    let rows = eventually("all deliveries settled", LONG, delivered).await;
    let again: Vec<_> = rows.iter().filter(|r| r["attempts"] == 2).map(|r| &r["id"]).collect();
    assert_eq!(again, [refused], "{rows:#?}");

    // No text is kept unless somebody asks for it.
    let texts = "select (select count(*) from example_partial) + (select count(*) from alert_example) as n";
    let row = sqlx::query(texts).fetch_one(&mut connection).await.expect("reads");
    assert_eq!(row.get::<i64, _>("n"), 0);

    the_faces_show_it(&daemon, &scene, directory.path()).await;
    assert!(daemon.terminate().await < Duration::from_secs(10));
}

/// API, metrics and dashboard of a daemon that has alarmed.
async fn the_faces_show_it(daemon: &Daemon, scene: &Scene, directory: &Path) {
    let api = |path: &str| format!("{}/api/v1/{path}", daemon.api);
    let model = get_json(&api(&format!("models/{}", scene.name))).await.expect("answers");
    assert_eq!((&model["state"], &model["inference"]["device"]), (&"drift".into(), &"cpu".into()), "{model}");
    let tasks = get_json(&api(&format!("models/{}/tasks", scene.name))).await.expect("answers");
    assert_eq!(tasks["data"].as_array().map(Vec::len), Some(5));
    let windows = get_json(&api(&format!("models/{}/windows?limit=3", scene.name))).await.expect("answers");
    assert_eq!(windows["data"].as_array().map(Vec::len), Some(2), "rows of the cut-off time wait for the next page");
    let cursor = windows["next_cursor"].as_str().expect("there are more");
    let next =
        get_json(&api(&format!("models/{}/windows?limit=3&cursor={cursor}", scene.name))).await.expect("answers");
    assert!(next["data"][0]["start"].as_str() < windows["data"][1]["start"].as_str());
    let start = windows["data"][0]["start"].as_str().expect("a time");
    let statistics =
        get_json(&api(&format!("models/{}/windows/{start}/statistics", scene.name))).await.expect("answers");
    assert!(statistics["data"].as_array().is_some_and(|rows| rows.len() > 10));
    let over_time =
        get_json(&api(&format!("models/{}/statistics?scope=head&task={}", scene.name, scene.reached))).await;
    assert!(over_time.expect("answers")["data"].as_array().is_some_and(|rows| rows.len() > 4));
    let requests = get_json(&api("retraining-requests")).await.expect("answers");
    assert!(requests["data"][0]["tasks"].as_array().is_some_and(|t| t.iter().any(|t| t == scene.reached)));
    let status = get_json(&api("status")).await.expect("answers");
    assert!(status["partitions"].as_array().is_some_and(|p| p.len() == 2 && p.iter().all(|p| p["adds_up"] == true)));
    let ledger = get_json(&api("ledger")).await.expect("answers");
    assert_eq!(
        (&ledger["adds_up"], ledger["partitions"].as_array().map(Vec::len)),
        (&true.into(), Some(2)),
        "{ledger}"
    );
    let rollups = get_json(&api(&format!("models/{}/rollups?grain=hour", scene.name))).await.expect("answers");
    assert!(rollups["data"].is_array(), "{rollups}");
    for (path, code) in
        [("models/nobody", 404), ("models/nobody/windows?limit=9999", 400), ("alerts?cursor=x", 400), ("none", 404)]
    {
        let answer = reqwest::get(api(path)).await.expect("answers");
        assert_eq!(answer.status().as_u16(), code, "{path}");
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{path}");
    }
    let metrics = reqwest::get(format!("{}/metrics", daemon.ops)).await.expect("answers").text().await.expect("text");
    for line in [
        "driftd_records_total{outcome=\"folded\"}",
        "driftd_inference_device_info{",
        "driftd_dead_letters_total{reason=\"invalid_json\"} 0",
    ] {
        assert!(metrics.contains(line), "{line} is not in the metrics");
    }
    assert!(reqwest::get(format!("{}/livez", daemon.ops)).await.expect("answers").status().is_success());

    // Chromium's virtual time stands still while a stream is open.
    let page = format!("{}/?live=off#/models/{}", daemon.api, scene.name);
    let profile = directory.join("browser");
    let mut browser = Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    browser.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    browser.arg(format!("--user-data-dir={}", profile.display())).args([
        "--virtual-time-budget=15000",
        "--dump-dom",
        &page,
    ]);
    let output =
        tokio::task::spawn_blocking(move || browser.output()).await.expect("joined").expect("`chromium` starts");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    for words in [scene.name, scene.reached, "drift", "encoder"] {
        assert!(shown.to_lowercase().contains(words), "the dashboard does not show `{words}`:\n{shown}");
    }
    assert!(shown.contains("<canvas"), "charts are drawn");
}

/// Killed hard, stopped softly, with poison among the records: every record is accounted once.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_counts_twice_and_nothing_is_lost() {
    const POISON: [&str; 3] = ["not json", "{\"model\":{\"name\":\"nobody\"},\"input\":{\"text\":\"x\"}}", "\u{1}"];
    let directory = tempfile::tempdir().expect("a folder");
    let mut scene = example(directory.path());
    for (i, poison) in POISON.iter().enumerate() {
        scene.records.insert(500 * (i + 1), (format!("poison-{i}"), (*poison).to_owned()));
    }
    let far = r#"{"model":{"name":"support"},"timestamp":"9999-01-01T00:00:00Z","input":{"text":"x"}}"#;
    scene.records.insert(700, ("future".into(), far.to_owned()));
    let label = r#"{"schema":"label/v1","prediction_id":"sim-5-1","task":"intent","label":"refund","labeled_at":"2026-03-02T00:00:01Z"}"#;
    scene.records.insert(900, ("label".into(), label.to_owned()));
    let produced = i64::try_from(scene.records.len()).expect("small");
    let (topics, store) = (support::fresh_topics(3).await, support::fresh_database().await);
    let (url, _arrivals) = support::receiver().await;
    let producer = Producer::connect(&service("KAFKA_BROKERS"), &topics.0).expect("connects");
    let mut connection = AnyConnection::connect(&store).await.expect("connects");

    let (first, rest) = scene.records.split_at(scene.records.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    let mut daemon = setup(directory.path(), &scene, &topics, &store, &url, "missing").start();
    daemon.ready(LONG).await;
    producer.send(first).await.expect("sent");
    let deadline = Instant::now() + LONG;
    while ledger(&mut connection).await.0 < 300 {
        assert!(Instant::now() < deadline, "nothing is read");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    producer.send(second).await.expect("sent");
    daemon.signal("-KILL");
    daemon.child.wait().expect("waited");

    let mut daemon = setup(directory.path(), &scene, &topics, &store, &url, "missing").start();
    daemon.ready(LONG).await;
    producer.send(third).await.expect("sent");
    tokio::time::sleep(Duration::from_millis(700)).await; // somewhere in the middle of it
    let took = daemon.terminate().await;
    assert!(took < Duration::from_secs(10), "{took:?}");
    let (passed, folded, aside, dead, gaps) = ledger(&mut connection).await;
    assert_eq!(passed, folded + aside + dead + gaps, "adds up at any time");

    let mut daemon = setup(directory.path(), &scene, &topics, &store, &url, "missing").start();
    daemon.ready(LONG).await;
    let deadline = Instant::now() + LONG;
    while ledger(&mut connection).await.0 < produced {
        assert!(Instant::now() < deadline, "{:?} of {produced}", ledger(&mut connection).await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let poison = i64::try_from(POISON.len()).expect("small") + 1;
    assert_eq!(ledger(&mut connection).await, (produced, produced - poison - 1, 1, poison, 0));
    daemon.terminate().await;
    assert_eq!(in_windows(&mut connection).await, produced - poison - 1, "each folded record is in exactly one window");
    dead_letters_say_where_from(&topics, usize::try_from(poison).expect("small"));
}

/// At least once each: a flush that was cut off sends its dead letters again.
fn dead_letters_say_where_from(topics: &(String, String), expected: usize) {
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", service("KAFKA_BROKERS"))
        .set("group.id", format!("check-{}", topics.1))
        .set("auto.offset.reset", "earliest")
        .create()
        .expect("a consumer");
    consumer.subscribe(&[&topics.1]).expect("subscribes");
    let mut reasons = std::collections::BTreeMap::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    while reasons.len() < expected && Instant::now() < deadline {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(200)) else { continue };
        let headers = message.headers().expect("has headers");
        let header = |name: &str| {
            let found = headers.iter().find(|h| h.key == format!("__connect.errors.{name}")).and_then(|h| h.value);
            String::from_utf8(found.unwrap_or_default().to_vec()).expect("text")
        };
        assert_eq!(header("topic"), topics.0);
        let place = (header("partition"), header("offset"));
        assert!(header("exception.message").starts_with(&header("exception.class.name")));
        reasons.insert(
            place,
            (header("exception.class.name"), String::from_utf8_lossy(message.key().expect("kept")).into_owned()),
        );
    }
    let mut found: Vec<(String, String)> = reasons.into_values().collect();
    found.sort();
    let expected = [
        ("future_time", "future"),
        ("invalid_json", "poison-0"),
        ("invalid_json", "poison-2"),
        ("unknown_model", "poison-1"),
    ];
    assert_eq!(found, expected.map(|(reason, key)| (reason.to_owned(), key.to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_it_from_starting_is_told() {
    let directory = tempfile::tempdir().expect("a folder");
    let reference = support::example_reference(directory.path(), "2s");
    let (topics, store) = (support::fresh_topics(1).await, support::fresh_database().await);
    let file = directory.path().join("driftd.yaml");
    let run = |brokers: &str, topic: &str, store: &str| {
        let text = format!(
            "kafka: {{brokers: '{brokers}', topics: ['{topic}'], start: earliest}}\nstore: {{url: '{store}'}}\n\
             models: [{{manifest: '{}', reference: '{}', window: {{length: 2s}}}}]\n\
             api: {{listen: '127.0.0.1:0'}}\nops: {{listen: '127.0.0.1:0'}}\n",
            support::example_manifest().display(),
            reference.display()
        );
        std::fs::write(&file, text).expect("written");
        fail_with(support::driftd().args(["run", "-c"]).arg(&file), 4)
    };
    let brokers = service("KAFKA_BROKERS");
    let said = run("127.0.0.1:1", &topics.0, &store);
    assert!(said.contains("no broker answers at `127.0.0.1:1`"), "{said}");
    let said = run(&brokers, "no-such-topic", &store);
    assert!(said.contains("has no topic `no-such-topic`"), "{said}");
    let said = run(&brokers, &topics.0, "postgres://drift:hunter2@127.0.0.1:1/none");
    assert!(
        said.contains("the store cannot be opened at `postgres://127.0.0.1:1/none`") && !said.contains("hunter2"),
        "{said}"
    );
    let said = run(&brokers, &topics.0, &store.replace("drift@", "nobody:wrong@"));
    assert!(said.contains("the store cannot be opened") && !said.contains("wrong@"), "{said}");
}

#[test]
fn the_demo_shows_what_it_promises() {
    let output = support::driftd().args(["demo", "--once"]).current_dir(support::root()).output().expect("starts");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in [
        "the dashboard: http://127.0.0.1:",
        "RECEIVED drift.alarm.firing: the input changed; ",
        // At once, or when the alert grows: the first window may hold few drifted records.
        "the input changed; it reaches `intent`",
        "input token_distribution: `",
        "RECEIVED retraining.requested",
        // Which heads the drift has reached besides by then, the moment of the first alert decides.
        "retrain intent",
    ] {
        assert!(told.contains(part), "{part} is not in:\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_from_sqlite_too() {
    let directory = tempfile::tempdir().expect("a folder");
    let store =
        driftd::store::SqlStore::open(&support::secret(&support::sqlite_url(directory.path()))).await.expect("opens");
    let store = std::sync::Arc::new(store);
    let access = std::sync::Arc::new(Access::new(Policy::Local, store.clone(), driftd::clock::Clock::wall()));
    let shutdown = tokio_util::sync::CancellationToken::new();
    let state = driftd::api::ApiState::new(
        store.clone(),
        driftd::retrain::desk::Desk::of(store),
        vec!["api".into()],
        access,
        Default::default(),
        shutdown,
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(driftd::api::serve(listener, driftd::api::router(state), tokio_util::sync::CancellationToken::new()));
    let empty = get_json(&format!("http://{address}/api/v1/models")).await.expect("answers");
    assert_eq!(empty, serde_json::json!({"data": [], "next_cursor": null}));
    let status: Value = get_json(&format!("http://{address}/api/v1/status")).await.expect("answers");
    assert_eq!(status["store"]["kind"], "sqlite");
    let page = reqwest::get(format!("http://{address}/")).await.expect("answers");
    assert!(page.headers()["content-security-policy"].to_str().is_ok_and(|p| p.contains("default-src 'none'")));
}

/// From a record's own context over the flush to the judgement of its window.
#[tokio::test(flavor = "multi_thread")]
async fn traces_lead_from_a_record_to_its_report() {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use prost::Message as _;
    use rdkafka::message::{Header, OwnedHeaders};
    use rdkafka::producer::{FutureProducer, FutureRecord};
    use std::sync::{Arc, Mutex};

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let spans: Arc<Mutex<Vec<Span>>> = Arc::default();
    let taken = spans.clone();
    let take = axum::routing::post(move |body: axum::body::Bytes| async move {
        let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
        let scopes = request.resource_spans.into_iter().flat_map(|r| r.scope_spans);
        taken.lock().expect("not poisoned").extend(scopes.flat_map(|s| s.spans));
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let collector = format!("http://{}", listener.local_addr().expect("an address"));
    let router = axum::Router::new().route("/v1/traces", take);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let directory = tempfile::tempdir().expect("a folder");
    let scene = example(directory.path());
    let (topics, store) = (support::fresh_topics(1).await, support::fresh_database().await);
    let (url, _arrivals) = support::receiver().await;
    let mut setup = setup(directory.path(), &scene, &topics, &store, &url, "missing");
    setup.more = format!("traces: {{collector: '{collector}'}}\n");
    let mut daemon = setup.start();
    daemon.ready(LONG).await;
    let client: FutureProducer =
        rdkafka::ClientConfig::new().set("bootstrap.servers", service("KAFKA_BROKERS")).create().expect("a producer");
    for (i, (key, value)) in scene.records[..1_000].iter().enumerate() {
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-0{}", i32::from(i == 10));
        let headers = OwnedHeaders::new().insert(Header { key: "traceparent", value: Some(&parent) });
        let record = FutureRecord::to(&topics.0).key(key).payload(value).headers(headers);
        drop(client.send_result(record).expect("queued"));
    }
    rdkafka::producer::Producer::flush(&client, LONG).expect("sent");
    let mut connection = AnyConnection::connect(&store).await.expect("connects");
    let deadline = Instant::now() + LONG;
    while in_windows(&mut connection).await < 1_000 {
        assert!(Instant::now() < deadline, "not everything is read");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("a judged window", LONG, async || {
        let windows = get_json(&format!("{}/api/v1/models/support/windows", daemon.api)).await?;
        (!windows["data"].as_array()?.is_empty()).then_some(())
    })
    .await;
    // What is left is sent at the end.
    daemon.terminate().await;
    let spans = spans.lock().expect("not poisoned").clone();
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let flush = spans.iter().find(|s| s.name == "flush" && s.links.iter().any(|l| hex(&l.trace_id) == TRACE));
    let flush = flush.unwrap_or_else(|| panic!("no flush links to the record: {spans:#?}"));
    assert_eq!(flush.links.len(), 1, "only the record that was sampled");
    let judged = spans.iter().filter(|s| s.name == "judge");
    assert!(judged.into_iter().any(|s| s.links.iter().any(|l| l.span_id == flush.span_id)), "{spans:#?}");
}
