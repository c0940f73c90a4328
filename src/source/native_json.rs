//! The shapes of native JSON as they stand on the wire. Strings are borrowed from the message where
//! they hold no escapes.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::f16;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use crate::drift::time::Timestamp;

#[derive(Default, Deserialize)]
pub(super) struct RawRecord<'a> {
    #[serde(borrow)]
    pub(super) schema: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) prediction_id: Option<Text<'a>>,
    #[serde(alias = "labeled_at")]
    pub(super) timestamp: Option<RawTime>,
    #[serde(borrow)]
    pub(super) model: Option<RawModel<'a>>,
    #[serde(borrow)]
    pub(super) input: Option<RawInput<'a>>,
    #[serde(borrow)]
    pub(super) embedding: Option<RawEmbedding<'a>>,
    #[serde(borrow)]
    pub(super) outputs: Option<Pairs<'a, Option<RawOutput<'a>>>>,
    #[serde(borrow)]
    pub(super) labels: Option<RawLabels<'a>>,
    #[serde(borrow)]
    pub(super) tags: Option<Pairs<'a, Option<Text<'a>>>>,
    #[serde(borrow)]
    pub(super) attributes: Option<Pairs<'a, RawAttribute<'a>>>,
    #[serde(borrow)]
    pub(super) task: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) label: Option<RawLabel<'a>>,
    #[serde(borrow)]
    pub(super) value: Option<RawLabel<'a>>,
    pub(super) revision: Option<i64>,
    pub(super) retracted: Option<bool>,
    /// Debezium's mark on flattened rows that were deleted.
    #[serde(borrow, rename = "__deleted")]
    pub(super) deleted: Option<Text<'a>>,
    /// Debezium's word for what was done to a row: this is an envelope.
    #[serde(borrow)]
    pub(super) op: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct RawModel<'a> {
    #[serde(borrow)]
    pub(super) name: Text<'a>,
    #[serde(borrow)]
    pub(super) version: Option<Text<'a>>,
}

#[derive(Deserialize)]
pub(super) struct RawInput<'a> {
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) text_pair: Option<Text<'a>>,
}

pub(super) enum RawEmbedding<'a> {
    Plain(Vec<f32>),
    Packed(PackedEmbedding<'a>),
}

#[derive(Deserialize)]
pub(super) struct PackedEmbedding<'a> {
    #[serde(borrow)]
    pub(super) dtype: Text<'a>,
    #[serde(borrow)]
    pub(super) data_b64: Text<'a>,
}

#[derive(Default, Deserialize)]
pub(super) struct RawOutput<'a> {
    #[serde(borrow)]
    pub(super) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) label: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) labels: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    pub(super) scores: Option<Numbers<'a>>,
    #[serde(borrow)]
    pub(super) logits: Option<Numbers<'a>>,
    pub(super) value: Option<f64>,
}

/// A label: a class, several, one a token, a number, or something that cannot be used.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawLabel<'a> {
    #[serde(borrow)]
    Class(Text<'a>),
    Number(f64),
    Switch(bool),
    #[serde(borrow)]
    List(Vec<Text<'a>>),
    Other(de::IgnoredAny),
}

/// Labels of several tasks by their names, or the list of labels of one.
pub(super) enum RawLabels<'a> {
    ByTask(Pairs<'a, RawLabel<'a>>),
    Listed(RawLabel<'a>),
}

/// An RFC 3339 time, or a number since 1970 in a unit that its size tells; `None` if it is no time.
pub(super) struct RawTime(pub(super) Option<Timestamp>);

/// An attribute of the request.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawAttribute<'a> {
    Number(f64),
    Switch(bool),
    #[serde(borrow)]
    Named(Text<'a>),
    Other(de::IgnoredAny),
}

/// Numbers by name, in the manifest's order, or as base64 of little-endian f32 or f16.
pub(super) enum Numbers<'a> {
    Named(Vec<(Text<'a>, f32)>),
    Listed(Vec<f32>),
    Packed(Text<'a>),
}

/// The `f32` nearest to what is written. It is read from the digits themselves: by way of an `f64` it
/// would be rounded twice, and slowly.
struct Number(f32);

/// A string borrowed from the message where it holds no escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

/// A JSON object as a list, in its order.
pub(super) struct Pairs<'a, V>(pub(super) Vec<(Text<'a>, V)>);

/// Base64 of little-endian numbers of `width` bytes; `None` if it is not that.
pub(super) fn unpack(text: &str, width: usize) -> Option<Vec<f32>> {
    let bytes = BASE64.decode(text).ok()?;
    if bytes.len() % width != 0 {
        return None;
    }
    Some(match width {
        4 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        _ => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
    })
}

impl Numbers<'_> {
    /// Exactly `n` numbers in the manifest's order; `None` if there are more or fewer, or names.
    pub(super) fn full(self, n: usize) -> Option<Vec<f32>> {
        let numbers = match self {
            Numbers::Named(_) => return None,
            Numbers::Listed(numbers) => numbers,
            Numbers::Packed(text) => unpack(&text.0, 4).filter(|v| v.len() == n).or_else(|| unpack(&text.0, 2))?,
        };
        (numbers.len() == n).then_some(numbers)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = <&RawValue>::deserialize(deserializer)?.get();
        let number = digits.parse::<f32>().ok().filter(|number| number.is_finite());
        number.map(Number).ok_or_else(|| de::Error::custom("not a number of 32 bits"))
    }
}

