//! Records that are given twice, or without an id, and settings that the reference has made already.

use serde_json::{Value, json};

use super::bad_input::records;
use super::support::{driftd, fail_with};
use super::without_model::{bare, fit_with_words};

fn warnings(told: &Value) -> String {
    told["summary"]["warnings"].to_string()
}

#[test]
fn what_counts_twice_is_told_or_refused() {
    let scene = bare("");
    let (reference, table) = fit_with_words(&scene, &records(0), ["--window-records", "50"]);
    assert!(!table.contains("came before"), "{table}");
    let file = scene.write("twice.jsonl", &records(0)).display().to_string();
    let again = format!("{}/./twice.jsonl", scene.folder.path().display());
    let manifest = scene.manifest.display().to_string();
    let of_reference = reference.display().to_string();
    let out = scene.folder.path().join("other.bin").display().to_string();
    for arguments in [&["reference", "fit", "-o", &out][..], &["backtest", "-r", &of_reference]] {
        let said = fail_with(driftd().args(arguments).args(["-m", &manifest, "-i", &file, "-i", &again]), 2);
        assert!(said.contains("twice.jsonl` is given twice"), "{said}");
    }

    let mut stream = records(4);
    stream.extend(stream[..50].to_vec());
    stream[100].as_object_mut().expect("a map").remove("prediction_id");
    let told = warnings(&scene.judge(&reference, &stream));
    assert!(told.contains("50 of 850 records have a `prediction_id` that came before with the same content"), "{told}");
    assert!(told.contains("1 of 850 records have no `prediction_id`"), "{told}");
    let told = warnings(&scene.judge(&reference, &records(4)));
    assert!(!told.contains("prediction_id"), "{told}");
    let mut learned = records(0);
    learned.extend(learned[..7].to_vec());
    let (_, table) = fit_with_words(&scene, &learned, ["--window-records", "50"]);
    assert!(table.contains("7 of 2007 records have a `prediction_id` that came before"), "{table}");

    // A form of record that nobody knows is refused.
    let mut unknown = records(4);
    unknown[3]["schema"] = json!("prediction/v2");
    let told = scene.judge(&reference, &unknown);
    assert_eq!(told["summary"]["records"]["refused_by_reason"], json!({"invalid_shape": 1}));
}

#[test]
fn segments_are_the_references() {
    let tagged = |days| {
        let mut records = records(days);
        for (i, record) in records.iter_mut().enumerate() {
            record["tags"] = json!({"channel": if i % 2 == 0 { "mail" } else { "chat" }});
        }
        records
    };
    let scene = bare("");
    let (reference, _) = fit_with_words(&scene, &tagged(0), ["--window-records", "50"]);
    let said = "segments` are none, and the reference was fitted with `channel`: the reference decides";
    for (more, is_said) in [("", false), ("segments: [channel]\n", false), ("segments: []\n", true)] {
        let other = bare(more);
        let told = other.judge(&reference, &tagged(4));
        assert_eq!(warnings(&told).contains(said), is_said, "{more}: {}", warnings(&told));
        let segments = told["windows"][3]["statistics"].as_array().expect("statistics").iter();
        assert!(segments.filter(|s| s["segment"] == "channel=mail").count() > 0, "the reference decides");
    }
}
