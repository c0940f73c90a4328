//! The gate on call-back: a run sends how both models answered the same rows, and is told whether its
//! candidate may take over. What the gate does not let through is no success.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::desk::Desk;
use super::token::is_same;
use super::word::Refusal;
use crate::drift::gate::{Demands, Gate};
use crate::drift::gate_report::{GateReport, Role, Side};
use crate::drift::retraining::life::State;
use crate::drift::retraining::plan::{GatePolicy, Plan};
use crate::drift::task::ModelSpec;
use crate::source::paired::PairDecoder;
use crate::store::{GateRow, RequestRow};

/// Error of each one-sided bound; as `driftd gate` has it.
const ERROR: f64 = 0.05;
/// Right rows that may become wrong, as a share of the labelled ones; as `driftd gate` has it.
const MOST_FLIPS: f64 = 0.05;
/// Candidates that one request may bring before the gate: each is a look of its own, and whoever may look for
/// ever will see a `pass` at last.
pub const MOST_GATES: i64 = 5;
/// Longer lines are refused: the answers of a hundred tasks to one row fit in.
const MOST_LINE: usize = 1 << 20;

impl Desk {
    /// Judges the candidate of a run by its pairs, JSONL as [`PairDecoder`] reads it, and records the verdict.
    ///
    /// # Errors
    /// [`Refusal::Forged`], [`Refusal::Expired`], [`Refusal::Unknown`] for lines that are no pairs, or
    /// [`Refusal::Gate`] where nothing is to be judged; nothing has changed then.
    pub async fn gate(&self, id: &str, token: &str, pairs: Vec<u8>) -> Result<GateReport, Refusal> {
        let Some(history) = self.store.request(id).await? else { return Err(Refusal::Forged) };
        let row = history.row;
        let kept = row.token.as_ref().filter(|kept| is_same(token, kept)).ok_or(Refusal::Forged)?;
        let now = self.clock.now();
        if now >= kept.expires {
            return Err(Refusal::Expired);
        }
        if !matches!(row.state, State::Requested | State::Accepted | State::Running) {
            return Err(Refusal::Gate(format!("the request is `{}`: no candidate is judged there", row.state.name())));
        }
        if history.gates.len() as i64 >= MOST_GATES {
            return Err(Refusal::Gate(format!("{MOST_GATES} candidates were judged, and more looks prove nothing")));
        }
        let subject = self.subjects.get(&row.model).ok_or_else(|| Refusal::NoModel(row.model.clone()))?;
        let (spec, demands) = (subject.spec.clone(), demands(&subject.spec, &row, &subject.plan));
        let sides = sides(&row);
        let pairs_sha256 = Sha256::digest(&pairs).iter().map(|byte| format!("{byte:02x}")).collect();
        let judged = tokio::task::spawn_blocking(move || judged(&spec, demands, sides, &pairs));
        let report = judged.await.map_err(|_| Refusal::Gate("the pairs could not be judged".to_owned()))??;
        let gate = GateRow {
            request_id: row.request_id.clone(),
            at: now,
            verdict: report.verdict.name().to_owned(),
            labels_needed: report.labels_needed.and_then(|n| i64::try_from(n).ok()),
            pairs: i64::try_from(report.rows).unwrap_or(i64::MAX),
            pairs_sha256,
            report: serde_json::to_string(&report).expect("plain data serializes"),
        };
        if !self.store.add_gate(&gate, MOST_GATES).await? {
            return Err(Refusal::Overtaken);
        }
        tracing::info!(model = row.model, request = row.request_id, verdict = report.verdict.name(), "gate");
        Ok(report)
    }
}

/// Whoever says that a request has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Its run.
    Run,
    /// A person, who may decide what the labels do not.
    Person,
}

/// Whether a request may succeed, by what the gate said last.
///
/// # Errors
/// [`Refusal::Gate`] if it may not.
pub(super) fn let_through(gates: &[GateRow], policy: GatePolicy, says: Says) -> Result<(), Refusal> {
    let refuse = |why: String| Err(Refusal::Gate(why));
    let Some(last) = gates.last() else {
        return match (policy, says) {
            (GatePolicy::Required, Says::Run) => {
                refuse("no candidate has passed the gate: send its pairs to `…/gate` first".to_owned())
            }
            _ => Ok(()),
        };
    };
    match (last.verdict.as_str(), says) {
        ("pass", _) => Ok(()),
        ("undecided", Says::Person) => Ok(()),
        ("undecided", Says::Run) => {
            let needed = last.labels_needed.map_or_else(|| "more".to_owned(), |n| format!("about {n} more"));
            let tasks = undecided(&last.report);
            let of = if tasks.is_empty() { String::new() } else { format!(" of {}", tasks.join(", ")) };
            refuse(format!("the gate says `undecided`: send pairs with {needed} labels{of}, or let a person close it"))
        }
        _ => refuse("the gate says `fail`: report `failed`, or send the pairs of another candidate".to_owned()),
    }
}

