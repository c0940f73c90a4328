//! Topics that lose records, are created anew or grow, dead letters that nobody takes, and clocks
//! that are set.

use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminOptions, NewPartitions, NewTopic, TopicReplication};
use sqlx::{Executor as _, Row as _};

use crate::run::{LONG, PARTITIONS, Run, world};
use crate::support::daemon::CLASSIC;
use crate::support::{administrator, compile, create_topic, eventually, get_json, service};

fn soon() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(Duration::from_secs(20)))
}

/// Retention removes what was not read yet: a gap with its extent, a message, and a mark on the
/// windows that may lack records.
#[tokio::test(flavor = "multi_thread")]
async fn retention_overtakes_us() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.produce(&world.records[..1_000]).await;
    run.start().await;
    run.until(1_000).await;
    run.daemons.remove(0).terminate().await;
    run.produce(&world.records[1_000..2_000]).await;
    let mut cut = TopicPartitionList::new();
    let mut lost = 0;
    let mut connection = run.connect().await;
    for row in connection.fetch_all("select partition, next_offset from position").await.expect("reads") {
        let (partition, next) = (row.get::<i64, _>("partition") as i32, row.get::<i64, _>("next_offset"));
        let before = rdkafka::Offset::Offset(next + i64::from(partition) * 10);
        cut.add_partition_offset(&run.setup.topic, partition, before).expect("added");
        lost += i64::from(partition) * 10;
    }
    administrator(&run.setup.brokers).delete_records(&cut, &soon()).await.expect("removed");
    run.produce(&world.records[2_000..]).await;
    run.start().await;
    run.until(i64::try_from(world.records.len()).expect("small")).await;

    let ledger = get_json(&format!("{}/api/v1/ledger", run.daemons[0].api)).await.expect("answers");
    let losses = ledger["losses"].as_array().expect("a list");
    let extent =
        |l: &serde_json::Value| l["to_offset"].as_i64().expect("known") - l["from_offset"].as_i64().expect("known");
    assert_eq!((losses.len(), losses.iter().map(extent).sum::<i64>()), (3, lost), "{ledger:#}");
    assert!(losses.iter().all(|l| l["reason"] == "retention"));
    let gaps: i64 = ledger["partitions"].as_array().expect("a list").iter().filter_map(|p| p["gaps"].as_i64()).sum();
    assert_eq!((gaps, &ledger["adds_up"]), (lost, &true.into()));
    let told = || async {
        let all: Vec<_> = run.arrivals.all().into_iter().filter(|(_, b)| b["type"] == "pipeline.data_gap").collect();
        (all.len() == 3).then_some(all)
    };
    for (_, body) in eventually("word of every gap", LONG, told).await {
        let records = body["data"]["records"].as_i64().expect("known");
        assert_eq!(records, 10 * body["data"]["partition"].as_i64().expect("a number"), "{body:#}");
    }
    let history = run.finish().await;
    let marked: Vec<&String> = history.reports.iter().filter(|r| r.contains("incomplete 1")).collect();
    assert!(!marked.is_empty() && marked.len() < 5, "only windows around the gap: {:#?}", history.reports);
}

/// A topic that is deleted and created anew while we read it: its old ledger stays, another begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_topic_is_created_anew() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.setup.properties = format!("{CLASSIC}, topic.metadata.refresh.interval.ms: '500'");
    run.produce(&world.records[..1_500]).await;
    run.start().await;
    run.until(1_500).await;
    let topic = run.setup.topic.clone();
    let admin = administrator(&run.setup.brokers);
    for outcome in admin.delete_topics(&[&topic], &soon()).await.expect("answers") {
        outcome.expect("deleted");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    create_topic(&run.setup.brokers, &topic, PARTITIONS).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    run.produced = 0;
    run.produce(&world.records[1_500..1_700]).await;
    let ledger = eventually("the new topic to be read", LONG, || async {
        let ledger = get_json(&format!("{}/api/v1/ledger", run.daemons[0].api)).await?;
        let passed = |p: &serde_json::Value| Some(p["next_offset"].as_i64()? - p["first_offset"].as_i64()?);
        let partitions = ledger["partitions"].as_array()?;
        let anew = partitions.iter().all(|p| p["generation"] == 1);
        let sum: i64 = partitions.iter().filter_map(passed).sum();
        (anew && sum == 200).then_some(ledger)
    })
    .await;
    let closed = ledger["closed"].as_array().expect("a list");
    let before: i64 = closed.iter().map(|c| c["next_offset"].as_i64().expect("a number")).sum();
    assert_eq!((closed.len(), before, &ledger["adds_up"]), (PARTITIONS as usize, 1_500, &true.into()), "{ledger:#}");
    assert!(ledger["losses"].as_array().is_some_and(|l| l.iter().all(|l| l["reason"] == "topic_recreated")));
    run.finish().await;
}

