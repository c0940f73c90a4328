//! Statements about retraining requests.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use super::accessing::write_audit;
use super::judging::write_delivery;
use super::request_columns::{callback_row, move_row, request_row, tried_row};
use super::sql::{Columns, SqlStore};
use super::{
    Added, AuditRow, Callback, CandidateRow, Change, GateRow, NewDelivery, NewRequest, Pause, RequestHistory,
    RequestRow, RetrainingStore, StoreError, Token, Tried,
};
use crate::drift::retraining::Kind;
use crate::drift::retraining::life::State;
use crate::drift::time::{Span, Timestamp};

type Tx = Transaction<'static, Any>;

/// Refused call-backs are kept up to so many for each request: whoever guesses tokens may not fill
/// the store.
const MOST_REFUSED: i64 = 100;

#[async_trait]
impl RetrainingStore for SqlStore {
    async fn add_request(&self, request: &NewRequest) -> Result<Added, StoreError> {
        let mut transaction = self.begin().await?;
        let added = add(&mut transaction, request, request.now).await?;
        transaction.commit().await?;
        Ok(added)
    }

    async fn request(&self, request_id: &str) -> Result<Option<RequestHistory>, StoreError> {
        let row = sqlx::query("-- request\nselect * from retraining_request where request_id = $1")
            .bind(request_id)
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let all = async |sql: &'static str| sqlx::query(sql).bind(request_id).fetch_all(&self.pool).await;
        let moves =
            all("-- request (moves)\nselect * from retraining_move where request_id = $1 order by move").await?;
        let attempts =
            all("-- request (attempts)\nselect * from retraining_attempt where request_id = $1 order by attempt");
        let callbacks =
            all("-- request (callbacks)\nselect * from retraining_callback where request_id = $1 order by callback");
        Ok(Some(RequestHistory {
            row: request_row(&row)?,
            moves: moves.iter().map(move_row).collect::<Result<_, _>>()?,
            attempts: attempts.await?.iter().map(tried_row).collect::<Result<_, _>>()?,
            callbacks: callbacks.await?.iter().map(callback_row).collect::<Result<_, _>>()?,
            gates: self.gates(request_id).await?,
        }))
    }

    async fn open_requests(&self) -> Result<Vec<RequestRow>, StoreError> {
        let rows = sqlx::query(
            "-- open_requests
            select * from retraining_request where state in ('proposed', 'requested', 'accepted', 'running')
            order by created_us, request_id",
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(request_row).collect::<Result<_, _>>()?)
    }

