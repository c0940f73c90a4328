//! The retrain loop: approves what the policy lets driftd approve, starts what was approved, ends
//! what has lasted too long, and asks when it is time. An idempotent function of the store's state: any
//! number of processes may run it, and a crash anywhere is a retry.
//!
//! A run is started at most once for each request because the target says so (see
//! [`crate::hook::trainer`]), not because we would never ask twice: the answer to a call may be lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::drift::retraining::life::{Event, State};
use crate::drift::retraining::{Kind, Mode};
use crate::drift::time::{Span, Timestamp};
use crate::fault;
use crate::hook::trainer::{Order, Start, Trainer};
use crate::metrics;
use crate::retry::jittered;
use crate::store::{self, RequestRow, Tried, stable_id};

/// Where requests are decided.
pub mod desk;
/// Whether a run's candidate may take over.
pub mod gate;
/// What is told of a request.
pub mod messages;
/// What a run calls back with.
pub mod token;
/// What comes to the desk.
pub mod word;

use desk::{Desk, OURSELVES};
use word::Refusal;

/// How often it is looked whether there is something to do.
const EVERY: Duration = Duration::from_millis(500);
/// A lease outlives the call's deadline by this much.
const MARGIN: Duration = Duration::from_secs(10);
/// First and longest wait between tries to start a run.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(900);
/// The budget counts approvals of so long.
const BUDGET_SPAN: Span = Span::from_secs(86_400);

/// Something that starts training, with its limit.
pub struct Hook {
    /// How.
    pub trainer: Box<dyn Trainer>,
    /// One exchange's deadline; a start may take several exchanges.
    pub timeout: Duration,
}

/// What the loop works with.
pub struct Retrainer {
    /// Where requests are decided.
    pub desk: Desk,
    /// Hooks by name.
    pub hooks: BTreeMap<String, Hook>,
    /// Requests that driftd may approve by itself in a day, over all models.
    pub daily_budget: i64,
    /// When the loop began: a schedule that has made no request yet counts from here.
    pub since: Timestamp,
}

/// A start takes this many exchanges at most: a login, a look, a call.
const EXCHANGES: u32 = 3;

