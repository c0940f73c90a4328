//! Whether something that was noticed still stands: not an alert, which has a cause and a story, but a state that is
//! told as long as it lasts.

use serde::{Deserialize, Serialize};

use super::labelling::TaskLabels;
use super::time::Timestamp;

/// Quiet steps until a notice is over, at least and at most.
const QUIET: (u32, u32) = (12, 144);

/// What is told of a task beside its alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskNotices {
    /// How its labels come; `None` where nothing is known of it.
    pub labels: Option<TaskLabels>,
}

impl TaskNotices {
    /// Gives each one's name, its evidence divided by its threshold, and whether it stands.
    pub fn each(&self, mut take: impl FnMut(&'static str, f64, bool)) {
        let labels = self.labels.as_ref();
        for (name, signal) in [
            ("label_coverage", labels.and_then(|labels| labels.coverage.as_ref())),
            ("label_delay", labels.and_then(|labels| labels.delay.as_ref())),
        ] {
            if let Some(signal) = signal {
                take(name, signal.evidence_ratio, signal.changed_since.is_some());
            }
        }
    }
}

/// A notice, and how long its evidence took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    since: Option<Timestamp>,
    /// Steps that the evidence took when it last reached its threshold.
    took: u32,
    /// Steps since the evidence began anew.
    steps: u32,
}

impl Standing {
    /// One step, in which the evidence reached its threshold or not. True if it is to begin anew: what goes on reaches
    /// it again in about as many steps as it took, and the notice is over after twice as many without it.
    pub fn step(&mut self, reached: bool, at: Timestamp) -> bool {
        self.steps = self.steps.saturating_add(1);
        if reached {
            self.since.get_or_insert(at);
            (self.took, self.steps) = (self.steps, 0);
        } else if self.steps >= self.took.saturating_mul(2).clamp(QUIET.0, QUIET.1) {
            self.since = None;
        }
        reached
    }

    /// Since when; `None` where nothing stands.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_stands_and_what_ends_is_over() {
        let at = Timestamp::from_micros;
        let mut standing = Standing::default();
        // Thirty steps each time: within twice as many it comes again.
        for step in 1..=300 {
            assert_eq!(standing.step(step % 30 == 0, at(step)), step % 30 == 0);
            assert_eq!(standing.since(), (step >= 30).then(|| at(30)), "{step}");
        }
        let over = (1..).find(|step| {
            standing.step(false, at(300 + step));
            standing.since().is_none()
        });
        assert_eq!(over, Some(60));
        // What took long is not waited for as long, and what took a moment for a little longer.
        for (took, quiet) in [(5_000, 144), (1, 12)] {
            let mut standing = Standing::default();
            (1..=took).for_each(|step| assert_eq!(standing.step(step == took, at(step)), step == took));
            let over = (1..).find(|step| {
                standing.step(false, at(took + step));
                standing.since().is_none()
            });
            assert_eq!(over, Some(quiet));
        }
    }
}
