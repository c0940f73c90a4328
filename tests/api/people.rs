//! What people do about alerts over HTTP: take one on, silence, send again. Each is seen where it is read, and audited.

use driftd::store::{DeliverStore as _, DeskStore as _, Settled, Settlement};
use serde_json::{Value, json};

use crate::world::{self, World, at};

async fn send(world: &World, method: reqwest::Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut request = world::client().request(method, format!("{}/api/v1/{path}", world.url));
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.expect("answers");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn post(world: &World, path: &str, body: &Value) -> (u16, Value) {
    send(world, reqwest::Method::POST, path, Some(body)).await
}

/// What was done, newest first, by its action.
async fn audited(world: &World) -> Vec<String> {
    let (_, _, list) = world.get("audit").await;
    let actions = list["data"].as_array().expect("a list").iter();
    actions.map(|row| row["action"].as_str().expect("an action").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_taken_on() {
    let world = world::start().await;
    let (status, _, alert) = world.get("alerts/al_1").await;
    assert_eq!((status, &alert["acknowledgement"]), (200, &Value::Null));
    let (status, alert) = post(&world, "alerts/al_1/acknowledge", &json!({"comment": "I look into it"})).await;
    assert_eq!((status, &alert["acknowledgement"]["comment"]), (200, &json!("I look into it")), "{alert}");
    assert_eq!(world.get("alerts/al_1").await.2["acknowledgement"], alert["acknowledgement"]);
    assert_eq!(audited(&world).await, ["alert.acknowledge"]);

    let (status, problem) = post(&world, "alerts/none/acknowledge", &json!({"comment": "x"})).await;
    assert_eq!((status, problem["title"].is_string()), (404, true), "{problem}");
    assert_eq!(post(&world, "alerts/al_1/acknowledge", &json!({"comment": "x".repeat(2_001)})).await.0, 422);
    assert_eq!(post(&world, "alerts/al_1/acknowledge", &json!({"comment": "a\u{1b}[31m"})).await.0, 422, "controls");
    assert_eq!(post(&world, "alerts/al_1/acknowledge", &json!({"by": "somebody else"})).await.0, 422, "no such field");
    assert_eq!(audited(&world).await.len(), 1, "what was refused changed nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_begins_is_listed_and_ends() {
    let world = world::start().await;
    let asked = json!({"model": "m", "task": "intent", "comment": "known", "ends_at": in_hours(2)});
    let (status, silence) = post(&world, "silences", &asked).await;
    assert_eq!((status, &silence["task"]), (201, &json!("intent")), "{silence}");
    let id = silence["silence_id"].as_str().expect("an id");
    let (_, _, list) = world.get("silences").await;
    assert_eq!(list["data"], json!([silence]));

    let (status, ended) = send(&world, reqwest::Method::DELETE, &format!("silences/{id}"), None).await;
    assert_eq!(status, 200, "{ended}");
    assert!(ended["ends_at"].as_str() < silence["ends_at"].as_str(), "it ends now: {ended}");
    assert_eq!(audited(&world).await, ["silence.expire", "silence.create"]);

    let wrong = [
        json!({"model": "m", "comment": "over already", "ends_at": "2020-01-01T00:00:00Z"}),
        json!({"model": "m", "comment": "longer than anyone remembers", "ends_at": in_hours(24 * 400)}),
        json!({"model": "m", "comment": " ", "ends_at": in_hours(1)}),
        json!({"severity": "loud", "comment": "no such severity", "ends_at": in_hours(1)}),
        json!({"cause": "weather", "comment": "no such cause", "ends_at": in_hours(1)}),
    ];
    for asked in &wrong {
        let (status, problem) = post(&world, "silences", asked).await;
        assert_eq!(status, 422, "{asked}: {problem}");
    }
    assert_eq!(send(&world, reqwest::Method::DELETE, "silences/none", None).await.0, 404);
    assert_eq!(world.get("silences").await.2["data"].as_array().expect("a list").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_again() {
    let world = world::start().await;
    assert_eq!(post(&world, "deliveries/msg_1/redeliver", &json!({})).await.0, 409, "it waits already");
    let failed = Settled {
        delivery_id: "msg_1".into(),
        endpoint: "pager".into(),
        status: Some(410),
        outcome: "status 410".into(),
        detail: "no such hook".into(),
        took: std::time::Duration::from_millis(12),
        settlement: Settlement::Failed,
        endpoint_failed: true,
        covers: vec![],
        tell: vec![],
        now: at(2_000),
    };
    world.store.settle(&failed).await.expect("settles");
    let (_, _, detail) = world.get("deliveries/msg_1").await;
    assert_eq!((&detail["state"], &detail["history"][0]["status"]), (&json!("failed"), &json!(410)), "{detail}");
    assert_eq!(detail["history"][0]["detail"], "no such hook");

    let (status, detail) = post(&world, "deliveries/msg_1/redeliver", &json!({})).await;
    assert_eq!((status, &detail["state"]), (200, &json!("pending")), "{detail}");
    assert_eq!(world.store.waiting("pager", 9).await.expect("read").len(), 1);
    assert_eq!(audited(&world).await, ["delivery.redeliver"]);
    assert_eq!(post(&world, "deliveries/none/redeliver", &json!({})).await.0, 404);
    assert!(world.store.alert("al_1").await.expect("read").is_some());
}

fn in_hours(hours: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours)).to_string()
}
