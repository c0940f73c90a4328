//! What the API says of what people do about alerts.

use serde::Serialize;

use super::views::DeliveryView;
use crate::drift::time::Timestamp;
use crate::store::{AcknowledgementRow, AttemptRow, DeliveryRow, SilenceRow};

/// Who has taken an alert on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AcknowledgementView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What they said.
    pub comment: String,
}

/// A silence: what is null may be anything.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SilenceView {
    /// Id.
    pub silence_id: String,
    /// The alert's model.
    pub model: Option<String>,
    /// Its task.
    pub task: Option<String>,
    /// Its cause's kind.
    pub cause: Option<String>,
    /// Its segment.
    pub segment: Option<String>,
    /// Its severity.
    pub severity: Option<String>,
    /// Why.
    pub comment: String,
    /// Who said so.
    pub created_by: String,
    /// From when on.
    #[schema(value_type = String, format = DateTime)]
    pub starts_at: Timestamp,
    /// Until when, exclusive.
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
}

/// A message with its attempts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeliveryDetail {
    /// What the list shows of it.
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// Its attempts, in order.
    pub history: Vec<AttemptView>,
}

/// An attempt to deliver.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AttemptView {
    /// Its number, from 1.
    pub attempt: i64,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// HTTP status; null where none came.
    pub status: Option<i64>,
    /// How long it took, in seconds.
    pub took_secs: f64,
    /// `delivered`, or why not.
    pub outcome: String,
    /// What was wrong in words, or the beginning of what the receiver said.
    pub detail: Option<String>,
}

impl From<AcknowledgementRow> for AcknowledgementView {
    fn from(row: AcknowledgementRow) -> AcknowledgementView {
        AcknowledgementView { at: row.at, by: row.by, comment: row.comment }
    }
}

impl From<SilenceRow> for SilenceView {
    fn from(row: SilenceRow) -> SilenceView {
        SilenceView {
            silence_id: row.silence_id,
            model: row.model,
            task: row.task,
            cause: row.cause,
            segment: row.segment,
            severity: row.severity,
            comment: row.comment,
            created_by: row.created_by,
            starts_at: row.starts,
            ends_at: row.ends,
        }
    }
}

impl DeliveryDetail {
    /// From a delivery and its attempts.
    pub fn new(row: DeliveryRow, attempts: Vec<AttemptRow>) -> DeliveryDetail {
        let attempt = |a: AttemptRow| AttemptView {
            attempt: a.attempt,
            at: a.at,
            status: a.status,
            took_secs: a.took.micros() as f64 / 1e6,
            outcome: a.outcome,
            detail: a.detail,
        };
        DeliveryDetail { delivery: row.into(), history: attempts.into_iter().map(attempt).collect() }
    }
}
