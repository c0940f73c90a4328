//! How a reference's own windows vary: by season, more than independent records would, and with
//! their neighbours. Sources of the formulas are in `stats::calibration`.

use std::collections::BTreeMap;

use super::blocks::{LEAST_BLOCKS, Tallies, Windows};
use super::detector::{MIN_RECORDS, Trial};
use super::reference::{Expected, Reference, ScaleNull, Seasonal, SignalReference, Variation};
use super::signal::SignalKey;
use super::summary::Summary;
use crate::stats::calibration::{
    NullStatistic, SerialDependence, dispersion, intra_window_correlation, intra_window_correlation_bound,
    serial_dependence, wander,
};
use crate::stats::location::Location;
use crate::stats::multiplicity::significant_from;
use crate::stats::rise::ExtraVariance;

/// Units below which a window says nothing about how windows vary.
const LEAST_UNITS: i64 = 20;
/// From this score on windows are taken to move together, whatever other signals do.
const SERIAL_SCORE: f64 = 3.0;
/// Share of the signals taken to move together that need not: where many do (a shock of a day moves them all), the
/// others' weaker signs are believed as well.
const SERIAL_FALSE_SHARE: f64 = 0.05;
/// Longest lag that is looked at.
const MOST_LAG: usize = 24;
/// From this factor on a scale is said to look at more cells than another.
const MORE_CELLS: f64 = 1.1;
/// Length that deviations are sketched to.
const SKETCH: usize = 64;
/// Chance that a sound reference is called broken, over all of its signals.
const PREMISE_LEVEL: f64 = 0.01;

/// Fills in totals, seasons and nulls, and checks the premises.
pub(super) fn calibrate(reference: &mut Reference, tallies: Tallies) {
    let windows = tallies.finish();
    reference.windows = windows.len() as u64;
    let by_phase = windows.by_phase(reference);
    for signal in &mut reference.signals {
        let cells = signal.cells();
        for phase in &by_phase {
            signal.totals.iter_mut().zip(&phase.cells[cells.clone()]).for_each(|(t, c)| *t += c);
        }
    }
    if reference.season.is_some() {
        let spreads = windows.spreads.found(reference, &by_phase);
        reference.signals.iter_mut().zip(spreads).for_each(|(signal, spread)| signal.spread = spread);
        learn_seasons(reference, &windows, &by_phase);
    }
    drop(by_phase);
    learn_extra_variances(reference, &windows);
    learn_nulls(reference, &windows);
    check_premises(reference, &windows);
}

/// Phases differ where their own variation is more than windows' variation leaves over: with m windows
/// a phase, ρ_phase = ρ_season + ρ_window / m (a random-effects analysis of variance).
fn learn_seasons(reference: &mut Reference, windows: &Windows, by_phase: &[Summary]) {
    let mut series = Series::new(reference);
    windows.each_apart(reference, 1, |reference, block| series.take(reference, block));
    let used = by_phase.iter().filter(|phase| phase.records > 0).count().max(1);
    let windows_a_phase = (windows.len() as f64 / used as f64).max(1.0);
    for (i, signal) in reference.signals.iter_mut().enumerate() {
        let cells = signal.cells();
        let phases: Vec<NullStatistic> = by_phase
            .iter()
            .filter_map(|phase| main_null(signal, &phase.cells[cells.clone()], &signal.expected(&[])))
            .collect();
        let of_phases = intra_window_correlation(&phases);
        let track = if signal.measure.as_signal().tests().0 { &series.fits[i] } else { &series.locations[i] };
        let of_windows = intra_window_correlation(&track.nulls);
        let share = 1.0 / windows_a_phase;
        let season = if share < 1.0 { (of_phases - share * of_windows) / (1.0 - share) } else { 0.0 };
        if season > 0.0 {
            signal.seasonal = Some(Seasonal {
                prior: (1.0 - season) / season,
                by_phase: by_phase.iter().map(|phase| phase.cells[cells.clone()].to_vec()).collect(),
            });
        }
    }
}

