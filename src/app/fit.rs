//! `driftd reference fit`: learns what is normal, and shows what it learned.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Context as _;

use super::backtest_words::plain;
use super::fit_attributes::Attributes;
use super::fit_times::Times;
use super::ids::{Ids, each_once};
use super::replay::{Refusals, Replay, with_refusals};
use super::spool::{Order, Spool};
use super::{Unusable, WrongArguments, can_write, labels, progress, runtime, without_model, write_output};
use crate::cli::{Fit, WindowArgs};
use crate::collect::observe::is_only_label;
use crate::drift::detector::MIN_RECORDS;
use crate::drift::fit::{FitError, FitRecord, Fitted, Plan, fit};
use crate::drift::lacking::UnknownClasses;
use crate::drift::observation::{HeadSource, Joined};
use crate::drift::performance::LEAST_LABELLED;
use crate::drift::record::VersionMatch;
use crate::drift::reference::{Reference, SignalReference, Variation};
use crate::drift::score_order::ScoreOrders;
use crate::drift::season::Season;
use crate::drift::time::Span;
use crate::drift::window::WindowRule;
use crate::drift::words::{self, Dictionary};
use crate::model::fits::cut_by;
use crate::model::{Manifest, Tokenizer};

/// Where the arguments name none.
const DEFAULT_WINDOW: WindowRule = WindowRule::Time(Span::from_secs(300));
/// Lengths of windows that are worth a proposal, in seconds.
const LENGTHS: [i64; 14] =
    [60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 43_200, 86_400, 604_800];

/// Runs the command.
///
/// # Errors
/// If the manifest is invalid, a file cannot be read, or there is too little to learn from.
pub fn main(args: &Fit) -> anyhow::Result<()> {
    each_once(&args.input)?;
    can_write(&args.output, args.input.iter().chain(&args.labels))?;
    let manifest = Manifest::load(&args.model.manifest)?;
    let window = window_rule(&args.windows)?.unwrap_or(DEFAULT_WINDOW);
    if let Some((from, to)) = args.from.zip(args.to).filter(|(from, to)| from >= to) {
        return Err(WrongArguments(format!("`--from {from}` is not before `--to {to}`")).into());
    }
    if args.heads == Some(HeadSource::Inference) {
        without_model::needed(
            &manifest,
            "`--heads inference` takes its answers: name its ONNX file, or leave out `--heads`",
        )?;
    }
    without_model::tell(&manifest);
    let mut replay = Replay::new(manifest.clone(), &args.model);
    let heads = match args.heads {
        Some(heads) => heads,
        None => replay.detect_heads(&args.input)?,
    };
    let bar = progress::records("reading");
    // Windows counted in records are cut from the stream as it was given.
    let order = if matches!(window, WindowRule::Time(_)) { Order::Time } else { Order::Given };
    let (mut spool, mut inferred) = (Spool::new(order)?, false);
    for (id, label) in args.labels.as_deref().map(|file| replay.labels(file)).transpose()?.unwrap_or_default() {
        spool.label(id, label);
    }
    let (mut taken, mut others, mut ids) = (0, BTreeMap::<String, u64>::new(), Ids::default());
    let (mut times, mut unknown_classes) = (Times::default(), UnknownClasses::default());
    let (mut attributes, mut score_orders) = (Attributes::new(&manifest.spec.attributes), ScoreOrders::default());
    let (tells_words, mut dictionary) = (args.words && manifest.tokenizer.is_none(), Dictionary::default());
    let mut unknown_labels = replay.unknown_labels.clone();
    runtime()?.block_on(replay.run(&args.input, heads, &bar, |mut record, inference| {
        let time = record.time;
        unknown_labels.add(&mut record);
        if is_only_label(&record) {
            // Labels come when they come: of those that are given later, some are of records in time.
            if let Some(id) = record.id {
                record.labels.into_iter().for_each(|label| spool.label(id.clone(), label));
            }
            return Ok(());
        }
        if args.from.is_some_and(|from| time < from) || args.to.is_some_and(|to| time >= to) {
            return Ok(());
        }
        taken += 1;
        ids.take(&record);
        if let Some(text) = record.text.as_ref().filter(|_| tells_words) {
            dictionary.add(text);
        }
        times.add(time, record.id.as_deref());
        attributes.add(time, &record.attributes);
        score_orders.add(record.score_order);
        unknown_classes.add(std::mem::take(&mut record.unknown_classes));
        if let VersionMatch::Other(version) = &record.version {
            *others.entry(version.to_string()).or_default() += 1;
        }
        inferred |= inference.is_some();
        let (id, labels) = (record.id.take(), std::mem::take(&mut record.labels));
        spool.push(id.as_deref(), &FitRecord { time, joined: Joined::new(&mut record, inference, heads), labels })
    }))?;
    bar.finish_and_clear();
    let tokenizer = manifest.tokenizer.as_ref().filter(|_| args.words).map(Tokenizer::load).transpose()?;
    let token = |id: u32| tokenizer.as_ref().map_or_else(|| dictionary.word(id), |tokenizer| tokenizer.token(id));
    let plan = Plan { spec: &manifest.spec, heads, window, kind: args.kind, token: &token };
    let mut fitted = fit(&plan, &mut spool).map_err(|error| match error {
        FitError::Read(error) => error,
        too_little => Unusable(with_refusals(too_little.to_string(), &replay.refused)).into(),
    })?;
    fitted.warnings.extend(of_other_versions(&manifest, taken, &others));
    fitted.warnings.extend(times.warnings(window));
    fitted.warnings.extend(ids.told());
    fitted.warnings.extend(of_few_records(&fitted.reference));
    fitted.warnings.extend(attributes.warnings());
    fitted.warnings.extend(score_orders.told(&manifest.spec));
    fitted.warnings.extend(of_labels(&spool, &replay.refused_labels));
    fitted.warnings.extend(of_few_labels(&spool, &fitted.reference));
    fitted.warnings.extend(unknown_labels.told(&manifest.spec));
    fitted.warnings.extend(of_unknown_classes(&manifest, &unknown_classes));
    if inferred {
        fitted.reference.tokenizer = Some(cut_by(&manifest)?);
        fitted.reference = fitted.reference.seal();
    }
    std::fs::write(&args.output, fitted.reference.encode())
        .with_context(|| format!("`{}` cannot be written", args.output.display()))?;
    write_output(None, &table(&fitted))
}

