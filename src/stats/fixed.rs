//! Fixed-point numbers: sums of them are exact under any order, split or replay.

use multiversion::multiversion;

/// Fractional bits: a resolution of 1.5e-5, far below the noise of any coordinate summed here.
const FRACTION_BITS: u32 = 16;

/// Adds values to sums, one each; what is not a number adds nothing, and values beyond ±2^15 count as that.
#[multiversion(targets("x86_64+avx2"))]
pub fn add(sums: &mut [i64], values: &[f32]) {
    const BLOCK: usize = 8;
    const SCALE: f32 = (1_u32 << FRACTION_BITS) as f32;
    // A cast of floats saturates and takes a non-number for 0; 2^32 values cannot overflow the sum.
    let each = |sum: &mut i64, value: f32| *sum = sum.wrapping_add(i64::from((value * SCALE) as i32));
    let (mut sums, mut values) = (sums.chunks_exact_mut(BLOCK), values.chunks_exact(BLOCK));
    for (sums, values) in sums.by_ref().zip(values.by_ref()) {
        let scaled: [f32; BLOCK] = std::array::from_fn(|i| values[i] * SCALE);
        // `&` and not `&&`: without a branch for each, and false for a non-number.
        if scaled.iter().fold(true, |small, v| small & (v.abs() < SMALL)) {
            for (sum, value) in sums.iter_mut().zip(scaled) {
                *sum = sum.wrapping_add(i64::from(truncated(value)));
            }
        } else {
            sums.iter_mut().zip(values).for_each(|(sum, value)| each(sum, *value));
        }
    }
    let rest = values.remainder();
    sums.into_remainder().iter_mut().zip(rest).for_each(|(sum, value)| each(sum, *value));
}

/// Values that [`truncated`] takes lie within ± this.
const SMALL: f32 = 4_194_304.0; // 2²²

/// Within ± 2²² of this, 1.5 · 2²³, floats are whole numbers in the order of their bits.
pub(super) const WHOLE: f32 = 12_582_912.0;

/// `value as i32` for a small value, in arithmetic that compilers do on vectors, as they do not for a cast that
/// saturates.
#[inline(always)]
fn truncated(value: f32) -> i32 {
    let moved = value + WHOLE;
    let nearest = moved - WHOLE;
    let beyond_above = i32::from(nearest > value && value > 0.0);
    let beyond_below = i32::from(nearest < value && value < 0.0);
    (moved.to_bits() as i32).wrapping_sub(WHOLE.to_bits() as i32) - beyond_above + beyond_below
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
        add(&mut sums, &[0.5, -2.0, f32::NAN]);
        add(&mut sums, &[0.25, -1.0, f32::INFINITY]);
        let means = mean_difference(&sums, 2.0, &[0.0; 3], 1.0).expect("both sides hold items");
        assert_eq!(means[..2], [0.375, -1.5]);
        assert!((means[2] - 0.5 * 32_768.0).abs() < 1e-4, "clipped, and the non-number left out: {}", means[2]);
        assert_eq!(mean_difference(&sums, 0.0, &[0.0; 3], 1.0), None);
    }

    #[test]
    fn blocks_add_what_casts_would() {
        let odd =
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 63.99, 64.0, -64.0, 64.01, 1e9, -1e9, f32::MIN_POSITIVE];
        for i in 0..60_000_u32 {
            // Values of all sizes and both signs, a block of eight at a time, now and then an odd one among them.
            let value = |j: u32| {
                let mixed = (i * 8 + j).wrapping_mul(2_654_435_769);
                let size = 10.0_f32.powi((mixed >> 8) as i32 % 8 - 5);
                let value = (mixed as f32 / u32::MAX as f32 - 0.5) * size;
                if mixed.is_multiple_of(97) { odd[(mixed >> 20) as usize % odd.len()] } else { value }
            };
            let values: Vec<f32> = (0..11).map(value).collect();
            let (mut sums, mut cast) = ([5_i64; 11], [5_i64; 11]);
            add(&mut sums, &values);
            cast.iter_mut().zip(&values).for_each(|(sum, v)| *sum += i64::from((v * 65_536.0) as i32));
            assert_eq!(sums, cast, "{values:?}");
        }
        for whole in [0.0, 0.5, 0.499_999_97, 1.0, 1.5, 2.5, 0.999_999_94, SMALL - 0.25] {
            for value in [whole, -whole] {
                assert_eq!(truncated(value), value as i32, "{value}");
            }
        }
    }
}
