//! Each label of a multi-label head, and each class of one that answers a class, by itself: how often it is given
//! rightly, wrongly and not at all, as the reference knows it, as it is to be expected of windows without labels, and as
//! labels show.
//!
//! A mean over labels hides the one that broke: of sixty labels, one that is never found again moves the macro-F1
//! by less than two points.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{COMMON, Performance, Z};
use crate::drift::names::other_than;
use crate::drift::task::TaskKind;
use crate::stats::performance::confusion::Confusion;
use crate::stats::performance::interval::wilson;

/// How often a label is given rightly, wrongly, and missing.
pub type Counts = [f64; 3];

/// One label of a multi-label head, or one class.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct LabelPerformance {
    /// Its name; `other` for all that the manifest does not name.
    pub label: String,
    /// On the reference's labels.
    pub reference: LabelFigures,
    /// To be expected of the windows' answers, without labels; null where nothing tells.
    pub estimated: Option<LabelFigures>,
    /// By the labels that came; null where none came.
    pub realised: Option<LabelFigures>,
}

/// How well one label is given.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct LabelFigures {
    /// Records that have the label in truth, or are expected to.
    pub support: f64,
    /// Records that were given it.
    pub given: f64,
    /// Share of the records given it that have it; null where none was given it.
    pub precision: Option<Figure>,
    /// Share of the records that have it that were given it; null where none has it.
    pub recall: Option<Figure>,
    /// 2·precision·recall / (precision + recall); null where no record has it or was given it.
    pub f1: Option<Figure>,
}

/// A share with its 95 % interval (Wilson).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Figure {
    /// The share.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
}

/// Counts by label of a multi-label head's table, whose cells are label and kind.
pub fn counts(table: &Confusion) -> BTreeMap<u32, Counts> {
    let mut labels: BTreeMap<u32, Counts> = BTreeMap::new();
    table.iter().for_each(|((label, kind), n)| labels.entry(*label).or_default()[*kind as usize % 3] += n);
    labels
}

/// The same by class of the table of a head that answers a class, whose cells are true and given class.
fn counts_of_classes(table: &Confusion) -> BTreeMap<u32, Counts> {
    let mut classes: BTreeMap<u32, Counts> = BTreeMap::new();
    for ((truth, given), n) in table {
        if truth == given {
            classes.entry(*truth).or_default()[0] += n;
        } else {
            classes.entry(*given).or_default()[1] += n;
            classes.entry(*truth).or_default()[2] += n;
        }
    }
    classes
}

impl LabelFigures {
    /// What was counted.
    pub fn counted(counts: Counts) -> LabelFigures {
        LabelFigures::of(counts, None)
    }

    /// From counts; where they are expected from rates that a sample told, intervals are as wide as both make
    /// them, and what the sample never had is not told.
    fn of(counts: Counts, sample: Option<Counts>) -> LabelFigures {
        let records = |[right, wrong, missing]: Counts| [right + wrong, right + missing, right + wrong + missing];
        let (own, known) = (records(counts), sample.map(records));
        let [precision, recall, jaccard] = [0, 1, 2].map(|which| {
            let worth = known.map_or(own[which], |known| 1.0 / (1.0 / own[which] + 1.0 / known[which]));
            let value = counts[0] / own[which];
            let (low, high) = wilson(value * worth, worth, Z)?;
            Some(Figure { value, low, high })
        });
        // F1 = 2J / (1 + J), and J = right / (right + wrong + missing) is a share of records: so are the interval's ends.
        let f1 = |share: f64| 2.0 * share / (1.0 + share);
        LabelFigures {
            support: own[1],
            given: own[0],
            precision,
            recall,
            f1: jaccard.map(|j| Figure { value: f1(j.value), low: f1(j.low), high: f1(j.high) }),
        }
    }
}

