//! Records a second and CPU a million records, by one collecting process and by four.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use driftd::drift::time::{Span, Timestamp};
use driftd::source::producer::Producer;
use sqlx::{Executor as _, Row as _};

use crate::bed::{Bed, DISTINCT, Daemon, PARTITIONS, dated, fit, passed, traffic};

/// Records of a measurement.
const RECORDS: usize = 1_200_000;

pub async fn rates(directory: &Path) -> anyhow::Result<()> {
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
