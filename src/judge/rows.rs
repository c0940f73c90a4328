//! Judgements to rows, and transitions and requests to messages. Ids are made from what they name,
//! so that doing a step again writes the same rows.

use serde::Serialize;
use serde_json::json;

use super::Judge;
use super::dispatch::{Listener, RESOLVED, listeners};
use super::evidence as of_alert;
use super::lacking;
use crate::drift::alert::{Alert, AlertState, Transition};
use crate::drift::cause::CauseKind;
use crate::drift::course::Judged as Outcome;
use crate::drift::judgement::{ClosedWindow, Report, Statistic, Verdict, is_harmless};
use crate::drift::reference::Reference;
use crate::drift::severity::Severity;
use crate::drift::signal::{Effect, Scope};
use crate::drift::summary::Summary;
use crate::drift::time::Timestamp;
use crate::drift::tree::Part;
use crate::drift::versions::Others;
use crate::drift::window::Slot;
use crate::drift::witness::LABELS;
use crate::store::{
    AlertRow, GapRow, Judged, LabelChanges, NewDelivery, ReportRow, StatisticRow, Thread, TransitionRow, stable_id,
};

/// An endpoint as the judge sees it: who gets which events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Its name.
    pub endpoint: String,
    /// Whether it wants alerts.
    pub alerts: bool,
    /// Whether it wants retraining requests.
    pub retraining: bool,
    /// Whether it wants to hear what goes wrong on the way of the records.
    pub pipeline: bool,
}

/// Everything a newly judged window changes; course and consumed partials are the caller's part.
pub(super) fn judged(judge: &Judge, window: &ClosedWindow, outcome: &Outcome, now: Timestamp) -> Judged {
    let reference = judge.reference.as_ref();
    let report = &outcome.report;
    let alert = |t: &Transition| {
        let row = alert_row(reference, report, t);
        let transition = transition_row(t, &row);
        (row, transition)
    };
    let alerts: Vec<(AlertRow, TransitionRow)> = outcome.transitions.iter().map(alert).collect();
    let mut deliveries: Vec<NewDelivery> = Vec::new();
    for ((row, change), transition) in alerts.iter().zip(&outcome.transitions) {
        deliveries.extend(alert_messages(judge, row, change, &transition.alert, report, now));
    }
    Judged {
        report: Some(ReportRow {
            model: reference.spec.name.clone(),
            reference_id: reference.id.clone(),
            slot: report.slot,
            start: report.start,
            end: report.end,
            records: i64::try_from(report.records).unwrap_or(i64::MAX),
            revision: 0,
            late_records: 0,
            incomplete: false,
            verdict: report.verdict.name().to_owned(),
            ln_evidence: finite(report.ln_evidence),
            ln_threshold: report.ln_threshold,
            guarantee: json(&reference.guarantee()),
            parts: parts_json(reference, outcome, &window.summary),
            summary: window.summary.encode(),
        }),
        statistics: report.statistics.iter().map(|s| statistic_row(reference, s)).collect(),
        alerts,
        deliveries,
        ..nothing(judge, now)
    }
}

/// What changes when late records reach a window that was judged already.
#[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename it")]
pub(super) fn revised(
    judge: &Judge,
    slot: Slot,
    (start, end): (Timestamp, Timestamp),
    earlier: Option<ReportRow>,
    summary: &Summary,
    came_late: u64,
    statistics: &[Statistic],
    now: Timestamp,
) -> Judged {
    let reference = judge.reference.as_ref();
    let fresh = || ReportRow {
        model: reference.spec.name.clone(),
        reference_id: reference.id.clone(),
        slot,
        start,
        end,
        records: 0,
        revision: -1,
        late_records: 0,
        incomplete: false,
        verdict: Verdict::InsufficientData.name().to_owned(),
        ln_evidence: None,
        ln_threshold: judge.watch.threshold.ln(),
        guarantee: json(&reference.guarantee()),
        parts: "[]".to_owned(),
        summary: Vec::new(),
    };
    let earlier = earlier.unwrap_or_else(fresh);
    let report = ReportRow {
        records: i64::try_from(summary.records).unwrap_or(i64::MAX),
        revision: earlier.revision + 1,
        late_records: earlier.late_records + i64::try_from(came_late).unwrap_or(i64::MAX),
        summary: summary.encode(),
        ..earlier
    };
    Judged {
        report: Some(report),
        statistics: statistics.iter().map(|s| statistic_row(reference, s)).collect(),
        ..nothing(judge, now)
    }
}

