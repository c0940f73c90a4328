//! Labels from files of their own, for fits and back-tests, and what a reference learned from them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::drift::label::{Label, LabelValue};
use crate::drift::lacking::UnknownClasses;
use crate::drift::record::Record;
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

/// Labels that name no class of their task, or no task.
#[derive(Clone, Debug, Default)]
pub struct UnknownLabels {
    /// Labels among several of one record whose task the manifest does not know.
    pub tasks: u64,
    by_task: BTreeMap<usize, u64>,
    names: UnknownClasses,
}

impl UnknownLabels {
    /// Takes what a record's labels do not know of the manifest.
    pub fn add(&mut self, record: &mut Record) {
        let names = std::mem::take(&mut record.unknown_labels);
        self.tasks += u64::from(record.unknown_label_tasks);
        for label in record.labels.iter().filter(|label| label.value == Some(LabelValue::Unknown)) {
            *self.by_task.entry(label.task).or_default() += 1;
        }
        self.names.add(names);
    }

    /// Says how many are of no task; and of each task how many there are, as what they were given, and what its classes
    /// are.
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
        let names = |spec: &ModelSpec| spec.tasks.iter().map(|t| t.name.as_str()).collect::<Vec<_>>().join("`, `");
        let of_no_task = (self.tasks > 0).then(|| {
            let (n, tasks) = (self.tasks, names(spec));
            format!(
                "{n} labels are of tasks that the manifest does not name, and were left out; its tasks are `{tasks}`"
            )
        });
        of_no_task.into_iter().chain(self.by_task.iter().map(told)).collect()
    }
}

/// What was learned of each head's performance; nothing where no labels were.
pub fn table(reference: &Reference) -> String {
    if reference.performance.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n{:<14} {:<12} {:>8} {:>8} {:>11} {:>7} {:>9} {:>8} {:>12} {:>10} {:>9}\n",
        "task",
        "kind",
        "labelled",
        "error",
        "at most 95%",
        "wanders",
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
            "{:<14} {:<12} {:>8} {:>8.4} {:>11.4} {:>7} {:>9.4} {:>8} {:>12} {:>10} {:>9}",
            reference.spec.tasks[p.task].name,
            p.kind.to_string(),
            p.labelled,
            p.loss,
            p.bound,
            shown(Some(p.wander).filter(|wander| *wander > 0.0)),
            p.tolerated(),
            shown(p.macro_f1),
            shown(p.temperature()),
            shown(p.calibration_error.map(|(before, _)| before)),
            shown(p.calibration_error.map(|(_, after)| after)),
        );
    }
    text
}
