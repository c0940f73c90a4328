//! Retraining requests: what became of them, and the word of people and runs.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::ApiState;
use super::access::Caller;
use super::alerts::OfModel;
use super::body::Body;
use super::pages::{List, Paging, list as paged};
use super::problem::Problem;
use super::retraining_views::{PauseView, RequestDetail, RequestView};
use crate::access::{Role, Scope};
use crate::drift::gate_report::GateReport;
use crate::drift::retraining::life::{Report, State as Stands};
use crate::retrain::desk::ALL_MODELS;
use crate::retrain::word::{By, Refusal, Reported};

/// A decision.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// Kept with the decision.
    #[serde(default)]
    pub comment: String,
}

/// How a run has ended.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Closing {
    /// How.
    pub state: Report,
    /// Kept with it.
    #[serde(default)]
    pub comment: String,
}

/// What is asked for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Asked {
    /// Which model.
    pub model: String,
    /// Tasks to retrain; all by default.
    #[serde(default)]
    pub tasks: Vec<String>,
    /// Why.
    pub reason: String,
    /// The same key never makes two requests.
    #[serde(default)]
    pub key: Option<String>,
}

/// A turn of the kill switch.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Turn {
    /// Which model; all by default.
    #[serde(default)]
    pub model: Option<String>,
    /// Whether nothing is to be approved or started.
    pub paused: bool,
    /// Why.
    pub reason: String,
}

/// Retraining requests, newest first.
#[utoipa::path(get, path = "/api/v1/retraining-requests", tag = "retraining", params(OfModel, Paging),
    responses((status = 200, body = List<RequestView>), (status = 400, body = Problem), (status = 503, body = Problem)))]
pub async fn list(
    State(state): State<ApiState>,
    Query(of): Query<OfModel>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<RequestView>>, Problem> {
    let page = paging.page()?;
    let rows = state.store.requests(of.model.as_deref(), page).await?;
    Ok(Json(paged(rows, page, |row| row.created, RequestView::from)))
}

/// A retraining request with its moves, tries and call-backs.
#[utoipa::path(get, path = "/api/v1/retraining-requests/{id}", tag = "retraining",
    params(("id" = String, Path, description = "Id of a request")),
    responses((status = 200, body = RequestDetail), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn show(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<RequestDetail>, Problem> {
    let found = state.desk.store.request(&id).await?;
    found.map(|history| Json(history.into())).ok_or_else(|| Problem::missing("retraining request", &id))
}

/// Approves a proposed request: it is started.
#[utoipa::path(post, path = "/api/v1/retraining-requests/{id}/approve", tag = "retraining",
    params(("id" = String, Path, description = "Id of a request")), request_body = Decision,
    responses((status = 200, body = RequestDetail), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem)))]
pub async fn approve(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(decision): Body<Decision>,
) -> Result<Json<RequestDetail>, Problem> {
    decide(&state, &caller, &id, Word::Approve, &decision.comment).await
}

/// Rejects a proposed request.
#[utoipa::path(post, path = "/api/v1/retraining-requests/{id}/reject", tag = "retraining",
    params(("id" = String, Path, description = "Id of a request")), request_body = Decision,
    responses((status = 200, body = RequestDetail), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem)))]
pub async fn reject(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(decision): Body<Decision>,
) -> Result<Json<RequestDetail>, Problem> {
    decide(&state, &caller, &id, Word::Reject, &decision.comment).await
}

/// Says how a run has ended that cannot say so itself.
#[utoipa::path(post, path = "/api/v1/retraining-requests/{id}/close", tag = "retraining",
    params(("id" = String, Path, description = "Id of a request")), request_body = Closing,
    responses((status = 200, body = RequestDetail), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem)))]
pub async fn close(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    Body(closing): Body<Closing>,
) -> Result<Json<RequestDetail>, Problem> {
    decide(&state, &caller, &id, Word::Close(closing.state), &closing.comment).await
}

/// Asks for retraining: a proposal that somebody has still to approve.
#[utoipa::path(post, path = "/api/v1/retraining-requests", tag = "retraining", request_body = Asked,
    responses((status = 200, body = RequestDetail), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn ask(
    State(state): State<ApiState>,
    caller: Caller,
    Body(asked): Body<Asked>,
) -> Result<Json<RequestDetail>, Problem> {
    caller.require(Role::Operator)?;
    let key = asked.key.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let by = by(&caller, "retraining.request", &asked.model, &asked.reason);
    Ok(Json(state.desk.ask(&asked.model, &asked.tasks, by, &asked.reason, &key).await?.into()))
}

/// The kill switch: where it was ever turned, and how it stands.
#[utoipa::path(get, path = "/api/v1/retraining-pauses", tag = "retraining",
    responses((status = 200, body = List<PauseView>), (status = 503, body = Problem)))]
pub async fn pauses(State(state): State<ApiState>) -> Result<Json<List<PauseView>>, Problem> {
    let data = state.desk.store.pauses().await?.into_iter().map(PauseView::from).collect();
    Ok(Json(List { data, next_cursor: None }))
}

