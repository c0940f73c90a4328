//! What the configuration file may say. The published JSON Schema is made from these types
//! (`driftd check --schema`), so every doc comment here is read by users.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::RawApi;
use super::endpoint::RawEndpoint;
use super::examples::RawExamples;
use super::labels::RawLabelling;
use super::mlflow::RawMlflow;
use super::retraining::{RawRetraining, RawRetrainingDesk};
use super::routes::{RawMaintenance, RawRoute};
use super::shadow::RawShadow;
use crate::drift::observation::HeadSource;

/// Configuration of driftd.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// How logs are written.
    #[serde(default)]
    pub log: LogFormat,
    /// What is logged: `info`, or `info,driftd::judge=debug` and the like. The environment's `RUST_LOG` goes
    /// first. By default `info`, with warnings only of the libraries for models and databases.
    pub log_levels: Option<String>,
    /// The broker to read from. May be left out where no process has the role `collect`.
    pub kafka: Option<RawKafka>,
    /// The store.
    pub store: RawStore,
    /// Path of ONNX Runtime's shared library; by default the environment's ORT_DYLIB_PATH.
    pub onnxruntime: Option<PathBuf>,
    /// The models to watch.
    pub models: Vec<RawModel>,
    /// Limits of the collect loop.
    #[serde(default)]
    pub collect: RawCollect,
    /// Receivers of alerts and retraining requests.
    #[serde(default)]
    pub endpoints: Vec<RawEndpoint>,
    /// What starts training, and within which limits.
    #[serde(default)]
    pub retraining: RawRetrainingDesk,
    /// Who is told of which alerts; by default every endpoint of all.
    #[serde(default)]
    pub routes: Vec<RawRoute>,
    /// Times in every week in which alerts are not told.
    #[serde(default)]
    pub maintenance: Vec<RawMaintenance>,
    /// An alert about a window that ended longer ago than this when it was judged is of a backlog: it is marked
    /// `backfill` and told only if it still fires when driftd has caught up. Without it, alerts of the past are told
    /// like others.
    pub backfill_after: Option<String>,
    /// Where people find the dashboard, such as `https://driftd.example`: messages link to it.
    pub public_url: Option<String>,
    /// The API and dashboard.
    #[serde(default)]
    pub api: RawApi,
    /// Probes and metrics.
    #[serde(default)]
    pub ops: RawOps,
    /// Where traces go.
    #[serde(default)]
    pub traces: RawTraces,
}

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The broker to read from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawKafka {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// Consumer group.
    #[serde(default = "default_group")]
    pub group: String,
    /// Topics with inputs, predictions and labels.
    pub topics: Vec<String>,
    /// Where a partition begins that driftd has never read: must be said, since either default
    /// surprises somebody.
    pub start: Start,
    /// Topic for records that cannot be decoded.
    #[serde(default = "default_dead_letter_topic")]
    pub dead_letter_topic: String,
    /// Threads that decode records, 1 to 16. By default one to every two cores that the process may use, three at most:
    /// the others poll and fold.
    #[serde(default)]
    #[schemars(range(min = 1, max = 16))]
    pub decoders: Option<usize>,
    /// Further properties of librdkafka (security, buffers). Those that exactly-once accounting
    /// rests on are ours and refused here.
    #[serde(default, serialize_with = "super::shown::properties")]
    pub properties: BTreeMap<String, Secret>,
}

/// Where a partition begins that driftd has never read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the oldest record the broker still has.
    Earliest,
    /// With the next record.
    Latest,
}

/// A value, or where to find it.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Secret {
    /// The value itself; not for secrets.
    Plain(String),
    /// In a file or an environment variable.
    Elsewhere(SecretRef),
}

/// Where a secret is found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
// What stands in its place by mistake is not shown.
#[schemars(extend("writeOnly" = true))]
pub enum SecretRef {
    /// The file's content, trailing newline removed.
    File(PathBuf),
    /// The environment variable's value.
    Env(String),
}

/// Where traces go.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawTraces {
    /// An OpenTelemetry collector that takes OTLP by HTTP, such as `http://collector:4318`; without
    /// it there are no traces.
    pub collector: Option<String>,
}

/// The store.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawStore {
    /// `postgres://user@host/database` or `sqlite:FILE`. A URL with a password belongs in a file
    /// or environment variable.
    pub url: Secret,
    /// How long things are kept.
    #[serde(default)]
    pub retention: RawRetention,
}

/// How long things are kept: by the time of what they tell, or of their judgement if that was later.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRetention {
    /// Statistics of windows.
    pub statistics: String,
    /// Windows with their tallies; at least as long as their statistics.
    pub windows: String,
    /// Windows merged into hours and days.
    pub rollups: String,
    /// Messages that were delivered or given up.
    pub deliveries: String,
    /// Who did what.
    pub audit: String,
    /// Predictions that wait for labels: later labels are not used.
    pub predictions: String,
}

impl Default for RawRetention {
    fn default() -> RawRetention {
        RawRetention {
            statistics: "35d".into(),
            windows: "90d".into(),
            rollups: "730d".into(),
            deliveries: "90d".into(),
            audit: "400d".into(),
            predictions: "14d".into(),
        }
    }
}

