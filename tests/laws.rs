//! Laws of the domain, by property tests: any split, order or replay of the records gives the same
//! bits, and a course that is stored and taken up again goes on as if it had never stopped.

/// A space without clear axes, and records that go together.
#[path = "laws/axes.rs"]
mod axes;
/// Values that crowd.
#[path = "laws/crowds.rs"]
mod crowds;
/// Examples of what is new.
#[path = "laws/examples.rs"]
mod examples;
/// When an alert is over.
#[path = "laws/lasting.rs"]
mod lasting;
/// Phases of unlike spread.
#[path = "laws/nights.rs"]
mod nights;
/// What is new.
#[path = "laws/novelty.rs"]
mod novelty;
/// Where it drifted.
#[path = "laws/places.rs"]
mod places;
/// Quiet traffic that looks like drift.
#[path = "laws/quiet.rs"]
mod quiet;
/// Names that a reference saw seldom or never.
#[path = "laws/rare.rs"]
mod rare;
/// One class among many.
#[path = "laws/rising.rs"]
mod rising;
/// Upgrades.
#[path = "laws/upgrade.rs"]
mod upgrade;
/// Errors that wander by themselves.
#[path = "laws/wandering.rs"]
mod wandering;
/// Days of the week that a reference does not hold.
#[path = "laws/weekdays.rs"]
mod weekdays;

use std::sync::OnceLock;

use driftd::drift::answer::{Answer, Confidence, Uncertainty};
use driftd::drift::cause::CauseKind;
use driftd::drift::checkpoint::{Delta, Ledger, Partition, applies};
use driftd::drift::closing::{Closing, Reached};
use driftd::drift::course::{Course, Judged, Watch};
use driftd::drift::detector::Sensitivity;
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::geometry::place;
use driftd::drift::inference::InputFacts;
use driftd::drift::judgement::{ClosedWindow, Verdict};
use driftd::drift::observation::{HeadSource, Joined, Observation};
use driftd::drift::record::{AttributeValue, InputText};
use driftd::drift::reference::{Reference, ReferenceKind, SignalReference};
use driftd::drift::retraining::asking;
use driftd::drift::retraining::{Mode, Policy, Trigger};
use driftd::drift::signal::SignalKey;
use driftd::drift::skew::{AnswerSkew, Skew};
use driftd::drift::summary::Summary;
use driftd::drift::task::{AttributeKind, AttributeSpec, ModelSpec, TaskKind, TaskSpec};
use driftd::drift::text::{Script, TextFacts};
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::unlisted::Unlisted;
use driftd::drift::watermark::Watermark;
use driftd::drift::window::WindowRule;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A record that says nothing.
const NOTHING: Joined = Joined {
    input: None,
    text: None,
    attributes: Vec::new(),
    tags: Vec::new(),
    embedding: Vec::new(),
    answers: Vec::new(),
    skew: None,
};

fn task(name: &str, kind: TaskKind, classes: usize) -> TaskSpec {
    TaskSpec {
        name: name.into(),
        kind,
        classes: (0..classes).map(|c| format!("c{c}")).collect(),
        threshold: 0.5,
        temperature: 1.0,
    }
}

fn spec() -> ModelSpec {
    ModelSpec {
        name: "m".into(),
        version: "1".into(),
        tasks: vec![
            task("intent", TaskKind::Multiclass, 5),
            task("topics", TaskKind::Multilabel, 3),
            task("tags", TaskKind::TokenLabels, 4),
            task("urgency", TaskKind::Regression, 0),
        ],
        embedding_dimension: Some(6),
        attributes: vec![
            AttributeSpec { name: "amount".into(), kind: AttributeKind::Numeric },
            AttributeSpec { name: "plan".into(), kind: AttributeKind::Categorical },
        ],
        segments: None,
    }
}

/// What a record of the first head suffers.
#[derive(Clone, Copy, PartialEq)]
enum Shift {
    None,
    /// One class is given far more often for the same texts; how sure the head is stays.
    Classes,
    /// Texts of one class come far more often.
    Texts,
    /// The head gives its classes as before and is never sure.
    Head,
}

/// An input of known tokens.
fn input_of(ids: Vec<u32>) -> InputFacts {
    InputFacts { tokens: ids.len() as u32, ids, ..InputFacts::default() }
}

