//! Parts of the model × time on a back-test's page.

use std::fmt::Write as _;

use super::backtest_html::{FLOOR, WIDTH, column, escape, power, time_axis};
use super::backtest_report::Told;
use super::backtest_words::ratio_text;
use crate::drift::course::Judged;
use crate::drift::signal::Scope;
use crate::drift::tree::Part;
use crate::drift::witness::LABELS;

/// More windows than this share columns.
const MOST_COLUMNS: usize = 240;

/// What nothing is known of is hatched: grey alone is what is quiet.
const UNJUDGED: &str = "<defs><pattern id=unjudged width=6 height=6 patternUnits=userSpaceOnUse patternTransform='rotate(45)'>\
<rect width=2.5 height=6 fill='var(--grey)' /></pattern></defs>";

/// Rows: input, encoder, heads, segments, labels; a cell is the most evidence of its windows.
pub fn heatmap(told: &Told, page: &mut String) {
    const ROW: f64 = 22.0;
    const NAMES: f64 = 150.0;
    let Some(first) = told.judged.first() else { return };
    // Labels come last, where the reference knows any.
    let of_labels = (!told.reference.performance.is_empty()).then_some(None);
    let parts: Vec<Option<Part>> = first.report.parts.iter().map(|(part, _)| Some(*part)).chain(of_labels).collect();
    let a_column = told.judged.len().div_ceil(MOST_COLUMNS);
    let columns = told.judged.len().div_ceil(a_column);
    let height = ROW * parts.len() as f64;
    let _ = write!(
        page,
        "<svg viewBox='-{NAMES} -4 {} {}' role=img aria-label='evidence of each part of the model by window'>{UNJUDGED}",
        WIDTH + NAMES + 10.0,
        height + 30.0
    );
    for (row, part) in parts.iter().enumerate() {
        let top = ROW * row as f64;
        let name = part.map_or_else(|| LABELS.to_owned(), |part| part_name(told, &part));
        let _ = write!(page, "<text x=-8 y='{:.1}' text-anchor=end>{}</text>", top + 15.0, escape(&name));
        for (at, block) in told.judged.chunks(a_column).enumerate() {
            let evidence = |j: &Judged| part.map_or(j.harm.ln_share, |_| j.report.parts[row].1);
            let most = block.iter().map(|j| power(evidence(j), &j.report)).fold(FLOOR, f64::max);
            let is_silent = |window| part.is_some_and(|part| told.lacks.is_silent(&part, window));
            let silent = (at * a_column..).take(block.len()).all(is_silent);
            let (fill, opacity) = if silent { ("url(#unjudged)", 1.0) } else { colour(most) };
            let said = match silent {
                true => "not judged".to_owned(),
                false => format!("{} of the threshold", ratio_text(most * std::f64::consts::LN_10)),
            };
            let _ = write!(
                page,
                "<rect x='{:.1}' y='{:.1}' width='{:.2}' height='{}' fill='{fill}' fill-opacity='{opacity:.2}'>\
                 <title>{}, window {}: {said}</title></rect>",
                column(at, columns),
                top + 1.0,
                (WIDTH / columns as f64 - 0.4).max(0.4),
                ROW - 2.0,
                escape(&name),
                at * a_column,
            );
        }
    }
    time_axis(told, height + 18.0, page);
    page.push_str(
        "</svg><p><span class='key unjudged'></span>not judged<span class=key style='background:var(--grey)'></span>little evidence\
         <span class=key style='background:var(--amber)'></span>above a tenth of the threshold\
         <span class=key style='background:var(--red)'></span>at the threshold and beyond</p>",
    );
}

/// Fill and opacity of a power of ten of the threshold.
fn colour(power: f64) -> (&'static str, f64) {
    match power {
        p if p >= 0.0 => ("var(--red)", (0.6 + p * 0.1).min(1.0)),
        p if p >= -1.0 => ("var(--amber)", 0.8),
        p => ("var(--grey)", 0.08 + 0.5 * (1.0 - p / FLOOR)),
    }
}

fn part_name(told: &Told, part: &Part) -> String {
    let segment = part.segment.and_then(|s| told.reference.name_of_segment(s));
    let task = part.task.map(|t| told.reference.spec.tasks[t].name.clone());
    match (segment, task, part.scope) {
        (Some(segment), ..) => segment,
        (None, Some(task), Scope::Link) => format!("links of {task}"),
        (None, Some(task), Scope::Skew) => format!("skew of {task}"),
        (None, Some(task), _) => task,
        (None, None, scope) => scope.name().to_owned(),
    }
}
