//! driftd watches multi-task NLP models in production: one shared encoder, several task heads. It
//! says whether something drifted, where in the model, how much, and what to retrain.
//!
//! Floors, each of which knows only those above it in this list:

pub mod stats;
pub mod drift;
