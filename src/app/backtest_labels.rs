//! The labels of a back-test: what they join, what they make of windows, and what evidence they bring.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::drift::course::Judged;
use crate::drift::label::Label;
use crate::drift::labelling::{Arrival, Arrivals};
use crate::drift::matured::{Change, Joined, Kept, Losses, Outcome, Tally, is_muted, join, points_apart};
use crate::drift::observation::Observation;
use crate::drift::performance::{Estimate, Performance};
use crate::drift::reference::Reference;
use crate::drift::summary::Summary;
use crate::drift::task::TaskKind;
use crate::drift::time::{Span, Timestamp};
use crate::drift::window::{Slot, WindowRule};
use crate::stats::performance::confusion::Confusion;

/// Labels of one stream.
#[derive(Default)]
pub struct Labels {
    /// Not given yet, the latest first.
    coming: Vec<(String, Label)>,
    kept: HashMap<String, (Kept, Timestamp, Slot)>,
    joined: HashMap<(String, usize), Joined>,
    waiting: HashMap<String, Vec<Label>>,
    tallies: BTreeMap<(Slot, usize), Tally>,
    matured: BTreeMap<Slot, (Losses, Timestamp)>,
    /// Those that no judgement has heard of, by window and task: when they were predicted, and came.
    came: BTreeMap<Slot, Vec<(usize, Timestamp, Timestamp)>>,
    /// Starts of windows that are judged.
    starts: BTreeMap<Slot, Timestamp>,
    estimates: Vec<(Slot, Vec<(usize, Estimate)>)>,
    /// Answers to be expected by true and predicted class, over all windows, by task.
    expected: BTreeMap<usize, Confusion>,
    /// Cells over all windows, by task, for heads that are told label by label.
    cells: BTreeMap<usize, Vec<i64>>,
    /// How many labels came to each end.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Labels of tasks that the reference knows none of, by task.
    pub not_watched: BTreeMap<usize, u64>,
    /// Labels in records without an id.
    pub without_id: u64,
    /// Predictions with one.
    pub named: u64,
}

impl Labels {
    /// With labels that will be given later.
    pub fn new(mut coming: Vec<(String, Label)>) -> Labels {
        coming.sort_by(|(a, x), (b, y)| (y.at, b).cmp(&(x.at, a)));
        Labels { coming, ..Labels::default() }
    }

    /// Hears of a record, be it `alone` labels, and how many it brings.
    pub fn hear(&mut self, has_id: bool, alone: bool, labels: usize) {
        self.without_id += if has_id { 0 } else { labels as u64 };
        self.named += u64::from(has_id && !alone);
    }

    /// Gives the labels that were given until then. They come in the window `slot` where windows are counted
    /// in records.
    pub fn until(&mut self, time: Timestamp, rule: WindowRule, slot: Slot, reference: &Reference) {
        while let Some((id, label)) = self.coming.pop_if(|(_, label)| label.at <= time) {
            self.give(id, label, rule, slot, reference);
        }
    }

    /// Gives all that are left: the stream has ended, and time goes on. Where windows are counted in records,
    /// they come in windows of their own, as long as those before them were on average.
    pub fn rest(&mut self, rule: WindowRule, from: Timestamp, length: Span, slot: Slot, reference: &Reference) {
        while let Some((id, label)) = self.coming.pop() {
            let later = label.at.since(from).micros() / length.micros().max(1);
            self.give(id, label, rule, slot + later, reference);
        }
    }

    /// Gives one label.
    pub fn give(&mut self, id: String, label: Label, rule: WindowRule, slot: Slot, reference: &Reference) {
        let Some((kept, predicted, window)) = self.kept.get(&id) else {
            self.waiting.entry(id).or_default().push(label);
            return;
        };
        let (task, at) = (label.task, label.at);
        let scale = reference.performance_of(task).map_or(1.0, |p| p.scale);
        let window = Timestamp::from_micros(*window);
        let change = match self.joined.get(&(id.clone(), task)) {
            Some(earlier) => Some(earlier.take(label, scale)),
            None => join(kept, *predicted, window, label, scale),
        };
        let Some(change) = change else {
            *self.outcomes.entry(Outcome::Unanswered).or_default() += 1;
            if reference.performance_of(task).is_none() {
                *self.not_watched.entry(task).or_default() += 1;
            }
            return;
        };
        *self.outcomes.entry(change.outcome).or_default() += 1;
        self.tallies.entry((change.window.micros(), task)).or_default().apply(&change);
        let Change { joined, loss, window, .. } = change;
        if let Some(loss) = loss {
            self.came.entry(window.micros()).or_default().push((task, joined.predicted(), at));
            let slot = match rule {
                WindowRule::Time(_) => rule.slot(at, 0),
                WindowRule::Records(_) => slot,
            };
            let (losses, last) = self.matured.entry(slot).or_insert_with(|| (Losses::default(), at));
            losses.add(task, loss);
            *last = at.max(*last);
        }
        self.joined.insert((id, task), joined);
    }

