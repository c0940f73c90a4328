//! The golden set that a manifest names, run through the model whenever one is loaded.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;

use super::replay::MOST_LINE_BYTES;
use crate::drift::golden::{Tolerance, Unlike, unlike};
use crate::drift::inference::Inference;
use crate::drift::record::{InputText, Record, VersionMatch};
use crate::drift::task::ModelSpec;
use crate::model::onnx::OnnxModel;
use crate::model::{Depth, Manifest, ModelHandle};
use crate::source::files::FileRecords;
use crate::source::native::NativeDecoder;

/// Texts of a golden set at most: all are run at every start.
const MOST: usize = 1_000;
/// Differences told one by one.
const TOLD: usize = 5;
/// Texts in a batch of the check.
const BATCH: usize = 32;

/// Texts with what is expected of them.
pub struct Golden {
    file: PathBuf,
    spec: ModelSpec,
    tolerance: Tolerance,
    /// By line of the file.
    cases: Vec<(u64, Record)>,
}

/// A golden set that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the golden set `{file}`, line {line}: {reason}")]
pub struct Unusable {
    file: PathBuf,
    line: u64,
    reason: String,
}

/// The model does not answer as it did when it was exported.
#[derive(Debug, thiserror::Error)]
#[error(
    "model `{model}` version {version} does not answer its golden set `{file}` as expected, in {unlike} of {texts} \
     texts: check the ONNX file, the tokenizer and the order of classes, or make the set anew if the model was \
     exported anew\n  {}",
    told.join("\n  ")
)]
pub struct NotGolden {
    model: String,
    version: String,
    file: PathBuf,
    unlike: usize,
    texts: usize,
    told: Vec<String>,
}

impl Golden {
    /// The set that a manifest names, if it names one: native records with a text, and answers or an embedding.
    ///
    /// # Errors
    /// If the file cannot be read; [`Unusable`] for the first line that is none.
    pub fn load(manifest: &Manifest) -> anyhow::Result<Option<Golden>> {
        let Some(named) = &manifest.golden else { return Ok(None) };
        let (file, spec) = (named.file.clone(), manifest.spec.clone());
        let decoder = NativeDecoder::new(vec![Arc::new(spec.clone())], MOST_LINE_BYTES);
        let mut cases = Vec::new();
        for line in FileRecords::open(&file, &decoder, MOST_LINE_BYTES)? {
            let line = line?;
            let number = line.number;
            let unusable = |reason: String| Unusable { file: file.clone(), line: number, reason };
            let record = line.decoded.map_err(|why| unusable(why.to_string()))?;
            match () {
                () if cases.len() >= MOST => return Err(unusable(format!("more than {MOST} texts")).into()),
                () if record.version != VersionMatch::Same => {
                    return Err(unusable(format!("another version than the manifest's `{}`", spec.version)).into());
                }
                () if record.text.is_none() => return Err(unusable("no text".into()).into()),
                () if record.embedding.is_none() && record.answers.is_empty() => {
                    return Err(unusable("neither answers nor an embedding to expect".into()).into());
                }
                () => cases.push((number, record)),
            }
        }
        if cases.is_empty() {
            return Err(Unusable { file, line: 0, reason: "it is empty".into() }.into());
        }
        Ok(Some(Golden { file, spec, tolerance: named.tolerance, cases }))
    }

    /// Runs the set.
    ///
    /// # Errors
    /// If the model fails; [`NotGolden`] if it answers otherwise.
    pub async fn check(&self, model: &ModelHandle) -> anyhow::Result<()> {
        self.verify(&model.infer(self.texts()).await?)
    }

    /// As [`Golden::check`].
    ///
    /// # Errors
    /// As [`Golden::check`].
    pub fn check_at_once(&self, model: &mut OnnxModel) -> anyhow::Result<()> {
        self.verify(&model.infer(&self.texts(), BATCH)?)
    }

    /// How many texts there are.
    pub fn texts_known(&self) -> usize {
        self.cases.len()
    }

    fn texts(&self) -> Vec<(InputText, Depth)> {
        self.cases.iter().filter_map(|(_, record)| Some((record.text.clone()?, Depth::Full))).collect()
    }

    fn verify(&self, inferences: &[Inference]) -> anyhow::Result<()> {
        let mut told = Vec::new();
        let mut count = 0;
        for ((line, expected), ours) in self.cases.iter().zip(inferences) {
            let found = unlike(expected, ours, self.tolerance);
            count += usize::from(!found.is_empty());
            told.extend(found.iter().map(|unlike| format!("line {line}: {}", self.words(unlike))));
        }
        if count == 0 {
            return Ok(());
        }
        let more = told.len().saturating_sub(TOLD);
        told.truncate(TOLD);
        if more > 0 {
            told.push(format!("and {more} more"));
        }
        let ModelSpec { name: model, version, .. } = self.spec.clone();
        bail!(NotGolden { model, version, file: self.file.clone(), unlike: count, texts: self.cases.len(), told })
    }

    fn words(&self, unlike: &Unlike) -> String {
        let name = |task: &usize| &self.spec.tasks[*task].name;
        let Tolerance { embedding, confidence } = self.tolerance;
        match unlike {
            Unlike::Embedding(d) => format!("the embedding is {d:.3} of its length away, {embedding} is allowed"),
            Unlike::Incomparable => "the embedding cannot be compared with the expected one".to_owned(),
            Unlike::Answer(task) => format!("`{}` answers otherwise", name(task)),
            Unlike::Confidence(task, d) => {
                format!("the confidence of `{}` is off by {d:.3}, {confidence} is allowed", name(task))
            }
        }
    }
}
