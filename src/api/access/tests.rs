//! The door from outside: requests of every kind against a router with one read and one write.

use std::sync::atomic::{AtomicI64, Ordering};

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::request::Builder;
use axum::routing::get;
use tempfile::TempDir;
use tower::ServiceExt as _;

use super::*;
use crate::access::key::ApiKey;
use crate::api::{ApiState, router};
use crate::drift::time::{Span, Timestamp};
use crate::store::SqlStore;
use crate::store::access::{AuditFilter, KeyRow};

/// An API on a store of its own, whose clock stands still until it is moved.
pub(super) struct Scene {
    pub(super) router: Router,
    pub(super) store: Arc<SqlStore>,
    pub(super) access: Arc<Access>,
    secs: Arc<AtomicI64>,
    _directory: TempDir,
}

/// What came back.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) body: Value,
}

impl Scene {
    pub(super) async fn new(policy: Policy) -> Scene {
        Scene::with(policy, |access| access).await
    }

    pub(super) async fn with(policy: Policy, change: impl FnOnce(Access) -> Access) -> Scene {
        let directory = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}/store.db", directory.path().display());
        let store = Arc::new(SqlStore::open(&url.into()).await.expect("opens"));
        let secs = Arc::new(AtomicI64::new(1_000));
        let shown = secs.clone();
        let clock = Clock::from_fn(move || Timestamp::from_micros(shown.load(Ordering::Relaxed) * 1_000_000));
        let access = Arc::new(change(Access::new(policy, store.clone(), clock)));
        let state = ApiState { store: store.clone(), roles: Arc::default(), access: access.clone() };
        let desk = Router::new()
            .route("/desk/{id}", get(|caller: Caller| async move { caller.name }).post(write))
            .layer(axum::middleware::from_fn_with_state(access.clone(), identify));
        Scene { router: desk.merge(router(state)), store, access, secs, _directory: directory }
    }

    pub(super) fn pass(&self, secs: i64) {
        self.secs.fetch_add(secs, Ordering::Relaxed);
    }

    pub(super) async fn key(&self, name: &str, role: Role, scopes: &[Scope]) -> String {
        let (key, now) = (ApiKey::generate(), self.access.clock.now());
        let row = KeyRow {
            key_id: key.id.clone(),
            name: name.into(),
            secret_sha256: key.digest(),
            role,
            scopes: scopes.iter().copied().collect(),
            created: now,
            expires: Some(now.plus(Span::from_secs(3_600))),
            revoked: None,
            last_used: None,
        };
        self.store.create_key(&row, &self.act("key.create", &key.id)).await.expect("stored");
        key.reveal()
    }

    /// An act of the test's at the time of its clock.
    fn act(&self, action: &str, object: &str) -> AuditRow {
        let actor = Actor { name: "test".into(), id: "test".into(), means: "command" };
        AuditRow::done(&actor, action, object, &json!({}), self.access.clock.now())
    }

    pub(super) async fn revoke(&self, key: &str) {
        let id = key.split('_').nth(1).expect("an id");
        assert!(self.store.revoke_key(id, &self.act("key.revoke", id)).await.expect("revoked"));
    }

    pub(super) async fn send(&self, request: Builder, body: impl Into<Body>) -> Answered {
        let request = request.body(body.into()).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("answers");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.expect("a body");
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes)));
        if parts.status.is_client_error() || parts.status.is_server_error() {
            assert_eq!(parts.headers["content-type"], "application/problem+json", "{body}");
            assert_eq!(body["status"], parts.status.as_u16());
        }
        Answered { status: parts.status.as_u16(), headers: parts.headers, body }
    }
}

/// A request to this machine.
pub(super) fn ask(method: &str, path: &str) -> Builder {
    Request::builder().method(method).uri(path).header("host", "localhost:8080")
}

/// A request with a bearer token.
pub(super) fn with(token: &str, method: &str, path: &str) -> Builder {
    ask(method, path).header("authorization", format!("Bearer {token}"))
}

