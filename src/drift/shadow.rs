//! Shadow: a candidate answers a sample of the live inputs beside the current model, and is judged as by the gate,
//! but at every moment anew.
//!
//! Whoever looks again and again sees a `pass` at last, if bounds are made for one look. These are made for all:
//! each of them ever fails with at most the probability `error`, however often one looks and whenever one stops
//! (see [`crate::stats::wager`]). They depend on how often each difference of the two models' losses came, and on
//! nothing else. So all that is known is a tally of whole numbers, which partitions, replicas and replays add
//! up to the same.
//!
//! What is right comes late, by the labels that are joined for the current model: a pair is counted with the first
//! label that makes its losses known, as the evidence of harm is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::compared::Compared;
use super::gate::{Demands, HOPED_GAIN, RIGHT};
use super::gate_report::{Code, Cost, FlipReport, GateReport, Reason, Role, Side, TaskReport, Verdict};
use super::label::PARTS;
use super::task::{ModelSpec, TaskKind, TaskSpec};
use crate::stats::paired::{Difference, PairCounts};
use crate::stats::wager::{Cell, always, cells, pairs_until};

/// The report's format: the gate's, with other bounds.
pub const SCHEMA: &str = "shadow/v1";
const FORMAT: u16 = 1;
/// Nobody waits for more labels.
const MOST_LABELS: f64 = 1e7;

/// All that is known of a candidate beside the current model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    format: u16,
    rows: u64,
    spent: [Spent; 2],
    tasks: Vec<TaskTally>,
}

/// Time that a model took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Spent {
    texts: u64,
    micros: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct TaskTally {
    answers: Compared,
    /// Pairs by the baseline's loss less the candidate's, in parts of [`PARTS`].
    differences: BTreeMap<i16, u64>,
    losses: [u64; 2],
    negative: u64,
    positive: u64,
    incomparable: u64,
}

/// One of the two models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The current one.
    Baseline,
    /// The one beside it.
    Candidate,
}

/// What a label says of both models' answers to one row, in parts of [`PARTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The task.
    pub task: usize,
    /// Loss of the current model.
    pub baseline: u8,
    /// Loss of the candidate; `None` if its answer cannot be compared with the label.
    pub candidate: Option<u8>,
}

/// Why a stored tally cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum TallyError {
    /// Written by another version of driftd, or damaged.
    #[error("the stored shadow does not decode")]
    Undecodable(#[from] postcard::Error),
    /// Of another format, or of other tasks.
    #[error("the stored shadow has another format, or other tasks")]
    Other,
}

impl Tally {
    /// Nothing is known yet.
    pub fn empty(spec: &ModelSpec) -> Tally {
        let tasks = spec.tasks.iter().map(|_| TaskTally::default()).collect();
        Tally { format: FORMAT, rows: 0, spent: [Spent::default(); 2], tasks }
    }

    /// One row: what both models answered, by task index. A row that the current one does not answer says nothing.
    pub fn take(&mut self, spec: &ModelSpec, baseline: &[Option<Answer>], candidate: &[Option<Answer>]) {
        if baseline.iter().all(Option::is_none) {
            return;
        }
        self.rows += 1;
        for (i, (task, tally)) in spec.tasks.iter().zip(&mut self.tasks).enumerate() {
            if let (Some(Some(first)), Some(Some(second))) = (baseline.get(i), candidate.get(i)) {
                tally.answers.take(task, first, second);
            }
        }
    }

    /// So many texts took a model so long.
    pub fn spend(&mut self, who: Who, texts: u64, micros: u64) {
        let spent = &mut self.spent[who as usize];
        spent.texts += texts;
        spent.micros += micros;
    }

    /// A label made both losses known.
    pub fn pair(&mut self, pair: Pair) {
        let Some(tally) = self.tasks.get_mut(pair.task) else { return };
        let Some(candidate) = pair.candidate else {
            tally.incomparable += 1;
            return;
        };
        *tally.differences.entry(i16::from(pair.baseline) - i16::from(candidate)).or_default() += 1;
        tally.losses[0] += u64::from(pair.baseline);
        tally.losses[1] += u64::from(candidate);
        let is_right = |loss: u8| 1.0 - f64::from(loss) / f64::from(PARTS) >= RIGHT;
        match (is_right(pair.baseline), is_right(candidate)) {
            (true, false) => tally.negative += 1,
            (false, true) => tally.positive += 1,
            _ => {}
        }
    }

