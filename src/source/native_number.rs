//! Decimal numbers of JSON to the `f32` nearest to them, in one pass over their digits.
//!
//! A decimal is digits times a power of ten. Digits that fit into 64 bits, times the `f64` nearest to that power, are
//! three roundings away from what is written: less than [`ROUNDINGS`] places of an `f64`. Unless the point half-way
//! between two neighbouring `f32` lies as near as that, rounding once more gives the same as rounding what is written;
//! else, and for numbers out of that range, the standard library is asked (after Clinger, How to read floating point
//! numbers accurately, 1990; Lemire, Number parsing at a gigabyte per second, 2021, for eight digits at once).

/// Powers of ten, each the nearest to it, from [`LEAST_POWER`] on.
const POWERS: [f64; 50] = [
    1e-30, 1e-29, 1e-28, 1e-27, 1e-26, 1e-25, 1e-24, 1e-23, 1e-22, 1e-21, 1e-20, 1e-19, 1e-18, 1e-17, 1e-16, 1e-15,
    1e-14, 1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4,
    1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
];
const LEAST_POWER: i32 = -30;
/// What a number is multiplied by when so many digits follow.
const SHIFTS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
/// Larger than any exponent that is certain.
const FAR: i32 = 10_000;
/// Places by which three roundings may be off: three, and some to spare.
const ROUNDINGS: u64 = 8;
/// Bits of an `f64` beyond those of an `f32`.
const BEYOND: u32 = f64::MANTISSA_DIGITS - f32::MANTISSA_DIGITS;

/// The number that the bytes begin with, and its length; `None` if they begin with none, or with one that is no
/// finite `f32`.
pub(super) fn leading(bytes: &[u8]) -> Option<(f32, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let whole = &bytes[usize::from(negative)..];
    let mut digits = Digits(Some(0));
    // Most are probabilities.
    let mut rest = match whole {
        [b'0', rest @ ..] => rest,
        _ => digits.read(whole),
    };
    // No digit, or more after a leading zero.
    if rest.len() == whole.len() || (whole[0] == b'0' && rest.first().is_some_and(u8::is_ascii_digit)) {
        return None;
    }
    let mut exponent = 0_i32;
    if let [b'.', fraction @ ..] = rest {
        rest = digits.read(fraction);
        exponent = -i32::try_from(fraction.len() - rest.len()).ok().filter(|length| *length > 0)?;
    }
    if let [b'e' | b'E', power @ ..] = rest {
        let (sign, first) = match power {
            [b'-', first @ ..] => (-1, first),
            [b'+', first @ ..] => (1, first),
            first => (1, first),
        };
        let mut power = Digits(Some(0));
        rest = power.read(first);
        if rest.len() == first.len() {
            return None;
        }
        // What is cut here is far out of the range of what is certain.
        let power = power.0.and_then(|p| i32::try_from(p).ok()).unwrap_or(FAR).min(FAR);
        exponent = exponent.saturating_add(sign * power);
    }
    let length = bytes.len() - rest.len();
    let size = digits.nearest(exponent).or_else(|| careful(&whole[..whole.len() - rest.len()]))?;
    Some((if negative { -size } else { size }, length))
}

/// The number that digits make; `None` for more than 64 bits hold.
struct Digits(Option<u64>);

impl Digits {
    /// Takes the digits that the bytes begin with; what follows them.
    #[inline]
    fn read<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        while let Some((block, rest)) = bytes.split_first_chunk::<8>() {
            let (value, count) = leading_digits(*block);
            self.append(value, SHIFTS[count]);
            if count < 8 {
                return &bytes[count..];
            }
            bytes = rest;
        }
        while let Some((digit, rest)) = bytes.split_first().filter(|(digit, _)| digit.is_ascii_digit()) {
            self.append(u64::from(digit - b'0'), 10);
            bytes = rest;
        }
        bytes
    }

    #[inline]
    fn append(&mut self, digits: u64, shift: u64) {
        self.0 = self.0.and_then(|value| value.checked_mul(shift)?.checked_add(digits));
    }

    /// The nearest number to these digits times a power of ten; `None` where that is not certain.
    fn nearest(self, exponent: i32) -> Option<f32> {
        let digits = self.0?;
        if digits == 0 {
            return Some(0.0);
        }
        let power = usize::try_from(exponent.saturating_sub(LEAST_POWER)).ok().and_then(|at| POWERS.get(at))?;
        let value = digits as f64 * power;
        if !(f64::from(f32::MIN_POSITIVE)..f64::from(f32::MAX)).contains(&value) {
            return None;
        }
        let beyond = value.to_bits() & ((1 << BEYOND) - 1);
        let half = 1_u64 << (BEYOND - 1);
        (beyond.abs_diff(half) > ROUNDINGS).then_some(value as f32)
    }
}

