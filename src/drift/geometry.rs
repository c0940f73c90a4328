//! The encoder's space as a reference knows it: its principal axes, and random projections of the
//! leading coordinates.

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
    /// Coordinates along the principal axes, each of variance 1 over the reference.
    pub coordinates: Vec<f32>,
    /// Distance from the reference's mean within the principal subspace, in standard deviations.
    pub distance: f32,
    /// Distance from that subspace, in the embedding's own units.
    pub residual: f32,
    /// Random projections of the coordinates.
    pub projections: Vec<f32>,
    /// The embedding less the reference's mean.
    pub centred: Vec<f32>,
}

impl Geometry {
    /// Around fitted axes.
    pub fn new(principal: Principal) -> Geometry {
        let projection = RandomProjection::draw(FEATURES, principal.axes(), SEED);
        Geometry { principal, projection }
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

    fn at(&self, Position { coordinates, residual, centred }: Position) -> Place {
        let distance = coordinates.iter().map(|c| c * c).sum::<f32>().sqrt();
        Place::At(Located {
            projections: self.projection.project(&coordinates),
            coordinates,
            distance,
            residual,
            centred,
        })
    }
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
