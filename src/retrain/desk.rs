//! Where retraining requests are decided: by people, by the policy, by what runs report. The daemon's
//! loop, its API and the command line all come here.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::gate::{Says, let_through};
use super::messages::{Told, messages};
use super::token::{Callbacks, is_same};
use super::word::{By, Refusal, Reported};
use crate::clock::Clock;
use crate::drift::retraining::life::{self, Event, Illegal, Report, State};
use crate::drift::retraining::plan::Plan;
use crate::drift::retraining::{Kind, Mode, Policy};
use crate::drift::task::ModelSpec;
use crate::drift::time::Timestamp;
use crate::metrics;
use crate::store::{
    Added, Callback, Change, NewRequest, Pause, RequestHistory, RequestRow, RetrainingStore, StoreError, stable_id,
};

/// driftd itself, where others have names.
pub const OURSELVES: &str = "driftd";
/// The run, in the moves that it reports.
pub const THE_RUN: &str = "run";
/// The kill switch of all models.
pub const ALL_MODELS: &str = "*";
/// Times that a request may grow while somebody approves it.
const MOST_GROWN: u32 = 10;
/// Longest text of people and runs that is kept.
const MOST_TEXT: usize = 2 << 10;

/// A model as its requests need it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its version.
    pub version: String,
    /// What it is compared with.
    pub reference_id: String,
    /// Its tasks by name.
    pub tasks: Vec<String>,
    /// Its tasks with their classes, for the gate.
    pub spec: Arc<ModelSpec>,
    /// Who decides.
    pub policy: Policy,
    /// How its retraining goes.
    pub plan: Plan,
}

/// Decides about requests; cheap to clone.
#[derive(Clone)]
pub struct Desk {
    /// Where they are kept.
    pub store: Arc<dyn RetrainingStore>,
    /// Models by name.
    pub subjects: Arc<BTreeMap<String, Subject>>,
    /// Endpoints that hear of retraining.
    pub endpoints: Arc<Vec<String>>,
    /// How runs call back; without it they cannot.
    pub callbacks: Option<Callbacks>,
    /// What time it is.
    pub clock: Clock,
}

impl Desk {
    /// A desk that knows no model and tells nobody.
    pub fn of(store: Arc<dyn RetrainingStore>) -> Desk {
        let (subjects, endpoints) = (Arc::default(), Arc::default());
        Desk { store, subjects, endpoints, callbacks: None, clock: Clock::wall() }
    }

    /// A person approves a proposal.
    ///
    /// # Errors
    /// [`Refusal`] if it cannot be approved; nothing has changed then.
    pub async fn approve(&self, id: &str, by: impl Into<By>, comment: &str) -> Result<RequestHistory, Refusal> {
        let by = by.into();
        for tries in 0.. {
            let row = self.find(id).await?.row;
            self.running(&row.model).await?;
            match self.decide(&row, Event::Approved, by.clone(), comment).await {
                // A window was judged meanwhile, and the request covers it.
                Err(Refusal::Overtaken) if tries < MOST_GROWN => {}
                decided => {
                    decided?;
                    break;
                }
            }
        }
        self.find(id).await
    }

    /// A person rejects a proposal.
    ///
    /// # Errors
    /// [`Refusal`] if it cannot be rejected; nothing has changed then.
    pub async fn reject(&self, id: &str, by: impl Into<By>, comment: &str) -> Result<RequestHistory, Refusal> {
        let row = self.find(id).await?.row;
        self.decide(&row, Event::Rejected, by.into(), comment).await?;
        self.find(id).await
    }

    /// A person says how a run has ended that cannot say so itself.
    ///
    /// # Errors
    /// [`Refusal`] if the request is not where a run may end.
    pub async fn close(
        &self,
        id: &str,
        report: Report,
        by: impl Into<By>,
        comment: &str,
    ) -> Result<RequestHistory, Refusal> {
        let history = self.find(id).await?;
        let by = by.into();
        let gates = self.through(&history, report, Says::Person)?;
        self.happen(&history.row, Event::Reported(report), &by.name, comment, |change| {
            change.audit = by.audit;
            change.gates = gates;
        })
        .await?;
        self.find(id).await
    }

    /// A person asks for retraining. The same `key` never makes two requests.
    ///
    /// # Errors
    /// [`Refusal`] if the model or a task is unknown, the model has an open request, or all is paused.
    pub async fn ask(
        &self,
        model: &str,
        tasks: &[String],
        by: impl Into<By>,
        reason: &str,
        key: &str,
    ) -> Result<RequestHistory, Refusal> {
        self.running(model).await?;
        let id = stable_id("rt", &[model, Kind::Manual.name(), key]);
        // Whoever asks has decided that it be proposed; the scope to approve is another one.
        match self.make(&id, model, Kind::Manual, Mode::Propose, tasks, by.into(), reason).await? {
            Added::Busy => Err(Refusal::Busy(model.to_owned())),
            Added::Made | Added::Exists => self.find(&id).await,
        }
    }

