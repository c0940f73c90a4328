//! A prediction as it waits for its labels, with what a candidate answered beside it.

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::label::{KeptAnswer, LabelValue, PARTS};
use super::matured::{Change, in_parts};
use super::performance::Performance;
use super::reference::Reference;
use super::shadow::Pair;

/// A prediction as it waits for its labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// What each task answered.
    pub answers: Vec<KeptAnswer>,
    /// What a candidate answered beside it.
    pub candidate: Option<KeptCandidate>,
}

/// A candidate's answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptCandidate {
    /// Which candidate.
    pub id: String,
    /// The same as the current model's; nothing is expected of them.
    pub answers: Vec<KeptAnswer>,
}

impl Kept {
    /// What is kept of a record's answers: those of tasks whose performance the reference knows; `None` if
    /// there are none.
    pub fn of(reference: &Reference, answers: &[Option<Answer>]) -> Option<Kept> {
        let answer = |performance: &Performance| {
            let answer = answers.get(performance.task)?.as_ref()?;
            let task = u16::try_from(performance.task).ok()?;
            Some(KeptAnswer { task, answer: LabelValue::of(answer), expected: performance.expected(answer) })
        };
        let answers: Vec<KeptAnswer> = reference.performance.iter().filter_map(answer).collect();
        (!answers.is_empty()).then_some(Kept { answers, candidate: None })
    }

    /// The same with what a candidate answered.
    pub fn beside(self, id: &str, answers: &[Option<Answer>]) -> Kept {
        let answer = |kept: &KeptAnswer| {
            let answer = LabelValue::of(answers.get(usize::from(kept.task))?.as_ref()?);
            Some(KeptAnswer { task: kept.task, answer, expected: None })
        };
        let answers = self.answers.iter().filter_map(answer).collect();
        Kept { candidate: Some(KeptCandidate { id: id.to_owned(), answers }), ..self }
    }

    /// What a label that made a loss known says of the candidate too; `None` without one. A candidate that does
    /// not answer what the current model answers is wrong.
    pub fn pair(&self, task: usize, change: &Change, scale: f64) -> Option<(&str, Pair)> {
        let (baseline, candidate) = (change.loss?.found, self.candidate.as_ref()?);
        let truth = change.truth()?;
        let answer = candidate.answers.iter().find(|a| usize::from(a.task) == task);
        let loss = answer.map_or(Some(PARTS), |a| a.answer.loss(truth, scale).map(in_parts));
        Some((&candidate.id, Pair { task, baseline, candidate: loss }))
    }

    /// Bytes for the store.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain data always encodes")
    }

    /// From the store's bytes.
    ///
    /// # Errors
    /// If they are not that.
    pub fn decode(bytes: &[u8]) -> Result<Kept, postcard::Error> {
        match postcard::from_bytes(bytes) {
            // Before there were candidates. `None` is one byte.
            Err(postcard::Error::DeserializeUnexpectedEnd) => postcard::from_bytes(&[bytes, &[0]].concat()),
            decoded => decoded,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::label::Label;
    use crate::drift::matured::join;
    use crate::drift::time::Timestamp;

    fn kept() -> Kept {
        let answer = |task, class| KeptAnswer { task, answer: LabelValue::Class(class), expected: None };
        let answers = vec![answer(0, 1), answer(2, 1)];
        let candidate = KeptCandidate { id: "c".into(), answers: vec![answer(0, 2)] };
        Kept { answers, candidate: Some(candidate) }
    }

    #[test]
    fn what_was_kept_before_there_were_candidates_is_read() {
        let kept = Kept { candidate: None, ..kept() };
        let bytes = kept.encode();
        assert_eq!(Kept::decode(&bytes[..bytes.len() - 1]).expect("read"), kept);
        assert_eq!(Kept::decode(&bytes).expect("read"), kept);
        assert!(Kept::decode(&bytes[..2]).is_err());
    }

    #[test]
    fn a_label_speaks_of_both_and_silence_is_wrong() {
        let at = Timestamp::from_micros(5);
        let label =
            |task, value: Option<LabelValue>| Label { task, retracted: value.is_none(), value, revision: 0, at };
        for (task, truth, baseline, candidate) in
            [(0, 1, 0, PARTS), (0, 2, PARTS, 0), (0, 0, PARTS, PARTS), (2, 1, 0, PARTS)]
        {
            let change = join(&kept(), at, at, label(task, Some(LabelValue::Class(truth))), 1.0).expect("answered");
            let pair = Pair { task, baseline, candidate: Some(candidate) };
            assert_eq!(kept().pair(task, &change, 1.0), Some(("c", pair)), "{task} {truth}");
            assert_eq!(Kept { candidate: None, ..kept() }.pair(task, &change, 1.0), None);
        }
        let taken_back = join(&kept(), at, at, label(0, None), 1.0).expect("answered");
        assert_eq!(kept().pair(0, &taken_back, 1.0), None, "no loss is known");
    }
}
