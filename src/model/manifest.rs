//! The manifest: a YAML file beside the model that says what the graph cannot.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::ModelError;
use crate::document::{self, Document, Problem, Problems};
use crate::drift::golden::Tolerance;
use crate::drift::task::{AttributeKind, AttributeSpec, ModelSpec, TaskKind, TaskSpec};

/// A model's manifest as it is written.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawManifest {
    /// Format of this file; 1.
    #[schemars(range(min = 1, max = 1))]
    pub manifest: u32,
    /// Name and version under which records speak of the model.
    pub model: RawIdentity,
    /// The graph. Without it no model is run, and records are judged by what they bring.
    pub onnx: Option<RawOnnx>,
    /// The tokenizer; the graph cannot be run without. Where neither is there, texts are watched by their words.
    pub tokenizer: Option<RawTokenizer>,
    /// Names of the graph's inputs.
    #[serde(default)]
    pub inputs: RawInputs,
    /// The encoder's embedding: the output of the graph that gives it, or what records bring.
    pub embedding: Option<RawEmbedding>,
    /// The heads.
    pub tasks: Vec<RawTask>,
    /// Texts whose answers are known from when the model was exported: run whenever it is loaded.
    pub golden: Option<RawGolden>,
    /// Attributes of the request that are watched beside the text.
    #[serde(default)]
    pub attributes: Vec<RawAttribute>,
    /// Tags whose values (such as each channel) are also watched on their own, inside the same budget;
    /// by default up to two tags that have few values in the reference. `[]` for none.
    pub segments: Option<Vec<String>>,
}

/// The golden set.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGolden {
    /// Native records, one a line, each with a text, and the expected answers or embedding or both; relative to
    /// the manifest.
    pub file: PathBuf,
    /// How far numbers may be from the expected ones.
    #[serde(default)]
    pub tolerance: Tolerance,
}

/// An attribute of the request.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawAttribute {
    /// Its name in the record's `attributes`.
    pub name: String,
    /// What its values are.
    pub kind: AttributeKind,
}

/// Name and version of the model.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawIdentity {
    /// Name.
    pub name: String,
    /// Version; quote it if it looks like a number.
    pub version: String,
}

/// The graph.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOnnx {
    /// The ONNX file, relative to the manifest.
    pub file: PathBuf,
    /// SHA-256 of the file in hexadecimal; checked if given.
    pub sha256: Option<String>,
}

/// The tokenizer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTokenizer {
    /// The `tokenizer.json` of a fast tokenizer, relative to the manifest.
    pub file: PathBuf,
    /// Longest sequence the model takes, special tokens included.
    #[schemars(range(min = 2, max = 65536))]
    pub max_tokens: usize,
    /// Id that fills short sequences.
    #[serde(default)]
    pub pad_id: u32,
    /// The unknown token, if the tokenizer has one.
    pub unknown_token: Option<String>,
}

/// Names of the graph's inputs.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawInputs {
    /// Token ids, int64 or int32 [batch, sequence]. Both sizes may be free or fixed: batches are filled up to a fixed
    /// one, texts are padded to a fixed length.
    pub input_ids: String,
    /// 1 for tokens, 0 for padding, int64, int32 or float [batch, sequence].
    pub attention_mask: Option<String>,
    /// Segment ids, int64 or int32 [batch, sequence].
    pub token_type_ids: Option<String>,
}

impl Default for RawInputs {
    fn default() -> RawInputs {
        RawInputs { input_ids: "input_ids".into(), attention_mask: Some("attention_mask".into()), token_type_ids: None }
    }
}

/// The encoder's output.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEmbedding {
    /// Output name, float or float16 [batch, dimension]; needed with `onnx`.
    pub output: Option<String>,
    /// Its dimension.
    #[schemars(range(min = 1, max = 65536))]
    pub dimension: usize,
}

/// One head.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTask {
    /// Name under which records speak of the task.
    pub name: String,
    /// What it answers.
    pub kind: TaskKind,
    /// Name of the graph's output, float or float16; by default the task's name.
    pub output: Option<String>,
    /// What turns the output into probabilities; by default what the kind implies for logits.
    pub activation: Option<Activation>,
    /// Logits are divided by this first.
    #[serde(default = "one")]
    pub temperature: f32,
    /// Probability at which a multi-label head gives a label.
    #[serde(default = "half")]
    pub threshold: f32,
    /// Class names in the order of the output; of a binary head with one column the second is what high values say.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Values a regression head can give; for display.
    pub range: Option<[f64; 2]>,
}

/// What turns a head's output into probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Logits of classes that exclude each other.
    Softmax,
    /// Logits of labels that do not, or the one logit of a binary head.
    Sigmoid,
    /// The output already holds probabilities (of a binary head with one column the second class's), or a value.
    None,
}

