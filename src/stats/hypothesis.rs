//! Tests of a window against a reference that is itself only a sample.
//!
//! A budget on false alarms must hold for *this* reference over months, not on average over
//! references nobody will ever draw. So the null hypothesis is composite: the current distribution
//! lies within the reference's own sampling error (99.9 % bound) and the wander its windows were seen
//! to make, or within the practical margin, whichever is larger; a window is judged by the least
//! favourable member of that set. The non-central law that follows is matched by a scaled χ² in
//! mean and variance (Patnaik 1949), whose tail is the heavier one, so that the p-value errs on the
//! safe side.

use super::deviance::{corrected_deviance, deviance, moments};
use super::probability::{binomial_ln_sf, chi_square_quantile, gamma_ln_sf, gamma_ratio_ln_sf, normal_ln_sf};
use super::quadratic::QuadraticLaw;

/// Normal score of the one-sided bound on the reference's sampling error: 99.9 %. A reference has about a hundred
/// signals, and each of them that lies beyond its bound is a false alarm to come.
const REFERENCE_BOUND_Z: f64 = 3.090_232_306;
/// Cells whose expectation in the window is below this are pooled,
const LEAST_EXPECTED: f64 = 1.0;
/// and those which the reference itself saw less often.
const LEAST_SEEN: f64 = 5.0;
/// Up to this many cells, where one of them expects less than [`THIN`], the jumps of single counts
/// do not average out.
const FEW_CELLS: f64 = 5.0;
const THIN: f64 = 8.0;

/// What a test needs to know besides the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// Intra-window correlation ρ ≥ 0; a window of n has the design effect 1 + (n − 1)ρ,
    pub intra_window_correlation: f64,
    /// but none the design effect of fewer than this, the size of the windows that ρ was learned from. A part of what
    /// they vary more goes with clusters smaller than a window (one text's tokens, one visitor's requests), and
    /// that part is the same in a window of any size.
    pub usual: f64,
    /// Records in the reference, divided by the reference's own design effect.
    pub effective_reference: f64,
    /// How far the distribution wanders for many windows together when nothing is wrong: a bound
    /// on Σ(p − r)²/r, or on the squared standardized mean.
    pub wander: f64,
    /// How much more the statistic varies than its law says, as a ratio of variances ≥ 1: where windows
    /// differ in few directions only, a design effect alone leaves the tail too light.
    pub dispersion: f64,
    /// How widely the window's records lie around their mean, in squares and as a multiple of the reference's; of means
    /// alone, since of counts it follows from what is expected.
    pub spread: f64,
    /// Practical margin as Cohen's w: the square root of the χ² divergence Σ(p − r)²/r.
    pub margin: f64,
}

impl Allowance {
    /// For independent windows and a reference without error.
    pub const EXACT: Allowance = Allowance {
        intra_window_correlation: 0.0,
        usual: 0.0,
        effective_reference: f64::INFINITY,
        wander: 0.0,
        dispersion: 1.0,
        spread: 1.0,
        margin: 0.0,
    };

    pub(super) fn design_effect(&self, n: f64) -> f64 {
        1.0 + (n.max(self.usual) - 1.0).max(0.0) * self.intra_window_correlation.max(0.0)
    }

    /// Squared radius of the composite null, for a statistic with these degrees of freedom.
    pub(super) fn radius(&self, degrees_of_freedom: f64) -> f64 {
        let error = chi_square_quantile(REFERENCE_BOUND_Z, degrees_of_freedom) / self.effective_reference.max(1.0);
        (error + self.wander).max(self.margin * self.margin)
    }
}

/// A statistic with its p-value on the natural-log scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestResult {
    /// G, T² or the squared score of a mean, before any correction.
    pub statistic: f64,
    /// Degrees of freedom after pooling.
    pub degrees_of_freedom: f64,
    /// What the statistic is on average where records are independent and the reference exact.
    pub null_mean: f64,
    /// And its variance there.
    pub null_variance: f64,
    /// Natural log of the corrected p-value, ≤ 0.
    pub ln_p: f64,
}

