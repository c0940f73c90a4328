//! The encoder's space while a reference is fitted: axes from all of the sample, and from the sample without
//! each of its folds, since a subspace fits its own sample too well.

use std::collections::{HashMap, HashSet};

use super::fit::FitRecord;
use super::geometry::{Geometry, Place, Reach, Spot, length, spot};
use super::observation::{Joined, Observation};
use super::segment::SegmentTag;
use super::signal::FOLDS;
use super::task::ModelSpec;
use crate::stats::neighbours::Neighbours;
use crate::stats::principal::{Principal, Scatter, Turn};

/// Leading principal axes kept.
const AXES: usize = 32;
/// Records an axis needs, so that its variance is known.
const RECORDS_PER_AXIS: usize = 10;
/// An embedding or a sequence of tokens that the sample holds so often will be seen again.
const REPEATED: usize = 5;
/// Records kept for others to be compared with: more find what is new a little better, and take room.
const NEIGHBOURS: usize = 4_096;

/// The encoder's space: fitted to all of the sample, and without each fold.
pub(super) struct Space {
    pub(super) geometry: Option<Geometry>,
    /// From the axes of the sample without each fold to those of all of it.
    turns: Vec<Option<Turn>>,
    /// Where embeddings lie that the sample holds [`REPEATED`] times and more.
    repeated: HashSet<Spot>,
}

impl Space {
    pub(super) fn fit(spec: &ModelSpec, sample: &[(u64, FitRecord)], folds: &[usize]) -> Space {
        let nothing = Space { geometry: None, turns: Vec::new(), repeated: HashSet::new() };
        let Some(dimension) = spec.embedding_dimension else { return nothing };
        let of_fold = |fold: usize| {
            let records = sample.iter().zip(folds).filter(move |(_, f)| **f == fold);
            let embeddings = records.map(|((.., record), _)| record.joined.embedding.as_slice());
            embeddings.filter(|e| e.len() == dimension && e.iter().all(|v| v.is_finite()))
        };
        let usable: usize = (0..FOLDS).map(|fold| of_fold(fold).count()).sum();
        let axes = AXES.min(usable / RECORDS_PER_AXIS).min(dimension);
        if axes == 0 {
            return nothing;
        }
        let parts: Vec<Scatter> = (0..FOLDS)
            .map(|fold| {
                let mut scatter = Scatter::new(dimension);
                scatter.add_all(of_fold(fold));
                scatter
            })
            .collect();
        let all = parts.iter().fold(Scatter::new(dimension), Scatter::plus);
        let Some(principal) = all.principal(axes) else { return nothing };
        let without: Vec<Option<Principal>> =
            parts.iter().map(|part| all.without(part).principal(principal.axes())).collect();
        let turns = without.iter().map(|own| Turn::between(own.as_ref()?, &principal)).collect();
        let positions = || (0..FOLDS).flat_map(of_fold).filter_map(|embedding| principal.position(embedding));
        let reach = Reach::of(positions().map(|p| (length(&p.coordinates), p.residual)).collect());
        let mut spots: HashMap<Spot, usize> = HashMap::new();
        for mut position in positions() {
            reach.shorten(&mut position.coordinates);
            *spots.entry(spot(&position.coordinates)).or_default() += 1;
        }
        let repeated = spots.into_iter().filter(|(_, times)| *times >= REPEATED).map(|(spot, _)| spot).collect();
        let embeddings = (0..FOLDS).flat_map(|fold| of_fold(fold).map(move |embedding| (fold, embedding)));
        let points: Vec<(usize, &[f32])> = evenly(embeddings, usable).collect();
        let without: Option<Vec<Principal>> = without.into_iter().collect();
        let neighbours = without.and_then(|without| Neighbours::new(principal.mean(), &points, &without));
        Space { geometry: Some(Geometry { neighbours, ..Geometry::new(principal, reach) }), turns, repeated }
    }

    /// A record of the reference as its signals see it: it lies to the axes as it lies to those that saw neither it nor
    /// its neighbours, since axes fit their own sample too well. A text that came often will come again, and lie where
    /// it lies by all of the sample.
    pub(super) fn observe(&self, joined: Joined, fold: usize, segments: &[SegmentTag]) -> Observation {
        let Some(geometry) = self.geometry.as_ref().filter(|_| !joined.embedding.is_empty()) else {
            return joined.observe(Place::Absent, segments);
        };
        let mut place = geometry.place_held_out(&joined.embedding, fold);
        if let Place::At(located) = &place
            && !self.repeated.contains(&spot(&located.coordinates))
            && let Some(Some(turn)) = self.turns.get(fold)
        {
            place = geometry.turned(located, turn);
        }
        joined.observe(place, segments)
    }
}

/// As many of so many as are kept for others to be compared with, spread over all.
fn evenly<T>(all: impl Iterator<Item = T>, of: usize) -> impl Iterator<Item = T> {
    let kept = NEIGHBOURS.min(of);
    all.enumerate().filter(move |(i, _)| i * kept / of < (i + 1) * kept / of).map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_there_is_room_for_are_kept() {
        for (of, kept) in [(3, 3), (4_096, 4_096), (4_097, 4_096), (7_000, 4_096), (1_000_000, 4_096)] {
            let found: Vec<usize> = evenly(0..of, of).collect();
            assert_eq!(found.len(), kept, "{of}");
            let wide = found.windows(2).map(|two| two[1] - two[0]).max().expect("some");
            assert!(wide <= of.div_ceil(kept), "{of}: {wide}");
        }
    }
}