    /// Adds another tally of the same tasks.
    ///
    /// # Errors
    /// [`TallyError::Other`] if it is of others.
    pub fn merge(&mut self, other: &Tally) -> Result<(), TallyError> {
        if self.tasks.len() != other.tasks.len() {
            return Err(TallyError::Other);
        }
        self.rows += other.rows;
        for (own, more) in self.spent.iter_mut().zip(&other.spent) {
            own.texts += more.texts;
            own.micros += more.micros;
        }
        for (own, more) in self.tasks.iter_mut().zip(&other.tasks) {
            own.answers.merge(&more.answers);
            more.differences.iter().for_each(|(difference, n)| *own.differences.entry(*difference).or_default() += n);
            own.losses.iter_mut().zip(more.losses).for_each(|(own, more)| *own += more);
            own.negative += more.negative;
            own.positive += more.positive;
            own.incomparable += more.incomparable;
        }
        Ok(())
    }

    /// Rows that both models were asked.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes for the store.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data always encodes")
    }

    /// From the store's bytes.
    ///
    /// # Errors
    /// [`TallyError`] if they are not that.
    pub fn decode(bytes: &[u8]) -> Result<Tally, TallyError> {
        let tally: Tally = postcard::from_bytes(bytes)?;
        if tally.format == FORMAT { Ok(tally) } else { Err(TallyError::Other) }
    }

    /// The verdict with everything behind it, as the gate gives it. `labelled_rows` is the number of labels of the
    /// task that has most; sizes and times are told, and nothing is asked of them.
    pub fn report(&self, spec: &ModelSpec, demands: &Demands, sides: [Side; 2]) -> GateReport {
        let each = spec.tasks.iter().zip(&self.tasks).zip(&demands.roles);
        let tasks: Vec<TaskReport> =
            each.map(|((task, tally), role)| tally.report(task, *role, demands.error, demands.most_flips)).collect();
        let kept: Vec<f64> =
            tasks.iter().filter(|t| t.role.is_protected()).filter_map(|t| Some(t.candidate? - t.baseline?)).collect();
        let [mut baseline, mut candidate] = sides;
        for (side, spent) in [&mut baseline, &mut candidate].into_iter().zip(&self.spent) {
            side.ms_per_text = (spent.texts > 0).then(|| spent.micros as f64 / spent.texts as f64 / 1_000.0);
        }
        let ratio = |of: Option<f64>, to: Option<f64>| Some(of? / to.filter(|to| *to > 0.0)?);
        let bytes = |side: &Side| side.bytes.map(|bytes| bytes as f64);
        GateReport {
            schema: SCHEMA.to_owned(),
            verdict: tasks.iter().map(|t| t.verdict).max().unwrap_or(Verdict::Undecided),
            labels_needed: tasks.iter().filter_map(|t| t.labels_needed).max(),
            backward_transfer: (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64),
            rows: self.rows,
            labelled_rows: tasks.iter().map(|t| t.labelled).max().unwrap_or(0),
            error: demands.error,
            cost: Cost {
                latency: ratio(candidate.ms_per_text, baseline.ms_per_text),
                most_latency: None,
                size: ratio(bytes(&candidate), bytes(&baseline)),
                most_size: None,
                verdict: Verdict::Pass,
            },
            baseline,
            candidate,
            tasks,
        }
    }
}

impl TaskTally {
    fn pairs(&self) -> u64 {
        self.differences.values().sum()
    }

    /// What the candidate gains, in the scores' unit.
    fn gains(&self) -> Vec<Cell> {
        self.differences.iter().map(|(parts, n)| (f64::from(*parts) / f64::from(PARTS), *n as f64)).collect()
    }