/// The number that up to eight digits at the beginning make, and how many they are.
#[inline]
fn leading_digits(bytes: [u8; 8]) -> (u64, usize) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut digits = u64::from_le_bytes(bytes) ^ (0x30 * EACH);
    // The high bit of each byte that is not 0 to 9.
    let others = (((digits & (0x7f * EACH)) + 0x76 * EACH) | digits) & (0x80 * EACH);
    let count = others.trailing_zeros() as usize / 8;
    if count == 0 {
        return (0, 0);
    }
    // As if zeros stood before the digits, and nothing after them.
    digits <<= 64 - 8 * count;
    // Neighbours to numbers of two digits, those to four, those to eight.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8);
    let pick = 0x0000_00ff_0000_00ff;
    let first = (pairs & pick).wrapping_mul(0x000f_4240_0000_0064);
    let second = ((pairs >> 16) & pick).wrapping_mul(0x0000_2710_0000_0001);
    (first.wrapping_add(second) >> 32, count)
}

fn careful(digits: &[u8]) -> Option<f32> {
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|number: &f32| number.is_finite())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the standard library reads it.
    fn plainly(text: &str) -> Option<(u32, usize)> {
        let number = text.parse::<f32>().ok().filter(|n| n.is_finite())?;
        Some((number.to_bits(), text.len()))
    }

    fn ours(text: &str) -> Option<(u32, usize)> {
        leading(text.as_bytes()).map(|(number, length)| (number.to_bits(), length))
    }

    #[test]
    fn numbers_of_all_kinds_are_the_nearest() {
        for text in [
            "0",
            "-0",
            "0.0",
            "-0.0",
            "1",
            "-1",
            "10",
            "0.1",
            "1e5",
            "1E+5",
            "25e-1",
            "0.30000001192092896",
            "16777217",
            "16777219",
            "33554435",
            "1.00000005960464477539062",
            "1.00000005960464477539063",
            "1.1754943508222875e-38",
            "1e-45",
            "7e-46",
            "1e-400",
            "3.4028235e38",
            "3.4028236e38",
            "123456789012345678901234567890",
            "0.000000000000000000000000000001",
            "0.9999842643737793",
            "0.00007632742926944047",
            "8.516860361851286e-6",
            "12345678",
            "1234567812345678",
            "0.12345678123456781234567812345678",
            "1e-22",
            "1e22",
            "1e23",
        ] {
            assert_eq!(ours(text), plainly(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_of_json_or_of_32_bits_is_none() {
        for text in [
            "", "-", "+1", ".5", "1.", "1.e5", "01", "-01", "00", "1e", "1e+", "NaN", "inf", "1e999", "-1e999",
            "3.5e38",
        ] {
            assert_eq!(ours(text), None, "{text}");
        }
        assert_eq!(leading(b"0.5,0.25]"), Some((0.5, 3)), "what follows is not its own");
        assert_eq!(leading(b"1/2").map(|n| n.1), Some(1));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_decimal_is_read_as_the_standard_library_does(
            negative: bool, whole in "0|[1-9][0-9]{0,11}", fraction in "(\\.[0-9]{1,24})?", power in "([eE][+-]?[0-9]{1,3})?"
        ) {
            let text = format!("{}{whole}{fraction}{power}", if negative { "-" } else { "" });
            prop_assert_eq!(ours(&text), plainly(&text), "{}", text);
        }

        #[test]
        fn what_lies_next_to_half_way_is_rounded_once(bits in 0x0080_0000_u32..0x7f00_0000, nudge in -3_i64..=3) {
            let (below, above) = (f64::from(f32::from_bits(bits)), f64::from(f32::from_bits(bits + 1)));
            let half_way = f64::from_bits(((below + above) / 2.0).to_bits().wrapping_add_signed(nudge));
            for text in [format!("{half_way}"), format!("{half_way:e}"), format!("{half_way:.17e}")] {
                prop_assert_eq!(ours(&text), plainly(&text), "{}", text);
            }
        }

        #[test]
        fn what_is_written_comes_back(bits: u32) {
            let number = f32::from_bits(bits);
            prop_assume!(number.is_finite());
            for text in [format!("{number}"), format!("{}", f64::from(number)), format!("{number:e}")] {
                prop_assert_eq!(ours(&text), Some((bits, text.len())), "{}", text);
            }
        }
    }
}
