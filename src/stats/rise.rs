//! Which share rose, of many: the one that is least likely by itself, counted as the best of all.
//!
//! A sum over cells spreads one cell's rise over all of them: where a class of 150 comes up twelve times
//! and one was expected, the sum's p-value is 0.3 and that class's alone 1e-9. The price of looking at each
//! is its number (Bonferroni), whose logarithm is small.

use super::hypothesis::{Allowance, TestResult};
use super::probability::{binomial_ln_sf, chi_square_quantile, normal_score};

/// Chance that the reference's bound on any one of its shares is too low.
const REFERENCE_LEVEL: f64 = 0.01;

/// The share that rose most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rise {
    /// Index of its cell.
    pub cell: usize,
    /// How far the share rose above the reference's, in points of 1.
    pub by: f64,
    /// The statistic is its standardized rise; the p-value is that of the best of all cells.
    pub test: TestResult,
}

/// One-sided test of `current` (length K ≥ 2) for a cell whose share is above that of `reference`, which
/// may hold fractional counts.
///
/// A cell's null is the Poisson bound on its own count in the reference (Garwood 1936) at a level that
/// holds for all K at once, moved up by what windows wander and by the margin; its p-value is the exact
/// binomial tail of counts divided by the design effect. `extra_variance` is by how many times a cell's
/// counts are known to vary more than binomial ones, at least 1; empty for none. The least p-value times K
/// is the test's. `None` when either side is empty.
pub fn greatest_rise(current: &[i64], reference: &[f64], extra_variance: &[f32], allowance: Allowance) -> Option<Rise> {
    debug_assert_eq!(current.len(), reference.len());
    let (n, total) = (current.iter().sum::<i64>() as f64, reference.iter().sum::<f64>());
    if n <= 0.0 || total <= 0.0 || current.len() < 2 {
        return None;
    }
    let cells = current.len() as f64;
    let worth = allowance.effective_reference.clamp(1.0, total);
    let bound_z = normal_score((REFERENCE_LEVEL / cells).ln());
    let moved = allowance.wander.max(0.0).sqrt() + allowance.margin;
    let design_effect = allowance.design_effect(n) * allowance.dispersion.max(1.0);
    let mut found: Option<Rise> = None;
    for (cell, (count, known)) in current.iter().zip(reference).enumerate() {
        let (count, share) = (*count as f64, known / total);
        let by = count / n - share;
        // The bound is above the share; most cells are below.
        if by <= 0.0 && found.is_some() {
            continue;
        }
        // Garwood's bound on a Poisson mean of which r were seen is half the quantile of χ² with 2r + 2.
        let bound = (0.5 * chi_square_quantile(bound_z, 2.0 * (share * worth) + 2.0) / worth).min(1.0);
        let rate = (bound + moved * (bound * (1.0 - bound)).sqrt()).min(1.0 - 1e-9);
        let own = design_effect.max(extra_variance.get(cell).map_or(1.0, |v| f64::from(*v)));
        let ln_p = if count > n * rate { binomial_ln_sf(count / own, n / own, rate) } else { 0.0 };
        let statistic = standardized(by, share, n, total);
        let test = TestResult {
            statistic,
            degrees_of_freedom: 1.0,
            null_mean: 0.0,
            null_variance: 1.0,
            ln_p: (ln_p + cells.ln()).min(0.0),
        };
        let better = |best: &Rise| {
            test.ln_p < best.test.ln_p || (test.ln_p == best.test.ln_p && statistic > best.test.statistic)
        };
        if found.as_ref().is_none_or(better) {
            found = Some(Rise { cell, by, test });
        }
    }
    found
}

/// A rise in standard errors of the window; a cell that the reference never saw counts as half a record there.
fn standardized(by: f64, share: f64, n: f64, total: f64) -> f64 {
    by / ((share + 0.5 / total) * (1.0 - share) / n).sqrt().max(f64::MIN_POSITIVE)
}

/// By how many times each cell's counts vary more than binomial ones between windows: the mean of the
/// squared standardized deviations, less one standard error of what chance makes of it, and at least 1.
pub struct ExtraVariance {
    windows: f64,
    squares: Vec<f64>,
    noise: Vec<f64>,
}

impl ExtraVariance {
    /// Of so many cells.
    pub fn new(cells: usize) -> ExtraVariance {
        ExtraVariance { windows: 0.0, squares: vec![0.0; cells], noise: vec![0.0; cells] }
    }

    /// Takes a window's counts, what they are compared with, and which share of that is not the window's own.
    pub fn take(&mut self, current: &[i64], reference: &[f64], share_left: f64) {
        let (n, total) = (current.iter().sum::<i64>() as f64, reference.iter().sum::<f64>());
        if n <= 0.0 || total <= 0.0 || share_left <= 0.0 {
            return;
        }
        self.windows += 1.0;
        let sums = self.squares.iter_mut().zip(&mut self.noise);
        for ((squares, noise), (count, known)) in sums.zip(current.iter().zip(reference)) {
            let expected = known / total * n;
            let variance = expected * (1.0 - known / total);
            if variance > 0.0 {
                *squares += (*count as f64 - expected).powi(2) / variance / share_left;
                // The variance of a squared standardized Poisson count.
                *noise += 2.0 + 1.0 / expected;
            }
        }
    }

