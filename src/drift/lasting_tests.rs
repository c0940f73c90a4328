use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;
use crate::drift::answer::{Answer, Confidence, Uncertainty};
use crate::drift::fit::{FitRecord, Plan, fit};
use crate::drift::geometry;
use crate::drift::inference::InputFacts;
use crate::drift::observation::{HeadSource, Joined};
use crate::drift::record::InputText;
use crate::drift::reference::ReferenceKind;
use crate::drift::summary::Summary;
use crate::drift::task::{ModelSpec, TaskKind, TaskSpec};
use crate::drift::text::TextFacts;
use crate::drift::time::Span;
use crate::drift::window::WindowRule;

/// What the records of a window suffer.
type Change = fn(i64, &mut Joined);
/// Where something is lacked, and what.
type Lacks = (Scope, Option<usize>, What);

const LENGTH: i64 = 100;
const INTENT: usize = 0;
/// A task that one record in twenty-five answers.
const SELDOM: usize = 1;

fn spec() -> ModelSpec {
    let task = |name: &str| TaskSpec {
        name: name.into(),
        kind: TaskKind::Multiclass,
        classes: ["a", "b"].map(Into::into).to_vec(),
        threshold: 0.5,
        temperature: 1.0,
    };
    ModelSpec {
        name: "m".into(),
        version: "1".into(),
        tasks: vec![task("intent"), task("seldom")],
        embedding_dimension: Some(4),
        attributes: Vec::new(),
        segments: Some(Vec::new()),
    }
}

/// A record, of which something may be left out.
fn record(rng: &mut StdRng, second: i64) -> FitRecord {
    let mut answer = || {
        let uncertainty = Uncertainty { margin: None, entropy: None, energy: None };
        Answer::Class { class: rng.random_range(0..2), confidence: Confidence::Known(rng.random()), uncertainty }
    };
    let answers = [answer(), answer()];
    let seldom = rng.random_bool(0.04);
    let answers = answers.into_iter().enumerate().map(|(task, answer)| (task != SELDOM || seldom).then_some(answer));
    let words = rng.random_range(1..20);
    let joined = Joined {
        input: Some(InputFacts {
            tokens: words,
            unknown: 0,
            truncated: false,
            ids: vec![words; words as usize],
            ..InputFacts::default()
        }),
        text: Some(TextFacts::of(&InputText { text: "word ".repeat(words as usize), pair: None })),
        attributes: Vec::new(),
        tags: Vec::new(),
        answers: answers.collect(),
        embedding: (0..4).map(|i| (i as f32 + 1.0) * (rng.random::<f32>() - 0.5)).collect(),
        skew: None,
    };
    FitRecord { time: Timestamp::from_micros(second * 1_000_000), joined, labels: Vec::new() }
}

fn reference() -> Reference {
    let mut rng = StdRng::seed_from_u64(1);
    let mut records: Vec<FitRecord> = (0..6_000).map(|second| record(&mut rng, second)).collect();
    let plan = Plan {
        spec: &spec(),
        heads: HeadSource::Predictions,
        window: WindowRule::Time(Span::from_secs(LENGTH)),
        kind: ReferenceKind::Fixed,
        token: &|_| None,
    };
    fit(&plan, &mut records).expect("enough to learn from").reference
}

/// A window of so many records, each of them changed.
fn window(reference: &Reference, slot: i64, records: i64, mut change: impl FnMut(i64, &mut Joined)) -> ClosedWindow {
    let mut rng = StdRng::seed_from_u64(1_000 + slot as u64);
    let mut summary = Summary::empty(reference);
    for i in 0..records {
        let FitRecord { time, mut joined, .. } = record(&mut rng, slot * LENGTH + i % LENGTH);
        change(i, &mut joined);
        let place = geometry::place(&joined.embedding, reference.geometry.as_ref(), time);
        summary.fold(reference, time, &joined.observe(place, &reference.segments));
    }
    let (start, end) = reference.window.bounds(slot).expect("has bounds");
    ClosedWindow { slot, start, end, summary }
}

/// What is told after each of the windows, by its kind and where it stands; through the store's bytes each time.
fn told(reference: &Reference, windows: impl Iterator<Item = ClosedWindow>) -> Vec<Vec<Standing>> {
    let mut lasting = Lasting::default();
    let mut before: Vec<Standing> = Vec::new();
    let step = |window| {
        let bytes = postcard::to_stdvec(&lasting).expect("plain data");
        lasting = postcard::from_bytes(&bytes).expect("what was just encoded");
        let Lacked { standing, began, ended } = lasting.step(reference, &window);
        let is_in =
            |all: &[Standing], one: &Standing| all.iter().any(|s| s.lack.what == one.lack.what && s.since == one.since);
        let fresh: Vec<Standing> = standing.iter().filter(|s| !is_in(&before, s)).cloned().collect();
        let over: Vec<Standing> = before.iter().filter(|s| !is_in(&standing, s)).cloned().collect();
        assert_eq!((began, ended), (fresh, over), "each begins once and ends once");
        before.clone_from(&standing);
        standing
    };
    windows.map(step).collect()
}

fn stands(told: &[Standing], scope: Scope, task: Option<usize>, what: What) -> bool {
    told.iter().any(|s| (s.lack.scope, s.lack.task, s.lack.what) == (scope, task, what))
}

/// Windows of 200 records, with a change from some slot on until before another.
fn outage(reference: &Reference, from: i64, until: i64, change: Change) -> Vec<Vec<Standing>> {
    let change = |slot: i64| {
        move |i, joined: &mut Joined| {
            if (from..until).contains(&slot) {
                change(i, joined);
            }
        }
    };
    told(reference, (0..12).map(|slot| window(reference, slot, 200, change(slot))))
}

