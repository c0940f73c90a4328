//! The command line: what may be said, and what each end means to scripts.
//!
//! Exit codes: 0 done; 1 failed while running; 2 wrong arguments; 3 configuration, manifest or
//! reference invalid, or no usable records; 4 broker or store not reachable; 5 no CUDA on this machine; 6 the gate says `fail`;
//! 7 the gate says `undecided`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::app;
use crate::config::raw::Device;
use crate::drift::observation::HeadSource;
use crate::drift::reference::ReferenceKind;
use crate::drift::time::Timestamp;

mod audit;
mod backtest;
/// `driftd alerts`, `driftd silence`, `driftd deliveries`
pub mod desk;

pub use audit::{Audit, AuditFormat};
pub use backtest::{Backtest, Format};

/// Watches multi-task NLP models in production and says whether, where and how much they drifted.
#[derive(Debug, Parser)]
#[command(name = "driftd", version, about, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 failed while running; 2 wrong arguments; \
3 configuration, manifest or reference invalid, or no usable records; 4 broker or store not reachable; 5 no CUDA on this machine; \
6 the gate says fail; 7 the gate says undecided.";

/// `driftd gate`
pub mod gate;
/// `driftd keys`
pub mod keys;
/// `driftd replay-set`
pub mod replay;
/// `driftd retraining`
pub mod retraining;
/// `driftd shadow`
pub mod shadow;
/// Values that arguments may have.
pub mod values;

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Run(Run),
    /// Check a configuration with everything it names, or print the schemas
    Check(Check),
    /// Bring the store's schema up to date
    Migrate(ConfigFile),
    /// Write a draft manifest from an ONNX file
    Inspect {
        /// The ONNX file
        file: PathBuf,
        /// Write here instead of to the terminal
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Learn what is normal
    #[command(subcommand)]
    Reference(Reference),
    /// Make, list and revoke keys of the API
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Account for every record of the topics: folded, set aside, dead-lettered, lost, not read yet
    Audit(Audit),
    /// Take alerts on
    #[command(subcommand)]
    Alerts(desk::Alerts),
    /// Tell nobody of some alerts for a while
    #[command(subcommand)]
    Silence(desk::Silence),
    /// Messages to endpoints: list them, send them again
    #[command(subcommand)]
    Deliveries(desk::Deliveries),
    /// Judge a recorded stream with the daemon's own code
    Backtest(Backtest),
    /// Say whether a new version of a model may take the place of the current one
    Gate(Box<gate::GateArgs>),
    /// Say how the candidates do that answer live inputs beside the current models
    Shadow(shadow::ShadowArgs),
    /// List, approve and reject retraining requests, ask for one, turn the kill switch
    Retraining(retraining::Retraining),
    /// Draw the records to train on again, so that a new model does not forget; or records to learn a reference from
    ReplaySet(Box<replay::ReplayArgs>),
    /// Make traffic from a grammar and a model, with drift on request
    Simulate(Simulate),
    /// Show the whole thing: broker, model, drift, alert, dashboard, in one process
    Demo(Demo),
    /// Prove on a machine with an NVIDIA GPU that CUDA computes what the CPU computes
    GpuCheck(GpuCheck),
}

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub struct ConfigFile {
    /// The configuration file
    #[arg(long, short, env = "DRIFTD_CONFIG", hide_env_values = true, default_value = "/etc/driftd/driftd.yaml")]
    pub config: PathBuf,
}

/// `driftd run`
#[derive(Debug, Args)]
pub struct Run {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// What this process does
    #[arg(long, value_delimiter = ',', default_values_t = Role::all())]
    pub roles: Vec<Role>,
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Read, infer, fold
    Collect,
    /// Test, decide
    Judge,
    /// Send alerts and retraining requests
    Deliver,
    /// Serve the API and the dashboard
    Api,
}

impl Role {
    fn all() -> Vec<Role> {
        vec![Role::Collect, Role::Judge, Role::Deliver, Role::Api]
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Role::Collect => "collect",
            Role::Judge => "judge",
            Role::Deliver => "deliver",
            Role::Api => "api",
        })
    }
}

/// What has a JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The configuration
    Config,
    /// Manifests
    Manifest,
    /// Records: inputs, predictions and labels
    Records,
}

