//! Betting against "no more of these events happen than are expected".
//!
//! Of an event whose probability given the past is at most m, ρˣ·exp(−(ρ − 1)·m) is at most 1 on average for any
//! ρ > 1, since 1 + (ρ − 1)·m ≤ exp((ρ − 1)·m): the bound that a Poisson count meets. A product of such payoffs needs no
//! more than how many events there were and the sum of what was expected of each, and it loses little to the product of
//! exact ones where each event is rare. It feeds Shiryaev–Roberts recursions as in [`crate::stats::performance::betting`], one for every ρ.

use serde::{Deserialize, Serialize};

use crate::stats::evidence::ln_weighted_sum;
use crate::stats::probability::ln_add;

/// How many times as many events there are as expected: from what thousands of them show to what ten do.
const RATES: [f64; 6] = [1.1, 1.25, 1.6, 2.5, 5.0, 15.0];

/// Evidence that more events happen than are expected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateBetting {
    ln_r: [f64; RATES.len()],
}

impl RateBetting {
    /// No evidence yet.
    pub const NONE: RateBetting = RateBetting { ln_r: [f64::NEG_INFINITY; RATES.len()] };

    /// One step of the recursion: so many events, of which `expected` is the sum of what each was expected by.
    pub fn step(&mut self, events: u64, expected: f64) {
        for (ln_r, rate) in self.ln_r.iter_mut().zip(RATES) {
            *ln_r = ln_add(0.0, *ln_r) + events as f64 * rate.ln() - (rate - 1.0) * expected.max(0.0);
        }
    }

    /// ln of the evidence; −∞ before the first step.
    pub fn ln(&self) -> f64 {
        let weight = 1.0 / RATES.len() as f64;
        ln_weighted_sum(self.ln_r.iter().map(|ln_r| (weight, *ln_r)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    /// Steps of fifty answers, each with a probability of its own; how often evidence reaches 100 in so many, if
    /// events happen `times` as often as that.
    fn alarms(times: f64, steps: u32) -> u32 {
        let mut rng = StdRng::seed_from_u64(4);
        let (mut betting, mut alarms) = (RateBetting::NONE, 0);
        for _ in 0..steps {
            let each: [f64; 50] = std::array::from_fn(|_| 0.2 * rng.random::<f64>().powi(2));
            let events = each.iter().filter(|m| rng.random::<f64>() < times * **m).count() as u64;
            betting.step(events, each.iter().sum());
            if betting.ln() >= 100_f64.ln() {
                (betting, alarms) = (RateBetting::NONE, alarms + 1);
            }
        }
        alarms
    }

    #[test]
    fn false_alarms_stay_within_the_budget_and_more_events_are_found() {
        let quiet = alarms(1.0, 20_000);
        assert!((1..=220).contains(&quiet), "{quiet} alarms in 20,000 steps, 200 allowed");
        let found = alarms(2.0, 2_000);
        assert!(found >= 300, "{found} alarms in 2,000 steps with twice as many events");
    }
}
