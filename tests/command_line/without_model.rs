//! A model whose file one does not have: records bring all that is judged.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::bad_input::{DIMENSION, Scene, numbers, records, with_embeddings};
use super::support::daemon::free_port;
use super::support::{self, driftd, eventually, example_manifest, fail_with, root, succeed};

/// Words that no record of the reference has.
const NEW: [&str; 3] = ["Quinoa", "zeppelin", "marzipan"];
const ASKED: [&str; 2] = ["--examples", "5"];

/// The example's manifest without what needs a file, and with `more`.
fn manifest(more: &str) -> String {
    let example = std::fs::read_to_string(example_manifest()).expect("readable");
    let parts = |name: &str| ["onnx:", "tokenizer:", "inputs:", "golden:"].contains(&name);
    let mut kept = true;
    let lines = example.lines().filter(|line| {
        if !line.starts_with(' ') {
            kept = !parts(line);
        }
        kept
    });
    lines.map(|line| line.to_owned() + "\n").collect::<String>().replace("  output: embedding\n", "") + more
}

/// A folder with nothing in it but a manifest.
pub(super) fn bare(more: &str) -> Scene {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("manifest.yaml");
    std::fs::write(&file, manifest(more)).expect("written");
    Scene { folder, manifest: file }
}

pub(super) fn fit_with_words(scene: &Scene, records: &[Value], window: [&str; 2]) -> (PathBuf, String) {
    let reference = scene.folder.path().join("ref.bin");
    let mut command = driftd();
    // There is no library to load either.
    command.env("ORT_DYLIB_PATH", "/nonexistent");
    command.args(["reference", "fit", "--words"]).args(window).arg("-m").arg(&scene.manifest);
    command.arg("-i").arg(scene.write("reference.jsonl", records)).arg("-o").arg(&reference);
    (reference, succeed(&mut command))
}

fn with_new_words(mut records: Vec<Value>, from: usize) -> Vec<Value> {
    for (i, record) in records.iter_mut().enumerate().skip(from).step_by(2) {
        let text = record["input"]["text"].as_str().expect("a text");
        record["input"]["text"] = json!(format!("{text} {}", NEW[i / 2 % NEW.len()]));
    }
    records
}

fn judge(scene: &Scene, reference: &Path, stream: &[Value], format: &str) -> (String, String) {
    let mut command = scene.backtest(reference, stream);
    let output = command.env("ORT_DYLIB_PATH", "/nonexistent").args(ASKED).args(["--format", format]).output();
    let output = output.expect("runs");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
    assert!(output.status.success(), "{err}");
    (out, err)
}

#[test]
fn records_alone_are_learned_from_and_judged() {
    let scene = bare("");
    let embedded = |days, seed| with_embeddings(records(days), numbers(DIMENSION, seed));
    let (reference, table) = fit_with_words(&scene, &embedded(0, 1), ["--window-records", "50"]);
    for part in ["production's predictions", "cut into words", "word_count", "word_distribution", "confidence"] {
        assert!(table.contains(part), "`{part}` is not in\n{table}");
    }
    for part in ["token_", "tokens_", "unknown_rate", "truncation", "served_"] {
        assert!(!table.contains(part), "`{part}` is in\n{table}");
    }

    let (quiet, said) = judge(&scene, &reference, &embedded(4, 2), "json");
    assert_eq!(said.matches("note: the manifest names no model (`onnx`)").count(), 1, "{said}");
    let quiet: Value = serde_json::from_str(&quiet).expect("JSON");
    assert_eq!(quiet["alerts"], json!([]));
    assert_eq!(quiet["summary"]["not_judged"], json!([]), "{}", quiet["summary"]);

    let stream = with_new_words(embedded(4, 2), 400);
    let (told, _) = judge(&scene, &reference, &stream, "json");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let alert = &told["alerts"][0];
    assert_eq!(alert["cause"]["kind"], "input", "{alert:#}");
    assert!(alert["opened_window"].as_u64().is_some_and(|window| (8..13).contains(&window)), "{alert:#}");
    assert!(alert["evidence"].to_string().contains("word_"), "{alert:#}");
    let reasons = alert["examples"].to_string();
    assert!(NEW.iter().any(|word| reasons.contains(&format!("`{}`", word.to_lowercase()))), "{alert:#}");
    for format in ["table", "html"] {
        let (told, _) = judge(&scene, &reference, &stream, format);
        let (named, signal) = (NEW.iter().any(|word| told.contains(&format!("`{}`", word.to_lowercase()))), "word_");
        assert!(named && told.contains(signal) && !told.contains("token_d"), "{told}");
    }

    // What is known by name and rises is told without any text.
    let mut refunds = embedded(4, 2);
    for record in refunds.iter_mut().skip(400) {
        let text = record["input"]["text"].as_str().expect("a text");
        record["input"]["text"] = json!(format!("{text} refund"));
    }
    let (told, _) = judge(&scene, &reference, &refunds, "json");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let last = &told["windows"][15]["statistics"];
    let words = last.as_array().expect("statistics").iter().find(|s| s["signal"] == "word_distribution");
    assert_eq!(words.expect("judged")["movers"][0]["cell"], "`refund`");
}

