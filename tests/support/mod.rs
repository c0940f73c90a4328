//! What integration tests share: services from the environment, folders of their own, a receiver
//! that remembers what arrives. `make test` starts the services; without them tests fail and say so.

#![allow(dead_code, reason = "each test file uses its own part of this")]

pub mod daemon;
pub mod proxy;
pub mod services;
pub mod texts;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use secrecy::SecretString;
use serde_json::Value;

/// A valid signing secret.
pub const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// The repository's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The example model's manifest.
pub fn example_manifest() -> PathBuf {
    root().join("examples/support/manifest.yaml")
}

/// The development data, where a checkout has them.
pub fn development_data() -> Option<PathBuf> {
    let path = root().join("../shared/data/assist");
    path.join("model_card.json").exists().then_some(path)
}

/// A service's address from the environment.
pub fn service(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("`{name}` is not set: run the tests with `make test`"))
}

/// The binary under test, with ONNX Runtime from the repository where the environment names none.
pub fn driftd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftd"));
    command.env("ORT_DYLIB_PATH", onnxruntime());
    command
}

/// Makes a library to preload from a C file of the fault tests.
pub fn compile(name: &str, library: &Path) {
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(library).arg(root().join("tests/faults").join(name));
    assert!(compiler.arg("-ldl").status().expect("a C compiler").success());
}

/// ONNX Runtime's shared library.
pub fn onnxruntime() -> PathBuf {
    std::env::var_os("ORT_DYLIB_PATH").map_or_else(|| root().join(".deps/onnxruntime/libonnxruntime.so"), PathBuf::from)
}

/// Runs the binary and wants success.
pub fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the binary starts");
    assert!(status.success(), "{command:?} ended with {status}:\n{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).expect("output is UTF-8")
}

/// Runs the binary and wants an exit code; returns what it said on stderr.
pub fn fail_with(command: &mut Command, code: i32) -> String {
    let Output { status, stderr, .. } = command.output().expect("the binary starts");
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(code), "{command:?} said:\n{said}");
    said
}

/// Simulated records in a file; extra arguments go to `driftd simulate`.
pub fn simulate(file: &Path, count: usize, arguments: &[&str]) {
    let mut command = driftd();
    command.args(["simulate", "--device", "cpu", "--threads", "1", "-n", &count.to_string(), "-m"]);
    succeed(command.arg(example_manifest()).arg("-o").arg(file).args(arguments));
}

/// A reference of the example model over windows of a length.
pub fn example_reference(directory: &Path, window: &str) -> PathBuf {
    let (records, reference) = (directory.join("reference.jsonl"), directory.join("reference.bin"));
    simulate(&records, 12_000, &["--seed", "11", "--interval", "10ms", "--start", "2026-03-01T00:00:00Z"]);
    let mut command = driftd();
    command.args(["reference", "fit", "--device", "cpu", "--threads", "1", "--window", window, "-m"]);
    succeed(command.arg(example_manifest()).arg("-i").arg(&records).arg("-o").arg(&reference));
    reference
}

/// A database of its own in the test's Postgres.
pub async fn fresh_database() -> String {
    fresh_database_at(&service("POSTGRES_URL")).await
}

/// A database of its own in some Postgres.
pub async fn fresh_database_at(admin: &str) -> String {
    use sqlx::{Connection, Executor};
    sqlx::any::install_default_drivers();
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    let mut connection = sqlx::AnyConnection::connect(admin).await.expect("Postgres answers");
    connection.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.expect("a database is created");
    let (server, _) = admin.rsplit_once('/').expect("the URL names a database");
    format!("{server}/{name}")
}

/// A SQLite URL in a folder.
pub fn sqlite_url(directory: &Path) -> String {
    format!("sqlite:{}", directory.join("driftd.db").display())
}

/// A secret string of a URL.
pub fn secret(url: &str) -> SecretString {
    SecretString::from(url.to_owned())
}

/// Topics with names of their own: (records, dead letters).
pub async fn fresh_topics(partitions: i32) -> (String, String) {
    fresh_topics_at(&service("KAFKA_BROKERS"), partitions).await
}

/// An administrator's client.
pub fn administrator(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", brokers).create().expect("an admin client")
}

/// Topics at a broker.
pub async fn fresh_topics_at(brokers: &str, partitions: i32) -> (String, String) {
    let stem = uuid::Uuid::now_v7().simple().to_string();
    let topics = (format!("records-{stem}"), format!("dead-{stem}"));
    create_topic(brokers, &topics.0, partitions).await;
    create_topic(brokers, &topics.1, 1).await;
    topics
}

/// Creates a topic, and waits until the broker shows it.
pub async fn create_topic(brokers: &str, topic: &str, partitions: i32) {
    let new = [NewTopic::new(topic, partitions, TopicReplication::Fixed(1))];
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
    for outcome in administrator(brokers).create_topics(&new, &options).await.expect("the broker answers") {
        outcome.expect("the topic is created");
    }
}

/// Waits for a condition, or fails after a deadline with what was waited for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What arrived at a receiver.
#[derive(Clone, Default)]
pub struct Arrivals {
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    statuses: Arc<Mutex<Vec<u16>>>,
}

impl Arrivals {
    /// Event types with bodies, in the order of arrival; only signed ones are taken.
    pub fn all(&self) -> Vec<(String, Value)> {
        self.seen.lock().expect("not poisoned").clone()
    }

    /// Statuses to answer with first, before 204 for ever.
    pub fn answer_first(&self, statuses: &[u16]) {
        *self.statuses.lock().expect("not poisoned") = statuses.iter().rev().copied().collect();
    }

    /// The first body of a type.
    pub fn first(&self, event: &str) -> Option<Value> {
        self.all().into_iter().find(|(_, body)| body["type"] == event).map(|(_, body)| body)
    }
}

/// An HTTP receiver that checks signatures; returns its URL.
pub async fn receiver() -> (String, Arrivals) {
    async fn take(State(arrivals): State<Arrivals>, headers: HeaderMap, body: String) -> StatusCode {
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let key = driftd::signature::key(SECRET).expect("a valid secret");
        let (id, time) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap_or_default());
        if driftd::signature::sign(&key, &id, time, &body) != header("webhook-signature") {
            return StatusCode::UNAUTHORIZED;
        }
        arrivals.seen.lock().expect("not poisoned").push((id, serde_json::from_str(&body).expect("JSON")));
        let status = arrivals.statuses.lock().expect("not poisoned").pop();
        status.map_or(StatusCode::NO_CONTENT, |s| StatusCode::from_u16(s).expect("a status"))
    }
    let arrivals = Arrivals::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let router = Router::new().route("/hook", post(take)).with_state(arrivals.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, arrivals)
}

/// GET, as JSON.
pub async fn get_json(url: &str) -> Option<Value> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::get(url).await.ok()?.json().await.ok()
}
