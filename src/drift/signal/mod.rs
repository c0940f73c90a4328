//! What is measured. A signal is one small file: what it learns from a reference sample, how it
//! folds an observation into integer cells, and what the cells are called. Most signals count, and
//! inherit the test of counts; ordered bins and sums bring their own.
//!
//! To add one: write the file, and add its line to `signals!` below.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

pub use effect::Effect;
use effect::deviation;
pub use sample::{FOLDS, HeldOut, Sample};

use super::observation::Observation;
use super::segment::Segment;
use super::task::TaskSpec;
use crate::stats::distance::effects;
use crate::stats::hypothesis::{Allowance, TestResult, goodness_of_fit};
use crate::stats::location::Location;

/// Which values or labels a head without classes gives for one kind of embedding.
pub mod answer_given_leaf;
/// Answers that production gives and the exported model does not.
pub mod answer_skew;
/// Attributes of the request that the manifest names.
pub mod attribute;
/// Categories by name.
mod categories;
/// Length of the input in characters.
pub mod character_count;
/// Which classes a head gives for one kind of embedding.
pub mod class_given_leaf;
/// How sure a head is.
pub mod confidence;
/// How far current is from reference.
mod effect;
/// How far out records lie in the encoder's space.
pub mod encoder_distance;
/// Which region of the encoder's space records fall into.
pub mod encoder_leaf;
/// Mean place in the encoder's space.
pub mod encoder_mean;
/// Distance from the nearest record of the reference.
pub mod encoder_nearest_neighbour;
/// Mean of what the principal axes do not explain.
pub mod encoder_residual_mean;
/// The distribution in the encoder's space, given a head's answer.
pub mod features_given_class;
/// What the signals that condition on a head's answer share.
mod given_class;
/// How many labels a multi-label head gives.
pub mod label_count;
/// Mean place in the encoder's space, given a head's answer.
pub mod mean_given_class;
/// How far production's numbers are from the exported model's.
pub mod number_skew;
/// What a head answers.
pub mod predicted_class;
/// What a regression head answers.
pub mod predicted_value;
/// Equal texts.
pub mod repetition;
/// One kind that comes up more often than it did.
pub mod rising;
/// What signals are fitted to.
mod sample;
/// Writing systems, and texts without any.
pub mod script;
/// Shares of the segments.
pub mod segment_mix;
/// Spans that a token head marks.
pub mod span_count;
/// How two heads' answers go together.
pub mod task_link;
/// Length of the input in tokens.
pub mod token_count;
/// Which tokens the input is made of.
pub mod token_distribution;
/// Labels of a token head by record.
pub mod token_labels;
/// How rare the tokens of the input are.
pub mod token_surprisal;
/// Into how many tokens the tokenizer cuts a text of some length.
pub mod tokens_per_character;
/// Inputs longer than the model takes.
pub mod truncation;
/// How unsure a head is, given its answer.
pub mod uncertainty_given_class;
/// How unsure a head is on average, given its answer.
pub mod uncertainty_mean;
/// Share of unknown tokens in the input.
pub mod unknown_rate;
/// How a head answers for one kind of embedding.
pub mod within_leaves;

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
    /// How two heads' answers go together.
    Link,
    /// What production answers and the exported model does not.
    Skew,
    /// One segment of the traffic, over all of its signals.
    Segment,
}

impl Scope {
    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            Scope::Input => "input",
            Scope::Encoder => "encoder",
            Scope::Head => "head",
            Scope::Link => "link",
            Scope::Skew => "skew",
            Scope::Segment => "segment",
        }
    }
}

/// Which signal, of which task: unique within a reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SignalKey {
    /// Part of the model.
    pub scope: Scope,
    /// Index of the task, for heads; of the first for links.
    pub task: Option<usize>,
    /// Name of the signal.
    pub signal: String,
    /// The segment it is confined to; `None` for all records.
    pub segment: Option<Segment>,
}

impl SignalKey {
    /// Whether it is the same signal, of whichever records.
    pub fn is_alike(&self, other: &SignalKey) -> bool {
        (self.scope, self.task, &self.signal) == (other.scope, other.task, &other.signal)
    }
}

