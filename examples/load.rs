//! Sustained load with a real broker and a real Postgres, and a soak.
//!
//!     load rates            records a second and CPU a million records, with 1 and 4 replicas
//!     load soak MINUTES     memory, file descriptors, threads and tables over time; fails if they grow

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use driftd::config::raw::Device;
use driftd::drift::time::{Span, Timestamp};
use driftd::model::Manifest;
use driftd::model::onnx::OnnxModel;
use driftd::simulate::grammar::Grammar;
use driftd::simulate::{Plan, Traffic};
use driftd::source::producer::Producer;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};

const PARTITIONS: i32 = 4;
/// Records of a measurement of rates.
const RECORDS: usize = 1_200_000;
const DISTINCT: usize = 20_000;
/// A soak's records a second, and the event time from one to the next: a day in half a minute, so that
/// retention has days to drop.
const RATE: usize = 2_000;
const STEP: Span = Span::from_micros(1_440_000);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let directory = tempfile::tempdir()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["rates"] => rates(directory.path()).await,
        ["soak", minutes] => soak(directory.path(), minutes.parse()?).await,
        _ => bail!("load rates | load soak MINUTES"),
    }
}

async fn rates(directory: &Path) -> anyhow::Result<()> {
    let records = traffic(DISTINCT, Span::from_micros(5_000))?;
    let reference = fit(directory, &records, "10s")?;
    println!(
        "collect without inference: {RECORDS} records, {PARTITIONS} partitions, Postgres, judge and api beside it"
    );
    for replicas in [1, 4] {
        let bed = Bed::new(directory, &reference, "10s", "").await?;
        let producer = Producer::connect(&bed.brokers, &bed.topic)?;
        let start = Timestamp::parse("2020-01-01T00:00:00Z").context("a time")?;
        let mut sent = 0;
        while sent < RECORDS {
            let at = |i: usize| start.plus(Span::from_micros(5_000 * i as i64));
            let batch: Vec<(String, String)> =
                (sent..sent + 5_000).map(|i| (i.to_string(), dated(&records[i % DISTINCT].1, at(i)))).collect();
            producer.send(&batch).await?;
            sent += batch.len();
        }
        let mut daemons = Vec::new();
        for _ in 0..replicas {
            daemons.push(bed.start("collect")?);
        }
        daemons.push(bed.start("judge,deliver,api")?);
        let mut connection = bed.connect().await?;
        // The first fifth is for starting up and sharing partitions out.
        let mut looks = Vec::new();
        while looks.last().is_none_or(|(_, n)| *n < sent as i64) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            looks.push((Instant::now(), passed(&mut connection).await?));
        }
        let first = looks.iter().find(|(_, n)| *n >= sent as i64 / 5).copied().context("a look")?;
        let last = looks.iter().find(|(_, n)| *n >= sent as i64).copied().context("a look")?;
        let rate = (last.1 - first.1) as f64 / (last.0 - first.0).as_secs_f64();
        let cpu: f64 = daemons.iter().take(replicas).map(Daemon::cpu_seconds).sum::<anyhow::Result<f64>>()?;
        println!(
            "  {replicas} replica{}: {rate:>8.0} records/s, {:.1} CPU s a million records in the collecting processes",
            if replicas == 1 { " " } else { "s" },
            cpu * 1e6 / sent as f64,
        );
        let sizes =
            "select cast(count(*) as bigint) as windows, cast(coalesce(avg(length(summary)), 0) as bigint) as tallies,
            cast((select count(*) from statistic) as bigint) as statistics,
            cast((select sum(pg_total_relation_size(inhrelid)) from pg_inherits
                where inhparent in ('report'::regclass, 'statistic'::regclass)) as bigint) as bytes from report";
        let row = connection.fetch_one(sizes).await?;
        let number = |name: &str| row.try_get::<i64, _>(name);
        let windows = number("windows")?.max(1);
        println!(
            "    a window: {} bytes of tallies, {} statistics, {} bytes of tables with their indexes",
            number("tallies")?,
            number("statistics")? / windows,
            number("bytes")? / windows,
        );
    }
    Ok(())
}

