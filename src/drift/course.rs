//! The course of one model through its windows: detectors, harm and alerts step together, one closed window at a time.
//! The daemon and the back-test both run exactly this.

use serde::{Deserialize, Serialize};

use super::alert::{self, Alert, AlertState, Alerts, Transition};
use super::anew;
use super::cause::{Cause, CauseKind};
use super::detector::{self, Detectors, Sensitivity};
use super::harm::{self, Harm, HarmReport};
use super::judgement::{ClosedWindow, Report, Verdict, judge};
use super::labelling::{Labelling, Seen, TaskLabels};
use super::lacking::lasting::{Lacked, Lasting};
use super::localization::localize;
use super::losses::{self, Losses};
use super::performance::Performance;
use super::reference::Reference;
use super::retraining::Policy;
use super::time::Timestamp;
use super::tree::harm_weight;
use super::versions;
use super::window::Slot;
use super::witness::Looked;
use crate::stats::probability::ln_add;

const FORMAT: u16 = 17;
/// It knew when it had last asked for retraining; and what labels have said lately, which stands last, was a mean.
const WITH_LAST_REQUEST: u16 = 16;
/// It did not stand there at all.
const WITHOUT_LATELY: u16 = 15;
/// All evidence began anew at each alarm.
const WITHOUT_RECENT: u16 = 14;
/// Nor did its labels speak of single classes.
const WITHOUT_CLASSES: u16 = 13;
/// Nor did its losses know what was expected, or its alerts what labels prove.
const WITHOUT_EXPECTED: u16 = 12;
/// Nor did it know what windows lack, which stands last.
const WITHOUT_LACKS: u16 = 11;
/// Nor at which rate predictions are kept for labels, which stands last.
const WITHOUT_SAMPLE: u16 = 10;
/// Nor how labels come, which stands last.
const WITHOUT_NOTICES: u16 = 9;
/// Nor did its alerts know how long they have to be quiet.
const WITHOUT_PATIENCE: u16 = 8;
/// Nor was its evidence more than one number for all drifts.
const WITH_ONE_NUMBER: u16 = 7;
/// Nor had it yet what records say of versions, which stands last.
const WITHOUT_VERSIONS: u16 = 6;
/// Nor what labels said, which stands before that.
const WITHOUT_LABELS: u16 = 5;
/// The fields of a course before its alerts had patience, in their order;
type WithoutPatience<D> = (
    u16,
    String,
    Option<Slot>,
    D,
    harm::Earlier,
    alert::WithoutPatience,
    Option<Timestamp>,
    Option<(Slot, losses::Earlier)>,
    versions::Watched,
);
/// and since, whose harm, alerts and losses have grown, and evidence at last.
type Earlier<D, H, A, L> =
    (u16, String, Option<Slot>, D, H, A, Option<Timestamp>, Option<(Slot, L)>, versions::Watched, Labelling, Lasting);
/// All but what labels have said lately,
type WithoutLately = Earlier<Detectors, Harm, Alerts, Losses>;
/// as long as all evidence began anew,
type WithoutRecent = Earlier<detector::WithoutRecent, Harm, Alerts, Losses>;
/// as long as they knew no classes,
type WithoutClasses =
    Earlier<detector::WithoutRecent, harm::WithoutClasses, alert::WithoutClasses, losses::WithoutClasses>;
/// and as long as losses were not beside what was expected.
type WithoutExpected = Earlier<detector::WithoutRecent, harm::Earlier, alert::Earlier, losses::Earlier>;

/// How a model is watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// Alarm at evidence of at least this many windows: one false alarm in so many is allowed.
    pub threshold: f64,
    /// What the detectors look for.
    pub sensitivity: Sensitivity,
    /// Quiet windows until an alert resolves, at least.
    pub resolve_after: u32,
    /// When alerts ask for retraining, which a course does not.
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
    /// What labels said since the last window, and in which they said it.
    matured: Option<(Slot, Losses)>,
    /// Versions that records name.
    versions: versions::Watched,
    /// Whether labels come as they did.
    pub labelling: Labelling,
    /// What cannot be judged.
    pub lacking: Lasting,
    /// What labels have said of each head lately.
    lately: harm::Lately,
}