/// Said where records were learned from that name another version than the manifest's.
fn of_other_versions(manifest: &Manifest, taken: u64, others: &BTreeMap<String, u64>) -> Option<String> {
    let records: u64 = others.values().sum();
    let most = others.iter().max_by_key(|(_, n)| **n).map(|(version, _)| version)?;
    Some(format!(
        "{records} of {taken} records name another version than the manifest's `{}`, most of them `{most}`, and were \
         learned from like the others: if that model answers otherwise, leave them out or fit with its manifest",
        manifest.spec.version
    ))
}

/// Said where the usual window has fewer records than a test needs.
fn of_few_records(reference: &Reference) -> Option<String> {
    let (records, windows) = (reference.records, reference.windows);
    let few = windows > 0 && records < MIN_RECORDS.unsigned_abs() * windows;
    few.then(|| {
        let mean = records as f64 / windows as f64;
        let proposal = match reference.window {
            WindowRule::Time(length) => {
                let needed = length.micros() as f64 * MIN_RECORDS as f64 / mean;
                let long = LENGTHS.into_iter().map(Span::from_secs).find(|span| span.micros() as f64 >= needed);
                long.map_or_else(|| "a longer `--window`".to_owned(), |span| format!("`--window {span}`"))
            }
            WindowRule::Records(_) => format!("`--window-records {MIN_RECORDS}`"),
        };
        format!(
            "windows of {} hold {mean:.1} records on average, and a test takes {MIN_RECORDS} (`--min-records`): most of them \
             are judged only together with others, or not at all. {proposal} would hold as many",
            reference.window
        )
    })
}

/// Said where labels speak of predictions that are not there, or are none.
fn of_labels(spool: &Spool, refused: &Refusals) -> Vec<String> {
    let (labelled, found) = spool.labelled();
    let unmatched = (found < labelled).then(|| match found {
        0 => format!("none of the {labelled} predictions that labels were given for is among the records"),
        _ => format!(
            "{} of the {labelled} predictions that labels were given for are not among the records",
            labelled - found
        ),
    });
    let refused = (refused.total() > 0).then(|| format!("{} labels were refused: {refused}", refused.total()));
    unmatched.into_iter().chain(refused).collect()
}

/// Said of tasks that have labels and too few of them: a back-test would say that the reference has none.
fn of_few_labels(spool: &Spool, reference: &Reference) -> Vec<String> {
    let unlearned = spool.by_task().iter().filter(|(task, _)| reference.performance_of(**task).is_none());
    let told = |(task, n): (&usize, &u64)| {
        format!(
            "task `{}`: {n} records have a label, and fewer than {LEAST_LABELLED} of these could be compared with an \
             answer: too few to know its error. Labels will say nothing of this task",
            reference.spec.tasks[*task].name
        )
    };
    unlearned.map(told).collect()
}

