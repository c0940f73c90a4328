//! Texts of an alert over HTTP: for those who may read them, on record, and kept by no cache.

use std::sync::Arc;

use driftd::access::key::ApiKey;
use driftd::access::{Role, Scope};
use driftd::api::access::{Access, Policy};
use driftd::api::settings::Settings;
use driftd::api::{self, ApiState};
use driftd::clock::Clock;
use driftd::retrain::desk::Desk;
use driftd::store::access::{Actor, KeyRow};
use driftd::store::{AccessStore as _, AuditRow};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::world::{self, World, at};

/// The same store behind a door that asks.
async fn asking(world: &World, policy: Policy) -> String {
    let read = Arc::new(world.store.clone());
    let access = Arc::new(Access::new(policy, read.clone(), Clock::wall()));
    let desk = Desk::of(read.clone());
    let state = ApiState::new(read, desk, vec!["api".into()], access, Settings::default(), CancellationToken::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(api::serve(listener, api::router(state), CancellationToken::new()));
    url
}

/// A key of these rights.
async fn key(world: &World, name: &str, role: Role, scopes: &[Scope]) -> String {
    let key = ApiKey::generate();
    let row = KeyRow {
        key_id: key.id.clone(),
        secret_sha256: key.digest(),
        name: name.into(),
        role,
        scopes: scopes.iter().copied().collect(),
        created: at(1),
        expires: None,
        last_used: None,
        revoked: None,
    };
    let actor = Actor { name: "test".into(), id: "test".into(), means: "command" };
    let audit = AuditRow::done(&actor, "key.create", &row.key_id, &json!({}), at(1));
    world.store.create_key(&row, &audit).await.expect("written");
    key.reveal()
}

async fn acts(world: &World) -> Vec<Value> {
    let (_, _, list) = world.get("audit?action=alert.examples").await;
    let rows = list["data"].as_array().expect("a list").iter();
    rows.map(|row| json!([row["actor"], row["object"], row["outcome"]])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_read_with_their_reasons_and_on_record() {
    let world = world::start().await;
    let (status, headers, examples) = world.get("alerts/al_1/examples").await;
    assert_eq!((status, &headers["cache-control"]), (200, &"no-store".parse().expect("a header")), "{examples}");
    assert_eq!((&examples["enabled"], &examples["model"]), (&json!(true), &json!("m")));
    let texts = examples["data"].as_array().expect("a list");
    assert_eq!((texts[0]["text"].as_str(), texts.len()), (Some("where is [number]"), 2), "{examples}");
    assert_eq!((&texts[0]["pair"], &texts[1]["pair"]), (&Value::Null, &json!("locker")));
    assert_eq!(texts[0]["reasons"][0]["cell"], "leaf 3", "{examples}");
    assert_eq!(acts(&world).await, [json!(["local", "al_1", "done"])]);
    assert_eq!(world.get("alerts/none/examples").await.0, 404);
    assert_eq!(acts(&world).await.len(), 1, "there was nothing to read");
    for path in ["alerts", "alerts/al_1", "models/m", "deliveries", "models/m/windows"] {
        let (_, _, answer) = world.get(path).await;
        assert!(!answer.to_string().contains("locker"), "{path}: {answer}");
    }
    assert_eq!(world.get("models/m").await.2["examples"], json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_role_reads_texts_without_the_scope() {
    let world = world::start().await;
    let url = format!("{}/api/v1/alerts/al_1/examples", asking(&world, Policy::Asked).await);
    let get = async |url: &str, key: Option<&str>| {
        let mut request = world::client().get(url);
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.expect("answers");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    assert_eq!(get(&url, None).await.0, 401);
    let admin = key(&world, "ada", Role::Admin, &[Scope::RetrainingApprove]).await;
    let (status, problem) = get(&url, Some(&admin)).await;
    assert!(status == 403 && problem["detail"].as_str().is_some_and(|d| d.contains("samples:read")), "{problem}");
    assert!(!problem.to_string().contains("locker"));
    let reader = key(&world, "rita", Role::Viewer, &[Scope::SamplesRead]).await;
    assert_eq!(get(&url, Some(&reader)).await.0, 200);
    assert_eq!(acts(&world).await, [json!(["rita", "al_1", "done"]), json!(["ada", "al_1", "refused"])]);
    let open = format!("{}/api/v1/alerts/al_1/examples", asking(&world, Policy::Open).await);
    assert_eq!(get(&open, None).await.0, 403, "who is not known reads none");
}
