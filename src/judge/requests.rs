//! Retraining requests as alerts lead to them, and what they cover while the alerts stand.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::evidence as of_alert;
use super::rows::{alert_id, json as text, names, opened_window, parsed};
use super::{Judge, JudgeStore};
use crate::drift::alert::{Alert, AlertState, Reason, Transition};
use crate::drift::cause::CauseKind;
use crate::drift::course::{Course, Judged as Outcome};
use crate::drift::judgement::{Report, Verdict};
use crate::drift::retraining::asking::{self, Request};
use crate::drift::retraining::life::State;
use crate::drift::retraining::{Kind, Mode, covering, mended};
use crate::drift::time::Timestamp;
use crate::retrain::messages::{self, Told};
use crate::store::{Covered, NewRequest, Proposal, RequestRow, stable_id};

/// What is asked for the sake of some alerts.
struct Asked {
    alarms: Vec<String>,
    tasks: Vec<String>,
    protected: Vec<String>,
    summary: String,
    evidence: Vec<Value>,
    scope: Value,
    acceptance: Value,
    start: Timestamp,
}

impl Asked {
    /// The one that asked first leads.
    fn of(judge: &Judge, alerts: &[&Alert], report: &Report) -> Asked {
        let reference = judge.reference.as_ref();
        let found = covering::tasks(alerts.iter().copied());
        let tasks: Vec<usize> = found.keys().copied().collect();
        let others: Vec<usize> = (0..reference.spec.tasks.len()).filter(|task| !found.contains_key(task)).collect();
        let (tasks, protected) = (names(reference, &tasks), names(reference, &others));
        let causes: Vec<Option<CauseKind>> = found.into_values().map(Some).collect();
        let with_causes: Vec<_> = tasks.iter().cloned().zip(causes).collect();
        let mut summaries: Vec<String> = Vec::new();
        for alert in alerts {
            let summary = stands(alert, report).summary(reference);
            if !summaries.contains(&summary) {
                summaries.push(summary);
            }
        }
        Asked {
            alarms: alerts.iter().map(|alert| alert_id(reference, alert)).collect(),
            summary: summaries.join("; "),
            evidence: alerts.iter().flat_map(|alert| of_alert::told(reference, alert, report)).collect(),
            scope: judge.plan.scope(&with_causes, &protected),
            acceptance: judge.plan.acceptance(&tasks, &protected),
            start: alerts.iter().map(|alert| opened_window(alert, report)).min().unwrap_or(report.start),
            tasks,
            protected,
        }
    }
}

/// An alert that fires, as a change would tell of it.
fn stands(alert: &Alert, report: &Report) -> Transition {
    let (firing, reason) = (AlertState::Firing, Reason::CauseGrew);
    let (at, slot) = (report.end, report.slot);
    Transition { alert: alert.clone(), from: firing, to: firing, reason, at, slot, versions: None }
}

/// A request as it begins: proposed, whoever decides about it.
fn new(judge: &Judge, request: &Request, report: &Report, now: Timestamp) -> NewRequest {
    let reference = judge.reference.as_ref();
    let asked = Asked::of(judge, &request.alerts, report);
    let alert_id = asked.alarms[0].clone();
    let request_id = stable_id("rt", &[&alert_id]);
    let body = json!({
        "model": {"name": reference.spec.name, "version": reference.spec.version},
        "reason": {
            "kind": request.kind, "summary": asked.summary, "alarms": asked.alarms, "evidence": asked.evidence,
        },
        "scope": asked.scope,
        "data": judge.plan.data(&request_id, Some((asked.start, report.end)), &reference.id),
        "acceptance": asked.acceptance,
    });
    let row = RequestRow {
        request_id,
        model: reference.spec.name.clone(),
        version: reference.spec.version.clone(),
        kind: request.kind.name().to_owned(),
        mode: request.mode.name().to_owned(),
        dry_run: judge.plan.dry_run,
        alert_id,
        state: State::Proposed,
        tasks: text(&asked.tasks),
        protected_tasks: text(&asked.protected),
        reason: asked.summary,
        body: body.to_string(),
        hook: judge.plan.hook.clone(),
        covers_until: Some(report.end),
        created: request.at,
        deadline: Some(now.plus(judge.plan.decide_within)),
        run_url: None,
        new_model_version: None,
        result: "{}".to_owned(),
        attempts: 0,
        next_attempt: Timestamp::from_micros(0),
        token: None,
        moves: 1,
    };
    let endpoints: Vec<String> = judge.receivers.iter().filter(|r| r.retraining).map(|r| r.endpoint.clone()).collect();
    let told = Told { to: State::Proposed, at: request.at, who: "driftd", why: &row.reason, sequence: 1 };
    let deliveries = messages::messages(&endpoints, &row, told);
    NewRequest { deliveries, row, who: "driftd".to_owned(), audit: None, now }
}

