//! What the daemon is told: one YAML file, read and checked as a whole. `raw` is what the file
//! may say, `validate` turns it into this module's types, in which everything is resolved.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::document::{self, Problems};
use crate::drift::course::Watch;
use crate::drift::maintenance::Maintenance;
use crate::drift::observation::HeadSource;
use crate::drift::retraining::plan::Plan;
use crate::drift::routing::Rule;
use crate::drift::time::Span;

/// Where the API is served, and to whom.
pub mod access;
/// Receivers of events.
pub mod endpoint;
/// Texts that show what is new.
pub mod examples;
/// How labels are joined with predictions.
pub mod labels;
/// What a running process takes up when its file changes.
pub mod live;
/// Model registries.
pub mod mlflow;
/// What the file may say.
pub mod raw;
/// Retraining: policies, hooks, call-backs.
pub mod retraining;
mod retraining_check;
/// Who is told of which alerts.
pub mod routes;
/// Candidates beside the current model.
pub mod shadow;
/// What of it people may see.
mod shown;
mod validate;

pub use endpoint::Endpoint;
pub use validate::{Budget, watch};

/// A valid configuration.
#[derive(Debug)]
pub struct Config {
    /// How logs look.
    pub log: raw::LogFormat,
    /// What is logged, where `RUST_LOG` says nothing.
    pub log_levels: Option<String>,
    /// The broker and topics; `None` where this process only judges, delivers or serves.
    pub kafka: Option<Kafka>,
    /// Where everything is kept.
    pub store: StoreUrl,
    /// How long things are kept.
    pub retention: Retention,
    /// ONNX Runtime's shared library, if not found by itself.
    pub onnxruntime: Option<PathBuf>,
    /// The models to watch.
    pub models: Vec<Model>,
    /// Limits of the collect loop.
    pub collect: Collect,
    /// Receivers of events.
    pub endpoints: Vec<Endpoint>,
    /// What starts training, and within which limits.
    pub retraining: retraining::RetrainingDesk,
    /// Who is told of which alerts.
    pub routes: Vec<Rule>,
    /// When nobody is.
    pub maintenance: Vec<Maintenance>,
    /// Alerts about windows that ended longer ago are of a backlog.
    pub backfill_after: Option<Span>,
    /// Where people find the dashboard.
    pub public_url: Option<String>,
    /// Where the API and the dashboard are served.
    pub api: SocketAddr,
    /// How callers of the API prove who they are.
    pub api_auth: access::Auth,
    /// Requests a second of one caller, and so many at once.
    pub api_limit: (f64, f64),
    /// Where probes and metrics are served.
    pub ops: SocketAddr,
    /// An OpenTelemetry collector that takes OTLP by HTTP.
    pub trace_collector: Option<String>,
    /// All of it as it was written, with defaults filled in.
    pub written: raw::RawConfig,
    /// SHA-256 of each secret by the JSON pointer of its place: whether one was changed, not what it is.
    pub secrets: BTreeMap<String, [u8; 32]>,
}

impl Config {
    /// All of it for people, with defaults filled in and secrets only named.
    pub fn shown(&self) -> serde_json::Value {
        shown::shown(&self.written)
    }
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Statistics of windows.
    pub statistics: Span,
    /// Windows with their tallies.
    pub windows: Span,
    /// Windows merged into hours and days.
    pub rollups: Span,
    /// Messages that were delivered or given up.
    pub deliveries: Span,
    /// Who did what.
    pub audit: Span,
    /// Predictions that wait for labels.
    pub predictions: Span,
}

/// The input broker.
#[derive(Debug)]
pub struct Kafka {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// Consumer group.
    pub group: String,
    /// Topics to read.
    pub topics: Vec<String>,
    /// Where a partition without a stored position begins.
    pub start: raw::Start,
    /// Where refused records go.
    pub dead_letter_topic: String,
    /// Threads that decode; by default a share of the cores.
    pub decoders: Option<usize>,
    /// Further librdkafka properties, secrets resolved.
    pub properties: BTreeMap<String, String>,
}

/// Which database.
#[derive(Clone, Debug)]
pub struct StoreUrl(pub SecretString);

/// One model and how it is watched.
#[derive(Clone, Debug)]
pub struct Model {
    /// The manifest file.
    pub manifest: PathBuf,
    /// The reference file; `None` takes the one that is active in the store.
    pub reference: Option<PathBuf>,
    /// Which model of a registry it is.
    pub mlflow: Option<mlflow::Mlflow>,
    /// Where the model runs.
    pub device: raw::Device,
    /// Whose answers feed the head signals; `None` takes what the reference was fitted with.
    pub heads: Option<HeadSource>,
    /// Which records are run through the model.
    pub infer: Infer,
    /// Share of records whose answers are compared with the exported model's.
    pub skew_sample: f64,
    /// Texts that are run only for that, at most, by window and partition.
    pub skew_limit: Option<u32>,
    /// Length of a window.
    pub window: Span,
    /// How long a window waits for stragglers.
    pub grace: Span,
    /// How late a record may be and still revise its window.
    pub late_limit: Span,
    /// Budget, sensitivity, resolution, retraining.
    pub watch: Watch,
    /// How its retraining goes.
    pub plan: Plan,
    /// The budget as it was written.
    pub budget: String,
    /// How texts are gathered into batches.
    pub batching: Batching,
    /// Share of predictions that are kept for their labels.
    pub label_sample: f64,
    /// How long a label waits for its prediction.
    pub label_wait: Span,
    /// A candidate beside it.
    pub shadow: Option<shadow::Shadow>,
    /// How examples of what is new are kept; `None` for no texts at all.
    pub examples: Option<crate::drift::examples::Rule>,
}

/// Which records are run through the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Infer {
    /// Those that lack what the signals need.
    Missing,
    /// All with a text.
    Always,
    /// None.
    Never,
    /// This share of those with a text, chosen by record id.
    Sample(f64),
}

/// How texts are gathered into batches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batching {
    /// Texts in a batch at most.
    pub max_batch: usize,
    /// How long a batch waits for more texts.
    pub max_wait: Duration,
    /// Threads of ONNX Runtime.
    pub threads: usize,
}

/// Limits of the collect loop.
#[derive(Clone, Copy, Debug)]
pub struct Collect {
    /// A flush at least this often.
    pub flush_every: Duration,
    /// A flush after this many records.
    pub flush_records: u64,
    /// Larger records are refused.
    pub max_record_bytes: usize,
    /// How far in the future a record may lie.
    pub max_future: Span,
    /// A partition that has been read to its end for so long does not hold windows open.
    pub idle_after: Span,
    /// Windows in memory at most before a flush.
    pub max_open_windows: usize,
}

/// Reads and checks a configuration file. Paths in it are relative to the file.
///
/// # Errors
/// [`Problems`], all of them at once.
pub fn load(file: &Path) -> Result<Config, Problems> {
    let (document, unknown) = document::read_but_unknown::<raw::RawConfig>(file)?;
    let config = validate::validate(&document, &|name| std::env::var(name).ok());
    if unknown.is_empty() {
        return config;
    }
    let mut problems = unknown;
    problems.extend(config.err().into_iter().flat_map(|more| more.problems));
    problems.sort_by_key(|problem| problem.line);
    Err(Problems { file: document.file, problems })
}
