//! The join of labels at length: predictions of a fortnight, labels of one in a hundred up to a week
//! later. What a kept prediction costs in the store, and what the process needs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use driftd::drift::time::{Span, Timestamp};
use driftd::source::producer::Producer;
use rand::{RngExt as _, SeedableRng as _};
use sqlx::{Executor as _, Row as _};

use crate::bed::{Bed, DISTINCT, dated, fit, label, labelled, labels as answers, passed, replaced, traffic};

/// Event time of all predictions, and the longest time to a label.
const FORTNIGHT: Span = Span::from_secs(14 * 86_400);
const WEEK: Span = Span::from_secs(7 * 86_400);
/// One in so many predictions gets a label.
const LABELLED: usize = 100;
const BATCH: usize = 5_000;
/// The topic keeps what fits into so many records; the daemon must not fall behind by more.
const AHEAD: i64 = 400_000;

/// So many millions of predictions.
pub async fn labels(directory: &Path, millions: f64) -> anyhow::Result<()> {
    let count = (millions * 1e6) as usize;
    let step = Span::from_micros(FORTNIGHT.micros() / i64::try_from(count)?);
    let records = traffic(DISTINCT, Span::from_micros(step.micros().max(250_000)))?;
    let answers = answers(&records)?;
    let reference = fit(directory, &labelled(&records, &answers), "10m")?;
    let bed = Bed::new(directory, &reference, "1h", "").await?;
    let daemon = bed.start("collect,judge,deliver,api")?;
    let producer = Producer::connect(&bed.brokers, &bed.topic)?;
    let mut connection = bed.connect().await?;
    let start = Timestamp::parse("2020-01-01T00:00:00Z").context("a time")?;
    let at = |i: usize| start.plus(Span::from_micros(step.micros() * i as i64));
    let longest = usize::try_from(WEEK.micros() / step.micros())?;
    let mut rng = rand::rngs::StdRng::seed_from_u64(7);
    // Labels by the prediction after which they are sent.
    let mut due: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let (began, mut sent, mut sent_labels, mut most_mb) = (Instant::now(), 0_i64, 0_i64, 0.0_f64);
    for first in (0..count).step_by(BATCH) {
        let mut batch = Vec::with_capacity(BATCH + BATCH / LABELLED);
        for i in first..(first + BATCH).min(count) {
            let id = format!("p-{i}");
            let record = dated(&records[i % records.len()].1, at(i));
            batch.push((i.to_string(), replaced(&record, "prediction_id", &id)));
            if i % LABELLED == 0 {
                due.entry(i + rng.random_range(0..longest)).or_default().push(i);
            }
            while let Some(entry) = due.first_entry().filter(|entry| *entry.key() <= i) {
                for of in entry.remove() {
                    batch.push((of.to_string(), label(&format!("p-{of}"), &answers[of % answers.len()], at(i))));
                    sent_labels += 1;
                }
            }
        }
        producer.send(&batch).await?;
        sent += i64::try_from(batch.len())?;
        while passed(&mut connection).await? < sent - AHEAD {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        most_mb = most_mb.max(daemon.status("VmRSS:")? / 1024.0);
        if (first / BATCH) % 100 == 99 {
            let seconds = began.elapsed().as_secs();
            println!(
                "{:>11} records after {seconds:>4} s, {most_mb:.0} MB resident at most",
                passed(&mut connection).await?
            );
        }
    }
    while passed(&mut connection).await? < sent {
        ensure!(began.elapsed() < Duration::from_secs(7_200), "the daemon does not keep up");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let took = began.elapsed().as_secs_f64();
    let number = async |connection: &mut sqlx::AnyConnection, sql: &'static str| -> anyhow::Result<i64> {
        Ok(connection.fetch_one(sql).await?.try_get("n")?)
    };
    // A partition at its end is idle after a minute; then the last windows close and are joined.
    let progress = "select cast((select count(*) from report) + (select count(*) from label_join) as bigint) as n";
    let (mut seen, mut since) = (-1, Instant::now());
    while since.elapsed() < Duration::from_secs(90) {
        let now = number(&mut connection, progress).await?;
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let bytes = |table: &str| match table {
        "kept_prediction" => {
            "select cast(coalesce(sum(pg_total_relation_size(inhrelid)), 0) as bigint) as n from pg_inherits
             where inhparent = 'kept_prediction'::regclass"
        }
        _ => {
            "select cast(coalesce(sum(pg_total_relation_size(inhrelid)), 0) as bigint) as n from pg_inherits
             where inhparent = 'label_join'::regclass"
        }
    };
    let kept = number(&mut connection, "select count(*) as n from kept_prediction").await?;
    let joined = number(&mut connection, "select count(*) as n from label_join").await?;
    let told =
        number(&mut connection, "select cast(coalesce(sum(labelled), 0) as bigint) as n from window_performance")
            .await?;
    let waiting = number(&mut connection, "select count(*) as n from label_pending").await?;
    let of_kept = number(&mut connection, bytes("kept_prediction")).await?;
    let of_joined = number(&mut connection, bytes("label_join")).await?;
    println!("{sent} records in {took:.0} s: {:.0} a second; {most_mb:.0} MB resident at most", sent as f64 / took);
    println!("{kept} predictions kept, {:.0} bytes each with their index", of_kept as f64 / kept.max(1) as f64);
    println!(
        "{sent_labels} labels sent, {joined} joined ({told} in windows' performance), {waiting} wait; {:.0} bytes each",
        of_joined as f64 / joined.max(1) as f64
    );
    let _ = rustls::crypto::ring::default_provider().install_default();
    let metrics = reqwest::get(format!("{}/metrics", daemon.ops)).await?.text().await?;
    for line in metrics.lines().filter(|line| line.starts_with("driftd_labels_total") && !line.ends_with(" 0")) {
        println!("{line}");
    }
    let closed = sent_labels - waiting;
    ensure!(kept == i64::try_from(count)? && joined == closed, "{kept} kept of {count}, {joined} joined of {closed}");
    Ok(())
}
