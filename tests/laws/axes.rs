//! A space without clear axes, and records that go together: what a reference says of its own records is what is said of
//! later ones. Axes fit their own sample too well, and where neighbours say the same, they fit theirs as well.

use std::collections::BTreeMap;

use driftd::stats::hypothesis::Allowance;

use super::*;

const RECORDS: usize = 4_000;
const LATER: usize = 60_000;
const DIMENSION: usize = 96;
const CLASSES: usize = 12;
const MOODS: usize = 9;

fn model() -> ModelSpec {
    let mut spec = spec();
    spec.tasks.truncate(1);
    ModelSpec { embedding_dimension: Some(DIMENSION), attributes: Vec::new(), segments: Some(Vec::new()), ..spec }
}

/// With a second head, whose answers go with the conversation and not with the embedding.
fn of_two_heads() -> ModelSpec {
    let tasks = vec![task("topic", TaskKind::Multiclass, CLASSES), task("mood", TaskKind::Multiclass, MOODS)];
    ModelSpec { tasks, ..model() }
}

fn normal(rng: &mut StdRng) -> f32 {
    // Box & Muller 1958.
    let (u, v) = (1.0 - rng.random::<f32>(), rng.random::<f32>());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

fn normals(rng: &mut StdRng) -> Vec<f32> {
    (0..DIMENSION).map(|_| normal(rng)).collect()
}

/// Conversations, some of them at a time and each of so many records on average: of one class, and near to each other.
struct Traffic {
    rng: StdRng,
    centres: Vec<Vec<f32>>,
    turns: f64,
    talks: Vec<Talk>,
}

/// What the records of a conversation have in common.
#[derive(Clone)]
struct Talk {
    class: usize,
    /// What a second head answers to all of its records, nine in ten.
    mood: usize,
    point: Vec<f32>,
    channel: &'static str,
}

impl Traffic {
    fn new(seed: u64, turns: f64) -> Traffic {
        Traffic::of_many(seed, turns, 1)
    }

    fn of_many(seed: u64, turns: f64, at_a_time: usize) -> Traffic {
        let mut of_world = StdRng::seed_from_u64(77);
        let centres = (0..CLASSES).map(|_| normals(&mut of_world)).collect();
        let talk = Talk { class: 0, mood: 0, point: vec![0.0; DIMENSION], channel: "web" };
        Traffic { rng: StdRng::seed_from_u64(seed), centres, turns, talks: vec![talk; at_a_time] }
    }

    fn begun(&mut self) -> Talk {
        let class = self.rng.random_range(0..CLASSES);
        let channel = if self.rng.random_bool(0.05) { "mail" } else { "web" };
        let point = normals(&mut self.rng).iter().zip(&self.centres[class]).map(|(x, c)| c + 0.7 * x).collect();
        let mood = (self.rng.random::<f64>().powi(3) * MOODS as f64) as usize;
        Talk { class, mood, point, channel }
    }

    fn next(&mut self) -> Joined {
        let which = if self.talks.len() == 1 { 0 } else { self.rng.random_range(0..self.talks.len()) };
        if self.rng.random_bool(1.0 / self.turns) {
            self.talks[which] = self.begun();
        }
        let talk = self.talks[which].clone();
        let own = normals(&mut self.rng);
        // One answer of ten is another.
        let mut answer = |own: usize, of: usize| {
            let wrong = self.rng.random_bool(0.1);
            let class = if wrong { self.rng.random_range(0..of) } else { own } as u32;
            Some(Answer::Class { class, confidence: Confidence::Absent, uncertainty: Uncertainty::default() })
        };
        let answers = vec![answer(talk.class, CLASSES), answer(talk.mood, MOODS)];
        Joined {
            input: None,
            text: None,
            attributes: Vec::new(),
            tags: vec![("channel".to_owned(), talk.channel.to_owned())],
            embedding: own.iter().zip(&talk.point).map(|(x, p)| p + 0.7 * x).collect(),
            answers,
            skew: None,
        }
    }

    fn fitted(model: &ModelSpec, seed: u64, turns: f64, size: usize) -> Reference {
        Traffic::new(seed, turns).fit(model, size)
    }

    fn fit(&mut self, model: &ModelSpec, size: usize) -> Reference {
        let at = |i: usize| Timestamp::from_micros(i as i64);
        let mut records: Vec<FitRecord> =
            (0..size).map(|i| FitRecord { time: at(i), joined: self.next(), labels: Vec::new() }).collect();
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
        for at in 0..LATER {
            let (time, joined) = (Timestamp::from_micros(at as i64), traffic.next());
            let place = place(&joined.embedding, reference.geometry.as_ref(), time);
            summary.fold(&reference, time, &joined.observe(place, &reference.segments));
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

#[test]
fn merged_windows_of_later_conversations_are_as_rare_as_the_reference_takes_them_to_be() {
    // A window of a hundred holds some thirty conversations. Most cells of a wide table are pooled there, and stand by
    // themselves in four of them, each filled by one conversation or none.
    const BLOCK: usize = 400;
    let (mut looks, mut rare) = (BTreeMap::<String, u32>::new(), BTreeMap::<String, u32>::new());
    for seed in 0..4 {
        let mut traffic = Traffic::of_many(seed, 8.0, 20);
        let reference = traffic.fit(&of_two_heads(), 6_000);
        for _ in 0..100 {
            let mut block = Summary::empty(&reference);
            for at in 0..BLOCK {
                let (time, joined) = (Timestamp::from_micros(at as i64), traffic.next());
                let place = place(&joined.embedding, reference.geometry.as_ref(), time);
                block.fold(&reference, time, &joined.observe(place, &reference.segments));
            }
            for signal in &reference.signals {
                let expected = signal.expected(&[]);
                let usual = reference.units_a_window(signal, 1);
                let allowance = signal.variation.allowance(1, usual, &expected, 0.0);
                let test = signal.measure.as_signal().test(&block.cells[signal.cells()], &expected.cells, allowance);
                if let Some(test) = test {
                    *looks.entry(signal.key.signal.clone()).or_default() += 1;
                    *rare.entry(signal.key.signal.clone()).or_default() += u32::from(test.ln_p < -4.6);
                }
            }
        }
    }
    // One of a hundred is as rare; what is left is what one reference has more of than another.
    assert!(looks["link_with_mood"] == 400 && rare.values().all(|rare| *rare <= 20), "{rare:?}");
}
