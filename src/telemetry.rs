//! Logs: structured, never with the text of a record, each event once where it is handled.

use std::error::Error;
use std::io::IsTerminal as _;

use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::raw::LogFormat;

/// What is logged where neither `RUST_LOG` nor the configuration says it.
const LEVELS: &str = "info,ort=warn,sqlx=warn";

/// Sets what is logged while the process runs.
#[derive(Clone, Default)]
pub struct Levels(Option<reload::Handle<EnvFilter, Registry>>);

impl Levels {
    /// From now on these, or the default; `RUST_LOG` goes first.
    pub fn set(&self, levels: Option<&str>) {
        if let Some(handle) = &self.0
            && handle.reload(filter(levels)).is_err()
        {
            tracing::warn!("what is logged cannot be changed; restart for it");
        }
    }
}

fn filter(levels: Option<&str>) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(levels.unwrap_or(LEVELS)))
}

/// Installs the subscriber; `RUST_LOG` chooses levels, then what is given, then the default. Calling it twice
/// keeps the first.
pub fn install(format: LogFormat, levels: Option<&str>) -> Levels {
    let colours = std::io::stderr().is_terminal();
    let (filter, handle) = reload::Layer::new(filter(levels));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colours).with_target(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    // The first subscriber stays: tests and the demo share one process.
    let installed = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Levels(installed.is_ok().then_some(handle))
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
