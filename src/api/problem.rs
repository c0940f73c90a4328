//! Errors as RFC 9457 problem+json. What went wrong inside stays in the log.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{self, OpenApi, PathItem, RefOr};

use crate::store::StoreError;

/// Media type of errors.
const PROBLEM: &str = "application/problem+json";

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

    /// What is stored cannot be read.
    pub fn internal(error: &dyn std::error::Error) -> Problem {
        tracing::error!(%error, "an answer failed");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "what is stored cannot be read; the log says more")
    }

    /// A parameter that cannot be.
    pub fn wrong(parameter: &str, why: &str) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, format!("`{parameter}` {why}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content_type = (header::CONTENT_TYPE, PROBLEM);
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

/// Gives refusals that the framework made, of a parameter, a body or a method, the shape of the others.
pub async fn shaped(request: Request, next: Next) -> Response {
    /// Texts of refusals are short; a longer one is not shown.
    const MOST_BYTES: usize = 4 << 10;
    if request.uri().to_string().contains("%00") {
        // No name holds one, and not every store takes it in a question.
        return Problem::new(StatusCode::BAD_REQUEST, "the address contains a NUL").into_response();
    }
    let response = next.run(request).await;
    let status = response.status();
    let is_json = |kind: &HeaderValue| kind.as_bytes().ends_with(b"json");
    if status.as_u16() < 400 || response.headers().get(header::CONTENT_TYPE).is_some_and(is_json) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    let detail = match std::str::from_utf8(&text) {
        Ok(text) if !text.is_empty() => text.to_owned(),
        _ => "`/api/v1/openapi.json` says what is possible here".to_owned(),
    };
    let mut response = Problem::new(status, detail).into_response();
    response.headers_mut().extend(parts.headers.get(header::ALLOW).map(|allowed| (header::ALLOW, allowed.clone())));
    response
}

/// Says in the document of the API what errors are: a handler only names their shape.
pub fn document(document: &mut OpenApi) {
    let of_path = |item: &mut PathItem| {
        let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in all.into_iter().flatten() {
            for (status, response) in &mut operation.responses.responses {
                if let (true, RefOr::T(response)) = (status.as_str() >= "400", response)
                    && let Some(content) = response.content.swap_remove("application/json")
                {
                    response.content.insert(PROBLEM.to_owned(), content);
                }
            }
            let is_problem = |response: &&openapi::Response| response.content.contains_key(PROBLEM);
            let responses = operation.responses.responses.values();
            let known = responses.filter_map(|r| if let RefOr::T(r) = r { Some(r) } else { None }).find(is_problem);
            if let Some(known) = known {
                let mut other = known.clone();
                "Any other error.".clone_into(&mut other.description);
                operation.responses.responses.insert("default".to_owned(), RefOr::T(other));
            }
        }
    };
    document.paths.paths.values_mut().for_each(of_path);
}

/// The answer for addresses under `/api` that do not exist.
pub async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no such resource; `/api/v1/openapi.json` lists them")
}
