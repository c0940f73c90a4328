//! Floor 0: numbers. Pure functions over integers and floats; no clock, no I/O, no domain words.
//!
//! Nothing here knows what a task or a window is. Every function says what it computes, in which
//! units, and where the formula comes from.

/// Equal-mass bins with cells for everything that is not a number.
pub mod binning;
/// Samples that do not depend on order and split.
pub mod bottom_k;
mod bytes;
/// How much more windows vary than independent records would.
pub mod calibration;
/// Two-way tables: margins and mutual information.
pub mod contingency;
/// Moments of one cell's deviance, exact on thin cells.
pub mod deviance;
/// Effect sizes for people; none of them decides anything.
pub mod distance;
/// From p-values to e-values to evidence accumulated over time.
pub mod evidence;
/// Whether the least of many p-values are as small as chance has them, and how to read small ones if not.
pub mod extremes;
/// Fixed-point sums, exact under any order of addition.
pub mod fixed;
/// Tests of current counts and means against a reference that is itself only a sample.
pub mod hypothesis;
/// A tree of equal-mass leaves over principal coordinates.
pub mod leaf_tree;
/// Where the middle of a window lies, and in which direction it moved.
pub mod location;
/// How long what windows have in common lasts.
pub mod memory;
/// Which of many signals are drifting, given their evidence.
pub mod multiplicity;
/// How far a vector lies from the nearest of a sample.
pub mod neighbours;
/// Two models on the same rows.
pub mod paired;
/// How often answers are right: estimated, counted, watched.
pub mod performance;
/// Principal axes of a cloud of vectors.
pub mod principal;
/// Log-scale survival functions that stay finite far into the tails.
pub mod probability;
/// The law of the squared length of a mean, for few records and heavy tails too.
pub mod quadratic;
/// Random Fourier features of points.
pub mod random_features;
/// Which share rose, of many.
pub mod rise;
/// Bounds on a difference that hold at every moment at once.
pub mod wager;
/// A linear map that makes a sample white.
pub mod whitening;
