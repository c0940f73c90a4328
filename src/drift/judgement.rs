//! One closed window judged: a test for every signal, evidence stepped, a verdict, and for people
//! the effect sizes and the cells that moved most.

use serde::{Deserialize, Serialize};

use super::detector::{Detectors, Sensitivity, SignalStep};
use super::distribution::{Cell, Shares};
use super::guarantee::GuaranteeStatus;
use super::reference::{Reference, SignalReference};
use super::signal::answer_skew::HARMLESS;
use super::signal::{Effect, Measure, SignalKey};
use super::summary::Summary;
use super::time::Timestamp;
use super::tree::{Part, model_evidence, part_evidence, weights};
use super::unlisted::Unlisted;
use super::window::Slot;
use crate::stats::hypothesis::TestResult;

/// A warning is given at this share of the threshold.
pub const WARNING_SHARE: f64 = 0.1;
/// Cells shown per statistic.
const MOVERS: usize = 5;
/// Directions shown per mean: where it moved is in the first few, or in none more than in others.
const DIRECTIONS: usize = 3;

/// What a window says about the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Evidence is below a tenth of the threshold.
    Ok,
    /// Evidence is above a tenth of the threshold.
    Warning,
    /// Evidence has reached the threshold.
    Drift,
    /// No signal had enough records; they are carried to the next window.
    InsufficientData,
}

impl Verdict {
    /// What so much evidence says.
    pub fn of(ln_evidence: f64, ln_threshold: f64) -> Verdict {
        match () {
            () if ln_evidence >= ln_threshold => Verdict::Drift,
            () if ln_evidence >= ln_threshold + WARNING_SHARE.ln() => Verdict::Warning,
            () => Verdict::Ok,
        }
    }

    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Drift => "drift",
            Verdict::InsufficientData => "insufficient_data",
        }
    }
}

/// A window whose records are all in.
#[derive(Clone, Debug, PartialEq)]
pub struct ClosedWindow {
    /// Its number.
    pub slot: Slot,
    /// Start in event time.
    pub start: Timestamp,
    /// End in event time, exclusive.
    pub end: Timestamp,
    /// Its tallies.
    pub summary: Summary,
}

/// One window judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The window's number.
    pub slot: Slot,
    /// Start in event time.
    pub start: Timestamp,
    /// End in event time, exclusive.
    pub end: Timestamp,
    /// Records in the window.
    pub records: u64,
    /// What it says.
    pub verdict: Verdict,
    /// ln of the model's evidence before any restart.
    pub ln_evidence: f64,
    /// ln of the threshold.
    pub ln_threshold: f64,
    /// ln evidence of input, encoder, each head and each segment.
    pub parts: Vec<(Part, f64)>,
    /// Parts whose numbers differ from the exported model's while its answers stand: told, and no alarm.
    pub notices: Vec<Part>,
    /// One entry a signal.
    pub statistics: Vec<Statistic>,
}

/// One signal in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistic {
    /// Which signal.
    pub key: SignalKey,
    /// Units judged, carried ones included.
    pub n: i64,
    /// The test with ln e, `None` while there is too little data.
    pub tested: Option<(TestResult, f64)>,
    /// ln of the signal's evidence over all scales.
    pub ln_evidence: f64,
    /// Effect size.
    pub effect: Option<Effect>,
    /// The cells that moved most.
    pub movers: Vec<Mover>,
    /// Where a mean moved most, for means of embeddings.
    pub directions: Vec<Direction>,
    /// Whether the false-alarm budget is promised for this signal.
    pub guarantee: GuaranteeStatus,
}

/// One cell, reference against current.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Mover {
    /// What the cell is called.
    pub cell: String,
    /// Count in the reference.
    pub reference_count: i64,
    /// Count in the window.
    pub current_count: i64,
    /// Share in the reference; where the reference knows seasons, that of the window's phases.
    pub reference_share: f64,
    /// Share in the window.
    pub current_share: f64,
    /// 95 % confidence interval of the current share, allowing for how windows vary.
    pub current_interval: [f64; 2],
}

/// One direction in which a mean moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// What the direction is called.
    pub cell: String,
    /// How far, in standard errors of the window; negative for down.
    pub standard_errors: f64,
}

