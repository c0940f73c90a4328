//! Simulated records in the native format.

use serde_json::{Map, Value, json};

use crate::drift::answer::{sigmoid, softmax};
use crate::drift::task::{TaskKind, TaskSpec};
use crate::drift::time::Timestamp;
use crate::model::Manifest;
use crate::model::heads::columns;
use crate::model::manifest::Activation;
use crate::model::onnx::RawOutputs;

/// One record; `broken` names a task whose head answers wrongly.
pub fn json(
    manifest: &Manifest,
    id: &str,
    time: Timestamp,
    text: &str,
    outputs: Option<&RawOutputs>,
    broken: Option<&str>,
) -> String {
    let mut record = json!({
        "schema": "prediction/v1",
        "prediction_id": id,
        "timestamp": time,
        "model": {"name": manifest.spec.name, "version": manifest.spec.version},
        "input": {"text": text},
    });
    if let Some(outputs) = outputs {
        let mut answers = Map::new();
        for ((task, head), row) in manifest.spec.tasks.iter().zip(&manifest.heads).zip(&outputs.heads) {
            let is_broken = broken == Some(task.name.as_str());
            answers.insert(task.name.clone(), answer(task, head.activation, row, &outputs.special, is_broken));
        }
        record["outputs"] = Value::Object(answers);
    }
    record.to_string()
}

/// A broken head gives each class its neighbour's logit, at half the certainty; a broken regression
/// head turns its scale around.
fn answer(task: &TaskSpec, activation: Activation, row: &[f32], special: &[bool], is_broken: bool) -> Value {
    let (activation, row) = columns(task, activation, row);
    let row = row.as_ref();
    let probabilities = |row: &[f32]| {
        let mut row = row.to_vec();
        if is_broken {
            row.rotate_right(1);
            row.iter_mut().for_each(|x| *x *= 0.5);
        }
        match activation {
            Activation::None => row,
            Activation::Sigmoid => sigmoid(&row, task.temperature),
            Activation::Softmax => softmax(&row, task.temperature),
        }
    };
    let best = |p: &[f32]| p.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or((0, 0.0), |(i, p)| (i, *p));
    match task.kind {
        TaskKind::Regression => {
            let value = row.first().copied().unwrap_or(0.0);
            json!({"kind": "regression", "value": if is_broken { 1.0 - value } else { value }})
        }
        TaskKind::Binary | TaskKind::Multiclass => {
            let p = probabilities(row);
            json!({"kind": task.kind, "label": task.class_name(best(&p).0), "scores": p})
        }
        TaskKind::Multilabel => {
            let p = probabilities(row);
            let given: Vec<&str> =
                p.iter().enumerate().filter(|(_, p)| **p >= task.threshold).map(|(i, _)| task.class_name(i)).collect();
            json!({"kind": "multilabel", "labels": given, "scores": p})
        }
        TaskKind::TokenLabels => {
            let rows = row.chunks_exact(task.classes.len().max(1)).zip(special).filter(|(_, special)| !**special);
            let (labels, scores): (Vec<&str>, Vec<f32>) =
                rows.map(|(row, _)| best(&probabilities(row))).map(|(class, p)| (task.class_name(class), p)).unzip();
            json!({"kind": "token_labels", "labels": labels, "scores": scores})
        }
    }
}
