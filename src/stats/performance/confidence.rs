//! From what a classifier says of its certainty to how often it is right.
//!
//! The log odds of the confidence get a slope (the inverse of a temperature) and an offset (Platt 1999), and
//! each class that it answers a further offset, shrunk towards none where it is rare. Two numbers and a few
//! offsets do not overfit where errors are few, and stay sensible at confidences that the labelled sample
//! has not shown.

use serde::{Deserialize, Serialize};

/// One answer whose truth is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Graded {
    /// What the classifier said of its own certainty, in [0, 1].
    pub confidence: f64,
    /// What it answered.
    pub class: u32,
    /// 1 for right, 0 for wrong, or the share of it that is right.
    pub right: f64,
}

/// A learned map from confidence to the probability of being right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    slope: f64,
    offset: f64,
    by_class: Vec<(u32, f64)>,
}

/// Steps of Newton's method; it converges in fewer, since the objective is concave.
const STEPS: usize = 50;
/// Precision of the prior of slope (around 1) and offset (around 0): one answer's worth, so that a classifier
/// that was never wrong gets finite odds.
const PRIOR: f64 = 0.1;
/// Precision of the prior of a class's own offset.
const CLASS_PRIOR: f64 = 1.0;
/// Answers that a class needs to get an offset.
const LEAST_OF_CLASS: usize = 20;
/// Equal bins over which the calibration error is taken (Guo et al., ICML 2017).
const ECE_BINS: usize = 15;

impl Calibration {
    /// Fits it to graded answers, by maximum posterior.
    pub fn fit(graded: &[Graded]) -> Calibration {
        let points: Vec<(f64, f64)> = graded.iter().map(|g| (log_odds(g.confidence), g.right)).collect();
        let (slope, offset) = logistic(&points);
        let mut classes: Vec<u32> = graded.iter().map(|g| g.class).collect();
        classes.sort_unstable();
        classes.dedup();
        let of_class = |class: u32| {
            let own: Vec<(f64, f64)> = graded
                .iter()
                .filter(|g| g.class == class)
                .map(|g| (slope * log_odds(g.confidence) + offset, g.right))
                .collect();
            (own.len() >= LEAST_OF_CLASS).then(|| (class, own_offset(&own)))
        };
        let by_class = if classes.len() > 1 { classes.into_iter().filter_map(of_class).collect() } else { Vec::new() };
        Calibration { slope, offset, by_class }
    }

    /// The probability that an answer of this class and confidence is right.
    pub fn right(&self, confidence: f64, class: u32) -> f64 {
        let own = self.by_class.binary_search_by_key(&class, |(c, _)| *c).map_or(0.0, |i| self.by_class[i].1);
        logistic_function(self.slope * log_odds(confidence) + self.offset + own)
    }

    /// What the log odds are divided by, over all classes: above 1 for a classifier that is too sure.
    pub fn temperature(&self) -> f64 {
        1.0 / self.slope
    }
}

/// Expected calibration error: how far confidence and share of right answers lie apart, over equal bins of
/// confidence weighted by their answers; `None` without any.
pub fn calibration_error(answers: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let (mut bins, mut n) = ([(0.0, 0.0); ECE_BINS], 0.0);
    for (confidence, right) in answers {
        let bin = &mut bins[((confidence * ECE_BINS as f64) as usize).min(ECE_BINS - 1)];
        bin.0 += confidence;
        bin.1 += right;
        n += 1.0;
    }
    (n > 0.0).then(|| bins.iter().map(|(confidence, right)| (confidence - right).abs()).sum::<f64>() / n)
}

/// The score above which lies as large a share of the sample as is right (ATC: Garg et al., ICLR 2022,
/// arXiv 2201.04234); elsewhere the share above it estimates the accuracy.
pub fn threshold_of(mut scores: Vec<f64>, accuracy: f64) -> Option<f64> {
    scores.sort_by(f64::total_cmp);
    let below = ((1.0 - accuracy) * scores.len() as f64).round() as usize;
    scores.get(below.min(scores.len().checked_sub(1)?)).copied()
}

fn log_odds(probability: f64) -> f64 {
    /// Closer to 0 or 1 is what single precision cannot tell from it.
    const EDGE: f64 = 1e-6;
    let p = probability.clamp(EDGE, 1.0 - EDGE);
    (p / (1.0 - p)).ln()
}

