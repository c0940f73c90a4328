//! How the reference's own windows vary when nothing is wrong: more than independent records would,
//! and perhaps together with their neighbours.

use super::memory::Memory;
use super::probability::{chi_square_quantile, f_quantile, normal_score};

/// One reference window's statistic against the reference.
#[derive(Clone, Copy, Debug)]
pub struct NullStatistic {
    /// G, T² or another, uncorrected.
    pub statistic: f64,
    /// What it would be on average if records were independent.
    pub null_mean: f64,
    /// And its variance there.
    pub null_variance: f64,
    /// Its degrees of freedom.
    pub degrees_of_freedom: f64,
    /// Records (or tokens) in the window.
    pub n: f64,
}

/// The intra-window correlation ρ ≥ 0 that explains the mean of the reference windows' statistics.
///
/// The design effect of a window of n is 1 + (n − 1)ρ (Kish 1965), so each window estimates
/// ρ = (G/E₀G − 1)/(n − 1); the estimates are weighted by degrees of freedom. Below two windows there
/// is nothing to learn from and ρ is 0; callers mark such a reference as provisional.
pub fn intra_window_correlation(windows: &[NullStatistic]) -> f64 {
    let usable = || windows.iter().filter(|w| w.n > 1.0 && w.degrees_of_freedom > 0.0 && w.null_mean > 0.0);
    if usable().count() < 2 {
        return 0.0;
    }
    let weight: f64 = usable().map(|w| w.degrees_of_freedom).sum();
    let sum: f64 = usable().map(|w| w.degrees_of_freedom * (w.statistic / w.null_mean - 1.0) / (w.n - 1.0)).sum();
    (sum / weight).clamp(0.0, 1.0)
}

/// An upper bound (90 %) on [`intra_window_correlation`], from how much the windows' own estimates
/// scatter: with few windows the estimate alone is too low half of the time.
pub fn intra_window_correlation_bound(windows: &[NullStatistic]) -> f64 {
    const Z: f64 = 1.282;
    let usable = || windows.iter().filter(|w| w.n > 1.0 && w.degrees_of_freedom > 0.0 && w.null_mean > 0.0);
    let t = usable().count() as f64;
    if t < 2.0 {
        return 0.0;
    }
    let of = |w: &NullStatistic| (w.statistic / w.null_mean - 1.0) / (w.n - 1.0);
    let weight: f64 = usable().map(|w| w.degrees_of_freedom).sum();
    let mean = usable().map(|w| w.degrees_of_freedom * of(w)).sum::<f64>() / weight;
    let squares: f64 = usable().map(|w| (w.degrees_of_freedom * (of(w) - mean)).powi(2)).sum();
    let error = (squares * t / (t - 1.0)).sqrt() / weight;
    (mean + Z * error).clamp(0.0, 1.0)
}

/// How much more windows' statistics vary than their law with this correlation says, as a ratio of
/// variances; 1 unless it is more by two standard errors.
pub fn dispersion(windows: &[NullStatistic], intra_window_correlation: f64) -> f64 {
    const LEAST: usize = 8;
    const ERRORS: f64 = 2.0;
    let usable = || windows.iter().filter(|w| w.n > 1.0 && w.degrees_of_freedom > 0.0 && w.null_mean > 0.0);
    let t = usable().count();
    if t < LEAST {
        return 1.0;
    }
    let relative = |w: &NullStatistic| {
        let design_effect = 1.0 + (w.n - 1.0) * intra_window_correlation;
        w.statistic / (w.null_mean * design_effect) - 1.0
    };
    let mean = usable().map(relative).sum::<f64>() / t as f64;
    let found = usable().map(|w| (relative(w) - mean).powi(2)).sum::<f64>() / (t - 1) as f64;
    let told = usable().map(|w| w.null_variance / (w.null_mean * w.null_mean)).sum::<f64>() / t as f64;
    // A scaled χ² with variance v has an excess kurtosis of 6v.
    let error = ((2.0 + 6.0 * told) / t as f64).sqrt();
    let ratio = found / told.max(f64::MIN_POSITIVE);
    if ratio > 1.0 + ERRORS * error { ratio } else { 1.0 }
}

