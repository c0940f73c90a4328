//! The encoder's space while a reference is fitted: axes from all of the sample, and from the sample without
//! each of its folds, since a subspace fits its own sample too well.

use std::collections::{HashMap, HashSet};

use super::fit::FitRecord;
use super::geometry::{Geometry, place};
use super::observation::{Joined, Observation};
use super::segment::SegmentTag;
use super::signal::FOLDS;
use super::task::ModelSpec;
use crate::stats::principal::{Principal, Scatter};

/// Leading principal axes kept.
const AXES: usize = 32;
/// Records an axis needs, so that its variance is known.
const RECORDS_PER_AXIS: usize = 10;
/// An embedding or a sequence of tokens that the sample holds so often will be seen again.
pub(super) const REPEATED: usize = 5;

/// Leading coordinates in thousandths of a standard deviation: the same for the same text, however it was batched.
type Spot = [i32; 3];

fn spot(coordinates: &[f32]) -> Spot {
    const STEPS: f32 = 1e3;
    std::array::from_fn(|i| coordinates.get(i).map_or(0, |c| (c * STEPS).round() as i32))
}

/// The encoder's space: fitted to all of the sample, and without each fold.
pub(super) struct Space {
    pub(super) geometry: Option<Geometry>,
    without: Vec<Option<Principal>>,
    /// Where embeddings lie that the sample holds [`REPEATED`] times and more.
    repeated: HashSet<Spot>,
}

impl Space {
    pub(super) fn fit(spec: &ModelSpec, sample: &[(u64, FitRecord)], folds: &[usize]) -> Space {
        let nothing = Space { geometry: None, without: Vec::new(), repeated: HashSet::new() };
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
        let without = parts.iter().map(|part| all.without(part).principal(principal.axes())).collect();
        let mut spots: HashMap<Spot, usize> = HashMap::new();
        for embedding in (0..FOLDS).flat_map(of_fold) {
            if let Some(position) = principal.position(embedding) {
                *spots.entry(spot(&position.coordinates)).or_default() += 1;
            }
        }
        let repeated = spots.into_iter().filter(|(_, times)| *times >= REPEATED).map(|(spot, _)| spot).collect();
        Space { geometry: Some(Geometry::new(principal)), without, repeated }
    }

    /// A record of the reference as its signals see it: its distances by axes that did not see it, which are those
    /// of all of the sample for a record without a fold, since it is not in the sample. A text that came often will
    /// come again, and lie where it lies by all of the sample.
    pub(super) fn observe(&self, joined: Joined, fold: Option<usize>, segments: &[SegmentTag]) -> Observation {
        let mut place = place(&joined.embedding, self.geometry.as_ref());
        let again = place.located().is_some_and(|located| self.repeated.contains(&spot(&located.coordinates)));
        let axes = match &self.geometry {
            Some(geometry) if again => Some(&geometry.principal),
            _ => fold.and_then(|fold| self.without.get(fold)?.as_ref()),
        };
        if let Some(axes) = axes {
            place.held_out(axes, &joined.embedding);
        }
        joined.observe(place, segments)
    }
}