/// By how many times each cell of the signals that look at single cells varies more than it should.
/// Blocks are compared with the whole: what came in one burst alone is unknown to a reference without it.
fn learn_extra_variances(reference: &mut Reference, windows: &Windows) {
    let single = |(_, signal): &(usize, &SignalReference)| signal.measure.as_signal().looks_at().is_some();
    let mut found: Vec<(usize, ExtraVariance)> = reference
        .signals
        .iter()
        .enumerate()
        .filter(single)
        .map(|(i, signal)| (i, ExtraVariance::new(signal.totals.len())))
        .collect();
    windows.each_block(reference, 1, |block| {
        for (i, extra) in &mut found {
            let signal = &reference.signals[*i];
            if let Some((current, _, expected)) = compared(signal, block) {
                extra.take(current, &expected.cells, 1.0 - included(signal, current, &block.phases));
            }
        }
    });
    for (i, extra) in found {
        reference.signals[i].measure.as_signal_mut().learn_extra_variance(extra.found());
    }
}

/// How windows vary at each scale: how far each lies from a reference without it, and whether they move together.
fn learn_nulls(reference: &mut Reference, windows: &Windows) {
    let mut shorter = Series::new(reference);
    for scale in reference.scales.clone() {
        let mut series = Series::new(reference);
        windows.each_apart(reference, scale, |reference, block| series.take(reference, block));
        windows.each_block(reference, scale, |block| series.follow(reference, block));
        let serial = |track: &Track| serial_dependence(&track.deviations, MOST_LAG);
        let [fits, locations] = [&series.fits, &series.locations]
            .map(|tracks| -> Vec<Option<SerialDependence>> { tracks.iter().map(serial).collect() });
        let scores: Vec<f64> = fits.iter().chain(&locations).flatten().map(|serial| serial.score).collect();
        let least = significant_from(&scores, SERIAL_FALSE_SHARE).min(SERIAL_SCORE);
        let found = |serial: Option<SerialDependence>| serial.filter(|serial| serial.score >= least);
        for (i, signal) in reference.signals.iter_mut().enumerate() {
            series.fits[i].learn(&shorter.fits[i], found(fits[i]), &mut signal.variation);
            series.locations[i].learn(&shorter.locations[i], found(locations[i]), &mut signal.location);
        }
        share_wander(&mut reference.signals);
        shorter = series;
    }
}

/// What moves all of the traffic moves its segments, though their own records are too few to show it.
fn share_wander(signals: &mut [SignalReference]) {
    let last = |variation: &Variation| variation.at_scale.last().map_or(0.0, |null| null.wander);
    let whole: BTreeMap<SignalKey, [f64; 2]> = signals
        .iter()
        .filter(|signal| signal.key.segment.is_none())
        .map(|signal| (signal.key.clone(), [last(&signal.variation), last(&signal.location)]))
        .collect();
    for signal in signals.iter_mut().filter(|signal| signal.key.segment.is_some()) {
        let of_all = SignalKey { segment: None, ..signal.key.clone() };
        let Some(wanders) = whole.get(&of_all) else { continue };
        for (variation, wander) in [&mut signal.variation, &mut signal.location].into_iter().zip(wanders) {
            if let Some(null) = variation.at_scale.last_mut() {
                null.wander = null.wander.max(*wander);
            }
        }
    }
}

