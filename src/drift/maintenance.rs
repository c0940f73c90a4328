//! Times at which nobody wants to hear of alerts: they come back every week, in some place's clock.

use super::routing::Matcher;
use super::time::Timestamp;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A window of maintenance.
#[derive(Clone, Debug)]
pub struct Maintenance {
    /// Its name.
    pub name: String,
    /// Which alerts it covers.
    pub matcher: Matcher,
    /// Days on which it begins, Monday first.
    pub days: [bool; 7],
    /// Minute of the day at which it begins.
    pub from: u16,
    /// Minute of the day at which it ends; at or before `from`, on the next day.
    pub to: u16,
    /// Whose clock.
    pub zone: jiff::tz::TimeZone,
}

impl Maintenance {
    /// Whether it lasts at a moment.
    pub fn is_on(&self, now: Timestamp) -> bool {
        let Ok(moment) = jiff::Timestamp::from_microsecond(now.micros()) else { return false };
        let local = moment.to_zoned(self.zone.clone());
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let today = usize::from(local.weekday().to_monday_zero_offset().unsigned_abs());
        let yesterday = (today + 6) % 7;
        if self.from < self.to {
            return self.days[today] && (self.from..self.to).contains(&minute);
        }
        (self.days[today] && minute >= self.from) || (self.days[yesterday] && minute < self.to)
    }
}

/// Minutes of a time of day such as `02:30`; `24:00` is the day's end.
pub fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: &str, to: &str, days: [bool; 7], zone: &str) -> Maintenance {
        Maintenance {
            name: "nightly".into(),
            matcher: Matcher::default(),
            days,
            from: minute_of_day(from).expect("a time"),
            to: minute_of_day(to).expect("a time"),
            zone: jiff::tz::TimeZone::get(zone).expect("a zone"),
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn it_lasts_from_its_first_minute_to_its_last() {
        let nightly = window("02:00", "04:00", [true; 7], "UTC");
        for (time, on) in [("01:59:59", false), ("02:00:00", true), ("03:59:59", true), ("04:00:00", false)] {
            assert_eq!(nightly.is_on(at(&format!("2026-11-25T{time}Z"))), on, "{time}");
        }
    }

    #[test]
    fn one_over_midnight_belongs_to_the_day_it_begins() {
        // 2026-11-28 is a Saturday.
        let mut days = [false; 7];
        days[5] = true;
        let weekend = window("22:00", "06:00", days, "UTC");
        for (time, on) in [
            ("2026-11-28T05:00:00Z", false),
            ("2026-11-28T22:00:00Z", true),
            ("2026-11-29T05:59:00Z", true),
            ("2026-11-29T06:00:00Z", false),
            ("2026-11-29T23:00:00Z", false),
        ] {
            assert_eq!(weekend.is_on(at(time)), on, "{time}");
        }
    }

    #[test]
    fn it_keeps_a_places_clock_through_summer_time() {
        let berlin = window("02:00", "03:00", [true; 7], "Europe/Berlin");
        assert!(berlin.is_on(at("2026-01-15T01:30:00Z")) && !berlin.is_on(at("2026-01-15T00:30:00Z")));
        assert!(berlin.is_on(at("2026-07-15T00:30:00Z")) && !berlin.is_on(at("2026-07-15T01:30:00Z")));
    }

    #[test]
    fn times_of_day_are_read_strictly() {
        assert_eq!(
            (minute_of_day("00:00"), minute_of_day("24:00"), minute_of_day("09:05")),
            (Some(0), Some(1440), Some(545))
        );
        for wrong in ["24:01", "9:05", "12:60", "noon", "-1:00", "1200"] {
            assert_eq!(minute_of_day(wrong), None, "{wrong}");
        }
    }
}
