//! A histogram of a multivariate sample whose cells hold equal mass.
//!
//! In the spirit of QuantTree (Boracchi et al., ICML 2018): cells are cut at quantiles of the
//! reference, so that under no drift their probabilities do not depend on the distribution. Each
//! node is halved near the median of the coordinate with the widest spread there, between two values, so
//! that points which come again and again fall to one side though their last digits differ.

use serde::{Deserialize, Serialize};

use super::binning::widest_gap;

/// Only the leading coordinates are cut: later ones are mostly noise.
const CUT_COORDINATES: usize = 8;

/// How far from the median, as a share of a node's points, the widest gap is looked for.
const NEAR: f64 = 0.01;

/// A binary tree over coordinates with 2^depth leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeafTree {
    /// Breadth-first: node i has children 2i + 1 and 2i + 2.
    cuts: Vec<Cut>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Cut {
    coordinate: u16,
    at: f32,
}

impl LeafTree {
    /// Fits a tree of `depth` levels to `points`, all of one length. `None` without points.
    pub fn fit(points: &[Vec<f32>], depth: u32) -> Option<LeafTree> {
        if points.is_empty() || points[0].is_empty() {
            return None;
        }
        let inner = (1_usize << depth) - 1;
        let mut cuts = Vec::with_capacity(inner);
        let mut members: Vec<Vec<usize>> = vec![(0..points.len()).collect()];
        for node in 0..inner {
            let mine = std::mem::take(&mut members[node]);
            let cut = widest_median(points, &mine);
            let (low, high) = mine.into_iter().partition(|&i| points[i][usize::from(cut.coordinate)] <= cut.at);
            cuts.push(cut);
            members.push(low);
            members.push(high);
        }
        Some(LeafTree { cuts })
    }

    /// Number of leaves.
    pub fn leaves(&self) -> usize {
        self.cuts.len() + 1
    }

    /// The leaf of a point with the coordinates the tree was fitted to.
    pub fn leaf(&self, point: &[f32]) -> usize {
        let mut node = 0;
        while let Some(cut) = self.cuts.get(node) {
            node = 2 * node + if point[usize::from(cut.coordinate)] <= cut.at { 1 } else { 2 };
        }
        node - self.cuts.len()
    }
}

fn widest_median(points: &[Vec<f32>], members: &[usize]) -> Cut {
    let coordinates = points[0].len().min(CUT_COORDINATES);
    let candidates = (0..coordinates).filter_map(|coordinate| {
        let mut values: Vec<f64> = members.iter().map(|&i| f64::from(points[i][coordinate])).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let rank = |share: f64| (share * last as f64) as usize;
        let middle = widest_gap(&values, rank(0.5 - NEAR)..=rank(0.5 + NEAR)).unwrap_or(values[rank(0.5)]);
        Some((values[rank(0.9)] - values[rank(0.1)], Cut { coordinate: coordinate as u16, at: middle as f32 }))
    });
    // The first of equals, so that the tree does not depend on how a maximum is searched.
    let widest = candidates.reduce(|best, next| if next.0 > best.0 { next } else { best });
    widest.map_or(Cut { coordinate: 0, at: 0.0 }, |(_, cut)| cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    #[test]
    fn leaves_hold_equal_mass() {
        let mut rng = StdRng::seed_from_u64(11);
        let points: Vec<Vec<f32>> = (0..3_200).map(|_| vec![rng.random(), rng.random::<f32>().powi(3)]).collect();
        let tree = LeafTree::fit(&points, 4).expect("has points");
        let mut counts = vec![0; tree.leaves()];
        points.iter().for_each(|p| counts[tree.leaf(p)] += 1);
        assert_eq!(counts.len(), 16);
        assert!(counts.iter().all(|c| (180..=220).contains(c)), "{counts:?}");
    }

    #[test]
    fn repeated_points_and_few_points_still_have_a_leaf() {
        let tree = LeafTree::fit(&vec![vec![1.0, 1.0]; 5], 3).expect("has points");
        assert!(tree.leaf(&[1.0, 1.0]) < 8 && tree.leaf(&[-9.0, 9.0]) < 8);
        assert_eq!(LeafTree::fit(&[], 3), None);
    }
}
