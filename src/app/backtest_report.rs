//! A back-test told as a table, as JSON, or as one self-contained page.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::backtest::Counts;
use crate::drift::alert::AlertState;
use crate::drift::course::{Judged, Watch};
use crate::drift::judgement::{Report, Statistic, Verdict};
use crate::drift::reference::Reference;
use crate::drift::signal::Effect;
use crate::drift::time::Timestamp;
use crate::drift::window::WindowRule;

/// Everything there is to tell.
pub struct Told<'a> {
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
}

/// Larger evidence is written as this; JSON has no infinity.
const MOST: f64 = 1e300;

struct AlertTold {
    opened_window: usize,
    opened_at: Timestamp,
    resolved_window: Option<usize>,
    resolved_at: Option<Timestamp>,
    kind: &'static str,
    task: Option<String>,
    segment: Option<String>,
    tasks_affected: Vec<String>,
    summary: String,
}

fn alerts(told: &Told) -> Vec<AlertTold> {
    let mut found: Vec<AlertTold> = Vec::new();
    let name = |task: &usize| told.reference.spec.tasks[*task].name.clone();
    for (index, judged) in told.judged.iter().enumerate() {
        let Some(transition) = &judged.transition else { continue };
        let cause = &transition.alert.cause;
        match (transition.from, transition.to) {
            (AlertState::Firing, AlertState::Firing) | (_, AlertState::Firing) => {
                let is_new = transition.from != AlertState::Firing;
                if is_new {
                    found.push(AlertTold {
                        opened_window: index,
                        opened_at: judged.report.end,
                        resolved_window: None,
                        resolved_at: None,
                        kind: "",
                        task: None,
                        segment: None,
                        tasks_affected: Vec::new(),
                        summary: String::new(),
                    });
                }
                if let Some(alert) = found.last_mut() {
                    alert.kind = cause.kind.name();
                    alert.task = cause.task.as_ref().map(name);
                    alert.segment = cause.segment.and_then(|s| told.reference.name_of_segment(s));
                    alert.tasks_affected = cause.tasks_affected.iter().map(name).collect();
                    alert.summary = cause.summary(told.reference);
                }
            }
            (AlertState::Firing, AlertState::Resolved) => {
                if let Some(alert) = found.last_mut() {
                    alert.resolved_window = Some(index);
                    alert.resolved_at = Some(judged.report.end);
                }
            }
            _ => {}
        }
    }
    found
}

fn statistic(told: &Told, statistic: &Statistic) -> Value {
    let tested = statistic.tested.as_ref();
    json!({
        "scope": statistic.key.scope, "task": told.reference.task_name(&statistic.key), "signal": statistic.key.signal,
        "segment": told.reference.segment_name(&statistic.key), "guarantee": statistic.guarantee,
        "statistic": tested.map(|(t, _)| t.statistic),
        "degrees_of_freedom": tested.map(|(t, _)| t.degrees_of_freedom),
        "p_value": tested.map(|(t, _)| t.ln_p.exp()),
        "ln_p_value": tested.map(|(t, _)| t.ln_p),
        "e_value": tested.map(|(_, ln_e)| ln_e.exp().min(MOST)),
        "evidence": statistic.ln_evidence.exp().min(MOST),
        "effect": statistic.effect.map(Effect::measures).unwrap_or_default(), "n": statistic.n, "movers": statistic.movers,
    })
}

fn window(told: &Told, index: usize, report: &Report) -> Value {
    json!({
        "index": index, "start": report.start, "end": report.end, "records": report.records,
        "model_evidence": report.ln_evidence.exp().min(MOST), "threshold": told.watch.threshold,
        "verdict": report.verdict.name(), "guarantee": told.reference.guarantee().status,
        "statistics": report.statistics.iter().map(|s| statistic(told, s)).collect::<Vec<_>>(),
    })
}

