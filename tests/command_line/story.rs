//! What a reader of a back-test is told of an alert: what was said of it before, and what moved.

use serde_json::{Value, json};

use super::bad_input::Scene;
use super::support::succeed;
use super::told::{bare, warnings};

fn with_amounts(mut records: Vec<Value>, amount: impl Fn(usize, f64) -> f64) -> Vec<Value> {
    for (at, record) in records.iter_mut().enumerate() {
        let usual = 1.0 + (at * 7_919 % 1_009) as f64 / 1_009.0;
        record["attributes"] = json!({"amount": amount(at, usual)});
    }
    records
}

#[test]
fn an_alert_is_told_with_what_was_said_before_and_with_what_moved() {
    let scene = Scene::with_manifest(|example| example + "attributes:\n  - {name: amount, kind: numeric}\n");
    let (reference, _) = scene.fit(&with_amounts(bare(0), |_, usual| usual));
    // Windows of 50: from the fifth on amounts are others, and from the tenth on a head has one answer for all.
    let mut stream = with_amounts(bare(4), |at, usual| if at >= 200 { 9.0 * usual } else { usual });
    stream.truncate(650);
    stream[450..].iter_mut().for_each(|record| {
        record["outputs"]["intent"] = json!({"kind": "multiclass", "label": "refund", "scores": {"refund": 0.4}});
    });
    let told = scene.judge(&reference, &stream);
    let alert = &told["alerts"][0];
    let (opened, since) = (alert["opened_window"].as_u64(), alert["told_window"].as_u64());
    assert_eq!(alert["cause"]["kind"], "input", "{alert}");
    assert!(opened.is_some_and(|window| (4..6).contains(&window)) && since >= Some(9), "{alert}");
    let before = alert["before"].as_array().expect("a list");
    assert_eq!((&before[0]["window"], &before[0]["kind"]), (&alert["opened_window"], &json!("input")), "{alert}");
    assert!(before[0]["summary"] != alert["cause"]["summary"], "{alert}");

    let mut backtest = scene.backtest(&reference, &stream);
    let table = succeed(&mut backtest);
    let first = before[0]["summary"].as_str().expect("a sentence");
    for part in [
        format!("until then, since window {}: {first}", before[0]["window"]),
        format!("told so since window {}", alert["told_window"]),
        "rests on input attribute_amount".to_owned(),
        format!("  input attribute_amount in window {}: ", alert["told_window"]),
        "% → ".to_owned(),
    ] {
        assert!(table.contains(&part), "{part} is not in:\n{table}");
    }
    let page = succeed(backtest.args(["--format", "html"]));
    let section = page.split("<h2>Alert in window").nth(1).expect("a section");
    for part in ["before that:", "It rests on input attribute_amount", "<small>window ", "signals of window"] {
        assert!(section.contains(part), "{part} is not in:\n{section}");
    }
    let drawn = section.find("<h3>").expect("a distribution");
    assert!(section[drawn..].starts_with("<h3>input attribute_amount"), "what it rests on comes first");
}

#[test]
fn records_that_go_back_in_time_are_told() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&bare(0));
    let mut stream = bare(4);
    let told = warnings(&scene.judge(&reference, &stream));
    assert!(!told.contains("older than records"), "{told}");
    stream.reverse();
    let told = warnings(&scene.judge(&reference, &stream));
    assert!(told.contains("of 800 records (93.6 %) are older than records of a window before theirs"), "{told}");
}

#[test]
fn names_move_no_cursor_in_a_terminal() {
    let scene = Scene::new();
    let strange = "\u{1b}[2Jred\nline";
    let tagged = |days: usize| -> Vec<Value> {
        let mut records = bare(days);
        let tag = |at: usize| if at.is_multiple_of(3) { strange } else { "blue" };
        records.iter_mut().enumerate().for_each(|(at, record)| record["tags"] = json!({"client": tag(at)}));
        records
    };
    let (reference, fitted) = scene.fit(&tagged(0));
    let mut stream = tagged(4);
    stream[200..].iter_mut().for_each(|record| record["tags"] = json!({"client": strange}));
    let mut backtest = scene.backtest(&reference, &stream);
    let table = succeed(&mut backtest);
    for text in [&fitted, &table] {
        assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}[2Jred\\nline"), "{text}");
    }
    let told = scene.judge(&reference, &stream);
    assert!(told.to_string().contains("\\u001b[2Jred\\nline"), "programs get it as it is");
}