#[test]
fn a_tokenizer_may_stand_alone_and_references_keep_to_theirs() {
    let tokens = bare("tokenizer: {file: tokenizer.json, max_tokens: 48, unknown_token: \"[UNK]\"}\n");
    std::fs::copy(root().join("examples/support/tokenizer.json"), tokens.folder.path().join("tokenizer.json"))
        .expect("copied");
    let (by_tokens, table) = fit_with_words(&tokens, &records(0), ["--window-records", "50"]);
    assert!(table.contains("token_count") && table.contains("unknown_rate") && !table.contains("word_"), "{table}");
    judge(&tokens, &by_tokens, &records(4), "table");
    let words = bare("");
    let (by_words, _) = fit_with_words(&words, &records(0), ["--window-records", "50"]);
    let said = fail_with(&mut words.backtest(&by_tokens, &records(4)), 3);
    assert!(said.contains("its texts were cut by a tokenizer, and the manifest names none"), "{said}");
    let said = fail_with(&mut tokens.backtest(&by_words, &records(4)), 3);
    assert!(said.contains("its texts were cut into words") && said.contains("tokenizer.json"), "{said}");

    // Heads that were fed from the model cannot go on without.
    let with_model = Scene::with_manifest(|example| example);
    let mut inputs = records(0);
    inputs.iter_mut().for_each(|record| drop(record.as_object_mut().expect("a map").remove("outputs")));
    let (by_model, _) = with_model.fit(&inputs);
    let said = fail_with(&mut tokens.backtest(&by_model, &records(4)), 3);
    assert!(said.contains("its heads were fed from the model's own answers"), "{said}");
}

fn check(scene: &Scene, settings: &str) -> Command {
    let file = scene.folder.path().join("driftd.yaml");
    let text = format!(
        "kafka: {{brokers: 'localhost:1', topics: [a], start: earliest}}\nstore: {{url: '{}'}}\nmodels:\n  - manifest: \
         manifest.yaml\n{settings}",
        support::sqlite_url(scene.folder.path())
    );
    std::fs::write(&file, text).expect("written");
    let mut command = driftd();
    command.env("ORT_DYLIB_PATH", "/nonexistent").arg("check").arg("-c").arg(&file);
    command
}

