//! `make bench`: ratios, each from one run on one machine.
//!
//! 1. Records per second of the collect loop without inference, against a bare rdkafka consumer and
//!    against one that also decodes, on the same topic of a real broker.
//! 2. Texts per second of the model door against a bare ONNX Runtime loop with the same batches.
//! 3. Resident memory of the collecting process after 1× and after 4× the records.
//!
//! `make bench ARGS=MANIFEST` measures only the model door, on another model.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use driftd::clock;
use driftd::config::raw::Device;
use driftd::drift::record::InputText;
use driftd::drift::time::{Span, Timestamp};
use driftd::model::onnx::OnnxModel;
use driftd::model::{Depth, Manifest};
use driftd::simulate::grammar::Grammar;
use driftd::simulate::{Plan, Traffic};
use driftd::source::native::NativeDecoder;
use driftd::source::producer::Producer;
use rand::SeedableRng;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message};

const RECORDS: usize = 400_000;
const DISTINCT: usize = 20_000;
const PARTITIONS: i32 = 4;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let manifest_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/support/manifest.yaml");
    println!("model door against a bare ONNX Runtime loop (batch 32, one thread)");
    let grammar = manifest_file.with_file_name("grammar.yaml");
    if let Some(other) = std::env::args().nth(1) {
        return tokio::task::block_in_place(|| model_door(Path::new(&other), &grammar, 512));
    }
    tokio::task::block_in_place(|| model_door(&manifest_file, &grammar, 4_096))?;
    let brokers = std::env::var("KAFKA_BROKERS").context("run it with `make bench`")?;
    let directory = std::env::temp_dir().join(format!("driftd-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let outcome = collect(&brokers, &manifest_file, &directory).await;
    std::fs::remove_dir_all(&directory)?;
    outcome
}

fn model_door(manifest_file: &Path, grammar: &Path, count: usize) -> anyhow::Result<()> {
    const ROUNDS: usize = 5;
    let manifest = Manifest::load(manifest_file)?;
    let grammar = Grammar::load(grammar)?;
    let mut rng = rand::rngs::StdRng::seed_from_u64(1);
    let texts: Vec<(InputText, Depth)> =
        (0..count).map(|_| (InputText { text: grammar.text(&mut rng), pair: None }, Depth::Full)).collect();
    let mut model = OnnxModel::load(manifest, Device::Cpu, 1, None)?;
    model.infer(&texts, 32)?;
    let mut ratios = Vec::new();
    let mut best: f64 = 0.0;
    for _ in 0..ROUNDS {
        let bare = model.bare_loop(&texts, 32)?;
        let began = Instant::now();
        model.infer(&texts, 32)?;
        let ours = began.elapsed().as_secs_f64();
        ratios.push(bare / ours);
        best = best.max(texts.len() as f64 / ours);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "  {best:.0} texts/s; ratio to the bare loop: {:.3} (median of {ROUNDS} rounds; aim 0.95)\n",
        ratios[ROUNDS / 2]
    );
    Ok(())
}

async fn collect(brokers: &str, manifest_file: &Path, directory: &Path) -> anyhow::Result<()> {
    let manifest = Manifest::load(manifest_file)?;
    let topic = fresh_topic(brokers).await?;
    let grammar = Grammar::load(&manifest_file.with_file_name("grammar.yaml"))?;
    let model = OnnxModel::load(manifest.clone(), Device::Cpu, 2, None)?;
    let start = Timestamp::from_micros(clock::now().minus(Span::from_secs(7_200)).micros());
    let interval = Span::from_micros(5_000);
    let plan = Plan { seed: 1, start, interval, drift: None, drift_after: 0, predictions: true };
    let mut traffic = Traffic::new(grammar, model, plan);
    let distinct = tokio::task::block_in_place(|| traffic.next(DISTINCT))?;
    let bytes: usize = distinct.iter().map(|(_, r)| r.len()).sum();
    println!("collect without inference: {RECORDS} records of {} bytes on {PARTITIONS} partitions", bytes / DISTINCT);
    let decoder = NativeDecoder::new(vec![Arc::new(manifest.spec.clone())], 1 << 20);
    let far = Timestamp::from_micros(i64::MAX);
    let began = Instant::now();
    let decoded = distinct.iter().filter(|(_, r)| decoder.decode(r.as_bytes(), None, far).is_ok()).count();
    println!("  decoding alone, one core:     {:>9.0} records/s", decoded as f64 / began.elapsed().as_secs_f64());
    let producer = Producer::connect(brokers, &topic)?;
    produce(&producer, &distinct, RECORDS).await?;

    let reference = directory.join("ref.bin");
    fit(manifest_file, directory, &reference, &distinct)?;
    let told = |what: &str, rate: f64, cpu: f64| {
        println!("  {what:<30}{rate:>9.0} records/s, {cpu:>4.1} CPU s a million records");
    };
    let (bare, cpu) = consume(brokers, &topic, |_| true)?;
    told("bare consumer:", bare, cpu);
    let (decoding, cpu) = consume(brokers, &topic, |payload| decoder.decode(payload, None, far).is_ok())?;
    told("consumer that also decodes:", decoding, cpu);
    let (plain, cpu) =
        consume(brokers, &topic, |payload| serde_json::from_slice::<serde_json::Value>(payload).is_ok())?;
    told("one that decodes to any JSON:", plain, cpu);
    let mut daemon = Daemon::start(brokers, &topic, manifest_file, &reference, directory)?;
    let idle = daemon.started().await?;
    let ours = daemon.until(RECORDS).await?;
    let early = daemon.resident_mb()?;
    told("driftd run --roles collect:", ours, (cpu_seconds(daemon.child.id())? - idle) * 1e6 / RECORDS as f64);
    let flushed = |what| daemon.sum(format!("driftd_flush_duration_seconds_{what}"));
    let (flushes, seconds) = (flushed("count").await.unwrap_or(0.0), flushed("sum").await.unwrap_or(0.0));
    println!("    {flushes} flushes, {:.1} ms each, {:.0} ms in all", seconds * 1e3 / flushes.max(1.0), seconds * 1e3);
    println!(
        "  ratio to the bare consumer {:.2} (aim 0.5), to the decoding one {:.2} (aim 0.8), to the one of any JSON {:.2}",
        ours / bare,
        ours / decoding,
        ours / plain
    );
    produce(&producer, &distinct, 3 * RECORDS).await?;
    daemon.until(4 * RECORDS).await?;
    println!(
        "  resident memory: {early:.0} MB after {RECORDS} records, {:.0} MB after {}",
        daemon.resident_mb()?,
        4 * RECORDS
    );
    Ok(())
}

async fn produce(producer: &Producer, distinct: &[(String, String)], count: usize) -> anyhow::Result<()> {
    let mut sent = 0;
    while sent < count {
        for chunk in distinct.chunks(5_000) {
            producer.send(chunk).await?;
            sent += chunk.len();
        }
    }
    Ok(())
}

async fn fresh_topic(brokers: &str) -> anyhow::Result<String> {
    let topic = format!("bench-{}", std::process::id());
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", brokers).create()?;
    let new = [
        NewTopic::new(&topic, PARTITIONS, TopicReplication::Fixed(1)),
        NewTopic::new("bench-dead", 1, TopicReplication::Fixed(1)),
    ];
    admin.create_topics(&new, &AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))).await?;
    Ok(topic)
}

