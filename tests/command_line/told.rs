//! What a newcomer has to be told: what stops half-way, and labels that say nothing.

use serde_json::{Value, json};

use super::bad_input::{Scene, records};
use super::support::succeed;

fn warnings(told: &Value) -> String {
    told["summary"]["warnings"].to_string()
}

/// Records without texts: no model has to be run for them.
fn bare(days_later: usize) -> Vec<Value> {
    let mut records = records(days_later);
    records.iter_mut().for_each(|record| drop(record.as_object_mut().expect("a map").remove("input")));
    records
}

#[test]
fn what_stops_half_way_is_told_with_its_time() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&bare(0));
    let without = |range: std::ops::Range<usize>| {
        let mut stream = bare(4);
        stream[range]
            .iter_mut()
            .for_each(|record| drop(record["outputs"].as_object_mut().expect("a map").remove("mood")));
        stream
    };
    let whole = scene.judge(&reference, &bare(4));
    assert_eq!((&whole["summary"]["not_judged"], &whole["windows"][9]["not_judged"]), (&json!([]), &json!([])));

    // Windows of 50: the ninth lacks it first, and it is told with the tenth.
    let stopped = without(400..800);
    let told = scene.judge(&reference, &stopped);
    let since = told["windows"][8]["start"].as_str().expect("a time");
    let said = format!("since {since} (window 8), to the end: no record answers task `mood`");
    assert!(warnings(&told).contains(&said), "{}", warnings(&told));
    let standing = |window: usize| told["windows"][window]["not_judged"].as_array().expect("a list").clone();
    assert_eq!((standing(7).len(), standing(8).len(), standing(9).len(), standing(15).len()), (0, 0, 1, 1));
    let one = &standing(9)[0];
    assert_eq!((&one["scope"], &one["task"], &one["lacks"]), (&json!("head"), &json!("mood"), &json!("answers")));
    assert_eq!((&one["silent"], &one["since"]), (&json!(true), &json!(since)));
    let lapses = told["summary"]["not_judged"].as_array().expect("a list");
    assert_eq!(lapses.len(), 1, "half of all is not much rarer: {lapses:?}");
    assert_eq!((&lapses[0]["windows"], &lapses[0]["until"]), (&json!({"from": 8, "to": 16}), &Value::Null));
    let mut backtest = scene.backtest(&reference, &stopped);
    let table = succeed(&mut backtest);
    let named =
        |window: &str| table.lines().find(|line| line.trim_start().starts_with(window)).expect("a line").to_owned();
    assert!(named("9 ").ends_with("not judged: mood") && !named("8 ").contains("not judged"), "{table}");
    assert!(!table.contains("no alert\n"), "{table}");
    let page = succeed(backtest.args(["--format", "html"]));
    assert!(page.contains("<title>mood, window 8: not judged</title>"), "it is hatched from the first that lacks it");
    assert!(
        !page.contains("<title>mood, window 7: not judged") && !page.contains("<title>intent, window 8: not judged")
    );

    // An outage ends with the second window that has it again.
    let told = scene.judge(&reference, &without(400..600));
    let end = told["windows"][13]["start"].as_str().expect("a time");
    assert!(
        warnings(&told).contains(&format!(" to {end} (windows 8 to 13): no record answers task `mood`")),
        "{}",
        warnings(&told)
    );
    // One window is worth no message.
    assert!(!warnings(&scene.judge(&reference, &without(400..450))).contains("`mood`"));
    // Of the whole stream it is told once.
    let told = warnings(&scene.judge(&reference, &without(0..800)));
    assert_eq!(told.matches("no record answers task `mood`").count(), 1, "{told}");
}

/// Records that bring the right answers to one task, each fourth another one than was answered.
fn labelled(mut records: Vec<Value>) -> Vec<Value> {
    for (i, record) in records.iter_mut().enumerate() {
        let answered = record["outputs"]["intent"]["label"].clone();
        record["labels"] = json!({"intent": if i % 4 == 0 { json!("refund") } else { answered }});
    }
    records
}

