//! Windows of time in which a back-test has no records: nothing is judged there, and nothing is quiet.

use serde_json::{Value, json};

use crate::drift::course::Judged;
use crate::drift::judgement::Report;
use crate::drift::time::Timestamp;
use crate::drift::window::WindowRule;

/// Windows without records between the first and the last that have some.
pub struct Gaps {
    windows: u64,
    /// The longest run of them: windows, start of the first, end of the last.
    longest: Option<(u64, Timestamp, Timestamp)>,
}

impl Gaps {
    /// Of windows that were judged in order; windows of a number of records have none.
    pub fn of(window: WindowRule, judged: &[Judged]) -> Gaps {
        let mut gaps = Gaps { windows: 0, longest: None };
        if matches!(window, WindowRule::Records(_)) {
            return gaps;
        }
        let held: Vec<&Report> = judged.iter().map(|j| &j.report).filter(|report| report.records > 0).collect();
        for pair in held.windows(2) {
            let missing = between(pair[0], pair[1]);
            gaps.windows += missing;
            if missing > gaps.longest.map_or(0, |(most, ..)| most) {
                gaps.longest = Some((missing, pair[0].end, pair[1].start));
            }
        }
        gaps
    }

    /// For people, after the number of windows; empty where there is none.
    pub fn said(&self) -> String {
        let Some((_, from, to)) = self.longest else { return String::new() };
        let (windows, are) = (self.windows, if self.windows == 1 { "holds" } else { "hold" });
        let longest = if self.is_one() { "" } else { "the longest time " };
        format!(", and {windows} between them that {are} no records ({longest}from {from} to {to})")
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let longest = self.longest.map(|(windows, from, to)| json!({ "windows": windows, "from": from, "to": to }));
        json!({ "windows": self.windows, "longest": longest })
    }

    fn is_one(&self) -> bool {
        self.longest.is_some_and(|(windows, ..)| windows == self.windows)
    }
}

/// Windows of time that are missing between two reports.
pub fn between(before: &Report, after: &Report) -> u64 {
    u64::try_from(after.slot - before.slot - 1).unwrap_or(0)
}