/// Looks for serial dependence in the deviations of consecutive windows (each of one length, in units
/// of their sampling noise): at lag 1, and over all lags up to `most_lag` together, where a shock that
/// lasts or a slow wave shows. The normal score of the evidence for it, self-normalized, so that wide variation alone
/// is none; beyond 3 windows are not taken for independent. `None` below eight windows.
pub fn serial_dependence(deviations: &[Vec<f32>], most_lag: usize) -> Option<f64> {
    const LEAST: usize = 8;
    let t = deviations.len();
    if t < LEAST {
        return None;
    }
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(x * y)).sum::<f64>();
    let (mut all, mut all_squares, mut first) = (0.0, 0.0, (0.0, 0.0));
    for lag in 1..=most_lag.clamp(1, t / 4) {
        for (a, b) in deviations.iter().zip(&deviations[lag..]) {
            let p = product(a, b);
            all += p;
            all_squares += p * p;
            if lag == 1 {
                first = (first.0 + p, first.1 + p * p);
            }
        }
    }
    let score = |sum: f64, squares: f64| if squares > 0.0 { sum / squares.sqrt() } else { 0.0 };
    Some(score(first.0, first.1).max(score(all, all_squares)))
}

/// A bound (99.9 %) on the squared distance that windows wander from the reference together, in the
/// units of statistic/n: what a lasting effect of a season, a shock or a slow wave may reach.
///
/// Each window's squared effect is (G − E₀G)/n; its mean m and variance v over windows give a scaled χ²
/// with 2m²/v degrees of freedom (Satterthwaite 1946). The bound is the larger of two. One is its quantile about an
/// upper 90 % bound of m, whose standard error is the larger of what so many independent excursions leave and what the
/// squared effects say of themselves, whose memory may be as long as a day (Newey & West 1987). The other is for few
/// excursions: their mean is a χ² too, so that the ratio of a later effect to it has Fisher's F law; and where they are
/// few, the reference's windows lie about their own mean and later ones do not.
pub fn wander(windows: &[NullStatistic], memory: Memory) -> f64 {
    const LEVEL: f64 = 1e-3;
    const MEAN_Z: f64 = 1.282;
    let usable: Vec<&NullStatistic> = windows.iter().filter(|w| w.n > 1.0 && w.degrees_of_freedom > 0.0).collect();
    let t = usable.len() as f64;
    if t < 2.0 {
        return 0.0;
    }
    let squared = |w: &&NullStatistic| (w.statistic - w.null_mean) / w.n;
    let mean = usable.iter().map(squared).sum::<f64>() / t;
    if mean <= 0.0 {
        return 0.0;
    }
    let excursions = memory.excursions(t);
    let spread = usable.iter().map(|w| (squared(w) - mean).powi(2)).sum::<f64>() / (t - 1.0);
    // What independent excursions lie about their own mean is too little by one of so many.
    let spread = spread / (1.0 - 1.0 / excursions.max(2.0));
    let noise =
        usable.iter().map(|w| (2.0 * w.degrees_of_freedom + 4.0 * w.n * mean.max(0.0)) / (w.n * w.n)).sum::<f64>() / t;
    let most = usable.iter().map(|w| w.degrees_of_freedom).sum::<f64>() / t;
    let freedom = (2.0 * mean * mean / (spread - noise).max(1e-300)).clamp(1.0, most.max(1.0));
    let effects: Vec<f64> = usable.iter().map(squared).collect();
    let error = (mean * (2.0 / (freedom * excursions)).sqrt()).max(error_of_mean(&effects, mean));
    let known = (mean + MEAN_Z * error) * chi_square_quantile(normal_score(LEVEL.ln()), freedom) / freedom;
    let left = memory.of_mean(t);
    known.max(mean * (1.0 + left) / (1.0 - left) * f_quantile(LEVEL.ln(), freedom, freedom * excursions))
}

