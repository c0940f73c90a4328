//! `driftd backtest`: judges a recorded stream with the daemon's own code, in event time.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::backtest_examples::Texts;
use super::backtest_labels::Labels;
use super::backtest_report::{self, Told};
use super::fit::window_rule;
use super::ids::{Ids, each_once};
use super::labels::UnknownLabels;
use super::replay::{Refusals, Replay, with_refusals};
use super::{Unusable, WrongArguments, can_write, load_reference, progress, runtime, write_output, write_output_with};
use super::{backtest_html, compare, without_model};
use crate::cli::{Backtest, Format};
use crate::collect::observe::is_only_label;
use crate::config::{Budget, watch};
use crate::drift::course::{Course, Judged, Watch};
use crate::drift::detector::Sensitivity;
use crate::drift::geometry::Place;
use crate::drift::inference::Inference;
use crate::drift::judgement::ClosedWindow;
use crate::drift::lacking::Seen;
use crate::drift::observation::Observation;
use crate::drift::record::{Record, VersionMatch};
use crate::drift::reference::Reference;
use crate::drift::retraining::{Mode, Policy, Trigger};
use crate::drift::score_order::ScoreOrders;
use crate::drift::summary::Summary;
use crate::drift::time::{Span, Timestamp};
use crate::drift::watermark::Watermark;
use crate::drift::window::{Slot, WindowRule};
use crate::model::Manifest;
use crate::model::fits::segments_of_reference;

/// Windows to one false alarm where windows are counted in records and nothing else is said.
const DEFAULT_ARL: f64 = 2_000.0;
/// One false alarm in thirty days, where nothing else is said.
const DEFAULT_BUDGET: &str = "1/30d";

/// Runs the command.
///
/// # Errors
/// If manifest, reference or settings are invalid, or a file cannot be read.
pub fn main(args: &Backtest) -> anyhow::Result<()> {
    each_once(&args.input)?;
    if let Some(output) = &args.output {
        can_write(output, args.input.iter().chain(&args.labels).chain([&args.reference]))?;
    }
    let manifest = Manifest::load(&args.model.manifest)?;
    let reference = load_reference(&args.reference, &manifest)?;
    without_model::tell(&manifest);
    let mut streams = vec![stream(&reference, args)?];
    for others in &args.compare {
        let other = compare::with(args, others)?;
        streams.push(stream(&reference, &other).with_context(|| format!("`--compare {others}`"))?);
    }
    let other_segments = segments_of_reference(&manifest, &reference);
    let (mut replay, mut ids) = (Replay::new(manifest, &args.model), Ids::default());
    let labels = args.labels.as_deref().map(|file| replay.labels(file)).transpose()?.unwrap_or_default();
    for stream in &mut streams {
        stream.counts.labels = labels.len() as u64;
        stream.labels = Labels::new(labels.clone());
        stream.unknown_labels = replay.unknown_labels.clone();
    }
    let bar = progress::records("judging");
    runtime()?.block_on(replay.run(&args.input, reference.heads, &bar, |record, inference| {
        if !is_only_label(&record) {
            ids.take(&record);
        }
        let (first, others) = streams.split_first_mut().expect("one for the main settings");
        others.iter_mut().try_for_each(|stream| stream.take(record.clone(), inference.clone()))?;
        first.take(record, inference)
    }))?;
    bar.finish_and_clear();
    for stream in &mut streams {
        stream.finish();
        stream.counts.refused = replay.refused.total();
        stream.noticed = other_segments.iter().cloned().chain(ids.told()).collect();
        (stream.refused, stream.refused_labels) = (replay.refused.clone(), replay.refused_labels.clone());
    }
    streams[0].check()?;
    let names = std::iter::once("as asked").chain(args.compare.iter().map(String::as_str));
    let told: Vec<Told> = streams.iter().zip(names).map(|(stream, name)| Told::new(stream, name)).collect();
    for warning in &told[0].warnings {
        eprintln!("warning: {warning}");
    }
    let text = match args.format {
        Format::Table => backtest_report::table(&told),
        Format::Json => {
            return write_output_with(args.output.as_deref(), |out| backtest_report::json(&told, out));
        }
        Format::Html => backtest_html::page(&told),
    };
    write_output(args.output.as_deref(), &text)
}

fn stream<'a>(reference: &'a Reference, args: &Backtest) -> anyhow::Result<Stream<'a>> {
    let window = window_rule(&args.windows)?.unwrap_or(reference.window);
    let texts = Texts::new(args.examples.map_or(0, usize::from));
    Ok(Stream { texts, ..Stream::new(reference, settings(args, window)?, window) })
}

