//! How far a mean loss wanders from window to window, beyond what chance gives.
//!
//! Losses in blocks of consecutive windows are compared with their common mean: with no wander, Q = Σ nᵦ(x̄ᵦ − x̄)²/s²
//! of K blocks has expectation K − 1, and a variance of Σ(2 + κ/nᵦ), where κ is the losses' excess kurtosis; a
//! variance σ² between the blocks adds σ²(N − Σnᵦ²/N)/s² to its expectation (DerSimonian & Laird 1986). What lies
//! within three standard errors is chance. Blocks of several lengths are asked, for shocks that last a window and for
//! slow waves.

use std::collections::BTreeMap;

/// What blocks have in common with themselves and not with each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wander {
    /// Standard deviation of the mean between blocks, in the unit of the losses; 0 where chance explains it.
    pub deviation: f64,
    /// How many times as large as that of independent losses the variance of their mean is; at least 1.
    pub design_effect: f64,
}

/// Fewer blocks than this do not tell how they differ.
const LEAST_BLOCKS: usize = 8;
/// Blocks of one length are so many of those before.
const LONGER: i64 = 4;
/// Standard errors of Q that are chance.
const BY_CHANCE: f64 = 3.0;

impl Wander {
    /// None.
    pub const NONE: Wander = Wander { deviation: 0.0, design_effect: 1.0 };

    /// That of these losses, each with the number of its window, in any order.
    pub fn of(losses: &[(i64, f64)]) -> Wander {
        let n = losses.len() as f64;
        let mean = losses.iter().map(|(_, loss)| loss).sum::<f64>() / n;
        let moment = |power: i32| losses.iter().map(|(_, loss)| (loss - mean).powi(power)).sum::<f64>() / n;
        let variance = moment(2);
        if variance.is_nan() || variance <= 0.0 {
            return Wander::NONE;
        }
        let kurtosis = moment(4) / (variance * variance) - 3.0;
        let mut found = Wander::NONE;
        for length in std::iter::successors(Some(1), |length: &i64| length.checked_mul(LONGER)) {
            let mut blocks: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
            for (window, loss) in losses {
                let (count, sum) = blocks.entry(window.div_euclid(length)).or_default();
                (*count, *sum) = (*count + 1.0, *sum + loss - mean);
            }
            if blocks.len() < LEAST_BLOCKS {
                break;
            }
            let over = |of: &dyn Fn(f64, f64) -> f64| blocks.values().map(|(count, sum)| of(*count, *sum)).sum::<f64>();
            let q = over(&|count, sum| sum * sum / count) / variance;
            let error = over(&|count, _| 2.0 + kurtosis / count).max(0.0).sqrt();
            let beyond = q - (blocks.len() - 1) as f64 - BY_CHANCE * error;
            let squares = over(&|count, _| count * count);
            let of_blocks = (beyond * variance / (n - squares / n)).max(0.0);
            found.deviation = found.deviation.max(of_blocks.sqrt());
            found.design_effect = found.design_effect.max(1.0 + of_blocks * squares / (n * variance));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    /// Losses of so many windows of so many labels, whose error in each window is what `error` says.
    fn losses(
        rng: &mut StdRng,
        windows: i64,
        labels: usize,
        mut error: impl FnMut(&mut StdRng, i64) -> f64,
    ) -> Vec<(i64, f64)> {
        (0..windows)
            .flat_map(|window| {
                let error = error(rng, window);
                (0..labels).map(|_| (window, f64::from(u8::from(rng.random::<f64>() < error)))).collect::<Vec<_>>()
            })
            .collect()
    }

    /// About a standard normal number.
    fn normal(rng: &mut StdRng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    #[test]
    fn independent_losses_hardly_ever_wander() {
        let mut rng = StdRng::seed_from_u64(11);
        for (windows, labels, error) in
            [(720, 60, 0.08), (720, 2, 0.08), (30, 17, 0.08), (720, 20, 0.002), (9, 50, 0.5)]
        {
            let found =
                (0..100).filter(|_| Wander::of(&losses(&mut rng, windows, labels, |_, _| error)) != Wander::NONE);
            let found = found.count();
            assert!(found <= 6, "{found} of 100 with {windows} windows of {labels}, error {error}");
        }
    }

    #[test]
    fn how_far_an_error_wanders_is_found_whether_windows_or_days_differ() {
        let mut rng = StdRng::seed_from_u64(12);
        for lasting in [1, 24] {
            let mut level = 0.0;
            let wandering = losses(&mut rng, 840, 60, |rng, window| {
                if window % lasting == 0 {
                    level = normal(rng);
                }
                (0.1 + 0.03 * level).max(0.0)
            });
            let Wander { deviation, design_effect } = Wander::of(&wandering);
            assert!((0.02..0.04).contains(&deviation), "{deviation} where {lasting} windows are alike");
            // 60 labels, or a day's, have 0.03² in common beside a variance of 0.09.
            let expected = 1.0 + (60 * lasting) as f64 * 0.03 * 0.03 / 0.09;
            assert!((0.5..1.5).contains(&(design_effect / expected)), "{design_effect} for {expected}");
        }
    }

    #[test]
    fn too_little_says_nothing() {
        assert_eq!(Wander::of(&[]), Wander::NONE);
        assert_eq!(Wander::of(&[(0, 0.0), (40, 0.0), (80, 0.0)]), Wander::NONE);
        let seven: Vec<(i64, f64)> = (0..700).map(|i| (i / 100, f64::from(u8::from(i / 100 == 3)))).collect();
        assert_eq!(Wander::of(&seven), Wander::NONE, "seven windows, one of them all wrong");
    }
}
