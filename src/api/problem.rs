//! Errors as RFC 9457 problem+json. What went wrong inside stays in the log.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::store::StoreError;

/// An error as callers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the title says it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What exactly.
    pub detail: String,
    /// Seconds until another try may help.
    #[serde(skip)]
    retry_after: Option<u64>,
}

impl Problem {
    /// With a status and what exactly.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        let title = status.canonical_reason().unwrap_or("error").to_owned();
        Problem { kind: "about:blank", title, status: status.as_u16(), detail: detail.into(), retry_after: None }
    }

    /// With the seconds until another try may help.
    #[must_use]
    pub fn retry_after(self, secs: u64) -> Problem {
        Problem { retry_after: Some(secs), ..self }
    }

    /// Nothing of this name.
    pub fn missing(what: &str, name: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, format!("no {what} `{name}`"))
    }

    /// A parameter that cannot be.
    pub fn wrong(parameter: &str, why: &str) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, format!("`{parameter}` {why}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = (header::CONTENT_TYPE, "application/problem+json");
        let retry_after = self.retry_after;
        let mut response = (status, [content_type], Json(self).into_response().into_body()).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"driftd\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if let Some(secs) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, secs.into());
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        tracing::warn!(error = %crate::telemetry::chain(&error), "an answer failed");
        if error.is_transient() {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the store does not answer; try again")
        } else {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the store holds something unexpected; see the log")
        }
    }
}

/// The answer for addresses under `/api` that do not exist.
pub async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no such resource; `/api/v1/openapi.json` lists them")
}
