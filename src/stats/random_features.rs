//! Random Fourier features (Rahimi & Recht 2007): cosines of random projections, whose mean over a
//! window embeds its distribution, so that the distance of two means is a maximum mean discrepancy.

use std::f32::consts::TAU;

use multiversion::multiversion;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::{Deserialize, Serialize};

use super::fixed::WHOLE;

/// A random projection with a phase for each feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RandomProjection {
    dimension: usize,
    /// Row-major [features, dimension], standard normal.
    rows: Vec<f32>,
    phases: Vec<f32>,
}

impl RandomProjection {
    /// Draws `features` directions in `dimension` coordinates; the same for the same seed.
    pub fn draw(features: usize, dimension: usize, seed: u64) -> RandomProjection {
        let mut rng = StdRng::seed_from_u64(seed);
        // Box and Muller (1958).
        let mut normal = || {
            let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
            ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
        };
        let rows = (0..features * dimension).map(|_| normal()).collect();
        let phases = (0..features).map(|_| rng.random::<f32>() * TAU).collect();
        RandomProjection { dimension, rows, phases }
    }

    /// Number of features.
    pub fn features(&self) -> usize {
        self.phases.len()
    }

    /// A random phase for each feature, in [0, 2π).
    pub fn phases(&self) -> &[f32] {
        &self.phases
    }

    /// Projections of a point with `dimension` coordinates, before scale and phase.
    pub fn project(&self, point: &[f32]) -> Vec<f32> {
        super::principal::dots(&self.rows, point)
    }
}

/// Cosines of projections less those of a mean, scaled and with their phases.
#[multiversion(targets("x86_64+avx2"))]
pub fn cosines(projections: &[f32], mean: &[f32], phases: &[f32], scale: f32) -> Vec<f32> {
    let mut cosines = vec![0.0; phases.len()];
    for (((found, p), m), phase) in cosines.iter_mut().zip(projections).zip(mean).zip(phases) {
        *found = cosine((p - m) * scale + phase);
    }
    cosines
}

/// cos(x) to 2e-6 for |x| below 1e4, in plain arithmetic that the compiler vectorizes and that gives the
/// same bits everywhere.
#[inline(always)]
fn cosine(x: f32) -> f32 {
    let turns = x * (1.0 / TAU);
    let part = turns - ((turns + WHOLE) - WHOLE); // in [−½, ½]
    // cos(2πr) = −sin(2π(|r| − ¼)), and the sine's series converges fast on a quarter turn.
    let y = (part.abs() - 0.25) * TAU;
    let y2 = y * y;
    -y * (1.0
        + y2 * (-1.0 / 6.0 + y2 * (1.0 / 120.0 + y2 * (-1.0 / 5_040.0 + y2 * (1.0 / 362_880.0 - y2 / 39_916_800.0)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosine_is_close_to_the_library_one() {
        for i in -4_000..4_000 {
            let x = i as f32 * 0.013;
            assert!((cosine(x) - x.cos()).abs() < 5e-6, "{x}: {} against {}", cosine(x), x.cos());
        }
    }

    #[test]
    fn cosines_have_the_same_bits_in_wider_registers() {
        let values = |scale: f32| (0..259).map(|i| (i as f32 - 130.0) * scale).collect::<Vec<f32>>();
        let (projections, mean, phases) = (values(0.37), values(-0.011), values(0.023));
        let narrow: Vec<u32> =
            (0..259).map(|i| cosine((projections[i] - mean[i]) * 0.83 + phases[i]).to_bits()).collect();
        let found: Vec<u32> = cosines(&projections, &mean, &phases, 0.83).into_iter().map(f32::to_bits).collect();
        assert_eq!(found, narrow);
    }

    #[test]
    fn features_embed_the_gaussian_kernel() {
        // 2/D Σ cos(wx + b) cos(wy + b) estimates exp(−|x − y|²/2).
        let projection = RandomProjection::draw(4_096, 3, 1);
        let (x, y) = ([0.2, -0.5, 1.0], [0.9, 0.1, 0.4]);
        let features =
            |p: &[f32]| -> Vec<f32> { cosines(&projection.project(p), &[0.0; 4_096], projection.phases(), 1.0) };
        let dot: f32 = features(&x).iter().zip(features(&y)).map(|(a, b)| a * b).sum();
        let kernel = (-0.5 * x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()).exp();
        assert!((2.0 * dot / 4_096.0 - kernel).abs() < 0.04);
        assert_eq!(projection, RandomProjection::draw(4_096, 3, 1));
    }
}
