//! Labels from files of their own, for fits and back-tests, and what a reference learned from them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::drift::label::{Label, LabelValue};
use crate::drift::lacking::UnknownClasses;
use crate::drift::reference::Reference;
use crate::drift::task::ModelSpec;

/// Classes told one by one.
const SHOWN: usize = 5;

/// Adds a label to those of a prediction, of which one a task counts.
pub fn add(labels: &mut Vec<Label>, label: Label) {
    match labels.iter_mut().find(|l| l.task == label.task) {
        Some(earlier) if label.supersedes(earlier) => *earlier = label,
        Some(_) => {}
        None => labels.push(label),
    }
}

/// Labels that name no class of their task.
#[derive(Clone, Debug, Default)]
pub struct UnknownLabels {
    by_task: BTreeMap<usize, u64>,
    names: UnknownClasses,
}

impl UnknownLabels {
    /// Takes a record's labels, and the names among them that are no classes.
    pub fn add(&mut self, labels: &[Label], names: Vec<(usize, Box<str>)>) {
        for label in labels.iter().filter(|label| label.value == Some(LabelValue::Unknown)) {
            *self.by_task.entry(label.task).or_default() += 1;
        }
        self.names.add(names);
    }

    /// Says of each task how many there are, as what they were given, and what its classes are.
    pub fn told(&self, spec: &ModelSpec) -> Vec<String> {
        let told = |(task, n): (&usize, &u64)| {
            let (name, classes) = (&spec.tasks[*task].name, &spec.tasks[*task].classes);
            let more =
                if classes.len() > SHOWN { format!(" and {} more", classes.len() - SHOWN) } else { String::new() };
            format!(
                "task `{name}`: {n} labels name no class of the manifest{}; its classes are `{}`{more}. Such labels are \
                 neither right nor wrong, and were left out",
                self.names.told(*task),
                classes[..classes.len().min(SHOWN)].join("`, `")
            )
        };
        self.by_task.iter().map(told).collect()
    }
}

/// What was learned of each head's performance; nothing where no labels were.
pub fn table(reference: &Reference) -> String {
    if reference.performance.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n{:<14} {:<12} {:>8} {:>8} {:>11} {:>9} {:>8} {:>12} {:>10} {:>9}\n",
        "task",
        "kind",
        "labelled",
        "error",
        "at most 95%",
        "tolerated",
        "macro F1",
        "temperature",
        "ECE before",
        "ECE after"
    );
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.4}"));
    for p in &reference.performance {
        let _ = writeln!(
            text,
            "{:<14} {:<12} {:>8} {:>8.4} {:>11.4} {:>9.4} {:>8} {:>12} {:>10} {:>9}",
            reference.spec.tasks[p.task].name,
            p.kind.to_string(),
            p.labelled,
            p.loss,
            p.bound,
            p.tolerated(),
            shown(p.macro_f1),
            shown(p.temperature()),
            shown(p.calibration_error.map(|(before, _)| before)),
            shown(p.calibration_error.map(|(_, after)| after)),
        );
    }
    text
}