/// Partitions are added while we read.
#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_added() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.setup.properties = format!("{CLASSIC}, topic.metadata.refresh.interval.ms: '500'");
    run.start().await;
    run.produce(&world.records[..1_000]).await;
    grow(&run, 7).await;
    run.produce(&world.records[1_000..]).await;
    run.until(i64::try_from(world.records.len()).expect("small")).await;
    let count = "select count(*) as n from position where next_offset > 0";
    let read: i64 = run.connect().await.fetch_one(count).await.expect("reads").get("n");
    assert!(read > 4, "{read} partitions brought records");
    run.finish().await;
}

/// Gives the run's topic so many partitions.
async fn grow(run: &Run, to: usize) {
    let more = NewPartitions::new(&run.setup.topic, to);
    for outcome in administrator(&run.setup.brokers).create_partitions([&more], &soon()).await.expect("answers") {
        outcome.expect("added");
    }
}

/// Where reading began at the end, what comes in a partition that is added later is read from its first record, be it
/// there before anybody noticed the partition or while nobody reads.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_of_partitions_that_are_added() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.setup.begin = "latest";
    run.setup.properties = format!("{CLASSIC}, topic.metadata.refresh.interval.ms: '5000'");
    run.produce(&world.records[..300]).await;
    // Those were there before.
    run.produced = 0;
    run.start().await;
    let begun = || async {
        let count = run.connect().await.fetch_one("select count(*) as n from position").await.ok()?.get::<i64, _>("n");
        (count == i64::from(PARTITIONS)).then_some(())
    };
    eventually("the partitions to be begun", LONG, begun).await;
    grow(&run, 7).await;
    run.produce(&world.records[300..1_300]).await;
    run.until(1_000).await;
    run.daemons.remove(0).terminate().await;
    grow(&run, 9).await;
    run.produce(&world.records[1_300..]).await;
    run.start().await;
    run.until(i64::try_from(world.records.len() - 300).expect("small")).await;
    let count = format!("select count(*) as n from position where partition >= {PARTITIONS} and first_offset = 0");
    let whole = run.connect().await.fetch_one(sqlx::AssertSqlSafe(count)).await.expect("reads").get::<i64, _>("n");
    assert_eq!(whole, 9 - i64::from(PARTITIONS), "each that was added begins at its first record");
    run.finish().await;
}

/// Where reading begins at the end, it goes on from there though the first session fails before it has committed
/// anything that it read: here as nobody takes the dead letters.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_session_that_fails_loses_nothing() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.setup.begin = "latest";
    let usual = std::mem::replace(&mut run.setup.collect, "flush_every: 10m, flush_records: 1, idle_after: 11m".into());
    let topic = format!("{}-later", run.setup.dead_letter_topic);
    run.setup.dead_letter_topic.clone_from(&topic);
    run.start().await;
    let begun = || async {
        let count = run.connect().await.fetch_one("select count(*) as n from position").await.ok()?.get::<i64, _>("n");
        (count == i64::from(PARTITIONS)).then_some(())
    };
    eventually("the partitions to be begun", LONG, begun).await;
    let bad = ("bad".to_owned(), "{not json".to_owned());
    let with_bad = |(i, record): (usize, &(String, String))| {
        let bad = i.is_multiple_of(300).then(|| bad.clone());
        bad.into_iter().chain([record.clone()])
    };
    let records: Vec<_> = world.records.iter().enumerate().flat_map(with_bad).collect();
    run.produce(&records).await;
    let not_ready = || async { run.daemons[0].readiness().await.filter(|(ready, _)| !ready) };
    eventually("readiness to say so", LONG, not_ready).await;
    run.daemons.remove(0).terminate().await;
    create_topic(&run.setup.brokers, &topic, 1).await;
    run.setup.collect = usual;
    run.start().await;
    run.until(i64::try_from(records.len()).expect("small")).await;
    run.finish().await;
}

