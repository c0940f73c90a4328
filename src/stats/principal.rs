//! Principal axes of a cloud of vectors, and whitened coordinates along them.

use multiversion::multiversion;
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
    /// The vector less the sample's mean.
    pub centred: Vec<f32>,
}

impl Principal {
    /// Fits up to `k` axes to vectors of one dimension; non-finite ones must be left out by the caller.
    /// `None` for fewer than two vectors or no variance at all.
    pub fn fit<'a>(vectors: impl Iterator<Item = &'a [f32]>, dimension: usize, k: usize) -> Option<Principal> {
        let mut scatter = Scatter::new(dimension);
        scatter.add_all(vectors);
        scatter.principal(k)
    }

    /// Number of axes kept.
    pub fn axes(&self) -> usize {
        self.explained.len()
    }

    /// Length of the vectors it was fitted to.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    /// The sample's mean, as long as its vectors.
    pub fn mean(&self) -> &[f32] {
        &self.mean
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
        self.position_of_centred(vector.iter().zip(&self.mean).map(|(v, m)| v - m).collect())
    }

    /// The axes, each of length [dimension] and divided by its standard deviation.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.axes.chunks_exact(self.mean.len())
    }

    /// The position of a vector of the right length, less the mean; `None` if it holds a non-number.
    pub fn position_of_centred(&self, centred: Vec<f32>) -> Option<Position> {
        let coordinates: Vec<f32> = dots(&self.axes, &centred);
        let explained: f32 = coordinates.iter().zip(&self.variances).map(|(c, v)| c * c * v).sum();
        let residual = (dot(&centred, &centred) - explained).max(0.0).sqrt();
        let finite = residual.is_finite() && coordinates.iter().all(|c| c.is_finite());
        finite.then_some(Position { coordinates, residual, centred })
    }

    /// What the kept axes do not explain of a centred vector, or of a difference of two.
    pub fn unexplained(&self, centred: &[f32]) -> Vec<f32> {
        let mut rest = centred.to_vec();
        for (axis, variance) in self.axes.chunks_exact(self.mean.len()).zip(&self.variances) {
            // An axis has the length 1/σ.
            let along = dot(axis, centred) * variance;
            rest.iter_mut().zip(axis).for_each(|(r, a)| *r -= along * a);
        }
        rest
    }
}

/// A turn of the space about its mean that takes the subspace of some axes to that of others, and moves nothing more
/// than it must: the direct rotation (Davis & Kahan 1970).
#[derive(Clone, Debug)]
pub struct Turn {
    dimension: usize,
    /// Row-major [k, dimension]: orthonormal axes of the one subspace, chosen nearest to
    from: Vec<f32>,
    /// those of the other.
    to: Vec<f32>,
    /// Row-major [k, dimension]: (I + C)⁻¹ times the sums of both, where C holds the cosines between them.
    middle: Vec<f32>,
    /// Row-major [k, dimension]: the scaled axes of the one, turned among themselves until the sample's coordinates are
    /// nearest to those along the other's.
    scaled: Vec<f32>,
}

impl Turn {
    /// From the axes of `own` to those of `other`; `None` if they are not as many, or at right angles.
    pub fn between(own: &Principal, other: &Principal) -> Option<Turn> {
        let (k, dimension) = (own.axes(), own.dimension());
        if (k, dimension) != (other.axes(), other.dimension()) {
            return None;
        }
        let deviation = |principal: &Principal, i: usize| f64::from(principal.variances[i]).sqrt();
        let scaled = |p: &Principal| DMatrix::from_fn(k, dimension, |i, j| f64::from(p.axes[i * dimension + j]));
        let unit = |p: &Principal| {
            let mut axes = scaled(p);
            axes.row_iter_mut().enumerate().for_each(|(i, mut axis)| axis *= deviation(p, i));
            axes
        };
        // Orthogonal Procrustes (Schönemann 1966).
        let nearest = |products: DMatrix<f64>| {
            let found = products.svd(true, true);
            Some(found.u? * found.v_t?)
        };
        let to = unit(other);
        let from = nearest(&to * unit(own).transpose())? * unit(own);
        // What the sample's coordinates along both have in common: A S Bᵀ with the axes A of the other, B of the one,
        // and the sample's covariance S, along whose axes A lies.
        let common = DMatrix::from_fn(k, dimension, |i, j| to[(i, j)] * deviation(other, i)) * scaled(own).transpose();
        let scaled = nearest(common)? * scaled(own);
        let cosines = &from * to.transpose();
        let middle = (DMatrix::identity(k, k) + cosines).try_inverse()? * (&from + &to);
        let rows = |matrix: &DMatrix<f64>| matrix.transpose().iter().map(|v| *v as f32).collect();
        Some(Turn { dimension, from: rows(&from), to: rows(&to), middle: rows(&middle), scaled: rows(&scaled) })
    }