fn numbers<'de, S: de::SeqAccess<'de>>(mut seq: S) -> Result<Vec<f32>, S::Error> {
    let mut numbers = Vec::with_capacity(seq.size_hint().unwrap_or(8));
    while let Some(Number(number)) = seq.next_element()? {
        numbers.push(number);
    }
    Ok(numbers)
}

impl<'de> Deserialize<'de> for RawTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl Visitor<'_> for TimeVisitor {
            type Value = RawTime;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a time")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawTime, E> {
                Ok(RawTime(Timestamp::parse(text)))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RawTime, E> {
                Ok(RawTime(Some(since_epoch(number))))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<RawTime, E> {
                Ok(RawTime(fraction_since_epoch(number)))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<RawTime, E> {
                Ok(RawTime(i64::try_from(number).ok().map(since_epoch)))
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

/// Seconds, milli-, micro- or nanoseconds, as databases and their connectors write them: for times from 1973
/// on the unit that gives one before the year 5000.
pub(super) fn since_epoch(number: i64) -> Timestamp {
    const HUNDRED_BILLION: u64 = 100_000_000_000;
    let size = number.unsigned_abs();
    Timestamp::from_micros(match () {
        () if size < HUNDRED_BILLION => number.saturating_mul(1_000_000),
        () if size < HUNDRED_BILLION * 1_000 => number.saturating_mul(1_000),
        () if size < HUNDRED_BILLION * 1_000_000 => number,
        () => number / 1_000,
    })
}

/// The same of a number with a point, such as Python's `time.time()`: in microseconds, as far as its digits go.
fn fraction_since_epoch(number: f64) -> Option<Timestamp> {
    const MOST: f64 = 9.2e18;
    let micros = match number.abs() {
        size if size < 1e11 => number * 1e6,
        size if size < 1e14 => number * 1e3,
        size if size < 1e17 => number,
        size if size < MOST => number / 1e3,
        _ => return None,
    };
    Some(Timestamp::from_micros(micros.round() as i64))
}

impl<'de: 'a, 'a> Deserialize<'de> for RawLabels<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LabelsVisitor;
        impl<'de> Visitor<'de> for LabelsVisitor {
            type Value = RawLabels<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("labels by task, or a list of labels")
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                Pairs::deserialize(de::value::MapAccessDeserializer::new(map)).map(RawLabels::ByTask)
            }
            fn visit_seq<S: de::SeqAccess<'de>>(self, seq: S) -> Result<Self::Value, S::Error> {
                RawLabel::deserialize(de::value::SeqAccessDeserializer::new(seq)).map(RawLabels::Listed)
            }
        }
        deserializer.deserialize_any(LabelsVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for RawEmbedding<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EmbeddingVisitor;
        impl<'de> Visitor<'de> for EmbeddingVisitor {
            type Value = RawEmbedding<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an array of numbers, or `dtype` and `data_b64`")
            }
            fn visit_seq<S: de::SeqAccess<'de>>(self, seq: S) -> Result<Self::Value, S::Error> {
                numbers(seq).map(RawEmbedding::Plain)
            }
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                PackedEmbedding::deserialize(de::value::MapAccessDeserializer::new(map)).map(RawEmbedding::Packed)
            }
        }
        deserializer.deserialize_any(EmbeddingVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Pairs<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<V> {
            type Value = Pairs<'de, V>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor(std::marker::PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Numbers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumbersVisitor;
        impl<'de> Visitor<'de> for NumbersVisitor {
            type Value = Numbers<'de>;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object, an array of numbers or base64")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Numbers::Packed(Text(Cow::Borrowed(text))))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Numbers::Packed(Text(Cow::Owned(text.to_owned()))))
            }
            fn visit_seq<S: de::SeqAccess<'de>>(self, seq: S) -> Result<Self::Value, S::Error> {
                numbers(seq).map(Numbers::Listed)
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some((name, Number(number))) = map.next_entry()? {
                    pairs.push((name, number));
                }
                Ok(Numbers::Named(pairs))
            }
        }
        deserializer.deserialize_any(NumbersVisitor)
    }
}
