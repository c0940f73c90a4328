//! The published schema and the decoder: what the schema accepts is read, and what is wrong is refused by both.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::NativeDecoder;
use crate::drift::record::{Record, RejectReason, Rejected};
use crate::drift::task::{ModelSpec, TaskKind, TaskSpec};
use crate::drift::time::Timestamp;
use crate::source::RECORDS_SCHEMA;

fn decode(record: &Value) -> Result<Record, Rejected> {
    let task = |name: &str, kind, classes: &[&str]| TaskSpec {
        name: name.into(),
        kind,
        classes: classes.iter().map(|class| (*class).into()).collect(),
        threshold: 0.5,
        temperature: 1.0,
    };
    let spec = ModelSpec {
        name: "support".into(),
        version: "1".into(),
        embedding_dimension: Some(4),
        attributes: Vec::new(),
        segments: None,
        tasks: vec![
            task("intent", TaskKind::Multiclass, &["refund", "order_status", "cancel"]),
            task("mood", TaskKind::Binary, &["calm", "angry"]),
            task("topics", TaskKind::Multilabel, &["billing", "delivery"]),
            task("entities", TaskKind::TokenLabels, &["O", "B-ORDER"]),
            task("urgency", TaskKind::Regression, &[]),
        ],
    };
    let far = Timestamp::from_micros(i64::MAX);
    NativeDecoder::new(vec![Arc::new(spec)], 1 << 20).decode(record.to_string().as_bytes(), None, far)
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&serde_json::from_str(RECORDS_SCHEMA).expect("JSON")).expect("a schema")
}

/// The records that `docs/how-to/records.md` shows.
fn shown() -> Vec<Value> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/how-to/records.md");
    let page = std::fs::read_to_string(page).expect("readable");
    let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let records = blocks.flat_map(|block| serde_json::Deserializer::from_str(block).into_iter::<Value>());
    records.map(|record| record.expect("JSON")).collect()
}

