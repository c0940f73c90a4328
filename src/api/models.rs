//! Models and their tasks.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::Value;

use super::ApiState;
use super::pages::List;
use super::problem::Problem;
use super::views::{EncoderView, ManifestView, ModelDetail, ModelView, stored};
use crate::drift::alert::AlertState;
use crate::drift::judgement::Verdict;
use crate::store::{ModelRow, Page};

const LATEST: Page = Page { limit: 1, before_us: i64::MAX };

/// All models.
#[utoipa::path(get, path = "/api/v1/models", tag = "models",
    responses((status = 200, body = List<ModelView>), (status = 503, body = Problem)))]
pub async fn list(State(state): State<ApiState>) -> Result<Json<List<ModelView>>, Problem> {
    let mut data = Vec::new();
    for model in state.store.models().await? {
        data.push(view(&state, &model).await?);
    }
    Ok(Json(List { data, next_cursor: None }))
}

/// One model.
#[utoipa::path(get, path = "/api/v1/models/{name}", tag = "models", params(("name" = String, Path,)),
    responses((status = 200, body = ModelDetail), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn show(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<ModelDetail>, Problem> {
    let row = find(&state, &name).await?;
    let reference = state.store.reference(&row.reference_id).await?;
    Ok(Json(ModelDetail {
        model: view(&state, &row).await?,
        manifest: ManifestView {
            encoder: EncoderView { dimension: row.embedding_dimension },
            tasks: stored(&row.tasks),
        },
        reference: reference.map(Into::into),
        inference: row.inference.as_deref().map(stored),
        budget: row.budget,
        window_secs: row.window_us as f64 / 1e6,
    }))
}

/// The tasks of one model, in the manifest's order.
#[utoipa::path(get, path = "/api/v1/models/{name}/tasks", tag = "models", params(("name" = String, Path,)),
    responses((status = 200, body = List<Value>), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn tasks(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<List<Value>>, Problem> {
    let row = find(&state, &name).await?;
    let data = stored(&row.tasks).as_array().cloned().unwrap_or_default();
    Ok(Json(List { data, next_cursor: None }))
}

/// The model of this name, or a 404.
pub(super) async fn find(state: &ApiState, name: &str) -> Result<ModelRow, Problem> {
    let models = state.store.models().await?;
    models.into_iter().find(|m| m.name == name).ok_or_else(|| Problem::missing("model", name))
}

async fn view(state: &ApiState, model: &ModelRow) -> Result<ModelView, Problem> {
    let latest = state.store.windows(&model.name, LATEST).await?;
    let records = state.store.records(&model.name).await?;
    let mut view = ModelView::new(model, latest.first(), records);
    // Evidence starts anew after an alarm, so the latest window may look calm while the alert fires.
    let alerts = state.store.alerts(Some(&model.name), LATEST).await?;
    if alerts.iter().any(|alert| alert.state == AlertState::Firing.name()) {
        view.state = Verdict::Drift.name().to_owned();
    }
    Ok(view)
}
