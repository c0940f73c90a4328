//! Memory, file descriptors, threads and tables under steady load; fails if they grow.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use driftd::drift::time::{Span, Timestamp};
use driftd::source::producer::Producer;
use sqlx::{Executor as _, Row as _};

use crate::bed::{Bed, DISTINCT, Daemon, dated, fit, label, labelled, labels, passed, replaced, traffic};

/// Predictions a second, and the event time from one to the next: a day in half a minute, so that
/// retention has days to drop.
const RATE: usize = 2_000;
const STEP: Span = Span::from_micros(1_440_000);
/// One in so many predictions gets a label, so many predictions later: an hour of event time.
const LABELLED: usize = 10;
const LATER: usize = 2_500;

/// One look at everything that may grow.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    resident_mb: f64,
    descriptors: usize,
    threads: usize,
    tables_mb: f64,
    dead_rows: i64,
}

impl Look {
    async fn at(bed: &Bed, daemons: &[Daemon]) -> anyhow::Result<Look> {
        let mut look = Look { resident_mb: 0.0, descriptors: 0, threads: 0, tables_mb: 0.0, dead_rows: 0 };
        for daemon in daemons {
            look.resident_mb += daemon.status("VmRSS:")? / 1024.0;
            look.threads += daemon.status("Threads:")? as usize;
            look.descriptors += std::fs::read_dir(format!("/proc/{}/fd", daemon.id()))?.count();
        }
        // Predictions are kept for a day at least, so half an hour of them only grows.
        let sizes = "select pg_database_size(current_database()) - cast((
                select coalesce(sum(pg_total_relation_size(inhrelid)), 0) from pg_inherits
                where inhparent in ('kept_prediction'::regclass, 'label_join'::regclass)) as bigint) as bytes,
            cast((select coalesce(sum(n_dead_tup), 0) from pg_stat_user_tables) as bigint) as dead";
        let row = bed.connect().await?.fetch_one(sizes).await?;
        look.tables_mb = row.try_get::<i64, _>("bytes")? as f64 / 1e6;
        look.dead_rows = row.try_get("dead")?;
        Ok(look)
    }
}

/// What is compared: its name, how it is read, and the growth allowed.
type Measure<'m> = (&'m str, &'m dyn Fn(&Look) -> f64, f64);

pub async fn soak(directory: &Path, minutes: usize) -> anyhow::Result<()> {
    ensure!(minutes >= 4, "a soak of less than four minutes says nothing");
    let records = traffic(DISTINCT, STEP)?;
    let labels = labels(&records)?;
    let reference = fit(directory, &labelled(&records, &labels), "1h")?;
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
    let (mut predictions, at) = (0_usize, |i: usize| start.plus(Span::from_micros(STEP.micros() * i as i64)));
    let prediction = |i: usize| {
        let record = replaced(&dated(&records[i % records.len()].1, at(i)), "prediction_id", &format!("soak-{i}"));
        (i.to_string(), record)
    };
    let late = |now: usize| {
        let i = now.checked_sub(LATER)?;
        Some((i.to_string(), label(&format!("soak-{i}"), &labels[i % labels.len()], at(now))))
    };
    for second in 0..minutes * 60 {
        let now = predictions..predictions + RATE;
        predictions += RATE;
        let mut batch: Vec<(String, String)> = now.clone().map(prediction).collect();
        batch.extend(now.step_by(LABELLED).filter_map(late));
        producer.send(&batch).await?;
        sent += batch.len();
        let due = Duration::from_secs(second as u64 + 1);
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        if (second + 1) % 60 == 0 {
            let look = Look::at(&bed, &daemons).await?;
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
