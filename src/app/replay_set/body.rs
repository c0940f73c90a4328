//! What is written of a record that was drawn.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Golds;
use crate::drift::gold::Gold;
use crate::drift::record::Record;
use crate::drift::replay::{By, Picked, Stratum};
use crate::drift::task::{ModelSpec, TaskSpec};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Id, time, model and labels.
    Names,
    /// The record but for its texts.
    ButTexts,
    /// The record.
    Everything,
}

/// What of a record does not depend on which others are drawn. `line` is the record as it was read.
pub fn of(spec: &ModelSpec, record: &Record, line: &[u8], gold: &Golds, kept: Kept) -> Vec<u8> {
    let mut whole: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
    match kept {
        Kept::Everything => {}
        Kept::ButTexts => drop(whole.remove("input")),
        Kept::Names => whole.retain(|key, _| key == "labels"),
    }
    let mut labels = match whole.remove("labels") {
        Some(Value::Object(labels)) => labels,
        _ => Map::new(),
    };
    // Labels that came later count; a class that the manifest does not know has its name only in the record.
    for (task, gold) in spec.tasks.iter().zip(gold) {
        if let Some(value) = gold.as_ref().and_then(|gold| value(task, gold)) {
            labels.insert(task.name.clone(), value);
        }
    }
    if !labels.is_empty() {
        whole.insert("labels".to_owned(), labels.into());
    }
    whole.insert("prediction_id".to_owned(), json!(record.id));
    whole.entry("timestamp").or_insert_with(|| json!(record.time));
    whole.entry("model").or_insert_with(|| json!({"name": spec.name, "version": spec.version}));
    serde_json::to_vec(&whole).expect("JSON that was read can be written")
}

/// A line of the set.
pub fn line(spec: &ModelSpec, picked: &Picked) -> Vec<u8> {
    let mut line = serde_json::to_vec(&whole(spec, picked)).expect("JSON that was read can be written");
    line.push(b'\n');
    line
}

/// What is written of a record: the body, and how its record was drawn.
pub fn whole(spec: &ModelSpec, picked: &Picked) -> Map<String, Value> {
    let mut whole: Map<String, Value> = serde_json::from_slice(&picked.row.body).unwrap_or_default();
    let strata: Vec<Value> = picked.row.of.strata.iter().map(|s| stratum(spec, Some(*s))).collect();
    let replay = json!({
        "period": picked.row.of.period, "probability": picked.probability, "weight": 1.0 / picked.probability,
        "strata": strata,
    });
    whole.insert("replay".to_owned(), replay);
    whole
}

/// A stratum as JSON.
pub fn stratum(spec: &ModelSpec, of: Option<Stratum>) -> Value {
    let (task, class, by) = names(spec, of);
    json!({"task": task, "class": class, "by": by})
}

/// Task, class and source of a stratum; none of them for all records.
pub fn names(spec: &ModelSpec, of: Option<Stratum>) -> (Option<&str>, Option<&str>, Option<By>) {
    let Some(Stratum { task, class, by }) = of else { return (None, None, None) };
    let task = spec.tasks.get(usize::from(task));
    let class = task.zip(class).map(|(task, class)| task.class_name(class as usize));
    (task.map(|t| t.name.as_str()), class, Some(by))
}

/// How it is called in JSON.
pub fn word<T: Serialize>(of: &T) -> String {
    serde_json::to_value(of).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// A label by its names; `None` if it holds a class that the manifest does not know.
fn value(task: &TaskSpec, gold: &Gold) -> Option<Value> {
    let name = |class: &u32| task.classes.get(*class as usize);
    match gold {
        Gold::Class(class) => name(class).map(|name| json!(name)),
        Gold::Labels(all) | Gold::Tokens(all) => all.iter().map(name).collect::<Option<Vec<_>>>().map(|all| json!(all)),
        Gold::Value(value) => Some(json!(value)),
    }
}
