//! A back-test as one self-contained page: evidence over time against the threshold, tasks × time, and for
//! each alert what moved, reference against current. Every chart has its table behind it; no script.

use std::fmt::Write as _;

use super::backtest_alerts::{AlertTold, Said};
use super::backtest_gaps::between;
use super::backtest_lacks::window_told;
use super::backtest_map;
use super::backtest_notices;
use super::backtest_performance;
use super::backtest_report::Told;
use super::backtest_skew::HarmlessSkew;
use super::backtest_warnings::records_told;
use super::backtest_words::{moment, p_text, place_and_signal, ratio_text, strongest};
use crate::drift::cause::CauseKind;
use crate::drift::judgement::{Mover, Report, Statistic, Verdict};
use crate::drift::window::WindowRule;

/// Width of a picture.
pub const WIDTH: f64 = 960.0;
/// Evidence is drawn from this power of ten of the threshold upwards.
pub const FLOOR: f64 = -6.0;
/// Signals whose distributions are shown for an alert.
const SIGNALS: usize = 5;

/// The page; the first of `all` is the main one, others are compared with it.
pub fn page(all: &[Told]) -> String {
    let told = &all[0];
    let spec = &told.reference.spec;
    let guarantee = told.reference.guarantee();
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width,initial-scale=1'>\
         <title>driftd back-test of {name}</title><style>{STYLE}</style><main>\
         <h1>{name} <small>version {version}</small></h1><p class=verdict>{verdict}</p>\
         <p>{windows}, {records}, compared with <code>{reference}</code> ({learned} records \
         from {from} to {to}). One false alarm is allowed in {threshold:.0} windows. Guarantee: <b>{status}</b> – {reason}.</p>",
        name = escape(&spec.name),
        version = escape(&spec.version),
        verdict = verdict(told),
        windows = told.windows(),
        records = records_told(told.counts, told.refused),
        reference = told.reference.id,
        learned = told.reference.records,
        from = told.reference.span.0,
        to = told.reference.span.1,
        threshold = told.watch.threshold,
        status = guarantee.status.name(),
        reason = escape(&guarantee.reason),
    );
    for warning in &told.warnings {
        let _ = write!(page, "<p class=warning>{}</p>", escape(warning));
    }
    if let Some(skew) = HarmlessSkew::of(told) {
        let _ = write!(page, "<p>{}</p>", escape(&skew.words()));
    }
    page.push_str("<h2>Evidence</h2>");
    chart(told, &mut page);
    page.push_str("<h2>Where, over time</h2>");
    backtest_map::heatmap(told, &mut page);
    let performance = told.labels.told(told.reference, told.judged, told.watch.threshold.ln());
    let (fates, notices) = (told.labels.fates(), backtest_notices::of(told.judged));
    let notices: Vec<String> = notices.iter().map(|notice| notice.said(told.reference)).collect();
    backtest_performance::section(&performance, &fates.into_iter().chain(notices).collect::<Vec<_>>(), &mut page);
    for alert in &told.alerts {
        alert_section(told, alert, &mut page);
    }
    if all.len() > 1 {
        comparison(all, &mut page);
    }
    windows_table(told, &mut page);
    page.push_str("</main></html>\n");
    page
}

const STYLE: &str = "\
:root{--ink:#1b1f24;--soft:#5b6472;--line:#d9dee6;--back:#fff;--blue:#1f5fbf;--red:#b3261e;--amber:#9a6700;--grey:#a9b4c2}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa5b4;--line:#303843;--back:#14181d;--blue:#79aef5;--red:#f2736b;\
--amber:#e0b050;--grey:#5d6a7a}}\
body{font:15px/1.55 system-ui,sans-serif;margin:0;color:var(--ink);background:var(--back)}main{max-width:62rem;margin:2rem auto;padding:0 1rem}\
h1 small{font-weight:400;color:var(--soft)}h2{margin-top:2.2rem}.verdict{font-size:1.15rem;font-weight:600}.warning{color:var(--amber)}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.2rem .8rem .2rem 0;text-align:right;border-bottom:1px solid var(--line)}\
td:first-child,th:first-child{text-align:left}svg{width:100%;height:auto;display:block}svg text{font-size:11px;fill:var(--soft)}\
.evidence{fill:none;stroke:var(--blue);stroke-width:1.5}.limit{stroke:var(--red);stroke-dasharray:5 4}.drift{fill:var(--red)}\
.firing{fill:var(--red);opacity:.1}.gap{stroke:var(--soft);stroke-dasharray:1 3}.reference{fill:var(--grey)}.current{fill:var(--blue)}.whisker{stroke:var(--ink)}\
.texts{padding-left:1.2rem}blockquote{margin:.6rem 0 0;overflow-wrap:anywhere}small{color:var(--soft)}\
.unjudged{background:repeating-linear-gradient(45deg,var(--grey) 0 2px,transparent 2px 4px)}.scroll{overflow-x:auto}details{margin:1rem 0}summary{cursor:pointer;color:var(--soft)}.key{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}";

