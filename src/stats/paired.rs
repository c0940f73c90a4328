//! Two models on the same rows: the difference of their mean scores, with bounds.
//!
//! Only the difference of a row's two scores is used, so that what makes a row hard for both models
//! cancels. Every bound is one-sided. Rows are taken to be independent of each other.

use super::probability::{binomial_ln_sf, normal_ln_sf, normal_score};

/// Pairs of scores that are 0 or 1 each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairCounts {
    /// Both right, or both wrong.
    pub ties: u64,
    /// The second is right and the first wrong.
    pub gains: u64,
    /// The first is right and the second wrong: negative flips.
    pub losses: u64,
}

/// A difference of means (second less first) between two one-sided bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Best guess.
    pub estimate: f64,
    /// It is larger than this, but for a probability of one minus the confidence.
    pub low: f64,
    /// It is smaller than this, but for the same probability.
    pub high: f64,
    /// Variance of one pair's difference.
    pub variance: f64,
}

/// How sure a bound is to be, as the normal score of its error: 1.645 for 5 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level(f64);

impl Level {
    /// For an error probability between 0 and ½; `None` for another.
    pub fn new(error: f64) -> Option<Level> {
        (error > 0.0 && error < 0.5).then(|| Level(normal_score(error.ln())))
    }

    /// The normal score.
    pub fn score(self) -> f64 {
        self.0
    }
}

/// Halvings of an interval: its width ends below 1e-15.
const HALVINGS: u32 = 52;

impl PairCounts {
    /// All pairs.
    pub fn pairs(self) -> u64 {
        self.ties + self.gains + self.losses
    }

    fn swapped(self) -> PairCounts {
        PairCounts { gains: self.losses, losses: self.gains, ..self }
    }

    /// Tango's score statistic of the null "the difference is `null`" (Statistics in Medicine 17, 1998,
    /// §2): approximately standard normal, also where few or no pairs are discordant.
    pub fn score_statistic(self, null: f64) -> f64 {
        let (n, b, c) = (self.pairs() as f64, self.gains as f64, self.losses as f64);
        let numerator = b - c - n * null;
        let linear = -b - c + (2.0 * n - b + c) * null;
        let constant = -c * null * (1.0 - null);
        let root = (linear * linear - 8.0 * n * constant).max(0.0).sqrt();
        let losing = (root - linear) / (4.0 * n);
        let variance = n * (2.0 * losing + null * (1.0 - null));
        if variance > 0.0 { numerator / variance.sqrt() } else { 0.0 * numerator }
    }

    /// The difference with Tango's score bounds; `None` without pairs.
    pub fn difference(self, level: Level) -> Option<Difference> {
        let n = self.pairs() as f64;
        if n == 0.0 {
            return None;
        }
        let estimate = (self.gains as f64 - self.losses as f64) / n;
        let discordant = (self.gains + self.losses) as f64 / n;
        let low = |pairs: PairCounts, estimate: f64| {
            halve(-1.0, estimate, |null| pairs.score_statistic(null) > level.score())
        };
        let high = -low(self.swapped(), -estimate);
        Some(Difference { estimate, low: low(self, estimate), high, variance: discordant - estimate * estimate })
    }

    /// ln p of "the second is no better", McNemar's test in its exact form: the discordant pairs are coins.
    pub fn better_ln_p(self) -> f64 {
        let discordant = (self.gains + self.losses) as f64;
        binomial_ln_sf(self.gains as f64, discordant, 0.5)
    }

    /// ln p of "the difference is at most `null`", by the score statistic.
    pub fn above_ln_p(self, null: f64) -> f64 {
        normal_ln_sf(self.score_statistic(null))
    }
}

