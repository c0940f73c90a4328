//! Who asks, and whether they may. A handler takes a [`Caller`] and says what it needs:
//! `caller.require(Role::Operator)?`. What it changes goes with a row of the audit, in one transaction:
//! `caller.act("alert.acknowledge", &id, &json!({…}))`.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Value, json};

use self::limit::Limits;
use self::tokens::Tokens;
use super::problem::Problem;
use crate::access::{Need, Role, Scope, key};
use crate::clock::Clock;
use crate::metrics;
use crate::store::access::{Actor, Outcome};
use crate::store::{AccessStore, AuditRow};

mod keys;
mod limit;
/// Writes that happen once.
pub mod once;
mod origin;
/// Sessions of the dashboard.
pub mod session;
/// Bearer tokens of an issuer.
pub mod tokens;

/// Who asks, once they have proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Name in the audit.
    pub name: String,
    /// What tells callers of one name apart.
    pub id: String,
    /// How they proved it.
    pub means: Means,
    /// What they may do.
    pub role: Role,
    /// What they were granted by name.
    pub scopes: BTreeSet<Scope>,
}

/// How a caller proved who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// By an API key.
    Key,
    /// By a session that was opened with an API key.
    Session,
    /// By a bearer token of the issuer.
    Token,
    /// By being on this machine.
    Local,
    /// Not at all.
    None,
}

/// How callers prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Not at all: the API listens on this machine only, and whoever is on it is an admin.
    Local,
    /// Not at all, on an address that others reach: everybody is a viewer.
    Open,
    /// By an API key, a session that was opened with one, or a bearer token where an issuer is named.
    Asked,
}

/// Requests a second of one caller, and so many at once: a page of the dashboard asks for some twenty
/// things, a script for as many as the store bears beside its own work.
const RATE: (f64, f64) = (50.0, 200.0);
/// Tries of one address that prove nothing: enough for a person who mistypes.
const FAILURES: (f64, f64) = (1.0, 10.0);
/// Rows in the audit for such tries, over all addresses: whoever guesses must not fill the store.
const FAILURES_KEPT: (f64, f64) = (1.0 / 60.0, 10.0);

/// The API's door.
pub struct Access {
    policy: Policy,
    pub(super) store: Arc<dyn AccessStore>,
    clock: Clock,
    loopback: bool,
    tokens: RwLock<Option<Arc<Tokens>>>,
    limits: Limits,
    failures: Limits,
    failures_kept: Limits,
}

impl Access {
    /// The door of an API whose callers are known to this store.
    pub fn new(policy: Policy, store: Arc<dyn AccessStore>, clock: Clock) -> Access {
        let limits = |(per_second, burst)| Limits::new(per_second, burst);
        let (failures, failures_kept) = (limits(FAILURES), limits(FAILURES_KEPT));
        Access {
            policy,
            store,
            clock,
            loopback: true,
            tokens: RwLock::default(),
            limits: limits(RATE),
            failures,
            failures_kept,
        }
    }

    /// Listening on this address: cookies may travel without TLS only on this machine.
    #[must_use]
    pub fn listening(self, address: IpAddr) -> Access {
        Access { loopback: address.is_loopback(), ..self }
    }

    /// Taking bearer tokens of an issuer too, beside API keys.
    #[must_use]
    pub fn taking(self, tokens: Tokens) -> Access {
        self.take_tokens(tokens);
        self
    }

    /// As [`Access::taking`], from now on: callers who are known already must show a token that counts.
    pub fn take_tokens(&self, tokens: Tokens) {
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tokens));
    }

    /// Other limits of one caller from now on.
    pub fn limit_to(&self, limit: (f64, f64)) {
        self.limits.set(limit);
    }

    /// With other limits of one caller: requests a second, and so many at once.
    #[must_use]
    pub fn limited(self, per_second: f64, burst: f64) -> Access {
        Access { limits: Limits::new(per_second, burst), ..self }
    }

    /// Whether callers have to prove who they are.
    fn asks(&self) -> bool {
        self.policy == Policy::Asked
    }

    async fn caller(&self, parts: &Parts) -> Result<Caller, Problem> {
        match self.policy {
            Policy::Local if !origin::names_this_machine(parts) => {
                let detail = "without authentication the API answers only to `localhost`, `127.0.0.1` and `[::1]`";
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
            Policy::Local => Ok(Caller::unproven("local", Means::Local, Role::Admin, Scope::ALL.into())),
            Policy::Open => Ok(Caller::unproven("anonymous", Means::None, Role::Viewer, BTreeSet::new())),
            Policy::Asked => match bearer(parts)? {
                Some(token) => match self.by_bearer(token).await {
                    Ok(caller) => Ok(caller),
                    Err(problem) => Err(self.failed(parts, problem).await),
                },
                None if let Some(token) = self.session_token(parts) => self.by_session(parts, &token).await,
                None => Err(unauthorized("say who you are: `authorization: Bearer …`, or a session's cookie")),
            },
        }
    }

    /// An API key says by its first letters that it is one.
    async fn by_bearer(&self, token: &str) -> Result<Caller, Problem> {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone();
        match tokens {
            Some(tokens) if !token.starts_with(key::PREFIX) => tokens.caller(token, self.clock.now()).await,
            _ => self.by_key(token).await,
        }
    }

    /// What somebody hears who proves nothing: why, or, after some tries, when to try again. Who proves
    /// who they are is never held up by those who do not.
    async fn failed(&self, parts: &Parts, problem: Problem) -> Problem {
        if problem.status != StatusCode::UNAUTHORIZED.as_u16() {
            return problem;
        }
        let (from, now) = (peer(parts), self.clock.now());
        if self.failures_kept.take("", now).is_ok() {
            let nobody = Caller::unproven("unknown", Means::None, Role::Viewer, BTreeSet::new());
            let detail = json!({"from": from, "why": problem.detail});
            self.keep_refusal(AuditRow::done(&nobody.actor(), "authenticate", parts.uri.path(), &detail, now)).await;
        }
        match self.failures.take(&from, now) {
            Ok(()) => problem,
            Err(secs) => too_many("too many tries that prove nothing", secs),
        }
    }

    /// Whether the caller may ask now.
    fn limit(&self, caller: &Caller, parts: &Parts) -> Result<(), Problem> {
        let name = match caller.means {
            Means::Local => return Ok(()),
            Means::None => peer(parts),
            _ => caller.id.clone(),
        };
        self.limits.take(&name, self.clock.now()).map_err(|secs| too_many("too many requests of one caller", secs))
    }

    /// An act of a caller now.
    fn act(&self, caller: &Caller, action: &str, object: &str, detail: &Value) -> AuditRow {
        AuditRow::done(&caller.actor(), action, object, detail, self.clock.now())
    }

    /// A write that was refused, or a reading of texts, leaves a row too. If it cannot be written the answer stays a
    /// refusal.
    pub(super) async fn refused(&self, caller: &Caller, action: &str, path: &str) {
        self.keep_refusal(self.act(caller, action, path, &json!({}))).await;
    }

    async fn keep_refusal(&self, row: AuditRow) {
        if let Err(error) = self.store.audit(&AuditRow { outcome: Outcome::Refused, ..row }).await {
            tracing::warn!(error = %crate::telemetry::chain(&error), "a refusal is not in the audit");
        }
    }
}

