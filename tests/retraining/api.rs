//! The same by HTTP: decisions, call-backs, what each caller may do.

use std::sync::Arc;

use driftd::api::access::{Access, Policy};
use driftd::api::settings::Settings;
use driftd::api::{self, ApiState};
use serde_json::{Value, json};

use crate::scene::Scene;

pub async fn serve(scene: &Scene, policy: Policy) -> String {
    let access = Arc::new(Access::new(policy, Arc::new(scene.store.clone()), scene.desk().clock.clone()));
    let shutdown = tokio_util::sync::CancellationToken::new();
    let store = Arc::new(scene.store.clone());
    let state = ApiState::new(store, scene.desk().clone(), Vec::new(), access, Settings::default(), shutdown);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/api/v1", listener.local_addr().expect("an address"));
    tokio::spawn(api::serve(listener, api::router(state), tokio_util::sync::CancellationToken::new()));
    url
}

pub async fn post(url: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
    let mut request = reqwest::Client::new().post(url).json(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or(Value::Null))
}

pub async fn get(url: &str) -> (u16, Value) {
    let response = reqwest::get(url).await.expect("an answer");
    (response.status().as_u16(), response.json().await.unwrap_or(Value::Null))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_lives_by_http() {
    let scene = Scene::new(&[("m", "airflow_3")]).await;
    let url = serve(&scene, Policy::Local).await;
    let requests = format!("{url}/retraining-requests");
    let asked = json!({"model": "m", "tasks": ["intent"], "reason": "a new product", "key": "k1"});
    let (status, made) = post(&requests, None, &asked).await;
    assert_eq!(
        (status, &made["state"], &made["moves"][0]["who"]),
        (200, &json!("proposed"), &json!("local")),
        "{made}"
    );
    let id = made["id"].as_str().expect("an id").to_owned();
    assert_eq!(post(&requests, None, &asked).await.1["id"], id.as_str(), "the same key is the same request");
    let (status, busy) = post(&requests, None, &json!({"model": "m", "reason": "again"})).await;
    assert_eq!(status, 409, "{busy}");
    let (status, unknown) = post(&requests, None, &json!({"model": "m", "tasks": ["none"], "reason": "x"})).await;
    assert_eq!(status, 422, "{unknown}");
    let (status, unknown) = post(&requests, None, &json!({"model": "none", "reason": "x"})).await;
    assert_eq!(status, 404, "{unknown}");

    let one = format!("{requests}/{id}");
    let (status, approved) = post(&format!("{one}/approve"), None, &json!({"comment": "go on"})).await;
    assert_eq!((status, &approved["state"]), (200, &json!("requested")), "{approved}");
    let (status, twice) = post(&format!("{one}/approve"), None, &json!({})).await;
    assert_eq!((status, &twice["detail"]), (409, &json!("the request is `requested` already")));
    assert_eq!(post(&format!("{one}/reject"), None, &json!({})).await.0, 409);
    assert_eq!(post(&format!("{requests}/rt_none/approve"), None, &json!({})).await.0, 404);
    scene.step().await;

    // The run speaks.
    let (back, token) = (format!("{one}/callback"), scene.token(&id));
    let started = json!({"state": "started", "run_url": "https://runs.example/7"});
    assert_eq!(post(&back, None, &started).await.0, 401);
    assert_eq!(post(&back, Some("drc_forged"), &started).await.0, 401);
    assert_eq!(post(&format!("{requests}/rt_none/callback"), Some(&token), &started).await.0, 401);
    assert_eq!(post(&back, Some(&token), &json!({"state": "done"})).await.0, 409);
    assert_eq!(post(&back, Some(&token), &started).await, (200, json!({"state": "running"})));
    assert_eq!(post(&back, Some(&token), &started).await.0, 409);
    let done = json!({"state": "succeeded", "new_model_version": "13", "metrics": {"intent": {"accuracy": 0.93}},
        "candidate": {"manifest": "s3://models/13/manifest.yaml"}, "message": "three epochs"});
    assert_eq!(post(&back, Some(&token), &done).await.0, 200);
    let (_, shown) = get(&one).await;
    assert_eq!((&shown["state"], &shown["new_model_version"]), (&json!("succeeded"), &json!("13")), "{shown}");
    assert_eq!(shown["metrics"], done["metrics"]);
    assert_eq!(shown["candidate"], done["candidate"]);
    assert_eq!(shown["run_url"], "https://runs.example/7");
    let states: Vec<&Value> = shown["moves"].as_array().expect("moves").iter().map(|m| &m["to"]).collect();
    assert_eq!(states, ["proposed", "requested", "accepted", "running", "succeeded"]);
    assert_eq!((&shown["moves"][4]["who"], &shown["moves"][4]["why"]), (&json!("run"), &json!("three epochs")));
    assert!(!shown.to_string().contains(&token), "the token is told to nobody");
    assert_eq!(get(&requests).await.1["data"][0]["id"], id.as_str());
    assert_eq!(get(&format!("{requests}/rt_none")).await.0, 404);

    // Too late.
    let made = post(&requests, None, &json!({"model": "m", "reason": "x"})).await.1;
    let id = made["id"].as_str().expect("an id").to_owned();
    post(&format!("{requests}/{id}/approve"), None, &json!({})).await;
    scene.step().await;
    let token = scene.token(&id);
    scene.wait(86_401);
    assert_eq!(post(&format!("{requests}/{id}/callback"), Some(&token), &started).await.0, 410);

    // Who did what is in the audit, with the change.
    let (_, audit) = get(&format!("{url}/audit?object={id}")).await;
    assert_eq!(
        (&audit["data"][0]["action"], &audit["data"][0]["outcome"]),
        (&json!("retraining.approve"), &json!("done"))
    );

    // The kill switch.
    let (status, paused) =
        post(&format!("{url}/retraining-pauses"), None, &json!({"paused": true, "reason": "x"})).await;
    assert_eq!((status, &paused["data"][0]["model"]), (200, &json!("*")));
    assert_eq!(post(&requests, None, &json!({"model": "m", "reason": "x"})).await.0, 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_nobody_reads_and_a_run_still_calls_back() {
    let scene = Scene::new(&[("m", "argo")]).await;
    let id = scene.approved("m").await;
    scene.step().await;
    let url = serve(&scene, Policy::Open).await;
    let one = format!("{url}/retraining-requests/{id}");
    assert_eq!(get(&one).await.0, 200);
    for action in ["approve", "reject", "close"] {
        let (status, said) = post(&format!("{one}/{action}"), None, &json!({"state": "failed"})).await;
        assert_eq!((status, &said["detail"]), (403, &json!("this needs the scope `retraining:approve`")), "{action}");
    }
    assert_eq!(post(&format!("{url}/retraining-requests"), None, &json!({"model": "m", "reason": "x"})).await.0, 403);
    assert_eq!(post(&format!("{url}/retraining-pauses"), None, &json!({"paused": true, "reason": "x"})).await.0, 403);
    let token = scene.token(&id);
    assert_eq!(post(&format!("{one}/callback"), Some(&token), &json!({"state": "started"})).await.0, 200);
    let large = json!({"state": "failed", "message": "x".repeat(100_000)});
    assert_eq!(post(&format!("{one}/callback"), Some(&token), &large).await.0, 413);
}
