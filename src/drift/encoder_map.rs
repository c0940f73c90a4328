//! A picture of the encoder's space: counts of records on a grid over the two coordinates along which the
//! reference varies most. It is looked at and never judged: the trees and means see all coordinates.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::observation::Observation;

/// Cells along each coordinate: of a few hundred records some share a cell, and groups still stand apart.
pub const BINS: usize = 24;
/// The axes reach from this quantile of the reference to the one as far from the other end …
const QUANTILE: f64 = 0.01;
/// … and by this share of their distance beyond, so that what drifts is still seen.
const BEYOND: f32 = 0.4;

/// A grid with the reference's counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderMap {
    /// Both coordinates.
    pub axes: [Axis; 2],
    /// Where its cells begin in a summary.
    pub offset: usize,
    /// The reference's records by cell, row by row from the lowest second coordinate.
    pub totals: Vec<i64>,
}

/// A coordinate's part that is drawn, in standard deviations of the reference. What lies outside is counted
/// in the outermost cells.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// Lower end.
    pub low: f32,
    /// Upper end.
    pub high: f32,
}

impl EncoderMap {
    /// A grid around the sample, without counts; `None` where embeddings vary along fewer than two axes.
    pub(super) fn fit(observations: &[Observation], offset: usize) -> Option<EncoderMap> {
        let axis = |coordinate: usize| {
            let along = |o: &Observation| o.place.located()?.coordinates.get(coordinate).copied();
            let mut values: Vec<f32> = observations.iter().filter_map(along).collect();
            values.sort_by(f32::total_cmp);
            let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
            if values.is_empty() {
                return None;
            }
            let (low, high) = (at(QUANTILE), at(1.0 - QUANTILE));
            let beyond = BEYOND * (high - low);
            (high > low).then_some(Axis { low: low - beyond, high: high + beyond })
        };
        Some(EncoderMap { axes: [axis(0)?, axis(1)?], offset, totals: vec![0; BINS * BINS] })
    }

    /// Where its cells lie in a summary.
    pub fn cells(&self) -> Range<usize> {
        self.offset..self.offset + self.totals.len()
    }

    /// Counts a record that has a place.
    pub fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some([x, y, ..]) = observation.place.located().map(|located| located.coordinates.as_slice()) {
            cells[self.axes[1].bin(*y) * BINS + self.axes[0].bin(*x)] += 1;
        }
    }
}

impl Axis {
    fn bin(self, at: f32) -> usize {
        let place = (at - self.low) / (self.high - self.low) * BINS as f32;
        (place.max(0.0) as usize).min(BINS - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_cells_hold_what_lies_outside() {
        let axis = Axis { low: -2.0, high: 2.0 };
        let found: Vec<usize> = [f32::MIN, -2.0, -1.999, 0.0, 1.999, 2.0, f32::MAX].map(|at| axis.bin(at)).into();
        assert_eq!(found, [0, 0, 0, 12, 23, 23, 23]);
    }
}
