//! Fixed-point numbers: sums of them are exact under any order, split or replay.

/// Fractional bits: a resolution of 1.5e-5, far below the noise of any coordinate summed here.
const FRACTION_BITS: u32 = 16;

/// Adds values to sums, one each; what is not a number adds nothing, and values beyond ±2^15 count as that.
pub fn add(sums: &mut [i64], values: impl Iterator<Item = f32>) {
    const SCALE: f32 = (1_u32 << FRACTION_BITS) as f32;
    for (sum, value) in sums.iter_mut().zip(values) {
        // The cast to 32 bits saturates, gives 0 for NaN, and is one that processors do on vectors; 2^32
        // values cannot overflow the sum.
        *sum = sum.wrapping_add(i64::from((value * SCALE) as i32));
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
    fn sums_and_their_means_come_back() {
        let mut sums = [0; 3];
        add(&mut sums, [0.5, -2.0, f32::NAN].into_iter());
        add(&mut sums, [0.25, -1.0, f32::INFINITY].into_iter());
        let means = mean_difference(&sums, 2.0, &[0.0; 3], 1.0).expect("both sides hold items");
        assert_eq!(means[..2], [0.375, -1.5]);
        assert!((means[2] - 0.5 * 32_768.0).abs() < 1e-4, "clipped, and the non-number left out: {}", means[2]);
        assert_eq!(mean_difference(&sums, 0.0, &[0.0; 3], 1.0), None);
    }
}
