//! The times of a reference's records: whether they come in order, and whether some lie where no others do.

use std::collections::BTreeMap;

use crate::drift::time::{Span, Timestamp};
use crate::drift::window::WindowRule;

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// Hours that are counted; later new ones are not: 22 years of traffic without a gap.
const MOST_HOURS: usize = 200_000;
/// All but this share at each end are the others, from which a record may lie far.
const TAIL: f64 = 0.01;
/// So many times the others' span away, and a day at least, is far: a mistaken clock or unit, not a gap.
const FAR: i64 = 3;
/// A larger share of records that are earlier than the one before them is told.
const MOST_OUT_OF_ORDER: f64 = 0.01;

/// What is known of the times so far.
#[derive(Default)]
pub struct Times {
    records: u64,
    last: Option<Timestamp>,
    out_of_order: u64,
    by_hour: BTreeMap<i64, u64>,
    /// The earliest and the latest record, and what it is called.
    ends: Option<[(Timestamp, Option<String>); 2]>,
}

impl Times {
    /// The next record's.
    pub fn add(&mut self, time: Timestamp, id: Option<&str>) {
        self.records += 1;
        // Not before the latest so far: one record of the future would put all others out of order.
        self.out_of_order += u64::from(self.last.replace(time).is_some_and(|last| time < last));
        let hour = time.micros().div_euclid(HOUR);
        if self.by_hour.len() < MOST_HOURS || self.by_hour.contains_key(&hour) {
            *self.by_hour.entry(hour).or_default() += 1;
        }
        let this = || (time, id.map(str::to_owned));
        let [earliest, latest] = self.ends.get_or_insert_with(|| [this(), this()]);
        if time < earliest.0 {
            *earliest = this();
        }
        if time > latest.0 {
            *latest = this();
        }
    }

    /// What the maker of the reference should know.
    pub fn warnings(&self, window: WindowRule) -> Vec<String> {
        self.disorder(window).into_iter().chain(self.far()).collect()
    }

    /// Said where windows counted in records are cut from records in no order of time.
    fn disorder(&self, window: WindowRule) -> Option<String> {
        let share = self.out_of_order as f64 / self.records.max(1) as f64;
        (matches!(window, WindowRule::Records(_)) && share > MOST_OUT_OF_ORDER).then(|| {
            format!(
                "{} of {} records ({:.1} %) are earlier than the one before them: windows of {window} hold whatever stands together in \
                 the files, and vary less than windows of time do. Sort each file by `timestamp`",
                self.out_of_order,
                self.records,
                100.0 * share
            )
        })
    }

    /// Said where a few records lie far from all others.
    fn far(&self) -> Option<String> {
        let [earliest, latest] = self.ends.as_ref()?;
        let (first, last) = (self.quantile(TAIL)?, self.quantile(1.0 - TAIL)?);
        let away = ((last - first + 1) * HOUR * FAR).max(DAY);
        let low = Timestamp::from_micros(first.saturating_mul(HOUR).saturating_sub(away));
        let high = Timestamp::from_micros((last + 1).saturating_mul(HOUR)).plus(Span::from_micros(away));
        let begin = |hour: &i64| Timestamp::from_micros(hour.saturating_mul(HOUR));
        let far = self.by_hour.iter().filter(|(hour, _)| begin(hour) < low || begin(hour) > high);
        let n: u64 = far.map(|(_, n)| *n).sum();
        let (time, id) = if earliest.0 < low { earliest } else { latest };
        (n > 0).then(|| {
            let called = id.as_ref().map_or_else(String::new, |id| format!(" (`prediction_id` {id:?})"));
            format!(
                "{n} of {} records lie far from all others in time, such as one of {time}{called}; the others lie around \
                 {} to {}. Seasons, windows and the guarantee are taken from all of them: mend their `timestamp`, or \
                 leave them out with `--from` and `--to`",
                self.records,
                begin(&first),
                begin(&(last + 1))
            )
        })
    }

    /// The hour below which this share of the records lies.
    fn quantile(&self, share: f64) -> Option<i64> {
        let counted: u64 = self.by_hour.values().sum();
        let mut left = (share * counted as f64) as u64;
        for (hour, n) in &self.by_hour {
            if left < *n {
                return Some(*hour);
            }
            left -= n;
        }
        self.by_hour.keys().next_back().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(records: impl IntoIterator<Item = i64>) -> Times {
        let mut times = Times::default();
        for (i, time) in records.into_iter().enumerate() {
            times.add(Timestamp::from_micros(time), Some(&format!("r{i}")));
        }
        times
    }

    const BEGIN: i64 = 1_772_323_200_000_000;
    const MINUTE: i64 = HOUR / 60;
    const RULE: WindowRule = WindowRule::Records(50);

    #[test]
    fn a_record_of_another_century_is_named() {
        let usual = || (0..2_000).map(|i| BEGIN + i * MINUTE);
        assert!(times(usual()).warnings(RULE).is_empty());
        for (odd, said) in [("2090-01-01T00:00:00Z", "2090"), ("0001-01-01T00:00:00Z", "0001")] {
            let odd = Timestamp::parse(odd).expect("a time").micros();
            let told = times(usual().take(1_000).chain([odd]).chain(usual().skip(1_000))).far().expect("told");
            for part in ["1 of 2001 records lie far", said, "\"r1000\"", "2026-03-01T00:00:00Z"] {
                assert!(told.contains(part), "{part}: {told}");
            }
        }
        let first = Timestamp::parse("2090-01-01T00:00:00Z").expect("a time").micros();
        assert_eq!(times([first].into_iter().chain(usual())).warnings(RULE).len(), 1, "and none of disorder");
        // Two weeks, a month apart, and a burst of one second are gaps of traffic.
        let gap = usual().chain(usual().map(|t| t + 30 * DAY));
        assert_eq!(times(gap).far(), None);
        assert_eq!(times((0..500).map(|i| BEGIN + i)).far(), None);
        assert_eq!(times([]).warnings(RULE), Vec::<String>::new());
    }

    #[test]
    fn disorder_is_told_where_windows_follow_it() {
        let shuffled = || times((0..1_000).map(|i| BEGIN + i * 337 % 1_000 * MINUTE));
        let told = shuffled().warnings(RULE);
        assert!(
            told.len() == 1 && told[0].contains("of 1000 records") && told[0].contains("earlier than the one before"),
            "{told:?}"
        );
        assert!(shuffled().warnings(WindowRule::Time(Span::from_secs(300))).is_empty());
        let stragglers = (0..1_000).map(|i| BEGIN + (i - if i % 200 == 100 { 5 } else { 0 }) * MINUTE);
        assert!(times(stragglers).warnings(RULE).is_empty());
    }
}
