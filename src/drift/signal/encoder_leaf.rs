//! Which region of the encoder's space a record falls into: leaves of equal-mass trees, one coarse
//! and one fine, with one more cell for embeddings that cannot be placed.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::geometry::Place;
use crate::drift::observation::Observation;
use crate::drift::task::TaskSpec;
use crate::stats::leaf_tree::LeafTree;

/// Depths of the trees: 16 leaves see a broad shift in small windows, 64 a local one in large.
const DEPTHS: [u32; 2] = [4, 6];
/// A leaf needs this many reference records, or the tree is not grown.
const LEAST_PER_LEAF: usize = 10;

/// Counts of records by leaf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderLeaf {
    tree: LeafTree,
}

impl Fit for EncoderLeaf {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let points: Vec<Vec<f32>> =
            sample.observations.iter().filter_map(|o| Some(o.place.located()?.coordinates.clone())).collect();
        DEPTHS
            .iter()
            .filter(|depth| points.len() >= LEAST_PER_LEAF << **depth)
            .filter_map(|depth| {
                let tree = LeafTree::fit(&points, *depth)?;
                Some((key(Scope::Encoder, None, &format!("encoder_leaf_{}", tree.leaves())), EncoderLeaf { tree }))
            })
            .collect()
    }
}

impl Signal for EncoderLeaf {
    fn width(&self) -> usize {
        self.tree.leaves() + 1
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        match &observation.place {
            Place::Absent => {}
            Place::Invalid => cells[self.tree.leaves()] += 1,
            Place::At(located) => cells[self.tree.leaf(&located.coordinates)] += 1,
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        if cell == self.tree.leaves() { "unusable embedding".to_owned() } else { format!("leaf {}", cell + 1) }
    }

    fn counts_kinds(&self) -> bool {
        self.tree.leaves() == 1 << DEPTHS[1]
    }

    fn per_segment(&self) -> bool {
        self.tree.leaves() == 1 << DEPTHS[0]
    }
}
