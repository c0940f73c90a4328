//! The encoder's space as a reference knows it: its principal axes, random projections of the
//! leading coordinates, and how far out a record counts.

use serde::{Deserialize, Serialize};

use crate::stats::principal::{Position, Principal, Turn};
use crate::stats::random_features::RandomProjection;

/// Random Fourier features of each head's residuals.
const FEATURES: usize = 256;
const SEED: u64 = 0x6472_6966_7464;

/// Axes and projections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Geometry {
    /// Principal axes.
    pub principal: Principal,
    /// Random projections of the coordinates along them.
    pub projection: RandomProjection,
    /// How far out records count.
    pub reach: Reach,
}

/// Lengths to which means shorten what is longer: a mean of few records whose lengths have a heavy tail is as wild as
/// the longest of them, and how wild is not known from any sample. How often records lie far out is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// Of coordinates along the principal axes, in standard deviations.
    pub within: f32,
    /// Of what they do not explain, in the embedding's own units.
    pub beyond: f32,
}

/// The share of the reference that is nearer.
const REACHED: f64 = 0.99;

impl Reach {
    /// Everything counts in full.
    pub const UNBOUNDED: Reach = Reach { within: f32::INFINITY, beyond: f32::INFINITY };

    /// Of a sample's distances within the principal subspace and from it; unbounded for none.
    pub fn of(mut sample: Vec<(f32, f32)>) -> Reach {
        let Some(last) = sample.len().checked_sub(1) else { return Reach::UNBOUNDED };
        let at = (last as f64 * REACHED) as usize;
        let within = sample.select_nth_unstable_by(at, |a, b| a.0.total_cmp(&b.0)).1.0;
        let beyond = sample.select_nth_unstable_by(at, |a, b| a.1.total_cmp(&b.1)).1.1;
        Reach { within, beyond }
    }

    /// Shortens coordinates along the principal axes to the reach; gives their length as it was.
    pub(super) fn shorten(self, coordinates: &mut [f32]) -> f32 {
        let distance = length(coordinates);
        if distance > self.within {
            let share = self.within / distance;
            coordinates.iter_mut().for_each(|c| *c *= share);
        }
        distance
    }
}

/// Where a record lies in the encoder's space.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// No embedding.
    Absent,
    /// An embedding that holds a non-number or has another dimension than the reference's.
    Invalid,
    /// A position.
    At(Located),
}

/// A position with what signals derive from it.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    /// Coordinates along the principal axes, each of variance 1 over the reference, within its reach.
    pub coordinates: Vec<f32>,
    /// Distance from the reference's mean within the principal subspace, in standard deviations.
    pub distance: f32,
    /// Distance from that subspace, in the embedding's own units.
    pub residual: f32,
    /// What the principal axes do not explain counts in means by this share, at most 1.
    pub residual_share: f32,
    /// Random projections of the coordinates.
    pub projections: Vec<f32>,
    /// The embedding less the reference's mean.
    pub centred: Vec<f32>,
}

impl Geometry {
    /// Around fitted axes.
    pub fn new(principal: Principal, reach: Reach) -> Geometry {
        let projection = RandomProjection::draw(FEATURES, principal.axes(), SEED);
        Geometry { principal, projection, reach }
    }

    /// The place of an embedding.
    pub fn place(&self, embedding: &[f32]) -> Place {
        self.principal.position(embedding).map_or(Place::Invalid, |position| self.at(position))
    }

    /// The place of an embedding less the mean, turned about this so that it lies to these axes as it lay to others.
    pub fn place_turned(&self, centred: &[f32], turn: &Turn) -> Place {
        let turned = |position| self.at(Position { coordinates: turn.coordinates(centred), ..position });
        self.principal.position_of_centred(turn.apply(centred)).map_or(Place::Invalid, turned)
    }

    fn at(&self, Position { mut coordinates, residual, centred }: Position) -> Place {
        let distance = self.reach.shorten(&mut coordinates);
        Place::At(Located {
            projections: self.projection.project(&coordinates),
            coordinates,
            distance,
            residual,
            residual_share: if residual > self.reach.beyond { self.reach.beyond / residual } else { 1.0 },
            centred,
        })
    }
}

/// Euclidean length.
pub(super) fn length(coordinates: &[f32]) -> f32 {
    coordinates.iter().map(|c| c * c).sum::<f32>().sqrt()
}

/// The place of an embedding, empty for none.
pub fn place(embedding: &[f32], geometry: Option<&Geometry>) -> Place {
    match geometry {
        Some(geometry) if !embedding.is_empty() => geometry.place(embedding),
        _ => Place::Absent,
    }
}

impl Place {
    /// The position, where there is one.
    pub fn located(&self) -> Option<&Located> {
        match self {
            Place::At(located) => Some(located),
            Place::Absent | Place::Invalid => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beyond_the_reach_counts_as_if_it_lay_there() {
        let sample = (0..200).map(|i| (i as f32, 2.0 * i as f32)).collect();
        assert_eq!(Reach::of(sample), Reach { within: 197.0, beyond: 394.0 });
        assert_eq!(Reach::of(Vec::new()), Reach::UNBOUNDED);
        // One axis, along which the variance is 1; across it everything is residual.
        let vectors: Vec<[f32; 2]> = (0..400).map(|i| [if i % 2 == 0 { 1.0 } else { -1.0 }, 0.0]).collect();
        let principal = Principal::fit(vectors.iter().map(|v| &v[..]), 2, 1).expect("varies");
        let geometry = Geometry::new(principal, Reach { within: 3.0, beyond: 2.0 });
        let at = |vector: [f32; 2]| geometry.place(&vector).located().cloned().expect("a position");
        let close = |a: f32, b: f32| assert!((a - b).abs() < 0.01 * b, "{a} for {b}");
        let (near, far) = (at([-2.0, 1.0]), at([-30.0, 8.0]));
        close(near.coordinates[0].abs(), 2.0);
        close(far.coordinates[0].abs(), 3.0);
        // How far out they lie stays what it is.
        close(far.distance, 30.0);
        close(far.residual, 8.0);
        close(near.residual_share, 1.0);
        close(far.residual_share, 0.25);
    }
}
