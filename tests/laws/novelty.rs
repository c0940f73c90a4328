//! What is new: how near records lie to those of the reference.

use super::*;

const DIMENSION: usize = 24;
const CLASSES: usize = 12;
/// Standard deviation of a record around its class, along each axis; classes lie 1 apart from the middle.
const WITHIN: f32 = 0.5;

fn model(dimension: usize) -> ModelSpec {
    let mut spec = spec();
    spec.tasks.truncate(1);
    spec.tasks[0].classes = (0..CLASSES).map(|c| format!("c{c}")).collect();
    ModelSpec { embedding_dimension: Some(dimension), attributes: Vec::new(), segments: Some(Vec::new()), ..spec }
}

/// Of variance 1 along each axis, nearly normal.
fn scattered(rng: &mut StdRng, dimension: usize) -> Vec<f32> {
    let one = |rng: &mut StdRng| (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    (0..dimension).map(|_| one(rng)).collect()
}

fn centre(class: usize) -> Vec<f32> {
    scattered(&mut StdRng::seed_from_u64(500 + class as u64), DIMENSION)
}

pub(super) fn around(rng: &mut StdRng, middle: &[f32], class: usize) -> Joined {
    let embedding = scattered(rng, middle.len()).iter().zip(middle).map(|(x, m)| m + WITHIN * x).collect();
    let answer =
        Answer::Class { class: class as u32, confidence: Confidence::Absent, uncertainty: Uncertainty::default() };
    Joined { embedding, answers: vec![Some(answer)], ..NOTHING }
}

fn usual(rng: &mut StdRng) -> Joined {
    let class = rng.random_range(0..CLASSES);
    around(rng, &centre(class), class)
}

pub(super) fn learned(records: impl Iterator<Item = Joined>) -> Reference {
    let at = |i: usize| Timestamp::from_micros(i as i64);
    let record = |(i, joined)| FitRecord { time: at(i), joined, labels: Vec::new() };
    let mut records: Vec<FitRecord> = records.enumerate().map(record).collect();
    let model = model(records[0].joined.embedding.len());
    fit(&plan(&model, WindowRule::Records(100)), &mut records).expect("enough to learn from").reference
}

/// How far these records lie from the reference's by one signal, in standard errors of both, upwards.
pub(super) fn score(reference: &Reference, signal: &str, records: impl Iterator<Item = Joined>) -> f64 {
    let mut summary = Summary::empty(reference);
    for (at, joined) in records.enumerate() {
        let time = Timestamp::from_micros(at as i64);
        let place = place(&joined.embedding, reference.geometry.as_ref(), time);
        summary.fold(reference, time, &joined.observe(place, &reference.segments));
    }
    let of = reference.signals.iter().find(|s| s.key.signal == signal).expect("is watched");
    let (measured, current) = (of.measure.as_signal(), &summary.cells[of.cells()]);
    let totals: Vec<f64> = of.totals.iter().map(|t| *t as f64).collect();
    let found = measured.location(current, &totals).expect("is located");
    let sizes = [measured.n(&of.totals), measured.n(current)].map(|n| n as f64);
    found.score(sizes[0] * sizes[1] / (sizes[0] + sizes[1]))
}

pub(super) const NEAREST: &str = "encoder_nearest_neighbour";

/// Mean of five references' squared scores, of later records such as these: squares of standard normal numbers have a
/// mean of 1, and that of five exceeds 3 once in a hundred times.
fn mean_square(reference: &dyn Fn(&mut StdRng) -> Reference, later: &dyn Fn(&mut StdRng) -> Joined) -> f64 {
    let square = |seed: u64| {
        let mut rng = StdRng::seed_from_u64(100 + seed);
        let reference = reference(&mut StdRng::seed_from_u64(seed));
        score(&reference, NEAREST, (0..20_000).map(|_| later(&mut rng))).powi(2)
    };
    (0..5).map(square).sum::<f64>() / 5.0
}

#[test]
fn a_reference_is_as_near_to_itself_as_later_records_are_to_it() {
    for size in [500, 4_000, 12_000] {
        let found = mean_square(&|rng| learned((0..size).map(|_| usual(rng))), &usual);
        assert!(found < 3.0, "{size} records: {found}");
    }
    // Nothing but noise, in which a sample's own axes are nobody else's.
    let noise = |rng: &mut StdRng| around(rng, &[0.0; 96], 0);
    for size in [400, 1_000] {
        let found = mean_square(&|rng| learned((0..size).map(|_| noise(rng))), &noise);
        assert!(found < 3.0, "{size} records of noise: {found}");
    }
    // A validation set in which texts come again, as none of them does in later traffic. What it says of a text it says
    // twice, so that it counts for less than it holds.
    let repeating = |rng: &mut StdRng| {
        let texts: Vec<Joined> = (0..2_500).map(|_| usual(rng)).collect();
        learned((0..4_000).map(|_| texts[rng.random_range(0..texts.len())].clone()))
    };
    let found = mean_square(&repeating, &usual);
    assert!(found < 2.6 * 3.0, "texts that come again: {found}");
}

#[test]
fn what_is_new_is_far_from_all_that_is_known_wherever_it_lies() {
    let mut rng = StdRng::seed_from_u64(1);
    let reference = learned((0..4_000).map(|_| usual(&mut rng)));
    // A thousand records, of which so many lie around some place.
    let found = |signal: &str, share: f64, middle: &[f32]| {
        let mut rng = StdRng::seed_from_u64(2);
        let one = |_| if rng.random_bool(share) { around(&mut rng, middle, 3) } else { usual(&mut rng) };
        score(&reference, signal, (0..1_000).map(one))
    };
    let usual = found(NEAREST, 0.0, &[]);
    assert!(usual.abs() < 3.5, "nothing new: {usual}");
    // Between all that is known there is nothing, and nothing is nearer to the middle.
    let middle = [NEAREST, "encoder_distance"].map(|signal| found(signal, 0.05, &[0.0; DIMENSION]));
    assert!(middle[0] > 5.0 && middle[1] < 0.0, "new in the middle: {middle:?}");
    // As far out as the others, elsewhere.
    let beside = [NEAREST, "encoder_distance"].map(|signal| found(signal, 0.05, &centre(CLASSES)));
    assert!(beside[0] > 5.0 && beside[0] > 1.5 * beside[1], "new beside the others: {beside:?}");
}