    /// Coordinates of a vector less the mean: along the axes of the one, each of variance 1 over its own sample, turned
    /// to those of the other. Scaled by the other's variances they would be too short, since axes of one sample are not
    /// where another is widest.
    pub fn coordinates(&self, centred: &[f32]) -> Vec<f32> {
        dots(&self.scaled, centred)
    }

    /// Where a vector less the mean comes to lie: x − (F + T)ᵀ(I + C)⁻¹(F + T) x + 2 Tᵀ F x.
    pub fn apply(&self, centred: &[f32]) -> Vec<f32> {
        let mut turned = centred.to_vec();
        let along = dots(&self.from, centred).into_iter().zip(dots(&self.middle, centred));
        let axes = self.from.chunks_exact(self.dimension).zip(self.to.chunks_exact(self.dimension));
        for ((along, middle), (from, to)) in along.zip(axes) {
            let of_to = 2.0 * along - middle;
            for ((x, f), t) in turned.iter_mut().zip(from).zip(to) {
                *x += of_to * t - middle * f;
            }
        }
        turned
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

/// Inner products of a vector with each row of a matrix: the bits of [`dot`], four rows at a time, so that
/// each entry of the vector is read once for the four, and no addition waits for the one before it.
pub(super) fn dots(rows: &[f32], vector: &[f32]) -> Vec<f32> {
    let width = vector.len().max(1);
    let mut found = Vec::with_capacity(rows.len() / width);
    let mut blocks = rows.chunks_exact(ROWS * width);
    let mut lanes = [[0.0; 8]; ROWS];
    for block in &mut blocks {
        four_by_lane(block, vector, &mut lanes);
        found.extend(across(&lanes));
        if !width.is_multiple_of(8) {
            let first = found.len() - ROWS;
            for (total, row) in found[first..].iter_mut().zip(block.chunks_exact(width)) {
                let rest = row.iter().zip(vector).skip(width / 8 * 8);
                *total += rest.map(|(x, y)| x * y).sum::<f32>();
            }
        }
    }
    found.extend(blocks.remainder().chunks_exact(width).map(|row| dot(row, vector)));
    found
}

const ROWS: usize = 4;

/// The lanes of [`dot`] for four rows. On its own, as is [`across`]: together, compilers cut the vectors
/// along the rows, which costs twice the time.
#[multiversion(targets("x86_64+avx2"))]
fn four_by_lane(rows: &[f32], vector: &[f32], lanes: &mut [[f32; 8]; ROWS]) {
    let (v8, _) = vector.as_chunks::<8>();
    let width = vector.len();
    let rows: [&[[f32; 8]]; ROWS] =
        std::array::from_fn(|row| &rows[row * width..(row + 1) * width].as_chunks::<8>().0[..v8.len()]);
    let mut sums = [[0.0_f32; 8]; ROWS];
    for (at, v) in v8.iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(&rows) {
            for i in 0..8 {
                sums[i] += row[at][i] * v[i];
            }
        }
    }
    *lanes = sums;
}

#[inline(never)]
fn across(lanes: &[[f32; 8]; ROWS]) -> [f32; ROWS] {
    std::array::from_fn(|row| lanes[row].iter().sum::<f32>())
}

/// Sums from which principal axes follow; those of a part can be taken off again.
#[derive(Clone, Debug)]
pub struct Scatter {
    n: f64,
    sum: Vec<f64>,
    products: DMatrix<f64>,
}

impl Scatter {
    /// Sums over no vector.
    pub fn new(dimension: usize) -> Scatter {
        Scatter { n: 0.0, sum: vec![0.0; dimension], products: DMatrix::zeros(dimension, dimension) }
    }

