//! The gate: whether a new version of a model may take the place of the current one.
//!
//! Both answer the same rows. A protected task must not be worse by more than its margin, a drifted one
//! must be better, and few rows that were right may become wrong. Every task must pass: since one that
//! should not pass is let through only if its own test errs, the level needs no correction for their number
//! (intersection–union; Berger, Technometrics 24, 1982). What the labels cannot decide is `undecided`.

use super::answer::Answer;
use super::compared::Compared;
use super::gate_report::{Code, Cost, FlipReport, GateReport, Reason, Role, SCHEMA, Side, TaskReport, Verdict};
use super::gold::{Gold, metric, score};
use super::task::{ModelSpec, TaskKind, TaskSpec};
use crate::stats::paired::{
    Difference, Level, PairCounts, bounded_difference, least_pairs, pairs_needed, share, usual_power,
};

/// A gain that one may hope for on a drifted task, beyond what is asked, to plan its labels.
pub(super) const HOPED_GAIN: f64 = 0.02;
/// Nearer to its limit than this, a difference takes more labels than anybody has.
const LEAST_DISTANCE: f64 = 0.001;
/// A row of tokens or numbers is right where its score is at least this.
pub(super) const RIGHT: f64 = 0.5;

/// What is asked of a candidate.
#[derive(Clone, Debug)]
pub struct Demands {
    /// Error of each one-sided bound.
    pub error: f64,
    /// By task index.
    pub roles: Vec<Role>,
    /// Rows that were right and become wrong, as a share of the labelled rows.
    pub most_flips: f64,
    /// Width of a regression task's values, by task index.
    pub scales: Vec<f64>,
    /// Time a text at most, as a multiple of the baseline's; `None` for any.
    pub most_latency: Option<f64>,
    /// Size at most, as a multiple of the baseline's; `None` for any.
    pub most_size: Option<f64>,
}

/// Gathers rows, and judges them at the end.
pub struct Gate<'a> {
    spec: &'a ModelSpec,
    demands: Demands,
    level: Level,
    tasks: Vec<Tally>,
    rows: u64,
    labelled_rows: u64,
}

/// What the rows say of one task.
#[derive(Default)]
struct Tally {
    pairs: PairCounts,
    /// Differences of scores, for tasks whose scores are not 0 or 1.
    differences: Vec<f64>,
    scores: [f64; 2],
    flips: PairCounts,
    incomparable: u64,
    /// What the answers say of each other.
    compared: Compared,
}

