//! Tests of where the middle of a window lies, with the direction it moved in: a small lasting shift
//! that no window shows alone adds up only where its direction is kept.

use std::f64::consts::LN_2;

use super::hypothesis::{Allowance, pearson3_ln_sf};
use super::probability::normal_score;

/// How far a window's mean lies from the reference's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Location {
    /// Difference of the means in standard deviations of one record.
    pub shift: f64,
    /// Third standardized moment of one record.
    pub skewness: f64,
}

/// Location of counts over ordered cells: the shift of the mean normal score, the scores being those of
/// the cells' mid-ranks in the reference (van der Waerden 1952). `None` for an empty side or a
/// reference within one cell.
pub fn ordered_location(current: &[i64], reference: &[f64]) -> Option<Location> {
    let (n, total) = (current.iter().sum::<i64>() as f64, reference.iter().sum::<f64>());
    if n <= 0.0 || total <= 0.0 {
        return None;
    }
    let (mut below, mut mean, mut square, mut cube, mut found) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (&c, &r) in current.iter().zip(reference) {
        let rank = ((below + 0.5 * r) / total).clamp(0.5 / total, 1.0 - 0.5 / total);
        let score = -normal_score(rank.ln());
        below += r;
        mean += r / total * score;
        square += r / total * score * score;
        cube += r / total * score * score * score;
        found += c as f64 / n * score;
    }
    let variance = square - mean * mean;
    if variance <= 1e-12 {
        return None;
    }
    let third = cube - 3.0 * mean * square + 2.0 * mean * mean * mean;
    Some(Location { shift: (found - mean) / variance.sqrt(), skewness: third / variance.powf(1.5) })
}

impl Location {
    /// Normal score of a window of n records, if its records are independent and the reference exact.
    pub fn score(&self, n: f64) -> f64 {
        n.sqrt() * self.shift
    }

    /// ln p of a shift upwards and of one downwards, for a window of n > 0 records.
    ///
    /// A mean of n records keeps a skewness of κ₃/√n, which a normal tail would miss by orders of
    /// magnitude; the tail is Pearson's type III with that skewness.
    pub fn one_sided(&self, n: f64, allowance: Allowance) -> [f64; 2] {
        let free = (n * allowance.radius(1.0)).sqrt();
        let spread = (allowance.design_effect(n) * allowance.dispersion.max(1.0).sqrt()).sqrt();
        [1.0, -1.0].map(|sign| {
            let beyond = (sign * self.score(n) - free) / spread;
            pearson3_ln_sf(beyond, sign * self.skewness / n.sqrt())
        })
    }
}

/// ln p of the two-sided test that two one-sided ones make.
pub fn two_sided([up, down]: [f64; 2]) -> f64 {
    (up.min(down) + LN_2).min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    #[test]
    fn an_ordered_shift_has_its_size_and_direction() {
        // Deciles of a normal moved by a tenth of a deviation: many small changes in one direction.
        let reference = [2_000.0; 10];
        let current = [83, 90, 94, 96, 98, 101, 104, 107, 111, 116];
        let found = ordered_location(&current, &reference).expect("located");
        assert!((found.shift - 0.1).abs() < 0.02 && found.skewness.abs() < 1e-9, "{found:?}");
        let [up, down] = found.one_sided(980.0, Allowance::EXACT);
        assert!(up < 0.005_f64.ln() && down > 0.9_f64.ln(), "{up} {down}");
        assert_eq!(ordered_location(&[100; 10], &reference).map(|l| l.shift.abs() < 1e-12), Some(true));
        assert_eq!(ordered_location(&[3, 0], &[9.0, 0.0]), None);
        assert_eq!(ordered_location(&[0, 0], &[9.0, 1.0]), None);
    }

    #[test]
    fn skewed_means_keep_their_level() {
        // Exponential values: skewness 2.
        let mut rng = StdRng::seed_from_u64(9);
        let mut below = [0, 0];
        for _ in 0..40_000 {
            let n = 60;
            let mean = (0..n).map(|_| -(1.0 - rng.random::<f64>()).ln()).sum::<f64>() / f64::from(n);
            let sides = Location { shift: mean - 1.0, skewness: 2.0 }.one_sided(f64::from(n), Allowance::EXACT);
            below.iter_mut().zip(sides).for_each(|(b, ln_p)| *b += i32::from(ln_p < 0.001_f64.ln()));
        }
        assert!(below[0] <= 60 && below[1] <= 60, "{below:?} of 40,000 below 0.001");
    }
}