impl Caller {
    fn unproven(name: &str, means: Means, role: Role, scopes: BTreeSet<Scope>) -> Caller {
        Caller { name: name.to_owned(), id: name.to_owned(), means, role, scopes }
    }

    /// Whether the caller has what an operation needs.
    ///
    /// # Errors
    /// A 403 that names what is lacking.
    pub fn require(&self, need: impl Into<Need>) -> Result<(), Problem> {
        let need = need.into();
        let granted = match need {
            Need::Role(role) => self.role >= role,
            Need::Scope(scope) => self.scopes.contains(&scope),
        };
        if granted {
            return Ok(());
        }
        Err(Problem::new(StatusCode::FORBIDDEN, format!("this needs {need}")))
    }

    /// The row of the audit for what the caller does now: an action such as `alert.acknowledge`, the id of
    /// what it is done to, and further facts as a JSON object. The store writes it with the change.
    pub fn act(&self, action: &str, object: &str, detail: &Value) -> AuditRow {
        AuditRow::done(&self.actor(), action, object, detail, crate::clock::now())
    }

    fn actor(&self) -> Actor {
        Actor { name: self.name.clone(), id: self.id.clone(), means: self.means.name() }
    }
}

impl Means {
    /// The name in the audit and the API.
    pub fn name(self) -> &'static str {
        match self {
            Means::Key => "key",
            Means::Session => "session",
            Means::Token => "token",
            Means::Local => "local",
            Means::None => "none",
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(|| unauthorized("nobody was asked who they are"))
    }
}

/// Finds out who asks, and puts the [`Caller`] where handlers find it.
pub async fn identify(State(access): State<Arc<Access>>, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let writes = !is_safe(&parts.method);
    if writes {
        origin::check(&parts)?;
    }
    let caller = access.caller(&parts).await?;
    access.limit(&caller, &parts)?;
    let route = parts.extensions.get::<MatchedPath>().map_or_else(String::new, |p| p.as_str().to_owned());
    let (action, path) = (format!("{} {route}", parts.method), parts.uri.path().to_owned());
    parts.extensions.insert(caller.clone());
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if writes && response.status() == StatusCode::FORBIDDEN {
        access.refused(&caller, &action, &path).await;
    }
    // What one caller may read is not for a cache that others share.
    let private = HeaderValue::from_static("private, no-cache");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(private);
    Ok(response)
}

/// Methods that change nothing, RFC 9110 §9.2.1.
fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// The token of `authorization: Bearer …`; `None` without the header.
fn bearer(parts: &Parts) -> Result<Option<&str>, Problem> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match parts.headers.contains_key(header::AUTHORIZATION) {
            true => Err(unauthorized("`authorization` is sent more than once")),
            false => Ok(None),
        };
    };
    let token = value.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(scheme, token)| {
        scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && !token.contains([' ', ','])
    });
    token.map(|(_, token)| Some(token)).ok_or_else(|| unauthorized("`authorization` must be `Bearer` and one token"))
}

/// The address that a request came from; a proxy's, where there is one.
fn peer(parts: &Parts) -> String {
    let address = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    address.map_or_else(|| "unknown".to_owned(), |ConnectInfo(address)| address.ip().to_string())
}

fn too_many(what: &str, secs: u64) -> Problem {
    metrics::limited();
    Problem::new(StatusCode::TOO_MANY_REQUESTS, format!("{what}; try again in {secs} s")).retry_after(secs)
}

/// The answer to those who have not proved who they are.
fn unauthorized(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, detail)
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
