//! How a reference is learned from held-out records: geometry first, then the signals' cells, then
//! how much its own windows vary.

use std::collections::BTreeMap;

use super::answer::Answer;
use super::inference::InputFacts;
use super::observation::{HeadSource, Observation, place};
use super::reference::{Reference, SignalReference, WINDOWS_FOR_GUARANTEE};
use super::signal::{Sample, SignalKey, fit_all};
use super::summary::Summary;
use super::task::ModelSpec;
use super::time::Timestamp;
use super::window::{Slot, WindowRule};
use crate::stats::calibration::{NullStatistic, intra_window_correlation};
use crate::stats::hypothesis::Allowance;
use crate::stats::principal::Principal;

/// Leading principal axes kept.
const AXES: usize = 32;
/// Records an axis needs, so that its variance is known.
const RECORDS_PER_AXIS: usize = 10;
/// Fewer records than this cannot say anything about a model.
pub const LEAST_RECORDS: usize = 100;
/// Beyond this many, the fit would outgrow its memory: about 2 GB at 384 dimensions.
pub const MOST_RECORDS: usize = 1_000_000;
/// A class seen less often than this is known too poorly to judge its share.
const RARE_CLASS: i64 = 5;

/// One reference record as the fit needs it.
#[derive(Clone, Debug)]
pub struct FitRecord {
    /// When.
    pub time: Timestamp,
    /// Facts from the tokenizer.
    pub input: Option<InputFacts>,
    /// The embedding, empty if there is none.
    pub embedding: Vec<f32>,
    /// Answers by task index.
    pub answers: Vec<Option<Answer>>,
}

/// A fitted reference with what its maker should know about it.
#[derive(Debug)]
pub struct Fitted {
    /// The reference.
    pub reference: Reference,
    /// What is thin, constant or missing.
    pub warnings: Vec<String>,
}

/// Why no reference could be fitted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FitError {
    /// Not enough to learn from.
    #[error("{found} usable records are too few for a reference: at least {LEAST_RECORDS} are needed")]
    TooFew {
        /// Records found.
        found: usize,
    },
    /// Nothing to measure.
    #[error("the records hold neither texts, embeddings nor answers of `{model}`")]
    NothingToMeasure {
        /// Name of the model.
        model: String,
    },
}

/// Fits a reference to `records`, in the order of the stream.
///
/// # Errors
/// [`FitError`] if there is too little, or nothing, to learn from.
pub fn fit(
    spec: &ModelSpec,
    heads: HeadSource,
    window: WindowRule,
    records: Vec<FitRecord>,
) -> Result<Fitted, FitError> {
    if records.len() < LEAST_RECORDS {
        return Err(FitError::TooFew { found: records.len() });
    }
    let mut warnings = Vec::new();
    let geometry = fit_geometry(spec, &records, &mut warnings);
    let span = records.iter().fold((records[0].time, records[0].time), |(a, b), r| (a.min(r.time), b.max(r.time)));
    let mut slots: Vec<Slot> = Vec::with_capacity(records.len());
    let mut times = Vec::with_capacity(records.len());
    let observations: Vec<Observation> = records
        .into_iter()
        .enumerate()
        .map(|(i, record)| {
            slots.push(window.slot(record.time, i as u64));
            times.push(record.time);
            let place = place(&record.embedding, geometry.as_ref());
            Observation { input: record.input, place, answers: record.answers }
        })
        .collect();
    let sample = Sample { spec, observations: &observations, geometry: geometry.as_ref() };
    let mut signals = Vec::new();
    let mut offset = 0;
    for (key, measure) in fit_all(&sample) {
        let width = measure.as_signal().width();
        let totals = vec![0; width];
        signals.push(SignalReference { key, measure, offset, totals, intra_window_correlation: 0.0, effective_n: 0.0 });
        offset += width;
    }
    if signals.is_empty() {
        return Err(FitError::NothingToMeasure { model: spec.name.clone() });
    }
    let mut reference = Reference {
        id: String::new(),
        spec: spec.clone(),
        heads,
        window,
        records: observations.len() as u64,
        windows: 0,
        span,
        geometry,
        signals,
    };
    let mut windows: BTreeMap<Slot, Summary> = BTreeMap::new();
    for ((observation, slot), time) in observations.iter().zip(&slots).zip(&times) {
        let summary = windows.entry(*slot).or_insert_with(|| Summary::empty(&reference));
        summary.fold(&reference, *time, observation);
    }
    reference.windows = windows.len() as u64;
    let windows: Vec<Summary> = windows.into_values().collect();
    for i in 0..reference.signals.len() {
        calibrate(&mut reference.signals[i], &windows);
    }
    warn(&reference, &mut warnings);
    Ok(Fitted { reference: reference.seal(), warnings })
}

