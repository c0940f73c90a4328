//! The API loop: answers from the store, and serves the dashboard that reads it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::middleware::{self, Next};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::access::{Access, once, session};
use crate::registry::Registry;
use crate::retrain::desk::Desk;
use crate::store::ApiStore;

pub mod access;
mod alerts;
mod audit;
mod body;
/// What callers may keep.
pub mod caching;
mod dashboard;
mod distributions;
/// Changes as they happen.
pub mod events;
/// Texts for those who may read them.
mod examples;
/// What became of every record.
pub mod ledger;
mod mlflow;
mod models;
mod pages;
/// The parts of a report.
mod parts;
/// What people do about alerts.
mod people;
mod people_views;
/// How well each task does.
mod performance;
/// Errors as problem+json.
pub mod problem;
mod retraining;
/// Retraining requests as they are told.
pub mod retraining_views;
/// The settings in force.
pub mod settings;
/// Candidates beside the current models.
pub mod shadow;
mod status;
/// Tallies with what they count.
pub mod tallies;
/// Versions that records name.
mod versions;
/// What the API says.
pub mod views;
mod windows;

/// Probes and metrics, on their own port.
pub mod ops;

/// Largest body that is read: a manifest and metrics of a hundred tasks fit in.
const MOST_BODY: usize = 64 << 10;

/// Largest file of pairs that is read: twenty thousand rows of five tasks at a kilobyte and a half for each model.
const MOST_PAIRS: usize = 64 << 20;

/// What handlers share.
#[derive(Clone)]
pub struct ApiState {
    /// Where everything is read from.
    pub store: Arc<dyn ApiStore>,
    /// Where retraining requests are decided.
    pub desk: Desk,
    /// Roles of this process.
    pub roles: Arc<Vec<String>>,
    /// How callers prove who they are.
    pub access: Arc<Access>,
    /// References that were decoded last.
    pub references: tallies::References,
    /// Who listens for changes.
    pub events: events::Events,
    /// What the process runs with.
    pub settings: settings::Settings,
    /// Who takes deliveries of model registries.
    pub registry: Option<Arc<Registry>>,
}

impl ApiState {
    /// Around a store; streams of events end at `shutdown`.
    pub fn new(
        store: Arc<dyn ApiStore>,
        desk: Desk,
        roles: Vec<String>,
        access: Arc<Access>,
        settings: settings::Settings,
        shutdown: CancellationToken,
    ) -> ApiState {
        let (references, events) = (tallies::References::default(), events::Events::new(shutdown));
        ApiState { store, desk, roles: Arc::new(roles), access, references, events, settings, registry: None }
    }

    /// The same, taking deliveries of model registries.
    pub fn following(self, registry: Option<Arc<Registry>>) -> ApiState {
        ApiState { registry, ..self }
    }
}

#[derive(OpenApi)]
#[openapi(info(
    title = "driftd",
    description = "State, evidence and alerts of the models that driftd watches. Times are RFC 3339 in UTC, \
                   windows are half-open, lists are newest first and paged by cursor.",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
), modifiers(&Security), security(("bearer" = []), ("session" = [])))]
struct Document;

/// How callers prove who they are, in the document.
struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = Http::builder().scheme(HttpAuthScheme::Bearer);
        let bearer = bearer.description(Some("an API key, as `driftd keys create` prints it")).build();
        let text =
            "set by `POST /api/v1/session`; writes carry `x-csrf-token` too. Over HTTPS the name begins with `__Host-`";
        let cookie = ApiKey::Cookie(ApiKeyValue::with_description("driftd_session", text));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
        let run = Http::builder().scheme(HttpAuthScheme::Bearer);
        let run =
            run.description(Some("the token that a run was started with: for its own request, until it has ended"));
        components.add_security_scheme("run", SecurityScheme::Http(run.build()));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
    }
}

fn routed() -> (Router<ApiState>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(models::list))
        .routes(routes!(models::show))
        .routes(routes!(models::tasks))
        .routes(routes!(windows::list))
        .routes(routes!(windows::rollups))
        .routes(routes!(windows::statistics_of_window))
        .routes(routes!(windows::statistics_over_time))
        .routes(routes!(models::references))
        .routes(routes!(distributions::show))
        .routes(routes!(distributions::map))
        .routes(routes!(performance::show))
        .routes(routes!(shadow::show))
        .routes(routes!(alerts::list))
        .routes(routes!(people::alert))
        .routes(routes!(examples::show))
        .routes(routes!(people::acknowledge))
        .routes(routes!(people::silences, people::silence))
        .routes(routes!(people::expire))
        .routes(routes!(alerts::deliveries))
        .routes(routes!(retraining::list, retraining::ask))
        .routes(routes!(retraining::show))
        .routes(routes!(retraining::approve))
        .routes(routes!(retraining::reject))
        .routes(routes!(retraining::close))
        .routes(routes!(retraining::pauses, retraining::pause))
        .routes(routes!(people::delivery))
        .routes(routes!(people::redeliver))
        .routes(routes!(status::show))
        .routes(routes!(settings::show))
        .routes(routes!(events::listen))
        .routes(routes!(ledger::show))
        .routes(routes!(audit::list))
        .routes(routes!(session::show, session::close))
        .split_for_parts()
}

/// What those are asked who have no key yet in their hands, or none in their browser.
fn log_in() -> (Router<ApiState>, utoipa::openapi::OpenApi) {
    OpenApiRouter::new().routes(routes!(session::open)).split_for_parts()
}

/// Where runs and registries call: runs say who they are by their request's token, registries by their signature,
/// and by nothing else.
fn called_back() -> (Router<ApiState>, utoipa::openapi::OpenApi) {
    OpenApiRouter::new().routes(routes!(retraining::callback)).routes(routes!(mlflow::webhook)).split_for_parts()
}

/// Where runs show their candidates: as above, with larger bodies.
fn judged() -> (Router<ApiState>, utoipa::openapi::OpenApi) {
    OpenApiRouter::new().routes(routes!(retraining::gate)).split_for_parts()
}

/// The OpenAPI document as it is served.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = routed().1;
    document.merge(log_in().1);
    document.merge(called_back().1);
    document.merge(judged().1);
    problem::document(&mut document);
    document
}

/// API and dashboard as one router.
pub fn router(state: ApiState) -> Router {
    let document = axum::Json(openapi());
    let callbacks = called_back().0.layer(DefaultBodyLimit::max(MOST_BODY));
    let callbacks = callbacks.merge(judged().0.layer(DefaultBodyLimit::max(MOST_PAIRS)));
    let api = guarded(routed().0, &state.access).merge(log_in().0).merge(callbacks);
    api.route("/api/v1/openapi.json", axum::routing::get(move || async move { document }))
        .route("/api/{*rest}", axum::routing::any(problem::not_found))
        .layer(middleware::from_fn(caching::tag))
        .layer(middleware::from_fn(problem::shaped))
        .fallback(dashboard::serve)
        .layer(middleware::from_fn(headers))
        .with_state(state)
}

/// Routes behind the door: who asks is found out first, then whether it is a repetition.
fn guarded<S: Clone + Send + Sync + 'static>(routes: Router<S>, access: &Arc<Access>) -> Router<S> {
    routes
        .layer(middleware::from_fn_with_state(access.clone(), once::once))
        .layer(middleware::from_fn_with_state(access.clone(), access::identify))
}

/// Serves until `shutdown`, then lets running answers finish.
///
/// # Errors
/// If the listener fails.
pub async fn serve(listener: TcpListener, router: Router, shutdown: CancellationToken) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(async move { shutdown.cancelled().await }).await
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
