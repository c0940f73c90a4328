//! The API loop: answers from the store, and serves the dashboard that reads it.

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderValue;
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::access::Access;
use crate::store::ReadStore;

pub mod access;
mod alerts;
mod audit;
mod dashboard;
/// What became of every record.
pub mod ledger;
mod models;
mod pages;
/// Errors as problem+json.
pub mod problem;
mod status;
/// What the API says.
pub mod views;
mod windows;

/// Probes and metrics, on their own port.
pub mod ops;

/// What handlers share.
#[derive(Clone)]
pub struct ApiState {
    /// Where everything is read from.
    pub store: Arc<dyn ReadStore>,
    /// Roles of this process.
    pub roles: Arc<Vec<String>>,
    /// How callers prove who they are.
    pub access: Arc<Access>,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "driftd",
    description = "State, evidence and alerts of the models that driftd watches. Times are RFC 3339 in UTC, \
                   windows are half-open, lists are newest first and paged by cursor.",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Document;

fn routed() -> (Router<ApiState>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(models::list))
        .routes(routes!(models::show))
        .routes(routes!(models::tasks))
        .routes(routes!(windows::list))
        .routes(routes!(windows::rollups))
        .routes(routes!(windows::statistics_of_window))
        .routes(routes!(windows::statistics_over_time))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::deliveries))
        .routes(routes!(alerts::requests))
        .routes(routes!(status::show))
        .routes(routes!(ledger::show))
        .routes(routes!(audit::list))
        .split_for_parts()
}

/// The OpenAPI document as it is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routed().1
}

/// API and dashboard as one router.
pub fn router(state: ApiState) -> Router {
    let (api, document) = routed();
    let document = axum::Json(document);
    let api = api.layer(middleware::from_fn_with_state(state.access.clone(), access::identify));
    api.route("/api/v1/openapi.json", axum::routing::get(move || async move { document }))
        .route("/api/{*rest}", axum::routing::any(problem::not_found))
        .fallback(dashboard::serve)
        .layer(middleware::from_fn(headers))
        .with_state(state)
}

/// Serves until `shutdown`, then lets running answers finish.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(async move { shutdown.cancelled().await }).await
}

/// Headers that every answer carries: nothing is sniffed, framed or fetched from elsewhere.
async fn headers(request: axum::extract::Request, next: Next) -> Response {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                          connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let mut response = next.run(request).await;
    for (name, value) in
        [("content-security-policy", POLICY), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
