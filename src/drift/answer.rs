//! What one head said about one record, resolved against the task's classes.

use serde::{Deserialize, Serialize};

/// A head's confidence in its own answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Confidence {
    /// The record carries none.
    Absent,
    /// The record carries something that cannot be one: NaN, infinite, outside [0, 1], or
    /// probabilities that do not sum to one. Counted in a cell of its own.
    Invalid,
    /// A probability in [0, 1].
    Known(f32),
}

/// How unsure a head is, beyond the probability of its answer; each part absent where the record's
/// scores do not give it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Uncertainty {
    /// Probability of the likeliest class less that of the next, in [0, 1].
    pub margin: Option<f32>,
    /// Shannon entropy of the head's distribution in nats; for several decisions their sum or mean.
    pub entropy: Option<f32>,
    /// Free energy −ln Σ exp(logit), lower for inputs like those of the training.
    pub energy: Option<f32>,
}

/// An answer. Class indices follow the task's classes; one past the last means `other`: a class
/// the manifest does not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// Binary and multiclass heads.
    Class {
        /// The predicted class.
        class: u32,
        /// Probability of the predicted class.
        confidence: Confidence,
        /// How unsure the head is.
        uncertainty: Uncertainty,
    },
    /// Multi-label heads.
    Labels {
        /// The labels given, sorted.
        labels: Vec<u32>,
        /// Probability of the least certain decision among all labels.
        confidence: Confidence,
        /// How unsure the head is.
        uncertainty: Uncertainty,
    },
    /// Token heads.
    Tokens {
        /// One label per token.
        labels: Vec<u32>,
        /// Mean probability of the given labels.
        confidence: Confidence,
        /// How unsure the head is, as the mean over tokens.
        uncertainty: Uncertainty,
    },
    /// Regression heads; may be NaN or infinite, which has a cell of its own.
    Value(f64),
}

impl Answer {
    /// How unsure the head is; nothing where the kind has none.
    pub fn uncertainty(&self) -> Uncertainty {
        match self {
            Answer::Class { uncertainty, .. }
            | Answer::Labels { uncertainty, .. }
            | Answer::Tokens { uncertainty, .. } => *uncertainty,
            Answer::Value(_) => Uncertainty::default(),
        }
    }

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

impl Uncertainty {
    /// Of a full set of probabilities of classes that exclude each other; nothing if they are not that.
    pub fn of_classes(probabilities: &[f32]) -> Uncertainty {
        if !matches!(top_class(probabilities).1, Confidence::Known(_)) || probabilities.len() < 2 {
            return Uncertainty::default();
        }
        let (mut first, mut second, mut entropy) = (0.0_f32, 0.0_f32, 0.0_f32);
        for p in probabilities.iter().map(|p| p.clamp(0.0, 1.0)) {
            if p > first {
                (first, second) = (p, first);
            } else if p > second {
                second = p;
            }
            entropy += plogp(p);
        }
        Uncertainty { margin: Some(first - second), entropy: Some(entropy), energy: None }
    }

    /// Of the probabilities of labels that do not exclude each other: the sum of their entropies.
    pub fn of_labels(probabilities: impl Iterator<Item = f32>) -> Uncertainty {
        let mut entropy = 0.0;
        for p in probabilities {
            let Confidence::Known(p) = probability(p) else { return Uncertainty::default() };
            entropy += plogp(p) + plogp(1.0 - p);
        }
        Uncertainty { margin: None, entropy: Some(entropy), energy: None }
    }

    /// The same with the energy of the logits behind it, at a temperature of one.
    pub fn with_energy(self, logits: &[f32]) -> Uncertainty {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let energy = -(largest + logits.iter().map(|x| (x - largest).exp()).sum::<f32>().ln());
        Uncertainty { energy: energy.is_finite().then_some(energy), ..self }
    }

    /// Means over tokens of what all of them have.
    pub fn mean(tokens: impl Iterator<Item = Uncertainty>) -> Uncertainty {
        let (mut n, mut sums) = (0, [Some(0.0), Some(0.0), Some(0.0)]);
        for token in tokens {
            n += 1;
            for (sum, part) in sums.iter_mut().zip([token.margin, token.entropy, token.energy]) {
                *sum = sum.zip(part).map(|(a, b)| a + b);
            }
        }
        let [margin, entropy, energy] = sums.map(|sum: Option<f32>| sum.filter(|_| n > 0).map(|s| s / n as f32));
        Uncertainty { margin, entropy, energy }
    }
}

/// −p ln p, 0 at 0.
fn plogp(p: f32) -> f32 {
    if p > 0.0 { -p * p.ln() } else { 0.0 }
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
        assert_eq!(top_class(&softmax(&[1.0, 1.0, f32::NAN], 1.0)), (3, Confidence::Invalid));
    }

    #[test]
    fn uncertainty_is_entropy_margin_and_energy() {
        let found = Uncertainty::of_classes(&[0.5, 0.25, 0.25]).with_energy(&[1.0, 1.0]);
        let entropy = 1.5 * std::f32::consts::LN_2;
        assert_eq!(found.margin, Some(0.25));
        assert!((found.entropy.expect("has one") - entropy).abs() < 1e-6);
        assert!((found.energy.expect("has one") + 1.0 + std::f32::consts::LN_2).abs() < 1e-6);
        assert_eq!(Uncertainty::of_classes(&[0.9, 0.9]), Uncertainty::default(), "no distribution");
        let mean = Uncertainty::mean([found, Uncertainty::of_classes(&[1.0, 0.0])].into_iter());
        assert_eq!((mean.margin, mean.energy), (Some(0.625), None), "only what all tokens have");
        assert_eq!(Uncertainty::mean([].into_iter()), Uncertainty::default());
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
