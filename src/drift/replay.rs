//! Which records a new model is trained on beside the new ones, so that it does not forget what the old one
//! knew: a uniform sample, a floor for every class of every task, and at most half from the alarm's time, drawn
//! by the same rule and not by how strange a record is.
//!
//! Everything follows from the seed and the records' ids: the same records give the same set in any order and
//! any split. Records of a floor and of the uniform part share their ranks, so the set is a union of
//! bottom-k samples and every record knows how likely it was to be drawn. Sizes follow from counts and
//! never from ranks, or the weights would be biased.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::answer::Answer;
use super::gold::Gold;
use super::time::Timestamp;
use crate::stats::bottom_k::BottomK;

/// How sets are drawn; another way has another name.
pub const STRATEGY: &str = "bottom_k/v1";
/// Times that the uniform part's size is made to fit what the floors take: it changes by less each time.
const MOST_FITS: usize = 100;

/// What a set is to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// Records in all, about: how many floors and uniform part have in common is left to chance.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub size: u32,
    /// Records of every class of every task, as far as there are so many and half the set holds them.
    pub floor: u32,
    /// Share of the alarm's time, at most.
    #[schemars(range(min = 0.0, max = 0.5))]
    pub alarm_share: f64,
    /// Share of all records that is never drawn and always the same, to judge models on.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub holdout: f64,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule { size: 10_000, floor: 50, alarm_share: 0.5, holdout: 0.1 }
    }
}

impl Rule {
    /// The largest size: the set is held in memory.
    pub const MOST: u32 = 10_000_000;

    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        match () {
            () if !(1..=Rule::MOST).contains(&self.size) => Some("size: expected 1 to 10,000,000 records"),
            () if !(0.0..=0.5).contains(&self.alarm_share) => {
                Some("alarm_share: at most half of a set may come from the alarm's time: expected 0 to 0.5")
            }
            () if !(0.0..=0.9).contains(&self.holdout) => Some("holdout: expected a share from 0 to 0.9"),
            () => None,
        }
    }
}

/// When a record happened, as an alarm sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Before the alarm.
    Ordinary,
    /// In the alarm's time.
    Alarm,
}

/// From where a record's class is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Somebody said what was right.
    Label,
    /// The model answered so.
    Answer,
}

/// A class of a task; one past the last is one that the manifest does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stratum {
    /// Index of the task.
    pub task: u16,
    /// The class; `None` for a number.
    pub class: Option<u32>,
    /// From where it is known.
    pub by: By,
}

/// What a set's rule asks of a record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Traits {
    /// When it happened.
    pub at: Timestamp,
    /// Whether in the alarm's time.
    pub period: Period,
    /// Its classes.
    pub strata: Vec<Stratum>,
}

/// A record that may be drawn.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// What the rule asks of it.
    pub of: Traits,
    /// What is written of it.
    pub body: Vec<u8>,
}

/// A record that was drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Picked {
    /// Its id.
    pub id: String,
    /// The record.
    pub row: Arc<Row>,
    /// How likely it was to be drawn; its weight is 1 over it.
    pub probability: f64,
}

/// What a set holds of one class in one period.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Which period.
    pub period: Period,
    /// Which class; `None` for all.
    pub stratum: Option<Stratum>,
    /// Records that there were.
    pub records: u64,
    /// Records in the set.
    pub picked: u64,
    /// Sum of their weights: about as many as there were.
    pub weight: f64,
}

/// A set.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// By time, then id.
    pub rows: Vec<Picked>,
    /// By period and class.
    pub shares: Vec<Share>,
    /// The floor that was kept, by period: smaller than what was asked for if half the part cannot hold it.
    pub floors: [u32; 2],
}

/// A sample on its way through the records.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampler {
    rule: Rule,
    seed: String,
    pools: [Pool; 2],
}

/// What was seen of one period.
#[derive(Clone, Debug, PartialEq)]
struct Pool {
    records: u64,
    uniform: BottomK<Arc<Row>>,
    strata: BTreeMap<Stratum, (u64, BottomK<Arc<Row>>)>,
}

