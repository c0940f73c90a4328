//! One cell's deviance and its moments, which make the likelihood-ratio statistic usable on thin
//! cells.
//!
//! G = 2 Σ c ln(c/e) has the tail of χ² exactly where it matters, far out, while Pearson's X² on thin
//! cells has a much heavier one: a count of 9 where 2 were expected is X² = 24.5 (p = 7e-7 by χ²)
//! and G = 13.1 (3e-4), and its true Poisson probability is 2e-4. What G needs in return is its own
//! mean and variance on thin cells, where they are not 1 and 2, and where there are only a few cells
//! a continuity correction: without it a count of 0 where 2 were expected is taken for three times
//! rarer than it is.

use std::sync::OnceLock;

/// Mean and variance of [`deviance`] for c ~ Poisson(λ).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DevianceMoments {
    /// Mean; tends to 1.
    pub mean: f64,
    /// Variance; tends to 2.
    pub variance: f64,
}

/// The table's first and last expectation; below, the moments are summed anew, above they are χ²'s.
const LEAST: f64 = 0.05;
const MOST: f64 = 2e3;
const POINTS: usize = 400;

/// The deviance `2(c ln(c/λ) − (c − λ))` of a count against an expectation λ > 0.
pub fn deviance(c: f64, expected: f64) -> f64 {
    let information = if c > 0.0 { c * (c / expected).ln() } else { 0.0 };
    (2.0 * (information - (c - expected))).max(0.0)
}

/// The deviance of a count moved by half a unit towards its expectation.
pub fn corrected_deviance(c: f64, expected: f64) -> f64 {
    let distance = c - expected;
    if distance.abs() <= 0.5 {
        return 0.0;
    }
    deviance(c - 0.5 * distance.signum(), expected)
}

/// Moments at an expectation > 0; interpolated in a table, to about 1e-4.
pub fn moments(expected: f64) -> DevianceMoments {
    if expected >= MOST {
        return DevianceMoments { mean: 1.0, variance: 2.0 };
    }
    if expected < LEAST {
        return sum(expected.max(1e-6));
    }
    static TABLE: OnceLock<Vec<DevianceMoments>> = OnceLock::new();
    let table = TABLE.get_or_init(|| (0..=POINTS).map(|i| sum(point(i as f64))).collect());
    let at = (expected / LEAST).ln() / (MOST / LEAST).ln() * POINTS as f64;
    let low = (at as usize).min(POINTS - 1);
    let (a, b, share) = (table[low], table[low + 1], at - low as f64);
    let mix = |a: f64, b: f64| a + share * (b - a);
    DevianceMoments { mean: mix(a.mean, b.mean), variance: mix(a.variance, b.variance) }
}

fn point(index: f64) -> f64 {
    LEAST * (MOST / LEAST).powf(index / POINTS as f64)
}

/// The moments summed over all counts that matter, outwards from the mode so that no probability
/// underflows.
fn sum(expected: f64) -> DevianceMoments {
    let mode = expected.floor();
    let reach = 12.0 * expected.sqrt() + 40.0;
    let (mut mass, mut mean, mut square) = (0.0, 0.0, 0.0);
    let mut add = |c: f64, weight: f64| {
        let d = deviance(c, expected);
        mass += weight;
        mean += weight * d;
        square += weight * d * d;
    };
    let (mut c, mut weight) = (mode, 1.0);
    while c <= mode + reach {
        add(c, weight);
        c += 1.0;
        weight *= expected / c;
    }
    let (mut c, mut weight) = (mode, 1.0);
    while c >= 1.0 && c > mode - reach {
        weight *= c / expected;
        c -= 1.0;
        add(c, weight);
    }
    let (mean, square) = (mean / mass, square / mass);
    DevianceMoments { mean, variance: square - mean * mean }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of mpmath over 400 counts: see `tests/golden/probability.py`.
    #[test]
    fn moments_agree_with_golden_values() {
        let golden = include_str!("../../tests/golden/deviance.csv");
        let mut rows = 0;
        for line in golden.lines().skip(1) {
            let numbers: Vec<f64> = line.split(',').map(|n| n.parse().expect("golden numbers parse")).collect();
            let exact = sum(numbers[0]);
            assert!((exact.mean / numbers[1] - 1.0).abs() < 1e-9, "{line}: {exact:?}");
            assert!((exact.variance / numbers[2] - 1.0).abs() < 1e-9, "{line}: {exact:?}");
            let quick = moments(numbers[0]);
            assert!((quick.mean / numbers[1] - 1.0).abs() < 2e-4, "{line}: {quick:?}");
            assert!((quick.variance / numbers[2] - 1.0).abs() < 1e-3, "{line}: {quick:?}");
            rows += 1;
        }
        assert!(rows >= 8, "the golden file holds {rows} rows");
    }

    #[test]
    fn far_tails_follow_the_poisson() {
        // P(Poisson(2) ≥ 9) = 2.4e-4; the deviance of 9 against 2 is worth 3e-4 on χ²₁, Pearson's X² 7e-7.
        let p = super::super::probability::chi_square_ln_sf(deviance(9.0, 2.0), 1.0).exp();
        assert!((2e-4..4e-4).contains(&p), "{p}");
    }
}
