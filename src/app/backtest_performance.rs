//! Performance on the page of a back-test: what each task is estimated to get right, and what labels say, over time.

use std::fmt::Write as _;

use serde_json::Value;

use super::backtest_html::escape;
use super::backtest_pooled::{Pooled, estimated, realised};
use super::backtest_tasks::{contradicted, measured};

/// Rows of a task's table at most; more windows share rows.
const MOST_ROWS: usize = 24;
/// Expected confusions told in words.
const CONFUSIONS: usize = 5;
/// Labels or classes in a head's table: what fits on a page.
const MOST_LABELS: usize = 60;

/// A section for the tasks whose performance the reference knows; nothing where it knows none. `told` is what the
/// JSON says of them, `notes` what is to be told of labels as a whole.
pub fn section(told: &[Value], notes: &[String], page: &mut String) {
    if told.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Performance</h2><p>Estimated from calibrated confidence, without labels; realised by the labels that \
         came. Intervals are of 95 %.</p>",
    );
    for note in notes {
        let _ = write!(page, "<p>{}</p>", escape(note));
    }
    told.iter().for_each(|task| of_task(task, page));
}

fn of_task(task: &Value, page: &mut String) {
    let reference = &task["reference"];
    let _ = write!(
        page,
        "<h3>{}</h3><p>{}Reference {} ({} labels, macro-F1 {}), error tolerated {}; realised {} ({}, macro-F1 {}); labels \
         for {} of the answers.",
        escape(task["task"].as_str().unwrap_or_default()),
        measured(task).map_or_else(String::new, |what| format!("Measured: {what}. ")),
        percent(&reference["accuracy"]),
        reference["labelled"],
        percent(&reference["macro_f1"]),
        percent(&reference["error_tolerated"]),
        percent(&task["accuracy"]),
        ends(&task["realised"]),
        percent(&task["macro_f1"]),
        percent(&task["label_coverage"]),
    );
    if let Some(contradicted) = contradicted(task) {
        let _ = write!(page, " <b>{}</b>.", capital(&contradicted));
    }
    let confusions = task["expected_confusion"].as_array().map_or(&[][..], Vec::as_slice);
    let wrong: Vec<String> = confusions
        .iter()
        .filter(|cell| cell["true"] != cell["predicted"])
        .take(CONFUSIONS)
        .map(|cell| {
            let name = |key: &str| escape(cell[key].as_str().unwrap_or_default());
            format!("{} for {} ({:.0})", name("predicted"), name("true"), cell["n"].as_f64().unwrap_or(0.0))
        })
        .collect();
    if !wrong.is_empty() {
        let _ = write!(page, " Confusions to be expected, most first: {}.", wrong.join(", "));
    }
    page.push_str("</p><details open><summary>over time</summary><div class=scroll><table><tr><th>windows<th>answers<th>estimated<th>interval<th>labels<th>realised<th>interval</tr>");
    let points = task["points"].as_array().map_or(&[][..], Vec::as_slice);
    for block in points.chunks(points.len().div_ceil(MOST_ROWS).max(1)) {
        let [first, .., last] = [&block[0], &block[block.len() - 1]];
        let windows = if first["window"] == last["window"] {
            first["window"].to_string()
        } else {
            format!("{} to {}", first["window"], last["window"])
        };
        let (n, mut estimated) = cells(estimated(block, reference).as_ref());
        if block.iter().any(|point| point["muted"] == true) {
            estimated.push_str(", <b>contradicted by labels</b>");
        }
        let (labelled, realised) = cells(realised(block).as_ref());
        let _ = write!(page, "<tr><td>{windows}<td>{n:.0}{estimated}<td>{labelled:.0}{realised}</tr>");
    }
    page.push_str("</table></div></details>");
    by_label(task, page);
}

