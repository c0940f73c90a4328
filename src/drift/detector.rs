//! Evidence of one signal over time: detectors for its fit at several window scales, and for each
//! direction its middle may move in.
//!
//! Both are judged on base windows and on merged ones, since a small lasting change needs the larger n; a
//! shift that keeps its direction adds up from window to window as well, long before one shows it alone. A
//! scale's clock ticks when it has gathered its windows *and* enough units; until then the cells are
//! carried, never judged and never thrown away, so a task or a segment with little traffic has a slow
//! clock and no gaps.
//!
//! A detector on merges of s windows takes 1/s as many steps, so s·R still has an expectation of at most t
//! after t base windows; the weighted mean over scales and directions is one e-detector again.

use serde::{Deserialize, Serialize};

use super::reference::{Expected, Reference, SignalReference, Variation};
use super::summary::Summary;
use crate::stats::evidence::{AS_RARE, Evidence, ln_e_value, ln_weighted_sum, staked};
use crate::stats::hypothesis::TestResult;
use crate::stats::location::{Location, two_sided};

/// Share of the base scale in a signal's evidence; merged scales divide the rest.
const BASE_SHARE: f64 = 0.5;
/// Share of a scale's evidence that the fit has beside the two directions, and each of these: a third.
/// Before, the fit had half; by simulation that makes a shift of the middle later by a tenth
/// (docs/decisions/0022), and a third makes another shape later by ln 1.5 in the logarithm of the evidence.
const THIRD: f64 = 1.0 / 3.0;

/// Units a test needs where nothing else is said.
pub const MIN_RECORDS: i64 = 50;

/// What the detectors need to know besides the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sensitivity {
    /// Units a test needs at least.
    pub min_records: i64,
    /// Practical margin, Cohen's w.
    pub margin: f64,
}

/// All detectors of one reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detectors {
    signals: Vec<Vec<ScaleDetector>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ScaleDetector {
    windows: u32,
    carried: Vec<i64>,
    phases: Vec<i64>,
    /// Since an alarm last took what this signal had gathered.
    gathered: Gathered,
    /// Since the last alarm, whatever alarmed.
    recent: Gathered,
}

/// Evidence of a signal's fit, and of each direction that its middle may move in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Gathered {
    fit: Evidence,
    sides: [Evidence; 2],
}

/// Detectors as courses of earlier formats hold them: of each signal and scale its windows, carried cells and
/// phases, and the evidence of its fit and of each side,
type Formerly<E> = Vec<Vec<(u32, Vec<i64>, Vec<i64>, E, [E; 2])>>;
/// when all of it began anew at each alarm,
pub(super) type WithoutRecent = Formerly<Evidence>;
/// and when it was one number, ln R, for all drifts.
pub(super) type Earlier = Formerly<f64>;

impl From<WithoutRecent> for Detectors {
    fn from(earlier: WithoutRecent) -> Detectors {
        restored(earlier, |evidence| evidence)
    }
}

impl From<Earlier> for Detectors {
    fn from(earlier: Earlier) -> Detectors {
        restored(earlier, Evidence::even)
    }
}

fn restored<E>(earlier: Formerly<E>, evidence: fn(E) -> Evidence) -> Detectors {
    let of_scale = |(windows, carried, phases, fit, sides): (u32, Vec<i64>, Vec<i64>, E, [E; 2])| {
        let gathered = Gathered { fit: evidence(fit), sides: sides.map(evidence) };
        ScaleDetector { windows, carried, phases, gathered, recent: gathered }
    };
    Detectors { signals: earlier.into_iter().map(|scales| scales.into_iter().map(of_scale).collect()).collect() }
}

/// A signal's evidence at one scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtScale {
    /// Windows that a look at this scale gathers: as many as the scale merges, and more where so few have units
    /// enough.
    pub windows: u32,
    /// ln of its evidence, with the scale's share in the signal's.
    pub ln_evidence: f64,
}

/// What one window did to one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalStep {
    /// Whether the clock of the base scale ticked.
    pub ticked: bool,
    /// The test at the base scale, if its clock ticked, with ln e.
    pub tested: Option<(TestResult, f64)>,
    /// The cells the base-scale test looked at, carried ones included.
    pub cells: Vec<i64>,
    /// What they were compared with.
    pub expected: Expected,
    /// ln of the signal's evidence over all scales and directions, since an alarm last took it.
    pub ln_evidence: f64,
    /// The same for whoever asks whether it has moved, once something has alarmed: since the alarm before, and on a
    /// scale on which a quiet signal is seldom far up.
    pub ln_moved: f64,
    /// Its evidence scale by scale, the shortest first.
    pub by_scale: Vec<AtScale>,
}

impl SignalStep {
    /// Evidence by which an alarm names the signal: what it gathered beside earlier alarms that did not name it counts.
    pub fn ln_named(&self) -> f64 {
        self.ln_moved.max(self.ln_evidence - AS_RARE.ln())
    }
}