impl Performance {
    /// Each label or class by itself, in the manifest's order, whose names these are: `cells` are a window's, or the sum
    /// of several windows', and `realised` what their labels say. Empty for heads that answer neither.
    pub fn by_label(&self, classes: &[String], cells: &[i64], realised: Option<&Confusion>) -> Vec<LabelPerformance> {
        let counts = match self.kind {
            TaskKind::Multilabel => counts,
            TaskKind::Binary | TaskKind::Multiclass => counts_of_classes,
            TaskKind::TokenLabels | TaskKind::Regression => return Vec::new(),
        };
        let sample = counts(&self.sample());
        let estimate = self.estimate(cells);
        let expected: BTreeMap<u32, Counts> = match &estimate {
            None => BTreeMap::new(),
            Some(estimate) if self.kind == TaskKind::Multilabel => {
                self.expected_labels(&cells[COMMON..], estimate.n as f64, 1.0 - estimate.accuracy).collect()
            }
            Some(_) => counts(&self.expected_table(&cells[COMMON..])),
        };
        let realised = realised.map(counts).unwrap_or_default();
        let told = |label: u32| {
            let [known, own, came] = [&sample, &expected, &realised]
                .map(|of| of.get(&label).copied().filter(|counts| counts.iter().any(|n| *n > 0.0)));
            known.or(own).or(came)?;
            let known = known.unwrap_or_default();
            Some(LabelPerformance {
                label: classes.get(label as usize).map_or_else(|| other_than(classes), String::as_str).to_owned(),
                reference: LabelFigures::counted(known),
                estimated: own.map(|own| LabelFigures::of(own, Some(known))),
                realised: came.map(LabelFigures::counted),
            })
        };
        (0..=self.classes as u32).filter_map(told).collect()
    }

    /// Whether it is told label by label, or class by class.
    pub fn is_told_by_label(&self) -> bool {
        matches!(self.kind, TaskKind::Multilabel | TaskKind::Binary | TaskKind::Multiclass)
    }

    /// What is kept of a window's cells, so that labels and classes can be told over any windows; nothing for other
    /// kinds of heads.
    pub fn kept_cells(&self, cells: &[i64]) -> Vec<u8> {
        match self.is_told_by_label() {
            true => postcard::to_stdvec(cells).expect("numbers always encode"),
            false => Vec::new(),
        }
    }

    /// The sum of cells that were kept of several windows.
    ///
    /// # Errors
    /// If they are not that.
    pub fn sum_of_kept<'a>(&self, kept: impl Iterator<Item = &'a [u8]>) -> Result<Vec<i64>, postcard::Error> {
        let mut sum = vec![0; self.width()];
        for cells in kept.filter(|cells| !cells.is_empty()) {
            let cells: Vec<i64> = postcard::from_bytes(cells)?;
            if cells.len() != sum.len() {
                return Err(postcard::Error::DeserializeBadEncoding);
            }
            sum.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += cell);
        }
        Ok(sum)
    }

    /// How often each label is to be expected to be given rightly, wrongly and missing, from how often it was given
    /// in `n` answers whose mean loss is `loss`: the reference's rates of wrong and missing labels, worse by as much
    /// as whole sets are.
    pub(super) fn expected_labels(&self, given: &[i64], n: f64, loss: f64) -> impl Iterator<Item = (u32, Counts)> {
        let worse = if self.loss > 0.0 { loss / self.loss } else { 1.0 };
        let sample = counts(&self.sample());
        (0..).zip(given).map(move |(label, given)| {
            let [right, wrong, missing] = sample.get(&label).copied().unwrap_or_default();
            let given = *given as f64;
            let rate = if right + wrong > 0.0 { wrong / (right + wrong) } else { self.loss };
            let left = (self.labelled as f64 - right - wrong).max(1.0);
            let wrongly = given * (rate * worse).min(1.0);
            (label, [given - wrongly, wrongly, (n - given).max(0.0) * (missing / left * worse).min(1.0)])
        })
    }
}

#[cfg(test)]
#[path = "by_label_tests.rs"]
mod tests;
