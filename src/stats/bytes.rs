//! Vectors in whole numbers, one byte an entry: a quarter of the room, and inner products that the compiler takes by
//! blocks.

use serde::{Deserialize, Serialize};

use super::fixed::WHOLE;

/// Entries that are multiplied and added together.
pub(super) const LANES: usize = 16;

/// Vectors, each in a byte's steps of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bytes {
    /// Row-major [vectors, length].
    entries: Vec<i8>,
    /// Length of each vector's step.
    steps: Vec<f32>,
}

impl Bytes {
    pub(super) fn of<'a>(vectors: impl Iterator<Item = &'a [f32]>) -> Bytes {
        let mut bytes = Bytes { entries: Vec::new(), steps: Vec::new() };
        for vector in vectors {
            let step = step(vector, 127.0);
            bytes.entries.extend(vector.iter().map(|v| whole(v / step) as i8));
            bytes.steps.push(step);
        }
        bytes
    }

    fn row(&self, i: usize) -> &[i8] {
        let length = self.entries.len() / self.steps.len();
        &self.entries[i * length..(i + 1) * length]
    }

    pub(super) fn vector(&self, i: usize) -> Vec<f32> {
        self.row(i).iter().map(|e| f32::from(*e) * self.steps[i]).collect()
    }

    /// Inner product of a vector with another, in whole numbers.
    #[inline(always)]
    pub(super) fn dot(&self, i: usize, other: &Fine) -> f32 {
        let ((a, a_rest), (b, b_rest)) = (self.row(i).as_chunks::<LANES>(), other.entries.as_chunks::<LANES>());
        let mut sum = 0_i32;
        for (x, y) in a.iter().zip(b) {
            for i in 0..LANES {
                sum += i32::from(x[i]) * i32::from(y[i]);
            }
        }
        for (x, y) in a_rest.iter().zip(b_rest) {
            sum += i32::from(*x) * i32::from(*y);
        }
        sum as f32 * (self.steps[i] * other.step)
    }
}

/// A vector in finer steps, so many that its product with one in bytes has room in 32 bits.
pub(super) struct Fine {
    entries: Vec<i16>,
    step: f32,
}

impl Fine {
    pub(super) fn of(vector: &[f32]) -> Fine {
        let most = i32::MAX as usize / (128 * vector.len().max(1));
        let step = step(vector, most.clamp(1, 4_095) as f32);
        let scale = 1.0 / step;
        Fine { entries: vector.iter().map(|v| whole(v * scale)).collect(), step }
    }
}

/// Length of a step of which the largest entry has so many; 1, by which all are naught, where it is next to nothing.
fn step(vector: &[f32], most: f32) -> f32 {
    const NEXT_TO_NOTHING: f32 = 1e-30;
    let mut largest = [0.0_f32; 8];
    let (blocks, rest) = vector.as_chunks::<8>();
    for block in blocks {
        for i in 0..8 {
            largest[i] = if block[i].abs() > largest[i] { block[i].abs() } else { largest[i] };
        }
    }
    let largest = largest.iter().chain(rest).fold(0.0_f32, |largest, v| largest.max(v.abs()));
    if largest > NEXT_TO_NOTHING { largest / most } else { 1.0 }
}

/// The nearest whole number, of one within 2¹⁵ of 0.
#[inline(always)]
pub(super) fn whole(value: f32) -> i16 {
    (value + WHOLE).to_bits().wrapping_sub(WHOLE.to_bits()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hold_the_largest_and_the_least() {
        let vector: Vec<f32> = (0..1_000).map(|i| (i as f32 - 500.0) * 1e-3).collect();
        let fine = Fine::of(&vector);
        for (entry, value) in fine.entries.iter().zip(&vector) {
            assert!((f32::from(*entry) * fine.step - value).abs() <= 0.51 * fine.step, "{entry} for {value}");
        }
        let bytes = Bytes::of([&vector[..], &[1e-40; 1_000]].into_iter());
        let product = vector.iter().map(|v| v * v).sum::<f32>();
        assert!((bytes.dot(0, &fine) - product).abs() < 1e-3 * product, "{} for {product}", bytes.dot(0, &fine));
        assert_eq!(bytes.dot(1, &fine), 0.0);
        // As large as 32 bits hold, with many entries.
        let (ones, many) = (Bytes::of([&[1.0; 20_000][..]].into_iter()), Fine::of(&[-1.0; 20_000]));
        assert!((ones.dot(0, &many) + 20_000.0).abs() < 200.0, "{}", ones.dot(0, &many));
    }
}