#[test]
fn what_the_documents_show_is_valid_and_read() {
    let (validator, shown) = (validator(), shown());
    for record in &shown {
        let errors: Vec<String> = validator.iter_errors(record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{record}: {errors:?}");
        let read = decode(record).unwrap_or_else(|refused| panic!("{record}: {refused}"));
        let says = |key: &str| record.get(key).is_some();
        assert_eq!(
            read.answers.iter().flatten().count(),
            record["outputs"].as_object().map_or(0, serde_json::Map::len)
        );
        assert!(read.embedding.is_some() == says("embedding") && read.unknown_classes.is_empty(), "{read:?}");
        assert!(read.labels.is_empty() || says("task") || says("labels"));
        assert_eq!(read.unknown_tasks, 0, "{record}");
    }
    let kinds = ["binary", "multiclass", "multilabel", "token_labels", "regression", "logits", "retracted", "revision"];
    let text = json!(shown).to_string();
    for part in kinds.into_iter().chain(["f32", "f16", "\"embedding\":["]) {
        assert!(text.contains(part), "no record shows `{part}`");
    }
}

#[test]
fn the_published_fixtures_are_valid() {
    for name in ["native_prediction.json", "native_label.json"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures").join(name);
        // A clone of the project alone has no fixtures beside it.
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        let record: Value = serde_json::from_str(&text).expect("JSON");
        let errors: Vec<String> = validator().iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

/// What a record may be refused for though its shape is right: names and numbers of the manifest, and times.
const OF_THE_MANIFEST: [RejectReason; 4] =
    [RejectReason::UnknownModel, RejectReason::UnknownTask, RejectReason::WrongKind, RejectReason::FutureTime];

/// Every place of a record below `value`.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in inner {
        let at = format!("{at}/{key}");
        places(value, &at, found);
        found.push(at);
    }
}

#[test]
fn what_the_schema_accepts_is_read() {
    let validator = validator();
    let others = [
        json!(null),
        json!(""),
        json!("x"),
        json!("refund"),
        json!("2026-11-22T10:15:30Z"),
        json!("2026-11-22T10:15:30"),
        json!("AACAPw=="),
        json!("AACAPw=A"),
        json!("ADw="),
        json!(true),
        json!(0),
        json!(-3),
        json!(1.5),
        json!(1e300),
        json!([]),
        json!([0.5, 0.5]),
        json!(["refund"]),
        json!([null]),
        json!({}),
        json!({"refund": 0.5}),
        json!({"refund": "x"}),
        json!({"name": "support"}),
        json!({"text": "a"}),
        json!({"dtype": "f32", "data_b64": "AACAPw=="}),
        json!({"dtype": "f32", "data_b64": "AACA"}),
        json!({"dtype": "f64", "data_b64": ""}),
    ];
    let (mut accepted, mut refused) = (0, 0);
    for record in shown() {
        let mut found = Vec::new();
        places(&record, "", &mut found);
        for place in found {
            let mut without = record.clone();
            let (parent, key) = place.rsplit_once('/').expect("a place");
            if let Some(map) = without.pointer_mut(parent).and_then(Value::as_object_mut) {
                map.remove(key);
            }
            let changed = others.iter().map(|other| {
                let mut changed = record.clone();
                *changed.pointer_mut(&place).expect("there") = other.clone();
                changed
            });
            for changed in changed.chain([without]) {
                let is_valid = validator.is_valid(&changed);
                accepted += usize::from(is_valid);
                match decode(&changed) {
                    Err(why) if !OF_THE_MANIFEST.contains(&why.reason) => {
                        refused += 1;
                        assert!(!is_valid, "{changed} is valid by the schema, and refused: {why}");
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(accepted > 500 && refused > 500, "{accepted} were valid, {refused} refused");
}

#[test]
fn what_is_wrong_is_refused_by_both() {
    let right = json!({"prediction_id": "a", "timestamp": "2026-11-22T10:15:30Z", "model": {"name": "support"},
                       "input": {"text": "hi"}, "outputs": {"intent": {"label": "refund"}}});
    let validator = validator();
    assert!(validator.is_valid(&right) && decode(&right).is_ok());
    for (place, wrong) in [
        ("/schema", json!("prediction/v2")),
        ("/timestamp", json!("2026-11-22T10:15:30")),
        ("/timestamp", json!(true)),
        ("/timestamp", json!(1e19)),
        ("/prediction_id", json!(17)),
        ("/model", json!("support")),
        ("/model", json!({"name": "support", "version": 1})),
        ("/input", json!({"text": ["hi"]})),
        ("/outputs", json!({"intent": {"label": 0}})),
        ("/outputs", json!({"intent": {}})),
        ("/outputs", json!({"urgency": {"kind": "regression", "label": "high"}})),
        ("/outputs", json!({"intent": {"scores": [0.5, "x", 0.1]}})),
        ("/embedding", json!({"dtype": "f64", "data_b64": "AACAPw=="})),
        ("/embedding", json!({"dtype": "f32", "data_b64": "AACA"})),
        ("/tags", json!({"channel": 1})),
        ("/revision", json!(1.5)),
    ] {
        let mut record = right.clone();
        record[&place[1..]] = wrong;
        assert!(!validator.is_valid(&record), "the schema takes {record}");
        assert!(decode(&record).is_err(), "the decoder takes {record}");
    }
    for missing in ["timestamp", "labels"] {
        let mut record = json!({"prediction_id": "a", "timestamp": 1, "labels": {"intent": "refund"}});
        record.as_object_mut().expect("a map").remove(missing);
        assert!(!validator.is_valid(&record) && decode(&record).is_err(), "{record}");
    }
}

#[test]
fn a_time_may_be_a_number_whose_size_tells_the_unit() {
    for (number, time) in [
        (json!(1_795_342_530), "2026-11-22T10:15:30Z"),
        (json!(1_795_342_530_500_i64), "2026-11-22T10:15:30.5Z"),
        (json!(1_795_342_530_500_000_i64), "2026-11-22T10:15:30.5Z"),
        (json!(1_795_342_530_500_000_000_i64), "2026-11-22T10:15:30.5Z"),
        (json!(1_795_342_530.5), "2026-11-22T10:15:30.5Z"),
        (json!(1_795_342_530_500.0), "2026-11-22T10:15:30.5Z"),
        (json!(1.7953425305e15), "2026-11-22T10:15:30.5Z"),
        (json!(1.7953425305e18), "2026-11-22T10:15:30.5Z"),
        (json!(-1.5), "1969-12-31T23:59:58.5Z"),
    ] {
        let record = json!({"timestamp": number, "model": {"name": "support"}, "input": {"text": "hi"}});
        assert!(validator().is_valid(&record), "{record}");
        assert_eq!(decode(&record).expect("is read").time.to_string(), time, "{record}");
    }
}
