//! The port through which training is started.
//!
//! Contract: however often `start` is called for one request, the target has one run of it at most.
//! Where the target takes a name or an idempotency key, both follow from the request's id, and "it is
//! there already" counts as done; where it takes neither, its runs are listed before another is made.
//! An exchange ends within its deadline; what is said of a failure holds no secret.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::http::{Answer, Failure};
use crate::drift::time::Timestamp;

/// What is to be started.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The request's id.
    pub request_id: String,
    /// Name of the model.
    pub model: String,
    /// The version to be replaced.
    pub version: String,
    /// Tasks to retrain.
    pub tasks: Vec<String>,
    /// Why, in a sentence.
    pub summary: String,
    /// Everything the run is told, the call-back with its token included.
    pub body: Value,
    /// Tries before this one.
    pub attempts: i64,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// The target has a run of the request.
    Started {
        /// HTTP status.
        status: u16,
        /// Whether it had one already.
        existed: bool,
        /// Where the run can be looked at, if the target says so.
        run_url: Option<String>,
    },
    /// Not now; perhaps later. There may be a run all the same.
    Retry {
        /// HTTP status, if there was an answer.
        status: Option<u16>,
        /// How long the target asked to be left alone.
        after: Option<Duration>,
        /// Bounded reason.
        reason: &'static str,
        /// For people.
        detail: String,
    },
}

/// Starts training somewhere.
#[async_trait]
pub trait Trainer: Send + Sync {
    /// Starts a run of a request, or finds the one that is there.
    async fn start(&self, order: &Order, now: Timestamp) -> Start;

    /// What `start` would call, without secrets.
    fn preview(&self, order: &Order) -> String;
}

impl Start {
    /// A run that the target has now.
    pub fn new_run(answer: &Answer, run_url: Option<String>) -> Start {
        Start::Started { status: answer.status, existed: false, run_url }
    }

    /// A run that the target had already.
    pub fn existed(answer: &Answer, run_url: Option<String>) -> Start {
        Start::Started { status: answer.status, existed: true, run_url }
    }

    /// An answer that is none of those expected: tried again, since the target, or what may be asked of
    /// it, may be mended.
    pub fn unexpected(answer: &Answer) -> Start {
        let reason = match answer.status {
            401 | 403 => "auth_error",
            404 => "not_found",
            429 => "rate_limited",
            300..=399 => "redirect",
            400..=499 => "client_error",
            200..=299 => "unexpected_answer",
            _ => "server_error",
        };
        let detail = answer.kept.clone();
        Start::Retry { status: Some(answer.status), after: answer.retry_after, reason, detail }
    }
}

impl From<Failure> for Start {
    fn from(failure: Failure) -> Start {
        Start::Retry { status: None, after: None, reason: failure.reason, detail: failure.detail }
    }
}
