//! How often answers are right: estimated from confidences, counted against labels, and watched for
//! getting worse. A loss is a number in [0, 1], 0 for right and 1 for wrong.

/// Evidence that losses have become larger than is tolerated.
pub mod betting;
/// From what a classifier says of its certainty to how often it is right.
pub mod confidence;
/// Tables of true against predicted classes, counted or expected.
pub mod confusion;
/// Confidence intervals of shares.
pub mod interval;
/// Evidence that more events happen than are expected.
pub mod rate;
/// How far a mean loss wanders by itself.
pub mod wander;
