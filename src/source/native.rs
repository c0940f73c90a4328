//! The native JSON format: inputs, predictions and labels, alone or together in one record.
//!
//! Strings are borrowed from the message and class names become indices at once, so that a record
//! costs few allocations. Nothing of a record's text ever enters an error.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::f16;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use crate::drift::answer::{
    Answer, Confidence, SUM_TOLERANCE, Uncertainty, least_certain, mean_confidence, probability, sigmoid, softmax,
    top_class,
};
use crate::drift::record::{AttributeValue, InputText, Label, Record, RejectReason, Rejected, VersionMatch};
use crate::drift::task::{AttributeKind, AttributeSpec, ModelSpec, TaskKind, TaskSpec};
use crate::drift::time::Timestamp;

/// More tags than this, or longer ones, are cut.
const MOST_TAGS: usize = 64;
const MOST_TAG_CHARACTERS: usize = 128;

/// Decodes native records for a fixed set of models.
#[derive(Debug)]
pub struct NativeDecoder {
    models: Vec<KnownModel>,
    most_bytes: usize,
}

#[derive(Debug)]
struct KnownModel {
    spec: Arc<ModelSpec>,
    tasks: HashMap<String, usize>,
    classes: Vec<HashMap<String, u32>>,
}

#[derive(Deserialize)]
struct RawRecord<'a> {
    #[serde(borrow)]
    schema: Option<Text<'a>>,
    #[serde(borrow)]
    prediction_id: Option<Text<'a>>,
    #[serde(borrow, alias = "labeled_at")]
    timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<RawModel<'a>>,
    #[serde(borrow)]
    input: Option<RawInput<'a>>,
    #[serde(borrow)]
    embedding: Option<RawEmbedding<'a>>,
    #[serde(borrow)]
    outputs: Option<Pairs<'a, RawOutput<'a>>>,
    #[serde(borrow)]
    labels: Option<Pairs<'a, RawLabel<'a>>>,
    #[serde(borrow)]
    tags: Option<Pairs<'a, Text<'a>>>,
    #[serde(borrow)]
    attributes: Option<Pairs<'a, RawAttribute<'a>>>,
    #[serde(borrow)]
    task: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct RawModel<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    version: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct RawInput<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    text_pair: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawEmbedding<'a> {
    Plain(Vec<f32>),
    Packed {
        #[serde(borrow)]
        dtype: Text<'a>,
        #[serde(borrow)]
        data_b64: Text<'a>,
    },
}

#[derive(Deserialize)]
struct RawOutput<'a> {
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    label: Option<Text<'a>>,
    #[serde(borrow)]
    labels: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    scores: Option<Numbers<'a>>,
    #[serde(borrow)]
    logits: Option<Numbers<'a>>,
    value: Option<f64>,
}

/// A label beside a prediction: a class, or something only counted.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawLabel<'a> {
    #[serde(borrow)]
    Class(Text<'a>),
    Other(de::IgnoredAny),
}

/// An attribute of the request.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawAttribute<'a> {
    Number(f64),
    Switch(bool),
    #[serde(borrow)]
    Named(Text<'a>),
    Other(de::IgnoredAny),
}

/// Numbers by name, in the manifest's order, or as base64 of little-endian f32 or f16.
enum Numbers<'a> {
    Named(Vec<(Text<'a>, f32)>),
    Listed(Vec<f32>),
    Packed(Text<'a>),
}

/// A string borrowed from the message where it holds no escapes.
struct Text<'a>(Cow<'a, str>);

/// A JSON object as a list, in its order.
struct Pairs<'a, V>(Vec<(Text<'a>, V)>);

impl NativeDecoder {
    /// For these models, by position in the list; longer messages than `most_bytes` are refused.
    pub fn new(models: Vec<Arc<ModelSpec>>, most_bytes: usize) -> NativeDecoder {
        let models = models.into_iter().map(|spec| KnownModel {
            tasks: spec.tasks.iter().enumerate().map(|(i, t)| (t.name.clone(), i)).collect(),
            classes: spec
                .tasks
                .iter()
                .map(|t| t.classes.iter().enumerate().map(|(i, c)| (c.clone(), i as u32)).collect())
                .collect(),
            spec,
        });
        NativeDecoder { models: models.collect(), most_bytes }
    }

