//! Labels of native records to what they say of their task.

use hashbrown::HashMap;

use super::native_json::{RawLabel, Text};
use crate::drift::label::LabelValue;
use crate::drift::task::{TaskKind, TaskSpec};

/// What a label says of its task; `None` where it is of another kind than the task. `unknown` hears the names that are
/// no classes of the task: whether it is a class that the model has never heard of or another spelling of one that it
/// knows, nobody can tell, so that the label as a whole says nothing.
pub(super) fn value_of(
    task: &TaskSpec,
    classes: &HashMap<String, u32>,
    raw: Option<RawLabel>,
    unknown: &dyn Fn(&str),
) -> Option<LabelValue> {
    let index = |name: &str| {
        let found = classes.get(name).copied();
        if found.is_none() {
            unknown(name);
        }
        found
    };
    let all = |list: &[Text]| list.iter().map(|name| index(&name.0)).collect::<Option<Vec<u32>>>();
    let one = |name: &str| Some(index(name).map_or(LabelValue::Unknown, LabelValue::Class));
    match (task.kind, raw?) {
        (TaskKind::Binary | TaskKind::Multiclass, RawLabel::Class(class)) => one(&class.0),
        // A class may be called `0` or `true`, and be written without quotes.
        (TaskKind::Binary | TaskKind::Multiclass, RawLabel::Number(number)) => one(&number.to_string()),
        (TaskKind::Binary | TaskKind::Multiclass, RawLabel::Switch(switch)) => one(&switch.to_string()),
        (TaskKind::Multilabel, RawLabel::Class(class)) => {
            Some(index(&class.0).map_or(LabelValue::Unknown, |label| LabelValue::Labels(vec![label])))
        }
        (TaskKind::Multilabel, RawLabel::List(list)) => Some(all(&list).map_or(LabelValue::Unknown, |mut labels| {
            labels.sort_unstable();
            labels.dedup();
            LabelValue::Labels(labels)
        })),
        (TaskKind::TokenLabels, RawLabel::List(list)) => {
            Some(all(&list).map_or(LabelValue::Unknown, LabelValue::Tokens))
        }
        (TaskKind::Regression, RawLabel::Number(value)) => Some(LabelValue::Value(value)),
        _ => None,
    }
}
