//! Statements of the judge loop.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use super::fleet::count;
use super::label_days::days_of;
use super::labels::write_changes;
use super::references::keep;
use super::sql::{Columns, Number, SqlStore};
use super::{
    AlertRow, GapRow, JudgeStore, Judged, ModelRow, NewDelivery, OpenAlert, ReferenceRow, ReportRow, StatisticRow,
    StoreError, StoredCourse, StoredPartial, TransitionRow,
};
use crate::drift::closing::Reached;
use crate::drift::time::{Span, Timestamp};
use crate::drift::window::Slot;
use crate::fault;

type Tx = Transaction<'static, Any>;

/// A lease that ends so much later than one of ours was taken by a clock that is ahead: whoever took it may be gone.
const AHEAD: Span = Span::from_secs(300);

#[async_trait]
impl JudgeStore for SqlStore {
    async fn lease(&self, name: &str, holder: &str, now: Timestamp, ttl: Duration) -> Result<bool, StoreError> {
        let until = now.plus(Span::from_micros(i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX)));
        let done = sqlx::query(
            "-- lease
            insert into lease (name, holder, until_us) values ($1, $2, $3)
            on conflict (name) do update set holder = excluded.holder, until_us = excluded.until_us
            where lease.holder = excluded.holder or lease.until_us < $4 or lease.until_us > $5",
        )
        .bind(name)
        .bind(holder)
        .bind(until.micros())
        .bind(now.micros())
        .bind(until.plus(AHEAD).micros())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn register(&self, model: &ModelRow, reference: &ReferenceRow, now: Timestamp) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "-- register (model)
            insert into model (name, version, reference_id, budget, threshold, window_us, embedding_dimension, tasks, inference,
                updated_us, examples)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            on conflict (name) do update set version = excluded.version, reference_id = excluded.reference_id,
                budget = excluded.budget, threshold = excluded.threshold, window_us = excluded.window_us,
                embedding_dimension = excluded.embedding_dimension, tasks = excluded.tasks,
                inference = coalesce(excluded.inference, model.inference), updated_us = excluded.updated_us,
                examples = excluded.examples",
        )
        .bind(&model.name)
        .bind(&model.version)
        .bind(&model.reference_id)
        .bind(&model.budget)
        .bind(model.threshold)
        .bind(model.window_us)
        .bind(model.embedding_dimension)
        .bind(&model.tasks)
        .bind(model.inference.clone())
        .bind(now.micros())
        .bind(model.examples)
        .execute(&mut *transaction)
        .await?;
        keep(&mut *transaction, reference).await?;
        Ok(transaction.commit().await?)
    }

    async fn reached(&self) -> Result<Vec<Reached>, StoreError> {
        self.all_reached().await
    }

    async fn gaps(&self) -> Result<Vec<GapRow>, StoreError> {
        self.all_gaps(false).await
    }

    async fn unannounced_gaps(&self) -> Result<Vec<GapRow>, StoreError> {
        self.all_gaps(true).await
    }

    async fn announce(&self, gap: &GapRow, deliveries: &[NewDelivery], now: Timestamp) -> Result<(), StoreError> {
        self.announce_gap(gap, deliveries, now).await
    }

    async fn course(&self, model: &str) -> Result<Option<StoredCourse>, StoreError> {
        let row = sqlx::query("-- course\nselect version, body from course where model = $1")
            .bind(model)
            .fetch_optional(&self.pool)
            .await?;
        let stored = row.map(|row| -> Result<_, sqlx::Error> {
            Ok(StoredCourse { version: row.int("version")?, body: row.bytes("body")? })
        });
        Ok(stored.transpose()?)
    }

    async fn partials(
        &self,
        model: &str,
        reference_id: &str,
        below: Slot,
        limit: i64,
    ) -> Result<Vec<StoredPartial>, StoreError> {
        let rows = sqlx::query(
            "-- partials
            select partial_id, slot, late, trace, body from window_partial
            where model = $1 and reference_id = $2 and slot < $3 and slot <= (
                select max(slot) from (
                    select distinct slot from window_partial
                    where model = $1 and reference_id = $2 and slot < $3 order by slot limit $4) as first_slots)
            order by slot, partial_id",
        )
        .bind(model)
        .bind(reference_id)
        .bind(below)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let row = |row: &AnyRow| -> Result<_, sqlx::Error> {
            Ok(StoredPartial {
                partial_id: row.text("partial_id")?,
                slot: row.int("slot")?,
                late: row.int("late")? == 1,
                trace: row.maybe_text("trace")?,
                body: row.bytes("body")?,
            })
        };
        Ok(rows.iter().map(row).collect::<Result<_, _>>()?)
    }

    async fn open_alerts(&self, model: &str) -> Result<Vec<OpenAlert>, StoreError> {
        self.all_open(model).await
    }

    async fn report(&self, model: &str, reference_id: &str, start: Timestamp) -> Result<Option<ReportRow>, StoreError> {
        let row =
            sqlx::query("-- report\nselect * from report where model = $1 and reference_id = $2 and start_us = $3")
                .bind(model)
                .bind(reference_id)
                .bind(start.micros())
                .fetch_optional(&self.pool)
                .await?;
        Ok(row.as_ref().map(report_row).transpose()?)
    }

    async fn commit_judged(&self, judged: &Judged) -> Result<bool, StoreError> {
        if let Some(report) = &judged.report {
            self.make_day(report.start).await?;
        }
        self.make_label_days(days_of(judged.labels.joined.iter().map(|j| j.predicted)), judged.now).await?;
        let mut transaction = self.begin().await?;
        if !move_course(&mut transaction, judged).await?
            || !consume(&mut transaction, judged).await?
            || !write_changes(&mut transaction, judged).await?
            || !super::shadows::write_judged(&mut transaction, judged).await?
        {
            transaction.rollback().await?;
            return Ok(false);
        }
        if let Some(report) = &judged.report {
            count(&mut transaction, report).await?;
            write_report(&mut transaction, report, judged.now).await?;
            for statistic in &judged.statistics {
                write_statistic(&mut transaction, report, statistic).await?;
            }
        }
        for (alert, transition) in &judged.alerts {
            write_alert(&mut transaction, alert, judged.now).await?;
            write_transition(&mut transaction, transition).await?;
        }
        super::examples::write_examples(&mut transaction, judged).await?;
        // An endpoint gets them in the order in which they are written: whoever hears of an alert and of the request
        // that it led to hears of the alert first. A microsecond apart, so that pages of them can end between two.
        let mut at = judged.now;
        for delivery in &judged.deliveries {
            write_delivery(&mut transaction, delivery, at).await?;
            at = at.plus(Span::from_micros(1));
        }
        super::covering::write_requests(&mut transaction, judged, at).await?;
        fault::point("in_judgement");
        transaction.commit().await?;
        Ok(true)
    }
}

