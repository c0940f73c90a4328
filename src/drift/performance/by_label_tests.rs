use super::*;
use crate::drift::performance::{Calibration, Estimator};
use crate::stats::performance::confidence::Graded;

const CLASSES: [&str; 3] = ["billing", "delivery", "account"];

/// A head of three labels: of 1,000 labelled records 400 have the first, 100 the second, none the third.
fn known() -> Performance {
    let graded: Vec<Graded> =
        (0..100).map(|i| Graded { confidence: 0.9, class: 0, right: f64::from(u8::from(i < 90)) }).collect();
    Performance {
        kind: TaskKind::Multilabel,
        labelled: 1_000,
        loss: 0.1,
        estimator: Estimator::Confidence(Calibration::fit(&graded)),
        confusion: vec![(0, 0, 380), (0, 1, 20), (0, 2, 20), (1, 0, 80), (1, 1, 10), (1, 2, 20)],
        classes: 3,
        ..Performance::known(0, 0.1, 1_000)
    }
}

impl Performance {
    /// Cells of a window of so many answers, whose mean probability of being right is `right`.
    fn cells_of(&self, answers: i64, right: f64) -> Vec<i64> {
        let mut cells = vec![0; self.cells().end];
        let own = &mut cells[self.cells()];
        (own[0], own[1]) = (answers, (answers as f64 * right * super::super::ONE) as i64);
        cells
    }
}

fn names() -> Vec<String> {
    CLASSES.map(str::to_owned).to_vec()
}

/// The same with how often each label was given.
fn cells(performance: &Performance, answers: i64, right: f64, given: [i64; 4]) -> Vec<i64> {
    let mut cells = performance.cells_of(answers, right);
    cells[COMMON..].copy_from_slice(&given);
    cells
}

fn value(figure: Option<Figure>) -> f64 {
    figure.expect("it is told").value
}

#[test]
fn each_label_is_told_by_itself_with_intervals() {
    let known = known();
    let came = Confusion::from([((0, 0), 90.0), ((0, 1), 10.0), ((1, 2), 30.0)]);
    let told = known.by_label(&names(), &cells(&known, 500, 0.9, [200, 45, 0, 3]), Some(&came));
    let labels: Vec<&str> = told.iter().map(|l| l.label.as_str()).collect();
    assert_eq!(labels, ["billing", "delivery", "other"], "nothing is known of `account`, and one was not foreseen");

    let billing = &told[0];
    assert_eq!((billing.reference.support, billing.reference.given), (400.0, 400.0));
    assert_eq!((value(billing.reference.precision), value(billing.reference.recall)), (0.95, 0.95));
    let realised = billing.realised.as_ref().expect("labels came");
    assert_eq!((value(realised.precision), value(realised.recall)), (0.9, 1.0));
    assert!((value(realised.f1) - 2.0 * 0.9 / 1.9).abs() < 1e-12);
    let estimated = billing.estimated.as_ref().expect("answers came");
    assert!((value(estimated.precision) - 0.95).abs() < 1e-6 && (estimated.given - 200.0).abs() < 1e-9);
    for figures in [&billing.reference, realised, estimated] {
        for figure in [figures.precision, figures.recall, figures.f1].map(|f| f.expect("it is told")) {
            assert!(figure.low < figure.value && figure.value <= figure.high && figure.high <= 1.0, "{figure:?}");
        }
    }
    let width = |figure: Option<Figure>| figure.map(|f| f.high - f.low).expect("it is told");
    assert!(
        width(estimated.precision) > width(LabelFigures::counted([190.0, 10.0, 0.0]).precision),
        "what the reference does not know widens it"
    );

    // All of the second are missing by labels: no precision, and a recall of nothing.
    let delivery = told[1].realised.as_ref().expect("labels came");
    assert_eq!((delivery.precision, value(delivery.recall), value(delivery.f1)), (None, 0.0, 0.0));
    let other = told[2].estimated.as_ref().expect("it was given");
    assert_eq!((other.given, other.precision, told[2].realised.as_ref()), (3.0, None, None), "nothing tells its rate");
}

