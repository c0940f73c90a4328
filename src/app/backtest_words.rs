//! A back-test's numbers, times and signals as people read them, in the table and on the page alike.

use crate::drift::course::Judged;
use crate::drift::judgement::{Report, Statistic};
use crate::drift::reference::Reference;
use crate::drift::signal::SignalKey;
use crate::drift::time::{Span, Timestamp};
use crate::drift::window::WindowRule;
use crate::drift::witness::LABELS;

/// Evidence as a share of the threshold, for people, from its natural log: a share itself is beyond what an
/// `f64` holds where something broke for many windows.
pub fn ratio_text(ln_ratio: f64) -> String {
    const MOST_DIGITS: f64 = 5.0;
    let power = ln_ratio / std::f64::consts::LN_10;
    if power < MOST_DIGITS {
        return format!("{:.4}", ln_ratio.exp());
    }
    // A tenth more would be written as the next power.
    let exponent = (power + (1.0_f64 / 0.995).log10()).floor();
    format!("{:.1}e{exponent:.0}", 10.0_f64.powf(power - exponent))
}

/// The signals of a window with the most evidence, be it of windows before.
pub fn strongest(report: &Report, most: usize) -> Vec<&Statistic> {
    let mut found: Vec<&Statistic> = report.statistics.iter().filter(|s| s.ln_evidence.is_finite()).collect();
    found.sort_by(|a, b| b.ln_evidence.total_cmp(&a.ln_evidence));
    found.truncate(most);
    found
}

/// A name as a terminal may show it: what would move its cursor, colour it or break the line is written out.
pub fn plain(name: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    name.chars().map(shown).collect()
}

/// What has the most evidence of a window, for people: labels, where theirs is more than all else; of one that labels
/// came in and no records, that.
pub fn strongest_told(reference: &Reference, Judged { report, harm, .. }: &Judged) -> String {
    let is_most = harm.ln_share > report.ln_evidence - std::f64::consts::LN_2;
    let worst = harm.tasks.first().filter(|worst| is_most && worst.ln_evidence.is_finite());
    if let Some(worst) = worst {
        return format!("{} {LABELS}", reference.spec.tasks[worst.task].name);
    }
    let labelled = harm.tasks.iter().any(|task| task.labels > 0);
    match strongest(report, 1).first().filter(|_| report.records > 0) {
        Some(found) => place_and_signal(reference, found),
        None if report.records == 0 && labelled => "labels alone".to_owned(),
        None => String::new(),
    }
}

/// When a window that ends there was over, for people: one counted in records ends with its last record, and a
/// microsecond later only so that the record lies in it.
pub fn moment(window: WindowRule, end: Timestamp) -> Timestamp {
    match window {
        WindowRule::Records(_) => end.minus(Span::from_micros(1)),
        WindowRule::Time(_) => end,
    }
}

/// A p-value for people, from its natural log: tests of a stream that broke go beyond what an `f64` holds.
pub fn p_text(ln_p: f64) -> String {
    const LEAST: f64 = -690.0;
    if ln_p > LEAST {
        return format!("{:.1e}", ln_p.exp());
    }
    let power = ln_p / std::f64::consts::LN_10;
    // A twentieth more would be written as the next power.
    let exponent = (power + (1.0_f64 / 0.995).log10()).floor();
    format!("{:.1}e{exponent:.0}", 10.0_f64.powf(power - exponent))
}

/// `intent confidence`, `encoder encoder_mean`, `intent confidence in channel=mail`.
pub fn place_and_signal(reference: &Reference, statistic: &Statistic) -> String {
    place_of(reference, &statistic.key)
}

/// The same of a key.
pub fn place_of(reference: &Reference, key: &SignalKey) -> String {
    let place = reference.task_name(key).unwrap_or(key.scope.name());
    let segment = reference.segment_name(key).map_or_else(String::new, |s| format!(" in {s}"));
    format!("{place} {}{segment}", key.signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_moves_no_cursor() {
        assert_eq!(plain("\u{1b}[2Jé\n \"x\""), "\\u{1b}[2Jé\\n \"x\"");
    }

    #[test]
    fn a_p_value_is_no_zero_however_small() {
        for (ln_p, expected) in [
            (0.0, "1.0e0"),
            (0.05_f64.ln(), "5.0e-2"),
            (-689.0, "5.9e-300"),
            (-691.0, "8.0e-301"),
            (-1_000.0, "5.1e-435"),
            (-9_999.0, "3.1e-4343"),
        ] {
            assert_eq!(p_text(ln_p), expected);
        }
    }

    #[test]
    fn evidence_is_a_number_however_large() {
        for (ln_ratio, expected) in [
            (f64::NEG_INFINITY, "0.0000"),
            (0.5_f64.ln(), "0.5000"),
            (99_999_f64.ln(), "99999.0000"),
            (123_456_f64.ln(), "1.2e5"),
            (999_999_f64.ln(), "1.0e6"),
            (1_000.0, "2.0e434"),
            (9_999.0, "3.2e4342"),
        ] {
            assert_eq!(ratio_text(ln_ratio), expected);
        }
    }
}
