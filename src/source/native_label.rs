//! Labels of native records to what they say of their task.

use hashbrown::HashMap;

use super::native_json::{RawLabel, Text};
use crate::drift::label::LabelValue;
use crate::drift::task::{TaskKind, TaskSpec};

/// What a label says of its task; `None` where it is of another kind than the task.
pub(super) fn value_of(task: &TaskSpec, classes: &HashMap<String, u32>, raw: Option<RawLabel>) -> Option<LabelValue> {
    let other = task.classes.len() as u32;
    let index = |name: &Text| classes.get(name.0.as_ref()).copied().unwrap_or(other);
    match (task.kind, raw?) {
        (TaskKind::Binary | TaskKind::Multiclass, RawLabel::Class(class)) => Some(LabelValue::Class(index(&class))),
        (TaskKind::Multilabel, RawLabel::Class(class)) => Some(LabelValue::Labels(vec![index(&class)])),
        (TaskKind::Multilabel, RawLabel::List(list)) => {
            let mut labels: Vec<u32> = list.iter().map(index).collect();
            labels.sort_unstable();
            labels.dedup();
            Some(LabelValue::Labels(labels))
        }
        (TaskKind::TokenLabels, RawLabel::List(list)) => Some(LabelValue::Tokens(list.iter().map(index).collect())),
        (TaskKind::Regression, RawLabel::Number(value)) => Some(LabelValue::Value(value)),
        _ => None,
    }
}
