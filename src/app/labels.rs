//! Labels from files of their own, for fits and back-tests, and what a reference learned from them.

use std::fmt::Write as _;

use crate::drift::label::Label;
use crate::drift::reference::Reference;

/// Adds a label to those of a prediction, of which one a task counts.
pub fn add(labels: &mut Vec<Label>, label: Label) {
    match labels.iter_mut().find(|l| l.task == label.task) {
        Some(earlier) if label.supersedes(earlier) => *earlier = label,
        Some(_) => {}
        None => labels.push(label),
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
