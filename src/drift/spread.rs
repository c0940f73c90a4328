//! How widely the records of a phase lie around their mean, for signals that test means.
//!
//! Seasons move more than what is asked. At night there may be fewer kinds of texts and more of the odd ones: then means
//! of night records vary more than those of the day, and a law learned over all hours finds half of the nights strange.
//! Counts need nothing of the sort: how much they vary follows from what is expected of them.

use serde::{Deserialize, Serialize};

use super::observation::Observation;
use super::reference::{Reference, SignalReference};
use super::signal::HeldOut;
use super::summary::Summary;
use super::time::Timestamp;

/// Squared lengths of one signal's records in one phase.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Lengths {
    n: f64,
    squares: f64,
    fourths: f64,
}

/// Squared lengths of all records, by signal and phase.
#[derive(Clone, Debug, Default)]
pub(super) struct Spreads {
    /// Of signals that test means, where phases are told apart; empty for others.
    by_signal: Vec<Vec<Lengths>>,
    /// Cells of a signal for one record.
    one: Vec<i64>,
}

/// How widely the records of each phase lie around their mean: the mean squared length as a multiple of all records'.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread(Vec<f64>);

impl Spreads {
    pub(super) fn fold(&mut self, reference: &Reference, time: Timestamp, observation: &Observation, held: HeldOut) {
        let Some(season) = reference.season else { return };
        if self.by_signal.is_empty() {
            let phases = |counts: bool| vec![Lengths::default(); if counts { 0 } else { season.phases() }];
            self.by_signal = reference.signals.iter().map(|s| phases(s.measure.as_signal().counts())).collect();
        }
        for (signal, lengths) in reference.signals.iter().zip(&mut self.by_signal) {
            let misses = |segment| !observation.lies_in(segment);
            if lengths.is_empty() || signal.key.segment.is_some_and(misses) {
                continue;
            }
            self.one.clear();
            self.one.resize(signal.totals.len(), 0);
            signal.measure.as_signal().fold_held_out(observation, held, &mut self.one);
            if let Some(square) = squared_length(signal, &self.one) {
                lengths[season.phase(time)].add(square);
            }
        }
    }

    /// What each signal's phases are found to be, in their order, once it is known what they hold; nothing where they
    /// do not differ by more than chance.
    pub(super) fn found(&self, reference: &Reference, by_phase: &[Summary]) -> Vec<Spread> {
        let of_signal = |(i, lengths): (usize, &Vec<Lengths>)| {
            let signal = &reference.signals[i];
            let of_mean = |phase: &Summary| squared_length(signal, &phase.cells[signal.cells()]).unwrap_or(0.0);
            let phases = lengths.iter().zip(by_phase).map(|(own, phase)| own.around(of_mean(phase)));
            Spread::between(&phases.collect::<Vec<_>>())
        };
        self.by_signal.iter().enumerate().map(of_signal).collect()
    }
}

impl Lengths {
    fn add(&mut self, square: f64) {
        self.n += 1.0;
        self.squares += square;
        self.fourths += square * square;
    }

    /// Records, their mean squared length around a mean of this squared length, and the variance of one's.
    fn around(&self, of_mean: f64) -> (f64, f64, f64) {
        let n = self.n.max(1.0);
        let mean = self.squares / n;
        (self.n, (mean - of_mean).max(0.0), (self.fourths / n - mean * mean).max(0.0))
    }
}

/// Of the mean of what these cells hold, in the coordinates that are tested; `None` where they hold nothing.
fn squared_length(signal: &SignalReference, cells: &[i64]) -> Option<f64> {
    // One record at the origin: what comes first is how many there are.
    let mut origin = vec![0.0; cells.len()];
    *origin.first_mut()? = 1.0;
    let mean = signal.measure.as_signal().shift(cells, &origin)?;
    Some(mean.iter().map(|m| m * m).sum())
}

impl Spread {
    /// From each phase's records, their mean squared length, and the variance of one's: shrunk towards the mean of all
    /// by as much of the differences as chance makes (DerSimonian & Laird 1986).
    fn between(phases: &[(f64, f64, f64)]) -> Spread {
        let all: f64 = phases.iter().map(|(n, ..)| n).sum();
        let over_all = |of: &dyn Fn(&(f64, f64, f64)) -> f64| phases.iter().map(|p| p.0 * of(p)).sum::<f64>() / all;
        let mean = over_all(&|p| p.1);
        let used = phases.iter().filter(|p| p.0 > 0.0).count();
        if used < 2 || mean <= 0.0 {
            return Spread::default();
        }
        let one = over_all(&|p| p.2);
        let squares: f64 = phases.iter().map(|(n, square, _)| n * (square - mean).powi(2)).sum();
        let evenness = all - phases.iter().map(|(n, ..)| n * n).sum::<f64>() / all;
        let between = (squares - one * (used - 1) as f64) / evenness;
        if between <= 0.0 {
            return Spread::default();
        }
        let shrunk = |(n, square, _): &(f64, f64, f64)| {
            let known = n / (n + one / between);
            (mean + known * (square - mean)) / mean
        };
        Spread(phases.iter().map(shrunk).collect())
    }

    /// Of a window with these records by phase; 1 where phases do not differ.
    pub fn of(&self, phases: &[i64]) -> f64 {
        let records = phases.iter().sum::<i64>() as f64;
        if self.0.is_empty() || records <= 0.0 {
            return 1.0;
        }
        self.0.iter().zip(phases).map(|(spread, count)| spread * *count as f64).sum::<f64>() / records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_that_differ_by_chance_are_alike_and_others_have_their_own() {
        // Squared lengths of ten coordinates: mean 10, variance 20. A hundred records leave ±0.45.
        let alike = Spread::between(&[(100.0, 10.4, 20.0), (100.0, 9.6, 20.0), (100.0, 10.1, 20.0), (0.0, 0.0, 0.0)]);
        assert_eq!((&alike, alike.of(&[5, 0, 0, 0])), (&Spread::default(), 1.0));
        let night =
            Spread::between(&[(10_000.0, 9.0, 20.0), (10_000.0, 9.1, 20.0), (1_000.0, 18.0, 20.0), (5.0, 40.0, 20.0)]);
        let mean = (90_000.0 + 91_000.0 + 18_000.0 + 200.0) / 21_005.0;
        assert!((night.of(&[1, 0, 0, 0]) - 9.0 / mean).abs() < 0.01, "{night:?}");
        assert!((night.of(&[0, 0, 7, 0]) - 18.0 / mean).abs() < 0.02, "{night:?}");
        assert!((night.of(&[10, 0, 10, 0]) - 13.5 / mean).abs() < 0.02, "mixed by records: {night:?}");
        assert!((1.1..3.6).contains(&night.of(&[0, 0, 0, 1])), "five records say little: {night:?}");
        assert_eq!(night.of(&[0, 0, 0, 0]), 1.0);
        assert_eq!(Spread::between(&[(50.0, 0.0, 0.0)]), Spread::default());
    }
}