    /// Decodes one message; `received` is the carrier's own time, used where the record has none,
    /// and nothing may lie after `latest`.
    ///
    /// # Errors
    /// [`Rejected`] with the reason.
    pub fn decode(&self, bytes: &[u8], received: Option<Timestamp>, latest: Timestamp) -> Result<Record, Rejected> {
        let reject = |reason, detail: &str| Err(Rejected::new(reason, detail));
        if bytes.is_empty() {
            return reject(RejectReason::Empty, "the message has no value");
        }
        if bytes.len() > self.most_bytes {
            let detail = format!("{} bytes, the limit is {}", bytes.len(), self.most_bytes);
            return reject(RejectReason::TooLarge, &detail);
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return reject(RejectReason::InvalidUtf8, &format!("at byte {}", error.valid_up_to())),
        };
        let raw: RawRecord = serde_json::from_str(text).map_err(|error| json_problem(&error))?;
        let (index, model) = self.model(&raw)?;
        let record = self.record(raw, index, model, received)?;
        let nothing = record.text.is_none()
            && record.embedding.is_none()
            && record.answers.is_empty()
            && record.labels.is_empty()
            && record.unknown_tasks == 0;
        if record.time > latest {
            return reject(RejectReason::FutureTime, &format!("{} lies too far in the future", record.time));
        }
        if nothing {
            return reject(RejectReason::NothingInIt, "neither text, embedding, outputs nor labels");
        }
        Ok(record)
    }

    fn model(&self, raw: &RawRecord) -> Result<(usize, &KnownModel), Rejected> {
        let found = match &raw.model {
            Some(named) => self.models.iter().position(|m| m.spec.name == named.name.0),
            // Labels name no model: the first that has the task takes it.
            None => match &raw.task {
                Some(task) => self.models.iter().position(|m| m.tasks.contains_key(task.0.as_ref())),
                None if self.models.len() == 1 => Some(0),
                None => None,
            },
        };
        let missing = || match (&raw.model, &raw.task) {
            (None, Some(_)) => Rejected::new(RejectReason::UnknownTask, "no model has the label's task"),
            (None, None) => Rejected::new(RejectReason::UnknownModel, "the record names no model"),
            (Some(_), _) => Rejected::new(RejectReason::UnknownModel, "no manifest names the record's model"),
        };
        found.map(|i| (i, &self.models[i])).ok_or_else(missing)
    }

    fn record(
        &self,
        raw: RawRecord,
        index: usize,
        model: &KnownModel,
        received: Option<Timestamp>,
    ) -> Result<Record, Rejected> {
        let reject = |reason, detail: &str| Rejected::new(reason, detail);
        let time = match &raw.timestamp {
            Some(text) => Timestamp::parse(&text.0)
                .ok_or_else(|| reject(RejectReason::NoTime, "`timestamp` is not an RFC 3339 time"))?,
            None => received.ok_or_else(|| reject(RejectReason::NoTime, "neither the record nor Kafka has a time"))?,
        };
        let version = match raw.model.as_ref().and_then(|m| m.version.as_ref()) {
            Some(version) if version.0 != model.spec.version => VersionMatch::Other,
            _ => VersionMatch::Same,
        };
        let mut answers = Vec::new();
        let mut unknown_tasks = 0;
        for (name, output) in raw.outputs.map_or_else(Vec::new, |pairs| pairs.0) {
            let Some(&task) = model.tasks.get(name.0.as_ref()) else {
                unknown_tasks += 1;
                continue;
            };
            answers.resize_with(model.spec.tasks.len(), || None);
            answers[task] = Some(answer(&model.spec.tasks[task], &model.classes[task], output)?);
        }
        let is_label = raw.schema.as_ref().is_some_and(|s| s.0.starts_with("label/"));
        let mut labels = Vec::new();
        if is_label || raw.task.is_some() {
            let task = raw.task.as_ref().and_then(|t| model.tasks.get(t.0.as_ref()));
            let task = task.ok_or_else(|| reject(RejectReason::UnknownTask, "the label names no task of the model"))?;
            labels.push(Label { task: *task, class: None });
        }
        for (name, label) in raw.labels.map_or_else(Vec::new, |pairs| pairs.0) {
            let Some(&task) = model.tasks.get(name.0.as_ref()) else {
                unknown_tasks += 1;
                continue;
            };
            let class = match label {
                RawLabel::Class(class) => model.classes[task].get(class.0.as_ref()).copied(),
                RawLabel::Other(_) => None,
            };
            labels.push(Label { task, class });
        }
        let tags: Vec<(String, String)> =
            raw.tags.map_or_else(Vec::new, |tags| tags.0.into_iter().take(MOST_TAGS).map(tag).collect());
        let attributes = attributes(&model.spec.attributes, raw.attributes, &tags);
        let input = raw.input.and_then(|i| i.text.map(|text| (text, i.text_pair)));
        Ok(Record {
            id: raw.prediction_id.map(|id| id.0.into_owned()),
            model: index,
            version,
            time,
            text: input
                .map(|(text, pair)| InputText { text: text.0.into_owned(), pair: pair.map(|p| p.0.into_owned()) }),
            embedding: raw.embedding.map(embedding).transpose()?,
            answers,
            labels,
            unknown_tasks,
            tags,
            attributes,
        })
    }
}