fn settings(args: &Backtest, window: WindowRule) -> anyhow::Result<Watch> {
    let budget = match (&args.budget, args.arl_windows, window) {
        (_, Some(windows), _) => Budget::Windows(windows),
        (Some(text), None, _) => Budget::parse(text)
            .ok_or_else(|| WrongArguments(format!("`--budget {text}`: expected alarms per time, such as `1/30d`")))?,
        (None, None, WindowRule::Records(_)) => Budget::Windows(DEFAULT_ARL),
        (None, None, WindowRule::Time(_)) => Budget::parse(DEFAULT_BUDGET).expect("the default parses"),
    };
    let threshold = match (budget, window) {
        (budget, WindowRule::Time(length)) => budget.threshold(length),
        (Budget::Windows(windows), WindowRule::Records(_)) => windows,
        (Budget::PerTime(..), WindowRule::Records(_)) => {
            let problem = "windows counted in records have no length: use `--arl-windows` instead of `--budget`";
            return Err(WrongArguments(problem.to_owned()).into());
        }
    };
    let sensitivity = Sensitivity { min_records: args.min_records.max(1), margin: args.margin };
    // Nobody is asked for anything here.
    let retraining = Policy { mode: Mode::Off, on: Trigger::Drift, cooldown: Span::from_secs(0) };
    watch(threshold, sensitivity, args.resolve_after.max(1), retraining)
        .map_err(|problem| WrongArguments(problem).into())
}

/// What became of the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Read in all, but for the refused.
    pub records: u64,
    /// Folded into windows.
    pub folded: u64,
    /// Too late for their window.
    pub late: u64,
    /// Of a time that lies in a window which was judged, though nothing is late where windows are cut by records.
    pub back_in_time: u64,
    /// Of another version.
    pub other_version: u64,
    /// Labels.
    pub labels: u64,
    /// With an embedding that the reference cannot place.
    pub unusable_embeddings: u64,
    /// Refused.
    pub refused: u64,
}

/// One stream on its way through the windows.
pub struct Stream<'a> {
    /// What it is compared with.
    pub reference: &'a Reference,
    /// With which settings.
    pub watch: Watch,
    /// Cut how.
    pub window: WindowRule,
    /// First and last time of its records.
    pub span: Option<(Timestamp, Timestamp)>,
    course: Course,
    open: BTreeMap<Slot, Summary>,
    watermark: Watermark,
    /// Judged windows, in order.
    pub judged: Vec<Judged>,
    /// What became of the records.
    pub counts: Counts,
    /// What was noticed beside, of its ids and of the manifest.
    pub noticed: Vec<String>,
    /// Records that were refused, and why.
    pub refused: Refusals,
    /// Labels that were.
    pub refused_labels: Refusals,
    /// Labels that name no class of their task.
    pub unknown_labels: UnknownLabels,
    /// Whether classes follow from their scores.
    pub score_orders: ScoreOrders,
    /// What its windows held, added up.
    pub seen: Seen,
    /// What is known of labels.
    pub labels: Labels,
    /// Texts of alerts, where they are asked for.
    pub texts: Texts,
}

