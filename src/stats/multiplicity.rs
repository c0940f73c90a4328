//! Which of many signals are drifting: e-BH (Wang & Ramdas, arXiv 2009.02824), valid under any
//! dependence between the e-values. And which of many normal scores stand out, given how many do.

use super::probability::normal_ln_sf;

/// Indices of the e-values (natural logs) that e-BH rejects at `level`, the strongest first.
pub fn e_bh(ln_e: &[f64], level: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ln_e.len()).collect();
    order.sort_by(|&a, &b| ln_e[b].total_cmp(&ln_e[a]).then(a.cmp(&b)));
    let m = ln_e.len() as f64;
    let rejected = (1..=order.len()).rev().find(|&k| ln_e[order[k - 1]] >= (m / (level * k as f64)).ln()).unwrap_or(0);
    order.truncate(rejected);
    order
}

/// The least normal score that stands out of all, at most this share of those that do being chance (Benjamini &
/// Hochberg 1995, on one-sided p-values); infinite if none does.
pub fn significant_from(scores: &[f64], false_share: f64) -> f64 {
    let mut sorted: Vec<f64> = scores.iter().copied().filter(|z| !z.is_nan()).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let m = sorted.len() as f64;
    let stands = |(i, z): &(usize, f64)| normal_ln_sf(*z) <= (false_share * (i + 1) as f64 / m).ln();
    sorted.into_iter().enumerate().rev().find(stands).map_or(f64::INFINITY, |(_, z)| z)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_the_strong_and_keeps_the_rest() {
        let ln_e = [0.1, 9.0, -2.0, 6.0];
        assert_eq!(e_bh(&ln_e, 0.05), vec![1, 3]);
    }

    #[test]
    fn where_many_stand_out_weaker_ones_do_too() {
        let strong: Vec<f64> = [4.0; 30].into_iter().chain([2.0; 10]).chain([0.0; 60]).collect();
        assert_eq!(significant_from(&strong, 0.2), 2.0);
        let few: Vec<f64> = [4.0].into_iter().chain([2.0; 2]).chain([0.0; 97]).collect();
        assert_eq!(significant_from(&few, 0.2), 4.0);
        assert_eq!(significant_from(&[0.0, 1.0, f64::NAN], 0.2), f64::INFINITY);
        assert_eq!(significant_from(&[], 0.2), f64::INFINITY);
    }

    #[test]
    fn rejects_none_of_the_weak_and_takes_an_empty_list() {
        assert!(e_bh(&[0.5, 1.0, f64::NEG_INFINITY], 0.05).is_empty());
        assert!(e_bh(&[], 0.05).is_empty());
    }
}
