//! What a signal's statistics did over a reference's own windows at one scale, and what is learned from it.

use super::blocks::LEAST_BLOCKS;
use super::detector::MIN_RECORDS;
use super::reference::{Expected, Reference, ScaleNull, SignalReference, Variation};
use super::summary::Summary;
use crate::stats::calibration::{
    NullStatistic, dispersion, intra_window_correlation, intra_window_correlation_bound, wander,
};
use crate::stats::location::Location;
use crate::stats::memory::Memory;

/// Units below which a window says nothing about how windows vary.
const LEAST_UNITS: i64 = 20;
/// From this factor on a scale is said to look at more cells than another.
const MORE_CELLS: f64 = 1.1;
/// Length that deviations are sketched to.
const SKETCH: usize = 64;

/// What one statistic of a signal did over the blocks, in order.
#[derive(Clone, Default)]
pub(super) struct Track {
    pub(super) nulls: Vec<NullStatistic>,
    pub(super) deviations: Vec<Vec<f32>>,
}

impl Track {
    /// Adds what is learned at this scale, after the one before.
    pub(super) fn learn(&self, shorter: &Track, memory: Option<Memory>, variation: &mut Variation) {
        let previous = variation.at_scale.last().copied();
        let null = match previous {
            Some(previous) if self.nulls.len() < LEAST_BLOCKS => previous,
            _ => self.scale_null(memory, previous.filter(|_| self.sees_what(shorter))),
        };
        if self.nulls.len() >= LEAST_BLOCKS {
            let n = self.nulls.iter().map(|null| null.n).sum::<f64>() / self.nulls.len() as f64;
            if variation.design_effect == 0.0 {
                // Shorter windows hold too few units to say anything. Carried on until they are judged they have the
                // design effect of those that did.
                let more = ((n - 1.0) / (MIN_RECORDS - 1) as f64).max(1.0);
                let intra_window_correlation = (more * null.intra_window_correlation).min(1.0);
                variation.at_scale.fill(ScaleNull { intra_window_correlation, ..null });
            }
            // The longest scale says what the whole reference is worth: lasting effects do not average out.
            variation.design_effect = 1.0 + (n - 1.0).max(0.0) * intra_window_correlation(&self.nulls);
        }
        variation.at_scale.push(null);
    }

    /// With what the scale before says, if it saw as much.
    fn scale_null(&self, memory: Option<Memory>, previous: Option<ScaleNull>) -> ScaleNull {
        if let Some(memory) = memory {
            let wander = wander(&self.nulls, memory);
            if wander > 0.0 {
                let excursions = memory.excursions(self.nulls.len() as f64);
                return ScaleNull { wander, excursions, ..ScaleNull::default() };
            }
        }
        let bound = intra_window_correlation_bound(&self.nulls);
        // Merging windows cannot make their records more alike.
        let known = previous.filter(|previous| previous.wander == 0.0);
        ScaleNull {
            intra_window_correlation: known.map_or(bound, |p| bound.min(p.intra_window_correlation)),
            dispersion: dispersion(&self.nulls, intra_window_correlation(&self.nulls)),
            ..ScaleNull::default()
        }
    }

    /// Whether the cells that a shorter scale looked at are those of this one, and no more of them are pooled there.
    fn sees_what(&self, shorter: &Track) -> bool {
        let looked_at = |track: &Track| {
            track.nulls.iter().map(|null| null.degrees_of_freedom).sum::<f64>() / track.nulls.len().max(1) as f64
        };
        shorter.nulls.len() >= LEAST_BLOCKS && looked_at(self) <= MORE_CELLS * looked_at(shorter)
    }
}

/// Tracks of each signal's fit and location over the blocks of one scale.
pub(super) struct Series {
    pub(super) fits: Vec<Track>,
    pub(super) locations: Vec<Track>,
}

impl Series {
    pub(super) fn new(reference: &Reference) -> Series {
        let tracks = || vec![Track::default(); reference.signals.len()];
        Series { fits: tracks(), locations: tracks() }
    }

    /// Takes a block's statistics against a reference without it.
    pub(super) fn take(&mut self, reference: &Reference, block: &Summary) {
        for (i, signal) in reference.signals.iter().enumerate() {
            let Some((current, n, expected)) = compared(signal, block) else { continue };
            let inflation = inflation(n, &expected);
            self.fits[i].nulls.extend(null_statistic(signal, current, &expected, inflation));
            let location = signal.measure.as_signal().location(current, &expected.cells);
            self.locations[i].nulls.extend(location.map(|location| location_null(location, n, inflation)));
        }
    }

    /// Follows a block's deviations from the whole reference, which are even on both sides of it: those from a
    /// reference without a block and its neighbours lean together.
    pub(super) fn follow(&mut self, reference: &Reference, block: &Summary) {
        for (i, signal) in reference.signals.iter().enumerate() {
            let Some((current, n, expected)) = compared(signal, block) else { continue };
            let measured = signal.measure.as_signal();
            if measured.compare(current, &expected.cells).is_some() {
                self.fits[i].deviations.push(sketch(&measured.deviation(current, &expected.cells)));
            }
            let location = measured.location(current, &expected.cells);
            self.locations[i].deviations.extend(location.map(|location| vec![location.score(n) as f32]));
        }
    }
}

