//! Values that crowd: rounded scores, the ends of a scale, texts that come again and again. What a reference
//! counts of its own records is what is counted of later ones, or quiet traffic looks like drift.

use super::*;

const RECORDS: usize = 12_000;
const LATER: usize = 40_000;
const DIMENSION: usize = 12;
const CLASSES: usize = 5;
/// Embeddings' last digits differ by how texts were batched.
const BATCH_NOISE: f32 = 1e-6;

/// How a world's heads answer, and how often its texts come again.
#[derive(Clone, Copy, Debug)]
struct World {
    /// Decimals of logged scores.
    decimals: Option<i32>,
    /// Factor on the logits: a sure head's scores crowd at 1.
    sureness: f32,
    /// Share of records that hold one of [`REPEATED_TEXTS`].
    repeated: f64,
}

const REPEATED_TEXTS: u64 = 20;

fn model() -> ModelSpec {
    let mut spec = spec();
    // The last two give labels of tokens, and values.
    spec.tasks[1] =
        TaskSpec { kind: TaskKind::Binary, classes: vec!["no".into(), "yes".into()], ..spec.tasks[0].clone() };
    spec.tasks[1].name = "flag".into();
    ModelSpec { embedding_dimension: Some(DIMENSION), attributes: Vec::new(), segments: Some(Vec::new()), ..spec }
}

fn normal(rng: &mut StdRng) -> f32 {
    // Box & Muller 1958.
    let (u, v) = (1.0 - rng.random::<f32>(), rng.random::<f32>());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

fn centre(class: usize) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(500 + class as u64);
    (0..DIMENSION).map(|_| 2.0 * normal(&mut rng)).collect()
}

impl World {
    fn record(self, rng: &mut StdRng, centres: &[Vec<f32>]) -> Joined {
        let again = rng.random_bool(self.repeated);
        let text = (rng.random::<f64>().powi(2) * REPEATED_TEXTS as f64) as u64;
        let mut own = if again { StdRng::seed_from_u64(900 + text) } else { StdRng::seed_from_u64(rng.random()) };
        let class = (own.random::<f64>().powi(2) * CLASSES as f64) as usize;
        let mut embedding: Vec<f32> = centres[class].iter().map(|c| c + normal(&mut own)).collect();
        let square = |c: &Vec<f32>| c.iter().zip(&embedding).map(|(c, e)| (c - e).powi(2)).sum::<f32>();
        let topic: Vec<f32> = centres.iter().map(|c| -square(c) / 12.0).collect();
        let flag = vec![0.0, 0.8 * embedding[0] + 0.3 * normal(&mut own)];
        embedding.iter_mut().for_each(|e| *e += BATCH_NOISE * normal(rng));
        let mut answers = [topic, flag].map(|logits| Some(self.answer(&logits))).to_vec();
        let first = own.random_range(0..3);
        let labels = (0..own.random_range(1..12)).map(|i| if i < first { class as u32 % 4 } else { 0 }).collect();
        answers.push(Some(Answer::Tokens {
            labels,
            confidence: Confidence::Absent,
            uncertainty: Uncertainty::default(),
        }));
        // A sure head's values crowd at both ends of their range.
        let value = (self.sureness * (0.5 * embedding[1] + 0.3 * normal(&mut own))).tanh() + BATCH_NOISE * normal(rng);
        answers.push(Some(Answer::Value(f64::from(self.logged(value)))));
        let ids: Vec<u32> = (0..own.random_range(3..15)).map(|_| (own.random::<f64>().powi(3) * 2e4) as u32).collect();
        let characters = own.random_range(3..8) * ids.len() as u32;
        Joined {
            input: Some(input_of(ids)),
            text: Some(TextFacts { characters, script: Script::Ascii, digest: own.random() }),
            attributes: Vec::new(),
            tags: Vec::new(),
            embedding,
            answers,
            skew: None,
        }
    }

    fn logged(self, number: f32) -> f32 {
        self.decimals.map_or(number, |d| (number * 10_f32.powi(d)).round() / 10_f32.powi(d))
    }