/// A report from its row.
pub(super) fn report_row(row: &AnyRow) -> Result<ReportRow, sqlx::Error> {
    Ok(ReportRow { summary: row.bytes("summary")?, ..report_head(row)? })
}

/// A report without its tallies.
pub(super) fn report_head(row: &AnyRow) -> Result<ReportRow, sqlx::Error> {
    Ok(ReportRow {
        model: row.text("model")?,
        reference_id: row.text("reference_id")?,
        slot: row.int("slot")?,
        start: row.time("start_us")?,
        end: row.time("end_us")?,
        records: row.int("records")?,
        revision: row.int("revision")?,
        late_records: row.int("late_records")?,
        incomplete: row.int("incomplete")? == 1,
        verdict: row.text("verdict")?,
        ln_evidence: row.maybe_float("ln_evidence")?,
        ln_threshold: row.float("ln_threshold")?,
        guarantee: row.text("guarantee")?,
        parts: row.text("parts")?,
        summary: Vec::new(),
    })
}

async fn move_course(transaction: &mut Tx, judged: &Judged) -> Result<bool, StoreError> {
    let statement = if judged.expected_version == 0 {
        "-- move_course (new)
        insert into course (model, reference_id, next_slot, body, version) values ($1, $2, $3, $4, $5 + 1)
        on conflict (model) do nothing"
    } else {
        "-- move_course
        update course set reference_id = $2, next_slot = $3, body = $4, version = version + 1
        where model = $1 and version = $5"
    };
    let done = sqlx::query(statement)
        .bind(&judged.model)
        .bind(&judged.reference_id)
        .bind(judged.next_slot)
        .bind(&judged.course)
        .bind(judged.expected_version)
        .execute(&mut **transaction)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes the partials that were merged; false if one is gone already.
async fn consume(transaction: &mut Tx, judged: &Judged) -> Result<bool, StoreError> {
    for partial_id in &judged.consumed {
        let done = sqlx::query("-- consume\ndelete from window_partial where partial_id = $1")
            .bind(partial_id)
            .execute(&mut **transaction)
            .await?;
        if done.rows_affected() != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn write_report(transaction: &mut Tx, report: &ReportRow, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_report
        insert into report (model, reference_id, slot, start_us, end_us, records, revision, verdict, ln_evidence,
            ln_threshold, guarantee, parts, summary, judged_us, late_records, incomplete)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        on conflict (model, start_us, reference_id) do update set records = excluded.records,
            revision = excluded.revision, summary = excluded.summary, judged_us = excluded.judged_us,
            late_records = excluded.late_records, incomplete = excluded.incomplete, rolled = 0",
    )
    .bind(&report.model)
    .bind(&report.reference_id)
    .bind(report.slot)
    .bind(report.start.micros())
    .bind(report.end.micros())
    .bind(report.records)
    .bind(report.revision)
    .bind(&report.verdict)
    .bind(Number(report.ln_evidence))
    .bind(report.ln_threshold)
    .bind(&report.guarantee)
    .bind(&report.parts)
    .bind(&report.summary)
    .bind(now.micros())
    .bind(report.late_records)
    .bind(i64::from(report.incomplete))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn write_statistic(transaction: &mut Tx, report: &ReportRow, row: &StatisticRow) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_statistic
        insert into statistic (model, reference_id, start_us, end_us, scope, task, segment, signal, n, statistic,
            degrees_of_freedom, ln_p, ln_e, ln_evidence, effect, movers, guarantee)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
        on conflict (model, scope, task, segment, signal, start_us, reference_id) do update set n = excluded.n,
            statistic = excluded.statistic, degrees_of_freedom = excluded.degrees_of_freedom, ln_p = excluded.ln_p,
            effect = excluded.effect, movers = excluded.movers, guarantee = excluded.guarantee",
    )
    .bind(&report.model)
    .bind(&report.reference_id)
    .bind(report.start.micros())
    .bind(report.end.micros())
    .bind(&row.scope)
    .bind(&row.task)
    .bind(&row.segment)
    .bind(&row.signal)
    .bind(row.n)
    .bind(Number(row.statistic))
    .bind(Number(row.degrees_of_freedom))
    .bind(Number(row.ln_p))
    .bind(Number(row.ln_e))
    .bind(Number(row.ln_evidence))
    .bind(&row.effect)
    .bind(&row.movers)
    .bind(&row.guarantee)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn write_alert(transaction: &mut Tx, alert: &AlertRow, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_alert
        insert into alert (alert_id, model, reference_id, state, cause, cause_task, cause_segment, tasks_affected,
            summary, opened_us, opened_window_us, resolved_us, ln_evidence, ln_threshold, guarantee, evidence, updated_us,
            cause_part, versions)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
        on conflict (alert_id) do update set state = excluded.state, cause = excluded.cause,
            cause_task = excluded.cause_task, cause_segment = excluded.cause_segment, tasks_affected = excluded.tasks_affected, summary = excluded.summary,
            cause_part = excluded.cause_part, versions = excluded.versions,
            resolved_us = excluded.resolved_us, ln_evidence = excluded.ln_evidence, evidence = excluded.evidence,
            updated_us = excluded.updated_us",
    )
    .bind(&alert.alert_id)
    .bind(&alert.model)
    .bind(&alert.reference_id)
    .bind(&alert.state)
    .bind(&alert.cause)
    .bind(alert.cause_task.clone())
    .bind(alert.cause_segment.clone())
    .bind(&alert.tasks_affected)
    .bind(&alert.summary)
    .bind(alert.opened.micros())
    .bind(alert.opened_window.micros())
    .bind(alert.resolved.map(Timestamp::micros))
    .bind(Number(alert.ln_evidence))
    .bind(alert.ln_threshold)
    .bind(&alert.guarantee)
    .bind(&alert.evidence)
    .bind(now.micros())
    .bind(alert.cause_part.clone())
    .bind(&alert.versions)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

async fn write_transition(transaction: &mut Tx, transition: &TransitionRow) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_transition
        insert into alert_transition (transition_id, alert_id, at_us, from_state, to_state, reason)
        values ($1, $2, $3, $4, $5, $6) on conflict (transition_id) do nothing",
    )
    .bind(&transition.transition_id)
    .bind(&transition.alert_id)
    .bind(transition.at.micros())
    .bind(&transition.from)
    .bind(&transition.to)
    .bind(&transition.reason)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

pub(super) async fn write_delivery(
    transaction: &mut Tx,
    delivery: &NewDelivery,
    now: Timestamp,
) -> Result<(), StoreError> {
    let thread = &delivery.thread;
    sqlx::query(
        "-- write_delivery
        insert into delivery (delivery_id, endpoint, event, model, body, state, attempts, created_us, next_attempt_us,
            lease_until_us, alert_id, group_key, held, repeat_us)
        select $1, $2, $3, $4, $5, 'pending', 0, $6, $7, 0, $8, $9, $10, $11
        where $12 = 0 or exists (select 1 from delivery where alert_id = $8 and endpoint = $2)
        on conflict (delivery_id) do nothing",
    )
    .bind(&delivery.delivery_id)
    .bind(&delivery.endpoint)
    .bind(&delivery.event)
    .bind(&delivery.model)
    .bind(&delivery.body)
    .bind(now.micros())
    .bind(now.plus(thread.wait).micros())
    .bind(thread.alert_id.clone())
    .bind(&thread.group_key)
    .bind(i64::from(thread.wait.micros() > 0))
    .bind(thread.repeat.map(Span::micros))
    .bind(i64::from(thread.follows))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}
