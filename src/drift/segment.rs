//! Segments: the values of a tag, such as each channel of the traffic, watched on their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names::other_than;

/// Values of a tag that get a segment of their own; the rest are `other`.
pub const MOST_VALUES: usize = 12;
/// Tags that a reference chooses by itself.
const MOST_TAGS: usize = 2;
/// Records a value needs to be worth a segment.
pub(super) const LEAST_RECORDS: u64 = 100;

/// A tag and the values known from the reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentTag {
    /// The tag.
    pub tag: String,
    /// Values with a segment of their own, the most frequent first.
    pub values: Vec<String>,
}

/// One segment: a value of a tag, by index; one past the last value is `other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Segment {
    /// Index of the tag.
    pub tag: u16,
    /// Index of the value.
    pub value: u16,
}

impl SegmentTag {
    /// Index of a record's value; `other` for unknown ones and for records without the tag.
    pub fn value(&self, tags: &[(String, String)]) -> u16 {
        let value = self.given(tags);
        value.and_then(|v| self.values.iter().position(|known| known == v)).unwrap_or(self.values.len()) as u16
    }

    /// What a record says of the tag; `None` for records without it.
    pub(super) fn given<'a>(&self, tags: &'a [(String, String)]) -> Option<&'a str> {
        tags.iter().find(|(tag, _)| *tag == self.tag).map(|(_, value)| value.as_str())
    }

    /// `channel=support`, or `channel=other`.
    pub fn name(&self, value: u16) -> String {
        format!(
            "{}={}",
            self.tag,
            self.values.get(usize::from(value)).map_or_else(|| other_than(&self.values), String::as_str)
        )
    }
}

/// Counts of tags and their values over a reference.
#[derive(Debug, Default)]
pub struct TagCounts {
    records: u64,
    counts: BTreeMap<String, BTreeMap<String, u64>>,
}

impl TagCounts {
    /// Values counted of one tag; beyond, a tag is an identifier and no segment.
    const MOST_COUNTED: usize = 1_000;

    /// Counts one record.
    pub fn add(&mut self, tags: &[(String, String)]) {
        self.records += 1;
        for (tag, value) in tags {
            if !self.counts.contains_key(tag) && self.counts.len() >= 64 {
                continue;
            }
            let values = self.counts.entry(tag.clone()).or_default();
            if values.len() < Self::MOST_COUNTED || values.contains_key(value) {
                *values.entry(value.clone()).or_default() += 1;
            }
        }
    }

    /// The segments to watch: those of the `wanted` tags, or of up to two tags that most records have
    /// and that take few values. Tags that were wanted and never seen are returned beside them.
    pub fn segments(&self, wanted: Option<&[String]>) -> (Vec<SegmentTag>, Vec<String>) {
        let few = |values: &BTreeMap<String, u64>| (2..=MOST_VALUES).contains(&values.len());
        let most = |values: &BTreeMap<String, u64>| 2 * values.values().sum::<u64>() >= self.records;
        let tags: Vec<&String> = match wanted {
            Some(wanted) => wanted.iter().filter(|tag| self.counts.contains_key(*tag)).collect(),
            None => {
                let suited = self.counts.iter().filter(|(_, values)| few(values) && most(values));
                suited.map(|(tag, _)| tag).take(MOST_TAGS).collect()
            }
        };
        let missing = wanted.into_iter().flatten().filter(|tag| !self.counts.contains_key(*tag)).cloned().collect();
        let segment = |tag: &String| {
            let mut values: Vec<(&String, &u64)> =
                self.counts[tag].iter().filter(|(_, n)| **n >= LEAST_RECORDS).collect();
            values.sort_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
            let values = values.into_iter().take(MOST_VALUES).map(|(value, _)| value.clone()).collect();
            SegmentTag { tag: tag.clone(), values }
        };
        (tags.into_iter().map(segment).filter(|s| !s.values.is_empty()).collect(), missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn tags_with_few_values_become_segments() {
        let mut counts = TagCounts::default();
        for i in 0..1_000 {
            let (channel, user) = (if i % 5 == 0 { "voice" } else { "app" }, i.to_string());
            counts.add(&tags(&[("channel", channel), ("user", &user), ("region", "eu")]));
        }
        counts.add(&tags(&[("channel", "fax")]));
        let (found, missing) = counts.segments(None);
        let [channel] = &found[..] else { panic!("one tag: {found:?}") };
        assert_eq!((channel.values.as_slice(), missing.len()), (&["app".to_owned(), "voice".to_owned()][..], 0));
        assert_eq!(channel.name(channel.value(&tags(&[("channel", "voice")]))), "channel=voice");
        assert_eq!(channel.name(channel.value(&tags(&[("channel", "fax")]))), "channel=other");
        assert_eq!(channel.name(channel.value(&[])), "channel=other");
        let (found, missing) = counts.segments(Some(&["region".into(), "plan".into()]));
        assert_eq!((found[0].tag.as_str(), missing), ("region", vec!["plan".to_owned()]));
        assert_eq!(counts.segments(Some(&[])).0, Vec::new());
    }
}