fn fit(manifest: &Path, directory: &Path, reference: &Path, records: &[(String, String)]) -> anyhow::Result<()> {
    let file = directory.join("records.jsonl");
    let lines: Vec<&str> = records.iter().map(|(_, r)| r.as_str()).collect();
    std::fs::write(&file, lines.join("\n"))?;
    let mut command = Command::new(driftd());
    command.args(["reference", "fit", "--device", "cpu", "--window", "1s", "-m"]).arg(manifest);
    let status = command.arg("-i").arg(&file).arg("-o").arg(reference).stdout(Stdio::null()).status()?;
    if !status.success() {
        bail!("the reference could not be fitted");
    }
    Ok(())
}

/// Records per second of a plain consumer over the whole topic, group join left out, and CPU seconds of this process a
/// million records.
fn consume(brokers: &str, topic: &str, mut take: impl FnMut(&[u8]) -> bool) -> anyhow::Result<(f64, f64)> {
    let idle = cpu_seconds(std::process::id())?;
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", format!("{topic}-{}", clock::now().micros()))
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .set("queued.max.messages.kbytes", "32768")
        .set("fetch.queue.backoff.ms", "10")
        .create()?;
    consumer.subscribe(&[topic])?;
    const PATIENCE: Duration = Duration::from_secs(30);
    let (mut seen, mut began, mut latest) = (0, None, Instant::now());
    while seen < RECORDS {
        // A poll ends empty-handed after a rebalance too, and the first group of a fresh broker
        // waits for its coordinator.
        let Some(message) = consumer.poll(Duration::from_millis(200)) else {
            if latest.elapsed() > PATIENCE {
                bail!("the topic has ended after {seen} records");
            }
            continue;
        };
        latest = Instant::now();
        began.get_or_insert_with(Instant::now);
        if !take(message?.payload().unwrap_or_default()) {
            bail!("a record does not decode");
        }
        seen += 1;
    }
    let rate = RECORDS as f64 / began.context("something was read")?.elapsed().as_secs_f64();
    Ok((rate, (cpu_seconds(std::process::id())? - idle) * 1e6 / RECORDS as f64))
}

