//! Statements about labels: predictions that wait, labels that came, what became of both.

use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{Any, AssertSqlSafe, Transaction};

use super::label_days::days_of;
use super::sql::{Columns, Number, SqlStore};
use super::values::{chunks, list, placeholders};
use super::{
    EstimateRow, JoinRow, Judged, KeptRow, LabelChanges, LabelRow, Labelled, PendingRow, RealisedRow, StoreError,
    TaskRow, TaskWindow,
};
use crate::drift::time::Timestamp;
use crate::drift::window::Slot;

type Tx = Transaction<'static, Any>;

/// What the judge loop asks of a store where labels are concerned.
#[async_trait]
pub trait LabelStore: Send + Sync {
    /// The first window that has labels to try; `None` where no label waits.
    async fn first_due(&self, model: &str, reference_id: &str) -> Result<Option<Slot>, StoreError>;

    /// Labels to try in the windows until this one, those of one prediction and task together and in the
    /// order in which they supersede each other.
    async fn due_labels(
        &self,
        model: &str,
        reference_id: &str,
        until: Slot,
        limit: i64,
    ) -> Result<Vec<PendingRow>, StoreError>;

    /// Predictions of these keys that were heard in the windows until this one.
    async fn kept(&self, keys: &[i64], until: Slot) -> Result<Vec<KeptRow>, StoreError>;

    /// Predictions of these keys that were joined before.
    async fn joined(&self, keys: &[i64]) -> Result<Vec<JoinRow>, StoreError>;

    /// Tallies of the windows that begin at these times, by task.
    async fn tallies(
        &self,
        model: &str,
        reference_id: &str,
        starts: &[Timestamp],
    ) -> Result<Vec<(TaskWindow, Vec<u8>)>, StoreError>;

    /// Tallies of a task's latest windows with labels until the one that begins at this time, newest first.
    async fn recent_tallies(
        &self,
        model: &str,
        reference_id: &str,
        task: &str,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Vec<u8>>, StoreError>;
}

#[async_trait]
impl LabelStore for SqlStore {
    async fn first_due(&self, model: &str, reference_id: &str) -> Result<Option<Slot>, StoreError> {
        let row = sqlx::query(
            "-- first_due
            select min(due_slot) as slot from label_pending where model = $1 and reference_id = $2",
        )
        .bind(model)
        .bind(reference_id)
        .fetch_one(&self.pool)
        .await?;
        Ok(row.maybe_int("slot")?)
    }

