//! `--compare`: the same back-test with some settings changed.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};

use super::backtest_report::{Told, ratio_text};
use crate::cli::Backtest;

/// Keys that `--compare` knows, as they are called on the command line.
const KEYS: &str = "budget, arl-windows, margin, min-records, resolve-after, window, window-records";

/// The arguments with `key=value` pairs, separated by commas, put in the place of their own.
///
/// # Errors
/// If a key is unknown or a value does not parse.
pub fn with(args: &Backtest, pairs: &str) -> anyhow::Result<Backtest> {
    let mut changed = args.clone();
    for pair in pairs.split(',') {
        let (key, value) = pair.split_once('=').with_context(|| format!("`--compare {pair}`: expected key=value"))?;
        let wrong = || format!("`--compare {pair}`: `{value}` is not a value of `{key}`");
        match key.trim().replace('_', "-").as_str() {
            "budget" => (changed.budget, changed.arl_windows) = (Some(value.to_owned()), None),
            "arl-windows" => (changed.arl_windows, changed.budget) = (Some(value.parse().with_context(wrong)?), None),
            "margin" => changed.margin = value.parse().with_context(wrong)?,
            "min-records" => changed.min_records = value.parse().with_context(wrong)?,
            "resolve-after" => changed.resolve_after = value.parse().with_context(wrong)?,
            "window" => (changed.windows.window, changed.windows.window_records) = (Some(value.to_owned()), None),
            "window-records" => {
                let records = value.parse().with_context(wrong)?;
                (changed.windows.window_records, changed.windows.window) = (Some(records), None);
            }
            unknown => bail!("`--compare {pair}`: `{unknown}` is none of {KEYS}"),
        }
    }
    Ok(changed)
}

/// What each group of settings says, for the terminal.
pub fn table(all: &[Told]) -> String {
    let mut text =
        format!("\n{:<40} {:>8} {:>8} {:>14}  alerts in windows\n", "settings", "windows", "alerts", "highest e/A");
    for told in all {
        let opened: Vec<String> = told.alerts.iter().map(|a| format!("{} ({})", a.opened_window, a.kind)).collect();
        let _ = writeln!(
            text,
            "{:<40} {:>8} {:>8} {:>14}  {}",
            told.name,
            told.judged.len(),
            told.alerts.len(),
            ratio_text(told.ln_highest()),
            opened.join(", ")
        );
    }
    text
}