/// The names behind "name no class of the manifest".
fn of_unknown_classes(manifest: &Manifest, unknown: &UnknownClasses) -> Vec<String> {
    let tasks = manifest.spec.tasks.iter().enumerate();
    let told = tasks.map(|(i, task)| (&task.name, unknown.told(i))).filter(|(_, names)| !names.is_empty());
    told.map(|(task, names)| format!("task `{task}`: classes that the manifest does not name{names}")).collect()
}

/// The window rule that the arguments name, if they name one.
///
/// # Errors
/// If a length does not parse or is zero.
pub fn window_rule(args: &WindowArgs) -> Result<Option<WindowRule>, WrongArguments> {
    match (&args.window, args.window_records) {
        (Some(text), _) => {
            let problem = || WrongArguments(format!("`--window {text}`: expected a length such as `5m` or `1h`"));
            let length = Span::parse(text).filter(|s| s.micros() > 0).ok_or_else(problem)?;
            Ok(Some(WindowRule::Time(length)))
        }
        (None, Some(0)) => Err(WrongArguments("`--window-records` must be at least 1".to_owned())),
        (None, Some(count)) => Ok(Some(WindowRule::Records(count))),
        (None, None) => Ok(None),
    }
}

/// What records of one window have in common, at the base scale: the larger of fit and location.
fn correlation(signal: &SignalReference) -> f64 {
    let first = |v: &Variation| v.at_scale.first().map_or(0.0, |null| null.intra_window_correlation);
    first(&signal.variation).max(first(&signal.location))
}

fn table(fitted: &Fitted) -> String {
    let Reference { spec, .. } = &fitted.reference;
    let reference = &fitted.reference;
    let mut text = String::new();
    let heads = match reference.heads {
        HeadSource::Predictions => "production's predictions",
        HeadSource::Inference => "our own inference",
    };
    let _ = writeln!(text, "reference   {}", reference.id);
    let _ = writeln!(text, "model       {} version {}", spec.name, spec.version);
    let _ =
        writeln!(text, "records     {} in {} windows of {}", reference.records, reference.windows, reference.window);
    let _ = writeln!(text, "from, to    {}, {}", reference.span.0, reference.span.1);
    let _ = writeln!(text, "heads       {heads}");
    if reference.tokenizer.as_deref() == Some(words::NAME) {
        text.push_str("texts       cut into words: no tokenizer is named\n");
    }
    if let Some(geometry) = &reference.geometry {
        let principal = &geometry.principal;
        let (axes, explained) = (principal.axes(), principal.explained() * 100.0);
        let dimension = principal.dimension();
        let _ = writeln!(text, "encoder     {dimension} dimensions, {axes} axes hold {explained:.1} % of the variance");
    }
    for segment in &reference.segments {
        let _ = writeln!(text, "segments    {}: {}, other", plain(&segment.tag), plain(&segment.values.join(", ")));
    }
    let seasons = match reference.season {
        None => "too short to know any",
        Some(Season::Day) => "hours of the day",
        Some(Season::Week) => "hours of the day, working days and weekends apart",
    };
    let _ = writeln!(text, "seasons     {seasons}");
    let scales: Vec<String> = reference.scales.iter().map(u32::to_string).collect();
    let _ = writeln!(text, "scales      {} windows", scales.join(", "));
    let guarantee = reference.guarantee();
    let _ = writeln!(text, "guarantee   {}: {}", guarantee.status.name(), guarantee.reason);
    let _ = writeln!(
        text,
        "\n{:<8} {:<14} {:<24} {:>6} {:>9} {:>11} {:>9} {:>7} {:>7}",
        "scope", "task", "signal", "cells", "units", "correlation", "effective", "seasons", "wanders"
    );
    let whole = |s: &&SignalReference| s.key.segment.is_none();
    for signal in reference.signals.iter().filter(whole) {
        let units = signal.measure.as_signal().n(&signal.totals);
        let wanders = match (&signal.broken, signal.wanders()) {
            (Some(_), _) => "broken",
            (None, true) => "yes",
            (None, false) => "–",
        };
        let _ = writeln!(
            text,
            "{:<8} {:<14} {:<24} {:>6} {:>9} {:>11.5} {:>9.0} {:>7} {:>7}",
            signal.key.scope.name(),
            reference.task_name(&signal.key).unwrap_or("–"),
            signal.key.signal,
            signal.totals.len(),
            units,
            correlation(signal),
            units as f64 / signal.variation.design_effect.max(1.0),
            if signal.seasonal.is_some() { "yes" } else { "–" },
            wanders,
        );
    }
    let in_segments = reference.signals.iter().filter(|s| !whole(s)).count();
    if in_segments > 0 {
        let _ = writeln!(text, "and {in_segments} signals of segments");
    }
    text.push_str(&labels::table(reference));
    for warning in &fitted.warnings {
        let _ = writeln!(text, "\nwarning: {}", plain(warning));
    }
    text
}