/// One look at everything that may grow.
#[derive(Clone, Copy, Debug)]
struct Look {
    resident_mb: f64,
    descriptors: usize,
    threads: usize,
    tables_mb: f64,
    dead_rows: i64,
}

/// What is compared: its name, how it is read, and the growth allowed.
type Measure<'m> = (&'m str, &'m dyn Fn(&Look) -> f64, f64);

async fn soak(directory: &Path, minutes: usize) -> anyhow::Result<()> {
    ensure!(minutes >= 4, "a soak of less than four minutes says nothing");
    let records = traffic(DISTINCT, STEP)?;
    let reference = fit(directory, &records, "1h")?;
    let retention = ", retention: {statistics: 2m, windows: 2m, rollups: 4m, deliveries: 2m}";
    let bed = Bed::new(directory, &reference, "1h", retention).await?;
    let daemons = [bed.start("collect,judge,deliver,api")?, bed.start("collect,judge,deliver,api")?];
    let producer = Producer::connect(&bed.brokers, &bed.topic)?;
    let start = Timestamp::parse("2020-01-01T00:00:00Z").context("a time")?;
    let (began, mut sent, mut looks) = (Instant::now(), 0_usize, Vec::new());
    println!(
        "{:>6} {:>9} {:>8} {:>5} {:>8} {:>9} {:>9}",
        "minute", "records", "MB", "fds", "threads", "tables MB", "dead rows"
    );
    for second in 0..minutes * 60 {
        let at = |i: usize| start.plus(Span::from_micros(STEP.micros() * i as i64));
        let batch: Vec<(String, String)> =
            (sent..sent + RATE).map(|i| (i.to_string(), dated(&records[i % records.len()].1, at(i)))).collect();
        producer.send(&batch).await?;
        sent += RATE;
        let due = Duration::from_secs(second as u64 + 1);
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        if (second + 1) % 60 == 0 {
            let look = bed.look(&daemons).await?;
            println!(
                "{:>6} {sent:>9} {:>8.1} {:>5} {:>8} {:>9.1} {:>9}",
                (second + 1) / 60,
                look.resident_mb,
                look.descriptors,
                look.threads,
                look.tables_mb,
                look.dead_rows
            );
            looks.push(look);
        }
    }
    let mut connection = bed.connect().await?;
    while passed(&mut connection).await? < sent as i64 {
        ensure!(began.elapsed() < Duration::from_secs(minutes as u64 * 60 + 120), "the daemons do not keep up");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // The first quarter is for warming up; then thirds are compared.
    let settled = &looks[looks.len() / 4..];
    let third = (settled.len() / 3).max(1);
    let mean = |of: &dyn Fn(&Look) -> f64, part: &[Look]| part.iter().map(of).sum::<f64>() / part.len() as f64;
    let mut grown = Vec::new();
    let measures: [Measure; 4] = [
        ("resident memory", &|l| l.resident_mb, 0.05),
        ("file descriptors", &|l| l.descriptors as f64, 0.10),
        ("threads", &|l| l.threads as f64, 0.05),
        ("tables", &|l| l.tables_mb, 0.15),
    ];
    for (name, of, allowed) in measures {
        let (first, last) = (mean(of, &settled[..third]), mean(of, &settled[settled.len() - third..]));
        println!(
            "{name}: {first:.1}, then {last:.1} ({:+.1} %, allowed {:.0} %)",
            (last / first - 1.0) * 100.0,
            allowed * 100.0
        );
        if last > first * (1.0 + allowed) {
            grown.push(name);
        }
    }
    ensure!(grown.is_empty(), "what grew: {}", grown.join(", "));
    Ok(())
}

/// A record with another time.
fn dated(record: &str, at: Timestamp) -> String {
    const KEY: &str = "\"timestamp\":\"";
    let from = record.find(KEY).map_or(0, |i| i + KEY.len());
    let to = from + record[from..].find('"').unwrap_or(0);
    format!("{}{at}{}", &record[..from], &record[to..])
}

fn traffic(count: usize, interval: Span) -> anyhow::Result<Vec<(String, String)>> {
    let manifest = Manifest::load(&example())?;
    let grammar = Grammar::load(&example().with_file_name("grammar.yaml"))?;
    let model = OnnxModel::load(manifest, Device::Cpu, 2, None)?;
    let start = Timestamp::parse("2019-12-01T00:00:00Z").context("a time")?;
    let plan = Plan { seed: 1, start, interval, drift: None, drift_after: 0, predictions: true };
    let mut traffic = Traffic::new(grammar, model, plan);
    Ok(tokio::task::block_in_place(|| traffic.next(count))?)
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/support/manifest.yaml")
}

fn fit(directory: &Path, records: &[(String, String)], window: &str) -> anyhow::Result<PathBuf> {
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
fn driftd() -> PathBuf {
    let here = std::env::current_exe().expect("a running program has a path");
    here.parent().and_then(Path::parent).expect("target/PROFILE/examples").join("driftd")
}

/// A topic, a database, and a configuration that names them.
struct Bed {
    brokers: String,
    topic: String,
    store: String,
    directory: PathBuf,
    text: String,
}

impl Bed {
    async fn new(directory: &Path, reference: &Path, window: &str, more: &str) -> anyhow::Result<Bed> {
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
        Ok(Bed { brokers, topic: name, store, directory: directory.to_owned(), text })
    }

    fn start(&self, roles: &str) -> anyhow::Result<Daemon> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let file = self.directory.join(format!("driftd-{port}.yaml"));
        let listen = format!("api: {{listen: '127.0.0.1:0'}}\nops: {{listen: '127.0.0.1:{port}'}}\n");
        std::fs::write(&file, format!("{}{listen}", self.text))?;
        let mut command = Command::new(driftd());
        command.args(["run", "--roles", roles, "-c"]).arg(&file).env("RUST_LOG", "error");
        Ok(Daemon { child: command.spawn()? })
    }

    async fn connect(&self) -> anyhow::Result<AnyConnection> {
        Ok(AnyConnection::connect(&self.store).await?)
    }

    async fn look(&self, daemons: &[Daemon]) -> anyhow::Result<Look> {
        let mut look = Look { resident_mb: 0.0, descriptors: 0, threads: 0, tables_mb: 0.0, dead_rows: 0 };
        for daemon in daemons {
            look.resident_mb += daemon.status("VmRSS:")? / 1024.0;
            look.threads += daemon.status("Threads:")? as usize;
            look.descriptors += std::fs::read_dir(format!("/proc/{}/fd", daemon.child.id()))?.count();
        }
        let sizes = "select pg_database_size(current_database()) as bytes,
            cast((select coalesce(sum(n_dead_tup), 0) from pg_stat_user_tables) as bigint) as dead";
        let row = self.connect().await?.fetch_one(sizes).await?;
        look.tables_mb = row.try_get::<i64, _>("bytes")? as f64 / 1e6;
        look.dead_rows = row.try_get("dead")?;
        Ok(look)
    }
}

async fn passed(connection: &mut AnyConnection) -> anyhow::Result<i64> {
    // Before the daemon has made its tables there is nothing.
    let there = connection.fetch_one("select coalesce(to_regclass('position')::text, '') as name").await?;
    if there.try_get::<String, _>("name")?.is_empty() {
        return Ok(0);
    }
    let sum = "select cast(coalesce(sum(next_offset - first_offset), 0) as bigint) as n from position";
    Ok(connection.fetch_one(sum).await?.try_get("n")?)
}

struct Daemon {
    child: Child,
}

impl Daemon {
    fn status(&self, key: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|l| l.starts_with(key)).with_context(|| key.to_owned())?;
        Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
    }

    /// User and system time so far, at Linux's hundred ticks a second.
    fn cpu_seconds(&self) -> anyhow::Result<f64> {
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
