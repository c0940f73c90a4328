//! A window's or a roll-up's tallies with the reference that says what they count.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::StatusCode;
use serde::Deserialize;

use super::ApiState;
use super::caching::is_final;
use super::models::find;
use super::problem::Problem;
use crate::drift::reference::Reference;
use crate::drift::rollup::Grain;
use crate::drift::summary::Summary;
use crate::drift::time::Timestamp;
use crate::store::Page;

/// References kept decoded: a page looks at one model at a time, and each takes a few megabytes.
const MOST_DECODED: usize = 8;

/// Which window or roll-up.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct When {
    /// RFC 3339 start of it; the latest window by default.
    #[param(value_type = Option<String>, format = DateTime)]
    start: Option<String>,
    /// `hour` or `day` for a roll-up; a window by default.
    grain: Option<Grain>,
}

/// Tallies with what they count.
pub struct Tallied {
    /// What the cells mean.
    pub reference: Arc<Reference>,
    /// Start.
    pub start: Timestamp,
    /// End, exclusive.
    pub end: Timestamp,
    /// The tallies.
    pub summary: Summary,
    /// Whether they cannot change any more.
    pub is_final: bool,
}

/// References that were decoded last.
#[derive(Clone, Default)]
pub struct References(Arc<Mutex<VecDeque<Decoded>>>);

/// A reference with the id that it was asked for by.
type Decoded = (String, Arc<Reference>);

impl References {
    /// The reference of this id. References never change, so one that was read once is not read again.
    pub(super) async fn get(&self, state: &ApiState, id: &str) -> Result<Arc<Reference>, Problem> {
        let kept = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept().iter().find(|(known, _)| known == id) {
            return Ok(found.1.clone());
        }
        let row = state.store.reference(id).await?.ok_or_else(|| Problem::missing("reference", id))?;
        let reference = Reference::decode(&row.body).map_err(|error| unreadable(&error))?;
        let reference = Arc::new(reference);
        let mut kept = kept();
        kept.truncate(MOST_DECODED - 1);
        kept.push_front((id.to_owned(), reference.clone()));
        Ok(reference)
    }
}

/// Reads the tallies of a model's window or roll-up.
///
/// # Errors
/// A 404 where there are none: no such time, or retention has removed them.
pub async fn tallied(state: &ApiState, name: &str, when: &When) -> Result<Tallied, Problem> {
    let start = when
        .start
        .as_deref()
        .map(|text| Timestamp::parse(text).ok_or_else(|| Problem::wrong("start", "is not an RFC 3339 time")));
    let start = start.transpose()?;
    find(state, name).await?;
    let latest = Page { limit: 1, before_us: i64::MAX };
    let store = &state.store;
    let found = match (when.grain, start) {
        (None, Some(start)) => store.window(name, start).await?.map(parts_of_window),
        (None, None) => match store.windows(name, latest).await?.pop() {
            Some(latest) => store.window(name, latest.start).await?.map(parts_of_window),
            None => None,
        },
        (Some(grain), Some(start)) => store.rollup(name, grain, start).await?.map(parts_of_rollup),
        (Some(grain), None) => store.rollups(name, grain, latest).await?.pop().map(parts_of_rollup),
    };
    let nothing = || Problem::missing("window or roll-up that starts at", when.start.as_deref().unwrap_or("any time"));
    let (reference_id, start, end, bytes) = found.ok_or_else(nothing)?;
    let reference = state.references.get(state, &reference_id).await?;
    let summary = Summary::decode(&bytes).map_err(|error| unreadable(&error))?;
    if summary.cells.len() != reference.width() {
        return Err(unreadable(&"tallies of another layout than their reference's"));
    }
    Ok(Tallied { reference, start, end, summary, is_final: when.start.is_some() && is_final(state, name, end).await? })
}

fn parts_of_window(row: crate::store::ReportRow) -> (String, Timestamp, Timestamp, Vec<u8>) {
    (row.reference_id, row.start, row.end, row.summary)
}

fn parts_of_rollup(row: crate::store::RollupRow) -> (String, Timestamp, Timestamp, Vec<u8>) {
    (row.reference_id, row.start, row.end, row.summary)
}

fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%error, "stored tallies or their reference cannot be read");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the store holds something unexpected; see the log")
}
