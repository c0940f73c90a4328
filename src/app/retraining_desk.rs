//! `driftd retraining`: people's word about requests, straight to the store.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;

use super::{retraining, runtime, write_output};
use crate::api::retraining_views::{PauseView, RequestDetail, RequestView};
use crate::cli::retraining::{Retraining, RetrainingCommand};
use crate::clock;
use crate::config::{self, Config};
use crate::drift::retraining::life::State;
use crate::model::Manifest;
use crate::retrain::desk::{ALL_MODELS, Desk};
use crate::retrain::messages;
use crate::retrain::word::{By, Refusal};
use crate::store::access::Actor;
use crate::store::{AuditRow, Page, ReadStore as _, RequestHistory, RetrainingStore as _, SqlStore};

/// Does what was asked, and says how things stand then.
///
/// # Errors
/// If it cannot be done, or the store does not answer.
pub fn main(args: &Retraining) -> anyhow::Result<()> {
    let config = config::load(&args.config.config)?;
    let text = runtime()?.block_on(async {
        let store = SqlStore::open(&config.store.0).await?;
        let told = tell(args, &config, &store).await;
        store.close().await;
        told
    })?;
    write_output(None, &text)
}

async fn tell(args: &Retraining, config: &Config, store: &SqlStore) -> anyhow::Result<String> {
    let desk = desk(config, store).await?;
    let by = |action: &str, object: &str, comment: &str| by(&args.name, action, object, comment);
    let history = match &args.what {
        RetrainingCommand::List { model, limit } => {
            let page = Page { limit: i64::from(*limit), before_us: i64::MAX };
            let rows = store.requests(model.as_deref(), page).await?;
            let views: Vec<RequestView> = rows.into_iter().map(RequestView::from).collect();
            return if args.json { pretty(&json!({"data": views})) } else { Ok(table(&views)) };
        }
        RetrainingCommand::Pause { model, reason } => return turn(args, &desk, model.as_deref(), true, reason).await,
        RetrainingCommand::Resume { model, reason } => return turn(args, &desk, model.as_deref(), false, reason).await,
        RetrainingCommand::Show { id } => store.request(id).await?.ok_or_else(|| Refusal::Missing(id.clone()))?,
        RetrainingCommand::Approve { id, comment } => {
            desk.approve(id, by("retraining.approve", id, comment), comment).await?
        }
        RetrainingCommand::Reject { id, comment } => {
            desk.reject(id, by("retraining.reject", id, comment), comment).await?
        }
        RetrainingCommand::Close { id, state, comment } => {
            desk.close(id, *state, by("retraining.close", id, comment), comment).await?
        }
        RetrainingCommand::Request { model, tasks, reason } => {
            desk.ask(model, tasks, by("retraining.request", model, reason), reason, &uuid::Uuid::now_v7().to_string())
                .await?
        }
    };
    if args.json { pretty(&RequestDetail::from(history)) } else { Ok(shown(&history)) }
}

async fn desk(config: &Config, store: &SqlStore) -> anyhow::Result<Desk> {
    let rows = store.models().await?;
    let mut subjects = BTreeMap::new();
    for model in &config.models {
        let manifest = Manifest::load(&model.manifest)?;
        let name = manifest.spec.name.clone();
        let reference = rows.iter().find(|row| row.name == name).map_or("", |row| row.reference_id.as_str());
        subjects.insert(name, retraining::subject(model, &manifest, reference));
    }
    Ok(retraining::desk(Arc::new(store.clone()), &config.retraining, &config.endpoints, subjects))
}

async fn turn(
    args: &Retraining,
    desk: &Desk,
    model: Option<&str>,
    paused: bool,
    reason: &str,
) -> anyhow::Result<String> {
    let model = model.unwrap_or(ALL_MODELS);
    let known = model == ALL_MODELS || desk.subjects.contains_key(model);
    anyhow::ensure!(known, Refusal::NoModel(model.to_owned()));
    let action = if paused { "retraining.pause" } else { "retraining.resume" };
    desk.pause(model, paused, by(&args.name, action, model, reason), reason).await?;
    let views: Vec<PauseView> = desk.store.pauses().await?.into_iter().map(PauseView::from).collect();
    if args.json {
        return pretty(&json!({"data": views}));
    }
    let mut text = String::new();
    for view in views {
        let model = if view.model == ALL_MODELS { "all models" } else { view.model.as_str() };
        let state = if view.paused { "paused" } else { "running" };
        let _ = writeln!(text, "{model}: {state} since {} by {}: {}", view.at, view.who, view.why);
    }
    Ok(text)
}

fn by(name: &str, action: &str, object: &str, comment: &str) -> By {
    let actor = Actor { name: name.to_owned(), id: name.to_owned(), means: "command" };
    let audit = AuditRow::done(&actor, action, object, &json!({"comment": comment}), clock::now());
    By { name: name.to_owned(), audit: Some(audit) }
}

fn pretty<T: serde::Serialize>(value: &T) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value).context("plain data serializes")? + "\n")
}

fn table(views: &[RequestView]) -> String {
    let mut text = format!("{:<20} {:<10} {:<9} {:<24} {:<20} why\n", "id", "state", "kind", "created", "model");
    for view in views {
        let state = &view.state;
        let created = view.created_at.to_string();
        let _ = writeln!(
            text,
            "{:<20} {state:<10} {:<9} {created:<24} {:<20} {}",
            view.id, view.kind, view.model, view.reason
        );
    }
    text
}

fn shown(history: &RequestHistory) -> String {
    let row = &history.row;
    let mut text = format!("{} of {} version {}: {}\n", row.request_id, row.model, row.version, row.state.name());
    let _ = writeln!(text, "  why        {}", row.reason);
    let _ = writeln!(text, "  retrain    {}", row.tasks);
    let _ = writeln!(text, "  protect    {}", row.protected_tasks);
    if let Some((start, end)) = messages::covers(row) {
        let _ = writeln!(text, "  covers     {start} to {end}");
    }
    for (name, value) in [("hook", &row.hook), ("run", &row.run_url), ("candidate", &row.new_model_version)] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<10} {value}");
        }
    }
    for m in &history.moves {
        let from = m.from.map_or("", State::name);
        let _ = writeln!(text, "  {} {from} → {} by {}: {}", m.at, m.to.name(), m.who, m.why);
    }
    for a in &history.attempts {
        let status = a.status.map_or_else(|| "no answer".to_owned(), |s| s.to_string());
        let _ = writeln!(text, "  {} try {} of `{}`: {} ({status}) {}", a.at, a.attempt, a.hook, a.outcome, a.detail);
    }
    for c in &history.callbacks {
        let _ = writeln!(text, "  {} call-back {}: {}", c.at, c.report, c.outcome);
    }
    text
}
