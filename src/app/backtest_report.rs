//! A back-test told as a table or as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::backtest::{Counts, Stream};
use super::backtest_alerts::{AlertTold, alerts, json_of};
use super::backtest_gaps::Gaps;
use super::backtest_labels::Labels;
use super::backtest_lacks::{Lacks, standing, window_told};
use super::backtest_moved;
use super::backtest_skew::HarmlessSkew;
use super::backtest_warnings::{records_told, warnings};
use super::backtest_words::{moment, plain, ratio_text};
use super::compare;
use super::replay::Refusals;
use crate::drift::cause::CauseKind;
use crate::drift::course::{Judged, Watch};
use crate::drift::guarantee::Guarantee;
use crate::drift::judgement::{Report, Statistic, Verdict};
use crate::drift::reference::Reference;
use crate::drift::signal::Effect;
use crate::drift::window::WindowRule;

/// Everything there is to tell of one stream under one group of settings.
pub struct Told<'a> {
    /// What the settings are called.
    pub name: &'a str,
    /// What the stream was compared with.
    pub reference: &'a Reference,
    /// With which settings.
    pub watch: &'a Watch,
    /// Cut how.
    pub window: WindowRule,
    /// Judged windows, in order.
    pub judged: &'a [Judged],
    /// What became of the records.
    pub counts: Counts,
    /// Alerts, in order.
    pub alerts: Vec<AlertTold>,
    /// What could not be judged.
    pub lacks: Lacks,
    /// What the reader should know before believing it.
    pub warnings: Vec<String>,
    /// Records that were refused, and why.
    pub refused: &'a Refusals,
    /// Labels that were.
    pub refused_labels: &'a Refusals,
    /// Labels and performance.
    pub labels: &'a Labels,
    /// Labels of tasks that the manifest does not name.
    pub unknown_label_tasks: u64,
}

