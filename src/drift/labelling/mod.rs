//! Labels as signals of their own: of each task, whether as many predictions get a label as usual, and as late.
//!
//! What is usual is learned from a deployment's own first days, not from the reference: references are fitted on
//! records that somebody labelled on purpose, and say nothing of how production is labelled.
//!
//! Predictions are counted in blocks: those of the windows that begin in one hour, so that answers and labels of a window
//! lie in the same block however long it is. A block is looked at when its labels have had their time: a horizon
//! twice as long as 95 % of them take. So a label counts for the block of its prediction, whenever it comes, and blocks
//! whose labels are still on their way say nothing. A week of blocks says what is usual, and how much it varies: labels
//! come in batches, and fewer at night. From then on each unit, of as many blocks as 20 labels need, is tested against
//! it, and evidence gathers as it does for every signal, with the threshold of the budget.
//!
//! It leads to a notice and never to an alert or a retraining request: labels that stop coming are no drift of the model
//! (docs/decisions/0041).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::standing::Standing;
use super::time::{Span, Timestamp};
use crate::stats::evidence::Evidence;
use delays::{BINS, Delays, edge};
use usual::Usual;

/// Delays in fixed bins.
pub mod delays;
/// What is usual, and how it varies.
mod usual;

/// Length of a block in microseconds where windows are no longer: an hour, so that a day's course shows and little is
/// kept.
const BLOCK: i64 = 3_600_000_000;
/// Blocks that wait for their labels at most.
const MOST_WAITING: usize = 14 * 24;
/// Labels are waited for as long at most until it is said how long they take: a fortnight, as predictions are kept by
/// default.
const LONGEST: i64 = 14 * 24 * BLOCK;
/// What is usual is learned from as long at least: a week, with its nights and its weekend. What is told stands as long
/// until it is taken for usual.
const WEEK: i64 = 7 * 24 * BLOCK;
/// Blocks that are learned from at most, where labels are few.
const MOST_LEARNED: usize = 4 * 7 * 24;
/// Blocks forgotten where they are more.
const FORGOTTEN: usize = 7 * 24;
/// Labels that tell how long labels take.
const LEAST_LABELS: u64 = 100;
/// Share of labels that the horizon is twice the time of.
const IN_TIME: f64 = 0.95;
/// Bins further is twice as long.
const TWICE: u8 = 2;

/// Labels that came for the first time: by task and block of their predictions, by delay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrivals(BTreeMap<(usize, i64), Delays>);

/// How labels come, task by task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Labelling {
    arrived: Arrivals,
    tasks: BTreeMap<usize, Watched>,
    /// Share of predictions that was kept for labels; `None` of a course that did not remember it.
    sample: Option<f64>,
}

/// The windows that begin in one hour, or in several.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Block {
    windows: u64,
    answered: u64,
    came: Delays,
}

/// One task's labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Watched {
    /// Blocks whose labels are on their way, by number.
    waiting: BTreeMap<i64, Block>,
    /// Blocks below this have been looked at.
    looked: Option<i64>,
    /// How long labels take.
    horizon: Option<u8>,
    learned: Vec<Block>,
    judged: Option<Judged>,
}

/// What is usual, and what was seen since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Judged {
    usual: Usual,
    /// Blocks gathered for the next unit.
    gathered: Vec<Block>,
    coverage: Watch,
    delay: Watch,
}

/// Evidence that something is not as usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Watch {
    evidence: Evidence,
    standing: Standing,
    /// Share of labelled answers, or the bin that half of the labels reach, in the latest unit.
    latest: Option<f64>,
}

/// What is known of a task's labels after a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TaskLabels {
    /// `learning` until a week of labels has said what is usual, then `judged`; anew after `labels.sample` changed.
    pub stage: Stage,
    /// Seconds within which a label is expected; null until that is known.
    pub horizon_secs: Option<i64>,
    /// Share of predictions that get a label within the horizon, those outside the sample that is kept for labels
    /// included; null while learning.
    pub coverage: Option<LabelSignal>,
    /// Seconds until half of these labels have come, as the upper edge of a bin; null while learning.
    pub delay: Option<LabelSignal>,
}

/// How far a task's labels are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What is usual is not known yet.
    Learning,
    /// It is, and what comes is compared with it.
    Judged,
}

/// One of the two, as usual and now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LabelSignal {
    /// What is usual.
    pub usual: f64,
    /// In the latest predictions whose labels have had their time; null before the first.
    pub latest: Option<f64>,
    /// Evidence that it is not as usual, divided by its threshold.
    pub evidence_ratio: f64,
    /// Since when it is not as usual; null where it is.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changed_since: Option<Timestamp>,
}

/// When a label came, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// Start of the prediction's window.
    pub window: Timestamp,
    /// When it was predicted.
    pub predicted: Timestamp,
    /// When the label came.
    pub arrived: Timestamp,
}

