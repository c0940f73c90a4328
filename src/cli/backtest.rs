//! Arguments of `driftd backtest`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ModelArgs, WindowArgs, values};
use crate::config::examples::MOST_KEPT;

/// `driftd backtest`
#[derive(Clone, Debug, Args)]
pub struct Backtest {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The reference, from `driftd reference fit`
    #[arg(long, short)]
    pub reference: PathBuf,
    /// The stream: JSONL, plain, .gz or .zst; may be repeated
    #[arg(long, short, required = true)]
    pub input: Vec<PathBuf>,
    /// Labels that came later, by prediction id: JSONL, plain, .gz or .zst
    #[arg(long)]
    pub labels: Option<PathBuf>,
    /// Windows; as the reference by default.
    #[command(flatten)]
    pub windows: WindowArgs,
    /// False alarms allowed, such as 1/30d, which is the default where windows have a length
    #[arg(long, conflicts_with = "arl_windows", value_parser = values::budget)]
    pub budget: Option<String>,
    /// Windows to one false alarm, instead of a budget; 2000 where neither is given and windows
    /// are counted in records
    #[arg(long, value_name = "N")]
    pub arl_windows: Option<f64>,
    /// Records (or tokens) that a test needs
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..))]
    pub min_records: i64,
    /// Smallest change that may alarm, as Cohen's w
    #[arg(long, default_value_t = 0.02, value_parser = values::effect)]
    pub margin: f64,
    /// Quiet windows until an alert resolves, at least: what was found by slower looks is looked at twice more
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    pub resolve_after: u32,
    /// Judge with other settings too and tell both: key=value pairs such as margin=0.05,budget=1/7d;
    /// may be repeated
    #[arg(long, value_name = "SETTINGS")]
    pub compare: Vec<String>,
    /// Show so many texts of each alert, those that tell best what is new, 20 at most. E-mail addresses,
    /// addresses of pages and machines, long numbers and keys are taken out of them by pattern; names and
    /// whatever else is said in words are not: mind who sees what comes out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=i64::from(MOST_KEPT)))]
    pub examples: Option<u8>,
    /// How to tell it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Write here instead of to the terminal
    #[arg(long, short)]
    pub output: Option<PathBuf>,
}

/// How a back-test is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For the terminal
    Table,
    /// For programs
    Json,
    /// One self-contained page
    Html,
}
