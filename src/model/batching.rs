//! Dynamic batching on the model's own thread: texts of many callers are gathered until a batch is
//! full or the oldest has waited long enough.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::manifest::Manifest;
use super::onnx::OnnxModel;
use super::{Depth, Job, ModelError, ModelHandle};
use crate::config::Batching;
use crate::config::raw::Device;
use crate::drift::record::InputText;
use crate::metrics;

/// Calls waiting at most; more wait in their callers, which is how a slow model slows the reading.
const QUEUE: usize = 8;
/// How often a gathering thread looks for more while it waits.
const PAUSE: Duration = Duration::from_micros(200);

/// Loads a model on a thread of its own and returns the way to it. The thread ends when all
/// handles are gone.
///
/// # Errors
/// As [`OnnxModel::load`], or if no thread can be started.
pub fn spawn(
    manifest: Manifest,
    device: Device,
    batching: Batching,
    library: Option<&Path>,
) -> Result<ModelHandle, ModelError> {
    let model = OnnxModel::load(manifest, device, batching.threads, library)?;
    let placement = Arc::new(model.placement().clone());
    let name = model.manifest().spec.name.clone();
    metrics::inference_device(&name, &placement.provider, placement.device);
    tracing::info!(model = %name, provider = %placement.provider, nodes = ?placement.nodes, "the model is loaded");
    if device == Device::Auto && placement.device != "cuda" {
        tracing::warn!(model = %name, "device is `auto` and CUDA is not available: the model runs on the CPU");
    }
    let (queue, jobs) = mpsc::channel(QUEUE);
    thread::Builder::new()
        .name(format!("model-{name}"))
        .spawn(move || work(model, jobs, batching))
        .map_err(|error| ModelError::Runtime(format!("no thread for the model: {error}")))?;
    Ok(ModelHandle { queue, placement })
}

fn work(mut model: OnnxModel, mut jobs: mpsc::Receiver<Job>, batching: Batching) {
    while let Some(first) = jobs.blocking_recv() {
        let gathered = gather(first, &mut jobs, batching);
        metrics::queue("model", jobs.len());
        answer(&mut model, gathered, batching.max_batch);
    }
}

/// Waits for more texts until a batch is full or `max_wait` has passed since the first.
fn gather(first: Job, jobs: &mut mpsc::Receiver<Job>, batching: Batching) -> Vec<Job> {
    let deadline = Instant::now() + batching.max_wait;
    let mut texts = first.texts.len();
    let mut gathered = vec![first];
    while texts < batching.max_batch {
        match jobs.try_recv() {
            Ok(job) => {
                texts += job.texts.len();
                gathered.push(job);
            }
            Err(TryRecvError::Empty) if Instant::now() < deadline => thread::sleep(PAUSE),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    gathered
}

fn answer(model: &mut OnnxModel, jobs: Vec<Job>, max_batch: usize) {
    let texts: Vec<(InputText, Depth)> = jobs.iter().flat_map(|job| job.texts.iter().cloned()).collect();
    let started = Instant::now();
    match model.infer(&texts, max_batch) {
        Ok(inferences) => {
            metrics::inference(texts.len(), started.elapsed());
            let mut inferences = inferences.into_iter();
            for job in jobs {
                let mine = inferences.by_ref().take(job.texts.len()).collect();
                // A caller that has gone away needs no answer.
                let _ = job.answer.send(Ok(mine));
            }
        }
        // One caller's text must not fail another's: each call is tried by itself.
        Err(error) if jobs.len() > 1 => {
            tracing::warn!(%error, calls = jobs.len(), "calls are run one by one after a failure");
            jobs.into_iter().for_each(|job| answer(model, vec![job], max_batch));
        }
        Err(error) => {
            metrics::inference_failed();
            if let Some(job) = jobs.into_iter().next() {
                drop(job.answer.send(Err(error)));
            }
        }
    }
}
