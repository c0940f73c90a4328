//! `driftd audit`: the ledger of every partition, beside what the broker holds.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Serialize;

use super::{runtime, write_output};
use crate::api::ledger::{self, LedgerView, PartitionView};
use crate::cli::{Audit, AuditFormat};
use crate::config;
use crate::source::client::{self, Extent};
use crate::store::SqlStore;

/// The ledger and what the broker holds.
#[derive(Serialize)]
struct Audited {
    #[serde(flatten)]
    ledger: LedgerView,
    /// What the broker holds; null if it was not asked.
    broker: Option<Vec<Held>>,
}

/// What the broker holds of one partition.
#[derive(Serialize)]
struct Held {
    topic: String,
    partition: i32,
    oldest: i64,
    end: i64,
    /// Records, and perhaps markers of transactions, that were not read yet; null for a partition that nobody has begun.
    unread: Option<i64>,
}

/// Tells what became of every record.
///
/// # Errors
/// If the store or the broker does not answer, or the ledger does not add up.
pub fn main(args: &Audit) -> anyhow::Result<()> {
    let config = config::load(&args.config.config)?;
    let ledger = runtime()?.block_on(async {
        let store = SqlStore::open(&config.store.0).await?;
        let ledger = ledger::read(&store).await.context("the ledger");
        store.close().await;
        ledger
    })?;
    // After the ledger: what comes between the two is unread, and not read before it was there.
    let extents = match &config.kafka {
        Some(kafka) if !args.offline => Some(client::extents(kafka)?),
        _ => None,
    };
    let broker = extents.map(|extents| extents.into_iter().map(|e| held(e, &ledger)).collect::<Vec<_>>());
    // A position beyond the end is a topic that was created anew while nobody read it.
    let within = broker.iter().flatten().all(|held| held.unread.is_none_or(|unread| unread >= 0));
    let adds_up = ledger.adds_up && within;
    let text = match args.format {
        AuditFormat::Json => serde_json::to_string_pretty(&Audited { ledger, broker })? + "\n",
        AuditFormat::Table => table(&ledger, broker.as_deref(), adds_up),
    };
    write_output(None, &text)?;
    anyhow::ensure!(adds_up, "the ledger does not add up");
    Ok(())
}

fn held(extent: Extent, ledger: &LedgerView) -> Held {
    let Extent { partition, oldest, end } = extent;
    let read = ledger.partitions.iter().find(|p| p.topic == partition.topic && p.partition == partition.number);
    Held {
        topic: partition.topic,
        partition: partition.number,
        oldest,
        end,
        unread: read.map(|p| end - p.next_offset.max(oldest)),
    }
}

fn table(ledger: &LedgerView, broker: Option<&[Held]>, adds_up: bool) -> String {
    let mut text = format!(
        "{:<32} {:>12} {:>12} {:>12} {:>10} {:>8} {:>8} {:>10}\n",
        "partition", "offsets", "read", "folded", "set aside", "dead", "gaps", "unread"
    );
    for p in &ledger.partitions {
        let held = broker.into_iter().flatten().find(|h| h.topic == p.topic && h.partition == p.partition);
        let unread = held.and_then(|h| h.unread).map_or_else(|| "?".to_owned(), |n| n.to_string());
        let _ = writeln!(
            text,
            "{:<32} {:>12} {:>12} {:>12} {:>10} {:>8} {:>8} {:>10}{}",
            format!("{}/{}", p.topic, p.partition),
            format!("{}..{}", p.first_offset, p.next_offset),
            p.next_offset - p.first_offset,
            p.folded,
            p.set_aside,
            p.dead_lettered,
            p.gaps,
            unread,
            wrong(p)
        );
    }
    for held in broker.into_iter().flatten().filter(|h| h.unread.is_none()) {
        let name = format!("{}/{}", held.topic, held.partition);
        let _ = writeln!(text, "{name:<32} not begun: the broker holds {}..{}", held.oldest, held.end);
    }
    for closed in &ledger.closed {
        let words = if closed.adds_up { "adds up" } else { "DOES NOT ADD UP" };
        let _ = writeln!(
            text,
            "{}/{} before the topic was created anew ({}): {}..{}, {} folded, {words}",
            closed.topic, closed.partition, closed.generation, closed.first_offset, closed.next_offset, closed.folded
        );
    }
    for loss in &ledger.losses {
        let lost =
            loss.to_offset.map_or_else(|| "an unknown number".to_owned(), |to| (to - loss.from_offset).to_string());
        let _ = writeln!(
            text,
            "LOST {}/{}: {lost} of records from offset {} ({}), found {}",
            loss.topic, loss.partition, loss.from_offset, loss.reason, loss.found_at
        );
    }
    let w = &ledger.windows;
    let _ = writeln!(
        text,
        "\n{} folded = {} in judged windows + {} in open ones + {} in windows that retention removed",
        w.folded, w.judged, w.open, w.expired
    );
    if adds_up {
        text.push_str("Everything adds up.\n");
    }
    text
}

fn wrong(partition: &PartitionView) -> &'static str {
    if partition.adds_up { "" } else { "  DOES NOT ADD UP" }
}
