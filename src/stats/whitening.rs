//! A linear map that makes a sample white.

use nalgebra::{Cholesky, DMatrix, DVector};
use serde::{Deserialize, Serialize};

/// The inverse Cholesky factor of a covariance: differences of means become independent with variance
/// 1 a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Whitening {
    dimension: usize,
    /// Row-major, lower triangular.
    inverse: Vec<f64>,
}

/// Added to the diagonal, as a share of the mean variance, so that constant directions do no harm.
const RIDGE: f64 = 1e-3;

impl Whitening {
    /// Fits to vectors of one length, all finite. `None` for fewer than two or without any variance.
    pub fn fit(sample: &[Vec<f32>]) -> Option<Whitening> {
        let dimension = sample.first()?.len();
        let mut covariance = covariance(sample)?;
        let mean_variance = covariance.trace() / dimension as f64;
        if mean_variance <= 0.0 || !mean_variance.is_finite() {
            return None;
        }
        for i in 0..dimension {
            covariance[(i, i)] += RIDGE * mean_variance;
        }
        let inverse = Cholesky::new(covariance)?.l().try_inverse()?;
        Some(Whitening { dimension, inverse: inverse.transpose().as_slice().to_vec() })
    }

    /// The identity.
    pub fn none(dimension: usize) -> Whitening {
        let one = |i: usize| if i.is_multiple_of(dimension + 1) { 1.0 } else { 0.0 };
        Whitening { dimension, inverse: (0..dimension * dimension).map(one).collect() }
    }

    /// Length of the vectors.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The white image of a vector.
    pub fn apply(&self, vector: &[f64]) -> Vec<f64> {
        let rows = self.inverse.chunks_exact(self.dimension).enumerate();
        rows.map(|(i, row)| row[..=i].iter().zip(vector).map(|(a, x)| a * x).sum()).collect()
    }
}

fn covariance(sample: &[Vec<f32>]) -> Option<DMatrix<f64>> {
    const BLOCK: usize = 512;
    let dimension = sample.first()?.len();
    if sample.len() < 2 || dimension == 0 {
        return None;
    }
    let n = sample.len() as f64;
    let mut mean = DVector::<f64>::zeros(dimension);
    for vector in sample {
        mean.iter_mut().zip(vector).for_each(|(m, v)| *m += f64::from(*v) / n);
    }
    let mut sum = DMatrix::<f64>::zeros(dimension, dimension);
    for block in sample.chunks(BLOCK) {
        let centred = DMatrix::from_iterator(
            dimension,
            block.len(),
            block.iter().flat_map(|v| v.iter().zip(mean.iter()).map(|(v, m)| f64::from(*v) - m)),
        );
        sum.gemm(1.0, &centred, &centred.transpose(), 1.0);
    }
    Some(sum / (n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn sample() -> Vec<Vec<f32>> {
        let mut rng = StdRng::seed_from_u64(6);
        let mut normal = move || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        (0..20_000)
            .map(|_| {
                let (a, b) = (normal(), normal());
                vec![2.0 * a, a + b, 0.5]
            })
            .collect()
    }

    #[test]
    fn whitened_vectors_are_white() {
        let sample = sample();
        let whitening = Whitening::fit(&sample).expect("has variance");
        let white: Vec<Vec<f32>> = sample
            .iter()
            .map(|v| whitening.apply(&v.iter().map(|x| f64::from(*x)).collect::<Vec<_>>()))
            .map(|v| v.into_iter().map(|x| x as f32).collect())
            .collect();
        let found = covariance(&white).expect("has variance");
        assert!((found[(0, 0)] - 1.0).abs() < 0.01 && (found[(1, 1)] - 1.0).abs() < 0.01, "{found}");
        assert!(found[(0, 1)].abs() < 0.01 && found[(2, 2)] < 1e-6, "{found}");
        assert_eq!(Whitening::fit(&[vec![1.0], vec![1.0]]), None);
    }
}