    async fn latest_request(&self, model: &str, kind: Kind) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query(
            "-- latest_request
            select max(created_us) as latest_us from retraining_request where model = $1 and kind = $2",
        )
        .bind(model)
        .bind(kind.name())
        .fetch_one(&self.pool)
        .await?;
        Ok(row.maybe_time("latest_us")?)
    }

    async fn move_request(&self, change: &Change) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let moved = apply(&mut transaction, change).await?;
        transaction.commit().await?;
        Ok(moved)
    }

    async fn approvals(&self, since: Timestamp) -> Result<i64, StoreError> {
        let row = sqlx::query(
            "-- approvals
            select count(*) as approvals from retraining_move
            where to_state = 'requested' and who = 'driftd' and at_us >= $1",
        )
        .bind(since.micros())
        .fetch_one(&self.pool)
        .await?;
        Ok(row.int("approvals")?)
    }

    async fn claim_start(
        &self,
        request_id: &str,
        token: Option<&Token>,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<RequestRow>, StoreError> {
        let row = sqlx::query(
            "-- claim_start
            update retraining_request set lease_until_us = $2, token_hash = coalesce(token_hash, $4),
                token_expires_us = coalesce(token_expires_us, $5)
            where request_id = $1 and state = 'requested' and lease_until_us <= $3 and next_attempt_us <= $3
            returning *",
        )
        .bind(request_id)
        .bind(lease_until.micros())
        .bind(now.micros())
        .bind(token.map(|t| t.hash.clone()))
        .bind(token.map(|t| t.expires.micros()))
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.as_ref().map(request_row).transpose()?)
    }

    async fn settle_start(&self, tried: &Tried) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "-- settle_start
            update retraining_request set attempts = attempts + 1, next_attempt_us = $2, lease_until_us = 0
            where request_id = $1",
        )
        .bind(&tried.request_id)
        .bind(tried.next_attempt.micros())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "-- settle_start (attempt)
            insert into retraining_attempt (request_id, attempt, at_us, hook, status, took_us, outcome, detail)
            select request_id, attempts, $2, $3, $4, $5, $6, $7 from retraining_request where request_id = $1",
        )
        .bind(&tried.request_id)
        .bind(tried.at.micros())
        .bind(&tried.hook)
        .bind(tried.status)
        .bind(i64::try_from(tried.took.as_micros()).unwrap_or(i64::MAX))
        .bind(&tried.outcome)
        .bind(&tried.detail)
        .execute(&mut *transaction)
        .await?;
        if let Some(change) = &tried.change
            && !apply(&mut transaction, change).await?
        {
            // The run has called back before its start was known; where it is looked at is still news.
            sqlx::query(
                "-- settle_start (overtaken)
                update retraining_request set run_url = coalesce(run_url, $2) where request_id = $1",
            )
            .bind(&change.request_id)
            .bind(&change.run_url)
            .execute(&mut *transaction)
            .await?;
        }
        Ok(transaction.commit().await?)
    }

    async fn add_gate(&self, gate: &GateRow, most: i64) -> Result<bool, StoreError> {
        self.write_gate(gate, most).await
    }

    async fn latest_candidate(&self, model: &str) -> Result<Option<CandidateRow>, StoreError> {
        self.brought_last(model).await
    }

    async fn refuse_callback(&self, refused: &Callback) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        write_callback(&mut transaction, refused, MOST_REFUSED).await?;
        Ok(transaction.commit().await?)
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        let rows = sqlx::query(
            "-- pauses
            select * from retraining_pause as p
            where not exists (select 1 from retraining_pause as q where q.model = p.model and q.at_us > p.at_us)
            order by model",
        )
        .fetch_all(&self.pool)
        .await?;
        let row = |row: &AnyRow| -> Result<_, sqlx::Error> {
            Ok(Pause {
                model: row.text("model")?,
                at: row.time("at_us")?,
                paused: row.int("paused")? == 1,
                who: row.text("who")?,
                why: row.text("why")?,
            })
        };
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    async fn pause(&self, pause: &Pause, audit: Option<&AuditRow>) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        // A clock that was set back must not make the newer word the older one.
        sqlx::query(
            "-- pause
            insert into retraining_pause (model, at_us, paused, who, why)
            values ($1, (select coalesce(max(at_us), 0) from (
                select at_us + 1 as at_us from retraining_pause where model = $1
                union all select cast($2 as bigint) as at_us) as times), $3, $4, $5)",
        )
        .bind(&pause.model)
        .bind(pause.at.micros())
        .bind(i64::from(pause.paused))
        .bind(&pause.who)
        .bind(&pause.why)
        .execute(&mut *transaction)
        .await?;
        if let Some(audit) = audit {
            write_audit(&mut transaction, audit).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Makes a request with its first move and messages, unless it exists or its model has an open one. The messages
/// stand in the outbox from `told` on.
pub(super) async fn add(transaction: &mut Tx, request: &NewRequest, told: Timestamp) -> Result<Added, StoreError> {
    let row = &request.row;
    let made = sqlx::query(
        "-- add_request
        insert into retraining_request (request_id, model, alert_id, state, tasks, protected_tasks, reason, created_us,
            kind, mode, dry_run, version, body, hook, deadline_us, covers_until_us, moves)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 1) on conflict do nothing",
    )
    .bind(&row.request_id)
    .bind(&row.model)
    .bind(&row.alert_id)
    .bind(row.state.name())
    .bind(&row.tasks)
    .bind(&row.protected_tasks)
    .bind(&row.reason)
    .bind(row.created.micros())
    .bind(&row.kind)
    .bind(&row.mode)
    .bind(i64::from(row.dry_run))
    .bind(&row.version)
    .bind(&row.body)
    .bind(&row.hook)
    .bind(row.deadline.map(Timestamp::micros))
    .bind(row.covers_until.map(Timestamp::micros))
    .execute(&mut **transaction)
    .await?
    .rows_affected();
    if made == 0 {
        let same = sqlx::query("-- add_request (same)\nselect 1 from retraining_request where request_id = $1")
            .bind(&row.request_id)
            .fetch_optional(&mut **transaction)
            .await?;
        return Ok(if same.is_some() { Added::Exists } else { Added::Busy });
    }
    write_move(transaction, &row.request_id, 1, request.now, None, row.state, &request.who, &row.reason).await?;
    write_deliveries(transaction, &request.deliveries, told).await?;
    if let Some(audit) = &request.audit {
        write_audit(transaction, audit).await?;
    }
    Ok(Added::Made)
}

