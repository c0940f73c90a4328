//! What says nothing in a back-test, and why: labels of no prediction, of no task that is compared, or of no class, and
//! attributes that no record has.

use super::backtest::Stream;
use crate::drift::signal::Scope;

/// A larger share of labels without a prediction is told: a file of labels usually goes beyond the stream's ends.
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
    found.extend(stream.unknown_labels.told(&stream.reference.spec));
    found
}

/// Said where no or few labels found their prediction.
fn unmatched(stream: &Stream, given: u64) -> Option<String> {
    let unmatched = stream.labels.unmatched() as u64;
    let example = stream.labels.example_unmatched()?;
    (unmatched as f64 > MANY * given as f64).then(|| {
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
