//! Attributes of a reference's records that cannot be watched: those that no record has, counters, and ids.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::drift::record::AttributeValue;
use crate::drift::task::{AttributeKind, AttributeSpec};
use crate::drift::time::Timestamp;

/// Values that are compared with their times: of more, every second, fourth and so on.
const MOST_PAIRS: usize = 4_096;
/// Fewer values say nothing.
const FEW: usize = 100;
/// A number that hangs on its record's time like this is a counter.
const GROWS: f64 = 0.95;
/// Different values that are counted; an id has more than any category.
const MOST_KINDS: usize = 100_000;
/// A larger share of different values is an id's.
const MANY_KINDS: f64 = 0.5;

/// What is known of all attributes so far.
pub struct Attributes<'a> {
    specs: &'a [AttributeSpec],
    records: u64,
    all: Vec<Values>,
}

/// What is known of one.
#[derive(Default)]
struct Values {
    present: usize,
    /// Texts where numbers are expected.
    texts: usize,
    kinds: HashSet<u64>,
    /// Some of the numbers with their times.
    pairs: Vec<(Timestamp, f64)>,
    /// One in so many is among them, as a power of two.
    thinned: u32,
}

impl<'a> Attributes<'a> {
    /// Of the manifest.
    pub fn new(specs: &'a [AttributeSpec]) -> Attributes<'a> {
        Attributes { specs, records: 0, all: specs.iter().map(|_| Values::default()).collect() }
    }

    /// The next record's.
    pub fn add(&mut self, time: Timestamp, values: &[Option<AttributeValue>]) {
        self.records += 1;
        for ((known, spec), value) in self.all.iter_mut().zip(self.specs).zip(values) {
            match (value, spec.kind) {
                (None, _) => {}
                (Some(value), AttributeKind::Numeric) => known.number(time, value),
                (Some(value), AttributeKind::Categorical) => known.category(value),
            }
        }
    }

    /// What the maker of the reference should know.
    pub fn warnings(&mut self) -> Vec<String> {
        let records = self.records;
        let told = self.all.iter_mut().zip(self.specs).filter_map(|(known, spec)| known.warning(spec, records));
        told.collect()
    }
}

impl Values {
    fn number(&mut self, time: Timestamp, value: &AttributeValue) {
        let number = match value {
            AttributeValue::Number(number) => *number,
            AttributeValue::Category(text) => text.parse().unwrap_or(f64::NAN),
        };
        if !number.is_finite() {
            self.texts += usize::from(matches!(value, AttributeValue::Category(_)));
            self.present += 1;
            return;
        }
        if self.present.is_multiple_of(1 << self.thinned) {
            self.pairs.push((time, number));
        }
        self.present += 1;
        if self.pairs.len() > MOST_PAIRS {
            let mut keep = false;
            self.pairs.retain(|_| {
                keep = !keep;
                keep
            });
            self.thinned += 1;
        }
    }

    fn category(&mut self, value: &AttributeValue) {
        self.present += 1;
        if self.kinds.len() < MOST_KINDS {
            let mut hasher = DefaultHasher::new();
            match value {
                AttributeValue::Number(number) => number.to_bits().hash(&mut hasher),
                AttributeValue::Category(text) => text.hash(&mut hasher),
            }
            self.kinds.insert(hasher.finish());
        }
    }

    fn warning(&mut self, spec: &AttributeSpec, records: u64) -> Option<String> {
        let (name, present) = (&spec.name, self.present);
        if present == 0 {
            return (records > 0).then(|| {
                format!("no record has the attribute `{name}` that the manifest names: it is not watched. Is it called otherwise?")
            });
        }
        if self.texts == present {
            return Some(format!(
                "attribute `{name}`: none of its {present} values is a number, and the manifest says `numeric`: is it `categorical`?"
            ));
        }
        if present < FEW {
            return None;
        }
        let grows = self.grows().filter(|r| *r > GROWS);
        let kinds = self.kinds.len();
        match grows {
            Some(r) => Some(format!(
                "attribute `{name}` only grows with time (rank correlation {r:.2} with the order of the records), as \
                 counters and dates do, and cannot be watched: whatever comes later lies beyond all that the reference \
                 holds, which looks like drift. Leave it out of the manifest, or log what it is about, such as an age"
            )),
            None if kinds as f64 > MANY_KINDS * present.min(MOST_KINDS) as f64 => Some(format!(
                "attribute `{name}` has {kinds}{} different values in {present} records, as ids do, and cannot be \
                 watched: values that do not come again have no shares to compare. Leave it out of the manifest, or log \
                 what it is about, such as a kind of customer",
                if kinds < MOST_KINDS { "" } else { " and more" }
            )),
            None => None,
        }
    }