/// A signal's cells in a block, how many units they are and what they are compared with; `None` for too few.
pub(super) fn compared<'a>(signal: &SignalReference, block: &'a Summary) -> Option<(&'a [i64], f64, Expected)> {
    let current = &block.cells[signal.cells()];
    let n = signal.measure.as_signal().n(current);
    (n >= LEAST_UNITS).then(|| (current, n as f64, signal.expected(&block.phases)))
}

/// The share of what a block is compared with that the block itself has put there.
pub(super) fn included(signal: &SignalReference, current: &[i64], phases: &[i64]) -> f64 {
    let n = |cells: &[i64]| signal.measure.as_signal().n(cells) as f64;
    let total = n(&signal.totals).max(1.0);
    let (own, records) = (n(current), phases.iter().sum::<i64>() as f64);
    let share = match signal.seasonal.as_ref().filter(|_| records > 0.0) {
        None => own / total,
        Some(seasonal) => seasonal
            .by_phase
            .iter()
            .zip(phases)
            .filter(|(_, count)| **count > 0)
            .map(|(phase, count)| {
                let weight = *count as f64 / records;
                let held = n(phase) + seasonal.prior;
                weight * (own * weight / held + seasonal.prior / held * own / total)
            })
            .sum(),
    };
    share.clamp(0.0, 0.5)
}

/// How much farther from each other a block and what it is compared with lie than a block of the reference's spread
/// from the truth, in squares.
fn inflation(n: f64, expected: &Expected) -> f64 {
    expected.spread * (1.0 + n / expected.units.max(1.0))
}

fn null_statistic(
    signal: &SignalReference,
    current: &[i64],
    expected: &Expected,
    inflation: f64,
) -> Option<NullStatistic> {
    let measured = signal.measure.as_signal();
    let test = measured.compare(current, &expected.cells)?;
    Some(NullStatistic {
        statistic: test.statistic / inflation,
        null_mean: test.null_mean,
        null_variance: test.null_variance,
        degrees_of_freedom: test.degrees_of_freedom,
        n: measured.n(current) as f64,
    })
}

fn location_null(location: Location, n: f64, inflation: f64) -> NullStatistic {
    let score = location.score(n);
    let statistic = score * score / inflation;
    NullStatistic { statistic, null_mean: 1.0, null_variance: 2.0, degrees_of_freedom: 1.0, n }
}

/// Of the fit, or of the location of a signal that is tested for that alone.
pub(super) fn main_null(signal: &SignalReference, current: &[i64], expected: &Expected) -> Option<NullStatistic> {
    let measured = signal.measure.as_signal();
    if measured.tests().0 {
        return null_statistic(signal, current, expected, expected.spread);
    }
    let n = measured.n(current) as f64;
    measured.location(current, &expected.cells).map(|location| location_null(location, n, expected.spread))
}

/// A short vector with the same inner products on average (count sketch, Charikar et al. 2002).
fn sketch(deviation: &[f64]) -> Vec<f32> {
    if deviation.len() <= SKETCH {
        return deviation.iter().map(|d| *d as f32).collect();
    }
    let mut short = vec![0.0_f32; SKETCH];
    for (i, d) in deviation.iter().enumerate() {
        let hash = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let sign = if hash >> 63 == 0 { 1.0 } else { -1.0 };
        short[(hash >> 32) as usize % SKETCH] += sign * *d as f32;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixteen windows of so many units, whose statistics are so many times what independent records give.
    fn track(n: f64, degrees_of_freedom: f64, times: f64) -> Track {
        let null = |i: usize| NullStatistic {
            // Some above and some below, as far as chance has them.
            statistic: degrees_of_freedom * times + (2.0 * degrees_of_freedom).sqrt() * (i as f64 % 4.0 - 1.5),
            null_mean: degrees_of_freedom,
            null_variance: 2.0 * degrees_of_freedom,
            degrees_of_freedom,
            n,
        };
        Track { nulls: (0..16).map(null).collect(), deviations: Vec::new() }
    }

    /// What is learned of two scales, whose shorter windows move together or not.
    fn learned(shorter: &Track, longer: &Track, memory: Option<Memory>) -> [ScaleNull; 2] {
        let mut variation = Variation::default();
        shorter.learn(&Track::default(), memory, &mut variation);
        longer.learn(shorter, None, &mut variation);
        variation.at_scale.try_into().expect("two scales")
    }

    #[test]
    fn merging_shows_no_more_alike_records_unless_it_shows_more_cells() {
        let (single, merged) = (track(100.0, 20.0, 0.8), track(400.0, 60.0, 1.4));
        let [own, more] = learned(&single, &merged, None);
        assert_eq!(own.intra_window_correlation, 0.0);
        assert!((0.0009..0.0015).contains(&more.intra_window_correlation), "{more:?}");
        let [_, same] = learned(&single, &track(400.0, 20.0, 1.4), None);
        assert_eq!(same.intra_window_correlation, 0.0, "chance, where the cells are those of single windows");
    }

    #[test]
    fn windows_that_move_together_and_do_not_wander_are_allowed_what_they_vary() {
        let together = Some(Memory { windows: 0.7 });
        let [own, _] = learned(&track(100.0, 20.0, 0.8), &track(400.0, 20.0, 0.8), together);
        assert_eq!((own.wander, own.dispersion), (0.0, 1.0), "learned as if they did not");
        let [own, _] = learned(&track(100.0, 20.0, 1.4), &track(400.0, 20.0, 1.4), together);
        assert!(own.wander > 0.0 && own.intra_window_correlation == 0.0, "{own:?}");
    }
}
