//! Equal-mass bins of a reference sample, with a cell of its own for what is not a number.

use serde::{Deserialize, Serialize};

/// Cut points learned once; every later value falls into exactly one cell.
///
/// Cells: `edges.len() + 1` bins, left-open and right-closed, then one cell for NaN and infinities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    edges: Vec<f64>,
}

/// Quantiles at which one-dimensional values are cut: deciles, and finer in both tails, where a
/// model's doubt shows first.
pub const TAIL_QUANTILES: [f64; 15] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99];

impl Bins {
    /// Cuts at the given quantiles of the finite values; ties give one cut, not several.
    /// Where one value is all there is to cut at, and the smallest, values below and above it are told from it.
    pub fn fit(values: &[f64], quantiles: &[f64]) -> Bins {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let mut edges = Vec::new();
        if let Some(last) = sorted.len().checked_sub(1) {
            for q in quantiles {
                let edge = sorted[(q * last as f64).round() as usize];
                if edges.last().is_none_or(|previous| edge > *previous) {
                    edges.push(edge);
                }
            }
        }
        if let [only] = edges[..]
            && sorted.first() == Some(&only)
        {
            edges.insert(0, only.next_down());
        }
        Bins { edges }
    }

    /// As [`Bins::fit`], but each cut lies in the middle of the widest gap near its quantile, at most a quarter of
    /// the way to the next one: values that the sample has often, and later ones have only nearly (a model's numbers
    /// differ in their last digits by batch), stay together.
    pub fn between(values: &[f64], quantiles: &[f64]) -> Bins {
        const LEAST_GAP: f64 = 1e-3;
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let bins = Bins::fit(&sorted, quantiles);
        let Some(last) = sorted.len().checked_sub(1) else { return bins };
        if bins.edges.iter().any(|edge| *edge < sorted[0]) {
            // One value is most of the sample, and the smallest.
            let next = sorted[sorted.partition_point(|v| v <= &sorted[0])..].first();
            let above = next.map_or(LEAST_GAP, |next| 0.5 * (next - sorted[0]));
            return Bins { edges: vec![sorted[0] - LEAST_GAP, sorted[0] + above] };
        }
        // Past the largest value there is none: as far as half the way to the value before it.
        let beyond = |edge: f64| {
            let below = sorted.partition_point(|v| *v < edge).checked_sub(1).map(|i| sorted[i]);
            edge + below.map_or(LEAST_GAP, |below| (0.5 * (edge - below)).max(LEAST_GAP))
        };
        let mut edges: Vec<f64> = Vec::with_capacity(quantiles.len());
        for (i, q) in quantiles.iter().enumerate() {
            let rank = |q: f64| (q * last as f64).round() as usize;
            let before = i.checked_sub(1).map_or(0.0, |i| quantiles[i]);
            let after = quantiles.get(i + 1).copied().unwrap_or(1.0);
            let (low, high) = (rank(q - 0.25 * (q - before)), rank(q + 0.25 * (after - q)));
            let cut = widest_gap(&sorted, low..=high.min(last)).unwrap_or_else(|| beyond(sorted[rank(*q)]));
            if edges.last().is_none_or(|previous| cut > *previous) {
                edges.push(cut);
            }
        }
        Bins { edges }
    }

    /// Number of cells that hold numbers, in their order.
    pub fn ordered(&self) -> usize {
        self.edges.len() + 1
    }

    /// Number of cells, the one for non-numbers included.
    pub fn cells(&self) -> usize {
        self.edges.len() + 2
    }

    /// The cell of a value.
    pub fn cell(&self, value: f64) -> usize {
        if !value.is_finite() {
            return self.edges.len() + 1;
        }
        // Counting takes no branch that a processor could guess wrongly, and few edges fit its vectors.
        const FEW: usize = 32;
        if self.edges.len() <= FEW {
            return self.edges.iter().map(|edge| usize::from(*edge < value)).sum();
        }
        self.edges.partition_point(|edge| *edge < value)
    }

    /// Adds values to the cells they fall into, as [`Bins::cell`] would one by one.
    pub fn count(&self, values: impl Iterator<Item = f64>, cells: &mut [i64]) {
        // Up to so many edges are compared all at once, without a loop: what is missing is above any value.
        const AT_ONCE: usize = 16;
        if self.edges.len() > AT_ONCE {
            values.for_each(|value| cells[self.cell(value)] += 1);
            return;
        }
        let mut edges = [f64::INFINITY; AT_ONCE];
        edges[..self.edges.len()].copy_from_slice(&self.edges);
        for value in values {
            let below: u64 = edges.iter().map(|edge| u64::from(*edge < value)).sum();
            let cell = if value.is_finite() { below as usize } else { self.edges.len() + 1 };
            cells[cell] += 1;
        }
    }

    /// A name for people: `≤ 3`, `3 … 7`, `> 7`, `not a number`.
    pub fn name(&self, cell: usize) -> String {
        match (cell.checked_sub(1).and_then(|i| self.edges.get(i)), self.edges.get(cell)) {
            _ if cell > self.edges.len() => "not a number".to_owned(),
            (None, None) => "any".to_owned(),
            (None, Some(high)) => match self.edges.get(1) {
                Some(only) if only.next_down() == *high => format!("< {}", show(*only)),
                _ => format!("≤ {}", show(*high)),
            },
            (Some(low), Some(high)) if high.next_down() == *low => show(*high),
            (Some(low), Some(high)) => format!("{} … {}", show(*low), show(*high)),
            (Some(low), None) => format!("> {}", show(*low)),
        }
    }
}

