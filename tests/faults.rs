//! Faults: the real binary, a real broker and a real Postgres, ended, stopped, cut off and started
//! again in the middle of a stream. However it goes, the ledger adds up and every report, statistic,
//! alert, request and message has the bits of an undisturbed run.
//!
//! `make soak` runs `seeded_faults` with many seeds: `DRIFTD_SEEDS=100..200`.

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use driftd::fault::POINTS;
use driftd::source::producer::Producer;
use futures_util::StreamExt as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};
use support::daemon::{CLASSIC, Daemon, Setup};
use support::proxy::{Proxy, Way};
use support::services::Own;
use support::{Arrivals, eventually, service};
use tokio::sync::OnceCell;

const LONG: Duration = Duration::from_secs(120);
const PARTITIONS: i32 = 4;
/// Classic groups give a dead member's partitions away after a session; the broker's own do so too.
const KIP_848: &str = "group.protocol: consumer";

/// A model, its reference, and a stream with everything in it that a stream may hold.
struct World {
    _directory: tempfile::TempDir,
    reference: PathBuf,
    records: Vec<(String, String)>,
    /// What an undisturbed run writes.
    history: History,
}

/// Everything that people may have seen, by what it is and in a fixed order. Times of the wall
/// clock, and how often a window was revised, are left out.
#[derive(Debug, PartialEq, Eq)]
struct History {
    reports: Vec<String>,
    statistics: Vec<String>,
    alerts: Vec<String>,
    messages: Vec<String>,
    ledger: String,
}

static WORLD: OnceCell<World> = OnceCell::const_new();

