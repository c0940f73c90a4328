//! Statements of the deliver loop.

use async_trait::async_trait;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::sql::{Columns, SqlStore};
use super::{DeliverStore, Delivery, Settled, Settlement, StoreError};
use crate::drift::time::Timestamp;

#[async_trait]
impl DeliverStore for SqlStore {
    async fn claim(&self, now: Timestamp, lease_until: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        // The oldest pending message of an endpoint holds back the younger ones; the conditional
        // update gives a row to one claimer even if two chose it at the same time. A first attempt
        // waits for no clock: one that was set back must not hold an alert.
        let due = sqlx::query(
            "-- claim (due)
            select delivery_id from delivery as d
            where state = 'pending' and (attempts = 0 or next_attempt_us <= $1) and lease_until_us <= $1
                and endpoint not in (select endpoint from endpoint_disabled)
                and not exists (
                    select 1 from delivery as older where older.endpoint = d.endpoint and older.state = 'pending'
                        and (older.created_us < d.created_us
                            or (older.created_us = d.created_us and older.delivery_id < d.delivery_id)))
            order by created_us, delivery_id limit 100",
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
                returning delivery_id, endpoint, body, attempts, created_us",
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
            insert into delivery_attempt (delivery_id, attempt, at_us, status, took_us, outcome)
            select delivery_id, attempts, $2, $3, $4, $5 from delivery where delivery_id = $1",
        )
        .bind(&settled.delivery_id)
        .bind(settled.now.micros())
        .bind(settled.status)
        .bind(i64::try_from(settled.took.as_micros()).unwrap_or(i64::MAX))
        .bind(&settled.outcome)
        .execute(&mut *transaction)
        .await?;
        if settled.settlement == Settlement::Disable {
            sqlx::query(
                "-- settle (disable)
                insert into endpoint_disabled (endpoint, at_us, reason) values ($1, $2, $3)
                on conflict (endpoint) do nothing",
            )
            .bind(&settled.endpoint)
            .bind(settled.now.micros())
            .bind(&settled.outcome)
            .execute(&mut *transaction)
            .await?;
            sqlx::query(
                "-- settle (pending)\nupdate delivery set state = 'disabled' where endpoint = $1 and state = 'pending'",
            )
            .bind(&settled.endpoint)
            .execute(&mut *transaction)
            .await?;
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

fn delivery(row: &AnyRow) -> Result<Delivery, sqlx::Error> {
    Ok(Delivery {
        delivery_id: row.text("delivery_id")?,
        endpoint: row.text("endpoint")?,
        body: row.text("body")?,
        attempts: row.int("attempts")?,
        created: row.time("created_us")?,
    })
}
