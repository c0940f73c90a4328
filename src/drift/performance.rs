//! What a reference knows of how often its heads are right, and what that says of a window without labels.
//!
//! From labelled held-out records each head gets a calibration of its confidence, an upper bound of its
//! error, and a table of confusions. Every record then adds the probability that it is right, as a fixed-point
//! number, to cells by predicted class; so windows merge exactly, and any window's accuracy, expected confusion
//! and macro-F1 can be told from its cells.

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Confidence};
use super::label::{CERTAIN, Label, LabelValue};
use super::observation::Observation;
use super::task::{ModelSpec, TaskKind};
use crate::stats::binning::Bins;
use crate::stats::performance::confidence::{Calibration, Graded, calibration_error, threshold_of};
use crate::stats::performance::confusion::{Confusion, expected, macro_f1, macro_f1_of_labels};
use crate::stats::performance::interval::upper_bound;

/// Fewer labelled records than this say too little of a head.
pub const LEAST_LABELLED: usize = 50;
/// A mean loss may exceed the reference's upper bound by so much before it is harm.
pub const TOLERANCE: f64 = 0.02;
/// Level of the upper bound of a reference's error.
const BOUND_LEVEL: f64 = 0.95;
/// One, in the fixed-point numbers of the cells.
const ONE: f64 = (1_u32 << 20) as f64;
/// Standard errors of a 95 % interval.
pub const Z: f64 = 1.959_963_984_540_054;
/// Cells before those of the classes.
const COMMON: usize = 5;
/// Classes or labels with less expected support than this stay out of a mean over classes.
pub const LEAST_SUPPORT: f64 = 0.5;

/// What a reference knows of one head's performance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Performance {
    /// Index of the task.
    pub task: usize,
    /// The head's kind.
    pub kind: TaskKind,
    /// Records with a label, and an answer that it could be compared with.
    pub labelled: u64,
    /// Mean loss on them.
    pub loss: f64,
    /// Upper bound of the mean loss, at 95 %.
    pub bound: f64,
    /// What a distance between numbers is divided by to be a loss; 1 for other kinds.
    pub scale: f64,
    /// Calibration error of the confidence as it is, and as it is calibrated without the fold that it is
    /// taken on; `None` where no confidence is known.
    pub calibration_error: Option<(f64, f64)>,
    /// Macro-F1 on the labelled records, for kinds that have one.
    pub macro_f1: Option<f64>,
    estimator: Estimator,
    /// Threshold of ATC, and whether it is on negative entropy rather than confidence.
    threshold: Option<(f64, bool)>,
    confusion: Vec<(u32, u32, u32)>,
    classes: usize,
    offset: usize,
}

/// How likely one answer is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Estimator {
    /// From the head's confidence.
    Confidence(Calibration),
    /// From where the predicted number lies: mean loss by bin.
    Value(Bins, Vec<f64>),
    /// There is nothing to tell it from.
    Nothing,
}

/// What a window without labels is estimated to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// Answers that it rests on.
    pub n: i64,
    /// Accuracy: the share of right answers, sets or tokens. For numbers, one less the mean loss.
    pub accuracy: f64,
    /// Its 95 % interval, from the window's size and from how well the reference knows the head.
    pub interval: (f64, f64),
    /// Macro-F1 from the expected confusion.
    pub macro_f1: Option<f64>,
    /// The accuracy by average thresholded confidence, to compare with.
    pub thresholded: Option<f64>,
}

