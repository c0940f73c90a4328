//! Where in the model it drifted. The order of the questions is fixed: a head that moves with the
//! encoder is affected, not a cause. `undetermined` is a legal answer.

use serde::{Deserialize, Serialize};

use super::detector::SignalStep;
use super::reference::Reference;
use super::signal::Scope;
use crate::stats::multiplicity::e_bh;

/// Level at which e-BH names drifting signals once the model has alarmed.
const LEVEL: f64 = 0.1;

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
            CauseKind::Undetermined => "undetermined",
        }
    }
}

impl Cause {
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
            (CauseKind::Head | CauseKind::Undetermined, _) => {
                format!("several signals moved a little and none stands out; {reaching}")
            }
        }
    }
}

/// Says where, from the evidence of one window's steps and the model's threshold A (natural log).
///
/// R/A is an e-value over the A windows in which one false alarm is allowed, so e-BH on it names
/// the signals that drift. The strongest head is the cause when only heads are named.
pub fn localize(reference: &Reference, steps: &[SignalStep], ln_threshold: f64) -> Cause {
    let ln_e: Vec<f64> = steps.iter().map(|step| step.ln_evidence - ln_threshold).collect();
    let drifting = e_bh(&ln_e, LEVEL);
    let has = |scope: Scope| drifting.iter().any(|&i| reference.signals[i].key.scope == scope);
    let mut tasks_affected: Vec<usize> = drifting.iter().filter_map(|&i| reference.signals[i].key.task).collect();
    let strongest = tasks_affected.first().copied();
    tasks_affected.sort_unstable();
    tasks_affected.dedup();
    let (kind, task) = match strongest {
        _ if has(Scope::Input) => (CauseKind::Input, None),
        _ if has(Scope::Encoder) => (CauseKind::Encoder, None),
        Some(task) => (CauseKind::Head, Some(task)),
        None => (CauseKind::Undetermined, None),
    };
    Cause { kind, task, tasks_affected }
}
