//! Tasks of a multi-task model and what their heads can answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::names::other_than;

/// What a head answers for one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// One of two classes.
    Binary,
    /// One of several classes.
    Multiclass,
    /// Any subset of the labels.
    Multilabel,
    /// One label per token.
    TokenLabels,
    /// A number.
    Regression,
}

impl TaskKind {
    /// All of them.
    pub const ALL: [TaskKind; 5] =
        [TaskKind::Binary, TaskKind::Multiclass, TaskKind::Multilabel, TaskKind::TokenLabels, TaskKind::Regression];

    /// Whether the head chooses among named classes.
    pub fn has_classes(self) -> bool {
        self != TaskKind::Regression
    }

    /// What its accuracy is: a share of right answers, of right label sets, the mean share of right tokens, or one less
    /// the mean distance.
    pub fn metric(self) -> &'static str {
        match self {
            TaskKind::Binary | TaskKind::Multiclass => "accuracy",
            TaskKind::Multilabel => "label_accuracy",
            TaskKind::TokenLabels => "token_accuracy",
            TaskKind::Regression => "closeness",
        }
    }

    /// Its name in manifests and records.
    pub fn name(self) -> &'static str {
        match self {
            TaskKind::Binary => "binary",
            TaskKind::Multiclass => "multiclass",
            TaskKind::Multilabel => "multilabel",
            TaskKind::TokenLabels => "token_labels",
            TaskKind::Regression => "regression",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One task: its name, kind, and the classes in the order of the head's outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Unique within the model.
    pub name: String,
    /// What the head answers.
    pub kind: TaskKind,
    /// Class names in output order; empty for regression.
    pub classes: Vec<String>,
    /// Probability at which a label of a multi-label head counts as given.
    pub threshold: f32,
    /// Logits are divided by this before they become probabilities.
    pub temperature: f32,
}

impl TaskSpec {
    /// Index of a class by name.
    pub fn class(&self, name: &str) -> Option<u32> {
        self.classes.iter().position(|c| c == name).map(|i| i as u32)
    }

    /// Name of a class by index; one past the last is `other`.
    pub fn class_name(&self, index: usize) -> &str {
        self.classes.get(index).map_or_else(|| other_than(&self.classes), String::as_str)
    }
}

/// What kind of values an attribute of the request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttributeKind {
    /// Numbers, watched in equal-mass bins.
    Numeric,
    /// Some categories, watched by their shares.
    Categorical,
}

/// An attribute of the request that is watched beside the text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttributeSpec {
    /// Its name in the record's `attributes`.
    pub name: String,
    /// What its values are.
    pub kind: AttributeKind,
}

/// A model as the domain sees it: name, version, tasks, size of the embedding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Name under which records speak of it.
    pub name: String,
    /// Version under which records speak of it.
    pub version: String,
    /// Tasks in the manifest's order.
    pub tasks: Vec<TaskSpec>,
    /// Length of the encoder's embedding, if there is one.
    pub embedding_dimension: Option<usize>,
    /// Attributes of the request that are watched.
    pub attributes: Vec<AttributeSpec>,
    /// Tags whose values are watched on their own; `None` lets the reference choose.
    pub segments: Option<Vec<String>>,
}

impl ModelSpec {
    /// Index of a task by name.
    pub fn task(&self, name: &str) -> Option<usize> {
        self.tasks.iter().position(|t| t.name == name)
    }
}
