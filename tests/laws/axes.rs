//! A space without clear axes, and records that go together: what a reference says of its own records is what is said of
//! later ones. Axes fit their own sample too well, and where neighbours say the same, they fit theirs as well.

use std::collections::BTreeMap;

use driftd::stats::hypothesis::Allowance;

use super::*;

const RECORDS: usize = 4_000;
const LATER: usize = 60_000;
const DIMENSION: usize = 96;
const CLASSES: usize = 12;

fn model() -> ModelSpec {
    let mut spec = spec();
    spec.tasks.truncate(1);
    ModelSpec { embedding_dimension: Some(DIMENSION), attributes: Vec::new(), segments: Some(Vec::new()), ..spec }
}

fn normal(rng: &mut StdRng) -> f32 {
    // Box & Muller 1958.
    let (u, v) = (1.0 - rng.random::<f32>(), rng.random::<f32>());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

fn normals(rng: &mut StdRng) -> Vec<f32> {
    (0..DIMENSION).map(|_| normal(rng)).collect()
}

/// Records one after another, on average so many of a conversation: of one class, and near to each other.
struct Traffic {
    rng: StdRng,
    centres: Vec<Vec<f32>>,
    turns: f64,
    class: usize,
    point: Vec<f32>,
    channel: &'static str,
}

impl Traffic {
    fn new(seed: u64, turns: f64) -> Traffic {
        let mut of_world = StdRng::seed_from_u64(77);
        let centres = (0..CLASSES).map(|_| normals(&mut of_world)).collect();
        Traffic {
            rng: StdRng::seed_from_u64(seed),
            centres,
            turns,
            class: 0,
            point: vec![0.0; DIMENSION],
            channel: "web",
        }
    }

    fn next(&mut self) -> Joined {
        if self.rng.random_bool(1.0 / self.turns) {
            self.class = self.rng.random_range(0..CLASSES);
            let centre = &self.centres[self.class];
            self.channel = if self.rng.random_bool(0.05) { "mail" } else { "web" };
            self.point = normals(&mut self.rng).iter().zip(centre).map(|(x, c)| c + 0.7 * x).collect();
        }
        let own = normals(&mut self.rng);
        // One answer of ten is another.
        let wrong = self.rng.random_bool(0.1);
        let class = if wrong { self.rng.random_range(0..CLASSES) } else { self.class } as u32;
        Joined {
            input: None,
            text: None,
            attributes: Vec::new(),
            tags: vec![("channel".to_owned(), self.channel.to_owned())],
            embedding: own.iter().zip(&self.point).map(|(x, p)| p + 0.7 * x).collect(),
            answers: vec![Some(Answer::Class {
                class,
                confidence: Confidence::Absent,
                uncertainty: Uncertainty::default(),
            })],
            skew: None,
        }
    }

    fn fitted(model: &ModelSpec, seed: u64, turns: f64, size: usize) -> Reference {
        let mut traffic = Traffic::new(seed, turns);
        let at = |i: usize| Timestamp::from_micros(i as i64);
        let mut records: Vec<FitRecord> =
            (0..size).map(|i| FitRecord { time: at(i), joined: traffic.next(), labels: Vec::new() }).collect();
        fit(&plan(model, WindowRule::Records(100)), &mut records).expect("enough to learn from").reference
    }
}

/// By signal, how far the reference lies from what comes later: its statistic, over the degrees of freedom, as if the
/// later records were exact. Of independent records it is about 1.
fn distances(seeds: u64, turns: f64, size: usize) -> BTreeMap<String, f64> {
    let mut found: BTreeMap<String, f64> = BTreeMap::new();
    for seed in 0..seeds {
        let reference = Traffic::fitted(&model(), seed, turns, size);
        let mut traffic = Traffic::new(1_000 + seed, turns);
        let mut summary = Summary::empty(&reference);
        for _ in 0..LATER {
            let joined = traffic.next();
            let place = place(&joined.embedding, reference.geometry.as_ref());
            summary.fold(&reference, Timestamp::from_micros(0), &joined.observe(place, &reference.segments));
        }
        for signal in reference.signals.iter().filter(|s| s.measure.as_signal().looks_at().is_none()) {
            let (measured, current) = (signal.measure.as_signal(), &summary.cells[signal.cells()]);
            let totals: Vec<f64> = signal.totals.iter().map(|t| *t as f64).collect();
            let Some(test) = measured.test(current, &totals, Allowance::EXACT) else { continue };
            let sizes = [measured.n(&signal.totals), measured.n(current)].map(|n| n as f64);
            *found.entry(signal.key.signal.clone()).or_default() +=
                test.statistic / test.degrees_of_freedom * sizes[0] / (sizes[0] + sizes[1]) / seeds as f64;
        }
    }
    found
}

#[test]
fn a_reference_lies_as_near_to_later_records_as_chance_has_it() {
    let found = distances(3, 1.0, RECORDS);
    assert!(found.contains_key("features_given_class") && found.contains_key("encoder_residual_mean"), "{found:?}");
    assert!(found.values().all(|distance| *distance < 2.0), "{found:?}");
}

#[test]
fn so_does_a_small_reference_of_many_dimensions() {
    // Its axes are mostly chance, and an eighth of its records makes other ones.
    let found = distances(8, 1.0, 500);
    assert!(found.values().all(|distance| *distance < 3.0), "{found:?}");
}

#[test]
fn records_of_a_conversation_do_not_draw_the_reference_to_themselves() {
    // Of sizes that follow a geometric law, with a mean of five: the design effect of what a conversation says alike.
    const TURNS: f64 = 5.0;
    const WORTH: f64 = 2.0 * TURNS - 1.0;
    let found = distances(3, TURNS, RECORDS);
    assert!(found.values().all(|distance| *distance < 2.0 * WORTH), "{found:?}");
}

#[test]
fn a_segment_too_thin_for_a_window_varies_as_its_merged_windows_do() {
    // Five records of a hundred on average, of one conversation or two.
    let model = ModelSpec { segments: Some(vec!["channel".into()]), ..model() };
    let reference = Traffic::fitted(&model, 5, 3.0, 24_000);
    let of_mail = |s: &&SignalReference| {
        s.key.segment.and_then(|s| reference.name_of_segment(s)).as_deref() == Some("channel=mail")
    };
    let named = |s: &&SignalReference| s.key.signal == "predicted_class";
    let mail = reference.signals.iter().filter(of_mail).find(named).expect("is watched");
    let correlations: Vec<f64> = mail.variation.at_scale.iter().map(|null| null.intra_window_correlation).collect();
    let [one, four, _] = correlations[..] else { panic!("three scales: {correlations:?}") };
    // Of sizes that follow a geometric law, with a mean of three: the design effect is 5, and a window is judged when it
    // has fifty.
    assert!(one == four && (3.0..8.0).contains(&(1.0 + 49.0 * one)), "{correlations:?}");
}