fn logistic_function(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Slope and offset by Newton's method with halving, on the penalized likelihood.
fn logistic(points: &[(f64, f64)]) -> (f64, f64) {
    let objective = |(a, b): (f64, f64)| {
        let fit: f64 = points.iter().map(|(x, y)| ln_likelihood(a * x + b, *y)).sum();
        fit - 0.5 * PRIOR * ((a - 1.0).powi(2) + b * b)
    };
    let mut at = (1.0, 0.0);
    for _ in 0..STEPS {
        let (mut ga, mut gb) = (-PRIOR * (at.0 - 1.0), -PRIOR * at.1);
        let (mut haa, mut hab, mut hbb) = (PRIOR, 0.0, PRIOR);
        for (x, y) in points {
            let p = logistic_function(at.0 * x + at.1);
            let w = p * (1.0 - p);
            ga += (y - p) * x;
            gb += y - p;
            haa += w * x * x;
            hab += w * x;
            hbb += w;
        }
        let determinant = haa * hbb - hab * hab;
        let (da, db) = ((hbb * ga - hab * gb) / determinant, (haa * gb - hab * ga) / determinant);
        let before = objective(at);
        let mut share = 1.0;
        while objective((at.0 + share * da, at.1 + share * db)) < before && share > 1e-6 {
            share *= 0.5;
        }
        at = (at.0 + share * da, at.1 + share * db);
        if da.abs() + db.abs() < 1e-12 {
            break;
        }
    }
    at
}

/// ln of the likelihood of being right to the share `y` at log odds `x`.
fn ln_likelihood(x: f64, y: f64) -> f64 {
    let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
    y * x - softplus
}

/// A class's own offset by Newton's method.
fn own_offset(points: &[(f64, f64)]) -> f64 {
    let mut offset = 0.0;
    for _ in 0..STEPS {
        let (mut gradient, mut curvature) = (-CLASS_PRIOR * offset, CLASS_PRIOR);
        for (x, y) in points {
            let p = logistic_function(x + offset);
            gradient += y - p;
            curvature += p * (1.0 - p);
        }
        let step: f64 = (gradient / curvature).clamp(-1.0, 1.0);
        offset += step;
        if step.abs() < 1e-12 {
            break;
        }
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    #[test]
    fn the_fit_is_that_of_scipy() {
        let golden = include_str!("../../../tests/golden/performance.csv");
        let mut seen = 0;
        for line in golden.lines().filter(|l| l.starts_with("logistic")) {
            let fields: Vec<&str> = line.split(',').collect();
            let number = |i: usize| fields[i].parse::<f64>().expect("a number");
            let list = |i: usize| fields[i].split('/').map(|v| v.parse::<f64>().expect("a number"));
            let points: Vec<(f64, f64)> = list(1).map(log_odds).zip(list(2)).collect();
            let (slope, offset) = logistic(&points);
            assert!((slope - number(3)).abs() < 1e-6 && (offset - number(4)).abs() < 1e-6, "{slope} {offset}: {line}");
            seen += 1;
        }
        assert_eq!(seen, 3);
    }

    /// A classifier whose log odds are twice what they ought to be.
    fn too_sure(n: usize, seed: u64) -> Vec<Graded> {
        let mut rng = StdRng::seed_from_u64(seed);
        let one = |_| {
            let true_odds: f64 = rng.random_range(-1.0..4.0);
            let right = f64::from(u8::from(rng.random::<f64>() < logistic_function(true_odds)));
            Graded { confidence: logistic_function(2.0 * true_odds), class: 0, right }
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn an_oversure_classifier_is_cooled_and_its_accuracy_found() {
        let learned = Calibration::fit(&too_sure(5_000, 1));
        assert!((1.8..2.2).contains(&learned.temperature()), "{learned:?}");
        let fresh = too_sure(5_000, 2);
        let raw = calibration_error(fresh.iter().map(|g| (g.confidence, g.right))).expect("some");
        let after = calibration_error(fresh.iter().map(|g| (learned.right(g.confidence, 0), g.right))).expect("some");
        assert!(after < 0.02 && raw > 3.0 * after, "{raw} to {after}");
        // Only the hard ones: the estimate follows.
        let hard: Vec<&Graded> = fresh.iter().filter(|g| g.confidence < 0.7).collect();
        let estimate = hard.iter().map(|g| learned.right(g.confidence, 0)).sum::<f64>() / hard.len() as f64;
        let truth = hard.iter().map(|g| g.right).sum::<f64>() / hard.len() as f64;
        assert!((estimate - truth).abs() < 0.03, "{estimate} against {truth}");
    }

    #[test]
    fn a_class_that_is_worse_than_its_confidence_gets_an_offset() {
        let answer = |class, right| Graded { confidence: 0.9, class, right };
        let mut graded: Vec<Graded> = (0..200).map(|i| answer(0, f64::from(u8::from(i % 20 != 0)))).collect();
        graded.extend((0..200).map(|i| answer(1, f64::from(u8::from(i % 2 == 0)))));
        graded.extend((0..5).map(|_| answer(2, 0.0)));
        let learned = Calibration::fit(&graded);
        assert!(learned.right(0.9, 0) > 0.9 && learned.right(0.9, 1) < 0.56, "{learned:?}");
        assert!((0.6..0.8).contains(&learned.right(0.9, 2)), "too rare for an offset: {}", learned.right(0.9, 2));
        assert!(Calibration::fit(&[]).right(0.8, 0) > 0.79, "nothing learned changes nothing");
    }

    #[test]
    fn a_threshold_leaves_as_many_below_it_as_are_wrong() {
        let scores: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
        assert_eq!(threshold_of(scores.clone(), 0.9), Some(0.1));
        assert_eq!((threshold_of(scores, 1.0), threshold_of(Vec::new(), 0.5)), (Some(0.0), None));
    }
}
