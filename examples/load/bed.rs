//! A topic, a database, a reference and daemons of a measurement's own, and the records it sends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use driftd::config::raw::Device;
use driftd::drift::time::{Span, Timestamp};
use driftd::model::Manifest;
use driftd::model::onnx::OnnxModel;
use driftd::simulate::grammar::Grammar;
use driftd::simulate::{Plan, Traffic};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};

/// Partitions of a topic.
pub const PARTITIONS: i32 = 4;
/// Different records; they come again with other times.
pub const DISTINCT: usize = 20_000;
/// The head that labels are about, and one in so many labels that says it was wrong.
pub const TASK: &str = "intent";
const WRONG: usize = 20;

/// A record with another time.
pub fn dated(record: &str, at: Timestamp) -> String {
    replaced(record, "timestamp", &at.to_string())
}

/// A record with another value of a key whose value is a plain string.
pub fn replaced(record: &str, key: &str, value: &str) -> String {
    let key = format!("\"{key}\":\"");
    let from = record.find(&key).map_or(0, |i| i + key.len());
    let to = from + record[from..].find('"').unwrap_or(0);
    format!("{}{value}{}", &record[..from], &record[to..])
}

/// The same records with these labels of [`TASK`].
pub fn labelled(records: &[(String, String)], labels: &[String]) -> Vec<(String, String)> {
    let with = |((id, record), label): (&(String, String), &String)| {
        let open = record.strip_suffix('}').unwrap_or(record);
        (id.clone(), format!("{open},\"labels\":{{\"{TASK}\":\"{label}\"}}}}"))
    };
    records.iter().zip(labels).map(with).collect()
}

/// A label of a prediction.
pub fn label(id: &str, label: &str, at: Timestamp) -> String {
    format!(r#"{{"schema":"label/v1","prediction_id":"{id}","task":"{TASK}","label":"{label}","labeled_at":"{at}"}}"#)
}

/// What each record's head answered; the answer of the record before where the label says it was wrong.
pub fn labels(records: &[(String, String)]) -> anyhow::Result<Vec<String>> {
    let answer = |(_, record): &(String, String)| -> anyhow::Result<String> {
        let record: serde_json::Value = serde_json::from_str(record)?;
        Ok(record["outputs"][TASK]["label"].as_str().context("a class")?.to_owned())
    };
    let answers = records.iter().map(answer).collect::<anyhow::Result<Vec<_>>>()?;
    Ok((0..answers.len()).map(|i| answers[i.saturating_sub(usize::from(i % WRONG == 0))].clone()).collect())
}

/// So many different records of the example model, with its answers.
pub fn traffic(count: usize, interval: Span) -> anyhow::Result<Vec<(String, String)>> {
    let manifest = Manifest::load(&example())?;
    let grammar = Grammar::load(&example().with_file_name("grammar.yaml"))?;
    let model = OnnxModel::load(manifest, Device::Cpu, 2, None)?;
    let start = Timestamp::parse("2019-12-01T00:00:00Z").context("a time")?;
    let plan = Plan { seed: 1, start, interval, drift: None, drift_after: 0, predictions: true };
    let mut traffic = Traffic::new(grammar, model, plan);
    Ok(tokio::task::block_in_place(|| traffic.next(count))?)
}

pub fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/support/manifest.yaml")
}

/// A reference of these records.
pub fn fit(directory: &Path, records: &[(String, String)], window: &str) -> anyhow::Result<PathBuf> {
    let (file, reference) = (directory.join("records.jsonl"), directory.join("ref.bin"));
    let lines: Vec<&str> = records.iter().map(|(_, r)| r.as_str()).collect();
    std::fs::write(&file, lines.join("\n"))?;
    let mut command = Command::new(driftd());
    command.args(["reference", "fit", "--device", "cpu", "--window", window, "-m"]).arg(example());
    let status = command.arg("-i").arg(&file).arg("-o").arg(&reference).stdout(Stdio::null()).status()?;
    ensure!(status.success(), "the reference could not be fitted");
    Ok(reference)
}

/// The binary beside this one: built by the same profile.
pub fn driftd() -> PathBuf {
    let here = std::env::current_exe().expect("a running program has a path");
    here.parent().and_then(Path::parent).expect("target/PROFILE/examples").join("driftd")
}

