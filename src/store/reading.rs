//! Statements of the API; all read only.

use async_trait::async_trait;
use sqlx::any::AnyRow;

use super::judging::report_head;
use super::sql::{Columns, Dialect, SqlStore};
use super::{
    Accounts, AlertRow, ClosedPartition, DeliveryRow, GapRow, Held, ModelRow, Page, Progress, ReadStore, ReportRow,
    RequestRow, RollupRow, StatisticFilter, StatisticRow, StoreError, TimedStatistic, TransitionRow,
};
use crate::drift::rollup::Grain;
use crate::drift::time::Timestamp;

#[async_trait]
impl ReadStore for SqlStore {
    fn kind(&self) -> &'static str {
        match self.dialect {
            Dialect::Postgres => "postgres",
            Dialect::Sqlite => "sqlite",
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("-- ping\nselect 1 as one").fetch_one(&self.pool).await?;
        Ok(())
    }

    async fn models(&self) -> Result<Vec<ModelRow>, StoreError> {
        let rows = sqlx::query("-- models\nselect * from model order by name").fetch_all(&self.pool).await?;
        Ok(rows.iter().map(model_row).collect::<Result<_, _>>()?)
    }

    async fn rollups(&self, model: &str, grain: Grain, page: Page) -> Result<Vec<RollupRow>, StoreError> {
        let rows = sqlx::query(
            "-- rollups
            select * from rollup where model = $1 and grain = $4 and start_us < $2
            order by start_us desc, reference_id limit $3",
        )
        .bind(model)
        .bind(page.before_us)
        .bind(page.limit)
        .bind(grain.name())
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(|row| rollup_row(row, grain)).collect::<Result<_, _>>()?)
    }

    async fn windows(&self, model: &str, page: Page) -> Result<Vec<ReportRow>, StoreError> {
        let rows = sqlx::query(
            "-- windows
            select model, reference_id, slot, start_us, end_us, records, revision, late_records, incomplete, verdict,
                ln_evidence, ln_threshold, guarantee, parts
            from report where model = $1 and start_us < $2 order by start_us desc, reference_id limit $3",
        )
        .bind(model)
        .bind(page.before_us)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(report_head).collect::<Result<_, _>>()?)
    }

    async fn window_statistics(&self, model: &str, start: Timestamp) -> Result<Vec<TimedStatistic>, StoreError> {
        let rows = sqlx::query(
            "-- window_statistics
            select * from statistic where model = $1 and start_us = $2 order by scope, task, segment, signal",
        )
        .bind(model)
        .bind(start.micros())
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(statistic).collect::<Result<_, _>>()?)
    }

    async fn statistics(
        &self,
        model: &str,
        filter: &StatisticFilter,
        page: Page,
    ) -> Result<Vec<TimedStatistic>, StoreError> {
        if let StatisticFilter { scope: Some(scope), task, segment: Some(segment), signal: Some(signal) } = filter
            && (task.is_some() || WITHOUT_TASK.contains(&scope.as_str()))
        {
            // All of the key but the time: the page that shows one signal asks for it again and again.
            let rows = sqlx::query(
                "-- statistics (of one signal)
                select * from statistic
                where model = $1 and scope = $4 and task = $5 and segment = $6 and signal = $7 and start_us < $2
                order by start_us desc, reference_id limit $3",
            )
            .bind(model)
            .bind(page.before_us)
            .bind(page.limit)
            .bind(scope)
            .bind(task.as_deref().unwrap_or_default())
            .bind(segment)
            .bind(signal)
            .fetch_all(&self.pool)
            .await?;
            return Ok(rows.iter().map(statistic).collect::<Result<_, _>>()?);
        }
        let rows = sqlx::query(
            "-- statistics
            select * from statistic
            where model = $1 and start_us < $2 and ($4 = '*' or scope = $4) and ($5 = '*' or task = $5) and ($6 = '*' or signal = $6)
              and ($7 = '*' or segment = $7)
            order by start_us desc, scope, task, segment, signal limit $3",
        )
        .bind(model)
        .bind(page.before_us)
        .bind(page.limit)
        .bind(any(filter.scope.as_ref()))
        .bind(any(filter.task.as_ref()))
        .bind(any(filter.signal.as_ref()))
        .bind(any(filter.segment.as_ref()))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(statistic).collect::<Result<_, _>>()?)
    }

    async fn alerts(&self, model: Option<&str>, page: Page) -> Result<Vec<AlertRow>, StoreError> {
        let rows = sqlx::query(
            "-- alerts
            select * from alert where ($1 = '*' or model = $1) and state <> 'inactive' and opened_us < $2 order by opened_us desc, alert_id limit $3",
        )
        .bind(model.unwrap_or("*"))
        .bind(page.before_us)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(alert_row).collect::<Result<_, _>>()?)
    }

    async fn transitions(&self, alert_id: &str) -> Result<Vec<TransitionRow>, StoreError> {
        let rows = sqlx::query(
            "-- transitions\nselect * from alert_transition where alert_id = $1 order by at_us, transition_id",
        )
        .bind(alert_id)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(transition_row).collect::<Result<_, _>>()?)
    }

    async fn deliveries(&self, model: Option<&str>, page: Page) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = sqlx::query(
            "-- deliveries
            select * from delivery where ($1 = '*' or model = $1) and created_us < $2
            order by created_us desc, place desc limit $3",
        )
        .bind(model.unwrap_or("*"))
        .bind(page.before_us)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(delivery_row).collect::<Result<_, _>>()?)
    }

    async fn requests(&self, model: Option<&str>, page: Page) -> Result<Vec<RequestRow>, StoreError> {
        let rows = sqlx::query(
            "-- requests
            select * from retraining_request where ($1 = '*' or model = $1) and created_us < $2
            order by created_us desc, request_id limit $3",
        )
        .bind(model.unwrap_or("*"))
        .bind(page.before_us)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(super::request_columns::request_row).collect::<Result<_, _>>()?)
    }

    async fn partitions(&self) -> Result<Vec<Progress>, StoreError> {
        self.all_positions().await
    }

    async fn closed_partitions(&self) -> Result<Vec<ClosedPartition>, StoreError> {
        self.all_closed().await
    }

    async fn losses(&self) -> Result<Vec<GapRow>, StoreError> {
        self.all_gaps(false).await
    }

    async fn held(&self) -> Result<Held, StoreError> {
        self.all_held().await
    }

    async fn accounts(&self) -> Result<Accounts, StoreError> {
        self.whole_ledger().await
    }
}

