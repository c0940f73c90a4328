//! Faults: the real binary, a real broker and a real Postgres, ended, stopped, cut off and started
//! again in the middle of a stream. However it goes, the ledger adds up and every report, statistic,
//! alert, request and message has the bits of an undisturbed run.
//!
//! `make soak` runs more of them, for longer.

mod processes;
mod run;
mod seeds;
mod services;
mod topics;

#[path = "../support/mod.rs"]
mod support;
