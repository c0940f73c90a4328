//! Attributes of the request that the manifest names: numbers in equal-mass bins, categories by
//! their shares, each with cells for what is new and for what is missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::categories::{Names, Rare};
use super::{Fit, HeldOut, MANY_KINDS, Sample, Scope, Signal, SignalKey, key};
use crate::drift::names::other_than;
use crate::drift::observation::Observation;
use crate::drift::record::AttributeValue;
use crate::drift::task::{AttributeKind, TaskSpec};
use crate::stats::binning::{Bins, TAIL_QUANTILES};
use crate::stats::location::{Location, ordered_location};

/// Categories with a cell of their own; the rest are `other`.
const MOST_CATEGORIES: usize = 256;
/// Where every category of the sample was seen so often, it has no rare ones, and hardly any that it missed.
const ALL_KNOWN: usize = 5;

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
    /// The same where there are rare categories: those with a cell were chosen by a part of the sample, and the rest
    /// of it is counted.
    Open(Names),
    /// The same where there are more rare categories than have a cell: those that were seen share one, and `other` is
    /// what was not.
    Many(Names, Rare),
}

impl Attribute {
    fn cell(&self, value: Option<&AttributeValue>) -> usize {
        match (&self.values, value) {
            (_, None) => self.width() - 1,
            (Values::Numeric(bins), Some(value)) => bins.cell(number(value)),
            (_, Some(AttributeValue::Category(text))) => self.place(text),
            (_, Some(value)) => self.place(&category(value)),
        }
    }

    /// The categories that have cells.
    fn names(&self) -> Option<&Names> {
        match &self.values {
            Values::Numeric(_) => None,
            Values::Categorical(names) | Values::Open(names) | Values::Many(names, _) => Some(names),
        }
    }

    /// The cell of a category.
    fn place(&self, name: &str) -> usize {
        match &self.values {
            Values::Numeric(bins) => bins.cell(name.parse().unwrap_or(f64::NAN)),
            Values::Categorical(names) | Values::Open(names) => names.place(name),
            Values::Many(names, rare) => match names.place(name) {
                own if own < names.sorted.len() => own,
                shared => shared + usize::from(!rare.holds(name)),
            },
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
                let all = by_frequency(values(index));
                if all.len() <= MOST_CATEGORIES && all.iter().all(|(_, n)| *n >= ALL_KNOWN) {
                    Values::Categorical(most_frequent(all))
                } else {
                    let naming = sample.naming().filter_map(|o| o.attributes.get(index)?.as_ref());
                    let mut naming = by_frequency(naming);
                    let rare = naming.split_off(naming.len().min(MOST_CATEGORIES));
                    match rare.is_empty() {
                        true => Values::Open(most_frequent(naming)),
                        false => {
                            Values::Many(most_frequent(naming), Rare::of(rare.iter().map(|(name, _)| name.as_str())))
                        }
                    }
                }
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

/// Categories with how often they were seen, the most frequent first.
fn by_frequency<'a>(values: impl Iterator<Item = &'a AttributeValue>) -> Vec<(String, usize)> {
    let mut counts = BTreeMap::<String, usize>::new();
    values.for_each(|v| *counts.entry(category(v)).or_default() += 1);
    let mut frequent: Vec<(String, usize)> = counts.into_iter().collect();
    frequent.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    frequent
}

fn most_frequent(categories: Vec<(String, usize)>) -> Names {
    Names::new(categories.into_iter().take(MOST_CATEGORIES).map(|(name, _)| name).collect())
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
            Values::Categorical(names) | Values::Open(names) => names.sorted.len() + 2,
            Values::Many(names, _) => names.sorted.len() + 3,
        }
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(value) = observation.attributes.get(self.index) {
            cells[self.cell(value.as_ref())] += 1;
        }
    }

    fn fold_held_out(&self, observation: &Observation, held: HeldOut, cells: &mut [i64]) {
        if !(held.names() && matches!(self.values, Values::Open(_) | Values::Many(..))) {
            self.fold(observation, cells);
        }
    }

    fn fold_all(&self, observations: &[&Observation], cells: &mut [i64]) {
        let missing = self.width() - 1;
        match &self.values {
            Values::Numeric(bins) => {
                let mut absent = 0;
                let values = observations.iter().filter_map(|o| match o.attributes.get(self.index)? {
                    Some(value) => Some(number(value)),
                    None => {
                        absent += 1;
                        None
                    }
                });
                bins.count(values, cells);
                cells[missing] += absent;
            }
            Values::Categorical(_) | Values::Open(_) | Values::Many(..) => {
                for value in observations.iter().filter_map(|o| o.attributes.get(self.index)) {
                    let cell = match value {
                        Some(AttributeValue::Category(text)) => self.place(text),
                        Some(value) => self.place(&category(value)),
                        None => missing,
                    };
                    cells[cell] += 1;
                }
            }
        }
    }

    fn counts_kinds(&self) -> bool {
        self.names().is_some_and(|names| names.sorted.len() >= MANY_KINDS)
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
            Values::Many(names, _) if cell == names.sorted.len() => "rare categories".to_owned(),
            Values::Categorical(names) | Values::Open(names) | Values::Many(names, _) => {
                names.sorted.get(cell).map_or_else(|| other_than(&names.sorted), String::as_str).to_owned()
            }
        }
    }

    fn open_cell(&self) -> Option<usize> {
        // The last but one: of numbers, what is none.
        Some(self.width() - 2)
    }

    fn name_unlisted(&self, observation: &Observation, found: &mut dyn FnMut(&str)) {
        let value = observation.attributes.get(self.index).and_then(Option::as_ref);
        if let Some(value) = value.filter(|value| self.open_cell() == Some(self.cell(Some(value)))) {
            found(&category(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::geometry::Place;

    #[test]
    fn a_block_is_folded_as_its_records_are() {
        let categories = ["red", "green", "2", "a longer name"].map(str::to_owned).to_vec();
        let numbers: Vec<f64> = (0..100).map(f64::from).collect();
        let value = |i: usize| match i % 7 {
            0 => None,
            1 => Some(AttributeValue::Category("red".to_owned())),
            2 => Some(AttributeValue::Category("blue".to_owned())),
            3 => Some(AttributeValue::Number(f64::NAN)),
            4 => Some(AttributeValue::Category("17".to_owned())),
            _ => Some(AttributeValue::Number(i as f64 / 3.0)),
        };
        let observation = |i: usize| Observation {
            input: None,
            text: None,
            attributes: if i == 5 { Vec::new() } else { vec![value(i)] },
            segments: Vec::new(),
            place: Place::Absent,
            answers: Vec::new(),
            skew: None,
            unlisted: Vec::new(),
        };
        let observations: Vec<Observation> = (0..50).map(observation).collect();
        let all: Vec<&Observation> = observations.iter().collect();
        for values in [
            Values::Numeric(Bins::fit(&numbers, &TAIL_QUANTILES)),
            Values::Categorical(Names::new(categories.clone())),
            Values::Open(Names::new(categories.clone())),
            Values::Many(Names::new(categories), Rare::of(["blue"].into_iter())),
        ] {
            let signal = Attribute { index: 0, values };
            let (mut each, mut block) = (vec![0; signal.width()], vec![0; signal.width()]);
            observations.iter().for_each(|o| signal.fold(o, &mut each));
            signal.fold_all(&all, &mut block);
            assert_eq!(each, block, "{signal:?}");
        }
    }
}
