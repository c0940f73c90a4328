//! How well each task does, as estimated without labels and as labels show.

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};

use super::ApiState;
use super::models::find;
use super::pages::List;
use super::problem::Problem;
use super::views::stored;
use crate::drift::labelling::TaskLabels;
use crate::drift::matured::{Known, Tally, is_muted};
use crate::drift::performance::by_label::LabelPerformance;
use crate::drift::reference::Reference;
use crate::drift::standing::TaskNotices;
use crate::drift::task::TaskKind;
use crate::drift::time::Timestamp;
use crate::store::{Page, PerformanceRow, TaskPoints, TaskRow};

const DEFAULT_WINDOWS: i64 = 200;
const MOST_WINDOWS: i64 = 500;
/// Below so many labels nothing is said of harm: an error of 30 % where 12 % are tolerated takes about as many
/// to be shown at the usual budget.
const LEAST_LABELS: i64 = 100;
/// Windows whose labels are still on their way say nothing of coverage: those that ended within so many mean
/// delays of the latest.
const DELAYS: f64 = 2.0;
/// Alerts looked at for harm that fires.
const ALERTS: Page = Page { limit: 100, before_us: i64::MAX };

/// Which windows.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Windows {
    /// Windows of each task at most, 1 to 500; 200 by default.
    #[param(minimum = 1, maximum = 500)]
    windows: Option<i64>,
    /// RFC 3339 time: only windows that began before it; all by default.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<String>,
}

/// How well one task does.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TaskPerformanceView {
    /// Name of the task.
    task: String,
    /// What is measured: `accuracy` (share of right answers), `label_accuracy` (share of right label sets),
    /// `token_accuracy` (mean share of right tokens) or `closeness` (1 less the mean distance, as a share of
    /// the reference's scale).
    metric: &'static str,
    /// Accuracy on the reference's labels.
    reference: f64,
    /// The lowest accuracy that is tolerated: below it, evidence of harm grows.
    tolerated: f64,
    /// Windows, newest first.
    points: Vec<PointView>,
    /// What labels say of harm.
    harm: HarmView,
    /// Share of predictions that get a label, over those windows shown whose labels have had time to come; null
    /// where none has.
    label_coverage: Option<f64>,
    /// Mean seconds from prediction to label, over the windows shown.
    label_delay: Option<f64>,
    /// Whether labels contradict the estimate now, so that it does not count.
    muted: bool,
    /// Share of predictions that are kept for their labels.
    sample: f64,
    /// Each label of a multi-label head, or each class of one that answers a class, over the windows shown, in the
    /// manifest's order; empty for other heads.
    labels: Vec<LabelPerformance>,
    /// How the task's labels come, as usual or not; null before the first window, or without an estimate.
    labelling: Option<TaskLabels>,
}

/// A task in one window.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct PointView {
    /// Start.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// End, exclusive.
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
    /// Answers that the estimate rests on.
    n: i64,
    /// Estimated accuracy; null where nothing tells.
    estimate: Option<f64>,
    /// Lower end of its 95 % interval.
    estimate_low: Option<f64>,
    /// Upper end of it.
    estimate_high: Option<f64>,
    /// Estimated macro-F1, for kinds that have one.
    estimate_macro_f1: Option<f64>,
    /// Accuracy by labels; null without one.
    realised: Option<f64>,
    /// Lower end of its 95 % interval.
    realised_low: Option<f64>,
    /// Upper end of it.
    realised_high: Option<f64>,
    /// Macro-F1 by labels.
    realised_macro_f1: Option<f64>,
    /// What the labelled predictions were estimated to be.
    estimate_of_labelled: Option<f64>,
    /// Labelled predictions, of those that were kept.
    labelled: i64,
    /// Whether labels of this window and of those before it contradict the estimate, so that it does not count.
    muted: bool,
}

/// What labels say of harm.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HarmView {
    /// Evidence that the task has become worse than tolerated, divided by its threshold; null without a label.
    evidence_ratio: Option<f64>,
    /// `harm`, `no_harm` or `insufficient_labels`. While an alert of it fires it is `harm`, whatever the
    /// evidence that began anew with it.
    verdict: &'static str,
    /// Labels that were bet on, over all time.
    labels: i64,
}

/// Estimated and realised performance of a model's tasks.
#[utoipa::path(get, path = "/api/v1/models/{name}/performance", tag = "models",
    params(("name" = String, Path,), Windows),
    responses((status = 200, body = List<TaskPerformanceView>), (status = 400, body = Problem),
        (status = 404, body = Problem), (status = 503, body = Problem)))]
