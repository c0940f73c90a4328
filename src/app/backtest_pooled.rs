//! Several windows as one: a row of the page, or the whole of a back-test.

use serde_json::Value;

use crate::drift::performance::Z;
use crate::stats::performance::interval::wilson;

/// A share over several windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pooled {
    /// Answers, or labels, that it rests on.
    pub n: f64,
    /// The share.
    pub share: f64,
    /// Its 95 % interval.
    pub interval: (f64, f64),
}

/// What the labels of these windows say together: Wilson's interval of all of them, as of one window. Of losses that
/// are no right or wrong it is a bound, as it is there.
pub fn realised(points: &[Value]) -> Option<Pooled> {
    let each = points.iter().filter_map(|p| Some((p["labelled"].as_f64()?, p["realised"].as_f64()?)));
    let (n, right) = each.fold((0.0, 0.0), |(n, right), (labelled, share)| (n + labelled, right + labelled * share));
    Some(Pooled { n, share: right / n, interval: wilson(right, n, Z)? })
}

/// What these windows are estimated to be together. Their own errors are independent of each other; the reference's
/// is one and the same in all, and no number of windows makes it smaller.
pub fn estimated(points: &[Value], reference: &Value) -> Option<Pooled> {
    let each =
        points.iter().filter_map(|p| Some([p["n"].as_f64()?, p["estimate"].as_f64()?, p["estimate_se"].as_f64()?]));
    let (mut n, mut right, mut variance) = (0.0, 0.0, 0.0);
    for [answers, share, own] in each {
        n += answers;
        right += answers * share;
        variance += (answers * own).powi(2);
    }
    let share = (n > 0.0).then(|| right / n)?;
    let half = Z * (variance / (n * n) + reference["estimate_se"].as_f64()?.powi(2)).sqrt();
    Some(Pooled { n, share, interval: ((share - half).max(0.0), (share + half).min(1.0)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use serde_json::json;

    fn near(found: (f64, f64), expected: (f64, f64)) -> bool {
        (found.0 - expected.0).abs() < 5e-4 && (found.1 - expected.1).abs() < 5e-4
    }

    #[test]
    fn labels_of_several_windows_count_as_one_sample() {
        // 206 labels, 160 right: by hand (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n) = 71.5 to 82.8 %.
        let point = |labelled: u32, right: u32| json!({"labelled": labelled, "realised": f64::from(right) / f64::from(labelled)});
        let points = [point(6, 5), point(150, 115), json!({"labelled": 0, "realised": null}), point(50, 40)];
        let found = realised(&points).expect("labels");
        assert_eq!(found.n, 206.0);
        assert!((found.share - 160.0 / 206.0).abs() < 1e-12 && near(found.interval, (0.7151, 0.8283)), "{found:?}");
        assert_eq!(realised(&points[2..3]), None);
    }

    #[test]
    fn what_the_reference_does_not_know_stays_however_many_windows_there_are() {
        let points = vec![json!({"n": 100, "estimate": 0.8, "estimate_se": 0.04}); 16];
        let found = estimated(&points, &json!({"estimate_se": 0.02})).expect("answers");
        // 0.04 / √16 = 0.01, and √(0.01² + 0.02²) = 0.02236.
        assert!(near(found.interval, (0.8 - 0.0438, 0.8 + 0.0438)), "{found:?}");
        assert_eq!(estimated(&[], &json!({"estimate_se": 0.02})), None);
    }

    #[test]
    fn intervals_of_a_few_labels_in_each_of_several_windows_cover_the_truth() {
        let mut rng = StdRng::seed_from_u64(9);
        for (accuracy, labels, windows) in [(0.987, 25, 8), (0.8, 3, 8), (0.8, 3, 32)] {
            let covers = (0..400).filter(|_| {
                let window = |rng: &mut StdRng| {
                    let right = (0..labels).filter(|_| rng.random::<f64>() < accuracy).count() as f64;
                    let (low, high) = wilson(right, f64::from(labels), Z).expect("labels");
                    let share = right / f64::from(labels);
                    json!({"labelled": labels, "realised": share, "realised_low": low, "realised_high": high})
                };
                let points: Vec<Value> = (0..windows).map(|_| window(&mut rng)).collect();
                let (low, high) = realised(&points).expect("labels").interval;
                (low..=high).contains(&accuracy)
            });
            let covered = covers.count() as f64 / 400.0;
            assert!(covered >= 0.93, "{accuracy} with {labels} labels in {windows} windows: {covered}");
        }
    }
}
