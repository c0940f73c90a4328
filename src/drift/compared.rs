//! What two models' answers to the same rows say of each other, without knowing what is right. Counts and sums of
//! whole numbers: parts that were counted apart are added, in any order.

use serde::{Deserialize, Serialize};

use super::answer::{Answer, Confidence};
use super::gate_report::{AnswersReport, Mover};
use super::skew::answer_skew;
use super::task::TaskSpec;
use crate::stats::distance::effects;

/// Discordant pairs where nothing is known of them yet.
const USUAL_DISCORDANCE: f64 = 0.06;
/// Classes told whose shares moved most.
const MOVERS: usize = 3;
/// Confidences are summed in so many parts: exactly, and far finer than anybody reads.
const PARTS: f64 = 1e6;

/// One task's answers of two models.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    compared: u64,
    differ: u64,
    mix: [Vec<i64>; 2],
    confidence: [i64; 2],
    confident: u64,
}

impl Compared {
    /// One row that both answered.
    pub fn take(&mut self, task: &TaskSpec, first: &Answer, second: &Answer) {
        let Some(skew) = answer_skew(first, second) else { return };
        self.compared += 1;
        self.differ += u64::from(skew.differs);
        let cells = task.classes.len() + 1;
        for (mix, answer) in self.mix.iter_mut().zip([first, second]) {
            mix.resize(cells, 0);
            let mut count = |class: u32| mix[(class as usize).min(cells - 1)] += 1;
            match answer {
                Answer::Class { class, .. } => count(*class),
                Answer::Labels { labels, .. } | Answer::Tokens { labels, .. } => labels.iter().copied().for_each(count),
                Answer::Value(_) => {}
            }
        }
        if let (Confidence::Known(a), Confidence::Known(b)) = (first.confidence(), second.confidence()) {
            self.confident += 1;
            for (sum, p) in self.confidence.iter_mut().zip([a, b]) {
                *sum += (f64::from(p) * PARTS).round() as i64;
            }
        }
    }

    /// Adds others.
    pub fn merge(&mut self, other: &Compared) {
        self.compared += other.compared;
        self.differ += other.differ;
        self.confident += other.confident;
        for side in 0..2 {
            self.confidence[side] += other.confidence[side];
            let longer = self.mix[side].len().max(other.mix[side].len());
            self.mix[side].resize(longer, 0);
            self.mix[side].iter_mut().zip(&other.mix[side]).for_each(|(own, more)| *own += more);
        }
    }

    /// Rows that both answered.
    pub fn rows(&self) -> u64 {
        self.compared
    }

    /// How often exactly one of the two may be right: only where they answer otherwise.
    pub fn discordance(&self) -> f64 {
        match self.compared {
            0 => USUAL_DISCORDANCE,
            n => (self.differ as f64 + 1.0) / (n as f64 + 2.0),
        }
    }

    /// For people and programs; `None` without rows.
    pub fn report(&self, task: &TaskSpec) -> Option<AnswersReport> {
        let n = (self.compared > 0).then_some(self.compared as f64)?;
        let reference: Vec<f64> = self.mix[0].iter().map(|c| *c as f64).collect();
        let shares = |mix: &[i64]| {
            let total = mix.iter().sum::<i64>().max(1) as f64;
            mix.iter().map(|c| *c as f64 / total).collect::<Vec<f64>>()
        };
        let (before, after) = (shares(&self.mix[0]), shares(&self.mix[1]));
        let mover = |(class, (b, a)): (usize, (&f64, &f64))| Mover {
            class: task.class_name(class).to_owned(),
            baseline: *b,
            candidate: *a,
        };
        let mut movers: Vec<Mover> = before.iter().zip(&after).enumerate().map(mover).collect();
        movers.retain(|m| m.baseline != m.candidate);
        movers.sort_by(|a, b| b.moved().total_cmp(&a.moved()));
        movers.truncate(MOVERS);
        let effects = effects(&self.mix[1], &reference);
        let confident = self.confident as f64 * PARTS;
        let confident = (self.confident > 0).then(|| self.confidence.map(|sum| sum as f64 / confident));
        Some(AnswersReport {
            compared: self.compared,
            differ: self.differ as f64 / n,
            jensen_shannon: effects.map(|e| e.jensen_shannon),
            hellinger: effects.map(|e| e.hellinger),
            movers,
            baseline_confidence: confident.map(|c| c[0]),
            candidate_confidence: confident.map(|c| c[1]),
        })
    }
}
