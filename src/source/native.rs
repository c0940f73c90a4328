//! The native JSON format: inputs, predictions and labels, alone or together in one record.
//!
//! Strings are borrowed from the message and class names become indices at once, so that a record
//! costs few allocations. Nothing of a record's text ever enters an error.

use std::cell::Cell;
use std::sync::Arc;

use hashbrown::HashMap;

use super::debezium::{self, Change};
use super::native_answer::{Noted, UnknownClasses, answer};
use super::native_json::{
    PackedEmbedding, Pairs, RawAttribute, RawEmbedding, RawLabels, RawRecord, RawTime, Text, unpack,
};
use super::native_label::value_of;
use super::{native_problem, native_quick};
use crate::drift::label::Label;
use crate::drift::names;
use crate::drift::record::{AttributeValue, InputText, Record, RejectReason, Rejected, VersionMatch};
use crate::drift::score_order::ScoreOrder;
use crate::drift::task::{AttributeKind, AttributeSpec, ModelSpec};
use crate::drift::time::Timestamp;

/// More tags than this, or longer ones, are cut.
const MOST_TAGS: usize = 64;
const MOST_TAG_CHARACTERS: usize = 128;

/// Forms of records that are known; a record need not name its own.
const SCHEMAS: [&str; 3] = ["prediction/v1", "label/v1", "input/v1"];

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
        let mut quick = RawRecord::default();
        if native_quick::record(text, &mut quick).is_some() && quick.op.is_none() {
            let (index, model) = self.model(&quick)?;
            return checked(self.record(quick, index, model, received)?, latest);
        }
        let native = serde_json::from_str::<RawRecord>(text);
        // A change of a row of labels; what is not is taken as it is, or refused for what it lacks.
        let wrapped = native.as_ref().map_or(true, |raw| raw.op.is_some());
        let change = if wrapped { debezium::unwrap(text)? } else { None };
        let record = match change {
            Some(change) => self.changed(&change, received)?,
            None => {
                let raw = native.map_err(|error| self.unreadable(text, &error))?;
                let (index, model) = self.model(&raw)?;
                self.record(raw, index, model, received)?
            }
        };
        checked(record, latest)
    }

    /// A label from a row that was written or deleted elsewhere.
    fn changed(&self, change: &Change, received: Option<Timestamp>) -> Result<Record, Rejected> {
        let mut raw: RawRecord =
            serde_json::from_str(change.row).map_err(|error| self.unreadable(change.row, &error))?;
        // A table may have a column of that name.
        raw.schema = raw.schema.filter(|schema| SCHEMAS.contains(&schema.0.as_ref()));
        let (index, model) = self.model(&raw)?;
        let mut record = self.record(raw, index, model, received.or(change.at))?;
        record.time = change.at.unwrap_or(record.time);
        for label in &mut record.labels {
            label.at = record.time;
            label.retracted |= change.deleted;
        }
        Ok(record)
    }

    fn unreadable(&self, text: &str, error: &serde_json::Error) -> Rejected {
        native_problem::refused(text, error, |name| self.models.iter().any(|model| model.tasks.contains_key(name)))
    }

    fn model(&self, raw: &RawRecord) -> Result<(usize, &KnownModel), Rejected> {
        let of_labels = match &raw.labels {
            Some(RawLabels::ByTask(pairs)) => pairs.0.first().map(|(task, _)| task),
            _ => None,
        };
        let found = match &raw.model {
            Some(named) => self.models.iter().position(|m| m.spec.name == named.name.0),
            None if self.models.len() == 1 && raw.task.is_none() => Some(0),
            // Labels name no model: the first that has the task takes it.
            None => match raw.task.as_ref().or(of_labels) {
                Some(task) => self.models.iter().position(|m| m.tasks.contains_key(task.0.as_ref())),
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
        if raw.schema.as_ref().is_some_and(|schema| !SCHEMAS.contains(&schema.0.as_ref())) {
            let detail = format!("`schema`: expected {}, or none", SCHEMAS.map(|name| format!("`{name}`")).join(", "));
            return Err(reject(RejectReason::InvalidShape, &detail));
        }
        let time = match &raw.timestamp {
            Some(RawTime(time)) => {
                let name = if raw.outputs.is_none() && (raw.task.is_some() || raw.labels.is_some()) {
                    "`labeled_at` (or `timestamp`)"
                } else {
                    "`timestamp`"
                };
                let detail = || {
                    format!(
                        "{name} is no RFC 3339 time with its zone, such as 2026-11-25T09:00:00Z, nor a number since 1970"
                    )
                };
                time.ok_or_else(|| reject(RejectReason::NoTime, &detail()))?
            }
            None => received.ok_or_else(|| reject(RejectReason::NoTime, "neither the record nor Kafka has a time"))?,
        };
        let version = match raw.model.as_ref().and_then(|m| m.version.as_ref()) {
            Some(version) if version.0 != model.spec.version => VersionMatch::Other(names::name(&version.0)),
            _ => VersionMatch::Same,
        };
        let mut answers = Vec::new();
        let (unknown_classes, mut score_order) = (UnknownClasses::default(), ScoreOrder::default());
        let mut unknown_tasks = 0;
        for (name, output) in raw.outputs.map_or_else(Vec::new, |pairs| pairs.0) {
            let Some(&task) = model.tasks.get(name.0.as_ref()) else {
                unknown_tasks += 1;
                continue;
            };
            answers.resize_with(model.spec.tasks.len(), || None);
            // `null` is no answer, and no tag.
            let Some(output) = output else { continue };
            let follows = Cell::new(None);
            let noted = Noted { unknown: &unknown_classes.of(task), follows: &follows };
            answers[task] = Some(answer(&model.spec.tasks[task], &model.classes[task], output, &noted)?);
            if let Some(follows) = follows.get() {
                score_order.note(task, follows);
            }
        }
        let is_label = raw.schema.as_ref().is_some_and(|s| s.0.starts_with("label/"));
        let mut labels = Vec::new();
        let unknown_labels = UnknownClasses::default();
        let revision = raw.revision.unwrap_or(0);
        let retracted = raw.retracted.unwrap_or(false) || raw.deleted.is_some_and(|d| d.0 == "true");
        let mut add = |task: usize, raw| {
            let value = value_of(&model.spec.tasks[task], &model.classes[task], raw, &unknown_labels.of(task));
            labels.push(Label { task, value, revision, at: time, retracted });
        };
        let (by_task, listed) = match raw.labels {
            Some(RawLabels::ByTask(pairs)) => (pairs.0, None),
            Some(RawLabels::Listed(list)) => (Vec::new(), Some(list)),
            None => (Vec::new(), None),
        };
        if raw.task.is_some() || (is_label && by_task.is_empty()) {
            let task = raw.task.as_ref().and_then(|t| model.tasks.get(t.0.as_ref()));
            let task = task.ok_or_else(|| reject(RejectReason::UnknownTask, "the label names no task of the model"))?;
            add(*task, raw.label.or(listed).or(raw.value));
        }
        let mut unknown_label_tasks = 0;
        for (name, label) in by_task {
            match model.tasks.get(name.0.as_ref()) {
                Some(&task) => add(task, Some(label)),
                None => unknown_label_tasks += 1,
            }
        }
        let tags: Vec<(String, String)> =
            raw.tags.map_or_else(Vec::new, |tags| tags.0.into_iter().take(MOST_TAGS).filter_map(tag).collect());
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
            unknown_label_tasks,
            unknown_classes: unknown_classes.into_names(),
            unknown_labels: unknown_labels.into_names(),
            score_order,
            tags,
            attributes,
        })
    }
}

/// A record that says something, and nothing of the future.
fn checked(record: Record, latest: Timestamp) -> Result<Record, Rejected> {
    let nothing = record.text.is_none()
        && record.embedding.is_none()
        && record.answers.is_empty()
        && record.labels.is_empty()
        && record.unknown_tasks == 0
        && record.unknown_label_tasks == 0;
    if record.time > latest {
        let detail = format!("{} lies too far in the future", record.time);
        return Err(Rejected::new(RejectReason::FutureTime, detail));
    }
    if nothing {
        return Err(Rejected::new(RejectReason::NothingInIt, "neither text, embedding, outputs nor labels"));
    }
    Ok(record)
}

fn tag((name, value): (Text, Option<Text>)) -> Option<(String, String)> {
    let short = |text: &str| text.chars().take(MOST_TAG_CHARACTERS).collect();
    Some((short(&name.0), short(&value?.0)))
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

fn embedding(raw: RawEmbedding) -> Result<Vec<f32>, Rejected> {
    match raw {
        RawEmbedding::Plain(values) => Ok(values),
        RawEmbedding::Packed(PackedEmbedding { dtype, data_b64 }) => {
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

#[cfg(test)]
#[path = "native_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "native_schema_tests.rs"]
mod schema_tests;
