//! Broker, database and network that go away in every way they can.

use std::time::Duration;

use sqlx::{AnyConnection, Connection as _, Executor as _};

use crate::run::{LONG, Run, world};
use crate::support::daemon::CLASSIC;
use crate::support::proxy::{Proxy, Way};
use crate::support::services::Own;
use crate::support::{compile, eventually, service};

/// A broker that is there and does not take us for who we say we are is not told as one that does not answer.
#[tokio::test(flavor = "multi_thread")]
async fn the_broker_refuses_us() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.setup.properties = "security.protocol: sasl_plaintext, sasl.mechanisms: PLAIN, sasl.username: me, \
                            sasl.password: {env: TEST_SECRET}"
        .into();
    let mut daemon = run.setup.start();
    let waits = tokio::task::spawn_blocking(move || daemon.child.wait());
    let ended = tokio::time::timeout(LONG, waits).await.expect("it ends").expect("no panic").expect("waited for");
    let log = run.setup.log();
    assert_eq!(ended.code(), Some(4), "{log}");
    let last = log.lines().rfind(|line| line.starts_with("driftd: ")).expect("it says why");
    assert!(last.contains("refuses the client's credentials: ") && last.contains("see `kafka.properties`"), "{log}");
}

/// A database that goes away in every way it can.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_comes_and_goes() {
    let world = world().await;
    let services = shared_folder();
    let postgres = Own::postgres(services.path(), &[]);
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

/// A database whose disk is full for a while, and whose server dies of it if it likes.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full() {
    let world = world().await;
    let services = shared_folder();
    let (library, full) = (services.path().join("disk.so"), services.path().join("full"));
    compile("disk.c", &library);
    let environment = [
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("DRIFTD_TEST_DISK".to_owned(), full.display().to_string()),
    ];
    let postgres = Own::postgres(services.path(), &environment);
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &postgres.env("POSTGRES_URL")).await;
    run.start().await;
    let producing = run.produce_slowly(&world.records, Duration::from_secs(6));
    run.until(300).await;
    std::fs::write(&full, "").expect("written");
    let words = eventually("readiness to say so", LONG, || async {
        run.daemons[0].readiness().await.filter(|(ready, _)| !ready).map(|(_, words)| words)
    })
    .await;
    assert!(words.contains("store"), "{words}");
    producing.await.expect("produced");
    assert!(postgres.log().contains("No space left on device"), "{}", postgres.log());
    std::fs::remove_file(&full).expect("removed");
    if !postgres.runs() {
        postgres.start();
    }
    run.finish_undisturbed(world, "a full disk").await;
}

/// Connections that hang for ever, though new ones would work: a firewall that lost its memory.
#[tokio::test(flavor = "multi_thread")]
async fn connections_are_forgotten() {
    let world = world().await;
    let postgres = service("POSTGRES_URL");
    let server = postgres.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let proxy = Proxy::start(&server).await;
    let proxied = postgres.replace(&server, &proxy.address.to_string());
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &proxied).await;
    run.start().await;
    let producing = run.produce_slowly(&world.records, Duration::from_secs(4));
    run.until(300).await;
    proxy.set(Way::Forget);
    producing.await.expect("produced");
    run.finish_undisturbed(world, "connections that hang for ever").await;
}

/// Told to stop while the database hangs, it gives up what it holds and ends; what it gave up is read again.
#[tokio::test(flavor = "multi_thread")]
async fn it_ends_while_the_store_hangs() {
    /// Eight seconds for the last flush, twice a second and a half for all else, and as much for a busy machine.
    const GRACE: Duration = Duration::from_secs(20);
    let world = world().await;
    let postgres = service("POSTGRES_URL");
    let server = postgres.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let proxy = Proxy::start(&server).await;
    let mut run =
        Run::new(world, &service("KAFKA_BROKERS"), &postgres.replace(&server, &proxy.address.to_string())).await;
    run.start().await;
    let producing = run.produce_slowly(&world.records, Duration::from_secs(4));
    run.until(300).await;
    proxy.set(Way::HalfOpen);
    // By then what was asked is given up, and the pool looks at its connections without a limit of its own.
    tokio::time::sleep(Duration::from_secs(27)).await;
    let stopped = run.daemons.remove(0).terminate();
    let took = tokio::time::timeout(GRACE, stopped).await.expect("it ends though the store never answers");
    assert!(took > Duration::from_secs(1), "nothing hung: it took {took:?}");
    producing.await.expect("produced");
    proxy.set(Way::Open);
    run.start().await;
    run.finish_undisturbed(world, "an end while the store hangs").await;
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

/// A broker that is away is told: in single mode the process is not ready meanwhile, and it is again when the broker is.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_away_is_told() {
    let world = world().await;
    let services = shared_folder();
    let kafka = Own::kafka(services.path(), None);
    let mut run = Run::new(world, &kafka.env("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.produce(&world.records[..500]).await;
    // The stream ends in the middle of a window here, and goes on a minute later.
    let as_always = std::mem::replace(&mut run.setup.collect, "flush_every: 100ms, idle_after: 10m".into());
    run.start().await;
    run.until(500).await;
    kafka.kill();
    let words = eventually("readiness to say so", LONG, || async {
        run.daemons[0].readiness().await.filter(|(ready, _)| !ready).map(|(_, words)| words)
    })
    .await;
    assert!(words.contains("source: no broker has answered for "), "{words}");
    kafka.start();
    eventually("to be ready", LONG, || async { run.daemons[0].readiness().await.filter(|(ready, _)| *ready) }).await;
    run.produce(&world.records[500..]).await;
    run.until(i64::try_from(run.produced).expect("small")).await;
    run.daemons.remove(0).terminate().await;
    run.setup.collect = as_always;
    run.start().await;
    run.finish_undisturbed(world, "a broker that was away").await;
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