/// Each label or class; nothing for heads of tokens and values. Those that most records have in the reference come first.
fn by_label(task: &Value, page: &mut String) {
    let mut labels: Vec<&Value> = task["labels"].as_array().into_iter().flatten().collect();
    if labels.is_empty() {
        return;
    }
    let (label, labels_named) = match task["kind"].as_str() {
        Some("multilabel") => ("label", "labels"),
        _ => ("class", "classes"),
    };
    let support = |label: &Value| label["reference"]["support"].as_f64().unwrap_or(0.0);
    labels.sort_by(|a, b| support(b).total_cmp(&support(a)));
    let left_out = labels.len().saturating_sub(MOST_LABELS);
    let _ = write!(
        page,
        "<details{}><summary>{label} by {label}</summary><div class=scroll><table><tr><th>{label}<th>reference F1\
         <th>recall<th>estimated F1<th>interval<th>records with it<th>realised F1<th>interval<th>precision<th>recall</tr>",
        if label == "label" { " open" } else { "" },
    );
    for label in labels.into_iter().take(MOST_LABELS) {
        let [reference, estimated, realised] = ["reference", "estimated", "realised"].map(|of| &label[of]);
        let support = realised["support"].as_f64().map_or_else(|| "–".to_owned(), |n| format!("{n:.0}"));
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{support}<td>{}<td>{}<td>{}<td>{}</tr>",
            escape(label["label"].as_str().unwrap_or_default()),
            percent(&reference["f1"]["value"]),
            percent(&reference["recall"]["value"]),
            percent(&estimated["f1"]["value"]),
            ends(&estimated["f1"]),
            percent(&realised["f1"]["value"]),
            ends(&realised["f1"]),
            percent(&realised["precision"]["value"]),
            percent(&realised["recall"]["value"]),
        );
    }
    page.push_str("</table></div>");
    if left_out > 0 {
        let _ = write!(page, "<p>{left_out} rarer {labels_named} are in the JSON.</p>");
    }
    page.push_str("</details>");
}

/// How many, and the share with its interval.
fn cells(pooled: Option<&Pooled>) -> (f64, String) {
    let Some(Pooled { n, share, interval: (low, high) }) = pooled else { return (0.0, "<td>–<td>–".to_owned()) };
    (*n, format!("<td>{:.1} %<td>{:.1} to {:.1} %", share * 100.0, low * 100.0, high * 100.0))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn percent(share: &Value) -> String {
    share.as_f64().map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn ends(figure: &Value) -> String {
    let both = figure["low"].as_f64().zip(figure["high"].as_f64());
    both.map_or_else(|| "–".to_owned(), |(low, high)| format!("{:.1} to {:.1} %", low * 100.0, high * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn windows_share_rows_and_nothing_is_made_up() {
        let point = |window: usize| {
            let realised = (window < 50).then_some(0.8);
            json!({
                "window": window, "n": 100, "estimate": 0.9, "estimate_low": 0.8, "estimate_high": 1.0, "estimate_se": 0.05,
                "labelled": if window < 50 { 10 } else { 0 }, "muted": window == 3, "realised": realised, "realised_low": realised,
                "realised_high": realised,
            })
        };
        let label = |i: usize| {
            let figure = json!({"value": 0.5, "low": 0.25, "high": 0.75});
            let figures = |support: usize| json!({"support": support, "given": 1, "precision": null, "recall": figure, "f1": figure});
            json!({"label": format!("l<{i}"), "reference": figures(i), "estimated": null, "realised": figures(7)})
        };
        let task = json!({
            "task": "a<b", "kind": "multilabel", "reference": {"accuracy": 0.91, "labelled": 500, "error_tolerated": 0.12, "estimate_se": 0.0}, "accuracy": 0.8, "muted_windows": 1, "metric": "accuracy",
            "label_coverage": 0.05, "points": (0..100).map(point).collect::<Vec<_>>(),
            "labels": (0..70).map(label).collect::<Vec<_>>(),
            "expected_confusion": [
                {"true": "x", "predicted": "x", "n": 900.0}, {"true": "x", "predicted": "y", "n": 12.4},
            ],
        });
        let mut page = String::new();
        section(std::slice::from_ref(&task), &["7 labels: joined <7".to_owned()], &mut page);
        for part in [
            "a&lt;b",
            "<p>7 labels: joined &lt;7</p>",
            "The estimate is contradicted by labels in 1 of 100 windows",
            "to 94.4 %, <b>contradicted by labels</b><td>50",
            "Reference 91.0 % (500 labels, macro-F1 –), error tolerated 12.0 %",
            "y for x (12)",
            "0 to 4<td>500",
        ] {
            assert!(page.contains(part), "`{part}` is not in {page}");
        }
        assert!(page.contains("<td>90.0 %<td>85.6 to 94.4 %<td>50<td>80.0 %<td>67.0 to 88.8 %"), "{page}");
        assert!(
            page.contains(
                "<tr><td>l&lt;69<td>50.0 %<td>50.0 %<td>–<td>–<td>7<td>50.0 %<td>25.0 to 75.0 %<td>–<td>50.0 %</tr>"
            ),
            "{page}"
        );
        assert!(!page.contains("l&lt;9<") && page.contains("10 rarer labels"), "the rarest are left out: {page}");
        let page = &page[..page.find("label by label").expect("it is there")];
        assert!(page.contains("<td>0<td>–<td>–") && page.matches("<tr><td>").count() <= MOST_ROWS, "{page}");
        let mut none = String::new();
        section(&[], &[], &mut none);
        assert_eq!(none, "");
    }
}
