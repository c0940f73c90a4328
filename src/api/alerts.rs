//! Alerts, and what was sent because of them.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::ApiState;
use super::pages::{List, Paging, list as paged};
use super::problem::Problem;
use super::views::{AlertView, DeliveryView};
use crate::store::{AcknowledgementRow, AlertRow, TransitionRow};

/// Of which model.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OfModel {
    /// Name of a model; all by default.
    pub(super) model: Option<String>,
}

/// Alerts with their transitions, newest first.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(OfModel, Paging),
    responses((status = 200, body = List<AlertView>), (status = 400, body = Problem), (status = 503, body = Problem)))]
pub async fn list(
    State(state): State<ApiState>,
    Query(of): Query<OfModel>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<AlertView>>, Problem> {
    let page = paging.page()?;
    let mut by_alert: HashMap<String, Vec<TransitionRow>> = HashMap::new();
    for transition in state.store.transitions_of(of.model.as_deref(), page).await? {
        by_alert.entry(transition.alert_id.clone()).or_default().push(transition);
    }
    let taken = state.store.acknowledgements_of(of.model.as_deref(), page).await?;
    let mut taken: HashMap<String, AcknowledgementRow> =
        taken.into_iter().map(|row| (row.alert_id.clone(), row)).collect();
    let mut rows: Vec<(AlertRow, Vec<TransitionRow>, Option<AcknowledgementRow>)> = Vec::new();
    for alert in state.store.alerts(of.model.as_deref(), page).await? {
        let transitions = by_alert.remove(&alert.alert_id).unwrap_or_default();
        let acknowledgement = taken.remove(&alert.alert_id);
        rows.push((alert, transitions, acknowledgement));
    }
    Ok(Json(paged(rows, page, |(alert, _, _)| alert.opened, |(alert, changes, by)| AlertView::new(alert, changes, by))))
}

/// Messages to endpoints, newest first.
#[utoipa::path(get, path = "/api/v1/deliveries", tag = "alerts", params(OfModel, Paging),
    responses((status = 200, body = List<DeliveryView>), (status = 400, body = Problem), (status = 503, body = Problem)))]
pub async fn deliveries(
    State(state): State<ApiState>,
    Query(of): Query<OfModel>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<DeliveryView>>, Problem> {
    let page = paging.page()?;
    let rows = state.store.deliveries(of.model.as_deref(), page).await?;
    Ok(Json(paged(rows, page, |row| row.created, DeliveryView::from)))
}
