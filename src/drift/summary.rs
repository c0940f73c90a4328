//! Integer tallies of one window. Merging is addition, so any split of the records over replicas,
//! flushes or replays gives the same bits.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::observation::Observation;
use super::reference::Reference;
use super::segment::Segment;
use super::signal::HeldOut;
use super::time::Timestamp;
use super::versions::Others;

/// Tallies of all signals of one reference over some records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Records folded in.
    pub records: u64,
    /// Earliest and latest event time folded in; `None` while empty.
    pub span: Option<(Timestamp, Timestamp)>,
    /// Cells of all signals, laid out as the reference says.
    pub cells: Vec<i64>,
    /// Records by phase of the reference's season; empty without one.
    pub phases: Vec<i64>,
    /// Records that name another version: they are in none of the other tallies.
    pub others: Others,
}

/// The tallies as they are written: what was counted later stands behind them, where there is any.
#[derive(Serialize, Deserialize)]
struct Written<'a> {
    records: u64,
    span: Option<(Timestamp, Timestamp)>,
    cells: Cow<'a, [i64]>,
    phases: Cow<'a, [i64]>,
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
        Summary {
            records: 0,
            span: None,
            cells: vec![0; reference.width()],
            phases: vec![0; reference.phases()],
            others: Others::default(),
        }
    }

    /// Folds one observation in.
    pub fn fold(&mut self, reference: &Reference, time: Timestamp, observation: &Observation) {
        self.fold_all(reference, &[(time, observation)]);
    }

    /// Folds many observations in: signal by signal, so that each one's cells stay at hand, and in blocks
    /// of as many observations as stay at hand meanwhile.
    pub fn fold_all(&mut self, reference: &Reference, observations: &[(Timestamp, &Observation)]) {
        const BLOCK: usize = 64;
        observations.chunks(BLOCK).for_each(|block| self.fold_block(reference, block));
    }

    fn fold_block(&mut self, reference: &Reference, observations: &[(Timestamp, &Observation)]) {
        observations.iter().for_each(|(time, _)| self.count(reference, *time));
        let all: Vec<&Observation> = observations.iter().map(|(_, observation)| *observation).collect();
        let mut segments: Vec<(Segment, Vec<&Observation>)> = Vec::new();
        for signal in &reference.signals {
            let cells = &mut self.cells[signal.cells()];
            let Some(segment) = signal.key.segment else {
                signal.measure.as_signal().fold_all(&all, cells);
                continue;
            };
            // Signals are sorted by scope and task first, so a segment comes up many times.
            let at = segments.iter().position(|(s, _)| *s == segment).unwrap_or_else(|| {
                segments.push((segment, all.iter().copied().filter(|o| o.lies_in(segment)).collect()));
                segments.len() - 1
            });
            signal.measure.as_signal().fold_all(&segments[at].1, cells);
        }
        for performance in &reference.performance {
            let cells = &mut self.cells[performance.cells()];
            all.iter().for_each(|observation| performance.fold(observation, cells));
        }
        if let Some(map) = &reference.map {
            let cells = &mut self.cells[map.cells()];
            all.iter().for_each(|observation| map.fold(observation, cells));
        }
    }

    /// As [`Summary::fold`] for a record of the reference itself.
    pub fn fold_held_out(&mut self, reference: &Reference, time: Timestamp, observation: &Observation, held: HeldOut) {
        self.count(reference, time);
        for signal in &reference.signals {
            if signal.key.segment.is_none_or(|segment| observation.lies_in(segment)) {
                let (measure, cells) = (signal.measure.as_signal(), &mut self.cells[signal.cells()]);
                measure.fold_held_out(observation, held, cells);
            }
        }
    }

    fn count(&mut self, reference: &Reference, time: Timestamp) {
        self.records += 1;
        self.span = Some(self.span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        if let Some(season) = reference.season {
            self.phases[season.phase(time)] += 1;
        }
    }

    /// Adds another summary of the same layout.
    ///
    /// # Errors
    /// [`LayoutMismatch`] if the other belongs to another reference; nothing is added then.
    pub fn merge(&mut self, other: &Summary) -> Result<(), LayoutMismatch> {
        if self.cells.len() != other.cells.len() || self.phases.len() != other.phases.len() {
            return Err(LayoutMismatch { expected: self.cells.len(), found: other.cells.len() });
        }
        self.records += other.records;
        self.span = match (self.span, other.span) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (mine, theirs) => mine.or(theirs),
        };
        self.cells.iter_mut().zip(&other.cells).for_each(|(a, b)| *a = a.saturating_add(*b));
        self.phases.iter_mut().zip(&other.phases).for_each(|(a, b)| *a += b);
        self.others.merge(&other.others);
        Ok(())
    }

    /// Compact bytes: zeros cost one byte.
    pub fn encode(&self) -> Vec<u8> {
        const WHY: &str = "a summary of integers and names always encodes";
        let Summary { records, span, cells, phases, others } = self;
        let written = Written { records: *records, span: *span, cells: cells.into(), phases: phases.into() };
        let mut bytes = postcard::to_stdvec(&written).expect(WHY);
        if others.records > 0 {
            bytes.extend(postcard::to_stdvec(others).expect(WHY));
        }
        bytes
    }

    /// From the bytes of [`Summary::encode`], be they of a version that did not count others.
    ///
    /// # Errors
    /// If the bytes are not a summary.
    pub fn decode(bytes: &[u8]) -> Result<Summary, postcard::Error> {
        let (Written { records, span, cells, phases }, rest) = postcard::take_from_bytes(bytes)?;
        let others = if rest.is_empty() { Others::default() } else { postcard::from_bytes(rest)? };
        Ok(Summary { records, span, cells: cells.into_owned(), phases: phases.into_owned(), others })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A summary as it was written before others were counted.
    const FORMER: [u8; 9] = [7, 1, 2, 4, 2, 6, 5, 1, 14];

    #[test]
    fn what_was_written_without_others_is_read_and_written_the_same() {
        let former = Summary::decode(&FORMER).expect("decodes");
        let at = Timestamp::from_micros;
        assert_eq!((former.records, former.span), (7, Some((at(1), at(2)))));
        assert_eq!((former.cells.as_slice(), former.phases.as_slice()), (&[3, -3][..], &[7][..]));
        assert_eq!((former.others == Others::default(), former.encode()), (true, FORMER.to_vec()));
    }

    #[test]
    fn others_come_back_and_add_up() {
        let mut summary = Summary::decode(&FORMER).expect("decodes");
        summary.others.add("13");
        summary.others.add("13");
        let mut sum = Summary::decode(&summary.encode()).expect("decodes");
        assert_eq!(sum, summary);
        sum.merge(&summary).expect("one layout");
        assert_eq!((sum.records, sum.others.records, sum.others.by_version["13"]), (14, 4, 4));
        let cut = summary.encode();
        assert!(Summary::decode(&cut[..cut.len() - 1]).is_err(), "damage is not taken for an old summary");
    }
}