impl Sampler {
    /// One that has seen nothing.
    pub fn new(rule: Rule, seed: &str) -> Sampler {
        let pool = || Pool { records: 0, uniform: BottomK::new(rule.size as usize), strata: BTreeMap::new() };
        Sampler { rule, seed: seed.to_owned(), pools: [pool(), pool()] }
    }

    /// Takes the next record; its body is made only if it may be drawn.
    pub fn push(&mut self, id: &str, of: Traits, body: impl FnOnce() -> Vec<u8>) {
        let rank = rank(&self.seed, id);
        let floor = self.rule.floor as usize;
        let pool = &mut self.pools[of.period as usize];
        pool.records += 1;
        let mut wanted = pool.uniform.wants(rank, id);
        for stratum in &of.strata {
            let (count, kept) = pool.strata.entry(*stratum).or_insert_with(|| (0, BottomK::new(floor)));
            *count += 1;
            wanted |= kept.wants(rank, id);
        }
        if wanted {
            let row = Arc::new(Row { of, body: body() });
            pool.uniform.push(rank, id, &row);
            for stratum in &row.of.strata {
                pool.strata.get_mut(stratum).expect("it was counted").1.push(rank, id, &row);
            }
        }
    }

    /// Takes what another sampler of the same rule and seed has seen.
    pub fn merge(&mut self, other: &Sampler) {
        for (pool, more) in self.pools.iter_mut().zip(&other.pools) {
            pool.records += more.records;
            pool.uniform.merge(&more.uniform);
            for (stratum, (count, kept)) in &more.strata {
                let fresh = || (0, BottomK::new(self.rule.floor as usize));
                let mine = pool.strata.entry(*stratum).or_insert_with(fresh);
                mine.0 += count;
                mine.1.merge(kept);
            }
        }
    }

    /// The set.
    pub fn finish(&self) -> Set {
        let [ordinary, alarm] = &self.pools;
        let size = u64::from(self.rule.size);
        let most_alarm = ((size as f64 * self.rule.alarm_share) as u64).min(alarm.records);
        let quota = size - most_alarm;
        let floor = ordinary.floor(self.rule.floor, quota);
        let rest = ordinary.draw(ordinary.fitting(quota, floor), floor);
        // Not one more than the share allows, whatever came together before it.
        let share = self.rule.alarm_share / (1.0 - self.rule.alarm_share);
        let quota = most_alarm.min((rest.len() as f64 * share) as u64);
        let alarm_floor = alarm.floor(self.rule.floor, quota);
        let reserved = alarm.reserved(alarm_floor);
        let mut drawn = alarm.draw(quota.saturating_sub(reserved), alarm_floor);
        drawn.retain(|id, _| !rest.contains_key(id));
        let mut rows: Vec<Picked> = rest.into_iter().chain(drawn).map(|(_, picked)| picked).collect();
        rows.sort_by(|a, b| (a.row.of.at, &a.id).cmp(&(b.row.of.at, &b.id)));
        let shares = self.shares(&rows);
        Set { rows, shares, floors: [floor, alarm_floor] }
    }

    fn shares(&self, rows: &[Picked]) -> Vec<Share> {
        let mut found: BTreeMap<(Period, Option<Stratum>), Share> = BTreeMap::new();
        for (period, pool) in [Period::Ordinary, Period::Alarm].into_iter().zip(&self.pools) {
            let strata = pool.strata.iter().map(|(stratum, (count, _))| (Some(*stratum), *count));
            for (stratum, records) in [(None, pool.records)].into_iter().chain(strata) {
                found.insert((period, stratum), Share { period, stratum, records, picked: 0, weight: 0.0 });
            }
        }
        for picked in rows {
            for stratum in [None].into_iter().chain(picked.row.of.strata.iter().copied().map(Some)) {
                let share = found.get_mut(&(picked.row.of.period, stratum)).expect("what was drawn was counted");
                share.picked += 1;
                share.weight += 1.0 / picked.probability;
            }
        }
        found.into_values().filter(|share| share.records > 0).collect()
    }
}

