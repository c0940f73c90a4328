//! The course of one model through its windows: detectors, alert and retraining requests step
//! together, one closed window at a time. The daemon and the back-test both run exactly this.

use serde::{Deserialize, Serialize};

use super::alert::{Alerts, Transition};
use super::detector::{self, Detectors, Sensitivity};
use super::harm::{self, Harm, HarmReport};
use super::judgement::{ClosedWindow, Report, Verdict, judge};
use super::localization::localize;
use super::matured::Losses;
use super::reference::Reference;
use super::retraining::{self, Kind, Policy, Request};
use super::time::Timestamp;
use super::tree::harm_weight;
use super::window::Slot;
use crate::stats::probability::ln_add;

const FORMAT: u16 = 6;
/// Before it a detector's evidence was one number for all drifts.
const WITH_ONE_NUMBER: u16 = 5;
/// The fields of such a course, in their order.
type Earlier = (u16, String, Option<Slot>, detector::Earlier, Harm, Alerts, Option<Timestamp>);

/// How a model is watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// Alarm at evidence of at least this many windows: one false alarm in so many is allowed.
    pub threshold: f64,
    /// What the detectors look for.
    pub sensitivity: Sensitivity,
    /// Quiet windows until an alert resolves.
    pub resolve_after: u32,
    /// When to ask for retraining.
    pub retraining: Policy,
}

/// How a model is watched, and the budget that a person wrote for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Watching {
    /// False alarms allowed, such as `1/30d`.
    pub budget: String,
    /// What follows from it.
    pub watch: Watch,
}

/// Everything that is carried from one window to the next; stored with the report it led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Course {
    format: u16,
    /// The reference it belongs to.
    pub reference_id: String,
    /// The first window not judged yet; `None` before the first.
    pub next_slot: Option<Slot>,
    detectors: Detectors,
    harm: Harm,
    alerts: Alerts,
    last_request: Option<Timestamp>,
}

/// What one window led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The window's report.
    pub report: Report,
    /// Changes of alerts, in order.
    pub transitions: Vec<Transition>,
    /// A retraining request, with the place of the transition that led to it.
    pub request: Option<(usize, Request)>,
    /// What its labels say.
    pub harm: HarmReport,
}

/// Why a stored course cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum CourseError {
    /// Written by another version of driftd.
    #[error("the stored course has format {0}, this driftd reads {FORMAT}")]
    Format(u16),
    /// The bytes are damaged.
    #[error("the stored course does not decode")]
    Undecodable(#[from] postcard::Error),
}

impl Course {
    /// A course that has seen nothing.
    pub fn new(reference: &Reference) -> Course {
        Course {
            format: FORMAT,
            reference_id: reference.id.clone(),
            next_slot: None,
            detectors: Detectors::new(reference),
            harm: Harm::new(reference),
            alerts: Alerts::default(),
            last_request: None,
        }
    }

    /// Whether the course belongs to this reference.
    pub fn fits(&self, reference: &Reference) -> bool {
        self.reference_id == reference.id && self.detectors.fits(reference) && self.harm.fits(reference)
    }

    /// Takes one closed window, the next in order, in which no label was given.
    pub fn advance(&mut self, reference: &Reference, watch: &Watch, window: &ClosedWindow) -> Judged {
        self.advance_with(reference, watch, window, &Losses::default())
    }

    /// Takes one closed window, the next in order, with what the labels given in it say.
    pub fn advance_with(
        &mut self,
        reference: &Reference,
        watch: &Watch,
        window: &ClosedWindow,
        matured: &Losses,
    ) -> Judged {
        let ln_threshold = watch.threshold.ln();
        let (mut report, steps) = judge(reference, &mut self.detectors, window, watch.sensitivity, ln_threshold);
        let harm = self.harm.step(matured, harm_weight(reference));
        let (ln_drift, ln_harm) = (report.ln_evidence, harm.ln_share);
        report.ln_evidence = ln_add(ln_drift, ln_harm);
        if report.verdict != Verdict::InsufficientData || !matured.is_empty() {
            report.verdict = Verdict::of(report.ln_evidence, ln_threshold);
        }
        let drift = || localize(reference, &steps, ln_threshold);
        let causes = || harm::causes(&harm, ln_drift, ln_threshold, drift);
        let transitions = self.alerts.advance(&report, causes, watch.resolve_after);
        if report.verdict == Verdict::Drift {
            // What alarms by itself restarts; where neither does, both made the alarm.
            let (by_drift, by_harm) = (ln_drift >= ln_threshold, ln_harm >= ln_threshold);
            if by_drift || !by_harm {
                self.detectors.restart();
            }
            if by_harm || !by_drift {
                self.harm.restart();
            }
        }
        let tasks = reference.spec.tasks.len();
        let last = &mut self.last_request;
        let kind = if ln_harm >= ln_threshold { Kind::Harm } else { Kind::Drift };
        let ask = |(at, t)| Some((at, retraining::request(watch.retraining, t, kind, tasks, last)?));
        let request = transitions.iter().enumerate().find_map(ask);
        self.next_slot = Some(window.slot + 1);
        Judged { report, transitions, request, harm }
    }

    /// The alerts as they stand.
    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    /// Bytes for the store.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a course of plain data always encodes")
    }

    /// From the store's bytes.
    ///
    /// # Errors
    /// [`CourseError`] if they come from another version or are damaged.
    pub fn decode(bytes: &[u8]) -> Result<Course, CourseError> {
        let (format, _) = postcard::take_from_bytes::<u16>(bytes)?;
        if format == WITH_ONE_NUMBER {
            let (_, reference_id, next_slot, detectors, harm, alerts, last_request): Earlier =
                postcard::from_bytes(bytes)?;
            let detectors = detectors.into();
            return Ok(Course { format: FORMAT, reference_id, next_slot, detectors, harm, alerts, last_request });
        }
        if format != FORMAT {
            return Err(CourseError::Format(format));
        }
        Ok(postcard::from_bytes(bytes)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_of_the_format_before_goes_on() {
        let detectors: detector::Earlier = vec![vec![(3, vec![1, 0, -7], vec![2], 4.5, [f64::NEG_INFINITY, 0.25])]];
        let earlier: Earlier = (5, "ref_1".into(), Some(12), detectors, Harm::default(), Alerts::default(), None);
        let bytes = postcard::to_stdvec(&earlier).expect("plain data encodes");
        let course = Course::decode(&bytes).expect("the format before is read");
        assert_eq!((course.reference_id.as_str(), course.next_slot), ("ref_1", Some(12)));
        let [fit, up, down] = course.detectors.evidence()[..] else { panic!("one detector") };
        assert!((fit - 4.5).abs() < 1e-6 && up == f64::NEG_INFINITY && (down - 0.25).abs() < 1e-6, "{fit} {up} {down}");
        assert_eq!(Course::decode(&course.encode()).expect("its own format is read"), course);
        let newer = postcard::to_stdvec(&(FORMAT + 1)).expect("a number encodes");
        assert!(matches!(Course::decode(&newer), Err(CourseError::Format(f)) if f == FORMAT + 1));
    }
}