/// Likelihood-ratio test of `current` against the shares of `reference` (both length K ≥ 2); the
/// reference's counts may be fractional, where they mix seasons.
///
/// Cells too thin to be judged are pooled. What the reference saw so seldom that it cannot be pooled with anything
/// has half a record more, so that it is unlikely and not impossible. The p-value is G's, whose mean and variance are
/// summed from the exact Poisson ones ([`moments`]); a few thin cells have a continuity correction instead. `None` when
/// either side is empty or fewer than two cells remain after pooling.
pub fn goodness_of_fit(current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
    debug_assert_eq!(current.len(), reference.len());
    let n = current.iter().sum::<i64>() as f64;
    let total = reference.iter().sum::<f64>();
    if n <= 0.0 || total <= 0.0 {
        return None;
    }
    let cells = pooled(current, reference, n / total);
    if cells.len() < 2 {
        return None;
    }
    let k = cells.len() as f64;
    let statistic: f64 = cells.iter().map(|cell| deviance(cell.observed, cell.expected)).sum();
    let thin = cells.iter().any(|cell| cell.expected < THIN);
    let (decisive, central) = if k <= FEW_CELLS && thin {
        let corrected = cells.iter().map(|cell| corrected_deviance(cell.observed, cell.expected)).sum();
        (corrected, Central { mean: k - 1.0, variance: 2.0 * (k - 1.0), third: None })
    } else {
        // The total is fixed: one degree of freedom less than independent Poisson cells have.
        let mut central = Central { mean: -1.0, variance: -2.0, third: None };
        for own in cells.iter().map(|cell| moments(cell.expected)) {
            central.mean += own.mean;
            central.variance += own.variance;
        }
        (statistic, central)
    };
    let ln_p = judge(decisive, k - 1.0, n, central, allowance);
    Some(TestResult {
        statistic,
        degrees_of_freedom: k - 1.0,
        null_mean: central.mean,
        null_variance: central.variance,
        ln_p,
    })
}

/// One-sided test of a rate: `found` of `n` > 0 against the reference's `expected` of `total`, more than
/// `harmless` above it. The null's rate is the reference's 99.9 % upper bound plus `harmless`; the tail is
/// the exact binomial one, of counts divided by the window's design effect. `None` where either side is
/// empty.
pub fn rate_above(
    found: i64,
    n: i64,
    expected: f64,
    total: f64,
    harmless: f64,
    allowance: Allowance,
) -> Option<TestResult> {
    if n <= 0 || total <= 0.0 {
        return None;
    }
    let of_reference = expected / total;
    let [_, upper] = wilson(of_reference, allowance.effective_reference.min(total), REFERENCE_BOUND_Z);
    let allowed = (allowance.wander.sqrt() + allowance.margin) * (upper * (1.0 - upper)).sqrt();
    let rate = (upper + allowed + harmless).min(1.0 - 1e-9);
    let design_effect = allowance.design_effect(n as f64) * allowance.dispersion.max(1.0);
    let (x, m) = ((found as f64 / design_effect).floor(), (n as f64 / design_effect).floor().max(1.0));
    let share = found as f64 / n as f64;
    Some(TestResult {
        statistic: share,
        degrees_of_freedom: 1.0,
        null_mean: of_reference,
        null_variance: of_reference * (1.0 - of_reference) / n as f64,
        ln_p: binomial_ln_sf(x, m, rate),
    })
}

