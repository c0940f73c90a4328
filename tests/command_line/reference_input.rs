//! What a reference is fitted to: labels wherever they stand, files in any order, and times that cannot be right.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::bad_input::{Scene, records};
use super::support::{driftd, example_manifest, fail_with, succeed};

/// What the fit said, and the bytes of the reference.
fn fit(scene: &Scene, inputs: &[&Path], more: &[&str]) -> (String, Vec<u8>) {
    let reference = scene.folder.path().join("fitted.bin");
    let mut command = driftd();
    command.args(["reference", "fit", "--device", "cpu", "--threads", "1", "-m"]).arg(&scene.manifest);
    for input in inputs {
        command.arg("-i").arg(input);
    }
    let told = succeed(command.arg("-o").arg(&reference).args(more));
    (told, std::fs::read(reference).expect("written"))
}

/// Records without texts: no model has to be run for them.
fn bare() -> Vec<Value> {
    let mut records = records(0);
    records.iter_mut().for_each(|record| drop(record.as_object_mut().expect("a map").remove("input")));
    records
}

fn labels(records: &[Value]) -> Vec<Value> {
    let label = |record: &Value| {
        json!({"schema": "label/v1", "prediction_id": record["prediction_id"], "task": "intent",
               "label": record["outputs"]["intent"]["label"], "labeled_at": "2026-03-06T00:00:00Z"})
    };
    records.iter().map(label).collect()
}

#[test]
fn labels_count_wherever_they_stand() {
    let scene = Scene::new();
    let (predictions, labels) = (bare(), labels(&bare()[..1_000]));
    let write = |name: &str, parts: [&[Value]; 2]| scene.write(name, &parts.concat());
    let whole = write("predictions.jsonl", [&predictions, &[]]);
    let apart = write("labels.jsonl", [&labels, &[]]);
    let windows = ["--window-records", "50"];
    let with_labels = [&windows[..], &["--labels", apart.to_str().expect("UTF-8")]].concat();
    let (told, bytes) = fit(&scene, &[&whole], &with_labels);
    assert!(told.contains("labelled") && told.contains(" 1000 "), "{told}");
    for (name, parts) in [("after.jsonl", [&predictions[..], &labels]), ("before.jsonl", [&labels[..], &predictions])] {
        let (told_of_one, bytes_of_one) = fit(&scene, &[&write(name, parts)], &windows);
        assert!(told_of_one == told && bytes_of_one == bytes, "{name}: {told_of_one}");
    }
    let (told, _) = fit(&scene, &[&whole], &windows);
    assert!(!told.contains("labelled"), "{told}");

    // Labels of what is not there are told, and those that are none.
    let mut strange = labels.clone();
    strange.iter_mut().for_each(|label| label["prediction_id"] = json!(format!("x{}", label["prediction_id"])));
    strange[0]["task"] = json!("nothing");
    let strange = write("strange.jsonl", [&strange, &[]]);
    let with_labels = [&windows[..], &["--labels", strange.to_str().expect("UTF-8")]].concat();
    let (told, _) = fit(&scene, &[&whole], &with_labels);
    assert!(told.contains("warning: none of the 999 predictions that labels were given for"), "{told}");
    assert!(told.contains("warning: 1 labels were refused: unknown_task 1"), "{told}");
}

#[test]
fn files_may_be_named_in_any_order() {
    let scene = Scene::new();
    let mut all = bare();
    // Some at the very same moment as the next.
    for i in (0..all.len() - 1).step_by(10) {
        all[i + 1]["timestamp"] = all[i]["timestamp"].clone();
    }
    let part = |rest: usize| all.iter().skip(rest).step_by(3).cloned().collect::<Vec<_>>();
    let parts: Vec<PathBuf> = (0..3).map(|rest| scene.write(&format!("part{rest}.jsonl"), &part(rest))).collect();
    let [a, b, c] = [&*parts[0], &*parts[1], &*parts[2]];
    let windows = ["--window", "500ms"];
    let (_, forwards) = fit(&scene, &[a, b, c], &windows);
    for order in [[c, b, a], [b, a, c]] {
        assert!(fit(&scene, &order, &windows).1 == forwards, "{order:?}");
    }
    // Records of one file too, where windows are cut by their times.
    let shuffled: Vec<Value> = (0..all.len()).map(|i| all[i * 337 % all.len()].clone()).collect();
    let shuffled = scene.write("shuffled.jsonl", &shuffled);
    assert!(fit(&scene, &[&shuffled], &windows).1 == forwards, "a file in no order");
}

#[test]
fn times_that_cannot_be_right_are_told() {
    let scene = Scene::new();
    let mut odd = bare();
    odd[500]["timestamp"] = json!("2090-01-01T00:00:00Z");
    odd[500]["prediction_id"] = json!("lost");
    odd.iter_mut().for_each(|record| record["outputs"]["mood"] = json!({"kind": "binary", "label": "furious"}));
    let file = scene.write("odd.jsonl", &odd);
    let (told, _) = fit(&scene, &[&file], &["--window-records", "50"]);
    let said = "warning: 1 of 2000 records lie far from all others in time, such as one of 2090-01-01T00:00:00Z \
                (`prediction_id` \"lost\"); the others lie around 2026-03-01T00:00:00Z to ";
    assert!(told.contains(said), "{told}");
    assert!(told.contains("warning: task `mood`: classes that the manifest does not name: `furious`"), "{told}");
    assert!(!told.contains("earlier than the one before"), "one is no disorder: {told}");
    let usual = bare();
    let shuffled: Vec<Value> = (0..odd.len()).map(|i| usual[i * 337 % odd.len()].clone()).collect();
    let shuffled = scene.write("shuffled.jsonl", &shuffled);
    let (told, _) = fit(&scene, &[&shuffled], &["--window-records", "50"]);
    assert!(told.contains(" of 2000 records (16.8 %) are earlier than the one before them"), "{told}");
    let usual = scene.write("usual.jsonl", &usual);
    let (told, _) = fit(&scene, &[&usual], &["--window-records", "50"]);
    assert!(!told.contains("lie far") && !told.contains("does not name"), "{told}");

    let mut command = driftd();
    command.args(["reference", "fit", "-m"]).arg(example_manifest()).arg("-i").arg(&usual).args(["-o", "none.bin"]);
    let told = fail_with(command.args(["--from", "2026-03-02T00:00:00Z", "--to", "2026-03-01T00:00:00Z"]), 2);
    assert!(told.contains("`--from 2026-03-02T00:00:00Z` is not before `--to 2026-03-01T00:00:00Z`"), "{told}");
}

#[test]
fn simulate_refuses_what_are_no_values() {
    for (wrong, said) in [
        (&["--start", "yesterday", "-n", "1"][..], "is not an RFC 3339 time"),
        (&["--drift", "broken_head:nothing", "-n", "1"], "the model has no task `nothing`"),
        (&["--drift", "prior_shift:nothing", "-n", "1"], "the grammar has no intent `nothing`"),
        (&["--rate", "0", "-n", "1"], "`--rate` must be above 0"),
        (&[], "give `--count`"),
    ] {
        let mut command = driftd();
        command.args(["simulate", "--device", "cpu", "-m"]).arg(example_manifest()).args(wrong);
        let told = fail_with(&mut command, 2);
        assert!(told.contains(said), "{wrong:?}: {told}");
    }
}
