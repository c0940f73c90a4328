//! What references of earlier formats hold of a head's performance.

use serde::Deserialize;

use super::{Estimator, Performance};
use crate::drift::task::TaskKind;

type Fields = (
    usize,
    TaskKind,
    u64,
    f64,
    f64,
    f64,
    Option<(f64, f64)>,
    Option<f64>,
    Estimator,
    Option<(f64, bool)>,
    Vec<(u32, u32, u32)>,
    usize,
    usize,
);

/// Its fields, in their order, before anybody asked how far its error wanders.
#[derive(Deserialize)]
pub struct WithoutWander(Fields);

impl From<WithoutWander> for Performance {
    fn from(WithoutWander(earlier): WithoutWander) -> Performance {
        let (task, kind, labelled, loss, bound, scale, calibration_error, macro_f1, ..) = earlier;
        let (.., estimator, threshold, confusion, classes, offset) = earlier;
        Performance {
            task,
            kind,
            labelled,
            loss,
            bound,
            wander: 0.0,
            scale,
            calibration_error,
            macro_f1,
            estimator,
            threshold,
            confusion,
            classes,
            offset,
        }
    }
}
