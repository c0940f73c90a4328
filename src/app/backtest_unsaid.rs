//! What says nothing in a back-test, and why: labels of no prediction, of no task that is compared, or of no class, and
//! attributes that no record has.

use std::collections::BTreeMap;

use super::backtest::Stream;
use super::backtest_labels::{KEPT, OddTimes, WAIT};
use super::backtest_notices;
use crate::drift::signal::Scope;

/// Where a larger share of labels finds no prediction, an id is named: a file of labels usually goes beyond the stream's
/// ends.
const MANY: f64 = 0.5;

/// All that is to be told of them.
pub fn of_labels(stream: &Stream) -> Vec<String> {
    let given = stream.counts.labels;
    if given == 0 {
        return Vec::new();
    }
    if stream.reference.performance.is_empty() {
        return vec![format!(
            "{given} labels are given, and the reference has none to compare them with: they say nothing. Fit it with \
             labels, among its records or as `--labels`"
        )];
    }
    let mut found: Vec<String> = unmatched(stream, given).into_iter().collect();
    if stream.labels.without_id > 0 {
        found.push(format!(
            "{} labels stand in records without a `prediction_id`, and were left out",
            stream.labels.without_id
        ));
    }
    for (task, n) in &stream.labels.not_watched {
        found.push(format!(
            "task `{}`: {n} labels are given, and the reference has none of it, or too few, to compare them with: they \
             say nothing",
            stream.reference.spec.tasks[*task].name
        ));
    }
    found.extend(of_each_task(stream, &stream.labels.unusable, |n| {
        format!(
            "{n} labels cannot be compared with the answer (no value, one of another kind, or a list of another \
             length), and were left out"
        )
    }));
    found.extend(of_each_task(stream, &stream.labels.unanswered, |n| {
        format!("{n} labels are given for predictions that have no answer of it, and were left out")
    }));
    found.extend(stream.unknown_labels.told(&stream.reference.spec));
    found.extend(at_odd_times(stream.labels.odd_times));
    let standing = backtest_notices::of(&stream.judged).into_iter().filter(|notice| notice.until.is_none());
    found.extend(standing.map(|notice| format!("labels do not come as usual: {}", notice.said(stream.reference))));
    found
}

fn of_each_task(stream: &Stream, labels: &BTreeMap<usize, u64>, said: impl Fn(u64) -> String) -> Vec<String> {
    let name = |task: usize| &stream.reference.spec.tasks[task].name;
    labels.iter().map(|(task, n)| format!("task `{}`: {}", name(*task), said(*n))).collect()
}

/// Said of labels before their predictions, and of those that the daemon would not have joined.
fn at_odd_times(OddTimes { late, before, given_up }: OddTimes) -> Vec<String> {
    let is_late = (late > 0).then(|| {
        format!(
            "{late} labels are from more than {KEPT} after their predictions: they count here, and a daemon finds none \
             of these unless `store.retention.predictions` is longer"
        )
    });
    let is_early = (before > 0).then(|| {
        let given_up = match given_up {
            0 => String::new(),
            n => format!(" {n} of them by more than {WAIT}, after which a daemon gives them up (`labels.wait`)."),
        };
        format!("{before} labels are from before their predictions: is `labeled_at` the time of the label?{given_up}")
    });
    is_late.into_iter().chain(is_early).collect()
}

/// Said where no or few labels found their prediction.
fn unmatched(stream: &Stream, given: u64) -> Option<String> {
    let unmatched = stream.labels.unmatched() as u64;
    let example = stream.labels.example_unmatched()?;
    if unmatched as f64 <= MANY * given as f64 {
        return Some(format!(
            "{unmatched} of {given} labels found no prediction among the records that were judged: those of other \
             versions, late ones, refused ones and those without an answer of a watched task are none"
        ));
    }
    Some({
        let all = if unmatched == given { "none" } else { "few" };
        let why = match stream.labels.named {
            0 => "no record names a `prediction_id`".to_owned(),
            _ => format!("no record has the `prediction_id` {example:?}, for one: are they those of these records?"),
        };
        format!("{all} of the {given} labels found their prediction, {unmatched} did not: {why}")
    })
}

/// Said of attributes that the reference's records had and none of these has.
pub fn without_attributes(stream: &Stream) -> Vec<String> {
    let spec = &stream.reference.spec;
    let whole = || stream.reference.signals.iter().filter(|s| s.key.scope == Scope::Input && s.key.segment.is_none());
    let gone = |name: &&String| {
        let signal = whole().find(|s| s.key.signal.strip_prefix("attribute_") == Some(name.as_str()));
        // Records without it are in the last cell.
        let present = |cells: &[i64]| cells.split_last().map_or(0, |(_, present)| present.iter().sum::<i64>());
        signal.is_some_and(|s| present(&s.totals) > 0 && present(&stream.seen.cells[s.cells()]) == 0)
    };
    let told = |name: &String| {
        format!(
            "no record has the attribute `{name}`, and those of the reference had: nothing is known of its values. Is it \
             called otherwise now?"
        )
    };
    spec.attributes.iter().map(|attribute| &attribute.name).filter(gone).map(told).collect()
}