    /// What a head's logged scores say.
    fn answer(self, logits: &[f32]) -> Answer {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = logits.iter().map(|l| (self.sureness * (l - most)).exp()).collect();
        let sum: f32 = weights.iter().sum();
        let scores: Vec<f32> = weights.iter().map(|w| self.logged(w / sum)).collect();
        let class = (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
        let next = (0..scores.len()).filter(|i| *i != class).map(|i| scores[i]).fold(0.0, f32::max);
        let entropy: f32 = scores.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        Answer::Class {
            class: class as u32,
            confidence: Confidence::Known(scores[class]),
            uncertainty: Uncertainty { entropy: Some(entropy), margin: Some(scores[class] - next), energy: None },
        }
    }

    fn fit(self, seed: u64, centres: &[Vec<f32>]) -> Reference {
        let mut rng = StdRng::seed_from_u64(seed);
        let record = |i| FitRecord {
            time: Timestamp::from_micros(i as i64),
            joined: self.record(&mut rng, centres),
            labels: Vec::new(),
        };
        let mut records: Vec<FitRecord> = (0..RECORDS).map(record).collect();
        let model = model();
        fit(&plan(&model, WindowRule::Records(100)), &mut records).expect("enough to learn from").reference
    }
}

#[test]
fn a_reference_counts_its_own_records_as_later_ones_are_counted() {
    /// Of 30,000 cells a hundredth may be further off by chance in all.
    const MOST: f64 = 5.2;
    let centres: Vec<Vec<f32>> = (0..CLASSES).map(centre).collect();
    let mut found = Vec::new();
    for (decimals, sureness, repeated) in [
        (None, 1.0, 0.0),
        (Some(1), 1.0, 0.0),
        (Some(2), 1.0, 0.0),
        (Some(4), 3.0, 0.0),
        (None, 0.3, 0.6),
        (Some(4), 3.0, 0.6),
    ] {
        let world = World { decimals, sureness, repeated };
        for seed in 0..3 {
            let reference = world.fit(seed, &centres);
            let mut rng = StdRng::seed_from_u64(1_000 + seed);
            let mut summary = Summary::empty(&reference);
            let later: Vec<Observation> = (0..LATER)
                .map(|at| (Timestamp::from_micros(at as i64), world.record(&mut rng, &centres)))
                .map(|(time, joined)| {
                    let place = place(&joined.embedding, reference.geometry.as_ref(), time);
                    joined.observe(place, &reference.segments)
                })
                .collect();
            let timed: Vec<(Timestamp, &Observation)> = later.iter().map(|o| (Timestamp::from_micros(0), o)).collect();
            summary.fold_all(&reference, &timed);
            // Tokens of one text go together, so that their cells differ by more than by chance.
            let by_record = |s: &&SignalReference| !s.key.signal.ends_with("token_distribution");
            for signal in reference.signals.iter().filter(|s| s.measure.as_signal().counts()).filter(by_record) {
                let measured = signal.measure.as_signal();
                let current = &summary.cells[signal.cells()];
                let sizes = [measured.n(&signal.totals) as f64, measured.n(current) as f64];
                for (cell, (own, later)) in signal.totals.iter().zip(current).enumerate() {
                    let pooled = (own + later) as f64 / (sizes[0] + sizes[1]);
                    let error = (pooled * (1.0 - pooled) * (1.0 / sizes[0] + 1.0 / sizes[1])).sqrt();
                    let z = (*own as f64 / sizes[0] - *later as f64 / sizes[1]) / error;
                    if z.abs() > MOST {
                        let name = measured.cell_name(cell, signal.key.task.map(|t| &reference.spec.tasks[t]));
                        found.push(format!(
                            "{world:?} {seed} {:?} {} `{name}`: {own} of {}, then {later} of {}: {z:.1}",
                            signal.key.task, signal.key.signal, sizes[0], sizes[1]
                        ));
                    }
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// A text says a few words several times, so that its tokens go together.
fn wordy(rng: &mut StdRng, second: i64) -> FitRecord {
    const TIMES: usize = 4;
    let words: Vec<u32> = (0..8).map(|_| (rng.random::<f64>().powi(2) * 900.0) as u32).collect();
    let ids: Vec<u32> = words.iter().flat_map(|word| [*word; TIMES]).collect();
    let joined = Joined { input: Some(input_of(ids)), ..NOTHING };
    FitRecord { time: Timestamp::from_micros(second * 1_000_000), joined, labels: Vec::new() }
}

#[test]
fn windows_of_another_size_than_the_references_own_are_no_drift() {
    const LENGTH: i64 = 100;
    let mut rng = StdRng::seed_from_u64(3);
    let spec = ModelSpec { embedding_dimension: None, tasks: Vec::new(), ..model() };
    let mut records: Vec<FitRecord> = (0..6_000).map(|second| wordy(&mut rng, second)).collect();
    let window = WindowRule::Time(Span::from_secs(LENGTH));
    let reference = fit(&plan(&spec, window), &mut records).expect("enough to learn from").reference;
    for size in [25, 50, 100, 300] {
        let mut course = Course::new(&reference);
        for slot in 100..140 {
            let mut summary = Summary::empty(&reference);
            for _ in 0..size {
                let record = wordy(&mut rng, slot * LENGTH);
                summary.fold(
                    &reference,
                    record.time,
                    &record.joined.observe(place(&[], None, record.time), &reference.segments),
                );
            }
            let at = |slot: i64| Timestamp::from_micros(slot * LENGTH * 1_000_000);
            let closed = ClosedWindow { slot, start: at(slot), end: at(slot + 1), summary };
            let judged = course.advance(&reference, &WATCH, &closed);
            assert_ne!(judged.report.verdict, Verdict::Drift, "window {slot} of {size} records");
        }
    }
}
