use proptest::prelude::*;

use super::*;
use crate::drift::label::LabelValue;

const WINDOW: Timestamp = Timestamp::from_micros(1_000);

fn kept(class: u32, expected: u16) -> Kept {
    let answer = |task, answer, expected| KeptAnswer { task, answer, expected };
    Kept {
        answers: vec![
            answer(0, LabelValue::Class(class), Some(expected)),
            answer(2, LabelValue::Labels(vec![1, 4]), None),
        ],
        candidate: None,
    }
}

fn label(task: usize, revision: i64, at: i64, value: Option<LabelValue>) -> Label {
    Label { task, retracted: value.is_none(), value, revision, at: Timestamp::from_micros(at) }
}

/// Labels of one prediction in some order of arrival, to the tallies of its tasks.
fn arrive(kept: &Kept, labels: &[Label]) -> BTreeMap<usize, Tally> {
    let (mut tallies, mut joined): (BTreeMap<usize, Tally>, BTreeMap<usize, Joined>) = Default::default();
    for label in labels {
        let task = label.task;
        let change = match joined.get(&task) {
            Some(earlier) => earlier.take(label.clone(), 1.0),
            None => match join(kept, Timestamp::from_micros(1_500), WINDOW, label.clone(), 1.0) {
                Some(change) => change,
                None => continue,
            },
        };
        assert_eq!(change.window, WINDOW);
        tallies.entry(task).or_default().apply(&change);
        joined.insert(task, Joined::decode(&change.joined.encode()).expect("as it was"));
    }
    tallies.retain(|_, tally| *tally != Tally::default());
    tallies
}

#[test]
fn labels_change_exactly_what_they_should() {
    let kept = kept(3, CERTAIN);
    let right = label(0, 0, 2_000, Some(LabelValue::Class(3)));
    let corrected = label(0, 1, 3_000, Some(LabelValue::Class(5)));
    let retracted = label(0, 2, 4_000, None);
    let again = label(0, 3, 5_000, Some(LabelValue::Class(3)));

    let once = arrive(&kept, std::slice::from_ref(&right));
    let realised = once[&0].realised(TaskKind::Multiclass).expect("one label");
    assert_eq!((realised.labelled, realised.accuracy, realised.expected, realised.delay_us), (1, 1.0, Some(1.0), 500));
    assert_eq!(once.len(), 1, "a partial label leaves the other task alone");
    assert_eq!(arrive(&kept, &[right.clone(), right.clone()]), once, "a duplicate");
    let wrong = arrive(&kept, &[right.clone(), corrected.clone()]);
    assert_eq!(wrong[&0].realised(TaskKind::Multiclass).expect("one").accuracy, 0.0);
    assert_eq!(wrong[&0].confusion, BTreeMap::from([((5, 3), 1)]));
    assert_eq!(arrive(&kept, &[corrected.clone(), right.clone()]), wrong, "a late one that is older");
    assert_eq!(arrive(&kept, &[right.clone(), retracted.clone()]), BTreeMap::new());
    assert_eq!(arrive(&kept, &[retracted.clone(), right.clone(), corrected.clone()]), BTreeMap::new());
    let back = arrive(&kept, &[right, retracted, again]);
    assert_eq!((back[&0].labelled, back[&0].losses, back[&0].delay_us), (1, 0, 3_500));
    assert_eq!(arrive(&kept, &[label(1, 0, 0, Some(LabelValue::Class(0)))]), BTreeMap::new(), "no answer of that task");
}

#[test]
fn evidence_is_drawn_once_from_each_prediction() {
    let kept = kept(3, 0);
    let first = label(0, 0, 2_000, Some(LabelValue::Class(4)));
    let change = join(&kept, Timestamp::from_micros(1_500), WINDOW, first, 1.0).expect("answered");
    assert_eq!((change.loss.map(|loss| loss.found), change.outcome), (Some(PARTS), Outcome::Joined));
    for (label, outcome) in [
        (label(0, 1, 2_000, Some(LabelValue::Class(3))), Outcome::Corrected),
        (label(0, 0, 1_000, Some(LabelValue::Class(3))), Outcome::Superseded),
        (label(0, 0, 9_000, Some(LabelValue::Class(4))), Outcome::Superseded),
        (label(0, 2, 0, None), Outcome::Retracted),
        (label(0, 2, 0, Some(LabelValue::Value(1.0))), Outcome::Unusable),
        (label(0, 2, 1, Some(LabelValue::Unknown)), Outcome::UnknownClass),
    ] {
        let next = change.joined.take(label, 1.0);
        assert_eq!((next.loss, next.outcome), (None, outcome));
    }
}

#[test]
fn labels_that_contradict_an_estimate_mute_it() {
    let performance = crate::drift::harm::tests::performance(0.05, 2_000);
    let tally = |n: i64, wrong: i64, expected: f64| Tally {
        labelled: n,
        losses: wrong * i64::from(PARTS),
        expected: (expected * f64::from(CERTAIN)) as i64 * n,
        expected_of: n,
        ..Tally::default()
    };
    for (labelled, wrong, expected, contradicts) in [
        (400, 20, 0.95, false),
        (400, 120, 0.95, true),
        (10, 3, 0.95, false),
        (400, 20, 0.60, true),
        (100_000, 5_000, 0.945, false),
        (0, 0, 0.9, false),
    ] {
        assert_eq!(
            tally(labelled, wrong, expected).contradicts((&performance).into()),
            contradicts,
            "{labelled} {wrong}"
        );
    }
}

fn some_label() -> impl Strategy<Value = Label> {
    let value = prop_oneof![
        Just(None),
        (0_u32..3).prop_map(|c| Some(LabelValue::Class(c))),
        Just(Some(LabelValue::Labels(vec![1]))),
        Just(Some(LabelValue::Labels(vec![1, 4]))),
    ];
    (0_usize..3, 0_i64..3, 0_i64..3, value).prop_map(|(task, revision, at, value)| label(task, revision, at, value))
}

proptest! {
    #[test]
    fn any_order_of_arrival_gives_the_same_counts(
        labels in proptest::collection::vec(some_label(), 0..12),
        seed in any::<u64>(),
        repeats in 1_usize..3,
    ) {
        use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};
        let kept = kept(1, 40_000);
        let mut shuffled: Vec<Label> = labels.iter().cloned().cycle().take(labels.len() * repeats).collect();
        shuffled.shuffle(&mut StdRng::seed_from_u64(seed));
        let (first, second) = (arrive(&kept, &labels), arrive(&kept, &shuffled));
        prop_assert_eq!(&first, &second);
        // And they are those of the labels that count alone.
        let counting: Vec<Label> = (0..3)
            .filter_map(|task| {
                let own = labels.iter().filter(|l| l.task == task);
                own.cloned().reduce(|a, b| if b.supersedes(&a) { b } else { a })
            })
            .collect();
        prop_assert_eq!(first, arrive(&kept, &counting));
    }
}
