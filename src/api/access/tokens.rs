//! Callers who show a bearer token of the issuer.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::Mutex;

use super::super::problem::Problem;
use super::{Caller, Means, unauthorized};
use crate::access::grant::Grants;
use crate::access::jwt::{Expected, KeySet, KeySource, TokenError};
use crate::drift::time::{Span, Timestamp};
use crate::metrics;

/// Keys are read again after so long, so that one that the issuer withdrew is not taken for ever.
const FRESH: Span = Span::from_secs(3_600);
/// Where the issuer cannot be reached, the keys it had are taken for so long.
const KEPT: Span = Span::from_secs(24 * 3_600);
/// Between two tries to read the keys: a stranger's token with a key that nobody knows costs the issuer
/// no more than that.
const TRY_EVERY: Span = Span::from_secs(60);

/// Takes tokens of one issuer.
pub struct Tokens {
    expected: Expected,
    grants: Grants,
    source: Arc<dyn KeySource>,
    cached: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    keys: KeySet,
    read: Option<Timestamp>,
    tried: Option<Timestamp>,
}

impl Tokens {
    /// Tokens of this issuer, whose keys are read there.
    pub fn new(expected: Expected, grants: Grants, source: Arc<dyn KeySource>) -> Tokens {
        Tokens { expected, grants, source, cached: Mutex::default() }
    }

    /// The caller whom a token speaks for.
    pub(super) async fn caller(&self, token: &str, now: Timestamp) -> Result<Caller, Problem> {
        let claims = match self.verify(token, now).await? {
            Ok(claims) => claims,
            Err(error) => {
                metrics::authentication_failed("token");
                return Err(unauthorized(error.to_string()));
            }
        };
        let Some(granted) = self.grants.of(&claims) else {
            let detail = "the token is valid, but `api.auth` grants nothing to any of its claims";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        };
        Ok(Caller {
            name: granted.name,
            id: format!("token:{}", granted.subject),
            means: Means::Token,
            role: granted.role,
            scopes: granted.scopes,
        })
    }

    async fn verify(&self, token: &str, now: Timestamp) -> Result<Result<Claims, TokenError>, Problem> {
        let mut cached = self.cached.lock().await;
        if cached.read.is_none_or(|read| now.since(read) > FRESH) {
            self.refresh(&mut cached, now).await;
        }
        if cached.read.is_none_or(|read| now.since(read) > KEPT) {
            let detail = "the issuer's keys cannot be read; see the log";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
        }
        let secs = now.micros() as f64 / 1e6;
        let verified = cached.keys.verify(token, &self.expected, secs);
        // The issuer may have a new key since.
        if verified == Err(TokenError::UnknownKey) && self.refresh(&mut cached, now).await {
            return Ok(cached.keys.verify(token, &self.expected, secs));
        }
        Ok(verified)
    }

    /// Reads the keys, if the last try is long enough ago; whether there are newer ones.
    async fn refresh(&self, cached: &mut Cached, now: Timestamp) -> bool {
        if cached.tried.is_some_and(|tried| now.since(tried) < TRY_EVERY) {
            return false;
        }
        cached.tried = Some(now);
        match self.source.fetch().await.and_then(|text| KeySet::parse(&text)) {
            Ok(keys) => {
                (cached.keys, cached.read) = (keys, Some(now));
                true
            }
            Err(why) => {
                tracing::warn!(why, issuer = self.expected.issuer, "the issuer's keys cannot be read");
                false
            }
        }
    }
}

type Claims = serde_json::Map<String, serde_json::Value>;