/// `driftd check`
#[derive(Debug, Args)]
pub struct Check {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Print a JSON Schema and stop; that of the configuration where no other is named
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "config", value_name = "WHAT")]
    pub schema: Option<SchemaOf>,
    /// The same as `--schema manifest`
    #[arg(long)]
    pub manifest_schema: bool,
    /// Print the OpenAPI document and stop
    #[arg(long)]
    pub openapi: bool,
}

#[derive(Debug, Subcommand)]
enum Reference {
    /// Fit a reference to held-out records
    Fit(Fit),
    /// List the references in the store
    List(ConfigFile),
    /// Compare a model with another reference from the daemon's next start on
    Activate(Activate),
}

/// `driftd reference activate`
#[derive(Debug, Args)]
pub struct Activate {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// A reference file, or the id of one in the store
    pub reference: String,
}

/// How a model is run on files.
#[derive(Clone, Debug, Args)]
pub struct ModelArgs {
    /// The model's manifest
    #[arg(long, short)]
    pub manifest: PathBuf,
    /// Where the model runs
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    pub device: Device,
    /// Texts in a batch
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Threads of ONNX Runtime; by default all cores
    #[arg(long)]
    pub threads: Option<usize>,
    /// Share of records with answers that are run too, to compare the two
    #[arg(long, default_value_t = crate::config::raw::default_skew_sample(), value_name = "SHARE", value_parser = values::share)]
    pub skew_sample: f64,
}

/// How a stream is cut.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub struct WindowArgs {
    /// Length of a window of event time. Without this and `--window-records` a new reference has windows of
    /// 5m, and a back-test those of its reference
    #[arg(long, value_name = "SPAN", value_parser = values::span)]
    pub window: Option<String>,
    /// Records in a window, instead of a length
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub window_records: Option<u64>,
}

/// `driftd reference fit`
#[derive(Debug, Args)]
pub struct Fit {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// Records that the model was not trained on: JSONL, plain, .gz or .zst; may be repeated
    #[arg(long, short, required = true)]
    pub input: Vec<PathBuf>,
    /// Labels of these records, by prediction id, where they stand in a file of their own
    #[arg(long)]
    pub labels: Option<PathBuf>,
    /// Where to write the reference
    #[arg(long, short)]
    pub output: PathBuf,
    /// Windows; 5m by default.
    #[command(flatten)]
    pub windows: WindowArgs,
    /// Whose answers feed the head signals; by default production's where the records carry them
    #[arg(long, value_parser = parse_heads)]
    pub heads: Option<HeadSource>,
    /// What the reference stands for, as it is shown: fixed, trailing, previous_period, or other_version, whose answers
    /// another version of the model gave: it need not be the manifest's
    #[arg(long, default_value = "fixed", value_parser = parse_kind)]
    pub kind: ReferenceKind,
    /// Keep the words behind tokens, so that alerts can tell which rose and fell: those in 20 records or more, and
    /// pieces of a tokenizer's vocabulary wherever five of a window have them
    #[arg(long)]
    pub words: bool,
    /// Leave out records before this time, such as 2026-11-01T00:00:00Z
    #[arg(long, value_parser = parse_time)]
    pub from: Option<Timestamp>,
    /// Leave out records from this time on
    #[arg(long, value_parser = parse_time)]
    pub to: Option<Timestamp>,
}