    /// Adds vectors of the right length.
    pub fn add_all<'a>(&mut self, vectors: impl Iterator<Item = &'a [f32]>) {
        const BLOCK: usize = 256;
        let dimension = self.sum.len();
        let mut block = Vec::with_capacity(BLOCK * dimension);
        for vector in vectors {
            self.n += 1.0;
            self.sum.iter_mut().zip(vector).for_each(|(s, v)| *s += f64::from(*v));
            block.extend(vector.iter().map(|v| f64::from(*v)));
            if block.len() >= BLOCK * dimension {
                self.add_block(&mut block);
            }
        }
        self.add_block(&mut block);
    }

    fn add_block(&mut self, block: &mut Vec<f64>) {
        if let Some(columns) = block.len().checked_div(self.sum.len()).filter(|c| *c > 0) {
            let vectors = DMatrix::from_column_slice(self.sum.len(), columns, block);
            self.products.gemm(1.0, &vectors, &vectors.transpose(), 1.0);
            block.clear();
        }
    }

    /// The sums of both.
    pub fn plus(mut self, other: &Scatter) -> Scatter {
        self.n += other.n;
        self.sum.iter_mut().zip(&other.sum).for_each(|(a, b)| *a += b);
        self.products += &other.products;
        self
    }

    /// The sums without a part that was added before.
    pub fn without(&self, part: &Scatter) -> Scatter {
        let sum = self.sum.iter().zip(&part.sum).map(|(a, b)| a - b).collect();
        Scatter { n: self.n - part.n, sum, products: &self.products - &part.products }
    }

