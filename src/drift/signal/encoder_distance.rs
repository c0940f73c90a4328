//! How far out records lie in the encoder's space: their distance from the reference's mean within
//! the principal subspace, and from that subspace, each in equal-mass bins. What the encoder has never
//! seen often lies where no axis points.

use serde::{Deserialize, Serialize};

use super::{Fit, LEAST_UNEXPLAINED, Sample, Scope, Signal, SignalKey, key};
use crate::drift::geometry::{Located, Place};
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::location::{Location, ordered_location};

/// Counts of records by one of the two distances; unusable embeddings are in the last cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderDistance {
    which: Which,
    bins: Bins,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Which {
    Within,
    From,
}

impl Which {
    fn of(self, located: &Located) -> f64 {
        f64::from(match self {
            Which::Within => located.distance,
            Which::From => located.residual,
        })
    }
}

impl Fit for EncoderDistance {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let fit = |(which, name): (Which, &str)| {
            let explained = sample.geometry?.principal.explained();
            if which == Which::From && explained > 1.0 - LEAST_UNEXPLAINED {
                return None;
            }
            let located = sample.observations.iter().filter_map(|o| o.place.located());
            let distances: Vec<f64> = located.map(|l| which.of(l)).collect();
            let bins = Bins::between(&distances, &TAIL_QUANTILES);
            (!distances.is_empty()).then(|| (key(Scope::Encoder, None, name), EncoderDistance { which, bins }))
        };
        [(Which::Within, "encoder_distance"), (Which::From, "encoder_residual")].into_iter().filter_map(fit).collect()
    }
}

impl Signal for EncoderDistance {
    fn width(&self) -> usize {
        self.bins.cells()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        match &observation.place {
            Place::Absent => {}
            Place::Invalid => cells[self.bins.cell(f64::NAN)] += 1,
            Place::At(located) => cells[self.bins.cell(self.which.of(located))] += 1,
        }
    }

    fn tests(&self) -> (bool, bool) {
        (true, true)
    }

    fn location(&self, current: &[i64], reference: &[f64]) -> Option<Location> {
        let ordered = self.bins.ordered();
        ordered_location(&current[..ordered], &reference[..ordered])
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        self.bins.name(cell)
    }
}