fn summary(told: &Told, alerts: usize) -> Value {
    let of = |verdict: Verdict| told.judged.iter().filter(|j| j.report.verdict == verdict).count();
    json!({
        "model": told.reference.spec.name, "version": told.reference.spec.version, "reference": told.reference.id,
        "window": told.window.to_string(), "threshold": told.watch.threshold, "guarantee": told.reference.guarantee(),
        "windows": told.judged.len(), "alerts": alerts,
        "windows_by_verdict": {
            "ok": of(Verdict::Ok), "warning": of(Verdict::Warning), "drift": of(Verdict::Drift),
            "insufficient_data": of(Verdict::InsufficientData),
        },
        "records": {
            "read": told.counts.records, "folded": told.counts.folded, "late": told.counts.late,
            "other_version": told.counts.other_version, "labels": told.counts.labels, "refused": told.counts.refused,
        },
    })
}

/// As DESIGN says: windows, alerts, summary.
pub fn json(told: &Told) -> String {
    let alerts = alerts(told);
    let windows: Vec<Value> = told.judged.iter().enumerate().map(|(i, j)| window(told, i, &j.report)).collect();
    let told_alerts: Vec<Value> = alerts
        .iter()
        .map(|a| {
            json!({
                "opened_window": a.opened_window, "opened_at": a.opened_at,
                "cause": {
                    "kind": a.kind, "task": a.task, "segment": a.segment, "tasks_affected": a.tasks_affected,
                    "summary": a.summary,
                },
                "resolved_window": a.resolved_window, "resolved_at": a.resolved_at,
            })
        })
        .collect();
    json!({"windows": windows, "alerts": told_alerts, "summary": summary(told, alerts.len())}).to_string() + "\n"
}

/// For the terminal: a line a window, then the alerts.
pub fn table(told: &Told) -> String {
    let mut text = format!(
        "{:>6}  {:<24} {:>8}  {:>12}  {:<18} strongest\n",
        "window", "start", "records", "evidence/A", "verdict"
    );
    for (index, judged) in told.judged.iter().enumerate() {
        let report = &judged.report;
        let ratio = (report.ln_evidence - report.ln_threshold).exp();
        let strongest = report
            .statistics
            .iter()
            .filter(|s| s.tested.is_some())
            .max_by(|a, b| a.ln_evidence.total_cmp(&b.ln_evidence));
        let strongest = strongest.map_or_else(String::new, |s| {
            let task = told.reference.task_name(&s.key).map_or_else(|| s.key.scope.name().to_owned(), str::to_owned);
            format!("{task} {}", s.key.signal)
        });
        let start = report.start.to_string();
        let _ = writeln!(
            text,
            "{index:>6}  {:<24} {:>8}  {:>12}  {:<18} {strongest}",
            start.get(..23).unwrap_or(&start),
            report.records,
            if ratio < 1e5 { format!("{ratio:.4}") } else { format!("{ratio:.1e}") },
            report.verdict.name()
        );
    }
    let alerts = alerts(told);
    let _ = writeln!(
        text,
        "\n{} windows of {}, {} records, one false alarm allowed in {:.0} windows; {}",
        told.judged.len(),
        told.window,
        told.counts.folded,
        told.watch.threshold,
        told.reference.guarantee().reason
    );
    if alerts.is_empty() {
        text.push_str("no alert\n");
    }
    for alert in alerts {
        let end =
            alert.resolved_window.map_or_else(|| "still firing".to_owned(), |w| format!("resolved in window {w}"));
        let _ =
            writeln!(text, "alert in window {} ({}), {end}: {}", alert.opened_window, alert.opened_at, alert.summary);
    }
    text
}

