use super::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// What a reference knows of a head with this error rate on so many labels.
pub fn performance(error: f64, labelled: u64) -> Performance {
    Performance::known(0, error, labelled)
}

fn losses(task: usize, right: u64, wrong: u64) -> Losses {
    let of = |found| Loss { found, expected: None };
    Losses { by_task: [(task, [(of(0), right), (of(PARTS), wrong)].into())].into(), by_class: BTreeMap::new() }
}

/// Heads of which five points of error are known, seven tolerated.
fn known(tasks: usize) -> Vec<Performance> {
    (0..tasks).map(|task| Performance::known(task, 0.05, 1_000)).collect()
}

fn harm(tasks: usize) -> Harm {
    Harm { bets: known(tasks).iter().map(|known| Bets::new(known.task, known.tolerated())).collect() }
}

#[test]
fn the_worst_head_leads_and_the_others_do_not_hide_it() {
    let mut harm = harm(3);
    let mut matured = losses(1, 160, 40);
    matured.merge(&losses(0, 198, 2));
    matured.merge(&losses(2, 199, 1));
    let report = (0..3).map(|_| harm.step(&known(3), &expecting(0.05), &matured, 0.2)).last().expect("three");
    assert_eq!(report.tasks[0].task, 1);
    assert_eq!((report.harmed(8.0), report.tasks[0].labels), (vec![Harmed { task: 1, classes: Vec::new() }], 200));
    assert!(report.ln_share > 30.0, "{report:?}");
    let found = causes(&report, 0.5, 8.0, || unreachable!("the rest is quiet"));
    let [Found { cause, .. }] = found.as_slice() else { panic!("one cause: {found:?}") };
    assert_eq!((cause.kind, cause.task, &cause.tasks_affected), (CauseKind::Concept, Some(1), &vec![1]));
}

#[test]
fn what_took_long_to_be_found_is_waited_for_as_long() {
    let (mut harm, mut lately) = (harm(2), Lately::default());
    // Nine points of error where seven are tolerated; the other head is as it was.
    let mut matured = losses(0, 91, 9);
    matured.merge(&losses(1, 95, 5));
    let step = |harm: &mut Harm, lately: &mut Lately, matured: &Losses| {
        let report = harm.step(&known(2), &expecting(0.05), matured, 0.2);
        lately.step(&report);
        report.tasks.iter().find(|harm| harm.task == 0).expect("known").ln_evidence
    };
    let evidence: Vec<f64> = (0..120).map(|_| step(&mut harm, &mut lately, &matured)).collect();
    let since = evidence.iter().position(|ln| *ln >= MOVED.ln()).expect("it rises in the end");
    assert!((5..100).contains(&since) && evidence[since..].iter().all(|ln| *ln >= MOVED.ln()), "{evidence:?}");
    assert_eq!((lately.rising(0), lately.rising(1)), ((120 - since) as u32, 0));
    assert!(lately.is_worse(0) && !lately.is_worse(1));
    // After an alarm evidence begins anew; what labels say then does, too.
    harm.restart();
    lately.restart();
    assert!(!lately.is_worse(0), "nothing was said yet");
    step(&mut harm, &mut lately, &matured);
    assert_eq!(lately.rising(0), 0);
    assert!(lately.is_worse(0));
    step(&mut harm, &mut lately, &losses(0, 100, 0));
    assert!(!lately.is_worse(0), "it was right since");
    // Who labels doubtful answers finds many wrong, and no more than were expected to be.
    let doubtful = |found| (Loss { found, expected: Some(3 * (PARTS / 10)) }, if found == 0 { 70 } else { 30 });
    let matured = Losses { by_task: [(0, [doubtful(0), doubtful(PARTS)].into())].into(), by_class: BTreeMap::new() };
    lately.restart();
    step(&mut harm, &mut lately, &matured);
    assert!(!lately.is_worse(0), "they are");
}

#[test]
fn each_head_that_labels_prove_harmed_is_a_cause_of_its_own() {
    let mut harm = harm(3);
    let mut matured = losses(1, 140, 60);
    matured.merge(&losses(0, 160, 40));
    matured.merge(&losses(2, 198, 2));
    let report = (0..4).map(|_| harm.step(&known(3), &expecting(0.05), &matured, 0.2)).last().expect("four");
    assert!(report.tasks[0].ln_evidence > report.tasks[1].ln_evidence + 20.0, "one is far worse: {report:?}");
    let told = |found: &[Found]| found.iter().map(|f| (f.cause.kind, f.cause.task)).collect::<Vec<_>>();
    let found = causes(&report, 0.5, 8.0, || unreachable!("the rest is quiet"));
    assert_eq!(told(&found), [(CauseKind::Concept, Some(1)), (CauseKind::Concept, Some(0))]);
    assert!(found.iter().all(|f| f.cause.tasks_affected == [f.cause.task.expect("has one")]));

    // Beside a broken head the others' harm is theirs; beside an input that changed it follows from that.
    let other = |kind, task: Option<usize>, tasks_affected: &[usize]| {
        let cause = Cause { kind, task, segment: None, tasks_affected: tasks_affected.to_vec() };
        causes(&report, 400.0, 8.0, || vec![Found::plain(cause, Vec::new())])
    };
    let head = other(CauseKind::Head, Some(1), &[1]);
    assert_eq!(told(&head), [(CauseKind::Head, Some(1)), (CauseKind::Concept, Some(0))]);
    assert_eq!(head[0].cause.tasks_affected, [1]);
    let input = other(CauseKind::Input, None, &[2]);
    assert_eq!(told(&input), [(CauseKind::Input, None)]);
    assert_eq!(input[0].cause.tasks_affected, [0, 1, 2]);
    let skew = other(CauseKind::Skew, Some(2), &[2]);
    assert_eq!(told(&skew).len(), 3, "a skew of one head harms no other");
}