    /// What was found, by cell; all 1 below two windows.
    pub fn found(&self) -> Vec<f32> {
        let ratio = |(squares, noise): (&f64, &f64)| {
            let (mean, error) = (squares / self.windows, noise.sqrt() / self.windows);
            (mean - error).max(1.0) as f32
        };
        if self.windows < 2.0 {
            return vec![1.0; self.squares.len()];
        }
        self.squares.iter().zip(&self.noise).map(ratio).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::evidence::ln_e_value;
    use crate::stats::hypothesis::goodness_of_fit;
    use crate::stats::hypothesis::tests::counts;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn zipf(cells: u32) -> Vec<f64> {
        let total: f64 = (1..=cells).map(|i| 1.0 / f64::from(i)).sum();
        (1..=cells).map(|i| 1.0 / f64::from(i) / total).collect()
    }

    #[test]
    fn the_p_value_is_the_binomial_tail_times_the_number_of_cells() {
        // A reference without error: 12 of 100 where a tenth is expected, over two cells.
        let rise = greatest_rise(&[25, 75], &[1e12, 9e12], &[], Allowance::EXACT).expect("judged");
        let tail = binomial_ln_sf(25.0, 100.0, 0.1);
        assert_eq!(rise.cell, 0);
        assert!((rise.test.ln_p - (tail + std::f64::consts::LN_2)).abs() < 1e-3, "{} {tail}", rise.test.ln_p);
        assert!((rise.by - 0.15).abs() < 1e-12 && (rise.test.statistic - 5.0).abs() < 1e-6, "{rise:?}");
    }

    #[test]
    fn nothing_is_judged_on_nothing_and_a_fall_is_no_rise() {
        assert_eq!(greatest_rise(&[0, 0], &[1.0, 1.0], &[], Allowance::EXACT), None);
        assert_eq!(greatest_rise(&[1, 1], &[0.0, 0.0], &[], Allowance::EXACT), None);
        assert_eq!(greatest_rise(&[1], &[1.0], &[], Allowance::EXACT), None);
        let even = greatest_rise(&[50, 50], &[500.0, 500.0], &[], Allowance::EXACT).expect("judged");
        assert_eq!(even.test.ln_p, 0.0);
    }

    #[test]
    fn one_rare_class_of_many_is_seen_where_the_sum_sees_nothing() {
        let shares = zipf(150);
        let mut rng = StdRng::seed_from_u64(1);
        let mut risen: Vec<f64> = shares.iter().map(|s| s * 0.97).collect();
        risen[120] += 0.03;
        let reference: Vec<f64> = shares.iter().map(|s| s * 20_000.0).collect();
        let allowance = Allowance { effective_reference: 20_000.0, ..Allowance::EXACT };
        let mut found = [0, 0];
        for _ in 0..200 {
            let current = counts(&risen, 500, &mut rng);
            let sum = goodness_of_fit(&current, &reference, allowance).expect("judged").ln_p;
            let rise = greatest_rise(&current, &reference, &[], allowance).expect("judged");
            assert!(rise.test.ln_p > -1.0 || rise.cell == 120, "{rise:?}");
            found[0] += usize::from(sum < 1e-3_f64.ln());
            found[1] += usize::from(rise.test.ln_p < 1e-3_f64.ln());
        }
        assert!(found[0] < 100 && found[1] > 180, "{found:?}");
    }

    /// What the budget rests on, given one reference however unlucky: its shares are drawn once, and the
    /// windows come from the truth.
    #[test]
    fn e_values_have_expectation_at_most_one_given_one_reference() {
        for (shares, size) in [(zipf(150), 3_800), (zipf(20), 3_800), (vec![0.02; 50], 1_000), (zipf(1_000), 40_000)] {
            for seed in 0..8 {
                let mut rng = StdRng::seed_from_u64(seed);
                let known: Vec<f64> = counts(&shares, size, &mut rng).into_iter().map(|c| c as f64).collect();
                let allowance = Allowance { effective_reference: size as f64, ..Allowance::EXACT };
                let e = |_| {
                    let current = counts(&shares, 250, &mut rng);
                    ln_e_value(greatest_rise(&current, &known, &[], allowance).expect("judged").test.ln_p).exp()
                };
                let mean = (0..1_000).map(e).sum::<f64>() / 1_000.0;
                assert!(mean <= 1.0, "{} cells, seed {seed}: mean e-value {mean}", shares.len());
            }
        }
    }

    #[test]
    fn a_cell_that_comes_in_bursts_is_known_and_forgiven() {
        let mut rng = StdRng::seed_from_u64(3);
        let shares = [0.6, 0.3, 0.06, 0.04];
        let known: Vec<f64> = shares.iter().map(|s| s * 50_000.0).collect();
        // The last cell comes ten at a time.
        let mut window = || {
            let mut current = counts(&[0.625, 0.3125, 0.0625], 240, &mut rng);
            let bursts = (0..20).filter(|_| rng.random_bool(0.05)).count() as i64;
            current.push(10 * bursts);
            current
        };
        let mut extra = ExtraVariance::new(4);
        (0..200).for_each(|_| extra.take(&window(), &known, 1.0));
        let extra = extra.found();
        assert!(extra[3] > 5.0 && extra[..3].iter().all(|v| *v < 2.0), "{extra:?}");
        let mut alarms = |extra: &[f32]| {
            let ln_p = |_| greatest_rise(&window(), &known, extra, Allowance::EXACT).expect("judged").test.ln_p;
            (0..500).map(ln_p).filter(|ln_p| *ln_p < 1e-3_f64.ln()).count()
        };
        let (naive, forgiving) = (alarms(&[]), alarms(&extra));
        assert!(naive > 30 && forgiving < 5, "{naive} and {forgiving}");
    }
}
