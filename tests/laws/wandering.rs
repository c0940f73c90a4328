//! A head whose error wanders by itself: what it does in the reference is no harm afterwards.

use driftd::drift::alert::AlertState;
use driftd::drift::label::{Label, LabelValue};
use driftd::drift::losses::{Loss, Losses};

use super::upgrade::{small_record, small_spec};
use super::*;

/// Records of a window of an hour, each with a label.
const SIZE: i64 = 60;
const HOUR: i64 = 3_600;
/// What the error is on average, how far it wanders, and for how many windows.
const ERROR: f64 = 0.08;
const WANDERS: f64 = 0.03;
const MEMORY: f64 = 24.0;

/// An error that wanders from hour to hour, so many points above the usual one.
struct Wandering {
    rng: StdRng,
    level: f64,
}

impl Wandering {
    fn new(seed: u64) -> Wandering {
        Wandering { rng: StdRng::seed_from_u64(seed), level: 0.0 }
    }

    fn next(&mut self, wanders: f64) -> f64 {
        let (kept, normal) = ((-1.0 / MEMORY).exp(), (0..12).map(|_| self.rng.random::<f64>()).sum::<f64>() - 6.0);
        self.level = kept * self.level + (1.0 - kept * kept).sqrt() * normal;
        (ERROR + wanders * self.level).clamp(0.0, 1.0)
    }

    fn is_wrong(&mut self, error: f64) -> bool {
        self.rng.random::<f64>() < error
    }
}

/// Thirty days of labelled records.
fn learned(wanders: f64) -> Reference {
    let (mut error, mut records) = (Wandering::new(3), Vec::new());
    let mut rng = StdRng::seed_from_u64(4);
    for hour in 0..720 {
        let now = error.next(wanders);
        for i in 0..SIZE {
            let mut record = small_record(&mut rng, hour * HOUR + 60 * i, 0.0);
            let Some(Answer::Class { class, .. }) = record.joined.answers[0] else { panic!("answers a class") };
            let truth = if error.is_wrong(now) { (class + 1) % 4 } else { class };
            let value = Some(LabelValue::Class(truth));
            record.labels.push(Label { task: 0, value, revision: 0, at: record.time, retracted: false });
            records.push(record);
        }
    }
    fit(&plan(&small_spec(), WindowRule::Time(Span::from_secs(HOUR))), &mut records).expect("enough").reference
}

/// Alerts in sixty days after the reference, from labels alone, with so much more error than usual.
fn alerts(reference: &Reference, wanders: f64, more: f64) -> usize {
    let mut course = Course::new(reference);
    let mut error = Wandering::new(5);
    let mut alerts = 0;
    for slot in 720..720 + 1_440 {
        let (start, end) = reference.window.bounds(slot).expect("has bounds");
        let now = error.next(wanders) + more;
        let mut losses = Losses::default();
        for _ in 0..SIZE {
            let found = if error.is_wrong(now) { u8::MAX } else { 0 };
            losses.add(0, Loss { found, expected: None });
        }
        let window = ClosedWindow { slot, start, end, summary: Summary::empty(reference) };
        let judged = course.advance_with(reference, &WATCH, &window, &losses);
        alerts += judged.transitions.iter().filter(|t| t.from != t.to && t.to == AlertState::Firing).count();
    }
    alerts
}

#[test]
fn an_error_that_wanders_as_in_the_reference_is_no_harm() {
    let reference = learned(WANDERS);
    let known = &reference.performance[0];
    assert!((0.02..0.04).contains(&known.wander), "{}", known.wander);
    assert!((known.tolerated() - known.bound - 4.0 * known.wander).abs() < 1e-9, "it is tolerated");
    assert_eq!(alerts(&reference, WANDERS, 0.0), 0);
    assert!(alerts(&reference, WANDERS, 0.2) > 0, "what goes beyond is harm");

    let mut unaware = reference.clone();
    unaware.performance[0].wander = 0.0;
    assert!(alerts(&unaware, WANDERS, 0.0) > 1, "it takes the knowledge");
}

#[test]
fn an_error_that_does_not_wander_is_watched_as_closely_as_before() {
    let reference = learned(0.0);
    let known = &reference.performance[0];
    assert_eq!(known.wander, 0.0);
    assert!((known.tolerated() - known.bound - 0.02).abs() < 1e-12);
    assert!(alerts(&reference, 0.0, 0.05) > 0);
}
