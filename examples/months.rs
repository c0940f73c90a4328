//! Simulated months: how many false alarms a month without any drift raises, and how long shifts of
//! known size go unnoticed. The figures of `docs/quality.md` come from here.
//!
//!     cargo run --release --example months -- false-alarms [REFERENCES] [MONTHS-EACH]
//!     cargo run --release --example months -- delays [RUNS]
//!     cargo run --release --example months -- signals [PROCESS]
//!     cargo run --release --example months -- quiet
//!
//! Windows are of an hour, the budget is one false alarm in thirty days. Each reference is thirty days
//! of the same process under another seed.

use driftd::drift::answer::{Answer, Confidence, Uncertainty};
use driftd::drift::course::{Course, Watch};
use driftd::drift::detector::Sensitivity;
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::geometry::Place;
use driftd::drift::guarantee::GuaranteeStatus;
use driftd::drift::judgement::{ClosedWindow, Verdict};
use driftd::drift::observation::{HeadSource, Joined};
use driftd::drift::record::AttributeValue;
use driftd::drift::reference::{Reference, ReferenceKind};
use driftd::drift::retraining::{Mode, Policy, Trigger};
use driftd::drift::summary::Summary;
use driftd::drift::task::{AttributeKind, AttributeSpec, ModelSpec, TaskKind, TaskSpec};
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::window::WindowRule;
use driftd::stats::evidence::{Evidence, ln_weighted_sum};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const HOUR: i64 = 3_600_000_000;
const HOURS: i64 = 30 * 24;
const RECORDS: usize = 60;

/// What windows have in common beyond chance.
#[derive(Clone, Copy, PartialEq)]
enum Effect {
    None,
    Autoregressive,
    Season,
    DayShocks,
}

/// What a record consists of.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    /// A five-class head and three attributes.
    Plain,
    /// One attribute alone.
    Single,
    /// Fifty attributes with a correlation of .8.
    Fifty,
    /// Values that are mostly equal.
    Ties,
    /// A head with this many classes.
    Classes(usize),
}

const SCENARIOS: [(&str, Shape, Effect); 8] = [
    ("independent records", Shape::Plain, Effect::None),
    ("AR(.5) between hours", Shape::Plain, Effect::Autoregressive),
    ("daily season", Shape::Plain, Effect::Season),
    ("day shocks", Shape::Plain, Effect::DayShocks),
    ("50 correlated attributes", Shape::Fifty, Effect::None),
    ("heavy ties", Shape::Ties, Effect::None),
    ("2 classes, one of 2 %", Shape::Classes(2), Effect::None),
    ("150 classes", Shape::Classes(150), Effect::None),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| arguments.get(i).map_or(default, |a| a.parse().expect("a number"));
    match arguments.first().map(String::as_str) {
        Some("false-alarms") => false_alarms(number(1, 40), number(2, 5)),
        Some("signals") => signals(number(1, 1)),
        Some("delays") => delays(number(1, 200)),
        Some("quiet") => quiet(),
        _ => {
            eprintln!(
                "usage: months false-alarms [REFERENCES] [MONTHS-EACH] | months delays [RUNS] | months signals [PROCESS] | months quiet"
            );
            std::process::exit(2);
        }
    }
}

/// The process behind one reference and the months after it.
struct Process {
    shape: Shape,
    effect: Effect,
    rng: StdRng,
    level: f64,
    /// Added to every numeric attribute, in standard deviations of one record.
    shift: f64,
}

impl Process {
    fn new(shape: Shape, effect: Effect, seed: u64) -> Process {
        Process { shape, effect, rng: StdRng::seed_from_u64(seed), level: 0.0, shift: 0.0 }
    }