fn one() -> f32 {
    1.0
}

fn half() -> f32 {
    0.5
}

/// A valid manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Where it was read from.
    pub file: PathBuf,
    /// The model as the domain sees it.
    pub spec: ModelSpec,
    /// The ONNX file, where there is one.
    pub onnx: Option<PathBuf>,
    /// Its digest in lower-case hexadecimal, if pinned.
    pub sha256: Option<String>,
    /// The tokenizer; there is one where there is an ONNX file.
    pub tokenizer: Option<RawTokenizer>,
    /// Names of the graph's inputs.
    pub inputs: RawInputs,
    /// Name of the encoder's output; there is one where there are an ONNX file and an embedding.
    pub embedding: Option<String>,
    /// How each head's output is read, by task index.
    pub heads: Vec<HeadSpec>,
    /// The golden set, if there is one.
    pub golden: Option<RawGolden>,
}

/// How a head's output is read.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadSpec {
    /// Name of the graph's output.
    pub output: String,
    /// What turns it into probabilities.
    pub activation: Activation,
}

impl Manifest {
    /// Reads and checks a manifest; files it names are relative to it.
    ///
    /// # Errors
    /// [`Problems`], all of them at once.
    pub fn load(file: &Path) -> Result<Manifest, Problems> {
        let document = document::read::<RawManifest>(file)?;
        let problems = check(&document);
        if !problems.is_empty() {
            return Err(Problems { file: file.to_owned(), problems });
        }
        let directory = document.directory().to_owned();
        let raw = document.content;
        let tokenizer = raw.tokenizer.map(|raw| RawTokenizer { file: directory.join(raw.file), ..raw });
        let heads = raw.tasks.iter().map(|task| HeadSpec {
            output: task.output.clone().unwrap_or_else(|| task.name.clone()),
            activation: task.activation.unwrap_or_else(|| implied(task.kind)),
        });
        Ok(Manifest {
            file: file.to_owned(),
            heads: heads.collect(),
            spec: ModelSpec {
                name: raw.model.name,
                version: raw.model.version,
                embedding_dimension: raw.embedding.as_ref().map(|e| e.dimension),
                attributes: raw.attributes.into_iter().map(|a| AttributeSpec { name: a.name, kind: a.kind }).collect(),
                segments: raw.segments,
                tasks: raw
                    .tasks
                    .into_iter()
                    .map(|t| TaskSpec {
                        name: t.name,
                        kind: t.kind,
                        classes: t.classes,
                        threshold: t.threshold,
                        temperature: t.temperature,
                    })
                    .collect(),
            },
            golden: raw.golden.map(|golden| RawGolden { file: directory.join(golden.file), ..golden }),
            onnx: raw.onnx.as_ref().map(|onnx| directory.join(&onnx.file)),
            sha256: raw.onnx.and_then(|onnx| onnx.sha256).map(|s| s.to_lowercase()),
            tokenizer,
            inputs: raw.inputs,
            embedding: raw.embedding.and_then(|embedding| embedding.output),
        })
    }

    /// The ONNX file and its tokenizer. `needed` says what cannot be done without, and what to do: `it is run: name
    /// its file`.
    ///
    /// # Errors
    /// [`ModelError::NoModel`].
    pub fn model(&self, needed: &str) -> Result<(&Path, &RawTokenizer), ModelError> {
        let none = || ModelError::NoModel { manifest: self.file.clone(), needed: needed.to_owned() };
        self.onnx.as_deref().zip(self.tokenizer.as_ref()).ok_or_else(none)
    }
}

fn implied(kind: TaskKind) -> Activation {
    match kind {
        TaskKind::Binary | TaskKind::Multiclass | TaskKind::TokenLabels => Activation::Softmax,
        TaskKind::Multilabel => Activation::Sigmoid,
        TaskKind::Regression => Activation::None,
    }
}

