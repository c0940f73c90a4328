//! Outputs of native records to answers.

use std::cell::{Cell, RefCell};

use hashbrown::HashMap;

use super::native_json::{Numbers, RawOutput, Text};
use crate::drift::answer::{
    Answer, Confidence, SUM_TOLERANCE, Uncertainty, least_certain, mean_confidence, probability, sigmoid, softmax,
    top_class,
};
use crate::drift::names;
use crate::drift::record::{RejectReason, Rejected};
use crate::drift::score_order::follows;
use crate::drift::task::{TaskKind, TaskSpec};

/// Names kept of one record's unknown classes: enough to see how they are written.
const MOST_UNKNOWN: usize = 4;

/// Classes that a record's answers name and the manifest does not.
#[derive(Default)]
pub(super) struct UnknownClasses(RefCell<Vec<(usize, Box<str>)>>);

impl UnknownClasses {
    /// Takes the names of one task.
    pub(super) fn of(&self, task: usize) -> impl Fn(&str) {
        move |given| {
            let mut names = self.0.borrow_mut();
            if names.len() < MOST_UNKNOWN {
                let name = (task, names::name(given));
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
    }

    /// Task and name of each.
    pub(super) fn into_names(self) -> Vec<(usize, Box<str>)> {
        self.0.into_inner()
    }
}

/// What is noted of an answer beside itself.
pub(super) struct Noted<'a> {
    /// Hears the names of classes that the manifest does not know.
    pub(super) unknown: &'a dyn Fn(&str),
    /// Whether the class that it names follows from its scores, where it has both.
    pub(super) follows: &'a Cell<Option<bool>>,
}

/// What one output says of its task.
///
/// # Errors
/// [`RejectReason::WrongKind`] where it cannot be an answer of the task's kind.
pub(super) fn answer(
    task: &TaskSpec,
    classes: &HashMap<String, u32>,
    raw: RawOutput,
    noted: &Noted,
) -> Result<Answer, Rejected> {
    let wrong = |what: &str| Rejected::new(RejectReason::WrongKind, format!("task `{}`: {what}", task.name));
    if let Some(kind) = &raw.kind
        && kind.0 != task.kind.name()
    {
        return Err(wrong("the output's kind is not the manifest's"));
    }
    let other = task.classes.len() as u32;
    let unlike = |what: &str| wrong(&format!("{what} are not one number for each of the manifest's {other} classes"));
    let index = |name: &Text| {
        classes.get(name.0.as_ref()).copied().unwrap_or_else(|| {
            (noted.unknown)(&name.0);
            other
        })
    };
    match task.kind {
        TaskKind::Regression => Ok(Answer::Value(raw.value.ok_or_else(|| wrong("it has no `value`"))?)),
        TaskKind::Binary | TaskKind::Multiclass => {
            let named = raw.label.as_ref().map(index);
            let logits = raw.logits.map(|l| logits(task, l).ok_or_else(|| unlike("`logits`"))).transpose()?;
            let scores = match (raw.scores, &logits) {
                (Some(Numbers::Named(pairs)), _) => return Ok(named_class(&pairs, named, other, index)),
                (Some(numbers), _) => Some(numbers.full(task.classes.len()).ok_or_else(|| unlike("`scores`"))?),
                (None, Some(logits)) => Some(softmax(logits, task.temperature)),
                (None, None) => None,
            };
            match (scores, named) {
                (Some(scores), named) => {
                    let (top, confidence) = top_class(&scores);
                    noted.follows.set(named.map(|class| follows(task, class, &scores)));
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
        TaskKind::Multilabel => {
            multilabel(task, raw, &index).ok_or_else(|| unlike("it has no `labels`, or its `scores` or `logits`"))
        }
        TaskKind::TokenLabels => {
            let labels = token_labels(&raw.labels.ok_or_else(|| wrong("it has no `labels`"))?, index);
            let confidence = match raw.scores.map(|s| s.full(labels.len())) {
                None => Confidence::Absent,
                Some(Some(scores)) => mean_confidence(scores.into_iter().map(probability)),
                Some(None) => return Err(wrong("`scores` are not one a token")),
            };
            Ok(Answer::Tokens { labels, confidence, uncertainty: Uncertainty::default() })
        }
    }
}

/// One logit a class; the single one of a binary head stands for a zero and itself.
fn logits(task: &TaskSpec, given: Numbers) -> Option<Vec<f32>> {
    match given {
        Numbers::Listed(one) if task.kind == TaskKind::Binary && one.len() == 1 => Some(vec![0.0, one[0]]),
        given => given.full(task.classes.len()),
    }
}

/// Labels of tokens; most are the same as the one before.
fn token_labels(names: &[Text], index: impl Fn(&Text) -> u32) -> Vec<u32> {
    let mut labels = Vec::with_capacity(names.len());
    let mut before = ("", None);
    for name in names {
        let label = before.1.filter(|_| before.0 == name.0).unwrap_or_else(|| index(name));
        before = (&name.0, Some(label));
        labels.push(label);
    }
    labels
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
        (Some(numbers), _) => scored(task, &numbers.full(task.classes.len())?, &mut from_scores, &mut uncertainty),
        (None, Some(logits)) => {
            let p = sigmoid(&logits.full(task.classes.len())?, task.temperature);
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
