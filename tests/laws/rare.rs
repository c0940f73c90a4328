//! Names that a reference saw seldom or never: tokens with a long tail, cities, products. What was chosen for being
//! frequent is less so later, and what nobody had seen comes.

use driftd::stats::hypothesis::Allowance;

use super::*;

const WORDS: f64 = 30_000.0;
const CITIES: f64 = 3_000.0;

fn model() -> ModelSpec {
    let city = AttributeSpec { name: "city".into(), kind: AttributeKind::Categorical };
    ModelSpec {
        embedding_dimension: None,
        tasks: Vec::new(),
        attributes: vec![city],
        segments: Some(Vec::new()),
        ..spec()
    }
}

/// Ranks as Zipf has them: the logarithm is uniform.
fn zipf(rng: &mut StdRng, most: f64) -> u32 {
    most.powf(rng.random::<f64>()) as u32
}

fn record(rng: &mut StdRng, second: i64) -> FitRecord {
    let ids: Vec<u32> = (0..rng.random_range(3..15)).map(|_| zipf(rng, WORDS)).collect();
    let joined = Joined {
        input: Some(input_of(ids)),
        text: None,
        attributes: vec![Some(AttributeValue::Category(format!("city {}", zipf(rng, CITIES))))],
        tags: Vec::new(),
        embedding: Vec::new(),
        answers: Vec::new(),
        skew: None,
    };
    FitRecord { time: Timestamp::from_micros(second * 1_000_000), joined, labels: Vec::new() }
}

fn learned(rng: &mut StdRng, records: i64) -> Reference {
    let mut records: Vec<FitRecord> = (0..records).map(|second| record(rng, second)).collect();
    fit(&plan(&model(), WindowRule::Records(50)), &mut records).expect("enough to learn from").reference
}

fn summed(reference: &Reference, records: impl Iterator<Item = FitRecord>) -> Summary {
    let mut summary = Summary::empty(reference);
    for record in records {
        summary.fold(
            reference,
            record.time,
            &record.joined.observe(place(&[], None, record.time), &reference.segments),
        );
    }
    summary
}

/// Whether a cell of this name is one value's own, or that of those that nobody saw.
const HAS_OWN: fn(&str) -> bool = |name| !name.starts_with("rare ") && name != "other" && name != "missing";
const NEVER_SEEN: fn(&str) -> bool = |name| name == "other";

#[test]
fn names_without_a_cell_are_as_frequent_later() {
    /// Of forty standard scores' mean, a hundred-thousandth is further off by chance.
    const MOST: f64 = 0.7;
    const SEEDS: u64 = 40;
    const LATER: i64 = 4_000;
    for size in [300, 1_000, 4_000] {
        let mut scores = [0.0; 3];
        for seed in 0..SEEDS {
            let mut rng = StdRng::seed_from_u64(seed);
            let reference = learned(&mut rng, size);
            let later = summed(&reference, (0..LATER).map(|second| record(&mut rng, second)));
            let looks = [("token_distribution", HAS_OWN), ("attribute_city", HAS_OWN), ("attribute_city", NEVER_SEEN)];
            for (score, (name, is_in)) in scores.iter_mut().zip(looks) {
                let signal = reference.signals.iter().find(|s| s.key.signal == name).expect("is measured");
                let measured = signal.measure.as_signal();
                let is_in = |cell: &usize| is_in(&measured.cell_name(*cell, None));
                let part = |cells: &[i64]| (0..cells.len()).filter(is_in).map(|cell| cells[cell]).sum::<i64>() as f64;
                let (was, is) = (&signal.totals[..], &later.cells[signal.cells()]);
                let sizes = [measured.n(was) as f64, measured.n(is) as f64];
                let pooled = (part(was) + part(is)) / (sizes[0] + sizes[1]);
                let error = (pooled * (1.0 - pooled) * (1.0 / sizes[0] + 1.0 / sizes[1])).sqrt();
                *score += (part(is) / sizes[1] - part(was) / sizes[0]) / error / SEEDS as f64;
            }
        }
        assert!(scores.iter().all(|z| z.abs() < MOST), "{size} records, off by {scores:?} standard errors");
    }
}

