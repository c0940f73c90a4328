//! Effect sizes: what they are called, and what they are measured in. They are shown; none decides. And how counts
//! deviate, by which windows are compared with each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How far current is from reference, in the measures that fit the signal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Two vectors of counts.
    Counts {
        /// Population stability index.
        psi: f64,
        /// Jensen–Shannon divergence, base 2.
        jensen_shannon: f64,
        /// Hellinger distance.
        hellinger: f64,
    },
    /// Means of whitened coordinates: their Euclidean length, in standard deviations.
    Mahalanobis(f64),
    /// Difference of two means in standard deviations of one record, with its sign (Cohen's d).
    StandardizedMean(f64),
    /// Maximum mean discrepancy of two distributions, the square root of the squared one.
    MeanDiscrepancy(f64),
    /// Mutual information in nats, less what the reference has at the same margins.
    MutualInformation(f64),
    /// Pairs of equal items, as a multiple of what the reference has.
    PairRatio(f64),
    /// How far one share rose, in points of 1.
    Rise(f64),
}

impl Effect {
    /// Each measure by the name that people know it by.
    pub fn measures(self) -> BTreeMap<&'static str, f64> {
        match self {
            Effect::Counts { psi, jensen_shannon, hellinger } => {
                BTreeMap::from([("psi", psi), ("jensen_shannon", jensen_shannon), ("hellinger", hellinger)])
            }
            Effect::Mahalanobis(distance) => BTreeMap::from([("mahalanobis", distance)]),
            Effect::StandardizedMean(shift) => BTreeMap::from([("standardized_mean", shift)]),
            Effect::MeanDiscrepancy(distance) => BTreeMap::from([("mean_discrepancy", distance)]),
            Effect::MutualInformation(change) => BTreeMap::from([("mutual_information_change", change)]),
            Effect::PairRatio(ratio) => BTreeMap::from([("pair_ratio", ratio)]),
            Effect::Rise(by) => BTreeMap::from([("rise", by)]),
        }
    }
}

/// Deviation of counts from their expectation in units of its sampling noise.
pub(super) fn deviation(current: &[i64], reference: &[f64]) -> Vec<f64> {
    let (n, total) = (current.iter().sum::<i64>() as f64, reference.iter().sum::<f64>());
    if n <= 0.0 || total <= 0.0 {
        return Vec::new();
    }
    let deviation = |(c, r): (&i64, &f64)| {
        let expected = r / total * n;
        if expected > 0.0 { (*c as f64 - expected) / expected.max(0.5).sqrt() } else { 0.0 }
    };
    current.iter().zip(reference).map(deviation).collect()
}