impl<'a> Gate<'a> {
    /// For a model's tasks; `None` if the error is no probability below one half.
    pub fn new(spec: &'a ModelSpec, demands: Demands) -> Option<Gate<'a>> {
        let level = Level::new(demands.error)?;
        let tasks = spec.tasks.iter().map(|_| Tally::default()).collect();
        Some(Gate { spec, demands, level, tasks, rows: 0, labelled_rows: 0 })
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// One row: what both models answered, by task index, and what was right, where it is known.
    pub fn take(&mut self, baseline: &[Option<Answer>], candidate: &[Option<Answer>], gold: &[Option<Gold>]) {
        self.rows += 1;
        self.labelled_rows += u64::from(gold.iter().any(Option::is_some));
        for (i, (task, tally)) in self.spec.tasks.iter().zip(&mut self.tasks).enumerate() {
            let (first, second) = (baseline.get(i).and_then(Option::as_ref), candidate.get(i).and_then(Option::as_ref));
            if let (Some(first), Some(second)) = (first, second) {
                tally.compared.take(task, first, second);
            }
            if let Some(Some(gold)) = gold.get(i)
                && (first.is_some() || second.is_some())
            {
                tally.pair(task, [first, second], gold, self.demands.scales[i]);
            }
        }
    }

    /// The verdict with everything behind it.
    pub fn report(&self, baseline: Side, candidate: Side) -> GateReport {
        let tasks: Vec<TaskReport> = (0..self.tasks.len()).map(|i| self.task(i)).collect();
        let cost = self.cost(&baseline, &candidate);
        let worst = tasks.iter().map(|t| t.verdict).chain([cost.verdict]).max().unwrap_or(Verdict::Undecided);
        let kept: Vec<f64> =
            tasks.iter().filter(|t| t.role.is_protected()).filter_map(|t| Some(t.candidate? - t.baseline?)).collect();
        GateReport {
            schema: SCHEMA.to_owned(),
            verdict: if tasks.is_empty() { Verdict::Undecided } else { worst },
            labels_needed: tasks.iter().filter_map(|t| t.labels_needed).max(),
            backward_transfer: (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64),
            baseline,
            candidate,
            rows: self.rows,
            labelled_rows: self.labelled_rows,
            error: self.demands.error,
            cost,
            tasks,
        }
    }

    fn task(&self, i: usize) -> TaskReport {
        let (task, tally, role) = (&self.spec.tasks[i], &self.tasks[i], self.demands.roles[i]);
        let labelled = tally.pairs.pairs() + tally.differences.len() as u64;
        let difference = match has_two_scores(task.kind) {
            true => tally.pairs.difference(self.level),
            false => bounded_difference(&tally.differences, self.level),
        };
        let mut decided = match difference {
            None => {
                Decision { verdict: Verdict::Undecided, code: Code::NoLabels, needed: Some(self.planned(tally, role)) }
            }
            Some(difference) => self.decide(role, difference, labelled),
        };
        let mut reasons = vec![Reason::new(decided.code, role, difference)];
        let flips = self.flips(tally);
        if let Some(flips) = &flips
            && let Some((code, verdict, needed)) = self.too_many(flips, labelled)
        {
            reasons.push(Reason::of_flips(code, flips));
            decided.verdict = decided.verdict.max(verdict);
            decided.needed = decided.needed.max(needed);
        }
        let mean = |sum: f64| (labelled > 0).then(|| sum / labelled as f64);
        let better = has_two_scores(task.kind) && labelled > 0;
        TaskReport {
            task: task.name.clone(),
            metric: metric(task.kind).to_owned(),
            role,
            verdict: decided.verdict,
            labelled,
            incomparable: tally.incomparable,
            baseline: mean(tally.scores[0]),
            candidate: mean(tally.scores[1]),
            difference: difference.map(|d| d.estimate),
            low: difference.map(|d| d.low),
            high: difference.map(|d| d.high),
            better_ln_p: better.then(|| tally.pairs.better_ln_p()),
            flips,
            labels_needed: decided.needed.filter(|_| decided.verdict == Verdict::Undecided),
            answers: tally.compared.report(task),
            reasons,
        }
    }

    fn decide(&self, role: Role, difference: Difference, labelled: u64) -> Decision {
        let n = labelled as f64;
        // One discordant pair more than were seen, so that none seen does not mean none will come.
        let variance = (difference.variance * n + 1.0) / (n + 1.0);
        let needed = |distance: f64| {
            let total = pairs_needed(variance, distance.abs().max(LEAST_DISTANCE), self.level, usual_power());
            Some((total - n).ceil().max(1.0) as u64)
        };
        let (limit, planned) = match role {
            Role::Protected { margin } => (-margin, pairs_needed(variance, margin, self.level, usual_power())),
            Role::Drifted { min_delta } => (min_delta, pairs_needed(variance, HOPED_GAIN, self.level, usual_power())),
        };
        let Difference { estimate, low, high, .. } = difference;
        let settled = n >= planned;
        let (verdict, code) = match role {
            _ if low > limit && role.is_protected() => (Verdict::Pass, Code::NotWorse),
            _ if low > limit => (Verdict::Pass, Code::Better),
            _ if high < limit && role.is_protected() => (Verdict::Fail, Code::WorseThanMargin),
            _ if high < limit => (Verdict::Fail, Code::NotBetter),
            // As many labels as were planned have come. A task that is worse beyond doubt does not go on
            // asking for more of them, nor does one that was to gain and has not.
            Role::Protected { .. } if settled && high < 0.0 => (Verdict::Fail, Code::WorseAndNotWithinMargin),
            Role::Drifted { .. } if settled && estimate <= limit => (Verdict::Fail, Code::NotBetterThoughPlanned),
            _ => (Verdict::Undecided, Code::TooFewLabels),
        };
        let needed = match role {
            _ if verdict != Verdict::Undecided => None,
            Role::Protected { margin } if !settled => needed(margin),
            Role::Drifted { .. } if !settled && estimate <= limit => needed(HOPED_GAIN),
            _ => needed(estimate - limit),
        };
        Decision { verdict, code, needed }
    }

    /// Labels to begin with, from how often the two models differ at all: only those rows can be discordant.
    fn planned(&self, tally: &Tally, role: Role) -> u64 {
        let discordance = tally.compared.discordance();
        let distance = match role {
            Role::Protected { margin } => margin.max(LEAST_DISTANCE),
            Role::Drifted { .. } => HOPED_GAIN,
        };
        let planned = pairs_needed(discordance, distance, self.level, usual_power());
        planned.max(least_pairs(distance, self.level)).ceil() as u64
    }

    fn flips(&self, tally: &Tally) -> Option<FlipReport> {
        let (low, high) = share(tally.flips.losses, tally.flips.pairs(), self.level)?;
        Some(FlipReport {
            negative: tally.flips.losses,
            positive: tally.flips.gains,
            share: tally.flips.losses as f64 / tally.flips.pairs() as f64,
            low,
            high,
            most: self.demands.most_flips,
        })
    }

    /// What is wrong with the flips, if something is.
    fn too_many(&self, flips: &FlipReport, labelled: u64) -> Option<(Code, Verdict, Option<u64>)> {
        if flips.high <= flips.most {
            return None;
        }
        if flips.low > flips.most {
            return Some((Code::TooManyFlips, Verdict::Fail, None));
        }
        let p = (flips.share * labelled as f64 + 1.0) / (labelled as f64 + 2.0);
        let distance = (flips.most - flips.share).abs().max(LEAST_DISTANCE);
        let total = pairs_needed(p * (1.0 - p), distance, self.level, usual_power());
        let needed = (total - labelled as f64).ceil().max(1.0) as u64;
        Some((Code::FlipsUnclear, Verdict::Undecided, Some(needed)))
    }

    fn cost(&self, baseline: &Side, candidate: &Side) -> Cost {
        let ratio = |a: Option<f64>, b: Option<f64>| Some(b? / a.filter(|a| *a > 0.0)?);
        let bytes = |side: &Side| side.bytes.map(|b| b as f64);
        let latency = ratio(baseline.ms_per_text, candidate.ms_per_text);
        let size = ratio(bytes(baseline), bytes(candidate));
        let within = |ratio: Option<f64>, most: Option<f64>| match (ratio, most) {
            (_, None) => Verdict::Pass,
            (Some(ratio), Some(most)) if ratio <= most => Verdict::Pass,
            (Some(_), Some(_)) => Verdict::Fail,
            // A limit was set, and nothing was measured.
            (None, Some(_)) => Verdict::Undecided,
        };
        let (most_latency, most_size) = (self.demands.most_latency, self.demands.most_size);
        let verdict = within(latency, most_latency).max(within(size, most_size));
        Cost { latency, most_latency, size, most_size, verdict }
    }
}

struct Decision {
    verdict: Verdict,
    code: Code,
    needed: Option<u64>,
}

/// Whether a row's score is 0 or 1.
fn has_two_scores(kind: TaskKind) -> bool {
    matches!(kind, TaskKind::Binary | TaskKind::Multiclass)
}

/// Whether a row of such a score is right: a set of labels is so as a whole, as in docs/labels.md.
fn is_right(kind: TaskKind, score: f64) -> bool {
    score >= if kind == TaskKind::Multilabel { 1.0 } else { RIGHT }
}

impl Tally {
    /// A labelled row. A model that does not answer what the other answers is wrong.
    fn pair(&mut self, task: &TaskSpec, answers: [Option<&Answer>; 2], gold: &Gold, scale: f64) {
        let scores = answers.map(|answer| answer.map_or(Some(0.0), |answer| score(answer, gold, scale)));
        let [Some(first), Some(second)] = scores else {
            self.incomparable += 1;
            return;
        };
        self.scores[0] += first;
        self.scores[1] += second;
        match (is_right(task.kind, first), is_right(task.kind, second)) {
            (true, false) => self.flips.losses += 1,
            (false, true) => self.flips.gains += 1,
            _ => self.flips.ties += 1,
        }
        if has_two_scores(task.kind) {
            self.pairs = self.flips;
        } else {
            self.differences.push(second - first);
        }
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
