//! The door from outside: requests of every kind against a router with one read and one write.

use std::sync::atomic::{AtomicI64, Ordering};

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::request::Builder;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::*;
use crate::access::grant::{Grant, Grants};
use crate::access::jwt::{Expected, KeySource};
use crate::access::key::ApiKey;
use crate::api::settings::Settings;
use crate::api::{ApiState, router};
use crate::drift::time::{Span, Timestamp};
use crate::retrain::desk::Desk;
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
        let state = ApiState::new(
            store.clone(),
            Desk::of(store.clone()),
            vec![],
            access.clone(),
            Settings::default(),
            CancellationToken::new(),
        );
        let desk = Router::new()
            .route("/desk/{id}", get(|caller: Caller| async move { caller.name }).post(write))
            .with_state(Arc::default());
        let desk = crate::api::guarded(desk, &access);
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
async fn write(
    State(done): State<Arc<AtomicI64>>,
    caller: Caller,
    Path(id): Path<String>,
    body: String,
) -> Result<Json<Value>, Problem> {
    caller.require(Role::Operator)?;
    let time = done.fetch_add(1, Ordering::Relaxed) + 1;
    if body == "fail" && time < 2 {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the first time it fails"));
    }
    Ok(Json(json!({"by": caller.name, "to": id, "time": time})))
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
    assert_eq!((done.status, done.body), (200, json!({"by": "omar", "to": "1", "time": 1})));
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

/// The cookie that an answer sets, as `name=value`, with its attributes.
fn cookie(answered: &Answered) -> (String, String) {
    let set = answered.headers["set-cookie"].to_str().expect("text");
    let (pair, attributes) = set.split_once("; ").expect("attributes");
    (pair.to_owned(), attributes.to_owned())
}

fn log_in(key: &str) -> (Builder, String) {
    let request = ask("POST", "/api/v1/session").header("content-type", "application/json");
    (request, json!({"api_key": key}).to_string())
}

#[tokio::test]
async fn a_session_is_its_browsers_alone() {
    let scene = Scene::new(Policy::Asked).await;
    let key = scene.key("omar", Role::Operator, &[Scope::RetrainingApprove]).await;
    let (request, body) = log_in(&key);
    let opened = scene.send(request, body).await;
    assert_eq!((opened.status, &opened.headers["cache-control"]), (200, &HeaderValue::from_static("no-store")));
    let (pair, attributes) = cookie(&opened);
    assert_eq!(attributes, "HttpOnly; SameSite=Strict; Path=/; Max-Age=3600", "no longer than its key");
    let csrf = opened.body["csrf_token"].as_str().expect("a token").to_owned();
    let expected = json!({"csrf_token": csrf, "name": "omar", "roles": ["viewer", "operator"],
        "scopes": ["retraining:approve"], "means": "session"});
    assert_eq!(opened.body, expected);
    let mine = |method: &str, path: &str| ask(method, path).header("cookie", format!("a=b; {pair}; c=d"));
    assert_eq!(scene.send(mine("GET", "/api/v1/session"), "").await.body, expected, "a page that is loaded again");
    assert_eq!(scene.send(mine("GET", "/api/v1/models"), "").await.status, 200);

    // A write needs what only our page knows; a page from elsewhere is refused even with it.
    for wrong in ["", "x", pair.split('=').nth(1).expect("a value")] {
        assert_eq!(scene.send(mine("POST", "/desk/1").header("x-csrf-token", wrong), "").await.status, 403);
    }
    assert_eq!(scene.send(mine("POST", "/desk/1"), "").await.status, 403);
    let foreign = mine("POST", "/desk/1").header("x-csrf-token", &csrf).header("origin", "https://evil.example");
    assert_eq!(scene.send(foreign, "").await.status, 403);
    assert_eq!(scene.send(mine("POST", "/desk/1").header("x-csrf-token", &csrf), "").await.status, 200);

    // Logging out needs it too, and ends the session, not only the cookie.
    assert_eq!(scene.send(mine("DELETE", "/api/v1/session"), "").await.status, 403);
    let closed = scene.send(mine("DELETE", "/api/v1/session").header("x-csrf-token", &csrf), "").await;
    assert_eq!((closed.status, cookie(&closed).0.as_str()), (204, "driftd_session="));
    assert_eq!(scene.send(mine("GET", "/api/v1/session"), "").await.status, 401);
    let rows = scene.store.audits(&AuditFilter::default(), 2).await.expect("read");
    let told: Vec<_> = rows.iter().map(|r| (r.actor.as_str(), r.means.as_str(), r.action.as_str())).collect();
    assert!(
        told.contains(&("omar", "session", "session.open")) && told.contains(&("omar", "session", "session.close"))
    );
}

#[tokio::test]
async fn sessions_end_and_are_opened_by_keys_only() {
    let scene = Scene::new(Policy::Asked).await;
    let key = scene.key("omar", Role::Operator, &[]).await;
    let open = async || {
        let (request, body) = log_in(&key);
        cookie(&scene.send(request, body).await).0
    };
    let status = async |pair: &str| scene.send(ask("GET", "/api/v1/session").header("cookie", pair), "").await.status;
    let (first, second) = (open().await, open().await);
    assert_ne!(first, second);
    assert_eq!((status(&first).await, status(&second).await), (200, 200));
    assert_eq!(status(&format!("{first}0")).await, 401);
    assert_eq!(status(&first.replace("driftd_session", "__Host-driftd_session")).await, 401, "not this name here");
    // A wrong key in the header is not helped by a good cookie.
    let both = with("driftd_x", "GET", "/api/v1/session").header("cookie", &first);
    assert_eq!(scene.send(both, "").await.status, 401);
    scene.revoke(&key).await;
    assert_eq!((status(&first).await, status(&second).await), (401, 401), "with its key");

    let key = scene.key("late", Role::Viewer, &[]).await;
    let (request, body) = log_in(&key);
    let pair = cookie(&scene.send(request, body.clone()).await).0;
    scene.pass(3_600);
    assert_eq!(status(&pair).await, 401, "with its time");
    let (request, _) = log_in(&key);
    assert_eq!(scene.send(request, body.clone()).await.status, 401, "the key has expired");
    let cross = ask("POST", "/api/v1/session").header("content-type", "application/json");
    assert_eq!(scene.send(cross.header("sec-fetch-site", "cross-site"), body.clone()).await.status, 403);
    // A form of another site can send no JSON.
    let form = ask("POST", "/api/v1/session").header("content-type", "text/plain");
    assert_eq!(scene.send(form, body).await.status, 415);
    let (request, _) = log_in("");
    assert_eq!(scene.send(request, "{").await.status, 400);
    let local = Scene::new(Policy::Local).await;
    let (request, body) = log_in("x");
    assert_eq!(local.send(request, body).await.status, 409, "nobody is asked");
    let session = local.send(ask("GET", "/api/v1/session"), "").await.body;
    assert_eq!((&session["name"], &session["csrf_token"]), (&json!("local"), &Value::Null));
}

#[tokio::test]
async fn cookies_travel_without_tls_on_this_machine_only() {
    let away = Scene::with(Policy::Asked, |access| access.listening("0.0.0.0".parse().expect("an address"))).await;
    let near = Scene::new(Policy::Asked).await;
    for (scene, host, forwarded) in
        [(&away, "localhost:8080", ""), (&near, "driftd.example", ""), (&near, "localhost", "https")]
    {
        let key = scene.key("a", Role::Viewer, &[]).await;
        let request = Request::builder().method("POST").uri("/api/v1/session").header("host", host);
        let request = request.header("content-type", "application/json").header("x-forwarded-proto", forwarded);
        let (pair, attributes) = cookie(&scene.send(request, json!({"api_key": key}).to_string()).await);
        assert!(pair.starts_with("__Host-driftd_session=") && attributes.ends_with("; Secure"), "{host} {forwarded}");
    }
}

#[tokio::test]
async fn a_write_with_a_key_is_done_once() {
    let scene = Scene::new(Policy::Asked).await;
    let (omar, olga) = (scene.key("omar", Role::Operator, &[]).await, scene.key("olga", Role::Operator, &[]).await);
    let send = async |who: &str, path: &str, key: &str, body: &str| {
        scene.send(with(who, "POST", path).header("idempotency-key", key), body.to_owned()).await
    };
    let first = send(&omar, "/desk/1", "k1", "a").await;
    assert_eq!((first.status, &first.body["time"], first.headers.get("idempotency-replayed")), (200, &json!(1), None));
    let again = send(&omar, "/desk/1", "k1", "a").await;
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert!(again.headers["idempotency-replayed"] == "true" && again.headers["content-type"] == "application/json");
    for (path, body) in [("/desk/1", "b"), ("/desk/2", "a"), ("/desk/1?x=1", "a")] {
        assert_eq!(send(&omar, path, "k1", body).await.status, 422, "{path} {body}");
    }
    assert_eq!(send(&olga, "/desk/1", "k1", "a").await.body["by"], "olga", "each caller has their own");
    for wrong in ["", "a b", &"x".repeat(256)] {
        assert_eq!(send(&omar, "/desk/1", wrong, "a").await.status, 400, "{wrong}");
    }
    assert_eq!(send(&omar, "/desk/1", "k2", &"x".repeat(70_000)).await.status, 413);
    let viewer = scene.key("vera", Role::Viewer, &[]).await;
    assert_eq!(send(&viewer, "/desk/1", "k3", "a").await.status, 403);
    assert_eq!(send(&viewer, "/desk/1", "k3", "b").await.status, 403, "a refusal is not kept");

    let scene = Scene::new(Policy::Local).await;
    let send = async || scene.send(ask("POST", "/desk/1").header("idempotency-key", "k"), "fail").await.status;
    assert_eq!((send().await, send().await, send().await), (503, 200, 200), "a failure may be tried again");
}

#[tokio::test]
async fn who_asks_too_much_waits() {
    let scene = Scene::with(Policy::Asked, |access| access.limited(1.0, 3.0)).await;
    let (greedy, other) = (scene.key("g", Role::Viewer, &[]).await, scene.key("o", Role::Viewer, &[]).await);
    for _ in 0..3 {
        assert_eq!(scene.send(with(&greedy, "GET", "/api/v1/models"), "").await.status, 200);
    }
    let limited = scene.send(with(&greedy, "GET", "/api/v1/models"), "").await;
    assert_eq!((limited.status, &limited.headers["retry-after"]), (429, &HeaderValue::from_static("1")));
    assert_eq!(scene.send(with(&other, "GET", "/api/v1/models"), "").await.status, 200);
    scene.pass(1);
    assert_eq!(scene.send(with(&greedy, "GET", "/api/v1/models"), "").await.status, 200);

    // Guessing is slowed down, told in the audit, and holds nobody up who has a key.
    let guess = async || scene.send(with(&ApiKey::generate().reveal(), "GET", "/api/v1/models"), "").await.status;
    for _ in 0..10 {
        assert_eq!(guess().await, 401);
    }
    assert_eq!(guess().await, 429);
    assert_eq!(scene.send(with(&other, "GET", "/api/v1/models"), "").await.status, 200);
    for _ in 0..100 {
        guess().await;
    }
    let filter = AuditFilter { action: Some("authenticate".into()), ..AuditFilter::default() };
    let rows = scene.store.audits(&filter, 500).await.expect("read");
    assert_eq!((rows.len(), rows[0].outcome), (10, Outcome::Refused), "not one for each try");
}

/// An issuer whose keys are what was last put here, and which counts how often it is asked.
#[derive(Default)]
struct Issuer {
    set: std::sync::Mutex<Option<String>>,
    asked: AtomicI64,
}

#[async_trait::async_trait]
impl KeySource for Issuer {
    async fn fetch(&self) -> Result<String, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.set.lock().expect("not poisoned").clone().ok_or_else(|| "away".to_owned())
    }
}

