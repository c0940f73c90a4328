//! The deliver loop against receivers that misbehave, against a real Alertmanager, and over many seeded runs
//! with faults: at least one delivery for every transition.

#[path = "../support/mod.rs"]
mod support;

mod alertmanager;
mod doors;
mod hostile;
mod people;
mod seeds;
mod strangers;
