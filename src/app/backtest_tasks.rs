//! What a back-test tells of each task whose performance the reference knows: estimated, realised by its labels, and
//! what these say of harm.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::backtest_labels::Labels;
use super::backtest_notices::{self, Notice};
use super::backtest_pooled::{Pooled, estimated, realised};
use super::backtest_words::ratio_text;
use crate::drift::course::Judged;
use crate::drift::harm::HarmReport;
use crate::drift::matured::{Tally, is_muted, points_apart};
use crate::drift::performance::Performance;
use crate::drift::reference::Reference;
use crate::drift::task::TaskKind;
use crate::stats::evidence::ln_weighted_sum;

/// Larger evidence is written as this; JSON has no infinity.
const MOST: f64 = 1e300;

impl Labels {
    /// Estimated and realised performance of each task over the windows, and what its labels say of harm.
    pub fn told(&self, reference: &Reference, judged: &[Judged], ln_threshold: f64) -> Vec<Value> {
        let notices = backtest_notices::of(judged);
        reference.performance.iter().map(|p| self.task(reference, p, judged, ln_threshold, &notices)).collect()
    }

    fn task(
        &self,
        reference: &Reference,
        performance: &Performance,
        judged: &[Judged],
        ln_threshold: f64,
        notices: &[Notice],
    ) -> Value {
        let task = performance.task;
        let (points, all) = self.points(performance);
        let sum = |key: &str| points.iter().map(|p| p[key].as_f64().unwrap_or(0.0)).sum::<f64>();
        let (answered, muted) = (sum("n"), points.iter().filter(|p| p["muted"] == true).count());
        let apart: Vec<f64> = points.iter().filter_map(|p| p["points_apart"].as_f64()).collect();
        let said = all.realised(performance.kind);
        let mean = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        let known = json!({
            "labelled": performance.labelled, "accuracy": 1.0 - performance.loss,
            "error_tolerated": performance.tolerated(), "macro_f1": performance.macro_f1,
            "calibration_error": performance.calibration_error, "estimate_se": performance.learned_error(),
        });
        let ln_highest = [ln_own, ln_share].map(|of| highest(judged, |harm| of(harm, task)) - ln_threshold);
        let [own, share] = ln_highest.map(|ln| ln.exp().min(MOST));
        json!({
            "task": reference.spec.tasks[task].name, "kind": performance.kind,
            "metric": performance.kind.metric(),
            "scale": (performance.kind == TaskKind::Regression).then_some(performance.scale),
            "labelled": all.labelled,
            "estimate": interval(estimated(&points, &known)), "realised": interval(realised(&points)),
            "reference": known,
            "label_coverage": (answered > 0.0).then(|| all.labelled as f64 / answered),
            "label_delay_secs": said.as_ref().map(|r| r.delay_us as f64 / 1e6),
            "accuracy": said.as_ref().map(|r| r.accuracy), "macro_f1": said.as_ref().and_then(|r| r.macro_f1),
            "estimate_of_labelled": said.as_ref().and_then(|r| r.expected),
            "mean_absolute_error_points": mean(&apart), "muted_windows": muted,
            "expected_confusion": self.expected_confusion(reference, task),
            "labels": self.by_label(reference, performance, &all),
            "labelling": last(judged, |judged| &judged.labelling, task),
            "notices": notices.iter().filter(|n| n.task == task).map(Notice::json).collect::<Vec<_>>(),
            "harm": {"highest_evidence_ratio": own, "highest_share_of_evidence_ratio": share},
            "points": points,
        })
    }

    /// A task window by window, and all its labels.
    fn points(&self, performance: &Performance) -> (Vec<Value>, Tally) {
        let task = performance.task;
        let (mut points, mut recent, mut all) = (Vec::new(), Vec::new(), Tally::default());
        for (index, (slot, estimates)) in self.estimates.iter().enumerate() {
            let Some((_, estimate)) = estimates.iter().find(|(t, _)| *t == task) else { continue };
            let tally = self.tallies.get(&(*slot, task));
            let realised = tally.and_then(|t| t.realised(performance.kind));
            if let Some(tally) = tally {
                all.merge(tally);
                recent.push(tally);
            }
            points.push(json!({
                "window": index, "n": estimate.n, "estimate": estimate.accuracy, "estimate_low": estimate.interval.0,
                "estimate_high": estimate.interval.1, "estimate_se": estimate.own_error,
                "estimate_macro_f1": estimate.macro_f1, "thresholded": estimate.thresholded,
                "labelled": realised.as_ref().map_or(0, |r| r.labelled),
                "realised": realised.as_ref().map(|r| r.accuracy), "realised_low": realised.as_ref().map(|r| r.interval.0),
                "realised_high": realised.as_ref().map(|r| r.interval.1),
                "realised_macro_f1": realised.as_ref().and_then(|r| r.macro_f1),
                "estimate_of_labelled": realised.as_ref().and_then(|r| r.expected),
                "points_apart": realised.as_ref().map(|r| points_apart(estimate, r)),
                "muted": is_muted(recent.iter().rev().copied(), performance.into()),
            }));
        }
        (points, all)
    }

    /// Each label or class of a head; null for heads of tokens and values, which have none.
    fn by_label(&self, reference: &Reference, performance: &Performance, all: &Tally) -> Value {
        let Some(cells) = self.cells.get(&performance.task) else { return Value::Null };
        let classes = &reference.spec.tasks[performance.task].classes;
        json!(performance.by_label(classes, cells, Some(&all.table())))
    }

