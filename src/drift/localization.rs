//! Where in the model it drifted. The order of the questions is fixed: a head that moves with the
//! encoder is affected, not a cause. `undetermined` is a legal answer.

use serde::{Deserialize, Serialize};

use super::detector::SignalStep;
use super::reference::Reference;
use super::segment::Segment;
use super::signal::Scope;
use super::tree::{model_evidence, weights};
use crate::stats::multiplicity::e_bh;

/// Level at which e-BH names drifting signals once the model has alarmed.
const LEVEL: f64 = 0.1;
/// Where e-BH names none, signals that make up so much of the evidence are named.
const MAIN_SHARE: f64 = 0.5;

/// Kinds of causes that can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// The texts changed, and what the encoder sees with them or not.
    Input,
    /// What the encoder makes of the texts changed, the measured facts about them did not.
    Encoder,
    /// One head answers differently while input and encoder are quiet.
    Head,
    /// One segment of the traffic drifts, the whole does not.
    Segment,
    /// No part stands out.
    Undetermined,
}

/// Where it drifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Which kind of place.
    pub kind: CauseKind,
    /// The head's task, for [`CauseKind::Head`].
    pub task: Option<usize>,
    /// The segment, for [`CauseKind::Segment`].
    pub segment: Option<Segment>,
    /// Tasks whose heads drift, the cause's own included.
    pub tasks_affected: Vec<usize>,
}

impl CauseKind {
    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            CauseKind::Input => "input",
            CauseKind::Encoder => "encoder",
            CauseKind::Head => "head",
            CauseKind::Segment => "segment",
            CauseKind::Undetermined => "undetermined",
        }
    }
}

impl Cause {
    /// The segment's name; empty if the cause is none.
    pub fn segment_name(&self, reference: &Reference) -> String {
        self.segment.and_then(|segment| reference.name_of_segment(segment)).unwrap_or_default()
    }

    /// One sentence for people.
    pub fn summary(&self, reference: &Reference) -> String {
        let tasks = |tasks: &[usize]| {
            let names: Vec<String> = tasks.iter().map(|t| format!("`{}`", reference.spec.tasks[*t].name)).collect();
            names.join(", ")
        };
        let reaching = if self.tasks_affected.is_empty() {
            "no head has followed yet".to_owned()
        } else {
            format!("it reaches {}", tasks(&self.tasks_affected))
        };
        match (self.kind, self.task) {
            (CauseKind::Input, _) => format!("the input changed; {reaching}"),
            (CauseKind::Encoder, _) => {
                format!("what the encoder sees changed while the input's measured facts did not; {reaching}")
            }
            (CauseKind::Head, Some(task)) => {
                let others: Vec<usize> = self.tasks_affected.iter().copied().filter(|t| *t != task).collect();
                let also = if others.is_empty() { String::new() } else { format!("; {} moved too", tasks(&others)) };
                format!("head {} answers differently while input and encoder are quiet{also}", tasks(&[task]))
            }
            (CauseKind::Segment, _) => {
                format!("{} changed while the traffic as a whole did not; {reaching}", self.segment_name(reference))
            }
            (CauseKind::Head | CauseKind::Undetermined, _) => {
                format!("several signals moved a little and none stands out; {reaching}")
            }
        }
    }
}

/// Says where, from the evidence of one window's steps and the model's threshold A (natural log).
///
/// R/A is an e-value over the A windows in which one false alarm is allowed, so e-BH on it, weighted as
/// the tree is, names the signals that drift. The strongest head or segment is the cause when only
/// heads or segments are named.
pub fn localize(reference: &Reference, steps: &[SignalStep], ln_threshold: f64) -> Cause {
    let weights = weights(reference);
    let weighted = |(step, weight): (&SignalStep, &f64)| step.ln_evidence + weight.ln();
    let ln_share: Vec<f64> = steps.iter().zip(&weights).map(weighted).collect();
    let m = steps.len() as f64;
    let ln_e: Vec<f64> = ln_share.iter().map(|ln| ln + m.ln() - ln_threshold).collect();
    let mut drifting = e_bh(&ln_e, LEVEL);
    if drifting.is_empty() {
        let main = model_evidence(&weights, steps) + MAIN_SHARE.ln();
        drifting = (0..steps.len()).filter(|i| ln_share[*i] >= main && main.is_finite()).collect();
    }
    let key = |i: &usize| &reference.signals[*i].key;
    let whole: Vec<usize> = drifting.iter().copied().filter(|i| key(i).segment.is_none()).collect();
    let has = |scope: Scope| whole.iter().any(|i| key(i).scope == scope);
    let segment = drifting.iter().find_map(|i| key(i).segment);
    let task = whole.iter().find_map(|i| key(i).task);
    let (kind, task, segment) = match () {
        () if has(Scope::Input) => (CauseKind::Input, None, None),
        () if has(Scope::Encoder) => (CauseKind::Encoder, None, None),
        () if task.is_some() => (CauseKind::Head, task, None),
        () if segment.is_some() => (CauseKind::Segment, None, segment),
        () => (CauseKind::Undetermined, None, None),
    };
    let affected = drifting.iter().filter(|i| key(i).segment == segment || kind != CauseKind::Segment);
    let mut tasks_affected: Vec<usize> = affected.filter_map(|i| key(i).task).collect();
    tasks_affected.sort_unstable();
    tasks_affected.dedup();
    Cause { kind, task, segment, tasks_affected }
}