/// Turns the kill switch. Stopping needs the role `operator`, going on the scope `retraining:approve`.
#[utoipa::path(post, path = "/api/v1/retraining-pauses", tag = "retraining", request_body = Turn,
    responses((status = 200, body = List<PauseView>), (status = 403, body = Problem), (status = 503, body = Problem)))]
pub async fn pause(
    State(state): State<ApiState>,
    caller: Caller,
    Body(turn): Body<Turn>,
) -> Result<Json<List<PauseView>>, Problem> {
    match turn.paused {
        true => caller.require(Role::Operator)?,
        false => caller.require(Scope::RetrainingApprove)?,
    }
    let model = turn.model.as_deref().unwrap_or(ALL_MODELS);
    let action = if turn.paused { "retraining.pause" } else { "retraining.resume" };
    state.desk.pause(model, turn.paused, by(&caller, action, model, &turn.reason), &turn.reason).await?;
    pauses(State(state)).await
}

/// A run calls back: `authorization: Bearer` with the token that it was started with. Each state is
/// taken once; after the last one the token is worth nothing.
#[utoipa::path(post, path = "/api/v1/retraining-requests/{id}/callback", tag = "retraining",
    params(("id" = String, Path, description = "Id of the request")), request_body = Reported,
    security(("run" = [])),
    responses((status = 200, body = Taken), (status = 401, body = Problem), (status = 409, body = Problem),
        (status = 410, body = Problem), (status = 503, body = Problem)))]
pub async fn callback(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(reported): Body<Reported>,
) -> Result<Json<Taken>, Problem> {
    match state.desk.call_back(&id, bearer(&headers), &reported).await {
        Ok(state) => Ok(Json(Taken { state })),
        Err(Refusal::Unknown(detail)) => Err(Problem::new(StatusCode::CONFLICT, detail)),
        Err(refusal) => Err(refusal.into()),
    }
}

/// The token that a run shows; empty for none.
fn bearer(headers: &HeaderMap) -> &str {
    let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let token = given.and_then(|v| v.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
    token.map_or("", |(_, token)| token.trim())
}

/// A run shows its candidate to the gate: one JSON object a line, `{"prediction_id", "baseline": {task: output},
/// "candidate": {task: output}, "labels": {task: label}}`, at most 64 MiB. The verdict is kept with the request;
/// only `pass` lets the run succeed. Five candidates are judged for a request at most.
#[utoipa::path(post, path = "/api/v1/retraining-requests/{id}/gate", tag = "retraining",
    params(("id" = String, Path, description = "Id of the request")),
    request_body(content = String, content_type = "application/x-ndjson"), security(("run" = [])),
    responses((status = 200, body = GateReport), (status = 401, body = Problem), (status = 409, body = Problem),
        (status = 410, body = Problem), (status = 413, body = Problem), (status = 422, body = Problem),
        (status = 503, body = Problem)))]
pub async fn gate(
    State(state): State<ApiState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    pairs: Result<Bytes, BytesRejection>,
) -> Result<Json<GateReport>, Problem> {
    let pairs = pairs.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    Ok(Json(state.desk.gate(&id, bearer(&headers), pairs.into()).await?))
}

/// What a person decides about a request.
#[derive(Clone, Copy)]
enum Word {
    Approve,
    Reject,
    Close(Report),
}

/// A person's word on a request, which needs the scope for it.
async fn decide(
    state: &ApiState,
    caller: &Caller,
    id: &str,
    word: Word,
    comment: &str,
) -> Result<Json<RequestDetail>, Problem> {
    caller.require(Scope::RetrainingApprove)?;
    let by = |action| by(caller, action, id, comment);
    let desk = &state.desk;
    let history = match word {
        Word::Approve => desk.approve(id, by("retraining.approve"), comment).await?,
        Word::Reject => desk.reject(id, by("retraining.reject"), comment).await?,
        Word::Close(how) => desk.close(id, how, by("retraining.close"), comment).await?,
    };
    Ok(Json(history.into()))
}

/// A caller with the act that the audit tells.
fn by(caller: &Caller, action: &str, object: &str, comment: &str) -> By {
    By { name: caller.name.clone(), audit: Some(caller.act(action, object, &json!({"comment": comment}))) }
}

/// Where a call-back has led.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Taken {
    /// Where the request stands.
    pub state: Stands,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Problem {
        let status = match refusal {
            Refusal::Store(error) => return error.into(),
            Refusal::Missing(_) | Refusal::NoModel(_) => StatusCode::NOT_FOUND,
            Refusal::Illegal(_) | Refusal::Overtaken | Refusal::Paused { .. } | Refusal::Busy(_) | Refusal::Gate(_) => {
                StatusCode::CONFLICT
            }
            Refusal::Unknown(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::Forged => StatusCode::UNAUTHORIZED,
            Refusal::Expired => StatusCode::GONE,
        };
        Problem::new(status, refusal.to_string())
    }
}