#[test]
fn worse_answers_are_expected_to_be_worse_label_by_label() {
    let known = known();
    let told = |right| known.by_label(&names(), &cells(&known, 500, right, [200, 45, 0, 0]), None);
    let f1 = |right: f64, label: usize| value(told(right)[label].estimated.as_ref().expect("told").f1);
    assert!(f1(0.9, 0) > f1(0.8, 0) + 0.02 && f1(0.9, 1) > f1(0.8, 1) + 0.02, "{} {}", f1(0.9, 0), f1(0.8, 0));
    // And the mean over labels is the macro-F1 that is told of the whole.
    let cells = cells(&known, 500, 0.8, [200, 45, 0, 0]);
    let whole = known.estimate(&cells).expect("answers").macro_f1.expect("has one");
    assert!((whole - (f1(0.8, 0) + f1(0.8, 1)) / 2.0).abs() < 1e-9, "{whole}");
}

#[test]
fn kept_cells_add_up_over_windows_and_other_heads_keep_none() {
    let known = known();
    let (a, b) = (cells(&known, 10, 0.5, [1, 2, 3, 4]), cells(&known, 7, 1.0, [5, 0, 0, 0]));
    let kept = [known.kept_cells(&a), Vec::new(), known.kept_cells(&b)];
    let sum = known.sum_of_kept(kept.iter().map(Vec::as_slice)).expect("they decode");
    assert_eq!((sum[0], &sum[COMMON..]), (17, &[6, 2, 3, 4][..]));
    let short = postcard::to_stdvec(&vec![1_i64; 3]).expect("encodes");
    assert!(known.sum_of_kept(std::iter::once(short.as_slice())).is_err(), "of another layout");
    let values = Performance { kind: TaskKind::Regression, ..known };
    assert!(values.kept_cells(&a).is_empty() && values.by_label(&names(), &a, None).is_empty());
    let multilabel = Performance { kind: TaskKind::Multilabel, ..values };
    assert!(multilabel.by_label(&names(), &vec![0; a.len()], None).iter().all(|l| l.estimated.is_none()));
}

#[test]
fn each_class_is_told_by_itself_likewise() {
    let graded: Vec<Graded> =
        (0..1_000).map(|i| Graded { confidence: 0.8, class: 0, right: f64::from(u8::from(i % 5 > 0)) }).collect();
    let known = Performance {
        estimator: Estimator::Confidence(Calibration::fit(&graded)),
        ..Performance::known(0, 0.15, 200).confusing(vec![(0, 0, 90), (0, 1, 10), (1, 0, 20), (1, 1, 80)])
    };
    // Forty answers of the first class, ten of the second, of which one in five is wrong.
    let mut cells = known.cells_of(50, 0.8);
    for (class, n) in [(0, 40), (1, 10)] {
        cells[COMMON + 2 * class] = n;
        cells[COMMON + 2 * class + 1] = (0.8 * n as f64 * super::super::ONE) as i64;
    }
    let came = Confusion::from([((0, 0), 5.0), ((1, 0), 3.0), ((1, 1), 1.0)]);
    let told = known.by_label(&names()[..2], &cells, Some(&came));
    let [billing, delivery] = told.as_slice() else { panic!("two classes: {told:?}") };
    assert_eq!((billing.label.as_str(), delivery.label.as_str()), ("billing", "delivery"));
    assert_eq!((billing.reference.support, billing.reference.given), (100.0, 110.0));
    assert!((value(billing.reference.recall) - 0.9).abs() < 1e-12);
    assert!((value(billing.reference.precision) - 90.0 / 110.0).abs() < 1e-12);
    let estimated = billing.estimated.as_ref().expect("there are answers");
    assert!((estimated.given - 40.0).abs() < 1e-6 && (value(estimated.precision) - 0.8).abs() < 1e-6, "{estimated:?}");
    let realised = delivery.realised.as_ref().expect("labels came");
    assert_eq!((realised.support, realised.given, value(realised.recall)), (4.0, 1.0, 0.25));
    let tokens = Performance { kind: TaskKind::TokenLabels, ..known.clone() };
    assert!(tokens.by_label(&names(), &cells, None).is_empty() && tokens.kept_cells(&cells).is_empty());
    let kept = known.kept_cells(&cells);
    assert_eq!(known.sum_of_kept([kept.as_slice(), &[], &kept].into_iter()).expect("of one width")[0], 100);
}