fn verdict(told: &Told) -> String {
    match told.alerts.as_slice() {
        [] if told.lacks.is_empty() => {
            format!("No alert. The highest evidence was {} of the threshold.", ratio_text(told.ln_highest()))
        }
        [] => format!(
            "No alert in what could be judged. The highest evidence was {} of the threshold.",
            ratio_text(told.ln_highest())
        ),
        [one] => format!("One alert, in window {}: {}.", one.opened_window, escape(&one.summary)),
        [first, rest @ ..] => {
            format!(
                "{} alerts; the first, in window {}: {}.",
                1 + rest.len(),
                first.opened_window,
                escape(&first.summary)
            )
        }
    }
}

/// Evidence of a report as a power of ten of the threshold, cut at the floor.
pub fn power(ln_evidence: f64, report: &Report) -> f64 {
    ((ln_evidence - report.ln_threshold) / std::f64::consts::LN_10).max(FLOOR)
}

/// Where a column begins.
pub fn column(index: usize, count: usize) -> f64 {
    index as f64 / count.max(1) as f64 * WIDTH
}

fn chart(told: &Told, page: &mut String) {
    const HEIGHT: f64 = 240.0;
    let n = told.judged.len();
    let value = |report: &Report| power(report.ln_evidence, report);
    let top = told.judged.iter().map(|j| value(&j.report)).fold(1.0, f64::max);
    let y = |value: f64| HEIGHT - (value - FLOOR) / (top - FLOOR) * HEIGHT;
    let x = |index: usize| column(index, n) + WIDTH / n.max(1) as f64 / 2.0;
    let _ = write!(
        page,
        "<svg viewBox='-70 -12 {} {}' role=img aria-label='evidence by window against the threshold, on a logarithmic scale'>",
        WIDTH + 80.0,
        HEIGHT + 40.0
    );
    for alert in &told.alerts {
        let (from, to) = (column(alert.opened_window, n), column(alert.resolved_window.map_or(n, |w| w + 1), n));
        let _ = write!(page, "<rect class=firing x='{from:.1}' y=0 width='{:.1}' height='{HEIGHT}'/>", to - from);
    }
    let mut tick = FLOOR;
    while tick <= top {
        let label = match tick {
            0.0 => "×1".to_owned(),
            t if t == FLOOR => "less".to_owned(),
            t => format!("×1e{t:.0}"),
        };
        let _ = write!(page, "<text x=-6 y='{:.1}' text-anchor=end>{label}</text>", y(tick) + 4.0);
        tick += ((top - FLOOR) / 8.0).ceil().max(1.0);
    }
    let points: Vec<String> =
        told.judged.iter().enumerate().map(|(i, j)| format!("{:.1},{:.1}", x(i), y(value(&j.report)))).collect();
    let _ = write!(
        page,
        "<line class=limit x1=0 x2='{WIDTH}' y1='{limit:.1}' y2='{limit:.1}'/><polyline class=evidence points='{}'/><text x=4 y='{:.1}'>threshold</text>",
        points.join(" "),
        y(0.0) - 4.0,
        limit = y(0.0)
    );
    for (i, judged) in told.judged.iter().enumerate().filter(|(_, j)| j.report.verdict == Verdict::Drift) {
        let (cx, cy) = (x(i), y(value(&judged.report)));
        let _ = write!(page, "<circle class=drift cx='{cx:.1}' cy='{cy:.1}' r=3><title>window {i}</title></circle>");
    }
    let mut gaps = false;
    for (i, pair) in told.judged.windows(2).enumerate() {
        let missing = between(&pair[0].report, &pair[1].report);
        if missing > 0 && matches!(told.window, WindowRule::Time(_)) {
            gaps = true;
            let x = column(i + 1, n);
            let _ = write!(
                page,
                "<line class=gap x1='{x:.1}' x2='{x:.1}' y1=0 y2='{HEIGHT}'><title>{missing} windows without records</title></line>"
            );
        }
    }
    time_axis(told, HEIGHT + 18.0, page);
    page.push_str("</svg><p><span class=key style='background:var(--red);opacity:.3'></span>an alert is firing; after an alarm, evidence of what it told is counted anew");
    if gaps {
        page.push_str(
            "<span class=key style='border-left:2px dotted var(--soft)'></span>windows without records are left out",
        );
    }
    page.push_str("</p>");
}

