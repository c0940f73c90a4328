//! References as files of earlier formats hold them.

use super::*;
use crate::drift::geometry::Reach;
use crate::drift::performance::{self, Performance};
use crate::stats::principal::Principal;
use crate::stats::random_features::RandomProjection;

/// The fields of a reference, in their order, with axes, signals and heads' errors of some kind.
type Fields<G, S, P> = (
    String,
    ModelSpec,
    HeadSource,
    WindowRule,
    u64,
    u64,
    (Timestamp, Timestamp),
    ReferenceKind,
    Option<G>,
    Vec<SegmentTag>,
    Option<Season>,
    Vec<u32>,
    Vec<S>,
    Vec<P>,
    Option<EncoderMap>,
    Option<String>,
);
/// A reference that holds no records to compare others with.
pub(super) type WithoutNeighbours = Fields<Reached, SignalReference, Performance>;
/// One whose heads were taken to err as often in each window, as well.
pub(super) type WithoutWander = Fields<Reached, SignalReference, performance::WithoutWander>;
/// One of which every record counted in full, as well.
pub(super) type WithoutReach = Fields<Axes, SignalReference, performance::WithoutWander>;
/// One whose small p-values were read as they are.
pub(super) type WithoutTails = Fields<Axes, UnreadSignal, performance::WithoutWander>;
/// One whose signals took all phases to be spread alike, as well.
pub(super) type WithoutSpread = Fields<Axes, AlikeSignal, performance::WithoutWander>;

type Axes = (Principal, RandomProjection);
type Reached = (Principal, RandomProjection, Reach);

/// Correlation, wander and dispersion at each scale, and the design effect.
type Unread = (Vec<(f64, f64, f64)>, f64);
type UnreadSignal = (SignalKey, Measure, usize, Vec<i64>, Option<Seasonal>, Spread, Unread, Unread, Option<String>);
type AlikeSignal = (SignalKey, Measure, usize, Vec<i64>, Option<Seasonal>, Unread, Unread, Option<String>);

fn variation((at_scale, design_effect): Unread) -> Variation {
    let null = |(intra_window_correlation, wander, dispersion)| ScaleNull {
        intra_window_correlation,
        wander,
        dispersion,
        ..ScaleNull::default()
    };
    Variation { at_scale: at_scale.into_iter().map(null).collect(), design_effect }
}

impl From<UnreadSignal> for SignalReference {
    fn from(earlier: UnreadSignal) -> SignalReference {
        let (key, measure, offset, totals, seasonal, spread, of_fit, of_location, broken) = earlier;
        SignalReference {
            key,
            measure,
            offset,
            totals,
            seasonal,
            spread,
            variation: variation(of_fit),
            location: variation(of_location),
            broken,
        }
    }
}

impl From<AlikeSignal> for SignalReference {
    fn from((key, measure, offset, totals, seasonal, fit, location, broken): AlikeSignal) -> SignalReference {
        (key, measure, offset, totals, seasonal, Spread::default(), fit, location, broken).into()
    }
}

impl From<Axes> for Geometry {
    fn from((principal, projection): Axes) -> Geometry {
        (principal, projection, Reach::UNBOUNDED).into()
    }
}

impl From<Reached> for Geometry {
    fn from((principal, projection, reach): Reached) -> Geometry {
        Geometry { principal, projection, reach, neighbours: None }
    }
}

impl<G: Into<Geometry>, S: Into<SignalReference>, P: Into<Performance>> From<Fields<G, S, P>> for Reference {
    fn from(earlier: Fields<G, S, P>) -> Reference {
        let (id, spec, heads, window, records, windows, span, kind, geometry, segments, season, scales, ..) = earlier;
        let (.., signals, performance, map, tokenizer) = earlier;
        Reference {
            id,
            spec,
            heads,
            window,
            records,
            windows,
            span,
            kind,
            geometry: geometry.map(Into::into),
            segments,
            season,
            scales,
            signals: signals.into_iter().map(Into::into).collect(),
            performance: performance.into_iter().map(Into::into).collect(),
            map,
            tokenizer,
        }
    }
}
