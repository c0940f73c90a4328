//! What records lack is told: silence about what was never there must not look like calm.

use serde_json::{Value, json};

use super::bad_input::{DIMENSION, Scene, numbers, records, with_embeddings};
use super::support::{driftd, fail_with, succeed};

fn warnings(told: &Value) -> String {
    told["summary"]["warnings"].to_string()
}

#[test]
fn nothing_to_judge_is_an_error_with_its_reason() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&records(0));
    let mut foreign = records(4);
    foreign.iter_mut().for_each(|record| record["model"]["name"] = json!("other"));
    let label = |record: &Value| {
        json!({"schema": "label/v1", "prediction_id": record["prediction_id"], "task": "intent", "label": "refund",
               "labeled_at": "2026-03-06T00:00:00Z"})
    };
    let labels: Vec<Value> = records(4).iter().take(60).map(label).collect();
    for (stream, said) in [
        (vec![], "the stream holds no usable record"),
        (foreign.clone(), "no usable record; 800 were refused: unknown_model 800"),
        (labels, "no usable record, but for 60 labels"),
    ] {
        let told = fail_with(&mut scene.backtest(&reference, &stream), 3);
        assert!(told.contains("nothing could be judged") && told.contains(said), "{told}");
    }
    let missing = fail_with(&mut scene.backtest(&scene.folder.path().join("none.bin"), &records(4)), 3);
    assert!(missing.contains("none.bin` cannot be read"), "{missing}");
    for (few, said) in
        [(&records(0)[..10], "10 usable records are too few"), (&foreign[..], "refused: unknown_model 800")]
    {
        let mut fit = driftd();
        fit.args(["reference", "fit", "--device", "cpu", "-m"]).arg(&scene.manifest);
        fit.arg("-i").arg(scene.write("few.jsonl", few)).arg("-o").arg(scene.folder.path().join("few.bin"));
        let told = fail_with(&mut fit, 3);
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn what_a_stream_lacks_is_named() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&records(0));
    let whole = warnings(&scene.judge(&reference, &records(4)));
    assert!(!whole.contains("task") && !whole.contains("judged"), "{whole}");
    // A text with an embedding is run only to be compared: a twentieth of them.
    let few = "of 800 records were compared with the exported model, and a test of skew takes 50: it was looked for";
    let embedded = with_embeddings(records(4), numbers(DIMENSION, 1));
    let told = warnings(&scene.judge(&reference, &embedded));
    assert!(told.contains(few) && !whole.contains(few), "{told}");
    let mut all = scene.backtest(&reference, &embedded);
    assert!(!succeed(all.args(["--format", "json", "--skew-sample", "1"])).contains(few), "all of them");

    let mut odd = records(4);
    for (i, record) in odd.iter_mut().enumerate() {
        let outputs = record["outputs"].as_object_mut().expect("a map");
        if let Some(topics) = outputs.remove("topics") {
            outputs.insert("subjects".to_owned(), topics);
        }
        outputs["mood"] = json!({"kind": "binary", "label": outputs["mood"]["label"], "scores": [2.0, 3.0]});
        if i.is_multiple_of(4) {
            outputs["intent"] = json!({"kind": "multiclass", "label": if i == 0 { "odd" } else { "zeta" }});
        }
        if i >= 200 {
            outputs.remove("urgency");
        }
    }
    let told = warnings(&scene.judge(&reference, &odd));
    for part in [
        "no record answers task `topics`: none of its signals could be judged; 800 answers are of tasks that the manifest",
        "only 200 of 800 records answer task `urgency`, and 100 % of the reference's did",
        "task `intent`: 200 of 800 answers (25.0 %) name no class of the manifest: `zeta`, `odd`",
        "task `mood`: 800 of 800 confidences (100.0 %) are no probabilities",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }

    // Without texts there are no embeddings either, and nothing to compare with the exported model.
    let mut bare = records(4);
    for record in &mut bare {
        record.as_object_mut().expect("a map").remove("input");
        record["outputs"]["mood"] = json!({"kind": "binary", "label": record["outputs"]["mood"]["label"]});
    }
    let told = warnings(&scene.judge(&reference, &bare));
    for part in [
        "no record has a text, and those of the reference had: `",
        "no record has an embedding, and none was made of its text: `encoder_",
        "task `mood`: its answers lack what the reference's had",
        "task `intent`: no answer could be compared with the exported model's",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
}

#[test]
fn refused_labels_are_counted_by_their_reasons() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&records(0));
    let label = |(i, record): (usize, Value)| {
        let mut label = json!({"schema": "label/v1", "prediction_id": record["prediction_id"], "task": "intent",
                               "label": "refund", "labeled_at": "2026-03-06T00:00:00Z"});
        match i {
            0..10 => {}
            10 => label["prediction_id"] = Value::Null,
            _ => label["task"] = json!("nothing"),
        }
        label
    };
    let mut labels: Vec<Value> = records(4).into_iter().take(100).enumerate().map(label).collect();
    let file = scene.write("labels.jsonl", &labels);
    let mut backtest = scene.backtest(&reference, &records(4));
    let output = backtest.arg("--labels").arg(&file).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let warning = "90 of 100 labels were refused and left out: no_prediction_id 1, unknown_task 89";
    assert!(output.status.success() && said.contains(&format!("warning: {warning}")), "{said}");
    assert_eq!(said.matches(": no label: ").count(), 5, "{said}");
    let again = |format: &str| {
        let mut backtest = scene.backtest(&reference, &records(4));
        succeed(backtest.arg("--labels").arg(&file).args(["--format", format]))
    };
    let told: Value = serde_json::from_str(&again("json")).expect("JSON");
    assert!(warnings(&told).contains(warning), "{told}");
    assert_eq!(told["summary"]["labels"]["refused_by_reason"], json!({"no_prediction_id": 1, "unknown_task": 89}));
    assert!(again("html").contains(warning));

    labels.drain(..10);
    let file = scene.write("labels.jsonl", &labels);
    let mut backtest = scene.backtest(&reference, &records(4));
    let told = fail_with(backtest.arg("--labels").arg(file), 3);
    assert!(told.contains("holds no label of a task") && told.contains("unknown_task 89"), "{told}");
}

#[test]
fn refused_records_are_told_with_the_field_and_the_reason() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&records(0));
    let mut some = records(4);
    some[1]["model"]["version"] = json!(1);
    some[2]["outputs"]["intent"]["label"] = json!(3);
    some[3].as_object_mut().expect("a map").remove("timestamp");
    let output = scene.backtest(&reference, &some).output().expect("runs");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(
        err.contains("stream.jsonl:2: refused: invalid_shape: `model.version`: expected a string, at column "),
        "{err}"
    );
    assert!(err.contains("stream.jsonl:3: refused: invalid_shape: `outputs.intent.label`: expected a string"), "{err}");
    assert!(out.contains("797 of 800 records judged, 3 refused (invalid_shape 2, no_time 1)"), "{out}");
    let told = scene.judge(&reference, &some);
    let records = &told["summary"]["records"];
    assert_eq!((&records["refused"], &records["refused_by_reason"]["no_time"]), (&json!(3), &json!(1)), "{records}");
}