async fn world() -> &'static World {
    WORLD
        .get_or_init(|| async {
            let directory = tempfile::tempdir().expect("a folder");
            let reference = support::example_reference(directory.path(), "2s");
            let records = stream(directory.path());
            let mut world = World { _directory: directory, reference, records, history: History::empty() };
            let mut run = Run::new(&world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
            run.produce(&world.records).await;
            run.start().await;
            world.history = run.finish(&world).await;
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
struct Run {
    directory: tempfile::TempDir,
    setup: Setup,
    arrivals: Arrivals,
    daemons: Vec<Daemon>,
    produced: usize,
}

impl Run {
    async fn new(world: &World, brokers: &str, postgres: &str) -> Run {
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
            store,
            receiver,
            infer: "missing",
            budget: "1/1d",
            window: "length: 2s, grace: 500ms".into(),
            collect: "flush_every: 100ms, flush_records: 150, idle_after: 2s".into(),
            properties: CLASSIC.into(),
            more: String::new(),
            roles: "collect,judge,deliver,api",
            env: Vec::new(),
        };
        Run { directory, setup, arrivals, daemons: Vec::new(), produced: 0 }
    }

    /// Everything at once.
    async fn produce(&mut self, records: &[(String, String)]) {
        let producer = Producer::connect(&self.setup.brokers, &self.setup.topic).expect("connects");
        producer.send(records).await.expect("sent");
        self.produced += records.len();
    }

    /// In the background, at a pace that faults fit into.
    fn produce_slowly(&mut self, records: &[(String, String)], over: Duration) -> tokio::task::JoinHandle<()> {
        const STEPS: usize = 50;
        let producer = Producer::connect(&self.setup.brokers, &self.setup.topic).expect("connects");
        self.produced += records.len();
        let records = records.to_vec();
        tokio::spawn(async move {
            for part in records.chunks(records.len().div_ceil(STEPS)) {
                while let Err(error) = producer.send(part).await {
                    panic!("the broker did not take records: {error}");
                }
                tokio::time::sleep(over / u32::try_from(STEPS).expect("small")).await;
            }
        })
    }

    async fn start(&mut self) {
        let mut daemon = self.setup.start();
        daemon.ready(LONG).await;
        self.daemons.push(daemon);
    }

    async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        AnyConnection::connect(&self.setup.store).await.expect("Postgres answers")
    }

    /// Offsets passed over all partitions.
    async fn passed(&self) -> i64 {
        let sum = "select cast(coalesce(sum(next_offset - first_offset), 0) as bigint) as n from position";
        let Ok(mut connection) = AnyConnection::connect(&self.setup.store).await else { return 0 };
        connection.fetch_one(sum).await.map_or(0, |row| row.get("n"))
    }

    /// Waits until so many were passed.
    async fn until(&self, records: i64) {
        let deadline = Instant::now() + LONG;
        while self.passed().await < records {
            assert!(Instant::now() < deadline, "{} of {records} passed\n{}", self.passed().await, self.setup.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until everything is read, judged and delivered; checks the ledger with the command for
    /// it; tells the history.
    async fn finish(mut self, world: &World) -> History {
        let produced = i64::try_from(self.produced).expect("small");
        self.until(produced).await;
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
        let _ = world;
        drop(self.directory);
        history
    }

    /// As [`Run::finish`], and wants what an undisturbed run wrote.
    async fn finish_undisturbed(self, world: &World, after: &str) {
        let log = self.setup.directory.join("driftd.log");
        let kept = tempfile::NamedTempFile::new().expect("a file");
        let _ = std::fs::copy(&log, kept.path());
        let history = self.finish(world).await;
        world.history.same(&history, after);
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
             union all select format('%s %s %s %s', request_id, state, tasks, created_us) from retraining_request
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

/// Ended at each named step as `kill -9` would, and started again.
#[tokio::test(flavor = "multi_thread")]
async fn ended_at_every_step() {
    let world = world().await;
    // They mostly wait: for a dead member's session to end, for partitions to be idle.
    let ends = POINTS.into_iter().enumerate().filter(|(_, p)| *p != "in_maintenance").map(|(i, p)| ended_at(world, i, p));
    futures_util::stream::iter(ends).buffer_unordered(4).collect::<()>().await;
}

async fn ended_at(world: &World, number: usize, point: &str) {
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.produce(&world.records).await;
    // Steps that come once or twice are ended at their first time.
    let rare = ["after_claim", "after_answer"].contains(&point);
    let nth = if rare { 1 } else { 2 + number % 3 };
    run.setup.env = vec![("DRIFTD_FAULT".into(), format!("{point}:{nth}"))];
    let mut doomed = run.setup.start();
    let status = tokio::time::timeout(LONG, doomed.end()).await;
    assert!(status.is_ok_and(|s| !s.success()), "`{point}` was not reached\n{}", run.setup.log());
    assert!(run.setup.log().contains(&format!("ending at `{point}`")), "{}", run.setup.log());
    run.setup.env.clear();
    run.start().await;
    run.finish_undisturbed(world, point).await;
}

/// A replica that is stopped for longer than its session, and comes back to what others have read.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_counts_nothing_twice() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    // Seldom enough that it holds records in memory when it is stopped.
    run.setup.collect = "flush_every: 700ms, flush_records: 100000, idle_after: 4s".into();
    run.start().await;
    run.start().await;
    let producing = run.produce_slowly(&world.records, Duration::from_secs(12));
    run.until(600).await;
    run.daemons[0].signal("-STOP");
    tokio::time::sleep(Duration::from_secs(7)).await;
    run.daemons[0].signal("-CONT");
    producing.await.expect("produced");
    run.finish_undisturbed(world, "SIGSTOP beyond the session").await;
}

/// Replicas come and go; the groups of both protocols.
async fn storm(properties: &str, seed: u64) {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.setup.properties = properties.into();
    run.start().await;
    let producing = run.produce_slowly(&world.records, Duration::from_secs(12));
    let mut rng = StdRng::seed_from_u64(seed);
    for _ in 0..10 {
        match run.daemons.len() {
            1 => run.start().await,
            n if n < 3 && rng.random_bool(0.6) => run.start().await,
            n => {
                let daemon = run.daemons.remove(rng.random_range(0..n));
                if rng.random_bool(0.5) {
                    daemon.terminate().await;
                } else {
                    daemon.kill().await;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(100..900))).await;
    }
    producing.await.expect("produced");
    run.finish_undisturbed(world, &format!("a storm of rebalances ({properties}, seed {seed})")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_rebalances() {
    storm(CLASSIC, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_rebalances_by_the_brokers_protocol() {
    storm(KIP_848, 2).await;
}

/// Roles in processes of their own, two collectors, two judges.
#[tokio::test(flavor = "multi_thread")]
async fn roles_apart_write_the_same() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    for roles in ["collect", "judge", "collect", "judge,deliver", "deliver,api"] {
        run.setup.roles = roles;
        run.start().await;
    }
    let producing = run.produce_slowly(&world.records, Duration::from_secs(4));
    producing.await.expect("produced");
    run.finish_undisturbed(world, "roles apart").await;
}

/// A database that goes away in every way it can.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_comes_and_goes() {
    let world = world().await;
    let services = shared_folder();
    let postgres = Own::postgres(services.path());
    let url = postgres.env("POSTGRES_URL");
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &url).await;
    run.start().await;
    let producing = run.produce_slowly(&world.records, Duration::from_secs(14));
    run.until(300).await;
    postgres.stop();
    let words = eventually("readiness to say so", LONG, || async {
        run.daemons[0].readiness().await.filter(|(ready, _)| !ready).map(|(_, words)| words)
    })
    .await;
    assert!(words.contains("store"), "{words}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    postgres.start();
    run.until(900).await;
    postgres.kill();
    postgres.start();
    run.until(1_300).await;

    let name = run.setup.store.rsplit('/').next().expect("a name").to_owned();
    let mut admin = AnyConnection::connect(&url).await.expect("connects");
    let alter = |what: &str| sqlx::AssertSqlSafe(format!("alter database {name} {what}"));
    let end = || {
        let all = format!("select pg_terminate_backend(pid)::text from pg_stat_activity where datname = '{name}'");
        sqlx::AssertSqlSafe(all)
    };
    admin.execute(alter("set default_transaction_read_only = on")).await.expect("altered");
    admin.execute(end()).await.expect("ended");
    tokio::time::sleep(Duration::from_secs(2)).await;
    admin.execute(alter("reset default_transaction_read_only")).await.expect("altered");
    admin.execute(end()).await.expect("ended");
    // No connection is to be had: new ones are refused, old ones are gone.
    admin.execute(alter("allow_connections false")).await.expect("altered");
    admin.execute(end()).await.expect("ended");
    tokio::time::sleep(Duration::from_secs(2)).await;
    admin.execute(alter("allow_connections true")).await.expect("altered");
    producing.await.expect("produced");
    run.finish_undisturbed(world, "Postgres stopped, killed, read-only, without connections").await;
}

/// Files that services of their own user can reach.
fn shared_folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).expect("opened");
    directory
}

/// A broker that is killed and started again, and again.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_flaps() {
    let world = world().await;
    let services = shared_folder();
    let kafka = Own::kafka(services.path(), None);
    let mut run = Run::new(world, &kafka.env("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.produce(&world.records).await;
    // Slow enough that all of it happens in the middle.
    run.setup.collect = "flush_every: 100ms, flush_records: 20, idle_after: 2s".into();
    run.start().await;
    for passed in [200, 800, 1_600] {
        run.until(passed).await;
        kafka.kill();
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        kafka.start();
    }
    run.finish_undisturbed(world, "a flapping broker").await;
}

/// Networks that delay, cut and hang.
#[tokio::test(flavor = "multi_thread")]
async fn the_network_delays_cuts_and_hangs() {
    let world = world().await;
    let services = shared_folder();
    let to_kafka = Proxy::start("").await;
    let kafka = Own::kafka(services.path(), Some(to_kafka.address.to_string()));
    to_kafka.aim(&kafka.env("KAFKA_BROKERS"));
    let postgres = service("POSTGRES_URL");
    let server = postgres.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let to_postgres = Proxy::start(&server).await;
    let proxied = postgres.replace(&server, &to_postgres.address.to_string());

    let mut run = Run::new(world, &to_kafka.address.to_string(), &proxied).await;
    run.setup.properties = format!("{CLASSIC}, socket.timeout.ms: '4000'");
    run.produce(&world.records).await;
    run.setup.collect = "flush_every: 100ms, flush_records: 20, idle_after: 2s".into();
    run.start().await;
    let faults = [
        (&to_postgres, Way::Slow(Duration::from_millis(50)), 3),
        (&to_kafka, Way::Slow(Duration::from_millis(100)), 2),
        (&to_postgres, Way::Cut, 2),
        (&to_kafka, Way::Cut, 3),
        (&to_kafka, Way::HalfOpen, 6),
        (&to_postgres, Way::HalfOpen, 3),
    ];
    for (i, (proxy, way, seconds)) in faults.into_iter().enumerate() {
        proxy.set(way);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        proxy.set(Way::Open);
        run.until(200 + 200 * i64::try_from(i).expect("small")).await;
    }
    run.finish_undisturbed(world, "delays, cuts and half-open connections").await;
}
