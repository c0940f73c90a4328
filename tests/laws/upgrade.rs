//! What a daemon of an earlier version stored is gone on with: references and courses of the formats that
//! `tests/fixtures/course` holds, each written by the version whose format it is.
//!
//! When a format changes, `DRIFTD_WRITE_FIXTURES=1 cargo test --test laws upgrade` adds the new one; those
//! before it stay.

use std::path::{Path, PathBuf};

use driftd::drift::course::Judged;
use driftd::drift::label::{Label, LabelValue};
use driftd::drift::losses::{Loss, Losses};
use driftd::stats::neighbours::Neighbours;

use super::novelty::{NEAREST, around, learned, score};
use super::*;

/// Records of a window, one a second or two.
const SIZE: i64 = 60;
const LENGTH: i64 = 120;
/// Windows that were judged before the upgrade.
const BEFORE: i64 = 24;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/course")
}

/// One head of four classes and an attribute.
pub(super) fn small_spec() -> ModelSpec {
    let mut spec = spec();
    spec.tasks.truncate(1);
    spec.tasks[0].classes.truncate(4);
    spec.embedding_dimension = None;
    spec.attributes.truncate(1);
    ModelSpec { segments: Some(Vec::new()), ..spec }
}

/// A record whose attribute is moved by so many standard deviations (of a uniform number).
pub(super) fn small_record(rng: &mut StdRng, second: i64, shift: f64) -> FitRecord {
    let p: f32 = rng.random();
    let class = (rng.random::<f64>().powi(2) * 4.0) as u32;
    let uncertainty = Uncertainty { margin: Some(p), entropy: Some(1.0 - p), energy: None };
    let joined = Joined {
        input: None,
        text: None,
        attributes: vec![Some(AttributeValue::Number(rng.random::<f64>() + shift / 12_f64.sqrt()))],
        tags: Vec::new(),
        embedding: Vec::new(),
        answers: vec![Some(Answer::Class { class, confidence: Confidence::Known(0.5 + p / 2.0), uncertainty })],
        skew: None,
    };
    FitRecord { time: Timestamp::from_micros(second * 1_000_000), joined, labels: Vec::new() }
}

pub(super) fn small_reference() -> Reference {
    let mut rng = StdRng::seed_from_u64(1);
    let mut records: Vec<FitRecord> = (0..12_000).map(|i| small_record(&mut rng, i * 2, 0.0)).collect();
    let spec = small_spec();
    let plan = plan(&spec, WindowRule::Time(Span::from_secs(LENGTH)));
    fit(&plan, &mut records).expect("enough to learn from").reference
}

/// A window after the reference's, moved by so many standard errors of it.
pub(super) fn small_window(reference: &Reference, slot: i64, errors: f64) -> ClosedWindow {
    let mut rng = StdRng::seed_from_u64(1_000 + slot as u64);
    let mut summary = Summary::empty(reference);
    for i in 0..SIZE {
        let record = small_record(&mut rng, slot * LENGTH + 2 * i, errors / (SIZE as f64).sqrt());
        let observation = record.joined.observe(place(&[], None, record.time), &reference.segments);
        summary.fold(reference, record.time, &observation);
    }
    let (start, end) = reference.window.bounds(slot).expect("has bounds");
    ClosedWindow { slot, start, end, summary }
}

/// The first window after `course` was stored in which it alarms, if each is moved by so much.
fn found(reference: &Reference, course: &mut Course, errors: f64) -> i64 {
    let first = course.next_slot.expect("has judged");
    let alarms = |slot: &i64| {
        let window = small_window(reference, *slot, errors);
        course.advance(reference, &WATCH, &window).report.verdict == Verdict::Drift
    };
    (first..first + 400).find(alarms).expect("found in the end") - first
}

/// Courses as they stand when the old version stops: in the middle of a small drift that has not alarmed yet,
/// and with an alert that fires.
fn stored(reference: &Reference, firing: bool) -> Course {
    let mut course = Course::new(reference);
    let first = 12_000 * 2 / LENGTH;
    let errors = |slot: i64| match slot - first {
        i if firing && i >= BEFORE - 3 => 8.0,
        i if !firing && i >= BEFORE / 2 => 0.6,
        _ => 0.0,
    };
    let judge = |slot| course.advance(reference, &WATCH, &small_window(reference, slot, errors(slot)));
    let judged: Vec<Judged> = (first..first + BEFORE).map(judge).collect();
    let alarms = judged.iter().filter(|j| j.report.verdict == Verdict::Drift).count();
    assert_eq!((alarms > 0, course.alerts().firing().count()), (firing, usize::from(firing)), "the scene is set");
    course
}

