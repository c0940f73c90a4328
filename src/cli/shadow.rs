//! `driftd shadow`

use clap::Args;

use super::ConfigFile;

/// `driftd shadow`
#[derive(Clone, Debug, Args)]
pub struct ShadowArgs {
    /// The daemon's configuration
    #[command(flatten)]
    pub config: ConfigFile,
    /// Of this model only
    #[arg(long)]
    pub model: Option<String>,
    /// JSON, as the API answers, instead of a table
    #[arg(long)]
    pub json: bool,
}