    /// Makes a request that no alert led to.
    #[expect(clippy::too_many_arguments, reason = "a struct would only rename them")]
    pub(super) async fn make(
        &self,
        id: &str,
        model: &str,
        kind: Kind,
        mode: Mode,
        tasks: &[String],
        by: By,
        reason: &str,
    ) -> Result<Added, Refusal> {
        let subject = self.subjects.get(model).ok_or_else(|| Refusal::NoModel(model.to_owned()))?;
        if let Some(task) = tasks.iter().find(|t| !subject.tasks.contains(t)) {
            return Err(Refusal::Unknown(format!("no task `{task}` in `{model}`: {}", subject.tasks.join(", "))));
        }
        let tasks = if tasks.is_empty() { subject.tasks.clone() } else { tasks.to_vec() };
        let protected: Vec<String> = subject.tasks.iter().filter(|t| !tasks.contains(t)).cloned().collect();
        let (now, plan, reason) = (self.clock.now(), &subject.plan, shortened(reason));
        let body = json!({
            "model": {"name": model, "version": subject.version},
            "reason": {"kind": kind, "summary": reason, "alarms": [], "evidence": []},
            "scope": plan.scope(&tasks.iter().map(|task| (task.clone(), None)).collect::<Vec<_>>(), &protected),
            "data": plan.data(id, None, &subject.reference_id),
            "acceptance": plan.acceptance(&tasks, &protected),
        });
        let row = RequestRow {
            request_id: id.to_owned(),
            model: model.to_owned(),
            version: subject.version.clone(),
            kind: kind.name().to_owned(),
            mode: mode.name().to_owned(),
            dry_run: plan.dry_run,
            alert_id: String::new(),
            state: State::Proposed,
            tasks: json!(tasks).to_string(),
            protected_tasks: json!(protected).to_string(),
            reason,
            body: body.to_string(),
            hook: plan.hook.clone(),
            covers_until: None,
            created: now,
            deadline: Some(now.plus(plan.decide_within)),
            run_url: None,
            new_model_version: None,
            result: "{}".to_owned(),
            attempts: 0,
            next_attempt: Timestamp::from_micros(0),
            token: None,
            moves: 1,
        };
        let told = Told { to: State::Proposed, at: now, who: &by.name, why: &row.reason, sequence: 1 };
        let deliveries = messages(&self.endpoints, &row, told);
        let added = self.store.add_request(&NewRequest { row, who: by.name, deliveries, audit: by.audit, now }).await?;
        if added == Added::Made {
            metrics::retraining_move(model, State::Proposed.name());
        }
        Ok(added)
    }

    /// A run calls back.
    ///
    /// # Errors
    /// [`Refusal::Forged`], [`Refusal::Expired`], [`Refusal::Unknown`] or [`Refusal::Illegal`]; the
    /// request stays as it is, and the call-back is on record.
    pub async fn call_back(&self, id: &str, token: &str, reported: &Reported) -> Result<State, Refusal> {
        // Whoever has no token learns nothing of which requests there are.
        let Some(history) = self.store.request(id).await? else { return Err(Refusal::Forged) };
        let taken = self.take(&history, token, reported).await;
        let outcome = match &taken {
            Ok(state) => return Ok(*state),
            Err(Refusal::Forged) => "forged",
            Err(Refusal::Expired) => "expired",
            Err(Refusal::Unknown(_)) => "unknown_state",
            Err(Refusal::Illegal(Illegal::Repeated(_))) => "repeated",
            Err(Refusal::Gate(_)) => "gate",
            Err(Refusal::Illegal(_) | Refusal::Overtaken) => "out_of_turn",
            Err(_) => return taken,
        };
        metrics::retraining_callback(outcome);
        let known = Report::ALL.into_iter().find(|r| r.name() == reported.state).map_or("unknown", Report::name);
        let refused = Callback {
            request_id: id.to_owned(),
            at: self.clock.now(),
            report: known.to_owned(),
            outcome: outcome.to_owned(),
        };
        self.store.refuse_callback(&refused).await?;
        taken
    }

    async fn take(&self, history: &RequestHistory, token: &str, reported: &Reported) -> Result<State, Refusal> {
        let row = &history.row;
        let kept = row.token.as_ref().filter(|kept| is_same(token, kept)).ok_or(Refusal::Forged)?;
        if self.clock.now() >= kept.expires {
            return Err(Refusal::Expired);
        }
        let known = Report::ALL.into_iter().find(|r| r.name() == reported.state);
        let report = known.ok_or_else(|| {
            let names = Report::ALL.map(Report::name).join(", ");
            Refusal::Unknown(format!("`{}` is none of {names}", shortened(&reported.state)))
        })?;
        let gates = self.through(history, report, Says::Run)?;
        let why = reported.message.as_deref().unwrap_or("the run says so");
        let result = json!({"candidate": reported.candidate, "metrics": reported.metrics}).to_string();
        self.happen(row, Event::Reported(report), THE_RUN, why, |change| {
            change.run_url = reported.run_url.as_deref().filter(|url| is_web(url)).map(shortened);
            change.new_model_version = reported.new_model_version.as_deref().map(shortened);
            change.result = (reported.candidate.is_some() || reported.metrics.is_some()).then_some(result);
            change.callback = Some(report.name().to_owned());
            change.gates = gates;
        })
        .await
    }

