//! One class among many that comes up more often, from records to the alert.

use super::*;

const CLASSES: usize = 150;
const SIZE: i64 = 250;
/// Seconds of a window: a record a second.
const LENGTH: i64 = SIZE;
/// The class that comes up more often; one record in three hundred is of it.
const RARE: u32 = 140;

fn many_classes() -> ModelSpec {
    let mut spec = spec();
    spec.tasks.truncate(1);
    spec.tasks[0].classes = (0..CLASSES).map(|c| format!("c{c}")).collect();
    ModelSpec { embedding_dimension: None, attributes: Vec::new(), segments: Some(Vec::new()), ..spec }
}

/// A record whose class is the rare one so much more often.
fn answered(rng: &mut StdRng, second: i64, more: f64) -> FitRecord {
    let usual = (rng.random::<f64>().powi(2) * CLASSES as f64) as u32;
    let class = if rng.random_bool(more) { RARE } else { usual };
    let joined = Joined {
        input: None,
        text: None,
        attributes: Vec::new(),
        tags: Vec::new(),
        embedding: Vec::new(),
        answers: vec![Some(Answer::Class {
            class,
            confidence: Confidence::Known(0.5 + rng.random::<f32>() / 2.0),
            uncertainty: Uncertainty::default(),
        })],
        skew: None,
    };
    FitRecord { time: Timestamp::from_micros(second * 1_000_000), joined, labels: Vec::new() }
}

fn learned() -> Reference {
    let mut rng = StdRng::seed_from_u64(1);
    let mut records: Vec<FitRecord> = (0..40_000).map(|i| answered(&mut rng, i, 0.0)).collect();
    let spec = many_classes();
    fit(&plan(&spec, WindowRule::Time(Span::from_secs(LENGTH))), &mut records).expect("enough to learn from").reference
}

fn window(reference: &Reference, seed: u64, slot: i64, more: f64) -> ClosedWindow {
    let mut rng = StdRng::seed_from_u64(seed + slot as u64);
    let mut summary = Summary::empty(reference);
    for second in slot * LENGTH..(slot + 1) * LENGTH {
        let record = answered(&mut rng, second, more);
        let place = place(&record.joined.embedding, None, record.time);
        summary.fold(reference, record.time, &record.joined.observe(place, &reference.segments));
    }
    let at = |slot: i64| Timestamp::from_micros(slot * LENGTH * 1_000_000);
    ClosedWindow { slot, start: at(slot), end: at(slot + 1), summary }
}

fn named<'a>(reference: &'a Reference, signal: &str) -> (usize, &'a driftd::drift::reference::SignalReference) {
    let found = reference.signals.iter().enumerate().find(|(_, s)| s.key.signal == signal);
    found.unwrap_or_else(|| panic!("no signal `{signal}`"))
}

#[test]
fn it_looks_at_the_cells_of_the_classes_and_adds_none() {
    let reference = learned();
    let (_, classes) = named(&reference, "predicted_class");
    let (_, rising) = named(&reference, "rising_in_predicted_class");
    assert_eq!((rising.cells(), &rising.totals), (classes.cells(), &classes.totals));
    let folded = window(&reference, 5, 1_000, 0.0).summary.cells[classes.cells()].iter().sum::<i64>();
    assert_eq!(folded, SIZE, "each record is counted once");
    let read = Reference::decode(&reference.encode()).expect("its own file is read");
    assert_eq!(read, reference);
}

#[test]
fn a_rare_class_is_found_and_named_where_the_sum_is_slower() {
    let reference = learned();
    for seed in [100, 200, 300] {
        let mut course = Course::new(&reference);
        for slot in 1_000..1_030 {
            let judged = course.advance(&reference, &WATCH, &window(&reference, seed, slot, 0.0));
            assert_ne!(judged.report.verdict, Verdict::Drift, "nothing has changed");
        }
        let drift = (1_030..1_045).find_map(|slot| {
            let judged = course.advance(&reference, &WATCH, &window(&reference, seed, slot, 0.03));
            (judged.report.verdict == Verdict::Drift).then_some(judged)
        });
        let judged = drift.expect("three points more are found within fifteen windows");
        let [sum, best] = ["predicted_class", "rising_in_predicted_class"].map(|signal| {
            let (at, _) = named(&reference, signal);
            &judged.report.statistics[at]
        });
        assert!(best.ln_evidence > sum.ln_evidence + 2.0, "{} against {}", best.ln_evidence, sum.ln_evidence);
        assert_eq!(best.movers[0].cell, format!("c{RARE}"));
        let measures = best.effect.expect("told").measures();
        assert!((0.01..0.09).contains(&measures["rise"]), "{measures:?}");
    }
}