/// Test for too many pairs of equal items, from counts of items by bucket: C = Σ c(c−1)/2 against the
/// reference's own rate of pairs, one-sided.
///
/// Mean and variance of C are those of a U-statistic (Hoeffding 1948) with the reference's unbiased
/// estimates of Σp² and Σp³; the law is matched by a gamma. `None` below two items on either side.
pub fn excess_pairs(current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
    let n = current.iter().sum::<i64>() as f64;
    let total = reference.iter().sum::<f64>();
    if n < 2.0 || total < 3.0 {
        return None;
    }
    let falling = |r: f64, k: i32| (0..k).map(|i| r - f64::from(i)).product::<f64>().max(0.0);
    let square = reference.iter().map(|r| falling(*r, 2)).sum::<f64>() / falling(total, 2);
    let cube = reference.iter().map(|r| falling(*r, 3)).sum::<f64>() / falling(total, 3);
    // No pair in the reference does not make one impossible.
    let square = square.max(0.5 / falling(total, 2));
    let variance_of = |n: f64, pairs: f64| {
        pairs * (square * (1.0 - square) + 2.0 * (n - 2.0).max(0.0) * (cube - square * square).max(0.0))
    };
    let pairs = 0.5 * n * (n - 1.0);
    let effective = allowance.effective_reference.clamp(2.0, total);
    let reference_pairs = 0.5 * effective * (effective - 1.0);
    let error = variance_of(effective, reference_pairs).sqrt() / reference_pairs;
    let rate = square + REFERENCE_BOUND_Z * error;
    let design_effect = allowance.design_effect(n);
    let mean = pairs * rate * design_effect * (1.0 + allowance.wander.max(allowance.margin * allowance.margin));
    let variance = (allowance.dispersion.max(1.0) * design_effect * design_effect * variance_of(n, pairs)).max(mean);
    let found = current.iter().map(|c| 0.5 * (c * (c - 1)) as f64).sum::<f64>();
    let ln_p = matched_gamma_ln_sf((found - 0.5).max(0.0), mean, variance);
    Some(TestResult {
        statistic: found,
        degrees_of_freedom: 1.0,
        null_mean: pairs * square,
        null_variance: variance_of(n, pairs).max(pairs * square),
        ln_p,
    })
}

/// Test of a window's mean vector by the quadratic form n·|d|², where `difference` is the window's
/// mean less the reference's and `law` that of the form under the null.
///
/// The form is scaled so that its degrees of freedom are those of Box (1954), (tr C)²/tr C²; for whitened
/// coordinates it is Hotelling's T² with a known covariance. `None` for n = 0.
pub fn mean_shift(difference: &[f64], n: f64, law: &QuadraticLaw, allowance: Allowance) -> Option<TestResult> {
    if n <= 0.0 || difference.is_empty() {
        return None;
    }
    let degrees_of_freedom = law.degrees_of_freedom();
    let scale = degrees_of_freedom / law.mean();
    let statistic = n * difference.iter().map(|m| m * m).sum::<f64>() * scale;
    let own = law.cumulants(n);
    let central = Central {
        mean: own.mean * scale,
        variance: own.variance * scale * scale,
        third: Some(own.third * scale * scale * scale),
    };
    let ln_p = judge(statistic / allowance.spread, degrees_of_freedom, n, central, allowance);
    Some(TestResult { statistic, degrees_of_freedom, null_mean: central.mean, null_variance: central.variance, ln_p })
}

/// `ln P(T > t)` for a standardized Pearson type III law of the given skewness: a shifted gamma. For a
/// negative skewness it is the larger of its own tail and the normal one: far out that is the normal one, and near the
/// middle its own, where most windows lie at once if what makes them skew is rare.
pub fn pearson3_ln_sf(t: f64, skewness: f64) -> f64 {
    if skewness.abs() < 1e-3 {
        return normal_ln_sf(t);
    }
    let shape = 4.0 / (skewness * skewness);
    if skewness > 0.0 {
        return gamma_ln_sf(shape + t * shape.sqrt(), shape);
    }
    let own = (-gamma_ln_sf(shape - t * shape.sqrt(), shape).exp()).ln_1p();
    own.max(normal_ln_sf(t))
}

/// `ln P(X > statistic)` for the scaled χ² with this mean and variance.
pub fn matched_gamma_ln_sf(statistic: f64, mean: f64, variance: f64) -> f64 {
    let scale = variance / mean;
    gamma_ln_sf(statistic / scale, mean / scale)
}

/// Wilson's 95 % interval (1927) of a share found among `n` > 0 items.
pub fn share_interval(share: f64, n: f64) -> [f64; 2] {
    const Z: f64 = 1.959_963_985;
    wilson(share, n, Z)
}