/// JSON of a value that always has one: plain data whose maps have text for keys.
pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data with text for keys always serializes")
}

pub(super) fn nothing(judge: &Judge, now: Timestamp) -> Judged {
    Judged {
        model: judge.model.name.clone(),
        expected_version: 0,
        reference_id: judge.reference.id.clone(),
        next_slot: None,
        course: Vec::new(),
        consumed: Vec::new(),
        report: None,
        statistics: Vec::new(),
        alerts: Vec::new(),
        request: None,
        covered: None,
        deliveries: Vec::new(),
        labels: LabelChanges::default(),
        shadow: None,
        examples: Vec::new(),
        now,
    }
}

pub(super) fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn parts_json(reference: &Reference, outcome: &Outcome, summary: &Summary) -> String {
    let (report, others) = (&outcome.report, &summary.others);
    let task = |part: &Part| part.task.map(|t| &reference.spec.tasks[t].name);
    let parts = report.parts.iter().map(|(part, ln)| {
        let segment = part.segment.and_then(|s| reference.name_of_segment(s));
        json!({"scope": part.scope, "task": task(part), "segment": segment, "ln_evidence": finite(*ln)})
    });
    // Labels are no signals of a head, and evidence of their own.
    let proven = outcome.harm.tasks.iter().filter(|harm| harm.ln_evidence.is_finite()).map(|harm| {
        let task = &reference.spec.tasks[harm.task].name;
        json!({"scope": LABELS, "task": task, "segment": null, "ln_evidence": harm.ln_evidence})
    });
    let harmless = report.notices.iter().filter(|part| is_harmless(reference, part, &summary.cells));
    let notices = harmless.map(|part| json!({"scope": part.scope, "task": task(part), "notice": true}));
    let named = (others.records > 0).then(
        || json!({"scope": Scope::Skew, "notice": true, "records": others.records, "versions": versions(others)}),
    );
    let lacks = outcome.lacked.standing.iter().map(|standing| lacking::stored(reference, standing));
    json(&parts.chain(proven).chain(notices).chain(named).chain(lacks).collect::<Vec<_>>())
}

/// Effects by signal, for a roll-up: no evidence, since no detector saw it.
pub(crate) fn rollup_json(reference: &Reference, statistics: &[Statistic]) -> String {
    let entry = |s: &Statistic| {
        json!({
            "scope": s.key.scope, "task": reference.task_name(&s.key), "segment": reference.segment_name(&s.key),
            "signal": s.key.signal, "n": s.n, "effect": s.effect.map(Effect::measures).unwrap_or_default(),
        })
    };
    json(&statistics.iter().map(entry).collect::<Vec<_>>())
}

fn statistic_row(reference: &Reference, statistic: &Statistic) -> StatisticRow {
    let tested = statistic.tested.as_ref();
    StatisticRow {
        scope: statistic.key.scope.name().to_owned(),
        task: reference.task_name(&statistic.key).unwrap_or_default().to_owned(),
        segment: reference.segment_name(&statistic.key).unwrap_or_default(),
        signal: statistic.key.signal.clone(),
        n: statistic.n,
        statistic: tested.map(|(t, _)| t.statistic),
        degrees_of_freedom: tested.map(|(t, _)| t.degrees_of_freedom),
        ln_p: tested.map(|(t, _)| t.ln_p),
        ln_e: tested.and_then(|(_, ln_e)| finite(*ln_e)),
        ln_evidence: finite(statistic.ln_evidence),
        effect: json(&statistic.effect.map(Effect::measures).unwrap_or_default()),
        movers: json(&statistic.movers),
        guarantee: statistic.guarantee.name().to_owned(),
    }
}

