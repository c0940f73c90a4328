//! Tests of the gate: what it decides, and how often. The long version is `examples/gate_trials.rs`.

use super::*;
use crate::drift::answer::{Confidence, Uncertainty};
use rand::{RngExt, SeedableRng, rngs::StdRng};

fn spec(kinds: &[TaskKind]) -> ModelSpec {
    let task = |(i, kind): (usize, &TaskKind)| TaskSpec {
        name: format!("t{i}"),
        kind: *kind,
        classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
        threshold: 0.5,
        temperature: 1.0,
    };
    ModelSpec {
        name: "m".into(),
        version: "1".into(),
        tasks: kinds.iter().enumerate().map(task).collect(),
        embedding_dimension: None,
        attributes: Vec::new(),
        segments: None,
    }
}

fn demands(roles: &[Role]) -> Demands {
    Demands {
        error: 0.05,
        roles: roles.to_vec(),
        most_flips: 0.05,
        scales: vec![1.0; roles.len()],
        most_latency: None,
        most_size: None,
    }
}

fn class(class: u32) -> Option<Answer> {
    Some(Answer::Class { class, confidence: Confidence::Known(0.9), uncertainty: Uncertainty::default() })
}

const PROTECTED: Role = Role::Protected { margin: 0.01 };
const DRIFTED: Role = Role::Drifted { min_delta: 0.0 };

/// So many rows of one class task: ties that are right, ties that are wrong, gains, losses.
fn judged(role: Role, [right, wrong, gains, losses]: [u32; 4]) -> TaskReport {
    let spec = spec(&[TaskKind::Multiclass]);
    let mut gate = Gate::new(&spec, demands(&[role])).expect("a level");
    for (n, baseline, candidate) in [(right, 0, 0), (wrong, 1, 1), (gains, 1, 0), (losses, 0, 1)] {
        for _ in 0..n {
            gate.take(&[class(baseline)], &[class(candidate)], &[Some(Gold::Class(0))]);
        }
    }
    let report = gate.report(Side::default(), Side::default());
    assert_eq!(report.check(), Ok(()), "a report agrees with itself");
    report.tasks.into_iter().next().expect("one task")
}

#[test]
fn each_verdict_has_its_reason() {
    use Code::*;
    for (role, rows, verdict, code) in [
        (PROTECTED, [3_900, 100, 0, 0], Verdict::Pass, NotWorse),
        (PROTECTED, [98, 2, 0, 0], Verdict::Undecided, TooFewLabels),
        (PROTECTED, [1_700, 100, 20, 180], Verdict::Fail, WorseThanMargin),
        (PROTECTED, [7_420, 100, 200, 280], Verdict::Fail, WorseAndNotWithinMargin),
        (PROTECTED, [3_600, 160, 120, 120], Verdict::Pass, NotWorse),
        (PROTECTED, [940, 10, 25, 25], Verdict::Undecided, TooFewLabels),
        (DRIFTED, [900, 20, 70, 10], Verdict::Pass, Better),
        (DRIFTED, [900, 20, 10, 70], Verdict::Fail, NotBetter),
        (DRIFTED, [80, 5, 10, 5], Verdict::Undecided, TooFewLabels),
        (DRIFTED, [3_900, 100, 0, 0], Verdict::Fail, NotBetterThoughPlanned),
        (Role::Drifted { min_delta: 0.1 }, [900, 20, 70, 10], Verdict::Fail, NotBetter),
    ] {
        let task = judged(role, rows);
        assert_eq!((task.verdict, task.reasons[0].code), (verdict, code), "{rows:?}: {task:?}");
        assert_eq!(task.labels_needed.is_some(), verdict == Verdict::Undecided, "{rows:?}");
    }
}

