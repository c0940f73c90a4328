//! Reference against current: a signal's cells, and the encoder's map.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

use super::ApiState;
use super::caching::Kept;
use super::problem::Problem;
use super::tallies::{When, tallied};
use crate::drift::distribution::{Cell, distribution};
use crate::drift::encoder_map::{Axis, BINS};
use crate::drift::reference::{Reference, SignalReference};
use crate::drift::time::Timestamp;

/// Cells in an answer at most: more than a person looks at, and a small answer still.
const MOST_CELLS: usize = 400;

/// Which signal.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// Part of the model, such as `input`, `encoder`, `head`, `link` or `skew`.
    scope: String,
    /// The head's task.
    task: Option<String>,
    /// Segment as `tag=value`; none or empty for all records.
    segment: Option<String>,
    /// Signal.
    signal: String,
}

/// A signal in one window or roll-up, reference against current.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DistributionView {
    /// Start.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// End, exclusive.
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
    /// Id of the reference.
    reference: String,
    /// Records, labels or tokens counted in it. Those carried over from windows too small to judge are not
    /// among them.
    n: i64,
    /// Cells in the signal's own order; empty for signals that are no counts.
    cells: Vec<CellView>,
}

/// One cell.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CellView {
    /// What it is called.
    cell: String,
    /// Share in the reference; where it knows seasons, that of the window's phases.
    reference_share: f64,
    /// Share in the window.
    current_share: f64,
    /// Lower end of the 95 % interval of the current share; null for an empty window.
    low: Option<f64>,
    /// Upper end of it.
    high: Option<f64>,
    /// Count in the reference.
    reference_count: i64,
    /// Count in the window.
    current_count: i64,
}

/// Where records lie on the two coordinates along which the reference varies most.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MapView {
    /// Start.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// End, exclusive.
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
    /// The coordinates: across, then up.
    axes: Vec<AxisView>,
    /// The reference's density.
    reference: DensityView,
    /// The window's density.
    current: DensityView,
}

/// A coordinate.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AxisView {
    /// What it is.
    name: String,
    /// Lower end, in standard deviations of the reference. What lies outside is counted in the outermost cells.
    low: f64,
    /// Upper end.
    high: f64,
    /// Cells along it.
    bins: usize,
}

/// Shares of records by cell.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DensityView {
    /// Records counted.
    count: i64,
    /// Shares by cell, row by row from the lowest second coordinate; all 0 without records.
    density: Vec<f64>,
}

/// All cells of one signal in a window or roll-up, reference against current, with confidence intervals.
#[utoipa::path(get, path = "/api/v1/models/{name}/distributions", tag = "windows",
    params(("name" = String, Path,), Which, When),
    responses((status = 200, body = DistributionView), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn show(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
    Query(when): Query<When>,
) -> Result<Kept<Json<DistributionView>>, Problem> {
    let found = tallied(&state, &name, &when).await?;
    let reference = &found.reference;
    let signal = reference.signals.iter().find(|signal| which.names(reference, signal));
    let signal = signal.ok_or_else(|| Problem::missing("such signal", &which.signal))?;
    let view = DistributionView {
        start: found.start,
        end: found.end,
        reference: reference.id.clone(),
        n: signal.measure.as_signal().n(&found.summary.cells[signal.cells()]),
        cells: distribution(reference, signal, &found.summary, MOST_CELLS).into_iter().map(Into::into).collect(),
    };
    Ok(Kept(found.is_final, Json(view)))
}

/// The encoder's map of a window or roll-up: a fixed projection of the reference, its density against the
/// current one.
#[utoipa::path(get, path = "/api/v1/models/{name}/map", tag = "windows", params(("name" = String, Path,), When),
    responses((status = 200, body = MapView), (status = 400, body = Problem), (status = 404, body = Problem)))]
pub async fn map(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Query(when): Query<When>,
) -> Result<Kept<Json<MapView>>, Problem> {
    let found = tallied(&state, &name, &when).await?;
    let map = found.reference.map.as_ref();
    let map = map.ok_or_else(|| Problem::missing("map in the reference", &found.reference.id))?;
    let axes = map.axes.iter().zip(1..).map(|(Axis { low, high }, number)| AxisView {
        name: format!("principal coordinate {number}"),
        low: f64::from(*low),
        high: f64::from(*high),
        bins: BINS,
    });
    let view = MapView {
        start: found.start,
        end: found.end,
        axes: axes.collect(),
        reference: DensityView::of(&map.totals),
        current: DensityView::of(&found.summary.cells[map.cells()]),
    };
    Ok(Kept(found.is_final, Json(view)))
}

impl Which {
    fn names(&self, reference: &Reference, signal: &SignalReference) -> bool {
        let key = &signal.key;
        key.signal == self.signal
            && key.scope.name() == self.scope
            && reference.task_name(key) == self.task.as_deref().filter(|task| !task.is_empty())
            && reference.segment_name(key).unwrap_or_default() == self.segment.as_deref().unwrap_or_default()
    }
}

impl DensityView {
    fn of(counts: &[i64]) -> DensityView {
        let count = counts.iter().sum::<i64>();
        let density = counts.iter().map(|c| *c as f64 / count.max(1) as f64).collect();
        DensityView { count, density }
    }
}

impl From<Cell> for CellView {
    fn from(cell: Cell) -> CellView {
        let (low, high) = cell.interval.map_or((None, None), |[low, high]| (Some(low), Some(high)));
        CellView {
            cell: cell.name,
            reference_share: cell.reference_share,
            current_share: cell.current_share,
            low,
            high,
            reference_count: cell.reference_count,
            current_count: cell.current_count,
        }
    }
}
