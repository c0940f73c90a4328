//! From p-values to e-values to Shiryaev–Roberts evidence.
//!
//! An e-value has expectation at most 1 under the null. The Shiryaev–Roberts recursion
//! R_t = (1 + R_{t−1})·e_t then has expectation at most t at every stopping time: an e-detector
//! (Shin, Ramdas & Rinaldo, arXiv 2203.03532). Any weighted mean of e-detectors is one, under any
//! dependence, and with alarms at R ≥ A and restarts at 0 the expected number of false alarms in
//! T steps is at most T/A.

use serde::{Deserialize, Serialize};

use super::probability::{ln_add, normal_score};

/// Drifts, in standard deviations of the normal score, that evidence is gathered for, and the share of each
/// in the whole. Small drifts hardly notice a smaller share (ln 1.25 is two windows of half a deviation), while
/// what is found within a window or two needs that of the largest (docs/decisions/0022).
const DRIFTS: [f64; 4] = [0.5, 1.0, 2.0, 3.0];
const SHARES: [f64; 4] = [0.2, 0.2, 0.2, 0.4];
/// Shares within one recursion on the mixture.
const EVEN: [f64; 4] = [0.25; 4];

/// A quiet detector's evidence is above three times a level about as rarely as one recursion on the mixture of all
/// drifts is above the level itself (`examples/months`, `quiet`), because evidence of a small drift fades slowly.
pub const AS_RARE: f64 = 3.0;

/// `ln e` of a p-value for each drift: the normal likelihood ratio exp(δz − δ²/2) on the score z = Φ⁻¹(1 − p).
///
/// Its mean over a standard normal z is 1, and it increases in z, so that a conservative p-value gives a
/// conservative e-value.
fn ln_e_values(ln_p: f64) -> [f64; DRIFTS.len()] {
    let z = normal_score(ln_p.min(0.0));
    DRIFTS.map(|d| d * z - 0.5 * d * d)
}

/// `ln e` of a p-value: the mixture over all drifts by their shares, for one window told alone.
pub fn ln_e_value(ln_p: f64) -> f64 {
    ln_mean(SHARES, ln_e_values(ln_p))
}

/// ln Σ share·exp(value) over the drifts.
fn ln_mean(shares: [f64; DRIFTS.len()], values: [f64; DRIFTS.len()]) -> f64 {
    let most = values.into_iter().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + shares.iter().zip(values).map(|(share, value)| share * (value - most).exp()).sum::<f64>().ln()
}

/// ln of an e-value of which only a share is staked, 0 < `share` ≤ 1: (1 − share) + share·e is one as well, and
/// a window that says nothing leaves so much of what was gathered.
pub fn staked(ln_e: f64, share: f64) -> f64 {
    ln_add((1.0 - share).ln(), share.ln() + ln_e)
}

/// Evidence of one detector: the weighted mean of one recursion for each drift, kept as ln R so that it can
/// neither overflow nor vanish.
///
/// A mean of e-detectors is an e-detector. To mix the e-values within one recursion would be one as well, and
/// takes longer to find a small drift: a drift of three fits half a deviation badly, and each window multiplies
/// its share away anew. For the same reason it is quieter where nothing moves, so it is kept beside them, for
/// those who ask what has moved once something has alarmed (docs/decisions/0022). Single precision is what memory
/// and store hold alike, so that a course that was stopped goes on with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    ln_r: [f32; DRIFTS.len()],
    ln_mixed: f32,
}

impl Evidence {
    /// No evidence yet: R = 0.
    pub const NONE: Evidence = Evidence { ln_r: [f32::NEG_INFINITY; DRIFTS.len()], ln_mixed: f32::NEG_INFINITY };

    /// The same evidence for every drift, where only that of their mixture is known.
    pub fn even(ln_mixed: f64) -> Evidence {
        Evidence { ln_r: [ln_mixed as f32; DRIFTS.len()], ln_mixed: ln_mixed as f32 }
    }

    /// One step of each recursion with a p-value given on the log scale.
    pub fn step(&mut self, ln_p: f64) {
        self.stake(ln_p, 1.0);
    }

    /// The same with only a share of the evidence [`staked`] on it.
    pub fn stake(&mut self, ln_p: f64, share: f64) {
        let ln_e = ln_e_values(ln_p).map(|ln_e| staked(ln_e, share));
        let next = |ln_r: f32, ln_e: f64| (ln_add(0.0, f64::from(ln_r)) + ln_e) as f32;
        for (ln_r, ln_e) in self.ln_r.iter_mut().zip(ln_e) {
            *ln_r = next(*ln_r, ln_e);
        }
        self.ln_mixed = next(self.ln_mixed, ln_mean(EVEN, ln_e));
    }

    /// ln R; −∞ before the first step.
    pub fn ln(self) -> f64 {
        ln_mean(SHARES, self.ln_r.map(f64::from))
    }

    /// ln R of the one recursion on the mixture of all drifts.
    pub fn ln_mixed(self) -> f64 {
        f64::from(self.ln_mixed)
    }
}

