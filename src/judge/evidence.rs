//! The evidence of an alert, as it is stored and as messages tell it.

use serde_json::{Value, json};

use super::rows::finite;
use crate::drift::alert::Alert;
use crate::drift::cause::{Cause, CauseKind};
use crate::drift::judgement::{Report, Statistic};
use crate::drift::reference::Reference;
use crate::drift::signal::Scope;
use crate::drift::witness::{LABELS, Witness};

/// Evidence for people and pipelines: the strongest signals that the cause rests on, at most this many.
pub(super) const EVIDENCE_SHOWN: usize = 5;

/// What an alert rests on and what it explains; labels are no signal, and the evidence of one found from them.
pub(super) fn stored(reference: &Reference, alert: &Alert) -> Vec<Value> {
    let labels = labelled(reference, &alert.cause).map(|task| {
        json!({
            "scope": Scope::Head, "task": task, "segment": null, "signal": LABELS,
            "ln_evidence": finite(alert.ln_evidence), "explained": false,
        })
    });
    labels.into_iter().chain(alert.witnesses.iter().map(|w| witness(reference, w))).collect()
}

/// The task whose labels an alert was found from.
fn labelled<'a>(reference: &'a Reference, cause: &Cause) -> Option<&'a str> {
    let task = cause.task.filter(|_| cause.kind == CauseKind::Concept)?;
    Some(&reference.spec.tasks[task].name)
}

fn witness(reference: &Reference, witness: &Witness) -> Value {
    let key = &reference.signals[witness.signal as usize].key;
    json!({
        "scope": key.scope, "task": reference.task_name(key), "segment": reference.segment_name(key),
        "signal": key.signal, "ln_evidence": finite(witness.ln_evidence), "explained": witness.explained,
    })
}

/// What a message tells of them.
pub(super) fn told(reference: &Reference, alert: &Alert, report: &Report) -> Vec<Value> {
    let own = alert.witnesses.iter().filter(|w| !w.explained);
    let strongest: Vec<&Statistic> = own.filter_map(|w| report.statistics.get(w.signal as usize)).collect();
    let entry = |s: &&Statistic| {
        let tested = s.tested.as_ref();
        let mut told = json!({
            "scope": s.key.scope, "task": reference.task_name(&s.key), "segment": reference.segment_name(&s.key), "signal": s.key.signal, "n": s.n,
            "statistic": tested.map(|(t, _)| t.statistic), "p_value": tested.map(|(t, _)| t.ln_p.exp()),
            "ln_evidence": finite(s.ln_evidence), "guarantee": s.guarantee, "reference_id": reference.id,
        });
        // Counts have cells that moved, means directions, and some signals neither.
        if !s.movers.is_empty() {
            told["movers"] = json!(s.movers);
        }
        if !s.directions.is_empty() {
            told["directions"] = json!(s.directions);
        }
        told
    };
    let labels = labelled(reference, &alert.cause).map(|task| {
        json!({
            "scope": Scope::Head, "task": task, "segment": null, "signal": LABELS,
            "ln_evidence": finite(alert.ln_evidence), "reference_id": reference.id,
        })
    });
    labels.into_iter().chain(strongest.iter().map(entry)).take(EVIDENCE_SHOWN).collect()
}