/// A record that is too large for the dead-letter topic, and for librdkafka's own limit with the headers that say where
/// it stood: it holds up no other.
#[tokio::test(flavor = "multi_thread")]
async fn no_size_holds_up_reading() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    let topic = format!("{}-small", run.setup.dead_letter_topic);
    run.setup.dead_letter_topic.clone_from(&topic);
    let small = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "2000");
    for outcome in administrator(&run.setup.brokers).create_topics([&small], &soon()).await.expect("answers") {
        outcome.expect("made");
    }
    run.produce(&world.records[..500]).await;
    run.produce(&[("huge".to_owned(), "x".repeat(999_800)), ("plain".to_owned(), "x".to_owned())]).await;
    run.produce(&world.records[500..]).await;
    run.start().await;
    run.until(i64::try_from(world.records.len() + 2).expect("small")).await;
    let ledger = get_json(&format!("{}/api/v1/ledger", run.daemons[0].api)).await.expect("answers");
    let dead = |p: &serde_json::Value| p["dead_lettered"].as_i64();
    let dead: i64 = ledger["partitions"].as_array().expect("a list").iter().filter_map(dead).sum();
    // Three of the world's are unreadable.
    assert_eq!((dead, &ledger["adds_up"]), (5, &true.into()), "{ledger:#}");
    let extents = administrator(&run.setup.brokers).inner().fetch_watermarks(&topic, 0, Duration::from_secs(10));
    assert_eq!(extents.expect("answers"), (0, 5), "all are there");
    assert_eq!(
        run.setup.log().matches("it is sent without its key, value and headers").count(),
        1,
        "{}",
        run.setup.log()
    );
    run.finish().await;
}

/// Nobody takes the dead letters: reading waits, and goes on when somebody does.
#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_never_dropped() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    let topic = format!("{}-later", run.setup.dead_letter_topic);
    run.setup.dead_letter_topic.clone_from(&topic);
    run.produce(&world.records).await;
    run.start().await;
    let words = eventually("readiness to say so", LONG, || async {
        run.daemons[0].readiness().await.filter(|(ready, _)| !ready).map(|(_, words)| words)
    })
    .await;
    assert!(words.contains("dead_letters: the dead-letter topic") && words.contains(&topic), "{words}");
    let passed = run.passed().await;
    assert!(passed < i64::try_from(world.records.len()).expect("small"), "{passed} were passed without dead letters");
    create_topic(&run.setup.brokers, &topic, 1).await;
    run.finish_undisturbed(world, "a missing dead-letter topic").await;
}

/// The wall clock is set back and forth.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_are_set() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    let (library, shift) = (run.setup.directory.join("clock.so"), run.setup.directory.join("shift"));
    compile("clock.c", &library);
    std::fs::write(&shift, 0_i64.to_ne_bytes()).expect("written");
    // In place: the daemon has it in its memory.
    let file = std::fs::OpenOptions::new().write(true).open(&shift).expect("opened");
    let set = |seconds: i64| file.write_all_at(&seconds.to_ne_bytes(), 0).expect("written");
    run.setup.env = vec![
        ("LD_PRELOAD".into(), library.display().to_string()),
        ("DRIFTD_TEST_CLOCK".into(), shift.display().to_string()),
    ];
    run.start().await;
    let producing = run.produce_slowly(&world.records, Duration::from_secs(10));
    for (passed, to) in [(300, -600), (800, 600), (1_400, -3_600), (2_000, 0), (2_600, -3_600)] {
        run.until(passed).await;
        set(to);
    }
    producing.await.expect("produced");
    run.finish_undisturbed(world, "clocks that are set").await;
}

/// A clock that is behind the store's is told at once, in the log and as a metric.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_told() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    let (library, shift) = (run.setup.directory.join("clock.so"), run.setup.directory.join("shift"));
    compile("clock.c", &library);
    std::fs::write(&shift, (-90_i64).to_ne_bytes()).expect("written");
    run.setup.env = vec![
        ("LD_PRELOAD".into(), library.display().to_string()),
        ("DRIFTD_TEST_CLOCK".into(), shift.display().to_string()),
    ];
    run.start().await;
    let metrics = format!("{}/metrics", run.daemons[0].ops);
    let offset = eventually("the clock's offset", Duration::from_secs(30), || async {
        let text = reqwest::get(&metrics).await.ok()?.text().await.ok()?;
        text.lines().find_map(|line| line.strip_prefix("driftd_clock_offset_seconds ")?.parse::<f64>().ok())
    })
    .await;
    assert!((offset + 90.0).abs() < 2.0, "{offset}");
    assert!(run.setup.log().contains("clock differs from the store's"), "{}", run.setup.log());
}

/// As if a minute and a half had passed.
const LEASE_ENDS: &str = "update lease set until_us = 0 where name = 'maintain'";

