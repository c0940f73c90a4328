//! A configured model, opened and run once on its own: what `driftd run` would find at its start.

use std::path::Path;

use super::Unusable;
use super::golden::Golden;
use crate::config::{self, Infer};
use crate::drift::record::InputText;
use crate::model::onnx::OnnxModel;
use crate::model::{Depth, Manifest, ModelError, precheck};

/// Words of the long text at most: what a model takes beyond is not tried.
const MOST_WORDS: usize = 512;

/// Opens the model that a manifest names, if this process would run it, and lets it answer two texts and its golden
/// set. What it did, in words.
///
/// # Errors
/// As [`OnnxModel::load`] and [`Golden::check`]; [`Unusable`] if it does not answer.
pub fn of_model(manifest: &Manifest, model: &config::Model, library: Option<&Path>) -> anyhow::Result<Option<String>> {
    let golden = Golden::load(manifest)?;
    let Some(file) = &manifest.onnx else { return Ok(None) };
    if model.infer == Infer::Never {
        precheck::check(file)?;
        return Ok(Some("its model is not opened: `infer: never`".to_owned()));
    }
    let mut opened = answering(manifest, model, library)?;
    let Some(golden) = golden else { return Ok(Some("its model answers".to_owned())) };
    golden.check_at_once(&mut opened)?;
    Ok(Some(format!("answers its golden set of {} texts as expected", golden.texts_known())))
}

/// Opens a model and lets it answer a short text and a long one.
///
/// # Errors
/// As [`of_model`].
pub fn answering(manifest: &Manifest, model: &config::Model, library: Option<&Path>) -> anyhow::Result<OnnxModel> {
    let named = |error: ModelError| match error {
        ModelError::Runtime(reason) => {
            let (name, file) = (&manifest.spec.name, manifest.file.display());
            anyhow::Error::new(Unusable(format!("model `{name}` of `{file}` does not answer: ONNX Runtime: {reason}")))
        }
        other => other.into(),
    };
    let loaded = OnnxModel::load(manifest.clone(), model.device, model.batching.threads, library);
    let mut opened = loaded.map_err(named)?;
    let most = manifest.tokenizer.as_ref().map_or(1, |tokenizer| tokenizer.max_tokens);
    for words in [1, most.min(MOST_WORDS)] {
        let text = InputText { text: "word ".repeat(words), pair: None };
        opened.infer(&[(text, Depth::Full)], 1).map_err(named)?;
    }
    Ok(opened)
}