/// A number with four decimals, or as many as tell four of its digits.
fn show(edge: f64) -> String {
    let leading = if edge == 0.0 { 0.0 } else { edge.abs().log10().floor() };
    if leading < -12.0 {
        return format!("{edge:.3e}");
    }
    let text = format!("{edge:.*}", (3.0 - leading).max(4.0) as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The middle of the widest gap between neighbours of the sorted values that begins at these ranks; where they all
/// are equal, of the gap after them. `None` if there is no larger value.
pub(super) fn widest_gap(sorted: &[f64], ranks: std::ops::RangeInclusive<usize>) -> Option<f64> {
    let end = *ranks.end();
    let gaps = ranks.filter_map(|rank| Some((sorted.get(rank + 1)? - sorted[rank], rank)));
    let widest = gaps.filter(|(gap, _)| *gap > 0.0).reduce(|best, gap| if gap.0 > best.0 { gap } else { best });
    let at = match widest {
        Some((_, rank)) => rank,
        None => sorted.partition_point(|v| *v <= sorted[end]).checked_sub(1).filter(|i| i + 1 < sorted.len())?,
    };
    Some(0.5 * (sorted[at] + sorted[at + 1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_equal_mass() {
        let values: Vec<f64> = (0..1_000).map(f64::from).collect();
        let bins = Bins::fit(&values, &[0.25, 0.5, 0.75]);
        let mut counts = vec![0; bins.cells()];
        values.iter().for_each(|v| counts[bins.cell(*v)] += 1);
        assert!(counts[..4].iter().all(|c| (249..=251).contains(c)), "{counts:?}");
        assert_eq!(counts[4], 0);
    }

    #[test]
    fn counting_many_is_counting_each() {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, 1e300, -1e300];
        let values = || (-50..150).map(|i| f64::from(i) * 0.5).chain(odd);
        for cuts in [0, 1, 15, 16, 17, 40] {
            let sample: Vec<f64> = (0..cuts).map(f64::from).collect();
            let quantiles: Vec<f64> = (0..cuts).map(|i| f64::from(i) / f64::from((cuts - 1).max(1))).collect();
            let bins = Bins::fit(&sample, &quantiles);
            let (mut each, mut many) = (vec![0; bins.cells()], vec![0; bins.cells()]);
            values().for_each(|value| each[bins.cell(value)] += 1);
            bins.count(values(), &mut many);
            assert_eq!(each, many, "{cuts} cuts");
        }
    }

    #[test]
    fn ties_and_constants_keep_every_value_in_one_cell() {
        let bins = Bins::fit(&[2.0; 50], &TAIL_QUANTILES);
        assert_eq!(bins.cells(), 4);
        assert_eq!((bins.cell(1.9), bins.cell(2.0), bins.cell(2.1), bins.cell(f64::NAN)), (0, 1, 2, 3));
        let names: Vec<String> = (0..bins.cells()).map(|c| bins.name(c)).collect();
        assert_eq!(names, ["< 2", "2", "> 2", "not a number"]);
    }

    #[test]
    fn cuts_between_values_forgive_small_errors() {
        let values: Vec<f64> = (0..100).map(|i| if i < 90 { 1.0 } else { 2.0 }).collect();
        let bins = Bins::between(&values, &TAIL_QUANTILES);
        assert_eq!((bins.cell(0.999), bins.cell(1.001), bins.cell(1.999), bins.cell(2.0005)), (0, 0, 1, 1));
        let constant = Bins::between(&[3.0; 20], &TAIL_QUANTILES);
        assert_eq!(
            (constant.cell(2.9), constant.cell(2.9999), constant.cell(3.0001), constant.cell(3.1)),
            (0, 1, 1, 2)
        );
    }

    #[test]
    fn no_values_leave_one_bin() {
        let bins = Bins::fit(&[], &TAIL_QUANTILES);
        assert_eq!((bins.cells(), bins.cell(4.0), bins.name(0).as_str()), (2, 0, "any"));
    }

    #[test]
    fn names_say_the_interval() {
        let bins = Bins::fit(&[1.0, 2.0, 3.0], &[0.0, 1.0]);
        let names: Vec<String> = (0..bins.cells()).map(|c| bins.name(c)).collect();
        assert_eq!(names, ["≤ 1", "1 … 3", "> 3", "not a number"]);
    }

    #[test]
    fn edges_that_are_close_to_nothing_can_be_told_apart() {
        let bins = Bins::fit(&[1e-6, 2.5e-5, 0.3, 1e-14], &[0.0, 0.25, 0.5, 0.75]);
        let names: Vec<String> = (0..bins.cells()).map(|c| bins.name(c)).collect();
        assert!(names.iter().all(|name| !name.contains("0 … 0") && name != "≤ 0"), "{names:?}");
        let edges = [0.0, -0.5, 12_345.678_91, 0.123_456, 0.000_012_345, -2.5e-14].map(show);
        assert_eq!(edges, ["0", "-0.5", "12345.6789", "0.1235", "0.00001234", "-2.500e-14"]);
    }
}
