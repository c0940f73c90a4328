//! Reads how well tasks do: estimates and labels by window, and what is known of each task.

use async_trait::async_trait;
use sqlx::any::AnyRow;

use super::sql::{Columns, SqlStore};
use super::{EstimateRow, LabelStore, Page, PerformanceRow, RealisedRow, StoreError, TaskRow, TaskWindow};
use crate::drift::matured::MUTING_WINDOWS;
use crate::drift::time::Timestamp;

/// A task's windows, with what is needed to tell whether labels contradict its estimates.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskPoints {
    /// Windows, newest first.
    pub points: Vec<PerformanceRow>,
    /// Tallies of the windows with labels that came before them, newest first; as many as decide.
    pub earlier: Vec<Vec<u8>>,
}

/// Reads how well tasks do.
#[async_trait]
pub trait PerformanceStore: Send + Sync {
    /// What is known of each task of a model against a reference, by name.
    async fn task_rows(&self, model: &str, reference_id: &str) -> Result<Vec<TaskRow>, StoreError>;

    /// A task's windows against a reference.
    async fn task_points(
        &self,
        model: &str,
        reference_id: &str,
        task: &str,
        page: Page,
    ) -> Result<TaskPoints, StoreError>;
}

#[async_trait]
impl PerformanceStore for SqlStore {
    async fn task_rows(&self, model: &str, reference_id: &str) -> Result<Vec<TaskRow>, StoreError> {
        let rows = sqlx::query(
            "-- task_rows
            select * from task_performance where model = $1 and reference_id = $2 order by task",
        )
        .bind(model)
        .bind(reference_id)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(task_row).collect::<Result<_, _>>()?)
    }

    async fn task_points(
        &self,
        model: &str,
        reference_id: &str,
        task: &str,
        page: Page,
    ) -> Result<TaskPoints, StoreError> {
        let rows = sqlx::query(
            "-- task_points
            select * from window_performance
            where model = $1 and task = $2 and start_us < $3 and reference_id = $4
            order by start_us desc limit $5",
        )
        .bind(model)
        .bind(task)
        .bind(page.before_us)
        .bind(reference_id)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        let points: Vec<PerformanceRow> = rows.iter().map(point).collect::<Result<_, _>>()?;
        let Some(oldest) = points.last().map(|p| p.estimate.of.start) else { return Ok(TaskPoints::default()) };
        let until = Timestamp::from_micros(oldest.micros() - 1);
        let earlier = self.recent_tallies(model, reference_id, task, until, MUTING_WINDOWS as i64).await?;
        Ok(TaskPoints { points, earlier })
    }
}

fn task_row(row: &AnyRow) -> Result<TaskRow, sqlx::Error> {
    Ok(TaskRow {
        task: row.text("task")?,
        kind: row.text("kind")?,
        reference_labelled: row.int("reference_labelled")?,
        reference_loss: row.float("reference_loss")?,
        tolerated_loss: row.float("tolerated_loss")?,
        sample: row.float("sample")?,
        labels: row.int("labels")?,
        ln_evidence: row.maybe_float("ln_evidence")?,
        ln_threshold: row.float("ln_threshold")?,
        muted: row.int("muted")? == 1,
        notices: row.text("notices")?,
    })
}

fn point(row: &AnyRow) -> Result<PerformanceRow, sqlx::Error> {
    let of = TaskWindow { task: row.text("task")?, start: row.time("start_us")?, end: row.time("end_us")? };
    let both = |low: &str, high: &str| -> Result<Option<(f64, f64)>, sqlx::Error> {
        Ok(row.maybe_float(low)?.zip(row.maybe_float(high)?))
    };
    let estimate = EstimateRow {
        of: of.clone(),
        answered: row.int("answered")?,
        estimate: row.maybe_float("estimate")?,
        interval: both("estimate_low", "estimate_high")?,
        macro_f1: row.maybe_float("estimate_macro_f1")?,
        cells: row.bytes("cells")?,
    };
    let labelled = row.int("labelled")?;
    let realised = match labelled > 0 {
        false => None,
        true => Some(RealisedRow {
            of,
            labelled,
            realised: row.maybe_float("realised")?,
            interval: both("realised_low", "realised_high")?,
            macro_f1: row.maybe_float("realised_macro_f1")?,
            expected: row.maybe_float("estimate_of_labelled")?,
            delay_us: row.maybe_int("delay_us")?,
            tally: row.bytes("tally")?,
        }),
    };
    Ok(PerformanceRow { estimate, realised })
}
