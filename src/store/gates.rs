//! Statements about what the gate said.

use sqlx::any::AnyRow;

use super::sql::{Columns, SqlStore};
use super::{GateRow, StoreError};

impl SqlStore {
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
