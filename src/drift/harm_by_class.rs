//! Harm of single classes: whether one is missed oftener than it was, from the labels that matured.
//!
//! Each class that the reference knows makes two bets. That of the records which have it no larger share is missed than
//! is tolerated; and that no more of those which were not given it have it than their confidences say. The smaller
//! evidence counts. Another mix of classes leaves the first bet without gain, since each class is found as often as
//! before. Labels of answers that were chosen for being doubtful, or for what was answered, leave the second without: of
//! those it was expected. While a class is given oftener than in the reference, it is expected to be missing so much
//! oftener too, for both at once (docs/decisions/0053).

use serde::{Deserialize, Serialize};

use super::harm::{KEPT, OF_REFERENCE};
use super::losses::Answers;
use super::performance::Performance;
use super::performance::by_class::KnownClass;
use crate::stats::evidence::ln_weighted_sum;
use crate::stats::performance::betting::Betting;
use crate::stats::performance::rate::RateBetting;

/// Evidence of the harm of a head's classes; nothing before its first label.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassHarm {
    bets: Vec<ClassBets>,
    /// Answers of the latest windows, labelled or not.
    latest: f64,
}

/// One class's bets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ClassBets {
    class: u32,
    /// That no more of the records which have it are missed than tolerated.
    missed: Betting,
    /// That no more records have it which were not given it than expected,
    expected: RateBetting,
    /// times what the reference does not know better,
    ratio: f64,
    /// and times how much oftener than this share it is given.
    given: f64,
    /// How many of the latest answers were given it.
    latest: f64,
}

impl ClassHarm {
    /// One window's cells, and the answers whose labels came in it.
    pub fn step(&mut self, known: &Performance, cells: &[i64], answers: Option<&Answers>) {
        if self.bets.is_empty() && answers.is_some() {
            let new = |class| ClassBets::new(class, self.latest);
            self.bets = known.known_classes().into_iter().map(new).collect();
        }
        let (n, given) = known.given(cells);
        self.latest = KEPT * self.latest + n;
        for bets in &mut self.bets {
            bets.latest = KEPT * bets.latest + given(bets.class);
        }
        let Some(answers) = answers else { return };
        let missing = known.missing(answers);
        for bets in &mut self.bets {
            let Some(own) = missing.get(&bets.class) else { continue };
            bets.missed.step([(1.0, own.missed), (0.0, own.found)].into_iter());
            bets.expected.step(own.missed, bets.ratio * bets.oftener(self.latest) * own.expected);
        }
    }

    /// Forgets all evidence, after an alarm.
    pub fn restart(&mut self) {
        self.bets.iter_mut().for_each(ClassBets::restart);
    }

    /// Whether it knows of no class.
    pub fn is_empty(&self) -> bool {
        self.bets.is_empty()
    }

    /// ln of the evidence of all classes together, each with an equal share; −∞ for none.
    pub fn ln(&self) -> f64 {
        ln_weighted_sum(self.shares().map(|(_, ln_share)| (1.0, ln_share)))
    }

    /// ln of what each class's evidence adds to that.
    pub fn shares(&self) -> impl Iterator<Item = (u32, f64)> {
        let ln_weight = -(self.bets.len() as f64).ln();
        self.bets.iter().map(move |bets| (bets.class, bets.ln() + ln_weight))
    }
}

impl ClassBets {
    /// Of answers that came before its first label it is taken to have been given its share.
    fn new(known: KnownClass, latest: f64) -> ClassBets {
        let KnownClass { class, tolerated, ratio, given, .. } = known;
        let missed = Betting::new(tolerated);
        ClassBets { class, missed, expected: RateBetting::NONE, ratio, given, latest: latest * given }
    }

    /// How many times as often as in the reference it is given, of so many latest answers; 1 where it is not.
    fn oftener(&self, latest: f64) -> f64 {
        let share = (self.latest + OF_REFERENCE * self.given) / (latest + OF_REFERENCE);
        (share / self.given).max(1.0)
    }

    fn restart(&mut self) {
        self.missed.restart();
        self.expected = RateBetting::NONE;
    }

    fn ln(&self) -> f64 {
        self.missed.ln().min(self.expected.ln())
    }
}

#[cfg(test)]
#[path = "harm_by_class_tests.rs"]
mod tests;