/// Standard error of the mean of a series with a memory of up to an eighth of its length (Newey & West 1987).
fn error_of_mean(series: &[f64], mean: f64) -> f64 {
    let t = series.len();
    let most = t / 8;
    let covariance =
        |lag: usize| series.iter().zip(&series[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / t as f64;
    let weight = |lag: usize| 1.0 - lag as f64 / (most + 1) as f64;
    let variance = covariance(0) + 2.0 * (1..=most).map(|lag| weight(lag) * covariance(lag)).sum::<f64>();
    (variance.max(0.0) / t as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn normal(rng: &mut StdRng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    #[test]
    fn recovers_the_correlation_behind_a_design_effect() {
        let window = |n: f64| NullStatistic {
            statistic: 7.0 * (1.0 + (n - 1.0) * 0.02),
            null_mean: 7.0,
            null_variance: 2.0 * 7.0,
            degrees_of_freedom: 7.0,
            n,
        };
        let windows: Vec<NullStatistic> = [50.0, 100.0, 200.0].map(window).to_vec();
        assert!((intra_window_correlation(&windows) - 0.02).abs() < 1e-12);
    }

    #[test]
    fn independent_or_too_few_windows_give_zero() {
        let calm = NullStatistic {
            statistic: 5.0,
            null_mean: 7.0,
            null_variance: 2.0 * 7.0,
            degrees_of_freedom: 7.0,
            n: 100.0,
        };
        assert_eq!(intra_window_correlation(&[calm, calm, calm]), 0.0);
        assert_eq!(intra_window_correlation(&[NullStatistic { statistic: 90.0, ..calm }]), 0.0);
        assert_eq!((wander(&[calm, calm, calm], Memory::NONE), wander(&[calm], Memory::NONE)), (0.0, 0.0));
    }

    #[test]
    fn serial_dependence_tells_waves_and_shocks_from_noise() {
        let mut found = [0; 3];
        for seed in 0..100 {
            let mut rng = StdRng::seed_from_u64(seed);
            let (mut wave, mut shock) = (0.0, 0.0);
            let mut series: [Vec<Vec<f32>>; 3] = Default::default();
            for t in 0..300 {
                wave = 0.5 * wave + normal(&mut rng);
                if t % 24 == 0 {
                    shock = normal(&mut rng);
                }
                // Wide variation without memory, an autoregression, and shocks that last a day.
                let wide = if rng.random_bool(0.05) { 6.0 } else { 1.0 };
                for (series, x) in series.iter_mut().zip([wide * normal(&mut rng), wave, shock + normal(&mut rng)]) {
                    series.push(vec![x as f32]);
                }
            }
            for (found, series) in found.iter_mut().zip(&series) {
                *found += i32::from(serial_dependence(series, 24).expect("long enough") > 3.0);
            }
        }
        assert!(found[0] <= 2 && found[1] >= 98 && found[2] >= 98, "{found:?}");
        assert_eq!(serial_dependence(&vec![vec![1.0]; 7], 4), None);
    }

    #[test]
    fn wander_bounds_the_effects_of_days() {
        let mut rng = StdRng::seed_from_u64(4);
        let (n, sigma) = (400.0, 0.1);
        let mut statistic = |effect: f64| NullStatistic {
            statistic: n * (effect + normal(&mut rng) / f64::from(400_u16).sqrt()).powi(2),
            null_mean: 1.0,
            null_variance: 2.0 * 1.0,
            degrees_of_freedom: 1.0,
            n,
        };
        let effects: Vec<f64> = {
            let mut rng = StdRng::seed_from_u64(8);
            (0..40).map(|_| sigma * normal(&mut rng)).collect()
        };
        let windows: Vec<NullStatistic> = effects.iter().flat_map(|e| [*e; 24]).map(&mut statistic).collect();
        let bound = wander(&windows, Memory { windows: 12.0 }).sqrt() / sigma;
        assert!((2.8..6.0).contains(&bound), "{bound} standard deviations of the effects");
    }

    /// Of few long excursions the largest to come is farther off than they were, and the reference's mean is off too.
    #[test]
    fn a_wander_of_few_excursions_leaves_room_for_later_ones() {
        use crate::stats::memory::tests::wave;
        const WINDOWS: usize = 840;
        const N: f64 = 2.0;
        let mut rng = StdRng::seed_from_u64(6);
        let mut beyond = [0, 0];
        for _ in 0..60 {
            let all = wave(72.0, WINDOWS + 1_440, 6, &mut rng);
            let (learned, later) = all.split_at(WINDOWS);
            let mean: Vec<f64> = (0..6).map(|i| learned.iter().map(|x| x[i]).sum::<f64>() / WINDOWS as f64).collect();
            let off = |x: &[f64]| x.iter().zip(&mean).map(|(x, m)| (x - m).powi(2)).sum::<f64>();
            let mut noisy = |x: &Vec<f64>| -> Vec<f64> { x.iter().map(|x| x + normal(&mut rng) / N.sqrt()).collect() };
            let noisy: Vec<Vec<f64>> = learned.iter().map(&mut noisy).collect();
            let null = |x: &Vec<f64>| NullStatistic {
                statistic: N * off(x),
                null_mean: 6.0,
                null_variance: 12.0,
                degrees_of_freedom: 6.0,
                n: N,
            };
            let nulls: Vec<NullStatistic> = noisy.iter().map(null).collect();
            for (beyond, memory) in beyond.iter_mut().zip([Memory { windows: 72.0 }, Memory::NONE]) {
                let bound = wander(&nulls, memory);
                *beyond += usize::from(later.iter().any(|x| off(x) > bound));
            }
        }
        assert!(beyond[0] <= 6 && beyond[1] >= 12, "{beyond:?} of 60 go beyond the bound");
    }
}
