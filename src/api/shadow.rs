//! A candidate beside the current model.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::ApiState;
use super::models::find;
use super::problem::Problem;
use crate::drift::gate_report::GateReport;
use crate::drift::time::Timestamp;
use crate::store::{ShadowRow, StoreError};

/// A candidate that answers a sample of the live inputs beside the current model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ShadowView {
    /// Name of the model.
    pub model: String,
    /// The reference with which the current model is watched.
    pub reference_id: String,
    /// The candidate: a digest of its files.
    pub candidate_id: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub begun_at: Timestamp,
    /// When something became known last.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// What is known, as the gate reports it, in the format `shadow/v1`: bounds hold however often one looks;
    /// `labelled_rows` are the labels of the task that has most, and time and size are told only.
    pub report: GateReport,
}

impl TryFrom<ShadowRow> for ShadowView {
    type Error = StoreError;

    fn try_from(row: ShadowRow) -> Result<ShadowView, StoreError> {
        let report = serde_json::from_str(&row.report);
        Ok(ShadowView {
            model: row.of.model,
            reference_id: row.of.reference_id,
            candidate_id: row.of.candidate_id,
            begun_at: row.begun,
            updated_at: row.updated,
            report: report.map_err(|error| StoreError::Corrupt(format!("a shadow's report: {error}")))?,
        })
    }
}

/// What is known of the candidate that stands beside a model, or stood there last.
#[utoipa::path(get, path = "/api/v1/models/{name}/shadow", tag = "models", params(("name" = String, Path,)),
    responses((status = 200, body = ShadowView), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn show(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<ShadowView>, Problem> {
    find(&state, &name).await?;
    let row = state.store.latest_shadow(&name).await?;
    let row = row.ok_or_else(|| Problem::missing("candidate beside model", &name))?;
    Ok(Json(ShadowView::try_from(row)?))
}
