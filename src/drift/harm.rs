//! Harm: whether a head has become worse, from the labels that matured.
//!
//! Each head with a known error bets on its losses against "the mean is at most what is tolerated", and against "each
//! is what its confidence says, and as much more as is tolerated of all", one step a window of the time at which labels
//! were given, as the other detectors do. The smaller of the two counts: who labels the answers that a model is least
//! sure of finds many wrong that were expected to be (docs/decisions/0050). Half of a head's evidence is
//! its classes' ([`crate::drift::harm_by_class`]): a rare one that is lost hardly moves the mean. The mean over heads is one
//! e-detector; it has its share of the tree's weight wherever the reference knows an error, so the model's evidence
//! stays one number with one budget. The worst head leads: it is named, never their mean.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::cause::{Cause, CauseKind};
use super::harm_by_class::ClassHarm;
use super::label::PARTS;
use super::localization::{Found, MOVED, Witness};
use super::matured::{Loss, Losses};
use super::performance::{Performance, TOLERANCE};
use super::reference::Reference;
use super::task::ModelSpec;
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
    /// The same of its classes by themselves.
    classes: ClassHarm,
}

/// What is left of a window's weight one window later: answers of some twenty windows say what is expected of all.
pub(super) const KEPT: f64 = 0.95;
/// Answers that the reference weighs among them.
pub(super) const OF_REFERENCE: f64 = 100.0;

/// Evidence as courses of earlier formats hold it: of each head without its classes,
pub(super) type WithoutClasses = Vec<(usize, Betting, (Betting, EvenBetting), (f64, f64))>;
/// and before that against its mean loss alone.
pub(super) type Earlier = Vec<(usize, Betting)>;

impl From<WithoutClasses> for Harm {
    fn from(earlier: WithoutClasses) -> Harm {
        let of =
            |(task, tolerated, expected, all)| Bets { task, tolerated, expected, all, classes: ClassHarm::default() };
        Harm { bets: earlier.into_iter().map(of).collect() }
    }
}

impl From<Earlier> for Harm {
    fn from(earlier: Earlier) -> Harm {
        let both = |(task, bets): (usize, Betting)| (task, bets.clone(), (bets, EvenBetting::NONE), (0.0, 0.0));
        Harm::from(earlier.into_iter().map(both).collect::<WithoutClasses>())
    }
}

/// One head in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskHarm {
    /// Index of the task.
    pub task: usize,
    /// Labels that matured in this window.
    pub labels: u64,
    /// ln of the evidence that its error, or that of one of its classes, is larger than tolerated.
    pub ln_evidence: f64,
    /// Classes that make up much of it, in their order.
    pub classes: Vec<u32>,
    /// Loss of the window's labels beyond what is tolerated of their mean, and beyond what is tolerated of each.
    beyond: [f64; 2],
}

/// A head that labels prove worse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Harmed {
    /// Index of the task.
    pub task: usize,
    /// Its classes that are missed oftener than is tolerated, as far as they stand out; in their order.
    pub classes: Vec<u32>,
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

/// A head is named as harmed where its own evidence makes up so much of the heads' whole, and a class where it does of
/// its head's.
const NAMED_SHARE: f64 = 0.1;
/// The share of a head's evidence that its classes have, where it has any.
const OF_CLASSES: f64 = 0.5;
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
            let cells = &cells[known.cells()];
            bets.see(known.expected_loss(cells));
            let losses = matured.by_task.get(&bets.task);
            let labels = losses.map_or(0, |losses| losses.values().sum());
            let beyond = losses.filter(|_| labels > 0).map_or([0.0; 2], |losses| bets.step(known, losses));
            bets.classes.step(known, cells, matured.by_class.get(&bets.task));
            tasks.push(TaskHarm { beyond, ..bets.harm(labels) });
        }
        tasks.sort_by(|a, b| b.ln_evidence.total_cmp(&a.ln_evidence));
        let own = weight / tasks.len().max(1) as f64;
        let ln_share = ln_weighted_sum(tasks.iter().map(|t| (own, t.ln_evidence)));
        HarmReport { ln_share, ln_weight: own.ln(), tasks }
    }

    /// Forgets all evidence, after an alarm.
    pub fn restart(&mut self) {
        for Bets { tolerated, expected, classes, .. } in &mut self.bets {
            tolerated.restart();
            expected.0.restart();
            expected.1 = EvenBetting::NONE;
            classes.restart();
        }
    }
}

