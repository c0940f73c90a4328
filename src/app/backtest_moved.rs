//! What moved in the signals that an alert rests on: each as the window had it that told the alert's cause, or the
//! latest one before in which it was tested.

use std::fmt::Write as _;

use super::backtest_words::{place_and_signal, plain};
use crate::drift::alert::Alert;
use crate::drift::course::Judged;
use crate::drift::judgement::{Mover, Statistic};
use crate::drift::reference::Reference;

/// A signal that is tested at long intervals is looked for in so many windows.
const LOOKED_BACK: usize = 16;
/// Signals told in the table, and cells of each.
const SIGNALS_TOLD: usize = 3;
const CELLS_TOLD: usize = 3;

/// A signal that an alert rests on, in one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The window.
    pub window: usize,
    /// Index of its statistic in the window's report.
    statistic: usize,
}

impl Moved {
    /// Those of an alert whose cause the window of this index told, the strongest first.
    pub fn of(reference: &Reference, judged: &[Judged], index: usize, alert: &Alert) -> Vec<Moved> {
        let moved = |signal: usize| {
            let key = &reference.signals[signal].key;
            (index.saturating_sub(LOOKED_BACK - 1)..=index).rev().find_map(|window| {
                let tested = |s: &Statistic| s.key == *key && s.tested.is_some();
                judged[window].report.statistics.iter().position(tested).map(|statistic| Moved { window, statistic })
            })
        };
        alert.witnesses.iter().filter(|w| !w.explained).filter_map(|w| moved(w.signal as usize)).collect()
    }

    /// The statistic.
    pub fn statistic<'a>(&self, judged: &'a [Judged]) -> &'a Statistic {
        &judged[self.window].report.statistics[self.statistic]
    }
}

/// For the terminal: a line for each of the strongest signals that have cells, with those that moved most.
pub fn lines(reference: &Reference, judged: &[Judged], moved: &[Moved]) -> String {
    let with_cells = moved.iter().filter(|moved| !moved.statistic(judged).movers.is_empty());
    let mut told = String::new();
    for moved in with_cells.take(SIGNALS_TOLD) {
        let statistic = moved.statistic(judged);
        let cells: Vec<String> = statistic.movers.iter().take(CELLS_TOLD).map(cell).collect();
        let name = plain(&place_and_signal(reference, statistic));
        let _ = writeln!(told, "  {name} in window {}: {}", moved.window, cells.join(", "));
    }
    told
}

fn cell(mover: &Mover) -> String {
    let [reference, current] = [mover.reference_share, mover.current_share].map(|share| share * 100.0);
    let digits = if reference.max(current) < 1.0 { 2 } else { 1 };
    format!("{} {reference:.digits$} % → {current:.digits$} %", plain(&mover.cell))
}
