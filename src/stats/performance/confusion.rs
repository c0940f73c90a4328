//! Tables of true against predicted classes, counted or expected.

use std::collections::{BTreeMap, BTreeSet};

/// How many, by true and predicted class; cells without any are left out.
pub type Confusion = BTreeMap<(u32, u32), f64>;

/// The mean of the classes' F1: 2·TP / (2·TP + FP + FN), over classes that are true or predicted at least
/// `least` times; `None` if there are none.
pub fn macro_f1(table: &Confusion, least: f64) -> Option<f64> {
    let mut margins: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for ((truth, predicted), n) in table {
        margins.entry(*truth).or_default().0 += n;
        margins.entry(*predicted).or_default().1 += n;
    }
    let hits = |class: &u32| table.get(&(*class, *class)).copied().unwrap_or(0.0);
    mean(
        margins
            .iter()
            .filter(|(_, (t, p))| t.max(*p) >= least && t + p > 0.0)
            .map(|(class, (t, p))| 2.0 * hits(class) / (t + p)),
    )
}

/// The mean of labels' F1 from their true positives, false positives and false negatives, over labels that
/// are true or given at least `least` times.
pub fn macro_f1_of_labels(labels: impl Iterator<Item = [f64; 3]>, least: f64) -> Option<f64> {
    let seen = labels.filter(|[tp, fp, fn_]| (tp + fp).max(tp + fn_) >= least && tp + fp + fn_ > 0.0);
    mean(seen.map(|[tp, fp, fn_]| 2.0 * tp / (2.0 * tp + fp + fn_)))
}

/// The table to be expected of answers, from how many each predicted class has and how many of these are
/// right: those that are wrong spread over the other classes as the wrong ones of a labelled sample did, with
/// the classes' own shares of it for a prior that is worth one answer.
pub fn expected(predicted: impl Iterator<Item = (u32, f64, f64)>, sample: &Confusion) -> Confusion {
    let mut truths: BTreeMap<u32, f64> = BTreeMap::new();
    sample.iter().for_each(|((truth, _), n)| *truths.entry(*truth).or_default() += n);
    let all: f64 = truths.values().sum();
    let classes: BTreeSet<u32> = truths.keys().copied().collect();
    let mut table = Confusion::new();
    for (class, n, right) in predicted.filter(|(_, n, _)| *n > 0.0) {
        *table.entry((class, class)).or_default() += right;
        let others = classes.iter().filter(|truth| **truth != class);
        let weight = |truth: u32| sample.get(&(truth, class)).copied().unwrap_or(0.0) + truths[&truth] / all.max(1.0);
        let sum: f64 = others.clone().map(|truth| weight(*truth)).sum();
        for truth in others.filter(|_| sum > 0.0) {
            *table.entry((*truth, class)).or_default() += (n - right) * weight(*truth) / sum;
        }
    }
    table
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), v| (sum + v, n + 1.0));
    (n > 0.0).then(|| sum / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macro_f1_is_that_of_the_definition() {
        // Class 0: TP 8, FP 2, FN 1; class 1: TP 5, FP 1, FN 2; class 9 never.
        let table = Confusion::from([((0, 0), 8.0), ((1, 0), 2.0), ((0, 1), 1.0), ((1, 1), 5.0), ((9, 9), 0.0)]);
        let (first, second) = (16.0 / 19.0, 10.0 / 13.0);
        let found = macro_f1(&table, 0.5).expect("two classes");
        assert!((found - (first + second) / 2.0).abs() < 1e-12, "{found}");
        assert_eq!(macro_f1(&Confusion::new(), 0.0), None);
        assert_eq!(macro_f1_of_labels([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]].into_iter(), 0.0), Some(2.0 / 3.0));
    }

    #[test]
    fn an_expected_table_keeps_its_margins_and_spreads_what_is_wrong() {
        let sample = Confusion::from([((0, 0), 50.0), ((1, 0), 9.0), ((1, 1), 30.0), ((2, 2), 11.0)]);
        let table = expected([(0, 100.0, 80.0), (1, 10.0, 10.0)].into_iter(), &sample);
        assert_eq!(table[&(0, 0)], 80.0);
        let wrong = table[&(1, 0)] + table[&(2, 0)];
        assert!((wrong - 20.0).abs() < 1e-12 && table[&(1, 0)] > 10.0 * table[&(2, 0)], "{table:?}");
        assert!((table.values().sum::<f64>() - 110.0).abs() < 1e-9);
    }
}
