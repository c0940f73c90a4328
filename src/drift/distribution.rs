//! A signal's cells in one window, reference against current, for people to look at.

use std::borrow::Cow;

use super::reference::{Reference, SignalReference};
use super::summary::Summary;
use super::unlisted::Unlisted;
use crate::stats::hypothesis::share_interval;

/// What cells are called together whose names would tell of few records.
const RARE: &str = "rare";
/// What cells are called together that are too many to show.
const OTHERS: &str = "all other cells";

/// One cell, or several that are shown as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What it is called.
    pub name: String,
    /// Count in the reference.
    pub reference_count: i64,
    /// Count in the window.
    pub current_count: i64,
    /// Share in the reference; where the reference knows seasons, that of the window's phases.
    pub reference_share: f64,
    /// Share in the window; 0 for an empty one.
    pub current_share: f64,
    /// 95 % confidence interval of the current share, allowing for how windows vary; `None` for an empty
    /// window.
    pub interval: Option<[f64; 2]>,
}

/// A signal's counts beside what they are compared with.
pub(super) struct Shares<'a> {
    reference: &'a Reference,
    signal: &'a SignalReference,
    current: &'a [i64],
    unlisted: &'a Unlisted,
    expected: Cow<'a, [f64]>,
    n: f64,
    total: f64,
}

impl<'a> Shares<'a> {
    /// `None` for signals whose cells are no counts, and against an empty reference.
    pub(super) fn of(
        reference: &'a Reference,
        signal: &'a SignalReference,
        current: &'a [i64],
        expected: &'a [f64],
        unlisted: &'a Unlisted,
    ) -> Option<Shares<'a>> {
        let measured = signal.measure.as_signal();
        if !measured.counts() {
            return None;
        }
        let expected = measured.expected(current, expected);
        let (n, total) = (current.iter().sum::<i64>() as f64, expected.iter().sum::<f64>());
        (total > 0.0).then_some(Shares { reference, signal, current, unlisted, expected, n, total })
    }

    /// Whether the window holds nothing of the signal.
    pub(super) fn is_empty(&self) -> bool {
        self.n == 0.0
    }

    /// Cells that either side has something in, those that moved most first: so many of them at most.
    pub(super) fn by_change(&self, most: usize) -> Vec<usize> {
        let occupied = (0..self.current.len()).filter(|&c| self.current[c] > 0 || self.expected[c] > 0.0);
        let mut cells: Vec<(usize, f64)> = occupied.map(|cell| (cell, self.change(cell))).collect();
        let order = |(a, x): &(usize, f64), (b, y): &(usize, f64)| y.total_cmp(x).then(a.cmp(b));
        if cells.len() > most {
            cells.select_nth_unstable_by(most, order);
            cells.truncate(most);
        }
        cells.sort_unstable_by(order);
        cells.into_iter().map(|(cell, _)| cell).collect()
    }

    /// How far a share moved, in units of what chance moves it.
    fn change(&self, cell: usize) -> f64 {
        let expected = (self.expected[cell] + 0.5) / (self.total + 0.5) * self.n;
        if expected > 0.0 { ((self.current[cell] as f64 - expected) / expected.sqrt()).abs() } else { 0.0 }
    }

    /// ln of how many times as much a cell holds as expected; half a count on either side keeps cells of few
    /// records near 0.
    pub(super) fn ln_rise(&self, cell: usize) -> f64 {
        let expected = self.expected[cell] / self.total * self.n;
        ((self.current[cell] as f64 + 0.5) / (expected + 0.5)).ln()
    }

    /// One cell with its name, as far as that may be told.
    pub(super) fn cell(&self, cell: usize) -> Cell {
        let task = self.signal.key.task.map(|t| &self.reference.spec.tasks[t]);
        let called = || self.signal.measure.as_signal().cell_name(cell, task);
        let name =
            if self.may_name(cell) { self.unlisted.tell(self.signal.offset + cell, called()) } else { RARE.into() };
        self.together(name, &[cell])
    }

    /// These cells, and behind them in one those that may not be named.
    pub(super) fn told(&self, cells: Vec<usize>) -> Vec<Cell> {
        let (named, rare): (Vec<usize>, Vec<usize>) = cells.into_iter().partition(|&cell| self.may_name(cell));
        let rare = (!rare.is_empty()).then(|| self.together(RARE.to_owned(), &rare));
        named.into_iter().map(|cell| self.cell(cell)).chain(rare).collect()
    }

    fn may_name(&self, cell: usize) -> bool {
        self.signal.measure.as_signal().may_name(cell, self.current[cell])
    }

    fn together(&self, name: String, cells: &[usize]) -> Cell {
        let current_count = cells.iter().map(|&c| self.current[c]).sum::<i64>();
        let null = self.signal.variation.at_scale.first().copied().unwrap_or_default();
        let design_effect = 1.0 + (self.n - 1.0).max(0.0) * null.intra_window_correlation;
        let share = if self.is_empty() { 0.0 } else { current_count as f64 / self.n };
        Cell {
            name,
            reference_count: cells.iter().map(|&c| self.signal.totals[c]).sum(),
            current_count,
            reference_share: cells.iter().map(|&c| self.expected[c]).sum::<f64>() / self.total,
            current_share: share,
            interval: (!self.is_empty()).then(|| share_interval(share, self.n / design_effect)),
        }
    }
}

/// A signal's cells in a window, in the signal's own order, at most `most` of them: where there are more,
/// those that moved least are one. Cells that may not be named are one too. Empty for signals whose cells
/// are no counts.
pub fn distribution(reference: &Reference, signal: &SignalReference, summary: &Summary, most: usize) -> Vec<Cell> {
    let current = &summary.cells[signal.cells()];
    let expected = signal.expected(&summary.phases);
    let Some(shares) = Shares::of(reference, signal, current, &expected.cells, &summary.unlisted) else {
        return Vec::new();
    };
    let (mut shown, rare): (Vec<usize>, Vec<usize>) =
        shares.by_change(usize::MAX).into_iter().partition(|&c| shares.may_name(c));
    let room = most.saturating_sub(usize::from(!rare.is_empty()));
    let others = if shown.len() > room { shown.split_off(room.saturating_sub(1)) } else { Vec::new() };
    shown.sort_unstable();
    let mut cells: Vec<Cell> = shown.into_iter().map(|cell| shares.cell(cell)).collect();
    for (name, rest) in [(OTHERS, others), (RARE, rare)] {
        if !rest.is_empty() {
            cells.push(shares.together(name.to_owned(), &rest));
        }
    }
    cells
}