    /// How many verdicts of the gate a success rests on; `None` for what is no success.
    ///
    /// # Errors
    /// [`Refusal::Gate`] if they do not let it through, where the request may succeed at all.
    fn through(&self, history: &RequestHistory, report: Report, says: Says) -> Result<Option<i64>, Refusal> {
        let row = &history.row;
        if report != Report::Succeeded || life::next(row.state, Event::Reported(report)).is_err() {
            return Ok(None);
        }
        let policy = self.subjects.get(&row.model).map(|s| s.plan.gate).unwrap_or_default();
        let_through(&history.gates, policy, says)?;
        Ok(Some(i64::try_from(history.gates.len()).unwrap_or(i64::MAX)))
    }

    /// Turns the kill switch of a model, or of all.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn pause(&self, model: &str, paused: bool, by: impl Into<By>, why: &str) -> Result<(), Refusal> {
        let By { name: who, audit } = by.into();
        let pause = Pause { model: model.to_owned(), at: self.clock.now(), paused, who, why: shortened(why) };
        Ok(self.store.pause(&pause, audit.as_ref()).await?)
    }

    /// The pause that holds a model, if any.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn held(&self, model: &str) -> Result<Option<Pause>, StoreError> {
        let pauses = self.store.pauses().await?;
        Ok(pauses.into_iter().find(|p| p.paused && (p.model == ALL_MODELS || p.model == model)))
    }

    async fn running(&self, model: &str) -> Result<(), Refusal> {
        match self.held(model).await? {
            None => Ok(()),
            Some(pause) => Err(Refusal::Paused { model: model.to_owned(), who: pause.who, why: pause.why }),
        }
    }

    async fn find(&self, id: &str) -> Result<RequestHistory, Refusal> {
        self.store.request(id).await?.ok_or_else(|| Refusal::Missing(id.to_owned()))
    }

    /// The change that an event means for a request, with its messages.
    ///
    /// # Errors
    /// [`Illegal`] if it cannot happen where the request is.
    pub(super) fn change(&self, row: &RequestRow, event: Event, who: &str, why: &str) -> Result<Change, Illegal> {
        let (to, at, why) = (life::next(row.state, event)?, self.clock.now(), shortened(why));
        let plan = self.subjects.get(&row.model).map_or_else(Plan::default, |s| s.plan.clone());
        Ok(Change {
            request_id: row.request_id.clone(),
            from: row.state,
            to,
            at,
            who: who.to_owned(),
            deadline: (event == Event::Approved).then(|| at.plus(plan.finish_within)),
            run_url: None,
            new_model_version: None,
            result: None,
            callback: None,
            gates: None,
            body: (event == Event::Approved).then(|| row.body.clone()),
            audit: None,
            deliveries: messages(&self.endpoints, row, Told { to, at, who, why: &why, sequence: row.moves + 1 }),
            why,
        })
    }

    async fn decide(&self, row: &RequestRow, event: Event, by: By, comment: &str) -> Result<State, Refusal> {
        self.happen(row, event, &by.name, comment, |change| change.audit = by.audit).await
    }

    pub(super) async fn happen(
        &self,
        row: &RequestRow,
        event: Event,
        who: &str,
        why: &str,
        more: impl FnOnce(&mut Change),
    ) -> Result<State, Refusal> {
        let mut change = self.change(row, event, who, why)?;
        more(&mut change);
        if change.run_url.is_some() || change.new_model_version.is_some() {
            let mut row = row.clone();
            row.run_url = change.run_url.clone().or(row.run_url);
            row.new_model_version = change.new_model_version.clone().or(row.new_model_version);
            let told = Told { to: change.to, at: change.at, who, why: &change.why, sequence: row.moves + 1 };
            change.deliveries = messages(&self.endpoints, &row, told);
        }
        if !self.store.move_request(&change).await? {
            return Err(Refusal::Overtaken);
        }
        metrics::retraining_move(&row.model, change.to.name());
        tracing::info!(
            model = row.model,
            request = row.request_id,
            from = row.state.name(),
            to = change.to.name(),
            who,
            "retraining"
        );
        Ok(change.to)
    }
}

/// A run's page is opened by people: nothing but the web.
fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// The beginning of a text that somebody else wrote, without NUL, which Postgres cannot hold.
fn shortened(text: &str) -> String {
    let end = (0..=text.len().min(MOST_TEXT)).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text[..end].replace('\0', "")
}