/// A model and how it is watched.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawModel {
    /// The manifest file.
    pub manifest: PathBuf,
    /// The reference file, from `driftd reference fit`; without it, the one that `driftd reference activate`
    /// put into the store.
    pub reference: Option<PathBuf>,
    /// Which model of MLflow's registry it is.
    pub mlflow: Option<RawMlflow>,
    /// Where the model runs.
    #[serde(default)]
    pub device: Device,
    /// Whose answers feed the head signals; by default what the reference was fitted with.
    pub heads: Option<HeadSource>,
    /// Which records are run through the model.
    #[serde(default)]
    pub infer: RawInfer,
    /// Share of the records with text and answers that are run through the model in any case, to compare
    /// production's answers with the exported model's; which ones follows from the record's id.
    #[serde(default = "default_skew_sample")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub skew_sample: f64,
    /// Texts that are run only for this comparison, at most, in a window of one partition: a budget for it that holds
    /// whatever the traffic. While it is used up the sample is thinned by halves, the same on every replica; without
    /// it the sample's share is all that limits. N texts in each of P partitions and windows of W seconds take
    /// N·P/(W·t) of a core that runs t texts a second.
    #[schemars(range(min = 1))]
    pub skew_limit: Option<u32>,
    /// Windows of event time.
    #[serde(default)]
    pub window: RawWindow,
    /// False alarms allowed for this model: `1/30d` is one in thirty days.
    #[serde(default = "default_budget")]
    pub budget: String,
    /// Quiet windows until an alert resolves, at least: what was found by slower looks is looked at twice more.
    #[serde(default = "default_resolve_after")]
    #[schemars(range(min = 1))]
    pub resolve_after: u32,
    /// When to ask for retraining.
    #[serde(default)]
    pub retraining: RawRetraining,
    /// How texts are gathered into batches.
    #[serde(default)]
    pub batching: RawBatching,
    /// Labels that come after their predictions.
    #[serde(default)]
    pub labels: RawLabelling,
    /// A candidate beside it.
    pub shadow: Option<RawShadow>,
    /// Redacted texts that show what an alert is about; without it no text is stored.
    pub examples: Option<RawExamples>,
    /// Smallest change that may alarm, as Cohen's w (0.1 is called small).
    #[serde(default = "default_margin")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub margin: f64,
}

/// Where the model runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// On CUDA where there is one, else on the CPU; log, metric and API say which.
    #[default]
    Auto,
    /// On CUDA, or not at all.
    Cuda,
    /// On the CPU.
    Cpu,
}

/// Which records are run through the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawInfer {
    /// Those that lack an embedding, or answers where our inference feeds the heads.
    #[default]
    Missing,
    /// All that carry a text.
    Always,
    /// None; texts are not even tokenized.
    Never,
    /// This share of those that carry a text, chosen by record id.
    Sample(f64),
}

/// Windows of event time.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawWindow {
    /// Length, such as `5m`.
    pub length: String,
    /// How long a window waits for stragglers after its end.
    pub grace: String,
    /// How late a record may be and still revise its window; later ones are counted as late.
    pub late_limit: String,
    /// Units (records, or tokens of a token head) a test needs; fewer are carried to the next
    /// window.
    #[schemars(range(min = 1))]
    pub min_records: i64,
}

impl Default for RawWindow {
    fn default() -> RawWindow {
        RawWindow { length: "5m".into(), grace: "30s".into(), late_limit: "1h".into(), min_records: 50 }
    }
}

/// How texts are gathered into batches.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawBatching {
    /// Texts in a batch at most.
    #[schemars(range(min = 1, max = 4096))]
    pub max_batch: usize,
    /// How long a batch waits for more texts, such as `10ms`.
    pub max_wait: String,
    /// Threads of ONNX Runtime on the CPU.
    #[schemars(range(min = 1, max = 256))]
    pub threads: usize,
}

impl Default for RawBatching {
    fn default() -> RawBatching {
        RawBatching { max_batch: 32, max_wait: "10ms".into(), threads: 1 }
    }
}

/// Limits of the collect loop.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawCollect {
    /// A flush at least this often.
    pub flush_every: String,
    /// A flush after this many records.
    #[schemars(range(min = 1))]
    pub flush_records: u64,
    /// Larger records are refused.
    #[schemars(range(min = 1024))]
    pub max_record_bytes: usize,
    /// How far in the future of this machine's clock a record may lie.
    pub max_future: String,
    /// A partition that has been read to its end for so long does not hold windows open.
    pub idle_after: String,
    /// Windows in memory at most before a flush: with their size, the bound on memory.
    #[schemars(range(min = 1))]
    pub max_open_windows: usize,
}

impl Default for RawCollect {
    fn default() -> RawCollect {
        RawCollect {
            flush_every: "2s".into(),
            flush_records: 50_000,
            max_record_bytes: 1 << 20,
            max_future: "1h".into(),
            idle_after: "1m".into(),
            max_open_windows: 256,
        }
    }
}

/// Probes and metrics.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawOps {
    /// `address:port`.
    pub listen: String,
}

impl Default for RawOps {
    fn default() -> RawOps {
        RawOps { listen: "127.0.0.1:9090".into() }
    }
}

fn default_group() -> String {
    "driftd".into()
}

fn default_dead_letter_topic() -> String {
    "driftd.dead-letter".into()
}

fn default_budget() -> String {
    "1/30d".into()
}

fn default_resolve_after() -> u32 {
    12
}

/// Share of records compared with the model by default.
pub fn default_skew_sample() -> f64 {
    0.05
}

fn default_margin() -> f64 {
    0.02
}
