//! A candidate beside the current model, the whole way: a real Kafka, a real Postgres, the real binary and the real
//! model. What is right comes with each record.

mod support;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use driftd::drift::joining::{is_sampled, prediction_key};
use driftd::source::producer::Producer;
use serde_json::{Map, Value, json};
use support::daemon::{CLASSIC, Daemon, Setup};
use support::{driftd, eventually, get_json, service, succeed};

const LONG: Duration = Duration::from_secs(60);
const TASKS: [&str; 5] = ["intent", "mood", "topics", "entities", "urgency"];

/// The example model with a reference that knows how often it is right, and a stream.
struct World {
    directory: tempfile::TempDir,
    records: Vec<(String, String)>,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().expect("a folder");
        let path = |name: &str| directory.path().join(name);
        let past = labelled(&path("past.jsonl"), 4_000, &["--seed", "11", "--start", "2026-03-01T00:00:00Z"]);
        let text: String = past.iter().map(|(_, line)| format!("{line}\n")).collect();
        std::fs::write(path("labelled.jsonl"), text).expect("written");
        let mut command = driftd();
        command.args(["reference", "fit", "--device", "cpu", "--threads", "1", "--window", "20s", "-m"]);
        command.arg(support::example_manifest()).arg("-i").arg(path("labelled.jsonl"));
        succeed(command.arg("-o").arg(path("reference.bin")));
        let records = labelled(&path("stream.jsonl"), 2_400, &["--seed", "5", "--start", "2026-03-02T00:00:00Z"]);
        World { directory, records }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The example model as another version, with its manifest changed.
    fn candidate(&self, version: &str, change: impl Fn(String) -> String) {
        let folder = self.path(version);
        std::fs::create_dir(&folder).expect("a folder");
        for file in ["model.onnx", "tokenizer.json"] {
            std::fs::copy(support::root().join("examples/support").join(file), folder.join(file)).expect("copied");
        }
        let text = std::fs::read_to_string(support::example_manifest()).expect("the manifest");
        let text = change(text.replace("version: \"1\"", &format!("version: \"{version}\"")));
        std::fs::write(folder.join("manifest.yaml"), text).expect("written");
    }

    /// Everything but the candidate, which is told in the lines of a model.
    async fn setup(&self, model: String) -> Setup {
        let topics = support::fresh_topics(2).await;
        let (receiver, _) = support::receiver().await;
        let directory = self.path(&topics.0);
        std::fs::create_dir(&directory).expect("a folder");
        Setup {
            directory,
            manifest: support::example_manifest(),
            reference: self.path("reference.bin"),
            brokers: service("KAFKA_BROKERS"),
            topic: topics.0,
            dead_letter_topic: topics.1,
            begin: "earliest",
            store: support::fresh_database().await,
            receiver,
            infer: "missing",
            budget: "1/1d",
            model,
            window: "length: 20s, grace: 0s".into(),
            collect: "flush_every: 100ms, flush_records: 150, idle_after: 2s".into(),
            properties: CLASSIC.into(),
            store_more: String::new(),
            retraining: "mode: auto, on: drift",
            auth: "none",
            more: String::new(),
            roles: "collect,judge,deliver,api",
            env: Vec::new(),
        }
    }

    /// Records of the sample, by the reference that the daemon says it compares with.
    async fn sampled(&self, daemon: &Daemon, share: f64) -> u64 {
        let model = get_json(&format!("{}/api/v1/models/support", daemon.api)).await.expect("the model");
        let reference = model["reference"]["id"].as_str().expect("an id");
        let is_in = |(id, _): &&(String, String)| is_sampled(prediction_key("support", reference, id), share);
        self.records.iter().filter(is_in).count() as u64
    }
}

/// Simulated records, each with what the example model says as what is right.
fn labelled(file: &Path, count: usize, arguments: &[&str]) -> Vec<(String, String)> {
    support::simulate(file, count, arguments);
    let text = std::fs::read_to_string(file).expect("records");
    let with_labels = |line: &str| {
        let mut record: Value = serde_json::from_str(line).expect("JSON");
        let label = |output: &Value| {
            ["label", "labels", "value"].iter().find_map(|k| output.get(*k)).cloned().expect("an answer")
        };
        let outputs = record["outputs"].as_object().expect("outputs");
        let labels: Map<String, Value> = outputs.iter().map(|(task, output)| (task.clone(), label(output))).collect();
        record["labels"] = Value::Object(labels);
        (record["prediction_id"].as_str().expect("an id").to_owned(), record.to_string())
    };
    text.lines().map(with_labels).collect()
}

async fn shadow(daemon: &Daemon) -> Option<Value> {
    get_json(&format!("{}/api/v1/models/support/shadow", daemon.api)).await.filter(|view| view["report"].is_object())
}

fn task<'a>(view: &'a Value, name: &str) -> &'a Value {
    view["report"]["tasks"].as_array().expect("tasks").iter().find(|t| t["task"] == name).expect("the task")
}