/// ln of the weighted sum Σ w·R over detectors; `weights` sum to at most 1.
pub fn ln_weighted_sum(detectors: impl Iterator<Item = (f64, f64)>) -> f64 {
    detectors.fold(f64::NEG_INFINITY, |sum, (weight, ln_r)| ln_add(sum, weight.ln() + ln_r))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    #[test]
    fn e_values_have_expectation_one_under_the_null() {
        // Integrated on a fine grid of p, the mean of e must be 1 up to the unresolved far tail.
        let steps = 2_000_000;
        let mean: f64 =
            (0..steps).map(|i| ln_e_value(((f64::from(i) + 0.5) / f64::from(steps)).ln()).exp()).sum::<f64>()
                / f64::from(steps);
        assert!((0.93..=1.001).contains(&mean), "{mean}");
    }

    #[test]
    fn false_alarms_stay_within_the_budget() {
        let (threshold, steps) = (100.0_f64, 200_000);
        let mut rng = StdRng::seed_from_u64(7);
        let (mut evidence, mut alarms) = (Evidence::NONE, 0);
        for _ in 0..steps {
            evidence.step(rng.random::<f64>().max(1e-300).ln());
            if evidence.ln() >= threshold.ln() {
                alarms += 1;
                evidence = Evidence::NONE;
            }
        }
        assert!(alarms > 0, "a detector that never fires on 200,000 windows cannot be measured");
        assert!(f64::from(alarms) <= 1.1 * f64::from(steps) / threshold, "{alarms} alarms");
    }

    #[test]
    fn a_quiet_detector_is_above_a_level_as_rarely_as_localization_takes_it_to_be() {
        let steps = 40_000;
        let mut rng = StdRng::seed_from_u64(8);
        for signals in [1, 6] {
            let mut detectors = vec![Evidence::NONE; signals];
            let (mut above, mut mixed) = (0, 0);
            for _ in 0..steps {
                detectors.iter_mut().for_each(|d| d.step(rng.random::<f64>().max(1e-300).ln()));
                let mean =
                    |ln: fn(Evidence) -> f64| ln_weighted_sum(detectors.iter().map(|d| (1.0 / signals as f64, ln(*d))));
                let (whole, of_mixture) = (mean(Evidence::ln), mean(Evidence::ln_mixed));
                above += u32::from(whole >= (20.0 * AS_RARE).ln());
                mixed += u32::from(of_mixture >= 20_f64.ln());
                if whole >= 2_000_f64.ln() {
                    detectors.fill(Evidence::NONE);
                }
            }
            assert!((1..steps / 20).contains(&above), "{signals} signals: {above} of {steps}");
            assert!((1..steps / 20).contains(&mixed), "{signals} signals, mixed: {mixed} of {steps}");
            assert!(above < mixed * 4 / 3, "{signals} signals: {above} beside {mixed}");
        }
    }

    #[test]
    fn a_shift_is_found_at_a_known_index() {
        // z = 3 at each step: R passes 8,640 on the third.
        let ln_p = crate::stats::probability::normal_ln_sf(3.0);
        let mut evidence = Evidence::NONE;
        let found = (1..100).find(|_| {
            evidence.step(ln_p);
            evidence.ln() >= 8_640_f64.ln()
        });
        assert_eq!(found, Some(3));
    }

    /// Half a deviation on exact scores, at the threshold that one side needs for one false alarm in 720
    /// windows: where the drift is known the median is 21 windows, mixed within one recursion over 40
    /// (`scripts/delays_theory.py`).
    #[test]
    fn a_small_drift_is_found_nearly_as_fast_as_if_it_were_known() {
        let (threshold, runs) = (322.0_f64, 2_000);
        let mut rng = StdRng::seed_from_u64(3);
        let mut normal = || {
            let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
            (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
        };
        let mut found: Vec<i32> = (0..runs)
            .map(|_| {
                let mut evidence = Evidence::NONE;
                let reached = (-47..2_000).find(|t| {
                    let z = normal() + if *t > 0 { 0.5 } else { 0.0 };
                    evidence.step(crate::stats::probability::normal_ln_sf(z));
                    let alarm = evidence.ln() >= threshold.ln();
                    if alarm && *t <= 0 {
                        evidence = Evidence::NONE;
                    }
                    alarm && *t > 0
                });
                reached.expect("half a deviation shows within 2,000 windows")
            })
            .collect();
        found.sort_unstable();
        assert!((20..=26).contains(&found[runs / 2]), "median {}", found[runs / 2]);
    }

    #[test]
    fn a_stake_keeps_the_rest() {
        assert_eq!(staked(f64::NEG_INFINITY, 0.5), 0.5_f64.ln());
        assert!((staked(9_f64.ln(), 0.5) - 5_f64.ln()).abs() < 1e-12);
        assert_eq!(staked(1.25, 1.0), 1.25);
    }

    #[test]
    fn overwhelming_evidence_stays_finite() {
        let mut evidence = Evidence::NONE;
        for _ in 0..1_000 {
            evidence.step(-5_000.0);
        }
        assert!(evidence.ln().is_finite() && evidence.ln() > 1_000.0);
        evidence.step(0.0);
        assert_eq!(evidence.ln(), f64::NEG_INFINITY, "a p-value of 1 leaves nothing");
        evidence.step(-1.0);
        assert!(evidence.ln().is_finite(), "and does not end the course");
    }
}