#[test]
fn labels_that_say_nothing_are_told() {
    let scene = Scene::new();
    let (without, _) = scene.fit(&bare(0));
    let (_, told) = scene.fit(&bare(0));
    assert!(!told.contains("name no class"), "{told}");
    let stream = bare(4);
    let label = |record: &Value, id: &str, said: Value| {
        let id = format!("{id}{}", record["prediction_id"].as_str().expect("an id"));
        json!({"schema": "label/v1", "prediction_id": id, "labels": said, "labeled_at": "2026-03-06T00:00:00Z"})
    };
    let judge = |reference: &std::path::Path, said: &dyn Fn(&Value) -> Value| {
        let labels = scene.write("labels.jsonl", &stream.iter().map(said).collect::<Vec<_>>());
        let mut backtest = scene.backtest(reference, &stream);
        let told = succeed(backtest.arg("--labels").arg(labels).args(["--format", "json"]));
        serde_json::from_str::<Value>(&told).expect("JSON")
    };
    let right = |record: &Value| label(record, "", json!({"intent": record["outputs"]["intent"]["label"]}));
    let told = warnings(&judge(&without, &right));
    assert!(told.contains("800 labels are given, and the reference has none to compare them with"), "{told}");

    let (reference, _) = scene.fit(&labelled(bare(0)));
    let told = warnings(&judge(&reference, &right));
    assert!(!told.contains("label"), "{told}");
    let strange = |record: &Value| label(record, "x", json!({"intent": "refund"}));
    let told = warnings(&judge(&reference, &strange));
    assert!(
        told.contains("none of the 800 labels found their prediction, 800 did not: no record has the `prediction_id`"),
        "{told}"
    );
    let unwatched = |record: &Value| label(record, "", json!({"urgency": 0.5}));
    let told = warnings(&judge(&reference, &unwatched));
    assert!(told.contains("task `urgency`: 800 labels are given, and the reference has none of it"), "{told}");

    // Capitals, numbers and truth values are no classes, and no wrong answers either.
    let names = |record: &Value| {
        let name = record["outputs"]["intent"]["label"].as_str().expect("a name").to_uppercase();
        label(record, "", json!({"intent": name}))
    };
    let told = judge(&reference, &names);
    assert!(
        warnings(&told).contains("task `intent`: 800 labels name no class of the manifest: `"),
        "{}",
        warnings(&told)
    );
    assert!(warnings(&told).contains("; its classes are `"), "{}", warnings(&told));
    assert_eq!(told["summary"]["labels"]["outcomes"], json!({"unknown_class": 800}));
    assert_eq!((&told["alerts"], &told["performance"][0]["accuracy"]), (&json!([]), &Value::Null));
    for (odd, name) in [(json!(0), "`0`"), (json!(true), "`true`")] {
        let told = warnings(&judge(&reference, &|record| label(record, "", json!({"intent": odd}))));
        assert!(told.contains(&format!("task `intent`: 800 labels name no class of the manifest: {name};")), "{told}");
    }

    // Without an id a label speaks of nothing.
    let mut nameless = labelled(bare(4));
    nameless.iter_mut().for_each(|record| drop(record.as_object_mut().expect("a map").remove("prediction_id")));
    let told = warnings(&scene.judge(&reference, &nameless));
    assert!(told.contains("800 labels stand in records without a `prediction_id`"), "{told}");

    // While a reference is fitted too.
    let mut capital = labelled(bare(0));
    capital.iter_mut().for_each(|record| record["labels"]["intent"] = json!("REFUND"));
    let (_, told) = scene.fit(&capital);
    assert!(told.contains("warning: task `intent`: 2000 labels name no class of the manifest: `REFUND`"), "{told}");
    assert!(!told.contains("labelled"), "nothing is learned of them: {told}");
}