fn tag((name, value): (Text, Text)) -> (String, String) {
    let short = |text: &str| text.chars().take(MOST_TAG_CHARACTERS).collect();
    (short(&name.0), short(&value.0))
}

/// The attributes that the manifest names, in its order; a tag of that name stands in for a
/// categorical one.
fn attributes(
    specs: &[AttributeSpec],
    raw: Option<Pairs<RawAttribute>>,
    tags: &[(String, String)],
) -> Vec<Option<AttributeValue>> {
    if specs.is_empty() {
        return Vec::new();
    }
    let raw = raw.map_or_else(Vec::new, |pairs| pairs.0);
    let value = |spec: &AttributeSpec| match raw.iter().find(|(name, _)| name.0 == spec.name).map(|(_, value)| value) {
        Some(RawAttribute::Number(number)) if spec.kind == AttributeKind::Categorical => {
            Some(AttributeValue::Category(number.to_string()))
        }
        Some(RawAttribute::Number(number)) => Some(AttributeValue::Number(*number)),
        Some(RawAttribute::Switch(switch)) => Some(AttributeValue::Category(switch.to_string())),
        Some(RawAttribute::Named(text)) => {
            Some(AttributeValue::Category(text.0.chars().take(MOST_TAG_CHARACTERS).collect()))
        }
        Some(RawAttribute::Other(_)) => None,
        None => tags.iter().find(|(name, _)| *name == spec.name).map(|(_, v)| AttributeValue::Category(v.clone())),
    };
    specs.iter().map(value).collect()
}

fn json_problem(error: &serde_json::Error) -> Rejected {
    use serde_json::error::Category;
    // The library's message may quote the record, so only the place is told.
    let at = format!("at line {} column {}", error.line(), error.column());
    match error.classify() {
        Category::Data => Rejected::new(RejectReason::InvalidShape, at),
        Category::Syntax | Category::Eof | Category::Io => Rejected::new(RejectReason::InvalidJson, at),
    }
}

fn embedding(raw: RawEmbedding) -> Result<Vec<f32>, Rejected> {
    match raw {
        RawEmbedding::Plain(values) => Ok(values),
        RawEmbedding::Packed { dtype, data_b64 } => {
            let width = match dtype.0.as_ref() {
                "f32" => 4,
                "f16" => 2,
                _ => return Err(Rejected::new(RejectReason::InvalidShape, "the embedding's dtype is not f32 or f16")),
            };
            unpack(&data_b64.0, width)
                .ok_or_else(|| Rejected::new(RejectReason::InvalidShape, "the embedding's data_b64"))
        }
    }
}

/// Base64 of little-endian numbers of `width` bytes; `None` if it is not that.
fn unpack(text: &str, width: usize) -> Option<Vec<f32>> {
    let bytes = BASE64.decode(text).ok()?;
    if bytes.len() % width != 0 {
        return None;
    }
    Some(match width {
        4 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        _ => bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
    })
}

fn answer(task: &TaskSpec, classes: &HashMap<String, u32>, raw: RawOutput) -> Result<Answer, Rejected> {
    let wrong = |what: &str| Rejected::new(RejectReason::WrongKind, format!("task `{}`: {what}", task.name));
    if let Some(kind) = &raw.kind
        && kind.0 != task.kind.to_string()
    {
        return Err(wrong("the output's kind is not the manifest's"));
    }
    let other = task.classes.len() as u32;
    let index = |name: &Text| classes.get(name.0.as_ref()).copied().unwrap_or(other);
    match task.kind {
        TaskKind::Regression => Ok(Answer::Value(raw.value.ok_or_else(|| wrong("it has no `value`"))?)),
        TaskKind::Binary | TaskKind::Multiclass => {
            let named = raw.label.as_ref().map(index);
            let logits =
                raw.logits.map(|l| full(l, task.classes.len()).ok_or_else(|| wrong("`logits`"))).transpose()?;
            let scores = match (raw.scores, &logits) {
                (Some(Numbers::Named(pairs)), _) => return Ok(named_class(&pairs, named, other, index)),
                (Some(numbers), _) => Some(full(numbers, task.classes.len()).ok_or_else(|| wrong("`scores`"))?),
                (None, Some(logits)) => Some(softmax(logits, task.temperature)),
                (None, None) => None,
            };
            match (scores, named) {
                (Some(scores), named) => {
                    let (top, confidence) = top_class(&scores);
                    let class = named.unwrap_or(top);
                    let confidence = match (confidence, scores.get(class as usize)) {
                        (Confidence::Known(_), Some(p)) => probability(*p),
                        (confidence, _) => confidence,
                    };
                    let uncertainty = Uncertainty::of_classes(&scores);
                    let uncertainty = logits.map_or(uncertainty, |l| uncertainty.with_energy(&l));
                    Ok(Answer::Class { class, confidence, uncertainty })
                }
                (None, Some(class)) => {
                    let uncertainty = Uncertainty::default();
                    Ok(Answer::Class { class, confidence: Confidence::Absent, uncertainty })
                }
                (None, None) => Err(wrong("it has neither `label` nor `scores` nor `logits`")),
            }
        }
        TaskKind::Multilabel => multilabel(task, raw, &index).ok_or_else(|| wrong("`labels` or `scores`")),
        TaskKind::TokenLabels => {
            let labels = raw.labels.ok_or_else(|| wrong("it has no `labels`"))?.iter().map(index).collect::<Vec<_>>();
            let confidence = match raw.scores.map(|s| full(s, labels.len())) {
                None => Confidence::Absent,
                Some(Some(scores)) => mean_confidence(scores.into_iter().map(probability)),
                Some(None) => return Err(wrong("`scores` are not one a token")),
            };
            Ok(Answer::Tokens { labels, confidence, uncertainty: Uncertainty::default() })
        }
    }
}