impl Judge {
    /// What the model's open request covers with a window more, or the request for which alerts ask where none is open.
    pub(super) async fn requests(
        &self,
        store: &dyn JudgeStore,
        course: &Course,
        outcome: &Outcome,
        now: Timestamp,
    ) -> anyhow::Result<(Option<Covered>, Option<NewRequest>)> {
        let firing = || course.alerts().firing();
        let Some(first) = firing().map(|alert| alert.opened_at).min() else { return Ok((None, None)) };
        let (report, policy) = (&outcome.report, self.watch.retraining);
        let since = first.min(report.end.minus(policy.cooldown));
        let rows = store.requests_since(&self.model.name, since).await?;
        let (open, ended): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.state.is_open());
        let names = |row: &RequestRow| alarms(&parsed(&row.body)).into_iter().chain([row.alert_id.clone()]);
        let named: BTreeSet<String> = ended.iter().flat_map(names).collect();
        // Of the others somebody has heard already.
        let is_new = |alert: &Alert| !named.contains(&alert_id(&self.reference, alert));
        if let Some(open) = open.first() {
            let firing: Vec<&Alert> = firing().filter(|alert| is_new(alert)).collect();
            return Ok((covered(self, &firing, report, open), None));
        }
        let going_on = course.alerts().renewed().filter(|(alert, goes_on)| *goes_on && is_new(alert));
        let by_alerts = |row: &&RequestRow| [Kind::Harm, Kind::Drift].iter().any(|kind| row.kind == kind.name());
        let last = ended.iter().filter(by_alerts).map(|row| row.created).max();
        let harm = outcome.harm.ln_share >= report.ln_threshold;
        let request = asking::request(policy, going_on.map(|(alert, _)| alert), harm, last, report.end);
        Ok((None, request.map(|request| new(self, &request, report, now))))
    }
}

/// The alerts that a request names.
fn alarms(body: &Value) -> Vec<String> {
    serde_json::from_value(body["reason"]["alarms"].clone()).unwrap_or_default()
}

/// What an open request covers, as long as one of its alerts fires: their time, and until somebody decides about it
/// the tasks of all that fire and that it may take on. One that training no longer mends leaves it as it was.
fn covered(judge: &Judge, firing: &[&Alert], report: &Report, open: &RequestRow) -> Option<Covered> {
    let mut body = parsed(&open.body);
    let alarms = alarms(&body);
    let is_own = |alert: &&Alert| alarms.contains(&alert_id(&judge.reference, alert));
    let decides = if open.mode == Mode::Auto.name() { Mode::Auto } else { Mode::Propose };
    let takes_on = |alert: &&Alert| covering::takes_on(judge.watch.retraining, decides, alert);
    let own = || firing.iter().copied().filter(|alert| is_own(alert) && !mended(&alert.cause).is_empty());
    let alerts: Vec<&Alert> =
        own().chain(firing.iter().copied().filter(|alert| !is_own(alert) && takes_on(alert))).collect();
    own().next()?;
    let (start, end) = messages::window(&body)?;
    let so_far = open.covers_until.map_or(end, |until| until.max(end));
    let asked = Asked::of(judge, &alerts, report);
    let start = start.min(asked.start);
    let until = covering::until(start, so_far, report.end);
    let proposal = (open.state == State::Proposed).then(|| {
        body["reason"]["summary"] = json!(asked.summary);
        body["reason"]["alarms"] = json!(asked.alarms);
        // Of a window without an alarm there is none.
        if report.verdict == Verdict::Drift {
            body["reason"]["evidence"] = json!(asked.evidence);
        }
        body["scope"] = asked.scope;
        body["acceptance"] = asked.acceptance;
        body["data"]["window"] = json!({"start": start, "end": until});
        Proposal {
            tasks: text(&asked.tasks),
            protected_tasks: text(&asked.protected),
            reason: asked.summary,
            body: body.to_string(),
        }
    });
    Some(Covered { request_id: open.request_id.clone(), until, proposal })
}
