//! Statements of the deliver loop.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{Any, Row, Transaction};

use super::alerting::{latest_told, silence_row};
use super::judging::write_delivery;
use super::sql::{Columns, SqlStore};
use super::{DeliverStore, Delivery, NewDelivery, Settled, Settlement, SilenceRow, StoreError, Told};
use crate::drift::time::{Span, Timestamp};

#[async_trait]
impl DeliverStore for SqlStore {
    async fn claim(&self, now: Timestamp, lease_until: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        // The first pending message of an endpoint holds back the later ones, whatever the clock said when they were
        // written: an end never comes before its beginning. The conditional update gives a row to one claimer even
        // if two chose it at the same time. A first attempt waits for no clock unless it waits for its group: one
        // that was set back must not hold an alert.
        let due = sqlx::query(
            "-- claim (due)
            select delivery_id from delivery as d
            where state = 'pending' and ((attempts = 0 and held = 0) or next_attempt_us <= $1) and lease_until_us <= $1
                and endpoint not in (select endpoint from endpoint_disabled)
                and endpoint not in (select endpoint from endpoint_circuit where open_until_us > $1)
                and not exists (
                    select 1 from delivery as older where older.endpoint = d.endpoint and older.state = 'pending'
                        and older.place < d.place)
            order by place limit 100",
        )
        .bind(now.micros())
        .fetch_all(&self.pool)
        .await?;
        let mut claimed = Vec::with_capacity(due.len());
        for row in due {
            let row = sqlx::query(
                "-- claim
                update delivery set lease_until_us = $2
                where delivery_id = $1 and state = 'pending' and lease_until_us <= $3
                returning *",
            )
            .bind(row.try_get::<String, _>("delivery_id")?)
            .bind(lease_until.micros())
            .bind(now.micros())
            .fetch_optional(&self.pool)
            .await?;
            claimed.extend(row.as_ref().map(delivery).transpose()?);
        }
        Ok(claimed)
    }

