//! Harm: whether a head has become worse, from the labels that matured.
//!
//! Each head with a known error bets on its losses against "the mean is at most what is tolerated", and against "each
//! is what its confidence says, and as much more as is tolerated of all", one step a window of the time at which labels
//! were given, as the other detectors do. The smaller of the two counts: who labels the answers that a model is least
//! sure of finds many wrong that were expected to be (docs/decisions/0050). The mean over heads is one e-detector; it has
//! its share of the tree's weight wherever the reference knows an error, so the model's evidence stays one number with
//! one budget. The worst head leads: it is named, never their mean.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::cause::{Cause, CauseKind};
use super::label::PARTS;
use super::localization::{Found, Witness};
use super::matured::{Loss, Losses};
use super::performance::{Performance, TOLERANCE};
use super::reference::Reference;
use crate::stats::evidence::{AS_RARE, ln_weighted_sum};
use crate::stats::performance::betting::{Betting, EvenBetting};
use crate::stats::probability::ln_add;

/// Evidence of each head's harm, in the order of the reference's performances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Harm {
    bets: Vec<Bets>,
}

/// One head's bets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bets {
    task: usize,
    /// That its mean loss is no larger than tolerated.
    tolerated: Betting,
    /// That no answer is wrong more often than its confidence leaves it among all that are tolerated: in two ways, for
    /// errors of all answers and of some.
    expected: (Betting, EvenBetting),
    /// Answers of the latest windows, labelled or not, and the loss that was expected of them together.
    all: (f64, f64),
}

/// What is left of a window's weight one window later: answers of some twenty windows say what is expected of all.
const KEPT: f64 = 0.95;
/// Answers that the reference weighs among them.
const OF_REFERENCE: f64 = 100.0;

/// Evidence as courses of earlier formats hold it: of each head against its mean loss alone.
pub(super) type Earlier = Vec<(usize, Betting)>;

impl From<Earlier> for Harm {
    fn from(earlier: Earlier) -> Harm {
        let both = |(task, bets): (usize, Betting)| {
            let expected = (bets.clone(), EvenBetting::NONE);
            Bets { task, expected, tolerated: bets, all: (0.0, 0.0) }
        };
        Harm { bets: earlier.into_iter().map(both).collect() }
    }
}

/// One head in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskHarm {
    /// Index of the task.
    pub task: usize,
    /// Labels that matured in this window.
    pub labels: u64,
    /// ln of the evidence that its error is larger than tolerated.
    pub ln_evidence: f64,
}

/// All heads in one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HarmReport {
    /// The heads whose errors are known, the worst first.
    pub tasks: Vec<TaskHarm>,
    /// ln of their share in the model's evidence; −∞ for none.
    pub ln_share: f64,
    /// ln of the share that each head's evidence has in the model's.
    ln_weight: f64,
}

/// A head is named as harmed where its own evidence makes up so much of the heads' whole.
const NAMED_SHARE: f64 = 0.1;
/// Beside harm, the other signals are quiet below this share of the threshold, as in localization,
const QUIET_SHARE: f64 = 0.05 * AS_RARE;
/// or, in logarithms, below this share of the evidence of harm.
const QUIET_EXPONENT: f64 = 0.25;

impl Harm {
    /// Nothing is known yet.
    pub fn new(reference: &Reference) -> Harm {
        Harm { bets: reference.performance.iter().map(|p| Bets::new(p.task, p.tolerated())).collect() }
    }

    /// Whether it belongs to this reference.
    pub fn fits(&self, reference: &Reference) -> bool {
        self.bets.iter().map(|bets| bets.task).eq(reference.performance.iter().map(|p| p.task))
    }

