//! What signals are fitted to.

use crate::drift::answer::Answer;
use crate::drift::geometry::Geometry;
use crate::drift::inference::Cut;
use crate::drift::observation::Observation;
use crate::drift::segment::{Segment, SegmentTag};
use crate::drift::task::ModelSpec;

/// Parts into which a reference is cut, so that what is learned from the others can be tried on each.
pub const FOLDS: usize = 8;

/// Folds whose records say which of many names get a cell of their own. They are not counted in those cells: what is
/// chosen for being frequent is less so in records that had no say (decision 0045).
const NAMING_FOLDS: [usize; 2] = [2, 5];

/// A record of the reference.
#[derive(Clone, Copy, Debug)]
pub struct HeldOut {
    /// Its part of the reference.
    pub fold: usize,
    /// Whether it is in the sample that the signals were fitted to.
    pub sampled: bool,
}

impl HeldOut {
    /// Whether it, or its neighbours, have a say in which names get a cell of their own.
    pub fn names(self) -> bool {
        is_naming(self.fold)
    }
}

fn is_naming(fold: usize) -> bool {
    NAMING_FOLDS.contains(&fold)
}

/// A sample of the reference's observations and the encoder's geometry.
pub struct Sample<'a> {
    /// The model.
    pub spec: &'a ModelSpec,
    /// Observations of the reference, all of them or a uniform sample.
    pub observations: &'a [Observation],
    /// The fold of each.
    pub folds: &'a [usize],
    /// Axes and projections, if there are embeddings.
    pub geometry: Option<&'a Geometry>,
    /// Tags whose segments are watched.
    pub segments: &'a [SegmentTag],
    /// The token behind an id, or the word behind a number, where they are at hand.
    pub token: &'a dyn Fn(u32) -> Option<String>,
}

impl Sample<'_> {
    /// What its texts were cut into: all of them into the same.
    pub(super) fn cut(&self) -> Cut {
        self.observations.iter().find_map(|o| o.input.as_ref()).map_or(Cut::Tokens, |input| input.cut)
    }

    /// Observations that have a say in which names get a cell of their own.
    pub(super) fn naming(&self) -> impl Iterator<Item = &Observation> {
        self.observations.iter().zip(self.folds).filter(|(_, fold)| is_naming(**fold)).map(|(o, _)| o)
    }

    /// All other observations.
    pub(super) fn not_naming(&self) -> impl Iterator<Item = &Observation> {
        self.observations.iter().zip(self.folds).filter(|(_, fold)| !is_naming(**fold)).map(|(o, _)| o)
    }

    /// Observations of a segment, or all, each with its fold.
    pub(super) fn within(&self, segment: Option<Segment>) -> impl Iterator<Item = (&Observation, usize)> {
        let of = move |o: &Observation| segment.is_none_or(|s| o.segments.get(usize::from(s.tag)) == Some(&s.value));
        self.observations.iter().zip(self.folds.iter().copied()).filter(move |(o, _)| of(o))
    }

    /// Answers of one task's head over the sample.
    pub(super) fn answers(&self, task: usize) -> impl Iterator<Item = &Answer> {
        self.observations.iter().filter_map(move |o| o.answer(task))
    }

    /// Whether any observation of the sample holds an answer of the task's head.
    pub(super) fn answered(&self, task: usize) -> bool {
        self.answers(task).next().is_some()
    }
}
