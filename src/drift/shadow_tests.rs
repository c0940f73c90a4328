//! Tests of the shadow: what it decides, that sums are all it needs, and how often it errs however often one looks.

use super::*;
use crate::drift::answer::{Confidence, Uncertainty};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

const PROTECTED: Role = Role::Protected { margin: 0.01 };
const DRIFTED: Role = Role::Drifted { min_delta: 0.0 };

fn spec(tasks: usize) -> ModelSpec {
    let task = |i| TaskSpec {
        name: format!("t{i}"),
        kind: TaskKind::Multiclass,
        classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
        threshold: 0.5,
        temperature: 1.0,
    };
    ModelSpec {
        name: "m".into(),
        version: "1".into(),
        tasks: (0..tasks).map(task).collect(),
        embedding_dimension: None,
        attributes: Vec::new(),
        segments: None,
    }
}

fn demands(roles: &[Role]) -> Demands {
    let (error, most_flips, scales) = (0.05, 0.05, vec![1.0; roles.len()]);
    Demands { error, roles: roles.to_vec(), most_flips, scales, most_latency: None, most_size: None }
}

fn judged(tally: &Tally, roles: &[Role]) -> GateReport {
    tally.report(&spec(roles.len()), &demands(roles), [Side::default(), Side::default()])
}

/// Right and wrong as losses.
fn pair(task: usize, baseline: bool, candidate: bool) -> Pair {
    let loss = |right: bool| if right { 0 } else { PARTS };
    Pair { task, baseline: loss(baseline), candidate: Some(loss(candidate)) }
}

/// Ties, gains, losses of one task.
fn one(role: Role, [ties, gains, losses]: [u32; 3]) -> TaskReport {
    let mut tally = Tally::empty(&spec(1));
    for (n, baseline, candidate) in [(ties, true, true), (gains, false, true), (losses, true, false)] {
        (0..n).for_each(|_| tally.pair(pair(0, baseline, candidate)));
    }
    judged(&tally, &[role]).tasks.remove(0)
}

#[test]
fn each_verdict_has_its_reason() {
    use Code::*;
    for (role, pairs, verdict, codes) in [
        (PROTECTED, [0, 0, 0], Verdict::Undecided, vec![NoLabels]),
        (PROTECTED, [300, 0, 0], Verdict::Undecided, vec![TooFewLabels]),
        (PROTECTED, [900, 0, 0], Verdict::Pass, vec![NotWorse]),
        (PROTECTED, [900, 0, 100], Verdict::Fail, vec![WorseThanMargin, TooManyFlips]),
        (PROTECTED, [900, 100, 100], Verdict::Fail, vec![TooFewLabels, TooManyFlips]),
        (PROTECTED, [9_700, 200, 100], Verdict::Pass, vec![NotWorse]),
        (DRIFTED, [1_000, 60, 0], Verdict::Pass, vec![Better]),
        (DRIFTED, [1_000, 0, 0], Verdict::Undecided, vec![TooFewLabels]),
        (DRIFTED, [1_000, 0, 30], Verdict::Fail, vec![NotBetter]),
        (DRIFTED, [100, 60, 6], Verdict::Undecided, vec![Better, FlipsUnclear]),
    ] {
        let report = one(role, pairs);
        let found: Vec<Code> = report.reasons.iter().map(|r| r.code).collect();
        assert_eq!((report.verdict, &found), (verdict, &codes), "{pairs:?} {report:?}");
        assert!(verdict != Verdict::Undecided || report.labels_needed.is_some() || pairs[1] == pairs[2], "{report:?}");
    }
}

#[test]
fn as_many_labels_as_are_asked_for_decide() {
    let needed = one(PROTECTED, [0, 0, 0]).labels_needed.expect("some");
    assert!((1_000..20_000).contains(&needed), "at the usual discordance: {needed}");
    let needed = one(PROTECTED, [300, 0, 0]).labels_needed.expect("some");
    assert_eq!(one(PROTECTED, [300 + needed as u32, 0, 0]).verdict, Verdict::Pass, "{needed}");
    assert_eq!(one(PROTECTED, [100, 1, 1]).verdict, Verdict::Undecided);
}

