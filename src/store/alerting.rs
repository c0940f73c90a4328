//! Statements for people who act on alerts: acknowledge, silence, send again.

use async_trait::async_trait;
use sqlx::AnyPool;
use sqlx::any::AnyRow;

use super::accessing::write_audit;
use super::delivering::delivery;
use super::judging::write_delivery;
use super::reading::{alert_row, delivery_row};
use super::sql::{Columns, SqlStore};
use super::{
    AcknowledgementRow, AlertRow, AttemptRow, AuditRow, DeliveryRow, DeskStore, NewDelivery, Page, SilenceRow,
    StoreError, Told,
};
use crate::drift::time::{Span, Timestamp};

/// An alert that is pending or fires.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenAlert {
    /// The alert.
    pub alert: AlertRow,
    /// The model's version that it is about; empty where its reference is gone.
    pub version: String,
}

#[async_trait]
impl DeskStore for SqlStore {
    async fn alert(&self, alert_id: &str) -> Result<Option<AlertRow>, StoreError> {
        let row = sqlx::query("-- alert\nselect * from alert where alert_id = $1")
            .bind(alert_id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.as_ref().map(alert_row).transpose()?)
    }

    async fn acknowledgement(&self, alert_id: &str) -> Result<Option<AcknowledgementRow>, StoreError> {
        let row = sqlx::query("-- acknowledgement\nselect * from alert_acknowledgement where alert_id = $1")
            .bind(alert_id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.as_ref().map(acknowledgement_row).transpose()?)
    }