#[test]
fn what_moves_beside_it_is_not_called_a_concept() {
    let mut harm = harm(2);
    let report = (0..2).map(|_| harm.step(&known(2), &expecting(0.05), &losses(0, 100, 50), 0.5)).last().expect("two");
    let input = || {
        let cause = Cause { kind: CauseKind::Input, task: None, segment: None, tasks_affected: vec![1] };
        vec![Found::plain(cause, Vec::new())]
    };
    let (harm, low) = (report.ln_share, report.ln_share / 8.0);
    for (ln_drift, ln_threshold, kind, tasks) in [
        (low - 4.0, low, CauseKind::Concept, vec![0]),
        (0.5 * harm, low, CauseKind::Input, vec![0, 1]),
        (harm + 5.0, low, CauseKind::Input, vec![0, 1]),
        (harm + 5.0, harm + 4.0, CauseKind::Input, vec![1]),
        (0.95 * harm - 1.0, 0.95 * harm, CauseKind::Undetermined, vec![0]),
    ] {
        let found = causes(&report, ln_drift, ln_threshold, input);
        assert_eq!((found[0].cause.kind, &found[0].cause.tasks_affected), (kind, &tasks), "{ln_drift}");
    }
}

#[test]
fn windows_without_labels_change_nothing() {
    let mut harm = harm(1);
    let before = harm.step(&known(1), &expecting(0.05), &losses(0, 10, 10), 0.2);
    let after = harm.step(&known(1), &expecting(0.05), &Losses::default(), 0.2);
    assert_eq!(before.ln_share, after.ln_share);
    harm.restart();
    assert_eq!(harm.step(&known(1), &expecting(0.05), &Losses::default(), 0.2).ln_share, f64::NEG_INFINITY);
}

/// Cells of a window of two hundred answers of which this share is expected to be wrong.
fn expecting(loss: f64) -> Vec<i64> {
    let mut cells = vec![0; known(1)[0].width()];
    cells[0] = 200;
    cells[1] = (200.0 * (1.0 - loss) * f64::from(1_u32 << 20)).round() as i64;
    cells
}

/// Answers of which half are taken to be sure and half to be wrong in `doubt` of all cases.
fn of_two_kinds(rng: &mut StdRng, doubt: f64, wrong: [f64; 2]) -> Losses {
    let mut losses = Losses::default();
    for (expected, wrong) in [0.0, doubt].into_iter().zip(wrong) {
        let expected = Some((expected * f64::from(PARTS)).round() as u8);
        for _ in 0..100 {
            let found = if rng.random_bool(wrong) { PARTS } else { 0 };
            losses.add(0, Loss { found, expected });
        }
    }
    losses
}

#[test]
fn labels_of_answers_that_were_likely_wrong_prove_no_harm() {
    let mut rng = StdRng::seed_from_u64(1);
    // One of twenty is known to be wrong. Of those that are labelled a quarter is, as their confidence says.
    let mut harm = harm(1);
    let mut step = |wrong| harm.step(&known(1), &expecting(0.05), &of_two_kinds(&mut rng, 0.5, wrong), 1.0).ln_share;
    assert!((0..200).map(|_| step([0.0, 0.5])).all(|ln| ln < 8.0));
    // The sure ones are wrong as well: it takes two thousand labels.
    assert!((0..10).map(|_| step([0.1, 0.5])).any(|ln| ln >= 8.0));
}

#[test]
fn harder_texts_are_harm_where_labels_prove_it() {
    let mut rng = StdRng::seed_from_u64(3);
    // A head that is rightly unsure of half of all texts now, and errs as often as it says.
    let mut harm = harm(1);
    let mut step = |_| harm.step(&known(1), &expecting(0.15), &of_two_kinds(&mut rng, 0.3, [0.0, 0.3]), 1.0).ln_share;
    assert!((0..20).map(&mut step).any(|ln| ln >= 8.0));
}

#[test]
fn surer_answers_prove_no_harm_while_no_more_of_them_are_wrong() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut harm = harm(1);
    let mut step =
        |wrong| harm.step(&known(1), &expecting(0.0), &of_two_kinds(&mut rng, 0.0, [wrong; 2]), 1.0).ln_share;
    assert!((0..200).map(|_| step(0.05)).all(|ln| ln < 8.0));
    assert!((0..10).map(|_| step(0.15)).any(|ln| ln >= 8.0));
}
