//! References as files of earlier formats hold them.

use super::*;

/// The fields of a reference whose signals took all phases to be spread alike, in their order.
pub(super) type WithoutSpread = (
    String,
    ModelSpec,
    HeadSource,
    WindowRule,
    u64,
    u64,
    (Timestamp, Timestamp),
    ReferenceKind,
    Option<Geometry>,
    Vec<SegmentTag>,
    Option<Season>,
    Vec<u32>,
    Vec<Signal>,
    Vec<Performance>,
    Option<EncoderMap>,
    Option<String>,
);
/// Those of one of its signals.
type Signal = (SignalKey, Measure, usize, Vec<i64>, Option<Seasonal>, Variation, Variation, Option<String>);

impl From<Signal> for SignalReference {
    fn from((key, measure, offset, totals, seasonal, variation, location, broken): Signal) -> SignalReference {
        SignalReference {
            key,
            measure,
            offset,
            totals,
            seasonal,
            spread: Spread::default(),
            variation,
            location,
            broken,
        }
    }
}

impl From<WithoutSpread> for Reference {
    fn from(earlier: WithoutSpread) -> Reference {
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
            geometry,
            segments,
            season,
            scales,
            signals: signals.into_iter().map(SignalReference::from).collect(),
            performance,
            map,
            tokenizer,
        }
    }
}