    async fn told(&self, alert_id: &str) -> Result<Vec<Told>, StoreError> {
        let rows = sqlx::query(
            "-- told
            select d.* from delivery as d where d.alert_id = $1 and not exists (
                select 1 from delivery as newer where newer.alert_id = d.alert_id and newer.endpoint = d.endpoint
                    and newer.place > d.place)
            order by d.endpoint",
        )
        .bind(alert_id)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(told).collect::<Result<_, _>>()?)
    }

    async fn acknowledge(
        &self,
        acknowledgement: &AcknowledgementRow,
        deliveries: &[NewDelivery],
        audit: &AuditRow,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "-- acknowledge
            insert into alert_acknowledgement (alert_id, at_us, by_whom, comment) values ($1, $2, $3, $4)
            on conflict (alert_id) do update set at_us = excluded.at_us, by_whom = excluded.by_whom,
                comment = excluded.comment",
        )
        .bind(&acknowledgement.alert_id)
        .bind(acknowledgement.at.micros())
        .bind(&acknowledgement.by)
        .bind(&acknowledgement.comment)
        .execute(&mut *transaction)
        .await?;
        for delivery in deliveries {
            write_delivery(&mut transaction, delivery, acknowledgement.at).await?;
        }
        write_audit(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn silences(&self, page: Page) -> Result<Vec<SilenceRow>, StoreError> {
        let rows = sqlx::query(
            "-- silences
            select * from silence where created_us < $1 order by created_us desc, silence_id limit $2",
        )
        .bind(page.before_us)
        .bind(page.limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(silence_row).collect::<Result<_, _>>()?)
    }

    async fn add_silence(&self, silence: &SilenceRow, audit: &AuditRow) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "-- add_silence
            insert into silence (silence_id, model, task, cause, segment, severity, comment, created_by, created_us,
                starts_us, ends_us)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(&silence.silence_id)
        .bind(silence.model.clone())
        .bind(silence.task.clone())
        .bind(silence.cause.clone())
        .bind(silence.segment.clone())
        .bind(silence.severity.clone())
        .bind(&silence.comment)
        .bind(&silence.created_by)
        .bind(silence.created.micros())
        .bind(silence.starts.micros())
        .bind(silence.ends.micros())
        .execute(&mut *transaction)
        .await?;
        write_audit(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn expire_silence(
        &self,
        silence_id: &str,
        now: Timestamp,
        audit: &AuditRow,
    ) -> Result<Option<SilenceRow>, StoreError> {
        let mut transaction = self.begin().await?;
        let done =
            sqlx::query("-- expire_silence\nupdate silence set ends_us = $2 where silence_id = $1 and ends_us > $2")
                .bind(silence_id)
                .bind(now.micros())
                .execute(&mut *transaction)
                .await?;
        let row = sqlx::query("-- expire_silence (read)\nselect * from silence where silence_id = $1")
            .bind(silence_id)
            .fetch_optional(&mut *transaction)
            .await?;
        if done.rows_affected() > 0 {
            write_audit(&mut transaction, audit).await?;
        }
        transaction.commit().await?;
        Ok(row.as_ref().map(silence_row).transpose()?)
    }

    async fn delivery(&self, delivery_id: &str) -> Result<Option<DeliveryRow>, StoreError> {
        let row = sqlx::query("-- delivery\nselect * from delivery where delivery_id = $1")
            .bind(delivery_id)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.as_ref().map(delivery_row).transpose()?)
    }

    async fn attempts(&self, delivery_id: &str) -> Result<Vec<AttemptRow>, StoreError> {
        let rows = sqlx::query("-- attempts\nselect * from delivery_attempt where delivery_id = $1 order by attempt")
            .bind(delivery_id)
            .fetch_all(&self.pool)
            .await?;
        let read = |row: &AnyRow| -> Result<_, sqlx::Error> {
            Ok(AttemptRow {
                attempt: row.int("attempt")?,
                at: row.time("at_us")?,
                status: row.maybe_int("status")?,
                took: Span::from_micros(row.int("took_us")?),
                outcome: row.text("outcome")?,
                detail: row.maybe_text("detail")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    async fn deliveries_in(
        &self,
        state: Option<&str>,
        endpoint: Option<&str>,
        limit: i64,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let rows = sqlx::query(
            "-- deliveries_in
            select * from delivery where ($1 = '*' or state = $1) and ($2 = '*' or endpoint = $2)
            order by created_us desc, place desc limit $3",
        )
        .bind(state.unwrap_or("*"))
        .bind(endpoint.unwrap_or("*"))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(delivery_row).collect::<Result<_, _>>()?)
    }

    async fn redeliver(&self, delivery_id: &str, now: Timestamp, audit: &AuditRow) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "-- redeliver
            update delivery set state = 'pending', next_attempt_us = $2, lease_until_us = 0, held = 0,
                delivered_us = null, merged_into = null
            where delivery_id = $1 and state <> 'pending'",
        )
        .bind(delivery_id)
        .bind(now.micros())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
        for statement in [
            "-- redeliver (circuit)
            delete from endpoint_circuit where endpoint in (select endpoint from delivery where delivery_id = $1)",
            "-- redeliver (disabled)
            delete from endpoint_disabled where endpoint in (select endpoint from delivery where delivery_id = $1)",
        ] {
            sqlx::query(statement).bind(delivery_id).execute(&mut *transaction).await?;
        }
        write_audit(&mut transaction, audit).await?;
        transaction.commit().await?;
        Ok(true)
    }
}

impl SqlStore {
    /// A model's alerts that are pending or fire, with the versions that they are about.
    pub(super) async fn all_open(&self, model: &str) -> Result<Vec<OpenAlert>, StoreError> {
        let rows = sqlx::query(
            "-- open_alerts
            select a.*, coalesce(r.version, '') as version
            from alert as a left join model_reference as r on r.reference_id = a.reference_id and r.model = a.model
            where a.model = $1 and a.state in ('pending', 'firing') order by a.opened_us, a.alert_id",
        )
        .bind(model)
        .fetch_all(&self.pool)
        .await?;
        let open = |row: &AnyRow| -> Result<_, sqlx::Error> {
            Ok(OpenAlert { alert: alert_row(row)?, version: row.text("version")? })
        };
        Ok(rows.iter().map(open).collect::<Result<_, _>>()?)
    }
}

/// The latest delivery about each alert that fires, or resolved since, at each endpoint or one.
pub(super) async fn latest_told(
    pool: &AnyPool,
    endpoint: Option<&str>,
    resolved_since: Option<Timestamp>,
) -> Result<Vec<Told>, StoreError> {
    let rows = sqlx::query(
        "-- latest_told
        select d.* from delivery as d join alert as a on a.alert_id = d.alert_id
        where ($1 = '*' or d.endpoint = $1)
            and (a.state = 'firing' or (d.event = 'drift.alarm.resolved' and d.created_us >= $2))
            and not exists (
                select 1 from delivery as newer where newer.alert_id = d.alert_id and newer.endpoint = d.endpoint
                    and newer.place > d.place)
            and ($1 <> '*' or d.alert_id not in (select alert_id from alert_acknowledgement))
        order by d.place",
    )
    .bind(endpoint.unwrap_or("*"))
    .bind(resolved_since.map_or(i64::MAX, Timestamp::micros))
    .fetch_all(pool)
    .await?;
    Ok(rows.iter().map(told).collect::<Result<_, _>>()?)
}

fn told(row: &AnyRow) -> Result<Told, sqlx::Error> {
    Ok(Told { delivery: delivery(row)?, state: row.text("state")? })
}

/// A silence from its row.
pub(super) fn silence_row(row: &AnyRow) -> Result<SilenceRow, sqlx::Error> {
    Ok(SilenceRow {
        silence_id: row.text("silence_id")?,
        model: row.maybe_text("model")?,
        task: row.maybe_text("task")?,
        cause: row.maybe_text("cause")?,
        segment: row.maybe_text("segment")?,
        severity: row.maybe_text("severity")?,
        comment: row.text("comment")?,
        created_by: row.text("created_by")?,
        created: row.time("created_us")?,
        starts: row.time("starts_us")?,
        ends: row.time("ends_us")?,
    })
}

/// Who has taken an alert on.
pub(super) fn acknowledgement_row(row: &AnyRow) -> Result<AcknowledgementRow, sqlx::Error> {
    Ok(AcknowledgementRow {
        alert_id: row.text("alert_id")?,
        at: row.time("at_us")?,
        by: row.text("by_whom")?,
        comment: row.text("comment")?,
    })
}
