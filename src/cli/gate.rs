//! `driftd gate`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::parse_device;
use crate::config::raw::Device;

/// `driftd gate`
#[derive(Clone, Debug, Args)]
pub struct GateArgs {
    /// The current model: its manifest (.yaml), or JSONL with the answers that it logged
    #[arg(long, required_unless_present = "pairs")]
    pub baseline: Option<PathBuf>,
    /// The model that is to take over: its manifest (.yaml), or JSONL with its answers
    #[arg(long, required_unless_present = "pairs")]
    pub candidate: Option<PathBuf>,
    /// Rows to compare them on, with labels where there are any: JSONL, plain, .gz or .zst; may be repeated
    #[arg(long, short, required_unless_present = "pairs")]
    pub data: Vec<PathBuf>,
    /// Both models' answers to the same rows, as the API takes them on call-back, instead of all three: JSONL,
    /// plain, .gz or .zst; needs `--manifest`
    #[arg(long, requires = "manifest", conflicts_with_all = ["baseline", "candidate", "data", "labels"])]
    pub pairs: Option<PathBuf>,
    /// Label records that belong to the rows by their id; may be repeated
    #[arg(long)]
    pub labels: Vec<PathBuf>,
    /// The manifest that names the tasks, where both models are given by their answers
    #[arg(long, short)]
    pub manifest: Option<PathBuf>,
    /// Tasks that must get better; all others must not get worse
    #[arg(long, value_name = "TASK", value_delimiter = ',')]
    pub drifted: Vec<String>,
    /// What a protected task may lose, as a share: 0.01 for all, or TASK=0.02; may be repeated
    #[arg(long, value_name = "[TASK=]SHARE", value_parser = parse_named)]
    pub margin: Vec<Named>,
    /// What a drifted task must gain, as a share: 0 for all by default, or TASK=0.02; may be repeated
    #[arg(long, value_name = "[TASK=]SHARE", value_parser = parse_named)]
    pub min_delta: Vec<Named>,
    /// Rows that were right and may become wrong, as a share of the labelled ones
    #[arg(long, default_value_t = 0.05, value_name = "SHARE", value_parser = parse_share)]
    pub most_flips: f64,
    /// How often each one-sided bound may err
    #[arg(long, default_value_t = 0.05, value_name = "SHARE", value_parser = parse_error)]
    pub error: f64,
    /// Width of a regression task's values, as TASK=10; 1 by default; may be repeated
    #[arg(long, value_name = "TASK=WIDTH", value_parser = parse_named)]
    pub scale: Vec<Named>,
    /// Time a text at most, as a multiple of the current model's
    #[arg(long, value_name = "RATIO")]
    pub most_latency: Option<f64>,
    /// Size of the file at most, as a multiple of the current model's
    #[arg(long, value_name = "RATIO")]
    pub most_size: Option<f64>,
    /// Where the models run
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    pub device: Device,
    /// Texts in a batch
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Threads of ONNX Runtime; by default all cores
    #[arg(long)]
    pub threads: Option<usize>,
    /// How to tell it
    #[arg(long, value_enum, default_value_t = GateFormat::Table)]
    pub format: GateFormat,
    /// Write here instead of to the terminal
    #[arg(long, short)]
    pub output: Option<PathBuf>,
}

/// How a gate report is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GateFormat {
    /// For the terminal
    Table,
    /// For programs
    Json,
}

/// A number for one task, or for all.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// The task; `None` for all.
    pub task: Option<String>,
    /// The number.
    pub value: f64,
}

fn parse_named(text: &str) -> Result<Named, String> {
    let (task, number) = text.rsplit_once('=').map_or((None, text), |(task, number)| (Some(task.to_owned()), number));
    let value = number.parse().ok().filter(|v: &f64| v.is_finite() && *v >= 0.0);
    let value = value.ok_or_else(|| format!("`{number}` is not a number from 0 on"))?;
    Ok(Named { task, value })
}

fn parse_share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|v| (0.0..=1.0).contains(v)).ok_or_else(|| "expected a share between 0 and 1".to_owned())
}

fn parse_error(text: &str) -> Result<f64, String> {
    let known = text.parse().ok().filter(|v: &f64| *v > 0.0 && *v < 0.5);
    known.ok_or_else(|| "expected a probability between 0 and 0.5".to_owned())
}