/// `driftd simulate`
#[derive(Debug, Args)]
pub struct Simulate {
    /// The model that answers.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The grammar of the texts; by default `grammar.yaml` beside the manifest
    #[arg(long)]
    pub grammar: Option<PathBuf>,
    /// Records to make; without end if it is left out and the target is Kafka
    #[arg(long, short = 'n')]
    pub count: Option<u64>,
    /// `new_topic[:share]`, `prior_shift:INTENT[:factor]`, `typos[:share]`, `language_mix[:share]` or
    /// `broken_head:TASK`
    #[arg(long)]
    pub drift: Option<crate::simulate::drift_kind::DriftKind>,
    /// Records before the drift begins
    #[arg(long, default_value_t = 0)]
    pub drift_after: u64,
    /// Everything random follows from it
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Time of the first record (RFC 3339); now by default, and with `--rate` when each is sent
    #[arg(long)]
    pub start: Option<String>,
    /// Event time from one record to the next
    #[arg(long, default_value = "100ms", value_parser = values::span)]
    pub interval: String,
    /// Leave out production's answers
    #[arg(long)]
    pub inputs_only: bool,
    /// Write JSONL here instead of to the terminal
    #[arg(long, short, conflicts_with = "brokers")]
    pub output: Option<PathBuf>,
    /// Send to this Kafka broker instead
    #[arg(long, requires = "topic")]
    pub brokers: Option<String>,
    /// The topic to send to
    #[arg(long)]
    pub topic: Option<String>,
    /// Records per second to Kafka; as fast as it goes by default
    #[arg(long)]
    pub rate: Option<f64>,
}

/// `driftd demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// End by itself; exit 0 only if the alert and the retraining request arrived
    #[arg(long)]
    pub once: bool,
    /// The example model's folder
    #[arg(long, default_value = "examples/support")]
    pub example: PathBuf,
    /// Port of the dashboard; a free one by default
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// What drifts
    #[arg(long, default_value = "new_topic:0.5")]
    pub drift: crate::simulate::drift_kind::DriftKind,
    /// Keep the store and the logs here; a temporary folder by default
    #[arg(long)]
    pub directory: Option<PathBuf>,
}

/// `driftd gpu-check`
#[derive(Debug, Args)]
pub struct GpuCheck {
    /// The model's manifest
    #[arg(long, short, default_value = "examples/support/manifest.yaml")]
    pub manifest: PathBuf,
    /// Texts, one a line; by default texts of the example's grammar
    #[arg(long)]
    pub texts: Option<PathBuf>,
    /// How many texts
    #[arg(long, default_value_t = 4096)]
    pub count: usize,
    /// Texts in a batch
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
}

fn parse_device(text: &str) -> Result<Device, String> {
    match text {
        "auto" => Ok(Device::Auto),
        "cuda" => Ok(Device::Cuda),
        "cpu" => Ok(Device::Cpu),
        _ => Err("expected auto, cuda or cpu".to_owned()),
    }
}

fn parse_heads(text: &str) -> Result<HeadSource, String> {
    match text {
        "predictions" => Ok(HeadSource::Predictions),
        "inference" => Ok(HeadSource::Inference),
        _ => Err("expected predictions or inference".to_owned()),
    }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "expected an RFC 3339 time such as 2026-11-01T00:00:00Z".to_owned())
}

fn parse_kind(text: &str) -> Result<ReferenceKind, String> {
    let known = ReferenceKind::ALL.into_iter().find(|kind| kind.name() == text);
    known.ok_or_else(|| "expected fixed, trailing, previous_period or other_version".to_owned())
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Run(run) => app::run::main(&run),
        Command::Check(check) => app::check::main(&check),
        Command::Migrate(config) => app::check::migrate(&config),
        Command::Inspect { file, output } => app::check::inspect(&file, output.as_deref()),
        Command::Reference(Reference::Fit(fit)) => app::fit::main(&fit),
        Command::Reference(Reference::List(config)) => app::references::list(&config),
        Command::Reference(Reference::Activate(args)) => app::references::activate(&args),
        Command::Keys(keys) => app::keys::main(&keys),
        Command::Audit(audit) => app::audit::main(&audit),
        Command::Alerts(command) => app::desk::alerts(&command),
        Command::Silence(command) => app::desk::silence(&command),
        Command::Deliveries(command) => app::desk::deliveries(&command),
        Command::Backtest(backtest) => app::backtest::main(&backtest),
        Command::Gate(gate) => app::gate::main(&gate),
        Command::Shadow(args) => app::shadow::main(&args),
        Command::Retraining(args) => app::retraining_desk::main(&args),
        Command::ReplaySet(args) => app::replay_set::main(&args),
        Command::Simulate(simulate) => app::simulate::main(&simulate),
        Command::Demo(demo) => app::demo::main(&demo),
        Command::GpuCheck(check) => app::check::gpu(&check),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("driftd: {error:#}");
            ExitCode::from(app::exit_code(&error))
        }
    }
}