/// The difference of scores within [0, 1], from the pairs' differences; `None` without pairs.
///
/// The lower bound is Gaffke's: the level's quantile of a mean of the differences *and of the worst
/// possible one* under uniformly random (Dirichlet) weights, which for 0 and 1 alone is Clopper and
/// Pearson's exact bound (Phan, Thomas & Learned-Miller, ICML 2021). A mean under such weights lies below
/// m just if a sum of exponential variables times (difference − m) is negative, whose distribution is
/// taken from Barndorff-Nielsen's saddlepoint formula r* (within a percent of the exact bound). Samples without any spread get a bound too, of
/// about 3/n.
pub fn bounded_difference(differences: &[f64], level: Level) -> Option<Difference> {
    let n = differences.len() as f64;
    if differences.is_empty() {
        return None;
    }
    let estimate = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|d| (d - estimate).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let low = |differences: &[f64]| {
        let mean = (differences.iter().sum::<f64>() - 1.0) / (n + 1.0);
        halve(-1.0, mean, |m| random_mean_score(differences, m) < -level.score())
    };
    let turned: Vec<f64> = differences.iter().map(|d| -d).collect();
    Some(Difference { estimate, low: low(differences), high: -low(&turned), variance })
}

/// Normal score of P(Σ E·(d − m) ≤ 0) over the differences and −1, with E exponential.
fn random_mean_score(differences: &[f64], m: f64) -> f64 {
    let parts = || differences.iter().copied().chain([-1.0]).map(|d| d - m);
    let (least, most) = parts().fold((0.0_f64, 0.0_f64), |(l, h), a| (l.min(a), h.max(a)));
    if most <= 0.0 {
        return f64::INFINITY;
    }
    if least >= 0.0 {
        return f64::NEG_INFINITY;
    }
    // The slope of the cumulant function −Σ ln(1 − s·a) grows from −∞ to ∞ between its poles.
    let (mut low, mut high) = (1.0 / least, 1.0 / most);
    let mut s = 0.0;
    for _ in 0..200 {
        let (slope, curve) = parts().fold((0.0, 0.0), |(slope, curve), a| {
            let term = a / (1.0 - s * a);
            (slope + term, curve + term * term)
        });
        if slope > 0.0 {
            high = s;
        } else {
            low = s;
        }
        let newton = s - slope / curve;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - s).abs() <= 1e-13 * (high - low).max(s.abs()) {
            s = next;
            break;
        }
        s = next;
    }
    let (cumulant, curve) = parts().fold((0.0, 0.0), |(cumulant, curve), a| {
        let rest = 1.0 - s * a;
        (cumulant - rest.ln(), curve + (a / rest).powi(2))
    });
    let w = s.signum() * (-2.0 * cumulant).max(0.0).sqrt();
    let u = s * curve.sqrt();
    // At the mean itself both vanish; bounds lie elsewhere.
    if w.abs() < 1e-6 { 0.0 } else { w + (u / w).ln() / w }
}

/// Wilson's score bounds of a share, one-sided each (1927); `None` of nothing.
pub fn share(count: u64, n: u64, level: Level) -> Option<(f64, f64)> {
    if n == 0 {
        return None;
    }
    let (n, z) = (n as f64, level.score());
    let p = count as f64 / n;
    let middle = p + z * z / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    Some((((middle - spread) / scale).max(0.0), ((middle + spread) / scale).min(1.0)))
}

/// Pairs with which a bound at `level` clears something `distance` away from the true difference, with the
/// probability whose normal score is `power`: (z + z')²·variance/distance². At 6 % discordant pairs one
/// point takes 3,710 for a power of 80 %.
pub fn pairs_needed(variance: f64, distance: f64, level: Level, power: Level) -> f64 {
    ((level.score() + power.score()) / distance).powi(2) * variance
}

/// Pairs without which no bound comes within `distance`, be no pair discordant at all: −ln(error)/distance, the rule of
/// three.
pub fn least_pairs(distance: f64, level: Level) -> f64 {
    -normal_ln_sf(level.score()) / distance
}

/// The score of a power of 80 %, the usual one.
pub fn usual_power() -> Level {
    Level::new(0.2).expect("an error below one half")
}

