use proptest::prelude::*;

use super::*;
use crate::drift::label::{CERTAIN, KeptAnswer, LabelValue};

const SECOND: i64 = 1_000_000;
const RULE: WindowRule = WindowRule::Time(Span::from_secs(10));

fn at(secs: i64) -> Timestamp {
    Timestamp::from_micros(secs * SECOND)
}

fn kept(class: u32) -> Kept {
    let answers = vec![KeptAnswer { task: 0, answer: LabelValue::Class(class), expected: Some(CERTAIN) }];
    Kept { answers, candidate: None }
}

fn label(heard: Slot, revision: i64, class: u32) -> Pending {
    let value = Some(LabelValue::Class(class));
    Pending { key: 7, heard, label: Label { task: 0, value, revision, at: at(heard * 10), retracted: false } }
}

fn joining(slot: Slot) -> Joining<'static> {
    Joining::new(&[], RULE, Span::from_secs(200), slot)
}

#[test]
fn a_label_is_tried_again_ever_more_rarely() {
    let mut tried = vec![5];
    loop {
        let slot = *tried.last().expect("one");
        match joining(slot).take(label(5, 0, 1)) {
            Fate::Waits(due) => tried.push(due),
            Fate::GivenUp => break,
            Fate::Settled(outcome) => panic!("there is no prediction: {outcome:?}"),
        }
    }
    assert_eq!(tried, [5, 6, 7, 9, 13, 21, 37], "20 windows and no more");
}

#[test]
fn of_several_predictions_with_one_id_the_earliest_counts() {
    for order in [[41, 33], [33, 41]] {
        let mut joining = joining(5);
        order.iter().for_each(|secs| joining.know(7, at(*secs), kept(u32::from(*secs == 33))));
        assert_eq!(joining.take(label(5, 0, 1)), Fate::Settled(Outcome::Joined));
        let (_, change) = &joining.changes[0];
        assert_eq!((change.window, change.loss.map(|loss| loss.found)), (at(30), Some(0)));
    }
}

#[test]
fn a_label_of_a_task_without_an_answer_is_told() {
    let mut joining = joining(5);
    joining.know(7, at(41), kept(1));
    let mut other = label(5, 0, 1);
    other.label.task = 3;
    assert_eq!(joining.take(other), Fate::Settled(Outcome::Unanswered));
    assert!(joining.changes.is_empty() && joining.losses.is_empty());
}

#[test]
fn samples_have_their_share_and_ids_their_own_keys() {
    let keys: Vec<i64> = (0..10_000).map(|i| prediction_key("m", "r", &i.to_string())).collect();
    let share = keys.iter().filter(|key| is_sampled(**key, 0.2)).count();
    assert!((1_850..2_150).contains(&share), "{share}");
    assert!(keys.iter().all(|key| is_sampled(*key, 1.0) && !is_sampled(*key, 0.0)));
    assert_ne!(prediction_key("m", "r", "1"), prediction_key("m", "s", "1"), "another reference");
    assert_ne!(prediction_key("a", "bc", "1"), prediction_key("ab", "c", "1"));
}

proptest! {
    /// However labels of one window are cut into chunks, the same comes of them.
    #[test]
    fn chunks_do_not_matter(labels in prop::collection::vec((0_i64..4, 0_u32..3), 1..12), cut in 0_usize..12) {
            let mut pending: Vec<Pending> = labels.iter().map(|(revision, class)| label(5, *revision, *class)).collect();
        pending.sort_by_key(|p| (p.label.revision, postcard::to_stdvec(&p.label.value).expect("encodes")));
        let cut = cut.min(pending.len());
        let run = |chunks: &[&[Pending]]| {
            let (mut joined, mut losses, mut tally) = (None, Losses::default(), crate::drift::matured::Tally::default());
            for chunk in chunks {
                let mut joining = joining(5);
                joining.know(7, at(41), kept(1));
                joined.clone().into_iter().for_each(|j| joining.know_joined(7, 0, j));
                chunk.iter().for_each(|p| _ = joining.take(p.clone()));
                joining.changes.iter().for_each(|(_, change)| tally.apply(change));
                losses.merge(&joining.losses);
                joined = joining.touched().next().map(|(_, _, j)| j.clone()).or(joined);
            }
            (joined, losses, tally)
        };
        prop_assert_eq!(run(&[&pending]), run(&[&pending[..cut], &pending[cut..]]));
    }
}
