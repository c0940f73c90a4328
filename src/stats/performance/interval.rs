//! Confidence intervals of a share.

use statrs::function::beta::beta_reg;

/// Wilson's score interval (JASA 1927) of `successes` in `n` at `z` standard errors; `None` without any. For
/// sums of fractions in [0, 1] it is too wide rather than too narrow, since none varies more than a coin.
pub fn wilson(successes: f64, n: f64, z: f64) -> Option<(f64, f64)> {
    if n <= 0.0 {
        return None;
    }
    let share = successes / n;
    let shrunk = 1.0 + z * z / n;
    let middle = (share + z * z / (2.0 * n)) / shrunk;
    let half = z / shrunk * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).max(0.0).sqrt();
    // At the ends one of the limits is exact, and rounding would leave 3e-18 of it.
    let low = if successes <= 0.0 { 0.0 } else { (middle - half).clamp(0.0, 1.0) };
    let high = if successes >= n { 1.0 } else { (middle + half).clamp(0.0, 1.0) };
    Some((low, high))
}

/// The exact two-sided interval (Clopper & Pearson, Biometrika 1934) of `k` in `n` at this level, such as
/// 0.95; `None` without any.
pub fn clopper_pearson(k: u64, n: u64, level: f64) -> Option<(f64, f64)> {
    let tail = 0.5 * (1.0 - level);
    Some((1.0 - upper_bound(n.checked_sub(k)?, n, 1.0 - tail)?, upper_bound(k, n, 1.0 - tail)?))
}

/// The exact one-sided upper bound of a share of which `k` in `n` were seen; `None` without any.
pub fn upper_bound(k: u64, n: u64, level: f64) -> Option<f64> {
    /// Halvings of [0, 1]: below the resolution of doubles near 1.
    const HALVINGS: usize = 60;
    if n == 0 || k > n {
        return None;
    }
    if k == n {
        return Some(1.0);
    }
    // P(X ≤ k) = 1 − I_p(k+1, n−k) falls in p and is 1 − level at the bound.
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if beta_reg((k + 1) as f64, (n - k) as f64, middle) < level { low = middle } else { high = middle }
    }
    Some(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_scipy() {
        let golden = include_str!("../../../tests/golden/performance.csv");
        let mut seen = 0;
        for line in golden.lines().skip(1).filter(|l| l.starts_with("wilson") || l.starts_with("exact")) {
            let fields: Vec<&str> = line.split(',').collect();
            let number = |i: usize| fields[i].parse::<f64>().expect("a number");
            let (k, n) = (number(1) as u64, number(2) as u64);
            let found = match fields[0] {
                "wilson" => wilson(k as f64, n as f64, 1.959_963_984_540_054),
                _ => clopper_pearson(k, n, 0.95),
            };
            let (low, high) = found.expect("there are some");
            for (found, expected) in [(low, number(3)), (high, number(4))] {
                assert!((found - expected).abs() <= 1e-9 * expected.max(1e-3), "{line}: {found}");
            }
            seen += 1;
        }
        assert_eq!(seen, 20);
    }

    #[test]
    fn no_data_has_no_interval() {
        assert_eq!((wilson(0.0, 0.0, 2.0), clopper_pearson(0, 0, 0.9), upper_bound(3, 2, 0.9)), (None, None, None));
    }
}
