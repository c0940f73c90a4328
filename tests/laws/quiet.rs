//! Quiet traffic that looks like drift to a law that is too light for it: values that hardly ever differ, customers
//! who send batches of like records, and embeddings some of which are far longer than others.

use driftd::drift::geometry::Reach;
use driftd::drift::guarantee::GuaranteeStatus;
use driftd::drift::judgement::is_harmless;
use driftd::drift::signal::Scope;
use driftd::drift::tree::Part;

use super::*;

const PER_WINDOW: i64 = 60;
const WINDOW: Span = Span::from_secs(3_600);

const HOURS: [i64; 2] = [840, 1_440];

/// Neither head nor segments; an attribute, or embeddings.
fn model(attribute: Option<AttributeKind>, embedding_dimension: Option<usize>) -> ModelSpec {
    let attributes = attribute.map(|kind| AttributeSpec { name: "own".into(), kind }).into_iter().collect();
    ModelSpec { embedding_dimension, tasks: Vec::new(), attributes, segments: Some(Vec::new()), ..spec() }
}

fn with_value(value: AttributeValue) -> Joined {
    Joined { attributes: vec![Some(value)], ..NOTHING }
}

/// The records of one hour.
fn hour(at: i64, records: Vec<Joined>) -> Vec<FitRecord> {
    let record = |(i, joined)| {
        let second = at * 3_600 + i as i64 * 3_600 / PER_WINDOW;
        FitRecord { time: Timestamp::from_micros(second * 1_000_000), joined, labels: Vec::new() }
    };
    records.into_iter().enumerate().map(record).collect()
}

fn learned(model: &ModelSpec, hours: i64, mut records: impl FnMut() -> Vec<Joined>) -> Reference {
    let mut records: Vec<FitRecord> = (0..hours).flat_map(|at| hour(at, records())).collect();
    fit(&plan(model, WindowRule::Time(WINDOW)), &mut records).expect("enough to learn from").reference
}

/// Alarms in so many hours after a reference of so many, all of one process, at one allowed in so many windows;
/// `change` may forget something of the reference.
fn alarms(
    model: &ModelSpec,
    (hours, threshold): ([i64; 2], f64),
    mut records: impl FnMut() -> Vec<Joined>,
    change: impl Fn(&mut Reference),
) -> usize {
    let mut reference = learned(model, hours[0], &mut records);
    change(&mut reference);
    let watch = Watch { threshold, ..WATCH };
    let mut course = Course::new(&reference);
    let mut judged = |at: i64| {
        let mut summary = Summary::empty(&reference);
        for record in hour(at, records()) {
            let place = place(&record.joined.embedding, reference.geometry.as_ref(), record.time);
            let observation = record.joined.observe(place, &reference.segments);
            summary.fold(&reference, record.time, &observation);
        }
        let (start, end) = reference.window.bounds(at).expect("windows of time have bounds");
        let window = ClosedWindow { slot: at, start, end, summary };
        course.advance(&reference, &watch, &window).report.verdict == Verdict::Drift
    };
    (hours[0]..hours[0] + hours[1]).filter(|at| judged(*at)).count()
}

/// Most windows hold none of the rare value: that is no sign that it comes less often than it did.
#[test]
fn a_value_that_hardly_ever_differs_is_quiet() {
    for share in [1.0 / 450.0, 1.0 / 1_000.0, 1.0 / 3_000.0] {
        let mut rng = StdRng::seed_from_u64(7);
        let values = || {
            let value = |_| AttributeValue::Number(f64::from(u32::from(rng.random_bool(share))));
            (0..PER_WINDOW).map(value).map(with_value).collect()
        };
        let found = alarms(&model(Some(AttributeKind::Numeric), None), (HOURS, 720.0), values, |_| {});
        assert!(found <= 2, "{found} alarms at a share of {share:.5}");
    }
}

/// One customer's batches, in a third of the hours, have a size of Pareto's law, most of three and one in a thousand of
/// thirty.
#[test]
fn batches_of_like_records_are_read_as_rare_as_they_are() {
    let of_seed = |seed, change: fn(&mut Reference)| {
        let mut rng = StdRng::seed_from_u64(seed);
        let values = || {
            let mut value = || AttributeValue::Category(format!("v{}", (rng.random::<f64>().powi(2) * 12.0) as u32));
            let mut values: Vec<AttributeValue> = (0..PER_WINDOW).map(|_| value()).collect();
            if rng.random_bool(1.0 / 3.0) {
                let size = (3.0 / (1.0 - rng.random::<f64>()).powf(1.0 / 3.0)) as usize;
                let first = values[0].clone();
                values.iter_mut().take(size).for_each(|value| *value = first.clone());
            }
            values.into_iter().map(with_value).collect()
        };
        alarms(&model(Some(AttributeKind::Categorical), None), (HOURS, 720.0), values, change)
    };
    let as_they_are = |reference: &mut Reference| {
        let nulls = reference.signals.iter_mut().flat_map(|s| [&mut s.variation, &mut s.location]);
        nulls.flat_map(|variation| &mut variation.at_scale).for_each(|null| null.tail = None);
    };
    let with: usize = (0..4).map(|seed| of_seed(seed, |_| {})).sum();
    let without: usize = (0..4).map(|seed| of_seed(seed, as_they_are)).sum();
    assert!(with <= 8 && without > with, "{with} alarms of 8 allowed, {without} without");
}

