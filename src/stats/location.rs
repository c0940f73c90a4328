//! Tests of where the middle of a window lies, with the direction it moved in: a small lasting shift
//! that no window shows alone adds up only where its direction is kept.

use std::f64::consts::LN_2;

use super::hypothesis::{Allowance, pearson3_ln_sf, uneven_ln_sf};
use super::probability::normal_score;

/// How far a window's mean lies from the reference's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Location {
    /// Difference of the means in standard deviations of one record.
    pub shift: f64,
    /// Third standardized moment of one record.
    pub skewness: f64,
    /// ln of the chance that independent records all lie where they do, if those of each row lie in one cell; −∞ if not.
    pub ln_alike: f64,
}

/// Location of counts over ordered cells: the shift of the mean normal score, the scores being those of
/// the cells' mid-ranks in the reference (van der Waerden 1952). `None` for an empty side or a
/// reference within one cell.
pub fn ordered_location(current: &[i64], reference: &[f64]) -> Option<Location> {
    location_within_rows(current, reference, reference.len(), reference.len())
}

/// As [`ordered_location`], with exponential scores (Savage 1956): those of the cells' mid-ranks in the law of mean 1, so
/// that the upper end counts most. A small share of values that moved far up moves it more than a normal score.
pub fn tail_location(current: &[i64], reference: &[f64]) -> Option<Location> {
    scored_within_rows(current, reference, (reference.len(), reference.len()), |rank| -(-rank).ln_1p())
}

/// As [`ordered_location`], within each row of a table, of whose columns the first so many are ordered: the shift
/// from what the reference's rows have at the window's own mix of rows, in standard deviations of one record within
/// its row. The scores are those of the columns' mid-ranks in all of the reference, so that a common shift moves
/// every row to the same side. Rows that the reference never saw say nothing.
pub fn location_within_rows(current: &[i64], reference: &[f64], columns: usize, ordered: usize) -> Option<Location> {
    scored_within_rows(current, reference, (columns, ordered), |rank| -normal_score(rank.ln()))
}

fn scored_within_rows(
    current: &[i64],
    reference: &[f64],
    (columns, ordered): (usize, usize),
    of_rank: impl Fn(f64) -> f64,
) -> Option<Location> {
    let rows = || current.chunks_exact(columns).zip(reference.chunks_exact(columns));
    let of_column = |column: usize| reference.iter().skip(column).step_by(columns).sum::<f64>();
    let total: f64 = (0..ordered).map(of_column).sum();
    if total <= 0.0 {
        return None;
    }
    let mut below = 0.0;
    let mut score = |column: usize| {
        let own = of_column(column);
        let rank = ((below + 0.5 * own) / total).clamp(0.5 / total, 1.0 - 0.5 / total);
        below += own;
        of_rank(rank)
    };
    let scores: Vec<f64> = (0..ordered).map(&mut score).collect();
    let (mut n, mut moved, mut variance, mut third, mut ln_alike) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (current, reference) in rows() {
        let (own, known): (i64, f64) = (current[..ordered].iter().sum(), reference[..ordered].iter().sum());
        if own <= 0 || known <= 0.0 {
            continue;
        }
        let in_one_cell = current[..ordered].iter().position(|count| *count == own);
        let own = own as f64;
        ln_alike += in_one_cell.map_or(f64::NEG_INFINITY, |cell| own * (reference[cell] / known).ln());
        let moment =
            |of: &dyn Fn(f64) -> f64| reference.iter().zip(&scores).map(|(r, s)| r / known * of(*s)).sum::<f64>();
        let mean = moment(&|s| s);
        n += own;
        moved += current.iter().zip(&scores).map(|(c, s)| *c as f64 * (s - mean)).sum::<f64>();
        variance += own * moment(&|s| (s - mean).powi(2));
        third += own * moment(&|s| (s - mean).powi(3));
    }
    let (variance, third) = (variance / n, third / n);
    (n > 0.0 && variance > 1e-12).then(|| Location {
        shift: moved / n / variance.sqrt(),
        skewness: third / variance.powf(1.5),
        ln_alike,
    })
}

impl Location {
    /// Normal score of a window of n records, if its records are independent and the reference exact.
    pub fn score(&self, n: f64) -> f64 {
        n.sqrt() * self.shift
    }

