//! One model in ONNX Runtime: checked against its manifest at start, then run batch by batch.

use std::path::Path;
use std::sync::Arc;

use ort::ep::{CPU, CUDA};
use ort::session::{Session, SessionInputValue};

use super::agreement::mismatches;
use super::feeding::{Feeding, floats};
use super::heads::answer;
use super::manifest::Manifest;
use super::precheck::{self, Checked};
use super::runtime::environment;
use super::tokenizer::{Tokenizer, Tokens};
use super::{Depth, ModelError, Placement};
use crate::config::raw::Device;
use crate::drift::inference::Inference;
use crate::drift::record::InputText;
use crate::drift::task::ModelSpec;

/// Texts are padded to multiples of this.
const WIDTH: usize = 16;
const CUDA_PROVIDER: &str = "CUDAExecutionProvider";

/// Where a row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Output {
    Embedding,
    Head(usize),
}

/// Takes the index of a text, an output and its row.
type Sink<'a> = dyn FnMut(usize, Output, &[f32]) + 'a;

/// What the graph gives for one text.
#[derive(Clone, Debug)]
pub struct RawOutputs {
    /// Which tokens are special.
    pub special: Vec<bool>,
    /// Rows by task index: a number a class, or a row of them a token for token heads, padding included.
    pub heads: Vec<Vec<f32>>,
}

/// A loaded model with its tokenizer. Owned by one thread: ONNX Runtime wants `&mut` to run.
pub struct OnnxModel {
    manifest: Manifest,
    /// How long a text may be, and what fills short ones.
    limits: Limits,
    feeding: Feeding,
    spec: Arc<ModelSpec>,
    tokenizer: Tokenizer,
    session: Session,
    placement: Placement,
}

/// What the manifest says of the tokenizer, as far as batches depend on it.
#[derive(Clone, Copy)]
struct Limits {
    max_tokens: usize,
    pad_id: u32,
}

impl OnnxModel {
    /// Loads a model: our own check of the file, its digest, manifest against graph and tokenizer,
    /// then ONNX Runtime. `threads` are ONNX Runtime's own on the CPU.
    ///
    /// # Errors
    /// [`ModelError`]; mismatches come all at once.
    pub fn load(
        manifest: Manifest,
        device: Device,
        threads: usize,
        library: Option<&Path>,
    ) -> Result<OnnxModel, ModelError> {
        let (file, raw) = manifest.model("it is to be run here: name its ONNX file")?;
        let checked = precheck::check(file)?;
        check_digest(&manifest, file, &checked)?;
        let tokenizer = Tokenizer::load(raw)?;
        let limits = Limits { max_tokens: raw.max_tokens, pad_id: raw.pad_id };
        let graph = checked.model.graph.as_ref().expect("the check refuses files without a graph");
        let mismatches = mismatches(&manifest, graph, tokenizer.vocabulary());
        if !mismatches.is_empty() {
            return Err(ModelError::Mismatch { manifest: manifest.file, mismatches });
        }
        let feeding = Feeding::of(graph, &manifest.inputs);
        let session = open(file, &checked, device, threads, library)?;
        let placement = placement(&session)?;
        if device == Device::Cuda && placement.device != "cuda" {
            return Err(ModelError::NoCuda("no node of the graph was placed on it".into()));
        }
        let spec = Arc::new(manifest.spec.clone());
        Ok(OnnxModel { manifest, limits, feeding, spec, tokenizer, session, placement })
    }

    /// Where it really runs.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The manifest it was loaded by.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Tokenizes one text.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if the tokenizer fails on it.
    pub fn tokenize(&self, text: &InputText) -> Result<Tokens, ModelError> {
        self.tokenizer.encode(text)
    }