/// A few starts of windows, in UTC; the date only where it is another than before.
pub fn time_axis(told: &Told, y: f64, page: &mut String) {
    const TICKS: usize = 6;
    let n = told.judged.len();
    let mut date = String::new();
    for index in (0..n).step_by(n.div_ceil(TICKS).max(1)) {
        let start = told.judged[index].report.start.to_string();
        let (day, time) = (start.get(..10).unwrap_or(&start), start.get(11..16).unwrap_or_default());
        let label = match (index, day == date) {
            (0, _) => format!("{day} {time} UTC"),
            (_, true) => time.to_owned(),
            (_, false) => format!("{day} {time}"),
        };
        day.clone_into(&mut date);
        let x = column(index, n) + WIDTH / n as f64 / 2.0;
        let _ = write!(page, "<text x='{x:.1}' y='{y}' text-anchor=middle>{label}</text>");
    }
}

fn alert_section(told: &Told, alert: &AlertTold, page: &mut String) {
    let moment = |end| moment(told.window, end);
    let end =
        alert.resolved_at.map_or_else(|| "still firing at the end".to_owned(), |at| format!("resolved {}", moment(at)));
    let _ = write!(
        page,
        "<h2>Alert in window {}</h2><p><b>{}</b>. Fired {}, {end}.</p>",
        alert.opened_window,
        escape(&alert.summary),
        moment(alert.opened_at)
    );
    if !alert.before.is_empty() {
        let said = |said: &Said| format!("<li>since window {}: {}</li>", said.window, escape(&said.summary));
        let before: String = alert.before.iter().map(said).collect();
        let _ = write!(page, "<p>Told so since window {}; before that:</p><ul>{before}</ul>", alert.told_window);
    }
    if alert.kind == CauseKind::Concept.name() {
        let errors = alert.errors.as_ref().map_or_else(String::new, |errors| format!(" ({})", errors.said()));
        let _ = write!(
            page,
            "<p>It was found from labels alone{errors}: the task's table above tells them over time, and all signals were quiet.</p>"
        );
        return;
    }
    let rests = if alert.kind == CauseKind::Undetermined.name() { "Most evidence is in" } else { "It rests on" };
    let names = |names: &[String]| names.iter().map(|name| escape(name)).collect::<Vec<_>>().join(", ");
    if !alert.evidence.is_empty() {
        let _ = write!(page, "<p>{rests} {}.</p>", names(&alert.evidence));
    }
    let own: Vec<Row> = alert.moved.iter().map(|moved| (moved.window, moved.statistic(told.judged))).collect();
    if !own.is_empty() {
        signals_table(told, &own[..own.len().min(SIGNALS)], page);
    }
    if !alert.explained.is_empty() {
        let _ = write!(
            page,
            "<details><summary>It explains {} more signals</summary><p>{}</p></details>",
            alert.explained.len(),
            names(&alert.explained)
        );
    }
    let window = alert.told_window;
    let signals: Vec<Row> =
        strongest(&told.judged[window].report, usize::MAX).into_iter().map(|statistic| (window, statistic)).collect();
    let _ = write!(page, "<details><summary>All {} signals of window {window}</summary>", signals.len());
    signals_table(told, &signals, page);
    page.push_str("</details>");
    // Means have no cells to show; what follows from the cause is shown where it rests on nothing else.
    let has_cells = |row: &&Row| !row.1.movers.is_empty();
    let rows = if own.iter().any(|row| has_cells(&row)) { &own } else { &signals };
    rows.iter().filter(has_cells).take(SIGNALS).for_each(|row| distribution(told, *row, page));
    if let Some(examples) = &alert.examples {
        examples.html(told.reference, page);
    }
}

/// A window, and a signal in it.
type Row<'a> = (usize, &'a Statistic);

fn signals_table(told: &Told, signals: &[Row], page: &mut String) {
    page.push_str("<div class=scroll><table><tr><th>signal<th>window<th>n<th>statistic<th>df<th>p<th>evidence / threshold<th>guarantee</tr>");
    for (window, statistic) in signals {
        let test = statistic.tested.as_ref().map_or_else(
            || "–<td>–<td>not tested in it".to_owned(),
            |(test, _)| format!("{:.1}<td>{:.0}<td>{}", test.statistic, test.degrees_of_freedom, p_text(test.ln_p)),
        );
        let _ = write!(
            page,
            "<tr><td>{}<td>{window}<td>{}<td>{test}<td>{}<td>{}</tr>",
            escape(&place_and_signal(told.reference, statistic)),
            statistic.n,
            ratio_text(statistic.ln_evidence - told.judged[*window].report.ln_threshold),
            statistic.guarantee.name()
        );
    }
    page.push_str("</table></div>");
}

