//! Redacted texts that show what an alert is about, for those who may read texts.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderName, header};
use serde::Serialize;
use serde_json::{Value, json};

use super::ApiState;
use super::access::Caller;
use super::models::find;
use super::problem::Problem;
use super::views::stored;
use crate::access::Scope;
use crate::drift::time::Timestamp;
use crate::store::ExampleRow;

/// What the audit calls a reading.
const ACTION: &str = "alert.examples";
/// Texts stay in no cache, not even the reader's own.
const NOT_KEPT: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "no-store")];

/// Examples of an alert.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExamplesView {
    /// The alert.
    pub alert_id: String,
    /// Its model.
    pub model: String,
    /// Whether the model's `examples` are on: where they are off there are none.
    pub enabled: bool,
    /// The examples, the most telling first.
    pub data: Vec<ExampleView>,
}

/// A text from a window that raised the alert, redacted by pattern: names and other words are left in it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExampleView {
    /// The text.
    pub text: String,
    /// The second text of a pair.
    pub pair: Option<String>,
    /// Start of its window.
    #[schema(value_type = String, format = DateTime)]
    pub window_start: Timestamp,
    /// When it is removed.
    #[schema(value_type = String, format = DateTime)]
    pub kept_until: Timestamp,
    /// Why it was chosen: cells that hold more than they should, the strongest first, each with `scope`, `task`,
    /// `segment`, `signal`, `cell`, `reference_share` and `current_share`.
    #[schema(value_type = Vec<Object>)]
    pub reasons: Value,
}

impl From<ExampleRow> for ExampleView {
    fn from(row: ExampleRow) -> ExampleView {
        let read = |text: &crate::drift::redaction::Redacted| text.as_str().to_owned();
        ExampleView {
            text: read(&row.text),
            pair: row.pair.as_ref().map(read),
            window_start: row.window,
            kept_until: row.until,
            reasons: stored(&row.reasons),
        }
    }
}

/// Redacted texts that show what an alert is about. Needs the scope `samples:read`, which no role contains; that they
/// were read, or were refused, is in the audit.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/examples", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id")),
    responses((status = 200, body = ExamplesView), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 503, body = Problem)))]
pub async fn show(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<([(HeaderName, &'static str); 1], Json<ExamplesView>), Problem> {
    if let Err(problem) = caller.require(Scope::SamplesRead) {
        state.access.refused(&caller, ACTION, &id).await;
        return Err(problem);
    }
    let alert = state.store.alert(&id).await?.ok_or_else(|| Problem::missing("alert", &id))?;
    let model = find(&state, &alert.model).await?;
    let rows = state.store.examples(&id, &caller.act(ACTION, &id, &json!({"model": alert.model}))).await?;
    let data = rows.into_iter().map(ExampleView::from).collect();
    Ok((NOT_KEPT, Json(ExamplesView { alert_id: id, model: alert.model, enabled: model.examples > 0, data })))
}