impl Pool {
    /// Records that the floors take if no two of them are the same.
    fn reserved(&self, floor: u32) -> u64 {
        self.strata.values().map(|(count, _)| (*count).min(u64::from(floor))).sum()
    }

    /// The largest floor, up to the one asked for, that leaves half of the quota to the uniform part.
    fn floor(&self, asked: u32, quota: u64) -> u32 {
        let (mut fits, mut most) = (0, asked);
        while fits < most {
            let middle = fits + (most - fits).div_ceil(2);
            if self.reserved(middle) <= quota / 2 { fits = middle } else { most = middle - 1 }
        }
        fits
    }

    /// Size of the uniform part at which, on average, the set is not larger than its quota: floors add what
    /// the uniform part has not brought of a class.
    fn fitting(&self, quota: u64, floor: u32) -> u64 {
        let added = |uniform: u64| -> u64 {
            let share = uniform as f64 / self.records.max(1) as f64;
            let lacking = |count: u64| (count.min(u64::from(floor)) as f64 - count as f64 * share).max(0.0);
            self.strata.values().map(|(count, _)| lacking(*count)).sum::<f64>().ceil() as u64
        };
        let mut uniform = quota;
        for _ in 0..MOST_FITS {
            let next = quota.saturating_sub(added(uniform));
            if next >= uniform {
                break;
            }
            uniform = next;
        }
        uniform
    }

    fn draw(&self, uniform: u64, floor: u32) -> HashMap<String, Picked> {
        let mut drawn: HashMap<String, Picked> = HashMap::new();
        let samples = [(&self.uniform, usize::try_from(uniform).unwrap_or(usize::MAX))].into_iter();
        for (sample, k) in samples.chain(self.strata.values().map(|(_, kept)| (kept, floor as usize))) {
            let probability = sample.probability(k);
            for (_, id, row) in sample.sample(k) {
                let picked = || Picked { id: id.to_owned(), row: row.clone(), probability };
                let there = drawn.entry(id.to_owned()).or_insert_with(picked);
                there.probability = there.probability.max(probability);
            }
        }
        drawn
    }
}

/// A record's rank for a seed: uniform over 64 bits, and the same wherever it is computed.
pub fn rank(seed: &str, id: &str) -> u64 {
    let digest = Sha256::new().chain_update(seed).chain_update([0]).chain_update(id).finalize();
    u64::from_be_bytes(digest[..8].try_into().expect("eight bytes of thirty-two"))
}

/// Whether a record is held out at this share, whatever the seed: what models are judged on must stay the
/// same, and a larger share holds the smaller one.
pub fn is_held_out(id: &str, share: f64) -> bool {
    (rank("driftd hold-out", id) as f64) < share * 2f64.powi(64)
}

/// Classes of a record by what is known of it: by its label where one is known, else by its answer.
pub fn strata(gold: &[Option<Gold>], answers: &[Option<Answer>]) -> Vec<Stratum> {
    let mut found = Vec::new();
    for task in 0..gold.len().max(answers.len()) {
        let (by, classes) = match (gold.get(task), answers.get(task)) {
            (Some(Some(gold)), _) => (By::Label, of_gold(gold)),
            (_, Some(Some(answer))) => (By::Answer, of_answer(answer)),
            _ => continue,
        };
        let Ok(task) = u16::try_from(task) else { break };
        found.extend(classes.into_iter().map(|class| Stratum { task, class, by }));
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn of_gold(gold: &Gold) -> Vec<Option<u32>> {
    match gold {
        Gold::Class(class) => vec![Some(*class)],
        Gold::Labels(labels) | Gold::Tokens(labels) => labels.iter().copied().map(Some).collect(),
        Gold::Value(_) => vec![None],
    }
}

fn of_answer(answer: &Answer) -> Vec<Option<u32>> {
    match answer {
        Answer::Class { class, .. } => vec![Some(*class)],
        Answer::Labels { labels, .. } | Answer::Tokens { labels, .. } => labels.iter().copied().map(Some).collect(),
        Answer::Value(_) => vec![None],
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