    /// One inference a text, in their order. Texts are sorted by length, so that a batch holds
    /// little padding, and run in batches of at most `max_batch`.
    ///
    /// # Errors
    /// [`ModelError::Runtime`] if even a single text fails.
    pub fn infer(&mut self, texts: &[(InputText, Depth)], max_batch: usize) -> Result<Vec<Inference>, ModelError> {
        let tokens: Vec<Tokens> =
            texts.iter().map(|(text, _)| self.tokenizer.encode(text)).collect::<Result<_, _>>()?;
        let mut inferences: Vec<Inference> = tokens
            .iter()
            .map(|t| Inference { input: t.facts.clone(), embedding: Vec::new(), answers: Vec::new() })
            .collect();
        let full: Vec<usize> = (0..texts.len()).filter(|i| texts[*i].1 == Depth::Full).collect();
        let heads: Vec<_> = self.manifest.heads.iter().map(|head| head.activation).collect();
        let spec = self.spec.clone();
        self.run_sorted(full, &tokens, max_batch, &mut |text, output, row| match output {
            Output::Embedding => inferences[text].embedding = row.to_vec(),
            Output::Head(task) => {
                let answer = answer(&spec.tasks[task], heads[task], row, &tokens[text].special);
                inferences[text].answers.push(Some(answer));
            }
        })?;
        Ok(inferences)
    }

    /// The heads' rows as the graph gives them, by text and task; what a simulated production
    /// answers from.
    ///
    /// # Errors
    /// As [`OnnxModel::infer`].
    pub fn raw_outputs(&mut self, texts: &[InputText], max_batch: usize) -> Result<Vec<RawOutputs>, ModelError> {
        let tokens: Vec<Tokens> = texts.iter().map(|text| self.tokenizer.encode(text)).collect::<Result<_, _>>()?;
        let mut raw: Vec<RawOutputs> =
            tokens.iter().map(|t| RawOutputs { special: t.special.clone(), heads: Vec::new() }).collect();
        self.run_sorted((0..texts.len()).collect(), &tokens, max_batch, &mut |text, output, row| {
            if let Output::Head(_) = output {
                raw[text].heads.push(row.to_vec());
            }
        })?;
        Ok(raw)
    }

    fn run_sorted(
        &mut self,
        mut order: Vec<usize>,
        tokens: &[Tokens],
        max_batch: usize,
        sink: &mut Sink,
    ) -> Result<(), ModelError> {
        let widths: Vec<usize> = tokens.iter().map(|t| self.width(t)).collect();
        order.sort_by_key(|i| widths[*i]);
        let most = self.feeding.batch.map_or(max_batch, |fixed| max_batch.min(fixed)).max(1);
        let mut same_width = order.chunk_by(|a, b| widths[*a] == widths[*b]);
        same_width.try_for_each(|texts| texts.chunks(most).try_for_each(|batch| self.run_halving(batch, tokens, sink)))
    }

