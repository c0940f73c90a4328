//! The encoder's space as a reference knows it: its principal axes, random projections of the
//! leading coordinates, how far out a record counts, and records to compare others with.

use serde::{Deserialize, Serialize};

use super::signal::FOLDS;
use super::time::Timestamp;
use crate::stats::neighbours::Neighbours;
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
    /// Records of the reference; `None` in those that were fitted before there were any.
    pub neighbours: Option<Neighbours>,
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
    /// Cosine distance from the nearest of the reference's records, where it holds any.
    pub nearest: Option<f32>,
}

impl Geometry {
    /// Around fitted axes.
    pub fn new(principal: Principal, reach: Reach) -> Geometry {
        let projection = RandomProjection::draw(FEATURES, principal.axes(), SEED);
        Geometry { principal, projection, reach, neighbours: None }
    }

    /// The place of the embedding of a record with this time.
    pub fn place(&self, embedding: &[f32], time: Timestamp) -> Place {
        self.locate(embedding, |located| part(&located.coordinates, time))
    }

    /// The place of an embedding of the reference, in this fold of it.
    pub(super) fn place_held_out(&self, embedding: &[f32], fold: usize) -> Place {
        self.locate(embedding, |_| fold)
    }

    fn locate(&self, embedding: &[f32], unseen: impl Fn(&Located) -> usize) -> Place {
        let Some(position) = self.principal.position(embedding) else { return Place::Invalid };
        let mut located = self.at(position);
        let nearest = |n: &Neighbours| n.distance(embedding, unseen(&located));
        located.nearest = self.neighbours.as_ref().map(nearest);
        Place::At(located)
    }

    /// A place turned about the mean so that it lies to these axes as it lay to others; what it resembles stays.
    pub(super) fn turned(&self, located: &Located, turn: &Turn) -> Place {
        let Some(position) = self.principal.position_of_centred(turn.apply(&located.centred)) else {
            return Place::Invalid;
        };
        let turned = self.at(Position { coordinates: turn.coordinates(&located.centred), ..position });
        Place::At(Located { nearest: located.nearest, ..turned })
    }

    fn at(&self, Position { mut coordinates, residual, centred }: Position) -> Located {
        let distance = self.reach.shorten(&mut coordinates);
        Located {
            projections: self.projection.project(&coordinates),
            coordinates,
            distance,
            residual,
            residual_share: if residual > self.reach.beyond { self.reach.beyond / residual } else { 1.0 },
            centred,
            nearest: None,
        }
    }
}

/// Leading coordinates in thousandths of a standard deviation: the same for the same text, however it was batched.
pub(super) type Spot = [i32; 3];

/// The spot of some coordinates.
pub(super) fn spot(coordinates: &[f32]) -> Spot {
    const STEPS: f32 = 1e3;
    std::array::from_fn(|i| coordinates.get(i).map_or(0, |c| (c * STEPS).round() as i32))
}

/// The fold of the reference that a later record is not compared with: a record of the reference knows seven of eight,
/// and so must one that it stands for. It is drawn by what replays repeat, and anew for each record: of a text that comes
/// again and again the reference's records leave out one fold and another, too.
fn part(coordinates: &[f32], time: Timestamp) -> usize {
    let mixed = spot(coordinates).into_iter().fold(time.micros().cast_unsigned(), |mixed, at| {
        (mixed ^ u64::from(at.cast_unsigned())).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    });
    (mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 40) as usize % FOLDS
}

/// Euclidean length.
pub(super) fn length(coordinates: &[f32]) -> f32 {
    coordinates.iter().map(|c| c * c).sum::<f32>().sqrt()
}

/// The place of the embedding of a record with this time, empty for none.
pub fn place(embedding: &[f32], geometry: Option<&Geometry>, time: Timestamp) -> Place {
    match geometry {
        Some(geometry) if !embedding.is_empty() => geometry.place(embedding, time),
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
        let at = |vector: [f32; 2]| {
            geometry.place(&vector, Timestamp::from_micros(0)).located().cloned().expect("a position")
        };
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
