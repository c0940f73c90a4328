//! What signals see of one record: facts about the input, a place in the encoder's space, and
//! the heads' answers, each from the one place the model's configuration takes it from.

use std::mem::take;

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::geometry::{Place, place};
use super::inference::{Inference, InputFacts};
use super::record::{AttributeValue, Record};
use super::reference::Reference;
use super::segment::{Segment, SegmentTag};
use super::skew::Skew;
use super::text::TextFacts;

/// What a tag is called of a record without it.
const NO_VALUE: &str = "no value";

/// Whose answers feed the head signals. Never both in one window, or records would count twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeadSource {
    /// Production's predictions.
    Predictions,
    /// Our own run of the exported model.
    Inference,
}

/// One record as the signals see it.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Facts from the tokenizer.
    pub input: Option<InputFacts>,
    /// Facts from the text itself.
    pub text: Option<TextFacts>,
    /// Attributes in the order of the model's; may be empty.
    pub attributes: Vec<Option<AttributeValue>>,
    /// The segment's value for each of the reference's tags.
    pub segments: Vec<u16>,
    /// Place in the encoder's space.
    pub place: Place,
    /// Answers by task index; may be empty.
    pub answers: Vec<Option<Answer>>,
    /// Production's answer beside ours, where both are known.
    pub skew: Option<Skew>,
    /// Values that the reference or the manifest does not list, by name; mostly none.
    pub unlisted: Vec<(ValueOf, Box<str>)>,
}

/// What has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueOf {
    /// A tag of the reference's segments, by index.
    Tag(usize),
    /// What a task's head answers, by the task's index.
    Head(usize),
}

/// A record joined with our inference of it, before a reference says how to look at it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Joined {
    /// Facts from the tokenizer.
    pub input: Option<InputFacts>,
    /// Facts from the text itself.
    pub text: Option<TextFacts>,
    /// Attributes in the order of the model's.
    pub attributes: Vec<Option<AttributeValue>>,
    /// What production says about the traffic.
    pub tags: Vec<(String, String)>,
    /// The embedding from where the answers come, else from where there is one; empty for none.
    pub embedding: Vec<f32>,
    /// Answers by task index.
    pub answers: Vec<Option<Answer>>,
    /// Production's answer beside ours, where both are known.
    pub skew: Option<Skew>,
}

impl Joined {
    /// Joins a record with our inference of it. What it needs of the record it takes out, the rest stays.
    pub fn new(record: &mut Record, inference: Option<Inference>, heads: HeadSource) -> Joined {
        let text = record.text.as_ref().map(TextFacts::of);
        let skew = inference.as_ref().and_then(|ours| Skew::between(record, ours));
        let (input, ours, inferred) =
            inference.map_or((None, Vec::new(), Vec::new()), |i| (Some(i.input), i.embedding, i.answers));
        let served = record.embedding.take().unwrap_or_default();
        let (first, second) = match heads {
            HeadSource::Predictions => (served, ours),
            HeadSource::Inference => (ours, served),
        };
        Joined {
            input,
            text,
            attributes: take(&mut record.attributes),
            tags: take(&mut record.tags),
            embedding: if first.is_empty() { second } else { first },
            answers: match heads {
                HeadSource::Predictions => take(&mut record.answers),
                HeadSource::Inference => inferred,
            },
            skew,
        }
    }

    /// As a reference looks at it.
    pub fn observe(mut self, place: Place, segments: &[SegmentTag]) -> Observation {
        self.taken_out(place, segments)
    }

    /// As a reference looks at it; embedding and tags stay.
    fn taken_out(&mut self, place: Place, segments: &[SegmentTag]) -> Observation {
        let values: Vec<u16> = segments.iter().map(|tag| tag.value(&self.tags)).collect();
        let is_unlisted = |(tag, value): &(&SegmentTag, &u16)| tag.values.len() == usize::from(**value);
        let unlisted = segments.iter().zip(&values).enumerate().filter(|(_, both)| is_unlisted(both));
        let name = |(index, (tag, _)): (usize, (&SegmentTag, &u16))| {
            (ValueOf::Tag(index), tag.given(&self.tags).unwrap_or(NO_VALUE).into())
        };
        Observation {
            unlisted: unlisted.map(name).collect(),
            segments: values,
            input: self.input.take(),
            text: self.text,
            attributes: take(&mut self.attributes),
            place,
            answers: take(&mut self.answers),
            skew: self.skew.take(),
        }
    }
}

impl Observation {
    /// A record with our inference of it, as a reference looks at it. What is in the observation is taken out of
    /// the record, the rest is there when this is done, if only to be freed where it came from.
    pub fn new(record: &mut Record, inference: Option<Inference>, reference: &Reference) -> Observation {
        let mut joined = Joined::new(record, inference, reference.heads);
        let place = place(&joined.embedding, reference.geometry.as_ref(), record.time);
        let mut observation = joined.taken_out(place, &reference.segments);
        if reference.heads == HeadSource::Predictions {
            let classes = record.unknown_classes.iter().map(|(task, name)| (ValueOf::Head(*task), name.clone()));
            observation.unlisted.extend(classes);
        }
        record.embedding = Some(joined.embedding).filter(|values| !values.is_empty());
        record.tags = joined.tags;
        observation
    }

    /// What a task's head answered.
    pub fn answer(&self, task: usize) -> Option<&Answer> {
        self.answers.get(task)?.as_ref()
    }

    /// Names of values that are not listed.
    pub fn unlisted_of(&self, of: ValueOf) -> impl Iterator<Item = &str> {
        self.unlisted.iter().filter(move |(whose, _)| *whose == of).map(|(_, name)| name.as_ref())
    }

    /// Whether it is of a segment.
    pub fn lies_in(&self, segment: Segment) -> bool {
        self.segments.get(usize::from(segment.tag)) == Some(&segment.value)
    }
}