/// A topic, a database, and a configuration that names them.
pub struct Bed {
    pub brokers: String,
    pub topic: String,
    store: String,
    directory: PathBuf,
    text: String,
    /// Ports given so far.
    taken: AtomicU16,
}

impl Bed {
    pub async fn new(directory: &Path, reference: &Path, window: &str, more: &str) -> anyhow::Result<Bed> {
        let brokers = std::env::var("KAFKA_BROKERS").context("KAFKA_BROKERS")?;
        let admin = std::env::var("POSTGRES_URL").context("POSTGRES_URL")?;
        let name = format!("load_{}", uuid::Uuid::now_v7().simple());
        sqlx::any::install_default_drivers();
        let mut connection = AnyConnection::connect(&admin).await?;
        connection.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await?;
        let (server, _) = admin.rsplit_once('/').context("the URL names a database")?;
        let store = format!("{server}/{name}");
        let kafka: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &brokers).create()?;
        let dead = format!("{name}-dead");
        // What was read may go: a soak must not fill the disk.
        let short = |topic| {
            NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1))
                .set("retention.bytes", "536870912")
                .set("segment.bytes", "67108864")
        };
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)));
        for outcome in kafka.create_topics(&[short(&name), short(&dead)], &options).await? {
            outcome.map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}"))?;
        }
        let text = format!(
            "kafka: {{brokers: '{brokers}', group: '{name}', topics: ['{name}'], start: earliest, dead_letter_topic: '{dead}'}}\n\
             store: {{url: '{store}'{more}}}\n\
             models: [{{manifest: '{}', reference: '{}', infer: never, window: {{length: {window}}}}}]\n",
            example().display(),
            reference.display(),
        );
        Ok(Bed { brokers, topic: name, store, directory: directory.to_owned(), text, taken: AtomicU16::new(0) })
    }

    pub fn start(&self, roles: &str) -> anyhow::Result<Daemon> {
        let port = self.free_port().context("no free port between 20000 and 32000")?;
        let file = self.directory.join(format!("driftd-{port}.yaml"));
        let listen = format!("api: {{listen: '127.0.0.1:0'}}\nops: {{listen: '127.0.0.1:{port}'}}\n");
        std::fs::write(&file, format!("{}{listen}", self.text))?;
        let mut command = Command::new(driftd());
        command.args(["run", "--roles", roles, "-c"]).arg(&file).env("RUST_LOG", "error");
        Ok(Daemon { ops: format!("http://127.0.0.1:{port}"), child: command.spawn()? })
    }

    /// A free port that none of its daemons was given before. It lies below the range from which the system takes the
    /// local ports of outgoing connections: there any client may take it before the daemon does.
    fn free_port(&self) -> Option<u16> {
        const PORTS: std::ops::Range<u16> = 20_000..32_000;
        let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let port = PORTS.skip(usize::from(self.taken.load(Ordering::Relaxed))).find(free)?;
        self.taken.store(port + 1 - PORTS.start, Ordering::Relaxed);
        Some(port)
    }

    pub async fn connect(&self) -> anyhow::Result<AnyConnection> {
        Ok(AnyConnection::connect(&self.store).await?)
    }
}

/// Offsets passed over all partitions.
pub async fn passed(connection: &mut AnyConnection) -> anyhow::Result<i64> {
    // Before the daemon has made its tables there is nothing.
    let there = connection.fetch_one("select coalesce(to_regclass('position')::text, '') as name").await?;
    if there.try_get::<String, _>("name")?.is_empty() {
        return Ok(0);
    }
    let sum = "select cast(coalesce(sum(next_offset - first_offset), 0) as bigint) as n from position";
    Ok(connection.fetch_one(sum).await?.try_get("n")?)
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    /// Where its metrics are.
    pub ops: String,
    child: Child,
}

impl Daemon {
    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn status(&self, key: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|l| l.starts_with(key)).with_context(|| key.to_owned())?;
        Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
    }

    /// User and system time so far, at Linux's hundred ticks a second.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(") ").context("a name")?;
        let ticks = |i: usize| fields.split(' ').nth(i).and_then(|f| f.parse::<f64>().ok()).context("ticks");
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