    fn normal(&mut self) -> f64 {
        let (u, v): (f64, f64) = (1.0 - self.rng.random::<f64>(), self.rng.random());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// The records of one hour.
    fn hour(&mut self, hour: i64) -> Vec<FitRecord> {
        const SIZE: f64 = 0.3;
        let effect = match self.effect {
            Effect::None => 0.0,
            Effect::Autoregressive => {
                self.level = 0.5 * self.level + 0.75_f64.sqrt() * self.normal();
                SIZE * self.level
            }
            Effect::Season => (hour as f64 * std::f64::consts::TAU / 24.0).sin(),
            Effect::DayShocks => {
                if hour % 24 == 0 {
                    self.level = self.normal();
                }
                SIZE * self.level
            }
        };
        (0..RECORDS).map(|i| self.record(hour * HOUR + i as i64 * HOUR / RECORDS as i64, effect)).collect()
    }

    fn record(&mut self, micros: i64, effect: f64) -> FitRecord {
        let mut attributes = Vec::new();
        let mut answers = Vec::new();
        match self.shape {
            Shape::Plain => {
                attributes = (0..3).map(|_| number(self.normal() + effect + self.shift)).collect();
                answers = vec![self.answer(5, effect)];
            }
            Shape::Single => attributes = vec![number(self.normal() + effect + self.shift)],
            Shape::Fifty => {
                let common = self.normal();
                let own = |s: &mut Process| number(0.8_f64.sqrt() * common + 0.2_f64.sqrt() * s.normal());
                attributes = (0..50).map(|_| own(self)).collect();
            }
            Shape::Ties => {
                let value = if self.rng.random_bool(0.9) { 0.0 } else { f64::from(self.rng.random_range(1_u32..4)) };
                attributes = vec![number(value)];
                let p = if self.rng.random_bool(0.95) { 1.0 } else { 0.9 };
                let answer =
                    Answer::Class { class: 0, confidence: Confidence::Known(p), uncertainty: Uncertainty::default() };
                answers = vec![Some(answer)];
            }
            Shape::Classes(classes) => answers = vec![self.answer(classes, effect)],
        }
        let joined = Joined {
            input: None,
            text: None,
            attributes,
            tags: Vec::new(),
            embedding: Vec::new(),
            answers,
            skew: None,
        };
        FitRecord { time: Timestamp::from_micros(micros), joined, labels: Vec::new() }
    }

    /// Classes by a power law (two classes: 2 % and the rest); how sure the head is depends on the class.
    fn answer(&mut self, classes: usize, effect: f64) -> Option<Answer> {
        let u: f64 = self.rng.random();
        let class = match classes {
            2 => u32::from(u < 0.02),
            _ => ((u.powf((3.0 + effect).max(0.5)) * classes as f64) as u32).min(classes as u32 - 1),
        };
        let doubt = self.rng.random::<f32>().powi(3) * if class % 2 == 0 { 0.3 } else { 0.6 };
        let uncertainty =
            Uncertainty { margin: Some(1.0 - 2.0 * doubt.min(0.5)), entropy: Some(2.0 * doubt), energy: None };
        Some(Answer::Class { class, confidence: Confidence::Known(1.0 - doubt), uncertainty })
    }
}

fn number(value: f64) -> Option<AttributeValue> {
    Some(AttributeValue::Number(value))
}

fn spec(shape: Shape) -> ModelSpec {
    let (attributes, classes) = match shape {
        Shape::Plain => (3, 5),
        Shape::Single => (1, 0),
        Shape::Fifty => (50, 0),
        Shape::Ties => (1, 2),
        Shape::Classes(classes) => (0, classes),
    };
    let task = TaskSpec {
        name: "head".to_owned(),
        kind: TaskKind::Multiclass,
        classes: (0..classes).map(|c| format!("c{c}")).collect(),
        threshold: 0.5,
        temperature: 1.0,
    };
    ModelSpec {
        name: "simulated".to_owned(),
        version: "1".to_owned(),
        tasks: if classes > 0 { vec![task] } else { Vec::new() },
        embedding_dimension: None,
        attributes: (0..attributes)
            .map(|i| AttributeSpec { name: format!("a{i}"), kind: AttributeKind::Numeric })
            .collect(),
        segments: Some(Vec::new()),
    }
}

fn reference(process: &mut Process) -> Reference {
    let mut records: Vec<FitRecord> = (0..HOURS).flat_map(|hour| process.hour(hour)).collect();
    let window = WindowRule::Time(Span::from_micros(HOUR));
    let spec = spec(process.shape);
    let plan =
        Plan { spec: &spec, heads: HeadSource::Predictions, window, kind: ReferenceKind::Fixed, token: &|_| None };
    fit(&plan, &mut records).expect("enough to learn from").reference
}

fn watch(threshold: f64, margin: f64) -> Watch {
    Watch {
        threshold,
        sensitivity: Sensitivity { min_records: 30, margin },
        resolve_after: 3,
        retraining: Policy { mode: Mode::Propose, on: Trigger::Drift, cooldown: Span::from_secs(86_400) },
    }
}

fn close(reference: &Reference, process: &mut Process, hour: i64) -> ClosedWindow {
    let mut summary = Summary::empty(reference);
    for record in process.hour(hour) {
        let observation = record.joined.observe(Place::Absent, &reference.segments);
        summary.fold(reference, record.time, &observation);
    }
    let (start, end) = reference.window.bounds(hour).expect("windows of time have bounds");
    ClosedWindow { slot: hour, start, end, summary }
}

fn in_threads<T: Send>(count: usize, work: impl Fn(u64) -> T + Sync) -> Vec<T> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let done = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let i = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if i >= count {
                        break;
                    }
                    let found = work(i as u64);
                    done.lock().expect("no thread panicked").push(found);
                }
            });
        }
    });
    done.into_inner().expect("no thread panicked")
}

