//! Fixed-point numbers: sums of them are exact under any order, split or replay.

/// Fractional bits: a resolution of 1.5e-5, far below the noise of any coordinate summed here.
const FRACTION_BITS: u32 = 16;

/// Values beyond ±2^20 are clipped, so that 2^27 of them cannot overflow the sum of an i64.
const LIMIT: f64 = (1_u64 << 20) as f64;

/// The nearest fixed-point number; `None` for NaN and infinities.
pub fn to_fixed(value: f64) -> Option<i64> {
    value.is_finite().then(|| (value.clamp(-LIMIT, LIMIT) * f64::from(1_u32 << FRACTION_BITS)).round() as i64)
}

/// Back to a float.
pub fn from_fixed(value: i64) -> f64 {
    value as f64 / f64::from(1_u32 << FRACTION_BITS)
}

/// Adds values to sums, one each; what is not a number adds nothing.
pub fn add(sums: &mut [i64], values: impl Iterator<Item = f32>) {
    const SCALE: f32 = (1_u32 << FRACTION_BITS) as f32;
    const MOST: f32 = LIMIT as f32 * SCALE;
    for (sum, value) in sums.iter_mut().zip(values) {
        // A float-to-integer cast gives 0 for NaN; infinities are clipped before it.
        *sum = sum.saturating_add((value * SCALE).clamp(-MOST, MOST) as i64);
    }
}

/// Means of current sums over `n` items less those of the reference's over `total`; `None` if either
/// side is empty. Reference sums may be fractional.
pub fn mean_difference(current: &[i64], n: f64, reference: &[f64], total: f64) -> Option<Vec<f64>> {
    if n <= 0.0 || total <= 0.0 {
        return None;
    }
    let scale = f64::from(1_u32 << FRACTION_BITS);
    Some(current.iter().zip(reference).map(|(c, r)| (*c as f64 / n - r / total) / scale).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_is_within_half_a_step_and_clipped() {
        for value in [0.0, 1.0, -3.25, 0.333_333, 1e-9] {
            let back = from_fixed(to_fixed(value).expect("finite"));
            assert!((back - value).abs() <= 0.5 / 65_536.0, "{value} came back as {back}");
        }
        assert_eq!(from_fixed(to_fixed(1e300).expect("finite")), LIMIT);
        assert_eq!(to_fixed(f64::NAN), None);
    }

    #[test]
    fn sums_and_their_means_come_back() {
        let mut sums = [0; 3];
        add(&mut sums, [0.5, -2.0, f32::NAN].into_iter());
        add(&mut sums, [0.25, -1.0, f32::INFINITY].into_iter());
        let means = mean_difference(&sums, 2.0, &[0.0; 3], 1.0).expect("both sides hold items");
        assert_eq!(means[..2], [0.375, -1.5]);
        assert_eq!(means[2], 0.5 * LIMIT, "clipped, and the non-number left out");
        assert_eq!(mean_difference(&sums, 0.0, &[0.0; 3], 1.0), None);
    }
}
