//! Arguments of `driftd retraining`.

use clap::{Args, Subcommand};

use super::ConfigFile;
use crate::drift::retraining::life::Report;

/// `driftd retraining`
#[derive(Debug, Args)]
pub struct Retraining {
    /// What to do.
    #[command(subcommand)]
    pub what: RetrainingCommand,
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Print JSON, as the API does
    #[arg(long, global = true)]
    pub json: bool,
    /// Who you are, in the record of the request
    #[arg(
        long = "as",
        global = true,
        env = "USER",
        hide_env_values = true,
        default_value = "somebody",
        value_name = "NAME"
    )]
    pub name: String,
}

/// What to do with retraining requests.
#[derive(Debug, Subcommand)]
pub enum RetrainingCommand {
    /// List requests, the newest first
    List {
        /// Of this model only
        #[arg(long)]
        model: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 50)]
        limit: u16,
    },
    /// Show a request with its moves, tries and call-backs
    Show {
        /// Its id
        id: String,
    },
    /// Approve a proposed request: it is started
    Approve {
        /// Its id
        id: String,
        /// Kept with the decision
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Reject a proposed request
    Reject {
        /// Its id
        id: String,
        /// Kept with the decision
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Say how a run has ended that cannot say so itself
    Close {
        /// The request's id
        id: String,
        /// started, succeeded, failed or cancelled
        #[arg(value_parser = parse_report)]
        state: Report,
        /// Kept with it
        #[arg(long, default_value = "")]
        comment: String,
    },
    /// Ask for retraining: a proposal that has still to be approved
    Request {
        /// Which model
        #[arg(long)]
        model: String,
        /// Task to retrain; may be repeated; all by default
        #[arg(long = "task")]
        tasks: Vec<String>,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Turn the kill switch on: nothing is approved or started
    Pause {
        /// Of this model only
        #[arg(long)]
        model: Option<String>,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Turn the kill switch off
    Resume {
        /// Of this model only
        #[arg(long)]
        model: Option<String>,
        /// Why
        #[arg(long, default_value = "")]
        reason: String,
    },
}

fn parse_report(text: &str) -> Result<Report, String> {
    let known = Report::ALL.into_iter().find(|report| report.name() == text);
    known.ok_or_else(|| "expected started, succeeded, failed or cancelled".to_owned())
}
