//! Arguments of `driftd audit`.

use clap::{Args, ValueEnum};

use super::ConfigFile;

/// `driftd audit`
#[derive(Debug, Args)]
pub struct Audit {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Do not ask the broker how far the topics go
    #[arg(long)]
    pub offline: bool,
    /// table or json
    #[arg(long, value_enum, default_value = "table")]
    pub format: AuditFormat,
}

/// How an audit is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuditFormat {
    /// For the terminal.
    Table,
    /// For scripts.
    Json,
}