/// Judges one closed window and steps the detectors; restarting them after an alarm is the
/// caller's part.
pub fn judge(
    reference: &Reference,
    detectors: &mut Detectors,
    window: &ClosedWindow,
    sensitivity: Sensitivity,
    ln_threshold: f64,
) -> (Report, Vec<SignalStep>) {
    let steps = detectors.step(reference, &window.summary, sensitivity);
    let parts = part_evidence(reference, &steps);
    let ln_evidence = model_evidence(&weights(reference), &steps);
    let verdict = match () {
        () if steps.iter().all(|s| s.tested.is_none()) => Verdict::InsufficientData,
        () => Verdict::of(ln_evidence, ln_threshold),
    };
    let unlisted = &window.summary.unlisted;
    let statistics =
        reference.signals.iter().zip(&steps).map(|(signal, step)| statistic(reference, signal, step, unlisted));
    let report = Report {
        slot: window.slot,
        start: window.start,
        end: window.end,
        records: window.summary.records,
        verdict,
        ln_evidence,
        ln_threshold,
        parts,
        notices: notices(reference, &steps, ln_threshold),
        statistics: statistics.collect(),
    };
    (report, steps)
}

fn notices(reference: &Reference, steps: &[SignalStep], ln_threshold: f64) -> Vec<Part> {
    let tells = |(s, step): &(&SignalReference, &SignalStep)| {
        !s.measure.as_signal().decides() && step.ln_evidence >= ln_threshold
    };
    reference.signals.iter().zip(steps).filter(tells).map(|(signal, _)| Part::of(&signal.key)).collect()
}

/// Whether a part's numbers that differ do so harmlessly in a window with these `cells`: its answers are the exported
/// model's, those of all heads where it is the embedding.
pub fn is_harmless(reference: &Reference, part: &Part, cells: &[i64]) -> bool {
    let of_part =
        |s: &&SignalReference| s.key.segment == part.segment && (part.task.is_none() || s.key.task == part.task);
    !reference.signals.iter().filter(of_part).any(|signal| is_served_otherwise(signal, &cells[signal.cells()]))
}

/// Whether these cells are of a head's answers, and more of them are others than the exported model's than is harmless.
fn is_served_otherwise(signal: &SignalReference, cells: &[i64]) -> bool {
    let share = |cells: &[i64]| cells[1] as f64 / (cells[0] + cells[1]).max(1) as f64;
    matches!(signal.measure, Measure::ServedAnswer(_)) && share(cells) > share(&signal.totals) + HARMLESS
}

/// Statistics of a window that grew after it was judged. Late records revise what is shown; the
/// detectors' course is not rewritten, so evidence is not part of it.
pub fn revise(reference: &Reference, summary: &Summary, sensitivity: Sensitivity) -> Vec<Statistic> {
    let mut once = Detectors::new(reference);
    let steps = once.step(reference, summary, sensitivity);
    let told = |(signal, step)| statistic(reference, signal, step, &summary.unlisted);
    reference.signals.iter().zip(&steps).map(told).collect()
}

fn statistic(reference: &Reference, signal: &SignalReference, step: &SignalStep, unlisted: &Unlisted) -> Statistic {
    let measured = signal.measure.as_signal();
    let n = measured.n(&step.cells);
    Statistic {
        key: signal.key.clone(),
        n,
        tested: step.tested,
        ln_evidence: step.ln_evidence,
        effect: measured.effect(&step.cells, &step.expected.cells),
        movers: movers(reference, signal, step, unlisted),
        directions: directions(reference, signal, step),
        guarantee: reference.guarantee_of(signal).status,
    }
}

/// The cells with the largest standardized change of share; those of them that may not be named are one.
fn movers(reference: &Reference, signal: &SignalReference, step: &SignalStep, unlisted: &Unlisted) -> Vec<Mover> {
    let shares = Shares::of(reference, signal, &step.cells, &step.expected.cells, unlisted);
    let Some(shares) = shares else { return Vec::new() };
    let mover = |cell: Cell| {
        Some(Mover {
            current_interval: cell.interval?,
            cell: cell.name,
            reference_count: cell.reference_count,
            current_count: cell.current_count,
            reference_share: cell.reference_share,
            current_share: cell.current_share,
        })
    };
    shares.told(shares.by_change(MOVERS)).into_iter().filter_map(mover).collect()
}

/// The directions in which a mean moved most.
fn directions(reference: &Reference, signal: &SignalReference, step: &SignalStep) -> Vec<Direction> {
    let measured = signal.measure.as_signal();
    let mut all = measured.directions(&step.cells, &step.expected.cells);
    all.retain(|(_, moved)| moved.is_finite());
    all.sort_by(|(a, x), (b, y)| y.abs().total_cmp(&x.abs()).then(a.cmp(b)));
    let task = signal.key.task.map(|t| &reference.spec.tasks[t]);
    let named = |(cell, standard_errors)| Direction { cell: measured.cell_name(cell, task), standard_errors };
    all.into_iter().take(DIRECTIONS).map(named).collect()
}
