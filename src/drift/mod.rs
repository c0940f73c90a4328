//! Floor 1: the domain. Pure functions and types; time is an argument, nothing here does I/O.
//!
//! The way of the data: a `record::Record` and perhaps an `inference::Inference` give an
//! `observation::Observation`; signals fold it into a `summary::Summary` of a
//! `window`; `judgement` compares closed windows with a `reference::Reference` and steps
//! detectors, alerts and retraining requests.

/// Alert states and their transitions, each with its reason.
pub mod alert;
/// Where an alert stands.
mod alert_state;
/// How many texts are re-computed for comparison.
pub mod allowance;
/// Which evidence begins anew after an alarm, and which goes on.
mod anew;
/// What one head said about one record.
pub mod answer;
/// A reference's windows while it is fitted.
mod blocks;
/// How a reference's own windows vary.
mod calibrate;
/// What may be the cause of an alert.
pub mod cause;
/// Positions in the input and what may move them.
pub mod checkpoint;
/// Which windows are closed.
pub mod closing;
/// What two models' answers say of each other.
pub mod compared;
/// The course of one model through its windows: detectors, alerts and requests together.
pub mod course;
/// Evidence per signal and scale, and its weighted tree.
pub mod detector;
/// A signal's cells in one window, reference against current.
pub mod distribution;
/// A picture of the encoder's space.
pub mod encoder_map;
/// Texts that show best what is new.
pub mod examples;
/// How a reference is learned from records.
pub mod fit;
/// The encoder's space as a reference knows it.
mod folds;
/// Whether a new version may take the place of the current one.
pub mod gate;
/// What the gate says.
pub mod gate_report;
pub mod geometry;
/// What was right, and how right an answer is.
pub mod gold;
/// Texts whose answers are known.
pub mod golden;
/// How far the budget is promised.
pub mod guarantee;
/// Whether a head has become worse.
pub mod harm;
/// Harm of single classes.
pub mod harm_by_class;
/// What our own run of the model gave for one text.
pub mod inference;
/// Labels meet their predictions.
pub mod joining;
/// One closed window judged.
pub mod judgement;
/// Predictions as they wait for labels.
pub mod kept;
/// Ground truth, and what waits for it.
pub mod label;
/// Labels as signals of their own.
pub mod labelling;
/// What a stream lacks that its reference has.
pub mod lacking;
/// Where in the model it drifted.
pub mod localization;
/// How wrong answers turned out to be.
pub mod losses;
/// Times at which nobody wants to hear of alerts.
pub mod maintenance;
/// Predictions whose labels came.
pub mod matured;
/// Names that nobody can list beforehand, counted.
pub mod names;
/// What signals see of one record.
pub mod observation;
/// Whether records lie in the order of their answers.
mod order;
/// How often heads are right, as far as a reference knows.
pub mod performance;
/// What came from Kafka, or why it was refused.
pub mod record;
/// Texts without what names or reaches people.
pub mod redaction;
/// What current windows are compared with.
pub mod reference;
/// Records to train on again, so that nothing is forgotten.
pub mod replay;
/// When to ask for retraining, and for which tasks.
pub mod retraining;
/// Windows merged into hours and days.
pub mod rollup;
/// Who is told of an alert.
pub mod routing;
/// Whether named classes follow from their scores.
pub mod score_order;
/// Phases of the day and of the week.
pub mod season;
/// Values of a tag, watched on their own.
pub mod segment;
/// How urgent an alert is.
pub mod severity;
/// The same question asked of live inputs, for as long as one likes.
pub mod shadow;
/// What is measured: one small file a signal.
pub mod signal;
/// What production answered beside the exported model's own answer.
pub mod skew;
/// The encoder's space while a reference is fitted.
mod space;
/// How widely the records of a phase lie around their mean.
pub mod spread;
/// Notices that stand for as long as they last.
pub mod standing;
/// Integer tallies of one window, exact under merging.
pub mod summary;
/// How small p-values are read, as a reference's own windows have it.
mod tails;
/// Tasks of a multi-task model and what their heads can answer.
pub mod task;
/// Facts about a text that need no tokenizer.
pub mod text;
/// Moments and lengths of event time.
pub mod time;
/// What statistics did over a reference's windows.
mod tracks;
/// One model's answers as another's.
pub mod translation;
/// How the signals' evidence becomes one number.
pub mod tree;
/// Values that have no cell of their own, by name.
pub mod unlisted;
/// Records that name another version of the model.
pub mod versions;
/// What the maker of a reference should know.
mod warnings;
/// Event-time progress of a partition, robust against wild timestamps.
pub mod watermark;
/// Half-open spans of event time.
pub mod window;
/// What a cause rests on and what it explains.
pub mod witness;
/// Words of a text, where no tokenizer is at hand.
pub mod words;
