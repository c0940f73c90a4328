//! Logs: structured, never with the text of a record, each event once where it is handled.

use std::error::Error;
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::raw::LogFormat;

/// Installs the subscriber; `RUST_LOG` chooses levels, `info` is the default. Calling it twice
/// keeps the first.
pub fn install(format: LogFormat) {
    install_at(format, "info,ort=warn,sqlx=warn");
}

/// As [`install`], with other levels where `RUST_LOG` says nothing.
pub fn install_at(format: LogFormat, levels: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(levels));
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false);
    // The first subscriber stays: tests and the demo share one process.
    let _ = match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// An error with all its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