impl<'a> Told<'a> {
    /// A stream that has ended.
    pub fn new(stream: &'a Stream, name: &'a str) -> Told<'a> {
        let Stream { reference, watch, window, judged, counts, refused, refused_labels, labels, texts, .. } = stream;
        let lacks = Lacks::of(stream);
        Told {
            name,
            reference,
            watch,
            window: *window,
            judged,
            counts: *counts,
            alerts: alerts(reference, judged, texts, labels),
            warnings: warnings(stream, &lacks),
            lacks,
            refused,
            refused_labels,
            labels,
            unknown_label_tasks: stream.unknown_labels.tasks,
        }
    }

    /// Windows that hold labels and no records.
    fn labels_alone(&self) -> usize {
        let alone = |j: &&Judged| j.report.records == 0 && j.harm.tasks.iter().any(|task| task.labels > 0);
        self.judged.iter().filter(alone).count()
    }

    /// How many windows there are, and of what, for people.
    pub fn windows(&self) -> String {
        let alone = self.labels_alone();
        let more = if alone > 0 { format!(", {alone} of labels alone") } else { String::new() };
        let gaps = Gaps::of(self.window, self.judged).said();
        format!("{} windows of {}{more}{gaps}", self.judged.len() - alone, self.window)
    }

    /// ln of the most that evidence reached, as a share of the threshold.
    pub fn ln_highest(&self) -> f64 {
        let ln_ratio = |judged: &Judged| judged.report.ln_evidence - judged.report.ln_threshold;
        self.judged.iter().map(ln_ratio).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// Larger evidence is written as this; JSON has no infinity.
const MOST: f64 = 1e300;

/// Signals named beside an alert in the table.
const EVIDENCE_SHOWN: usize = 5;

/// The first of some signals, and how many there are beside.
fn some_of(signals: &[String]) -> String {
    let mut shown: Vec<String> = signals.iter().take(EVIDENCE_SHOWN).map(|name| plain(name)).collect();
    if signals.len() > shown.len() {
        shown.push(format!("{} more", signals.len() - shown.len()));
    }
    shown.join(", ")
}

fn statistic(told: &Told, (statistic, guarantee): (&Statistic, &Guarantee)) -> Value {
    let tested = statistic.tested.as_ref();
    json!({
        "scope": statistic.key.scope, "task": told.reference.task_name(&statistic.key), "signal": statistic.key.signal,
        "segment": told.reference.segment_name(&statistic.key), "guarantee": guarantee.status,
        "guarantee_reason": guarantee.reason,
        "statistic": tested.map(|(t, _)| t.statistic),
        "degrees_of_freedom": tested.map(|(t, _)| t.degrees_of_freedom),
        "p_value": tested.map(|(t, _)| t.ln_p.exp()),
        "ln_p_value": tested.map(|(t, _)| t.ln_p),
        "e_value": tested.map(|(_, ln_e)| ln_e.exp().min(MOST)),
        "evidence": statistic.ln_evidence.exp().min(MOST),
        "effect": statistic.effect.map(Effect::measures).unwrap_or_default(), "n": statistic.n, "movers": statistic.movers,
        "directions": statistic.directions,
    })
}

/// The tasks whose confidence, and `embedding` where that, differs harmlessly from the exported model's.
fn notices(reference: &Reference, report: &Report) -> Vec<String> {
    let name = |task: usize| reference.spec.tasks[task].name.clone();
    report.notices.iter().map(|part| part.task.map_or_else(|| "embedding".to_owned(), name)).collect()
}

/// `guarantees` are those of the whole and of each signal.
fn window(told: &Told, index: usize, judged: &Judged, guarantees: &(Guarantee, Vec<Guarantee>)) -> Value {
    let report = &judged.report;
    let (guarantee, of_signals) = guarantees;
    let statistics = report.statistics.iter().zip(of_signals).map(|both| statistic(told, both));
    json!({
        "index": index, "start": report.start, "end": report.end, "records": report.records,
        "model_evidence": report.ln_evidence.exp().min(MOST), "threshold": told.watch.threshold,
        "verdict": report.verdict.name(), "notices": notices(told.reference, report),
        "not_judged": standing(told.reference, judged), "guarantee": guarantee.status,
        "guarantee_reason": guarantee.reason, "statistics": statistics.collect::<Vec<_>>(),
    })
}

fn summary(told: &Told) -> Value {
    let of = |verdict: Verdict| told.judged.iter().filter(|j| j.report.verdict == verdict).count();
    json!({
        "model": told.reference.spec.name, "version": told.reference.spec.version, "reference": told.reference.id,
        "window": told.window.to_string(), "threshold": told.watch.threshold, "guarantee": told.reference.guarantee(),
        "windows": told.judged.len(), "windows_of_labels_alone": told.labels_alone(),
        "without_records": Gaps::of(told.window, told.judged).json(), "alerts": told.alerts.len(), "warnings": told.warnings,
        "not_judged": told.lacks.json(told.reference),
        "harmless_skew": HarmlessSkew::of(told).map(|skew| skew.json()),
        "windows_by_verdict": {
            "ok": of(Verdict::Ok), "warning": of(Verdict::Warning), "drift": of(Verdict::Drift),
            "insufficient_data": of(Verdict::InsufficientData),
        },
        "records": {
            "read": told.counts.records, "folded": told.counts.folded, "late": told.counts.late,
            "other_version": told.counts.other_version, "labels": told.counts.labels, "refused": told.counts.refused,
            "refused_by_reason": told.refused.by_reason(),
        },
        "labels": {
            "outcomes": told.labels.outcomes.iter().map(|(o, n)| (o.name(), n)).collect::<BTreeMap<_, _>>(),
            "unmatched": told.labels.unmatched(), "without_id": told.labels.without_id,
            "unknown_task": told.unknown_label_tasks, "late": told.labels.odd_times.late,
            "before_prediction": told.labels.odd_times.before, "refused": told.refused_labels.total(),
            "refused_by_reason": told.refused_labels.by_reason(),
        },
    })
}

/// As DESIGN says: windows, alerts, summary; with other settings, their alerts and summaries too. Windows are written
/// one by one: a month of them as one document would take gigabytes.
///
/// # Errors
/// If it cannot be written.
pub fn json(all: &[Told], out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let told = &all[0];
    let of_signals = told.reference.signals.iter().map(|signal| told.reference.guarantee_of(signal));
    let guarantees = (told.reference.guarantee(), of_signals.collect());
    out.write_all(b"{\"windows\":[")?;
    for (index, judged) in told.judged.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(out, "{comma}{}", window(told, index, judged, &guarantees))?;
    }
    let alerts = |told: &Told| told.alerts.iter().map(|a| json_of(told.reference, a)).collect::<Vec<_>>();
    let performance = told.labels.told(told.reference, told.judged, told.watch.threshold.ln());
    let rest = [("alerts", json!(alerts(told))), ("performance", json!(performance)), ("summary", summary(told))];
    let other = |told: &Told| json!({"settings": told.name, "alerts": alerts(told), "summary": summary(told)});
    let comparison = (all.len() > 1).then(|| ("comparison", all[1..].iter().map(other).collect()));
    write!(out, "]")?;
    for (key, value) in rest.into_iter().chain(comparison) {
        write!(out, ",\"{key}\":{value}")?;
    }
    out.write_all(b"}\n")
}