fn new_pair() -> Ed25519KeyPair {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).expect("a key");
    Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).expect("its own")
}

fn set_of(pairs: &[(&str, &Ed25519KeyPair)]) -> String {
    let key = |(kid, pair): &(&str, &Ed25519KeyPair)| json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": BASE64.encode(pair.public_key())});
    json!({"keys": pairs.iter().map(key).collect::<Vec<_>>()}).to_string()
}

fn token(kid: &str, pair: &Ed25519KeyPair, groups: &[&str]) -> String {
    let header = json!({"alg": "EdDSA", "kid": kid});
    let claims = json!({"iss": "https://id.example", "aud": "driftd", "sub": "u1", "exp": 1_000_000, "groups": groups});
    let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
    format!("{signed}.{}", BASE64.encode(pair.sign(signed.as_bytes())))
}

#[tokio::test]
async fn a_token_is_worth_what_its_claims_grant() {
    let issuer = Arc::new(Issuer::default());
    let expected = Expected { issuer: "https://id.example".into(), audience: "driftd".into() };
    let grant = Grant { value: "sre".into(), role: Role::Operator, scopes: BTreeSet::new() };
    let grants = Grants { name_claim: "sub".into(), roles_claim: "groups".into(), grants: vec![grant] };
    let tokens = Tokens::new(expected, grants, issuer.clone());
    let scene = Scene::with(Policy::Asked, |access| access.taking(tokens)).await;
    let (first, second) = (new_pair(), new_pair());
    let status = async |token: &str, method: &str| scene.send(with(token, method, "/desk/1"), "").await.status;
    let asked = || issuer.asked.load(Ordering::Relaxed);

    // An issuer that is away is asked once a minute, and nobody is let in meanwhile.
    let good = token("1", &first, &["sre"]);
    assert_eq!((status(&good, "GET").await, status(&good, "GET").await, asked()), (503, 503, 1));
    *issuer.set.lock().expect("not poisoned") = Some(set_of(&[("1", &first)]));
    scene.pass(60);
    assert_eq!((status(&good, "GET").await, status(&good, "POST").await, asked()), (200, 200, 2));
    assert_eq!(scene.send(with(&good, "GET", "/api/v1/session"), "").await.body["means"], "token");
    assert_eq!(status(&token("1", &first, &["other"]), "GET").await, 403, "known, and granted nothing");
    assert_eq!(scene.send(with(&good, "GET", "/api/v1/audit"), "").await.status, 403, "no admin");
    let key = scene.key("k", Role::Viewer, &[]).await;
    assert_eq!(status(&key, "GET").await, 200, "keys open too");

    // A new key is found by one look, an unknown one costs one look a minute.
    let renewed = token("2", &second, &["sre"]);
    assert_eq!(status(&renewed, "GET").await, 401);
    *issuer.set.lock().expect("not poisoned") = Some(set_of(&[("2", &second)]));
    assert_eq!((status(&renewed, "GET").await, asked()), (401, 2), "not yet");
    scene.pass(60);
    assert_eq!((status(&renewed, "GET").await, asked()), (200, 3));
    assert_eq!(status(&good, "GET").await, 401, "the issuer has withdrawn it");
    assert_eq!(asked(), 3);

    // An issuer that goes away takes its callers along after a day.
    *issuer.set.lock().expect("not poisoned") = None;
    scene.pass(23 * 3_600);
    assert_eq!(status(&renewed, "GET").await, 200);
    scene.pass(2 * 3_600);
    assert_eq!(status(&renewed, "GET").await, 503);
}