    fn report(&self, task: &TaskSpec, role: Role, error: f64, most_flips: f64) -> TaskReport {
        let n = self.pairs() as f64;
        let share = |losses: u64| (n > 0.0).then(|| 1.0 - losses as f64 / f64::from(PARTS) / n);
        let gains = self.gains();
        let difference = (n > 0.0).then(|| {
            let (low, high) = always(&gains, error);
            let estimate = gains.iter().map(|(gain, pairs)| gain * pairs).sum::<f64>() / n;
            Difference { estimate, low, high, variance: 0.0 }
        });
        let (mut verdict, code) = decide(role, difference);
        let mut needed = (verdict == Verdict::Undecided).then(|| self.needed(gains, role, error)).flatten();
        let mut reasons = vec![Reason::new(code, role, difference)];
        let flips = self.flips(error, most_flips);
        if let Some(flips) = &flips
            && flips.high > most_flips
        {
            let is_over = flips.low > most_flips;
            let code = if is_over { Code::TooManyFlips } else { Code::FlipsUnclear };
            reasons.push(Reason::of_flips(code, flips));
            verdict = verdict.max(if is_over { Verdict::Fail } else { Verdict::Undecided });
            // One more of each, so that none seen does not mean that none will come.
            let seen =
                cells(PairCounts { gains: flips.negative + 1, ties: self.pairs() - flips.negative + 1, losses: 0 });
            needed = needed.max(pairs_until(&seen, most_flips, error, MOST_LABELS).map(|total| beyond(total, n)));
        }
        TaskReport {
            task: task.name.clone(),
            metric: metric(task.kind).to_owned(),
            role,
            verdict,
            labelled: self.pairs(),
            incomparable: self.incomparable,
            baseline: share(self.losses[0]),
            candidate: share(self.losses[1]),
            difference: difference.map(|d| d.estimate),
            low: difference.map(|d| d.low),
            high: difference.map(|d| d.high),
            better_ln_p: None,
            flips,
            labels_needed: needed.filter(|_| verdict == Verdict::Undecided),
            answers: self.answers.report(task),
            reasons,
        }
    }

    /// Labels that a decision takes besides those at hand, if those to come are like them; without any, if a
    /// protected task stays as good and a drifted one gains what one may hope for.
    fn needed(&self, mut gains: Vec<Cell>, role: Role, error: f64) -> Option<u64> {
        let (n, limit) = (self.pairs() as f64, limit(role));
        let planned = match n {
            0.0 => {
                let discordance = self.answers.discordance();
                let hoped = if role.is_protected() { 0.0 } else { limit + HOPED_GAIN };
                let (gain, loss) = (0.5 * (discordance + hoped), (0.5 * (discordance - hoped)).max(0.0));
                vec![(0.0, 1.0 - gain - loss), (1.0, gain), (-1.0, loss)]
            }
            // One discordant pair more than were seen, half of it each way.
            _ => {
                gains.extend([(1.0, 0.5), (-1.0, 0.5)]);
                gains
            }
        };
        Some(beyond(pairs_until(&planned, limit, error, MOST_LABELS)?, n))
    }

    fn flips(&self, error: f64, most: f64) -> Option<FlipReport> {
        let n = self.pairs();
        let (low, high) =
            always(&cells(PairCounts { gains: self.negative, ties: n - self.negative, losses: 0 }), error);
        (n > 0).then(|| FlipReport {
            negative: self.negative,
            positive: self.positive,
            share: self.negative as f64 / n as f64,
            low: low.max(0.0),
            high,
            most,
        })
    }
}

fn beyond(total: f64, at_hand: f64) -> u64 {
    (total - at_hand).ceil().max(1.0) as u64
}

fn limit(role: Role) -> f64 {
    match role {
        Role::Protected { margin } => -margin,
        Role::Drifted { min_delta } => min_delta,
    }
}

fn decide(role: Role, difference: Option<Difference>) -> (Verdict, Code) {
    let limit = limit(role);
    match difference {
        None => (Verdict::Undecided, Code::NoLabels),
        Some(d) if d.low > limit && role.is_protected() => (Verdict::Pass, Code::NotWorse),
        Some(d) if d.low > limit => (Verdict::Pass, Code::Better),
        Some(d) if d.high < limit && role.is_protected() => (Verdict::Fail, Code::WorseThanMargin),
        Some(d) if d.high < limit => (Verdict::Fail, Code::NotBetter),
        Some(_) => (Verdict::Undecided, Code::TooFewLabels),
    }
}

/// What a score is: one less the loss by which labels are joined.
fn metric(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Binary | TaskKind::Multiclass => "accuracy",
        TaskKind::Multilabel => "label_accuracy",
        TaskKind::TokenLabels => "token_accuracy",
        TaskKind::Regression => "closeness",
    }
}

#[cfg(test)]
#[path = "shadow_tests.rs"]
mod tests;