#[test]
fn the_labels_still_needed_follow_from_how_often_the_two_differ() {
    let few = judged(PROTECTED, [930, 10, 30, 30]);
    let needed = few.labels_needed.expect("undecided");
    assert!((2_700..2_900).contains(&needed), "3,710 at 6 % less the 1,000 at hand: {needed}");
    let alike = judged(PROTECTED, [98, 2, 0, 0]);
    assert!(alike.labels_needed.expect("undecided") < 700, "{alike:?}");
    let spec = spec(&[TaskKind::Multiclass]);
    let mut gate = Gate::new(&spec, demands(&[PROTECTED])).expect("a level");
    for i in 0..1_000 {
        gate.take(&[class(0)], &[class(u32::from(i % 50 == 0))], &[None]);
    }
    let report = gate.report(Side::default(), Side::default());
    assert_eq!((report.verdict, report.tasks[0].reasons[0].code), (Verdict::Undecided, Code::NoLabels));
    assert!((1_200..1_400).contains(&report.labels_needed.expect("known")), "at most 2 % can be discordant");
    let mut gate = Gate::new(&spec, demands(&[PROTECTED])).expect("a level");
    (0..4_000).for_each(|_| gate.take(&[class(0)], &[class(0)], &[None]));
    let alike = gate.report(Side::default(), Side::default()).labels_needed.expect("known");
    assert!((290..310).contains(&alike), "two that never differ need the labels that a bound takes: {alike}");
    let answers = report.tasks[0].answers.as_ref().expect("rows were compared");
    assert!((answers.differ - 0.02).abs() < 1e-12 && answers.movers[0].class == "a", "{answers:?}");
}

#[test]
fn flips_are_capped_although_gains_make_up_for_them() {
    let task = judged(PROTECTED, [3_000, 200, 500, 300]);
    assert_eq!(task.verdict, Verdict::Fail, "{task:?}");
    assert_eq!(task.reasons.iter().map(|r| r.code).collect::<Vec<_>>(), [Code::NotWorse, Code::TooManyFlips]);
    let unclear = judged(DRIFTED, [700, 50, 200, 50]);
    assert_eq!((unclear.verdict, unclear.reasons[1].code), (Verdict::Undecided, Code::FlipsUnclear));
}

#[test]
fn a_model_that_is_silent_is_wrong_and_costs_are_asked_for_or_not() {
    let spec = spec(&[TaskKind::Multiclass]);
    let run = |most_latency| {
        let mut gate = Gate::new(&spec, Demands { most_latency, ..demands(&[PROTECTED]) }).expect("a level");
        for _ in 0..4_000 {
            gate.take(&[class(0)], &[class(0)], &[Some(Gold::Class(0))]);
        }
        let side = |ms| Side { ms_per_text: ms, bytes: Some(10), ..Side::default() };
        gate.report(side(Some(1.0)), side(Some(2.0)))
    };
    assert_eq!((run(None).verdict, run(None).cost.latency), (Verdict::Pass, Some(2.0)));
    assert_eq!((run(Some(1.5)).verdict, run(Some(2.5)).verdict), (Verdict::Fail, Verdict::Pass));
    let mut gate = Gate::new(&spec, demands(&[PROTECTED])).expect("a level");
    for _ in 0..200 {
        gate.take(&[class(0)], &[None], &[Some(Gold::Class(0))]);
    }
    assert_eq!(gate.report(Side::default(), Side::default()).verdict, Verdict::Fail);
}

#[test]
fn a_report_that_contradicts_itself_is_refused() {
    let spec = spec(&[TaskKind::Multiclass]);
    let mut gate = Gate::new(&spec, demands(&[PROTECTED])).expect("a level");
    for _ in 0..100 {
        gate.take(&[class(0)], &[class(1)], &[Some(Gold::Class(0))]);
    }
    let honest = gate.report(Side::default(), Side::default());
    let text = serde_json::to_string(&honest).expect("JSON");
    assert_eq!(serde_json::from_str::<GateReport>(&text).expect("comes back"), honest);
    let mut lie = honest.clone();
    lie.verdict = Verdict::Pass;
    assert!(lie.check().expect_err("contradicts").contains("the tasks say otherwise"));
    lie.tasks[0].verdict = Verdict::Pass;
    assert!(lie.check().expect_err("contradicts").contains("its lower bound"));
    assert!(GateReport { tasks: Vec::new(), ..honest.clone() }.check().is_err());
    assert!(GateReport { schema: "other".into(), ..honest }.check().is_err());
}

