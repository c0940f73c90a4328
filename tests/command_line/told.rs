//! What a newcomer has to be told: what stops half-way, and labels that say nothing.

use serde_json::{Value, json};

use super::bad_input::{Scene, records};
use super::support::{driftd, fail_with, succeed};

pub(super) fn warnings(told: &Value) -> String {
    told["summary"]["warnings"].to_string()
}

/// Records without texts: no model has to be run for them.
pub(super) fn bare(days_later: usize) -> Vec<Value> {
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
    let its_own = warnings(&scene.judge(&reference, &bare(0)));
    assert!(its_own.contains("look calmer than new ones as a whole, and some may also raise alarms"), "{its_own}");
    let whole = scene.judge(&reference, &bare(4));
    assert!(!warnings(&whole).contains("look calmer"));
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
pub(super) fn labelled(mut records: Vec<Value>) -> Vec<Value> {
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

#[test]
fn scores_in_another_order_than_the_classes_are_told() {
    let scene = Scene::new();
    let scored = |mut records: Vec<Value>, odd: &dyn Fn(usize) -> bool| {
        for (i, record) in records.iter_mut().enumerate() {
            let (low, high) = (0.1 + (i % 7) as f64 / 50.0, 0.9 - (i % 7) as f64 / 50.0);
            let scores = if (i % 3 == 0) == odd(i) { [high, low] } else { [low, high] };
            let label = if i % 3 == 0 { "angry" } else { "calm" };
            record["outputs"]["mood"] = json!({"kind": "binary", "label": label, "scores": scores});
        }
        records
    };
    let said = "of 800 answers (100.0 %) the `label` is not the class with the largest of the `scores` or `logits`";
    let (reference, told) = scene.fit(&scored(bare(0), &|_| false));
    assert!(!told.contains("in the order of"), "{told}");
    let told = warnings(&scene.judge(&reference, &scored(bare(4), &|_| true)));
    assert!(told.contains("task `mood`: in 800 ") && told.contains(said), "{told}");
    // A few may follow a rule of production's.
    let told = warnings(&scene.judge(&reference, &scored(bare(4), &|i| i % 25 == 0)));
    assert!(!told.contains("in the order of"), "{told}");
    let (_, told) = scene.fit(&scored(bare(0), &|_| true));
    assert!(
        told.contains("warning: task `mood`: in 2000 of 2000 answers (100.0 %) the `label` is not the class"),
        "{told}"
    );
    // Unless the manifest says where the second class begins.
    let late =
        |example: String| example.replace("    temperature: 1.004\n", "    temperature: 1.004\n    threshold: 0.95\n");
    let calm = |mut records: Vec<Value>| {
        let calm = |record: &mut Value| record["outputs"]["mood"]["label"] = json!("calm");
        records.iter_mut().for_each(calm);
        records
    };
    let (_, told) = scene.fit(&calm(scored(bare(0), &|_| false)));
    assert!(told.contains("is its `threshold` another one"), "{told}");
    let (_, told) = Scene::with_manifest(late).fit(&calm(scored(bare(0), &|_| false)));
    assert!(!told.contains("in the order of"), "{told}");
}

#[test]
fn attributes_that_cannot_be_watched_are_told() {
    let named = |example: String| {
        example
            + "attributes:\n  - {name: amout, kind: numeric}\n  - {name: ticket, kind: numeric}\n  \
               - {name: customer, kind: categorical}\n  - {name: wait, kind: numeric}\n"
    };
    let scene = Scene::with_manifest(named);
    let with = |mut records: Vec<Value>, has_wait: bool| {
        for (i, record) in records.iter_mut().enumerate() {
            record["attributes"] = json!({"amount": i % 17, "ticket": 9_000 + i, "customer": format!("u{i}")});
            if has_wait {
                record["attributes"]["wait"] = json!(i * 337 % 100);
            }
        }
        records
    };
    let (reference, told) = scene.fit(&with(bare(0), true));
    for part in [
        "warning: no record has the attribute `amout` that the manifest names",
        "warning: attribute `ticket` only grows with time (rank correlation 1.00 ",
        "warning: attribute `customer` has 2000 different values in 2000 records, as ids do",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!told.contains("attribute `wait`"), "{told}");
    let told = warnings(&scene.judge(&reference, &with(bare(4), false)));
    assert!(told.contains("no record has the attribute `wait`, and those of the reference had"), "{told}");
    assert!(!told.contains("attribute `amout`"), "it never had any: {told}");
    let told = warnings(&scene.judge(&reference, &with(bare(4), true)));
    assert!(!told.contains("attribute `"), "{told}");
}

#[test]
fn windows_of_few_records_are_told() {
    let scene = Scene::new();
    let stream = scene.write("records.jsonl", &bare(0));
    let fit = |windows: [&str; 2]| {
        let mut command = driftd();
        command.args(["reference", "fit", "--device", "cpu", "-m"]).arg(&scene.manifest).arg("-i").arg(&stream);
        succeed(command.arg("-o").arg(scene.folder.path().join("few.bin")).args(windows))
    };
    // A hundred records a second.
    let told = fit(["--window", "100ms"]);
    let said = "hold 10.0 records on average, and a test takes 50 (`--min-records`)";
    assert!(told.contains("warning: windows of 100ms ") && told.contains(said), "{told}");
    assert!(told.contains("`--window 1m` would hold"), "{told}");
    let told = fit(["--window-records", "20"]);
    assert!(told.contains("hold 20.0 records") && told.contains("`--window-records 50` would hold"), "{told}");
    assert!(!fit(["--window", "1s"]).contains("records on average"));
    for command in [&["reference", "fit", "--help"][..], &["backtest", "--help"]] {
        let told = succeed(driftd().args(command));
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("a new reference has windows of 5m"), "{told}");
        assert!(command[0] == "reference" || told.contains("such as 1/30d, which is the default"), "{told}");
    }
}

#[test]
fn what_a_file_seems_to_be_is_told_once() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&bare(0));
    let mut file = scene.write("records.json", &bare(4));
    let text = std::fs::read_to_string(&file).expect("readable");
    let pretty: String = text
        .lines()
        .map(|line| {
            let record: Value = serde_json::from_str(line).expect("JSON");
            serde_json::to_string_pretty(&record).expect("JSON") + "\n"
        })
        .collect();
    std::fs::write(&file, pretty).expect("written");
    let judge = |file: &std::path::Path| {
        let mut command = driftd();
        command.args(["backtest", "--device", "cpu", "-m"]).arg(&scene.manifest).arg("-r").arg(&reference);
        fail_with(command.arg("-i").arg(file), 3)
    };
    let told = judge(&file);
    assert_eq!(told.matches("records.json seems to be JSON over several lines").count(), 1, "{told}");
    file.set_extension("csv");
    std::fs::write(&file, "id,label,time\n1,refund,2026\n").expect("written");
    let told = judge(&file);
    assert!(told.contains("records.csv seems to be a table, such as CSV"), "{told}");
    let mut backtest = scene.backtest(&reference, &bare(4));
    let told = fail_with(backtest.arg("--labels").arg(&file), 3);
    assert!(told.contains("records.csv seems to be a table, such as CSV"), "{told}");
}