    /// Spearman's rank correlation of the numbers with their times; `None` where either does not vary.
    fn grows(&mut self) -> Option<f64> {
        if self.pairs.len() < FEW {
            return None;
        }
        let times: Vec<f64> = self.pairs.iter().map(|(time, _)| time.micros() as f64).collect();
        let numbers: Vec<f64> = self.pairs.iter().map(|(_, number)| *number).collect();
        correlation(&ranks(&times), &ranks(&numbers))
    }
}

/// Ranks from the smallest on; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    for same in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let below = order.partition_point(|i| values[*i] < values[same[0]]);
        let mean = below as f64 + (same.len() as f64 - 1.0) / 2.0;
        same.iter().for_each(|i| ranks[*i] = mean);
    }
    ranks
}

/// Pearson's correlation; `None` where one of them does not vary.
fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().map(|a| a - mean_a).zip(b.iter().map(|b| b - mean_b)) {
        (both, of_a, of_b) = (both + a * b, of_a + a * a, of_b + b * b);
    }
    (of_a > 0.0 && of_b > 0.0).then(|| both / (of_a * of_b).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(kind: AttributeKind, value: impl Fn(usize) -> Option<AttributeValue>) -> Vec<String> {
        let specs = [AttributeSpec { name: "it".into(), kind }];
        let mut attributes = Attributes::new(&specs);
        (0..10_000).for_each(|i| attributes.add(Timestamp::from_micros(i as i64), &[value(i)]));
        attributes.warnings()
    }

    #[test]
    fn what_cannot_be_watched_is_told() {
        let number = |number: usize| Some(AttributeValue::Number(number as f64));
        let text = |text: String| Some(AttributeValue::Category(text));
        let mixed = |i: usize| i * 7_919 % 10_007;
        let (numeric, categorical) = (AttributeKind::Numeric, AttributeKind::Categorical);
        for (found, said) in [
            (warnings(numeric, |_| None), Some("no record has the attribute `it`")),
            (warnings(numeric, number), Some("only grows with time (rank correlation 1.00")),
            // A counter that several machines share runs ahead now and then.
            (warnings(numeric, |i| number(i + mixed(i) / 20)), Some("only grows")),
            (warnings(numeric, |i| number(mixed(i))), None),
            (warnings(numeric, |i| number(10_000 - i)), None),
            (warnings(numeric, |_| number(7)), None),
            (warnings(numeric, |i| text(format!("{}", i + 1))), Some("only grows")),
            (warnings(numeric, |i| text(format!("v{}", i % 3))), Some("none of its 10000 values is a number")),
            (warnings(categorical, |i| text(format!("u{i}"))), Some("has 10000 different values in 10000 records")),
            (warnings(categorical, number), Some("different values")),
            (warnings(categorical, |i| text(format!("u{}", mixed(i) % 4_000))), None),
            (warnings(categorical, |i| text(format!("u{i}")).filter(|_| i < 50)), None),
        ] {
            match said {
                None => assert_eq!(found, Vec::<String>::new()),
                Some(said) => assert!(found.len() == 1 && found[0].contains(said), "{said}: {found:?}"),
            }
        }
    }

    #[test]
    fn ranks_of_equal_values_are_their_mean() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
        assert_eq!(correlation(&[0.0, 1.0, 2.0], &[2.0, 1.0, 0.0]), Some(-1.0));
        assert_eq!(correlation(&[1.0, 1.0], &[0.0, 1.0]), None);
    }
}
