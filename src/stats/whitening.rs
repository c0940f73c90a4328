//! Covariances of a sample: a linear map that makes it white, and the traces that the law of a
//! quadratic form needs.

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

/// tr C and tr C² of a sample's covariance; `None` for fewer than two vectors.
///
/// tr C² takes off what the sample's own noise adds to it, (tr C)²/n, so that a small sample does not
/// overstate the effective dimension's inverse.
pub fn traces(sample: &[Vec<f32>]) -> Option<(f64, f64)> {
    let covariance = covariance(sample)?;
    let trace = covariance.trace();
    let square = covariance.norm_squared();
    let unbiased = square - trace * trace / sample.len() as f64;
    Some((trace, unbiased.max(trace * trace / covariance.nrows() as f64)))
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

    #[test]
    fn traces_are_those_of_the_covariance() {
        // C = [[4, 2, 0], [2, 2, 0], [0, 0, 0]]: trace 6, trace of square 28.
        let (trace, square) = traces(&sample()).expect("has variance");
        assert!((trace - 6.0).abs() < 0.2 && (square - 28.0).abs() < 1.5, "{trace} {square}");
        assert_eq!(traces(&[vec![1.0]]), None);
    }
}
