//! Seasons: phases of the day and of the week that a window is compared with, so that the evening is
//! held against evenings.

use serde::{Deserialize, Serialize};

use super::time::{Span, Timestamp};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
const HOURS: usize = 24;

/// Which phases a reference can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Season {
    /// Hours of the day (UTC).
    Day,
    /// Hours of the day, working days and weekends apart.
    Week,
}

impl Season {
    /// What a reference of this length can know: two cycles of what it tells apart at least.
    pub fn of(span: Span) -> Option<Season> {
        match span.micros() {
            length if length >= 13 * DAY => Some(Season::Week),
            length if length >= 2 * DAY - HOUR => Some(Season::Day),
            _ => None,
        }
    }

    /// Number of phases.
    pub fn phases(self) -> usize {
        match self {
            Season::Day => HOURS,
            Season::Week => 2 * HOURS,
        }
    }

    /// The phase of a moment.
    pub fn phase(self, time: Timestamp) -> usize {
        let hour = (time.micros().rem_euclid(DAY) / HOUR) as usize;
        match self {
            Season::Day => hour,
            // The epoch was a Thursday; Saturday and Sunday are days 5 and 6 from Monday.
            Season::Week => hour + if (time.micros().div_euclid(DAY) + 3).rem_euclid(7) >= 5 { HOURS } else { 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_follow_clock_and_calendar() {
        let at = |text: &str| Timestamp::parse(text).expect("a time");
        // 2026-11-21 was a Saturday, 2026-11-23 a Monday.
        assert_eq!(Season::Week.phase(at("2026-11-23T05:59:59Z")), 5);
        assert_eq!(Season::Week.phase(at("2026-11-21T05:00:00Z")), 29);
        assert_eq!(Season::Week.phase(at("2026-11-22T23:59:00Z")), 47);
        assert_eq!(Season::Day.phase(at("2026-11-21T05:00:00Z")), 5);
        assert_eq!(Season::Day.phase(Timestamp::from_micros(-1)), 23);
    }

    #[test]
    fn two_cycles_are_needed() {
        let days = |n: i64| Span::from_secs(n * 86_400);
        assert_eq!(Season::of(days(1)), None);
        assert_eq!(Season::of(days(2)), Some(Season::Day));
        assert_eq!(Season::of(days(14)), Some(Season::Week));
    }
}
