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
            Answer::Class { confidence, .. } | Answer::Labels { confidence, .. } | Answer::Tokens { confidence, .. } => {
                *confidence
            }
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
}