/// Runs until `shutdown`.
pub async fn run(retrainer: Arc<Retrainer>, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if let Err(error) = retrainer.step().await {
            metrics::step_failed("retrain");
            tracing::warn!(error = %crate::telemetry::chain(&error), "retraining waits; trying again");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

impl Retrainer {
    /// Everything that can be done now.
    ///
    /// # Errors
    /// If the store fails; the step can be done again.
    pub async fn step(&self) -> Result<(), Refusal> {
        self.ask_by_schedule().await?;
        for row in store::within(self.desk.store.open_requests()).await? {
            match self.advance(&row).await {
                // Another process, a person or the run was faster: the next step sees how it is.
                Ok(()) | Err(Refusal::Overtaken | Refusal::Illegal(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn advance(&self, row: &RequestRow) -> Result<(), Refusal> {
        let now = self.desk.clock.now();
        if row.deadline.is_some_and(|deadline| deadline <= now) {
            return self.end(row).await;
        }
        let held = store::within(self.desk.held(&row.model)).await?.is_some();
        match row.state {
            State::Proposed if row.mode == Mode::Auto.name() && !held => self.approve(row, now).await,
            State::Requested if !held => match row.hook.as_ref().and_then(|name| self.hooks.get_key_value(name)) {
                Some((name, hook)) => self.start(row, name, hook, now).await,
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Ends what has lasted too long.
    async fn end(&self, row: &RequestRow) -> Result<(), Refusal> {
        let (event, why) = match (row.state, row.attempts) {
            (State::Proposed, _) => (Event::TimeOver, "nobody decided in time".to_owned()),
            (State::Requested, 1..) => {
                let hook = row.hook.as_deref().unwrap_or_default();
                (Event::GivenUp, format!("`{hook}` did not take it in {} tries", row.attempts))
            }
            _ => (Event::TimeOver, "nothing was heard of the run in time".to_owned()),
        };
        self.desk.happen(row, event, OURSELVES, &why, |_| {}).await.map(drop)
    }

    async fn approve(&self, row: &RequestRow, now: Timestamp) -> Result<(), Refusal> {
        let gather = self.desk.subjects.get(&row.model).map(|subject| subject.plan.gather);
        let gathered = messages::covers(row).map(|(start, end)| end.since(start));
        if gather.zip(gathered).is_some_and(|(gather, gathered)| gathered < gather) {
            metrics::retraining_held("gather");
            return Ok(());
        }
        let approved = store::within(self.desk.store.approvals(now.minus(BUDGET_SPAN))).await?;
        if approved >= self.daily_budget {
            metrics::retraining_held("daily_budget");
            return Ok(());
        }
        self.desk.happen(row, Event::Approved, OURSELVES, "the policy says `auto`", |_| {}).await.map(drop)
    }

    async fn start(&self, row: &RequestRow, name: &str, hook: &Hook, now: Timestamp) -> Result<(), Refusal> {
        let (expires, callbacks) = (row.deadline.unwrap_or(now), self.desk.callbacks.as_ref());
        let token = callbacks.map(|c| c.kept(&row.request_id, expires));
        let lease_until = now.plus(span(hook.timeout * EXCHANGES + MARGIN));
        let claim = self.desk.store.claim_start(&row.request_id, token.as_ref(), now, lease_until);
        let Some(row) = store::within(claim).await? else { return Ok(()) };
        fault::point("after_start_claim");
        let callback = callbacks.zip(row.token.as_ref()).map(|(c, kept)| c.told(&row.request_id, kept.expires));
        let order = order(&row, callback);
        if row.dry_run {
            return self.show(&row, name, &hook.trainer.preview(&order)).await;
        }
        let began = Instant::now();
        let outcome = hook.trainer.start(&order, now).await;
        fault::point("after_start");
        let now = self.desk.clock.now();
        let tried = |status: Option<u16>, outcome: &str, detail: String| Tried {
            request_id: row.request_id.clone(),
            at: now,
            hook: name.to_owned(),
            status: status.map(i64::from),
            took: began.elapsed(),
            outcome: outcome.to_owned(),
            detail,
            next_attempt: now,
            change: None,
        };
        let tried = match outcome {
            Start::Started { status, existed, run_url } => {
                let outcome = if existed { "existed" } else { "started" };
                let mut change =
                    self.desk.change(&row, Event::Accepted, OURSELVES, &format!("`{name}` has a run of it"))?;
                change.run_url = run_url;
                Tried { change: Some(change), ..tried(Some(status), outcome, String::new()) }
            }
            Start::Retry { status, after, reason, detail } => {
                let failures = u32::try_from(row.attempts).unwrap_or(u32::MAX);
                let wait = jittered(FIRST_RETRY, LONGEST_RETRY, failures).max(after.unwrap_or_default());
                tracing::warn!(request = row.request_id, hook = name, reason, detail, "a run was not started");
                Tried { next_attempt: now.plus(span(wait)), ..tried(status, reason, detail) }
            }
        };
        metrics::retraining_start(name, &tried.outcome);
        if let Some(change) = &tried.change {
            metrics::retraining_move(&row.model, change.to.name());
        }
        Ok(store::within(self.desk.store.settle_start(&tried)).await?)
    }

    /// A dry run ends where the call would be.
    async fn show(&self, row: &RequestRow, name: &str, preview: &str) -> Result<(), Refusal> {
        let at = self.desk.clock.now();
        let why = format!("a dry run: `{name}` was not called");
        let change = self.desk.change(row, Event::Shown, OURSELVES, &why)?;
        let tried = Tried {
            request_id: row.request_id.clone(),
            at,
            hook: name.to_owned(),
            status: None,
            took: Duration::ZERO,
            outcome: "shown".to_owned(),
            detail: preview.to_owned(),
            next_attempt: at,
            change: Some(change),
        };
        Ok(store::within(self.desk.store.settle_start(&tried)).await?)
    }

    /// Asks where it is time. A schedule's turns are counted from the epoch, so that a turn has one
    /// name however often and wherever it is looked at.
    async fn ask_by_schedule(&self) -> Result<(), Refusal> {
        let now = self.desk.clock.now();
        for (model, subject) in self.desk.subjects.iter() {
            let Some(every) = subject.plan.schedule else { continue };
            let Some(mode) = subject.policy.decides(Kind::Schedule) else { continue };
            let turn = |at: Timestamp| at.micros().div_euclid(every.micros().max(1));
            let latest = store::within(self.desk.store.latest_request(model, Kind::Schedule)).await?;
            if turn(now) <= turn(latest.unwrap_or(self.since)) {
                continue;
            }
            let id = stable_id("rt", &[model, Kind::Schedule.name(), &turn(now).to_string()]);
            self.desk
                .make(&id, model, Kind::Schedule, mode, &[], OURSELVES.into(), "it is time by the schedule")
                .await?;
        }
        Ok(())
    }
}

fn order(row: &RequestRow, callback: Option<serde_json::Value>) -> Order {
    Order {
        request_id: row.request_id.clone(),
        model: row.model.clone(),
        version: row.version.clone(),
        tasks: serde_json::from_str(&row.tasks).unwrap_or_default(),
        summary: row.reason.clone(),
        body: messages::order(row, callback),
        attempts: row.attempts,
    }
}

fn span(duration: Duration) -> Span {
    Span::from_micros(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}
