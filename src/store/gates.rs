//! Statements about what the gate said.

use sqlx::any::AnyRow;

use super::sql::{Columns, SqlStore};
use super::{GateRow, StoreError};

/// A version of a model that a retraining run has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateRow {
    /// The version.
    pub version: String,
    /// Tasks that it was trained for.
    pub tasks: Vec<String>,
}

impl SqlStore {
    /// The candidate that a run brought last and that was not refused.
    pub(super) async fn brought_last(&self, model: &str) -> Result<Option<CandidateRow>, StoreError> {
        let row = sqlx::query(
            "-- latest_candidate
            select new_model_version, tasks from (
                select r.new_model_version, r.tasks, r.state, r.created_us, r.request_id, coalesce((
                    select g.verdict from retraining_gate g where g.request_id = r.request_id
                    order by g.gate desc limit 1), '') as said
                from retraining_request r where r.model = $1 and r.new_model_version is not null) as brought
            where (said in ('pass', 'undecided') and state in ('accepted', 'running', 'succeeded'))
                or (said = '' and state = 'succeeded')
            order by created_us desc, request_id limit 1",
        )
        .bind(model)
        .fetch_optional(&self.pool)
        .await?;
        let candidate = |row: AnyRow| -> Result<_, StoreError> {
            let tasks = serde_json::from_str(&row.text("tasks")?);
            let tasks = tasks.map_err(|error| StoreError::Corrupt(format!("tasks of a request: {error}")))?;
            Ok(CandidateRow { version: row.text("new_model_version")?, tasks })
        };
        row.map(candidate).transpose()
    }

    /// What the gate said of a request's candidates, oldest first.
    pub(super) async fn gates(&self, request_id: &str) -> Result<Vec<GateRow>, StoreError> {
        let rows = sqlx::query("-- gates\nselect * from retraining_gate where request_id = $1 order by gate")
            .bind(request_id)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.iter().map(gate_row).collect::<Result<_, _>>()?)
    }

    /// Records a verdict, up to `most` for each request; false, and nothing is written, if there are as many, or
    /// the request has ended meanwhile.
    pub(super) async fn write_gate(&self, gate: &GateRow, most: i64) -> Result<bool, StoreError> {
        let written = sqlx::query(
            "-- add_gate
            insert into retraining_gate (request_id, gate, at_us, verdict, labels_needed, pairs, pairs_sha256, report)
            select request_id, (select count(*) from retraining_gate where request_id = $1) + 1,
                cast($2 as bigint), cast($3 as text), cast($4 as bigint), cast($5 as bigint), cast($6 as text),
                cast($7 as text)
            from retraining_request
            where request_id = $1 and state in ('requested', 'accepted', 'running')
                and (select count(*) from retraining_gate where request_id = $1) < $8
            on conflict do nothing",
        )
        .bind(&gate.request_id)
        .bind(gate.at.micros())
        .bind(&gate.verdict)
        .bind(gate.labels_needed)
        .bind(gate.pairs)
        .bind(&gate.pairs_sha256)
        .bind(&gate.report)
        .bind(most)
        .execute(&self.pool)
        .await?;
        Ok(written.rows_affected() == 1)
    }
}

fn gate_row(row: &AnyRow) -> Result<GateRow, sqlx::Error> {
    Ok(GateRow {
        request_id: row.text("request_id")?,
        at: row.time("at_us")?,
        verdict: row.text("verdict")?,
        labels_needed: row.maybe_int("labels_needed")?,
        pairs: row.int("pairs")?,
        pairs_sha256: row.text("pairs_sha256")?,
        report: row.text("report")?,
    })
}
