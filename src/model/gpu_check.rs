//! Proof that CUDA computes what the CPU computes, and how fast, with nothing but this binary, an
//! ONNX Runtime with the CUDA provider, and a model. Needs no network.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use super::onnx::OnnxModel;
use super::{Depth, Manifest, ModelError, Placement};
use crate::config::raw::Device;
use crate::drift::answer::{Answer, Confidence};
use crate::drift::inference::Inference;
use crate::drift::record::InputText;

/// Largest difference of an embedding coordinate, relative to the embedding's largest: CUDA adds
/// in another order and may use TF32, which has ten fraction bits.
pub const EMBEDDING_TOLERANCE: f32 = 5e-3;
/// Largest difference of a confidence.
pub const CONFIDENCE_TOLERANCE: f32 = 1e-2;
/// Share of answers that must be the same: a class may flip only where two are nearly tied.
pub const AGREEMENT: f64 = 0.99;

/// What the check found.
#[derive(Debug, Serialize)]
pub struct GpuReport {
    /// Where ONNX Runtime placed the nodes.
    pub placement: Placement,
    /// Texts compared.
    pub texts: usize,
    /// Largest relative difference of an embedding coordinate.
    pub embedding_difference: f32,
    /// Largest difference of a confidence.
    pub confidence_difference: f32,
    /// Share of equal answers.
    pub agreement: f64,
    /// Texts per second on CUDA, through our model door.
    pub texts_per_second: f64,
    /// Our model door on CUDA against a bare loop over the same session and batches.
    pub ratio_to_bare_loop: f64,
    /// CUDA against CPU.
    pub speedup: f64,
    /// Whether all is within tolerance.
    pub passed: bool,
}

/// Runs the check on `texts`, batch by batch of `max_batch`.
///
/// # Errors
/// [`ModelError::NoCuda`] on a machine without one; any other error of the model.
pub fn run(
    manifest: &Manifest,
    texts: &[InputText],
    max_batch: usize,
    library: Option<&Path>,
) -> Result<GpuReport, ModelError> {
    let mut cuda = OnnxModel::load(manifest.clone(), Device::Cuda, 1, library)?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut cpu = OnnxModel::load(manifest.clone(), Device::Cpu, threads, library)?;
    let asked: Vec<(InputText, Depth)> = texts.iter().map(|t| (t.clone(), Depth::Full)).collect();
    cuda.infer(&asked, max_batch)?; // the first run compiles kernels and grows the arena
    let started = Instant::now();
    let ours = cuda.infer(&asked, max_batch)?;
    let cuda_secs = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let theirs = cpu.infer(&asked, max_batch)?;
    let cpu_secs = started.elapsed().as_secs_f64();
    let bare_secs = cuda.bare_loop(&asked, max_batch)?;
    let (embedding_difference, confidence_difference, agreement) = compare(&ours, &theirs);
    let passed = embedding_difference <= EMBEDDING_TOLERANCE
        && confidence_difference <= CONFIDENCE_TOLERANCE
        && agreement >= AGREEMENT;
    Ok(GpuReport {
        placement: cuda.placement().clone(),
        texts: texts.len(),
        embedding_difference,
        confidence_difference,
        agreement,
        texts_per_second: texts.len() as f64 / cuda_secs,
        ratio_to_bare_loop: bare_secs / cuda_secs,
        speedup: cpu_secs / cuda_secs,
        passed,
    })
}

fn compare(a: &[Inference], b: &[Inference]) -> (f32, f32, f64) {
    let (mut embedding, mut confidence) = (0.0_f32, 0.0_f32);
    let (mut same, mut all) = (0_usize, 0_usize);
    for (a, b) in a.iter().zip(b) {
        let scale = b.embedding.iter().fold(f32::MIN_POSITIVE, |m, v| m.max(v.abs()));
        for (x, y) in a.embedding.iter().zip(&b.embedding) {
            embedding = embedding.max((x - y).abs() / scale);
        }
        for (x, y) in a.answers.iter().flatten().zip(b.answers.iter().flatten()) {
            all += 1;
            same += usize::from(agree(x, y));
            if let (Confidence::Known(x), Confidence::Known(y)) = (x.confidence(), y.confidence()) {
                confidence = confidence.max((x - y).abs());
            }
        }
    }
    (embedding, confidence, if all == 0 { 1.0 } else { same as f64 / all as f64 })
}

fn agree(a: &Answer, b: &Answer) -> bool {
    match (a, b) {
        (Answer::Class { class: a, .. }, Answer::Class { class: b, .. }) => a == b,
        (Answer::Labels { labels: a, .. }, Answer::Labels { labels: b, .. })
        | (Answer::Tokens { labels: a, .. }, Answer::Tokens { labels: b, .. }) => a == b,
        (Answer::Value(a), Answer::Value(b)) => (a - b).abs() <= f64::from(CONFIDENCE_TOLERANCE) * b.abs().max(1.0),
        _ => false,
    }
}
