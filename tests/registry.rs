//! Following a model registry: what its webhook says is watched, once, and nothing else.

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use driftd::clock;
use driftd::drift::time::Timestamp;
use driftd::registry::{Delivery, Followed, Refused, Registry, Taken};
use driftd::signature::sign;
use driftd::store::access::{AccessStore as _, AuditFilter};
use driftd::store::{
    AlertRow, DeskStore as _, JudgeStore as _, Judged, LabelChanges, NewDelivery, PromotionStore as _, ReadStore as _,
    ReferenceStore as _, SqlStore, Thread, TransitionRow,
};
use serde_json::{Value, json};
use support::daemon::free_port;
use support::{driftd, example_manifest, root, secret, simulate, sqlite_url, succeed};

const SECRET: &str = "a webhook's secret";

/// Versions `1` and `2` of the example model in folders, each with its reference.
struct World {
    directory: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().expect("a folder");
        let records = directory.path().join("records.jsonl");
        simulate(&records, 3_000, &["--seed", "11", "--interval", "10ms", "--start", "2026-03-01T00:00:00Z"]);
        for version in ["1", "2"] {
            let folder = directory.path().join(version);
            std::fs::create_dir(&folder).expect("a folder");
            for file in ["model.onnx", "tokenizer.json", "golden.jsonl"] {
                std::fs::copy(root().join("examples/support").join(file), folder.join(file)).expect("copied");
            }
            let text = std::fs::read_to_string(example_manifest()).expect("the manifest");
            let text = text.replace("version: \"1\"", &format!("version: \"{version}\""));
            std::fs::write(folder.join("manifest.yaml"), text).expect("written");
            let records = match version {
                "1" => records.clone(),
                _ => {
                    let text = std::fs::read_to_string(&records).expect("read");
                    let other = directory.path().join("records-2.jsonl");
                    std::fs::write(&other, text.replace("\"version\":\"1\"", "\"version\":\"2\"")).expect("written");
                    other
                }
            };
            let mut command = driftd();
            command.args(["reference", "fit", "--device", "cpu", "--threads", "1", "--window", "2s", "-m"]);
            command
                .arg(folder.join("manifest.yaml"))
                .arg("-i")
                .arg(records)
                .arg("-o")
                .arg(folder.join("reference.bin"));
            succeed(&mut command);
        }
        World { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn place(&self, file: &str) -> String {
        format!("{}/{{version}}/{file}", self.directory.path().display())
    }
}

fn message(alias: &str, version: &str, at: &str) -> String {
    json!({"entity": "model_version_alias", "action": "created", "timestamp": at,
        "data": {"name": "support-mtl", "alias": alias, "version": version}})
    .to_string()
}

async fn send(registry: &Registry, id: &str, body: &str) -> Result<Taken, Refused> {
    let secs = registry.clock.now().micros() / 1_000_000;
    let (timestamp, signature) = (secs.to_string(), sign(SECRET.as_bytes(), id, secs, body));
    registry.take(Delivery { id, timestamp: &timestamp, signature: &signature, body }).await
}

async fn a_promotion_counts_once(world: &World, store: SqlStore) {
    let followed = Followed {
        model: "support".into(),
        config_version: "1".into(),
        registered: "support-mtl".into(),
        alias: "champion".into(),
        secret: secret(SECRET),
        manifest: world.place("manifest.yaml"),
        reference: world.place("reference.bin"),
    };
    let clock = clock::Clock::from_fn(|| Timestamp::from_micros(1_800_000_000_000_000));
    let registry = Registry { followed: vec![followed], store: Arc::new(store.clone()), clock };
    let (early, late) = ("2026-11-28T08:00:00.123456+00:00", "2026-11-28T09:00:00+00:00");

    // Forged, stale, or not for us.
    let body = message("champion", "2", early);
    let secs = 1_800_000_000_i64;
    for (id, secs, key) in
        [("d", secs, "guess"), ("d", secs - 301, SECRET), ("d", secs + 301, SECRET), ("", secs, SECRET)]
    {
        let (timestamp, signature) = (secs.to_string(), sign(key.as_bytes(), id, secs, &body));
        let taken = registry.take(Delivery { id, timestamp: &timestamp, signature: &signature, body: &body }).await;
        assert!(matches!(taken, Err(Refused::Unsigned)), "{id} {secs} {key}: {taken:?}");
    }
    assert_eq!(send(&registry, "d", &message("staging", "2", early)).await.expect("taken"), Taken::Ignored);
    let created = body.replace("_alias", "").replace("\"alias\":\"champion\",", "");
    assert_eq!(send(&registry, "d", &created).await.expect("taken"), Taken::Ignored);
    for (body, why) in [
        ("{}".to_owned(), "no event"),
        (message("champion", "../2", early), "a path"),
        (message("champion", "2", "x"), "no time"),
    ] {
        assert!(matches!(send(&registry, "d", &body).await, Err(Refused::Malformed)), "{why}");
    }
    let missing = send(&registry, "d", &message("champion", "7", early)).await;
    assert!(matches!(&missing, Err(Refused::NotYet(file)) if file.ends_with("/7/manifest.yaml")), "{missing:?}");
    std::fs::create_dir_all(world.path("3")).expect("a folder");
    for file in ["model.onnx", "tokenizer.json", "manifest.yaml"] {
        std::fs::copy(world.path("2").join(file), world.path("3").join(file)).expect("copied");
    }
    std::fs::copy(world.path("1/reference.bin"), world.path("3/reference.bin")).expect("copied");
    let unfit = send(&registry, "d", &message("champion", "3", early)).await;
    assert!(matches!(&unfit, Err(Refused::Unfit { reason, .. }) if reason.contains("version `1`")), "{unfit:?}");
    assert_eq!(store.promotion("support").await.expect("read"), None, "nothing has changed");

    // It counts once, with its reference, and is in the audit.
    let Taken::Started { version, reference_id, .. } =
        send(&registry, "d-2", &message("champion", "2", late)).await.expect("taken")
    else {
        panic!("it starts")
    };
    let promotion = store.promotion("support").await.expect("read").expect("is there");
    assert_eq!((version.as_str(), promotion.version.as_str(), promotion.config_version.as_str()), ("2", "2", "1"));
    assert_eq!(promotion.at, Timestamp::parse(late).expect("a time"));
    let active = store.active_reference("support").await.expect("read").expect("one is active");
    assert_eq!((active.reference_id, active.version.as_str()), (reference_id, "2"));
    assert_eq!(send(&registry, "d-2", &message("champion", "2", late)).await.expect("taken"), Taken::Repeated);
    // An older word that comes later, after a retry, does not count.
    assert_eq!(send(&registry, "d-1", &message("champion", "1", early)).await.expect("taken"), Taken::Superseded);
    assert_eq!(store.promotion("support").await.expect("read"), Some(promotion));
    let filter = AuditFilter { action: Some("model.promote".into()), ..AuditFilter::default() };
    let audited = store.audits(&filter, 10).await.expect("read");
    assert_eq!(audited.len(), 1);
    assert_eq!(
        (audited[0].actor_id.as_str(), audited[0].means.as_str(), audited[0].object.as_str()),
        ("mlflow:support-mtl", "webhook", "support")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_counts_once_on_both_stores() {
    let world = World::new();
    let sqlite = SqlStore::open(&secret(&sqlite_url(world.directory.path()))).await.expect("opens");
    a_promotion_counts_once(&world, sqlite).await;
    std::fs::remove_dir_all(world.path("3")).expect("removed");
    let postgres = SqlStore::open(&secret(&support::fresh_database().await)).await.expect("opens");
    a_promotion_counts_once(&world, postgres).await;
}

/// The real binary, killed when dropped.
struct Running {
    child: Child,
    api: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(world: &World, config_version: &str, receiver: &str) -> Running {
    let (api, ops) = (free_port(), free_port());
    let file = world.path(&format!("driftd-{api}.yaml"));
    let manifest = world.path(config_version).join("manifest.yaml");
    let text = format!(
        "store: {{url: '{}'}}\nmodels:\n  - manifest: '{}'\n    reference: '{}'\n    window: {{length: 2s}}\n    mlflow: \
         {{registered_model: support-mtl, secret: {{env: TEST_MLFLOW_SECRET}}, manifest: '{}', reference: '{}'}}\n\
         endpoints: [{{name: pager, url: '{receiver}', secret: {{env: TEST_SECRET}}}}]\n\
         api: {{listen: '127.0.0.1:{api}'}}\nops: {{listen: '127.0.0.1:{ops}'}}\n",
        sqlite_url(world.directory.path()),
        manifest.display(),
        world.path(config_version).join("reference.bin").display(),
        world.place("manifest.yaml"),
        world.place("reference.bin"),
    );
    std::fs::write(&file, text).expect("written");
    let log = std::fs::File::create(world.path("driftd.log")).expect("a log");
    let mut command = driftd();
    command.args(["run", "--roles", "judge,deliver,api", "-c"]).arg(&file);
    command.env("TEST_MLFLOW_SECRET", SECRET).env("TEST_SECRET", support::SECRET);
    let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("starts");
    Running { child, api: format!("http://127.0.0.1:{api}/api/v1") }
}

/// What a judge of version 1 would have left: an alert that fires, of which the pager was told, and one that
/// is pending.
fn alarmed(reference: &str) -> Judged {
    let now = clock::now();
    let alert = |state: &str| {
        let row = AlertRow {
            alert_id: format!("al_{state}"),
            model: "support".into(),
            reference_id: reference.into(),
            state: state.into(),
            cause: "head".into(),
            cause_task: Some("intent".into()),
            cause_segment: None,
            cause_part: None,
            versions: "[]".into(),
            tasks_affected: "[\"intent\"]".into(),
            summary: "head `intent` answers differently".into(),
            opened: now,
            opened_window: now,
            resolved: None,
            ln_evidence: Some(12.0),
            ln_threshold: 9.0,
            guarantee: r#"{"status": "valid", "reason": ""}"#.into(),
            evidence: "[]".into(),
        };
        let transition = TransitionRow {
            transition_id: format!("tr_{state}"),
            alert_id: row.alert_id.clone(),
            at: now,
            from: "inactive".into(),
            to: state.into(),
            reason: "evidence reached the threshold".into(),
        };
        (row, transition)
    };
    let body = json!({"type": "drift.alarm.firing", "timestamp": now,
        "data": {"alarm_id": "al_firing", "model": {"name": "support", "version": "1"}, "cause": {"kind": "head"}}});
    Judged {
        model: "support".into(),
        expected_version: 0,
        reference_id: reference.into(),
        next_slot: None,
        course: Vec::new(),
        consumed: Vec::new(),
        report: None,
        statistics: Vec::new(),
        alerts: vec![alert("firing"), alert("pending")],
        request: None,
        covered: None,
        deliveries: vec![NewDelivery {
            delivery_id: "msg_1".into(),
            endpoint: "pager".into(),
            event: "drift.alarm.firing".into(),
            model: "support".into(),
            body: body.to_string(),
            thread: Thread { alert_id: Some("al_firing".into()), ..Thread::default() },
        }],
        labels: LabelChanges::default(),
        shadow: None,
        examples: Vec::new(),
        now,
    }
}

/// Waits until the API says that this version is watched.
async fn watched(running: &Running, version: &str, log: &Path) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Ok(answer) = reqwest::get(format!("{}/models/support", running.api)).await
            && let Ok(model) = answer.json::<Value>().await
            && model["version"] == version
        {
            return model;
        }
        let said = || std::fs::read_to_string(log).unwrap_or_default();
        assert!(Instant::now() < deadline, "version {version} is not watched:\n{}", said());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_goes_on_with_what_was_promoted() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::new();
    let log = world.path("driftd.log");
    let (url, arrivals) = support::receiver().await;
    let running = start(&world, "1", &url);
    let before = watched(&running, "1", &log).await;
    let store = SqlStore::open(&secret(&sqlite_url(world.directory.path()))).await.expect("opens");
    let reference = before["reference"]["id"].as_str().expect("an id");
    assert!(store.commit_judged(&alarmed(reference)).await.expect("applied"));
    let body = message("champion", "2", "2026-11-28T08:00:00+00:00");
    let secs = clock::now().micros() / 1_000_000;
    let post = async |key: &str| {
        let request = reqwest::Client::new().post(format!("{}/mlflow/webhook", running.api)).body(body.clone());
        let request = request.header("x-mlflow-delivery-id", "d-1").header("x-mlflow-timestamp", secs.to_string());
        let request = request.header("x-mlflow-signature", sign(key.as_bytes(), "d-1", secs, &body));
        let answer = request.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    assert_eq!(post("guess").await.0, 401);
    let (status, taken) = post(SECRET).await;
    assert_eq!((status, &taken["outcome"], &taken["version"]), (200, &json!("started"), &json!("2")), "{taken}");
    let after = watched(&running, "2", &log).await;
    assert_ne!(before["reference"]["id"], after["reference"]["id"], "{before} {after}");
    assert_eq!(post(SECRET).await.1["outcome"], "repeated");
    // No window of the new version could end what was open: it is closed, and whoever heard of it is told.
    let told = || async { arrivals.first("drift.alarm.resolved") };
    let resolved = support::eventually("the old alert's end", Duration::from_secs(30), told).await;
    let data = &resolved["data"];
    assert_eq!((&data["alarm_id"], &data["state"]), (&json!("al_firing"), &json!("resolved")), "{resolved}");
    assert_eq!((&data["model"]["version"], &data["reason"]), (&json!("1"), &json!("superseded by version `2`")));
    assert!(store.open_alerts("support").await.expect("read").is_empty());
    let ends = ["al_firing", "al_pending"].map(async |id| {
        let row = store.alert(id).await.expect("read").expect("is there");
        let last = store.transitions(id).await.expect("read").pop().expect("one");
        (row.state, row.resolved == Some(last.at), last.reason)
    });
    for (end, state) in ends.into_iter().zip(["resolved", "inactive"]) {
        assert_eq!(end.await, (state.to_owned(), true, "superseded by version `2`".to_owned()));
    }
    assert_eq!(arrivals.all().iter().filter(|(_, m)| m["type"] == "drift.alarm.resolved").count(), 1);
    // It outlives the process; a configuration that names another version goes first.
    drop(running);
    let running = start(&world, "1", &url);
    watched(&running, "2", &log).await;
    drop(running);
    std::fs::rename(world.path("2"), world.path("away")).expect("moved");
    let running = start(&world, "1", &url);
    watched(&running, "1", &log).await;
    let said = std::fs::read_to_string(&log).expect("a log");
    assert!(said.contains("cannot be watched"), "{said}");
}

/// `scripts/with-mlflow.sh -- cargo test --test registry -- --ignored real_mlflow`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real MLflow: scripts/with-mlflow.sh"]
async fn a_real_mlflow_is_followed() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let world = World::new();
    let log = world.path("driftd.log");
    let (url, _) = support::receiver().await;
    let running = start(&world, "1", &url);
    watched(&running, "1", &log).await;
    let mlflow = format!("{}/api/2.0/mlflow", support::service("DRIFTD_TEST_MLFLOW"));
    let call = async |path: &str, body: Value| {
        let answer =
            reqwest::Client::new().post(format!("{mlflow}/{path}")).json(&body).send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.expect("a text"));
        assert!(status.is_success(), "{path}: {status} {text}");
    };
    call("registered-models/create", json!({"name": "support-mtl"})).await;
    for _ in 0..2 {
        call("model-versions/create", json!({"name": "support-mtl", "source": "s3://models/support"})).await;
    }
    let hook = json!({"name": "driftd", "url": format!("{}/mlflow/webhook", running.api), "secret": SECRET,
        "events": [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]});
    call("webhooks", hook).await;
    call("registered-models/alias", json!({"name": "support-mtl", "alias": "champion", "version": "2"})).await;
    watched(&running, "2", &log).await;
}