/// The tasks that a report leaves open, in backticks.
fn undecided(report: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(report).unwrap_or_default();
    let tasks = report["tasks"].as_array().into_iter().flatten();
    let open = tasks.filter(|task| task["verdict"] == "undecided").filter_map(|task| task["task"].as_str());
    open.map(|task| format!("`{task}`")).collect()
}

/// What the request asks of a candidate. A task that it does not name is protected as the plan says.
fn demands(spec: &ModelSpec, row: &RequestRow, plan: &Plan) -> Demands {
    let body: Value = serde_json::from_str(&row.body).unwrap_or_default();
    let drifted: Vec<String> = serde_json::from_str(&row.tasks).unwrap_or_default();
    let delta = |of: &str, task: &str| body["acceptance"][of][task]["delta"].as_f64();
    let role = |task: &String| match drifted.contains(task) {
        true => Role::Drifted { min_delta: delta("min_delta", task).unwrap_or(plan.min_gain) },
        false => {
            let usual = plan.margins.get(task).copied().unwrap_or(plan.margin);
            Role::Protected { margin: delta("max_regression", task).map_or(usual, |delta| -delta) }
        }
    };
    Demands {
        error: ERROR,
        roles: spec.tasks.iter().map(|task| role(&task.name)).collect(),
        most_flips: MOST_FLIPS,
        scales: vec![1.0; spec.tasks.len()],
        most_latency: None,
        most_size: None,
    }
}

fn sides(row: &RequestRow) -> [Side; 2] {
    let side = |version: &str| Side {
        name: row.model.clone(),
        version: version.to_owned(),
        source: "pairs".to_owned(),
        ..Side::default()
    };
    [side(&row.version), side(row.new_model_version.as_deref().unwrap_or_default())]
}

/// The verdict on pairs. One line that is none refuses them all: rows that are left out silently choose the
/// verdict.
fn judged(
    spec: &Arc<ModelSpec>,
    demands: Demands,
    [baseline, candidate]: [Side; 2],
    pairs: &[u8],
) -> Result<GateReport, Refusal> {
    let mut gate = Gate::new(spec, demands).expect("the error is a probability below one half");
    let mut decoder = PairDecoder::new(spec, MOST_LINE);
    for (number, line) in (1..).zip(pairs.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let pair = decoder.decode(line).map_err(|why| Refusal::Unknown(format!("line {number}: {why}")))?;
        gate.take(&pair.baseline, &pair.candidate, &pair.gold);
    }
    if gate.rows() == 0 {
        return Err(Refusal::Unknown("there are no pairs: one JSON object a line was expected".to_owned()));
    }
    Ok(gate.report(baseline, candidate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::time::Timestamp;

    fn said(verdict: &str) -> GateRow {
        GateRow {
            request_id: "rt_1".into(),
            at: Timestamp::from_micros(0),
            verdict: verdict.into(),
            labels_needed: Some(812),
            pairs: 10,
            pairs_sha256: String::new(),
            report: "{}".into(),
        }
    }

    #[test]
    fn the_last_verdict_counts() {
        use GatePolicy::{Optional, Required};
        use Says::{Person, Run};
        let (pass, fail, undecided) = (said("pass"), said("fail"), said("undecided"));
        for (gates, policy, says, through) in [
            (vec![], Optional, Run, true),
            (vec![], Required, Run, false),
            (vec![], Required, Person, true),
            (vec![fail.clone(), pass.clone()], Required, Run, true),
            (vec![pass.clone(), fail.clone()], Optional, Run, false),
            (vec![fail], Optional, Person, false),
            (vec![undecided.clone()], Optional, Run, false),
            (vec![undecided.clone()], Required, Person, true),
        ] {
            assert_eq!(let_through(&gates, policy, says).is_ok(), through, "{gates:?} {policy:?} {says:?}");
        }
        let why = let_through(&[undecided], Optional, Run).expect_err("not decided").to_string();
        assert!(why.contains("about 812 more labels"), "{why}");
    }
}