    /// Seconds that a bare loop over the same session, tokens and batches takes: ONNX Runtime's own
    /// speed, against which ours is measured. Tokenizing is included, answers are not made.
    ///
    /// # Errors
    /// As [`OnnxModel::infer`].
    pub fn bare_loop(&mut self, texts: &[(InputText, Depth)], max_batch: usize) -> Result<f64, ModelError> {
        let started = std::time::Instant::now();
        let mut tokens: Vec<Tokens> =
            texts.iter().map(|(text, _)| self.tokenizer.encode(text)).collect::<Result<_, _>>()?;
        tokens.sort_by_key(|t| t.ids.len());
        let most = self.feeding.batch.map_or(max_batch, |fixed| max_batch.min(fixed)).max(1);
        for batch in tokens.chunks(most) {
            let mut all: Vec<usize> = (0..batch.len()).collect();
            if self.feeding.batch.is_some() {
                all = self.feeding.filled(&all);
            }
            let inputs = self.inputs(&all, batch)?;
            self.session.run(inputs).map_err(runtime)?;
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// A batch that fails (out of device memory, say) is tried again in halves.
    fn run_halving(&mut self, batch: &[usize], tokens: &[Tokens], sink: &mut Sink) -> Result<(), ModelError> {
        match self.run(batch, tokens, sink) {
            Err(error) if batch.len() > 1 => {
                tracing::warn!(%error, texts = batch.len(), "a batch failed and is tried again in halves");
                let (left, right) = batch.split_at(batch.len() / 2);
                self.run_halving(left, tokens, sink)?;
                self.run_halving(right, tokens, sink)
            }
            Err(ModelError::Runtime(reason)) => Err(ModelError::Runtime(self.with_length(batch, tokens, &reason))),
            outcome => outcome,
        }
    }

    /// What failed, and on how long a text: the graph does not say how many tokens it takes.
    fn with_length(&self, batch: &[usize], tokens: &[Tokens], reason: &str) -> String {
        let (width, most) = (self.width(&tokens[batch[0]]), self.limits.max_tokens);
        format!(
            "{reason}; it was a text padded to {width} tokens: if only long ones fail, `tokenizer.max_tokens` ({most}) \
             in the manifest is more than the model takes"
        )
    }

    /// The width a text is padded to. It is a matter of the text alone and not of its neighbours in
    /// the batch: the last bits of an answer depend on it, and a replay must give the same.
    fn width(&self, tokens: &Tokens) -> usize {
        let count = tokens.ids.len();
        if let Some(fixed) = self.feeding.width {
            return fixed.max(count);
        }
        count.max(1).next_multiple_of(WIDTH).min(self.limits.max_tokens).max(count)
    }

    /// The graph's inputs for a batch, padded to the width of its widest text.
    fn inputs<'v>(
        &self,
        batch: &[usize],
        tokens: &[Tokens],
    ) -> Result<Vec<(String, SessionInputValue<'v>)>, ModelError> {
        let width = batch.iter().map(|i| self.width(&tokens[*i])).max().unwrap_or(WIDTH);
        let shape = [batch.len(), width];
        let fill = |name: &str, of: &dyn Fn(&Tokens) -> Vec<i64>, padding: i64| {
            let mut flat = Vec::with_capacity(batch.len() * width);
            for &i in batch {
                let row = of(&tokens[i]);
                flat.extend_from_slice(&row);
                flat.resize(flat.len() + width - row.len(), padding);
            }
            self.feeding.tensor(name, shape, flat).map_err(runtime)
        };
        let names = &self.manifest.inputs;
        let pad = i64::from(self.limits.pad_id);
        let mut inputs: Vec<(String, SessionInputValue)> =
            vec![(names.input_ids.clone(), fill(&names.input_ids, &|t| t.ids.clone(), pad)?)];
        if let Some(name) = &names.attention_mask {
            inputs.push((name.clone(), fill(name, &|t| vec![1; t.ids.len()], 0)?));
        }
        if let Some(name) = &names.token_type_ids {
            inputs.push((name.clone(), fill(name, &|t| t.segments.clone(), 0)?));
        }
        Ok(inputs)
    }

    fn run(&mut self, batch: &[usize], tokens: &[Tokens], sink: &mut Sink) -> Result<(), ModelError> {
        let wanted = batch.len();
        let batch = self.feeding.filled(batch);
        let inputs = self.inputs(&batch, tokens)?;
        let outputs = self.session.run(inputs).map_err(runtime)?;
        let rows = |name: &str| {
            let value = outputs.get(name).ok_or_else(|| ModelError::Runtime(format!("no output `{name}`")))?;
            let data = floats(value).map_err(runtime)?;
            if data.len() % batch.len() != 0 {
                return Err(ModelError::Runtime(format!("output `{name}` does not divide into the batch")));
            }
            Ok(data)
        };
        // Every output is looked up before any row is given away, so that a batch is whole or nothing.
        let mut all = Vec::with_capacity(self.manifest.heads.len() + 1);
        if let Some(output) = &self.manifest.embedding {
            all.push((Output::Embedding, rows(output)?));
        }
        for (task, head) in self.manifest.heads.iter().enumerate() {
            all.push((Output::Head(task), rows(&head.output)?));
        }
        for (output, data) in all {
            let rows = data.chunks_exact((data.len() / batch.len()).max(1));
            batch.iter().zip(rows).take(wanted).for_each(|(i, row)| sink(*i, output, row));
        }
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "its shape is what `map_err` calls")]
fn runtime(error: ort::Error) -> ModelError {
    ModelError::Runtime(error.to_string())
}

fn check_digest(manifest: &Manifest, file: &Path, checked: &Checked) -> Result<(), ModelError> {
    use sha2::{Digest, Sha256};
    let Some(expected) = &manifest.sha256 else { return Ok(()) };
    let found: String = Sha256::digest(&checked.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if &found == expected {
        return Ok(());
    }
    let reason = format!("its SHA-256 is {found}, the manifest says {expected}");
    Err(ModelError::Refused { path: file.to_owned(), reason })
}

fn open(
    file: &Path,
    checked: &Checked,
    device: Device,
    threads: usize,
    library: Option<&Path>,
) -> Result<Session, ModelError> {
    let environment = environment(library)?;
    let cuda = CUDA::default().build();
    let providers = match device {
        Device::Cpu => vec![CPU::default().build()],
        Device::Auto => vec![cuda.fail_silently(), CPU::default().build()],
        Device::Cuda => vec![cuda.error_on_failure(), CPU::default().build()],
    };
    let builder = || -> Result<Session, ort::Error> {
        let mut builder = Session::builder(environment)?
            .with_config_entry("session.record_ep_graph_assignment_info", "1")?
            .with_intra_threads(threads)?
            .with_execution_providers(providers)?;
        if checked.external { builder.commit_from_file(file) } else { builder.commit_from_memory(&checked.bytes) }
    };
    builder().map_err(|error| match device {
        Device::Cuda if error.to_string().contains("CUDA") => ModelError::NoCuda(error.to_string()),
        _ => runtime(error),
    })
}

/// Asks ONNX Runtime which provider got which nodes, instead of trusting what was registered.
#[expect(unsafe_code, reason = "the binding has no safe call for the graph's assignment")]
fn placement(session: &Session) -> Result<Placement, ModelError> {
    use ort::AsPointer;
    use std::collections::BTreeMap;
    use std::ffi::CStr;
    use std::ptr;

    let api = ort::api();
    let fail = |what: &str| ModelError::Runtime(format!("cannot learn where the graph runs: {what}"));
    let mut by_provider: BTreeMap<String, usize> = BTreeMap::new();
    // SAFETY: the session outlives this function; ONNX Runtime owns the arrays and names it hands
    // out for as long as the session lives; every status is checked before its output is read.
    unsafe {
        let mut parts = ptr::null();
        let mut count = 0;
        if !(api.Session_GetEpGraphAssignmentInfo)(session.ptr(), &mut parts, &mut count).0.is_null() {
            return Err(fail("Session_GetEpGraphAssignmentInfo"));
        }
        for i in 0..count {
            let part = *parts.add(i);
            let mut name = ptr::null();
            let mut nodes = ptr::null();
            let mut node_count = 0;
            if !(api.EpAssignedSubgraph_GetEpName)(part, &mut name).0.is_null() || name.is_null() {
                return Err(fail("EpAssignedSubgraph_GetEpName"));
            }
            if !(api.EpAssignedSubgraph_GetNodes)(part, &mut nodes, &mut node_count).0.is_null() {
                return Err(fail("EpAssignedSubgraph_GetNodes"));
            }
            let name = CStr::from_ptr(name).to_string_lossy().into_owned();
            *by_provider.entry(name).or_default() += node_count;
        }
    }
    let nodes: Vec<(String, usize)> = by_provider.into_iter().collect();
    let provider = nodes.iter().max_by_key(|(_, n)| *n).map_or_else(|| "none".to_owned(), |(name, _)| name.clone());
    let device = if provider == CUDA_PROVIDER { "cuda" } else { "cpu" };
    Ok(Placement { provider, device, nodes, runtime: ort::info().to_owned() })
}