/// A fitted signal.
pub trait Signal {
    /// Number of cells it folds into.
    fn width(&self) -> usize;

    /// The signal whose cells it looks at, where it has none of its own.
    fn looks_at(&self) -> Option<&SignalKey> {
        None
    }

    /// Adds one observation to `cells`, [`Signal::width`] of them; nothing if it lacks what the signal looks at.
    fn fold(&self, observation: &Observation, cells: &mut [i64]);

    /// As [`Signal::fold`] for a record of the sample that it was fitted to:
    /// signals that compare with means they learned use those learned without the fold.
    fn fold_held_out(&self, observation: &Observation, _held: HeldOut, cells: &mut [i64]) {
        self.fold(observation, cells);
    }

    /// Adds many observations: one dynamic call for all of them.
    fn fold_all(&self, observations: &[&Observation], cells: &mut [i64]) {
        observations.iter().for_each(|observation| self.fold(observation, cells));
    }

    /// What a cell is called; `task` is the signal's own, for heads.
    fn cell_name(&self, cell: usize, task: Option<&TaskSpec>) -> String;

    /// How many units the cells count (records, labels or tokens).
    fn n(&self, cells: &[i64]) -> i64 {
        cells.iter().sum()
    }

    /// Tests current cells against the reference's, which may be fractional; `None` for nothing to test.
    fn test(&self, current: &[i64], reference: &[f64], allowance: Allowance) -> Option<TestResult> {
        goodness_of_fit(current, &self.expected(current, reference), allowance)
    }

    /// Share of the evidence that is staked on each window's test.
    fn stake(&self) -> f64 {
        1.0
    }

    /// The statistic by which windows of the reference are compared with the whole, without any allowance.
    fn compare(&self, current: &[i64], reference: &[f64]) -> Option<TestResult> {
        self.test(current, reference, Allowance::EXACT)
    }

    /// Takes by how many times each cell's counts vary more than binomial ones between the reference's windows.
    fn learn_extra_variance(&mut self, _by_cell: Vec<f32>) {}

    /// How far the mean of its records lies from the reference's, in the coordinates that are tested; `None` for
    /// signals that count.
    fn shift(&self, _current: &[i64], _reference: &[f64]) -> Option<Vec<f64>> {
        None
    }

    /// Whether its cells are kinds, of which one may come up more often than it did.
    fn counts_kinds(&self) -> bool {
        false
    }

    /// Whether it is tested for its fit, and for its location.
    fn tests(&self) -> (bool, bool) {
        (true, false)
    }

    /// How far the middle has moved, for signals that have one; tested beside [`Signal::test`].
    fn location(&self, _current: &[i64], _reference: &[f64]) -> Option<Location> {
        None
    }

    /// Effect size; `None` if either side is empty.
    fn effect(&self, current: &[i64], reference: &[f64]) -> Option<Effect> {
        effects(current, &self.expected(current, reference)).map(|e| Effect::Counts {
            psi: e.psi,
            jensen_shannon: e.jensen_shannon,
            hellinger: e.hellinger,
        })
    }

    /// How a window's fit deviates from the reference, in units of its sampling noise, as far as windows can
    /// be compared with each other by it; empty for nothing to compare.
    fn deviation(&self, current: &[i64], reference: &[f64]) -> Vec<f64> {
        deviation(current, &self.expected(current, reference))
    }

    /// How far a mean moved in each direction, by cell, in standard errors; empty where none has a name.
    fn directions(&self, _current: &[i64], _reference: &[f64]) -> Vec<(usize, f64)> {
        Vec::new()
    }

