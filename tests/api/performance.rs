//! How well tasks do, as estimates and labels say.

use driftd::drift::matured::Tally;
use driftd::drift::time::Timestamp;
use driftd::store::{EstimateRow, JudgeStore as _, LabelChanges, RealisedRow, TaskRow, TaskWindow};
use serde_json::{Value, json};

use crate::world::{self, WINDOW, WINDOWS, World, at};

fn window(slot: i64) -> TaskWindow {
    TaskWindow { task: "intent".into(), start: at(slot * WINDOW), end: at((slot + 1) * WINDOW) }
}

fn estimate(slot: i64) -> EstimateRow {
    EstimateRow { of: window(slot), answered: 50, estimate: Some(0.9), interval: Some((0.8, 0.95)), macro_f1: None }
}

/// Twenty labels, each of them a window late.
fn realised(slot: i64) -> RealisedRow {
    RealisedRow {
        of: window(slot),
        labelled: 20,
        realised: Some(0.85),
        interval: Some((0.64, 0.95)),
        macro_f1: Some(0.8),
        expected: Some(0.9),
        delay_us: Some(WINDOW * 1_000_000),
        tally: Tally::default().encode(),
    }
}

async fn labelled(world: &World) {
    let task = TaskRow {
        task: "intent".into(),
        kind: "multiclass".into(),
        reference_labelled: 400,
        reference_loss: 0.1,
        tolerated_loss: 0.14,
        sample: 0.5,
        labels: 40,
        ln_evidence: Some(2.0),
        ln_threshold: 9.0,
        muted: false,
    };
    let labels = LabelChanges {
        estimates: (0..WINDOWS).map(estimate).collect(),
        realised: (0..2).map(realised).collect(),
        tasks: vec![task],
        ..LabelChanges::default()
    };
    let judged = world::judged(&world.reference, WINDOWS, WINDOWS, Timestamp::from_micros(2_000_000_000));
    assert!(world.store.commit_judged(&driftd::store::Judged { labels, ..judged }).await.expect("judged"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_shows_its_estimate_its_labels_and_what_they_prove() {
    let world = world::start().await;
    let (status, _, nothing) = world.get("models/m/performance").await;
    assert_eq!((status, &nothing["data"]), (200, &json!([])), "a reference without labels knows nothing");
    labelled(&world).await;
    let (status, _, told) = world.get("models/m/performance").await;
    assert_eq!(status, 200, "{told}");
    let [task] = told["data"].as_array().expect("a list").as_slice() else { panic!("one task: {told}") };
    assert_eq!(
        (&task["task"], &task["metric"], &task["reference"]),
        (&json!("intent"), &json!("accuracy"), &json!(0.9))
    );
    // Half of the answers are kept, and the two oldest of four windows have had the time of two delays.
    assert_eq!((&task["label_coverage"], &task["label_delay"]), (&json!(0.8), &json!(WINDOW as f64)));
    assert_eq!((&task["harm"]["verdict"], &task["harm"]["labels"]), (&json!("insufficient_labels"), &json!(40)));
    assert!((task["harm"]["evidence_ratio"].as_f64().expect("a number") - (-7.0_f64).exp()).abs() < 1e-12);
    let points = task["points"].as_array().expect("windows");
    let labelled: Vec<&Value> = points.iter().map(|point| &point["labelled"]).collect();
    assert_eq!(labelled, [0, 0, 20, 20], "newest first");
    assert_eq!((&points[0]["realised"], &points[0]["estimate"]), (&Value::Null, &json!(0.9)));
    assert_eq!((&points[3]["realised"], &points[3]["realised_low"]), (&json!(0.85), &json!(0.64)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_asked_for_as_elsewhere() {
    let world = world::start().await;
    labelled(&world).await;
    let (_, _, first) = world.get("models/m/performance?windows=1").await;
    assert_eq!(first["data"][0]["points"].as_array().map(Vec::len), Some(1));
    let before = first["data"][0]["points"][0]["start"].as_str().expect("a time");
    let (_, _, next) = world.get(&format!("models/m/performance?windows=2&before={before}")).await;
    let starts: Vec<&Value> =
        next["data"][0]["points"].as_array().expect("windows").iter().map(|p| &p["start"]).collect();
    assert_eq!(starts, [&json!(at(2 * WINDOW)), &json!(at(WINDOW))]);
    for (query, status) in [("windows=0", 400), ("windows=501", 400), ("before=yesterday", 400)] {
        assert_eq!(world.get(&format!("models/m/performance?{query}")).await.0, status, "{query}");
    }
    assert_eq!(world.get("models/none/performance").await.0, 404);
}
