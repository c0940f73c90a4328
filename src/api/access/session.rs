//! Sessions of the dashboard: a key is shown once, and from then on the browser holds a cookie that no
//! script can read, no other site can have sent, and that ends with its time or its key.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::super::ApiState;
use super::super::problem::Problem;
use super::keys;
use super::{Access, Caller, Means, is_safe, origin, unauthorized};
use crate::access::key::SessionToken;
use crate::access::{Role, Scope};
use crate::drift::time::Span;
use crate::store::access::SessionRow;

/// After so long a person logs in again: a working day, so that a forgotten browser does not stay open.
pub(super) const LIFETIME: Span = Span::from_secs(12 * 3_600);
/// Sessions of one key at most: people who share a key, and browsers that forgot their cookie.
const MOST_SESSIONS: i64 = 100;
const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// A key to log in with.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// The key, as `driftd keys create` printed it.
    api_key: String,
}

/// Who the caller is, and what they may do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SessionView {
    /// To be sent as `x-csrf-token` with every write of a session; null where there is none.
    pub csrf_token: Option<String>,
    /// Name in the audit.
    pub name: String,
    /// Their role and those that it contains.
    pub roles: Vec<Role>,
    /// What they were granted by name.
    pub scopes: Vec<Scope>,
    /// How they proved who they are: `session`, `key`, `token`, `local` or `none`.
    pub means: &'static str,
}

impl SessionView {
    fn new(caller: Caller, token: Option<&SessionToken>) -> SessionView {
        SessionView {
            csrf_token: token.map(SessionToken::csrf),
            roles: Role::ALL.into_iter().filter(|role| *role <= caller.role).collect(),
            scopes: caller.scopes.into_iter().collect(),
            means: caller.means.name(),
            name: caller.name,
        }
    }
}

/// Who the caller is, and what they may do.
#[utoipa::path(get, path = "/api/v1/session", tag = "access",
    responses((status = 200, body = SessionView), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub async fn show(State(state): State<ApiState>, caller: Caller, parts: Parts) -> Json<SessionView> {
    let token = if caller.means == Means::Session { state.access.session_token(&parts) } else { None };
    Json(SessionView::new(caller, token.as_ref()))
}

/// Logs in with an API key; the answer sets the session's cookie.
#[utoipa::path(post, path = "/api/v1/session", tag = "access", security(()), request_body = LogIn,
    responses((status = 200, body = SessionView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 409, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem), (status = 429, body = Problem), (status = 503, body = Problem)))]
pub async fn open(
    State(state): State<ApiState>,
    parts: Parts,
    body: Result<Json<LogIn>, JsonRejection>,
) -> Result<(HeaderMap, Json<SessionView>), Problem> {
    let access = &state.access;
    origin::check(&parts)?;
    if !access.asks() {
        return Err(Problem::new(StatusCode::CONFLICT, "nobody is asked for a key here: `api.auth` is `none`"));
    }
    let Json(log_in) = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let row = match access.valid_key(log_in.api_key.trim()).await {
        Ok(row) => row,
        Err(problem) => return Err(access.failed(&parts, problem).await),
    };
    let (token, now) = (SessionToken::generate(), access.clock.now());
    let ends = now.plus(LIFETIME);
    let session = SessionRow {
        session_sha256: token.digest(),
        key_id: row.key_id.clone(),
        created: now,
        expires: row.expires.map_or(ends, |key| key.min(ends)),
    };
    let caller = keys::caller(row, Means::Session);
    let audit = access.act(&caller, "session.open", &session.key_id, &json!({"expires": session.expires}));
    access.store.open_session(&session, MOST_SESSIONS, &audit).await?;
    let cookie = access.cookie(&parts, token.reveal(), session.expires.since(now));
    Ok((cookie, Json(SessionView::new(caller, Some(&token)))))
}

/// Logs out: the session ends, and the cookie goes.
#[utoipa::path(delete, path = "/api/v1/session", tag = "access",
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 503, body = Problem)))]
pub async fn close(
    State(state): State<ApiState>,
    caller: Caller,
    parts: Parts,
) -> Result<(StatusCode, HeaderMap), Problem> {
    if let (Means::Session, Some(token)) = (caller.means, state.access.session_token(&parts)) {
        let audit = state.access.act(&caller, "session.close", "", &json!({}));
        state.access.store.close_session(&token.digest(), &audit).await?;
    }
    Ok((StatusCode::NO_CONTENT, state.access.cookie(&parts, "", Span::from_secs(0))))
}

impl Access {
    /// The caller whose session this is; a write must carry the session's other token too.
    pub(super) async fn by_session(&self, parts: &Parts, token: &SessionToken) -> Result<Caller, Problem> {
        let now = self.clock.now();
        let row = self.store.session(&token.digest(), now).await?.filter(|key| key.is_valid(now));
        let Some(row) = row else { return Err(unauthorized("the session has ended; log in again")) };
        let sent = parts.headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
        if !is_safe(&parts.method) && !sent.is_some_and(|sent| token.csrf_fits(sent)) {
            let detail = "the header `x-csrf-token` is missing or not the session's";
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        Ok(keys::caller(row, Means::Session))
    }

    /// The token in the cookie. Only one name counts: a cookie that another program of this host or
    /// domain could have set is not looked at where the better one is used.
    pub(super) fn session_token(&self, parts: &Parts) -> Option<SessionToken> {
        let name = self.cookie_name(parts);
        let cookies = parts.headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(found, _)| *found == name).find_map(|(_, value)| SessionToken::parse(value))
    }

    /// Over HTTPS the browser itself sees to it that nobody but this host has set the cookie (RFC 6265bis,
    /// §4.1.3.2).
    fn cookie_name(&self, parts: &Parts) -> &'static str {
        if self.is_secure(parts) { "__Host-driftd_session" } else { "driftd_session" }
    }

    /// Whether the cookie must never travel without TLS: everywhere but on this very machine. A header
    /// of a proxy can only make it stricter.
    fn is_secure(&self, parts: &Parts) -> bool {
        let https = parts.headers.get(FORWARDED_PROTO).is_some_and(|proto| proto == "https");
        https || !self.loopback || !origin::names_this_machine(parts)
    }

    fn cookie(&self, parts: &Parts, value: &str, lasts: Span) -> HeaderMap {
        let (name, seconds) = (self.cookie_name(parts), lasts.micros() / 1_000_000);
        let secure = if self.is_secure(parts) { "; Secure" } else { "" };
        let text = format!("{name}={value}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}{secure}");
        let mut value = HeaderValue::from_str(&text).expect("a token is hexadecimal digits");
        value.set_sensitive(true);
        HeaderMap::from_iter([
            (header::SET_COOKIE, value),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ])
    }
}
