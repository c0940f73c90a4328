//! Texts of a back-test's alerts: of the new topic, redacted, and only for who asks.

use std::path::Path;

use serde_json::Value;

use super::support::{driftd, example_manifest, fail_with, succeed, texts};

/// What every text ends with: an address and a number to be taken out, and what must not become a part of a page.
const TAIL: &str = "canary.ada@mail.example 0170 5550123 <script>alert('a&b')</script>";
const ASKED: usize = 6;

#[test]
fn a_backtest_shows_redacted_texts_of_what_is_new_to_who_asks() {
    let directory = tempfile::tempdir().expect("a folder");
    let (reference, stream) = texts::new_topic(directory.path(), TAIL);
    let records = std::fs::read_to_string(&stream).expect("readable");
    let is_new = texts::tells_new(&records.lines().map(texts::of).collect::<Vec<_>>());
    let told = |format: &str, more: &[&str]| succeed(backtest(&reference, &stream, format).args(more));
    let asked = ["--examples", &ASKED.to_string()];

    let json: Value = serde_json::from_str(&told("json", &asked)).expect("JSON");
    let alerts = json["alerts"].as_array().expect("alerts");
    let [alert] = alerts.as_slice() else { panic!("one alert for one cause: {alerts:#?}") };
    let examples = alert["examples"].as_array().expect("asked for").clone();
    assert_eq!(examples.len(), ASKED, "{alert:#}");
    for example in &examples {
        let text = example["text"].as_str().expect("a text");
        assert!(text.contains(" [email] [number] <script>"), "{text}");
        assert_eq!(example["window"], examples[0]["window"]);
        assert!(example["window"].as_u64() >= alert["opened_window"].as_u64() && example["pair"].is_null());
        let reason = &example["reasons"][0];
        assert!(reason["current_share"].as_f64() > reason["reference_share"].as_f64(), "{example}");
    }
    let new = examples.iter().filter(|example| is_new(example["text"].as_str().expect("a text"))).count();
    assert!(new >= ASKED - 1, "they are about the new topic: {alert:#}");

    let (table, page) = (told("table", &asked), told("html", &asked));
    for example in &examples {
        let sentence = example["text"].as_str().expect("a text").split(" [").next().expect("a first part");
        assert!(table.contains(sentence), "`{sentence}` is not in\n{table}");
        assert!(page.contains(&format!("{sentence} [email] [number] &lt;script&gt;")), "{sentence}");
    }
    assert!(page.contains("&lt;script&gt;alert(&#39;a&amp;b&#39;)&lt;/script&gt;"), "the text is there as text");
    assert!(!page.contains("<script") && !page.contains("http"), "a page without code, that loads nothing");
    for tag in ["ul", "li", "blockquote", "small"] {
        let opened = page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        assert!(opened > 0 && opened == page.matches(&format!("</{tag}>")).count(), "every <{tag}> is closed");
    }

    // Nobody asked: no text, and everything else to the same letter.
    let mut without = json.clone();
    without["alerts"][0].as_object_mut().expect("an alert").remove("examples");
    let silent: Value = serde_json::from_str(&told("json", &[])).expect("JSON");
    assert_eq!(silent, without);
    let silent = [silent.to_string(), told("table", &[]), told("html", &[])];
    for said in &silent {
        for example in &examples {
            let sentence = example["text"].as_str().expect("a text").split(" [").next().expect("a first part");
            assert!(!said.contains(sentence) && !said.contains("redacted"), "`{sentence}` was not asked for");
        }
    }
    for said in silent.iter().chain([&json.to_string(), &table, &page]) {
        assert!(!said.contains("canary") && !said.contains("5550123"), "what was to be taken out:\n{said}");
    }

    for wrong in ["0", "21"] {
        let said = fail_with(backtest(&reference, &stream, "json").args(["--examples", wrong]), 2);
        assert!(said.contains("--examples") && said.contains("1..=20"), "{said}");
    }
}

fn backtest(reference: &Path, stream: &Path, format: &str) -> std::process::Command {
    let mut command = driftd();
    command.args(["backtest", "--device", "cpu", "--budget", "1/1d", "--format", format, "-m"]).arg(example_manifest());
    command.arg("-r").arg(reference).arg("-i").arg(stream);
    command
}