#[test]
fn a_course_of_an_earlier_version_goes_on() {
    if std::env::var_os("DRIFTD_WRITE_FIXTURES").is_some() {
        std::fs::create_dir_all(folder()).expect("made");
        let fresh = small_reference().encode();
        let file = folder().join(format!("reference_{}.bin", u16::from_le_bytes([fresh[8], fresh[9]])));
        // A reference of this format stays, as courses were stored with it.
        if !file.exists() {
            std::fs::write(&file, fresh).expect("written");
        }
        let reference = Reference::decode(&std::fs::read(&file).expect("readable")).expect("decodes");
        for (name, firing) in [("building", false), ("firing", true)] {
            let bytes = stored(&reference, firing).encode();
            std::fs::write(folder().join(format!("{name}_{}.bin", bytes[0])), bytes).expect("written");
        }
    }
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder()).expect("fixtures").map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let named = |name: &'static str| {
        let is = move |file: &&PathBuf| file.file_name().is_some_and(|f| f.to_string_lossy().starts_with(name));
        files.iter().filter(is).map(|file| (file, std::fs::read(file).expect("readable")))
    };
    let mut tried = 0;
    for (file, bytes) in named("reference_") {
        let reference = Reference::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let read = |(file, bytes): (&PathBuf, Vec<u8>)| {
            let course = Course::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            // Another format's reference has another id.
            course.fits(&reference).then_some(course)
        };
        let later = 12_000 * 2 / LENGTH + BEFORE;
        for mut course in named("building_").filter_map(read) {
            assert_eq!(course.next_slot, Some(later));
            let mut fresh = Course::new(&reference);
            fresh.advance(&reference, &WATCH, &small_window(&reference, later - 1, 0.0));
            let (known, anew) = (found(&reference, &mut course, 0.6), found(&reference, &mut fresh, 0.6));
            assert!(known + 4 <= anew, "evidence was kept: {known} windows, {anew} from nothing");
            tried += 1;
        }
        for mut course in named("firing_").filter_map(read) {
            assert_eq!(course.alerts().firing().count(), 1, "the alert still fires");
            for slot in later..later + 3 {
                course.advance(&reference, &WATCH, &small_window(&reference, slot, 0.0));
            }
            assert_eq!(course.alerts().firing().count(), 0, "and is over after three quiet windows");
            tried += 1;
        }
    }
    assert!(tried >= 2, "{tried} stored courses were tried");
}

/// The same head with labels, one of twenty of which says that it is wrong.
fn labelled_reference() -> Reference {
    let mut rng = StdRng::seed_from_u64(2);
    let labelled = |second: i64, rng: &mut StdRng| {
        let record = small_record(rng, second, 0.0);
        let Some(Some(Answer::Class { class, .. })) = record.joined.answers.first() else { unreachable!("it answers") };
        let truth = if rng.random_bool(0.05) { (class + 1) % 4 } else { *class };
        let value = Some(LabelValue::Class(truth));
        let label = Label { task: 0, value, revision: 0, at: record.time, retracted: false };
        FitRecord { labels: vec![label], ..record }
    };
    let mut records: Vec<FitRecord> = (0..12_000).map(|i| labelled(i * 2, &mut rng)).collect();
    fit(&plan(&small_spec(), WindowRule::Time(Span::from_secs(LENGTH))), &mut records).expect("enough").reference
}

/// What twenty labels say, so many of which are of the last class and find it missed.
fn losses(missed: u64) -> Losses {
    let mut losses = Losses::default();
    for i in 0..20 {
        let (truth, given) = if i < missed { (3, 0) } else { (i as u32 % 3, i as u32 % 3) };
        let found = if truth == given { 0 } else { u8::MAX };
        losses.add(0, Loss { found, expected: Some(12) });
        losses.by_class.entry(0).or_default().add(&[(truth, given)], given, Some(12));
    }
    losses
}

/// Windows until labels alone, so many of which find the last class missed, make it alarm.
fn harmed(reference: &Reference, course: &mut Course) -> i64 {
    let first = course.next_slot.expect("has judged");
    let alarms = |slot: &i64| {
        let window = small_window(reference, *slot, 0.0);
        let judged = course.advance_with(reference, &WATCH, &window, &losses(1));
        judged.transitions.iter().any(|t| t.alert.cause.kind == CauseKind::Concept)
    };
    (first..first + 200).find(alarms).expect("found in the end") - first
}

