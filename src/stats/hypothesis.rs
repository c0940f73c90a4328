//! Tests of a window against a reference that is itself only a sample.
//!
//! A budget on false alarms must hold for *this* reference over months, not on average over
//! references nobody will ever draw. So the null hypothesis is composite: the current distribution
//! lies within the reference's own sampling error (99 % bound) or within the practical margin,
//! whichever is larger, and a window is judged by the least favourable member of that set. The
//! non-central law that follows is matched by a scaled χ² in mean and variance (Patnaik 1949),
//! whose tail is the heavier one, so that the p-value errs on the safe side.

use super::probability::{chi_square_quantile, gamma_ln_sf};

/// Normal score of the one-sided bound on the reference's sampling error: 99 %.
const REFERENCE_BOUND_Z: f64 = 2.326_347_874;

/// Cells whose expectation in the window is below this are pooled: at 1 the skewness of X² makes
/// the p-value up to three times too small at 1 %, at 2 it does not.
const LEAST_EXPECTED: f64 = 2.0;

/// What a test needs to know besides the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// Intra-window correlation ρ ≥ 0; a window of n has the design effect 1 + (n − 1)ρ.
    pub intra_window_correlation: f64,
    /// Records in the reference, divided by the reference's own design effect.
    pub effective_reference: f64,
    /// Practical margin as Cohen's w: the square root of the χ² divergence Σ(p − r)²/r.
    pub margin: f64,
}

/// A statistic with its p-value on the natural-log scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestResult {
    /// Pearson's X² or T², before any correction.
    pub statistic: f64,
    /// Degrees of freedom after pooling.
    pub degrees_of_freedom: f64,
    /// Natural log of the corrected p-value, ≤ 0.
    pub ln_p: f64,
}

/// Pearson's goodness of fit of `current` to the shares of `reference` (both length K ≥ 2).
///
/// Shares are estimated as (r + ½)/(N + K/2), so that a cell the reference never saw is unlikely
/// and not impossible. The variance of X² under sparse cells is the exact multinomial one
/// (Haldane 1937): 2(K−1) + (Σ1/p − K² − 2K + 2)/n. `None` when either side is empty or fewer than
/// two cells remain after pooling.
pub fn goodness_of_fit(current: &[i64], reference: &[i64], allowance: Allowance) -> Option<TestResult> {
    debug_assert_eq!(current.len(), reference.len());
    let n = current.iter().sum::<i64>() as f64;
    let total = reference.iter().sum::<i64>() as f64;
    if n <= 0.0 || total <= 0.0 {
        return None;
    }
    let seen = current.iter().zip(reference).filter(|(c, r)| **c > 0 || **r > 0).count() as f64;
    let denominator = total + 0.5 * seen;
    let cells = pooled(current, reference, n / denominator);
    if cells.len() < 2 {
        return None;
    }
    let k = cells.len() as f64;
    let statistic: f64 = cells.iter().map(|cell| (cell.observed - cell.expected).powi(2) / cell.expected).sum();
    let inverse_shares: f64 = cells.iter().map(|cell| n / cell.expected).sum();
    let central = Moments {
        mean: k - 1.0,
        variance: (2.0 * (k - 1.0) + (inverse_shares - k * k - 2.0 * k + 2.0) / n).max(2.0 * (k - 1.0) * 0.5),
    };
    Some(judge(statistic, k - 1.0, n, central, allowance))
}

/// Hotelling-like T² of a window's mean, `n · Σ m_j²`, where `mean` holds the window's means of
/// whitened coordinates (reference mean 0, variance 1). `None` for n = 0 or no coordinates.
pub fn mean_shift(mean: &[f64], n: f64, allowance: Allowance) -> Option<TestResult> {
    if n <= 0.0 || mean.is_empty() {
        return None;
    }
    let k = mean.len() as f64;
    let statistic = n * mean.iter().map(|m| m * m).sum::<f64>();
    Some(judge(statistic, k, n, Moments { mean: k, variance: 2.0 * k }, allowance))
}

#[derive(Clone, Copy)]
struct Moments {
    mean: f64,
    variance: f64,
}

fn judge(statistic: f64, degrees_of_freedom: f64, n: f64, central: Moments, allowance: Allowance) -> TestResult {
    let design_effect = 1.0 + (n - 1.0).max(0.0) * allowance.intra_window_correlation.max(0.0);
    let reference_error =
        chi_square_quantile(REFERENCE_BOUND_Z, degrees_of_freedom) / allowance.effective_reference.max(1.0);
    let noncentrality = n * reference_error.max(allowance.margin * allowance.margin);
    let mean = design_effect * central.mean + noncentrality;
    let variance = design_effect * design_effect * central.variance + 4.0 * design_effect * noncentrality;
    let scale = variance / mean;
    let ln_p = gamma_ln_sf(statistic / scale, mean / scale);
    TestResult { statistic, degrees_of_freedom, ln_p }
}

#[derive(Clone, Copy)]
struct Cell {
    observed: f64,
    expected: f64,
}

