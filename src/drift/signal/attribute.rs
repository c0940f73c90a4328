//! Attributes of the request that the manifest names: numbers in equal-mass bins, categories by
//! their shares, each with cells for what is new and for what is missing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Fit, HeldOut, MANY_KINDS, Sample, Scope, Signal, SignalKey, key};
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
}

/// Category names, found by a hash of their bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "StoredNames", into = "StoredNames")]
struct Names {
    sorted: Vec<String>,
    /// A power of two of slots, at least four a name, so that a search mostly ends where it begins.
    slots: Vec<Slot>,
}

/// Names as a reference holds them.
#[derive(Serialize, Deserialize)]
struct StoredNames {
    sorted: Vec<String>,
    heads: Vec<u64>,
}

/// A name's first eight bytes, its length, and its place; [`FREE`] for no name.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slot {
    head: u64,
    length: u32,
    place: u32,
}

const FREE: Slot = Slot { head: 0, length: u32::MAX, place: u32::MAX };

impl From<StoredNames> for Names {
    fn from(stored: StoredNames) -> Names {
        Names::new(stored.sorted)
    }
}

impl From<Names> for StoredNames {
    fn from(names: Names) -> StoredNames {
        StoredNames { heads: names.sorted.iter().map(|name| head(name.as_bytes())).collect(), sorted: names.sorted }
    }
}

impl Names {
    fn new(mut names: Vec<String>) -> Names {
        const SLOTS_A_NAME: usize = 4;
        names.sort();
        let mut slots = vec![FREE; (SLOTS_A_NAME * names.len().max(1)).next_power_of_two()];
        for (place, name) in names.iter().enumerate() {
            let bytes = name.as_bytes();
            let mut at = begin(bytes, slots.len());
            while slots[at] != FREE {
                at = (at + 1) & (slots.len() - 1);
            }
            slots[at] = Slot { head: head(bytes), length: bytes.len() as u32, place: place as u32 };
        }
        Names { sorted: names, slots }
    }

    /// The place of a name; one past the last for others.
    fn place(&self, name: &str) -> usize {
        let (bytes, own) = (name.as_bytes(), head(name.as_bytes()));
        let mut at = begin(bytes, self.slots.len());
        loop {
            let slot = self.slots[at];
            // Eight bytes and a length say all of a short name.
            let alike = slot.head == own && slot.length as usize == bytes.len();
            if alike && (bytes.len() <= 8 || self.sorted[slot.place as usize].as_bytes() == bytes) {
                return slot.place as usize;
            }
            if slot == FREE {
                return self.sorted.len();
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }
}

/// The slot where the search for a name begins.
fn begin(name: &[u8], slots: usize) -> usize {
    // 2⁶⁴ over the golden ratio: its products spread over the high bits (Knuth, The Art of Computer Programming, 6.4).
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = |hash: u64, bytes: &[u8]| (hash.rotate_left(32) ^ head(bytes).swap_bytes()).wrapping_mul(MIX);
    let hash = if name.len() <= 8 { mixed(0, name) } else { name.chunks(8).fold(0, mixed) };
    (hash >> 40) as usize & (slots - 1)
}

/// The first eight bytes, in the order of the names.
fn head(name: &[u8]) -> u64 {
    let byte = |i: usize| u64::from(name[i]) << (56 - 8 * i);
    let four =
        |i: usize| u64::from(u32::from_be_bytes([name[i], name[i + 1], name[i + 2], name[i + 3]])) << (32 - 8 * i);
    match name.len() {
        0 => 0,
        // What is read twice is the same.
        n @ 1..=3 => byte(0) | byte(n / 2) | byte(n - 1),
        n @ 4..=7 => four(0) | four(n - 4),
        _ => four(0) | four(4),
    }
}

impl Attribute {
    fn cell(&self, value: Option<&AttributeValue>) -> usize {
        match (&self.values, value) {
            (_, None) => self.width() - 1,
            (Values::Numeric(bins), Some(value)) => bins.cell(number(value)),
            (Values::Categorical(names) | Values::Open(names), Some(AttributeValue::Category(text))) => {
                names.place(text)
            }
            (Values::Categorical(names) | Values::Open(names), Some(value)) => names.place(&category(value)),
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
                    Values::Open(most_frequent(by_frequency(naming)))
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
        }
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let Some(value) = observation.attributes.get(self.index) {
            cells[self.cell(value.as_ref())] += 1;
        }
    }

    fn fold_held_out(&self, observation: &Observation, held: HeldOut, cells: &mut [i64]) {
        if !(held.names() && matches!(self.values, Values::Open(_))) {
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
            Values::Categorical(names) | Values::Open(names) => {
                for value in observations.iter().filter_map(|o| o.attributes.get(self.index)) {
                    let cell = match value {
                        Some(AttributeValue::Category(text)) => names.place(text),
                        Some(value) => names.place(&category(value)),
                        None => missing,
                    };
                    cells[cell] += 1;
                }
            }
        }
    }

    fn counts_kinds(&self) -> bool {
        matches!(&self.values, Values::Categorical(names) | Values::Open(names) if names.sorted.len() >= MANY_KINDS)
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
            Values::Categorical(names) | Values::Open(names) => {
                names.sorted.get(cell).cloned().unwrap_or_else(|| "other".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::geometry::Place;

    #[test]
    fn names_are_found_by_all_of_their_bytes() {
        let names =
            Names::new(["standard-plus", "standard", "standard-basic", "b", "", "b\0"].map(str::to_owned).to_vec());
        for (at, name) in ["", "b", "b\0", "standard", "standard-basic", "standard-plus"].iter().enumerate() {
            assert_eq!(names.place(name), at, "{name}");
        }
        for other in ["standard-", "c", "bb", "b\0\0", "\0", "standard-basis"] {
            assert_eq!(names.place(other), 6, "{other}");
        }
        let many = Names::new((0..256).map(|i| format!("category {i:03}")).collect());
        assert_eq!(
            (many.place("category 042"), many.place("category 255"), many.place("category 256")),
            (42, 255, 256)
        );
    }

    #[test]
    fn heads_keep_the_order_of_names() {
        let longest = "customer";
        for n in 0..=longest.len() {
            let mut bytes = [0; 8];
            bytes[..n].copy_from_slice(&longest.as_bytes()[..n]);
            assert_eq!(head(&longest.as_bytes()[..n]), u64::from_be_bytes(bytes), "{n}");
        }
        assert_eq!(head(b"customers"), head(b"customer"));
    }

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
        };
        let observations: Vec<Observation> = (0..50).map(observation).collect();
        let all: Vec<&Observation> = observations.iter().collect();
        for values in [
            Values::Numeric(Bins::fit(&numbers, &TAIL_QUANTILES)),
            Values::Categorical(Names::new(categories.clone())),
            Values::Open(Names::new(categories)),
        ] {
            let signal = Attribute { index: 0, values };
            let (mut each, mut block) = (vec![0; signal.width()], vec![0; signal.width()]);
            observations.iter().for_each(|o| signal.fold(o, &mut each));
            signal.fold_all(&all, &mut block);
            assert_eq!(each, block, "{signal:?}");
        }
    }
}
