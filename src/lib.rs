//! driftd watches multi-task NLP models in production: one shared encoder, several task heads. It
//! says whether something drifted, where in the model, how much, and what to retrain.
//!
//! Modules stand in the order of the floors; each knows only those above it. `tests/architecture.rs`
//! holds that.

// Floor 0 and 1: numbers and the domain.
pub mod drift;
pub mod stats;

// Tools of the house.
pub mod access;
pub mod clock;
pub mod config;
pub mod document;
pub mod fault;
pub mod health;
pub mod metrics;
pub mod retry;
pub mod signature;
pub mod telemetry;
pub mod traces;

// Floor 2: doors.
pub mod hook;
pub mod model;
pub mod source;
pub mod store;

// What people do about alerts, for the API and the command line.
pub mod desk;

// Floor 3: loops.
pub mod api;
pub mod collect;
pub mod deliver;
pub mod judge;
pub mod maintain;
pub mod registry;
pub mod retrain;
pub mod simulate;

// The composition root and the command line.
pub mod app;
pub mod cli;