/// What one window led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The window's report.
    pub report: Report,
    /// Changes of alerts, in order.
    pub transitions: Vec<Transition>,
    /// What its labels say.
    pub harm: HarmReport,
    /// How labels come, by task.
    pub labelling: Vec<(usize, TaskLabels)>,
    /// What it lacked, as those before it did.
    pub lacked: Lacked,
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

impl Judged {
    /// The alerts that the window made fire, or showed more of.
    pub fn firing(&self) -> impl Iterator<Item = &Alert> {
        self.transitions.iter().filter(|transition| transition.to == AlertState::Firing).map(|t| &t.alert)
    }
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
            matured: None,
            versions: versions::Watched::default(),
            alerts: Alerts::default(),
            labelling: Labelling::default(),
            lacking: Lasting::default(),
            lately: harm::Lately::default(),
        }
    }

    /// Whether the course belongs to this reference.
    pub fn fits(&self, reference: &Reference) -> bool {
        self.reference_id == reference.id && self.detectors.fits(reference) && self.harm.fits(reference)
    }

    /// Takes what labels say in a window: it is judged with that window, or with the next that is.
    pub fn mature(&mut self, slot: Slot, losses: &Losses) {
        if !losses.is_empty() {
            self.matured.get_or_insert_with(|| (slot, Losses::default())).1.merge(losses);
        }
    }

    /// The window that is to be judged with what labels said, be it one without records.
    pub fn matured_at(&self) -> Option<Slot> {
        let (slot, _) = self.matured.as_ref()?;
        Some(self.next_slot.map_or(*slot, |next| next.max(*slot)))
    }

    /// Leaves what labels said to a later window.
    pub fn carry(&mut self, to: Slot) {
        if let Some((slot, _)) = &mut self.matured {
            *slot = to;
        }
    }

    /// Takes one closed window, the next in order, with what labels said since the one before.
    pub fn advance(&mut self, reference: &Reference, watch: &Watch, window: &ClosedWindow) -> Judged {
        self.advance_with(reference, watch, window, &Losses::default())
    }

    /// The same with what further labels say.
    pub fn advance_with(
        &mut self,
        reference: &Reference,
        watch: &Watch,
        window: &ClosedWindow,
        matured: &Losses,
    ) -> Judged {
        let mut all = self.matured.take().map(|(_, losses)| losses).unwrap_or_default();
        all.merge(matured);
        let matured = &all;
        let ln_threshold = watch.threshold.ln();
        let (mut report, steps) = judge(reference, &mut self.detectors, window, watch.sensitivity, ln_threshold);
        let harm = self.harm.step(&reference.performance, &window.summary.cells, matured, harm_weight(reference));
        let (ln_drift, ln_harm) = (report.ln_evidence, harm.ln_share);
        report.ln_evidence = ln_add(ln_drift, ln_harm);
        if report.verdict != Verdict::InsufficientData || !matured.is_empty() {
            report.verdict = Verdict::of(report.ln_evidence, ln_threshold);
        }
        let drift = || localize(reference, &steps, ln_threshold);
        let causes = || harm::causes(&harm, ln_drift, ln_threshold, drift);
        let standing = self.versions.step(window.summary.records, &window.summary.others);
        self.lately.step(&harm);
        let looked = Looked { reference, steps: &steps, harm: &harm, lately: &self.lately, ln_threshold };
        let mut transitions = self.alerts.advance(&report, causes, standing, watch.resolve_after, &looked);
        for transition in transitions.iter_mut().filter(|t| t.alert.cause.kind == CauseKind::Version) {
            transition.versions = self.versions.told().cloned();
        }
        if report.verdict == Verdict::Drift {
            // What alarms by itself restarts; where neither does, both made the alarm.
            let (by_drift, by_harm) = (ln_drift >= ln_threshold, ln_harm >= ln_threshold);
            if by_drift || !by_harm {
                let firing: Vec<(&Cause, bool)> =
                    self.alerts.renewed().map(|(alert, renewed)| (&alert.cause, renewed)).collect();
                self.detectors.restart(&anew::go_on(reference, &steps, &firing, ln_threshold));
            }
            if by_harm || !by_drift {
                self.harm.restart();
                self.lately.restart();
            }
        }
        self.next_slot = Some(window.slot + 1);
        let known = &reference.performance;
        let of_task = |p: &Performance| (p.task, p.answered(&window.summary.cells[p.cells()]));
        let answered: Vec<(usize, u64)> = known.iter().filter(|p| p.estimates()).map(of_task).collect();
        let seen = Seen { start: window.start, end: window.end, ln_threshold };
        let labelling = self.labelling.step(seen, &answered);
        let lacked = self.lacking.step(reference, window);
        Judged { report, transitions, harm, labelling, lacked }
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
        match format {
            FORMAT => Ok(postcard::from_bytes(bytes)?),
            WITH_LAST_REQUEST | WITHOUT_LATELY => Ok(Course::from(postcard::from_bytes::<WithoutLately>(bytes)?)),
            WITHOUT_RECENT => Ok(Course::from(postcard::from_bytes::<WithoutRecent>(bytes)?)),
            WITHOUT_CLASSES => Ok(Course::from(postcard::from_bytes::<WithoutClasses>(bytes)?)),
            WITHOUT_EXPECTED => Ok(Course::from(postcard::from_bytes::<WithoutExpected>(bytes)?)),
            WITHOUT_LACKS | WITHOUT_SAMPLE | WITHOUT_NOTICES => {
                let labels = match format {
                    WITHOUT_NOTICES => postcard::to_stdvec(&Labelling::default())?,
                    // `None` is one byte.
                    WITHOUT_SAMPLE => vec![0],
                    _ => Vec::new(),
                };
                let lacks = postcard::to_stdvec(&Lasting::default())?;
                let bytes = [bytes, labels.as_slice(), lacks.as_slice()].concat();
                Ok(Course::from(postcard::from_bytes::<WithoutExpected>(&bytes)?))
            }
            WITHOUT_PATIENCE => {
                Ok(Course::from(postcard::from_bytes::<WithoutPatience<detector::WithoutRecent>>(bytes)?))
            }
            WITH_ONE_NUMBER | WITHOUT_VERSIONS | WITHOUT_LABELS => {
                // `None` is one byte.
                let labels: &[u8] = if format == WITHOUT_LABELS { &[0] } else { &[] };
                let none = postcard::to_stdvec(&versions::Watched::default())?;
                let versions = if format == WITH_ONE_NUMBER { &[] } else { none.as_slice() };
                let bytes = [bytes, labels, versions].concat();
                Ok(Course::from(postcard::from_bytes::<WithoutPatience<detector::Earlier>>(&bytes)?))
            }
            other => Err(CourseError::Format(other)),
        }
    }
}

