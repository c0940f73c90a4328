//! Retraining requests from rows of the database.

use std::time::Duration;

use sqlx::any::AnyRow;

use super::sql::Columns;
use super::{Callback, MoveRow, RequestRow, Token, TriedRow};
use crate::drift::retraining::life::State;

fn state(row: &AnyRow, name: &str) -> Result<State, sqlx::Error> {
    let text = row.text(name)?;
    State::parse(&text).ok_or_else(|| sqlx::Error::Decode(format!("`{text}` is no state of a request").into()))
}

pub(super) fn request_row(row: &AnyRow) -> Result<RequestRow, sqlx::Error> {
    let (hash, expires) = (row.maybe_text("token_hash")?, row.maybe_time("token_expires_us")?);
    Ok(RequestRow {
        request_id: row.text("request_id")?,
        model: row.text("model")?,
        version: row.text("version")?,
        kind: row.text("kind")?,
        mode: row.text("mode")?,
        dry_run: row.int("dry_run")? == 1,
        alert_id: row.text("alert_id")?,
        state: state(row, "state")?,
        tasks: row.text("tasks")?,
        protected_tasks: row.text("protected_tasks")?,
        reason: row.text("reason")?,
        body: row.text("body")?,
        hook: row.maybe_text("hook")?,
        covers_until: row.maybe_time("covers_until_us")?,
        created: row.time("created_us")?,
        deadline: row.maybe_time("deadline_us")?,
        run_url: row.maybe_text("run_url")?,
        new_model_version: row.maybe_text("new_model_version")?,
        result: row.text("result")?,
        attempts: row.int("attempts")?,
        next_attempt: row.time("next_attempt_us")?,
        token: hash.zip(expires).map(|(hash, expires)| Token { hash, expires }),
        moves: row.int("moves")?,
    })
}

pub(super) fn move_row(row: &AnyRow) -> Result<MoveRow, sqlx::Error> {
    let from = row.maybe_text("from_state")?;
    Ok(MoveRow {
        at: row.time("at_us")?,
        from: from.as_deref().and_then(State::parse),
        to: state(row, "to_state")?,
        who: row.text("who")?,
        why: row.text("why")?,
    })
}

pub(super) fn tried_row(row: &AnyRow) -> Result<TriedRow, sqlx::Error> {
    Ok(TriedRow {
        attempt: row.int("attempt")?,
        at: row.time("at_us")?,
        hook: row.text("hook")?,
        status: row.maybe_int("status")?,
        took: Duration::from_micros(u64::try_from(row.int("took_us")?).unwrap_or(0)),
        outcome: row.text("outcome")?,
        detail: row.text("detail")?,
    })
}

pub(super) fn callback_row(row: &AnyRow) -> Result<Callback, sqlx::Error> {
    Ok(Callback {
        request_id: row.text("request_id")?,
        at: row.time("at_us")?,
        report: row.text("report")?,
        outcome: row.text("outcome")?,
    })
}