    /// Cells of the expected confusion, the largest first; classes that the manifest does not name are `other`.
    fn expected_confusion(&self, reference: &Reference, task: usize) -> Vec<Value> {
        let classes = &reference.spec.tasks[task].classes;
        let name = |class: u32| classes.get(class as usize).map_or("other", String::as_str);
        let mut cells: Vec<_> = self.expected.get(&task).into_iter().flatten().filter(|(_, n)| **n > 0.0).collect();
        cells.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.cmp(b)));
        let told = |((truth, predicted), n): (&(u32, u32), &f64)| json!({"true": name(*truth), "predicted": name(*predicted), "n": n});
        cells.into_iter().map(told).collect()
    }

    /// How many labels there were, and what became of them, for people; nothing where there were none.
    pub fn fates(&self) -> Option<String> {
        let rest = [("unmatched", self.unmatched() as u64), ("without_id", self.without_id)];
        let settled = self.outcomes.iter().map(|(outcome, n)| (outcome.name(), *n));
        let each: Vec<(&str, u64)> = settled.chain(rest).filter(|(_, n)| *n > 0).collect();
        let told: Vec<String> = each.iter().map(|(name, n)| format!("{name} {n}")).collect();
        let all: u64 = each.iter().map(|(_, n)| n).sum();
        (all > 0).then(|| format!("{all} labels: {}", told.join(", ")))
    }

    /// A line a task for the terminal; nothing where the reference knows no performance.
    pub fn table(&self, reference: &Reference, judged: &[Judged], ln_threshold: f64) -> String {
        if reference.performance.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "\n{:<14} {:>9} {:>9} {:>10} {:>9} {:>16} {:>9} {:>9} {:>10} {:>12}\n",
            "task",
            "reference",
            "tolerated",
            "estimated",
            "realised",
            "interval",
            "labelled",
            "coverage",
            "delay",
            "harm e/A"
        );
        let share = |v: Option<f64>| v.map_or_else(|| "–".to_owned(), |x| format!("{x:.4}"));
        let all = self.told(reference, judged, ln_threshold);
        for (told, performance) in all.iter().zip(&reference.performance) {
            let mark = if told["muted_windows"] == 0 { " " } else { "*" };
            let ends = ["low", "high"].map(|end| told["realised"][end].as_f64());
            let _ = writeln!(
                text,
                "{:<14} {:>9} {:>9} {:>9}{mark} {:>9} {:>16} {:>9} {:>9} {:>9}h {:>12}",
                told["task"].as_str().unwrap_or_default(),
                share(told["reference"]["accuracy"].as_f64()),
                share(Some(1.0 - performance.tolerated())),
                share(told["estimate"]["value"].as_f64()),
                share(told["accuracy"].as_f64()),
                if ends[0].is_some() { format!("{} to {}", share(ends[0]), share(ends[1])) } else { "–".to_owned() },
                told["labelled"],
                share(told["label_coverage"].as_f64()),
                told["label_delay_secs"].as_f64().map_or_else(|| "–".to_owned(), |s| format!("{:.1}", s / 3_600.0)),
                ratio_text(highest(judged, |harm| ln_share(harm, performance.task)) - ln_threshold),
            );
        }
        for told in &all {
            let name = told["task"].as_str().unwrap_or_default();
            for line in [contradicted(told).map(|said| format!("* {said}")), measured(told)].into_iter().flatten() {
                let _ = writeln!(text, "{name}: {line}");
            }
        }
        text.extend(self.fates().map(|fates| format!("{fates}\n")));
        for notice in backtest_notices::of(judged) {
            let _ = writeln!(text, "notice: {}", notice.said(reference));
        }
        text
    }
}

/// Said of a task whose estimate is muted in some windows.
pub fn contradicted(told: &Value) -> Option<String> {
    let muted = told["muted_windows"].as_u64().filter(|muted| *muted > 0)?;
    let windows = told["points"].as_array().map_or(0, Vec::len);
    Some(format!("the estimate is contradicted by labels in {muted} of {windows} windows, and does not count there"))
}

/// What is measured, where that is no share of right answers.
pub fn measured(told: &Value) -> Option<String> {
    match told["metric"].as_str()? {
        "label_accuracy" => Some("the share of answers whose set of labels is right as a whole".to_owned()),
        "token_accuracy" => Some("the share of right tokens of a text, on average over texts".to_owned()),
        "closeness" => {
            Some(format!("1 less the mean of |error| / {}, at most 1 each", told["scale"].as_f64().unwrap_or(1.0)))
        }
        _ => None,
    }
}

fn interval(pooled: Option<Pooled>) -> Value {
    pooled.map_or(Value::Null, |p| json!({"value": p.share, "low": p.interval.0, "high": p.interval.1}))
}

/// What the latest window says of a task; null where it says nothing.
fn last<T: serde::Serialize>(judged: &[Judged], of: impl Fn(&Judged) -> &Vec<(usize, T)>, task: usize) -> Value {
    let told = judged.last().and_then(|judged| of(judged).iter().find(|(of_task, _)| *of_task == task));
    told.map_or(Value::Null, |(_, told)| json!(told))
}

/// ln of the most of something in all windows.
fn highest(judged: &[Judged], of: impl Fn(&HarmReport) -> f64) -> f64 {
    judged.iter().map(|judged| of(&judged.harm)).fold(f64::NEG_INFINITY, f64::max)
}

/// ln of a task's own evidence of harm.
fn ln_own(harm: &HarmReport, task: usize) -> f64 {
    harm.tasks.iter().find(|t| t.task == task).map_or(f64::NEG_INFINITY, |t| t.ln_evidence)
}

/// The same as it counts in the model's evidence, which all heads share.
fn ln_share(harm: &HarmReport, task: usize) -> f64 {
    let own = ln_own(harm, task);
    let whole = ln_weighted_sum(harm.tasks.iter().map(|t| (1.0, t.ln_evidence)));
    if own.is_finite() { own + harm.ln_share - whole } else { own }
}
