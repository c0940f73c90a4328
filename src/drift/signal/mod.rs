//! What is measured. A signal is one small file: what it learns from a reference sample, how it
//! folds an observation into integer cells, and what the cells are called. Most signals count, and
//! inherit the test of counts; a signal of sums brings its own.
//!
//! To add one: write the file, and add its line to `signals!` below.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::observation::Observation;
use super::task::{ModelSpec, TaskSpec};
use crate::stats::distance::effects;
use crate::stats::hypothesis::{Allowance, TestResult, goodness_of_fit};
use crate::stats::principal::Principal;

/// How sure a head is.
pub mod confidence;
/// Which region of the encoder's space records fall into.
pub mod encoder_leaf;
/// Mean place in the encoder's space.
pub mod encoder_mean;
/// What a head answers.
pub mod predicted_class;
/// What a regression head answers.
pub mod predicted_value;
/// Length of the input in tokens.
pub mod token_count;
/// Share of unknown tokens in the input.
pub mod unknown_rate;

/// The part of the model a signal belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// What the model is asked.
    Input,
    /// What the encoder makes of it.
    Encoder,
    /// What one head answers.
    Head,
}

impl Scope {
    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Input => "input",
            Scope::Encoder => "encoder",
            Scope::Head => "head",
        }
    }
}

/// Which signal, of which task: unique within a reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignalKey {
    /// Part of the model.
    pub scope: Scope,
    /// Index of the task, for heads.
    pub task: Option<usize>,
    /// Name of the signal.
    pub signal: String,
}

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
}

impl Effect {
    /// Each measure by the name that people know it by.
    pub fn measures(self) -> BTreeMap<&'static str, f64> {
        match self {
            Effect::Counts { psi, jensen_shannon, hellinger } => {
                BTreeMap::from([("psi", psi), ("jensen_shannon", jensen_shannon), ("hellinger", hellinger)])
            }
            Effect::Mahalanobis(distance) => BTreeMap::from([("mahalanobis", distance)]),
        }
    }
}

/// A fitted signal.
pub trait Signal {
    /// Number of cells it folds into.
    fn width(&self) -> usize;

    /// Adds one observation to `cells` (length [`Signal::width`]); nothing if the observation
    /// lacks what the signal looks at.
    fn fold(&self, observation: &Observation, cells: &mut [i64]);

    /// What a cell is called; `task` is the signal's own, for heads.
    fn cell_name(&self, cell: usize, task: Option<&TaskSpec>) -> String;

    /// How many units the cells count (records, labels or tokens).
    fn n(&self, cells: &[i64]) -> i64 {
        cells.iter().sum()
    }

    /// Tests current cells against the reference's; `None` if there is nothing to test.
    fn test(&self, current: &[i64], reference: &[i64], allowance: Allowance) -> Option<TestResult> {
        goodness_of_fit(current, reference, allowance)
    }

    /// Effect size; `None` if either side is empty.
    fn effect(&self, current: &[i64], reference: &[i64]) -> Option<Effect> {
        effects(current, reference).map(|e| Effect::Counts {
            psi: e.psi,
            jensen_shannon: e.jensen_shannon,
            hellinger: e.hellinger,
        })
    }

    /// Whether cells are counts, whose shares can be shown as movers.
    fn counts(&self) -> bool {
        true
    }
}

/// What signals are fitted to: the reference's observations and the encoder's geometry.
pub struct Sample<'a> {
    /// The model.
    pub spec: &'a ModelSpec,
    /// All observations of the reference.
    pub observations: &'a [Observation],
    /// Principal axes, if there are embeddings.
    pub geometry: Option<&'a Principal>,
}

/// A signal type that can be learned from a sample.
trait Fit: Sized {
    /// All instances for this model, each with its place; none where the sample lacks the data.
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)>;
}

macro_rules! signals {
    ($($(#[$doc:meta])* $kind:ident in $file:ident;)+) => {
        /// Any fitted signal, in a form that can be stored. New kinds go last: the order is the format.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub enum Measure {
            $($(#[$doc])* $kind($file::$kind),)+
        }

        impl Measure {
            /// The signal behind the variant.
            pub fn as_signal(&self) -> &dyn Signal {
                match self { $(Measure::$kind(signal) => signal,)+ }
            }
        }

        /// All signals that the sample has data for.
        pub fn fit_all(sample: &Sample) -> Vec<(SignalKey, Measure)> {
            let mut found = Vec::new();
            $(found.extend($file::$kind::fit(sample).into_iter().map(|(key, signal)| (key, Measure::$kind(signal))));)+
            found.sort_by(|(a, _), (b, _)| a.cmp(b));
            found
        }
    };
}

signals! {
    /// Input length.
    TokenCount in token_count;
    /// Unknown tokens.
    UnknownRate in unknown_rate;
    /// Encoder mean.
    EncoderMean in encoder_mean;
    /// Encoder leaves.
    EncoderLeaf in encoder_leaf;
    /// Predicted class.
    PredictedClass in predicted_class;
    /// Predicted value.
    PredictedValue in predicted_value;
    /// Confidence.
    HeadConfidence in confidence;
}

fn key(scope: Scope, task: Option<usize>, signal: &str) -> SignalKey {
    SignalKey { scope, task, signal: signal.to_owned() }
}
