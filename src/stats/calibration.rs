//! How much more the reference's own windows vary than independent records would.

/// One reference window's statistic against the rest of the reference.
#[derive(Clone, Copy, Debug)]
pub struct NullStatistic {
    /// X² or T², uncorrected.
    pub statistic: f64,
    /// What it would be on average if records were independent.
    pub degrees_of_freedom: f64,
    /// Records (or tokens) in the window.
    pub n: f64,
}

/// The intra-window correlation ρ ≥ 0 that explains the mean of the reference windows' statistics.
///
/// The design effect of a window of n is 1 + (n − 1)ρ (Kish 1965), so each window estimates
/// ρ = (X²/df − 1)/(n − 1); the estimates are weighted by df. Below two windows there is nothing to
/// learn from and ρ is 0; callers mark such a reference as provisional.
pub fn intra_window_correlation(windows: &[NullStatistic]) -> f64 {
    let usable = || windows.iter().filter(|w| w.n > 1.0 && w.degrees_of_freedom > 0.0);
    if usable().count() < 2 {
        return 0.0;
    }
    let weight: f64 = usable().map(|w| w.degrees_of_freedom).sum();
    let sum: f64 =
        usable().map(|w| w.degrees_of_freedom * (w.statistic / w.degrees_of_freedom - 1.0) / (w.n - 1.0)).sum();
    (sum / weight).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovers_the_correlation_behind_a_design_effect() {
        let windows: Vec<NullStatistic> = [50.0, 100.0, 200.0]
            .map(|n| NullStatistic { statistic: 7.0 * (1.0 + (n - 1.0) * 0.02), degrees_of_freedom: 7.0, n })
            .to_vec();
        assert!((intra_window_correlation(&windows) - 0.02).abs() < 1e-12);
    }

    #[test]
    fn independent_or_too_few_windows_give_zero() {
        let calm = NullStatistic { statistic: 5.0, degrees_of_freedom: 7.0, n: 100.0 };
        assert_eq!(intra_window_correlation(&[calm, calm, calm]), 0.0);
        assert_eq!(intra_window_correlation(&[NullStatistic { statistic: 90.0, ..calm }]), 0.0);
    }
}