/// One self-contained page: evidence over time against the threshold, the alerts, and for each
/// alert the cells that moved.
pub fn html(told: &Told) -> String {
    let alerts = alerts(told);
    let spec = &told.reference.spec;
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>driftd back-test of {name}</title><style>{STYLE}</style>\
         <h1>{name} <small>version {version}</small></h1><p>{windows} windows of {window}, {records} records, compared with \
         <code>{reference}</code>. One false alarm is allowed in {threshold:.0} windows; {guarantee}.</p>",
        name = escape(&spec.name),
        version = escape(&spec.version),
        windows = told.judged.len(),
        window = told.window,
        records = told.counts.folded,
        reference = told.reference.id,
        threshold = told.watch.threshold,
        guarantee = escape(&told.reference.guarantee().reason),
    );
    chart(told, &mut page);
    if alerts.is_empty() {
        page.push_str("<p>No alert.</p>");
    }
    for alert in &alerts {
        let _ = write!(page, "<h2>Alert in window {}</h2><p>{}</p>", alert.opened_window, escape(&alert.summary));
        movers(&told.judged[alert.opened_window].report, told, &mut page);
    }
    page.push_str("</html>\n");
    page
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
h1 small{font-weight:400;color:#667}table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #dde}\
td:first-child,th:first-child{text-align:left}.line{fill:none;stroke:#1f5fbf;stroke-width:1.5}.limit{stroke:#b3261e;stroke-dasharray:5 4}\
text{font-size:11px;fill:#556}.drift{fill:#b3261e}";

/// Evidence as a share of the threshold on a log scale from 1e-6 up.
fn chart(told: &Told, page: &mut String) {
    const WIDTH: f64 = 900.0;
    const HEIGHT: f64 = 260.0;
    const FLOOR: f64 = -6.0;
    let log = |report: &Report| ((report.ln_evidence - report.ln_threshold) / std::f64::consts::LN_10).max(FLOOR);
    let top = told.judged.iter().map(|j| log(&j.report)).fold(1.0, f64::max);
    let y = |value: f64| HEIGHT - (value - FLOOR) / (top - FLOOR) * HEIGHT;
    let x = |index: usize| (index as f64 + 0.5) / told.judged.len().max(1) as f64 * WIDTH;
    let points: Vec<String> =
        told.judged.iter().enumerate().map(|(i, j)| format!("{:.1},{:.1}", x(i), y(log(&j.report)))).collect();
    let _ = write!(
        page,
        "<svg viewBox='-10 -14 {} {}' role=img aria-label='evidence over windows against the threshold'>\
         <line class=limit x1=0 x2={WIDTH} y1={limit:.1} y2={limit:.1} /><text x=4 y={:.1}>threshold</text>\
         <polyline class=line points='{}' />",
        WIDTH + 20.0,
        HEIGHT + 34.0,
        y(0.0) - 4.0,
        points.join(" "),
        limit = y(0.0)
    );
    for (i, judged) in told.judged.iter().enumerate().filter(|(_, j)| j.report.verdict == Verdict::Drift) {
        let _ = write!(
            page,
            "<circle class=drift cx={:.1} cy={:.1} r=3><title>window {i}</title></circle>",
            x(i),
            y(log(&judged.report))
        );
    }
    let _ = write!(
        page,
        "<text x=0 y={:.1}>window 0</text><text x={:.1} y={0:.1} text-anchor=end>window {}</text></svg>",
        HEIGHT + 16.0,
        WIDTH,
        told.judged.len().saturating_sub(1)
    );
}

fn movers(report: &Report, told: &Told, page: &mut String) {
    const SHOWN: usize = 3;
    let mut strongest: Vec<&Statistic> = report.statistics.iter().filter(|s| !s.movers.is_empty()).collect();
    strongest.sort_by(|a, b| b.ln_evidence.total_cmp(&a.ln_evidence));
    for statistic in strongest.into_iter().take(SHOWN) {
        let place = told.reference.task_name(&statistic.key).unwrap_or(statistic.key.scope.name());
        let _ = write!(
            page,
            "<h3>{} {}</h3><table><tr><th>cell<th>reference<th>current</tr>",
            escape(place),
            escape(&statistic.key.signal)
        );
        for mover in &statistic.movers {
            let _ = write!(
                page,
                "<tr><td>{}<td>{:.1} %<td>{:.1} %</tr>",
                escape(&mover.cell),
                mover.reference_share * 100.0,
                mover.current_share * 100.0
            );
        }
        page.push_str("</table>");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