pub(super) fn names(reference: &Reference, tasks: &[usize]) -> Vec<String> {
    tasks.iter().map(|t| reference.spec.tasks[*t].name.clone()).collect()
}

/// Names an alert by where it opened.
pub(super) fn alert_id(reference: &Reference, alert: &Alert) -> String {
    let (slot, ordinal) = (alert.opened_slot.to_string(), alert.ordinal.to_string());
    stable_id("al", &[&reference.spec.name, &reference.id, &slot, &ordinal])
}

fn alert_row(reference: &Reference, report: &Report, transition: &Transition) -> AlertRow {
    let alert = &transition.alert;
    let cause = &alert.cause;
    let model = &reference.spec.name;
    let summary = match transition.to {
        AlertState::Pending | AlertState::Inactive => "evidence is rising; no cause yet".to_owned(),
        AlertState::Firing | AlertState::Resolved => transition.summary(reference),
    };
    AlertRow {
        alert_id: alert_id(reference, alert),
        model: model.clone(),
        reference_id: reference.id.clone(),
        state: transition.to.name().to_owned(),
        cause: cause.kind.name().to_owned(),
        cause_task: cause.task.map(|t| reference.spec.tasks[t].name.clone()),
        cause_segment: cause.segment.and_then(|s| reference.name_of_segment(s)),
        cause_part: cause.part().map(str::to_owned),
        versions: json(&transition.versions.as_ref().map(|seen| versions(&seen.others)).unwrap_or_default()),
        tasks_affected: json(&names(reference, &cause.tasks_affected)),
        summary,
        opened: alert.opened_at,
        opened_window: opened_window(alert, report),
        resolved: matches!(transition.to, AlertState::Resolved | AlertState::Inactive).then_some(transition.at),
        // Versions are counted: what was measured meanwhile is no evidence of them.
        ln_evidence: finite(alert.ln_evidence).filter(|_| cause.kind != CauseKind::Version),
        ln_threshold: report.ln_threshold,
        guarantee: json(&reference.guarantee()),
        evidence: json(&of_alert::stored(reference, alert)),
    }
}

/// When the window began in which an alert opened.
pub(super) fn opened_window(alert: &Alert, report: &Report) -> Timestamp {
    match alert.opened_slot == report.slot {
        true => report.start,
        false => alert.opened_at.minus(report.end.since(report.start)),
    }
}

/// Versions with their records, the most seen first.
fn versions(others: &Others) -> Vec<serde_json::Value> {
    others.most_seen().iter().map(|(version, records)| json!({"version": version, "records": records})).collect()
}

fn transition_row(transition: &Transition, alert: &AlertRow) -> TransitionRow {
    let to = transition.to.name();
    TransitionRow {
        transition_id: stable_id("tr", &[&alert.alert_id, &transition.slot.to_string(), to]),
        alert_id: alert.alert_id.clone(),
        at: transition.at,
        from: transition.from.name().to_owned(),
        to: to.to_owned(),
        reason: transition.reason.to_string(),
    }
}

