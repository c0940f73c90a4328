//! From p-values to e-values to Shiryaev–Roberts evidence.
//!
//! An e-value has expectation at most 1 under the null. The Shiryaev–Roberts recursion
//! R_t = (1 + R_{t−1})·e_t then has expectation at most t at every stopping time: an e-detector
//! (Shin, Ramdas & Rinaldo, arXiv 2203.03532). Any weighted mean of e-detectors is one, under any
//! dependence, and with alarms at R ≥ A and restarts at 0 the expected number of false alarms in
//! T steps is at most T/A.

use serde::{Deserialize, Serialize};

use super::probability::{ln_add, normal_score};

/// Drifts, in standard deviations of the normal score, over which an e-value is mixed equally.
const DRIFTS: [f64; 4] = [0.5, 1.0, 2.0, 3.0];

/// `ln e` of a p-value: a mixture of normal likelihood ratios on the score z = Φ⁻¹(1 − p).
///
/// The mean of exp(δz − δ²/2) over a standard normal z is 1 for each δ, and the mixture is
/// increasing in z, so that a conservative p-value gives a conservative e-value.
pub fn ln_e_value(ln_p: f64) -> f64 {
    let z = normal_score(ln_p.min(0.0));
    if z == f64::NEG_INFINITY {
        return f64::NEG_INFINITY;
    }
    let sum = DRIFTS.iter().fold(f64::NEG_INFINITY, |sum, d| ln_add(sum, d * z - 0.5 * d * d));
    sum - (DRIFTS.len() as f64).ln()
}

/// Evidence of one detector, kept as ln R so that it can neither overflow nor vanish.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    ln_r: f64,
}

impl Evidence {
    /// No evidence yet: R = 0.
    pub const NONE: Evidence = Evidence { ln_r: f64::NEG_INFINITY };

    /// One step of the recursion with an e-value given on the log scale.
    pub fn step(&mut self, ln_e: f64) {
        self.ln_r = ln_add(0.0, self.ln_r) + ln_e;
    }

    /// ln R; −∞ before the first step.
    pub fn ln(self) -> f64 {
        self.ln_r
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
            evidence.step(ln_e_value(rng.random::<f64>().max(1e-300).ln()));
            if evidence.ln() >= threshold.ln() {
                alarms += 1;
                evidence = Evidence::NONE;
            }
        }
        assert!(alarms > 0, "a detector that never fires on 200,000 windows cannot be measured");
        assert!(f64::from(alarms) <= 1.1 * f64::from(steps) / threshold, "{alarms} alarms");
    }

    #[test]
    fn a_quiet_detector_holds_more_than_twenty_in_one_window_of_twenty_at_most() {
        let steps = 40_000;
        let mut rng = StdRng::seed_from_u64(8);
        for signals in [1, 6] {
            let mut detectors = vec![Evidence::NONE; signals];
            let mut above = 0;
            for _ in 0..steps {
                let uniform = || rng.random::<f64>().max(1e-300).ln();
                detectors
                    .iter_mut()
                    .zip(std::iter::repeat_with(uniform))
                    .for_each(|(d, ln_p)| d.step(ln_e_value(ln_p)));
                let mean = ln_weighted_sum(detectors.iter().map(|d| (1.0 / signals as f64, d.ln())));
                above += u32::from(mean >= 20_f64.ln());
                if mean >= 2_000_f64.ln() {
                    detectors.fill(Evidence::NONE);
                }
            }
            assert!((1..steps / 20).contains(&above), "{signals} signals: {above} of {steps}");
        }
    }

    #[test]
    fn a_shift_is_found_at_a_known_index() {
        // z = 3 at each step: R passes 8,640 on the third.
        let ln_p = crate::stats::probability::normal_ln_sf(3.0);
        let mut evidence = Evidence::NONE;
        let found = (1..100).find(|_| {
            evidence.step(ln_e_value(ln_p));
            evidence.ln() >= 8_640_f64.ln()
        });
        assert_eq!(found, Some(3));
    }

    #[test]
    fn overwhelming_evidence_stays_finite() {
        let mut evidence = Evidence::NONE;
        for _ in 0..1_000 {
            evidence.step(ln_e_value(-5_000.0));
        }
        assert!(evidence.ln().is_finite() && evidence.ln() > 1_000.0);
    }
}