/// One record.
fn record(rng: &mut StdRng, second: i64, shift: Shift) -> FitRecord {
    let often = matches!(shift, Shift::Classes | Shift::Texts) && rng.random_bool(0.5);
    let own = (rng.random::<f64>().powi(2) * 5.0) as u32;
    let class = if often { 4 } else { own };
    let of_text = if shift == Shift::Texts { class } else { own };
    let p: f32 = rng.random();
    let labels = (0..3).filter(|_| rng.random_bool(0.3)).collect();
    let tokens = (0..rng.random_range(1..6)).map(|_| rng.random_range(0..4)).collect();
    let wild = rng.random_range(0..200);
    let uncertainty = Uncertainty {
        margin: Some(p),
        entropy: Some(1.0 - p * rng.random::<f32>()),
        energy: Some(if wild == 4 { f32::NAN } else { -3.0 * p }),
    };
    let length = rng.random_range(1..40);
    let text = InputText { text: "word ".repeat(length as usize), pair: None };
    let channel = if rng.random_bool(0.3) { "mail" } else { "chat" };
    let joined = Joined {
        input: Some(InputFacts {
            tokens: length,
            unknown: u32::from(rng.random_bool(0.05)),
            truncated: length > 35,
            ids: (0..length).map(|_| (rng.random::<f64>().powi(3) * 4_000.0) as u32).collect(),
            ..InputFacts::default()
        }),
        text: Some(TextFacts::of(&text)),
        attributes: vec![
            Some(AttributeValue::Number(if wild == 5 { f64::INFINITY } else { rng.random() })),
            Some(AttributeValue::Category(format!("plan{}", rng.random_range(0..3)))),
        ],
        tags: vec![("channel".to_owned(), channel.to_owned())],
        embedding: match wild {
            0 => vec![f32::NAN; 6],
            1 => vec![1.0; 2],
            // Where a text lies says something of its class: another mix of these is another mix of texts.
            _ => (0..6_u32)
                .map(|i| (i as f32 + 1.0) * (rng.random::<f32>() - 0.5) + if i == of_text { 9.0 } else { 0.0 })
                .collect(),
        },
        answers: vec![
            Some(match shift {
                Shift::Head => {
                    let unsure = Uncertainty { margin: Some(0.01), entropy: Some(1.0), energy: Some(-0.1) };
                    Answer::Class { class, confidence: Confidence::Known(0.5), uncertainty: unsure }
                }
                _ => Answer::Class { class, confidence: Confidence::Known(0.5 + p / 2.0), uncertainty },
            }),
            Some(Answer::Labels {
                labels,
                confidence: if wild == 2 { Confidence::Invalid } else { Confidence::Known(p) },
                uncertainty,
            }),
            Some(Answer::Tokens { labels: tokens, confidence: Confidence::Known(p), uncertainty }),
            Some(Answer::Value(if wild == 3 { f64::NAN } else { f64::from(p) * 3.0 })),
        ],
        skew: rng.random_bool(0.3).then(|| Skew {
            embedding: Some(0.02 * p * p),
            answers: vec![Some(AnswerSkew { differs: rng.random_bool(0.01), confidence: Some(0.1 * p) }), None],
        }),
    };
    FitRecord { time: Timestamp::from_micros(second * 1_000_000), joined, labels: Vec::new() }
}

fn plan(spec: &ModelSpec, window: WindowRule) -> Plan<'_> {
    Plan { spec, heads: HeadSource::Predictions, window, kind: ReferenceKind::Fixed, token: &|_| None }
}

fn reference() -> &'static Reference {
    static FITTED: OnceLock<Reference> = OnceLock::new();
    FITTED.get_or_init(|| {
        let mut rng = StdRng::seed_from_u64(1);
        let mut records: Vec<FitRecord> = (0..6_000).map(|second| record(&mut rng, second, Shift::None)).collect();
        let fitted = fit(&plan(&spec(), WindowRule::Time(Span::from_secs(50))), &mut records);
        fitted.expect("enough to learn from").reference
    })
}

fn observe(record: FitRecord) -> (Timestamp, Observation) {
    let place = place(&record.joined.embedding, reference().geometry.as_ref(), record.time);
    (record.time, record.joined.observe(place, &reference().segments))
}

