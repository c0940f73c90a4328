//! Who asks, and whether they may. A handler takes a [`Caller`] and says what it needs:
//! `caller.require(Role::Operator)?`.

use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::access::{Need, Role, Scope};

/// Who asks, once they have proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Name in the audit.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What they were granted by name.
    pub scopes: BTreeSet<Scope>,
}

/// How callers prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Not at all: the API listens on this machine only, and whoever is on it is an admin.
    Local,
    /// Not at all, on an address that others reach: everybody is a viewer.
    Open,
}

impl Caller {
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
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(unauthorized)
    }
}

/// Finds out who asks, and puts the [`Caller`] where handlers find it.
pub async fn identify(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let caller = match access {
        Access::Local if !names_this_machine(&request) => {
            let detail = "without authentication the API answers only to `localhost`, `127.0.0.1` and `[::1]`";
            return Problem::new(StatusCode::FORBIDDEN, detail).into_response();
        }
        Access::Local => Caller { name: "local".to_owned(), role: Role::Admin, scopes: Scope::ALL.into() },
        Access::Open => Caller { name: "anonymous".to_owned(), role: Role::Viewer, scopes: BTreeSet::new() },
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

/// Whether the request was meant for this machine: a page from elsewhere whose name was made to
/// point here (DNS rebinding) says its own name in `Host`, and a page from elsewhere its own in `Origin`.
fn names_this_machine(request: &Request) -> bool {
    let header = |name| request.headers().get(name).map(|v| v.to_str().unwrap_or_default());
    let host = header(header::HOST).or_else(|| request.uri().authority().map(axum::http::uri::Authority::as_str));
    let origin = header(header::ORIGIN).map(|o| o.split_once("://").map_or(o, |(_, host)| host));
    host.is_some_and(is_local) && origin.is_none_or(is_local)
}

fn is_local(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The answer to those who have not said who they are.
fn unauthorized() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "say who you are: `authorization: Bearer …`, or a session's cookie")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_contain_each_other_and_never_a_scope() {
        let admin = Caller { name: "a".into(), role: Role::Admin, scopes: BTreeSet::new() };
        admin.require(Role::Viewer).expect("contained");
        admin.require(Role::Admin).expect("its own");
        let refused = admin.require(Scope::RetrainingApprove).expect_err("not granted");
        assert_eq!((refused.status, refused.detail.as_str()), (403, "this needs the scope `retraining:approve`"));
        let viewer = Caller { name: "v".into(), role: Role::Viewer, scopes: Scope::ALL.into() };
        viewer.require(Scope::SamplesRead).expect("granted");
        assert_eq!(viewer.require(Role::Operator).expect_err("more than it is").status, 403);
    }

    #[test]
    fn only_this_machine_is_local() {
        for local in ["localhost", "localhost:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080", "[::1]"] {
            assert!(is_local(local), "{local}");
        }
        for other in ["", "evil.example", "localhost.evil.example:8080", "127.0.0.1.evil.example", "10.0.0.1:80", "::"]
        {
            assert!(!is_local(other), "{other}");
        }
    }
}