/// Waits until so many rows were compared and the labels of all of them are joined; no more may come.
async fn complete(setup: &Setup, daemon: &Daemon, rows: u64) -> Value {
    let is_complete =
        |view: &Value| view["report"]["rows"] == rows && TASKS.iter().all(|name| task(view, name)["labelled"] == rows);
    let deadline = Instant::now() + LONG;
    loop {
        let view = shadow(daemon).await;
        if let Some(view) = view.clone().filter(is_complete) {
            return view;
        }
        assert!(Instant::now() < deadline, "not {rows} rows with their labels: {view:#?}\n{}", setup.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_model_agrees_with_itself_and_counts_once() {
    let world = World::new();
    world.candidate("same", |manifest| manifest);
    let manifest = world.path("same/manifest.yaml");
    let lines = format!("shadow: {{manifest: '{}', sample: 0.5, pause_behind: 36500d}}", manifest.display());
    let setup = world.setup(lines).await;
    let producer = Producer::connect(&setup.brokers, &setup.topic).expect("connects");
    let mut daemon = setup.start();
    daemon.ready(LONG).await;
    let (first, rest) = world.records.split_at(1_000);
    producer.send(first).await.expect("sent");
    let some = || async { shadow(&daemon).await.filter(|view| view["report"]["rows"].as_u64() > Some(0)) };
    eventually("the first rows", LONG, some).await;
    // In the middle of it, with more on the way.
    producer.send(rest).await.expect("sent");
    daemon.kill().await;

    let mut daemon = setup.start();
    daemon.ready(LONG).await;
    let rows = world.sampled(&daemon, 0.5).await;
    assert!((1_100..1_300).contains(&rows), "{rows}");
    let view = complete(&setup, &daemon, rows).await;
    let report = &view["report"];
    let model = get_json(&format!("{}/api/v1/models/support", daemon.api)).await.expect("answers");
    assert_eq!(model["shadow"], true, "{model:#}");
    assert_eq!((&report["schema"], &report["verdict"]), (&json!("shadow/v1"), &json!("pass")), "{view:#}");
    assert_eq!((&report["candidate"]["version"], &report["baseline"]["version"]), (&json!("same"), &json!("1")));
    for name in TASKS {
        let task = task(&view, name);
        assert_eq!((&task["answers"]["compared"], &task["answers"]["differ"]), (&json!(rows), &json!(0.0)), "{task:#}");
        assert_eq!((&task["flips"]["negative"], &task["difference"]), (&json!(0), &json!(0.0)), "{task:#}");
    }
    let metrics = reqwest::get(format!("{}/metrics", daemon.ops)).await.expect("metrics").text().await.expect("text");
    assert!(metrics.contains(r#"driftd_shadow_verdict{model="support",task="mood"} 1"#), "{metrics}");

    let file = setup.write(1, 2);
    let told = |more: &[&str]| {
        succeed(
            driftd()
                .arg("shadow")
                .args(more)
                .arg("-c")
                .arg(&file)
                .env("TEST_STORE", &setup.store)
                .env("TEST_SECRET", support::SECRET),
        )
    };
    let listed: Value = serde_json::from_str(&told(&["--json", "--model", "support"])).expect("JSON");
    assert_eq!(listed["data"][0], view);
    assert!(told(&[]).contains("pass"), "{}", told(&[]));
    daemon.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_a_run_brings_fails_for_its_broken_head() {
    let world = World::new();
    // Its classes are told in the wrong order.
    let order = ("- calm\n      - angry", "- angry\n      - calm");
    world.candidate("2", |manifest| manifest.replace(order.0, order.1));
    let pattern = world.path("{version}/manifest.yaml");
    let lines = format!("shadow: {{manifest: '{}', sample: 0.4, pause_behind: 36500d}}", pattern.display());
    let setup = world.setup(lines).await;
    let producer = Producer::connect(&setup.brokers, &setup.topic).expect("connects");
    let mut daemon = setup.start();
    daemon.ready(LONG).await;
    assert_eq!(shadow(&daemon).await, None, "no run has brought one");

    let file = setup.write(1, 2);
    let mut ask = driftd();
    ask.args(["retraining", "-c"]).arg(&file);
    ask.args(["request", "--model", "support", "--task", "intent", "--reason", "try"]);
    succeed(ask.env("TEST_STORE", &setup.store).env("TEST_SECRET", support::SECRET));
    use sqlx::Connection as _;
    let mut connection = sqlx::AnyConnection::connect(&setup.store).await.expect("connects");
    let closed = "update retraining_request set state = 'succeeded', new_model_version = '2'";
    assert_eq!(sqlx::query(closed).execute(&mut connection).await.expect("written").rows_affected(), 1);

    // The daemon finds it by itself.
    producer.send(&world.records[..200]).await.expect("sent");
    let begun = || async { shadow(&daemon).await };
    eventually("the candidate", LONG, begun).await;
    producer.send(&world.records[200..]).await.expect("sent");
    let failed = || async { shadow(&daemon).await.filter(|view| view["report"]["verdict"] == "fail") };
    let view = eventually("the verdict", LONG, failed).await;
    let mood = task(&view, "mood");
    assert_eq!((&mood["verdict"], &mood["answers"]["differ"]), (&json!("fail"), &json!(1.0)), "{mood:#}");
    assert_eq!(mood["reasons"][0]["code"], "worse_than_margin", "{mood:#}");
    assert_eq!((&mood["baseline"], &mood["candidate"]), (&json!(1.0), &json!(0.0)), "{mood:#}");
    for name in ["intent", "topics", "entities", "urgency"] {
        let other = task(&view, name);
        assert!(other["verdict"] != "fail" && other["answers"]["differ"] == 0.0, "{other:#}");
    }
    assert_eq!(task(&view, "intent")["role"], json!({"drifted": {"min_delta": 0.0}}), "what it was retrained for");
    daemon.terminate().await;
}
