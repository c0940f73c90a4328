//! Faults at random, by seed. What a failing seed did is kept in [`KEPT`], literally.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{AnyConnection, Connection as _, Executor as _};

use crate::run::{Run, world};
use crate::support::proxy::{Proxy, Way};
use crate::support::service;

/// One disturbance.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Start,
    Kill(usize),
    Terminate(usize),
    Stop(usize, u64),
    CutStore(u64),
    SlowStore(u64),
    HangStore(u64),
    EndSessions,
    Wait(u64),
}

/// Sequences that are always run: two replicas, of which one wakes up into a store that is cut off.
const KEPT: [&[Fault]; 1] =
    [&[Fault::Start, Fault::Stop(0, 5_000), Fault::CutStore(500), Fault::Kill(1), Fault::Start, Fault::EndSessions]];

fn sequence(seed: u64) -> Vec<Fault> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut fault = || match rng.random_range(0..9) {
        0 | 1 => Fault::Start,
        2 => Fault::Kill(rng.random_range(0..3)),
        3 => Fault::Terminate(rng.random_range(0..3)),
        4 => Fault::Stop(rng.random_range(0..3), rng.random_range(500..5_000)),
        5 => Fault::CutStore(rng.random_range(100..1_500)),
        6 => Fault::SlowStore(rng.random_range(100..1_500)),
        7 => Fault::HangStore(rng.random_range(100..1_500)),
        _ => Fault::EndSessions,
    };
    let mut faults = Vec::new();
    for _ in 0..8 {
        faults.push(fault());
        faults.push(Fault::Wait(300));
    }
    faults
}

async fn disturbed(faults: &[Fault], name: &str) {
    let world = world().await;
    let postgres = service("POSTGRES_URL");
    let server = postgres.split('@').nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
    let proxy = Proxy::start(&server).await;
    let mut run = Run::new(world, &service("KAFKA_BROKERS"), &postgres).await;
    let direct = run.setup.store.clone();
    let proxied = direct.replace(&server, &proxy.address.to_string());
    run.setup.store.clone_from(&proxied);
    run.start().await;
    let producing = run.produce_slowly(&world.records, Duration::from_secs(10));
    for fault in faults {
        let pause = |ms: u64| tokio::time::sleep(Duration::from_millis(ms));
        let count = run.daemons.len();
        match *fault {
            Fault::Start if count < 3 => run.daemons.push(run.setup.start()),
            Fault::Kill(i) if count > 0 => run.daemons.remove(i % count).kill().await,
            Fault::Terminate(i) if count > 0 => {
                let mut daemon = run.daemons.remove(i % count);
                // One that is only just starting may not listen to signals yet.
                daemon.signal("-TERM");
                daemon.end().await;
            }
            Fault::Stop(i, ms) if count > 0 => {
                run.daemons[i % count].signal("-STOP");
                pause(ms).await;
                run.daemons[i % count].signal("-CONT");
            }
            Fault::CutStore(ms) | Fault::SlowStore(ms) | Fault::HangStore(ms) => {
                proxy.set(match fault {
                    Fault::CutStore(_) => Way::Cut,
                    Fault::SlowStore(_) => Way::Slow(Duration::from_millis(40)),
                    _ => Way::HalfOpen,
                });
                pause(ms).await;
                proxy.set(Way::Open);
            }
            Fault::EndSessions => {
                let name = direct.rsplit('/').next().expect("a name");
                let end = format!(
                    "select pg_terminate_backend(pid)::text from pg_stat_activity where datname = '{name}' and pid <> pg_backend_pid()"
                );
                let mut admin = AnyConnection::connect(&postgres).await.expect("connects");
                admin.execute(sqlx::AssertSqlSafe(end)).await.expect("ended");
            }
            Fault::Wait(ms) => pause(ms).await,
            _ => {}
        }
    }
    producing.await.expect("produced");
    // Whoever could not start while the store was away has ended.
    for mut daemon in std::mem::take(&mut run.daemons) {
        if daemon.child.try_wait().expect("asked").is_none() {
            run.daemons.push(daemon);
        }
    }
    run.setup.store = direct;
    run.start().await;
    run.finish_undisturbed(world, &format!("{name}: {faults:?}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_sequences() {
    for (i, faults) in KEPT.iter().enumerate() {
        disturbed(faults, &format!("kept {i}")).await;
    }
}

/// Two seeds; `DRIFTD_SEEDS=100..200` asks for others.
#[tokio::test(flavor = "multi_thread")]
async fn seeded_faults() {
    let wanted = std::env::var("DRIFTD_SEEDS").unwrap_or_else(|_| "1..3".to_owned());
    let (from, to) = wanted.split_once("..").expect("DRIFTD_SEEDS=FROM..TO");
    for seed in from.parse().expect("a number")..to.parse::<u64>().expect("a number") {
        eprintln!("seed {seed}");
        disturbed(&sequence(seed), &format!("seed {seed}")).await;
    }
}
