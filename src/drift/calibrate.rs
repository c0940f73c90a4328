//! How a reference's own windows vary: by season, more than independent records would, and with
//! their neighbours. Sources of the formulas are in `stats::calibration`.

use std::collections::BTreeMap;

use super::blocks::{Tallies, Windows};
use super::detector::Trial;
use super::reference::{Reference, Seasonal, SignalReference, Variation};
use super::signal::SignalKey;
use super::summary::Summary;
use super::tails::learn_tails;
use super::tracks::{Series, Track, compared, included, main_null};
use crate::stats::calibration::{NullStatistic, intra_window_correlation, serial_dependence};
use crate::stats::memory::Memory;
use crate::stats::multiplicity::significant_from;
use crate::stats::rise::ExtraVariance;

/// From this score on windows are taken to move together, whatever other signals do.
const SERIAL_SCORE: f64 = 3.0;
/// Share of the signals taken to move together that need not: where many do (a shock of a day moves them all), the
/// others' weaker signs are believed as well.
const SERIAL_FALSE_SHARE: f64 = 0.05;
/// Longest lag that is looked at.
const MOST_LAG: usize = 24;
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
    learn_tails(reference, &windows);
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
        let [fits, locations] =
            [&series.fits, &series.locations].map(|tracks| -> Vec<Option<f64>> { tracks.iter().map(serial).collect() });
        let scores: Vec<f64> = fits.iter().chain(&locations).copied().flatten().collect();
        let least = significant_from(&scores, SERIAL_FALSE_SHARE).min(SERIAL_SCORE);
        let memories = |tracks: &[Track], scores: &[Option<f64>]| -> Vec<Option<Memory>> {
            let known = |(track, score): (&Track, &Option<f64>)| {
                score.filter(|score| *score >= least).map(|_| Memory::learn(&track.deviations))
            };
            tracks.iter().zip(scores).map(known).collect()
        };
        let [mut fits, mut locations] = [memories(&series.fits, &fits), memories(&series.locations, &locations)];
        let usual = usual_memory(fits.iter().chain(&locations).copied().flatten());
        for memory in fits.iter_mut().chain(&mut locations).flatten() {
            memory.windows = memory.windows.max(usual.windows);
        }
        for (i, signal) in reference.signals.iter_mut().enumerate() {
            series.fits[i].learn(&shorter.fits[i], fits[i], &mut signal.variation);
            series.locations[i].learn(&shorter.locations[i], locations[i], &mut signal.location);
        }
        shorter = series;
    }
    for signal in &mut reference.signals {
        agree(signal);
    }
    share_wander(&mut reference.signals);
}

/// What wanders at a longer scale does so at the shorter ones, where chance hides it; and a fit lies at least as far off
/// as its location (Cauchy and Schwarz: the squared shift of a standardized score is no more than Σ(p − r)²/r).
fn agree(signal: &mut SignalReference) {
    for variation in [&mut signal.variation, &mut signal.location] {
        let mut longer = (0.0, 0.0);
        for null in variation.at_scale.iter_mut().rev() {
            if null.wander == 0.0 {
                (null.wander, null.excursions) = longer;
            }
            longer = (null.wander, null.excursions);
        }
    }
    for (fit, location) in signal.variation.at_scale.iter_mut().zip(&signal.location.at_scale) {
        if location.wander > fit.wander {
            (fit.wander, fit.excursions) = (location.wander, location.excursions);
        }
    }
}

/// The middle one of what signals show.
fn usual_memory(found: impl Iterator<Item = Memory>) -> Memory {
    let mut windows: Vec<f64> = found.map(|memory| memory.windows).collect();
    windows.sort_unstable_by(f64::total_cmp);
    windows.get(windows.len() / 2).map_or(Memory::NONE, |windows| Memory { windows: *windows })
}

/// What moves all of the traffic moves its segments, though their own records are too few to show it.
fn share_wander(signals: &mut [SignalReference]) {
    let wanders = |variation: &Variation| variation.at_scale.iter().map(|null| null.wander).collect();
    let whole: BTreeMap<SignalKey, [Vec<f64>; 2]> = signals
        .iter()
        .filter(|signal| signal.key.segment.is_none())
        .map(|signal| (signal.key.clone(), [wanders(&signal.variation), wanders(&signal.location)]))
        .collect();
    for signal in signals.iter_mut().filter(|signal| signal.key.segment.is_some()) {
        let of_all = SignalKey { segment: None, ..signal.key.clone() };
        let Some(wanders) = whole.get(&of_all) else { continue };
        for (variation, wanders) in [&mut signal.variation, &mut signal.location].into_iter().zip(wanders) {
            for (null, wander) in variation.at_scale.iter_mut().zip(wanders) {
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
