//! driftd watches multi-task NLP models in production: one shared encoder, several task heads. It
//! says whether something drifted, where in the model, how much, and what to retrain.
//!
//! Modules stand in the order of the floors; each knows only those above it. `tests/architecture.rs`
//! holds that.

// Floor 0 and 1: numbers and the domain.
pub mod stats;
pub mod drift;

// Tools of the house.
pub mod clock;
pub mod document;
pub mod metrics;
pub mod signature;
pub mod retry;
pub mod telemetry;
pub mod config;

// Floor 2: doors.
pub mod source;
pub mod model;
pub mod hook;
pub mod store;

// Floor 3: loops.
pub mod collect;
pub mod judge;
pub mod deliver;
pub mod api;
pub mod simulate;

// The composition root and the command line.
pub mod app;
pub mod cli;