    /// Keeps a prediction, and gives the labels that waited for it.
    pub fn keep(
        &mut self,
        id: Option<String>,
        time: Timestamp,
        slot: Slot,
        observation: &Observation,
        rule: WindowRule,
        reference: &Reference,
    ) {
        let Some((id, kept)) = id.zip(Kept::of(reference, &observation.answers)) else { return };
        // The first prediction of an id is the one that labels speak of.
        self.kept.entry(id.clone()).or_insert((kept, time, slot));
        for label in self.waiting.remove(&id).unwrap_or_default() {
            self.give(id.clone(), label, rule, slot, reference);
        }
    }

    /// The first window in which labels were given that no judgement has taken.
    pub fn first_slot(&self) -> Option<Slot> {
        self.matured.keys().next().copied()
    }

    /// What the labels of a window, and those of earlier ones that nobody took, say; with the last time of one.
    pub fn take(&mut self, slot: Slot) -> (Losses, Option<Timestamp>) {
        let (mut all, mut last) = (Losses::default(), None);
        while let Some(entry) = self.matured.first_entry().filter(|e| *e.key() <= slot) {
            let (losses, at) = entry.remove();
            all.merge(&losses);
            last = last.max(Some(at));
        }
        (all, last)
    }

    /// The labels that came since this was asked, for the windows that are judged, the last of which begins here.
    pub fn arrivals(&mut self, slot: Slot, start: Timestamp) -> Arrivals {
        self.starts.insert(slot, start);
        let mut arrivals = Arrivals::default();
        let later = self.came.split_off(&(slot + 1));
        for (slot, came) in std::mem::replace(&mut self.came, later) {
            let Some(window) = self.starts.get(&slot).copied() else { continue };
            for (task, predicted, arrived) in came {
                arrivals.add(task, Arrival { window, predicted, arrived });
            }
        }
        arrivals
    }

    /// Notes what a window's tallies say without labels.
    pub fn estimate(&mut self, slot: Slot, summary: &Summary, reference: &Reference) {
        let of = |p: &Performance| Some((p.task, p.estimate(&summary.cells[p.cells()])?));
        self.estimates.push((slot, reference.performance.iter().filter_map(of).collect()));
        for performance in &reference.performance {
            let window = performance.expected_confusion(&summary.cells[performance.cells()]).unwrap_or_default();
            let all = self.expected.entry(performance.task).or_default();
            window.into_iter().for_each(|(cell, n)| *all.entry(cell).or_default() += n);
            if performance.kind == TaskKind::Multilabel {
                let all = self.cells.entry(performance.task).or_insert_with(|| vec![0; performance.width()]);
                all.iter_mut().zip(&summary.cells[performance.cells()]).for_each(|(all, cell)| *all += cell);
            }
        }
    }

    /// The id of one of them, the same each time.
    pub fn example_unmatched(&self) -> Option<&str> {
        self.waiting.keys().min().map(String::as_str)
    }

