//! Bounds that hold at every moment at once, so that one may look after each window and stop at will.
//!
//! A gambler bets on each pair that its difference exceeds m. If the mean is at most m, whatever the past,
//! his wealth is a supermartingale, and by Ville's inequality it ever reaches 1/error with at most that
//! probability (Waudby-Smith & Ramdas, JRSS B 2024, §4). Equal parts of his money follow fixed bets of all
//! sizes, so that the wealth depends on how many gains, ties and losses there were and on nothing else: it
//! is the same in any order, and can be computed from sums over windows.

use super::paired::PairCounts;
use super::probability::ln_add;

/// Bets are halved this often, from [`LARGEST`] on: the smallest suits ten million pairs.
const SIZES: i32 = 12;
/// The largest bet as a share of what the worst pair could take.
const LARGEST: f64 = 0.8;

/// ln of the wealth against "the mean difference is at most `mean`".
pub fn ln_wealth(pairs: PairCounts, mean: f64) -> f64 {
    let (ties, gains, losses) = (pairs.ties as f64, pairs.gains as f64, pairs.losses as f64);
    let sum = (0..SIZES).fold(f64::NEG_INFINITY, |sum, halvings| {
        let bet = LARGEST * 0.5_f64.powi(halvings) / (1.0 + mean.max(0.0));
        let part = gains * (bet * (1.0 - mean)).ln_1p()
            + ties * (-bet * mean).ln_1p()
            + losses * (-bet * (1.0 + mean)).ln_1p();
        ln_add(sum, part)
    });
    sum - f64::from(SIZES).ln()
}

/// Bounds of the mean difference, each of which ever fails with at most the probability `error`.
pub fn always(pairs: PairCounts, error: f64) -> (f64, f64) {
    let swapped = PairCounts { gains: pairs.losses, losses: pairs.gains, ..pairs };
    (low(pairs, error), -low(swapped, error))
}

/// The largest mean that is ruled out; wealth falls as the mean rises.
fn low(pairs: PairCounts, error: f64) -> f64 {
    let (mut low, mut high) = (-1.0, 1.0);
    if ln_wealth(pairs, low) < -error.ln() {
        return low;
    }
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if ln_wealth(pairs, middle) >= -error.ln() {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn draw(rng: &mut StdRng, pairs: &mut PairCounts, gain: f64, loss: f64) {
        let u: f64 = rng.random();
        match u {
            u if u < gain => pairs.gains += 1,
            u if u < gain + loss => pairs.losses += 1,
            _ => pairs.ties += 1,
        }
    }

    #[test]
    fn a_true_null_is_rarely_ever_rejected_however_often_one_looks() {
        let mut rng = StdRng::seed_from_u64(3);
        let trials = 600;
        let rejected = (0..trials).filter(|_| {
            let mut pairs = PairCounts::default();
            (0..2_000).any(|_| {
                draw(&mut rng, &mut pairs, 0.04, 0.05);
                ln_wealth(pairs, -0.01) >= 20.0_f64.ln()
            })
        });
        let share = rejected.count() as f64 / f64::from(trials);
        assert!(share <= 0.05, "{share}");
    }

    #[test]
    fn a_difference_is_found_and_bounds_close_around_it() {
        let mut rng = StdRng::seed_from_u64(4);
        let mut pairs = PairCounts::default();
        let found = (1..20_000).find(|_| {
            draw(&mut rng, &mut pairs, 0.02, 0.06);
            always(pairs, 0.05).1 < -0.01
        });
        assert!(found.is_some_and(|n| (200..6_000).contains(&n)), "{found:?}");
        let many = PairCounts { ties: 920_000, gains: 20_000, losses: 60_000 };
        let (low, high) = always(many, 0.05);
        assert!(low > -0.0415 && low < -0.04 && high < -0.0385 && high > -0.04, "{low} {high}");
        assert_eq!(always(PairCounts::default(), 0.05), (-1.0, 1.0));
    }

    #[test]
    fn only_sums_matter() {
        let (a, b) = (PairCounts { ties: 5, gains: 2, losses: 1 }, PairCounts { ties: 90, gains: 0, losses: 3 });
        let all = PairCounts { ties: 95, gains: 2, losses: 4 };
        let neutral = ln_wealth(PairCounts::default(), -0.2);
        assert!(neutral.abs() < 1e-12, "no pairs, no change: {neutral}");
        assert!(ln_wealth(all, 0.0) <= ln_wealth(a, 0.0).max(ln_wealth(b, 0.0)) + 5.0);
        assert!(ln_wealth(all, -0.3) > ln_wealth(all, 0.3), "falls as the mean rises");
    }
}