impl Detectors {
    /// Detectors without evidence.
    pub fn new(reference: &Reference) -> Detectors {
        let empty = |signal: &SignalReference| ScaleDetector::new(signal.totals.len(), reference.phases());
        let of_signal = |signal: &SignalReference| vec![empty(signal); reference.scales.len()];
        Detectors { signals: reference.signals.iter().map(of_signal).collect() }
    }

    /// Whether these detectors belong to the layout of a reference.
    pub fn fits(&self, reference: &Reference) -> bool {
        self.signals.len() == reference.signals.len()
            && self.signals.iter().zip(&reference.signals).all(|(scales, signal)| {
                let fits =
                    |s: &ScaleDetector| s.carried.len() == signal.totals.len() && s.phases.len() == reference.phases();
                scales.len() == reference.scales.len() && scales.iter().all(fits)
            })
    }

    /// Steps every signal with the tallies of one closed window.
    pub fn step(&mut self, reference: &Reference, window: &Summary, sensitivity: Sensitivity) -> Vec<SignalStep> {
        let pairs = self.signals.iter_mut().zip(&reference.signals);
        pairs.map(|(detectors, signal)| step(detectors, signal, reference, window, sensitivity)).collect()
    }

    /// Takes evidence back to zero, after an alarm: all that is recent, and what the signals gathered that do not
    /// go on. Carried cells stay.
    pub fn restart(&mut self, goes_on: &[bool]) {
        for (scales, goes_on) in self.signals.iter_mut().zip(goes_on) {
            for detector in scales {
                detector.recent = Gathered::NOTHING;
                if !goes_on {
                    detector.gathered = Gathered::NOTHING;
                }
            }
        }
    }
}

fn step(
    detectors: &mut [ScaleDetector],
    signal: &SignalReference,
    reference: &Reference,
    window: &Summary,
    sensitivity: Sensitivity,
) -> SignalStep {
    let scales = &reference.scales;
    let measured = signal.measure.as_signal();
    let per_window = reference.units_a_window(signal, 0);
    let gather = if per_window > 0.0 { (sensitivity.min_records as f64 / per_window).ceil() as u32 } else { 0 };
    let mut merged = Vec::with_capacity(scales.len());
    let mut base = None;
    for (index, (scale, detector)) in scales.iter().zip(detectors.iter_mut()).enumerate() {
        detector.carry(&window.cells[signal.cells()], &window.phases);
        merged.push(gather.max(*scale).max(detector.windows));
        let ticks = detector.windows >= *scale && measured.n(&detector.carried) >= sensitivity.min_records;
        if !ticks && index > 0 {
            continue;
        }
        let expected = signal.expected(&detector.phases);
        let look = ticks.then(|| Look::new(reference, signal, index, &detector.carried, &expected, sensitivity.margin));
        if let Some(look) = &look {
            detector.gathered.step(look);
            detector.recent.step(look);
        }
        if index == 0 {
            let tested = look.and_then(|look| look.told());
            base = Some((ticks, tested, detector.carried.clone(), expected));
        }
        if ticks {
            detector.clear();
        }
    }
    let (ticked, tested, cells, expected) = base.expect("every reference has the base scale");
    let share = |index: usize| f64::from(scales[index]) * scale_share(index, scales.len());
    let weighted = |since: fn(&ScaleDetector) -> Gathered, ln: fn(Evidence) -> f64| {
        let of_scale = |(index, detector)| (share(index), since(detector).together(measured.tests(), ln));
        ln_weighted_sum(detectors.iter().enumerate().map(of_scale))
    };
    let ln_evidence = weighted(|d| d.gathered, Evidence::ln);
    let at_scale = |(index, windows): (usize, u32)| {
        let ln = detectors[index].gathered.together(measured.tests(), Evidence::ln);
        AtScale { windows, ln_evidence: share(index).ln() + ln }
    };
    let by_scale = merged.into_iter().enumerate().map(at_scale).collect();
    // One recursion on the mixture is the quieter one where nothing moves; a slow drift, which it hardly sees,
    // has moved as well.
    let ln_moved = weighted(|d| d.recent, Evidence::ln_mixed).max(weighted(|d| d.recent, Evidence::ln) - AS_RARE.ln());
    SignalStep { ticked, tested, cells, expected, ln_evidence, ln_moved, by_scale }
}

fn scale_share(index: usize, scales: usize) -> f64 {
    match (index, scales) {
        (_, 1) => 1.0,
        (0, _) => BASE_SHARE,
        _ => (1.0 - BASE_SHARE) / (scales - 1) as f64,
    }
}

impl Gathered {
    const NOTHING: Gathered = Gathered { fit: Evidence::NONE, sides: [Evidence::NONE; 2] };

    fn step(&mut self, look: &Look) {
        if let Some(test) = look.fit {
            self.fit.stake(test.ln_p, look.stake);
        }
        if let Some((_, ln_p)) = look.location {
            self.sides.iter_mut().zip(ln_p).for_each(|(side, ln_p)| side.step(ln_p));
        }
    }

