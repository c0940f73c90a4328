//! Shares of the segments: how the traffic divides over a tag's values.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::names::other_than;
use crate::drift::observation::{Observation, ValueOf};
use crate::drift::segment::Segment;
use crate::drift::task::TaskSpec;

/// Counts of records by the value of one tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SegmentMix {
    tag: usize,
    values: Vec<String>,
}

impl Fit for SegmentMix {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let tags = sample.segments.iter().enumerate();
        tags.map(|(tag, segments)| {
            let signal = SegmentMix { tag, values: segments.values.clone() };
            (key(Scope::Input, None, &format!("segment_mix_{}", segments.tag)), signal)
        })
        .collect()
    }
}

impl SegmentMix {
    /// Records in some segments of its tag, and in all; `None` where they are another tag's.
    pub(in crate::drift) fn records(&self, segments: &[Segment], cells: &[i64]) -> Option<[i64; 2]> {
        let own = segments
            .iter()
            .map(|s| if usize::from(s.tag) == self.tag { cells.get(usize::from(s.value)) } else { None });
        Some([own.sum::<Option<i64>>()?, cells.iter().sum()])
    }
}

impl Signal for SegmentMix {
    fn width(&self) -> usize {
        self.values.len() + 1
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(value) = observation.segments.get(self.tag) {
            cells[usize::from(*value).min(self.values.len())] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        self.values.get(cell).map_or_else(|| other_than(&self.values), String::as_str).to_owned()
    }

    fn open_cell(&self) -> Option<usize> {
        Some(self.values.len())
    }

    fn name_unlisted(&self, observation: &Observation, found: &mut dyn FnMut(&str)) {
        observation.unlisted_of(ValueOf::Tag(self.tag)).for_each(found);
    }
}
