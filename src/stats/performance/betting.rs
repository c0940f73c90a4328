//! Betting against "the mean loss is at most m".
//!
//! A bet pays e(x) = (1−x)·(1−q)/(1−m) + x·q/m for a loss x in [0, 1]: linear in x, and 1 at x = m, so that
//! its expectation is at most 1 wherever the mean given the past is at most m, whatever the law of the losses
//! and however they depend on each other (Waudby-Smith & Ramdas, JRSS B 2024, §4). Products of payoffs are
//! e-values; they feed a Shiryaev–Roberts recursion each, one for every q, and the mean of these is an
//! e-detector again (as in [`crate::stats::evidence`]). Each loss may have an m of its own, if it is known before the
//! loss is.

use serde::{Deserialize, Serialize};

use crate::stats::evidence::ln_weighted_sum;
use crate::stats::probability::ln_add;

/// How far a bet lies between the tolerated mean (0) and certain loss (1): from a worsening that a few
/// thousand labels show to one that ten show.
const STAKES: [f64; 7] = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64];
/// Nothing is tolerated less than this.
const LEAST_TOLERATED: f64 = 1e-6;

/// Evidence that the mean loss lies above what is tolerated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Betting {
    tolerated: f64,
    ln_r: [f64; STAKES.len()],
}

impl Betting {
    /// No evidence yet against a mean loss of at most `tolerated`, which lies in (0, 1); nothing can be
    /// worse than a tolerated mean of 1, and nothing is tolerated less than a loss in a million.
    pub fn new(tolerated: f64) -> Betting {
        Betting { tolerated: tolerated.clamp(LEAST_TOLERATED, 1.0), ln_r: [f64::NEG_INFINITY; STAKES.len()] }
    }

    /// One step of the recursion with all these losses: each with how often it came. The order within a
    /// step does not matter.
    pub fn step(&mut self, losses: impl Iterator<Item = (f64, u64)>) {
        let tolerated = self.tolerated;
        self.step_against(losses.map(|(loss, count)| (loss, tolerated, count)));
    }

    /// The same with losses each of which has its own tolerated mean: each with that, and how often it came.
    pub fn step_against(&mut self, losses: impl Iterator<Item = (f64, f64, u64)>) {
        let mut ln_e = [0.0; STAKES.len()];
        for (loss, tolerated, count) in losses {
            let tolerated = tolerated.clamp(LEAST_TOLERATED, 1.0);
            for (sum, stake) in ln_e.iter_mut().zip(STAKES) {
                *sum += count as f64 * ln_payoff(tolerated, stake, loss);
            }
        }
        for (ln_r, ln_e) in self.ln_r.iter_mut().zip(ln_e) {
            *ln_r = ln_add(0.0, *ln_r) + ln_e;
        }
    }

    /// ln of the evidence; −∞ before the first step.
    pub fn ln(&self) -> f64 {
        let weight = 1.0 / STAKES.len() as f64;
        ln_weighted_sum(self.ln_r.iter().map(|ln_r| (weight, *ln_r)))
    }

    /// Forgets all evidence, after an alarm.
    pub fn restart(&mut self) {
        self.ln_r = [f64::NEG_INFINITY; STAKES.len()];
    }
}

/// The same against losses each of which has its own tolerated mean, with bets of one size on all of them: a bet pays
/// 1 + λ(x − m). Where some losses are larger and others are as they were, bets in proportion to 1/m lose on the
/// latter what they win on the former; where all are, they win sooner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvenBetting {
    ln_r: [f64; STAKES.len()],
}

/// The largest of the even bets is below 1, so that none can lose more than there is.
const EVEN_SIZE: f64 = 1.5;

impl EvenBetting {
    /// No evidence yet.
    pub const NONE: EvenBetting = EvenBetting { ln_r: [f64::NEG_INFINITY; STAKES.len()] };

    /// One step of the recursion with all these losses: each with its tolerated mean, and how often it came.
    pub fn step(&mut self, losses: impl Iterator<Item = (f64, f64, u64)>) {
        let mut ln_e = [0.0; STAKES.len()];
        for (loss, tolerated, count) in losses {
            for (sum, stake) in ln_e.iter_mut().zip(STAKES) {
                *sum += count as f64 * (EVEN_SIZE * stake * (loss - tolerated.clamp(0.0, 1.0))).ln_1p();
            }
        }
        for (ln_r, ln_e) in self.ln_r.iter_mut().zip(ln_e) {
            *ln_r = ln_add(0.0, *ln_r) + ln_e;
        }
    }

