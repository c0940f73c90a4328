//! `--compare`: the same back-test with some settings changed.

use std::fmt::Write as _;

use super::WrongArguments;
use super::backtest_report::Told;
use super::backtest_words::ratio_text;
use crate::cli::{Backtest, values};

/// Keys that `--compare` knows, as they are called on the command line.
const KEYS: &str = "budget, arl-windows, margin, min-records, resolve-after, window, window-records";

/// The arguments with `key=value` pairs, separated by commas, put in the place of their own.
///
/// # Errors
/// If a key is unknown or a value does not parse.
pub fn with(args: &Backtest, pairs: &str) -> Result<Backtest, WrongArguments> {
    let mut changed = args.clone();
    for pair in pairs.split(',') {
        let wrong = |what: &str| WrongArguments(format!("`--compare {pair}`: {what}"));
        let (key, value) = pair.split_once('=').ok_or_else(|| wrong("expected key=value"))?;
        let number = |least: u64| {
            let number = value.parse().ok().filter(|number| *number >= least);
            number.ok_or_else(|| wrong(&format!("expected a number from {least} up")))
        };
        match key.trim().replace('_', "-").as_str() {
            "budget" => {
                let budget = values::budget(value).map_err(|what| wrong(&what))?;
                (changed.budget, changed.arl_windows) = (Some(budget), None);
            }
            "arl-windows" => {
                let windows = value.parse().map_err(|_| wrong("expected a number of windows"))?;
                (changed.arl_windows, changed.budget) = (Some(windows), None);
            }
            "margin" => changed.margin = values::effect(value).map_err(|what| wrong(&what))?,
            "min-records" => changed.min_records = i64::try_from(number(1)?).unwrap_or(i64::MAX),
            "resolve-after" => changed.resolve_after = u32::try_from(number(1)?).unwrap_or(u32::MAX),
            "window" => {
                let window = values::span(value).map_err(|what| wrong(&what))?;
                (changed.windows.window, changed.windows.window_records) = (Some(window), None);
            }
            "window-records" => (changed.windows.window_records, changed.windows.window) = (Some(number(1)?), None),
            unknown => return Err(wrong(&format!("`{unknown}` is none of {KEYS}"))),
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