fn fit_geometry(spec: &ModelSpec, records: &[FitRecord], warnings: &mut Vec<String>) -> Option<Principal> {
    let dimension = spec.embedding_dimension?;
    let usable = || {
        let embeddings = records.iter().map(|r| r.embedding.as_slice());
        embeddings.filter(|e| e.len() == dimension && e.iter().all(|v| v.is_finite()))
    };
    let present = records.iter().filter(|r| !r.embedding.is_empty()).count();
    let good = usable().count();
    if present == 0 {
        return None;
    }
    if good < present {
        warnings.push(format!(
            "{} of {present} embeddings are unusable (another dimension than {dimension}, or not a number)",
            present - good
        ));
    }
    let axes = AXES.min(good / RECORDS_PER_AXIS).min(dimension);
    let fitted = if axes > 0 { Principal::fit(usable(), dimension, axes) } else { None };
    if fitted.is_none() {
        warnings.push("the embeddings do not vary: encoder signals are left out".to_owned());
    }
    fitted
}

/// Totals, and ρ from each window against all the others.
fn calibrate(signal: &mut SignalReference, windows: &[Summary]) {
    let cells = signal.cells();
    for window in windows {
        signal.totals.iter_mut().zip(&window.cells[cells.clone()]).for_each(|(t, c)| *t += c);
    }
    let measured = signal.measure.as_signal();
    let exact = |n: f64| Allowance { intra_window_correlation: 0.0, effective_reference: n.max(1.0), margin: 0.0 };
    let mut sizes = 0.0;
    let nulls: Vec<NullStatistic> = windows
        .iter()
        .filter_map(|window| {
            let current = &window.cells[cells.clone()];
            let rest: Vec<i64> = signal.totals.iter().zip(current).map(|(t, c)| t - c).collect();
            let (n, others) = (measured.n(current) as f64, measured.n(&rest) as f64);
            let test = measured.test(current, &rest, exact(others))?;
            sizes += n;
            // The rest of the reference is a sample too: its own error inflates the statistic.
            let statistic = test.statistic / (1.0 + n / others);
            Some(NullStatistic { statistic, degrees_of_freedom: test.degrees_of_freedom, n })
        })
        .collect();
    signal.intra_window_correlation = intra_window_correlation(&nulls);
    let mean_size = sizes / (nulls.len().max(1)) as f64;
    let design_effect = 1.0 + (mean_size - 1.0).max(0.0) * signal.intra_window_correlation;
    signal.effective_n = measured.n(&signal.totals) as f64 / design_effect;
}

fn warn(reference: &Reference, warnings: &mut Vec<String>) {
    if reference.windows < WINDOWS_FOR_GUARANTEE {
        warnings.push(format!(
            "only {} windows of {}: the guarantee stays provisional below {WINDOWS_FOR_GUARANTEE}",
            reference.windows, reference.window
        ));
    }
    for (i, task) in reference.spec.tasks.iter().enumerate() {
        let mut answered = false;
        for signal in reference.signals.iter().filter(|s| s.key.task == Some(i)) {
            answered = true;
            warn_classes(signal, &task.name, &task.classes, warnings);
        }
        if !answered {
            warnings.push(format!("no record answers task `{}`: it will not be watched", task.name));
        }
    }
    for signal in reference.signals.iter().filter(|s| s.measure.as_signal().counts()) {
        if signal.totals.iter().filter(|t| **t > 0).count() < 2 {
            warnings.push(format!("{} is constant in the reference", name(reference, &signal.key)));
        }
    }
}

fn warn_classes(signal: &SignalReference, task: &str, classes: &[String], warnings: &mut Vec<String>) {
    if signal.key.signal != "predicted_class" {
        return;
    }
    let rare: Vec<&str> =
        classes.iter().zip(&signal.totals).filter(|(_, t)| **t < RARE_CLASS).map(|(c, _)| c.as_str()).collect();
    if !rare.is_empty() {
        const SHOWN: usize = 5;
        let more = if rare.len() > SHOWN { format!(" and {} more", rare.len() - SHOWN) } else { String::new() };
        let shown = rare[..rare.len().min(SHOWN)].join("`, `");
        warnings.push(format!("task `{task}`: seen fewer than {RARE_CLASS} times: `{shown}`{more}"));
    }
}

fn name(reference: &Reference, key: &SignalKey) -> String {
    match reference.task_name(key) {
        Some(task) => format!("signal `{}` of task `{task}`", key.signal),
        None => format!("signal `{}`", key.signal),
    }
}