impl Arrivals {
    /// A label of a task that came.
    pub fn add(&mut self, task: usize, arrival: Arrival) {
        let Arrival { window, predicted, arrived } = arrival;
        self.0.entry((task, block_of(window))).or_default().add(delays::between(predicted, arrived), 1);
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Arrivals) {
        for (of, came) in &other.0 {
            self.0.entry(*of).or_default().merge_until(came, BINS);
        }
    }
}

/// A window that labels are counted for.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Its start.
    pub start: Timestamp,
    /// Its end: how far time is.
    pub end: Timestamp,
    /// ln of the threshold, in windows.
    pub ln_threshold: f64,
}

impl Seen {
    /// How long a block is where windows are as long as this one.
    fn block(&self) -> Span {
        Span::from_micros(self.end.since(self.start).micros().max(BLOCK))
    }

    fn end_of(&self, block: i64) -> Timestamp {
        start_of(block).plus(self.block())
    }

    /// Whether the labels of a block have had their time, and an hour more for those that are read a little later.
    fn is_over(&self, block: i64, horizon: u8) -> bool {
        self.end.since(self.end_of(block)) >= Span::from_micros(edge(horizon).micros().saturating_add(BLOCK))
    }
}

impl Labelling {
    /// Labels that came; they count from the next window on.
    pub fn arrive(&mut self, arrivals: &Arrivals) {
        self.arrived.merge(arrivals);
    }

    /// Predictions are kept for labels at this rate, as far as is known at this time; whether it is another one than
    /// before. Then as many labels as were usual are usual no more, nor vary as they did, and it is learned anew from
    /// blocks whose predictions were all kept at the new rate. How long labels take stays known.
    pub fn sampled(&mut self, sample: f64, at: Timestamp) -> bool {
        let is_another = self.sample.replace(sample).is_some_and(|before| before != sample);
        if is_another {
            for watched in self.tasks.values_mut() {
                let horizon = watched.horizon;
                *watched = Watched { horizon, looked: Some(block_of(at) + 1), ..Watched::default() };
            }
        }
        is_another
    }

    /// One window, with how many answers each task gave in it.
    pub fn step(&mut self, seen: Seen, answered: &[(usize, u64)]) -> Vec<(usize, TaskLabels)> {
        let arrived = std::mem::take(&mut self.arrived);
        // Two signals a task share the budget.
        let ln_threshold = seen.ln_threshold + (2.0 * answered.len() as f64).ln();
        let mut step = |(task, answered): &(usize, u64)| {
            let watched = self.tasks.entry(*task).or_default();
            let came = arrived.0.range((*task, i64::MIN)..=(*task, i64::MAX)).map(|((_, block), came)| (*block, came));
            watched.count(seen.start, *answered, came);
            watched.look(seen, ln_threshold);
            (*task, watched.told(ln_threshold))
        };
        answered.iter().map(&mut step).collect()
    }
}