/// Moves a request; false, and nothing is written, if it is not where the change starts from.
async fn apply(transaction: &mut Tx, change: &Change) -> Result<bool, StoreError> {
    let moved = sqlx::query(
        "-- move_request
        update retraining_request set state = $3, moves = moves + 1, deadline_us = coalesce($4, deadline_us),
            run_url = coalesce($5, run_url), new_model_version = coalesce($6, new_model_version),
            result = coalesce($7, result)
        where request_id = $1 and state = $2 and body = coalesce(cast($9 as text), body)
            and (select count(*) from retraining_gate where request_id = $1) = coalesce(cast($8 as bigint),
                (select count(*) from retraining_gate where request_id = $1))
        returning moves",
    )
    .bind(&change.request_id)
    .bind(change.from.name())
    .bind(change.to.name())
    .bind(change.deadline.map(Timestamp::micros))
    .bind(&change.run_url)
    .bind(&change.new_model_version)
    .bind(&change.result)
    .bind(change.gates)
    .bind(&change.body)
    .fetch_optional(&mut **transaction)
    .await?;
    let Some(row) = moved else { return Ok(false) };
    let (number, from) = (row.int("moves")?, Some(change.from));
    write_move(transaction, &change.request_id, number, change.at, from, change.to, &change.who, &change.why).await?;
    if let Some(report) = &change.callback {
        let (request_id, report) = (change.request_id.clone(), report.clone());
        let taken = Callback { request_id, at: change.at, report, outcome: "taken".to_owned() };
        write_callback(transaction, &taken, i64::MAX).await?;
    }
    write_deliveries(transaction, &change.deliveries, change.at).await?;
    if let Some(audit) = &change.audit {
        write_audit(transaction, audit).await?;
    }
    Ok(true)
}

#[expect(clippy::too_many_arguments, reason = "the columns of one insert")]
async fn write_move(
    transaction: &mut Tx,
    request_id: &str,
    number: i64,
    at: Timestamp,
    from: Option<State>,
    to: State,
    who: &str,
    why: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_move
        insert into retraining_move (request_id, move, at_us, from_state, to_state, who, why)
        values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(request_id)
    .bind(number)
    .bind(at.micros())
    .bind(from.map(State::name))
    .bind(to.name())
    .bind(who)
    .bind(why)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn write_callback(transaction: &mut Tx, callback: &Callback, most: i64) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_callback
        insert into retraining_callback (request_id, callback, at_us, report, outcome)
        select request_id, (select count(*) from retraining_callback where request_id = $1) + 1, $2, $3, $4
        from retraining_request
        where request_id = $1 and (select count(*) from retraining_callback where request_id = $1) < $5
        on conflict do nothing",
    )
    .bind(&callback.request_id)
    .bind(callback.at.micros())
    .bind(&callback.report)
    .bind(&callback.outcome)
    .bind(most)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A microsecond apart, so that pages of them can end between two.
async fn write_deliveries(transaction: &mut Tx, deliveries: &[NewDelivery], now: Timestamp) -> Result<(), StoreError> {
    for (i, delivery) in (0..).zip(deliveries) {
        write_delivery(transaction, delivery, now.plus(Span::from_micros(i))).await?;
    }
    Ok(())
}
