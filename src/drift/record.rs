//! What came from Kafka or a file: a record, or the reason it was refused.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::label::Label;
use super::score_order::ScoreOrder;
use super::time::Timestamp;

/// One decoded record: an input, a prediction, labels, or several of these together.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Production's id of the prediction, if it gave one.
    pub id: Option<String>,
    /// Index of the model in the decoder's list.
    pub model: usize,
    /// Whether the record speaks of the version that is watched.
    pub version: VersionMatch,
    /// When it happened.
    pub time: Timestamp,
    /// What the model was asked.
    pub text: Option<InputText>,
    /// Embedding that production logged.
    pub embedding: Option<Vec<f32>>,
    /// Production's answers by task index; empty if the record carries none.
    pub answers: Vec<Option<Answer>>,
    /// Labels that the record brings.
    pub labels: Vec<Label>,
    /// Answers of tasks that the manifest does not know: counted, not folded.
    pub unknown_tasks: u32,
    /// The same of labels.
    pub unknown_label_tasks: u32,
    /// Classes that answers name and the manifest does not: task and name, a few of them.
    pub unknown_classes: Vec<(usize, Box<str>)>,
    /// The same of classes that labels name.
    pub unknown_labels: Vec<(usize, Box<str>)>,
    /// Whether the answers' classes follow from their scores.
    pub score_order: ScoreOrder,
    /// What production says about the traffic: channel, locale and the like.
    pub tags: Vec<(String, String)>,
    /// Attributes in the order of the model's; empty if it has none.
    pub attributes: Vec<Option<AttributeValue>>,
}

/// The value of one attribute of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AttributeValue {
    /// A number; may be anything a JSON number can be.
    Number(f64),
    /// One of some categories.
    Category(String),
}

/// The text a model was asked about, with its second part where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputText {
    /// The text.
    pub text: String,
    /// The second text of a pair.
    pub pair: Option<String>,
}

/// Whether a record belongs to the watched version of its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionMatch {
    /// The same version, or the record names none.
    Same,
    /// Another version, of this name ([`super::names::name`]): counted, not folded.
    Other(Box<str>),
}

/// Why a record was not taken in. It is counted, dead-lettered, and its position advances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The bounded reason, used as a metric label.
    pub reason: RejectReason,
    /// What exactly was wrong, without any text of the record.
    pub detail: String,
}

/// Reasons for refusing a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// Larger than the configured limit.
    TooLarge,
    /// The payload is empty (a tombstone).
    Empty,
    /// Not valid UTF-8.
    InvalidUtf8,
    /// Not valid JSON, or nested too deeply.
    InvalidJson,
    /// JSON of another shape than the format's.
    InvalidShape,
    /// A model that no manifest names.
    UnknownModel,
    /// A task that the model does not have.
    UnknownTask,
    /// An answer of another kind than the task's, or scores of the wrong length.
    WrongKind,
    /// Neither the record nor Kafka carries a usable time.
    NoTime,
    /// Further in the future than the tolerated clock skew.
    FutureTime,
    /// Neither text, embedding, answers nor labels.
    NothingInIt,
}

impl RejectReason {
    /// All reasons, for counters that start at zero.
    pub const ALL: [RejectReason; 11] = [
        RejectReason::TooLarge,
        RejectReason::Empty,
        RejectReason::InvalidUtf8,
        RejectReason::InvalidJson,
        RejectReason::InvalidShape,
        RejectReason::UnknownModel,
        RejectReason::UnknownTask,
        RejectReason::WrongKind,
        RejectReason::NoTime,
        RejectReason::FutureTime,
        RejectReason::NothingInIt,
    ];

    /// The name used in metrics and headers.
    pub fn name(self) -> &'static str {
        match self {
            RejectReason::TooLarge => "too_large",
            RejectReason::Empty => "empty",
            RejectReason::InvalidUtf8 => "invalid_utf8",
            RejectReason::InvalidJson => "invalid_json",
            RejectReason::InvalidShape => "invalid_shape",
            RejectReason::UnknownModel => "unknown_model",
            RejectReason::UnknownTask => "unknown_task",
            RejectReason::WrongKind => "wrong_kind",
            RejectReason::NoTime => "no_time",
            RejectReason::FutureTime => "future_time",
            RejectReason::NothingInIt => "nothing_in_it",
        }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.name(), self.detail)
    }
}

impl Rejected {
    /// A refusal with its detail.
    pub fn new(reason: RejectReason, detail: impl Into<String>) -> Rejected {
        Rejected { reason, detail: detail.into() }
    }
}