fn wilson(share: f64, n: f64, z: f64) -> [f64; 2] {
    let z2n = z * z / n.max(f64::MIN_POSITIVE);
    let middle = (share + 0.5 * z2n) / (1.0 + z2n);
    let half = (share * (1.0 - share) * z2n + 0.25 * z2n * z2n).max(0.0).sqrt() / (1.0 + z2n);
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

/// Mean, variance and third central moment of a statistic without any allowance.
#[derive(Clone, Copy)]
struct Central {
    mean: f64,
    variance: f64,
    /// `None` for that of the scaled χ² with the same mean and variance.
    third: Option<f64>,
}

/// ln p of a statistic whose null is allowed to be wider than its law: the tail of Pearson's type III law
/// with the moments that follow, which is a gamma where only two are known.
fn judge(statistic: f64, degrees_of_freedom: f64, n: f64, central: Central, allowance: Allowance) -> f64 {
    let design_effect = allowance.design_effect(n);
    let dispersion = allowance.dispersion.max(1.0);
    let noncentrality = n * allowance.radius(degrees_of_freedom);
    let mean = design_effect * central.mean + noncentrality;
    let variance_at = |dispersion: f64| {
        dispersion * design_effect * design_effect * central.variance + 4.0 * design_effect * noncentrality
    };
    let variance = variance_at(dispersion);
    let of_gamma = 2.0 * variance * variance / mean;
    let third = central.third.map_or(of_gamma, |third| {
        let own = (dispersion * design_effect).powi(2) * design_effect * third;
        of_gamma.max(own + 24.0 * design_effect * design_effect * noncentrality)
    });
    let deviation = variance.sqrt();
    let of_moments = pearson3_ln_sf((statistic - mean) / deviation, third / variance / deviation);
    let squared = mean * mean;
    of_moments.max(uneven_ln_sf(statistic / mean, variance_at(1.0) / squared, variance / squared))
}

/// `ln P(D·Y > x)` where windows are uneven: Y, of mean 1 and variance `alike`, follows a scaled χ², and the design
/// effect D varies between windows, in which one visitor asks twice and another thirty times, so that the variance is
/// `found` in all. D is taken as the inverse of a gamma variable, which makes the tail one of F, heavy as sums of
/// squared sizes of clusters have it. `-∞` where windows are not uneven.
pub(super) fn uneven_ln_sf(x: f64, alike: f64, found: f64) -> f64 {
    let of_effects = (found - alike) / (1.0 + alike);
    if of_effects <= 1e-9 || alike <= 0.0 {
        return f64::NEG_INFINITY;
    }
    let (above, below) = (1.0 / alike, 2.0 + 1.0 / of_effects);
    gamma_ratio_ln_sf(x * above / (below - 1.0), above, below)
}

#[derive(Clone, Copy)]
struct Cell {
    observed: f64,
    expected: f64,
}

/// Joins thin cells, which expect less than [`LEAST_EXPECTED`] or were seen less than [`LEAST_SEEN`], into groups that
/// reach both. They are joined in their own order: sorted by what the reference saw, those that it saw too seldom by
/// chance would stand together, and come more often now. A last group that reaches neither joins the one before, or,
/// where there is none, stands alone and expects half a record of the reference's more, at least [`LEAST_EXPECTED`]:
/// an unseen cell then counts only for what exceeds one record.
fn pooled(current: &[i64], reference: &[f64], scale: f64) -> Vec<Cell> {
    let thin = |cell: &Cell| cell.expected < LEAST_EXPECTED.max(LEAST_SEEN * scale);
    let mut cells = Vec::with_capacity(current.len());
    let mut group: Option<Cell> = None;
    let mut groups: Vec<Cell> = Vec::new();
    for (&c, &r) in current.iter().zip(reference).filter(|(c, r)| **c > 0 || **r > 0.0) {
        let cell = Cell { observed: c as f64, expected: r * scale };
        if !thin(&cell) {
            cells.push(cell);
            continue;
        }
        let joined = group
            .take()
            .map_or(cell, |g| Cell { observed: g.observed + cell.observed, expected: g.expected + cell.expected });
        if thin(&joined) { group = Some(joined) } else { groups.push(joined) }
    }
    if let Some(rest) = group {
        match groups.last_mut() {
            Some(last) => {
                last.observed += rest.observed;
                last.expected += rest.expected;
            }
            None => groups.push(Cell { expected: (rest.expected + 0.5 * scale).max(LEAST_EXPECTED), ..rest }),
        }
    }
    cells.extend(groups);
    cells
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    use crate::stats::evidence::ln_e_value;
    use crate::stats::location::{Location, ordered_location};

    #[test]
    fn uneven_windows_keep_their_level() {
        const DRAWS: usize = 60_000;
        const HALVES: u32 = 16;
        let mut rng = StdRng::seed_from_u64(6);
        let mut halved_chi_square = |degrees: u32| -> f64 {
            // A sum of as many exponential variables as there are pairs of degrees of freedom.
            (0..degrees / 2).map(|_| -(1.0 - rng.random::<f64>()).ln()).sum()
        };
        let alike = 2.0 / f64::from(HALVES);
        let found = (1.0 + alike) * (1.0 + 1.0 / 6.0) - 1.0;
        let central = Central { mean: f64::from(HALVES), variance: 2.0 * f64::from(HALVES), third: None };
        let uneven = Allowance { dispersion: found / alike, ..Allowance::EXACT };
        let mut below = [0, 0];
        for _ in 0..DRAWS {
            // The design effect is the inverse of a gamma variable of shape 8: its variance is 1/6.
            let statistic = 2.0 * halved_chi_square(HALVES) * 7.0 / halved_chi_square(16);
            let of_variance = matched_gamma_ln_sf(statistic, central.mean, found * central.mean * central.mean);
            for (below, ln_p) in
                below.iter_mut().zip([judge(statistic, f64::from(HALVES), 100.0, central, uneven), of_variance])
            {
                *below += usize::from(ln_p < 0.001_f64.ln());
            }
        }
        assert!((35..=85).contains(&below[0]), "{} of {DRAWS} below 0.001", below[0]);
        assert!(below[1] > 150, "the variance alone would do: {}", below[1]);
    }

    /// How many of `n` records fall into each cell.
    pub(in crate::stats) fn counts(shares: &[f64], n: usize, rng: &mut StdRng) -> Vec<i64> {
        let mut counts = vec![0; shares.len()];
        for _ in 0..n {
            let mut u: f64 = rng.random();
            let cell = shares.iter().position(|s| {
                u -= s;
                u < 0.0
            });
            counts[cell.unwrap_or(shares.len() - 1)] += 1;
        }
        counts
    }

    fn floats(counts: &[i64]) -> Vec<f64> {
        counts.iter().map(|c| *c as f64).collect()
    }

    /// Golden values from SciPy and mpmath: see `tests/golden/probability.py`.
    #[test]
    fn statistics_agree_with_golden_values() {
        let golden = include_str!("../../tests/golden/statistics.csv");
        let mut rows = 0;
        for line in golden.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |i: usize| cells[i].parse::<f64>().expect("golden numbers parse");
            let list = |i: usize| -> Vec<f64> { cells[i].split('/').map(|n| n.parse().expect("parses")).collect() };
            let integers = |i: usize| -> Vec<i64> { list(i).into_iter().map(|n| n as i64).collect() };
            let found = match cells[0] {
                "g" => {
                    let (current, shares) = (list(1), list(2));
                    let (n, total) = (current.iter().sum::<f64>(), shares.iter().sum::<f64>());
                    current.iter().zip(&shares).map(|(c, s)| deviance(*c, n * s / total)).sum()
                }
                "pearson3_ln_sf" => pearson3_ln_sf(number(1), number(2)),
                "matched_gamma_ln_sf" => matched_gamma_ln_sf(number(1), number(2), number(3)),
                "rate_above" => {
                    let of = list(3);
                    let allowance = Allowance::EXACT;
                    let (found, n) = (number(1) as i64, number(2) as i64);
                    rate_above(found, n, of[0], of[1], number(4), allowance).expect("judged").ln_p
                }
                "excess_pairs" => excess_pairs(&integers(1), &list(2), Allowance::EXACT).expect("judged").ln_p,
                "mean_shift" => {
                    let difference = list(1);
                    let law = QuadraticLaw::white(difference.len());
                    mean_shift(&difference, number(2), &law, Allowance::EXACT).expect("judged").ln_p
                }
                name if name.starts_with("location_") => {
                    let current = integers(1);
                    let found = ordered_location(&current, &list(2)).expect("located");
                    let [up, down] = found.one_sided(current.iter().sum::<i64>() as f64, Allowance::EXACT);
                    match name {
                        "location_shift" => found.shift,
                        "location_skewness" => found.skewness,
                        "location_up" => up,
                        _ => down,
                    }
                }
                other => panic!("no function named {other}"),
            };
            let expected = number(5);
            assert!((found - expected).abs() < 1e-9 * expected.abs().max(1e-3), "{line}: found {found}");
            rows += 1;
        }
        assert!(rows > 55, "the golden file holds {rows} rows");
    }

    #[test]
    fn large_cells_give_the_chi_square_p_value() {
        let test = goodness_of_fit(&[3000, 2800, 2900, 2900], &[1e9; 4], Allowance::EXACT).expect("enough data");
        let chi_square = crate::stats::probability::chi_square_ln_sf(test.statistic, 3.0);
        assert_eq!(test.degrees_of_freedom, 3.0);
        assert!((test.ln_p - chi_square).abs() < 0.5, "{} against {chi_square}", test.ln_p);
    }

    #[test]
    fn nothing_is_judged_on_nothing() {
        assert_eq!(goodness_of_fit(&[0, 0], &[5.0, 5.0], Allowance::EXACT), None);
        assert_eq!(goodness_of_fit(&[5, 5], &[0.0, 0.0], Allowance::EXACT), None);
        assert_eq!(goodness_of_fit(&[5, 0], &[5.0, 0.0], Allowance::EXACT), None);
        assert_eq!(mean_shift(&[0.1], 0.0, &QuadraticLaw::white(1), Allowance::EXACT), None);
        assert_eq!(mean_shift(&[], 9.0, &QuadraticLaw::white(1), Allowance::EXACT), None);
    }

    #[test]
    fn an_unseen_cell_is_evidence_but_finite() {
        let test = goodness_of_fit(&[180, 20], &[4_000.0, 0.0], Allowance::EXACT).expect("two cells");
        assert!(test.ln_p < -30.0 && test.ln_p.is_finite(), "{}", test.ln_p);
    }

    #[test]
    fn margin_and_wander_silence_a_large_window_with_a_small_change() {
        let (current, reference) = ([505_000, 495_000], [1e9, 1e9]);
        let without = goodness_of_fit(&current, &reference, Allowance::EXACT).expect("judged").ln_p;
        assert!(without < -40.0, "{without}");
        for allowance in
            [Allowance { margin: 0.05, ..Allowance::EXACT }, Allowance { wander: 0.0025, ..Allowance::EXACT }]
        {
            let with = goodness_of_fit(&current, &reference, allowance).expect("judged").ln_p;
            assert!(with > -0.1, "{with}");
            let [up, _] =
                Location { shift: 0.01, skewness: 0.0, ln_alike: f64::NEG_INFINITY }.one_sided(1e6, allowance);
            assert!(up > -0.1, "{up}");
        }
    }

    #[test]
    fn small_reference_and_correlated_windows_weaken_the_verdict() {
        let (current, reference) = ([70, 30], [500.0, 500.0]);
        let strict = goodness_of_fit(&current, &reference, Allowance::EXACT).expect("judged").ln_p;
        let small = Allowance { effective_reference: 200.0, ..Allowance::EXACT };
        let correlated = Allowance { intra_window_correlation: 0.05, ..Allowance::EXACT };
        for weaker in [small, correlated] {
            let found = goodness_of_fit(&current, &reference, weaker).expect("judged").ln_p;
            assert!(found > strict + 1.0, "{weaker:?}: {found} against {strict}");
        }
    }

    /// The p-value must be at least uniform for a fixed reference drawn once, however unlucky.
    #[test]
    fn p_values_are_valid_given_one_reference() {
        let mut worst: f64 = 0.0;
        let shares = [0.4, 0.3, 0.15, 0.1, 0.04, 0.01];
        for seed in 0..20 {
            let mut rng = StdRng::seed_from_u64(seed);
            let reference = floats(&counts(&shares, 3_000, &mut rng));
            let allowance = Allowance { effective_reference: 3_000.0, ..Allowance::EXACT };
            let p = |counts: &[i64]| goodness_of_fit(counts, &reference, allowance).expect("judged").ln_p;
            let below = (0..1_000).filter(|_| p(&counts(&shares, 250, &mut rng)) < 0.01_f64.ln()).count();
            worst = worst.max(below as f64 / 1_000.0);
        }
        assert!(worst <= 0.02, "share of p < 0.01 under the null, worst of 20 references: {worst}");
    }

    /// What the budget rests on: E[e] ≤ 1 under the null, on thin, skewed and many cells, against a
    /// reference without error, which is the hardest case.
    #[test]
    fn e_values_have_expectation_at_most_one() {
        let zipf: Vec<f64> = (1..=150).map(|i| 1.0 / f64::from(i)).collect();
        let total: f64 = zipf.iter().sum();
        let shapes: Vec<(&str, Vec<f64>, usize)> = vec![
            ("even pair", vec![0.5, 0.5], 200),
            ("rare class", vec![0.99, 0.01], 200),
            ("very rare class", vec![0.995, 0.005], 100),
            ("rare of three", vec![0.9, 0.09, 0.01], 100),
            ("150 classes", zipf.iter().map(|z| z / total).collect(), 250),
            ("150 even classes", vec![1.0 / 150.0; 150], 250),
            ("deciles", vec![0.1; 10], 60),
        ];
        for (name, shares, n) in shapes {
            let mut rng = StdRng::seed_from_u64(5);
            let reference: Vec<f64> = shares.iter().map(|s| s * 1e9).collect();
            let mean = (0..20_000)
                .map(|_| counts(&shares, n, &mut rng))
                .map(|c| ln_e_value(goodness_of_fit(&c, &reference, Allowance::EXACT).expect("judged").ln_p).exp())
                .sum::<f64>()
                / 20_000.0;
            println!("{name}: {mean}");
            assert!(mean <= 1.05, "{name}: mean e-value {mean}");
        }
    }

    #[test]
    fn repeated_items_make_excess_pairs() {
        let mut rng = StdRng::seed_from_u64(2);
        let even = vec![1.0 / 256.0; 256];
        let reference = floats(&counts(&even, 3_000, &mut rng));
        let allowance = Allowance { effective_reference: 3_000.0, ..Allowance::EXACT };
        let judged = |c: &[i64]| excess_pairs(c, &reference, allowance).expect("judged").ln_p;
        let below = (0..2_000).filter(|_| judged(&counts(&even, 250, &mut rng)) < 0.01_f64.ln()).count();
        assert!(below <= 30, "{below} of 2,000 below 0.01");
        let mut replayed = counts(&even, 200, &mut rng);
        replayed[7] += 50;
        assert!(judged(&replayed) < -20.0, "{}", judged(&replayed));
        assert_eq!(excess_pairs(&[1], &[5.0], allowance), None);
    }

    #[test]
    fn a_rate_is_judged_from_one_side_and_beyond_what_is_harmless() {
        let judged = |found| rate_above(found, 500, 10.0, 5_000.0, 0.02, Allowance::EXACT).expect("judged").ln_p;
        assert_eq!(judged(0), 0.0);
        assert!(judged(10) > -1.0, "a harmless rate: {}", judged(10));
        assert!(judged(60) < -30.0, "{}", judged(60));
        let wide = Allowance { margin: 100.0, ..Allowance::EXACT };
        let forgiven = rate_above(500, 500, 10.0, 5_000.0, 0.02, wide).expect("judged").ln_p;
        assert!(forgiven > -1e-3, "nothing is beyond a huge margin: {forgiven}");
        assert_eq!(rate_above(0, 0, 1.0, 5.0, 0.02, Allowance::EXACT), None);
    }

    #[test]
    fn share_intervals_are_wilsons() {
        // Wilson (1927) by hand for 7 of 40.
        let [low, high] = share_interval(7.0 / 40.0, 40.0);
        assert!((low - 0.087_454).abs() < 1e-5 && (high - 0.319_500).abs() < 1e-5, "{low} {high}");
        assert!(share_interval(0.0, 10.0)[0] == 0.0 && share_interval(1.0, 10.0)[1] == 1.0);
    }
}
