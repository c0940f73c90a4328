//! The gate on call-back: what it does not let through is no success.

use std::fmt::Write as _;

use driftd::drift::retraining::life::{Report, State};
use driftd::drift::retraining::plan::{GatePolicy, Plan};
use driftd::retrain::gate::MOST_GATES;
use driftd::retrain::word::Refusal;
use serde_json::{Value, json};

use crate::api::{get, post, serve};
use crate::scene::Scene;
use driftd::api::access::Policy;

/// Rows of which the candidate answers `gains` more of `intent` rightly and `losses` fewer of `ner` than the
/// current model, which is right on four of five.
fn pairs(rows: usize, gains: usize, losses: usize) -> String {
    let answer = |intent: bool, ner: bool| {
        let of = |right| json!({"label": if right { "a" } else { "b" }});
        json!({"intent": of(intent), "ner": of(ner)})
    };
    (0..rows).fold(String::new(), |mut text, i| {
        let right = i % 5 != 0;
        // Spread over the rows that were wrong, and over those that were right.
        let (gained, lost) = (!right && i / 5 < gains, right && i < losses * 5 / 4);
        let _ = writeln!(
            text,
            "{}",
            json!({"prediction_id": format!("p{i}"), "labels": {"intent": "a", "ner": "a"},
                "baseline": answer(right, right), "candidate": answer(right || gained, right && !lost)})
        );
        text
    })
}

async fn send(url: &str, token: Option<&str>, pairs: impl Into<reqwest::Body>) -> (u16, Value) {
    let mut request = reqwest::Client::new().post(url).header("content-type", "application/x-ndjson").body(pairs);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    (status, response.json().await.unwrap_or(Value::Null))
}

