//! A model whose file one does not have: what asks for it is refused before the first record, and what could use it is
//! off, which is said once.

use anyhow::bail;

use super::WrongArguments;
use crate::config::{self, Infer};
use crate::drift::observation::HeadSource;
use crate::model::cutter::Cutter;
use crate::model::{Manifest, ModelError};

/// What is off.
const OFF: &str = "the manifest names no model (`onnx`): none is run, records are judged by what they bring, and \
                   production is not compared with it (skew)";
/// How texts are watched.
const WORDS: &str = "; without a `tokenizer` texts are watched by their words";

/// What is off for a manifest without a model; `None` for one with it.
pub fn remark(manifest: &Manifest) -> Option<String> {
    let words = if manifest.tokenizer.is_none() { WORDS } else { "" };
    manifest.onnx.is_none().then(|| format!("{OFF}{words}"))
}

/// Says on the terminal what is off, if anything is.
pub fn tell(manifest: &Manifest) {
    if let Some(remark) = remark(manifest) {
        eprintln!("note: {remark}");
    }
}

/// Whether a configured model asks for nothing that takes the model's file; and whether its texts can be cut.
///
/// # Errors
/// [`ModelError::NoModel`] for a setting that asks for it, and as [`Cutter::load`].
pub fn check(manifest: &Manifest, model: &config::Model) -> anyhow::Result<()> {
    if manifest.onnx.is_some() {
        return Ok(());
    }
    let asks = match (model.infer, model.heads) {
        (_, Some(HeadSource::Inference)) => {
            Some("`heads: inference` takes its answers: name its ONNX file, or leave out `heads`")
        }
        (Infer::Always, _) => Some("`infer: always` runs it: name its ONNX file, or leave out `infer`"),
        (Infer::Sample(_), _) => Some("`infer: sample` runs it: name its ONNX file, or leave out `infer`"),
        (Infer::Missing | Infer::Never, _) => None,
    };
    if let Some(asks) = asks {
        manifest.model(asks)?;
    }
    if model.infer == Infer::Never {
        return Ok(());
    }
    Cutter::load(manifest).map(drop).map_err(Into::into)
}

/// The same of a command that runs it.
///
/// # Errors
/// [`WrongArguments`].
pub fn needed(manifest: &Manifest, what: &str) -> anyhow::Result<()> {
    match manifest.model(what) {
        Err(error @ ModelError::NoModel { .. }) => bail!(WrongArguments(error.to_string())),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}