#[test]
fn a_small_reference_with_a_long_tail_raises_no_alarm() {
    const STREAMS: u64 = 12;
    const WINDOWS: i64 = 60;
    let mut alarmed = Vec::new();
    for seed in 0..STREAMS {
        let mut rng = StdRng::seed_from_u64(100 + seed);
        let reference = learned(&mut rng, 400);
        let mut course = Course::new(&reference);
        for slot in 8..8 + WINDOWS {
            let summary = summed(&reference, (0..50).map(|i| record(&mut rng, slot * 50 + i)));
            let at = |slot: i64| Timestamp::from_micros(slot * 50 * 1_000_000);
            let closed = ClosedWindow { slot, start: at(slot), end: at(slot + 1), summary };
            if course.advance(&reference, &WATCH, &closed).report.verdict == Verdict::Drift {
                alarmed.push((seed, slot));
                break;
            }
        }
    }
    // 720 windows, and one false alarm is allowed in 2,000.
    assert!(alarmed.len() <= 1, "quiet streams with an alarm: {alarmed:?}");
}

#[test]
fn a_category_that_nobody_saw_is_found_among_five_hundred() {
    const NEW: f64 = 0.05;
    let city = |rng: &mut StdRng, second| {
        let mut record = record(rng, second);
        let city = format!("city {}", rng.random_range(0..500));
        record.joined.attributes[0] = Some(AttributeValue::Category(city));
        record
    };
    let mut delays = Vec::new();
    for seed in 0..6 {
        let mut rng = StdRng::seed_from_u64(200 + seed);
        let mut records: Vec<FitRecord> = (0..10_000).map(|second| city(&mut rng, second)).collect();
        let reference = fit(&plan(&model(), WindowRule::Records(250)), &mut records).expect("is enough").reference;
        let signal = reference.signals.iter().find(|s| s.key.signal == "attribute_city").expect("is measured");
        let measured = signal.measure.as_signal();
        let cells: Vec<String> =
            (measured.width() - 3..measured.width()).map(|c| measured.cell_name(c, None)).collect();
        assert_eq!(cells, ["rare categories", "other", "missing"], "more were seen than have a cell");
        let mut course = Course::new(&reference);
        let found = (0..30).find(|slot| {
            let with_new = |second| {
                let mut record = city(&mut rng, second);
                if *slot >= 10 && rng.random_bool(NEW) {
                    record.joined.attributes[0] = Some(AttributeValue::Category("Atlantis".to_owned()));
                }
                record
            };
            let summary = summed(&reference, (slot * 250..slot * 250 + 250).map(with_new));
            let at = |slot: i64| Timestamp::from_micros(slot * 250 * 1_000_000);
            let closed = ClosedWindow { slot: *slot, start: at(*slot), end: at(*slot + 1), summary };
            course.advance(&reference, &WATCH, &closed).report.verdict == Verdict::Drift
        });
        delays.push(found.map(|slot| slot - 9));
    }
    // Back-tests of two such streams found it in none of twenty windows while it was one with those that are rare.
    let sum = delays.iter().try_fold(0, |sum, delay| delay.filter(|delay| *delay > 0).map(|delay| sum + delay));
    assert!(sum.is_some_and(|sum| sum <= 6 * 6), "windows until it was found: {delays:?}");
}

#[test]
fn tokens_of_like_frequency_are_as_rare_later() {
    // Which of them a reference holds more often is chance, and so is how rare each looks.
    const SEEDS: u64 = 6;
    const TOKENS: u32 = 500;
    let like = |rng: &mut StdRng, second| {
        let mut record = record(rng, second);
        let ids = (0..3).map(|_| rng.random_range(0..TOKENS)).collect();
        record.joined.input = Some(input_of(ids));
        record
    };
    let mut distance = 0.0;
    for seed in 0..SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut records: Vec<FitRecord> = (0..6_000).map(|second| like(&mut rng, second)).collect();
        let reference = fit(&plan(&model(), WindowRule::Records(50)), &mut records).expect("is enough").reference;
        let later = summed(&reference, (0..30_000).map(|second| like(&mut rng, second)));
        let signal = reference.signals.iter().find(|s| s.key.signal == "token_surprisal").expect("is measured");
        let (measured, current) = (signal.measure.as_signal(), &later.cells[signal.cells()]);
        let totals: Vec<f64> = signal.totals.iter().map(|t| *t as f64).collect();
        let test = measured.test(current, &totals, Allowance::EXACT).expect("has cells");
        let sizes = [measured.n(&signal.totals), measured.n(current)].map(|n| n as f64);
        distance += test.statistic / test.degrees_of_freedom * sizes[0] / (sizes[0] + sizes[1]) / SEEDS as f64;
    }
    // As far off as chance has it is 1.
    assert!(distance < 2.0, "{distance}");
}
