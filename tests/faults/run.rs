//! One stream, an undisturbed run of it, and runs that must write the same.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use driftd::source::producer::Producer;
use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};
use tokio::sync::OnceCell;

use crate::support::daemon::{CLASSIC, Daemon, Setup};
use crate::support::{self, Arrivals, service};

pub const LONG: Duration = Duration::from_secs(120);
pub const PARTITIONS: i32 = 4;

/// A model, its reference, and a stream with everything in it that a stream may hold.
pub struct World {
    _directory: tempfile::TempDir,
    pub reference: PathBuf,
    pub records: Vec<(String, String)>,
    /// What an undisturbed run writes.
    pub history: History,
}

/// Everything that people may have seen, by what it is and in a fixed order. Times of the wall
/// clock, and how often a window was revised, are left out.
#[derive(Debug, PartialEq, Eq)]
pub struct History {
    pub reports: Vec<String>,
    statistics: Vec<String>,
    alerts: Vec<String>,
    messages: Vec<String>,
    ledger: String,
}

static WORLD: OnceCell<World> = OnceCell::const_new();

pub async fn world() -> &'static World {
    WORLD
        .get_or_init(|| async {
            let directory = tempfile::tempdir().expect("a folder");
            let reference = support::example_reference(directory.path(), "2s");
            let records = stream(directory.path());
            let mut world = World { _directory: directory, reference, records, history: History::empty() };
            let mut run = Run::new(&world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
            run.produce(&world.records).await;
            run.start().await;
            world.history = run.finish().await;
            let history = &world.history;
            assert!(history.alerts.iter().any(|a| a.contains("firing")), "{:#?}", history.alerts);
            assert!(history.reports.iter().any(|r| r.contains("late 1")), "a window with late records");
            world
        })
        .await
}

