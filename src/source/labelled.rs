//! Right answers from JSONL: beside a prediction (`labels`), or in label records that come later.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::files::{FileError, Lines};
use crate::drift::gold::Gold;
use crate::drift::task::{ModelSpec, TaskKind, TaskSpec};

/// Right answers by task index.
pub type Golds = Vec<Option<Gold>>;

/// The right answers that one line brings; `None` where it brings none.
pub fn golds(spec: &ModelSpec, line: &[u8]) -> Option<Golds> {
    let record: Map<String, Value> = serde_json::from_slice(line).ok()?;
    let mut found: Golds = vec![None; spec.tasks.len()];
    let mut put = |name: &str, value: &Value| {
        if let Some(task) = spec.task(name) {
            found[task] = gold(&spec.tasks[task], value);
        }
    };
    match record.get("task").and_then(Value::as_str) {
        Some(task) => {
            let value = ["label", "labels", "value"].iter().find_map(|key| record.get(*key).filter(|v| !v.is_null()));
            let retracted = record.get("retracted").and_then(Value::as_bool).unwrap_or(false);
            value.filter(|_| !retracted).into_iter().for_each(|value| put(task, value));
        }
        None => record.get("labels").and_then(Value::as_object)?.iter().for_each(|(task, value)| put(task, value)),
    }
    found.iter().any(Option::is_some).then_some(found)
}

/// Right answers by prediction, from files of label records; of several for one task the one of the highest
/// `revision` counts, the last of equals. They are all held in memory.
///
/// # Errors
/// If a file cannot be read.
pub fn by_prediction(
    spec: &ModelSpec,
    files: &[impl AsRef<Path>],
    most_bytes: usize,
) -> Result<HashMap<String, Golds>, FileError> {
    let mut found: HashMap<String, (Vec<i64>, Golds)> = HashMap::new();
    for file in files {
        for line in Lines::open(file.as_ref(), most_bytes)? {
            let Ok(line) = line?.1 else { continue };
            let Ok(record) = serde_json::from_slice::<Map<String, Value>>(&line) else { continue };
            let Some(id) = record.get("prediction_id").and_then(Value::as_str) else { continue };
            let revision = record.get("revision").and_then(Value::as_i64).unwrap_or(0);
            let tasks = spec.tasks.len();
            let (revisions, kept) =
                found.entry(id.to_owned()).or_insert_with(|| (vec![i64::MIN; tasks], vec![None; tasks]));
            let named = record.get("task").and_then(Value::as_str).and_then(|name| spec.task(name));
            let new = golds(spec, &line).unwrap_or_else(|| vec![None; tasks]);
            for (task, gold) in new.into_iter().enumerate() {
                // A retracted label takes the older one away.
                if (gold.is_some() || named == Some(task)) && revision >= revisions[task] {
                    (revisions[task], kept[task]) = (revision, gold);
                }
            }
        }
    }
    Ok(found.into_iter().map(|(id, (_, golds))| (id, golds)).collect())
}

fn gold(task: &TaskSpec, value: &Value) -> Option<Gold> {
    let index = |name: &Value| Some(task.class(name.as_str()?).unwrap_or(task.classes.len() as u32));
    let all = |value: &Value| value.as_array()?.iter().map(index).collect::<Option<Vec<u32>>>();
    match task.kind {
        TaskKind::Binary | TaskKind::Multiclass => index(value).map(Gold::Class),
        TaskKind::Multilabel => all(value).map(|mut labels| {
            labels.sort_unstable();
            labels.dedup();
            Gold::Labels(labels)
        }),
        TaskKind::TokenLabels => all(value).map(Gold::Tokens),
        TaskKind::Regression => value.as_f64().map(Gold::Value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ModelSpec {
        let task = |name: &str, kind, classes: &[&str]| TaskSpec {
            name: name.into(),
            kind,
            classes: classes.iter().map(|c| (*c).to_owned()).collect(),
            threshold: 0.5,
            temperature: 1.0,
        };
        ModelSpec {
            name: "m".into(),
            version: "1".into(),
            tasks: vec![
                task("intent", TaskKind::Multiclass, &["a", "b"]),
                task("topics", TaskKind::Multilabel, &["x", "y"]),
                task("ner", TaskKind::TokenLabels, &["O", "B"]),
                task("urgency", TaskKind::Regression, &[]),
            ],
            embedding_dimension: None,
            attributes: Vec::new(),
            segments: None,
        }
    }

    #[test]
    fn labels_of_every_kind_are_read() {
        let line = br#"{"labels":{"intent":"b","topics":["y","x"],"ner":["O","B"],"urgency":0.5,"other":1}}"#;
        let expected = [Gold::Class(1), Gold::Labels(vec![0, 1]), Gold::Tokens(vec![0, 1]), Gold::Value(0.5)];
        assert_eq!(golds(&spec(), line), Some(expected.map(Some).to_vec()));
        let unknown = golds(&spec(), br#"{"task":"intent","label":"zzz"}"#).expect("a label");
        assert_eq!(unknown[0], Some(Gold::Class(2)), "no class of ours, and so nobody's right answer");
        for nothing in [&b"{}"[..], b"no json", br#"{"labels":{"intent":7}}"#, br#"{"task":"nope","label":"a"}"#] {
            assert_eq!(golds(&spec(), nothing), None);
        }
    }

    #[test]
    fn later_revisions_and_retractions_win() {
        let directory = tempfile::tempdir().expect("a folder");
        let file = directory.path().join("labels.jsonl");
        let label = |id: &str, label: &str, revision: i64, retracted: bool| {
            format!(
                r#"{{"prediction_id":"{id}","task":"intent","label":"{label}","revision":{revision},"retracted":{retracted}}}"#
            )
        };
        let lines = [
            label("1", "a", 2, false),
            label("1", "b", 1, false),
            label("2", "a", 1, false),
            label("2", "a", 2, true),
            "broken".to_owned(),
        ];
        std::fs::write(&file, lines.join("\n")).expect("written");
        let found = by_prediction(&spec(), &[file], 1 << 20).expect("read");
        assert_eq!(found["1"][0], Some(Gold::Class(0)));
        assert_eq!(found["2"][0], None);
    }
}
