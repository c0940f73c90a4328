//! The API over a small world: what it answers beyond rows of the store.

mod caching;
mod contract;
mod events;
mod examples;
mod fuzz;
mod not_judged;
mod people;
mod performance;
mod pictures;
mod world;
