//! Moments and lengths of event time, in whole microseconds of UTC.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A length of time in microseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span(i64);

const MICROS: i64 = 1_000_000;
const UNITS: [(&str, i64); 6] = [
    ("ms", 1_000),
    ("s", MICROS),
    ("m", 60 * MICROS),
    ("h", 3_600 * MICROS),
    ("d", 86_400 * MICROS),
    ("w", 7 * 86_400 * MICROS),
];

impl Timestamp {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Parses RFC 3339; `None` if it is not that or lies outside the years −9999 to 9999.
    pub fn parse(text: &str) -> Option<Timestamp> {
        usual(text.as_bytes())
            .map(Timestamp)
            .or_else(|| text.parse::<jiff::Timestamp>().ok().map(|t| Timestamp(t.as_microsecond())))
    }

    /// Later by `span`, saturating.
    pub const fn plus(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }

    /// Earlier by `span`, saturating.
    pub const fn minus(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }

    /// How long after `earlier` this is; zero if it is not after.
    pub const fn since(self, earlier: Timestamp) -> Span {
        let micros = self.0.saturating_sub(earlier.0);
        Span(if micros > 0 { micros } else { 0 })
    }
}

/// Microseconds of `2026-11-22T10:15:30.5Z`, as nearly all times are written: UTC of the years 1970 to 9999, with six
/// digits after the point at most. `None` for any other text.
fn usual(text: &[u8]) -> Option<i64> {
    let (date, fraction) = text.strip_suffix(b"Z")?.split_at_checked(19)?;
    let number =
        |digits: &[u8]| digits.iter().try_fold(0_i64, |n, d| d.is_ascii_digit().then(|| 10 * n + i64::from(d - b'0')));
    let marks = [date[4], date[7], date[10], date[13], date[16]];
    let (year, month, day) = (number(&date[..4])?, number(&date[5..7])?, number(&date[8..10])?);
    let (hour, minute, second) = (number(&date[11..13])?, number(&date[14..16])?, number(&date[17..])?);
    // Days that some months lack, and leap seconds, are left to the calendar.
    let in_range = year >= 1970 && (1..=12).contains(&month) && (1..=28).contains(&day);
    if marks != *b"--T::" || !in_range || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let micros = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=6).contains(&digits.len()) => number(digits)? * 10_i64.pow(6 - digits.len() as u32),
        _ => return None,
    };
    // Days since 1970 in years that begin in March, so that the leap day is the last (Hinnant, chrono-compatible
    // low-level date algorithms, 2013).
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 * MICROS + second * MICROS + micros)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => moment.fmt(f),
            Err(_) => write!(f, "{}µs", self.0),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
            Timestamp::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not an RFC 3339 time")))
        } else {
            i64::deserialize(deserializer).map(Timestamp)
        }
    }
}

impl Span {
    /// From microseconds; negative ones become zero.
    pub const fn from_micros(micros: i64) -> Span {
        Span(if micros > 0 { micros } else { 0 })
    }

    /// From whole seconds.
    pub const fn from_secs(secs: i64) -> Span {
        Span::from_micros(secs.saturating_mul(MICROS))
    }

    /// Length in microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Parses a whole number with a unit: `250ms`, `30s`, `5m`, `1h`, `30d`, `2w`.
    pub fn parse(text: &str) -> Option<Span> {
        let digits = text.trim().find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.trim().split_at(digits);
        let (_, micros) = UNITS.iter().find(|(name, _)| *name == unit.trim())?;
        number.parse::<i64>().ok()?.checked_mul(*micros).map(Span)
    }

    /// As a duration of the standard library.
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.unsigned_abs())
    }
}

impl fmt::Display for Span {
    /// In the largest unit that divides it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().rev().find(|(_, micros)| self.0 >= *micros && self.0 % micros == 0) {
            Some((unit, micros)) => write!(f, "{}{unit}", self.0 / micros),
            None => write!(f, "{}µs", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_trip_through_text() {
        let moment = Timestamp::parse("2026-11-22T10:15:30.123456789Z").expect("valid");
        assert_eq!(moment.to_string(), "2026-11-22T10:15:30.123456Z");
        assert_eq!(Timestamp::parse("9999-12-31T00:00:00+02:00").map(Timestamp::micros), Some(253_402_207_200_000_000));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { cases: 5_000, failure_persistence: None, ..Default::default() })]

        #[test]
        fn usual_times_are_what_the_calendar_says(
            text in "(19[67][0-9]|[0-9]{4}|20[0-9]{2})-(0[0-9]|1[0-3])-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,8})?(Z|z|\\+00:00)"
        ) {
            let calendar = text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond);
            if let Some(micros) = usual(text.as_bytes()) {
                proptest::prop_assert_eq!(Some(micros), calendar, "{}", text);
            }
            proptest::prop_assert_eq!(Timestamp::parse(&text).map(Timestamp::micros), calendar, "{}", text);
        }

        #[test]
        fn written_times_are_read_as_usual(micros in 0_i64..253_000_000_000_000_000) {
            let text = Timestamp(micros).to_string();
            proptest::prop_assert!(usual(text.as_bytes()).is_none_or(|found| found == micros), "{}", text);
            proptest::prop_assert_eq!(Timestamp::parse(&text), Some(Timestamp(micros)), "{}", text);
        }
    }

    #[test]
    fn the_usual_form_is_taken() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-28T23:59:59.000001Z", 1_709_164_799_000_001),
            ("2026-11-22T10:15:30.5Z", 1_795_342_530_500_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000_000),
        ] {
            assert_eq!(usual(text.as_bytes()), Some(micros), "{text}");
        }
    }

    #[test]
    fn spans_parse_and_print() {
        for (text, printed) in [("5m", "5m"), ("90s", "90s"), ("120s", "2m"), ("24h", "1d"), ("250ms", "250ms")] {
            assert_eq!(Span::parse(text).expect("valid").to_string(), printed);
        }
        for wrong in ["", "5", "m", "-5m", "5 parsecs", "99999999999999w"] {
            assert_eq!(Span::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn arithmetic_saturates() {
        let end = Timestamp::from_micros(i64::MAX);
        assert_eq!(end.plus(Span::from_secs(1)), end);
        assert_eq!(Timestamp::from_micros(0).since(end), Span::from_micros(0));
    }
}