    /// ln p of a shift upwards and of one downwards, for a window of n > 0 records.
    ///
    /// A mean of n records keeps a skewness of κ₃/√n, which a normal tail would miss by orders of
    /// magnitude; the tail is Pearson's type III with that skewness. Where records hardly ever differ, the mean of a
    /// window in which none does is one that many windows have: nothing is as rare as a window is not.
    pub fn one_sided(&self, n: f64, allowance: Allowance) -> [f64; 2] {
        let free = (n * allowance.radius(1.0)).sqrt();
        let (deviation, dispersion) = (allowance.design_effect(n).sqrt(), allowance.dispersion.max(1.0));
        let score = self.score(n) / allowance.spread.sqrt();
        [1.0, -1.0].map(|sign| {
            let beyond = (sign * score - free) / deviation;
            let of_moments = pearson3_ln_sf(beyond / dispersion.powf(0.25), sign * self.skewness / n.sqrt());
            // Of a squared score mean and variance are 1 and 2, and a half of its tail is on either side.
            let uneven = uneven_ln_sf(beyond * beyond, 2.0, 2.0 * dispersion) - LN_2;
            let of_side = if beyond > 0.0 { of_moments.max(uneven) } else { of_moments };
            of_side.max(self.ln_alike / allowance.design_effect(n))
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
    fn a_few_that_moved_far_up_count_most_in_the_tail() {
        let reference = [100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 80.0, 20.0];
        let mut window = reference.map(|count| (count / 10.0) as i64);
        // Five records of a hundred go from all over to the upper end.
        for cell in [0, 2, 4, 6, 8] {
            window[cell] -= 1;
            window[10] += 1;
        }
        let score = |of: fn(&[i64], &[f64]) -> Option<Location>| of(&window, &reference).expect("located").score(100.0);
        let (normal, tail) = (score(ordered_location), score(tail_location));
        assert!(tail > 1.3 * normal && normal > 1.0, "{tail} {normal}");
        // Of an exponential law mean, variance and skewness are 1, 1 and 2, less what the cells hide.
        let fine: Vec<f64> = vec![1.0; 20_000];
        let found = tail_location(&[0; 19_999].iter().copied().chain([1]).collect::<Vec<i64>>(), &fine).expect("one");
        assert!(
            (found.shift - (40_000_f64.ln() - 1.0)).abs() < 0.02 && (found.skewness - 2.0).abs() < 0.1,
            "{found:?}"
        );
    }

    #[test]
    fn a_window_that_hardly_ever_differs_is_no_rarer_than_it_is() {
        // One record of three thousand differs: of 1,440 the chance that none does is .62.
        let reference = [50_383.0, 17.0];
        let found = ordered_location(&[1_440, 0], &reference).expect("located");
        let [up, down] = found.one_sided(1_440.0, Allowance::EXACT);
        let golden = 1_440.0 * (50_383.0_f64 / 50_400.0).ln();
        assert!(down >= golden - 1e-12 && up >= golden, "{} {}", down.exp(), up.exp());
        // One that does says nothing of this kind, nor do rows of several cells.
        assert_eq!(ordered_location(&[1_439, 1], &reference).map(|l| l.ln_alike), Some(f64::NEG_INFINITY));
        let rows = location_within_rows(&[10, 0, 0, 5], &[90.0, 10.0, 50.0, 50.0], 2, 2).expect("located");
        assert!((rows.ln_alike - (10.0 * 0.9_f64.ln() + 5.0 * 0.5_f64.ln())).abs() < 1e-12);
    }

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
    fn a_shift_within_rows_is_told_from_another_mix_of_them() {
        // Two rows, of which the second has more of the higher columns; the last column has no order.
        let reference = [600.0, 300.0, 100.0, 9.0, 100.0, 300.0, 600.0, 0.0];
        let mixed = [6, 3, 1, 0, 30, 90, 180, 7];
        let found = location_within_rows(&mixed, &reference, 4, 3).expect("located");
        assert!(found.shift.abs() < 1e-12, "{found:?}");
        // One tenth of each row a column higher.
        let moved = [54, 33, 13, 0, 9, 28, 63, 0];
        let found = location_within_rows(&moved, &reference, 4, 3).expect("located");
        let pooled = ordered_location(&[63, 61, 76], &[700.0, 600.0, 700.0]).expect("located");
        assert!(found.shift > 1.2 * pooled.shift && pooled.shift > 0.05, "{found:?}, pooled {pooled:?}");
        // A row that the reference never saw, and one that it holds in one column.
        assert_eq!(location_within_rows(&[5, 5, 0, 0], &[0.0, 0.0, 9.0, 9.0], 2, 2), None);
        assert_eq!(location_within_rows(&[5, 0, 0, 5], &[9.0, 0.0, 0.0, 9.0], 2, 2), None);
    }

    #[test]
    fn means_of_uneven_windows_keep_their_level() {
        let mut rng = StdRng::seed_from_u64(12);
        let mut exponentials = |k: u32| (0..k).map(|_| -(1.0 - rng.random::<f64>()).ln()).sum::<f64>();
        // Student's t with six degrees of freedom, of variance 1: the design effect is the inverse of a gamma variable
        // of shape 3, with variance 1, so that the squared score's variance is two and a half times a normal one's.
        let allowance = Allowance { dispersion: 2.5, ..Allowance::EXACT };
        let mut below = 0;
        for i in 0..60_000 {
            let normal =
                (2.0 * exponentials(1)).sqrt() * (f64::from(i) * 0.618_033_988_749_895 * std::f64::consts::TAU).cos();
            let score = normal * (2.0 / exponentials(3)).sqrt();
            let [up, down] = Location { shift: score / 10.0, skewness: 0.0, ln_alike: f64::NEG_INFINITY }
                .one_sided(100.0, allowance);
            below += i32::from(up < 0.001_f64.ln()) + i32::from(down < 0.001_f64.ln());
        }
        // 120 are expected, and a normal law of the raised variance would be below in 300.
        assert!((70..=160).contains(&below), "{below} of 120,000 below 0.001");
    }

    #[test]
    fn skewed_means_keep_their_level() {
        // Exponential values: skewness 2.
        let mut rng = StdRng::seed_from_u64(9);
        let mut below = [0, 0];
        for _ in 0..40_000 {
            let n = 60;
            let mean = (0..n).map(|_| -(1.0 - rng.random::<f64>()).ln()).sum::<f64>() / f64::from(n);
            let sides = Location { shift: mean - 1.0, skewness: 2.0, ln_alike: f64::NEG_INFINITY }
                .one_sided(f64::from(n), Allowance::EXACT);
            below.iter_mut().zip(sides).for_each(|(b, ln_p)| *b += i32::from(ln_p < 0.001_f64.ln()));
        }
        assert!(below[0] <= 60 && below[1] <= 60, "{below:?} of 40,000 below 0.001");
    }
}
