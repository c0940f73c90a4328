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
}
