//! `driftd replay-set`: which records a new model is trained on again, or a new reference is learned from.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::ensure;
use serde::Serialize;

use super::replay::MOST_LINE_BYTES;
use super::{progress, write_output};
use crate::cli::replay::ReplayArgs;
use crate::collect::observe::is_only_label;
use crate::drift::gold::Gold;
use crate::drift::record::{Record, VersionMatch};
use crate::drift::replay::{Period, Sampler, Set, Traits, is_held_out, strata};
use crate::drift::task::ModelSpec;
use crate::model::Manifest;
use crate::source::files::{FAR_FUTURE, Lines};
use crate::source::labelled::{by_prediction, golds};
use crate::source::native::NativeDecoder;

/// What is written of a record.
mod body;
/// A bucket of an object store.
mod bucket;
/// A set as columns.
mod columns;
/// What a request says of its set.
mod order;
/// Where it is written to.
mod written;

use body::Kept;
use order::Order;
use written::Target;

/// Records told of in the manifest, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Lines that are not empty.
    pub lines: u64,
    /// That could be drawn.
    pub eligible: u64,
    /// On the other side of the hold-out.
    pub held_out: u64,
    /// After the alarm's time.
    pub after_the_alarm: u64,
    /// Of another version of the model.
    pub other_version: u64,
    /// Without an id: nothing could name them.
    pub without_id: u64,
    /// Of which no label is known, where only labelled ones are wanted.
    pub without_label: u64,
    /// Label records among the rows.
    pub label_records: u64,
    /// No records of the model.
    pub refused: u64,
}

/// Runs the command.
///
/// # Errors
/// If an argument is invalid, a file cannot be read, nothing could be drawn, or the place holds a set already or cannot be
/// written to.
pub fn main(args: &ReplayArgs) -> anyhow::Result<()> {
    let spec = Manifest::load(&args.manifest)?.spec;
    let order = Order::of(args, &spec.name)?;
    let target = Target::free(&args.output)?;
    let (set, counts) = draw(args, &spec, &order)?;
    ensure!(
        !set.rows.is_empty(),
        "nothing could be drawn: of {} lines {} were eligible, {} on the other side of the hold-out, {} after the \
         alarm's time, {} of another version, {} without an id, {} without a label, {} refused",
        counts.lines,
        counts.eligible,
        counts.held_out,
        counts.after_the_alarm,
        counts.other_version,
        counts.without_id,
        counts.without_label,
        counts.refused
    );
    target.write(args, &spec, &order, &set, &counts)?;
    write_output(None, &table(&spec, &order, &set, &counts))
}

/// Reads the records once, and draws.
fn draw(args: &ReplayArgs, spec: &ModelSpec, order: &Order) -> anyhow::Result<(Set, Counts)> {
    let decoder = NativeDecoder::new(vec![Arc::new(spec.clone())], MOST_LINE_BYTES);
    let later = by_prediction(spec, &args.labels, MOST_LINE_BYTES)?;
    let kept = match (args.reference, args.with_text) {
        (_, true) => Kept::Everything,
        (true, false) => Kept::ButTexts,
        (false, false) => Kept::Names,
    };
    let mut sampler = Sampler::new(order.rule, &order.seed);
    let mut counts = Counts::default();
    let bar = progress::records("drawing");
    for file in &args.input {
        for line in Lines::open(file, MOST_LINE_BYTES)? {
            let (_, line) = line?;
            counts.lines += 1;
            bar.inc(1);
            let decoded = line.and_then(|line| Ok((decoder.decode(&line, None, FAR_FUTURE)?, line)));
            let Ok((record, line)) = decoded else {
                counts.refused += 1;
                continue;
            };
            let Some(period) = period(&record, args.reference, order, &mut counts) else { continue };
            let id = record.id.as_deref().unwrap_or_default();
            let mut gold = golds(spec, &line).unwrap_or_else(|| vec![None; spec.tasks.len()]);
            let given = later.get(id);
            for (gold, later) in gold.iter_mut().zip(given.into_iter().flatten()) {
                *gold = later.clone().or(gold.take());
            }
            if args.labelled && gold.iter().all(Option::is_none) {
                counts.without_label += 1;
                continue;
            }
            counts.eligible += 1;
            let of = Traits { at: record.time, period, strata: strata(&gold, &record.answers) };
            sampler.push(id, of, || body::of(spec, &record, &line, &gold, kept));
        }
    }
    bar.finish_and_clear();
    Ok((sampler.finish(), counts))
}

/// The period that a record is drawn for; `None`, and counted, if it cannot be drawn.
fn period(record: &Record, reference: bool, order: &Order, counts: &mut Counts) -> Option<Period> {
    let left_out = match (&record.id, order.window) {
        _ if is_only_label(record) => &mut counts.label_records,
        _ if record.version != VersionMatch::Same => &mut counts.other_version,
        (None, _) => &mut counts.without_id,
        (_, Some((_, end))) if record.time >= end => &mut counts.after_the_alarm,
        (Some(id), _) if is_held_out(id, order.rule.holdout) != reference => &mut counts.held_out,
        // A reference is what the model meets, the alarm's time included.
        (_, Some((start, _))) if record.time >= start && !reference => return Some(Period::Alarm),
        _ => return Some(Period::Ordinary),
    };
    *left_out += 1;
    None
}

fn table(spec: &ModelSpec, order: &Order, set: &Set, counts: &Counts) -> String {
    let mut text =
        format!("{} of {} eligible records were drawn ({} lines)\n", set.rows.len(), counts.eligible, counts.lines);
    if let Some((start, end)) = order.window {
        let _ = writeln!(text, "  the alarm's time: {start} to {end}");
    }
    for (count, what) in [
        (counts.held_out, "on the other side of the hold-out"),
        (counts.after_the_alarm, "after the alarm's time"),
        (counts.other_version, "of another version"),
        (counts.without_id, "without an id"),
        (counts.without_label, "without a label"),
        (counts.label_records, "label records: give them as `--labels`"),
        (counts.refused, "refused: they are no records of the model"),
    ] {
        if count > 0 {
            let _ = writeln!(text, "  left out: {count} {what}");
        }
    }
    let _ = writeln!(
        text,
        "\n{:<9} {:<16} {:<24} {:<7} {:>9} {:>7} {:>11}",
        "period", "task", "class", "by", "records", "drawn", "weight"
    );
    for share in &set.shares {
        let (task, class, by) = body::names(spec, share.stratum);
        let _ = writeln!(
            text,
            "{:<9} {:<16} {:<24} {:<7} {:>9} {:>7} {:>11.1}",
            body::word(&share.period),
            task.unwrap_or("all"),
            class.unwrap_or("–"),
            by.map_or_else(|| "–".to_owned(), |by| body::word(&by)),
            share.records,
            share.picked,
            share.weight
        );
    }
    text
}

/// Right answers by task, as a record's `labels`.
type Golds = [Option<Gold>];