/// What an endpoint that writes does.
async fn write(caller: Caller, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
    caller.require(Role::Operator)?;
    Ok(Json(json!({"by": caller.name, "to": id})))
}

#[tokio::test]
async fn a_key_opens_what_its_role_contains_and_nothing_else() {
    let scene = Scene::new(Policy::Asked).await;
    let viewer = scene.key("vera", Role::Viewer, &[Scope::RetrainingApprove]).await;
    let operator = scene.key("omar", Role::Operator, &[]).await;
    let admin = scene.key("ada", Role::Admin, &[]).await;
    scene.pass(1);
    assert_eq!(scene.send(with(&viewer, "GET", "/api/v1/models"), "").await.status, 200);
    assert_eq!(scene.send(with(&viewer, "GET", "/desk/1"), "").await.body, "vera");
    let done = scene.send(with(&operator, "POST", "/desk/1"), "").await;
    assert_eq!((done.status, done.body), (200, json!({"by": "omar", "to": "1"})));
    let refused = scene.send(with(&viewer, "POST", "/desk/7"), "").await;
    assert_eq!((refused.status, refused.body["detail"].as_str()), (403, Some("this needs the role `operator`")));

    // The audit is the admin's, and tells of the refusal.
    assert_eq!(scene.send(with(&operator, "GET", "/api/v1/audit"), "").await.status, 403);
    let audit = scene.send(with(&admin, "GET", "/api/v1/audit?limit=1"), "").await;
    assert_eq!(audit.headers["cache-control"], "private, no-cache");
    let row = &audit.body["data"][0];
    assert_eq!(
        [&row["actor"], &row["means"], &row["action"], &row["object"], &row["outcome"]],
        ["vera", "key", "POST /desk/{id}", "/desk/7", "refused"]
    );
    let cursor = audit.body["next_cursor"].as_str().expect("more").to_owned();
    let next = scene.send(with(&admin, "GET", &format!("/api/v1/audit?cursor={cursor}&action=key.create")), "").await;
    assert_eq!((next.body["data"].as_array().map(Vec::len), &next.body["next_cursor"]), (Some(3), &Value::Null));
    let used = scene.store.keys().await.expect("read");
    assert!(used.iter().all(|key| key.last_used == Some(scene.access.clock.now())), "{used:?}");
}

#[tokio::test]
async fn who_proves_nothing_gets_nothing() {
    let scene = Scene::new(Policy::Asked).await;
    let (good, other) = (scene.key("a", Role::Admin, &[]).await, scene.key("b", Role::Admin, &[]).await);
    let status = async |request: Builder| {
        let answered = scene.send(request, "").await;
        assert!(answered.status != 401 || answered.headers["www-authenticate"] == "Bearer realm=\"driftd\"");
        answered.status
    };
    assert_eq!(status(with(&good, "GET", "/api/v1/status")).await, 200);
    assert_eq!(status(ask("GET", "/api/v1/status")).await, 401, "no key");
    // The id of one key with the secret of another.
    let mixed = format!("{}_{}", &good[..23], &other[24..]);
    assert_eq!(mixed.len(), good.len());
    for bad in ["", "x", "driftd_", &mixed, &good[..good.len() - 1], &good.to_uppercase(), "' or 1=1 --"] {
        assert_eq!(status(with(bad, "GET", "/api/v1/status")).await, 401, "{bad}");
    }
    // A key elsewhere than in its header is none.
    assert_eq!(status(ask("GET", &format!("/api/v1/status?access_token={good}"))).await, 401);
    assert_eq!(status(ask("GET", "/api/v1/status").header("x-api-key", &good)).await, 401);
    assert_eq!(status(with(&good, "GET", "/api/v1/status").header("authorization", "Bearer x")).await, 401);
    // What the document says is for everybody.
    assert_eq!(status(ask("GET", "/api/v1/openapi.json")).await, 200);
    // No header changes the method, and no other method comes past the check.
    let viewer = scene.key("v", Role::Viewer, &[]).await;
    let overridden = with(&viewer, "GET", "/desk/1").header("x-http-method-override", "POST");
    assert_eq!(scene.send(overridden, "").await.body, "v", "read as it was sent");
    assert_eq!(status(ask("DELETE", "/desk/1")).await, 401);

    scene.pass(3_600);
    let expired = scene.send(with(&good, "GET", "/api/v1/status"), "").await;
    assert_eq!((expired.status, expired.body["detail"].as_str()), (401, Some("the API key has expired")));
    let late = scene.key("c", Role::Viewer, &[]).await;
    assert_eq!(status(with(&late, "GET", "/api/v1/status")).await, 200);
    scene.revoke(&late).await;
    let revoked = scene.send(with(&late, "GET", "/api/v1/status"), "").await;
    assert_eq!((revoked.status, revoked.body["detail"].as_str()), (401, Some("the API key was revoked")));
}