#[test]
fn answers_are_compared_without_labels() {
    let answer = |class: u32, p| {
        Some(Answer::Class { class, confidence: Confidence::Known(p), uncertainty: Uncertainty::default() })
    };
    let (spec, mut tally) = (spec(2), Tally::empty(&spec(2)));
    for n in 0..10 {
        tally.take(&spec, &[answer(0, 0.75), None], &[answer(u32::from(n < 2), 0.5), answer(1, 0.5)]);
    }
    tally.take(&spec, &[None, None], &[answer(0, 0.5), answer(1, 0.5)]);
    tally.spend(Who::Baseline, 10, 1_000);
    tally.spend(Who::Candidate, 5, 1_000);
    let report = judged(&tally, &[PROTECTED, PROTECTED]);
    let answers = report.tasks[0].answers.as_ref().expect("compared");
    assert_eq!((report.rows, answers.compared, answers.differ), (10, 10, 0.2));
    assert_eq!((answers.baseline_confidence, answers.candidate_confidence), (Some(0.75), Some(0.5)));
    assert_eq!((report.tasks[1].answers.as_ref(), report.cost.latency), (None, Some(2.0)));
    assert_eq!((report.verdict, report.schema.as_str()), (Verdict::Undecided, "shadow/v1"));
}

#[test]
fn what_cannot_be_compared_is_counted() {
    let mut tally = Tally::empty(&spec(1));
    tally.pair(Pair { task: 0, baseline: 0, candidate: None });
    tally.pair(Pair { task: 7, baseline: 0, candidate: Some(0) });
    let report = judged(&tally, &[PROTECTED]);
    assert_eq!((report.tasks[0].labelled, report.tasks[0].incomparable), (0, 1));
}

proptest! {
    /// However rows and labels are split over partitions, replicas and flushes, and in whatever order they are added.
    #[test]
    fn parts_add_up_to_the_whole(
        rows in prop::collection::vec((0_u32..3, 0_u32..3, any::<u8>(), any::<Option<u8>>(), 0_usize..4), 0..60)
    ) {
        let spec = spec(2);
        let answer = |class: u32, p: u8| {
            let confidence = Confidence::Known(f32::from(p) / 255.0);
            Some(Answer::Class { class, confidence, uncertainty: Uncertainty::default() })
        };
        let mut whole = Tally::empty(&spec);
        let mut parts = vec![Tally::empty(&spec); 4];
        for (first, second, loss, candidate, part) in rows {
            for tally in [&mut whole, &mut parts[part]] {
                tally.take(&spec, &[answer(first, loss), None], &[answer(second, loss), answer(0, 9)]);
                tally.pair(Pair { task: usize::from(loss) % 2, baseline: loss, candidate });
                tally.spend(Who::Candidate, 1, u64::from(loss));
            }
        }
        let mut sum = Tally::empty(&spec);
        for part in parts.iter().rev() {
            sum.merge(&Tally::decode(&part.encode()).expect("decodes")).expect("the same tasks");
        }
        prop_assert_eq!(&sum, &whole);
        prop_assert_eq!(judged(&sum, &[PROTECTED, DRIFTED]), judged(&whole, &[PROTECTED, DRIFTED]));
    }
}

/// Whether a candidate ever passes, and ever fails, when one looks after every 50 labels.
fn ever(rng: &mut StdRng, labels: u32, gain: f64, loss: f64) -> (bool, bool) {
    let mut tally = Tally::empty(&spec(2));
    let (mut passed, mut failed) = (false, false);
    for n in 1..=labels {
        let u: f64 = rng.random();
        let (baseline, candidate) = if u < gain { (false, true) } else { (true, u >= gain + loss) };
        tally.pair(pair(0, baseline, candidate));
        tally.pair(pair(1, true, true));
        if n.is_multiple_of(50) {
            let verdict = judged(&tally, &[PROTECTED, PROTECTED]).verdict;
            passed |= verdict == Verdict::Pass;
            failed |= verdict == Verdict::Fail;
        }
    }
    (passed, failed)
}

#[test]
fn a_worse_candidate_rarely_ever_passes_and_a_good_one_rarely_ever_fails() {
    let mut rng = StdRng::seed_from_u64(11);
    let trials = 150;
    let mut share = |gain, loss| {
        let runs: Vec<(bool, bool)> = (0..trials).map(|_| ever(&mut rng, 2_000, gain, loss)).collect();
        let of = |is: fn(&(bool, bool)) -> bool| runs.iter().filter(|r| is(r)).count() as f64 / f64::from(trials);
        (of(|r| r.0), of(|r| r.1))
    };
    let (worse_passes, _) = share(0.02, 0.03);
    let (equal_passes, equal_fails) = share(0.002, 0.002);
    let (_, bad_fails) = share(0.0, 0.08);
    assert!(worse_passes <= 0.05, "just worse than its margin: {worse_passes}");
    assert!(equal_fails <= 0.05 && equal_passes >= 0.8, "{equal_passes} {equal_fails}");
    assert!(bad_fails >= 0.95, "{bad_fails}");
}