fn false_alarms(references: usize, months: usize) {
    println!("| process | months | false alarms a month (95 %) | months with one | guarantee | signals that wander |");
    println!("|---|---|---|---|---|---|");
    for (name, shape, effect) in SCENARIOS {
        let runs = in_threads(references, |seed| {
            let mut process = Process::new(shape, effect, 1_000 + seed);
            let reference = reference(&mut process);
            let alarms: Vec<u32> = (0..months)
                .map(|month| {
                    let mut course = Course::new(&reference);
                    let first = HOURS * (month as i64 + 1);
                    let drifts = (first..first + HOURS).map(|hour| {
                        let window = close(&reference, &mut process, hour);
                        course.advance(&reference, &watch(HOURS as f64, 0.02), &window).report.verdict == Verdict::Drift
                    });
                    drifts.map(u32::from).sum()
                })
                .collect();
            let wandering = reference.signals.iter().filter(|s| s.wanders()).count() as f64;
            (reference.guarantee().status, wandering / reference.signals.len() as f64, alarms)
        });
        let all: Vec<u32> = runs.iter().flat_map(|(.., alarms)| alarms.iter().copied()).collect();
        let (n, sum) = (all.len() as f64, f64::from(all.iter().sum::<u32>()));
        let mean = sum / n;
        let spread = (all.iter().map(|a| (f64::from(*a) - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
        // Exact for none: three over n.
        let upper = (mean + 1.96 * spread).max(3.0 / n);
        let of = |status| runs.iter().filter(|(s, ..)| *s == status).count();
        println!(
            "| {name} | {n} | {mean:.3} ({:.3} to {upper:.3}) | {} | valid {}, provisional {}, broken {} | {:.0} % |",
            (mean - 1.96 * spread).max(0.0),
            all.iter().filter(|a| **a > 0).count(),
            of(GuaranteeStatus::Valid),
            of(GuaranteeStatus::Provisional),
            of(GuaranteeStatus::Broken),
            100.0 * runs.iter().map(|(_, wandering, _)| wandering).sum::<f64>() / runs.len() as f64,
        );
    }
}

/// Delays at the guaranteed budget, and at the threshold where quiet months really have one alarm each.
fn delays(runs: usize) {
    delays_at(runs, HOURS as f64, "the budget's threshold");
    const THRESHOLDS: [f64; 9] = [180.0, 120.0, 105.0, 95.0, 90.0, 80.0, 70.0, 60.0, 30.0];
    let mut equalized = THRESHOLDS.into_iter().map(|threshold| (threshold, quiet_alarms(runs, threshold)));
    let (threshold, rate) = equalized.find(|(_, rate)| *rate >= 1.0).expect("a threshold of 30 is often reached");
    println!();
    delays_at(runs, threshold, &format!("threshold {threshold}, {rate:.2} false alarms a month"));
}

/// False alarms a month of one quiet attribute at a threshold.
fn quiet_alarms(runs: usize, threshold: f64) -> f64 {
    let alarms = in_threads(runs, |seed| {
        let mut process = Process::new(Shape::Single, Effect::None, 5_000 + seed);
        let reference = reference(&mut process);
        let mut course = Course::new(&reference);
        let drifts = (HOURS..2 * HOURS).map(|hour| {
            let window = close(&reference, &mut process, hour);
            course.advance(&reference, &watch(threshold, 0.0), &window).report.verdict == Verdict::Drift
        });
        drifts.map(u32::from).sum::<u32>()
    });
    f64::from(alarms.iter().sum::<u32>()) / runs as f64
}

/// One attribute whose mean moves by so many standard errors of an hourly window, two days on.
fn delays_at(runs: usize, threshold: f64, title: &str) {
    const QUIET: i64 = 48;
    println!(
        "| shift in standard errors of a window | hourly windows until the alarm ({title}): median | mean | 90 % |"
    );
    println!("|---|---|---|---|");
    for size in [0.5, 1.0, 2.0, 3.0, 5.0] {
        let mut found = in_threads(runs, |seed| {
            let mut process = Process::new(Shape::Single, Effect::None, 5_000 + seed);
            let reference = reference(&mut process);
            let mut course = Course::new(&reference);
            let onset = HOURS + QUIET;
            for hour in HOURS..onset + HOURS {
                if hour == onset {
                    process.shift = size / (RECORDS as f64).sqrt();
                }
                let window = close(&reference, &mut process, hour);
                let judged = course.advance(&reference, &watch(threshold, 0.0), &window);
                if hour >= onset && judged.report.verdict == Verdict::Drift {
                    return hour - onset + 1;
                }
            }
            HOURS
        });
        found.sort_unstable();
        let at = |q: f64| found[((found.len() - 1) as f64 * q).round() as usize];
        let mean = found.iter().sum::<i64>() as f64 / found.len() as f64;
        println!("| {size} | {} | {mean:.1} | {} |", at(0.5), at(0.9));
    }
}

/// A way to read a detector's evidence, with its name.
type Kind = (&'static str, fn(Evidence) -> f64);

/// In which share of their windows quiet detectors hold more evidence than a level: what localization's levels
/// come from. On exact p-values, the mean over so many signals; all start anew at the threshold of the
/// development streams' budget.
fn quiet() {
    const STEPS: usize = 400_000;
    const THRESHOLD: f64 = 2_000.0;
    const LEVELS: [f64; 8] = [1.0, 2.0, 4.0, 20.0, 60.0, 100.0, 200.0, 300.0];
    println!("| signals | evidence | {} |", LEVELS.map(|level| format!("> {level}")).join(" | "));
    println!("|---|---|{}", "---|".repeat(LEVELS.len()));
    for signals in [1, 6, 30] {
        let mut rng = StdRng::seed_from_u64(8);
        let mut detectors = vec![Evidence::NONE; signals];
        let kinds: [Kind; 2] =
            [("a recursion for each drift", Evidence::ln), ("one on their mixture", Evidence::ln_mixed)];
        let mut above = [[0_u32; LEVELS.len()]; 2];
        let steps = STEPS / signals.min(6);
        for _ in 0..steps {
            detectors.iter_mut().for_each(|d| d.step(rng.random::<f64>().max(1e-300).ln()));
            let means = kinds.map(|(_, ln)| ln_weighted_sum(detectors.iter().map(|d| (1.0 / signals as f64, ln(*d)))));
            for (above, mean) in above.iter_mut().zip(means) {
                above.iter_mut().zip(LEVELS).for_each(|(above, level)| *above += u32::from(mean >= level.ln()));
            }
            if means[0] >= THRESHOLD.ln() {
                detectors.fill(Evidence::NONE);
            }
        }
        for ((name, _), above) in kinds.iter().zip(above) {
            let shares = above.map(|above| format!("{:.1} %", 100.0 * f64::from(above) / steps as f64));
            println!("| {signals} | {name} | {} |", shares.join(" | "));
        }
    }
}

/// What each signal of one process does over five months, for whoever changes a test.
fn signals(which: usize) {
    let (name, shape, effect) = SCENARIOS[which];
    println!("{name}");
    let mut process = Process::new(shape, effect, 1_000);
    let reference = reference(&mut process);
    let mut course = Course::new(&reference);
    let mut sums = vec![(0.0, 0.0, f64::NEG_INFINITY, 0); reference.signals.len()];
    for hour in HOURS..6 * HOURS {
        let window = close(&reference, &mut process, hour);
        let report = course.advance(&reference, &watch(HOURS as f64, 0.02), &window).report;
        for (s, sum) in report.statistics.iter().zip(&mut sums) {
            if let Some((test, ln_e)) = s.tested {
                sum.0 += ln_e.exp();
                sum.1 += f64::from(u8::from(test.ln_p < 0.01_f64.ln()));
                sum.3 += 1;
            }
            sum.2 = f64::max(sum.2, s.ln_evidence);
        }
    }
    for (signal, sum) in reference.signals.iter().zip(sums) {
        let n = f64::from(sum.3.max(1));
        println!(
            "{:40} mean e {:9.3} p<.01 {:.3} max ln R {:7.2} season {} {:?} {:?}",
            reference.signal_name(&signal.key),
            sum.0 / n,
            sum.1 / n,
            sum.2,
            signal.seasonal.is_some(),
            (&signal.variation, &signal.location),
            signal.broken
        );
    }
}
