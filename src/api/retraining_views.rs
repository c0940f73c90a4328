//! Retraining requests as they are told.

use serde::Serialize;
use serde_json::Value;

use super::views::stored;
use crate::drift::gate_report::GateReport;
use crate::drift::retraining::life::State as Stands;
use crate::drift::time::Timestamp;
use crate::retrain::messages;
use crate::store::{Callback, GateRow, MoveRow, Pause, RequestHistory, RequestRow, TriedRow};

/// A retraining request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RequestView {
    /// Id.
    pub id: String,
    /// Model.
    pub model: String,
    /// The version to be replaced.
    pub version: String,
    /// Where it stands: `proposed`, `requested`, `accepted`, `running`, `succeeded`, `failed`, `rejected`, `cancelled` or
    /// `expired`.
    pub state: String,
    /// `harm`, `drift`, `schedule` or `manual`.
    pub kind: String,
    /// Who starts it: `auto`, `manual`, or nobody: `dry-run`.
    pub mode: String,
    /// The alert that led to it; empty if none did.
    pub alert: String,
    /// Tasks to retrain.
    pub tasks: Value,
    /// Tasks that must not get worse.
    pub protected_tasks: Value,
    /// Why.
    pub reason: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the state it is in has lasted too long.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Until when it covers the time of its alerts so far: as long as it is open and they stand, up to the last
    /// judged window. What its hook was told ends with its approval (`data.window` of `body`).
    #[schema(value_type = Option<String>, format = DateTime)]
    pub covers_until: Option<Timestamp>,
    /// What starts it.
    pub hook: Option<String>,
    /// Where its run can be looked at.
    pub run_url: Option<String>,
    /// The version that came of it.
    pub new_model_version: Option<String>,
}

/// A retraining request with everything that happened to it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RequestDetail {
    /// As it stands.
    #[serde(flatten)]
    pub request: RequestView,
    /// What a hook is told, without the call-back.
    pub body: Value,
    /// What the run reported, by task.
    pub metrics: Value,
    /// The candidate's manifest as the run reported it.
    pub candidate: Option<Value>,
    /// Its moves, oldest first.
    pub moves: Vec<MoveView>,
    /// Tries to start it, oldest first.
    pub attempts: Vec<StartView>,
    /// What its run said, refused call-backs included.
    pub callbacks: Vec<CallbackView>,
    /// What the gate said of its candidates, oldest first; the last counts.
    pub gates: Vec<GateView>,
}

/// What the gate said of a candidate.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct GateView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `pass`, `undecided` or `fail`.
    pub verdict: String,
    /// Labels that it takes to decide, about.
    pub labels_needed: Option<i64>,
    /// Rows that both models answered.
    pub pairs: i64,
    /// SHA-256 of the pairs as they were sent.
    pub pairs_sha256: String,
    /// The report, task by task.
    #[schema(value_type = GateReport)]
    pub report: Value,
}

/// A move of a retraining request.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MoveView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// From where; null for the first.
    pub from: Option<Stands>,
    /// Where to.
    pub to: Stands,
    /// Who moved it: a person, `driftd`, or the `run`.
    pub who: String,
    /// Why.
    pub why: String,
}

/// A try to start a run.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StartView {
    /// Counted from 1.
    pub attempt: i64,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What was called.
    pub hook: String,
    /// HTTP status, if there was an answer.
    pub status: Option<i64>,
    /// How long it took.
    pub took_secs: f64,
    /// In a word.
    pub outcome: String,
    /// For people.
    pub detail: String,
}

/// A call-back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CallbackView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What it said.
    pub state: String,
    /// `taken`, or why it was not.
    pub outcome: String,
}

/// The kill switch of a model, or of all.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PauseView {
    /// Which model; `*` for all.
    pub model: String,
    /// Whether nothing is approved or started.
    pub paused: bool,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who turned it.
    pub who: String,
    /// Why.
    pub why: String,
}

impl From<RequestRow> for RequestView {
    fn from(row: RequestRow) -> RequestView {
        RequestView {
            mode: messages::mode(&row).to_owned(),
            id: row.request_id,
            model: row.model,
            version: row.version,
            expires_at: row.deadline.filter(|_| row.state.is_open()),
            state: row.state.name().to_owned(),
            kind: row.kind,
            alert: row.alert_id,
            tasks: stored(&row.tasks),
            protected_tasks: stored(&row.protected_tasks),
            reason: row.reason,
            created_at: row.created,
            covers_until: row.covers_until,
            hook: row.hook,
            run_url: row.run_url,
            new_model_version: row.new_model_version,
        }
    }
}

impl From<RequestHistory> for RequestDetail {
    fn from(history: RequestHistory) -> RequestDetail {
        let mut result = stored(&history.row.result);
        RequestDetail {
            body: stored(&history.row.body),
            metrics: Some(result["metrics"].take())
                .filter(Value::is_object)
                .unwrap_or_else(|| Value::Object(Default::default())),
            candidate: Some(result["candidate"].take()).filter(|c| !c.is_null()),
            request: history.row.into(),
            moves: history.moves.into_iter().map(MoveView::from).collect(),
            attempts: history.attempts.into_iter().map(StartView::from).collect(),
            callbacks: history.callbacks.into_iter().map(CallbackView::from).collect(),
            gates: history.gates.into_iter().map(GateView::from).collect(),
        }
    }
}

impl From<MoveRow> for MoveView {
    fn from(row: MoveRow) -> MoveView {
        MoveView { at: row.at, from: row.from, to: row.to, who: row.who, why: row.why }
    }
}

impl From<TriedRow> for StartView {
    fn from(row: TriedRow) -> StartView {
        StartView {
            attempt: row.attempt,
            at: row.at,
            hook: row.hook,
            status: row.status,
            took_secs: row.took.as_secs_f64(),
            outcome: row.outcome,
            detail: row.detail,
        }
    }
}

impl From<Callback> for CallbackView {
    fn from(row: Callback) -> CallbackView {
        CallbackView { at: row.at, state: row.report, outcome: row.outcome }
    }
}

impl From<GateRow> for GateView {
    fn from(row: GateRow) -> GateView {
        GateView {
            at: row.at,
            verdict: row.verdict,
            labels_needed: row.labels_needed,
            pairs: row.pairs,
            pairs_sha256: row.pairs_sha256,
            report: stored(&row.report),
        }
    }
}

impl From<Pause> for PauseView {
    fn from(row: Pause) -> PauseView {
        PauseView { model: row.model, paused: row.paused, at: row.at, who: row.who, why: row.why }
    }
}
