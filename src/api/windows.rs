//! Windows and statistics.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::ApiState;
use super::caching::{Kept, is_final};
use super::models::find;
use super::pages::{List, Paging, list as paged};
use super::problem::Problem;
use super::views::{RollupView, StatisticView, WindowView};
use crate::drift::rollup::Grain;
use crate::drift::time::Timestamp;
use crate::store::StatisticFilter;

/// Which statistics.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// `input`, `encoder` or `head`.
    scope: Option<String>,
    /// Task.
    task: Option<String>,
    /// Segment as `tag=value`; empty for statistics of all records.
    segment: Option<String>,
    /// Signal.
    signal: Option<String>,
}

/// Judged windows of a model, newest first.
#[utoipa::path(get, path = "/api/v1/models/{name}/windows", tag = "windows", params(("name" = String, Path,), Paging),
    responses((status = 200, body = List<WindowView>), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn list(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<WindowView>>, Problem> {
    let page = paging.page()?;
    find(&state, &name).await?;
    let rows = state.store.windows(&name, page).await?;
    Ok(Json(paged(rows, page, |row| row.start, WindowView::from)))
}

/// Which roll-ups.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Length {
    /// `hour` or `day`; `hour` by default.
    grain: Option<Grain>,
}

/// Windows of a model merged into hours or days, newest first: exactly the tallies that one window
/// of that length would have. They outlive the windows.
#[utoipa::path(get, path = "/api/v1/models/{name}/rollups", tag = "windows",
    params(("name" = String, Path,), Length, Paging),
    responses((status = 200, body = List<RollupView>), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn rollups(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Query(length): Query<Length>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<RollupView>>, Problem> {
    let page = paging.page()?;
    find(&state, &name).await?;
    let rows = state.store.rollups(&name, length.grain.unwrap_or(Grain::Hour), page).await?;
    Ok(Json(paged(rows, page, |row| row.start, RollupView::from)))
}

/// All statistics of one window, named by its start.
#[utoipa::path(get, path = "/api/v1/models/{name}/windows/{start}/statistics", tag = "windows",
    params(("name" = String, Path,), ("start" = String, Path, format = DateTime, description = "RFC 3339 start of the window")),
    responses((status = 200, body = List<StatisticView>), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn statistics_of_window(
    State(state): State<ApiState>,
    Path((name, start)): Path<(String, String)>,
) -> Result<Kept<Json<List<StatisticView>>>, Problem> {
    let time = Timestamp::parse(&start).ok_or_else(|| Problem::wrong("start", "is not an RFC 3339 time"))?;
    find(&state, &name).await?;
    let rows = state.store.window_statistics(&name, time).await?;
    let end = rows.first().map(|row| row.end).ok_or_else(|| Problem::missing("window that starts at", &start))?;
    let list = List { data: rows.into_iter().map(Into::into).collect(), next_cursor: None };
    Ok(Kept(is_final(&state, &name, end).await?, Json(list)))
}

/// Statistics of a model over time, newest first.
#[utoipa::path(get, path = "/api/v1/models/{name}/statistics", tag = "windows",
    params(("name" = String, Path,), Filter, Paging),
    responses((status = 200, body = List<StatisticView>), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn statistics_over_time(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Query(filter): Query<Filter>,
    Query(paging): Query<Paging>,
) -> Result<Json<List<StatisticView>>, Problem> {
    let page = paging.page()?;
    find(&state, &name).await?;
    let Filter { scope, task, segment, signal } = filter;
    let filter = StatisticFilter { scope, task, segment, signal };
    let rows = state.store.statistics(&name, &filter, page).await?;
    Ok(Json(paged(rows, page, |row| row.start, StatisticView::from)))
}
