//! Writes that carry an `idempotency-key` happen once: who repeats one gets the first answer again.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use super::super::problem::Problem;
use super::{Access, Caller};
use crate::drift::time::Span;
use crate::store::StoreError;
use crate::store::access::{Answer, Once, OnceKey};

/// A repetition after so long is a new request.
const REMEMBERED: Span = Span::from_secs(24 * 3_600);
/// A first try that has not ended by then died with its process; no write of ours takes so long.
const STALE: Span = Span::from_secs(60);
const MOST_KEY: usize = 255;
/// Writes of the API are a few sentences.
const MOST_BODY: usize = 64 << 10;
/// Longer answers are given, and not kept.
const MOST_ANSWER: usize = 256 << 10;
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Lets the first through and answers the others.
pub async fn once(State(access): State<Arc<Access>>, request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let (Some(key), &Method::POST) = (parts.headers.get(KEY), &parts.method) else {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let caller = parts.extensions.get::<Caller>().map(|caller| caller.id.clone()).unwrap_or_default();
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=MOST_KEY).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()));
    let key = key.ok_or_else(|| Problem::wrong("idempotency-key", "must be 1 to 255 visible characters"))?;
    let once = OnceKey { caller, key: key.to_owned() };
    let too_large = |_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 64 KiB");
    let body = to_bytes(body, MOST_BODY).await.map_err(too_large)?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let print = Sha256::new().chain_update(target).chain_update([0]).chain_update(&body).finalize().to_vec();

    let now = access.clock.now();
    match access.store.begin_once(&once, &print, now, now.minus(STALE), now.minus(REMEMBERED)).await? {
        Once::First => {
            // By itself: who hangs up in the middle finds the answer when they ask again.
            let done = tokio::spawn(first(access, once, Request::from_parts(parts, Body::from(body)), next));
            done.await
                .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the request failed; see the log"))?
        }
        Once::Again(answer) => Ok(again(answer)),
        Once::Underway => {
            let problem =
                Problem::new(StatusCode::CONFLICT, "the first request with this `idempotency-key` is underway");
            Err(problem.retry_after(1))
        }
        Once::Other => {
            let detail = "another request has used this `idempotency-key`; take a new one for each";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
        }
    }
}

async fn first(access: Arc<Access>, once: OnceKey, request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = next.run(request).await.into_parts();
    let body = to_bytes(body, MOST_ANSWER).await;
    let kept = match &body {
        Ok(body) if is_final(parts.status) => {
            let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            let answer = Answer {
                status: i64::from(parts.status.as_u16()),
                content_type: content_type.map(str::to_owned),
                body: body.to_vec(),
            };
            access.store.finish_once(&once, &answer).await
        }
        _ => access.store.release_once(&once).await,
    };
    forgive(kept);
    let body = body.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer is too long"))?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// Whether the same request would be answered the same later: not by a failure of ours, nor where what
/// the caller may do can change.
fn is_final(status: StatusCode) -> bool {
    !status.is_server_error()
        && ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS].contains(&status)
}

fn again(answer: Answer) -> Response {
    let status = u16::try_from(answer.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = (status.unwrap_or(StatusCode::OK), Body::from(answer.body)).into_response();
    if let Some(value) = answer.content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// What was done is done, whether its answer could be kept or not.
fn forgive(kept: Result<(), StoreError>) {
    if let Err(error) = kept {
        tracing::warn!(error = %crate::telemetry::chain(&error), "an answer was not kept for repetitions");
    }
}