#[test]
fn what_lacks_twice_in_a_row_is_told_until_it_was_there_twice() {
    let reference = reference();
    let cases: [(Change, Lacks, bool, &str); 8] = [
        (|_, j| (j.text, j.input) = (None, None), (Scope::Input, None, What::Texts), true, "no record has a text"),
        (|_, j| j.input = None, (Scope::Input, None, What::Texts), false, "no text is cut into tokens"),
        (|_, j| j.embedding.clear(), (Scope::Encoder, None, What::Embeddings), true, "no record has an embedding"),
        (
            |i, j| {
                if i % 5 > 0 {
                    j.embedding.clear();
                }
            },
            (Scope::Encoder, None, What::Embeddings),
            false,
            "only 40 of 200 records have an embedding",
        ),
        (
            |_, j| j.answers[INTENT] = None,
            (Scope::Head, Some(INTENT), What::Answers),
            true,
            "no record answers task `intent`",
        ),
        (
            |i, j| {
                if let (true, Some(Answer::Class { class, .. })) = (i % 4 == 0, &mut j.answers[INTENT]) {
                    *class = 2;
                }
            },
            (Scope::Head, Some(INTENT), What::ClassNames),
            false,
            "50 of 200 answers (25.0 %) name no class of the manifest",
        ),
        (
            |_, j| {
                if let Some(Answer::Class { confidence, .. }) = &mut j.answers[INTENT] {
                    *confidence = Confidence::Absent;
                }
            },
            (Scope::Head, Some(INTENT), What::Fields),
            false,
            "its answers lack what the reference's had",
        ),
        (
            |_, j| {
                if let Some(Answer::Class { confidence, .. }) = &mut j.answers[INTENT] {
                    *confidence = Confidence::Invalid;
                }
            },
            (Scope::Head, Some(INTENT), What::Probabilities),
            false,
            "200 of 200 confidences (100.0 %) are no probabilities",
        ),
    ];
    for (change, (scope, task, what), silent, said) in cases {
        let told = outage(&reference, 4, 8, change);
        for (slot, standing) in told.iter().enumerate() {
            // Told with the second window, over with the second after it.
            assert_eq!(stands(standing, scope, task, what), (5..9).contains(&slot), "{said}, window {slot}");
            let elsewhere = standing.iter().find(|s| (s.lack.scope, s.lack.task) != (scope, task));
            assert_eq!(elsewhere, None, "of no other part");
        }
        let Standing { lack, since } = told[6].iter().find(|s| s.lack.what == what).expect("stands");
        assert_eq!((*since, lack.silent), (reference.window.bounds(4).expect("has bounds").0, silent));
        assert!(lack.said.contains(said), "{}", lack.said);
        let odd = outage(&reference, 4, 5, change);
        assert!(odd.iter().all(Vec::is_empty), "{said}: one odd window is not told");
    }
}

#[test]
fn a_task_that_is_seldom_answered_is_told_by_as_many_records_as_it_takes() {
    let reference = reference();
    // Two answers a window are expected: often there is none.
    let small = |until: i64, windows: i64| {
        let change = move |slot: i64| {
            move |_: i64, j: &mut Joined| {
                if slot >= until {
                    j.answers[SELDOM] = None;
                }
            }
        };
        let reference = &reference;
        told(reference, (0..windows).map(move |slot| window(reference, slot, 50, change(slot))))
    };
    assert!(small(i64::MAX, 600).iter().all(Vec::is_empty), "whatever chance leaves out");
    let told = small(200, 280);
    let begins = told.iter().position(|s| stands(s, Scope::Head, Some(SELDOM), What::Answers)).expect("is told");
    // Forty answers are those of twenty windows, and the look that the outage begins in is half of before.
    assert!((220..=262).contains(&begins), "after {begins} windows");
    assert!(told[begins][0].since < reference.window.bounds(221).expect("has bounds").0, "{:?}", told[begins]);
}

#[test]
fn windows_without_records_are_no_outage_and_end_none() {
    let reference = reference();
    let nights = (0..30).map(|slot| window(&reference, slot, if slot % 10 < 5 { 200 } else { 0 }, |_, _| {}));
    assert!(told(&reference, nights).iter().all(Vec::is_empty));
    let change = |_: i64, j: &mut Joined| j.embedding.clear();
    let silent = (0..12).map(|slot| window(&reference, slot, if slot < 4 { 200 } else { 0 }, change));
    let told = told(&reference, silent);
    assert!(told[1..].iter().all(|s| stands(s, Scope::Encoder, None, What::Embeddings)), "it stands as it stood");
}

#[test]
fn of_a_sample_that_the_model_is_run_on_no_more_is_expected() {
    let reference = reference();
    let windows = |reference: &Reference| -> Vec<ClosedWindow> {
        let change = |i: i64, j: &mut Joined| {
            if i % 10 > 0 {
                j.embedding.clear();
            }
        };
        (0..20).map(|slot| window(reference, slot, 200, change)).collect()
    };
    for (share, told) in [(1.0, true), (0.1, false)] {
        let mut lasting = Lasting::default();
        lasting.run_on(share);
        let all: Vec<Lacked> = windows(&reference).iter().map(|window| lasting.step(&reference, window)).collect();
        assert_eq!(all.iter().any(|lacked| !lacked.standing.is_empty()), told, "{share}");
    }
}
