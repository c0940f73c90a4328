use super::*;

/// A head of two classes that finds 70 of a hundred records of the second, and takes nine others for it.
fn rare() -> Performance {
    let confusion = vec![(0, 0, 2_891), (0, 1, 9), (1, 0, 30), (1, 1, 70)];
    Performance::known(0, 39.0 / 3_000.0, 3_000).confusing(confusion)
}

#[test]
fn what_is_tolerated_of_a_class_is_its_own_and_not_the_heads() {
    let known = rare().known_classes();
    assert_eq!(known.iter().map(|known| known.class).collect::<Vec<_>>(), [0, 1]);
    let (common, rare) = (known[0], known[1]);
    assert_eq!((rare.records, rare.missed), (100.0, 0.3));
    assert!((0.48..0.51).contains(&rare.tolerated), "upper bound of 30 in 100, and ten points: {rare:?}");
    assert!((common.tolerated - 0.1) < 0.007 && common.tolerated > 0.1, "{common:?}");
    // The reference's own answers are expected to miss what they missed, and half a record.
    assert!((rare.ratio - (rare.tolerated - 0.1) * 100.0 / 30.5).abs() < 0.01, "{rare:?}");
    assert!((rare.given - 79.0 / 3_000.0).abs() < 1e-9, "{rare:?}");
}

#[test]
fn a_class_that_is_hardly_known_is_left_out() {
    let mut few = rare();
    few.confusion = vec![(0, 0, 2_981), (1, 0, 9), (1, 1, 10)];
    assert_eq!(few.known_classes().iter().map(|known| known.class).collect::<Vec<_>>(), [0]);
    // One that is missed nearly always cannot be missed oftener.
    few.confusion = vec![(0, 0, 2_900), (1, 0, 95), (1, 1, 5)];
    assert_eq!(few.known_classes().iter().map(|known| known.class).collect::<Vec<_>>(), [0]);
    for kind in [TaskKind::Regression, TaskKind::TokenLabels] {
        assert!(Performance { kind, ..rare() }.known_classes().is_empty());
    }
}

#[test]
fn missing_is_expected_where_answers_were_doubtful_and_not_given_the_class() {
    let known = rare();
    let mut answers = Answers::default();
    // A hundred sure answers of the first class and ten that are wrong one time in two; five of the second.
    (0..100).for_each(|_| answers.add(&[(0, 0)], 0, Some(0)));
    (0..10).for_each(|i| answers.add(&[(u32::from(i < 6), 0)], 0, Some(128)));
    (0..5).for_each(|_| answers.add(&[(1, 1)], 1, Some(0)));
    let missing = known.missing(&answers)[&1];
    assert_eq!((missing.found, missing.missed), (5, 6));
    assert!((missing.expected - 5.02 - 0.5 * 110.0 / 2_921.0).abs() < 0.01, "{missing:?}");
    // Without confidences the reference's own rate is expected: 30 of 2,921.
    let mut plain = Answers::default();
    plain.count(0, 2_921);
    plain.cells.insert((1, 0), 2_921);
    let missing = known.missing(&plain)[&1];
    assert!((missing.expected - 30.5).abs() < 0.01, "{missing:?}");
}

#[test]
fn labels_of_sets_are_classes() {
    let known = Performance {
        kind: TaskKind::Multilabel,
        classes: 3,
        confusion: vec![(0, 0, 380), (0, 1, 20), (0, 2, 20), (1, 0, 80), (1, 1, 10), (1, 2, 20), (3, 0, 50)],
        ..Performance::known(0, 0.1, 1_000)
    };
    let classes = known.known_classes();
    assert_eq!(classes.iter().map(|k| (k.class, k.records)).collect::<Vec<_>>(), [(0, 400.0), (1, 100.0)]);
    let mut answers = Answers::default();
    // The second label is missing in forty of a hundred sets, whose expected loss is the reference's.
    (0..60).for_each(|_| answers.add(&[(0, 0), (1, 1)], Answers::ALL, None));
    (0..40).for_each(|_| answers.add(&[(1, 2)], Answers::ALL, None));
    let missing = known.missing(&answers);
    assert_eq!((missing[&1].found, missing[&1].missed), (0, 40));
    assert!((missing[&1].expected - 40.0 * 20.5 / 910.0).abs() < 1e-9, "{missing:?}");
    assert_eq!((missing[&0].found, missing[&0].missed), (60, 0));
}