    /// One window's `cells` and matured losses, of heads of which this is `known`. `weight` is the share of harm in the
    /// model's evidence.
    pub fn step(&mut self, known: &[Performance], cells: &[i64], matured: &Losses, weight: f64) -> HarmReport {
        let mut tasks = Vec::with_capacity(self.bets.len());
        for (bets, known) in self.bets.iter_mut().zip(known) {
            bets.see(known.expected_loss(&cells[known.cells()]));
            let losses = matured.by_task.get(&bets.task);
            let labels = losses.map_or(0, |losses| losses.values().sum());
            if let Some(losses) = losses.filter(|_| labels > 0) {
                bets.step(known, losses);
            }
            tasks.push(TaskHarm { task: bets.task, labels, ln_evidence: bets.ln() });
        }
        tasks.sort_by(|a, b| b.ln_evidence.total_cmp(&a.ln_evidence));
        let own = weight / tasks.len().max(1) as f64;
        let ln_share = ln_weighted_sum(tasks.iter().map(|t| (own, t.ln_evidence)));
        HarmReport { ln_share, ln_weight: own.ln(), tasks }
    }

    /// Forgets all evidence, after an alarm.
    pub fn restart(&mut self) {
        for Bets { tolerated, expected, .. } in &mut self.bets {
            tolerated.restart();
            expected.0.restart();
            expected.1 = EvenBetting::NONE;
        }
    }
}

impl Bets {
    fn new(task: usize, tolerated: f64) -> Bets {
        let expected = (Betting::new(tolerated), EvenBetting::NONE);
        Bets { task, tolerated: Betting::new(tolerated), expected, all: (0.0, 0.0) }
    }

    /// Answers of a window, and the loss that is expected of them.
    fn see(&mut self, (n, loss): (f64, f64)) {
        if n > 0.0 {
            self.all = (KEPT * self.all.0 + n, KEPT * self.all.1 + loss);
        }
    }

    fn step(&mut self, known: &Performance, losses: &BTreeMap<Loss, u64>) {
        let share = |parts: u8| f64::from(parts) / f64::from(PARTS);
        self.tolerated.step(losses.iter().map(|(loss, n)| (share(loss.found), *n)));
        let of_all = (OF_REFERENCE * known.loss + self.all.1) / (OF_REFERENCE + self.all.0);
        let tolerated = |loss: &Loss| loss.expected.map_or(known.tolerated(), |e| known.tolerated_of(share(e), of_all));
        let each = losses.iter().map(|(loss, n)| (share(loss.found), tolerated(loss), *n));
        // In proportion to 1/m nothing is bet against what hardly ever is wrong.
        self.expected.0.step_against(each.clone().map(|(loss, tolerated, n)| (loss, tolerated.max(TOLERANCE), n)));
        self.expected.1.step(each);
    }

    fn ln(&self) -> f64 {
        let expected = [(0.5, self.expected.0.ln()), (0.5, self.expected.1.ln())];
        self.tolerated.ln().min(ln_weighted_sum(expected.into_iter()))
    }
}

impl HarmReport {
    /// The worst head and those whose evidence is of its size, and all that would alarm by themselves; the worst
    /// first.
    pub fn harmed(&self, ln_threshold: f64) -> Vec<usize> {
        let whole = ln_weighted_sum(self.tasks.iter().map(|t| (1.0, t.ln_evidence)));
        let least = (whole + NAMED_SHARE.ln()).min(ln_threshold - self.ln_weight);
        let named = |t: &&TaskHarm| t.ln_evidence.is_finite() && t.ln_evidence >= least;
        self.tasks.iter().filter(named).map(|t| t.task).collect()
    }
}

/// The causes of an alarm to which harm may have led. `ln_drift` is the evidence of all other signals, and
/// `drift` where these say it drifted.
pub fn causes(report: &HarmReport, ln_drift: f64, ln_threshold: f64, drift: impl FnOnce() -> Vec<Found>) -> Vec<Found> {
    let (harmed, ln_harm) = (report.harmed(ln_threshold), report.ln_share);
    let is_main = !harmed.is_empty() && ln_harm >= ln_add(ln_harm, ln_drift) - std::f64::consts::LN_2;
    match () {
        // Something else alarms. Heads that are harmed by themselves are among those affected.
        () if !is_main && ln_harm < ln_threshold => drift(),
        () if !is_main || ln_drift >= ln_threshold => beside(drift(), &harmed),
        () if ln_drift <= (ln_threshold + QUIET_SHARE.ln()).max(QUIET_EXPONENT * ln_harm) => {
            harmed.into_iter().map(concept).collect()
        }
        () => {
            let moved = drift().into_iter().flat_map(|found| found.witnesses);
            let mut witnesses: Vec<Witness> = moved.map(|witness| Witness { explained: false, ..witness }).collect();
            witnesses.sort_by(|a, b| b.ln_evidence.total_cmp(&a.ln_evidence));
            witnesses.dedup_by_key(|witness| witness.signal);
            let harmed = sorted(harmed);
            vec![Found { harmed: harmed.clone(), ..Found::plain(Cause::undetermined(harmed), witnesses) }]
        }
    }
}

