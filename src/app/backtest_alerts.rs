//! Alerts of a back-test, as they stood at the end.

use serde_json::{Value, json};

use super::backtest_examples::{Shown, Texts};
use super::backtest_labels::Labels;
use super::backtest_words::place_of;
use crate::drift::alert::{Alert, AlertState};
use crate::drift::cause::CauseKind;
use crate::drift::course::Judged;
use crate::drift::judgement::Verdict;
use crate::drift::reference::Reference;
use crate::drift::time::Timestamp;
use crate::drift::window::Slot;
use crate::drift::witness::LABELS;

/// An alert as it stood at the end.
pub struct AlertTold {
    id: (Slot, u32),
    /// The window that made it fire.
    pub opened_window: usize,
    /// That window's end.
    pub opened_at: Timestamp,
    /// The window after which it was over.
    pub resolved_window: Option<usize>,
    /// That window's end.
    pub resolved_at: Option<Timestamp>,
    /// Name of the cause's kind.
    pub kind: &'static str,
    /// Which part of production differs, of a skew.
    pub part: Option<&'static str>,
    /// The cause's task.
    pub task: Option<String>,
    /// The cause's segment.
    pub segment: Option<String>,
    /// Tasks whose heads drift.
    pub tasks_affected: Vec<String>,
    /// Tasks that labels prove worse than their reference.
    pub tasks_harmed: Vec<String>,
    /// One sentence.
    pub summary: String,
    /// Signals that it rests on, the strongest first.
    pub evidence: Vec<String>,
    /// Signals that it explains.
    pub explained: Vec<String>,
    /// Texts that show what is new, where they were asked for.
    pub examples: Option<Shown>,
    /// What labels it rests on, where it was found from them.
    pub errors: Option<Errors>,
}

/// How wrong the labels behind an alert were.
#[derive(Clone, Copy, Debug)]
pub struct Errors {
    /// Labels since evidence began anew.
    labels: u64,
    /// Their mean loss.
    error: f64,
    /// The reference's.
    reference: f64,
    /// The largest that is tolerated.
    tolerated: f64,
}

impl Errors {
    /// One sentence.
    pub fn said(&self) -> String {
        let [error, reference, tolerated] = [self.error, self.reference, self.tolerated].map(|x| x * 100.0);
        format!(
            "{} labels, error {error:.1} %; {reference:.1} % in the reference, {tolerated:.1} % tolerated",
            self.labels
        )
    }

    fn json(&self) -> Value {
        json!({
            "labels": self.labels, "error": self.error, "error_of_reference": self.reference,
            "error_tolerated": self.tolerated,
        })
    }
}

impl AlertTold {
    fn fired(id: (Slot, u32), window: usize, at: Timestamp) -> AlertTold {
        AlertTold {
            id,
            opened_window: window,
            opened_at: at,
            resolved_window: None,
            resolved_at: None,
            kind: "",
            part: None,
            task: None,
            segment: None,
            tasks_affected: Vec::new(),
            tasks_harmed: Vec::new(),
            summary: String::new(),
            evidence: Vec::new(),
            explained: Vec::new(),
            examples: None,
            errors: None,
        }
    }
}

/// All alerts of a stream, in order.
pub fn alerts(reference: &Reference, judged: &[Judged], texts: &Texts, labels: &Labels) -> Vec<AlertTold> {
    let mut found: Vec<AlertTold> = Vec::new();
    // Evidence is counted anew after an alarm.
    let mut anew = 0;
    let name = |task: &usize| reference.spec.tasks[*task].name.clone();
    for (index, judged) in judged.iter().enumerate() {
        for transition in &judged.transitions {
            let (alert, cause) = (&transition.alert, &transition.alert.cause);
            let id = (alert.opened_slot, alert.ordinal);
            let known = found.iter().position(|told| told.id == id);
            match (transition.to, known) {
                (AlertState::Firing, known) => {
                    let known = known.unwrap_or_else(|| {
                        found.push(AlertTold::fired(id, index, judged.report.end));
                        found.len() - 1
                    });
                    let told = &mut found[known];
                    told.kind = cause.kind.name();
                    told.task = cause.task.as_ref().map(name);
                    told.segment = cause.segment.and_then(|s| reference.name_of_segment(s));
                    told.tasks_affected = cause.tasks_affected.iter().map(name).collect();
                    told.tasks_harmed = alert.harmed.iter().map(name).collect();
                    told.part = cause.part();
                    told.summary = transition.summary(reference);
                    told.evidence = witnesses(reference, alert, false);
                    told.explained = witnesses(reference, alert, true);
                    told.examples = texts.of(id);
                    let concept = cause.task.filter(|_| cause.kind == CauseKind::Concept);
                    let errors = |task: usize| {
                        let (n, error) = labels.error_in(anew..=index, task)?;
                        let p = reference.performance_of(task)?;
                        Some(Errors { labels: n, error, reference: p.loss, tolerated: p.tolerated() })
                    };
                    told.errors = told.errors.or(concept.and_then(errors));
                }
                (AlertState::Resolved, Some(known)) => {
                    found[known].resolved_window = Some(index);
                    found[known].resolved_at = Some(judged.report.end);
                }
                _ => {}
            }
        }
        if judged.report.verdict == Verdict::Drift {
            anew = index + 1;
        }
    }
    found
}

fn witnesses(reference: &Reference, alert: &Alert, explained: bool) -> Vec<String> {
    let labels = alert.cause.task.filter(|_| !explained && alert.cause.kind == CauseKind::Concept);
    let labels = labels.map(|task| format!("{} {LABELS}", reference.spec.tasks[task].name));
    let some = alert.witnesses.iter().filter(|w| w.explained == explained);
    let signals = some.map(|w| place_of(reference, &reference.signals[w.signal as usize].key));
    labels.into_iter().chain(signals).collect()
}

/// For programs.
pub fn json_of(reference: &Reference, alert: &AlertTold) -> Value {
    let guarantee = reference.guarantee();
    let mut told = json!({
        "guarantee": guarantee.status, "guarantee_reason": guarantee.reason,
        "opened_window": alert.opened_window, "opened_at": alert.opened_at,
        "cause": {
            "kind": alert.kind, "part": alert.part, "task": alert.task, "segment": alert.segment, "tasks_affected": alert.tasks_affected, "tasks_harmed": alert.tasks_harmed,
            "summary": alert.summary,
        },
        "evidence": alert.evidence, "explained": alert.explained,
        "labels": alert.errors.as_ref().map(Errors::json),
        "resolved_window": alert.resolved_window, "resolved_at": alert.resolved_at,
    });
    if let Some(examples) = &alert.examples {
        told["examples"] = examples.json(reference);
    }
    told
}
