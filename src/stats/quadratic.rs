//! The law of n·|x̄|², the squared length of a mean of n independent vectors, under the null.
//!
//! For many records it is a weighted sum of χ² variables, whose cumulants are traces of powers of the
//! covariance (Box 1954). For few records of a heavy-tailed cloud that is far too light a tail, so the
//! cumulants here are the exact ones of n records, to the third, estimated from a sample of the cloud.

use serde::{Deserialize, Serialize};

use super::principal::dot;

/// What the first three cumulants of n·|x̄|² are made of, for every n.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuadraticLaw {
    /// tr C.
    trace: f64,
    /// tr C².
    square: f64,
    /// tr C³.
    cube: f64,
    /// Var |x|².
    length_variance: f64,
    /// Third central moment of |x|².
    length_third: f64,
    /// 4 E(x·y)³ + 12 E ã(x·y)² + 6 E ãb̃(x·y), with x, y independent and ã, b̃ their centred squared lengths.
    pairs: f64,
}

/// Mean, variance and third central moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cumulants {
    /// Mean.
    pub mean: f64,
    /// Variance.
    pub variance: f64,
    /// Third central moment.
    pub third: f64,
}

/// Vectors of a sample that are looked at.
const MOST: usize = 6_000;
/// Other vectors each is paired with.
const PARTNERS: usize = 24;

impl QuadraticLaw {
    /// From a sample of vectors of one length, all finite; its own mean is taken off. `None` for fewer than
    /// eight or without variance.
    ///
    /// Moments of pairs and triples are averages over fixed partners far apart in the sample, so the
    /// same sample gives the same law.
    pub fn fit(sample: &[Vec<f32>]) -> Option<QuadraticLaw> {
        const LEAST: usize = 8;
        let dimension = sample.first()?.len();
        if sample.len() < LEAST || dimension == 0 {
            return None;
        }
        let n = sample.len() as f64;
        let mut mean = vec![0.0_f64; dimension];
        for vector in sample {
            mean.iter_mut().zip(vector).for_each(|(m, v)| *m += f64::from(*v) / n);
        }
        let every = sample.len().div_ceil(MOST);
        let rows: Vec<Vec<f32>> = sample
            .iter()
            .step_by(every)
            .map(|row| row.iter().zip(&mean).map(|(v, m)| (f64::from(*v) - m) as f32).collect())
            .collect();
        let lengths: Vec<f64> = rows.iter().map(|row| f64::from(dot(row, row))).collect();
        let m = rows.len();
        let trace = lengths.iter().sum::<f64>() / m as f64;
        let centred = |i: usize| lengths[i] - trace;
        // Single-precision vectors leave so much of a constant's square.
        const ROUNDING: f64 = 1e-12;
        if !trace.is_finite() || trace <= ROUNDING * mean.iter().map(|m| m * m).sum::<f64>() {
            return None;
        }
        let power = |k: i32| (0..m).map(|i| centred(i).powi(k)).sum::<f64>() / m as f64;
        let (mut square, mut cube, mut pairs, mut found) = (0.0, 0.0, 0.0, 0.0);
        for step in offsets(m) {
            for i in 0..m {
                let (j, k) = ((i + step) % m, (i + 2 * step) % m);
                if i == k {
                    continue;
                }
                let xy = f64::from(dot(&rows[i], &rows[j]));
                let yz = f64::from(dot(&rows[j], &rows[k]));
                let zx = f64::from(dot(&rows[k], &rows[i]));
                square += xy * xy;
                cube += xy * yz * zx;
                pairs += 4.0 * xy.powi(3) + 12.0 * centred(i) * xy * xy + 6.0 * centred(i) * centred(j) * xy;
                found += 1.0;
            }
        }
        let of_dimension = trace * trace / dimension as f64;
        let square = (square / found).max(of_dimension);
        // tr C · tr C³ ≥ (tr C²)², by Cauchy and Schwarz.
        let cube = (cube / found).max(square * square / trace);
        let law = QuadraticLaw {
            trace,
            square,
            cube,
            length_variance: power(2),
            length_third: power(3),
            pairs: pairs / found,
        };
        (square > 0.0 && square.is_finite()).then_some(law)
    }

