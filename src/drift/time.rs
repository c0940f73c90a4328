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
        text.parse::<jiff::Timestamp>().ok().map(|t| Timestamp(t.as_microsecond()))
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