#[tokio::test]
async fn without_authentication_this_machine_writes_and_others_read() {
    let local = Scene::new(Policy::Local).await;
    assert_eq!(local.send(ask("POST", "/desk/1"), "").await.status, 200);
    let rebound = Request::builder().method("GET").uri("/api/v1/models").header("host", "evil.example:8080");
    assert_eq!(local.send(rebound, "").await.status, 403);
    // Another program's page on this machine: the browser says so.
    for foreign in [("origin", "http://localhost:3000"), ("sec-fetch-site", "cross-site")] {
        assert_eq!(local.send(ask("POST", "/desk/1").header(foreign.0, foreign.1), "").await.status, 403);
    }
    let open = Scene::new(Policy::Open).await;
    let away = |method: &str, path: &str| Request::builder().method(method).uri(path).header("host", "driftd.example");
    assert_eq!(open.send(away("GET", "/api/v1/models"), "").await.status, 200);
    assert_eq!(open.send(away("POST", "/desk/1"), "").await.status, 403);
    assert_eq!(open.send(away("GET", "/api/v1/audit"), "").await.status, 403);
    let rows = open.store.audits(&AuditFilter::default(), 9).await.expect("read");
    assert_eq!((rows.len(), rows[0].actor.as_str()), (1, "anonymous"), "reads that are refused change nothing");
}

#[test]
fn roles_contain_each_other_and_never_a_scope() {
    let admin = Caller::unproven("a", Means::Local, Role::Admin, BTreeSet::new());
    admin.require(Role::Viewer).expect("contained");
    admin.require(Role::Admin).expect("its own");
    let refused = admin.require(Scope::RetrainingApprove).expect_err("not granted");
    assert_eq!((refused.status, refused.detail.as_str()), (403, "this needs the scope `retraining:approve`"));
    let viewer = Caller::unproven("v", Means::Local, Role::Viewer, Scope::ALL.into());
    viewer.require(Scope::SamplesRead).expect("granted");
    assert_eq!(viewer.require(Role::Operator).expect_err("more than it is").status, 403);
}

#[test]
fn one_bearer_token_and_nothing_else() {
    let read = |values: &[&str]| {
        let mut request = axum::http::Request::builder();
        for value in values {
            request = request.header("authorization", *value);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        bearer(&parts).map(|token| token.map(str::to_owned)).map_err(|problem| problem.status)
    };
    assert_eq!(read(&[]), Ok(None));
    for good in ["Bearer abc", "bearer abc", "BEARER abc"] {
        assert_eq!(read(&[good]), Ok(Some("abc".to_owned())), "{good}");
    }
    for bad in [&["Basic abc"][..], &["abc"], &["Bearer "], &["Bearer a b"], &["Bearer a,b"], &["Bearer a", "Bearer b"]]
    {
        assert_eq!(read(bad), Err(401), "{bad:?}");
    }
}
