//! What a reference learns of a head from its labelled records.

use super::{Estimator, Performance, class_of, f1, score};
use crate::drift::answer::{Answer, Confidence};
use crate::drift::label::{Label, LabelValue};
use crate::drift::observation::Observation;
use crate::drift::signal::FOLDS;
use crate::drift::task::{ModelSpec, TaskKind};
use crate::drift::window::Slot;
use crate::stats::binning::Bins;
use crate::stats::performance::confidence::{Calibration, Graded, calibration_error, threshold_of};
use crate::stats::performance::confusion::Confusion;
use crate::stats::performance::interval::upper_bound;
use crate::stats::performance::wander::Wander;

/// Fewer labelled records than this say too little of a head.
pub const LEAST_LABELLED: usize = 50;
/// Level of the upper bound of a reference's error.
const BOUND_LEVEL: f64 = 0.95;

/// Performance of all heads that enough of the sample has labels for. `parts` says of each record in which window it
/// lies, and in which fold, which keeps what a calibration is measured on out of what it is fitted on.
pub(in crate::drift) fn fit(
    spec: &ModelSpec,
    observations: &[Observation],
    labels: &[Vec<Label>],
    parts: &[(Slot, usize)],
    mut offset: usize,
) -> Vec<Performance> {
    let mut found = Vec::new();
    for task in 0..spec.tasks.len() {
        let pairs: Vec<Pair> = observations
            .iter()
            .zip(labels)
            .zip(parts)
            .filter_map(|((observation, labels), (slot, fold))| {
                let label = labels.iter().find(|l| l.task == task && !l.retracted)?;
                let answer = observation.answers.get(task)?.as_ref()?;
                Some(Pair { answer, truth: label.value.as_ref()?, slot: *slot, fold: *fold })
            })
            .collect();
        if let Some(performance) = Performance::of(spec, task, &pairs, offset) {
            offset += performance.width();
            found.push(performance);
        }
    }
    found
}

/// An answer with its truth.
struct Pair<'a> {
    answer: &'a Answer,
    truth: &'a LabelValue,
    slot: Slot,
    fold: usize,
}

impl Performance {
    fn of(spec: &ModelSpec, task: usize, pairs: &[Pair], offset: usize) -> Option<Performance> {
        let kind = spec.tasks[task].kind;
        let scale = scale(pairs);
        let losses: Vec<(f64, &Pair)> =
            pairs.iter().filter_map(|p| Some((LabelValue::of(p.answer).loss(p.truth, scale)?, p))).collect();
        if losses.len() < LEAST_LABELLED {
            return None;
        }
        let n = losses.len() as u64;
        let sum: f64 = losses.iter().map(|(loss, _)| loss).sum();
        let in_windows: Vec<(Slot, f64)> = losses.iter().map(|(loss, pair)| (pair.slot, *loss)).collect();
        let Wander { deviation, design_effect } = Wander::of(&in_windows);
        // So many independent labels say as much of the mean.
        let worth = |count: f64| (count / design_effect).ceil() as u64;
        let mut table = Confusion::new();
        for (_, pair) in &losses {
            for cell in LabelValue::of(pair.answer).confusion(pair.truth) {
                *table.entry(cell).or_default() += 1.0;
            }
        }
        let graded: Vec<(Graded, usize)> = losses
            .iter()
            .filter_map(|(loss, p)| {
                let Confidence::Known(confidence) = p.answer.confidence() else { return None };
                let (confidence, class) = (f64::from(confidence), class_of(p.answer));
                Some((Graded { confidence, class, right: 1.0 - loss }, p.fold))
            })
            .collect();
        let estimator = match kind {
            TaskKind::Regression => by_value(&losses, sum / n as f64),
            _ if graded.len() >= LEAST_LABELLED => {
                Estimator::Confidence(Calibration::fit(&graded.iter().map(|(g, _)| *g).collect::<Vec<_>>()))
            }
            _ => Estimator::Nothing,
        };
        Some(Performance {
            task,
            kind,
            labelled: n,
            loss: sum / n as f64,
            bound: upper_bound(worth(sum), worth(n as f64), BOUND_LEVEL).unwrap_or(1.0),
            wander: deviation,
            scale,
            calibration_error: matches!(estimator, Estimator::Confidence(_)).then(|| errors(&graded)).flatten(),
            macro_f1: f1(kind, &table),
            estimator,
            threshold: threshold(&losses, 1.0 - sum / n as f64),
            confusion: table.iter().map(|((truth, predicted), n)| (*truth, *predicted, *n as u32)).collect(),
            classes: spec.tasks[task].classes.len(),
            offset,
        })
    }
}

/// Distances are losses as a share of nearly the largest one: the 99th percentile.
fn scale(pairs: &[Pair]) -> f64 {
    let mut distances: Vec<f64> = pairs
        .iter()
        .filter_map(|p| match (p.answer, p.truth) {
            (Answer::Value(answer), LabelValue::Value(truth)) => Some((answer - truth).abs()).filter(|d| d.is_finite()),
            _ => None,
        })
        .collect();
    distances.sort_by(f64::total_cmp);
    let high = distances.get(distances.len() * 99 / 100).copied().unwrap_or(1.0);
    if high > 0.0 { high } else { 1.0 }
}

/// Mean losses by tenths of the predicted numbers, each shrunk towards the whole by twenty records' worth.
fn by_value(losses: &[(f64, &Pair)], mean: f64) -> Estimator {
    const DECILES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
    const SHRINK: f64 = 20.0;
    let value = |p: &Pair| match p.answer {
        Answer::Value(value) if value.is_finite() => Some(*value),
        _ => None,
    };
    let values: Vec<f64> = losses.iter().filter_map(|(_, p)| value(p)).collect();
    let bins = Bins::fit(&values, &DECILES);
    let mut sums = vec![(SHRINK * mean, SHRINK); bins.ordered()];
    for (loss, value) in losses.iter().filter_map(|(loss, p)| Some((loss, value(p)?))) {
        let cell = &mut sums[bins.cell(value)];
        *cell = (cell.0 + loss, cell.1 + 1.0);
    }
    Estimator::Value(bins, sums.into_iter().map(|(sum, n)| sum / n).collect())
}

/// Calibration error before, and after calibration by the other folds.
fn errors(graded: &[(Graded, usize)]) -> Option<(f64, f64)> {
    let before = calibration_error(graded.iter().map(|(g, _)| (g.confidence, g.right)))?;
    let mut after = Vec::with_capacity(graded.len());
    for fold in 0..FOLDS {
        let rest: Vec<Graded> = graded.iter().filter(|(_, f)| *f != fold).map(|(g, _)| *g).collect();
        let learned = Calibration::fit(&rest);
        let own = graded.iter().filter(|(_, f)| *f == fold);
        after.extend(own.map(|(g, _)| (learned.right(g.confidence, g.class), g.right)));
    }
    Some((before, calibration_error(after.into_iter())?))
}

fn threshold(losses: &[(f64, &Pair)], accuracy: f64) -> Option<(f64, bool)> {
    let of = |by_entropy| losses.iter().filter_map(|(_, p)| score(p.answer, by_entropy)).collect::<Vec<f64>>();
    let (confidence, entropy) = (of(false), of(true));
    let by_entropy = entropy.len() == confidence.len();
    Some((threshold_of(if by_entropy { entropy } else { confidence }, accuracy)?, by_entropy))
}
