//! Dynamic batching on the model's own thread: texts of many callers are gathered until a batch is
//! full or the oldest has waited long enough.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use super::cutter::Cutter;
use super::manifest::Manifest;
use super::onnx::OnnxModel;
use super::{Depth, Job, ModelError, ModelHandle, Placement};
use crate::config::Batching;
use crate::config::raw::Device;
use crate::drift::record::InputText;
use crate::metrics;

/// Calls waiting at most; more wait in their callers, which is how a slow model slows the reading.
const QUEUE: usize = 8;
/// How often a gathering thread looks for more while it waits.
const PAUSE: Duration = Duration::from_micros(200);

/// What answers on the thread.
enum Runner {
    Model(Box<OnnxModel>),
    /// There is no model: texts are cut, however deep they were to be looked into.
    Texts(Cutter),
}

/// Loads what the manifest names, the model or only what cuts texts, on a thread of its own, and returns the way to it.
/// The thread ends when all handles are gone.
///
/// # Errors
/// As [`OnnxModel::load`], or if no thread can be started.
pub fn spawn(
    manifest: Manifest,
    device: Device,
    batching: Batching,
    library: Option<&Path>,
) -> Result<ModelHandle, ModelError> {
    let name = manifest.spec.name.clone();
    let (runner, placement) = match manifest.onnx {
        Some(_) => {
            let model = OnnxModel::load(manifest, device, batching.threads, library)?;
            let placement = Arc::new(model.placement().clone());
            placed(&name, device, &placement);
            (Runner::Model(Box::new(model)), Some(placement))
        }
        None => (Runner::Texts(Cutter::load(&manifest)?), None),
    };
    let (queue, jobs) = mpsc::channel(QUEUE);
    thread::Builder::new()
        .name(format!("model-{name}"))
        .spawn(move || work(runner, jobs, batching))
        .map_err(|error| ModelError::Runtime(format!("no thread for the model: {error}")))?;
    Ok(ModelHandle { queue, placement })
}

fn placed(name: &str, device: Device, placement: &Placement) {
    metrics::inference_device(name, &placement.provider, placement.device);
    tracing::info!(model = %name, provider = %placement.provider, nodes = ?placement.nodes, "the model is loaded");
    if device == Device::Auto && placement.device != "cuda" {
        tracing::warn!(model = %name, "device is `auto` and CUDA is not available: the model runs on the CPU");
    }
}

fn work(mut runner: Runner, mut jobs: mpsc::Receiver<Job>, batching: Batching) {
    while let Some(first) = jobs.blocking_recv() {
        let gathered = gather(first, &mut jobs, batching);
        metrics::queue("model", jobs.len());
        answer(&mut runner, gathered, batching.max_batch);
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

fn answer(runner: &mut Runner, jobs: Vec<Job>, max_batch: usize) {
    let texts: Vec<(InputText, Depth)> = jobs.iter().flat_map(|job| job.texts.iter().cloned()).collect();
    let started = Instant::now();
    let inferred = match runner {
        Runner::Model(model) => {
            model.infer(&texts, max_batch).inspect(|_| metrics::inference(texts.len(), started.elapsed()))
        }
        Runner::Texts(cutter) => cutter.cut(texts.iter().map(|(text, _)| text)),
    };
    match inferred {
        Ok(inferences) => {
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
            jobs.into_iter().for_each(|job| answer(runner, vec![job], max_batch));
        }
        Err(error) => {
            metrics::inference_failed();
            if let Some(job) = jobs.into_iter().next() {
                drop(job.answer.send(Err(error)));
            }
        }
    }
}
