//! What is asked of some windows: how many units each signal counted, and how many of them it cannot use. A few numbers,
//! where the cells are thousands.

use serde::{Deserialize, Serialize};

use crate::drift::reference::{Reference, SignalReference};

/// What the signals of all records counted: all that is asked of some windows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    /// Records folded.
    pub(super) records: u64,
    /// By signal of [`whole`], in order.
    pub(super) units: Vec<Units>,
}

/// Units that a signal counted, and those of them that it cannot use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Units {
    pub(super) n: i64,
    pub(super) unusable: i64,
}

impl Units {
    pub(super) fn of(reference: &Reference, signal: &SignalReference, cells: &[i64]) -> Units {
        let classes = || signal.key.task.map(|task| reference.spec.tasks[task].classes.len());
        let unusable = match signal.key.signal.as_str() {
            // The cell behind those of the classes.
            "predicted_class" => classes().and_then(|classes| cells.get(classes)),
            "confidence" => cells.last(),
            _ => None,
        };
        Units { n: signal.measure.as_signal().n(cells), unusable: unusable.copied().unwrap_or(0) }
    }

    pub(super) fn share_unusable(self) -> f64 {
        self.unusable as f64 / self.n.max(1) as f64
    }
}

impl Counted {
    /// Of cells as the reference lays them out; `None` of others.
    pub(super) fn of(reference: &Reference, records: u64, cells: &[i64]) -> Option<Counted> {
        let units = |signal: &SignalReference| Units::of(reference, signal, &cells[signal.cells()]);
        (cells.len() == reference.width()).then(|| Counted { records, units: whole(reference).map(units).collect() })
    }

    /// As many signals, and nothing counted.
    pub(super) fn none(&self) -> Counted {
        Counted { records: 0, units: vec![Units::default(); self.units.len()] }
    }

    pub(super) fn add(&mut self, other: &Counted) {
        self.records += other.records;
        for (own, more) in self.units.iter_mut().zip(&other.units) {
            (own.n, own.unusable) = (own.n + more.n, own.unusable + more.unusable);
        }
    }
}

/// Signals of all records with cells of their own.
pub(super) fn whole(reference: &Reference) -> impl Iterator<Item = &SignalReference> {
    reference.signals.iter().filter(|s| s.key.segment.is_none() && s.measure.as_signal().looks_at().is_none())
}
