//! Rows of labels as Debezium tells of them: the envelope `before`, `after`, `op`, alone or under `payload`
//! with its schema beside it. A deleted row retracts its label. (Flattened rows are native labels.)

use serde::Deserialize;
use serde_json::value::RawValue;

use super::native_json::since_epoch;
use crate::drift::record::{RejectReason, Rejected};
use crate::drift::time::Timestamp;

/// A row that was written or deleted.
pub(super) struct Change<'a> {
    /// The row as JSON.
    pub(super) row: &'a str,
    /// Whether it is gone.
    pub(super) deleted: bool,
    /// When, by the database's clock.
    pub(super) at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    payload: &'a RawValue,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    op: String,
    #[serde(borrow)]
    before: Option<&'a RawValue>,
    #[serde(borrow)]
    after: Option<&'a RawValue>,
    source: Option<Origin>,
    ts_ms: Option<i64>,
}

#[derive(Deserialize)]
struct Origin {
    ts_us: Option<i64>,
    ts_ms: Option<i64>,
}

/// The change that an envelope tells of; `None` if this is no envelope.
///
/// # Errors
/// [`Rejected`] for an envelope that tells of no row.
pub(super) fn unwrap(text: &str) -> Result<Option<Change<'_>>, Rejected> {
    let envelope = match serde_json::from_str::<Wrapped>(text) {
        Ok(wrapped) if wrapped.payload.get() == "null" => {
            return Err(Rejected::new(RejectReason::Empty, "the envelope has no payload"));
        }
        Ok(wrapped) => serde_json::from_str::<Envelope>(wrapped.payload.get()),
        Err(_) => serde_json::from_str::<Envelope>(text),
    };
    let Ok(envelope) = envelope else { return Ok(None) };
    // A row that is written and changed in one moment of the database's clock is changed after it is written.
    let (row, deleted, later) = match envelope.op.as_str() {
        "c" | "r" => (envelope.after, false, 0),
        "u" => (envelope.after, false, 1),
        "d" => (envelope.before, true, 2),
        _ => (None, false, 0),
    };
    let row = row.ok_or_else(|| {
        let detail = "a change without a row: deletions need the table's full `before` (replica identity full)";
        Rejected::new(RejectReason::InvalidShape, detail)
    })?;
    let time = envelope.source.and_then(|s| s.ts_us.or(s.ts_ms)).or(envelope.ts_ms);
    let at = time.map(|time| Timestamp::from_micros(since_epoch(time).micros().saturating_add(later)));
    Ok(Some(Change { row: row.get(), deleted, at }))
}
