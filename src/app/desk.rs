//! What people do about alerts, by the command line, on the store itself: `driftd alerts`, `driftd silence`,
//! `driftd deliveries`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::runtime;
use crate::cli::desk::{Ack, AddSilence, Alerts, Deliveries, ExpireSilence, ListDeliveries, Redeliver, Silence};
use crate::clock;
use crate::config::{self, Config};
use crate::desk::{self, By, NewSilence};
use crate::drift::time::Timestamp;
use crate::model::Manifest;
use crate::store::access::Actor;
use crate::store::{AuditRow, DeliveryRow, DeskStore as _, Page, ReadStore as _, SilenceRow, SqlStore};

/// Messages sent again by one command at most.
const MOST_REDELIVERED: i64 = 10_000;
/// Silences listed.
const MOST_LISTED: i64 = 500;

/// Runs `driftd alerts`.
///
/// # Errors
/// If the store cannot be reached, or it cannot be done.
pub fn alerts(command: &Alerts) -> anyhow::Result<()> {
    let Alerts::Ack(Ack { config, alert, comment, by: name }) = command;
    on_store(&config.config, async |store| {
        let (alert, row) = desk::acknowledge(store, alert, by(&who(name.as_deref())), comment, clock::now()).await?;
        println!("{} of `{}` is taken on by {}", alert.alert_id, alert.model, row.by);
        Ok(())
    })
}

/// Runs `driftd silence`.
///
/// # Errors
/// If the store cannot be reached, or it cannot be done.
pub fn silence(command: &Silence) -> anyhow::Result<()> {
    match command {
        Silence::Add(args) => add_silence(args),
        Silence::List(config) => on_store(&config.config, async |store| {
            let rows = store.silences(Page { limit: MOST_LISTED, before_us: i64::MAX }).await?;
            let now = clock::now();
            println!("{:<36} {:<8} {:<21} {:<21} {:<12} what; why", "silence", "state", "from", "to", "by");
            rows.iter().for_each(|row| println!("{}", silence_line(row, now)));
            Ok(())
        }),
        Silence::Expire(ExpireSilence { config, silence }) => on_store(&config.config, async |store| {
            let row = desk::expire(store, silence, by(&who(None)), clock::now()).await?;
            println!("{} ends {}", row.silence_id, row.ends);
            Ok(())
        }),
    }
}

fn add_silence(args: &AddSilence) -> anyhow::Result<()> {
    let now = clock::now();
    let new = NewSilence {
        model: args.model.clone(),
        task: args.task.clone(),
        cause: args.cause.clone(),
        segment: args.segment.clone(),
        severity: args.severity.clone(),
        comment: args.comment.clone(),
        starts: args.from,
        ends: args.from.unwrap_or(now).plus(args.lasts),
    };
    let config = config::load(&args.config.config)?;
    on_store(&args.config.config, async |store| {
        let row = desk::silence(store, new, by(&who(args.by.as_deref())), now).await?;
        println!("{}", row.silence_id);
        if let Some(nothing) = of_nothing(&row, &known(&config, store).await?) {
            eprintln!("driftd: warning: {nothing}");
        }
        Ok(())
    })
}

/// Models that are configured or were judged, with their tasks.
async fn known(config: &Config, store: &SqlStore) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut known: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in store.models().await? {
        let tasks: Vec<Value> = serde_json::from_str(&row.tasks)?;
        let names = tasks.iter().filter_map(|task| task["name"].as_str().map(str::to_owned));
        known.entry(row.name).or_default().extend(names);
    }
    for spec in config.models.iter().filter_map(|model| Some(Manifest::load(&model.manifest).ok()?.spec)) {
        known.entry(spec.name).or_default().extend(spec.tasks.into_iter().map(|task| task.name));
    }
    Ok(known)
}

