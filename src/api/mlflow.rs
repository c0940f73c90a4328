//! Where MLflow's webhook comes.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::ApiState;
use super::problem::Problem;
use crate::registry::{Delivery, Refused, Taken};

/// What became of a delivery.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeliveryTaken {
    /// `started`: a version is watched from now on; `repeated`: it was taken before; `superseded`: the registry has
    /// said something newer; `ignored`: it is about something else.
    pub outcome: &'static str,
    /// Which model.
    pub model: Option<String>,
    /// Which version, as records name it.
    pub version: Option<String>,
    /// The reference that it is compared with.
    pub reference: Option<String>,
}

/// MLflow tells that an alias was given to a version. Signed by `X-MLflow-Signature` over id, time and body with the
/// secret of a model's `mlflow`; a delivery counts once.
#[utoipa::path(post, path = "/api/v1/mlflow/webhook", tag = "retraining",
    params(("x-mlflow-signature" = String, Header, description = "`v1,` and HMAC-SHA256 in base64"),
        ("x-mlflow-timestamp" = String, Header, description = "Unix seconds, at most five minutes off"),
        ("x-mlflow-delivery-id" = String, Header, description = "Id of the delivery")),
    request_body(content = String, content_type = "application/json"),
    responses((status = 200, body = DeliveryTaken), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 422, body = Problem), (status = 503, body = Problem)))]
pub async fn webhook(
    State(state): State<ApiState>,
    headers: HeaderMap,
    body: String,
) -> Result<Json<DeliveryTaken>, Problem> {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let delivery = Delivery {
        id: header("x-mlflow-delivery-id"),
        timestamp: header("x-mlflow-timestamp"),
        signature: header("x-mlflow-signature"),
        body: &body,
    };
    let Some(registry) = &state.registry else { return Err(Refused::Unsigned.into()) };
    let told = |outcome| DeliveryTaken { outcome, model: None, version: None, reference: None };
    Ok(Json(match registry.take(delivery).await? {
        Taken::Started { model, version, reference_id } => DeliveryTaken {
            outcome: "started",
            model: Some(model),
            version: Some(version),
            reference: Some(reference_id),
        },
        Taken::Repeated => told("repeated"),
        Taken::Superseded => told("superseded"),
        Taken::Ignored => told("ignored"),
    }))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        let status = match refused {
            Refused::Store(error) => return error.into(),
            Refused::Unsigned => StatusCode::UNAUTHORIZED,
            Refused::Malformed => StatusCode::BAD_REQUEST,
            // MLflow tries again after a 503: files may still be on their way.
            Refused::NotYet(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refused::Unfit { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        tracing::warn!(%refused, "a delivery of a model registry was not taken");
        Problem::new(status, refused.to_string())
    }
}