/// A record's length has the tail of Student's t with four degrees of freedom, so that a fourth moment does not exist.
#[test]
fn embeddings_some_of_which_are_far_longer_are_quiet() {
    const DIMENSION: usize = 12;
    let of_seed = |seed, change: fn(&mut Reference)| {
        let mut rng = StdRng::seed_from_u64(seed);
        let records = || {
            let record = |_| {
                let mut exponential = || -(1.0 - rng.random::<f64>()).ln();
                let length = (2.0 / (exponential() + exponential())).sqrt();
                let normal = |rng: &mut StdRng| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
                Joined { embedding: (0..DIMENSION).map(|_| (length * normal(&mut rng)) as f32).collect(), ..NOTHING }
            };
            (0..PER_WINDOW).map(record).collect()
        };
        alarms(&model(None, Some(DIMENSION)), ([840, 2_000], 10_000.0), records, change)
    };
    let in_full = |reference: &mut Reference| {
        reference.geometry.as_mut().expect("has embeddings").reach = Reach::UNBOUNDED;
    };
    let with: usize = (0..3).map(|seed| of_seed(seed, |_| {})).sum();
    let without: usize = (0..3).map(|seed| of_seed(seed, in_full)).sum();
    assert!(with <= 1 && without > 3, "{with} alarms of .6 allowed, {without} without");
}

/// A value that wanders with a memory of so many hours, over 35 days.
fn wandering(memory: f64) -> Reference {
    let mut rng = StdRng::seed_from_u64(11);
    let mut normal = move || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    let (kept, mut level) = ((-1.0 / memory).exp(), normal());
    learned(&model(Some(AttributeKind::Numeric), None), HOURS[0], || {
        level = kept * level + (1.0 - kept * kept).sqrt() * normal();
        (0..PER_WINDOW).map(|_| with_value(AttributeValue::Number(normal() + 0.4 * level))).collect()
    })
}

#[test]
fn a_fit_wanders_as_far_as_its_location_and_short_windows_as_long_ones() {
    let reference = wandering(72.0);
    let signal = reference.signals.iter().find(|s| s.key.signal == "attribute_own").expect("is measured");
    let wanders = |variation: &[f64]| variation.iter().all(|wander| *wander > 0.0);
    let [fit, location] =
        [&signal.variation, &signal.location].map(|v| v.at_scale.iter().map(|null| null.wander).collect::<Vec<f64>>());
    assert!(wanders(&fit) && wanders(&location), "{fit:?} {location:?}");
    assert!(fit.iter().zip(&location).all(|(fit, location)| fit >= location), "{fit:?} {location:?}");
}

#[test]
fn few_excursions_promise_nothing() {
    let (day, week) = (wandering(8.0).guarantee(), wandering(168.0).guarantee());
    assert_eq!(day.status, GuaranteeStatus::Valid, "{}", day.reason);
    assert_eq!(week.status, GuaranteeStatus::Provisional, "{}", week.reason);
    assert!(week.reason.contains("excursions"), "{}", week.reason);
}

#[test]
fn numbers_that_differ_are_harmless_while_answers_stand() {
    let part = |task| Part { scope: Scope::Skew, task, segment: None };
    let with = |same: i64, other: i64| {
        let mut cells = Summary::empty(reference()).cells;
        let is_own = |s: &&SignalReference| s.key.signal == "served_answer" && s.key.task == Some(0);
        let own = reference().signals.iter().find(is_own).expect("is compared");
        let usual = own.totals[1] as f64 / (own.totals[0] + own.totals[1]) as f64;
        assert!(usual < 0.25, "{usual}: less than the answers that differ below");
        cells[own.cells()].copy_from_slice(&[same, other]);
        [Some(0), Some(1), None].map(|task| is_harmless(reference(), &part(task), &cells))
    };
    assert_eq!(with(200, 0), [true; 3]);
    assert_eq!(with(140, 60), [false, true, false], "another head's numbers may differ, the embedding's may not");
    assert_eq!(with(0, 0), [true; 3], "nothing was compared");
}
