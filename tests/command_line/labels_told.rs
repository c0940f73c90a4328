//! What a back-test tells of labels: what became of each, what they say of harm, and whether they come as usual.

use serde_json::{Value, json};

use super::bad_input::Scene;
use super::support::succeed;
use super::told::{bare, labelled, warnings};

const DAY: i64 = 86_400;
/// 2026-03-05, when the streams begin.
const BEGIN: i64 = 1_772_668_800;

/// Times of records, in seconds: the same for all streams that are judged.
fn every(records: &mut [Value], secs: i64) {
    for (i, record) in (0..).zip(records) {
        record["timestamp"] = json!(BEGIN + i * secs);
    }
}

/// A label of a record, so many seconds after it.
fn label(record: &Value, later: i64, said: &Value) -> Value {
    let at = record["timestamp"].as_i64().expect("a number") + later;
    json!({"schema": "label/v1", "prediction_id": record["prediction_id"], "labels": said, "labeled_at": at})
}

/// The right answer, or where `wrong` another one.
fn intent(record: &Value, wrong: bool) -> Value {
    let answered = &record["outputs"]["intent"]["label"];
    let other = if answered == "refund" { "cancel" } else { "refund" };
    json!({"intent": if wrong { json!(other) } else { answered.clone() }})
}

/// JSON, table and page.
fn all(scene: &Scene, reference: &std::path::Path, stream: &[Value], labels: &[Value]) -> (Value, String, String) {
    let labels = scene.write("labels.jsonl", labels);
    let [told, table, page] = ["json", "table", "html"].map(|format| {
        let mut backtest = scene.backtest(reference, stream);
        succeed(backtest.arg("--labels").arg(&labels).args(["--format", format]))
    });
    (serde_json::from_str(&told).expect("JSON"), table, page)
}

#[test]
fn no_label_is_dropped_without_a_word() {
    let scene = Scene::new();
    let mut learned = labelled(bare(0));
    learned.iter_mut().for_each(|record| record["labels"]["mood"] = record["outputs"]["mood"]["label"].clone());
    let (reference, told) = scene.fit(&learned);
    assert!(!told.contains("could be compared with an answer"), "{told}");
    let mut stream = bare(4);
    every(&mut stream, 60);
    stream[700..]
        .iter_mut()
        .for_each(|record| drop(record["outputs"].as_object_mut().expect("a map").remove("intent")));
    let strange = |i: usize, record: &Value| match i {
        0..100 => label(record, 60, &json!({"intent": null})),
        100..150 => label(record, 60, &json!({"intent": record["outputs"]["intent"]["label"], "nosuch": "a"})),
        150..180 => label(record, 60, &json!({"nosuch": "a"})),
        180..200 => label(record, 15 * DAY, &intent(record, false)),
        200..210 => label(record, -600, &intent(record, false)),
        210..215 => label(record, -2 * DAY, &intent(record, false)),
        700.. => label(record, 60, &json!({"intent": "refund"})),
        _ => label(record, 60, &intent(record, false)),
    };
    let mut labels: Vec<Value> = stream.iter().enumerate().map(|(i, record)| strange(i, record)).collect();
    labels[300..330].iter_mut().for_each(|label| label["prediction_id"] = json!("elsewhere"));
    let (told, table, page) = all(&scene, &reference, &stream, &labels);
    let said = warnings(&told);
    for part in [
        "task `intent`: 100 labels cannot be compared with the answer",
        "50 labels are of tasks that the manifest does not name",
        "30 of 800 labels were refused and left out: no_label 30",
        "30 of 770 labels found no prediction among the records that were judged",
        "task `intent`: 100 labels are given for predictions that have no answer of it",
        "20 labels are from more than 2w after their predictions",
        "15 labels are from before their predictions: is `labeled_at` the time of the label? 5 of them by more than 1d",
    ] {
        assert!(said.contains(part), "`{part}` is not in {said}");
    }
    let fates = "770 labels: joined 540, unusable 100, unanswered 100, unmatched 30";
    assert!(table.contains(fates) && page.contains(fates), "{table}");
    let counts = &told["summary"]["labels"];
    let keys = ["unmatched", "unknown_task", "late", "before_prediction", "without_id"];
    assert_eq!(keys.map(|key| counts[key].as_u64().expect("a count")), [30, 50, 20, 15, 0]);

    // Beside its prediction a label of no task is told too, and alone it is no record to be judged.
    let mut beside = labelled(bare(4));
    beside[..10].iter_mut().for_each(|record| record["labels"]["nosuch"] = json!(1));
    let id = beside[0]["prediction_id"].clone();
    beside.push(json!({"schema": "label/v1", "prediction_id": id, "labels": {"nosuch": 1}, "labeled_at": "2026-03-05T01:00:00Z"}));
    let told = scene.judge(&reference, &beside);
    assert!(warnings(&told).contains("11 labels are of tasks that"), "{}", warnings(&told));
    assert_eq!(told["summary"]["records"]["folded"], 800);

    // Too few for the reference to learn from.
    let mut few = bare(0);
    few[..40].iter_mut().for_each(|record| record["labels"] = intent(record, false));
    let (_, told) = scene.fit(&few);
    assert!(told.contains("warning: task `intent`: 40 records have a label, and fewer than 50 of these"), "{told}");
}

