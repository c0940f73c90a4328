//! What goes into a store and comes out of it where labels are concerned: plain data.

use crate::drift::time::Timestamp;
use crate::drift::window::Slot;

/// What one flush brings for the join of labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    /// Predictions that wait for labels; none twice.
    pub predictions: Vec<KeptRow>,
    /// Labels.
    pub labels: Vec<LabelRow>,
}

/// A prediction that waits for labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRow {
    /// See [`crate::drift::joining::prediction_key`].
    pub key: i64,
    /// When it was made.
    pub predicted: Timestamp,
    /// The window in which it was heard.
    pub heard: Slot,
    /// An encoded [`crate::drift::matured::Kept`].
    pub answers: Vec<u8>,
}

/// A label as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRow {
    /// Name of the model.
    pub model: String,
    /// The reference that its prediction was looked at with.
    pub reference_id: String,
    /// Its prediction's key.
    pub key: i64,
    /// Index of the task.
    pub task: i64,
    /// Of several of one task, the largest counts.
    pub revision: i64,
    /// When it was given.
    pub at: Timestamp,
    /// Whether it takes back what was said before.
    pub retracted: bool,
    /// The window in which it was heard.
    pub heard: Slot,
    /// What it says, encoded.
    pub value: Vec<u8>,
}

/// A label with the id under which it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRow {
    /// Its id.
    pub label_id: String,
    /// The label.
    pub label: LabelRow,
}

/// One task of a prediction with the label that counts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRow {
    /// The prediction's key.
    pub key: i64,
    /// Index of the task.
    pub task: i64,
    /// When the prediction was made.
    pub predicted: Timestamp,
    /// An encoded [`crate::drift::matured::Joined`].
    pub body: Vec<u8>,
}

/// What labels change, in the transaction of the judgement that they belong to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelChanges {
    /// Labels that were joined or given up, to be removed.
    pub settled: Vec<String>,
    /// Labels that are tried again, with the window.
    pub postponed: Vec<(String, Slot)>,
    /// Joined predictions as they are now.
    pub joined: Vec<JoinRow>,
    /// What labels say of windows.
    pub realised: Vec<RealisedRow>,
    /// What windows are estimated to be.
    pub estimates: Vec<EstimateRow>,
    /// What is known of each task.
    pub tasks: Vec<TaskRow>,
}

/// A task in a window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskWindow {
    /// Name of the task.
    pub task: String,
    /// Start of the window.
    pub start: Timestamp,
    /// End of the window, exclusive.
    pub end: Timestamp,
}

/// What a window is estimated to be without labels.
#[derive(Clone, Debug, PartialEq)]
pub struct EstimateRow {
    /// Which.
    pub of: TaskWindow,
    /// Answers that it rests on.
    pub answered: i64,
    /// Estimated accuracy, `None` where nothing tells.
    pub estimate: Option<f64>,
    /// Ends of its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// Estimated macro-F1.
    pub macro_f1: Option<f64>,
    /// What the answers count, as [`crate::drift::performance::Performance::kept_cells`]; empty for nothing.
    pub cells: Vec<u8>,
}

/// What labels say of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct RealisedRow {
    /// Which.
    pub of: TaskWindow,
    /// Labelled predictions.
    pub labelled: i64,
    /// Accuracy.
    pub realised: Option<f64>,
    /// Ends of its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// Macro-F1.
    pub macro_f1: Option<f64>,
    /// What the labelled predictions were estimated to be.
    pub expected: Option<f64>,
    /// Mean time from prediction to label.
    pub delay_us: Option<i64>,
    /// An encoded [`crate::drift::matured::Tally`].
    pub tally: Vec<u8>,
}

/// What is known of a task's performance.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRow {
    /// Name of the task.
    pub task: String,
    /// The head's kind.
    pub kind: String,
    /// Labelled records of the reference.
    pub reference_labelled: i64,
    /// Mean loss on them.
    pub reference_loss: f64,
    /// The mean loss that is tolerated.
    pub tolerated_loss: f64,
    /// Share of predictions that are kept for labels.
    pub sample: f64,
    /// Losses that became known and were bet on, over all time; what is written is added.
    pub labels: i64,
    /// ln of the evidence that it has become worse; `None` for none.
    pub ln_evidence: Option<f64>,
    /// ln of the threshold.
    pub ln_threshold: f64,
    /// Whether labels of the latest windows contradict the estimate, so that it does not count.
    pub muted: bool,
    /// What is told of it beside alerts: JSON of [`crate::drift::standing::TaskNotices`].
    pub notices: String,
}

/// Performance of a task in a window, for readers.
#[derive(Clone, Debug, PartialEq)]
pub struct PerformanceRow {
    /// Estimated.
    pub estimate: EstimateRow,
    /// Realised; `None` without a label.
    pub realised: Option<RealisedRow>,
}