/// Killed while retention removes tables: what went is counted, what did not goes later.
#[tokio::test(flavor = "multi_thread")]
async fn ended_in_maintenance() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.produce(&world.records).await;
    run.start().await;
    run.judged().await;
    run.daemons.remove(0).terminate().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    run.setup.store_more = ", retention: {statistics: 1s, windows: 1s, rollups: 1d, deliveries: 1d}".into();
    run.setup.env = vec![("DRIFTD_FAULT".into(), "in_maintenance:2".into())];
    run.connect().await.execute(LEASE_ENDS).await.expect("ended");
    let mut doomed = run.setup.start();
    assert!(!doomed.end().await.success(), "{}", run.setup.log());
    run.setup.env.clear();
    run.connect().await.execute(LEASE_ENDS).await.expect("ended");
    run.start().await;
    let ledger = eventually("the windows to go", LONG, || async {
        let ledger = get_json(&format!("{}/api/v1/ledger", run.daemons[0].api)).await?;
        (ledger["windows"]["judged"] == 0).then_some(ledger)
    })
    .await;
    assert_eq!((&ledger["adds_up"], &ledger["windows"]["expired"]), (&true.into(), &ledger["windows"]["folded"]));
    let tables = "select count(*) as n from pg_inherits where inhparent = 'report'::regclass";
    assert_eq!(run.connect().await.fetch_one(tables).await.expect("reads").get::<i64, _>("n"), 0);
}

/// The ledger is read as it is at one time, also while a day of reports is being dropped: what a dropped table held
/// is gone for everybody at once, also for whoever began to read before.
#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_adds_up_while_a_day_is_dropped() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    run.produce(&world.records).await;
    run.start().await;
    run.judged().await;
    let (mut dropping, mut observer) = (run.connect().await, run.connect().await);
    let days = "select c.relname::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'report'::regclass";
    let days = observer.fetch_all(days).await.expect("reads");
    assert!(!days.is_empty());
    dropping.execute("begin").await.expect("begun");
    let count = "insert into expired (model, windows, records)
        select model, count(*), cast(sum(records) as bigint) from report group by model";
    dropping.execute(count).await.expect("counted");
    for day in days {
        let statement = format!("drop table {}", day.get::<String, _>("name"));
        dropping.execute(sqlx::AssertSqlSafe(statement)).await.expect("dropped");
    }
    let url = format!("{}/api/v1/ledger", run.daemons[0].api);
    let reading = tokio::spawn(async move { get_json(&url).await });
    let waiting = "select count(*) as n from pg_locks where not granted
        and database = (select oid from pg_database where datname = current_database())";
    eventually("somebody to wait for the lock", LONG, || async {
        let mut observer = run.connect().await;
        (observer.fetch_one(waiting).await.ok()?.get::<i64, _>("n") > 0).then_some(())
    })
    .await;
    // Whoever waits may be the loop of judgements: the reader gets there soon.
    tokio::time::sleep(Duration::from_secs(1)).await;
    dropping.execute("commit").await.expect("committed");
    let ledger = reading.await.expect("ended").expect("answered");
    assert_eq!((&ledger["adds_up"], &ledger["windows"]["judged"]), (&true.into(), &0.into()), "{ledger}");
}

/// Killed while the schema is brought up to date: the next start finishes it.
#[tokio::test(flavor = "multi_thread")]
async fn ended_in_a_migration() {
    let world = world().await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &service("POSTGRES_URL")).await;
    let mut connection = run.connect().await;
    let mut first = sqlx::migrate!("migrations/postgres");
    first.migrations = first.migrations.iter().take(1).cloned().collect::<Vec<_>>().into();
    first.run(&mut connection).await.expect("the first migration");
    // Somebody looks at a table that a later migration changes: it waits for the lock.
    connection.execute("begin").await.expect("begun");
    connection.execute("lock table position in access share mode").await.expect("locked");
    let mut doomed = run.setup.start();
    let mut observer = run.connect().await;
    let waiting = "select count(*) as n from pg_locks where not granted and relation = 'position'::regclass";
    let deadline = std::time::Instant::now() + LONG;
    while observer.fetch_one(waiting).await.map_or(0, |row| row.get::<i64, _>("n")) == 0 {
        assert!(std::time::Instant::now() < deadline, "the migration does not come to the lock");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    doomed.signal("-KILL");
    doomed.end().await;
    connection.execute("rollback").await.expect("released");
    run.produce(&world.records).await;
    run.start().await;
    run.finish_undisturbed(world, "a migration that was cut off").await;
}