/// Shares of the cells that moved most: reference against current with its interval.
fn distribution(told: &Told, (window, statistic): Row, page: &mut String) {
    const ROW: f64 = 34.0;
    const LABELS: f64 = 260.0;
    const BARS: f64 = 560.0;
    let shares = |m: &Mover| m.reference_share.max(m.current_interval[1]);
    let most = statistic.movers.iter().map(shares).fold(1e-9, f64::max);
    let long = |share: f64| share / most * BARS;
    let title = escape(&place_and_signal(told.reference, statistic));
    let _ = write!(
        page,
        "<h3>{title} <small>window {window}</small></h3><p><span class=key style='background:var(--grey);margin-left:0'></span>reference\
         <span class=key style='background:var(--blue)'></span>current, with its 95 % confidence interval</p>\
         <svg viewBox='-{LABELS} 0 {WIDTH} {}' role=img aria-label='shares of {title}, reference and current'>",
        ROW * statistic.movers.len() as f64
    );
    for (row, mover) in statistic.movers.iter().enumerate() {
        let top = ROW * row as f64;
        let [low, high] = mover.current_interval.map(long);
        let _ = write!(
            page,
            "<text x=-8 y='{:.0}' text-anchor=end>{}<title>{}</title></text>\
             <rect class=reference x=0 y='{:.0}' width='{:.1}' height=11 /><rect class=current x=0 y='{:.0}' width='{:.1}' height=11 />\
             <line class=whisker x1='{low:.1}' x2='{high:.1}' y1='{middle:.1}' y2='{middle:.1}'/>\
             <text x='{:.1}' y='{:.0}'>{:.1} % → {:.1} %</text>",
            top + 20.0,
            escape(&shortened(&mover.cell)),
            escape(&mover.cell),
            top + 4.0,
            long(mover.reference_share),
            top + 16.0,
            long(mover.current_share),
            long(shares(mover)) + 8.0,
            top + 20.0,
            mover.reference_share * 100.0,
            mover.current_share * 100.0,
            middle = top + 21.5,
        );
    }
    page.push_str("</svg><details><summary>as a table</summary><table><tr><th>cell<th>reference<th>current<th>interval<th>count</tr>");
    for mover in &statistic.movers {
        let [low, high] = mover.current_interval;
        let _ = write!(
            page,
            "<tr><td>{}<td>{:.2} %<td>{:.2} %<td>{:.2} to {:.2} %<td>{}</tr>",
            escape(&mover.cell),
            mover.reference_share * 100.0,
            mover.current_share * 100.0,
            low * 100.0,
            high * 100.0,
            mover.current_count
        );
    }
    page.push_str("</table></details>");
}

/// As much of a name as there is room for beside its bars.
fn shortened(name: &str) -> String {
    const ROOM: usize = 36;
    if name.chars().count() <= ROOM { name.to_owned() } else { name.chars().take(ROOM - 1).chain(['…']).collect() }
}

fn comparison(all: &[Told], page: &mut String) {
    page.push_str("<h2>Other settings on the same stream</h2><table><tr><th>settings<th>windows<th>alerts<th>in windows<th>highest evidence / threshold</tr>");
    for told in all {
        let opened: Vec<String> = told.alerts.iter().map(|a| format!("{} ({})", a.opened_window, a.kind)).collect();
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            escape(told.name),
            told.judged.len(),
            told.alerts.len(),
            escape(&opened.join(", ")),
            ratio_text(told.ln_highest())
        );
    }
    page.push_str("</table>");
}

fn windows_table(told: &Told, page: &mut String) {
    page.push_str("<details><summary>All windows as a table</summary><div class=scroll><table><tr><th>window<th>start<th>records<th>evidence / threshold<th>verdict<th>strongest</tr>");
    for (index, judged) in told.judged.iter().enumerate() {
        let report = &judged.report;
        let name = window_told(told.reference, judged);
        let _ = write!(
            page,
            "<tr><td>{index}<td>{}<td>{}<td>{}<td>{}<td>{}</tr>",
            report.start,
            report.records,
            ratio_text(report.ln_evidence - report.ln_threshold),
            report.verdict.name(),
            escape(&name)
        );
    }
    page.push_str("</table></div></details>");
}

/// A text that is none of the page's code.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