#[test]
fn labels_that_find_harm_are_told_beside_it() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&labelled(bare(0)));
    let mut stream = bare(4);
    every(&mut stream, 60);
    // A quarter is wrong in the reference, and two thirds here; the last of the labels come when the stream is over.
    let labels: Vec<Value> =
        stream.iter().enumerate().map(|(i, record)| label(record, 7_200, &intent(record, i % 3 != 0))).collect();
    let (told, table, page) = all(&scene, &reference, &stream, &labels);
    let alert = &told["alerts"][0];
    assert_eq!((&alert["cause"]["kind"], &alert["evidence"]), (&json!("concept"), &json!(["intent labels"])));
    let (behind, task) = (&alert["labels"], &told["performance"][0]);
    let number = |value: &Value| value.as_f64().expect("a number");
    assert!((20.0..400.0).contains(&number(&behind["labels"])), "{behind}");
    assert!((number(&behind["error"]) - 0.667).abs() < 0.05, "{behind}");
    assert_eq!(behind["error_tolerated"], task["reference"]["error_tolerated"]);
    let said = format!("{} labels, error 6", behind["labels"]);
    assert!(
        table.contains(&format!("\n  {said}")) && page.contains(&format!("found from labels alone ({said}")),
        "{table}"
    );

    let opened = alert["opened_window"].as_u64().expect("a window");
    let line = table.lines().find(|line| line.trim_start().starts_with(&format!("{opened} "))).expect("a line");
    assert!(line.ends_with("intent labels"), "{table}");
    let cell = |window: u64| format!("<title>labels, window {window}: ");
    assert!(page.contains(&cell(0)) && page.contains(&cell(opened)), "labels have a row in the map");
    let alone = told["summary"]["windows_of_labels_alone"].as_u64().expect("a count");
    assert!(alone > 0 && table.contains(&format!("\n16 windows of 50 records, {alone} of labels alone, ")), "{table}");

    // The estimate is marked wherever it stands.
    let muted = format!("contradicted by labels in {} of 16 windows", task["muted_windows"]);
    assert!(task["muted_windows"].as_u64() > Some(10), "{}", task["muted_windows"]);
    assert!(table.contains(&format!("intent: * the estimate is {muted}")) && page.contains(&muted), "{table}");
    assert!(page.contains(" %, <b>contradicted by labels</b><td>50"), "{page}");
    // All labels together, by hand: 533 of 800 wrong.
    let [value, low, high] = ["value", "low", "high"].map(|end| number(&task["realised"][end]));
    for (found, expected) in [(value, 267.0 / 800.0), (low, 0.3020), (high, 0.3671)] {
        assert!((found - expected).abs() < 2e-4, "{found} and not {expected}");
    }
    assert_eq!((&task["metric"], &task["scale"], &task["labelled"]), (&json!("accuracy"), &Value::Null, &json!(800)));
    // Evidence is told as it counts in the model's: no more than that.
    let ratio = |key: &str| number(&task["harm"][key]);
    assert!(ratio("highest_share_of_evidence_ratio") < ratio("highest_evidence_ratio"), "{}", task["harm"]);
}

#[test]
fn labels_that_stop_for_good_are_told_to_the_end() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&labelled(bare(0)));
    // 45 days; labels of the first 25, within six hours.
    let mut stream: Vec<Value> = (0..4).flat_map(|_| bare(0)).collect();
    stream.iter_mut().enumerate().for_each(|(i, record)| record["prediction_id"] = json!(format!("p{i}")));
    every(&mut stream, 45 * DAY / 8_000);
    let labels: Vec<Value> = stream[..8_000 * 25 / 45]
        .iter()
        .enumerate()
        .map(|(i, record)| label(record, 600 + (i as i64 * 7_919) % 21_000, &intent(record, i % 4 == 0)))
        .collect();
    let (told, table, page) = all(&scene, &reference, &stream, &labels);
    let task = &told["performance"][0];
    let [notice] = task["notices"].as_array().expect("a list").as_slice() else { panic!("{}", task["notices"]) };
    assert_eq!(
        (&notice["what"], &notice["until"], &notice["latest"]),
        (&json!("label_coverage"), &Value::Null, &json!(0.0))
    );
    assert!(notice["usual"].as_f64() > Some(0.98), "all have had one: {notice}");
    let since = notice["since"].as_str().expect("a time");
    assert!(("2026-03-30".."2026-04-03").contains(&since), "{notice}");
    let said = format!("task `intent`, since {since}, to the end: no labels come; usually ");
    assert!(table.contains(&format!("\nnotice: {said}")) && page.contains(&said), "{table}");
    assert!(warnings(&told).contains(&format!("labels do not come as usual: {said}")), "{}", warnings(&told));
}
