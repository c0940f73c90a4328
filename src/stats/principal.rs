//! Principal axes of a cloud of vectors, and whitened coordinates along them.

use nalgebra::{DMatrix, SymmetricEigen};
use serde::{Deserialize, Serialize};

/// Axes with less variance than this share of the largest are noise of the arithmetic.
const LEAST_VARIANCE_RATIO: f64 = 1e-9;

/// The leading principal axes of a sample, scaled so that coordinates have variance 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Principal {
    mean: Vec<f32>,
    /// Row-major [k, dimension]; row j is axis j divided by its standard deviation.
    axes: Vec<f32>,
    /// Share of the total variance along each axis, decreasing.
    explained: Vec<f64>,
    /// Variance along each axis.
    variances: Vec<f32>,
}

/// Where a vector lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// Coordinates along the kept axes, each of variance 1 on the sample.
    pub coordinates: Vec<f32>,
    /// Length of what the kept axes do not explain, in the vector's own units.
    pub residual: f32,
}

impl Principal {
    /// Fits up to `k` axes to `vectors` (each of length `dimension`; non-finite ones must be left
    /// out by the caller). `None` for fewer than two vectors or no variance at all.
    pub fn fit<'a>(vectors: impl Iterator<Item = &'a [f32]> + Clone, dimension: usize, k: usize) -> Option<Principal> {
        let n = vectors.clone().count();
        if n < 2 || dimension == 0 {
            return None;
        }
        let mut mean = vec![0.0_f64; dimension];
        for vector in vectors.clone() {
            mean.iter_mut().zip(vector).for_each(|(m, v)| *m += f64::from(*v));
        }
        mean.iter_mut().for_each(|m| *m /= n as f64);
        let eigen = SymmetricEigen::new(covariance(vectors, &mean, n));
        let total: f64 = eigen.eigenvalues.iter().sum();
        let mut order: Vec<usize> = (0..dimension).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let largest = eigen.eigenvalues[order[0]];
        if largest <= 0.0 || !largest.is_finite() {
            return None;
        }
        order.truncate(k);
        order.retain(|&i| eigen.eigenvalues[i] > largest * LEAST_VARIANCE_RATIO);
        let mut axes = Vec::with_capacity(order.len() * dimension);
        for &i in &order {
            let scale = 1.0 / eigen.eigenvalues[i].sqrt();
            axes.extend(eigen.eigenvectors.column(i).iter().map(|v| (v * scale) as f32));
        }
        Some(Principal {
            mean: mean.into_iter().map(|m| m as f32).collect(),
            axes,
            explained: order.iter().map(|&i| eigen.eigenvalues[i] / total).collect(),
            variances: order.iter().map(|&i| eigen.eigenvalues[i] as f32).collect(),
        })
    }

    /// Number of axes kept.
    pub fn axes(&self) -> usize {
        self.explained.len()
    }

    /// Length of the vectors it was fitted to.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// Share of the total variance that the kept axes explain.
    pub fn explained(&self) -> f64 {
        self.explained.iter().sum()
    }

    /// The position of a vector; `None` if it has another length or holds a non-number.
    pub fn position(&self, vector: &[f32]) -> Option<Position> {
        if vector.len() != self.mean.len() {
            return None;
        }
        let centred: Vec<f32> = vector.iter().zip(&self.mean).map(|(v, m)| v - m).collect();
        let coordinates: Vec<f32> = self.axes.chunks_exact(self.mean.len()).map(|axis| dot(axis, &centred)).collect();
        let explained: f32 = coordinates.iter().zip(&self.variances).map(|(c, v)| c * c * v).sum();
        let residual = (dot(&centred, &centred) - explained).max(0.0).sqrt();
        let finite = residual.is_finite() && coordinates.iter().all(|c| c.is_finite());
        finite.then_some(Position { coordinates, residual })
    }
}

/// Inner product in eight independent lanes: the compiler vectorizes it, and the order of the
/// additions is fixed, so that every machine with the same binary gets the same bits.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f32 = a8.remainder().iter().zip(b8.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in a8.zip(b8) {
        for i in 0..8 {
            lanes[i] += x[i] * y[i];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

fn covariance<'a>(vectors: impl Iterator<Item = &'a [f32]>, mean: &[f64], n: usize) -> DMatrix<f64> {
    const BLOCK: usize = 256;
    let dimension = mean.len();
    let mut sum = DMatrix::<f64>::zeros(dimension, dimension);
    let mut block = Vec::with_capacity(BLOCK * dimension);
    let flush = |block: &mut Vec<f64>, sum: &mut DMatrix<f64>| {
        if !block.is_empty() {
            let centred = DMatrix::from_column_slice(dimension, block.len() / dimension, block);
            sum.gemm(1.0, &centred, &centred.transpose(), 1.0);
            block.clear();
        }
    };
    for vector in vectors {
        block.extend(vector.iter().zip(mean).map(|(v, m)| f64::from(*v) - m));
        if block.len() >= BLOCK * dimension {
            flush(&mut block, &mut sum);
        }
    }
    flush(&mut block, &mut sum);
    sum / (n as f64 - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn cloud(n: usize) -> Vec<Vec<f32>> {
        let mut rng = StdRng::seed_from_u64(3);
        let mut normal = move || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
        (0..n)
            .map(|_| {
                let (a, b) = (normal(), normal());
                vec![5.0 + 3.0 * a, 2.0 * a + b, 0.1 * normal(), 1.0]
            })
            .collect()
    }

    #[test]
    fn coordinates_are_white_on_the_sample() {
        let cloud = cloud(4_000);
        let fitted = Principal::fit(cloud.iter().map(Vec::as_slice), 4, 3).expect("has variance");
        assert_eq!(fitted.axes(), 3, "the constant dimension has no axis");
        let rows: Vec<Vec<f32>> = cloud.iter().map(|v| fitted.position(v).expect("finite").coordinates).collect();
        for j in 0..3 {
            let mean = rows.iter().map(|r| f64::from(r[j])).sum::<f64>() / 4_000.0;
            let variance = rows.iter().map(|r| f64::from(r[j]).powi(2)).sum::<f64>() / 4_000.0;
            assert!(mean.abs() < 1e-3 && (variance - 1.0).abs() < 1e-2, "axis {j}: {mean} {variance}");
        }
        assert!(fitted.explained() > 0.999);
    }

    #[test]
    fn what_cannot_be_fitted_or_placed_is_none() {
        let flat = [[1.0_f32, 2.0], [1.0, 2.0], [1.0, 2.0]];
        assert_eq!(Principal::fit(flat.iter().map(|v| &v[..]), 2, 2), None);
        let fitted = Principal::fit(cloud(50).iter().map(Vec::as_slice), 4, 2).expect("has variance");
        assert_eq!(fitted.position(&[1.0, 2.0]), None);
        assert_eq!(fitted.position(&[f32::NAN, 0.0, 0.0, 0.0]), None);
    }
}