/// Messages of a transition: alerts that fire, grow or resolve. Pending ones wake nobody.
fn alert_messages(
    judge: &Judge,
    alert: &AlertRow,
    transition: &TransitionRow,
    of: &Alert,
    report: &Report,
    now: Timestamp,
) -> Vec<NewDelivery> {
    let firing = AlertState::Firing.name();
    let event = match (transition.from.as_str(), transition.to.as_str()) {
        (from, to) if from == firing && to == firing => "drift.alarm.updated",
        (_, to) if to == firing => "drift.alarm.firing",
        (_, to) if to == AlertState::Resolved.name() => RESOLVED,
        _ => return Vec::new(),
    };
    let data = json!({
        "alarm_id": alert.alert_id,
        "transition_id": transition.transition_id,
        "model": {"name": alert.model, "version": judge.reference.spec.version},
        "state": transition.to,
        "severity": Severity::of(of.cause.kind),
        "summary": alert.summary,
        "cause": {
            "kind": alert.cause, "task": alert.cause_task, "segment": alert.cause_segment,
            "part": alert.cause_part, "versions": parsed(&alert.versions),
            "tasks_affected": parsed(&alert.tasks_affected),
        },
        "opened_at": alert.opened,
        "window": {"start": report.start, "end": report.end, "records": report.records},
        "evidence_ratio": alert.ln_evidence.map(|e| (e - alert.ln_threshold).min(300.0).exp()),
        "budget": judge.model.budget,
        "guarantee": parsed(&alert.guarantee),
        "evidence": of_alert::told(&judge.reference, of, report),
        "explained": of.witnesses.iter().filter(|w| w.explained).count(),
        "reason": transition.reason,
        "backfill": judge.backfill_after.is_some_and(|after| now.since(report.end) > after),
    });
    let body = json!({"type": event, "timestamp": transition.at, "data": data}).to_string();
    let message = |listener: Listener| NewDelivery {
        delivery_id: stable_id("msg", &[&transition.transition_id, &listener.endpoint]),
        endpoint: listener.endpoint,
        event: event.to_owned(),
        model: judge.model.name.clone(),
        body: body.clone(),
        thread: listener.thread,
    };
    let affected = names(&judge.reference, &of.cause.tasks_affected);
    listeners(judge, alert, affected, Severity::of(of.cause.kind), event == RESOLVED).into_iter().map(message).collect()
}

/// Messages about records that were lost before they could be read.
pub(super) fn gap_messages(judge: &Judge, gap: &GapRow) -> Vec<NewDelivery> {
    let partition = &gap.partition;
    let lost = gap.to.map(|to| to - gap.from);
    let summary = match lost {
        Some(lost) => format!("{lost} records of `{}` partition {} were lost", partition.topic, partition.number),
        None => format!("topic `{}` was created anew; records may be lost", partition.topic),
    };
    let data = json!({
        "topic": partition.topic,
        "partition": partition.number,
        "from_offset": gap.from,
        "to_offset": gap.to,
        "records": lost,
        "reason": gap.reason,
        "summary": summary,
        "event_time": {"after": gap.after, "until": gap.until},
    });
    let about = stable_id(
        "gap",
        &[&partition.topic, &partition.number.to_string(), &gap.generation.to_string(), &gap.from.to_string()],
    );
    tracing::error!(topic = partition.topic, partition = partition.number, reason = gap.reason, lost, "data gap");
    messages(judge, "pipeline.data_gap", &about, gap.found, &data, |r| r.pipeline)
}

fn messages(
    judge: &Judge,
    event: &str,
    about: &str,
    at: Timestamp,
    data: &serde_json::Value,
    wants: impl Fn(&&Receiver) -> bool,
) -> Vec<NewDelivery> {
    let body = json!({"type": event, "timestamp": at, "data": data}).to_string();
    let message = |receiver: &Receiver| NewDelivery {
        delivery_id: stable_id("msg", &[about, &receiver.endpoint]),
        endpoint: receiver.endpoint.clone(),
        event: event.to_owned(),
        model: judge.model.name.clone(),
        body: body.clone(),
        thread: Thread::default(),
    };
    judge.receivers.iter().filter(wants).map(message).collect()
}

/// JSON that we wrote ourselves a moment ago.
pub(super) fn parsed(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or(serde_json::Value::Null)
}
