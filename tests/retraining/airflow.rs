//! The same against a real Airflow 3, where there is one. It is ignored by default, so that its not
//! running is seen: `scripts/with-airflow.sh -- cargo test --test retraining -- --ignored real_airflow`.

use std::time::Duration;

use driftd::drift::time::Timestamp;
use driftd::hook::airflow::{Airflow, Version};
use driftd::hook::site::{Auth, Site};
use driftd::hook::trainer::{Start, Trainer as _};
use serde_json::{Value, json};

use crate::support::secret;

fn hook(url: &str, dag: &str, password: &str) -> Airflow {
    let auth = Auth::Password("admin".into(), secret(password));
    let site = Site::new(&secret(url), auth, None, Duration::from_secs(30)).expect("a site");
    Airflow { site, version: Version::Three, dag: dag.into() }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Airflow 3: scripts/with-airflow.sh"]
async fn real_airflow_makes_one_run_of_a_request() {
    let url = std::env::var("DRIFTD_TEST_AIRFLOW").expect("scripts/with-airflow.sh sets `DRIFTD_TEST_AIRFLOW`");
    let id = format!("rt_{:016x}", std::process::id());
    let order = crate::target::order(&id);
    let now = Timestamp::from_micros(0);
    let airflow = hook(&url, "retrain", "pw");
    let first = airflow.start(&order, now).await;
    assert!(matches!(first, Start::Started { existed: false, .. }), "{first:?}");
    for _ in 0..3 {
        let again = airflow.start(&order, now).await;
        assert!(matches!(again, Start::Started { status: 409, existed: true, .. }), "{again:?}");
    }

    // What Airflow has of it.
    let client = reqwest::Client::new();
    let login = json!({"username": "admin", "password": "pw"});
    let answer = client.post(format!("{url}/auth/token")).json(&login).send().await.expect("an answer");
    let token: Value = answer.json().await.expect("JSON");
    let runs = client
        .get(format!("{url}/api/v2/dags/retrain/dagRuns"))
        .bearer_auth(token["access_token"].as_str().expect("a token"))
        .send()
        .await
        .expect("an answer");
    let runs: Value = runs.json().await.expect("JSON");
    let name = format!("driftd__{id}");
    let ours: Vec<&Value> =
        runs["dag_runs"].as_array().expect("runs").iter().filter(|r| r["dag_run_id"] == name.as_str()).collect();
    assert_eq!((ours.len(), &ours[0]["conf"]), (1, &order.body), "{runs}");

    let wrong = hook(&url, "retrain", "wrong").start(&order, now).await;
    assert!(matches!(wrong, Start::Retry { status: Some(401), reason: "auth_error", .. }), "{wrong:?}");
    let missing = hook(&url, "none", "pw").start(&order, now).await;
    assert!(matches!(missing, Start::Retry { status: Some(404), reason: "not_found", .. }), "{missing:?}");
}