/// Tasks whose scores are fractions are judged too.
#[test]
fn label_sets_and_tokens_are_judged() {
    let spec = spec(&[TaskKind::Multilabel, TaskKind::TokenLabels, TaskKind::Regression]);
    let (confidence, uncertainty) = (Confidence::Absent, Uncertainty::default());
    let labels = |l: &[u32]| Some(Answer::Labels { labels: l.to_vec(), confidence, uncertainty });
    let tokens = |l: &[u32]| Some(Answer::Tokens { labels: l.to_vec(), confidence, uncertainty });
    let gold = [Some(Gold::Labels(vec![0, 1])), Some(Gold::Tokens(vec![0; 8])), Some(Gold::Value(0.5))];
    let right = [labels(&[0, 1]), tokens(&[0; 8]), Some(Answer::Value(0.5))];
    let mut rng = StdRng::seed_from_u64(9);
    let mut gate = Gate::new(&spec, demands(&[PROTECTED; 3])).expect("a level");
    for _ in 0..3_000 {
        let mut candidate = right.clone();
        match rng.random::<f64>() {
            // Three points of F1 each.
            u if u < 0.1 => candidate[0] = labels(&[0]),
            // A tenth of a point.
            u if u < 0.11 => candidate[1] = tokens(&[0, 0, 0, 1, 0, 0, 0, 0]),
            u if u < 0.12 => candidate[2] = Some(Answer::Value(0.4)),
            _ => {}
        }
        gate.take(&right, &candidate, &gold);
    }
    let report = gate.report(Side::default(), Side::default());
    let verdicts: Vec<Verdict> = report.tasks.iter().map(|t| t.verdict).collect();
    assert_eq!(verdicts, [Verdict::Fail, Verdict::Pass, Verdict::Pass], "{report:?}");
    // A set that lacks a label is wrong, although its F1 is two thirds.
    let flips = report.tasks[0].flips.as_ref().expect("labelled");
    assert!((280..320).contains(&flips.negative), "{flips:?}");
}

/// A quick version of what `examples/gate_trials.rs` measures.
#[test]
fn planted_regressions_are_refused_and_equal_models_pass() {
    let spec = spec(&[TaskKind::Multiclass; 5]);
    let mut rng = StdRng::seed_from_u64(1);
    let mut trial = |rows: u32, discordant: f64, planted: Option<usize>| {
        let mut gate = Gate::new(&spec, demands(&[PROTECTED; 5])).expect("a level");
        for _ in 0..rows {
            let mut pair = || {
                let base = rng.random::<f64>() < 0.05;
                let flips = rng.random::<f64>();
                (base, flips)
            };
            let drawn: Vec<(bool, f64)> = (0..5).map(|_| pair()).collect();
            let baseline: Vec<_> = drawn.iter().map(|(wrong, _)| class(u32::from(*wrong))).collect();
            let candidate: Vec<_> = drawn
                .iter()
                .enumerate()
                .map(|(task, (wrong, flips))| {
                    let worse = if planted == Some(task) { 0.02 / 0.95 } else { 0.0 };
                    let flip = if *wrong {
                        *flips < discordant / 2.0 / 0.05
                    } else {
                        *flips < discordant / 2.0 / 0.95 + worse
                    };
                    class(u32::from(*wrong != flip))
                })
                .collect();
            gate.take(&baseline, &candidate, &vec![Some(Gold::Class(0)); 5]);
        }
        gate.report(Side::default(), Side::default()).verdict
    };
    let refused = (0..20).filter(|i| trial(4_000, 0.04, Some(i % 5)) != Verdict::Pass).count();
    let passed = (0..20).filter(|_| trial(4_000, 0.01, None) == Verdict::Pass).count();
    let undecided = (0..20).filter(|_| trial(100, 0.0, None) == Verdict::Undecided).count();
    assert!(refused == 20 && passed >= 18 && undecided == 20, "{refused} {passed} {undecided}");
}
