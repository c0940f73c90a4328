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

#[derive(Deserialize)]
pub(super) struct RawRecord<'a> {
    #[serde(borrow)]
    pub(super) schema: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) prediction_id: Option<Text<'a>>,
    #[serde(borrow, alias = "labeled_at")]
    pub(super) timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) model: Option<RawModel<'a>>,
    #[serde(borrow)]
    pub(super) input: Option<RawInput<'a>>,
    #[serde(borrow)]
    pub(super) embedding: Option<RawEmbedding<'a>>,
    #[serde(borrow)]
    pub(super) outputs: Option<Pairs<'a, RawOutput<'a>>>,
    #[serde(borrow)]
    pub(super) labels: Option<Pairs<'a, RawLabel<'a>>>,
    #[serde(borrow)]
    pub(super) tags: Option<Pairs<'a, Text<'a>>>,
    #[serde(borrow)]
    pub(super) attributes: Option<Pairs<'a, RawAttribute<'a>>>,
    #[serde(borrow)]
    pub(super) task: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) label: Option<RawLabel<'a>>,
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

#[derive(Deserialize)]
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

/// A label beside a prediction: a class, or something only counted.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum RawLabel<'a> {
    #[serde(borrow)]
    Class(Text<'a>),
    Other(de::IgnoredAny),
}

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