#[test]
fn what_needs_the_model_says_so_before_the_first_record() {
    let scene = bare("");
    let (reference, _) = fit_with_words(&scene, &records(0), ["--window", "1s"]);
    let own = format!("    reference: '{}'\n", reference.display());
    let said = succeed(&mut check(&scene, &own));
    assert!(said.contains("names no model (`onnx`): none is run") && said.contains("valid"), "{said}");
    succeed(&mut check(&scene, &format!("{own}    infer: never\n")));
    let file = scene.manifest.display().to_string();
    let shadow = format!("    shadow: {{manifest: '{file}'}}\n");
    for (setting, asks) in [
        ("    infer: always\n", "`infer: always` runs it"),
        ("    infer: {sample: 0.5}\n", "`infer: sample` runs it"),
        ("    heads: inference\n", "`heads: inference` takes its answers"),
        (&shadow, "a candidate beside a model is run"),
    ] {
        let said = fail_with(&mut check(&scene, &format!("{own}{setting}")), 3);
        let names = said.contains("manifest.yaml` names no model (`onnx`), and") && said.contains("name its ONNX file");
        assert!(names && said.contains(asks), "{setting}: {said}");
        if !setting.contains("shadow") {
            let mut run = driftd();
            run.args(["run", "-c"]).arg(scene.folder.path().join("driftd.yaml"));
            assert!(fail_with(&mut run, 3).contains(asks), "{setting}");
        }
    }

    let golden = bare("golden: {file: golden.jsonl}\n");
    let said = fail_with(&mut check(&golden, ""), 3);
    assert!(said.contains("golden: a golden set is run through the model"), "{said}");
    let half = bare("onnx: {file: model.onnx}\n");
    let said = fail_with(&mut check(&half, ""), 3);
    assert!(said.contains("a model cannot be run without its `tokenizer`"), "{said}");

    let stream = scene.write("stream.jsonl", &records(4));
    let commands: [(&[&str], &str); 4] = [
        (&["gate", "--baseline", &file, "--candidate", &file, "--data"], "the gate runs it"),
        (&["reference", "fit", "--heads", "inference", "-o", "x.bin", "-m", &file, "-i"], "takes its answers"),
        (&["simulate", "-n", "1", "-m", &file, "-o"], "simulated production answers with it"),
        (&["gpu-check", "-m", &file, "--texts"], "`driftd gpu-check` runs it"),
    ];
    for (arguments, asks) in commands {
        let said = fail_with(driftd().args(arguments).arg(&stream), 2);
        assert!(said.contains("manifest.yaml` names no model") && said.contains(asks), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_watches_it_too() {
    use driftd::source::producer::{InProcessBroker, Producer};
    let scene = bare("");
    let (reference, _) = fit_with_words(&scene, &records(0), ["--window", "1s"]);
    let broker = InProcessBroker::start(&["records", "dead"], 1).expect("a broker");
    let (api, ops) = (free_port(), free_port());
    let file = scene.folder.path().join("run.yaml");
    let text = format!(
        "kafka: {{brokers: '{}', topics: [records], start: earliest, dead_letter_topic: dead}}\nstore: {{url: '{}'}}\n\
         models:\n  - {{manifest: manifest.yaml, reference: '{}', budget: 1/1d, window: {{length: 1s, grace: 0s}}, \
         examples: {{}}}}\ncollect: {{flush_every: 200ms, idle_after: 1s}}\napi: {{listen: '127.0.0.1:{api}', auth: none}}\nops: {{listen: '127.0.0.1:{ops}'}}\n",
        broker.brokers(),
        support::sqlite_url(scene.folder.path()),
        reference.display()
    );
    std::fs::write(&file, text).expect("written");
    let log = std::fs::File::create(scene.folder.path().join("log")).expect("a log");
    let mut command = driftd();
    command.env("ORT_DYLIB_PATH", "/nonexistent").args(["run", "-c"]).arg(&file).stderr(log);
    let mut daemon = command.spawn().expect("starts");
    let stream: Vec<(String, String)> = with_new_words(records(4), 200)
        .iter()
        .map(|record| (record["prediction_id"].as_str().expect("an id").to_owned(), record.to_string()))
        .collect();
    Producer::connect(&broker.brokers(), "records").expect("connects").send(&stream).await.expect("sent");
    let url = format!("http://127.0.0.1:{api}/api/v1");
    let look = || async {
        let alerts = support::get_json(&format!("{url}/alerts")).await?;
        alerts["data"].as_array()?.first().cloned()
    };
    let alert = eventually("an alert", std::time::Duration::from_secs(60), look).await;
    let signal = format!("{url}/models/support/distributions?scope=input&signal=word_distribution");
    let signals = support::get_json(&signal).await.expect("answers");
    daemon.kill().expect("ends");
    daemon.wait().expect("ended");
    let log = std::fs::read_to_string(scene.folder.path().join("log")).expect("readable");
    assert_eq!(alert["cause"]["kind"], "input", "{alert:#}");
    assert!(alert.to_string().contains("word_"), "{alert:#}");
    assert!(signals["cells"].as_array().is_some_and(|cells| !cells.is_empty()), "{signals}");
    assert_eq!(log.matches("names no model (`onnx`): none is run").count(), 1, "{log}");
}