/// The place between `low` and `high` up to which `holds`.
fn halve(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn five() -> Level {
        Level::new(0.05).expect("a level")
    }

    /// Golden values from likelihoods maximized by SciPy, its beta and binomial distributions, statsmodels
    /// and exact sums of exponentials: see `tests/golden/paired.py`.
    #[test]
    fn bounds_agree_with_golden_values() {
        let golden = include_str!("../../tests/golden/paired.csv");
        let mut rows = 0;
        for line in golden.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let numbers: Vec<f64> = cells[1].split('/').map(|x| x.parse().expect("a number")).collect();
            let count = |i: usize| numbers[i] as u64;
            let pairs = || PairCounts { ties: count(0), gains: count(1), losses: count(2) };
            let (error, expected) = (cells[2].parse().expect("a level"), cells[3].parse::<f64>().expect("a number"));
            let level = Level::new(error).expect("a level");
            let (found, tolerance) = match cells[0] {
                "tango_low" => (pairs().difference(level).expect("pairs").low, 1e-7),
                "tango_high" => (pairs().difference(level).expect("pairs").high, 1e-7),
                "mcnemar_ln_p" => (pairs().better_ln_p(), 1e-9),
                "wilson_low" => (share(count(0), count(1), level).expect("a share").0, 1e-9),
                "wilson_high" => (share(count(0), count(1), level).expect("a share").1, 1e-9),
                "bounded_low" => (bounded_difference(&numbers, level).expect("pairs").low, 1e-2),
                other => panic!("no function named {other}"),
            };
            assert!((found - expected).abs() <= tolerance * expected.abs().max(1e-2), "{line}: found {found}");
            rows += 1;
        }
        assert!(rows > 50, "the golden file holds {rows} rows");
    }

    #[test]
    fn one_point_at_six_percent_discordance_takes_3700_pairs() {
        let pairs = pairs_needed(0.06, 0.01, five(), usual_power());
        assert!((3_700.0..3_720.0).contains(&pairs), "{pairs}");
    }

    #[test]
    fn without_any_discordant_pair_the_bound_still_needs_pairs() {
        for (n, low) in [(100, -0.0263), (300, -0.008_93), (10_000, -0.000_27)] {
            let found = PairCounts { ties: n, ..PairCounts::default() }.difference(five()).expect("pairs");
            assert!((found.low - low).abs() < 5e-5 && (found.high + low).abs() < 5e-5, "{n}: {found:?}");
            let real = bounded_difference(&vec![0.0; n as usize], five()).expect("pairs");
            assert!((real.low * n as f64 + 3.0).abs() < 0.12, "{n}: about −3/n, found {real:?}");
        }
        assert_eq!(PairCounts::default().difference(five()), None);
        assert_eq!(bounded_difference(&[], five()), None);
    }

    /// Both bounds miss as often as they say, on differences most of which are zero.
    #[test]
    fn bounds_miss_as_often_as_they_say() {
        let mut rng = StdRng::seed_from_u64(5);
        let (trials, n) = (1_000, 300);
        let (mut missed, mut missed_real) = (0, 0);
        for _ in 0..trials {
            let mut counts = PairCounts::default();
            let mut differences = Vec::with_capacity(n);
            for _ in 0..n {
                let u: f64 = rng.random();
                match u {
                    u if u < 0.03 => counts.gains += 1,
                    u if u < 0.08 => counts.losses += 1,
                    _ => counts.ties += 1,
                }
                let size = f64::from(rng.random_range(1..=4)) / 4.0;
                differences.push(if u < 0.03 {
                    size
                } else if u < 0.08 {
                    -size
                } else {
                    0.0
                });
            }
            missed += u32::from(counts.difference(five()).expect("pairs").low > -0.02);
            missed_real += u32::from(bounded_difference(&differences, five()).expect("pairs").low > -0.02 * 0.625);
        }
        // The worst possible difference that is reckoned in weighs 1/n: it makes the second bound careful.
        for (missed, expected) in [(missed, 0.03..0.068), (missed_real, 0.01..0.06)] {
            let share = f64::from(missed) / f64::from(trials);
            assert!(expected.contains(&share), "{share}");
        }
    }
}
