//! Alerts of a back-test, as they stood at the end.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::backtest_examples::{Shown, Texts};
use super::backtest_labels::Labels;
use super::backtest_moved::Moved;
use super::backtest_words::place_of;
use crate::drift::alert::{Alert, AlertState};
use crate::drift::cause::CauseKind;
use crate::drift::course::Judged;
use crate::drift::harm::Harmed;
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
    /// What was said of it before, if its cause became another or grew, the oldest first.
    pub before: Vec<Said>,
    /// The window since which it is told as it stands.
    pub told_window: usize,
    /// That window's end.
    told_at: Timestamp,
    /// The signals that it rests on, as they were tested when it last grew.
    pub moved: Vec<Moved>,
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
    /// Tasks that labels prove worse than their reference, with the classes that are missed above all.
    pub harmed: Vec<(String, Vec<String>)>,
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

/// What was said of an alert for some windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The window that made it so.
    pub window: usize,
    /// That window's end.
    at: Timestamp,
    /// Name of the cause's kind.
    kind: &'static str,
    /// One sentence.
    pub summary: String,
}

/// How wrong the labels behind an alert were.
#[derive(Clone, Debug)]
pub struct Errors {
    /// Labels since evidence began anew.
    labels: u64,
    /// Their mean loss.
    error: f64,
    /// The reference's.
    reference: f64,
    /// The largest that is tolerated.
    tolerated: f64,
    /// Classes that are missed above all.
    classes: Vec<ClassErrors>,
}

/// How often one class is missed.
#[derive(Clone, Debug)]
struct ClassErrors {
    class: String,
    /// Labels that name it.
    labels: u64,
    /// Of how many of these the answer did not.
    missed: u64,
    /// The share that is missed in the reference.
    reference: f64,
    /// The largest that is tolerated.
    tolerated: f64,
}

impl Errors {
    /// One sentence.
    pub fn said(&self) -> String {
        let [error, reference, tolerated] = [self.error, self.reference, self.tolerated].map(|x| x * 100.0);
        let mut said = format!(
            "{} labels, error {error:.1} %; {reference:.1} % in the reference, {tolerated:.1} % tolerated",
            self.labels
        );
        for ClassErrors { class, labels, missed, reference, tolerated } in &self.classes {
            let [share, reference, tolerated] =
                [*missed as f64 / *labels as f64, *reference, *tolerated].map(|x| x * 100.0);
            said += &format!(
                ". Of {labels} that are `{class}` {missed} are missed, {share:.1} %; {reference:.1} % in the reference, \
                 {tolerated:.1} % tolerated"
            );
        }
        said
    }

    fn json(&self) -> Value {
        json!({
            "labels": self.labels, "error": self.error, "error_of_reference": self.reference,
            "error_tolerated": self.tolerated,
            "classes": self.classes.iter().map(ClassErrors::json).collect::<Vec<_>>(),
        })
    }
}

impl Said {
    fn json(&self) -> Value {
        json!({"window": self.window, "at": self.at, "kind": self.kind, "summary": self.summary})
    }
}

impl ClassErrors {
    fn json(&self) -> Value {
        json!({
            "class": self.class, "labels": self.labels, "missed": self.missed,
            "missed_of_reference": self.reference, "missed_tolerated": self.tolerated,
        })
    }
}

impl AlertTold {
    fn fired(id: (Slot, u32), window: usize, at: Timestamp) -> AlertTold {
        AlertTold {
            id,
            opened_window: window,
            opened_at: at,
            before: Vec::new(),
            told_window: window,
            told_at: at,
            moved: Vec::new(),
            resolved_window: None,
            resolved_at: None,
            kind: "",
            part: None,
            task: None,
            segment: None,
            tasks_affected: Vec::new(),
            harmed: Vec::new(),
            summary: String::new(),
            evidence: Vec::new(),
            explained: Vec::new(),
            examples: None,
            errors: None,
        }
    }
}

/// All alerts of a stream, in order.
pub fn alerts(reference: &Reference, all: &[Judged], texts: &Texts, labels: &Labels) -> Vec<AlertTold> {
    let mut found: Vec<AlertTold> = Vec::new();
    // Evidence is counted anew after an alarm.
    let mut anew = 0;
    let name = |task: &usize| reference.spec.tasks[*task].name.clone();
    for (index, judged) in all.iter().enumerate() {
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
                    let summary = transition.summary(reference);
                    if told.summary != summary {
                        let summary = std::mem::replace(&mut told.summary, summary);
                        let said = Said { window: told.told_window, at: told.told_at, kind: told.kind, summary };
                        told.before.extend(Some(said).filter(|said| !said.summary.is_empty()));
                        (told.told_window, told.told_at) = (index, judged.report.end);
                    }
                    told.moved = Moved::of(reference, all, index, alert);
                    told.kind = cause.kind.name();
                    told.task = cause.task.as_ref().map(name);
                    told.segment = cause.segment.and_then(|s| reference.name_of_segment(s));
                    told.tasks_affected = cause.tasks_affected.iter().map(name).collect();
                    told.harmed = alert.harmed.iter().map(|harmed| names_of(harmed, reference)).collect();
                    told.part = cause.part();
                    told.evidence = witnesses(reference, alert, false);
                    told.explained = witnesses(reference, alert, true);
                    told.examples = texts.of(id);
                    let concept = cause.task.filter(|_| cause.kind == CauseKind::Concept);
                    let errors = |task: usize| {
                        let (n, error) = labels.error_in(anew..=index, task)?;
                        let p = reference.performance_of(task)?;
                        let missed = alert.harmed.iter().find(|harmed| harmed.task == task);
                        let names = &reference.spec.tasks[task].classes;
                        let classes = labels.missing_in(anew..=index, p).into_iter().filter_map(|(known, own)| {
                            missed.filter(|harmed| harmed.classes.contains(&known.class))?;
                            Some(ClassErrors {
                                class: names.get(known.class as usize)?.clone(),
                                labels: own.found + own.missed,
                                missed: own.missed,
                                reference: known.missed,
                                tolerated: known.tolerated,
                            })
                        });
                        let classes = classes.collect();
                        Some(Errors { labels: n, error, reference: p.loss, tolerated: p.tolerated(), classes })
                    };
                    told.errors = told.errors.take().or_else(|| concept.and_then(errors));
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

/// The task's name, and those of its classes that are missed.
fn names_of(harmed: &Harmed, reference: &Reference) -> (String, Vec<String>) {
    let (task, classes) = harmed.names(&reference.spec);
    (task.to_owned(), classes.map(str::to_owned).collect())
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
    let missed: BTreeMap<_, _> = alert.harmed.iter().filter(|(_, classes)| !classes.is_empty()).cloned().collect();
    let mut told = json!({
        "guarantee": guarantee.status, "guarantee_reason": guarantee.reason,
        "opened_window": alert.opened_window, "opened_at": alert.opened_at,
        "told_window": alert.told_window, "before": alert.before.iter().map(Said::json).collect::<Vec<_>>(),
        "cause": {
            "kind": alert.kind, "part": alert.part, "task": alert.task, "segment": alert.segment,
            "tasks_affected": alert.tasks_affected,
            "tasks_harmed": alert.harmed.iter().map(|(task, _)| task).collect::<Vec<_>>(),
            "classes_missed": missed,
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