    async fn due_labels(
        &self,
        model: &str,
        reference_id: &str,
        until: Slot,
        limit: i64,
    ) -> Result<Vec<PendingRow>, StoreError> {
        let rows = sqlx::query(
            "-- due_labels
            select label_id, heard_slot, prediction_key, task, revision, at_us, retracted, value from label_pending
            where model = $1 and reference_id = $2 and due_slot <= $3
            order by prediction_key, task, revision, at_us, retracted, value, label_id limit $4",
        )
        .bind(model)
        .bind(reference_id)
        .bind(until)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let row = |row: &AnyRow| -> Result<_, sqlx::Error> {
            let label = LabelRow {
                model: model.to_owned(),
                reference_id: reference_id.to_owned(),
                key: row.int("prediction_key")?,
                task: row.int("task")?,
                revision: row.int("revision")?,
                at: row.time("at_us")?,
                retracted: row.int("retracted")? == 1,
                heard: row.int("heard_slot")?,
                value: row.bytes("value")?,
            };
            Ok(PendingRow { label_id: row.text("label_id")?, label })
        };
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    async fn kept(&self, keys: &[i64], until: Slot) -> Result<Vec<KeptRow>, StoreError> {
        let mut found = Vec::new();
        for keys in chunks(keys) {
            let statement = format!(
                "-- kept
                select prediction_key, predicted_us, heard_slot, answers from kept_prediction
                where heard_slot <= $1 and prediction_key in ({}) order by prediction_key, predicted_us",
                list(1, keys.len())
            );
            let query = keys.iter().fold(sqlx::query(AssertSqlSafe(statement)).bind(until), |q, key| q.bind(*key));
            for row in query.fetch_all(&self.pool).await? {
                found.push(KeptRow {
                    key: row.int("prediction_key")?,
                    predicted: row.time("predicted_us")?,
                    heard: row.int("heard_slot")?,
                    answers: row.bytes("answers")?,
                });
            }
        }
        Ok(found)
    }

    async fn joined(&self, keys: &[i64]) -> Result<Vec<JoinRow>, StoreError> {
        let mut found = Vec::new();
        for keys in chunks(keys) {
            let statement = format!(
                "-- joined
                select prediction_key, predicted_us, task, body from label_join
                where prediction_key in ({}) order by prediction_key, task, predicted_us",
                list(0, keys.len())
            );
            let query = keys.iter().fold(sqlx::query(AssertSqlSafe(statement)), |q, key| q.bind(*key));
            for row in query.fetch_all(&self.pool).await? {
                found.push(JoinRow {
                    key: row.int("prediction_key")?,
                    task: row.int("task")?,
                    predicted: row.time("predicted_us")?,
                    body: row.bytes("body")?,
                });
            }
        }
        Ok(found)
    }

    async fn tallies(
        &self,
        model: &str,
        reference_id: &str,
        starts: &[Timestamp],
    ) -> Result<Vec<(TaskWindow, Vec<u8>)>, StoreError> {
        let mut found = Vec::new();
        for starts in chunks(starts) {
            let statement = format!(
                "-- tallies
                select task, start_us, end_us, tally from window_performance
                where model = $1 and reference_id = $2 and tally is not null and start_us in ({}) order by task, start_us",
                list(2, starts.len())
            );
            let query = sqlx::query(AssertSqlSafe(statement)).bind(model).bind(reference_id);
            let query = starts.iter().fold(query, |q, start| q.bind(start.micros()));
            for row in query.fetch_all(&self.pool).await? {
                let of = TaskWindow { task: row.text("task")?, start: row.time("start_us")?, end: row.time("end_us")? };
                found.push((of, row.bytes("tally")?));
            }
        }
        Ok(found)
    }

    async fn recent_tallies(
        &self,
        model: &str,
        reference_id: &str,
        task: &str,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let rows = sqlx::query(
            "-- recent_tallies
            select tally from window_performance
            where model = $1 and task = $2 and start_us <= $3 and reference_id = $4 and labelled > 0
            order by start_us desc limit $5",
        )
        .bind(model)
        .bind(task)
        .bind(until.micros())
        .bind(reference_id)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(|row| row.bytes("tally")).collect::<Result<_, _>>()?)
    }
}

impl SqlStore {
    /// Makes the tables of all days that a flush or a judgement writes predictions of.
    pub(super) async fn make_days_of(&self, labelled: &Labelled, now: Timestamp) -> Result<(), StoreError> {
        self.make_label_days(days_of(labelled.predictions.iter().map(|p| p.predicted)), now).await
    }
}

/// Predictions and labels of a flush.
pub(super) async fn write_labelled(
    transaction: &mut Tx,
    flush_id: &str,
    labelled: &Labelled,
    now: Timestamp,
) -> Result<(), StoreError> {
    for rows in chunks(&labelled.predictions) {
        let statement = format!(
            "-- write_labelled (predictions)
            insert into kept_prediction (prediction_key, predicted_us, heard_slot, answers) values {}
            on conflict (prediction_key, predicted_us) do update set heard_slot = excluded.heard_slot
            where kept_prediction.heard_slot > excluded.heard_slot",
            placeholders(rows.len(), 4)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for row in rows {
            query = query.bind(row.key).bind(row.predicted.micros()).bind(row.heard).bind(&row.answers);
        }
        query.execute(&mut **transaction).await?;
    }
    let numbered: Vec<(usize, &LabelRow)> = labelled.labels.iter().enumerate().collect();
    for rows in chunks(&numbered) {
        let statement = format!(
            "-- write_labelled (labels)
            insert into label_pending (label_id, model, reference_id, due_slot, heard_slot, prediction_key, task, revision,
                at_us, retracted, value, received_us) values {}",
            placeholders(rows.len(), 12)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for (i, row) in rows {
            query = query
                .bind(format!("{flush_id}-{i}"))
                .bind(&row.model)
                .bind(&row.reference_id)
                .bind(row.heard)
                .bind(row.heard)
                .bind(row.key)
                .bind(row.task)
                .bind(row.revision)
                .bind(row.at.micros())
                .bind(i64::from(row.retracted))
                .bind(&row.value)
                .bind(now.micros());
        }
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

/// What labels change with a judgement; false if one of them is settled already.
pub(super) async fn write_changes(transaction: &mut Tx, judged: &Judged) -> Result<bool, StoreError> {
    let LabelChanges { settled, postponed, joined, realised, estimates, tasks } = &judged.labels;
    for ids in chunks(settled) {
        let statement =
            format!("-- write_changes (settled)\ndelete from label_pending where label_id in ({})", list(0, ids.len()));
        let query = ids.iter().fold(sqlx::query(AssertSqlSafe(statement)), sqlx::query::Query::bind);
        if query.execute(&mut **transaction).await?.rows_affected() != ids.len() as u64 {
            return Ok(false);
        }
    }
    for (label_id, due) in postponed {
        let done =
            sqlx::query("-- write_changes (postponed)\nupdate label_pending set due_slot = $2 where label_id = $1")
                .bind(label_id)
                .bind(*due)
                .execute(&mut **transaction)
                .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
    }
    for rows in chunks(joined) {
        let statement = format!(
            "-- write_changes (joined)
            insert into label_join (prediction_key, predicted_us, task, body) values {}
            on conflict (prediction_key, task, predicted_us) do update set body = excluded.body",
            placeholders(rows.len(), 4)
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for row in rows {
            query = query.bind(row.key).bind(row.predicted.micros()).bind(row.task).bind(&row.body);
        }
        query.execute(&mut **transaction).await?;
    }
    for row in estimates {
        write_estimate(transaction, judged, row).await?;
    }
    for row in realised {
        write_realised(transaction, judged, row).await?;
    }
    for row in tasks {
        write_task(transaction, judged, row).await?;
    }
    Ok(true)
}

async fn write_estimate(transaction: &mut Tx, judged: &Judged, row: &EstimateRow) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_estimate
        insert into window_performance (model, task, start_us, reference_id, end_us, answered, estimate, estimate_low,
            estimate_high, estimate_macro_f1, cells, updated_us)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        on conflict (model, task, start_us, reference_id) do update set answered = excluded.answered,
            estimate = excluded.estimate, estimate_low = excluded.estimate_low, estimate_high = excluded.estimate_high,
            estimate_macro_f1 = excluded.estimate_macro_f1, cells = excluded.cells, updated_us = excluded.updated_us",
    )
    .bind(&judged.model)
    .bind(&row.of.task)
    .bind(row.of.start.micros())
    .bind(&judged.reference_id)
    .bind(row.of.end.micros())
    .bind(row.answered)
    .bind(Number(row.estimate))
    .bind(Number(row.interval.map(|(low, _)| low)))
    .bind(Number(row.interval.map(|(_, high)| high)))
    .bind(Number(row.macro_f1))
    .bind(&row.cells)
    .bind(judged.now.micros())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn write_realised(transaction: &mut Tx, judged: &Judged, row: &RealisedRow) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_realised
        insert into window_performance (model, task, start_us, reference_id, end_us, labelled, realised, realised_low,
            realised_high, realised_macro_f1, estimate_of_labelled, delay_us, tally, updated_us)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        on conflict (model, task, start_us, reference_id) do update set labelled = excluded.labelled,
            realised = excluded.realised, realised_low = excluded.realised_low, realised_high = excluded.realised_high,
            realised_macro_f1 = excluded.realised_macro_f1, estimate_of_labelled = excluded.estimate_of_labelled,
            delay_us = excluded.delay_us, tally = excluded.tally, updated_us = excluded.updated_us",
    )
    .bind(&judged.model)
    .bind(&row.of.task)
    .bind(row.of.start.micros())
    .bind(&judged.reference_id)
    .bind(row.of.end.micros())
    .bind(row.labelled)
    .bind(Number(row.realised))
    .bind(Number(row.interval.map(|(low, _)| low)))
    .bind(Number(row.interval.map(|(_, high)| high)))
    .bind(Number(row.macro_f1))
    .bind(Number(row.expected))
    .bind(row.delay_us)
    .bind(&row.tally)
    .bind(judged.now.micros())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn write_task(transaction: &mut Tx, judged: &Judged, row: &TaskRow) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_task
        insert into task_performance (model, task, reference_id, kind, reference_labelled, reference_loss, tolerated_loss,
            sample, labels, ln_evidence, ln_threshold, muted, notices, updated_us)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        on conflict (model, task, reference_id) do update set kind = excluded.kind,
            reference_labelled = excluded.reference_labelled, reference_loss = excluded.reference_loss,
            tolerated_loss = excluded.tolerated_loss, sample = excluded.sample,
            labels = task_performance.labels + excluded.labels, ln_evidence = excluded.ln_evidence,
            ln_threshold = excluded.ln_threshold, muted = excluded.muted, notices = excluded.notices,
            updated_us = excluded.updated_us",
    )
    .bind(&judged.model)
    .bind(&row.task)
    .bind(&judged.reference_id)
    .bind(&row.kind)
    .bind(row.reference_labelled)
    .bind(row.reference_loss)
    .bind(row.tolerated_loss)
    .bind(row.sample)
    .bind(row.labels)
    .bind(Number(row.ln_evidence))
    .bind(row.ln_threshold)
    .bind(i64::from(row.muted))
    .bind(&row.notices)
    .bind(judged.now.micros())
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