pub async fn show(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    Query(windows): Query<Windows>,
) -> Result<Json<List<TaskPerformanceView>>, Problem> {
    let page = windows.page()?;
    let model = find(&state, &name).await?;
    let rows = state.store.task_rows(&name, &model.reference_id).await?;
    let fires = |alert: &&crate::store::AlertRow| alert.state == "firing" && alert.cause == "concept";
    let alerts = state.store.alerts(Some(&name), ALERTS).await?;
    let harmed: Vec<&str> = alerts.iter().filter(fires).filter_map(|alert| alert.cause_task.as_deref()).collect();
    let mut data = Vec::with_capacity(rows.len());
    // In the manifest's order, as everywhere.
    let tasks = stored(&model.tasks);
    let names = tasks.as_array().into_iter().flatten().filter_map(|task| task["name"].as_str());
    for row in names.filter_map(|name| rows.iter().find(|row| row.task == name)) {
        let points = state.store.task_points(&name, &model.reference_id, &row.task, page).await?;
        let reference = state.references.get(&state, &model.reference_id).await?;
        let labels = by_label(&reference, &row.task, &points);
        let view = view(row, points, harmed.contains(&row.task.as_str()));
        let both = view.and_then(|view| Ok(TaskPerformanceView { labels: labels?, ..view }));
        data.push(both.map_err(|error| Problem::internal(&error))?);
    }
    Ok(Json(List { data, next_cursor: None }))
}

impl Windows {
    fn page(&self) -> Result<Page, Problem> {
        let limit = self.windows.unwrap_or(DEFAULT_WINDOWS);
        if !(1..=MOST_WINDOWS).contains(&limit) {
            return Err(Problem::wrong("windows", "must be between 1 and 500"));
        }
        let before_us = match &self.before {
            None => i64::MAX,
            Some(text) => {
                Timestamp::parse(text).ok_or_else(|| Problem::wrong("before", "is not an RFC 3339 time"))?.micros()
            }
        };
        Ok(Page { limit, before_us })
    }
}

fn view(row: &TaskRow, found: TaskPoints, harmed: bool) -> Result<TaskPerformanceView, postcard::Error> {
    let TaskPoints { points, earlier } = found;
    let decode = |bytes: &Vec<u8>| Tally::decode(bytes);
    // Newest first, each with the place of its window; those of before the page after all others.
    let mut tallies: Vec<(usize, Tally)> = Vec::new();
    for (place, point) in points.iter().enumerate() {
        if let Some(realised) = &point.realised {
            tallies.push((place, decode(&realised.tally)?));
        }
    }
    for tally in &earlier {
        tallies.push((points.len(), decode(tally)?));
    }
    let known = Known { labelled: row.reference_labelled.unsigned_abs(), loss: row.reference_loss };
    let muted = |place: usize| {
        let from = tallies.partition_point(|(at, _)| *at < place);
        is_muted(tallies[from..].iter().map(|(_, tally)| tally), known)
    };
    let shown = points.iter().enumerate().map(|(place, point)| PointView::new(point, muted(place)));
    let shown: Vec<PointView> = shown.collect();
    let label_delay = delay(&points);
    // What a later version wrote is not told.
    let notices: TaskNotices = serde_json::from_str(&row.notices).unwrap_or_default();
    Ok(TaskPerformanceView {
        task: row.task.clone(),
        metric: metric(&row.kind),
        reference: 1.0 - row.reference_loss,
        tolerated: 1.0 - row.tolerated_loss,
        label_coverage: label_delay.and_then(|delay| coverage(&points, delay, row.sample)),
        label_delay,
        muted: muted(0),
        points: shown,
        harm: HarmView::new(row, harmed),
        sample: row.sample,
        labels: Vec::new(),
        labelling: notices.labels,
    })
}

/// Each label or class of a head over these windows.
fn by_label(reference: &Reference, task: &str, found: &TaskPoints) -> Result<Vec<LabelPerformance>, postcard::Error> {
    let Some(task) = reference.spec.tasks.iter().position(|t| t.name == task) else { return Ok(Vec::new()) };
    let Some(performance) = reference.performance_of(task).filter(|known| known.is_told_by_label()) else {
        return Ok(Vec::new());
    };
    let mut came = Tally::default();
    for realised in found.points.iter().filter_map(|point| point.realised.as_ref()) {
        came.merge(&Tally::decode(&realised.tally)?);
    }
    let cells = performance.sum_of_kept(found.points.iter().map(|point| point.estimate.cells.as_slice()))?;
    Ok(performance.by_label(&reference.spec.tasks[task].classes, &cells, Some(&came.table())))
}

fn metric(kind: &str) -> &'static str {
    TaskKind::ALL.into_iter().find(|known| known.name() == kind).map_or("accuracy", TaskKind::metric)
}

/// Mean seconds from prediction to label.
fn delay(points: &[PerformanceRow]) -> Option<f64> {
    let each = points.iter().filter_map(|p| p.realised.as_ref()).filter_map(|r| Some((r.labelled, r.delay_us?)));
    let (labels, sum) = each.fold((0.0, 0.0), |(n, sum), (labelled, delay)| {
        (n + labelled as f64, sum + labelled as f64 * delay as f64 / 1e6)
    });
    (labels > 0.0).then(|| sum / labels)
}