/// Joins the cells of least expectation into groups that reach [`LEAST_EXPECTED`] each. A last
/// group that cannot reach it joins the one before, or, where there is none, is given that
/// expectation: an unseen cell then counts only for what exceeds one record.
fn pooled(current: &[i64], reference: &[i64], scale: f64) -> Vec<Cell> {
    let mut small = Vec::new();
    let mut cells = Vec::with_capacity(current.len());
    for (&c, &r) in current.iter().zip(reference).filter(|(c, r)| **c > 0 || **r > 0) {
        let cell = Cell { observed: c as f64, expected: (r as f64 + 0.5) * scale };
        if cell.expected < LEAST_EXPECTED { small.push(cell) } else { cells.push(cell) }
    }
    small.sort_by(|a, b| a.expected.total_cmp(&b.expected));
    let mut group: Option<Cell> = None;
    let mut groups: Vec<Cell> = Vec::new();
    for cell in small {
        let joined = group
            .take()
            .map_or(cell, |g| Cell { observed: g.observed + cell.observed, expected: g.expected + cell.expected });
        if joined.expected >= LEAST_EXPECTED { groups.push(joined) } else { group = Some(joined) }
    }
    if let Some(rest) = group {
        match groups.last_mut() {
            Some(last) => {
                last.observed += rest.observed;
                last.expected += rest.expected;
            }
            None => groups.push(Cell { observed: rest.observed, expected: LEAST_EXPECTED }),
        }
    }
    cells.extend(groups);
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACT: Allowance = Allowance { intra_window_correlation: 0.0, effective_reference: 1e12, margin: 0.0 };

    #[test]
    fn statistic_is_pearsons() {
        // Expected 25 in each of four cells of equal share; (5² + 5² + 0 + 0)/25 = 2.
        let test = goodness_of_fit(&[30, 20, 25, 25], &[1_000_000; 4], EXACT).expect("enough data");
        assert!((test.statistic - 2.0).abs() < 1e-5, "{}", test.statistic);
        assert_eq!(test.degrees_of_freedom, 3.0);
        // SciPy: chi2.sf(2, 3) = 0.572406704; the exact multinomial variance differs a little.
        assert!((test.ln_p.exp() - 0.5724).abs() < 0.01, "{}", test.ln_p.exp());
    }

    #[test]
    fn nothing_is_judged_on_nothing() {
        assert_eq!(goodness_of_fit(&[0, 0], &[5, 5], EXACT), None);
        assert_eq!(goodness_of_fit(&[5, 5], &[0, 0], EXACT), None);
        assert_eq!(goodness_of_fit(&[5, 0], &[5, 0], EXACT), None);
        assert_eq!(mean_shift(&[0.1], 0.0, EXACT), None);
    }

    #[test]
    fn an_unseen_cell_is_evidence_but_finite() {
        let test = goodness_of_fit(&[180, 20], &[4_000, 0], EXACT).expect("two cells");
        assert!(test.ln_p < -50.0 && test.ln_p.is_finite());
    }

    #[test]
    fn margin_silences_a_large_window_with_a_small_change() {
        let (current, reference) = ([505_000, 495_000], [500_000, 500_000]);
        let without = goodness_of_fit(&current, &reference, EXACT).expect("judged").ln_p;
        let with = Allowance { margin: 0.05, ..EXACT };
        let with = goodness_of_fit(&current, &reference, with).expect("judged").ln_p;
        assert!(without < -40.0, "{without}");
        assert!(with > -0.1, "{with}");
    }

    #[test]
    fn small_reference_and_correlated_windows_weaken_the_verdict() {
        let (current, reference) = ([70, 30], [500, 500]);
        let strict = goodness_of_fit(&current, &reference, EXACT).expect("judged").ln_p;
        let small = Allowance { effective_reference: 200.0, ..EXACT };
        let correlated = Allowance { intra_window_correlation: 0.05, ..EXACT };
        for weaker in [small, correlated] {
            let found = goodness_of_fit(&current, &reference, weaker).expect("judged").ln_p;
            assert!(found > strict + 1.0, "{weaker:?}: {found} against {strict}");
        }
    }

    /// The p-value must be at least uniform for a fixed reference drawn once, however unlucky.
    #[test]
    fn p_values_are_valid_given_one_reference() {
        use rand::{RngExt, SeedableRng, rngs::StdRng};
        let mut worst: f64 = 0.0;
        for seed in 0..20 {
            let mut rng = StdRng::seed_from_u64(seed);
            let shares = [0.4, 0.3, 0.15, 0.1, 0.04, 0.01];
            let mut draw = |n: usize| {
                let mut counts = [0_i64; 6];
                for _ in 0..n {
                    let u: f64 = rng.random();
                    let mut sum = 0.0;
                    let cell = shares
                        .iter()
                        .position(|s| {
                            sum += s;
                            u < sum
                        })
                        .unwrap_or(5);
                    counts[cell] += 1;
                }
                counts
            };
            let reference = draw(3_000);
            let allowance = Allowance { effective_reference: 3_000.0, margin: 0.0, intra_window_correlation: 0.0 };
            let below = (0..1_000)
                .filter(|_| goodness_of_fit(&draw(250), &reference, allowance).expect("judged").ln_p < 0.01_f64.ln())
                .count();
            worst = worst.max(below as f64 / 1_000.0);
        }
        assert!(worst <= 0.02, "share of p < 0.01 under the null, worst of 20 references: {worst}");
    }
}