fn fold(observations: &[(Timestamp, Observation)]) -> Summary {
    let mut summary = Summary::empty(reference());
    observations.iter().for_each(|(time, observation)| summary.fold(reference(), *time, observation));
    summary
}

const WATCH: Watch = Watch {
    threshold: 2_000.0,
    sensitivity: Sensitivity { min_records: 30, margin: 0.05 },
    resolve_after: 3,
    retraining: Policy { mode: Mode::Auto, on: Trigger::Drift, cooldown: Span::from_secs(60) },
};

fn windows(seed: u64, count: i64, size: i64, drift_from: i64) -> Vec<ClosedWindow> {
    windows_with(seed, count, size, drift_from, Shift::Classes)
}

fn windows_with(seed: u64, count: i64, size: i64, drift_from: i64, shift: Shift) -> Vec<ClosedWindow> {
    let mut rng = StdRng::seed_from_u64(seed);
    (0..count)
        .map(|slot| {
            let now = if slot >= drift_from { shift } else { Shift::None };
            let observations: Vec<_> = (0..size).map(|i| observe(record(&mut rng, slot * 50 + i % 50, now))).collect();
            let (start, end) = WindowRule::Time(Span::from_secs(50)).bounds(slot).expect("has bounds");
            ClosedWindow { slot, start, end, summary: fold(&observations) }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_and_order_gives_the_same_bits(
        seed in any::<u64>(), n in 0_usize..120, owners in prop::collection::vec(0_usize..4, 120), reversed in any::<bool>(),
    ) {
        let mut rng = StdRng::seed_from_u64(seed);
        let made = |i: usize| {
            let mut made = record(&mut rng, i as i64, Shift::None);
            if !i.is_multiple_of(4) {
                // Up to ninety new names: more than are kept of one cell.
                made.joined.attributes[1] = Some(AttributeValue::Category(format!("new {}", i * 7 % 120)));
                made.joined.tags[0].1 = format!("new {}", i % 2);
            }
            observe(made)
        };
        let all: Vec<_> = (0..n).map(made).collect();
        let whole = fold(&all);
        prop_assert_eq!(n > 1, whole.unlisted != Unlisted::default());
        let mut parts: Vec<Vec<_>> = vec![Vec::new(); 4];
        for (observation, owner) in all.into_iter().zip(&owners) {
            parts[*owner].push(observation);
        }
        if reversed {
            parts.reverse();
            parts.iter_mut().for_each(|part| part.reverse());
        }
        let mut merged = Summary::empty(reference());
        for part in &parts {
            // Through the store's bytes, as between replicas.
            let stored = Summary::decode(&fold(part).encode()).expect("decodes");
            merged.merge(&stored).expect("same layout");
        }
        prop_assert_eq!(merged.encode(), whole.encode());
    }

    #[test]
    fn stopping_anywhere_changes_nothing(seed in any::<u64>(), stops in prop::collection::vec(any::<bool>(), 14)) {
        let windows = windows(seed, 14, 90, 8);
        let straight: Vec<Judged> = {
            let mut course = Course::new(reference());
            windows.iter().map(|w| course.advance(reference(), &WATCH, w)).collect()
        };
        let mut course = Course::new(reference());
        for ((window, stop), expected) in windows.iter().zip(stops).zip(&straight) {
            if stop {
                course = Course::decode(&course.encode()).expect("decodes");
            }
            prop_assert_eq!(&course.advance(reference(), &WATCH, window), expected);
        }
    }
}

/// The tasks for whose training the alerts ask that stand.
fn asked(course: &Course) -> Option<Vec<usize>> {
    let asked = asking::request(WATCH.retraining, course.alerts().firing(), false, None, Timestamp::from_micros(0));
    asked.map(|request| request.tasks)
}

#[test]
fn a_drift_is_found_located_and_asked_about() {
    let mut course = Course::new(reference());
    let judged: Vec<Judged> =
        windows_with(5, 20, 120, 12, Shift::Head).iter().map(|w| course.advance(reference(), &WATCH, w)).collect();
    let before = judged[..12].iter().filter(|j| j.report.verdict == Verdict::Drift).count();
    assert_eq!(before, 0, "no alarm before the onset");
    let found = judged[12..15].iter().find_map(|j| j.firing().next().cloned()).expect("found within three windows");
    assert_eq!((found.cause.kind, found.cause.task), (CauseKind::Head, Some(0)));
    assert_eq!(asked(&course), Some(vec![0]));
}

#[test]
fn another_mix_of_classes_is_told_as_such_and_needs_no_training() {
    let mut course = Course::new(reference());
    for window in windows_with(5, 20, 120, 12, Shift::Texts) {
        course.advance(reference(), &WATCH, &window);
    }
    let causes: Vec<CauseKind> = course.alerts().firing().map(|alert| alert.cause.kind).collect();
    assert_eq!(causes, [CauseKind::PriorShift], "one alert for one cause");
    assert_eq!(asked(&course), None);
}

fn is_intent(key: &SignalKey) -> bool {
    key.task == Some(0) && key.segment.is_none() && key.signal == "predicted_class"
}

#[test]
fn small_windows_are_carried_not_dropped() {
    let mut course = Course::new(reference());
    let verdicts: Vec<Verdict> =
        windows(6, 6, 12, 100).iter().map(|w| course.advance(reference(), &WATCH, w).report.verdict).collect();
    use Verdict::InsufficientData as Few;
    // 12 records a window, 30 needed: the token head's units come sooner than the others' records.
    assert_eq!(
        verdicts.iter().filter(|v| **v == Few).count() + verdicts.iter().filter(|v| **v == Verdict::Ok).count(),
        6
    );
    let mut course = Course::new(reference());
    let report =
        windows(6, 3, 12, 100).iter().map(|w| course.advance(reference(), &WATCH, w)).last().expect("three").report;
    let intent = report.statistics.iter().find(|s| is_intent(&s.key)).expect("has one");
    assert_eq!(intent.n, 36, "three windows' records are judged together");
    assert!(intent.tested.is_some());
}

/// Independent records, 15 signals, many thousands of windows: alarms stay within the budget.
#[test]
fn false_alarms_stay_within_the_budget() {
    let watch = Watch { threshold: 100.0, ..WATCH };
    let (mut alarms, mut windows_seen) = (0, 0);
    for seed in 0..6 {
        let mut course = Course::new(reference());
        for window in windows(1_000 + seed, 400, 60, i64::MAX) {
            alarms += u32::from(course.advance(reference(), &watch, &window).report.verdict == Verdict::Drift);
            windows_seen += 1;
        }
    }
    let allowed = f64::from(windows_seen) / 100.0;
    assert!(f64::from(alarms) <= allowed, "{alarms} alarms in {windows_seen} windows, {allowed} allowed");
}

#[test]
fn references_survive_their_file_and_refuse_damage() {
    let bytes = reference().encode();
    assert_eq!(&Reference::decode(&bytes).expect("decodes"), reference());
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    assert!(Reference::decode(&damaged).is_err());
    assert!(Reference::decode(&bytes[..bytes.len() - 3]).is_err());
    assert!(Reference::decode(b"something else entirely").is_err());
}

#[test]
fn poor_references_are_refused_or_warned_about() {
    let mut rng = StdRng::seed_from_u64(2);
    let window = WindowRule::Records(50);
    let mut few = (0..10).map(|s| record(&mut rng, s, Shift::None)).collect::<Vec<_>>();
    assert!(fit(&plan(&spec(), window), &mut few).is_err(), "ten records");
    let nothing = Joined {
        input: None,
        text: None,
        attributes: vec![],
        tags: vec![],
        embedding: vec![],
        answers: vec![],
        skew: None,
    };
    let empty = |s| FitRecord { time: Timestamp::from_micros(s), joined: nothing.clone(), labels: vec![] };
    let mut empty: Vec<FitRecord> = (0..200).map(empty).collect();
    assert!(fit(&plan(&spec(), window), &mut empty).is_err(), "nothing to measure");
    let mut same = record(&mut rng, 0, Shift::None);
    same.joined.embedding = vec![1.0; 6];
    let fitted = fit(&plan(&spec(), window), &mut vec![same; 300]);
    let warnings = fitted.expect("constant data still make a reference").warnings.join("\n");
    assert!(
        warnings.contains("do not vary") && warnings.contains("constant") && warnings.contains("windows"),
        "{warnings}"
    );
    let class = |record: &FitRecord| match record.joined.answers[0] {
        Some(Answer::Class { class, .. }) => class,
        _ => 0,
    };
    let mut mixed: Vec<FitRecord> = (0..400).map(|s| record(&mut rng, s, Shift::None)).collect();
    let mut sorted = mixed.clone();
    sorted.sort_by_key(class);
    let told = |records: &mut Vec<FitRecord>| fit(&plan(&spec(), window), records).expect("enough").warnings.join("\n");
    assert!(!told(&mut mixed).contains("sorted by class"));
    assert!(told(&mut sorted).contains("task `intent` follow one of the same class"), "{}", told(&mut sorted));
}

/// What one fault of the records costs: a warning that names it, and the other signals work on.
#[test]
fn faulty_references_name_the_fault_and_work_on() {
    type Fault = fn(&mut FitRecord);
    let other_dimension: Fault = |record| record.joined.embedding = vec![0.5; 9];
    let not_numbers: Fault = |record| record.joined.embedding = vec![f32::NAN; 6];
    let no_class_4: Fault = |record| {
        if let Some(Answer::Class { class, .. }) = &mut record.joined.answers[0] {
            *class = (*class).min(3);
        }
    };
    let no_head: Fault = |record| record.joined.answers[3] = None;
    for (fault, told, lost) in [
        (other_dimension, "3000 of 3000 embeddings are unusable (another dimension than 6", "encoder_mean"),
        (not_numbers, "3000 of 3000 embeddings are unusable", "encoder_mean"),
        (no_class_4, "task `intent`: never seen: `c4`", ""),
        (no_head, "no record answers task `urgency`", "predicted_value"),
    ] {
        let mut rng = StdRng::seed_from_u64(3);
        let mut records: Vec<FitRecord> = (0..3_000)
            .map(|second| {
                let mut record = record(&mut rng, second, Shift::None);
                fault(&mut record);
                record
            })
            .collect();
        let fitted = fit(&plan(&spec(), WindowRule::Records(50)), &mut records).expect("the rest is enough");
        assert!(fitted.warnings.iter().any(|w| w.contains(told)), "{told}: {:?}", fitted.warnings);
        let signals = &fitted.reference.signals;
        assert!(signals.iter().all(|s| s.key.signal != lost), "{lost} has nothing to learn from");
        assert!(signals.iter().any(|s| s.key.signal == "token_count"), "{told}");
        let mut course = Course::new(&fitted.reference);
        for slot in 0..20 {
            let mut summary = Summary::empty(&fitted.reference);
            for second in 0..60 {
                let mut record = record(&mut rng, 4_000 + second, Shift::None);
                fault(&mut record);
                let place = place(&record.joined.embedding, fitted.reference.geometry.as_ref(), record.time);
                summary.fold(&fitted.reference, record.time, &record.joined.observe(place, &fitted.reference.segments));
            }
            let (start, end) = (Timestamp::from_micros(0), Timestamp::from_micros(1));
            let report = course.advance(&fitted.reference, &WATCH, &ClosedWindow { slot, start, end, summary }).report;
            assert_eq!(report.verdict, Verdict::Ok, "{told}: {}", report.ln_evidence);
        }
    }
}

/// No signal's p-values are too small on independent records: at 1 % no more than chance allows.
#[test]
fn every_signal_keeps_its_level() {
    const LEVEL: f64 = 0.01;
    let signals = &reference().signals;
    let mut found = vec![(0_u32, 0_u32); signals.len()];
    for seed in 0..6 {
        let mut course = Course::new(reference());
        for window in windows(1_000 + seed, 400, 60, i64::MAX) {
            let report = course.advance(reference(), &WATCH, &window).report;
            for (statistic, (tests, small)) in report.statistics.iter().zip(&mut found) {
                if let Some((test, _)) = &statistic.tested {
                    *tests += 1;
                    *small += u32::from(test.ln_p < LEVEL.ln());
                }
            }
        }
    }
    let often = signals.iter().zip(&found).filter(|(_, (tests, _))| *tests > 1_000);
    assert!(often.clone().count() > 60, "{} signals were tested often", often.count());
    let within_leaves = often.filter(|(signal, _)| signal.key.signal.ends_with("_given_leaf")).map(|(s, _)| s.key.task);
    assert_eq!(within_leaves.collect::<Vec<_>>(), [Some(0), Some(1), Some(2), Some(3)], "each kind of head has one");
    for (signal, (tests, small)) in signals.iter().zip(found) {
        let expected = f64::from(tests) * LEVEL;
        let most = expected + 4.0 * expected.sqrt() + 2.0;
        assert!(f64::from(small) <= most, "{}: {small} of {tests}", reference().signal_name(&signal.key));
    }
}

const CLOSING: Closing = Closing {
    window: WindowRule::Time(Span::from_secs(10)),
    grace: Span::from_secs(3),
    idle_after: Span::from_secs(60),
};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_micros(secs * 1_000_000)
}

proptest! {
    #[test]
    fn a_ledger_adds_up_wherever_it_is_cut(
        steps in prop::collection::vec((0_i64..4, any::<bool>(), any::<bool>()), 0..200), start in 0_i64..1_000,
    ) {
        let read = |cuts: bool| {
            let mut delta = Delta::starting(None, start, Watermark::default());
            let (mut stored, mut total, mut offset) = (None, Ledger::default(), start);
            for (skipped, dead, cut) in &steps {
                offset += skipped;
                assert!(delta.pass(offset) && !delta.pass(offset), "once");
                delta.observe(at(offset));
                if *dead { delta.ledger.dead_lettered += 1 } else { delta.ledger.folded += 1 }
                offset += 1;
                if cuts && *cut {
                    assert!(applies(stored, &delta));
                    (stored, total) = (Some(delta.to), { total.add(delta.ledger); total });
                    delta = delta.committed();
                    assert!(!delta.is_moved() && (stored == delta.from));
                }
            }
            total.add(delta.ledger);
            (total, delta.to, delta.watermark.reached())
        };
        let (cut, whole) = (read(true), read(false));
        prop_assert_eq!(&cut, &whole);
        prop_assert_eq!(cut.0.total(), cut.1 - start);
    }

    #[test]
    fn a_watermark_goes_on_wherever_it_was_stored(
        times in prop::collection::vec(0_i64..1_000, 1..300), stored_at in 0_usize..300, wild in 0_usize..300,
    ) {
        let (mut straight, mut stored) = (Watermark::default(), Watermark::default());
        let mut before = None;
        for (i, time) in times.iter().enumerate() {
            if i == stored_at {
                stored = postcard::from_bytes(&postcard::to_stdvec(&stored).expect("encodes")).expect("decodes");
            }
            // One wild time among many moves it beyond none of the others.
            let time = if i == wild && i > 20 { at(1 << 40) } else { at(*time) };
            let reached = straight.observe(time);
            prop_assert_eq!(reached, stored.observe(time));
            prop_assert!(reached >= before && reached < Some(at(1_000)));
            before = reached;
        }
    }

    #[test]
    fn no_window_closes_before_what_came_in_time(
        partitions in prop::collection::vec(prop::collection::vec(0_i64..400, 1..60), 1..4), now in 0_i64..10_000,
    ) {
        // Each partition is read one record at a time; after each, what is closed must stay closed,
        // and nothing that comes in time by its own partition may belong to what is closed.
        let reached = |marks: &[Watermark]| -> Vec<Reached> {
            let of = |(number, mark): (usize, &Watermark)| Reached {
                partition: Partition { topic: "t".into(), number: i32::try_from(number).expect("small") },
                watermark: mark.reached(),
                moved: at(0),
                idle: None,
            };
            marks.iter().enumerate().map(of).collect()
        };
        let mut marks = vec![Watermark::default(); partitions.len()];
        let mut closed = None;
        let longest = partitions.iter().map(Vec::len).max().unwrap_or(0);
        for i in 0..longest {
            for (p, times) in partitions.iter().enumerate() {
                let Some(time) = times.get(i).copied().map(at) else { continue };
                let mark = marks[p].observe(time);
                let open = CLOSING.first_open(&reached(&marks), at(now));
                prop_assert!(open >= closed, "what is closed stays closed");
                if !CLOSING.is_late(time, mark) {
                    prop_assert!(open.is_none_or(|open| CLOSING.window.slot(time, 0) >= open));
                }
                closed = open;
            }
        }
    }
}