    /// The reference's cells as the window's are compared with them.
    fn expected<'a>(&self, _current: &[i64], reference: &'a [f64]) -> Cow<'a, [f64]> {
        Cow::Borrowed(reference)
    }

    /// Whether it may raise an alarm; the others are told and weigh nothing.
    fn decides(&self) -> bool {
        true
    }

    /// Whether cells are counts, whose shares can be shown as movers.
    fn counts(&self) -> bool {
        true
    }

    /// Whether a cell's name may be told with so many counts in it: what few records say may be private.
    fn may_name(&self, _cell: usize, _current_count: i64) -> bool {
        true
    }

    /// The cell of values that have none of their own, where such values have names.
    fn open_cell(&self) -> Option<usize> {
        None
    }

    /// Tells the names of an observation's values in that cell.
    fn name_unlisted(&self, _observation: &Observation, _found: &mut dyn FnMut(&str)) {}

    /// Words of a text that fall into a cell which has no name, since nobody can list what may come; none where cells
    /// have names.
    fn words_in(&self, _cell: usize, _text: &str) -> Vec<String> {
        Vec::new()
    }

    /// Whether the signal is also watched in each segment: those that say most for little.
    fn per_segment(&self) -> bool {
        false
    }

    /// The signal with what it learned of variation learned anew within a segment; `None` if that is the
    /// same everywhere, as for counts, or the segment holds too little to learn from.
    fn in_segment(&self, _sample: &Sample, _segment: Segment) -> Option<Measure> {
        None
    }
}

/// Where the principal axes leave less of the variance than this, what they leave is rounding.
const LEAST_UNEXPLAINED: f64 = 1e-4;

/// Of fewer kinds than this the test of all sees one that rises as well as a test of each (docs/decisions/0035).
const MANY_KINDS: usize = 10;

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

            pub(super) fn as_signal_mut(&mut self) -> &mut dyn Signal {
                match self { $(Measure::$kind(signal) => signal,)+ }
            }
        }

        /// All signals that the sample has data for.
        pub fn fit_all(sample: &Sample) -> Vec<(SignalKey, Measure)> {
            let mut found = Vec::new();
            $(found.extend($file::$kind::fit(sample).into_iter().map(|(key, signal)| (key, Measure::$kind(signal))));)+
            let rising = rising::beside(&found);
            found.extend(rising);
            found.sort_by(|(a, _), (b, _)| a.cmp(b));
            found
        }
    };
}

signals! {
    /// Input length in tokens or words.
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
    /// Input length in characters.
    CharacterCount in character_count;
    /// Truncated inputs.
    Truncation in truncation;
    /// Writing systems.
    ScriptClass in script;
    /// Equal texts.
    Repetition in repetition;
    /// Tokens.
    TokenDistribution in token_distribution;
    /// Attributes of the request.
    Attribute in attribute;
    /// Shares of the segments.
    SegmentMix in segment_mix;
    /// Encoder distance.
    EncoderDistance in encoder_distance;
    /// Encoder mean given the answer.
    MeanGivenClass in mean_given_class;
    /// Encoder distribution given the answer.
    FeaturesGivenClass in features_given_class;
    /// Uncertainty given the answer.
    UncertaintyGivenClass in uncertainty_given_class;
    /// Mean uncertainty given the answer.
    UncertaintyMean in uncertainty_mean;
    /// Labels a record.
    LabelCount in label_count;
    /// Token labels by record.
    TokenLabels in token_labels;
    /// Spans a record.
    SpanCount in span_count;
    /// Mean of what the axes leave.
    EncoderResidualMean in encoder_residual_mean;
    /// Links between tasks.
    TaskLink in task_link;
    /// Answers served otherwise.
    ServedAnswer in answer_skew;
    /// Numbers served otherwise.
    ServedNumbers in number_skew;
    /// Classes within leaves.
    ClassGivenLeaf in class_given_leaf;
    /// One kind of another signal's.
    Rising in rising;
    /// Values or token labels within leaves.
    AnswerGivenLeaf in answer_given_leaf;
    /// Tokens a character.
    TokensPerCharacter in tokens_per_character;
    /// How rare tokens are.
    TokenSurprisal in token_surprisal;
    /// Distance from the nearest record of the reference.
    EncoderNearestNeighbour in encoder_nearest_neighbour;
}

fn key(scope: Scope, task: Option<usize>, signal: &str) -> SignalKey {
    SignalKey { scope, task, signal: signal.to_owned(), segment: None }
}
