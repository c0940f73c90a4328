//! Bounds that hold at every moment at once, so that one may look after each window and stop at will.
//!
//! A gambler bets on each pair that its difference, which lies in [−1, 1], exceeds m. If the mean is at most m, whatever the past,
//! his wealth is a supermartingale, and by Ville's inequality it ever reaches 1/error with at most that
//! probability (Waudby-Smith & Ramdas, JRSS B 2024, §4). Equal parts of his money follow fixed bets of all
//! sizes, so that the wealth depends on how often each difference came and on nothing else: it is the same in any
//! order, and can be computed from counts that were summed over windows and partitions.

use super::paired::PairCounts;
use super::probability::ln_add;

/// Bets are halved this often, from [`LARGEST`] on: the smallest suits ten million pairs.
const SIZES: i32 = 12;
/// The largest bet as a share of what the worst pair could take.
const LARGEST: f64 = 0.8;

/// A difference in [−1, 1], and how many pairs have it.
pub type Cell = (f64, f64);

/// ln of the wealth against "the mean difference is at most `mean`".
pub fn ln_wealth(cells: &[Cell], mean: f64) -> f64 {
    let sum = (0..SIZES).fold(f64::NEG_INFINITY, |sum, halvings| {
        let bet = LARGEST * 0.5_f64.powi(halvings) / (1.0 + mean.max(0.0));
        let part = cells.iter().map(|(difference, pairs)| pairs * (bet * (difference - mean)).ln_1p()).sum();
        ln_add(sum, part)
    });
    sum - f64::from(SIZES).ln()
}

/// Bounds of the mean difference, each of which ever fails with at most the probability `error`.
pub fn always(cells: &[Cell], error: f64) -> (f64, f64) {
    (low(cells, error), -low(&turned(cells), error))
}

/// Pairs in all after which the mean difference is shown to lie above `limit`, or below it where these lie there,
/// if those to come are like these; `None` if it takes more than `most`.
pub fn pairs_until(cells: &[Cell], limit: f64, error: f64, most: f64) -> Option<f64> {
    let pairs: f64 = cells.iter().map(|(_, pairs)| pairs).sum();
    let mean = cells.iter().map(|(difference, pairs)| difference * pairs).sum::<f64>() / pairs;
    let (cells, limit) = if mean > limit { (cells.to_vec(), limit) } else { (turned(cells), -limit) };
    let is_shown = |total: f64| {
        let scaled: Vec<Cell> = cells.iter().map(|(difference, n)| (*difference, n * total / pairs)).collect();
        ln_wealth(&scaled, limit) >= -error.ln()
    };
    if !is_shown(most) {
        return None;
    }
    let (mut low, mut high) = (0.0, most);
    for _ in 0..40 {
        let middle = 0.5 * (low + high);
        *(if is_shown(middle) { &mut high } else { &mut low }) = middle;
    }
    Some(high)
}

/// Cells of pairs whose scores are 0 or 1.
pub fn cells(pairs: PairCounts) -> [Cell; 3] {
    [(0.0, pairs.ties as f64), (1.0, pairs.gains as f64), (-1.0, pairs.losses as f64)]
}

fn turned(cells: &[Cell]) -> Vec<Cell> {
    cells.iter().map(|(difference, pairs)| (-difference, *pairs)).collect()
}

/// The largest mean that is ruled out; wealth falls as the mean rises.
fn low(cells: &[Cell], error: f64) -> f64 {
    let (mut low, mut high) = (-1.0, 1.0);
    if ln_wealth(cells, low) < -error.ln() {
        return low;
    }
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if ln_wealth(cells, middle) >= -error.ln() {
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
                ln_wealth(&cells(pairs), -0.01) >= 20.0_f64.ln()
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
            always(&cells(pairs), 0.05).1 < -0.01
        });
        assert!(found.is_some_and(|n| (200..6_000).contains(&n)), "{found:?}");
        let many = PairCounts { ties: 920_000, gains: 20_000, losses: 60_000 };
        let (low, high) = always(&cells(many), 0.05);
        assert!(low > -0.0415 && low < -0.04 && high < -0.0385 && high > -0.04, "{low} {high}");
        assert_eq!(always(&cells(PairCounts::default()), 0.05), (-1.0, 1.0));
    }

    #[test]
    fn only_sums_matter() {
        let (a, b) = (PairCounts { ties: 5, gains: 2, losses: 1 }, PairCounts { ties: 90, gains: 0, losses: 3 });
        let all = PairCounts { ties: 95, gains: 2, losses: 4 };
        let ln_wealth = |pairs, mean| ln_wealth(&cells(pairs), mean);
        let neutral = ln_wealth(PairCounts::default(), -0.2);
        assert!(neutral.abs() < 1e-12, "no pairs, no change: {neutral}");
        assert!(ln_wealth(all, 0.0) <= ln_wealth(a, 0.0).max(ln_wealth(b, 0.0)) + 5.0);
        assert!(ln_wealth(all, -0.3) > ln_wealth(all, 0.3), "falls as the mean rises");
    }

    #[test]
    fn as_many_pairs_as_were_foretold_decide() {
        let seen = cells(PairCounts { ties: 94, gains: 3, losses: 3 });
        let total = pairs_until(&seen, -0.01, 0.05, 1e7).expect("it can be shown");
        assert!((1_000.0..20_000.0).contains(&total), "{total}");
        let grown = |factor: f64| seen.map(|(difference, n)| (difference, factor * n * total / 100.0));
        assert!(always(&grown(1.001), 0.05).0 > -0.01 && always(&grown(0.98), 0.05).0 < -0.01);
        let worse = cells(PairCounts { ties: 90, gains: 0, losses: 10 });
        let total = pairs_until(&worse, -0.01, 0.05, 1e7).expect("it can be shown");
        assert!((50.0..1_000.0).contains(&total), "{total}");
        assert_eq!(pairs_until(&cells(PairCounts { ties: 98, gains: 1, losses: 1 }), 0.0, 0.05, 1e7), None);
    }
}