/// Said of a silence that holds nothing back. What it names may still come.
fn of_nothing(silence: &SilenceRow, known: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let named = |name: &String| silence.model.as_ref().is_none_or(|model| model == name);
    let models: Vec<_> = known.iter().filter(|(name, _)| named(name)).collect();
    let list = |names: Vec<&String>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (what, there) = match (&silence.model, &silence.task) {
        (Some(model), _) if models.is_empty() => (format!("model `{model}`"), list(known.keys().collect())),
        (_, Some(task)) if !models.iter().any(|(_, tasks)| tasks.contains(task)) => {
            let all: BTreeSet<&String> = models.iter().flat_map(|(_, tasks)| tasks.iter()).collect();
            (format!("task `{task}`"), list(all.into_iter().collect()))
        }
        _ => return None,
    };
    let there = if there.is_empty() { "none".to_owned() } else { there };
    Some(format!("there is no {what}, so this holds nothing back; known: {there}"))
}

fn silence_line(row: &SilenceRow, now: Timestamp) -> String {
    let state = match () {
        () if row.ends <= now => "over",
        () if row.starts > now => "waits",
        () => "lasts",
    };
    let named = [
        ("model", &row.model),
        ("task", &row.task),
        ("cause", &row.cause),
        ("segment", &row.segment),
        ("severity", &row.severity),
    ];
    let what: Vec<String> = named.iter().filter_map(|(n, v)| v.as_ref().map(|v| format!("{n}={v}"))).collect();
    let what = if what.is_empty() { "everything".to_owned() } else { what.join(" ") };
    let (id, by, why) = (&row.silence_id, &row.created_by, &row.comment);
    format!(
        "{id:<36} {state:<8} {:<21.20} {:<21.20} {by:<12} {what}; {why}",
        row.starts.to_string(),
        row.ends.to_string()
    )
}

/// Runs `driftd deliveries`.
///
/// # Errors
/// If the store cannot be reached, or it cannot be done.
pub fn deliveries(command: &Deliveries) -> anyhow::Result<()> {
    match command {
        Deliveries::List(ListDeliveries { config, state, endpoint, limit }) => {
            on_store(&config.config, async |store| {
                let rows = store.deliveries_in(state.as_deref(), endpoint.as_deref(), *limit).await?;
                println!(
                    "{:<24} {:<9} {:>8} {:<16} {:<26} written; last error",
                    "delivery", "state", "attempts", "endpoint", "event"
                );
                rows.iter().for_each(|row| println!("{}", delivery_line(row)));
                Ok(())
            })
        }
        Deliveries::Redeliver(Redeliver { config, deliveries, failed, endpoint }) => {
            on_store(&config.config, async |store| {
                let ids = if *failed {
                    // The oldest first, as they would have gone.
                    let rows = store.deliveries_in(Some("failed"), endpoint.as_deref(), MOST_REDELIVERED).await?;
                    rows.into_iter().rev().map(|row| row.delivery_id).collect()
                } else {
                    deliveries.clone()
                };
                for id in &ids {
                    desk::redeliver(store, id, by(&who(None)), clock::now()).await?;
                }
                println!("{} will be sent again", ids.len());
                Ok(())
            })
        }
    }
}

fn delivery_line(row: &DeliveryRow) -> String {
    let (id, state, attempts, endpoint) = (&row.delivery_id, &row.state, row.attempts, &row.endpoint);
    let error = row.last_error.as_deref().map_or_else(String::new, |e| format!("; {e}"));
    format!("{id:<24} {state:<9} {attempts:>8} {endpoint:<16} {:<26} {}{error}", row.event, row.created)
}

/// Opens the store that a configuration names, and closes it after.
fn on_store(file: &Path, act: impl AsyncFnOnce(&SqlStore) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let config = config::load(file)?;
    runtime()?.block_on(async {
        let store = SqlStore::open(&config.store.0).await?;
        let done = act(&store).await;
        store.close().await;
        done
    })
}

fn by(name: &str) -> By<'_> {
    By { name, act: &act }
}

/// The command line is one caller, whoever sits at it.
fn act(action: &str, object: &str, detail: &Value) -> AuditRow {
    let actor = Actor { name: "command line".to_owned(), id: "command".to_owned(), means: "command" };
    AuditRow::done(&actor, action, object, detail, clock::now())
}

/// Whoever sits at this shell.
fn who(by: Option<&str>) -> String {
    let user = || std::env::var("USER").ok().filter(|user| !user.is_empty());
    by.map(str::to_owned).or_else(user).unwrap_or_else(|| "somebody".to_owned())
}