impl<D: Into<Detectors>, H: Into<Harm>, A: Into<alert::Alerts>, L: Into<Losses>> From<Earlier<D, H, A, L>> for Course {
    fn from(earlier: Earlier<D, H, A, L>) -> Course {
        let (_, reference_id, next_slot, detectors, harm, alerts, _, matured, versions, labelling, lacking) = earlier;
        Course {
            format: FORMAT,
            reference_id,
            next_slot,
            detectors: detectors.into(),
            harm: harm.into(),
            alerts: alerts.into(),
            matured: matured.map(|(slot, losses)| (slot, losses.into())),
            versions,
            labelling,
            lacking,
            lately: harm::Lately::default(),
        }
    }
}

impl<D: Into<Detectors>> From<WithoutPatience<D>> for Course {
    fn from(earlier: WithoutPatience<D>) -> Course {
        let (_, reference_id, next_slot, detectors, harm, alerts, _, matured, versions) = earlier;
        Course {
            format: FORMAT,
            reference_id,
            next_slot,
            detectors: detectors.into(),
            harm: harm.into(),
            alerts: alerts.into(),
            matured: matured.map(|(slot, losses)| (slot, losses.into())),
            versions,
            labelling: Labelling::default(),
            lacking: Lasting::default(),
            lately: harm::Lately::default(),
        }
    }
}
