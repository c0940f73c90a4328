//! Integer tallies of one window. Merging is addition, so any split of the records over replicas,
//! flushes or replays gives the same bits.

use serde::{Deserialize, Serialize};

use super::observation::Observation;
use super::reference::Reference;
use super::time::Timestamp;

/// Tallies of all signals of one reference over some records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Records folded in.
    pub records: u64,
    /// Earliest and latest event time folded in; `None` while empty.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Cells of all signals, laid out as the reference says.
    pub cells: Vec<i64>,
}

/// Why two summaries cannot be added.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a summary of {found} cells does not fit a reference of {expected} cells")]
pub struct LayoutMismatch {
    /// Cells of the reference.
    pub expected: usize,
    /// Cells found.
    pub found: usize,
}

impl Summary {
    /// An empty summary in the layout of a reference.
    pub fn empty(reference: &Reference) -> Summary {
        Summary { records: 0, span: None, cells: vec![0; reference.width()] }
    }

    /// Folds one observation in.
    pub fn fold(&mut self, reference: &Reference, time: Timestamp, observation: &Observation) {
        self.records += 1;
        self.span = Some(self.span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        for signal in &reference.signals {
            signal.measure.as_signal().fold(observation, &mut self.cells[signal.cells()]);
        }
    }

    /// Adds another summary of the same layout.
    ///
    /// # Errors
    /// [`LayoutMismatch`] if the other belongs to another reference; nothing is added then.
    pub fn merge(&mut self, other: &Summary) -> Result<(), LayoutMismatch> {
        if self.cells.len() != other.cells.len() {
            return Err(LayoutMismatch { expected: self.cells.len(), found: other.cells.len() });
        }
        self.records += other.records;
        self.span = match (self.span, other.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (mine, theirs) => mine.or(theirs),
        };
        self.cells.iter_mut().zip(&other.cells).for_each(|(a, b)| *a = a.saturating_add(*b));
        Ok(())
    }

    /// Compact bytes: zeros cost one byte.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a summary of integers always encodes")
    }

    /// From the bytes of [`Summary::encode`].
    ///
    /// # Errors
    /// If the bytes are not a summary.
    pub fn decode(bytes: &[u8]) -> Result<Summary, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}