fn coverage(points: &[PerformanceRow], delay_secs: f64, sample: f64) -> Option<f64> {
    let latest = points.first()?.estimate.of.end;
    let has_had_time =
        |p: &&PerformanceRow| latest.since(p.estimate.of.end).micros() as f64 / 1e6 >= DELAYS * delay_secs;
    let (answered, labelled) = points.iter().filter(has_had_time).fold((0, 0), |(answered, labelled), p| {
        (answered + p.estimate.answered, labelled + p.realised.as_ref().map_or(0, |r| r.labelled))
    });
    let kept = answered as f64 * sample;
    // Records that came late are labelled without being answers of a judged window.
    (kept > 0.0).then(|| (labelled as f64 / kept).min(1.0))
}

impl PointView {
    fn new(row: &PerformanceRow, muted: bool) -> PointView {
        let (estimate, realised) = (&row.estimate, row.realised.as_ref());
        PointView {
            start: estimate.of.start,
            end: estimate.of.end,
            n: estimate.answered,
            estimate: estimate.estimate,
            estimate_low: estimate.interval.map(|(low, _)| low),
            estimate_high: estimate.interval.map(|(_, high)| high),
            estimate_macro_f1: estimate.macro_f1,
            realised: realised.and_then(|r| r.realised),
            realised_low: realised.and_then(|r| r.interval).map(|(low, _)| low),
            realised_high: realised.and_then(|r| r.interval).map(|(_, high)| high),
            realised_macro_f1: realised.and_then(|r| r.macro_f1),
            estimate_of_labelled: realised.and_then(|r| r.expected),
            labelled: realised.map_or(0, |r| r.labelled),
            muted,
        }
    }
}

impl HarmView {
    fn new(row: &TaskRow, fires: bool) -> HarmView {
        let evidence_ratio = row.ln_evidence.map(|e| (e - row.ln_threshold).min(300.0).exp());
        let verdict = match (fires, evidence_ratio) {
            (true, _) => "harm",
            (false, Some(ratio)) if ratio >= 1.0 => "harm",
            _ if row.labels < LEAST_LABELS => "insufficient_labels",
            _ => "no_harm",
        };
        HarmView { evidence_ratio, verdict, labels: row.labels }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{EstimateRow, RealisedRow, TaskWindow};

    fn row(labels: i64, ln_evidence: Option<f64>) -> TaskRow {
        TaskRow {
            task: "intent".into(),
            kind: "multiclass".into(),
            reference_labelled: 400,
            reference_loss: 0.1,
            tolerated_loss: 0.14,
            sample: 0.5,
            labels,
            ln_evidence,
            ln_threshold: 9.0,
            muted: false,
            notices: "{}".into(),
        }
    }

    /// The window of an hour, with labels that took half an hour.
    fn point(hour: i64, labelled: i64) -> PerformanceRow {
        let at = |hour: i64| Timestamp::from_micros(hour * 3_600_000_000);
        let of = TaskWindow { task: "intent".into(), start: at(hour), end: at(hour + 1) };
        let estimate = EstimateRow {
            of: of.clone(),
            answered: 100,
            estimate: None,
            interval: None,
            macro_f1: None,
            cells: Vec::new(),
        };
        let realised = (labelled > 0).then(|| RealisedRow {
            of,
            labelled,
            realised: Some(1.0),
            interval: None,
            macro_f1: None,
            expected: None,
            delay_us: Some(1_800_000_000),
            tally: Tally::default().encode(),
        });
        PerformanceRow { estimate, realised }
    }

    #[test]
    fn coverage_waits_for_the_labels_that_are_on_their_way() {
        let points = [point(9, 0), point(8, 10), point(7, 30)];
        let delay = delay(&points);
        assert_eq!(delay, Some(1_800.0));
        // Half of the answers are kept: of the 100 of those two windows that have had time, 40.
        assert_eq!(coverage(&points, 1_800.0, 0.5), Some(0.4));
        assert_eq!(coverage(&points[..1], 1_800.0, 0.5), None, "the newest has not had time");
        assert_eq!(super::delay(&points[..1]), None);
    }

    #[test]
    fn harm_is_said_by_evidence_alerts_and_enough_labels() {
        for (labels, evidence, fires, verdict) in [
            (0, None, false, "insufficient_labels"),
            (99, Some(2.0), false, "insufficient_labels"),
            (100, Some(2.0), false, "no_harm"),
            (20, Some(9.0), false, "harm"),
            (500, None, true, "harm"),
        ] {
            assert_eq!(HarmView::new(&row(labels, evidence), fires).verdict, verdict, "{labels} {evidence:?} {fires}");
        }
        assert_eq!(HarmView::new(&row(5, None), false).evidence_ratio, None);
    }
}
