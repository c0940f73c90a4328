//! The configuration's file changes under the real binary: what is safe takes effect, the rest waits, and a
//! wrong file changes nothing.

mod support;

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::daemon::free_port;
use support::{driftd, eventually, example_manifest, succeed};

/// The example model.
const MODEL: &str = "support";
/// Longer than two looks at the file on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A folder as Kubernetes mounts a ConfigMap: the file is a link into `..data`, itself a link that is replaced.
struct ConfigMap(PathBuf);

impl ConfigMap {
    fn write(&self, version: u32, text: &str) {
        let folder = self.0.join(format!("..v{version}"));
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("driftd.yaml"), text).expect("written");
        symlink(folder, self.0.join("..next")).expect("linked");
        std::fs::rename(self.0.join("..next"), self.0.join("..data")).expect("swapped");
        if version == 0 {
            symlink("..data/driftd.yaml", self.file()).expect("linked");
        }
    }

    fn file(&self) -> PathBuf {
        self.0.join("driftd.yaml")
    }
}

struct Running {
    child: Child,
    api: String,
    ops: String,
    key: String,
    log: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    async fn get(&self, path: &str) -> Option<Value> {
        let request = reqwest::Client::new().get(format!("{}/api/v1/{path}", self.api)).bearer_auth(&self.key);
        request.send().await.ok()?.error_for_status().ok()?.json().await.ok()
    }

    /// Waits until a value of the settings' answer is as expected.
    async fn settings(&self, pointer: &str, expected: Value) -> Value {
        let what = format!("`{pointer}` to be {expected}");
        eventually(&what, SOON, || async {
            self.get("settings").await.filter(|told| told.pointer(pointer) == Some(&expected))
        })
        .await
    }

    async fn metric(&self, name: &str) -> f64 {
        let text = reqwest::get(format!("{}/metrics", self.ops)).await.expect("answers").text().await.expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no `{name}` in {text}")).parse().expect("a number")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }
}

async fn start(directory: &Path, map: &ConfigMap, api: u16, ops: u16) -> Running {
    let key = succeed(driftd().args(["keys", "create", "test", "--role", "operator", "-c"]).arg(map.file()));
    let log = directory.join("driftd.log");
    let mut command = driftd();
    command.args(["run", "--roles", "api,judge", "-c"]).arg(map.file()).env_remove("RUST_LOG");
    let stderr = std::fs::File::create(&log).expect("a log");
    let child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("starts");
    let (api, ops) = (format!("http://127.0.0.1:{api}"), format!("http://127.0.0.1:{ops}"));
    let running = Running { child, api, ops, key: key.trim().to_owned(), log };
    let ready = || async { reqwest::get(format!("{}/readyz", running.ops)).await.ok()?.error_for_status().ok() };
    let _ = rustls::crypto::ring::default_provider().install_default();
    eventually("a start", Duration::from_secs(60), ready).await;
    running
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_taken_up_where_that_is_safe() {
    let directory = tempfile::tempdir().expect("a folder");
    let reference = support::example_reference(directory.path(), "2s");
    let map = ConfigMap(directory.path().join("map"));
    std::fs::create_dir(&map.0).expect("a folder");
    let (api, ops) = (free_port(), free_port());
    let first = format!(
        "store: {{url: '{}'}}\nmodels:\n  - manifest: '{}'\n    reference: '{}'\n    window: {{length: 2s}}\n    \
         budget: 1/30d\napi: {{listen: '127.0.0.1:{api}', auth: keys, limit: {{burst: 500}}}}\n\
         ops: {{listen: '127.0.0.1:{ops}'}}\n",
        support::sqlite_url(directory.path()),
        example_manifest().display(),
        reference.display()
    );
    map.write(0, &first);
    let daemon = start(directory.path(), &map, api, ops).await;
    let told = daemon.settings("/settings/models/0/budget", "1/30d".into()).await;
    assert_eq!((&told["waiting_for_restart"], &told["refused"]), (&Value::Array(vec![]), &Value::Null));

    // A swapped ConfigMap: the safe half counts, also for the judge and the log, the other half waits.
    let second = first.replace("1/30d", "1/7d").replace("length: 2s", "length: 2s, grace: 9s") + "log_levels: debug\n";
    map.write(1, &second);
    let told = daemon.settings("/settings/models/0/budget", "1/7d".into()).await;
    let waits = format!("models[{}].window.grace", example_manifest().display());
    assert_eq!(told["waiting_for_restart"], serde_json::json!([waits]));
    assert_eq!(told["settings"]["models"][0]["window"]["grace"], "30s", "what is in force is shown");
    eventually("the judge to register the budget", SOON, || async {
        daemon.get(&format!("models/{MODEL}")).await.filter(|told| told["budget"] == "1/7d")
    })
    .await;
    assert_eq!(daemon.metric("driftd_config_reloads_total{outcome=\"taken\"}").await, 1.0);
    assert_eq!(daemon.metric("driftd_config_waiting_settings").await, 1.0);
    eventually("details in the log", SOON, || async { daemon.log().contains("DEBUG").then_some(()) }).await;

    // A wrong file: everything stays, and it is told in the log, the metrics and the settings.
    map.write(2, &second.replace("1/7d", "often"));
    let refused = || async { daemon.get("settings").await.filter(|told| !told["refused"].is_null()) };
    let told = eventually("a refusal", SOON, refused).await;
    assert!(told["refused"]["why"].as_str().is_some_and(|why| why.contains("found `often`")), "{told}");
    assert_eq!(told["settings"]["models"][0]["budget"], "1/7d");
    assert_eq!(daemon.metric("driftd_config_last_reload_successful").await, 0.0);
    assert_eq!(daemon.metric("driftd_config_reloads_total{outcome=\"refused\"}").await, 1.0);
    assert!(daemon.log().lines().any(|line| line.contains("ERROR") && line.contains("is refused")));
    let ready = reqwest::get(format!("{}/readyz", daemon.ops)).await.expect("answers");
    assert!(ready.status().is_success(), "a wrong file stops no work");

    // SIGHUP asks for the same at once, and must not end the process.
    map.write(3, &first.replace("burst: 500", "burst: 3, per_second: 1"));
    let hang_up = Command::new("kill").args(["-HUP", &daemon.child.id().to_string()]).status();
    assert!(hang_up.expect("kill runs").success());
    let told = daemon.settings("/settings/api/limit/burst", 3.into()).await;
    assert_eq!((&told["waiting_for_restart"], &told["refused"]), (&Value::Array(vec![]), &Value::Null));
    assert_eq!(daemon.metric("driftd_config_last_reload_successful").await, 1.0);
    assert_eq!(daemon.metric("driftd_config_waiting_settings").await, 0.0);
    let before = daemon.metric("driftd_requests_limited_total").await;
    for _ in 0..6 {
        daemon.get("settings").await;
    }
    assert!(daemon.metric("driftd_requests_limited_total").await > before, "the new limit counts");
}