impl Bets {
    fn new(task: usize, tolerated: f64) -> Bets {
        let expected = (Betting::new(tolerated), EvenBetting::NONE);
        let classes = ClassHarm::default();
        Bets { task, tolerated: Betting::new(tolerated), expected, all: (0.0, 0.0), classes }
    }

    /// Answers of a window, and the loss that is expected of them.
    fn see(&mut self, (n, loss): (f64, f64)) {
        if n > 0.0 {
            self.all = (KEPT * self.all.0 + n, KEPT * self.all.1 + loss);
        }
    }

    /// Takes a window's labels; how much of their loss is beyond what is tolerated of their mean, and of each.
    fn step(&mut self, known: &Performance, losses: &BTreeMap<Loss, u64>) -> [f64; 2] {
        let share = |parts: u8| f64::from(parts) / f64::from(PARTS);
        self.tolerated.step(losses.iter().map(|(loss, n)| (share(loss.found), *n)));
        let of_all = (OF_REFERENCE * known.loss + self.all.1) / (OF_REFERENCE + self.all.0);
        let tolerated = |loss: &Loss| loss.expected.map_or(known.tolerated(), |e| known.tolerated_of(share(e), of_all));
        let each = losses.iter().map(|(loss, n)| (share(loss.found), tolerated(loss), *n));
        // In proportion to 1/m nothing is bet against what hardly ever is wrong.
        self.expected.0.step_against(each.clone().map(|(loss, tolerated, n)| (loss, tolerated.max(TOLERANCE), n)));
        self.expected.1.step(each.clone());
        each.fold([0.0; 2], |[of_mean, of_each], (loss, tolerated, n)| {
            let n = n as f64;
            [of_mean + n * (loss - known.tolerated()), of_each + n * (loss - tolerated)]
        })
    }

    /// What it says after a window in which so many labels matured.
    fn harm(&self, labels: u64) -> TaskHarm {
        let expected = [(0.5, self.expected.0.ln()), (0.5, self.expected.1.ln())];
        let ln_whole = self.tolerated.ln().min(ln_weighted_sum(expected.into_iter()));
        // Heads of which no class is known have no share for them.
        let of_classes = if self.classes.is_empty() { 0.0 } else { OF_CLASSES };
        let both = [(1.0 - of_classes, ln_whole), (of_classes, self.classes.ln())];
        let ln_evidence = ln_weighted_sum(both.into_iter());
        let least = ln_evidence + NAMED_SHARE.ln() - of_classes.ln();
        let classes = self.classes.shares().filter(|(_, ln)| ln.is_finite() && *ln >= least).map(|(class, _)| class);
        TaskHarm { task: self.task, labels, ln_evidence, classes: classes.collect(), beyond: [0.0; 2] }
    }
}

/// What labels have said of each head lately, by task. An alert that they raised is over when they no longer say so:
/// evidence begins anew after an alarm, and a small error takes longer to prove again than an alert waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lately(BTreeMap<usize, OfHead>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct OfHead {
    /// Windows since the evidence of harm last was what quiet heads hold.
    rising: u32,
    /// Loss of the labels since evidence last began anew beyond what is tolerated of their mean, and of each.
    beyond: [f64; 2],
}

impl Lately {
    /// One more window.
    pub fn step(&mut self, report: &HarmReport) {
        for harm in &report.tasks {
            let own = self.0.entry(harm.task).or_default();
            own.rising = if harm.ln_evidence >= MOVED.ln() { own.rising + 1 } else { 0 };
            own.beyond.iter_mut().zip(harm.beyond).for_each(|(all, more)| *all += more);
        }
    }

    /// For how many windows, this one included, evidence of a head's harm has risen; 0 where it does not.
    pub fn rising(&self, task: usize) -> u32 {
        self.0.get(&task).map_or(0, |own| own.rising)
    }

