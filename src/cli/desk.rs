//! `driftd alerts`, `driftd silence` and `driftd deliveries`.

use clap::{Args, Subcommand};

use super::ConfigFile;
use crate::drift::time::{Span, Timestamp};

/// `driftd alerts`
#[derive(Debug, Subcommand)]
pub enum Alerts {
    /// Take an alert on: it is not told again while it fires, and whoever was told of it hears who
    Ack(Ack),
}

/// `driftd alerts ack`
#[derive(Debug, Args)]
pub struct Ack {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The alert's id, al_…
    pub alert: String,
    /// A sentence or two
    #[arg(long, default_value = "")]
    pub comment: String,
    /// Who; by default the user of this shell
    #[arg(long)]
    pub by: Option<String>,
}

/// `driftd silence`
#[derive(Debug, Subcommand)]
pub enum Silence {
    /// Tell nobody of some alerts for a while
    Add(Box<AddSilence>),
    /// List the silences, newest first
    List(ConfigFile),
    /// End a silence now
    Expire(ExpireSilence),
}

/// `driftd silence add`
#[derive(Debug, Args)]
pub struct AddSilence {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The alert's model; any by default
    #[arg(long)]
    pub model: Option<String>,
    /// Its task; an alert that reaches another task too is told all the same
    #[arg(long)]
    pub task: Option<String>,
    /// Its cause, such as input or head
    #[arg(long)]
    pub cause: Option<String>,
    /// Its segment: tag=value, or a tag alone
    #[arg(long)]
    pub segment: Option<String>,
    /// Its severity: info, warning or critical
    #[arg(long)]
    pub severity: Option<String>,
    /// How long, such as 2h
    #[arg(long = "for", value_name = "SPAN", value_parser = parse_span)]
    pub lasts: Span,
    /// From when on (RFC 3339); now by default
    #[arg(long, value_parser = super::parse_time)]
    pub from: Option<Timestamp>,
    /// Why
    #[arg(long)]
    pub comment: String,
    /// Who; by default the user of this shell
    #[arg(long)]
    pub by: Option<String>,
}

/// `driftd silence expire`
#[derive(Debug, Args)]
pub struct ExpireSilence {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The silence's id, sil_…
    pub silence: String,
}

/// `driftd deliveries`
#[derive(Debug, Subcommand)]
pub enum Deliveries {
    /// List messages to endpoints, newest first
    List(ListDeliveries),
    /// Send messages once more
    Redeliver(Redeliver),
}

/// `driftd deliveries list`
#[derive(Debug, Args)]
pub struct ListDeliveries {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Only in this state: pending, delivered, merged, silenced, failed or disabled
    #[arg(long, value_parser = ["pending", "delivered", "merged", "silenced", "failed", "disabled"])]
    pub state: Option<String>,
    /// Only to this endpoint
    #[arg(long)]
    pub endpoint: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=10_000))]
    pub limit: i64,
}

/// `driftd deliveries redeliver`
#[derive(Debug, Args)]
pub struct Redeliver {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Ids of deliveries, msg_…
    #[arg(required_unless_present = "failed")]
    pub deliveries: Vec<String>,
    /// All that were given up
    #[arg(long, conflicts_with = "deliveries")]
    pub failed: bool,
    /// With --failed: only to this endpoint
    #[arg(long, requires = "failed")]
    pub endpoint: Option<String>,
}

fn parse_span(text: &str) -> Result<Span, String> {
    Span::parse(text).ok_or_else(|| "expected a number with a unit, such as 30m, 2h or 1d".to_owned())
}
