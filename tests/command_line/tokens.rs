//! Accuracy of a head that answers token by token: estimated without labels, beside the realised one.
//!
//!     cargo test --test command_line tokens -- --nocapture
//!
//! prints the rows that docs/quality.md tells. Nothing else holds labels of tokens: the development data have none, and
//! the example's are what its grammar means.

use std::path::Path;

use driftd::document;
use driftd::drift::record::InputText;
use driftd::model::Manifest;
use driftd::model::tokenizer::Tokenizer;
use serde_json::{Value, json};

use super::backtest;
use super::support::{driftd, example_manifest, root, simulate, succeed, texts};

const TASK: &str = "entities";
/// Phrases of the grammar's templates in which the name of a product is none.
const NOT_MEANT: [&str; 2] = ["comes to my phone", "a new phone number"];

/// The grammar's truth about a text: which of its tokens belong to which entity.
struct Truth {
    tokenizer: Tokenizer,
    /// Values of the grammar's slots, as tokens, the longest first; some are of no entity.
    phrases: Vec<(Vec<u32>, Option<String>)>,
}

impl Truth {
    fn load() -> Truth {
        let manifest = Manifest::load(&example_manifest()).expect("the example's");
        let tokenizer = Tokenizer::load(manifest.tokenizer.as_ref().expect("named")).expect("the example's");
        let file = root().join("examples/support/grammar.yaml");
        let grammar = document::read::<Value>(&file).expect("the example's").content;
        let slots = grammar["slots"].as_object().expect("slots").values();
        let values = slots.flat_map(|slot| {
            let values = slot["values"].as_array().expect("values").iter();
            values.map(move |value| (value.as_str().expect("a text"), slot["entity"].as_str()))
        });
        let mut phrases: Vec<(Vec<u32>, Option<String>)> = (values.chain(NOT_MEANT.map(|phrase| (phrase, None))))
            .map(|(text, entity)| (ids(&tokenizer, text), entity.map(str::to_owned)))
            .collect();
        phrases.sort_by_key(|(ids, _)| std::cmp::Reverse(ids.len()));
        Truth { tokenizer, phrases }
    }

    fn of(&self, text: &str) -> Vec<String> {
        let ids = ids(&self.tokenizer, text);
        let goes_on = |id: &u32| self.tokenizer.token(*id).is_some_and(|token| token.starts_with("##"));
        let mut labels = vec!["O".to_owned(); ids.len()];
        let mut at = 0;
        while at < ids.len() {
            let rest = &ids[at..];
            let is_here = |phrase: &[u32]| rest.starts_with(phrase) && !rest.get(phrase.len()).is_some_and(goes_on);
            let Some((phrase, entity)) = self.phrases.iter().find(|(phrase, _)| is_here(phrase)) else {
                at += 1;
                continue;
            };
            if let Some(entity) = entity {
                labels[at..at + phrase.len()].fill(format!("I-{entity}"));
                labels[at] = format!("B-{entity}");
            }
            at += phrase.len();
        }
        labels
    }

    /// Simulated records and their labels.
    fn stream(&self, directory: &Path, name: &str, count: usize, more: &[&str]) -> [std::path::PathBuf; 2] {
        let files = ["jsonl", "labels.jsonl"].map(|end| directory.join(format!("{name}.{end}")));
        simulate(&files[0], count, &[&["--interval", "1s"], more].concat());
        let records = std::fs::read_to_string(&files[0]).expect("readable");
        let labels = records.lines().map(|line| {
            let record: Value = serde_json::from_str(line).expect("JSON");
            let label = self.of(&texts::of(line));
            json!({
                "schema": "label/v1", "prediction_id": record["prediction_id"], "task": TASK, "label": label,
                "labeled_at": record["timestamp"],
            })
            .to_string()
        });
        std::fs::write(&files[1], labels.collect::<Vec<_>>().join("\n")).expect("written");
        files
    }
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode(&InputText { text: text.to_owned(), pair: None }).expect("encodes").facts.ids
}

/// Means over a stream's windows: accuracy realised and estimated, and how far from the realised one the estimate is,
/// and the reference's own accuracy; in points.
#[derive(Debug)]
struct Row {
    windows: usize,
    realised: f64,
    estimated: f64,
    apart: f64,
    unchanged: f64,
}

fn row(told: &Value) -> Row {
    let performance = told["performance"].as_array().expect("a list").iter().find(|p| p["task"] == TASK);
    let performance = performance.expect("the reference knows the head");
    let before = performance["reference"]["accuracy"].as_f64().expect("known");
    let points = performance["points"].as_array().expect("windows");
    let mean = |of: &dyn Fn(f64, f64) -> f64| {
        let each = points.iter().map(|point| {
            let number = |key: &str| point[key].as_f64().unwrap_or_else(|| panic!("no `{key}` in {point}"));
            of(number("estimate"), number("realised"))
        });
        100.0 * each.sum::<f64>() / points.len() as f64
    };
    Row {
        windows: points.len(),
        realised: mean(&|_, realised| realised),
        estimated: mean(&|estimate, _| estimate),
        apart: mean(&|estimate, realised| (estimate - realised).abs()),
        unchanged: mean(&|_, realised| (before - realised).abs()),
    }
}

#[test]
fn accuracy_by_token_is_estimated_without_labels() {
    let directory = tempfile::tempdir().expect("a folder");
    let at = |name: &str| directory.path().join(name);
    let truth = Truth::load();
    let start = ["--seed", "21", "--start", "2026-03-01T00:00:00Z"];
    let [records, labels] = truth.stream(directory.path(), "reference", 8_000, &start);
    let mut fit = driftd();
    fit.args(["reference", "fit", "--device", "cpu", "--skew-sample", "0", "--window-records", "250", "-m"]);
    fit.arg(example_manifest()).arg("-i").arg(&records).arg("--labels").arg(&labels).arg("-o").arg(at("ref.bin"));
    succeed(&mut fit);
    println!("| stream | windows | realised | estimated | mean difference | unchanged |\n|---|---|---|---|---|---|");
    let streams =
        [("quiet", None), ("new topic 50 %", Some("new_topic:0.5")), ("broken head", Some("broken_head:entities"))];
    let rows = streams.map(|(name, drift)| {
        let start = ["--seed", "22", "--start", "2026-03-02T00:00:00Z"];
        let drift: Vec<&str> = drift.into_iter().flat_map(|drift| ["--drift", drift]).collect();
        let [records, labels] = truth.stream(directory.path(), name, 4_000, &[&start[..], &drift].concat());
        let labels = labels.to_str().expect("UTF-8");
        let more = ["--skew-sample", "0", "--arl-windows", "2000", "--labels", labels];
        let row = row(&backtest(&example_manifest(), &at("ref.bin"), &records, &more));
        let Row { windows, realised, estimated, apart, unchanged } = row;
        println!("| {name} | {windows} | {realised:.2} % | {estimated:.2} % | {apart:.2} | {unchanged:.2} |");
        row
    });
    assert!(rows.iter().all(|row| row.windows == 16), "{rows:?}");
    let [quiet, new_topic, broken] = rows;
    assert!(quiet.realised > 99.5 && quiet.apart < 0.2, "the model knows the grammar: {quiet:?}");
    assert!(new_topic.realised < quiet.realised - 3.0, "a new topic holds what it does not know: {new_topic:?}");
    assert!(new_topic.estimated < quiet.estimated - 1.0, "which it is less sure of: {new_topic:?}");
    assert!(new_topic.apart < new_topic.unchanged, "better than to say nothing: {new_topic:?}");
    assert!(broken.realised < 1.0, "labels tell of every token: {broken:?}");
}
