//! Retraining requests as the store keeps them.

use std::time::Duration;

use super::{AuditRow, NewDelivery};
use crate::drift::retraining::life::State;
use crate::drift::time::Timestamp;

/// A retraining request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRow {
    /// Stable id.
    pub request_id: String,
    /// Name of the model.
    pub model: String,
    /// The version to be replaced.
    pub version: String,
    /// `harm`, `drift`, `schedule` or `manual`.
    pub kind: String,
    /// `propose` or `auto`.
    pub mode: String,
    /// Whether only to show what would be sent.
    pub dry_run: bool,
    /// The alert that led to it; empty if none did.
    pub alert_id: String,
    /// Where it stands.
    pub state: State,
    /// Tasks to retrain as a JSON array.
    pub tasks: String,
    /// Protected tasks as a JSON array.
    pub protected_tasks: String,
    /// Why.
    pub reason: String,
    /// What a hook is told, as JSON, without the call-back.
    pub body: String,
    /// What starts it; without one, endpoints are told and nothing is called.
    pub hook: Option<String>,
    /// How far the time of its alerts reaches so far; `None` if no window was judged since it was made.
    pub covers_until: Option<Timestamp>,
    /// When.
    pub created: Timestamp,
    /// When the state it is in has lasted too long.
    pub deadline: Option<Timestamp>,
    /// Where its run can be looked at.
    pub run_url: Option<String>,
    /// The version that came of it.
    pub new_model_version: Option<String>,
    /// What the run reported, as JSON.
    pub result: String,
    /// Tries to start it.
    pub attempts: i64,
    /// The next try is not before this.
    pub next_attempt: Timestamp,
    /// What its run will call back with.
    pub token: Option<Token>,
    /// Moves so far.
    pub moves: i64,
}

/// A call-back's token as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 in hexadecimal digits.
    pub hash: String,
    /// Worth nothing from then on.
    pub expires: Timestamp,
}

/// A request to be made, with its first move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRequest {
    /// The request, in the state it begins in.
    pub row: RequestRow,
    /// Who asks.
    pub who: String,
    /// Messages that tell of it.
    pub deliveries: Vec<NewDelivery>,
    /// The act of whoever asked by the API or the command line.
    pub audit: Option<AuditRow>,
    /// Wall clock.
    pub now: Timestamp,
}

/// What an open request covers now that a window more is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// Which request.
    pub request_id: String,
    /// How far the time of its alerts reaches.
    pub until: Timestamp,
    /// What it asks for, as long as nobody has decided about it.
    pub proposal: Option<Proposal>,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Tasks to retrain as a JSON array.
    pub tasks: String,
    /// Protected tasks as a JSON array.
    pub protected_tasks: String,
    /// Why.
    pub reason: String,
    /// What a hook is told, as JSON, without the call-back.
    pub body: String,
}

/// What became of a request that was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is made.
    Made,
    /// It was there already.
    Exists,
    /// Its model has an open one.
    Busy,
}

/// A request's move from one state to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which request.
    pub request_id: String,
    /// The state it must be in.
    pub from: State,
    /// The state it comes to.
    pub to: State,
    /// When.
    pub at: Timestamp,
    /// Who moves it.
    pub who: String,
    /// Why.
    pub why: String,
    /// When the new state has lasted too long; `None` leaves it as it is.
    pub deadline: Option<Timestamp>,
    /// Where its run can be looked at; `None` leaves it as it is.
    pub run_url: Option<String>,
    /// The version that came of it; `None` leaves it as it is.
    pub new_model_version: Option<String>,
    /// What the run reported, as JSON; `None` leaves it as it is.
    pub result: Option<String>,
    /// The call-back that led to it, recorded with it.
    pub callback: Option<String>,
    /// Verdicts of the gate that it rests on: one that came since stops it. `None` for any number.
    pub gates: Option<i64>,
    /// What the request asks for, as it was read: if it has grown since, nothing is done. `None` for whatever it asks.
    pub body: Option<String>,
    /// Messages that tell of it.
    pub deliveries: Vec<NewDelivery>,
    /// The act of whoever moved it by the API or the command line.
    pub audit: Option<AuditRow>,
}

/// A move as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRow {
    /// When.
    pub at: Timestamp,
    /// From where; `None` for the first.
    pub from: Option<State>,
    /// Where to.
    pub to: State,
    /// Who moved it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// A try to start a run, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Which request.
    pub request_id: String,
    /// When it ended.
    pub at: Timestamp,
    /// What was called.
    pub hook: String,
    /// HTTP status, if there was an answer.
    pub status: Option<i64>,
    /// How long it took.
    pub took: Duration,
    /// In a word.
    pub outcome: String,
    /// For people; no secrets.
    pub detail: String,
    /// The next try is not before this.
    pub next_attempt: Timestamp,
    /// The change that follows from it.
    pub change: Option<Change>,
}

/// A try as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedRow {
    /// Counted from 1.
    pub attempt: i64,
    /// When it ended.
    pub at: Timestamp,
    /// What was called.
    pub hook: String,
    /// HTTP status, if there was an answer.
    pub status: Option<i64>,
    /// How long it took.
    pub took: Duration,
    /// In a word.
    pub outcome: String,
    /// For people.
    pub detail: String,
}

/// A call-back that was refused, or one as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Which request.
    pub request_id: String,
    /// When.
    pub at: Timestamp,
    /// What it said.
    pub report: String,
    /// `taken`, `forged`, `expired`, `repeated`, `unknown_state`, `gate` or `out_of_turn`.
    pub outcome: String,
}

/// A request with everything that happened to it, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHistory {
    /// As it stands.
    pub row: RequestRow,
    /// Its moves.
    pub moves: Vec<MoveRow>,
    /// Tries to start it.
    pub attempts: Vec<TriedRow>,
    /// What its run said.
    pub callbacks: Vec<Callback>,
    /// What the gate said of its candidates.
    pub gates: Vec<GateRow>,
}

/// What the gate said of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateRow {
    /// Which request.
    pub request_id: String,
    /// When.
    pub at: Timestamp,
    /// `pass`, `undecided` or `fail`.
    pub verdict: String,
    /// Labels that it takes to decide, about.
    pub labels_needed: Option<i64>,
    /// Rows that both models answered.
    pub pairs: i64,
    /// SHA-256 of the pairs as they were sent.
    pub pairs_sha256: String,
    /// The report as JSON.
    pub report: String,
}

/// One position of the kill switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Which model; `*` for all.
    pub model: String,
    /// Since when.
    pub at: Timestamp,
    /// Whether nothing is approved or started.
    pub paused: bool,
    /// Who turned it.
    pub who: String,
    /// Why.
    pub why: String,
}