/// Runs each signal's evidence over the reference's own windows. At a sound reference R stays below
/// T/α with a chance of 1 − α; where it does not, the signal's windows do what nothing allowed for.
fn check_premises(reference: &mut Reference, windows: &Windows) {
    let signals = reference.signals.len() as f64;
    let mut most = vec![f64::NEG_INFINITY; reference.signals.len()];
    for (index, scale) in reference.scales.iter().enumerate() {
        let mut trials: Vec<Trial> = reference.signals.iter().map(|_| Trial::new(index)).collect();
        windows.each_block(reference, *scale, |block| {
            for (signal, trial) in reference.signals.iter().zip(&mut trials) {
                if let Some((current, _, expected)) = compared(signal, block) {
                    trial.step(reference, signal, current, &expected);
                }
            }
        });
        for (most, trial) in most.iter_mut().zip(&trials) {
            *most = most.max(trial.most + f64::from(*scale).ln());
        }
    }
    let limit = (windows.len() as f64 * signals * reference.scales.len() as f64 / PREMISE_LEVEL).ln();
    for (signal, most) in reference.signals.iter_mut().zip(most).filter(|(_, most)| *most > limit) {
        let ratio = (most - (windows.len() as f64).ln()).min(700.0).exp();
        let ratio = if ratio < 1e6 { format!("{ratio:.0}") } else { format!("{ratio:.0e}") };
        signal.broken =
            Some(format!("the reference's own windows give {ratio} times the evidence that calm ones should"));
    }
}

/// What one statistic of a signal did over the blocks, in order.
#[derive(Clone, Default)]
struct Track {
    nulls: Vec<NullStatistic>,
    deviations: Vec<Vec<f32>>,
}

impl Track {
    /// Adds what is learned at this scale, after the one before.
    fn learn(&self, shorter: &Track, serial: Option<SerialDependence>, variation: &mut Variation) {
        let previous = variation.at_scale.last().copied();
        let null = match previous {
            Some(previous) if self.nulls.len() < LEAST_BLOCKS => previous,
            _ => self.scale_null(serial, previous.filter(|_| self.sees_what(shorter))),
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
    fn scale_null(&self, serial: Option<SerialDependence>, previous: Option<ScaleNull>) -> ScaleNull {
        let wander = serial.map_or(0.0, |serial| wander(&self.nulls, serial.lag_1));
        if wander > 0.0 {
            return ScaleNull { wander, ..ScaleNull::default() };
        }
        let bound = intra_window_correlation_bound(&self.nulls);
        // Merging windows cannot make their records more alike.
        let known = previous.filter(|previous| previous.wander == 0.0);
        ScaleNull {
            intra_window_correlation: known.map_or(bound, |p| bound.min(p.intra_window_correlation)),
            wander: 0.0,
            dispersion: dispersion(&self.nulls, intra_window_correlation(&self.nulls)),
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
struct Series {
    fits: Vec<Track>,
    locations: Vec<Track>,
}

impl Series {
    fn new(reference: &Reference) -> Series {
        let tracks = || vec![Track::default(); reference.signals.len()];
        Series { fits: tracks(), locations: tracks() }
    }

    /// Takes a block's statistics against a reference without it.
    fn take(&mut self, reference: &Reference, block: &Summary) {
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
    fn follow(&mut self, reference: &Reference, block: &Summary) {
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
fn compared<'a>(signal: &SignalReference, block: &'a Summary) -> Option<(&'a [i64], f64, Expected)> {
    let current = &block.cells[signal.cells()];
    let n = signal.measure.as_signal().n(current);
    (n >= LEAST_UNITS).then(|| (current, n as f64, signal.expected(&block.phases)))
}

/// The share of what a block is compared with that the block itself has put there.
fn included(signal: &SignalReference, current: &[i64], phases: &[i64]) -> f64 {
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
fn main_null(signal: &SignalReference, current: &[i64], expected: &Expected) -> Option<NullStatistic> {
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
    fn learned(shorter: &Track, longer: &Track, serial: Option<SerialDependence>) -> [ScaleNull; 2] {
        let mut variation = Variation::default();
        shorter.learn(&Track::default(), serial, &mut variation);
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
        let together = Some(SerialDependence { score: 4.0, lag_1: 0.1 });
        let [own, _] = learned(&track(100.0, 20.0, 0.8), &track(400.0, 20.0, 0.8), together);
        assert_eq!((own.wander, own.dispersion), (0.0, 1.0), "learned as if they did not");
        let [own, _] = learned(&track(100.0, 20.0, 1.4), &track(400.0, 20.0, 1.4), together);
        assert!(own.wander > 0.0 && own.intra_window_correlation == 0.0, "{own:?}");
    }
}
