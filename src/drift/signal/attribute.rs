//! Attributes of the request that the manifest names: numbers in equal-mass bins, categories by
//! their shares, each with cells for what is new and for what is missing.

use serde::{Deserialize, Serialize};

use super::{Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::record::AttributeValue;
use crate::drift::task::{AttributeKind, TaskSpec};
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::location::{Location, ordered_location};

/// Categories with a cell of their own; the rest are `other`.
const MOST_CATEGORIES: usize = 256;

/// Counts of records by the value of one attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    index: usize,
    values: Values,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Values {
    /// Bins, the cell of non-numbers, and missing.
    Numeric(Bins),
    /// Sorted categories, other, and missing.
    Categorical(Names),
}

/// Category names, found by their first eight bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Names {
    sorted: Vec<String>,
    heads: Vec<u64>,
}

impl Names {
    fn new(mut names: Vec<String>) -> Names {
        names.sort();
        Names { heads: names.iter().map(|name| head(name)).collect(), sorted: names }
    }

    /// The place of a name; one past the last for others.
    fn place(&self, name: &str) -> usize {
        const FEW: usize = 32;
        let own = head(name);
        let first = if self.heads.len() <= FEW {
            // No branch that depends on the data, as in `Bins::cell`.
            self.heads.iter().map(|head| usize::from(*head < own)).sum()
        } else {
            self.heads.partition_point(|head| *head < own)
        };
        let alike = self.heads[first..].iter().take_while(|head| **head == own).count();
        let found = self.sorted[first..first + alike].iter().position(|known| known == name);
        found.map_or(self.sorted.len(), |at| first + at)
    }
}

/// The first eight bytes, in the order of the names.
fn head(name: &str) -> u64 {
    let mut bytes = [0; 8];
    let n = name.len().min(8);
    bytes[..n].copy_from_slice(&name.as_bytes()[..n]);
    u64::from_be_bytes(bytes)
}

impl Attribute {
    fn cell(&self, value: Option<&AttributeValue>) -> usize {
        match (&self.values, value) {
            (_, None) => self.width() - 1,
            (Values::Numeric(bins), Some(value)) => bins.cell(number(value)),
            (Values::Categorical(names), Some(AttributeValue::Category(text))) => names.place(text),
            (Values::Categorical(names), Some(value)) => names.place(&category(value)),
        }
    }
}

impl Fit for Attribute {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let values = |index: usize| sample.observations.iter().filter_map(move |o| o.attributes.get(index)?.as_ref());
        let fit = |index: usize, kind: AttributeKind| match kind {
            AttributeKind::Numeric => {
                let numbers: Vec<f64> = values(index).map(number).collect();
                Values::Numeric(Bins::fit(&numbers, &TAIL_QUANTILES))
            }
            AttributeKind::Categorical => {
                let mut counts = std::collections::BTreeMap::<String, usize>::new();
                values(index).for_each(|v| *counts.entry(category(v)).or_default() += 1);
                let mut frequent: Vec<(String, usize)> = counts.into_iter().collect();
                frequent.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
                let names = frequent.into_iter().take(MOST_CATEGORIES).map(|(name, _)| name).collect();
                Values::Categorical(Names::new(names))
            }
        };
        let specs = sample.spec.attributes.iter().enumerate();
        specs
            .filter(|(index, _)| values(*index).next().is_some())
            .map(|(index, spec)| {
                let name = format!("attribute_{}", spec.name);
                (key(Scope::Input, None, &name), Attribute { index, values: fit(index, spec.kind) })
            })
            .collect()
    }
}

fn number(value: &AttributeValue) -> f64 {
    match value {
        AttributeValue::Number(number) => *number,
        AttributeValue::Category(text) => text.parse().unwrap_or(f64::NAN),
    }
}

fn category(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Number(number) => number.to_string(),
        AttributeValue::Category(text) => text.clone(),
    }
}

impl Signal for Attribute {
    fn width(&self) -> usize {
        match &self.values {
            Values::Numeric(bins) => bins.cells() + 1,
            Values::Categorical(names) => names.sorted.len() + 2,
        }
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(value) = observation.attributes.get(self.index) {
            cells[self.cell(value.as_ref())] += 1;
        }
    }

    fn tests(&self) -> (bool, bool) {
        (true, matches!(self.values, Values::Numeric(_)))
    }

    fn location(&self, current: &[i64], reference: &[f64]) -> Option<Location> {
        let Values::Numeric(bins) = &self.values else { return None };
        ordered_location(&current[..bins.ordered()], &reference[..bins.ordered()])
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        match &self.values {
            _ if cell + 1 == self.width() => "missing".to_owned(),
            Values::Numeric(bins) => bins.name(cell),
            Values::Categorical(names) => names.sorted.get(cell).cloned().unwrap_or_else(|| "other".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_all_of_their_bytes() {
        let names = Names::new(["standard-plus", "standard", "standard-basic", "b", ""].map(str::to_owned).to_vec());
        for (at, name) in ["", "b", "standard", "standard-basic", "standard-plus"].iter().enumerate() {
            assert_eq!(names.place(name), at, "{name}");
        }
        assert_eq!((names.place("standard-"), names.place("c"), names.place("bb")), (5, 5, 5));
        let many = Names::new((0..100).map(|i| format!("category {i:03}")).collect());
        assert_eq!((many.place("category 042"), many.place("category 100")), (42, 100));
    }
}