fn check(document: &Document<RawManifest>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut fail = |path: String, message: String| problems.push(document.problem(&path, message));
    let raw = &document.content;
    if raw.tasks.is_empty() {
        fail("/tasks".into(), "no task: a multi-task model has at least one head".into());
    }
    let mut names = BTreeSet::new();
    for (i, task) in raw.tasks.iter().enumerate() {
        let at = |key: &str| format!("/tasks/{i}/{key}");
        if !names.insert(&task.name) {
            fail(at("name"), format!("task `{}` is named twice", task.name));
        }
        let classes: BTreeSet<&String> = task.classes.iter().collect();
        if classes.len() < task.classes.len() {
            fail(at("classes"), "a class is named twice".into());
        }
        let (least, most) = match task.kind {
            TaskKind::Binary => (2, 2),
            TaskKind::Multiclass | TaskKind::TokenLabels => (2, usize::MAX),
            TaskKind::Multilabel => (1, usize::MAX),
            TaskKind::Regression => (0, 0),
        };
        if task.classes.len() < least || task.classes.len() > most {
            let expected = match (least, most) {
                (0, 0) => "none".to_owned(),
                (2, 2) => "exactly 2".to_owned(),
                (least, _) => format!("at least {least}"),
            };
            fail(at("classes"), format!("a {} task has {expected}, found {}", task.kind, task.classes.len()));
        }
        if !(task.temperature.is_finite() && task.temperature > 0.0) {
            fail(at("temperature"), format!("found {}, expected a number above 0", task.temperature));
        }
        if !(0.0..=1.0).contains(&task.threshold) {
            fail(at("threshold"), format!("found {}, expected a probability", task.threshold));
        }
    }
    for (name, tolerance) in
        raw.golden.iter().flat_map(|g| [("embedding", g.tolerance.embedding), ("confidence", g.tolerance.confidence)])
    {
        if !(0.0..=1.0).contains(&tolerance) {
            fail(format!("/golden/tolerance/{name}"), format!("found {tolerance}, expected a number from 0 to 1"));
        }
    }
    let runs = raw.onnx.is_some();
    if runs && raw.tokenizer.is_none() {
        fail(
            "/onnx".into(),
            "a model cannot be run without its `tokenizer`: name that too, or leave out `onnx`".into(),
        );
    }
    if runs && raw.embedding.as_ref().is_some_and(|embedding| embedding.output.is_none()) {
        fail("/embedding".into(), "it has no `output`: which of the graph's outputs is it?".into());
    }
    if !runs && raw.golden.is_some() {
        fail("/golden".into(), "a golden set is run through the model: name its `onnx`, or leave out `golden`".into());
    }
    let mut names = BTreeSet::new();
    for (i, attribute) in raw.attributes.iter().enumerate() {
        if !names.insert(&attribute.name) {
            fail(format!("/attributes/{i}/name"), format!("attribute `{}` is named twice", attribute.name));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(tasks: &str) -> Vec<String> {
        let text = format!(
            "manifest: 1\nmodel: {{name: m, version: '1'}}\nonnx: {{file: m.onnx}}\n\
             tokenizer: {{file: t.json, max_tokens: 8}}\ntasks: {tasks}\n"
        );
        let document = document::parse::<RawManifest>(Path::new("m.yaml"), &text).expect("right shape");
        check(&document).into_iter().map(|p| format!("{} {}", p.path, p.message)).collect()
    }

    #[test]
    fn class_counts_follow_the_kind() {
        let found = problems(
            "[{name: a, kind: binary, classes: [x]}, {name: a, kind: regression, classes: [x]}, \
             {name: c, kind: multiclass, classes: [x, x], temperature: 0}, {name: d, kind: multilabel, classes: [x]}]",
        );
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found[0].contains("/tasks/0/classes a binary task has exactly 2, found 1"), "{found:#?}");
    }

    #[test]
    fn what_needs_the_model_is_a_problem_without_one() {
        let found = |text: &str| {
            let text = format!(
                "manifest: 1\nmodel: {{name: m, version: '1'}}\ntasks: [{{name: a, kind: regression}}]\n{text}"
            );
            let document = document::parse::<RawManifest>(Path::new("m.yaml"), &text).expect("right shape");
            check(&document).into_iter().map(|p| format!("{} {}", p.path, p.message)).collect::<Vec<_>>()
        };
        let tokenizer = "tokenizer: {file: t.json, max_tokens: 8}\n";
        for fine in ["", tokenizer, "embedding: {dimension: 3}\n", "embedding: {dimension: 3, output: e}\n"] {
            assert_eq!(found(fine), Vec::<String>::new(), "{fine}");
        }
        for (text, said) in [
            ("onnx: {file: m.onnx}\n".to_owned(), "/onnx a model cannot be run without its `tokenizer`"),
            (
                format!("onnx: {{file: m.onnx}}\n{tokenizer}embedding: {{dimension: 3}}\n"),
                "/embedding it has no `output`",
            ),
            ("golden: {file: g.jsonl}\n".to_owned(), "/golden a golden set is run through the model"),
        ] {
            let found = found(&text);
            assert!(found.len() == 1 && found[0].starts_with(said), "{text}: {found:?}");
        }
    }

    #[test]
    fn no_task_is_a_problem() {
        assert_eq!(problems("[]").len(), 1);
    }
}