/// User and system time of a process so far, at Linux's hundred ticks a second.
fn cpu_seconds(process: u32) -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("a name")?;
    let ticks = |i: usize| fields.split(' ').nth(i).and_then(|f| f.parse::<f64>().ok()).context("ticks");
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

/// The binary beside this one: built by the same profile.
fn driftd() -> PathBuf {
    let here = std::env::current_exe().expect("a running program has a path");
    here.parent().and_then(Path::parent).expect("target/PROFILE/examples").join("driftd")
}

/// A free port below the range from which the system takes the local ports of outgoing connections: there any client
/// may take it before the daemon does.
fn free_port() -> Option<u16> {
    (20_000..32_000).find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
}

struct Daemon {
    child: Child,
    ops: String,
}

impl Daemon {
    fn start(
        brokers: &str,
        topic: &str,
        manifest: &Path,
        reference: &Path,
        directory: &Path,
    ) -> anyhow::Result<Daemon> {
        let port = free_port().context("no free port between 20000 and 32000")?;
        let file = directory.join("driftd.yaml");
        let text = format!(
            "kafka: {{brokers: '{brokers}', group: '{topic}-driftd', topics: ['{topic}'], start: earliest, dead_letter_topic: bench-dead}}\n\
             store: {{url: 'sqlite:{}'}}\n\
             models: [{{manifest: '{}', reference: '{}', infer: never, window: {{length: 1s}}}}]\n\
             api: {{listen: '127.0.0.1:0'}}\nops: {{listen: '127.0.0.1:{port}'}}\n",
            directory.join("driftd.db").display(),
            manifest.display(),
            reference.display(),
        );
        std::fs::write(&file, text)?;
        let mut command = Command::new(driftd());
        command.args(["run", "--roles", "collect", "-c"]).arg(&file).env("RUST_LOG", "warn");
        Ok(Daemon { child: command.spawn()?, ops: format!("http://127.0.0.1:{port}/metrics") })
    }

    /// CPU seconds that its start took: until it answers.
    async fn started(&mut self) -> anyhow::Result<f64> {
        while self.folded().await.is_none() {
            if let Some(status) = self.child.try_wait()? {
                bail!("driftd ended with {status}");
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        cpu_seconds(self.child.id())
    }

    /// Records folded so far. The same records come again and again, so that most are late; they are folded all the
    /// same.
    async fn folded(&self) -> Option<f64> {
        self.sum("driftd_records_total{outcome=\"folded".into()).await
    }

    /// Sum over the metrics whose line begins so.
    async fn sum(&self, beginning: String) -> Option<f64> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let page = reqwest::get(&self.ops).await.ok()?.text().await.ok()?;
        let lines = page.lines().filter(|line| line.starts_with(&beginning));
        lines.map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Records per second from the first seen to the last of `target`.
    async fn until(&mut self, target: usize) -> anyhow::Result<f64> {
        let mut first = None;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("driftd ended with {status}");
            }
            let folded = self.folded().await.unwrap_or(0.0);
            if folded > 0.0 && first.is_none() {
                first = Some((Instant::now(), folded));
            }
            if let Some((began, already)) = first
                && folded >= target as f64
            {
                return Ok((folded - already) / began.elapsed().as_secs_f64());
            }
            // Asking costs the daemon time.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn resident_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).context("VmRSS")?;
        let kb: f64 = line.split_whitespace().nth(1).context("a number")?.parse()?;
        Ok(kb / 1024.0)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It is ours and holds nothing of value.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