    /// Whether labels since evidence last began anew say that a head errs more than is tolerated: on average, and of
    /// the very answers that were labelled.
    pub fn is_worse(&self, task: usize) -> bool {
        self.0.get(&task).is_some_and(|own| own.beyond.iter().all(|beyond| *beyond > 0.0))
    }

    /// Evidence begins anew.
    pub fn restart(&mut self) {
        self.0.values_mut().for_each(|own| own.beyond = [0.0; 2]);
    }
}

impl Harmed {
    /// Both together, in the order of tasks.
    pub fn union(some: &[Harmed], others: &[Harmed]) -> Vec<Harmed> {
        let mut tasks: BTreeMap<usize, BTreeSet<u32>> = BTreeMap::new();
        for Harmed { task, classes } in some.iter().chain(others) {
            tasks.entry(*task).or_default().extend(classes);
        }
        tasks.into_iter().map(|(task, classes)| Harmed { task, classes: classes.into_iter().collect() }).collect()
    }

    /// The task's name, and those of the classes that are missed.
    pub fn names<'a>(&'a self, spec: &'a ModelSpec) -> (&'a str, impl Iterator<Item = &'a str>) {
        let task = &spec.tasks[self.task];
        (&task.name, self.classes.iter().filter_map(|class| Some(task.classes.get(*class as usize)?.as_str())))
    }

    /// A few words for people on what is missed; empty where no class stands out.
    pub fn says(&self, spec: &ModelSpec) -> String {
        /// Named at most.
        const MOST: usize = 3;
        let (_, classes) = self.names(spec);
        let mut named: Vec<String> = classes.take(MOST).map(|class| format!("`{class}`")).collect();
        if self.classes.len() > named.len() && !named.is_empty() {
            named.push(format!("{} more", self.classes.len() - named.len()));
        }
        if named.is_empty() { String::new() } else { format!("above all it misses {}", named.join(", ")) }
    }
}

impl HarmReport {
    /// The worst head and those whose evidence is of its size, and all that would alarm by themselves; the worst
    /// first.
    pub fn harmed(&self, ln_threshold: f64) -> Vec<Harmed> {
        let whole = ln_weighted_sum(self.tasks.iter().map(|t| (1.0, t.ln_evidence)));
        let least = (whole + NAMED_SHARE.ln()).min(ln_threshold - self.ln_weight);
        let named = |t: &&TaskHarm| t.ln_evidence.is_finite() && t.ln_evidence >= least;
        self.tasks.iter().filter(named).map(|t| Harmed { task: t.task, classes: t.classes.clone() }).collect()
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
            let harmed = Harmed::union(&harmed, &[]);
            let tasks = harmed.iter().map(|harmed| harmed.task).collect();
            vec![Found { harmed, ..Found::plain(Cause::undetermined(tasks), witnesses) }]
        }
    }
}

/// What is right has changed for this head.
fn concept(harmed: Harmed) -> Found {
    let task = harmed.task;
    let cause = Cause { kind: CauseKind::Concept, task: Some(task), segment: None, tasks_affected: vec![task] };
    Found { harmed: vec![harmed], ..Found::plain(cause, Vec::new()) }
}

/// Causes with the heads that labels prove harmed: each is affected by the first cause that may harm it, and where
/// none may, it is a cause of its own.
fn beside(mut found: Vec<Found>, harmed: &[Harmed]) -> Vec<Found> {
    for own in harmed {
        let task = own.task;
        let at_it = found.iter().position(|found| found.cause.task == Some(task) && may_harm(&found.cause, task));
        let harms = at_it.or_else(|| found.iter().position(|found| may_harm(&found.cause, task)));
        match harms.map(|at| &mut found[at]) {
            Some(Found { cause, harmed, .. }) => {
                cause.tasks_affected.push(task);
                cause.tasks_affected.sort_unstable();
                cause.tasks_affected.dedup();
                *harmed = Harmed::union(harmed, std::slice::from_ref(own));
            }
            None => found.push(concept(own.clone())),
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

#[cfg(test)]
#[path = "harm_tests.rs"]
pub(super) mod tests;