    /// The leading `k` axes. `None` for fewer than two vectors or no variance at all.
    pub fn principal(&self, k: usize) -> Option<Principal> {
        let (n, dimension) = (self.n, self.sum.len());
        if n < 2.0 || dimension == 0 {
            return None;
        }
        let mean: Vec<f64> = self.sum.iter().map(|s| s / n).collect();
        let mut covariance = self.products.clone() / (n - 1.0);
        for j in 0..dimension {
            for i in 0..dimension {
                covariance[(i, j)] -= mean[i] * mean[j] * (n / (n - 1.0));
            }
        }
        let scale = (0..dimension).map(|i| self.products[(i, i)] / n).fold(0.0, f64::max);
        let eigen = SymmetricEigen::new(covariance);
        let total: f64 = eigen.eigenvalues.iter().map(|e| e.max(0.0)).sum();
        let mut order: Vec<usize> = (0..dimension).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let largest = eigen.eigenvalues[order[0]];
        if !largest.is_finite() || largest <= scale * LEAST_VARIANCE_RATIO * 1e-3 {
            return None;
        }
        order.truncate(k);
        order.retain(|&i| eigen.eigenvalues[i] > largest * LEAST_VARIANCE_RATIO);
        let mut axes = Vec::with_capacity(order.len() * dimension);
        for &i in &order {
            let column = eigen.eigenvectors.column(i);
            // An axis has no direction of its own: the first of its largest entries is made positive.
            let lead = column.iter().copied().fold(0.0_f64, |a, b| if b.abs() > a.abs() + 1e-12 { b } else { a });
            let scale = lead.signum() / eigen.eigenvalues[i].sqrt();
            axes.extend(column.iter().map(|v| (v * scale) as f32));
        }
        Some(Principal {
            mean: mean.into_iter().map(|m| m as f32).collect(),
            axes,
            explained: order.iter().map(|&i| eigen.eigenvalues[i] / total).collect(),
            variances: order.iter().map(|&i| eigen.eigenvalues[i] as f32).collect(),
        })
    }
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
    fn a_turn_takes_one_subspace_to_the_other_and_keeps_lengths() {
        let (own, other) = (fitted(&cloud(300)[..40]), fitted(&cloud(300)[150..]));
        let turn = Turn::between(&own, &other).expect("as many axes");
        let one_axis = Principal::fit(cloud(9).iter().map(Vec::as_slice), 4, 1).expect("varies");
        assert!(Turn::between(&own, &one_axis).is_none());
        for vector in &cloud(20) {
            let turned = turn.apply(vector);
            let close = |a: f32, b: f32| assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{a} for {b}");
            close(dot(&turned, &turned), dot(vector, vector));
            let [after, before] = [other.unexplained(&turned), own.unexplained(vector)].map(|v| dot(&v, &v));
            close(after, before);
            let from_mean: Vec<f32> = vector.iter().zip(&own.mean).map(|(v, m)| v - m).collect();
            let [along, by_own, by_other] = [
                turn.coordinates(&from_mean),
                own.position(vector).expect("a position").coordinates,
                other.position_of_centred(from_mean.clone()).expect("a position").coordinates,
            ];
            close(dot(&along, &along), dot(&by_own, &by_own));
            let apart: f32 = along.iter().zip(&by_other).map(|(a, b)| (a - b).powi(2)).sum();
            assert!(apart < 0.1 * (1.0 + dot(&by_other, &by_other)), "{along:?} for {by_other:?}");
        }
        // What the axes of the one explain, in other directions of their plane, stays where it is.
        let swapped: Vec<f32> = [&other.axes[4..], &other.axes[..4]].concat();
        let variances = vec![other.variances[1], other.variances[0]];
        let still = Turn::between(&Principal { axes: swapped, variances, ..other.clone() }, &other).expect("as many");
        for vector in &cloud(5) {
            assert!(still.apply(vector).iter().zip(vector).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }

    fn fitted(vectors: &[Vec<f32>]) -> Principal {
        Principal::fit(vectors.iter().map(Vec::as_slice), 4, 2).expect("varies")
    }

    #[test]
    fn products_of_many_rows_have_the_bits_of_each() {
        let number = |i: usize| ((i * 7_919 % 1_009) as f32 - 500.0) / 37.0;
        for (rows, width) in [(1, 5), (4, 8), (7, 19), (32, 384), (9, 1), (0, 6)] {
            let matrix: Vec<f32> = (0..rows * width).map(number).collect();
            let vector: Vec<f32> = (0..width).map(|i| number(i + 31)).collect();
            let each: Vec<u32> = matrix.chunks_exact(width).map(|row| dot(row, &vector).to_bits()).collect();
            let many: Vec<u32> = dots(&matrix, &vector).into_iter().map(f32::to_bits).collect();
            assert_eq!(each, many, "{rows} x {width}");
        }
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
    fn what_the_axes_leave_is_orthogonal_to_them() {
        let cloud = cloud(500);
        let fitted = Principal::fit(cloud.iter().map(Vec::as_slice), 4, 1).expect("has variance");
        let position = fitted.position(&cloud[7]).expect("finite");
        let rest = fitted.unexplained(&position.centred);
        assert!((dot(&rest, &rest).sqrt() - position.residual).abs() < 1e-3);
        assert!(dot(&rest, &fitted.axes).abs() < 1e-3);
    }

    #[test]
    fn a_part_can_be_taken_off_again() {
        let cloud = cloud(600);
        let scatter = |vectors: &[Vec<f32>]| {
            let mut scatter = Scatter::new(4);
            scatter.add_all(vectors.iter().map(Vec::as_slice));
            scatter
        };
        let (part, rest) = (scatter(&cloud[..200]), scatter(&cloud[200..]));
        let back = rest.clone().plus(&part).without(&part).principal(2).expect("has variance");
        let direct = rest.principal(2).expect("has variance");
        assert!(back.axes.iter().zip(&direct.axes).all(|(a, b)| (a - b).abs() < 1e-3), "{back:?} {direct:?}");
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
