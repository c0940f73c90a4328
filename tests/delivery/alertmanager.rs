//! A real Alertmanager: an alert is grouped, told, survives a restart that forgets everything, and resolves.
//! `scripts/setup.sh alertmanager` fetches it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use driftd::deliver;
use driftd::hook::receiver::Target;
use driftd::store::Thread;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::doors::{Change, doors, route, store, write};
use super::support::daemon::free_port;
use super::support::{eventually, root, secret};

const PATIENCE: Duration = Duration::from_secs(60);

/// A running Alertmanager; ends with the test.
struct Alertmanager {
    process: Child,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn binary() -> PathBuf {
    let ours = root().join(".deps/alertmanager/bin/prometheus-alertmanager");
    let found = [ours, PathBuf::from("/usr/bin/prometheus-alertmanager")].into_iter().find(|p| p.exists());
    found.expect("Alertmanager is there: run scripts/setup.sh alertmanager, or the tests with `make test`")
}

/// Starts one with an empty memory, and waits until it is ready.
async fn start(directory: &Path, port: u16, receiver: &str) -> Alertmanager {
    let config = directory.join("alertmanager.yml");
    let yaml = format!(
        "route: {{receiver: us, group_by: [model], group_wait: 1s, group_interval: 2s, repeat_interval: 1h}}\n\
         receivers: [{{name: us, webhook_configs: [{{url: '{receiver}', send_resolved: true}}]}}]\n"
    );
    std::fs::write(&config, yaml).expect("writes");
    let data = directory.join(format!("data-{}", uuid::Uuid::now_v7().simple()));
    let log = std::fs::File::create(directory.join("alertmanager.log")).expect("a log");
    let process = Command::new(binary())
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", data.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("Alertmanager starts");
    let started = Alertmanager { process };
    let ready = format!("http://127.0.0.1:{port}/-/ready");
    eventually("Alertmanager", PATIENCE, || async {
        reqwest::get(&ready).await.ok().filter(|answer| answer.status().is_success())
    })
    .await;
    started
}

/// What Alertmanager tells our webhook.
async fn receiver() -> (String, Arc<Mutex<Vec<Value>>>) {
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let kept = seen.clone();
    let take = move |axum::Json(body): axum::Json<Value>| {
        kept.lock().expect("not poisoned").push(body);
        async { StatusCode::OK }
    };
    let router = axum::Router::new().route("/", axum::routing::post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, seen)
}

/// Alerts that it holds, active ones only.
async fn active(port: u16) -> Vec<Value> {
    let url = format!("http://127.0.0.1:{port}/api/v2/alerts?active=true");
    match reqwest::get(&url).await {
        Ok(answer) => answer.json().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_alertmanager_groups_survives_a_restart_and_resolves() {
    let directory = tempfile::tempdir().expect("a folder");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (hook, told) = receiver().await;
    let port = free_port();
    let alertmanager = start(directory.path(), port, &hook).await;

    let (_store_directory, store) = store().await;
    let address = format!("http://127.0.0.1:{port}/api/v2/alerts");
    let target = Target::Alertmanager { urls: vec![secret(&address)], bearer: None };
    let mut built =
        Arc::into_inner(doors(Arc::new(store.clone()), [route("am", target, Duration::from_secs(5))])).expect("ours");
    // A minute in production; the test has no such patience.
    built.resend_every = Duration::from_millis(500);
    let clock = built.clock.clone();
    let stop = CancellationToken::new();
    let running = tokio::spawn(deliver::run(built, Arc::default(), stop.clone()));

    let change = |alert, event, number| Change {
        alert,
        event,
        number,
        endpoints: &["am"],
        now: clock.now(),
        thread: Thread::default(),
    };
    write(&store, change("al_1", "firing", 1)).await;
    let first = eventually("the first message", PATIENCE, || async {
        told.lock().expect("not poisoned").iter().find(|b| b["status"] == "firing").cloned()
    })
    .await;
    assert_eq!(first["groupLabels"], json!({"model": "m"}));
    assert_eq!(first["alerts"][0]["labels"]["alertname"], "ModelDrift");
    assert!(first["alerts"][0]["annotations"]["what_to_do"].as_str().is_some_and(|t| t.len() > 20));
    // Our own webhooks say the same fingerprint for the same labels.
    let held = active(port).await;
    let labels = held[0]["labels"].as_object().expect("labels").clone();
    assert_eq!(held[0]["fingerprint"], fingerprint(&labels), "{labels:?}");

    // It forgets everything; within an interval it knows again.
    drop(alertmanager);
    let _again = start(directory.path(), port, &hook).await;
    eventually("the alert after the restart", PATIENCE, || async {
        active(port).await.iter().any(|a| a["annotations"]["driftd_id"] == "al_1").then_some(())
    })
    .await;

    write(&store, change("al_1", "resolved", 2)).await;
    eventually("the end", PATIENCE, || async {
        told.lock().expect("not poisoned").iter().any(|b| b["status"] == "resolved").then_some(())
    })
    .await;
    assert!(active(port).await.is_empty(), "nothing stands any more");

    // Why a 400 never means that nothing happened: it took what was right of this batch.
    let batch = json!([{"labels": {"alertname": "Good"}}, {"labels": {"alertname": ""}}]);
    let answer = reqwest::Client::new()
        .post(&address)
        .header("content-type", "application/json")
        .body(batch.to_string())
        .send()
        .await
        .expect("answers");
    assert_eq!(answer.status().as_u16(), 400);
    eventually("the good half", PATIENCE, || async {
        active(port).await.iter().any(|a| a["labels"]["alertname"] == "Good").then_some(())
    })
    .await;
    stop.cancel();
    running.await.expect("ends");
}

/// What this driftd would say of these labels in a webhook of version 4.
fn fingerprint(labels: &serde_json::Map<String, Value>) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let sorted: std::collections::BTreeMap<&String, &Value> = labels.iter().collect();
    for text in sorted.into_iter().flat_map(|(name, value)| [name.as_str(), value.as_str().unwrap_or_default()]) {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}
