//! Probes and metrics, on their own port. `/livez` says that the process answers, and nothing of
//! Kafka, the store or a GPU; `/readyz` says that everything was set up, that the store answers, and
//! what the loops cannot do right now.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::health::Health;
use crate::store::ReadStore;
use crate::telemetry::chain;

/// The store may take this long to answer a probe.
const PATIENCE: Duration = Duration::from_secs(2);

/// What probes look at.
#[derive(Clone)]
pub struct OpsState {
    /// Set once everything is set up.
    pub started: Arc<AtomicBool>,
    /// The store.
    pub store: Arc<dyn ReadStore>,
    /// What the loops say of themselves.
    pub health: Health,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

/// Probes and metrics as a router.
pub fn router(state: OpsState) -> Router {
    Router::new()
        .route("/livez", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(state)
}

async fn ready(State(state): State<OpsState>) -> Response {
    let problem = if !state.started.load(Ordering::Acquire) {
        Some("starting".to_owned())
    } else {
        match tokio::time::timeout(PATIENCE, state.store.ping()).await {
            Ok(Ok(())) => state.health.told(),
            Ok(Err(error)) => Some(format!("store: it does not answer: {}", chain(&error))),
            Err(_) => Some("store: it does not answer".to_owned()),
        }
    };
    crate::metrics::ready(problem.is_none());
    match problem {
        None => "ready".into_response(),
        Some(problem) => (StatusCode::SERVICE_UNAVAILABLE, problem).into_response(),
    }
}

async fn render(State(state): State<OpsState>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], state.metrics.render()).into_response()
}
