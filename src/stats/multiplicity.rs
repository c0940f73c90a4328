//! Which of many signals are drifting: e-BH (Wang & Ramdas, arXiv 2009.02824), valid under any
//! dependence between the e-values.

/// Indices of the e-values (natural logs) that e-BH rejects at `level`, the strongest first.
pub fn e_bh(ln_e: &[f64], level: f64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..ln_e.len()).collect();
    order.sort_by(|&a, &b| ln_e[b].total_cmp(&ln_e[a]).then(a.cmp(&b)));
    let m = ln_e.len() as f64;
    let rejected = (1..=order.len()).rev().find(|&k| ln_e[order[k - 1]] >= (m / (level * k as f64)).ln()).unwrap_or(0);
    order.truncate(rejected);
    order
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
    fn rejects_none_of_the_weak_and_takes_an_empty_list() {
        assert!(e_bh(&[0.5, 1.0, f64::NEG_INFINITY], 0.05).is_empty());
        assert!(e_bh(&[], 0.05).is_empty());
    }
}
