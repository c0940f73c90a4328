//! What is usual of a task's labels: learned from a deployment's own first blocks, with how much these vary.

use serde::{Deserialize, Serialize};

use super::Block;
use super::delays::Delays;
use crate::stats::calibration::{
    NullStatistic, dispersion, intra_window_correlation, intra_window_correlation_bound, serial_dependence, wander,
};
use crate::stats::hypothesis::{Allowance, TestResult, goodness_of_fit};
use crate::stats::memory::Memory;

/// Labels that a test needs to be expected.
const LEAST_EXPECTED: f64 = 20.0;
/// Units that say how units vary, at least.
const LEAST_UNITS: usize = 20;
/// Lags at which units are asked for dependence: a day of hours.
const MOST_LAG: usize = 24;
/// Units move together from this normal score on, as the reference's windows do.
const SERIAL_SCORE: f64 = 3.0;
/// Smaller changes than this (Cohen's w) are nobody's concern: of a share of 30 %, less than five points.
const MARGIN: f64 = 0.1;

/// What is usual of a task's labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// Labels of longer delays are not waited for.
    pub horizon: u8,
    /// Blocks that make up a unit, which is tested.
    pub blocks: usize,
    /// Windows in a unit, on average.
    pub windows: f64,
    /// Answers with a label and without.
    coverage: Cells,
    /// Labels by bin of delay.
    delay: Cells,
}

/// Counts and how they vary from unit to unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cells {
    totals: Vec<i64>,
    intra_window_correlation: f64,
    usual: f64,
    design_effect: f64,
    wander: f64,
    dispersion: f64,
}

impl Usual {
    /// From these blocks, in order; `None` while they hold too few labels.
    pub fn learn(learned: &[Block], horizon: u8) -> Option<Usual> {
        let labels: u64 = learned.iter().map(|block| block.came.count_until(horizon)).sum();
        let each = labels as f64 / learned.len().max(1) as f64;
        if each <= 0.0 {
            return None;
        }
        let blocks = (LEAST_EXPECTED / each).ceil().max(1.0) as usize;
        let units: Vec<Block> = learned.chunks_exact(blocks).map(|part| Block::sum(part, horizon)).collect();
        if units.len() < LEAST_UNITS {
            return None;
        }
        let windows = units.iter().map(|unit| unit.windows).sum::<u64>() as f64 / units.len() as f64;
        let coverage: Vec<Vec<i64>> = units.iter().map(Block::coverage).collect();
        let delay: Vec<Vec<i64>> = units.iter().map(|unit| unit.came.cells(horizon)).collect();
        Some(Usual { horizon, blocks, windows, coverage: Cells::learn(&coverage), delay: Cells::learn(&delay) })
    }

    /// Whether a unit's labels are as many as usual, and as late.
    pub fn test(&self, unit: &Block) -> [Option<TestResult>; 2] {
        let labels = unit.came.count_until(self.horizon) as f64;
        let delay = || self.delay.test(&unit.came.cells(self.horizon));
        [self.coverage.test(&unit.coverage()), (labels >= LEAST_EXPECTED).then(delay).flatten()]
    }

    /// Share of answers with a label.
    pub fn share(&self) -> f64 {
        self.coverage.totals[0] as f64 / (self.coverage.totals.iter().sum::<i64>() as f64).max(1.0)
    }

    /// Bin that half of the labels reach.
    pub fn median(&self) -> Option<u8> {
        let mut delays = Delays::default();
        (0..).zip(&self.delay.totals).for_each(|(bin, n)| delays.add(bin, n.unsigned_abs()));
        delays.quantile(0.5)
    }
}

impl Cells {
    fn learn(units: &[Vec<i64>]) -> Cells {
        let mut totals = vec![0; units.first().map_or(0, Vec::len)];
        units.iter().flat_map(|unit| unit.iter().enumerate()).for_each(|(i, n)| totals[i] += n);
        let whole: Vec<f64> = totals.iter().map(|n| *n as f64).collect();
        let n = |cells: &[i64]| cells.iter().sum::<i64>() as f64;
        let (mut nulls, mut deviations) = (Vec::new(), Vec::new());
        for unit in units {
            // The unit has put its own share into what it is compared with.
            let left = 1.0 - (n(unit) / n(&totals).max(1.0)).min(0.5);
            let Some(test) = goodness_of_fit(unit, &whole, Allowance::EXACT) else { continue };
            nulls.push(NullStatistic {
                statistic: test.statistic / left,
                null_mean: test.null_mean,
                null_variance: test.null_variance,
                degrees_of_freedom: test.degrees_of_freedom,
                n: n(unit),
            });
            let expected = whole.iter().map(|total| total / n(&totals) * n(unit));
            let deviation = unit.iter().zip(expected).filter(|(_, expected)| *expected > 0.0);
            deviations.push(deviation.map(|(n, expected)| ((*n as f64 - expected) / expected.sqrt()) as f32).collect());
        }
        let usual = nulls.iter().map(|null| null.n).sum::<f64>() / nulls.len().max(1) as f64;
        let rho = intra_window_correlation(&nulls);
        let serial = serial_dependence(&deviations, MOST_LAG).filter(|score| *score >= SERIAL_SCORE);
        let (intra_window_correlation, wander, dispersion) = match serial {
            Some(_) => (0.0, wander(&nulls, Memory::learn(&deviations)), 1.0),
            None => (intra_window_correlation_bound(&nulls), 0.0, dispersion(&nulls, rho)),
        };
        let design_effect = 1.0 + (usual - 1.0).max(0.0) * rho;
        Cells { totals, intra_window_correlation, usual, design_effect, wander, dispersion }
    }

    fn test(&self, cells: &[i64]) -> Option<TestResult> {
        let totals: Vec<f64> = self.totals.iter().map(|n| *n as f64).collect();
        let allowance = Allowance {
            intra_window_correlation: self.intra_window_correlation,
            usual: self.usual,
            effective_reference: totals.iter().sum::<f64>() / self.design_effect.max(1.0),
            wander: self.wander,
            dispersion: self.dispersion,
            spread: 1.0,
            margin: MARGIN,
        };
        goodness_of_fit(cells, &totals, allowance)
    }
}