/// A class with named, perhaps partial, scores.
fn named_class(pairs: &[(Text, f32)], named: Option<u32>, other: u32, index: impl Fn(&Text) -> u32) -> Answer {
    let best = pairs.iter().max_by(|(_, a), (_, b)| a.total_cmp(b));
    let class = named.or_else(|| best.map(|(name, _)| index(name))).unwrap_or(other);
    let sum: f32 = pairs.iter().map(|(_, p)| p).sum();
    let complete = pairs.len() as u32 >= other;
    let fits = sum <= 1.0 + SUM_TOLERANCE && (!complete || sum >= 1.0 - SUM_TOLERANCE);
    let own = pairs.iter().find(|(name, _)| index(name) == class).map(|(_, p)| *p);
    let confidence = match own {
        _ if !fits => Confidence::Invalid,
        Some(p) => probability(p),
        None => Confidence::Absent,
    };
    let uncertainty = match confidence {
        Confidence::Known(_) if complete => Uncertainty::of_classes(&pairs.iter().map(|(_, p)| *p).collect::<Vec<_>>()),
        _ => Uncertainty::default(),
    };
    Answer::Class { class, confidence, uncertainty }
}

fn multilabel(task: &TaskSpec, raw: RawOutput, index: &impl Fn(&Text) -> u32) -> Option<Answer> {
    let mut from_scores = None;
    let mut uncertainty = Uncertainty::default();
    let confidence = match (raw.scores, raw.logits) {
        (Some(Numbers::Named(pairs)), _) => {
            let passed = pairs.iter().filter(|(_, p)| *p >= task.threshold).map(|(name, _)| index(name));
            from_scores = Some(passed.collect());
            least_certain(pairs.iter().map(|(_, p)| *p))
        }
        (Some(numbers), _) => scored(task, &full(numbers, task.classes.len())?, &mut from_scores, &mut uncertainty),
        (None, Some(logits)) => {
            let p = sigmoid(&full(logits, task.classes.len())?, task.temperature);
            scored(task, &p, &mut from_scores, &mut uncertainty)
        }
        (None, None) => Confidence::Absent,
    };
    let mut labels: Vec<u32> = match raw.labels {
        Some(labels) => labels.iter().map(index).collect(),
        None => from_scores?,
    };
    labels.sort_unstable();
    Some(Answer::Labels { labels, confidence, uncertainty })
}

fn scored(task: &TaskSpec, scores: &[f32], labels: &mut Option<Vec<u32>>, uncertainty: &mut Uncertainty) -> Confidence {
    *uncertainty = Uncertainty::of_labels(scores.iter().copied());
    let passed = scores.iter().enumerate().filter(|(_, p)| **p >= task.threshold).map(|(i, _)| i as u32);
    *labels = Some(passed.collect());
    least_certain(scores.iter().copied())
}

/// Exactly `n` numbers in the manifest's order; `None` if there are more or fewer, or names.
fn full(numbers: Numbers, n: usize) -> Option<Vec<f32>> {
    let numbers = match numbers {
        Numbers::Named(_) => return None,
        Numbers::Listed(numbers) => numbers,
        Numbers::Packed(text) => unpack(&text.0, 4).filter(|v| v.len() == n).or_else(|| unpack(&text.0, 2))?,
    };
    (numbers.len() == n).then_some(numbers)
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
            fn visit_seq<S: de::SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let mut numbers = Vec::with_capacity(seq.size_hint().unwrap_or(8));
                while let Some(number) = seq.next_element()? {
                    numbers.push(number);
                }
                Ok(Numbers::Listed(numbers))
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Numbers::Named(pairs))
            }
        }
        deserializer.deserialize_any(NumbersVisitor)
    }
}

#[cfg(test)]
#[path = "native_tests.rs"]
mod tests;
