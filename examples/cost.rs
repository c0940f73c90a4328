//! What a window costs: folding a record with its embedding, judging a window, and what an open window
//! weighs in memory, for a model of five heads and 384 dimensions with every signal and two segment tags; and what
//! keeping examples adds to the first.
//!
//!     cargo run --release --example cost

use std::time::{Duration, Instant};

use driftd::drift::answer::{Answer, Confidence, Uncertainty};
use driftd::drift::course::{Course, Watch};
use driftd::drift::detector::Sensitivity;
use driftd::drift::examples::Drawn;
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::geometry::place;
use driftd::drift::inference::InputFacts;
use driftd::drift::judgement::ClosedWindow;
use driftd::drift::observation::{HeadSource, Joined, Observation};
use driftd::drift::record::InputText;
use driftd::drift::redaction::Redacted;
use driftd::drift::reference::{Reference, ReferenceKind};
use driftd::drift::retraining::{Mode, Policy, Trigger};
use driftd::drift::summary::Summary;
use driftd::drift::task::{ModelSpec, TaskKind, TaskSpec};
use driftd::drift::text::TextFacts;
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::window::WindowRule;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const DIMENSION: usize = 384;
const WINDOW: i64 = 1_000;
/// Records that are folded at once, as `collect` does.
const BATCH: usize = 256;
/// Characters of an example that are kept at most, as a model's `examples` have it by default.
const CHARACTERS: usize = 280;

fn main() {
    let mut rng = StdRng::seed_from_u64(1);
    let spec = spec();
    let mut records: Vec<FitRecord> = (0..12_000).map(|i| record(&mut rng, i)).collect();
    let plan = Plan {
        spec: &spec,
        heads: HeadSource::Predictions,
        window: WindowRule::Records(WINDOW as u64 / 10),
        kind: ReferenceKind::Fixed,
        token: &|_| None,
    };
    let began = Instant::now();
    let reference = fit(&plan, &mut records).expect("enough to learn from").reference;
    println!("fit of {} records: {:.1} s", records.len(), began.elapsed().as_secs_f64());
    println!("signals: {}, cells: {}", reference.signals.len(), reference.width());

    let windows = 24;
    let joined: Vec<Joined> = (0..WINDOW * windows).map(|i| record(&mut rng, i).joined).collect();
    let mut course = Course::new(&reference);
    let watch = Watch {
        threshold: 8_640.0,
        sensitivity: Sensitivity { min_records: 30, margin: 0.02 },
        resolve_after: 3,
        retraining: Policy { mode: Mode::Propose, on: Trigger::Drift, cooldown: Span::from_secs(86_400) },
    };
    let (mut placing, mut folding, mut judging) = (0.0, 0.0, Vec::new());
    for (slot, batch) in joined.chunks(WINDOW as usize).enumerate() {
        let mut summary = Summary::empty(&reference);
        for some in batch.chunks(BATCH) {
            let some = some.to_vec();
            let began = Instant::now();
            let observed: Vec<(Timestamp, Observation)> = some
                .into_iter()
                .map(|joined| {
                    let time = Timestamp::from_micros(0);
                    let place = place(&joined.embedding, reference.geometry.as_ref(), time);
                    (time, joined.observe(place, &reference.segments))
                })
                .collect();
            placing += began.elapsed().as_secs_f64();
            let entries: Vec<(Timestamp, &Observation)> = observed.iter().map(|(time, o)| (*time, o)).collect();
            let began = Instant::now();
            summary.fold_all(&reference, &entries);
            folding += began.elapsed().as_secs_f64();
        }
        let bytes = summary.encode().len();
        let (start, end) = (Timestamp::from_micros(0), Timestamp::from_micros(1));
        let window = ClosedWindow { slot: slot as i64, start, end, summary };
        let began = Instant::now();
        course.advance(&reference, &watch, &window);
        judging.push(began.elapsed().as_secs_f64() * 1e3);
        if slot == 0 {
            println!("open window: {} KiB in memory, {} KiB stored", reference.width() * 8 / 1024, bytes / 1024);
        }
    }
    let n = (WINDOW * windows) as f64;
    println!("placing a record in the encoder's space: {:.2} µs", placing / n * 1e6);
    println!("folding a record into all signals: {:.2} µs", folding / n * 1e6);
    judging.sort_by(f64::total_cmp);
    let at = |q: f64| judging[((judging.len() - 1) as f64 * q).round() as usize];
    println!("judging a window at all scales: {:.2} ms median, {:.2} ms at most", at(0.5), at(1.0));
    println!("stored course: {} KiB", course.encode().len() / 1024);
    examples(&reference, &joined);
}

/// What keeping examples adds to placing, folding and writing down a window, by how many records it has and how many
/// of them come between two flushes: the first hundred texts of a window are all redacted, later ones ever more rarely.
fn examples(reference: &Reference, joined: &[Joined]) {
    const ROUNDS: usize = 5;
    let mut rng = StdRng::seed_from_u64(2);
    let texts: Vec<(String, InputText)> = (0..joined.len()).map(|i| (format!("p-{i:08}"), text(&mut rng))).collect();
    let began = Instant::now();
    texts.iter().for_each(|(_, text)| drop(std::hint::black_box(Redacted::of(&text.text, CHARACTERS))));
    println!("redacting a text: {:.2} µs", began.elapsed().as_secs_f64() / texts.len() as f64 * 1e6);
    for (window, flush) in [(200, 200), (1_000, 1_000), (joined.len(), 1_000), (joined.len(), joined.len())] {
        let round = |keep: bool| -> f64 {
            let windows = joined.chunks(window).zip(texts.chunks(window));
            windows.map(|(records, texts)| collected(reference, records, texts, flush, keep).as_secs_f64()).sum()
        };
        let (mut without, mut with): (Vec<f64>, Vec<f64>) = (0..ROUNDS).map(|_| (round(false), round(true))).unzip();
        let median = |times: &mut Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[ROUNDS / 2] / joined.len() as f64 * 1e6
        };
        let (without, with) = (median(&mut without), median(&mut with));
        println!(
            "examples, windows of {window} records, {flush} a flush: {with:.2} µs a record instead of {without:.2}, ratio {:.3}",
            with / without
        );
    }
}

