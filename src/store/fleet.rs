//! How models stand: what the fleet shows, in one statement for all of them.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use super::alerting::acknowledgement_row;
use super::reading::{model_row, transition_row};
use super::references::flag;
use super::sql::{Columns, Number, SqlStore};
use super::{AcknowledgementRow, LatestWindow, ModelRow, Page, ReportRow, Standing, StoreError, TransitionRow};

/// Reads how models stand.
#[async_trait]
pub trait FleetStore: Send + Sync {
    /// One model.
    async fn model(&self, name: &str) -> Result<Option<ModelRow>, StoreError>;
    /// How one model stands, or all do, by name.
    async fn standings(&self, model: Option<&str>) -> Result<Vec<Standing>, StoreError>;
    /// Transitions of the alerts of a page, oldest first.
    async fn transitions_of(&self, model: Option<&str>, page: Page) -> Result<Vec<TransitionRow>, StoreError>;

    /// Who has taken on which of the alerts on a page.
    async fn acknowledgements_of(&self, model: Option<&str>, page: Page)
    -> Result<Vec<AcknowledgementRow>, StoreError>;
}

#[async_trait]
impl FleetStore for SqlStore {
    async fn model(&self, name: &str) -> Result<Option<ModelRow>, StoreError> {
        let row =
            sqlx::query("-- model\nselect * from model where name = $1").bind(name).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(model_row).transpose()?)
    }

    async fn standings(&self, model: Option<&str>) -> Result<Vec<Standing>, StoreError> {
        let rows = sqlx::query(
            "-- standings
            select m.*, coalesce(s.records, 0) as all_records, s.latest_start_us, s.latest_end_us, s.verdict, s.ln_evidence,
                s.parts, s.guarantee,
                case when exists (select 1 from alert a where a.model = m.name and a.state = 'firing') then 1 else 0 end as is_firing
            from model m left join standing s on s.model = m.name
            where $1 = '*' or m.name = $1
            order by m.name",
        )
        .bind(model.unwrap_or("*"))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(standing).collect::<Result<_, _>>()?)
    }

    async fn transitions_of(&self, model: Option<&str>, page: Page) -> Result<Vec<TransitionRow>, StoreError> {
        let rows = sqlx::query(
            "-- transitions_of
            select * from alert_transition where alert_id in (
                select alert_id from alert where ($1 = '*' or model = $1) and state <> 'inactive' and opened_us < $2
                order by opened_us desc, alert_id limit $3)
            order by at_us, transition_id",
        )
        .bind(model.unwrap_or("*"))
        .bind(page.before_us)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(transition_row).collect::<Result<_, _>>()?)
    }

    async fn acknowledgements_of(
        &self,
        model: Option<&str>,
        page: Page,
    ) -> Result<Vec<AcknowledgementRow>, StoreError> {
        let rows = sqlx::query(
            "-- acknowledgements_of
            select * from alert_acknowledgement where alert_id in (
                select alert_id from alert where ($1 = '*' or model = $1) and state <> 'inactive' and opened_us < $2
                order by opened_us desc, alert_id limit $3)",
        )
        .bind(model.unwrap_or("*"))
        .bind(page.before_us)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(acknowledgement_row).collect::<Result<_, _>>()?)
    }
}

fn standing(row: &AnyRow) -> Result<Standing, sqlx::Error> {
    let latest = |verdict: String| -> Result<LatestWindow, sqlx::Error> {
        Ok(LatestWindow {
            verdict,
            ln_evidence: row.maybe_float("ln_evidence")?,
            start: row.time("latest_start_us")?,
            end: row.time("latest_end_us")?,
            parts: row.text("parts")?,
            guarantee: row.text("guarantee")?,
        })
    };
    Ok(Standing {
        model: model_row(row)?,
        latest: row.maybe_text("verdict")?.map(latest).transpose()?,
        records: row.int("all_records")?,
        is_firing: flag(row, "is_firing")?,
    })
}

/// Counts a window that is about to be written: a new one with its records, a revised one with those that
/// came since.
pub(super) async fn count(transaction: &mut Transaction<'static, Any>, report: &ReportRow) -> Result<(), StoreError> {
    let before = sqlx::query(
        "-- count (before)
        select records from report where model = $1 and start_us = $2 and reference_id = $3",
    )
    .bind(&report.model)
    .bind(report.start.micros())
    .bind(&report.reference_id)
    .fetch_optional(&mut **transaction)
    .await?;
    let before = before.map(|row| row.int("records")).transpose()?;
    sqlx::query(
        "-- count
        insert into standing (model, windows, records, latest_start_us, latest_reference_id, latest_end_us, verdict,
            ln_evidence, parts, guarantee)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (model) do update set windows = standing.windows + excluded.windows,
            records = standing.records + excluded.records,
            latest_reference_id = case when excluded.latest_start_us >= standing.latest_start_us then excluded.latest_reference_id else standing.latest_reference_id end,
            latest_end_us = case when excluded.latest_start_us >= standing.latest_start_us then excluded.latest_end_us else standing.latest_end_us end,
            verdict = case when excluded.latest_start_us >= standing.latest_start_us then excluded.verdict else standing.verdict end,
            ln_evidence = case when excluded.latest_start_us >= standing.latest_start_us then excluded.ln_evidence else standing.ln_evidence end,
            parts = case when excluded.latest_start_us >= standing.latest_start_us then excluded.parts else standing.parts end,
            guarantee = case when excluded.latest_start_us >= standing.latest_start_us then excluded.guarantee else standing.guarantee end,
            latest_start_us = case when excluded.latest_start_us >= standing.latest_start_us then excluded.latest_start_us else standing.latest_start_us end",
    )
    .bind(&report.model)
    .bind(i64::from(before.is_none()))
    .bind(report.records - before.unwrap_or(0))
    .bind(report.start.micros())
    .bind(&report.reference_id)
    .bind(report.end.micros())
    .bind(&report.verdict)
    .bind(Number(report.ln_evidence))
    .bind(&report.parts)
    .bind(&report.guarantee)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
