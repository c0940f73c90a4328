//! How long what neighbouring windows have in common lasts, seen through each window's sampling noise.

/// The memory of an effect whose correlation over a lag of l windows is exp(−l/τ): an Ornstein–Uhlenbeck process,
/// which stands for shocks that last and for slow waves as well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// τ in windows, at least a half.
    pub windows: f64,
}

/// Below this τ neighbours have less than a seventh of their effects in common.
const LEAST: f64 = 0.5;
/// Memories that are tried stand in this ratio.
const STEP: f64 = 1.25;

impl Memory {
    /// Of effects that have nothing in common.
    pub const NONE: Memory = Memory { windows: LEAST };

    /// The memory whose autocovariances fit those of consecutive windows' deviations best (each of one length, in
    /// units of their sampling noise), by least squares weighted with pairs of windows.
    ///
    /// Noise is in no autocovariance but that of lag 0, which is not asked. Deviations are from the series' own mean,
    /// which has a part of a slow effect in it and makes its autocovariances smaller by the mean's own variance
    /// (Marriott & Pope 1954); the fit is of what is left, σ²(ρ(l) − var mean/σ²). Series that have nothing in common
    /// fit any memory as badly: ask [`serial_dependence`](super::calibration::serial_dependence) first.
    pub fn learn(deviations: &[Vec<f32>]) -> Memory {
        let t = deviations.len();
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
        let at = |lag: usize| {
            let pairs = deviations.iter().zip(&deviations[lag..]);
            (lag as f64, pairs.map(|(a, b)| product(a, b)).sum::<f64>() / (t - lag) as f64, (t - lag) as f64)
        };
        let found: Vec<(f64, f64, f64)> = lags(t / 2).map(at).collect();
        let mut best = (0.0, Memory::NONE);
        let mut memory = Memory::NONE;
        while memory.windows <= t as f64 / 2.0 {
            let left = memory.of_mean(t as f64);
            let shape = |lag: f64| (-lag / memory.windows).exp() - left;
            let [both, own] = found.iter().fold([0.0, 0.0], |[both, own], (lag, covariance, pairs)| {
                let shape = shape(*lag);
                [both + pairs * shape * covariance, own + pairs * shape * shape]
            });
            // By how much less of the squares is left over.
            let explained = if both > 0.0 && own > 0.0 { both * both / own } else { 0.0 };
            if explained > best.0 {
                best = (explained, memory);
            }
            memory.windows *= STEP;
        }
        best.1
    }

    /// How many independent ones so many windows' *squared* effects are worth, at least one.
    pub fn excursions(self, windows: f64) -> f64 {
        (windows * (1.0 / self.windows).tanh()).max(1.0)
    }

    /// Variance of the mean effect of so many windows, as a share of one window's; below 1.
    pub fn of_mean(self, windows: f64) -> f64 {
        // Two sides of a geometric sum, less what lies beyond both ends.
        let kept = (-1.0 / self.windows).exp();
        let whole = (1.0 + kept) / (1.0 - kept);
        let beyond = 2.0 * kept * (1.0 - kept.powf(windows)) / (windows * (1.0 - kept).powi(2));
        ((whole - beyond) / windows).clamp(0.0, 0.9)
    }
}

/// Lags of about equal distance on the log scale, up to `most`.
fn lags(most: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1_usize), |lag| Some((lag + 1).max(lag * 4 / 3))).take_while(move |lag| *lag <= most)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn normal(rng: &mut StdRng) -> f64 {
        let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// So many windows of effects in some directions, each of variance 1.
    pub(in crate::stats) fn wave(memory: f64, windows: usize, directions: usize, rng: &mut StdRng) -> Vec<Vec<f64>> {
        let kept = (-1.0 / memory).exp();
        let mut level: Vec<f64> = (0..directions).map(|_| normal(rng)).collect();
        let mut next = || {
            level.iter_mut().for_each(|x| *x = kept * *x + (1.0 - kept * kept).sqrt() * normal(rng));
            level.clone()
        };
        (0..windows).map(|_| next()).collect()
    }

    /// Deviations from the series' own mean, with so much noise in each window.
    fn seen(effects: &[Vec<f64>], noise: f64, rng: &mut StdRng) -> Vec<Vec<f32>> {
        let noisy: Vec<Vec<f64>> =
            effects.iter().map(|e| e.iter().map(|x| x + noise * normal(rng)).collect()).collect();
        let mean = |i: usize| noisy.iter().map(|x| x[i]).sum::<f64>() / noisy.len() as f64;
        let means: Vec<f64> = (0..noisy[0].len()).map(mean).collect();
        noisy.iter().map(|x| x.iter().zip(&means).map(|(x, mean)| (x - mean) as f32).collect()).collect()
    }

    #[test]
    fn a_memory_is_found_through_noise_and_in_few_excursions() {
        for (memory, noise) in [(2.0, 0.5), (12.0, 0.5), (12.0, 2.0), (72.0, 1.0), (168.0, 1.0)] {
            let mut rng = StdRng::seed_from_u64(2);
            let mut found: Vec<f64> = (0..41)
                .map(|_| Memory::learn(&seen(&wave(memory, 840, 4, &mut rng), noise, &mut rng)).windows / memory)
                .collect();
            found.sort_unstable_by(f64::total_cmp);
            assert!((0.7..1.4).contains(&found[20]) && found[4] > 0.35, "{memory} with {noise}: {found:?}");
        }
        assert_eq!(Memory::learn(&[]), Memory::NONE);
    }

    #[test]
    fn excursions_and_means_are_sums_over_lags() {
        for memory in [0.5, 3.0, 40.0] {
            let (windows, correlation) = (200, |lag: i32| (-f64::from(lag.abs()) / memory).exp());
            let all = (0..windows).flat_map(|i| (0..windows).map(move |j| correlation(i - j)));
            let mean = all.sum::<f64>() / f64::from(windows * windows);
            let memory = Memory { windows: memory };
            assert!((memory.of_mean(200.0) / mean - 1.0).abs() < 1e-9, "{memory:?}");
            let squares: f64 = (-4_000..=4_000).map(|lag| correlation(lag).powi(2)).sum();
            assert!((memory.excursions(200.0) * squares / 200.0 - 1.0).abs() < 1e-9, "{memory:?}");
        }
    }
}