/// How long it takes to observe and fold the records of a window, and to encode what its flushes write.
fn collected(
    reference: &Reference,
    records: &[Joined],
    texts: &[(String, InputText)],
    flush: usize,
    keep: bool,
) -> Duration {
    let (mut drawn, mut spent) = (Drawn::default(), Duration::ZERO);
    let time = Timestamp::from_micros(0);
    for (records, texts) in records.chunks(flush).zip(texts.chunks(flush)) {
        let mut summary = Summary::empty(reference);
        for (some, texts) in records.chunks(BATCH).zip(texts.chunks(BATCH)) {
            let some = some.to_vec();
            let began = Instant::now();
            let observed = some.into_iter().zip(texts).map(|(joined, (id, text))| {
                let ticket = if keep { drawn.ticket(CHARACTERS, Some(id), time, text) } else { None };
                let place = place(&joined.embedding, reference.geometry.as_ref(), time);
                let observation = joined.observe(place, &reference.segments);
                if let Some(ticket) = ticket {
                    drawn.take(ticket, reference, &observation);
                }
                (time, observation)
            });
            let observed: Vec<(Timestamp, Observation)> = observed.collect();
            let entries: Vec<(Timestamp, &Observation)> = observed.iter().map(|(time, o)| (*time, o)).collect();
            summary.fold_all(reference, &entries);
            spent += began.elapsed();
        }
        let began = Instant::now();
        std::hint::black_box((summary.encode(), drawn.encode()));
        drawn = drawn.stored();
        spent += began.elapsed();
    }
    spent
}

/// A hundred characters of words, now and then with something that redaction takes out.
fn text(rng: &mut StdRng) -> InputText {
    const CHARACTERS: usize = 100;
    let mut text = String::new();
    while text.len() < CHARACTERS {
        match rng.random_range(0..40) {
            0 => text.push_str("a.person@mail.example"),
            1 => text.push_str("+49 170 5550123"),
            _ => (0..rng.random_range(2..9)).for_each(|_| text.push(rng.random_range('a'..='z'))),
        }
        text.push(' ');
    }
    text.truncate(CHARACTERS);
    InputText { text, pair: None }
}

fn spec() -> ModelSpec {
    let task = |name: &str, kind, classes: usize| TaskSpec {
        name: name.into(),
        kind,
        classes: (0..classes).map(|c| format!("c{c}")).collect(),
        threshold: 0.5,
        temperature: 1.0,
    };
    ModelSpec {
        name: "cost".into(),
        version: "1".into(),
        tasks: vec![
            task("domain", TaskKind::Multiclass, 10),
            task("intent", TaskKind::Multiclass, 120),
            task("in_scope", TaskKind::Binary, 2),
            task("facets", TaskKind::Multilabel, 12),
            task("slots", TaskKind::TokenLabels, 30),
        ],
        embedding_dimension: Some(DIMENSION),
        attributes: Vec::new(),
        segments: None,
    }
}

fn record(rng: &mut StdRng, second: i64) -> FitRecord {
    let length = rng.random_range(3..30_u32);
    let mut uncertainty = || Uncertainty {
        margin: Some(rng.random()),
        entropy: Some(rng.random()),
        energy: Some(-3.0 * rng.random::<f32>()),
    };
    let (a, b, c, d, e) = (uncertainty(), uncertainty(), uncertainty(), uncertainty(), uncertainty());
    let mut class = |n: u32, uncertainty| {
        let class = (rng.random::<f64>().powi(2) * f64::from(n)) as u32;
        Some(Answer::Class { class, confidence: Confidence::Known(rng.random()), uncertainty })
    };
    let (domain, intent, in_scope) = (class(10, a), class(120, b), class(2, c));
    let labels = (0..12).filter(|_| rng.random_bool(0.1)).collect();
    let tokens = (0..length).map(|_| rng.random_range(0..30)).collect();
    let tag = |name: &str, value: u32| (name.to_owned(), format!("v{value}"));
    let joined = Joined {
        input: Some(InputFacts {
            tokens: length,
            unknown: 0,
            truncated: false,
            ids: (0..length).map(|_| (rng.random::<f64>().powi(4) * 20_000.0) as u32).collect(),
            ..InputFacts::default()
        }),
        text: Some(TextFacts::of(&InputText { text: "a few words ".repeat(length as usize / 3), pair: None })),
        attributes: Vec::new(),
        tags: vec![tag("channel", rng.random_range(0..4)), tag("locale", rng.random_range(0..3))],
        embedding: (0..DIMENSION).map(|i| (rng.random::<f32>() - 0.5) / (1.0 + i as f32 * 0.05)).collect(),
        answers: vec![
            domain,
            intent,
            in_scope,
            Some(Answer::Labels { labels, confidence: Confidence::Known(0.8), uncertainty: d }),
            Some(Answer::Tokens { labels: tokens, confidence: Confidence::Known(0.9), uncertainty: e }),
        ],
        skew: None,
    };
    FitRecord { time: Timestamp::from_micros(second * 1_000_000), joined, labels: Vec::new() }
}
