//! Processes of ours that end, stop, come and go.

use std::time::Duration;

use driftd::fault::POINTS;
use futures_util::StreamExt as _;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::run::{LONG, Run, World, world};
use crate::support::daemon::CLASSIC;
use crate::support::service;

/// The group protocol of newer brokers, who assign the partitions themselves.
const KIP_848: &str = "group.protocol: consumer";

/// Ended at each named step as `kill -9` would, and started again.
#[tokio::test(flavor = "multi_thread")]
async fn ended_at_every_step() {
    let world = world().await;
    // They mostly wait: for a dead member's session to end, for partitions to be idle.
    let ends =
        POINTS.into_iter().enumerate().filter(|(_, p)| *p != "in_maintenance").map(|(i, p)| ended_at(world, i, p));
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
