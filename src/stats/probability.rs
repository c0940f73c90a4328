//! Survival functions on the natural-log scale.
//!
//! Evidence multiplies over time, so a p-value of 1e-400 must stay distinguishable from one of
//! 1e-500; plain survival functions underflow to zero there (χ²₁₁ beyond about 1,450, the normal
//! beyond 37.5).

use std::f64::consts::{LN_2, PI, SQRT_2};

use statrs::function::beta::beta_reg;
use statrs::function::erf::erfc;
use statrs::function::gamma::{gamma_lr, ln_gamma};

/// `ln P(X > x)` for X ~ χ² with `degrees_of_freedom` > 0 (need not be whole).
///
/// Below the mean the complement of the lower incomplete gamma function is used, above it Legendre's
/// continued fraction by the modified Lentz method (Press et al., Numerical Recipes, §6.2).
pub fn chi_square_ln_sf(x: f64, degrees_of_freedom: f64) -> f64 {
    gamma_ln_sf(0.5 * x, 0.5 * degrees_of_freedom)
}

/// `ln P(X ≥ x)` for X ~ Binomial(n, rate), 0 < rate < 1, by its terms from `x` up; 0 for `x` up to the
/// mean, where nobody needs it.
pub fn binomial_ln_sf(x: f64, n: f64, rate: f64) -> f64 {
    /// Terms smaller than this share of the sum end it.
    const NEGLIGIBLE: f64 = 1e-17;
    if x <= n * rate {
        return 0.0;
    }
    if x > n {
        return f64::NEG_INFINITY;
    }
    let first =
        ln_gamma(n + 1.0) - ln_gamma(x + 1.0) - ln_gamma(n - x + 1.0) + x * rate.ln() + (n - x) * (-rate).ln_1p();
    let (mut sum, mut term, mut k) = (1.0, 1.0, x);
    while k < n && term > NEGLIGIBLE * sum {
        term *= (n - k) / (k + 1.0) * rate / (1.0 - rate);
        sum += term;
        k += 1.0;
    }
    (first + sum.ln()).min(0.0)
}

/// `ln Q(shape, x)`: the upper regularized incomplete gamma function on the log scale.
pub fn gamma_ln_sf(x: f64, shape: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x < shape + 1.0 {
        return (-gamma_lr(shape, x)).ln_1p();
    }
    shape * x.ln() - x - ln_gamma(shape) + legendre_fraction(x, shape).ln()
}

/// `ln P(X > x)` for the ratio X of two independent gamma variables with these shapes and one scale: the beta prime
/// law, which is F's but for its scale.
///
/// Below the mean by the complement of the regularized incomplete beta function, above it by that function's continued
/// fraction (Press et al., Numerical Recipes, §6.4).
pub fn gamma_ratio_ln_sf(x: f64, above: f64, below: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let y = 1.0 / (1.0 + x);
    if y > (below + 1.0) / (above + below + 2.0) {
        return (-beta_reg(above, below, x * y)).ln_1p();
    }
    let beta = ln_gamma(above) + ln_gamma(below) - ln_gamma(above + below);
    below * y.ln() + above * (x * y).ln() - below.ln() - beta + beta_fraction(y, below, above).ln()
}

/// `ln P(Z > z)` for a standard normal Z.
///
/// Beyond z = 5 by Laplace's continued fraction for Mills' ratio (Abramowitz & Stegun 26.2.14).
pub fn normal_ln_sf(z: f64) -> f64 {
    if z < 5.0 {
        return (0.5 * erfc(z / SQRT_2)).ln();
    }
    let mut tail = z;
    for k in (1..=60).rev() {
        tail = z + f64::from(k) / tail;
    }
    -0.5 * z * z - 0.5 * (2.0 * PI).ln() - tail.ln()
}

/// The z with `ln P(Z > z) = ln_p`: the normal score of a p-value, positive for small p.
///
/// Newton's method on the log survival function, which is concave and falling, so that it
/// converges from any start after the first step; it starts within 0.0005 of the score (Abramowitz &
/// Stegun 26.2.23), and each step squares the error. A p-value of 1 has the score −∞; one below
/// exp(−1e12) the score of that.
pub fn normal_score(ln_p: f64) -> f64 {
    const SMALLEST_LN_P: f64 = -1e12;
    /// After a step as small as this the next would be lost in rounding.
    const LAST_STEP: f64 = 1e-8;
    if ln_p >= 0.0 {
        return f64::NEG_INFINITY;
    }
    if ln_p > -LN_2 {
        return -normal_score((-ln_p.exp_m1()).ln().min(-LN_2));
    }
    let ln_p = ln_p.max(SMALLEST_LN_P);
    let t = (-2.0 * ln_p).sqrt();
    let over = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let mut z = t - over / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    for _ in 0..60 {
        let ln_sf = normal_ln_sf(z);
        let ln_density = -0.5 * z * z - 0.5 * (2.0 * PI).ln();
        let step = (ln_sf - ln_p) / (ln_density - ln_sf).exp();
        z += step;
        if step.abs() <= LAST_STEP * z.abs().max(1.0) {
            break;
        }
    }
    z
}

/// The χ² quantile at the normal score `z`, by Wilson and Hilferty's cube (1931).
///
/// Good to about a percent, which is enough where a bound is wanted and not a p-value.
pub fn chi_square_quantile(z: f64, degrees_of_freedom: f64) -> f64 {
    let ninth = 2.0 / (9.0 * degrees_of_freedom);
    degrees_of_freedom * (1.0 - ninth + z * ninth.sqrt()).max(0.0).powi(3)
}

