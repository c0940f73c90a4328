//! What callers may keep. Every JSON answer has an `ETag`, so that who asks again gets a short "not modified";
//! what cannot change any more need not be asked for again for a while.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::ApiState;
use super::problem::Problem;
use crate::drift::time::{Span, Timestamp};
use crate::store::Page;

/// Answers are pages of at most 500 rows; a larger one is a mistake of ours.
const MOST_BYTES: usize = 64 << 20;
/// May change at any moment: keep it, and ask each time whether it is still so.
const ASK: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Cannot change but by records of a partition that slept for longer than they may be late: ask again
/// after ten minutes.
const KEEP: HeaderValue = HeaderValue::from_static("private, max-age=600, immutable");
/// Errors, and what writes answer.
const FORGET: HeaderValue = HeaderValue::from_static("no-store");

/// Marks an answer that cannot change any more.
#[derive(Clone, Copy, Debug)]
pub struct Final;

/// An answer, marked where it is final.
pub struct Kept<T>(pub bool, pub T);

impl<T: IntoResponse> IntoResponse for Kept<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        if self.0 {
            response.extensions_mut().insert(Final);
        }
        response
    }
}

/// Whether a window or roll-up that ends then can still be revised: while records may be as late as that.
///
/// # Errors
/// If the store does not answer.
pub async fn is_final(state: &ApiState, model: &str, end: Timestamp) -> Result<bool, Problem> {
    let Some(late_limit) = state.settings.late_limit(model) else { return Ok(false) };
    let latest = state.store.windows(model, Page { limit: 1, before_us: i64::MAX }).await?;
    Ok(latest.first().is_some_and(|latest| is_past(end, latest.end, late_limit)))
}

fn is_past(end: Timestamp, reached: Timestamp, late_limit: Span) -> bool {
    reached >= end.plus(late_limit)
}

/// Tags answers, and answers shortly where the caller has what it asks for.
pub async fn tag(request: Request, next: Next) -> Response {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let known = request.headers().get(header::IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    let is_secret = response.headers().get(header::CACHE_CONTROL).is_some_and(|control| control == FORGET);
    if !reads || response.status() != StatusCode::OK || !is_json || is_secret {
        let mut response = response;
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(FORGET);
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MOST_BYTES).await else {
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the answer is too long; ask for fewer rows")
            .into_response();
    };
    let tag = tag_of(&bytes);
    let fresh = known.as_ref().is_some_and(|known| names(known, &tag));
    let keep = if parts.extensions.get::<Final>().is_some() { KEEP } else { ASK };
    parts.headers.insert(header::CACHE_CONTROL, keep);
    parts.headers.insert(header::VARY, HeaderValue::from_static("authorization, cookie"));
    parts.headers.insert(header::ETAG, tag);
    if !fresh {
        return Response::from_parts(parts, Body::from(bytes));
    }
    let mut headers = HeaderMap::new();
    headers.extend(
        [header::CACHE_CONTROL, header::VARY, header::ETAG].map(|name| (name.clone(), parts.headers[name].clone())),
    );
    (StatusCode::NOT_MODIFIED, headers).into_response()
}

fn tag_of(bytes: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(bytes);
    let hexadecimal: String = digest[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{hexadecimal}\"")).expect("hexadecimal digits are a header value")
}

/// Whether `If-None-Match` names a tag, by weak comparison (RFC 9110, §13.1.2).
fn names(known: &HeaderValue, tag: &HeaderValue) -> bool {
    let (Ok(known), Ok(tag)) = (known.to_str(), tag.to_str()) else { return false };
    known.trim() == "*" || known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let tag = tag_of(b"{}");
        let text = tag.to_str().expect("text");
        for (known, same) in [
            (text.to_owned(), true),
            (format!("W/{text}"), true),
            (format!("\"other\", {text}"), true),
            ("*".to_owned(), true),
            ("\"other\"".to_owned(), false),
            (text.trim_matches('"').to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(names(&HeaderValue::from_str(&known).expect("a header"), &tag), same, "{known}");
        }
        assert_ne!(tag_of(b"{}"), tag_of(b"[]"));
    }

    #[test]
    fn windows_are_final_once_records_would_be_too_late() {
        let at = |secs: i64| Timestamp::from_micros(secs * 1_000_000);
        let hour = Span::from_secs(3_600);
        assert!(is_past(at(300), at(3_900), hour) && !is_past(at(300), at(3_899), hour));
    }
}