    /// ln of all of it, for a signal that has a fit, sides, or both.
    fn together(self, tests: (bool, bool), ln: fn(Evidence) -> f64) -> f64 {
        let (fit, [up, down]) = (ln(self.fit), self.sides.map(ln));
        match tests {
            (true, true) => ln_weighted_sum([(THIRD, fit), (THIRD, up), (THIRD, down)].into_iter()),
            (false, true) => ln_weighted_sum([(0.5, up), (0.5, down)].into_iter()),
            (_, false) => fit,
        }
    }
}

impl ScaleDetector {
    fn new(width: usize, phases: usize) -> ScaleDetector {
        let (gathered, recent) = (Gathered::NOTHING, Gathered::NOTHING);
        ScaleDetector { windows: 0, carried: vec![0; width], phases: vec![0; phases], gathered, recent }
    }

    fn carry(&mut self, cells: &[i64], phases: &[i64]) {
        self.windows += 1;
        self.carried.iter_mut().zip(cells).for_each(|(carried, cell)| *carried += cell);
        self.phases.iter_mut().zip(phases).for_each(|(carried, count)| *carried += count);
    }

    fn clear(&mut self) {
        self.windows = 0;
        self.carried.fill(0);
        self.phases.fill(0);
    }
}

/// What one scale's cells say against what is expected.
struct Look {
    fit: Option<TestResult>,
    /// Share of the fit's evidence that is staked on it.
    stake: f64,
    /// The location, its normal score and ln p of a shift up and of one down.
    location: Option<(f64, [f64; 2])>,
}

impl Look {
    /// Tests the cells at one of the reference's scales.
    fn new(
        reference: &Reference,
        signal: &SignalReference,
        scale: usize,
        cells: &[i64],
        expected: &Expected,
        margin: f64,
    ) -> Look {
        let measured = signal.measure.as_signal();
        let n = measured.n(cells) as f64;
        let usual = reference.units_a_window(signal, scale);
        let allowance = |variation: &Variation| variation.allowance(scale, usual, expected, margin);
        let mut fit = measured.test(cells, &expected.cells, allowance(&signal.variation));
        fit.iter_mut().for_each(|test| test.ln_p = signal.variation.read(scale, test.ln_p));
        let allowance = allowance(&signal.location);
        let read = |ln_p| signal.location.read(scale, ln_p);
        let told = |found: Location| (found.score(n), found.one_sided(n, allowance).map(read));
        Look {
            fit,
            stake: measured.stake(),
            location: measured.location(cells, &expected.cells).filter(|_| n > 0.0).map(told),
        }
    }

    /// The test to show: the better of fit and location, with its p-value doubled for having looked
    /// twice, and ln e of both together.
    fn told(&self) -> Option<(TestResult, f64)> {
        let e = |share: f64, ln_p: f64| (share, ln_e_value(ln_p));
        match (self.fit, self.location) {
            (Some(fit), Some((_, sides))) => {
                let ln_p = (fit.ln_p.min(two_sided(sides)) + std::f64::consts::LN_2).min(0.0);
                let parts = [e(THIRD, fit.ln_p), e(THIRD, sides[0]), e(THIRD, sides[1])];
                Some((TestResult { ln_p, ..fit }, ln_weighted_sum(parts.into_iter())))
            }
            (Some(fit), None) => Some((fit, staked(ln_e_value(fit.ln_p), self.stake))),
            (None, Some((score, sides))) => {
                let test = TestResult {
                    statistic: score * score,
                    degrees_of_freedom: 1.0,
                    null_mean: 1.0,
                    null_variance: 2.0,
                    ln_p: two_sided(sides),
                };
                Some((test, ln_weighted_sum([e(0.5, sides[0]), e(0.5, sides[1])].into_iter())))
            }
            (None, None) => None,
        }
    }
}

impl Reference {
    /// Units of a signal that the reference's own windows hold at one of its scales, on average.
    pub fn units_a_window(&self, signal: &SignalReference, scale: usize) -> f64 {
        let units = signal.measure.as_signal().n(&signal.totals) as f64;
        units / self.windows.max(1) as f64 * f64::from(self.scales.get(scale).copied().unwrap_or(1))
    }
}

/// The most evidence that a signal's own reference windows reach at one scale, given in order: what a
/// sound reference keeps low.
pub(super) struct Trial {
    scale: usize,
    gathered: Gathered,
    /// ln of the most evidence so far.
    pub(super) most: f64,
}

impl Trial {
    pub(super) fn new(scale: usize) -> Trial {
        Trial { scale, gathered: Gathered::NOTHING, most: f64::NEG_INFINITY }
    }

    pub(super) fn step(&mut self, reference: &Reference, signal: &SignalReference, cells: &[i64], expected: &Expected) {
        let look = Look::new(reference, signal, self.scale, cells, expected, 0.0);
        self.gathered.step(&look);
        self.most = self.most.max(self.gathered.together(signal.measure.as_signal().tests(), Evidence::ln));
    }
}
