//! What became of a back-test's records, and what the reader should know before believing it.

use super::backtest::{Counts, Stream};
use super::backtest_lacks::Lacks;
use super::backtest_unsaid::{of_labels, without_attributes};
use super::replay::Refusals;
use crate::drift::reference::Reference;
use crate::drift::signal::Scope;
use crate::drift::window::WindowRule;

/// What the reader should know before believing it.
pub fn warnings(stream: &Stream, lacks: &Lacks) -> Vec<String> {
    let Stream { reference, window, span, counts, .. } = *stream;
    let mut found = Vec::new();
    let (learned_from, learned_to) = reference.span;
    match span {
        Some((_, last)) if last < learned_from => found.push(format!(
            "the stream ends {last}, before the reference begins ({learned_from}): this judges the past by what came later"
        )),
        Some((first, _)) if first <= learned_to => found.push(format!(
            "the stream begins {first}, while the reference was still being recorded (until {learned_to}): \
             records that it learned from look calmer than new ones as a whole, and some may also raise alarms that new \
             ones would not, for the space was fitted to them. Begin after that time, or fit to what was before with `--to`"
        )),
        _ => {}
    }
    if window != reference.window {
        found.push(format!(
            "windows of {window}, the reference learned from windows of {}: how they vary is only roughly known",
            reference.window
        ));
    }
    if counts.unusable_embeddings > 0 {
        found.push(format!(
            "{} of {} embeddings are unusable (another dimension than {}, or not a number): encoder signals count them \
             apart",
            counts.unusable_embeddings,
            counts.folded,
            reference.spec.embedding_dimension.unwrap_or(0)
        ));
    }
    found.extend(stream.noticed.iter().cloned());
    found.extend(hardly_read(stream.counts, &stream.refused));
    found.extend(served_by_another(reference, counts));
    found.extend(out_of_order(counts));
    found.extend(back_in_time(window, counts));
    found.extend(lacks.said());
    found.extend(hardly_compared(stream));
    found.extend(without_attributes(stream));
    found.extend(stream.score_orders.told(&reference.spec));
    found.extend(of_labels(stream));
    if stream.refused_labels.total() > 0 {
        found.push(format!(
            "{} of {} labels were refused and left out: {}",
            stream.refused_labels.total(),
            counts.labels + stream.refused_labels.total(),
            stream.refused_labels
        ));
    }
    found
}

/// A larger share of refused records than this is told in words.
const MOST_REFUSED: f64 = 0.01;

/// Said where so many records were refused that what was judged is not the stream.
fn hardly_read(counts: Counts, refusals: &Refusals) -> Option<String> {
    let Counts { records, refused, .. } = counts;
    let share = refused as f64 / (records + refused).max(1) as f64;
    (share > MOST_REFUSED).then(|| {
        format!(
            "{refused} of {} records ({:.1} %) were refused and not judged: {}. What is said here is said of the others",
            records + refused,
            100.0 * share,
            refusals
        )
    })
}

/// Tests of skew in a stream, below which a change of serving may have come and gone between two of them.
const FEW_LOOKS: i64 = 5;

/// Said where so few records were compared with the exported model that skew was hardly ever tested.
fn hardly_compared(stream: &Stream) -> Option<String> {
    let answers = stream.reference.signals.iter().filter(|s| s.key.scope == Scope::Skew && s.key.segment.is_none());
    let compared = answers.map(|s| s.measure.as_signal().n(&stream.seen.cells[s.cells()])).max()?;
    let needed = stream.watch.sensitivity.min_records;
    (compared > 0 && compared < FEW_LOOKS * needed).then(|| {
        let looked = match compared / needed {
            0 => "never".to_owned(),
            looks => format!("{looks} times at most"),
        };
        format!(
            "only {compared} of {} records were compared with the exported model, and a test of skew takes {needed}: it \
             was looked for {looked}. `--skew-sample 1` compares all of them",
            stream.counts.folded
        )
    })
}

/// A larger share of late records than this is told in words: stragglers are fewer.
const MOST_LATE: f64 = 0.01;

/// Said where so many records were left out for coming late that what was judged is not the stream.
fn out_of_order(counts: Counts) -> Option<String> {
    let Counts { records, late, .. } = counts;
    let share = late as f64 / records.max(1) as f64;
    (share > MOST_LATE).then(|| {
        format!(
            "{late} of {records} records ({:.1} %) came after the window of their time had been judged and were left \
             out: the input is not in the order of its times. Sort each file by `timestamp`; several files are read \
             as one stream",
            100.0 * share
        )
    })
}

/// The same of windows that are cut by the number of records, where none is late.
fn back_in_time(window: WindowRule, counts: Counts) -> Option<String> {
    let Counts { records, back_in_time: back, .. } = counts;
    let share = back as f64 / records.max(1) as f64;
    (matches!(window, WindowRule::Records(_)) && share > MOST_LATE).then(|| {
        format!(
            "{back} of {records} records ({:.1} %) are older than records of a window before theirs: windows of so \
             many records are cut in the order of the input, and their times overlap. Sort each file by `timestamp`",
            100.0 * share
        )
    })
}

/// What became of the records, for people; what is nothing is left out.
pub fn records_told(counts: Counts, refusals: &Refusals) -> String {
    let Counts { records, folded, late, other_version, refused, .. } = counts;
    let why = format!("refused ({refusals})");
    let rest = [(late, "late and left out"), (other_version, "of another version"), (refused, why.as_str())];
    let rest = rest.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}"));
    format!("{folded} of {} records judged{}", records + refused, rest.collect::<String>())
}

/// Said where any record is set aside because its model is another version: a roll-out that the manifest does not
/// know must not look like calm.
fn served_by_another(reference: &Reference, counts: Counts) -> Option<String> {
    let Counts { records, other_version: others, .. } = counts;
    (others > 0).then(|| {
        let share = 100.0 * others as f64 / records as f64;
        let version = &reference.spec.version;
        format!(
            "{others} of {records} records ({share:.1} %) name another version than the manifest's `{version}`: \
             production serves a model that this reference says nothing about, and they were not judged"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_which_much_was_refused_is_told_to_be_the_rest() {
        let told = |refused| hardly_read(Counts { records: 1_000, refused, ..Counts::default() }, &Refusals::default());
        assert_eq!((told(0), told(10)), (None, None), "stragglers");
        let half = told(1_000).expect("half of them");
        assert!(half.starts_with("1000 of 2000 records (50.0 %) were refused"), "{half}");
    }
}
