//! The maintain loop: roll-ups of hours and days, and retention. One process does it at a time, by
//! lease; every step is one transaction that can be done again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::config::Retention;
use crate::config::live::Live;
use crate::drift::judgement::revise;
use crate::drift::rollup::{Grain, merge};
use crate::drift::summary::Summary;
use crate::drift::time::{Span, Timestamp};
use crate::health::{Health, Part as Troubled};
use crate::judge::{Judge, rewatch, rows};
use crate::metrics;
use crate::store::{Cutoffs, Kept, MaintainStore, RollupRow};

/// How often there may be something to do.
const EVERY: Duration = Duration::from_secs(60);
/// When it is tried again after a failure: a process is not ready meanwhile, and the store may be back in a moment.
const AGAIN: Duration = Duration::from_secs(5);
/// How long maintenance stays with one process. Two at once do no harm, only the same work.
const LEASE: Duration = Duration::from_secs(90);
/// Tallies for a reference that is not in use wait so long for its return.
const FORGOTTEN: Span = Span::from_secs(7 * 86_400);

/// Runs until `shutdown`.
pub async fn run(
    store: Arc<dyn MaintainStore>,
    mut models: Vec<Judge>,
    live: watch::Receiver<Live>,
    health: Health,
    shutdown: CancellationToken,
) {
    let holder = uuid::Uuid::now_v7().to_string();
    while !shutdown.is_cancelled() {
        let retention = {
            let live = live.borrow();
            rewatch(&mut models, &live.watching);
            live.retention
        };
        let pause = match step(store.as_ref(), &models, &retention, &holder, clock::now()).await {
            Ok(_) => {
                health.well(Troubled::Maintenance);
                EVERY
            }
            Err(error) => {
                metrics::step_failed("maintain");
                tracing::warn!(error = format!("{error:#}"), "maintenance failed; trying again");
                health.trouble(Troubled::Maintenance, format!("{error:#}"));
                AGAIN
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One round: everything that is due. Gives how many roll-ups were made and how many tables or rows
/// were removed.
///
/// # Errors
/// If the store fails or holds what does not decode; the round can be done again.
pub async fn step(
    store: &dyn MaintainStore,
    models: &[Judge],
    retention: &Retention,
    holder: &str,
    now: Timestamp,
) -> anyhow::Result<(usize, u64)> {
    if !store.lease("maintain", holder, now, LEASE).await? {
        return Ok((0, 0));
    }
    let mut made = 0;
    for judge in models {
        for grain in Grain::ALL {
            for start in store.unrolled(&judge.model.name, &judge.reference.id, grain).await? {
                made += usize::from(roll_up(store, judge, grain, start, now).await?);
            }
        }
    }
    let kept: Vec<Kept> = models.iter().map(|judge| kept(judge, now)).collect();
    let removed = store.expire(&cutoffs(retention, now)).await? + store.forget_examples(&kept, now).await?;
    if removed > 0 {
        tracing::info!(removed, "retention removed tables or rows");
    }
    metrics::maintained(made, removed);
    Ok((made, removed))
}

async fn roll_up(
    store: &dyn MaintainStore,
    judge: &Judge,
    grain: Grain,
    start: Timestamp,
    now: Timestamp,
) -> anyhow::Result<bool> {
    let reference = judge.reference.as_ref();
    let parts = store.parts(&judge.model.name, &reference.id, grain, start).await?;
    let summaries = parts.iter().map(|part| Summary::decode(&part.summary)).collect::<Result<Vec<_>, _>>()?;
    let summary = merge(Summary::empty(reference), &summaries)?;
    let (start, end) = grain.bounds(start);
    let rollup = RollupRow {
        model: judge.model.name.clone(),
        reference_id: reference.id.clone(),
        grain,
        start,
        end,
        windows: parts.iter().map(|part| part.windows).sum(),
        records: i64::try_from(summary.records).unwrap_or(i64::MAX),
        incomplete: parts.iter().any(|part| part.incomplete),
        statistics: rows::rollup_json(reference, &revise(reference, &summary, judge.watch.sensitivity)),
        summary: summary.encode(),
    };
    Ok(store.commit_rollup(&rollup, &parts, now).await?)
}

/// Texts of a model whose examples are off go at once, and those of others earlier where that is said now.
fn kept(judge: &Judge, now: Timestamp) -> Kept {
    Kept { model: judge.model.name.clone(), before: judge.examples.map(|rule| now.minus(rule.retention)) }
}

fn cutoffs(retention: &Retention, now: Timestamp) -> Cutoffs {
    Cutoffs {
        statistics: now.minus(retention.statistics),
        windows: now.minus(retention.windows),
        rollups: now.minus(retention.rollups),
        deliveries: now.minus(retention.deliveries),
        partials: now.minus(FORGOTTEN),
        audit: now.minus(retention.audit),
        predictions: now.minus(retention.predictions),
    }
}
