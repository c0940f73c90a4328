//! What comes to the desk, and what is refused there.

use serde::{Deserialize, Serialize};

use crate::drift::retraining::life::Illegal;
use crate::store::{AuditRow, StoreError};

/// Whoever decides.
#[derive(Clone, Debug)]
pub struct By {
    /// Their name, in the record of the request.
    pub name: String,
    /// Their act, written with the change.
    pub audit: Option<AuditRow>,
}

impl From<&str> for By {
    fn from(name: &str) -> By {
        By { name: name.to_owned(), audit: None }
    }
}

/// What a run says.
#[derive(Clone, Debug, Default, Deserialize, Serialize, utoipa::ToSchema)]
pub struct Reported {
    /// `started`, `succeeded`, `failed` or `cancelled`.
    pub state: String,
    /// Where the run can be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
    /// The candidate's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_model_version: Option<String>,
    /// The candidate's manifest, or where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<serde_json::Value>,
    /// Metrics by task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<serde_json::Value>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such request.
    #[error("no retraining request `{0}`")]
    Missing(String),
    /// No such model.
    #[error("no model `{0}` in the configuration")]
    NoModel(String),
    /// It is not where this could be done.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// Somebody was faster.
    #[error("the request has moved on meanwhile; look at it again")]
    Overtaken,
    /// The kill switch is on.
    #[error("retraining of `{model}` is paused by {who}: {why}; `driftd retraining resume` ends it")]
    Paused {
        /// Which model.
        model: String,
        /// Who turned it.
        who: String,
        /// Why.
        why: String,
    },
    /// The model has an open request.
    #[error("`{0}` has an open retraining request; wait for its end, or reject or close it")]
    Busy(String),
    /// Nothing of this name.
    #[error("{0}")]
    Unknown(String),
    /// The token is not this request's.
    #[error("the token is not this request's")]
    Forged,
    /// The token's time is over.
    #[error("the token has expired")]
    Expired,
    /// The gate does not let it through.
    #[error("{0}")]
    Gate(String),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}
