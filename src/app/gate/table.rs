//! A gate report for the terminal.

use std::fmt::Write as _;

use crate::drift::gate_report::{GateReport, Role, Side, TaskReport, Verdict};

/// The report as text.
pub fn table(report: &GateReport) -> String {
    let mut text = String::new();
    for (name, side) in [("baseline", &report.baseline), ("candidate", &report.candidate)] {
        let _ = writeln!(text, "{name:<11} {}", told(side));
    }
    let _ = writeln!(text, "rows        {}, {} of them with labels", report.rows, report.labelled_rows);
    let _ = writeln!(
        text,
        "\n{:<14} {:<10} {:>7} {:>9} {:>9} {:>8} {:>17} {:>7} {:>7}  verdict",
        "task", "must", "labels", "baseline", "candidate", "points", "bounds", "flips", "differ"
    );
    for task in &report.tasks {
        line(&mut text, task);
    }
    if let Some(transfer) = report.backward_transfer {
        let _ = writeln!(text, "\nbackward transfer over the protected tasks: {:+.2} points", 100.0 * transfer);
    }
    let cost = &report.cost;
    for (name, ratio, most) in [("time a text", cost.latency, cost.most_latency), ("size", cost.size, cost.most_size)] {
        if let Some(ratio) = ratio {
            let most = most.map_or_else(String::new, |most| format!(", at most {most:.2} is allowed"));
            let _ = writeln!(text, "{name}: {ratio:.2} times the baseline's{most}");
        }
    }
    let _ = writeln!(text, "\n{}", report.verdict.name());
    for task in report.tasks.iter().filter(|t| t.verdict != Verdict::Pass) {
        for reason in &task.reasons {
            let _ = writeln!(text, "  {}: {}", task.task, reason.text);
        }
        if let Some(needed) = task.labels_needed {
            let _ = writeln!(text, "  {}: a decision probably takes {needed} labels more", task.task);
        }
    }
    if cost.verdict != Verdict::Pass {
        let _ = writeln!(text, "  the candidate costs more than is allowed, or was not run to be measured");
    }
    text
}

fn told(side: &Side) -> String {
    let version = if side.version.is_empty() { String::new() } else { format!(" version {}", side.version) };
    let size = side.bytes.map_or_else(String::new, |b| format!(", {:.1} MB", b as f64 / 1e6));
    let time = side.ms_per_text.map_or_else(String::new, |ms| format!(", {ms:.3} ms a text"));
    format!("{}{version} from {}{size}{time}", side.name, side.source)
}

fn line(text: &mut String, task: &TaskReport) {
    let share = |s: Option<f64>| s.map_or_else(|| "–".to_owned(), |s| format!("{s:.4}"));
    let points = |p: Option<f64>| p.map_or_else(|| "–".to_owned(), |p| format!("{:+.2}", 100.0 * p));
    let bounds = match (task.low, task.high) {
        (Some(low), Some(high)) => format!("{:+.2} … {:+.2}", 100.0 * low, 100.0 * high),
        _ => "–".to_owned(),
    };
    let must = match task.role {
        Role::Protected { margin } => format!("≥ −{:.2}", 100.0 * margin),
        Role::Drifted { min_delta } => format!("> +{:.2}", 100.0 * min_delta),
    };
    let _ = writeln!(
        text,
        "{:<14} {:<10} {:>7} {:>9} {:>9} {:>8} {:>17} {:>7} {:>7}  {}",
        task.task,
        must,
        task.labelled,
        share(task.baseline),
        share(task.candidate),
        points(task.difference),
        bounds,
        task.flips.as_ref().map_or_else(|| "–".to_owned(), |f| format!("{:.2} %", 100.0 * f.share)),
        task.answers.as_ref().map_or_else(|| "–".to_owned(), |a| format!("{:.2} %", 100.0 * a.differ)),
        task.verdict.name()
    );
}
