//! How often the gate is right: planted regressions, equal models, few labels. Five tasks of three kinds
//! whose baselines are right in 93 % of the rows; every trial draws its own rows.
//!
//!     cargo run --release --example gate_trials [TRIALS]

use driftd::drift::answer::{Answer, Confidence, Uncertainty};
use driftd::drift::gate::{Demands, Gate};
use driftd::drift::gate_report::{GateReport, Role, Side, Verdict};
use driftd::drift::gold::Gold;
use driftd::drift::task::{ModelSpec, TaskKind, TaskSpec};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Right answers of the baseline.
const ACCURACY: f64 = 0.93;
const KINDS: [TaskKind; 5] =
    [TaskKind::Multiclass, TaskKind::Binary, TaskKind::Multiclass, TaskKind::Multilabel, TaskKind::TokenLabels];

/// What is different about a candidate.
#[derive(Clone, Copy)]
struct Candidate {
    /// Rows on which it is right where the baseline is not, and the other way around, together.
    discordant: f64,
    /// What it loses, as a share of the score, on one task.
    planted: f64,
}

fn main() {
    let trials: u32 = std::env::args().nth(1).map_or(200, |n| n.parse().expect("a number of trials"));
    println!("{trials} trials each; margin 1 point, error 5 %, five protected tasks unless told otherwise\n");
    println!("{:<66} {:>6} {:>9} {:>10} {:>6}", "candidate", "labels", "pass", "undecided", "fail");
    for (told, labels, discordant, planted) in [
        ("2 points worse in one of five tasks, 2 % discordant", 4_000, 0.02, 0.02),
        ("2 points worse in one of five tasks, 6 % discordant", 4_000, 0.06, 0.02),
        ("just as good, no row discordant", 4_000, 0.0, 0.0),
        ("just as good, 1 % discordant", 4_000, 0.01, 0.0),
        ("just as good, 2 % discordant", 4_000, 0.02, 0.0),
        ("just as good, 6 % discordant", 4_000, 0.06, 0.0),
        ("just as good, 6 % discordant", 16_000, 0.06, 0.0),
        ("just as good, no row discordant", 100, 0.0, 0.0),
        ("just as good, 6 % discordant", 100, 0.06, 0.0),
        ("2 points worse in one of five tasks, 6 % discordant", 100, 0.06, 0.02),
    ] {
        let candidate = Candidate { discordant, planted };
        let verdicts = (0..trials).map(|seed| trial(u64::from(seed), labels, candidate, None).verdict);
        line(told, labels, trials, verdicts);
    }
    for (told, gain) in [
        ("drifted task: 3 points better", -0.03),
        ("drifted task: no better", 0.0),
        ("drifted task: 2 points worse", 0.02),
    ] {
        let candidate = Candidate { discordant: 0.02, planted: gain };
        // The planted task is the drifted one.
        let verdicts = (0..trials).map(|seed| {
            let task = seed as usize % KINDS.len();
            trial(u64::from(seed), 4_000, candidate, Some(task)).tasks[task].verdict
        });
        line(told, 4_000, trials, verdicts);
    }
}

fn line(told: &str, labels: usize, trials: u32, verdicts: impl Iterator<Item = Verdict>) {
    let mut counts = [0; 3];
    for verdict in verdicts {
        counts[verdict as usize] += 1;
    }
    let share = |i: usize| format!("{:.1} %", 100.0 * f64::from(counts[i]) / f64::from(trials));
    println!("{told:<66} {labels:>6} {:>9} {:>10} {:>6}", share(0), share(1), share(2));
}

fn trial(seed: u64, labels: usize, candidate: Candidate, drifted: Option<usize>) -> GateReport {
    let mut rng = StdRng::seed_from_u64(seed);
    let spec = spec();
    let role = |task| match drifted == Some(task) {
        true => Role::Drifted { min_delta: 0.0 },
        false => Role::Protected { margin: 0.01 },
    };
    let demands = Demands {
        error: 0.05,
        roles: (0..KINDS.len()).map(role).collect(),
        most_flips: 0.05,
        scales: vec![1.0; KINDS.len()],
        most_latency: None,
        most_size: None,
    };
    let mut gate = Gate::new(&spec, demands).expect("a level");
    let planted = seed as usize % KINDS.len();
    let golds = KINDS.map(|kind| Some(gold(kind)));
    for _ in 0..labels {
        let mut pairs: [(Option<Answer>, Option<Answer>); 5] = std::array::from_fn(|_| (None, None));
        for (task, (kind, pair)) in KINDS.iter().zip(&mut pairs).enumerate() {
            let extra = if task == planted { candidate.planted } else { 0.0 };
            // An answer that is partly wrong costs less, so that more of them make the same difference.
            let weight = cost(*kind);
            let (gain, loss) =
                (candidate.discordant / 2.0 + (-extra).max(0.0), candidate.discordant / 2.0 + extra.max(0.0));
            let right = rng.random::<f64>() < ACCURACY;
            let turned = rng.random::<f64>();
            let flips =
                if right { turned < loss / weight / ACCURACY } else { turned < gain / weight / (1.0 - ACCURACY) };
            *pair = (Some(answer(*kind, right)), Some(answer(*kind, right != flips)));
        }
        let (baseline, candidate): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        gate.take(&baseline, &candidate, &golds);
    }
    gate.report(Side::default(), Side::default())
}

fn spec() -> ModelSpec {
    let task = |(i, kind): (usize, &TaskKind)| TaskSpec {
        name: format!("task{i}"),
        kind: *kind,
        classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
        threshold: 0.5,
        temperature: 1.0,
    };
    ModelSpec {
        name: "trial".into(),
        version: "1".into(),
        tasks: KINDS.iter().enumerate().map(task).collect(),
        embedding_dimension: None,
        attributes: Vec::new(),
        segments: None,
    }
}

fn gold(kind: TaskKind) -> Gold {
    match kind {
        TaskKind::Multilabel => Gold::Labels(vec![0, 1]),
        TaskKind::TokenLabels => Gold::Tokens(vec![0; 4]),
        _ => Gold::Class(0),
    }
}

/// A right answer, or one that is wrong: a class altogether, a set of labels by all of its labels, tokens
/// by half of them.
fn answer(kind: TaskKind, right: bool) -> Answer {
    let (confidence, uncertainty) = (Confidence::Absent, Uncertainty::default());
    match kind {
        TaskKind::Multilabel => {
            let labels = if right { vec![0, 1] } else { vec![2] };
            Answer::Labels { labels, confidence, uncertainty }
        }
        TaskKind::TokenLabels => {
            let labels = if right { vec![0; 4] } else { vec![0, 0, 1, 1] };
            Answer::Tokens { labels, confidence, uncertainty }
        }
        _ => Answer::Class { class: u32::from(!right), confidence, uncertainty },
    }
}

/// What a wrong answer costs.
fn cost(kind: TaskKind) -> f64 {
    if kind == TaskKind::TokenLabels { 0.5 } else { 1.0 }
}