/// Scopes whose signals are of no task.
const WITHOUT_TASK: [&str; 2] = ["input", "encoder"];

/// `*` stands for any value: no scope, task or signal is called that.
fn any(value: Option<&String>) -> &str {
    value.map_or("*", String::as_str)
}

/// A model from its row.
pub(super) fn model_row(row: &AnyRow) -> Result<ModelRow, sqlx::Error> {
    Ok(ModelRow {
        name: row.text("name")?,
        version: row.text("version")?,
        reference_id: row.text("reference_id")?,
        budget: row.text("budget")?,
        threshold: row.float("threshold")?,
        window_us: row.int("window_us")?,
        embedding_dimension: row.maybe_int("embedding_dimension")?,
        tasks: row.text("tasks")?,
        examples: row.int("examples")?,
        inference: row.maybe_text("inference")?,
    })
}

/// A transition from its row.
pub(super) fn transition_row(row: &AnyRow) -> Result<TransitionRow, sqlx::Error> {
    Ok(TransitionRow {
        transition_id: row.text("transition_id")?,
        alert_id: row.text("alert_id")?,
        at: row.time("at_us")?,
        from: row.text("from_state")?,
        to: row.text("to_state")?,
        reason: row.text("reason")?,
    })
}

/// A roll-up from its row.
pub(super) fn rollup_row(row: &AnyRow, grain: Grain) -> Result<RollupRow, sqlx::Error> {
    Ok(RollupRow {
        model: row.text("model")?,
        reference_id: row.text("reference_id")?,
        grain,
        start: row.time("start_us")?,
        end: row.time("end_us")?,
        windows: row.int("windows")?,
        records: row.int("records")?,
        incomplete: row.int("incomplete")? == 1,
        summary: row.bytes("summary")?,
        statistics: row.text("statistics")?,
    })
}

/// An alert from its row.
pub(super) fn alert_row(row: &AnyRow) -> Result<AlertRow, sqlx::Error> {
    Ok(AlertRow {
        alert_id: row.text("alert_id")?,
        model: row.text("model")?,
        reference_id: row.text("reference_id")?,
        state: row.text("state")?,
        cause: row.text("cause")?,
        cause_task: row.maybe_text("cause_task")?,
        cause_segment: row.maybe_text("cause_segment")?,
        cause_part: row.maybe_text("cause_part")?,
        versions: row.text("versions")?,
        tasks_affected: row.text("tasks_affected")?,
        summary: row.text("summary")?,
        opened: row.time("opened_us")?,
        opened_window: row.time("opened_window_us")?,
        resolved: row.maybe_time("resolved_us")?,
        ln_evidence: row.maybe_float("ln_evidence")?,
        ln_threshold: row.float("ln_threshold")?,
        guarantee: row.text("guarantee")?,
        evidence: row.text("evidence")?,
    })
}

/// A delivery from its row, for readers.
pub(super) fn delivery_row(row: &AnyRow) -> Result<DeliveryRow, sqlx::Error> {
    Ok(DeliveryRow {
        delivery_id: row.text("delivery_id")?,
        endpoint: row.text("endpoint")?,
        event: row.text("event")?,
        model: row.text("model")?,
        alert_id: row.maybe_text("alert_id")?,
        state: row.text("state")?,
        attempts: row.int("attempts")?,
        created: row.time("created_us")?,
        delivered: row.maybe_time("delivered_us")?,
        last_error: row.maybe_text("last_error")?,
    })
}

fn statistic(row: &AnyRow) -> Result<TimedStatistic, sqlx::Error> {
    Ok(TimedStatistic {
        start: row.time("start_us")?,
        end: row.time("end_us")?,
        row: StatisticRow {
            scope: row.text("scope")?,
            task: row.text("task")?,
            segment: row.text("segment")?,
            signal: row.text("signal")?,
            n: row.int("n")?,
            statistic: row.maybe_float("statistic")?,
            degrees_of_freedom: row.maybe_float("degrees_of_freedom")?,
            ln_p: row.maybe_float("ln_p")?,
            ln_e: row.maybe_float("ln_e")?,
            ln_evidence: row.maybe_float("ln_evidence")?,
            effect: row.text("effect")?,
            movers: row.text("movers")?,
            guarantee: row.text("guarantee")?,
        },
    })
}
