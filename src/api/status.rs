//! How this deployment is: store, providers, partitions and their ledgers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::ApiState;
use super::ledger::PartitionView;
use super::problem::Problem;
use super::views::stored;

/// The deployment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StatusView {
    /// Version of driftd.
    version: &'static str,
    /// Roles of the process that answers.
    roles: Vec<String>,
    /// The store.
    store: StoreView,
    /// Where the first model really runs; null where none is run.
    inference: Option<Value>,
    /// Partitions with their ledgers.
    partitions: Vec<PartitionView>,
}

/// The store.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StoreView {
    /// `postgres` or `sqlite`.
    kind: &'static str,
    /// Whether it answers.
    ok: bool,
}

/// The deployment's state.
#[utoipa::path(get, path = "/api/v1/status", tag = "status",
    responses((status = 200, body = StatusView), (status = 503, body = Problem)))]
pub async fn show(State(state): State<ApiState>) -> Result<Json<StatusView>, Problem> {
    let partitions = state.store.partitions().await?;
    let models = state.store.models().await?;
    Ok(Json(StatusView {
        version: env!("CARGO_PKG_VERSION"),
        roles: state.roles.as_ref().clone(),
        store: StoreView { kind: state.store.kind(), ok: true },
        inference: models.iter().find_map(|m| m.inference.as_deref()).map(stored),
        partitions: partitions.into_iter().map(Into::into).collect(),
    }))
}
