//! What people do about alerts, by the API: acknowledge, silence, send again. Each needs the role `operator`.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::ApiState;
use super::access::Caller;
use super::pages::{List, Paging, list as paged};
use super::people_views::{DeliveryDetail, SilenceView};
use super::problem::Problem;
use super::views::AlertView;
use crate::access::Role;
use crate::clock;
use crate::desk::{self, By, DeskError};
use crate::drift::time::Timestamp;

/// What somebody says with what they do.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Remark {
    /// A sentence or two.
    #[schema(max_length = 2000, pattern = "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u009f]*$")]
    comment: String,
}

/// A silence as it is asked for: what is left out may be anything.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SilenceRequest {
    /// The alert's model.
    model: Option<String>,
    /// Its task. An alert that reaches another task too is told all the same.
    task: Option<String>,
    /// Its cause's kind.
    cause: Option<String>,
    /// Its segment: `tag=value`, or a tag alone.
    segment: Option<String>,
    /// Its severity: `info`, `warning` or `critical`.
    severity: Option<String>,
    /// Why: words, not nothing.
    #[schema(min_length = 1, max_length = 2000)]
    comment: String,
    /// From when on; now by default.
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    /// Until when, exclusive.
    #[schema(value_type = String, format = DateTime)]
    ends_at: Timestamp,
}

impl From<DeskError> for Problem {
    fn from(error: DeskError) -> Problem {
        match error {
            DeskError::Store(error) => error.into(),
            DeskError::Missing(what, name) => Problem::missing(what, &name),
            DeskError::Conflict(_) => Problem::new(StatusCode::CONFLICT, error.to_string()),
            DeskError::Wrong(..) => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
        }
    }
}

fn body<T>(body: Result<Json<T>, JsonRejection>) -> Result<T, Problem> {
    body.map(|Json(value)| value).map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))
}

/// One alert with its transitions.
#[utoipa::path(get, path = "/api/v1/alerts/{id}", tag = "alerts", params(("id" = String, Path, description = "The alert's id")),
    responses((status = 200, body = AlertView), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn alert(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<AlertView>, Problem> {
    let alert = state.store.alert(&id).await?.ok_or_else(|| Problem::missing("alert", &id))?;
    let transitions = state.store.transitions(&id).await?;
    Ok(Json(AlertView::new(alert, transitions, state.store.acknowledgement(&id).await?)))
}

/// Takes an alert on: it is not told again while it fires, and whoever was told of it hears who.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/acknowledge", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id")), request_body = Remark,
    responses((status = 200, body = AlertView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn acknowledge(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    remark: Result<Json<Remark>, JsonRejection>,
) -> Result<Json<AlertView>, Problem> {
    caller.require(Role::Operator)?;
    let act = |action: &str, object: &str, detail: &Value| caller.act(action, object, detail);
    let by = By { name: &caller.name, act: &act };
    let remark = body(remark)?;
    let (alert, row) = desk::acknowledge(state.store.as_ref(), &id, by, &remark.comment, clock::now()).await?;
    let transitions = state.store.transitions(&id).await?;
    Ok(Json(AlertView::new(alert, transitions, Some(row))))
}

/// Silences, newest first; those that are over too.
#[utoipa::path(get, path = "/api/v1/silences", tag = "alerts", params(Paging),
    responses((status = 200, body = List<SilenceView>), (status = 400, body = Problem), (status = 503, body = Problem)))]
pub async fn silences(
    State(state): State<ApiState>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<SilenceView>>, Problem> {
    let page = paging.page()?;
    let rows = state.store.silences(page).await?;
    Ok(Json(paged(rows, page, |row| row.created, SilenceView::from)))
}

/// Adds a silence: alerts that lie wholly within what it names are not told while it lasts.
#[utoipa::path(post, path = "/api/v1/silences", tag = "alerts", request_body = SilenceRequest,
    responses((status = 201, body = SilenceView), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 415, body = Problem), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn silence(
    State(state): State<ApiState>,
    caller: Caller,
    request: Result<Json<SilenceRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<SilenceView>), Problem> {
    caller.require(Role::Operator)?;
    let act = |action: &str, object: &str, detail: &Value| caller.act(action, object, detail);
    let by = By { name: &caller.name, act: &act };
    let asked = body(request)?;
    let new = desk::NewSilence {
        model: asked.model,
        task: asked.task,
        cause: asked.cause,
        segment: asked.segment,
        severity: asked.severity,
        comment: asked.comment,
        starts: asked.starts_at,
        ends: asked.ends_at,
    };
    let row = desk::silence(state.store.as_ref(), new, by, clock::now()).await?;
    Ok((StatusCode::CREATED, Json(row.into())))
}

/// Ends a silence now.
#[utoipa::path(delete, path = "/api/v1/silences/{id}", tag = "alerts",
    params(("id" = String, Path, description = "The silence's id")),
    responses((status = 200, body = SilenceView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)))]
pub async fn expire(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<SilenceView>, Problem> {
    caller.require(Role::Operator)?;
    let act = |action: &str, object: &str, detail: &Value| caller.act(action, object, detail);
    let by = By { name: &caller.name, act: &act };
    Ok(Json(desk::expire(state.store.as_ref(), &id, by, clock::now()).await?.into()))
}

/// A message with its attempts.
#[utoipa::path(get, path = "/api/v1/deliveries/{id}", tag = "alerts",
    params(("id" = String, Path, description = "The delivery's id")),
    responses((status = 200, body = DeliveryDetail), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn delivery(State(state): State<ApiState>, Path(id): Path<String>) -> Result<Json<DeliveryDetail>, Problem> {
    let (row, attempts) = desk::delivery(state.store.as_ref(), &id).await?;
    Ok(Json(DeliveryDetail::new(row, attempts)))
}

/// Sends a message once more, also to an endpoint that failed or was disabled.
#[utoipa::path(post, path = "/api/v1/deliveries/{id}/redeliver", tag = "alerts",
    params(("id" = String, Path, description = "The delivery's id")),
    responses((status = 200, body = DeliveryDetail), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 503, body = Problem)))]
pub async fn redeliver(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Json<DeliveryDetail>, Problem> {
    caller.require(Role::Operator)?;
    let act = |action: &str, object: &str, detail: &Value| caller.act(action, object, detail);
    let by = By { name: &caller.name, act: &act };
    desk::redeliver(state.store.as_ref(), &id, by, clock::now()).await?;
    let (row, attempts) = desk::delivery(state.store.as_ref(), &id).await?;
    Ok(Json(DeliveryDetail::new(row, attempts)))
}
