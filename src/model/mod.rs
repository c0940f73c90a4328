//! The model door: runs the exported ONNX model on texts, or only cuts them where there is no model.
//!
//! Contract: `ModelHandle::infer` gives one `Inference` a text, in the order of the texts,
//! whatever batches they travelled in. Padding and neighbours change nothing but rounding. Every
//! way to fail is an error of the whole call; nothing is skipped.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::drift::inference::Inference;
use crate::drift::record::InputText;

/// Whether manifest, graph and tokenizer belong together.
pub mod agreement;
/// Dynamic batching on the model's own thread.
pub mod batching;
/// What texts are cut with.
pub mod cutter;
/// Numbers in and out of a graph.
mod feeding;
/// Whether a reference belongs to a model.
pub mod fits;
/// Proof that CUDA computes what the CPU computes.
pub mod gpu_check;
/// The parts of an ONNX file that we look at, and its signature.
pub mod graph;
/// Head outputs to answers.
pub mod heads;
/// A draft manifest from a graph.
pub mod inspect;
/// What people say about a model: names, files, tasks, classes.
pub mod manifest;
/// One model in ONNX Runtime.
pub mod onnx;
/// Our own check of an ONNX file, before ONNX Runtime sees it.
pub mod precheck;
/// The shared library and its providers.
pub mod runtime;
/// Texts to token ids.
pub mod tokenizer;

pub use manifest::Manifest;
pub use tokenizer::Tokenizer;

/// Why a model cannot be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file cannot be read.
    #[error("`{path}` cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The manifest names no model, and this cannot be done without.
    #[error("the manifest `{manifest}` names no model (`onnx`), and {needed}")]
    NoModel {
        /// The manifest.
        manifest: PathBuf,
        /// What needs it, and what to do.
        needed: String,
    },
    /// Our own check refuses the file.
    #[error("`{path}` is refused: {reason}")]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Manifest, tokenizer and graph do not fit together.
    #[error("the manifest `{manifest}` does not fit the model:\n  {}", mismatches.join("\n  "))]
    Mismatch {
        /// The manifest.
        manifest: PathBuf,
        /// Everything that does not fit.
        mismatches: Vec<String>,
    },
    /// The tokenizer file is not one.
    #[error("the tokenizer `{path}` cannot be loaded: {reason}")]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What the library says.
        reason: String,
    },
    /// The shared library cannot be loaded.
    #[error(
        "ONNX Runtime cannot be loaded from `{path}`: {reason}; set ORT_DYLIB_PATH or `onnxruntime` in the configuration"
    )]
    Library {
        /// Where it was looked for.
        path: PathBuf,
        /// What the loader says.
        reason: String,
    },
    /// CUDA was asked for and is not there.
    #[error("device is `cuda`, but the CUDA provider cannot be used: {0}")]
    NoCuda(String),
    /// ONNX Runtime refuses or fails.
    #[error("ONNX Runtime: {0}")]
    Runtime(String),
    /// The model's thread has ended.
    #[error("the model's thread has ended")]
    Gone,
}

/// How deep to look into a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Depth {
    /// Tokenize only.
    Tokens,
    /// Run the model.
    Full,
}

/// Where a loaded model really runs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Placement {
    /// ONNX Runtime's name of the provider that got the most nodes.
    pub provider: String,
    /// `cuda` or `cpu`.
    pub device: &'static str,
    /// Nodes by provider, as ONNX Runtime reports them.
    pub nodes: Vec<(String, usize)>,
    /// ONNX Runtime's version.
    pub runtime: String,
}

/// A way to the model's thread; cheap to clone.
#[derive(Clone, Debug)]
pub struct ModelHandle {
    queue: mpsc::Sender<Job>,
    placement: Option<Arc<Placement>>,
}

/// Texts waiting for the model's thread.
#[derive(Debug)]
struct Job {
    texts: Vec<(InputText, Depth)>,
    answer: oneshot::Sender<Result<Vec<Inference>, ModelError>>,
}

impl ModelHandle {
    /// Runs texts through tokenizer and model. Waits while the queue is full.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if ONNX Runtime fails even on single texts, [`ModelError::Gone`] if
    /// the thread has ended.
    pub async fn infer(&self, texts: Vec<(InputText, Depth)>) -> Result<Vec<Inference>, ModelError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, result) = oneshot::channel();
        self.queue.send(Job { texts, answer }).await.map_err(|_| ModelError::Gone)?;
        result.await.map_err(|_| ModelError::Gone)?
    }

    /// Where the model really runs; `None` where there is none, and texts are only cut.
    pub fn placement(&self) -> Option<&Placement> {
        self.placement.as_deref()
    }
}
