//! Notices of a back-test: when labels did not come as usual, as the daemon would have said.

use serde_json::{Value, json};

use crate::drift::course::Judged;
use crate::drift::labelling::LabelSignal;
use crate::drift::reference::Reference;
use crate::drift::time::Timestamp;

/// Labels of a task that did not come as usual for some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Index of the task.
    pub task: usize,
    what: What,
    since: Timestamp,
    /// When it was over; `None` where it stands at the end.
    pub until: Option<Timestamp>,
    usual: f64,
    /// The latest value while it stood.
    latest: Option<f64>,
}

/// What was not as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// How many predictions get a label.
    Coverage,
    /// How long labels take.
    Delay,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Coverage => "label_coverage",
            What::Delay => "label_delay",
        }
    }
}

/// All of them, in the order in which they were told.
pub fn of(judged: &[Judged]) -> Vec<Notice> {
    let mut found: Vec<Notice> = Vec::new();
    for window in judged {
        for (task, labels) in &window.labelling {
            for (what, signal) in [(What::Coverage, &labels.coverage), (What::Delay, &labels.delay)] {
                let stands = signal.as_ref().and_then(|signal| Some((signal, signal.changed_since?)));
                step(&mut found, (*task, what), stands, window.report.end);
            }
        }
    }
    found
}

/// One signal after one window.
fn step(found: &mut Vec<Notice>, of: (usize, What), stands: Option<(&LabelSignal, Timestamp)>, now: Timestamp) {
    let open = found.iter_mut().find(|n| (n.task, n.what) == of && n.until.is_none());
    match (open, stands) {
        (Some(open), Some((signal, since))) if open.since == since => open.latest = signal.latest,
        (open, stands) => {
            if let Some(open) = open {
                open.until = Some(now);
            }
            found.extend(stands.map(|(LabelSignal { usual, latest, .. }, since)| Notice {
                task: of.0,
                what: of.1,
                since,
                until: None,
                usual: *usual,
                latest: *latest,
            }));
        }
    }
}

impl Notice {
    /// One sentence.
    pub fn said(&self, reference: &Reference) -> String {
        let Notice { task, what, since, until, usual, latest } = self;
        let name = &reference.spec.tasks[*task].name;
        let when = until.map_or_else(|| format!("since {since}, to the end"), |end| format!("from {since} to {end}"));
        let latest = latest.unwrap_or(*usual);
        match what {
            What::Coverage if latest <= 0.0 => {
                format!("task `{name}`, {when}: no labels come; usually {:.1} % of the answers get one", usual * 100.0)
            }
            What::Coverage => format!(
                "task `{name}`, {when}: {:.1} % of the answers get a label, usually {:.1} %",
                latest * 100.0,
                usual * 100.0
            ),
            What::Delay => format!(
                "task `{name}`, {when}: half of the labels take up to {:.1} h, usually {:.1} h",
                latest / 3_600.0,
                usual / 3_600.0
            ),
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "what": self.what.name(), "since": self.since, "until": self.until, "usual": self.usual,
            "latest": self.latest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_lasts_from_its_first_window_to_that_which_ends_it() {
        let at = Timestamp::from_micros;
        let signal = |latest, changed_since: Option<i64>| LabelSignal {
            usual: 0.5,
            latest: Some(latest),
            evidence_ratio: 1.0,
            changed_since: changed_since.map(at),
        };
        let mut found = Vec::new();
        let windows = [(0.5, None), (0.2, Some(2)), (0.1, Some(2)), (0.5, None), (0.0, Some(5)), (0.0, Some(5))];
        for (end, (latest, since)) in (1..).zip(windows) {
            let signal = signal(latest, since);
            step(&mut found, (0, What::Coverage), since.map(|since| (&signal, at(since))), at(end));
            step(&mut found, (1, What::Coverage), None, at(end));
        }
        let told: Vec<_> = found.iter().map(|n| (n.task, n.since, n.until, n.latest)).collect();
        assert_eq!(told, [(0, at(2), Some(at(4)), Some(0.1)), (0, at(5), None, Some(0.0))]);
    }
}
