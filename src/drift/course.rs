//! The course of one model through its windows: detectors, alert and retraining requests step
//! together, one closed window at a time. The daemon and the back-test both run exactly this.

use serde::{Deserialize, Serialize};

use super::alert::{Alerts, Transition};
use super::detector::{Detectors, Sensitivity};
use super::judgement::{ClosedWindow, Report, Verdict, judge};
use super::localization::localize;
use super::reference::Reference;
use super::retraining::{self, Policy, Request};
use super::time::Timestamp;
use super::window::Slot;

const FORMAT: u16 = 4;

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

/// Everything that is carried from one window to the next; stored with the report it led to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Course {
    format: u16,
    /// The reference it belongs to.
    pub reference_id: String,
    /// The first window not judged yet; `None` before the first.
    pub next_slot: Option<Slot>,
    detectors: Detectors,
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
            alerts: Alerts::default(),
            last_request: None,
        }
    }

    /// Whether the course belongs to this reference.
    pub fn fits(&self, reference: &Reference) -> bool {
        self.reference_id == reference.id && self.detectors.fits(reference)
    }

    /// Takes one closed window, the next in order.
    pub fn advance(&mut self, reference: &Reference, watch: &Watch, window: &ClosedWindow) -> Judged {
        let ln_threshold = watch.threshold.ln();
        let (report, steps) = judge(reference, &mut self.detectors, window, watch.sensitivity, ln_threshold);
        let causes = || localize(reference, &steps, ln_threshold);
        let transitions = self.alerts.advance(&report, causes, watch.resolve_after);
        if report.verdict == Verdict::Drift {
            self.detectors.restart();
        }
        let tasks = reference.spec.tasks.len();
        let last = &mut self.last_request;
        let ask = |(at, t)| Some((at, retraining::request(watch.retraining, t, tasks, last)?));
        let request = transitions.iter().enumerate().find_map(ask);
        self.next_slot = Some(window.slot + 1);
        Judged { report, transitions, request }
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
        if format != FORMAT {
            return Err(CourseError::Format(format));
        }
        Ok(postcard::from_bytes(bytes)?)
    }
}