    async fn settle(&self, settled: &Settled) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let (state, next) = match settled.settlement {
            Settlement::Delivered => ("delivered", settled.now),
            Settlement::RetryAt(at) => ("pending", at),
            Settlement::Failed => ("failed", settled.now),
            Settlement::Disable => ("disabled", settled.now),
        };
        let delivered = settled.settlement == Settlement::Delivered;
        sqlx::query(
            "-- settle
            update delivery set state = $2, attempts = attempts + 1, next_attempt_us = $3, lease_until_us = 0,
                delivered_us = $4, last_error = $5
            where delivery_id = $1",
        )
        .bind(&settled.delivery_id)
        .bind(state)
        .bind(next.micros())
        .bind(delivered.then_some(settled.now.micros()))
        .bind((!delivered).then(|| settled.outcome.clone()))
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "-- settle (attempt)
            insert into delivery_attempt (delivery_id, attempt, at_us, status, took_us, outcome, detail)
            select delivery_id, attempts, $2, $3, $4, $5, $6 from delivery where delivery_id = $1",
        )
        .bind(&settled.delivery_id)
        .bind(settled.now.micros())
        .bind(settled.status)
        .bind(i64::try_from(settled.took.as_micros()).unwrap_or(i64::MAX))
        .bind(&settled.outcome)
        .bind((!settled.detail.is_empty()).then(|| settled.detail.clone()))
        .execute(&mut *transaction)
        .await?;
        note_circuit(&mut transaction, settled).await?;
        for covered in settled.covers.iter().filter(|_| delivered) {
            sqlx::query(
                "-- settle (covers)
                update delivery set state = 'merged', merged_into = $2, delivered_us = $3, lease_until_us = 0
                where delivery_id = $1 and state = 'pending'",
            )
            .bind(covered)
            .bind(&settled.delivery_id)
            .bind(settled.now.micros())
            .execute(&mut *transaction)
            .await?;
        }
        if settled.settlement == Settlement::Disable {
            let newly = sqlx::query(
                "-- settle (disable)
                insert into endpoint_disabled (endpoint, at_us, reason) values ($1, $2, $3)
                on conflict (endpoint) do nothing",
            )
            .bind(&settled.endpoint)
            .bind(settled.now.micros())
            .bind(&settled.outcome)
            .execute(&mut *transaction)
            .await?
            .rows_affected();
            for told in settled.tell.iter().filter(|_| newly == 1) {
                write_delivery(&mut transaction, told, settled.now).await?;
            }
            sqlx::query(
                "-- settle (pending)\nupdate delivery set state = 'disabled' where endpoint = $1 and state = 'pending'",
            )
            .bind(&settled.endpoint)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn waiting(&self, endpoint: &str, limit: i64) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(
            "-- waiting
            select * from delivery where endpoint = $1 and state = 'pending' order by place limit $2",
        )
        .bind(endpoint)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(delivery).collect::<Result<_, _>>()?)
    }

    async fn silences_at(&self, now: Timestamp) -> Result<Vec<SilenceRow>, StoreError> {
        let rows = sqlx::query("-- silences_at\nselect * from silence where starts_us <= $1 and ends_us > $1")
            .bind(now.micros())
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(silence_row).collect::<Result<_, _>>()?)
    }

    async fn hush(&self, delivery_id: &str, why: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "-- hush
            update delivery set state = 'silenced', last_error = $2, next_attempt_us = $3, lease_until_us = 0
            where delivery_id = $1 and state = 'pending'",
        )
        .bind(delivery_id)
        .bind(why)
        .bind(now.micros())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn was_told(&self, alert_id: &str, endpoint: &str) -> Result<bool, StoreError> {
        let row = sqlx::query(
            "-- was_told
            select count(*) as told from delivery
            where alert_id = $1 and endpoint = $2 and state in ('delivered', 'merged', 'failed')",
        )
        .bind(alert_id)
        .bind(endpoint)
        .fetch_one(&self.pool)
        .await?;
        Ok(row.int("told")? > 0)
    }

    async fn standing(&self, endpoint: &str, resolved_since: Timestamp) -> Result<Vec<Told>, StoreError> {
        let told = latest_told(&self.pool, Some(endpoint), Some(resolved_since)).await?;
        Ok(told.into_iter().filter(|t| t.state != "silenced").collect())
    }

    async fn untold(&self, now: Timestamp) -> Result<Vec<Told>, StoreError> {
        let told = latest_told(&self.pool, None, None).await?;
        let due = |t: &Told| match t.state.as_str() {
            "silenced" => true,
            "delivered" | "merged" => t.delivery.repeat.is_some_and(|r| now.since(t.delivery.created) >= r),
            _ => false,
        };
        Ok(told.into_iter().filter(due).collect())
    }

    async fn judged_until(&self, model: &str) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query("-- judged_until\nselect latest_end_us from standing where model = $1")
            .bind(model)
            .fetch_optional(&self.pool)
            .await?;
        Ok(row.map(|row| row.time("latest_end_us")).transpose()?)
    }

    async fn write(&self, deliveries: &[NewDelivery], now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for delivery in deliveries {
            write_delivery(&mut transaction, delivery, now).await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn enable(&self, endpoints: &[String]) -> Result<(), StoreError> {
        for endpoint in endpoints {
            sqlx::query("-- enable\ndelete from endpoint_disabled where endpoint = $1")
                .bind(endpoint)
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }
}

/// Counts failures in a row, and leaves an endpoint alone from some number of them on.
async fn note_circuit(transaction: &mut Transaction<'static, Any>, settled: &Settled) -> Result<(), StoreError> {
    if !settled.endpoint_failed {
        sqlx::query("-- note_circuit (works)\ndelete from endpoint_circuit where endpoint = $1")
            .bind(&settled.endpoint)
            .execute(&mut **transaction)
            .await?;
        return Ok(());
    }
    let row = sqlx::query("-- note_circuit (read)\nselect failures from endpoint_circuit where endpoint = $1")
        .bind(&settled.endpoint)
        .fetch_optional(&mut **transaction)
        .await?;
    let failures = 1 + row.map(|row| row.int("failures")).transpose()?.unwrap_or(0);
    sqlx::query(
        "-- note_circuit
        insert into endpoint_circuit (endpoint, failures, open_until_us, reason) values ($1, $2, $3, $4)
        on conflict (endpoint) do update set failures = excluded.failures, open_until_us = excluded.open_until_us,
            reason = excluded.reason",
    )
    .bind(&settled.endpoint)
    .bind(failures)
    .bind(open_for(failures).map_or(0, |wait| settled.now.plus(wait).micros()))
    .bind(&settled.outcome)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// How long an endpoint is left alone after so many failures in a row: from the fifth on half a minute,
/// doubled with each, to a quarter of an hour. What follows a pause is one message, as a probe.
fn open_for(failures: i64) -> Option<Span> {
    const TOLERATED: i64 = 4;
    const FIRST_SECS: i64 = 30;
    const MOST_SECS: i64 = 900;
    let beyond = failures - TOLERATED;
    (beyond > 0).then(|| Span::from_secs((FIRST_SECS << (beyond - 1).min(5)).min(MOST_SECS)))
}

pub(super) fn delivery(row: &AnyRow) -> Result<Delivery, sqlx::Error> {
    Ok(Delivery {
        delivery_id: row.text("delivery_id")?,
        endpoint: row.text("endpoint")?,
        event: row.text("event")?,
        model: row.text("model")?,
        alert_id: row.maybe_text("alert_id")?,
        group_key: row.text("group_key")?,
        repeat: row.maybe_int("repeat_us")?.map(Span::from_micros),
        body: row.text("body")?,
        attempts: row.int("attempts")?,
        created: row.time("created_us")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_left_alone_from_the_fifth_failure_on() {
        let secs: Vec<Option<i64>> =
            [1, 4, 5, 6, 7, 9, 10, 1_000].map(|n| open_for(n).map(|w| w.micros() / 1_000_000)).into();
        assert_eq!(secs, [None, None, Some(30), Some(60), Some(120), Some(480), Some(900), Some(900)]);
    }
}