    /// Of k independent normal coordinates with variance 1: χ² with k degrees of freedom.
    pub fn white(k: usize) -> QuadraticLaw {
        let k = k as f64;
        // |x|² is χ² itself; given its length the direction is uniform: E(x·y)³ = 0, E ã(x·y)² = 2k, E ãb̃(x·y) = 0.
        QuadraticLaw { trace: k, square: k, cube: k, length_variance: 2.0 * k, length_third: 8.0 * k, pairs: 24.0 * k }
    }

    /// tr C, the mean of n·|x̄|² for any n.
    pub fn mean(&self) -> f64 {
        self.trace
    }

    /// Degrees of freedom of the scaled χ² with its mean and, for large n, its variance.
    pub fn degrees_of_freedom(&self) -> f64 {
        self.trace * self.trace / self.square
    }

    /// Cumulants of n·|x̄|² for n ≥ 1 records. The skewness is at least that of the scaled χ².
    pub fn cumulants(&self, n: f64) -> Cumulants {
        let n = n.max(1.0);
        let variance = 2.0 * self.square * (n - 1.0) / n + self.length_variance.max(0.0) / n;
        let third = 8.0 * self.cube * (n - 1.0) * (n - 2.0).max(0.0) / (n * n)
            + self.pairs * (n - 1.0) / (n * n)
            + self.length_third / (n * n);
        let variance = variance.max(self.square);
        Cumulants { mean: self.trace, variance, third: third.max(2.0 * variance * variance / self.trace) }
    }
}

/// Offsets that spread over 1..m, by the golden ratio.
fn offsets(m: usize) -> impl Iterator<Item = usize> {
    const GOLDEN: f64 = 0.618_033_988_75;
    (1..=PARTNERS).map(move |j| 1 + ((j as f64 * GOLDEN).fract() * (m - 1) as f64) as usize % (m - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    /// Mostly small, now and then large: skewed, with heavy tails.
    fn burst(rng: &mut StdRng) -> Vec<f32> {
        let size: f32 = if rng.random_bool(0.05) { 6.0 } else { 0.5 };
        (0..6).map(|i| size * (rng.random::<f32>() - 0.3) * (1.0 + i as f32)).collect()
    }

    #[test]
    fn cumulants_are_those_of_the_simulated_form() {
        let mut rng = StdRng::seed_from_u64(4);
        let sample: Vec<Vec<f32>> = (0..20_000).map(|_| burst(&mut rng)).collect();
        let law = QuadraticLaw::fit(&sample).expect("varies");
        let mut mean = [0.0_f64; 6];
        sample.iter().for_each(|row| mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v) / 20_000.0));
        for n in [5_usize, 20, 80] {
            const DRAWS: usize = 60_000;
            let mut found = Vec::with_capacity(DRAWS);
            for _ in 0..DRAWS {
                let mut sum = [0.0_f64; 6];
                for _ in 0..n {
                    let row = burst(&mut rng);
                    sum.iter_mut().zip(row).zip(&mean).for_each(|((s, v), m)| *s += f64::from(v) - m);
                }
                found.push(sum.iter().map(|s| s * s).sum::<f64>() / n as f64);
            }
            let average = found.iter().sum::<f64>() / DRAWS as f64;
            let moment = |k: i32| found.iter().map(|f| (f - average).powi(k)).sum::<f64>() / DRAWS as f64;
            let told = law.cumulants(n as f64);
            assert!((told.mean / average - 1.0).abs() < 0.05, "{n}: mean {} {average}", told.mean);
            assert!((told.variance / moment(2) - 1.0).abs() < 0.15, "{n}: variance {} {}", told.variance, moment(2));
            assert!((told.third / moment(3) - 1.0).abs() < 0.4, "{n}: third {} {}", told.third, moment(3));
        }
    }

    #[test]
    fn a_white_normal_cloud_gives_chi_square() {
        let law = QuadraticLaw::white(7);
        for n in [1.0, 2.0, 50.0] {
            let told = law.cumulants(n);
            assert!((told.mean - 7.0).abs() < 1e-12 && (told.variance - 14.0).abs() < 1e-9, "{n}: {told:?}");
            assert!((told.third - 56.0).abs() < 1e-9, "{n}: {told:?}");
        }
        assert_eq!(QuadraticLaw::fit(&vec![vec![1.0; 3]; 50]), None);
        assert_eq!(QuadraticLaw::fit(&[vec![1.0], vec![2.0]]), None);
    }
}
