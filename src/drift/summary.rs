//! Integer tallies of one window. Merging is addition, so any split of the records over replicas,
//! flushes or replays gives the same bits.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::observation::Observation;
use super::reference::Reference;
use super::segment::Segment;
use super::signal::HeldOut;
use super::time::Timestamp;
use super::unlisted::Unlisted;
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
    /// What is in cells of values that have none of their own.
    pub unlisted: Unlisted,
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
            unlisted: Unlisted::default(),
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
                let measure = signal.measure.as_signal();
                let open = measure.open_cell().map(|cell| (cell, cells[cell]));
                measure.fold_all(&all, cells);
                if let Some((cell, before)) = open
                    && cells[cell] > before
                {
                    let mut count = |value: &str| self.unlisted.add(signal.offset + cell, value);
                    all.iter().for_each(|observation| measure.name_unlisted(observation, &mut count));
                }
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
        self.unlisted.merge(&other.unlisted);
        Ok(())
    }

    /// Compact bytes: zeros cost one byte.
    pub fn encode(&self) -> Vec<u8> {
        const WHY: &str = "a summary of integers and names always encodes";
        let Summary { records, span, cells, phases, others, unlisted } = self;
        let written = Written { records: *records, span: *span, cells: cells.into(), phases: phases.into() };
        let mut bytes = postcard::to_stdvec(&written).expect(WHY);
        if others.records > 0 || !unlisted.is_empty() {
            bytes.extend(postcard::to_stdvec(others).expect(WHY));
        }
        if !unlisted.is_empty() {
            bytes.extend(postcard::to_stdvec(unlisted).expect(WHY));
        }
        bytes
    }

    /// From the bytes of [`Summary::encode`], be they of a version that counted no others, or named no values.
    ///
    /// # Errors
    /// If the bytes are not a summary.
    pub fn decode(bytes: &[u8]) -> Result<Summary, postcard::Error> {
        let (Written { records, span, cells, phases }, rest) = postcard::take_from_bytes(bytes)?;
        let (others, rest) = later(rest)?;
        let (unlisted, _) = later(rest)?;
        Ok(Summary { records, span, cells: cells.into_owned(), phases: phases.into_owned(), others, unlisted })
    }
}

/// What a version added behind what others wrote, and the bytes behind it; nothing where there are none.
fn later<T: Default + DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), postcard::Error> {
    if bytes.is_empty() { Ok((T::default(), bytes)) } else { postcard::take_from_bytes(bytes) }
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
        assert_eq!((sum.records, sum.others.records, sum.others.by_name["13"]), (14, 4, 4));
        let cut = summary.encode();
        assert!(Summary::decode(&cut[..cut.len() - 1]).is_err(), "damage is not taken for an old summary");
    }

    #[test]
    fn values_without_a_cell_come_back_and_add_up() {
        let mut summary = Summary::decode(&FORMER).expect("decodes");
        (0..3).for_each(|_| summary.unlisted.add(1, "fax"));
        let mut sum = Summary::decode(&summary.encode()).expect("decodes");
        assert_eq!(sum, summary);
        sum.merge(&summary).expect("one layout");
        assert_eq!(sum.unlisted.tell(1, "other".to_owned()), "other: fax", "three of them alone would not be told");
        let cut = summary.encode();
        assert!(Summary::decode(&cut[..cut.len() - 1]).is_err(), "damage is not taken for an older summary");
    }
}