/// Traffic with a head that breaks, and repeated, reordered, late, far too late, future, foreign and
/// unreadable records among it.
fn stream(directory: &std::path::Path) -> Vec<(String, String)> {
    let file = directory.join("stream.jsonl");
    let drift = ["--drift", "broken_head:intent", "--drift-after", "1500"];
    let start = ["--seed", "7", "--interval", "10ms", "--start", "2026-03-02T00:00:00Z"];
    support::simulate(&file, 3_000, &[&start[..], &drift[..]].concat());
    let text = std::fs::read_to_string(&file).expect("readable");
    let lines: Vec<&str> = text.lines().collect();
    let mut records = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        let key = (i % 64).to_string();
        records.push((key.clone(), (*line).to_owned()));
        match i {
            _ if i % 97 == 0 => records.push((key, (*line).to_owned())),
            _ if i % 53 == 0 => {
                let before = records.len() - 2;
                records.swap(before, before + 1);
            }
            // Seven seconds late: after the end of its window, before the limit.
            _ if i > 800 && i % 211 == 0 => records.push((key, lines[i - 700].to_owned())),
            _ if i == 2_000 => records.push((key, aged(line, "2026-03-01T20:00:00Z"))),
            _ if i == 1_000 => records.push((key, aged(line, "9999-01-01T00:00:00Z"))),
            _ if i == 1_200 => records.push((key, "{not json".to_owned())),
            _ if i == 1_300 => records.push((key, r#"{"model":{"name":"nobody"},"input":{"text":"x"}}"#.to_owned())),
            _ => {}
        }
    }
    records
}

fn aged(line: &str, time: &str) -> String {
    let mut record: serde_json::Value = serde_json::from_str(line).expect("JSON");
    record["timestamp"] = time.into();
    record.to_string()
}

/// One run of the stream: topics, a database and a receiver of its own, and some daemons.
pub struct Run {
    directory: tempfile::TempDir,
    pub setup: Setup,
    pub arrivals: Arrivals,
    pub daemons: Vec<Daemon>,
    pub produced: usize,
}

impl Run {
    pub async fn new(world: &World, brokers: &str, postgres: &str) -> Run {
        let directory = tempfile::tempdir().expect("a folder");
        let (topic, dead_letter_topic) = support::fresh_topics_at(brokers, PARTITIONS).await;
        let store = support::fresh_database_at(postgres).await;
        let (receiver, arrivals) = support::receiver().await;
        let setup = Setup {
            directory: directory.path().to_owned(),
            manifest: support::example_manifest(),
            reference: world.reference.clone(),
            brokers: brokers.to_owned(),
            topic,
            dead_letter_topic,
            begin: "earliest",
            store,
            receiver,
            infer: "missing",
            budget: "1/1d",
            model: String::new(),
            window: "length: 2s, grace: 500ms".into(),
            collect: "flush_every: 100ms, flush_records: 150, idle_after: 2s".into(),
            properties: CLASSIC.into(),
            store_more: String::new(),
            retraining: "mode: auto, on: drift",
            auth: "none",
            more: String::new(),
            roles: "collect,judge,deliver,api",
            env: Vec::new(),
        };
        Run { directory, setup, arrivals, daemons: Vec::new(), produced: 0 }
    }

    /// Everything at once.
    pub async fn produce(&mut self, records: &[(String, String)]) {
        let producer = Producer::connect(&self.setup.brokers, &self.setup.topic).expect("connects");
        producer.send(records).await.expect("sent");
        self.produced += records.len();
    }

    /// In the background, at a pace that faults fit into.
    pub fn produce_slowly(&mut self, records: &[(String, String)], over: Duration) -> tokio::task::JoinHandle<()> {
        const STEPS: usize = 50;
        let producer = Producer::connect(&self.setup.brokers, &self.setup.topic).expect("connects");
        self.produced += records.len();
        let records = records.to_vec();
        tokio::spawn(async move {
            for part in records.chunks(records.len().div_ceil(STEPS)) {
                producer.send(part).await.expect("the broker takes records");
                tokio::time::sleep(over / u32::try_from(STEPS).expect("small")).await;
            }
        })
    }

    pub async fn start(&mut self) {
        let mut daemon = self.setup.start();
        daemon.ready(LONG).await;
        self.daemons.push(daemon);
    }

    pub async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.setup.store).await.expect("Postgres answers")
    }

    /// Offsets passed over all partitions.
    pub async fn passed(&self) -> i64 {
        let sum = "select cast(coalesce(sum(next_offset - first_offset), 0) as bigint) as n from position";
        let Ok(mut connection) = AnyConnection::connect(&self.setup.store).await else { return 0 };
        connection.fetch_one(sum).await.map_or(0, |row| row.get("n"))
    }

    /// Waits until so many were passed.
    pub async fn until(&self, records: i64) {
        let deadline = Instant::now() + LONG;
        while self.passed().await < records {
            assert!(Instant::now() < deadline, "{} of {records} passed\n{}", self.passed().await, self.setup.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until everything is read, judged and delivered.
    pub async fn judged(&self) {
        self.until(i64::try_from(self.produced).expect("small")).await;
        let mut connection = self.connect().await;
        let waiting = "select (select count(*) from window_partial) + (select count(*) from delivery where state = 'pending') as n";
        let deadline = Instant::now() + LONG;
        loop {
            let n: i64 = connection.fetch_one(waiting).await.expect("reads").get("n");
            if n == 0 {
                break;
            }
            assert!(Instant::now() < deadline, "{n} partials and deliveries wait\n{}", self.setup.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until everything is read, judged and delivered; checks the ledger with the command for
    /// it; tells the history.
    pub async fn finish(mut self) -> History {
        let produced = i64::try_from(self.produced).expect("small");
        self.judged().await;
        let mut connection = self.connect().await;
        let mut audit = support::driftd();
        audit.args(["audit", "--format", "json", "-c"]).arg(self.setup.write(1, 2));
        let told = support::succeed(audit.env("TEST_STORE", &self.setup.store).env("TEST_SECRET", support::SECRET));
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        assert_eq!(told["adds_up"], true, "{told:#}");
        let unread: i64 = told["broker"].as_array().expect("asked").iter().filter_map(|b| b["unread"].as_i64()).sum();
        assert_eq!((unread, self.passed().await), (0, produced), "{told:#}");
        let history = history(&mut connection).await;
        for daemon in self.daemons.drain(..) {
            daemon.terminate().await;
        }
        // At least once each, and the same each time.
        let mut bodies: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (id, body) in self.arrivals.all() {
            bodies.entry(id).or_default().push(body.to_string());
        }
        let ids: Vec<&str> = history.messages.iter().filter_map(|m| m.split(' ').next()).collect();
        assert_eq!(bodies.keys().map(String::as_str).collect::<Vec<_>>(), ids, "each message arrives");
        assert!(bodies.values().all(|all| all.iter().all(|b| *b == all[0])), "a repetition says the same");
        drop(self.directory);
        history
    }

    /// As [`Run::finish`], and wants what an undisturbed run wrote.
    pub async fn finish_undisturbed(self, world: &World, after: &str) {
        world.history.same(&self.finish().await, after);
    }
}

impl History {
    fn empty() -> History {
        History { reports: vec![], statistics: vec![], alerts: vec![], messages: vec![], ledger: String::new() }
    }

    fn same(&self, other: &History, after: &str) {
        let parts = [
            ("reports", &self.reports, &other.reports),
            ("statistics", &self.statistics, &other.statistics),
            ("alerts", &self.alerts, &other.alerts),
            ("messages", &self.messages, &other.messages),
        ];
        for (what, ours, theirs) in parts {
            assert_eq!(ours.len(), theirs.len(), "{what} after {after}: {ours:#?}\n{theirs:#?}");
            for (a, b) in ours.iter().zip(theirs) {
                assert_eq!(a, b, "{what} after {after}");
            }
        }
        assert_eq!(self.ledger, other.ledger, "after {after}");
    }
}

async fn history(connection: &mut AnyConnection) -> History {
    let mut rows = async |statement: &'static str| -> Vec<String> {
        let rows = connection.fetch_all(statement).await.expect("reads");
        rows.iter().map(|row| row.get::<String, _>("line")).collect()
    };
    // The bits of a float, not its digits.
    History {
        reports: rows(
            "select format('%s %s n %s %s evidence %s late %s incomplete %s %s %s', slot, start_us, records, verdict,
                encode(float8send(ln_evidence), 'hex'), late_records, incomplete, parts, md5(summary)) as line
             from report order by slot",
        )
        .await,
        statistics: rows(
            "select format('%s %s %s %s %s n %s %s %s %s %s %s %s', start_us, scope, task, segment, signal, n,
                encode(float8send(statistic), 'hex'), encode(float8send(ln_p), 'hex'), encode(float8send(ln_e), 'hex'),
                encode(float8send(ln_evidence), 'hex'), effect, movers) as line
             from statistic order by start_us, scope, task, segment, signal",
        )
        .await,
        alerts: rows(
            "select format('%s %s %s %s %s %s %s', a.alert_id, a.state, a.cause, a.cause_task, a.summary, a.opened_us, a.resolved_us) as line
             from alert a
             union all select format('%s %s %s %s %s', transition_id, at_us, from_state, to_state, reason) from alert_transition
             union all select format('%s %s %s %s', request_id, mode, tasks, created_us) from retraining_request
             order by line",
        )
        .await,
        messages: rows("select format('%s %s %s', delivery_id, event, body) as line from delivery order by delivery_id").await,
        ledger: rows(
            "select format('folded %s aside %s dead %s gaps %s', sum(folded), sum(set_aside), sum(dead_lettered), sum(gaps)) as line
             from position",
        )
        .await
        .concat(),
    }
}