impl Watched {
    fn count<'a>(&mut self, start: Timestamp, answered: u64, came: impl Iterator<Item = (i64, &'a Delays)>) {
        let block = block_of(start);
        if answered > 0 && self.looked.is_none_or(|looked| block >= looked) {
            let own = self.waiting.entry(block).or_default();
            (own.answered, own.windows) = (own.answered + answered, own.windows + 1);
        }
        for (block, delays) in came {
            if let Some(own) = self.waiting.get_mut(&block) {
                own.came.merge_until(delays, BINS);
            }
        }
        while self.waiting.len() > MOST_WAITING {
            self.waiting.pop_first();
        }
    }

    /// Looks at the blocks whose labels have had their time.
    fn look(&mut self, seen: Seen, ln_threshold: f64) {
        if self.horizon.is_none() {
            self.horizon = self.find_horizon(seen);
        }
        let Some(horizon) = self.horizon else { return };
        while let Some(first) = self.waiting.first_entry().filter(|first| seen.is_over(*first.key(), horizon)) {
            let (number, block) = first.remove_entry();
            self.looked = Some(number + 1);
            let block = Block::sum(std::slice::from_ref(&block), horizon);
            match &mut self.judged {
                None => self.learn(block, seen.block(), horizon),
                Some(judged) => judged.take(block, seen.end_of(number), ln_threshold),
            }
            if self.judged.as_ref().is_some_and(|judged| judged.is_usual_now(seen.end_of(number))) {
                (self.judged, self.horizon) = (None, None);
                return;
            }
        }
    }

    /// Twice as long as most labels take: of predictions that are older than labels are looked at for, so that those
    /// on their way bias nothing.
    fn find_horizon(&self, seen: Seen) -> Option<u8> {
        let all = seen.end.since(start_of(*self.waiting.keys().next()?)).micros();
        let half = all / 2;
        let last = (0..BINS).rev().find(|bin| edge(*bin).micros() <= half)?;
        let mut came = Delays::default();
        let old = self.waiting.iter().filter(|(number, _)| seen.end.since(seen.end_of(**number)).micros() >= half);
        old.for_each(|(_, block)| came.merge_until(&block.came, last));
        if came.count_until(last) < LEAST_LABELS {
            return None;
        }
        let horizon = came.quantile(IN_TIME)? + TWICE;
        let full = all >= LONGEST;
        (horizon <= last || full).then_some(horizon.min(last))
    }

    /// From a week on, as soon as there is enough: where windows are long, each is a block.
    fn learn(&mut self, block: Block, length: Span, horizon: u8) {
        self.learned.push(block);
        if (self.learned.len() as i64).saturating_mul(length.micros()) < WEEK {
            return;
        }
        if let Some(usual) = Usual::learn(&self.learned, horizon) {
            let watch = || Watch { evidence: Evidence::NONE, standing: Standing::default(), latest: None };
            self.judged = Some(Judged { usual, gathered: Vec::new(), coverage: watch(), delay: watch() });
            self.learned = Vec::new();
        } else if self.learned.len() >= MOST_LEARNED {
            self.learned.drain(..FORGOTTEN);
        }
    }

    fn told(&self, ln_threshold: f64) -> TaskLabels {
        let horizon_secs = self.horizon.map(|bin| secs(Some(f64::from(bin))).map_or(0, |secs| secs as i64));
        let Some(Judged { usual, coverage, delay, .. }) = &self.judged else {
            return TaskLabels { stage: Stage::Learning, horizon_secs, coverage: None, delay: None };
        };
        let signal = |watch: &Watch, of_usual: Option<f64>, latest: Option<f64>| {
            let ln_evidence = watch.evidence.ln() + usual.windows.ln();
            Some(LabelSignal {
                usual: of_usual?,
                latest,
                evidence_ratio: (ln_evidence - ln_threshold).min(300.0).exp(),
                changed_since: watch.standing.since(),
            })
        };
        TaskLabels {
            stage: Stage::Judged,
            horizon_secs,
            coverage: signal(coverage, Some(usual.share()), coverage.latest),
            delay: signal(delay, secs(usual.median().map(f64::from)), secs(delay.latest)),
        }
    }
}

impl Judged {
    fn take(&mut self, block: Block, at: Timestamp, ln_threshold: f64) {
        self.gathered.push(block);
        if self.gathered.len() < self.usual.blocks {
            return;
        }
        let unit = Block::sum(&std::mem::take(&mut self.gathered), self.usual.horizon);
        let [coverage, delay] = self.usual.test(&unit);
        let labels = unit.came.count_until(self.usual.horizon);
        let share = (unit.answered > 0).then(|| labels as f64 / unit.answered as f64);
        let median = unit.came.quantile(0.5).map(f64::from);
        // A unit is one step of so many windows: so many times R has at most their number as its expectation.
        let ln_threshold = ln_threshold - self.usual.windows.ln();
        for (watch, test, latest) in [(&mut self.coverage, coverage, share), (&mut self.delay, delay, median)] {
            let Some(test) = test else { continue };
            watch.latest = latest;
            watch.evidence.step(test.ln_p);
            if watch.standing.step(watch.evidence.ln() >= ln_threshold, at) {
                watch.evidence = Evidence::NONE;
            }
        }
    }

    /// Whether what is not as before has lasted as long as was learned from: it is usual now. That no label comes at all
    /// is never usual: nothing could be learned from it, and nothing told any more.
    fn is_usual_now(&self, at: Timestamp) -> bool {
        let since = [&self.coverage, &self.delay].map(|watch| watch.standing.since());
        let has_lasted = since.into_iter().flatten().any(|since| at.since(since).micros() >= WEEK);
        has_lasted && self.coverage.latest != Some(0.0)
    }
}

impl Block {
    /// Several together, with the labels that came within the horizon.
    fn sum(blocks: &[Block], horizon: u8) -> Block {
        let mut sum = Block::default();
        for block in blocks {
            (sum.windows, sum.answered) = (sum.windows + block.windows, sum.answered + block.answered);
            sum.came.merge_until(&block.came, horizon);
        }
        sum
    }

    /// Answers with a label and without. Records that came late are labelled without being answers of a judged window.
    fn coverage(&self) -> Vec<i64> {
        let (answered, labels) = (self.answered as i64, self.came.count_until(BINS) as i64);
        vec![labels.min(answered), (answered - labels).max(0)]
    }
}

fn block_of(time: Timestamp) -> i64 {
    time.micros().div_euclid(BLOCK)
}

fn start_of(block: i64) -> Timestamp {
    Timestamp::from_micros(block.saturating_mul(BLOCK))
}

fn secs(bin: Option<f64>) -> Option<f64> {
    bin.map(|bin| edge(bin as u8).micros() as f64 / 1e6)
}

#[cfg(test)]
#[path = "../labelling_tests.rs"]
mod tests;