/// What a variable with Fisher's F law of these degrees of freedom exceeds with probability e^`ln_p`, to twelve digits.
pub fn f_quantile(ln_p: f64, above: f64, below: f64) -> f64 {
    let (mut least, mut most) = (-100.0_f64, 100.0_f64);
    for _ in 0..60 {
        let middle = 0.5 * (least + most);
        let found = gamma_ratio_ln_sf(middle.exp(), 0.5 * above, 0.5 * below);
        *(if found > ln_p { &mut least } else { &mut most }) = middle;
    }
    below / above * (0.5 * (least + most)).exp()
}

/// `ln(exp(a) + exp(b))` without overflow; −∞ is the neutral element.
pub fn ln_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY {
        return high;
    }
    high + (low - high).exp().ln_1p()
}

/// The continued fraction of the incomplete beta function I_y(a, b), by the modified Lentz method.
fn beta_fraction(y: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let nonzero = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * y / (a + 1.0));
    let mut fraction = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * y / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * y / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut factor = 1.0;
        for term in [even, odd] {
            d = 1.0 / nonzero(1.0 + term * d);
            c = nonzero(1.0 + term / c);
            factor = c * d;
            fraction *= factor;
        }
        if (factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

fn legendre_fraction(x: f64, shape: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - shape;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for i in 1..10_000 {
        let i = f64::from(i);
        let a = -i * (i - shape);
        b += 2.0;
        d = a * d + b;
        if d.abs() < TINY {
            d = TINY;
        }
        c = b + a / c;
        if c.abs() < TINY {
            c = TINY;
        }
        d = 1.0 / d;
        let factor = d * c;
        fraction *= factor;
        if (factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden values from SciPy 1.17 with mpmath beyond its range: see `tests/golden/probability.py`.
    #[test]
    fn survival_functions_agree_with_golden_values() {
        let golden = include_str!("../../tests/golden/probability.csv");
        let mut rows = 0;
        for line in golden.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |i: usize| cells[i].parse::<f64>().expect("golden numbers parse");
            let pair = || cells[2].split_once('/').expect("two parameters");
            let (x, expected) = (number(1), number(3));
            let found = match cells[0] {
                "chi_square_ln_sf" => chi_square_ln_sf(x, number(2)),
                "normal_ln_sf" => normal_ln_sf(x),
                "normal_score" => normal_score(x),
                "binomial_ln_sf" => {
                    let (n, rate) = pair();
                    binomial_ln_sf(x, n.parse().expect("a count"), rate.parse().expect("a rate"))
                }
                "gamma_ratio_ln_sf" => {
                    let (above, below) = pair();
                    gamma_ratio_ln_sf(x, above.parse().expect("a shape"), below.parse().expect("a shape"))
                }
                other => panic!("no function named {other}"),
            };
            let error = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(error < 1e-9, "{line}: found {found}, relative error {error:e}");
            rows += 1;
        }
        assert!(rows > 40, "the golden file holds {rows} rows");
    }

    #[test]
    fn normal_score_inverts_the_survival_function() {
        for z in [-6.0, -1.0, -0.1, 0.0, 0.3, 2.0, 7.5, 40.0, 200.0] {
            let back = normal_score(normal_ln_sf(z));
            // A z below zero is told by how far its ln p is from 0, of which rounding leaves 1e-16 over p.
            let told = 1e-15 * (0.5 * z.min(0.0).powi(2)).exp();
            assert!((back - z).abs() < 1e-13 * z.abs().max(1.0) + told, "{z} came back as {back}");
        }
    }

    #[test]
    fn normal_scores_are_numbers_at_both_ends() {
        assert_eq!(normal_score(0.0), f64::NEG_INFINITY);
        for ln_p in [-1e-300, -1e-18, -1e-16, -1e300, f64::NEG_INFINITY] {
            assert!(normal_score(ln_p).is_finite(), "{ln_p}: {}", normal_score(ln_p));
        }
        assert!(normal_score(-1e-18) < -8.0 && normal_score(-1e9) > 40_000.0);
    }

    #[test]
    fn ln_add_keeps_infinite_and_huge_terms() {
        assert_eq!(ln_add(f64::NEG_INFINITY, 3.0), 3.0);
        assert_eq!(ln_add(f64::NEG_INFINITY, f64::NEG_INFINITY), f64::NEG_INFINITY);
        assert!((ln_add(5_000.0, 5_000.0) - 5_000.0 - LN_2).abs() < 1e-12);
    }

    /// Values of `scipy.stats.f.isf`.
    #[test]
    fn quantiles_of_f_agree_with_golden_values() {
        for (p, above, below, golden) in [
            (1e-3_f64, 3.0, 20.0, 8.098_379_786_583_402),
            (1e-3, 1.0, 5.0, 47.180_779_216_413_27),
            (1e-6, 1.0, 1.0, 405_284_734_545.376),
            (1e-3, 6.0, 500.0, 3.812_771_253_433_999_3),
            (0.3, 2.0, 7.0, 1.436_986_862_789_099_6),
        ] {
            let found = f_quantile(p.ln(), above, below);
            assert!((found / golden - 1.0).abs() < 1e-9, "{p} {above} {below}: {found}");
        }
    }
}