    /// ln of the evidence; −∞ before the first step.
    pub fn ln(&self) -> f64 {
        let weight = 1.0 / STAKES.len() as f64;
        ln_weighted_sum(self.ln_r.iter().map(|ln_r| (weight, *ln_r)))
    }
}

fn ln_payoff(m: f64, stake: f64, loss: f64) -> f64 {
    let q = m + stake * (1.0 - m);
    ((1.0 - loss) * (1.0 - stake) + loss * q / m).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    /// Labels until the alarm at A = 1e5, label by label.
    fn labels_until_alarm(rng: &mut StdRng, error: f64) -> u32 {
        let mut betting = Betting::new(0.12);
        (1..)
            .find(|_| {
                let loss = if rng.random::<f64>() < error { 1.0 } else { 0.0 };
                betting.step(std::iter::once((loss, 1)));
                betting.ln() >= 1e5_f64.ln()
            })
            .expect("an endless range")
    }

    #[test]
    fn alarms_after_as_many_labels_as_promised() {
        // STATISTICS.md §5: reference .10, tolerance .02, medians at these true errors.
        let mut rng = StdRng::seed_from_u64(5);
        for (error, promised) in [(0.30, 91.0), (0.20, 320.0), (0.16, 926.0), (0.14, 2_641.0)] {
            let mut runs: Vec<u32> = (0..301).map(|_| labels_until_alarm(&mut rng, error)).collect();
            runs.sort_unstable();
            let median = f64::from(runs[150]);
            println!("error {error}: median {median} labels, promised {promised}");
            assert!((0.75..=1.15).contains(&(median / promised)), "error {error}: median {median}, not {promised}");
        }
    }

    #[test]
    fn false_alarms_stay_within_the_budget_at_the_tolerated_mean() {
        let mut rng = StdRng::seed_from_u64(6);
        for fractional in [false, true] {
            let (mut betting, mut alarms, steps) = (Betting::new(0.12), 0_u32, 200_000);
            for _ in 0..steps {
                let u: f64 = rng.random();
                // Mean .12 both: a coin, or losses spread over [0, .24].
                let loss = if fractional { 0.24 * u } else { f64::from(u8::from(u < 0.12)) };
                betting.step(std::iter::once((loss, 1)));
                if betting.ln() >= 100_f64.ln() {
                    alarms += 1;
                    betting.restart();
                }
            }
            assert!(f64::from(alarms) <= 1.1 * f64::from(steps) / 100.0, "{alarms} alarms");
            assert!(fractional || alarms > 0, "a detector that never fires cannot be measured");
        }
    }

    #[test]
    fn false_alarms_of_bets_against_many_means_stay_within_the_budget() {
        let mut rng = StdRng::seed_from_u64(8);
        let (mut ratio, mut even) = (Betting::new(0.5), EvenBetting::NONE);
        let (mut alarms, steps) = ([0_u32; 2], 200_000);
        for _ in 0..steps {
            // Each as likely wrong as is tolerated of it.
            let tolerated: f64 = 0.5 * rng.random::<f64>().powi(3) + 0.02;
            let loss = f64::from(u8::from(rng.random::<f64>() < tolerated));
            ratio.step_against(std::iter::once((loss, tolerated, 1)));
            even.step(std::iter::once((loss, tolerated, 1)));
            if ratio.ln() >= 100_f64.ln() {
                alarms[0] += 1;
                ratio.restart();
            }
            if even.ln() >= 100_f64.ln() {
                alarms[1] += 1;
                even = EvenBetting::NONE;
            }
        }
        let budget = 1.1 * f64::from(steps) / 100.0;
        assert!(alarms.iter().all(|alarms| (1.0..=budget).contains(&f64::from(*alarms))), "{alarms:?}");
    }

    #[test]
    fn the_order_within_a_step_does_not_matter() {
        let (mut a, mut b) = (Betting::new(0.3), Betting::new(0.3));
        a.step([(1.0, 2), (0.0, 5), (0.5, 1)].into_iter());
        b.step([(0.5, 1), (0.0, 4), (1.0, 2), (0.0, 1)].into_iter());
        assert!((a.ln() - b.ln()).abs() < 1e-12);
        assert!(Betting::new(1.0).ln() == f64::NEG_INFINITY);
    }
}
