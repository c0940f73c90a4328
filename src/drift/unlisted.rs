//! Values that have no cell of their own, by name: a cell called `other` that doubles should say what came.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names::{Names, name};

/// Values counted by name of one cell. They are few where a tag or category is new; of an open set of thousands, the
/// first by name are as good a sample as any, and no one of them is most of the cell.
const MOST_VALUES: usize = 64;
/// Records of a value before it is told: what few records say may be private.
const LEAST_TOLD: u64 = 5;
/// A value says what a cell holds if it is at least one in so many of its records.
const ONE_IN: u64 = 10;
/// Values told of one cell.
const TOLD: usize = 3;

/// Records by value of the cells of a summary whose values have no cell of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlisted {
    by_cell: BTreeMap<u32, Names<MOST_VALUES>>,
}

impl Unlisted {
    /// Counts a record whose value falls into a cell.
    pub(super) fn add(&mut self, cell: usize, value: &str) {
        self.by_cell.entry(cell as u32).or_default().add(&name(value));
    }

    /// Adds others up, exactly, in any order.
    pub(super) fn merge(&mut self, other: &Unlisted) {
        other.by_cell.iter().for_each(|(cell, values)| self.by_cell.entry(*cell).or_default().merge(values));
    }

    /// Whether nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.by_cell.is_empty()
    }

    /// What a cell of the summary is called that is called `called` whatever it holds: `other: fax, telex`.
    pub(super) fn tell(&self, cell: usize, called: String) -> String {
        let Some(values) = self.by_cell.get(&(cell as u32)) else { return called };
        let least = LEAST_TOLD.max(values.records.div_ceil(ONE_IN));
        let telling: Vec<&str> =
            values.most_seen().into_iter().take_while(|(_, n)| *n >= least).map(|(value, _)| value).collect();
        match telling.get(..TOLD) {
            _ if telling.is_empty() => called,
            Some(first) if telling.len() > TOLD => format!("{called}: {}, …", first.join(", ")),
            _ => format!("{called}: {}", telling.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(values: &[(&str, u64)]) -> String {
        let mut unlisted = Unlisted::default();
        for (value, n) in values {
            (0..*n).for_each(|_| unlisted.add(7, value));
        }
        unlisted.tell(7, "other".to_owned())
    }

    #[test]
    fn a_cell_is_called_by_what_most_of_its_records_hold() {
        for (values, expected) in [
            (&[][..], "other"),
            (&[("fax", 4)], "other"),
            (&[("fax", 5)], "other: fax"),
            (&[("telex", 8), ("fax", 70), ("pager", 7), ("kiosk", 3)], "other: fax"),
            (&[("telex", 9), ("fax", 70), ("pager", 7), ("kiosk", 3)], "other: fax, telex"),
            (&[("d", 20), ("c", 20), ("b", 20), ("a", 20)], "other: a, b, c, …"),
        ] {
            assert_eq!(told(values), expected, "{values:?}");
        }
        assert_eq!(Unlisted::default().tell(7, "missing".to_owned()), "missing", "nothing is counted of it");
    }

    #[test]
    fn of_an_open_set_none_is_told() {
        let values: Vec<String> = (0..1_000).map(|i| format!("value {i}")).collect();
        let values: Vec<(&str, u64)> = values.iter().map(|value| (value.as_str(), 6)).collect();
        assert_eq!(told(&values), "other");
    }
}
