//! Hours in which records lie more widely than in others, about means that hardly move: at night there are fewer texts
//! and odder ones. What a mean of them may do by chance is more then, and less by day; and windows of so few records
//! teach a reference nothing of how windows vary.

use super::*;
use driftd::drift::season::Season;

const HOUR: i64 = 3_600_000_000;
const DIMENSION: usize = 16;
const CLASSES: usize = 6;
/// Days of a stream.
const DAYS: i64 = 90;

/// An hour's records: few at night.
fn rate(hour: i64) -> usize {
    if is_night(hour) { 15 } else { 60 }
}

fn is_night(hour: i64) -> bool {
    !(7..21).contains(&(hour % 24))
}

fn model() -> ModelSpec {
    let mut spec = spec();
    spec.tasks = vec![task("topic", TaskKind::Multiclass, CLASSES)];
    ModelSpec { embedding_dimension: Some(DIMENSION), attributes: Vec::new(), segments: Some(Vec::new()), ..spec }
}

fn normal(rng: &mut StdRng) -> f32 {
    let (u, v) = (1.0 - rng.random::<f32>(), rng.random::<f32>());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

/// Noise of an hour: half as much again at two in the night as at two in the afternoon.
fn noise(hour: i64) -> f32 {
    0.6 + 0.12 * ((hour - 2) as f32 * std::f32::consts::PI / 12.0).cos()
}

fn records_of(rng: &mut StdRng, hours: std::ops::Range<i64>) -> Vec<FitRecord> {
    let mut of_world = StdRng::seed_from_u64(5);
    let centres: Vec<Vec<f32>> =
        (0..CLASSES).map(|_| (0..DIMENSION).map(|_| normal(&mut of_world)).collect()).collect();
    let one = |hour: i64, i: usize, rng: &mut StdRng| {
        let class = rng.random_range(0..CLASSES);
        let p: f32 = rng.random();
        let uncertainty = Uncertainty { margin: Some(p), entropy: Some(1.0 - p), energy: None };
        let joined = Joined {
            input: None,
            text: None,
            attributes: Vec::new(),
            tags: Vec::new(),
            embedding: centres[class].iter().map(|c| c + noise(hour) * normal(rng)).collect(),
            answers: vec![Some(Answer::Class { class: class as u32, confidence: Confidence::Known(p), uncertainty })],
            skew: None,
        };
        let time = Timestamp::from_micros(hour * HOUR + i as i64 * HOUR / rate(hour) as i64);
        FitRecord { time, joined, labels: Vec::new() }
    };
    let all = hours.flat_map(|hour| (0..rate(hour)).map(move |i| (hour, i)));
    all.map(|(hour, i)| one(hour, i, rng)).collect()
}

/// Hours judged, and those with a p-value below a hundredth, of the night and of the day, for a signal.
fn rare(signal: &str) -> [(u32, u32); 2] {
    let mut rng = StdRng::seed_from_u64(8);
    let spec = model();
    let mut learned = records_of(&mut rng, 0..28 * 24);
    let reference =
        fit(&plan(&spec, WindowRule::Time(Span::from_secs(3_600))), &mut learned).expect("enough").reference;
    assert_eq!(reference.season, Some(Season::Week));
    let mut course = Course::new(&reference);
    let mut found = [(0, 0); 2];
    for hour in 28 * 24..(28 + DAYS) * 24 {
        let mut summary = Summary::empty(&reference);
        for record in records_of(&mut rng, hour..hour + 1) {
            let place = place(&record.joined.embedding, reference.geometry.as_ref(), record.time);
            summary.fold(&reference, record.time, &record.joined.observe(place, &reference.segments));
        }
        let (start, end) = reference.window.bounds(hour).expect("has bounds");
        let judged = course.advance(&reference, &WATCH, &ClosedWindow { slot: hour, start, end, summary });
        let of_signal = judged.report.statistics.iter().find(|s| s.key.signal == signal).expect("is judged");
        let Some((test, _)) = of_signal.tested else { continue };
        let of_hour = match hour % 24 {
            // What is carried over the edges is of both.
            1..7 => &mut found[0],
            9..19 => &mut found[1],
            _ => continue,
        };
        *of_hour = (of_hour.0 + 1, of_hour.1 + u32::from(test.ln_p < 0.01_f64.ln()));
    }
    found
}

#[test]
fn wide_nights_are_no_drift() {
    for signal in ["encoder_mean", "mean_given_class"] {
        let [night, day] = rare(signal);
        println!(
            "{signal}: {} of {} hours of the night below 0.01, {} of {} of the day",
            night.1, night.0, day.1, day.0
        );
        // One in a hundred, or fewer for what the reference does not know for certain.
        assert!(night.0 >= 150 && f64::from(night.1) <= 0.03 * f64::from(night.0), "{signal}: {night:?}");
        assert!(day.0 >= 150 && f64::from(day.1) <= 0.03 * f64::from(day.0), "{signal}: {day:?}");
    }
}
