//! What a reference knows of how often its heads are right, and what that says of a window without labels.
//!
//! From labelled held-out records each head gets a calibration of its confidence, an upper bound of its
//! error, and a table of confusions. Every record then adds the probability that it is right, as a fixed-point
//! number, to cells by predicted class; so windows merge exactly, and any window's accuracy, expected confusion
//! and macro-F1 can be told from its cells.

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Confidence};
use super::label::CERTAIN;
use super::observation::Observation;
use super::task::TaskKind;
use crate::stats::binning::Bins;
use crate::stats::performance::confidence::Calibration;
use crate::stats::performance::confusion::{Confusion, expected, macro_f1, macro_f1_of_labels};

/// Each class of a head by itself: how often it is missed.
pub mod by_class;
/// Each label of a multi-label head by itself.
pub mod by_label;
/// What a reference learns of a head.
mod fit;
/// What references of earlier formats hold.
mod formats;

pub use fit::LEAST_LABELLED;
pub(super) use fit::fit;
pub(super) use formats::WithoutWander;

/// A mean loss may exceed the reference's upper bound by so much before it is harm,
pub const TOLERANCE: f64 = 0.02;
/// or by so many standard deviations of what it wanders in the reference, whichever is more: one window in thirty
/// thousand lies beyond.
pub const WANDERS: f64 = 4.0;
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
    /// How far the mean loss wanders between windows of the reference beyond what chance gives: a standard deviation.
    pub wander: f64,
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
    /// Standard error of the window's own answers: what is left of it where many windows are taken together is
    /// [`Performance::learned_error`].
    pub own_error: f64,
    /// Macro-F1 from the expected confusion.
    pub macro_f1: Option<f64>,
    /// The accuracy by average thresholded confidence, to compare with.
    pub thresholded: Option<f64>,
}

impl Performance {
    /// The mean loss that is tolerated: the reference's upper bound and a little more, or as much as it wanders.
    pub fn tolerated(&self) -> f64 {
        self.bound + TOLERANCE.max(WANDERS * self.wander)
    }

    /// Whether it wanders so far that this decides what is tolerated.
    pub fn wanders(&self) -> bool {
        WANDERS * self.wander > TOLERANCE
    }

    /// The loss that is tolerated of an answer of which this loss is expected, where that of all answers is `of_all` on
    /// average: so much that their mean is what is tolerated of them.
    pub fn tolerated_of(&self, expected: f64, of_all: f64) -> f64 {
        (expected + self.tolerated() - of_all).max(0.0)
    }

    /// How many answers these cells hold, and the loss that is expected of them together.
    pub fn expected_loss(&self, cells: &[i64]) -> (f64, f64) {
        let n = cells[0] as f64;
        (n, n - cells[1] as f64 / ONE)
    }

    /// Standard error of what the reference knows of the head: common to all windows, however many.
    pub fn learned_error(&self) -> f64 {
        (self.loss * (1.0 - self.loss) / self.labelled as f64).sqrt()
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

    /// Answers that these cells estimate.
    pub fn answered(&self, cells: &[i64]) -> u64 {
        u64::try_from(cells[0]).unwrap_or(0)
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
        let half = Z * (own + self.learned_error().powi(2)).sqrt();
        Some(Estimate {
            n,
            accuracy,
            interval: ((accuracy - half).max(0.0), (accuracy + half).min(1.0)),
            own_error: own.sqrt(),
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
        let pairs = (0..).zip(classes.chunks_exact(2)).map(|(c, pair)| (c, pair[0] as f64, pair[1] as f64 / ONE));
        expected(pairs, &self.sample())
    }

    /// The reference's labelled answers, by true and predicted class.
    fn sample(&self) -> Confusion {
        self.confusion.iter().map(|(truth, predicted, n)| ((*truth, *predicted), f64::from(*n))).collect()
    }

    fn expected_f1(&self, classes: &[i64], n: f64, loss: f64) -> Option<f64> {
        match self.kind {
            TaskKind::Binary | TaskKind::Multiclass => macro_f1(&self.expected_table(classes), LEAST_SUPPORT),
            TaskKind::Multilabel => {
                macro_f1_of_labels(self.expected_labels(classes, n, loss).map(|(_, counts)| counts), LEAST_SUPPORT)
            }
            TaskKind::TokenLabels | TaskKind::Regression => None,
        }
    }
}

/// Macro-F1 of a table of this kind.
pub fn f1(kind: TaskKind, table: &Confusion) -> Option<f64> {
    match kind {
        TaskKind::Binary | TaskKind::Multiclass => macro_f1(table, LEAST_SUPPORT),
        TaskKind::Multilabel => macro_f1_of_labels(by_label::counts(table).into_values(), LEAST_SUPPORT),
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

/// Negative entropy, or confidence.
fn score(answer: &Answer, by_entropy: bool) -> Option<f64> {
    match answer.confidence() {
        Confidence::Known(_) if by_entropy => answer.uncertainty().entropy.map(|e| -f64::from(e)),
        Confidence::Known(p) => Some(f64::from(p)),
        Confidence::Absent | Confidence::Invalid => None,
    }
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
            wander: 0.0,
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

    /// The same with these answers, by true and given class.
    pub(super) fn confusing(self, confusion: Vec<(u32, u32, u32)>) -> Performance {
        Performance { confusion, ..self }
    }
}