/// For the terminal: a line a window, the alerts, and what other settings would have said.
pub fn table(all: &[Told]) -> String {
    let told = &all[0];
    let mut text = format!(
        "{:>6}  {:<24} {:>8}  {:>12}  {:<18} strongest\n",
        "window", "start", "records", "evidence/A", "verdict"
    );
    for (index, judged) in told.judged.iter().enumerate() {
        let report = &judged.report;
        let strongest = plain(&window_told(told.reference, judged));
        let start = report.start.to_string();
        let _ = writeln!(
            text,
            "{index:>6}  {:<24} {:>8}  {:>12}  {:<18} {strongest}",
            start.get(..23).unwrap_or(&start),
            report.records,
            ratio_text(report.ln_evidence - report.ln_threshold),
            report.verdict.name()
        );
    }
    let guarantee = told.reference.guarantee();
    let _ = writeln!(
        text,
        "\n{}, {}, one false alarm allowed in {:.0} windows; guarantee {}: {}",
        told.windows(),
        records_told(told.counts, told.refused),
        told.watch.threshold,
        guarantee.status.name(),
        guarantee.reason
    );
    if told.judged.iter().any(|j| j.report.verdict == Verdict::Drift) {
        text.push_str(
            "after an alarm evidence of what it told is counted anew: a window may be ok while an alert stands\n",
        );
    }
    text.push_str(&told.labels.table(told.reference, told.judged, told.watch.threshold.ln()));
    if told.alerts.is_empty() {
        text.push_str(if told.lacks.is_empty() { "no alert\n" } else { "no alert in what could be judged\n" });
    }
    for alert in &told.alerts {
        let end =
            alert.resolved_window.map_or_else(|| "still firing".to_owned(), |w| format!("resolved in window {w}"));
        let _ = writeln!(
            text,
            "alert in window {} ({}), {end}: {}",
            alert.opened_window,
            moment(told.window, alert.opened_at),
            plain(&alert.summary)
        );
        for said in &alert.before {
            let _ = writeln!(text, "  until then, since window {}: {}", said.window, plain(&said.summary));
        }
        if !alert.before.is_empty() {
            let _ = writeln!(text, "  told so since window {}", alert.told_window);
        }
        let shown = match alert.part {
            Some("version") => "what records name".to_owned(),
            _ => some_of(&alert.evidence),
        };
        // Where no part stands out, these are merely the strongest.
        let rests = if alert.kind == CauseKind::Undetermined.name() { "most evidence in" } else { "rests on" };
        let explains = if alert.explained.is_empty() {
            String::new()
        } else {
            format!("; explains {}", some_of(&alert.explained))
        };
        let _ = writeln!(text, "  {rests} {shown}{explains}");
        text.push_str(&backtest_moved::lines(told.reference, told.judged, &alert.moved));
        if let Some(errors) = &alert.errors {
            let _ = writeln!(text, "  {}", errors.said());
        }
        text.extend(alert.examples.as_ref().map(|examples| examples.table(told.reference)));
    }
    if let Some(skew) = HarmlessSkew::of(told) {
        let _ = writeln!(text, "{}", skew.words());
    }
    if all.len() > 1 {
        text.push_str(&compare::table(all));
    }
    text
}
