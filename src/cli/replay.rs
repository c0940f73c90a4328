//! Arguments of `driftd replay-set`.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigFile, parse_time};
use crate::drift::time::Timestamp;

/// `driftd replay-set`
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The model's manifest: it names the tasks and their classes
    #[arg(long, short)]
    pub manifest: PathBuf,
    /// Records to draw from: JSONL, plain, .gz or .zst; may be repeated
    #[arg(long, short, required = true)]
    pub input: Vec<PathBuf>,
    /// Label records that belong to them by their id; may be repeated
    #[arg(long)]
    pub labels: Vec<PathBuf>,
    /// The folder to write to: `records.jsonl` and `manifest.json`. An object store takes it from there by its own
    /// tool
    #[arg(long, short)]
    pub output: PathBuf,
    /// The retraining request that it is for: a file with what its hook was told, or its id in the store; names
    /// the alarm's time, the seed and the sizes
    #[arg(long, value_name = "FILE|ID")]
    pub request: Option<String>,
    /// Where the store is, if the request is given by its id.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Begin of the alarm's time, where no request names it
    #[arg(long, value_parser = parse_time, requires = "alarm_to", conflicts_with = "request")]
    pub alarm_from: Option<Timestamp>,
    /// End of the alarm's time; later records are left out
    #[arg(long, value_parser = parse_time, requires = "alarm_from")]
    pub alarm_to: Option<Timestamp>,
    /// Everything random follows from it and from the records' ids; the request's id by default
    #[arg(long, value_name = "TEXT")]
    pub seed: Option<String>,
    /// Records in all, about; 10,000 by default, 50,000 for a reference
    #[arg(long, value_name = "N")]
    pub size: Option<u32>,
    /// Records of every class of every task, as far as there are so many; 50 by default
    #[arg(long, value_name = "N")]
    pub floor: Option<u32>,
    /// Share of records of the alarm's time, at most; 0.5 by default, and no more
    #[arg(long, value_name = "SHARE")]
    pub alarm_share: Option<f64>,
    /// Share of records that are never drawn, always the same ones, to judge models on; 0.1 by default
    #[arg(long, value_name = "SHARE")]
    pub holdout: Option<f64>,
    /// Leave out records of which no label is known
    #[arg(long)]
    pub labelled: bool,
    /// Write the whole records, texts included; without it only ids, labels, weights and strata
    #[arg(long)]
    pub with_text: bool,
    /// Draw from the held-out records instead, uniformly, for `driftd reference fit`
    #[arg(long, conflicts_with_all = ["floor", "alarm_share", "labelled"])]
    pub reference: bool,
}