/// Performance of all heads that enough of the sample has labels for. `folds` keeps what a calibration is
/// measured on out of what it is fitted on.
pub(super) fn fit(
    spec: &ModelSpec,
    observations: &[Observation],
    labels: &[Vec<Label>],
    folds: &[usize],
    mut offset: usize,
) -> Vec<Performance> {
    let mut found = Vec::new();
    for task in 0..spec.tasks.len() {
        let pairs: Vec<Pair> = observations
            .iter()
            .zip(labels)
            .zip(folds)
            .filter_map(|((observation, labels), fold)| {
                let label = labels.iter().find(|l| l.task == task && !l.retracted)?;
                let answer = observation.answers.get(task)?.as_ref()?;
                Some(Pair { answer, truth: label.value.as_ref()?, fold: *fold })
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
            bound: upper_bound(sum.ceil() as u64, n, BOUND_LEVEL).unwrap_or(1.0),
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

    /// The mean loss that is tolerated: the reference's upper bound and a little more.
    pub fn tolerated(&self) -> f64 {
        self.bound + TOLERANCE
    }

    /// The temperature of its calibration, where it has one.
    pub fn temperature(&self) -> Option<f64> {
        match &self.estimator {
            Estimator::Confidence(calibration) => Some(calibration.temperature()),
            _ => None,
        }
    }

    /// Whether windows can be estimated without labels.
    pub fn estimates(&self) -> bool {
        self.estimator != Estimator::Nothing
    }

    /// How likely an answer is right, or the share of it that is; `None` if nothing tells.
    pub fn right(&self, answer: &Answer) -> Option<f64> {
        match (&self.estimator, answer) {
            (Estimator::Confidence(calibration), _) => match answer.confidence() {
                Confidence::Known(p) => Some(calibration.right(f64::from(p), class_of(answer))),
                Confidence::Absent | Confidence::Invalid => None,
            },
            (Estimator::Value(bins, losses), Answer::Value(value)) if value.is_finite() => {
                losses.get(bins.cell(*value)).map(|loss| 1.0 - loss)
            }
            _ => None,
        }
    }

    /// The same as it is kept with a prediction.
    pub fn expected(&self, answer: &Answer) -> Option<u16> {
        self.right(answer).map(|right| (right * f64::from(CERTAIN)).round() as u16)
    }

    /// Number of cells.
    pub fn width(&self) -> usize {
        COMMON
            + match self.kind {
                TaskKind::Binary | TaskKind::Multiclass => 2 * (self.classes + 1),
                TaskKind::Multilabel => self.classes + 1,
                TaskKind::TokenLabels | TaskKind::Regression => 0,
            }
    }

    /// Where its cells lie in a summary.
    pub fn cells(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.width()
    }

    /// Adds one observation to the cells: answers estimated, probability of being right, its variance,
    /// answers above and at all of the threshold; then by class answers and probability, or labels given.
    pub fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        let Some(Some(answer)) = observation.answers.get(self.task) else { return };
        let Some(right) = self.right(answer) else { return };
        let fixed = |value: f64| (value * ONE).round() as i64;
        cells[0] += 1;
        cells[1] += fixed(right);
        cells[2] += fixed(right * (1.0 - right));
        if let Some((threshold, by_entropy)) = self.threshold
            && let Some(score) = score(answer, by_entropy)
        {
            cells[3] += i64::from(score >= threshold);
            cells[4] += 1;
        }
        match answer {
            Answer::Class { class, .. } => {
                let at = COMMON + 2 * (*class as usize).min(self.classes);
                cells[at] += 1;
                cells[at + 1] += fixed(right);
            }
            Answer::Labels { labels, .. } => {
                labels.iter().for_each(|label| cells[COMMON + (*label as usize).min(self.classes)] += 1);
            }
            Answer::Tokens { .. } | Answer::Value(_) => {}
        }
    }

    /// What these cells say; `None` without any answer.
    pub fn estimate(&self, cells: &[i64]) -> Option<Estimate> {
        let n = cells[0];
        if n == 0 {
            return None;
        }
        let (count, of) = (n as f64, |cell: i64| cell as f64 / ONE);
        let accuracy = of(cells[1]) / count;
        let own = of(cells[2]) / (count * count);
        let learned = self.loss * (1.0 - self.loss) / self.labelled as f64;
        let half = Z * (own + learned).sqrt();
        Some(Estimate {
            n,
            accuracy,
            interval: ((accuracy - half).max(0.0), (accuracy + half).min(1.0)),
            macro_f1: self.expected_f1(&cells[COMMON..], count, 1.0 - accuracy),
            thresholded: (cells[4] > 0).then(|| cells[3] as f64 / cells[4] as f64),
        })
    }

    /// How many answers of a window, whose cells these are, are to be expected by true and predicted class; `None`
    /// where a head answers no single class.
    pub fn expected_confusion(&self, cells: &[i64]) -> Option<Confusion> {
        let answers_a_class = matches!(self.kind, TaskKind::Binary | TaskKind::Multiclass);
        answers_a_class.then(|| self.expected_table(&cells[COMMON..]))
    }

    fn expected_table(&self, classes: &[i64]) -> Confusion {
        let sample: Confusion = self.confusion.iter().map(|(t, p, n)| ((*t, *p), f64::from(*n))).collect();
        let pairs = (0..).zip(classes.chunks_exact(2)).map(|(c, pair)| (c, pair[0] as f64, pair[1] as f64 / ONE));
        expected(pairs, &sample)
    }

    fn expected_f1(&self, classes: &[i64], n: f64, loss: f64) -> Option<f64> {
        match self.kind {
            TaskKind::Binary | TaskKind::Multiclass => macro_f1(&self.expected_table(classes), LEAST_SUPPORT),
            TaskKind::Multilabel => {
                // The reference's rates of wrong and missing labels, worse by as much as whole sets are.
                let worse = if self.loss > 0.0 { loss / self.loss } else { 1.0 };
                let count = |label: u32, kind: u32| {
                    self.confusion
                        .iter()
                        .find(|(l, k, _)| (*l, *k) == (label, kind))
                        .map_or(0.0, |(.., n)| f64::from(*n))
                };
                let label = |(label, given): (u32, &i64)| {
                    let (tp, fp, fn_) = (count(label, 0), count(label, 1), count(label, 2));
                    let given = *given as f64;
                    let wrong = if tp + fp > 0.0 { fp / (tp + fp) } else { self.loss };
                    let left = (self.labelled as f64 - tp - fp).max(1.0);
                    let false_positives = given * (wrong * worse).min(1.0);
                    [given - false_positives, false_positives, (n - given).max(0.0) * (fn_ / left * worse).min(1.0)]
                };
                macro_f1_of_labels((0..).zip(classes).map(label), LEAST_SUPPORT)
            }
            TaskKind::TokenLabels | TaskKind::Regression => None,
        }
    }
}

/// Macro-F1 of a table of this kind.
pub fn f1(kind: TaskKind, table: &Confusion) -> Option<f64> {
    match kind {
        TaskKind::Binary | TaskKind::Multiclass => macro_f1(table, LEAST_SUPPORT),
        TaskKind::Multilabel => {
            let mut labels: std::collections::BTreeMap<u32, [f64; 3]> = std::collections::BTreeMap::new();
            table.iter().for_each(|((label, kind), n)| labels.entry(*label).or_default()[*kind as usize % 3] += n);
            macro_f1_of_labels(labels.into_values(), LEAST_SUPPORT)
        }
        TaskKind::TokenLabels | TaskKind::Regression => None,
    }
}

/// What a class's own offset is learned by; heads without one class have none.
fn class_of(answer: &Answer) -> u32 {
    match answer {
        Answer::Class { class, .. } => *class,
        _ => 0,
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
    for fold in 0..super::signal::FOLDS {
        let rest: Vec<Graded> = graded.iter().filter(|(_, f)| *f != fold).map(|(g, _)| *g).collect();
        let learned = Calibration::fit(&rest);
        let own = graded.iter().filter(|(_, f)| *f == fold);
        after.extend(own.map(|(g, _)| (learned.right(g.confidence, g.class), g.right)));
    }
    Some((before, calibration_error(after.into_iter())?))
}

/// Negative entropy, or confidence.
fn score(answer: &Answer, by_entropy: bool) -> Option<f64> {
    match answer.confidence() {
        Confidence::Known(_) if by_entropy => answer.uncertainty().entropy.map(|e| -f64::from(e)),
        Confidence::Known(p) => Some(f64::from(p)),
        Confidence::Absent | Confidence::Invalid => None,
    }
}

fn threshold(losses: &[(f64, &Pair)], accuracy: f64) -> Option<(f64, bool)> {
    let of = |by_entropy| losses.iter().filter_map(|(_, p)| score(p.answer, by_entropy)).collect::<Vec<f64>>();
    let (confidence, entropy) = (of(false), of(true));
    let by_entropy = entropy.len() == confidence.len();
    Some((threshold_of(if by_entropy { entropy } else { confidence }, accuracy)?, by_entropy))
}

#[cfg(test)]
impl Performance {
    /// A head of two classes with this error on so many labels, and nothing to estimate it from.
    pub(super) fn known(task: usize, error: f64, labelled: u64) -> Performance {
        Performance {
            task,
            kind: TaskKind::Binary,
            labelled,
            loss: error,
            bound: error,
            scale: 1.0,
            calibration_error: None,
            macro_f1: None,
            estimator: Estimator::Nothing,
            threshold: None,
            confusion: Vec::new(),
            classes: 2,
            offset: 0,
        }
    }
}
