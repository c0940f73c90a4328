//! What the operator has laid down for a model's retraining: what training may change, what the new
//! model is accepted by, how long things may take.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::drift::cause::CauseKind;
use crate::drift::replay::{Rule, STRATEGY};
use crate::drift::time::{Span, Timestamp};

/// What training may do with the encoder, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncoderPolicy {
    /// Nothing: heads only.
    Freeze,
    /// Adapters only.
    Adapter,
    /// Its last so many layers.
    TopN(u32),
    /// Everything.
    Full,
}

/// Whether a run must show its candidate to the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GatePolicy {
    /// It may.
    #[default]
    Optional,
    /// It cannot succeed without.
    Required,
}

/// Layers that an encoder's cause opens where the operator says nothing: the last two, since the
/// lower ones serve all tasks.
const TOP: u32 = 2;

/// A model's plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What starts training; without one, requests are told to endpoints only.
    pub hook: Option<String>,
    /// A request that nobody decides about expires.
    pub decide_within: Span,
    /// So long may it take from approval to the end of the run.
    pub finish_within: Span,
    /// A request of its own this often, whatever happens.
    pub schedule: Option<Span>,
    /// So much of an alert's time there must be before driftd approves by itself.
    pub gather: Span,
    /// Everything but the start.
    pub dry_run: bool,
    /// What training may do with the encoder; by the cause if `None`.
    pub encoder: Option<EncoderPolicy>,
    /// Parameters to leave alone, as globs over their names.
    pub freeze_layers: Vec<String>,
    /// Parameters to train, as globs over their names.
    pub trainable_layers: Vec<String>,
    /// How much better a retrained task must become, as a share of records.
    pub min_gain: f64,
    /// How much worse a protected task may become, as a share of records.
    pub margin: f64,
    /// The same for single tasks.
    pub margins: BTreeMap<String, f64>,
    /// Which records are trained on again.
    pub replay: Rule,
    /// Whether a run must show its candidate to the gate.
    pub gate: GatePolicy,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            hook: None,
            decide_within: Span::from_secs(3 * 86_400),
            finish_within: Span::from_secs(86_400),
            schedule: None,
            gather: Span::from_secs(0),
            dry_run: false,
            encoder: None,
            freeze_layers: Vec::new(),
            trainable_layers: Vec::new(),
            min_gain: 0.0,
            margin: 0.01,
            margins: BTreeMap::new(),
            replay: Rule::default(),
            gate: GatePolicy::default(),
        }
    }
}

impl Plan {
    /// The encoder's policy for a cause: what moved in one head is mended in that head.
    pub fn encoder_for(&self, cause: Option<CauseKind>) -> EncoderPolicy {
        let by_cause = match cause {
            Some(CauseKind::Input | CauseKind::Encoder | CauseKind::Segment) => EncoderPolicy::TopN(TOP),
            Some(_) => EncoderPolicy::Freeze,
            None => EncoderPolicy::Full,
        };
        self.encoder.unwrap_or(by_cause)
    }

    /// `scope` of a request, from its tasks with what drifted. The encoder is opened as far as one of them asks.
    pub fn scope(&self, tasks: &[(String, Option<CauseKind>)], protected: &[String]) -> Value {
        let retrain = |(name, cause): &(String, Option<CauseKind>)| json!({"name": name, "action": "retrain", "drift": cause.map(CauseKind::name), "priority": 1});
        let opened = tasks.iter().map(|(_, cause)| self.encoder_for(*cause)).max();
        let tasks: Vec<Value> = tasks.iter().map(retrain).collect();
        let encoder = match opened.unwrap_or(EncoderPolicy::Full) {
            EncoderPolicy::TopN(n) => json!({"policy": "top_n", "n": n}),
            other => json!({"policy": other}),
        };
        json!({
            "tasks": tasks, "protected_tasks": protected, "encoder": encoder,
            "freeze_layers": self.freeze_layers, "trainable_layers": self.trainable_layers,
        })
    }

    /// `data` of a request: the alarm's time, the reference, and all that `driftd replay-set` needs to draw
    /// the same records again, wherever it is run. The seed is the request's own id.
    pub fn data(&self, request_id: &str, window: Option<(Timestamp, Timestamp)>, reference_id: &str) -> Value {
        let Rule { size, floor, alarm_share, holdout } = self.replay;
        let mut data = json!({
            "reference": {"id": reference_id},
            "replay": {
                "strategy": STRATEGY, "seed": request_id,
                "size": size, "floor": floor, "alarm_share": alarm_share, "holdout": holdout,
            },
        });
        if let Some((start, end)) = window {
            data["window"] = json!({"start": start, "end": end});
        }
        data
    }

    /// `acceptance` of a request: what the gate will ask.
    pub fn acceptance(&self, tasks: &[String], protected: &[String]) -> Value {
        let gain: BTreeMap<&String, Value> = tasks.iter().map(|t| (t, json!({"delta": self.min_gain}))).collect();
        let margin = |task: &String| self.margins.get(task).copied().unwrap_or(self.margin);
        let loss: BTreeMap<&String, Value> = protected.iter().map(|t| (t, json!({"delta": -margin(t)}))).collect();
        json!({"min_delta": gain, "max_regression": loss})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_says_how_deep_training_goes_unless_the_operator_does() {
        let plan = Plan::default();
        assert_eq!(plan.encoder_for(Some(CauseKind::Head)), EncoderPolicy::Freeze);
        assert_eq!(plan.encoder_for(Some(CauseKind::Input)), EncoderPolicy::TopN(2));
        assert_eq!(plan.encoder_for(None), EncoderPolicy::Full);
        let adapter = Plan { encoder: Some(EncoderPolicy::Adapter), ..plan };
        assert_eq!(adapter.encoder_for(Some(CauseKind::Input)), EncoderPolicy::Adapter);
    }

    #[test]
    fn scope_and_acceptance_name_every_task() {
        let margins = BTreeMap::from([("ner".to_owned(), 0.02)]);
        let plan = Plan { margins, trainable_layers: vec!["heads.intent.*".into()], ..Plan::default() };
        let (tasks, protected) = (["intent".to_owned()], ["ner".to_owned(), "topics".to_owned()]);
        let by = |cause| [("intent".to_owned(), cause), ("ner".to_owned(), Some(CauseKind::Head))];
        let scope = plan.scope(&by(Some(CauseKind::Input)), &protected);
        assert_eq!(scope["encoder"], json!({"policy": "top_n", "n": 2}));
        assert_eq!(scope["tasks"][0]["drift"], "input");
        assert_eq!(scope["trainable_layers"], json!(["heads.intent.*"]));
        assert_eq!(
            plan.acceptance(&tasks, &protected),
            json!({
                "min_delta": {"intent": {"delta": 0.0}},
                "max_regression": {"ner": {"delta": -0.02}, "topics": {"delta": -0.01}},
            })
        );
        assert_eq!(plan.scope(&by(None), &[])["encoder"], json!({"policy": "full"}));
        assert_eq!(plan.scope(&by(Some(CauseKind::Head)), &[])["encoder"], json!({"policy": "freeze"}));
    }
}
