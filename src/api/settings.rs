//! The settings in force.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;

use super::ApiState;
use super::access::Caller;
use super::problem::Problem;
use crate::access::Role;
use crate::drift::time::{Span, Timestamp};

/// The settings in force, which a reload replaces.
#[derive(Clone, Default)]
pub struct Settings(Arc<RwLock<InForce>>);

/// What the process runs with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InForce {
    /// The configuration with its defaults; secrets are only named.
    pub shown: Value,
    /// When it was read; `None` before anything was.
    pub read_at: Option<Timestamp>,
    /// Sections of the file that differ from it and wait for a restart.
    pub waiting: Vec<String>,
    /// Why the file as it is now is refused, if it is.
    pub refused: Option<Refused>,
    /// How late a record of each model may be.
    pub late_limits: BTreeMap<String, Span>,
}

/// A changed file that is refused: the settings before it stay in force.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Refused {
    /// When it was read.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// All that is wrong with it, a line each.
    pub why: String,
}

impl Settings {
    /// With what is in force.
    pub fn new(in_force: InForce) -> Settings {
        Settings(Arc::new(RwLock::new(in_force)))
    }

    /// Puts others in force.
    pub fn replace(&self, in_force: InForce) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = in_force;
    }

    /// What is in force stays so: the file as it is now is refused.
    pub fn refuse(&self, refused: Refused) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).refused = Some(refused);
    }

    /// What is in force.
    pub fn in_force(&self) -> InForce {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How late a model's records may be; `None` for models that this process does not know.
    pub(super) fn late_limit(&self, model: &str) -> Option<Span> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).late_limits.get(model).copied()
    }
}

/// The settings in force.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SettingsView {
    /// When they were read.
    #[schema(value_type = Option<String>, format = DateTime)]
    read_at: Option<Timestamp>,
    /// Sections of the file that were changed since and wait for a restart.
    waiting_for_restart: Vec<String>,
    /// The file as it is now, if it is refused.
    refused: Option<Refused>,
    /// The configuration with its defaults. Secrets are only named: the file or environment variable, or
    /// `redacted`.
    settings: Value,
}

/// The settings that the answering process runs with; needs the role `operator`.
#[utoipa::path(get, path = "/api/v1/settings", tag = "status",
    responses((status = 200, body = SettingsView), (status = 403, body = Problem)))]
pub async fn show(State(state): State<ApiState>, caller: Caller) -> Result<Json<SettingsView>, Problem> {
    caller.require(Role::Operator)?;
    let InForce { shown, read_at, waiting, refused, .. } = state.settings.in_force();
    Ok(Json(SettingsView { read_at, waiting_for_restart: waiting, refused, settings: shown }))
}
