//! What one head said about one record, resolved against the task's classes.

/// A head's confidence in its own answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Confidence {
    /// The record carries none.
    Absent,
    /// The record carries something that cannot be one: NaN, infinite, outside [0, 1], or
    /// probabilities that do not sum to one. Counted in a cell of its own.
    Invalid,
    /// A probability in [0, 1].
    Known(f32),
}

/// An answer. Class indices follow the task's classes; one past the last means `other`: a class
/// the manifest does not know.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Binary and multiclass heads.
    Class {
        /// The predicted class.
        class: u32,
        /// Probability of the predicted class.
        confidence: Confidence,
    },
    /// Multi-label heads.
    Labels {
        /// The labels given, sorted.
        labels: Vec<u32>,
        /// Probability of the least certain decision among all labels.
        confidence: Confidence,
    },
    /// Token heads.
    Tokens {
        /// One label per token.
        labels: Vec<u32>,
        /// Mean probability of the given labels.
        confidence: Confidence,
    },
    /// Regression heads; may be NaN or infinite, which has a cell of its own.
    Value(f64),
}

impl Answer {
    /// The head's confidence, `Absent` where the kind has none.
    pub fn confidence(&self) -> Confidence {
        match self {
            Answer::Class { confidence, .. }
            | Answer::Labels { confidence, .. }
            | Answer::Tokens { confidence, .. } => *confidence,
            Answer::Value(_) => Confidence::Absent,
        }
    }
}

/// How far a full set of probabilities may sum from one: room for half precision and rounding to
/// two digits, not for a forgotten softmax.
pub const SUM_TOLERANCE: f32 = 0.02;

/// Checks one probability; tiny excursions from rounding are clipped.
pub fn probability(value: f32) -> Confidence {
    const ROUNDING: f32 = 1e-3;
    if value.is_finite() && (-ROUNDING..=1.0 + ROUNDING).contains(&value) {
        Confidence::Known(value.clamp(0.0, 1.0))
    } else {
        Confidence::Invalid
    }
}

/// Softmax of logits divided by a temperature.
pub fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|x| ((x - largest) / temperature).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// The likeliest class of logits with its softmax probability, without making the others: what a
/// token head needs for each of its tokens. As [`top_class`] of [`softmax`].
pub fn top_class_of_logits(logits: &[f32], temperature: f32) -> (u32, Confidence) {
    let best = logits.iter().enumerate().max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i)));
    let Some((class, largest)) = best else { return (0, Confidence::Absent) };
    let sum: f32 = logits.iter().map(|x| ((x - largest) / temperature).exp()).sum();
    if logits.iter().all(|x| x.is_finite()) && sum.is_finite() {
        (class as u32, probability(1.0 / sum))
    } else {
        (logits.len() as u32, Confidence::Invalid)
    }
}

/// Logistic function of logits divided by a temperature.
pub fn sigmoid(logits: &[f32], temperature: f32) -> Vec<f32> {
    logits.iter().map(|x| 1.0 / (1.0 + (-x / temperature).exp())).collect()
}

/// The likeliest class of a full set of probabilities, the first of equals; `other` and `Invalid`
/// if any is not a number or they do not sum to one.
pub fn top_class(probabilities: &[f32]) -> (u32, Confidence) {
    let best = probabilities.iter().enumerate().max_by(|(i, a), (j, b)| a.total_cmp(b).then(j.cmp(i)));
    let Some((class, p)) = best else { return (0, Confidence::Absent) };
    if probabilities.iter().any(|p| !p.is_finite()) {
        return (probabilities.len() as u32, Confidence::Invalid);
    }
    let sums_to_one = (probabilities.iter().sum::<f32>() - 1.0).abs() <= SUM_TOLERANCE;
    (class as u32, if sums_to_one { probability(*p) } else { Confidence::Invalid })
}

/// Probability of the least certain of many yes–no decisions.
pub fn least_certain(probabilities: impl Iterator<Item = f32>) -> Confidence {
    let mut least = None;
    for p in probabilities {
        let Confidence::Known(p) = probability(p) else { return Confidence::Invalid };
        least = Some(p.max(1.0 - p).min(least.unwrap_or(1.0)));
    }
    least.map_or(Confidence::Absent, Confidence::Known)
}

/// Mean of per-token probabilities; `Absent` without tokens.
pub fn mean_confidence(probabilities: impl Iterator<Item = Confidence>) -> Confidence {
    let (mut sum, mut n) = (0.0, 0);
    for confidence in probabilities {
        match confidence {
            Confidence::Known(p) => sum += p,
            Confidence::Absent | Confidence::Invalid => return Confidence::Invalid,
        }
        n += 1;
    }
    if n == 0 { Confidence::Absent } else { Confidence::Known(sum / n as f32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_checked() {
        assert_eq!(probability(1.0004), Confidence::Known(1.0));
        for wrong in [f32::NAN, f32::INFINITY, -0.5, 1.5] {
            assert_eq!(probability(wrong), Confidence::Invalid);
        }
    }

    #[test]
    fn temperature_softens_a_softmax() {
        // softmax([2, 0] / 2) = [e/(e+1), 1/(e+1)]
        let found = softmax(&[2.0, 0.0], 2.0);
        assert!((found[0] - 0.731_058_6).abs() < 1e-6, "{found:?}");
        assert_eq!(top_class_of_logits(&[2.0, 0.0], 2.0), top_class(&found));
        assert_eq!(top_class_of_logits(&[1.0, 1.0, f32::NAN], 1.0), (3, Confidence::Invalid));
        assert_eq!(top_class_of_logits(&[], 1.0), (0, Confidence::Absent));
    }

    #[test]
    fn a_class_needs_probabilities_that_sum_to_one() {
        assert_eq!(top_class(&[0.25, 0.75]), (1, Confidence::Known(0.75)));
        assert_eq!(top_class(&[0.5, 0.5]), (0, Confidence::Known(0.5)), "the first of equals");
        assert_eq!(top_class(&[0.9, 0.9]), (0, Confidence::Invalid));
        assert_eq!(top_class(&[f32::NAN, 0.5]), (2, Confidence::Invalid));
        assert_eq!(least_certain([0.9, 0.4].into_iter()), Confidence::Known(0.6));
    }
}
