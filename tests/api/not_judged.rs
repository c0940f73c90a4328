//! What cannot be judged, where the API shows how a model and its tasks stand.

use driftd::drift::time::Timestamp;
use driftd::store::{JudgeStore as _, Judged};
use serde_json::{Value, json};

use crate::world::{self, WINDOW, WINDOWS, at};

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_judged_is_told_of_the_model_and_of_its_tasks() {
    let world = world::start().await;
    let (_, _, calm) = world.get("models/m").await;
    assert_eq!((&calm["state"], &calm["not_judged"]), (&json!("drift"), &json!([])));
    let said = "no record answers task `intent`: none of its signals could be judged";
    let lack = |scope: &str, task: Option<&str>, lacks: &str, said: &str| json!({"scope": scope, "task": task, "lacks": lacks, "silent": true, "since": at(2 * WINDOW), "said": said});
    let (embeddings, answers) =
        (lack("encoder", None, "embeddings", "none"), lack("head", Some("intent"), "answers", said));
    let stored = |lack: &Value| {
        let mut lack = lack.clone();
        lack["notice"] = json!(true);
        lack
    };
    let parts = json!([
        {"scope": "encoder", "task": null, "segment": null, "ln_evidence": 0.5},
        {"scope": "skew", "task": "intent", "notice": true},
        stored(&embeddings),
        stored(&answers),
    ]);
    let judged = world::judged(&world.reference, WINDOWS, WINDOWS, Timestamp::from_micros(2_000_000_000));
    let report = judged.report.clone().map(|report| driftd::store::ReportRow { parts: parts.to_string(), ..report });
    assert!(world.store.commit_judged(&Judged { report, ..judged }).await.expect("judged"));

    let both = json!([embeddings, answers]);
    let (_, _, model) = world.get("models/m").await;
    assert_eq!((&model["state"], &model["not_judged"]), (&json!("drift"), &both), "the state speaks of the rest");
    let (_, _, fleet) = world.get("models").await;
    assert_eq!(fleet["data"][0]["not_judged"], both);
    let (_, _, tasks) = world.get("models/m/tasks").await;
    assert_eq!((&tasks["data"][0]["name"], &tasks["data"][0]["not_judged"]), (&json!("intent"), &json!([answers])));
    let (_, _, windows) = world.get("models/m/windows").await;
    let [latest, before] = &windows["data"].as_array().expect("windows")[..2] else { panic!("two windows") };
    assert_eq!((&latest["not_judged"], &before["not_judged"]), (&both, &json!([])));
    assert_eq!((&latest["harmless_skew"], latest["scopes"].as_array().map(Vec::len)), (&json!(["intent"]), Some(1)));
}
