//! Models and their tasks.

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::ApiState;
use super::pages::List;
use super::parts::LackView;
use super::problem::Problem;
use super::views::{EncoderView, KeptView, ManifestView, ModelDetail, ModelView, stored};
use crate::store::ModelRow;

/// All models.
#[utoipa::path(get, path = "/api/v1/models", tag = "models",
    responses((status = 200, body = List<ModelView>), (status = 503, body = Problem)))]
pub async fn list(State(state): State<ApiState>) -> Result<Json<List<ModelView>>, Problem> {
    let standings = state.store.standings(None).await?;
    Ok(Json(List { data: standings.iter().map(ModelView::new).collect(), next_cursor: None }))
}

/// One model.
#[utoipa::path(get, path = "/api/v1/models/{name}", tag = "models", params(("name" = String, Path,)),
    responses((status = 200, body = ModelDetail), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn show(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<ModelDetail>, Problem> {
    let standing = state.store.standings(Some(&name)).await?.pop().ok_or_else(|| Problem::missing("model", &name))?;
    let kept = state.store.references_of(&name).await?;
    let reference = kept.into_iter().find(|kept| kept.in_use);
    let (model, row) = (ModelView::new(&standing), standing.model);
    Ok(Json(ModelDetail {
        model,
        manifest: ManifestView {
            encoder: EncoderView { dimension: row.embedding_dimension },
            tasks: stored(&row.tasks),
        },
        reference: reference.map(|kept| kept.facts.into()),
        inference: row.inference.as_deref().map(stored),
        examples: row.examples > 0,
        shadow: state.store.latest_shadow(&name).await?.is_some(),
        budget: row.budget,
    }))
}

/// The tasks of one model, in the manifest's order, each with what of it cannot be judged now (`not_judged`).
#[utoipa::path(get, path = "/api/v1/models/{name}/tasks", tag = "models", params(("name" = String, Path,)),
    responses((status = 200, body = List<Value>), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn tasks(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<List<Value>>, Problem> {
    let standing = state.store.standings(Some(&name)).await?.pop().ok_or_else(|| Problem::missing("model", &name))?;
    let mut data = stored(&standing.model.tasks).as_array().cloned().unwrap_or_default();
    let lacks = ModelView::new(&standing).not_judged;
    for task in &mut data {
        let of_task: Vec<&LackView> =
            lacks.iter().filter(|lack| lack.task.as_deref() == task["name"].as_str()).collect();
        task["not_judged"] = json!(of_task);
    }
    Ok(Json(List { data, next_cursor: None }))
}

/// References kept for one model, newest first.
#[utoipa::path(get, path = "/api/v1/models/{name}/references", tag = "models", params(("name" = String, Path,)),
    responses((status = 200, body = List<KeptView>), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn references(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<List<KeptView>>, Problem> {
    find(&state, &name).await?;
    let kept = state.store.references_of(&name).await?;
    Ok(Json(List { data: kept.into_iter().map(Into::into).collect(), next_cursor: None }))
}

/// The model of this name, or a 404.
pub(super) async fn find(state: &ApiState, name: &str) -> Result<ModelRow, Problem> {
    state.store.model(name).await?.ok_or_else(|| Problem::missing("model", name))
}