/// What is right has changed for this head.
fn concept(task: usize) -> Found {
    let cause = Cause { kind: CauseKind::Concept, task: Some(task), segment: None, tasks_affected: vec![task] };
    Found { harmed: vec![task], ..Found::plain(cause, Vec::new()) }
}

/// Causes with the heads that labels prove harmed: each is affected by the first cause that may harm it, and where
/// none may, it is a cause of its own.
fn beside(mut found: Vec<Found>, harmed: &[usize]) -> Vec<Found> {
    for task in harmed {
        let own = found.iter().position(|found| found.cause.task == Some(*task) && may_harm(&found.cause, *task));
        let harms = own.or_else(|| found.iter().position(|found| may_harm(&found.cause, *task)));
        match harms.map(|at| &mut found[at]) {
            Some(Found { cause, harmed, .. }) => {
                for tasks in [&mut cause.tasks_affected, harmed] {
                    tasks.push(*task);
                    *tasks = sorted(std::mem::take(tasks));
                }
            }
            None => found.push(concept(*task)),
        }
    }
    found
}

/// Whether a cause may make a head err.
fn may_harm(cause: &Cause, task: usize) -> bool {
    match cause.kind {
        CauseKind::Head | CauseKind::Concept => cause.task == Some(task),
        CauseKind::Skew => cause.task.is_none_or(|own| own == task),
        CauseKind::Link => cause.tasks_affected.contains(&task),
        CauseKind::Input
        | CauseKind::Encoder
        | CauseKind::PriorShift
        | CauseKind::Segment
        | CauseKind::Version
        | CauseKind::Undetermined => true,
    }
}

fn sorted(mut tasks: Vec<usize>) -> Vec<usize> {
    tasks.sort_unstable();
    tasks.dedup();
    tasks
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    /// What a reference knows of a head with this error rate on so many labels.
    pub fn performance(error: f64, labelled: u64) -> Performance {
        Performance::known(0, error, labelled)
    }

    fn losses(task: usize, right: u64, wrong: u64) -> Losses {
        let of = |found| Loss { found, expected: None };
        Losses { by_task: [(task, [(of(0), right), (of(PARTS), wrong)].into())].into() }
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
        assert_eq!((report.harmed(8.0), report.tasks[0].labels), (vec![1], 200));
        assert!(report.ln_share > 30.0, "{report:?}");
        let found = causes(&report, 0.5, 8.0, || unreachable!("the rest is quiet"));
        let [Found { cause, .. }] = found.as_slice() else { panic!("one cause: {found:?}") };
        assert_eq!((cause.kind, cause.task, &cause.tasks_affected), (CauseKind::Concept, Some(1), &vec![1]));
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
        let report =
            (0..2).map(|_| harm.step(&known(2), &expecting(0.05), &losses(0, 100, 50), 0.5)).last().expect("two");
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
        let mut step =
            |wrong| harm.step(&known(1), &expecting(0.05), &of_two_kinds(&mut rng, 0.5, wrong), 1.0).ln_share;
        assert!((0..200).map(|_| step([0.0, 0.5])).all(|ln| ln < 8.0));
        // The sure ones are wrong as well: it takes two thousand labels.
        assert!((0..10).map(|_| step([0.1, 0.5])).any(|ln| ln >= 8.0));
    }

    #[test]
    fn harder_texts_are_harm_where_labels_prove_it() {
        let mut rng = StdRng::seed_from_u64(3);
        // A head that is rightly unsure of half of all texts now, and errs as often as it says.
        let mut harm = harm(1);
        let mut step =
            |_| harm.step(&known(1), &expecting(0.15), &of_two_kinds(&mut rng, 0.3, [0.0, 0.3]), 1.0).ln_share;
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
}