/// A course in which labels have begun to prove harm.
fn betting(reference: &Reference) -> Course {
    let mut course = Course::new(reference);
    let first = 12_000 * 2 / LENGTH;
    for slot in first..first + BEFORE {
        let worse = u64::from(slot - first >= BEFORE - 5);
        let window = small_window(reference, slot, 0.0);
        let judged = course.advance_with(reference, &WATCH, &window, &losses(worse));
        assert_ne!(judged.report.verdict, Verdict::Drift, "the scene is set");
    }
    course
}

#[test]
fn evidence_of_labels_is_gone_on_with() {
    if std::env::var_os("DRIFTD_WRITE_FIXTURES").is_some() {
        let fresh = labelled_reference().encode();
        let file = folder().join(format!("labelled_reference_{}.bin", u16::from_le_bytes([fresh[8], fresh[9]])));
        if !file.exists() {
            std::fs::write(&file, fresh).expect("written");
        }
        let reference = Reference::decode(&std::fs::read(&file).expect("readable")).expect("decodes");
        let bytes = betting(&reference).encode();
        std::fs::write(folder().join(format!("betting_{}.bin", bytes[0])), bytes).expect("written");
    }
    let read = |name: &str| -> Vec<Vec<u8>> {
        let entries = std::fs::read_dir(folder()).expect("fixtures").map(|entry| entry.expect("readable").path());
        let named = entries.filter(|file| file.file_name().is_some_and(|f| f.to_string_lossy().starts_with(name)));
        named.map(|file| std::fs::read(file).expect("readable")).collect()
    };
    let mut tried = 0;
    for reference in read("labelled_reference_").iter().map(|bytes| Reference::decode(bytes).expect("decodes")) {
        for mut course in read("betting_").iter().map(|bytes| Course::decode(bytes).expect("decodes")) {
            if !course.fits(&reference) {
                continue;
            }
            let mut fresh = Course::new(&reference);
            let last = course.next_slot.expect("has judged") - 1;
            fresh.advance(&reference, &WATCH, &small_window(&reference, last, 0.0));
            let (known, anew) = (harmed(&reference, &mut course), harmed(&reference, &mut fresh));
            assert!(known + 3 <= anew, "evidence was kept: {known} windows, {anew} from nothing");
            tried += 1;
        }
    }
    assert!(tried >= 1, "a stored course was tried");
}

/// Where records lie, with what a reference of each format holds to tell it by.
#[test]
fn axes_of_an_earlier_version_are_gone_on_with() {
    if std::env::var_os("DRIFTD_WRITE_FIXTURES").is_some() {
        let mut rng = StdRng::seed_from_u64(1);
        let fresh = learned((0..240).map(|_| around(&mut rng, &[0.0; 4], 0))).encode();
        let file = folder().join(format!("placed_{}.bin", u16::from_le_bytes([fresh[8], fresh[9]])));
        if !file.exists() {
            std::fs::write(&file, fresh).expect("written");
        }
    }
    let mut formats = Vec::new();
    for entry in std::fs::read_dir(folder()).expect("fixtures") {
        let file = entry.expect("readable").path();
        if !file.file_name().is_some_and(|f| f.to_string_lossy().starts_with("placed_")) {
            continue;
        }
        let bytes = std::fs::read(&file).expect("readable");
        let reference = Reference::decode(&bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let format = u16::from_le_bytes([bytes[8], bytes[9]]);
        let kept = reference.geometry.as_ref().expect("has axes").neighbours.as_ref().map(Neighbours::points);
        assert_eq!(kept, (format >= 16).then_some(240), "{}", file.display());
        assert_eq!(reference.signals.iter().any(|s| s.key.signal == NEAREST), format >= 16);
        let found = |far: f32| {
            let mut rng = StdRng::seed_from_u64(2);
            let one = |_| {
                let mut joined = around(&mut rng, &[0.0; 4], 0);
                joined.embedding.iter_mut().for_each(|v| *v *= far);
                joined
            };
            score(&reference, "encoder_distance", (0..300).map(one))
        };
        // The records of format 15 were twice as wide.
        let wide = if format == 15 { 2.0 } else { 1.0 };
        let (usual, moved) = (found(wide), found(1.5 * wide));
        assert!(usual.abs() < 3.5 && moved > 5.0, "{}: {usual} and {moved}", file.display());
        formats.push(format);
    }
    formats.sort_unstable();
    assert!(formats.starts_with(&[15, 16]), "{formats:?}");
}