    /// Labels whose prediction never came.
    pub fn unmatched(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// Estimated and realised performance of each task over the windows, and what its labels say of harm.
    pub fn told(&self, reference: &Reference, judged: &[Judged], ln_threshold: f64) -> Vec<Value> {
        reference.performance.iter().map(|p| self.task(reference, p.task, judged, ln_threshold)).collect()
    }

    fn task(&self, reference: &Reference, task: usize, judged: &[Judged], ln_threshold: f64) -> Value {
        let performance = reference.performance_of(task).expect("asked for those that are known");
        let (mut points, mut apart, mut recent) = (Vec::new(), Vec::new(), Vec::new());
        let (mut all, mut answered) = (Tally::default(), 0);
        for (index, (slot, estimates)) in self.estimates.iter().enumerate() {
            let estimate = estimates.iter().find(|(t, _)| *t == task).map(|(_, e)| e);
            let tally = self.tallies.get(&(*slot, task));
            let Some(estimate) = estimate else { continue };
            let realised = tally.and_then(|t| t.realised(performance.kind));
            if let Some(tally) = tally {
                all.merge(tally);
                recent.push(tally);
            }
            answered += estimate.n;
            apart.extend(realised.as_ref().map(|r| points_apart(estimate, r)));
            points.push(json!({
                "window": index, "n": estimate.n, "estimate": estimate.accuracy, "estimate_low": estimate.interval.0,
                "estimate_high": estimate.interval.1, "estimate_se": estimate.own_error,
                "estimate_macro_f1": estimate.macro_f1,
                "thresholded": estimate.thresholded, "labelled": realised.as_ref().map_or(0, |r| r.labelled),
                "realised": realised.as_ref().map(|r| r.accuracy), "realised_low": realised.as_ref().map(|r| r.interval.0),
                "realised_high": realised.as_ref().map(|r| r.interval.1),
                "realised_macro_f1": realised.as_ref().and_then(|r| r.macro_f1),
                "estimate_of_labelled": realised.as_ref().and_then(|r| r.expected),
                "muted": is_muted(recent.iter().rev().copied(), performance.into()),
            }));
        }
        let highest = ln_highest(judged, task);
        let realised = all.realised(performance.kind);
        let mean = |values: &[f64]| (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64);
        json!({
            "task": reference.spec.tasks[task].name, "kind": performance.kind,
            "reference": {
                "labelled": performance.labelled, "accuracy": 1.0 - performance.loss,
                "error_tolerated": performance.tolerated(), "macro_f1": performance.macro_f1,
                "estimate_se": performance.learned_error(),
                "calibration_error": performance.calibration_error,
            },
            "label_coverage": (answered > 0).then(|| all.labelled as f64 / answered as f64),
            "label_delay_secs": realised.as_ref().map(|r| r.delay_us as f64 / 1e6),
            "accuracy": realised.as_ref().map(|r| r.accuracy), "macro_f1": realised.as_ref().and_then(|r| r.macro_f1),
            "estimate_of_labelled": realised.as_ref().and_then(|r| r.expected),
            "mean_absolute_error_points": mean(&apart),
            "expected_confusion": self.expected_confusion(reference, task),
            "labels": self.by_label(reference, performance, &all),
            "labelling": last(judged, |judged| &judged.labelling, task),
            "harm": {"highest_evidence_ratio": (highest - ln_threshold).exp().min(1e300)},
            "points": points,
        })
    }
}

impl Labels {
    /// Each label of a multi-label head; null for other heads, which have no such labels.
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
}

/// What the latest window says of a task; null where it says nothing.
fn last<T: serde::Serialize>(judged: &[Judged], of: impl Fn(&Judged) -> &Vec<(usize, T)>, task: usize) -> Value {
    let told = judged.last().and_then(|judged| of(judged).iter().find(|(of_task, _)| *of_task == task));
    told.map_or(Value::Null, |(_, told)| json!(told))
}

/// ln of the most evidence of harm that a task's labels reached.
fn ln_highest(judged: &[Judged], task: usize) -> f64 {
    let of_task = judged.iter().flat_map(|j| j.harm.tasks.iter().filter(|t| t.task == task));
    of_task.map(|t| t.ln_evidence).fold(f64::NEG_INFINITY, f64::max)
}

impl Labels {
    /// A line a task for the terminal; nothing where the reference knows no performance.
    pub fn table(&self, reference: &Reference, judged: &[Judged], ln_threshold: f64) -> String {
        use std::fmt::Write as _;
        if reference.performance.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "\n{:<14} {:>9} {:>9} {:>9} {:>9} {:>9} {:>10} {:>14}\n",
            "task", "reference", "estimated", "realised", "labelled", "coverage", "delay", "harm e/A"
        );
        let share = |v: &Value| v.as_f64().map_or_else(|| "–".to_owned(), |x| format!("{x:.4}"));
        for (told, performance) in self.told(reference, judged, ln_threshold).iter().zip(&reference.performance) {
            let points = told["points"].as_array().map_or(&[][..], Vec::as_slice);
            let sum = |of: &dyn Fn(&Value) -> f64| points.iter().map(of).sum::<f64>();
            let n = sum(&|p| p["n"].as_f64().unwrap_or(0.0));
            let right = sum(&|p| p["n"].as_f64().unwrap_or(0.0) * p["estimate"].as_f64().unwrap_or(0.0));
            let _ = writeln!(
                text,
                "{:<14} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}h {:>14}",
                told["task"].as_str().unwrap_or_default(),
                share(&told["reference"]["accuracy"]),
                share(&json!(right / n)),
                share(&told["accuracy"]),
                sum(&|p| p["labelled"].as_f64().unwrap_or(0.0)),
                share(&told["label_coverage"]),
                told["label_delay_secs"].as_f64().map_or_else(|| "–".to_owned(), |s| format!("{:.1}", s / 3_600.0)),
                super::backtest_words::ratio_text(ln_highest(judged, performance.task) - ln_threshold),
            );
        }
        text
    }
}