async fn started(gate: GatePolicy) -> (Scene, String, String) {
    let plan = Plan { hook: Some("argo".into()), gate, ..Plan::default() };
    let scene = Scene::with(vec![("m".to_owned(), plan)], 10).await;
    let id = scene.approved("m").await;
    scene.step().await;
    let token = scene.token(&id);
    (scene, id, token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_does_not_pass_is_no_success() {
    let (scene, id, token) = started(GatePolicy::Optional).await;
    let one = format!("{}/retraining-requests/{id}", serve(&scene, Policy::Local).await);
    let (gate, back) = (format!("{one}/gate"), format!("{one}/callback"));
    let succeeded = json!({"state": "succeeded", "new_model_version": "13"});

    // Whoever is not the run, and what is no file of pairs, changes nothing.
    for token in [None, Some("drc_forged")] {
        assert_eq!(send(&gate, token, pairs(10, 0, 0)).await.0, 401);
    }
    for (wrong, why) in [
        (pairs(10, 0, 0) + "{}\n", "line 11"),
        (pairs(10, 0, 0) + &pairs(1, 0, 0), "was there before"),
        (String::new(), "no pairs"),
    ] {
        let (status, said) = send(&gate, Some(&token), wrong).await;
        assert!(status == 422 && said["detail"].as_str().is_some_and(|d| d.contains(why)), "{said}");
    }
    assert_eq!(get(&one).await.1["gates"], json!([]));

    // `intent` has gained ten points, `ner` has lost four: its margin is one.
    let (status, said) = send(&gate, Some(&token), pairs(4_000, 400, 160)).await;
    assert_eq!((status, &said["verdict"], &said["rows"]), (200, &json!("fail"), &json!(4_000)), "{said}");
    let task = |name: &str| said["tasks"].as_array().expect("tasks").iter().find(|t| t["task"] == name).cloned();
    assert_eq!(task("intent").expect("told")["verdict"], "pass");
    assert_eq!(task("ner").expect("told")["reasons"][0]["code"], "worse_than_margin");
    let (status, refused) = post(&back, Some(&token), &succeeded).await;
    assert!(status == 409 && refused["detail"].as_str().is_some_and(|d| d.contains("`fail`")), "{refused}");
    // A person cannot overrule it either.
    let (status, refused) = post(&format!("{one}/close"), None, &succeeded).await;
    assert!(status == 409 && refused["detail"].as_str().is_some_and(|d| d.contains("`fail`")), "{refused}");
    let shown = get(&one).await.1;
    assert_eq!((&shown["state"], &shown["callbacks"][0]["outcome"]), (&json!("accepted"), &json!("gate")));

    // Sixty labels decide nothing, and the answer says how many would.
    let (_, said) = send(&gate, Some(&token), pairs(60, 6, 0)).await;
    assert_eq!(said["verdict"], "undecided");
    let needed = said["labels_needed"].as_u64().expect("a number").to_string();
    let (status, refused) = post(&back, Some(&token), &succeeded).await;
    let detail = refused["detail"].as_str().unwrap_or_default();
    assert!(status == 409 && detail.contains(&needed) && detail.contains("labels of `ner`"), "{refused}");

    // Another candidate passes, and its request may succeed.
    let (_, said) = send(&gate, Some(&token), pairs(4_000, 400, 0)).await;
    assert_eq!(said["verdict"], "pass", "{said}");
    assert_eq!(post(&back, Some(&token), &succeeded).await, (200, json!({"state": "succeeded"})));
    let shown = get(&one).await.1;
    let verdicts: Vec<&Value> = shown["gates"].as_array().expect("gates").iter().map(|g| &g["verdict"]).collect();
    assert_eq!(verdicts, ["fail", "undecided", "pass"]);
    let last = &shown["gates"][2];
    assert_eq!((&last["pairs"], &last["report"]["verdict"]), (&json!(4_000), &json!("pass")));
    assert_eq!(last["pairs_sha256"].as_str().map(str::len), Some(64));
    let (status, said) = send(&gate, Some(&token), pairs(10, 0, 0)).await;
    assert!(status == 409 && said["detail"].as_str().is_some_and(|d| d.contains("succeeded")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_gate_is_required_nothing_succeeds_without_it() {
    let (scene, id, token) = started(GatePolicy::Required).await;
    let refused = scene.call_back(&id, &token, "succeeded").await;
    assert!(matches!(&refused, Err(Refusal::Gate(why)) if why.contains("…/gate")), "{refused:?}");
    scene.call_back(&id, &token, "started").await.expect("it may start");
    let report = scene.desk().gate(&id, &token, pairs(4_000, 400, 0).into_bytes()).await.expect("judged");
    assert_eq!(report.verdict.name(), "pass");
    assert_eq!((report.baseline.version.as_str(), report.tasks.len()), ("12", 2));
    scene.call_back(&id, &token, "succeeded").await.expect("it passed");
    assert_eq!(scene.history(&id).await.row.state, State::Succeeded);

    // A person answers for what the labels leave open.
    let (scene, id, token) = started(GatePolicy::Required).await;
    scene.desk().gate(&id, &token, pairs(40, 4, 0).into_bytes()).await.expect("judged");
    scene.desk().close(&id, Report::Succeeded, "ada", "I looked at it").await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn looks_are_counted_and_tokens_end() {
    let (scene, id, token) = started(GatePolicy::Optional).await;
    for _ in 0..MOST_GATES {
        scene.desk().gate(&id, &token, pairs(20, 2, 0).into_bytes()).await.expect("judged");
    }
    let refused = scene.desk().gate(&id, &token, pairs(4_000, 400, 0).into_bytes()).await;
    assert!(matches!(&refused, Err(Refusal::Gate(why)) if why.contains("looks")), "{refused:?}");
    assert_eq!(scene.history(&id).await.gates.len() as i64, MOST_GATES);
    scene.wait(86_401);
    let late = scene.desk().gate(&id, &token, pairs(20, 2, 0).into_bytes()).await;
    assert!(matches!(late, Err(Refusal::Expired)), "{late:?}");
}