impl<'a> Stream<'a> {
    /// A stream that has not begun.
    pub fn new(reference: &'a Reference, watch: Watch, window: WindowRule) -> Stream<'a> {
        Stream {
            reference,
            watch,
            window,
            span: None,
            course: Course::new(reference),
            open: BTreeMap::new(),
            watermark: Watermark::default(),
            judged: Vec::new(),
            counts: Counts::default(),
            noticed: Vec::new(),
            refused: Refusals::default(),
            refused_labels: Refusals::default(),
            unknown_labels: UnknownLabels::default(),
            score_orders: ScoreOrders::default(),
            seen: Seen { cells: vec![0; reference.width()], ..Seen::default() },
            labels: Labels::default(),
            texts: Texts::default(),
        }
    }

    /// Whether anything could be said of it: silence about nothing must not look like calm.
    fn check(&self) -> Result<(), Unusable> {
        // Records of other versions are told by an alert.
        if self.counts.folded + self.counts.other_version > 0 {
            return Ok(());
        }
        let labels = match self.counts.labels {
            0 => String::new(),
            n => format!(", but for {n} labels"),
        };
        let why = format!("nothing could be judged: the stream holds no usable record{labels}");
        Err(Unusable(with_refusals(why, &self.refused)))
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// Never; the signature is what readers of files call.
    pub fn take(&mut self, mut record: Record, inference: Option<Inference>) -> anyhow::Result<()> {
        self.counts.records += 1;
        if let VersionMatch::Other(version) = &record.version {
            self.counts.other_version += 1;
            if !is_only_label(&record) {
                self.count_other(record.time, version);
            }
            return Ok(());
        }
        self.counts.labels += record.labels.len() as u64;
        self.unknown_labels.add(&mut record);
        let time = record.time;
        let slot = self.window.slot(time, self.counts.folded + self.counts.late);
        self.labels.until(time, self.window, slot, self.reference);
        let (alone, id, labels) = (is_only_label(&record), record.id.take(), std::mem::take(&mut record.labels));
        self.labels.hear(id.is_some(), alone, labels.len());
        let named = |label| Some((id.clone()?, label));
        let labels: Vec<_> = labels.into_iter().filter_map(named).collect();
        if alone {
            labels.into_iter().for_each(|(id, l)| self.labels.give(id, l, self.window, slot, self.reference));
            return Ok(());
        }
        self.reach(time);
        if self.course.next_slot.is_some_and(|next| slot < next) {
            self.counts.late += 1;
            return Ok(());
        }
        let judged_until = self.judged.last().map(|judged| judged.report.end);
        self.counts.back_in_time += u64::from(judged_until.is_some_and(|end| time < end));
        let ticket = self.texts.ticket(slot, id.as_deref(), time, record.text.as_ref());
        let observation = Observation::new(&mut record, inference, self.reference);
        if let Some(ticket) = ticket {
            self.texts.take(slot, ticket, self.reference, &observation);
        }
        self.score_orders.add(record.score_order);
        self.seen.unknown_tasks += u64::from(record.unknown_tasks);
        self.seen.unknown_classes.add(std::mem::take(&mut record.unknown_classes));
        self.counts.unusable_embeddings += u64::from(matches!(observation.place, Place::Invalid));
        let summary = self.open.entry(slot).or_insert_with(|| Summary::empty(self.reference));
        summary.fold(self.reference, time, &observation);
        self.labels.keep(id, time, slot, &observation, self.window, self.reference);
        labels.into_iter().for_each(|(id, l)| self.labels.give(id, l, self.window, slot, self.reference));
        self.counts.folded += 1;
        self.close_before(time, slot);
        Ok(())
    }

    /// A record of another version is counted in its window, which it moves on as any does.
    fn count_other(&mut self, time: Timestamp, version: &str) {
        let slot = self.window.slot(time, self.counts.folded + self.counts.late);
        self.reach(time);
        if self.course.next_slot.is_some_and(|next| slot < next) {
            return;
        }
        let summary = self.open.entry(slot).or_insert_with(|| Summary::empty(self.reference));
        summary.others.add(version);
        self.close_before(time, slot);
    }

    fn reach(&mut self, time: Timestamp) {
        self.span = Some(self.span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
    }

    /// Judges windows that are over once the stream has reached this time.
    fn close_before(&mut self, time: Timestamp, slot: Slot) {
        self.watermark.observe(time);
        let closed_below = match self.window {
            WindowRule::Records(_) => Some(slot),
            // Sorting the recent times for every record would cost more than folding it.
            WindowRule::Time(_) if self.open.len() > 1 => self.watermark.reached().map(|w| self.window.slot(w, 0)),
            WindowRule::Time(_) => None,
        };
        if let Some(below) = closed_below {
            self.close(below);
        }
    }

    /// Judges what is still open: the stream has ended, and the rest of its labels come.
    pub fn finish(&mut self) {
        let Some((first, last)) = self.span else { return };
        let next = self.open.keys().next_back().map_or(0, |slot| slot + 1);
        let length = Span::from_micros(last.since(first).micros() / next.max(1));
        self.labels.rest(self.window, last, length, next, self.reference);
        self.close(Slot::MAX);
    }

    /// Judges all windows below `below` that hold records or labels.
    fn close(&mut self, below: Slot) {
        loop {
            let with_records = self.open.keys().next().copied();
            // Labels of windows that are judged come late: the next one takes them.
            let next = self.course.next_slot.unwrap_or(Slot::MIN);
            let with_labels = self.labels.first_slot().map(|slot| slot.max(next));
            let first = with_records.into_iter().chain(with_labels).min();
            let Some(slot) = first.filter(|slot| *slot < below) else { break };
            let summary = self.open.remove(&slot).unwrap_or_else(|| Summary::empty(self.reference));
            self.judge(slot, summary);
        }
    }

    fn judge(&mut self, slot: Slot, summary: Summary) {
        let (matured, last) = self.labels.take(slot);
        let tick = Span::from_micros(1);
        // A window counted in records may hold labels alone, or nothing but other versions.
        let last = last.or(self.span.filter(|_| summary.others.records > 0).map(|(_, last)| last));
        let span = summary.span.map(|(first, last)| (first, last.plus(tick))).or(last.map(|at| (at, at.plus(tick))));
        let Some((start, end)) = self.window.bounds(slot).or(span) else { return };
        self.labels.estimate(slot, &summary, self.reference);
        self.labels.note_losses(&matured);
        self.seen.records += summary.records;
        self.seen.cells.iter_mut().zip(&summary.cells).for_each(|(all, n)| *all = all.saturating_add(*n));
        let window = ClosedWindow { slot, start, end, summary };
        self.course.labelling.arrive(&self.labels.arrivals(slot, start));
        let judged = self.course.advance_with(self.reference, &self.watch, &window, &matured);
        self.texts.choose(slot, self.judged.len(), self.reference, &window.summary, &judged);
        self.judged.push(judged);
    }
}
