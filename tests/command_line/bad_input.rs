//! Bad input, case by case: a clear error, or a warning that names what it is about while the rest works.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::backtest;
use super::support::{driftd, example_manifest, fail_with, root, simulate, succeed};

const RECORDS: usize = 2_000;
/// Records of the streams that are judged, in windows of 50.
const LATER: usize = 800;
/// One false alarm in so many windows.
const BUDGET: [&str; 2] = ["--arl-windows", "2000"];
/// The example model's.
pub(super) const DIMENSION: usize = 96;

/// Simulated records, made once: those to learn from, and as many days later.
pub(super) fn records(days_later: usize) -> Vec<Value> {
    static MADE: OnceLock<Vec<Vec<Value>>> = OnceLock::new();
    let make = |(seed, day, count): (&str, &str, usize)| {
        let directory = tempfile::tempdir().expect("a folder");
        let file = directory.path().join("records.jsonl");
        simulate(&file, count, &["--seed", seed, "--interval", "10ms", "--start", day]);
        let text = std::fs::read_to_string(file).expect("readable");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    };
    let both = || {
        [("11", "2026-03-01T00:00:00Z", RECORDS), ("12", "2026-03-05T00:00:00Z", LATER)].map(make).into_iter().collect()
    };
    MADE.get_or_init(both)[usize::from(days_later > 0)].clone()
}

/// Numbers of a standard normal law, the same each time (Box and Muller's, of a multiplicative sequence).
fn normals(seed: u64) -> impl FnMut() -> f64 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
}

pub(super) fn with_embeddings(mut records: Vec<Value>, mut embedding: impl FnMut(usize) -> Value) -> Vec<Value> {
    records.iter_mut().enumerate().for_each(|(i, record)| record["embedding"] = embedding(i));
    records
}

pub(super) fn numbers(dimension: usize, seed: u64) -> impl FnMut(usize) -> Value {
    let mut normal = normals(seed);
    move |_| (0..dimension).map(|_| json!(normal())).collect()
}

/// As many NaN as the model has dimensions: twelve bytes of three at a time.
fn nan() -> Value {
    json!({"dtype": "f32", "data_b64": "AADAfwAAwH8AAMB/".repeat(DIMENSION / 3)})
}

fn with_amounts(mut records: Vec<Value>, mut amount: impl FnMut() -> f64) -> Vec<Value> {
    records.iter_mut().for_each(|record| record["attributes"] = json!({"amount": amount()}));
    records
}

pub(super) struct Scene {
    pub(super) folder: TempDir,
    pub(super) manifest: PathBuf,
}

impl Scene {
    pub(super) fn new() -> Scene {
        Scene { folder: tempfile::tempdir().expect("a folder"), manifest: example_manifest() }
    }

    /// With the example's files copied, and its manifest changed.
    pub(super) fn with_manifest(change: impl Fn(String) -> String) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        for file in ["model.onnx", "tokenizer.json", "golden.jsonl"] {
            std::fs::copy(root().join("examples/support").join(file), folder.path().join(file)).expect("copied");
        }
        let manifest = folder.path().join("manifest.yaml");
        let example = std::fs::read_to_string(example_manifest()).expect("readable");
        std::fs::write(&manifest, change(example)).expect("written");
        Scene { folder, manifest }
    }

    pub(super) fn write(&self, name: &str, records: &[Value]) -> PathBuf {
        let file = self.folder.path().join(name);
        let lines: String = records.iter().map(|r| r.to_string() + "\n").collect();
        std::fs::write(&file, lines).expect("written");
        file
    }

    /// A reference in `ref.bin`, and what the fit said.
    pub(super) fn fit(&self, records: &[Value]) -> (PathBuf, String) {
        let reference = self.folder.path().join("ref.bin");
        let mut command = driftd();
        command.args(["reference", "fit", "--device", "cpu", "--threads", "1", "--window-records", "50", "-m"]);
        command.arg(&self.manifest).arg("-i").arg(self.write("reference.jsonl", records)).arg("-o").arg(&reference);
        (reference, succeed(&mut command))
    }

    pub(super) fn judge(&self, reference: &Path, records: &[Value]) -> Value {
        backtest(&self.manifest, reference, &self.write("stream.jsonl", records), &BUDGET)
    }

    pub(super) fn backtest(&self, reference: &Path, records: &[Value]) -> Command {
        let mut command = driftd();
        command.args(["backtest", "--device", "cpu", "-m"]).arg(&self.manifest).arg("-r").arg(reference);
        command.arg("-i").arg(self.write("stream.jsonl", records)).args(BUDGET);
        command
    }
}

/// A signal's statistics over the windows.
fn signal<'a>(told: &'a Value, task: Option<&str>, name: &str) -> Vec<&'a Value> {
    let windows = told["windows"].as_array().expect("windows");
    let all = windows.iter().flat_map(|w| w["statistics"].as_array().into_iter().flatten());
    all.filter(|s| s["signal"] == name && s["task"].as_str() == task && s["segment"].is_null()).collect()
}

fn tested(told: &Value, task: Option<&str>, name: &str) -> bool {
    let found = signal(told, task, name);
    !found.is_empty() && found.iter().all(|s| s["p_value"].as_f64().is_some())
}

#[test]
fn a_class_that_the_reference_never_saw_is_named_and_found() {
    let scene = Scene::new();
    let known: Vec<Value> = records(0).into_iter().filter(|r| r["outputs"]["intent"]["label"] != "refund").collect();
    let (reference, table) = scene.fit(&known);
    assert!(table.contains("warning: task `intent`: never seen: `refund`\n"), "{table}");
    let told = scene.judge(&reference, &records(4));
    let classes = signal(&told, Some("intent"), "predicted_class");
    let new = |s: &&&Value| s["movers"][0]["cell"] == "refund" && s["movers"][0]["reference_count"] == 0;
    assert!(classes.iter().filter(new).count() > classes.len() / 2, "{classes:?}");
    assert!(tested(&told, Some("mood"), "confidence") && tested(&told, None, "encoder_mean"));
    let alerts = told["alerts"].to_string();
    assert!(alerts.contains("intent"), "{alerts}");
}

#[test]
fn a_constant_attribute_is_named_and_watched() {
    let with_attribute = |example: String| example + "attributes:\n  - {name: amount, kind: numeric}\n";
    let scene = Scene::with_manifest(with_attribute);
    let (reference, table) = scene.fit(&with_amounts(records(0), || 5.0));
    assert!(table.contains("warning: attribute_amount is constant in the reference"), "{table}");
    let told = scene.judge(&reference, &with_amounts(records(4), || 5.0));
    assert_eq!(told["alerts"], json!([]), "what is constant and stays so is quiet");
    assert!(tested(&told, Some("intent"), "confidence"));
    let told = scene.judge(&reference, &with_amounts(records(4), normals(3)));
    let first = &told["alerts"][0];
    assert!(first["opened_window"] == 0 && first.to_string().contains("input attribute_amount"), "{first}");
    assert_eq!(signal(&told, None, "attribute_amount")[0]["movers"][0]["cell"], "< 5");
}

#[test]
fn one_record_again_and_again_is_told_and_judged() {
    let scene = Scene::new();
    let repeated = |records: Vec<Value>| -> Vec<Value> {
        let first = |record: &Value| {
            let mut copy = records[0].clone();
            copy["timestamp"] = record["timestamp"].clone();
            copy["prediction_id"] = record["prediction_id"].clone();
            copy
        };
        records.iter().map(first).collect()
    };
    let (reference, table) = scene.fit(&repeated(records(0)));
    for part in [
        "1999 of the first 2000 texts are repeats of others",
        "the embeddings do not vary",
        "predicted_class of `intent` is constant in the reference",
        "task `mood`: never seen",
    ] {
        assert!(table.contains(part), "{part} is not in:\n{table}");
    }
    let mut same = repeated(records(0));
    same.truncate(LATER);
    let told = scene.judge(&reference, &same);
    assert_eq!(told["alerts"], json!([]), "more of the same is quiet");
    let told = scene.judge(&reference, &records(4));
    assert_eq!(told["alerts"][0]["opened_window"], 0, "anything else is not");
}

#[test]
fn what_a_reference_would_take_for_normal_is_told() {
    let scene = Scene::with_manifest(|example| example + "segments: [visitor]\n");
    let mut odd = records(0);
    for (i, record) in odd.iter_mut().enumerate() {
        record["tags"]["visitor"] = json!(format!("v{i}"));
        let outputs = &mut record["outputs"];
        if i >= 40 {
            outputs.as_object_mut().expect("a map").remove("topics");
        }
        if i.is_multiple_of(4) {
            outputs["mood"] = json!({"kind": "binary", "label": "furious"});
        }
        let label = if outputs["intent"]["label"] == "refund" { "login" } else { "refund" };
        outputs["intent"] = json!({"kind": "multiclass", "label": label});
    }
    let (_, table) = scene.fit(&odd);
    for told in [
        "warning: tag `visitor`: no value of it comes in 100 records or more",
        "warning: task `topics`: only 40 records answer it",
        "warning: task `mood`: 500 answers name no class of the manifest",
        "warning: task `intent`: no record has probabilities of its answers",
        "warning: task `intent`: production answers otherwise than the exported model in ",
    ] {
        assert!(table.contains(told), "{told}: {table}");
    }
    // Neither texts, from which embeddings are made, nor embeddings.
    let mut bare = records(0);
    bare.iter_mut().for_each(|record| drop(record.as_object_mut().expect("a map").remove("input")));
    let (_, table) = scene.fit(&bare);
    assert!(table.contains("warning: no record has an embedding, though the manifest names one"), "{table}");
    let (_, table) = Scene::new().fit(&with_embeddings(records(0), numbers(DIMENSION, 1)));
    for quiet in ["only ", "name no class", "has probabilities", "answers otherwise", "has an embedding"] {
        assert!(!table.replace("only 40 windows", "").contains(quiet), "{quiet}: {table}");
    }
}

#[test]
fn embeddings_that_are_no_numbers_are_counted_and_left_out() {
    let scene = Scene::new();
    let mut usable = numbers(DIMENSION, 1);
    let third = |usable: &mut dyn FnMut(usize) -> Value, i: usize| if i.is_multiple_of(3) { nan() } else { usable(i) };
    let (reference, table) = scene.fit(&with_embeddings(records(0), |i| third(&mut usable, i)));
    assert!(table.contains("warning: 667 of 2000 embeddings are unusable"), "{table}");
    let told = scene.judge(&reference, &with_embeddings(records(4), |i| third(&mut usable, i)));
    assert_eq!(told["alerts"], json!([]), "as many as ever is quiet");
    // Two thirds of a window may be too few: they are carried to the next.
    let means = signal(&told, None, "encoder_mean");
    assert!(means.iter().any(|s| s["p_value"].as_f64().is_some()), "{means:?}");
    assert!(tested(&told, Some("intent"), "confidence"));

    // All of them at once: an alert of the encoder, and the heads go on.
    let told = scene.judge(&reference, &with_embeddings(records(4), |_| nan()));
    let warnings = told["summary"]["warnings"].to_string();
    assert!(warnings.contains("800 of 800 embeddings are unusable") && warnings.contains("encoder"), "{warnings}");
    assert_eq!(told["alerts"][0]["cause"]["kind"], "encoder", "{}", told["alerts"]);
    assert!(tested(&told, Some("intent"), "confidence"));

    // A reference without a single usable one leaves the encoder out.
    let (reference, table) = scene.fit(&with_embeddings(records(0), |_| nan()));
    assert!(table.contains("2000 of 2000 embeddings are unusable"), "{table}");
    assert!(table.contains("encoder signals are left out"), "{table}");
    let told = scene.judge(&reference, &with_embeddings(records(4), |_| nan()));
    assert_eq!(told["alerts"], json!([]));
    assert!(tested(&told, Some("intent"), "confidence") && signal(&told, None, "encoder_mean").is_empty());
}

#[test]
fn embeddings_of_another_dimension_are_told() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&with_embeddings(records(0), numbers(DIMENSION, 1)));
    let told = scene.judge(&reference, &with_embeddings(records(4), numbers(5, 2)));
    let warnings = told["summary"]["warnings"].to_string();
    assert!(warnings.contains("800 of 800 embeddings are unusable (another dimension than 96"), "{warnings}");
    assert!(tested(&told, Some("intent"), "confidence"));

    let other = Scene::with_manifest(|example| example.replace("dimension: 96", "dimension: 5"));
    let said = fail_with(&mut other.backtest(&reference, &records(4)), 3);
    assert!(said.contains("it has 96 dimensions, the manifest 5 dimensions"), "{said}");
    let said = fail_with(&mut other.backtest(&reference, &[]), 3);
    assert!(said.contains("does not fit the manifest"), "{said}");
}

#[test]
fn another_tokenizer_is_refused() {
    let scene = Scene::with_manifest(|example| example);
    let (reference, table) = scene.fit(&records(0));
    assert!(table.contains("token_count"), "{table}");
    let file = scene.folder.path().join("tokenizer.json");
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(&file).expect("readable")).expect("JSON");
    let vocabulary = tokenizer["model"]["vocab"].as_object_mut().expect("a vocabulary");
    let (one, two) = (vocabulary["refund"].clone(), vocabulary["invoice"].clone());
    vocabulary.insert("refund".to_owned(), two);
    vocabulary.insert("invoice".to_owned(), one);
    std::fs::write(&file, tokenizer.to_string()).expect("written");
    let said = fail_with(&mut scene.backtest(&reference, &records(4)), 3);
    assert!(said.contains("fitted with another tokenizer than") && said.contains("tokenizer.json"), "{said}");

    // One that has more ids than the model has rows does not even load.
    let size = tokenizer["model"]["vocab"].as_object().expect("a vocabulary").len();
    tokenizer["model"]["vocab"]["zzz"] = json!(size + 500);
    std::fs::write(&file, tokenizer.to_string()).expect("written");
    let mut fit = driftd();
    fit.args(["reference", "fit", "--device", "cpu", "--window-records", "50", "-m"]).arg(&scene.manifest);
    fit.arg("-i").arg(scene.write("reference.jsonl", &records(0))).arg("-o").arg(scene.folder.path().join("r.bin"));
    let said = fail_with(&mut fit, 3);
    assert!(said.contains("the tokenizer has") && said.contains("embedding table"), "{said}");
}

/// A back-test of files in windows of time; its JSON, and what it warned of.
fn judge_files(scene: &Scene, reference: &Path, files: &[PathBuf], format: &str) -> (String, String) {
    let mut command = driftd();
    command.args(["backtest", "--device", "cpu", "--window", "500ms", "--format", format, "-m"]);
    command.arg(&scene.manifest).arg("-r").arg(reference).args(BUDGET);
    for file in files {
        command.arg("-i").arg(file);
    }
    let output = command.output().expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (out, err)
}

#[test]
fn files_that_overlap_are_one_stream_and_disorder_is_told() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&records(0));
    let all = records(4);
    let part = |rest: usize| all.iter().skip(rest).step_by(2).cloned().collect::<Vec<_>>();
    let parts = [scene.write("odd.jsonl", &part(1)), scene.write("even.jsonl", &part(0))];
    let (merged, said) = judge_files(&scene, &reference, &parts, "json");
    let (whole, _) = judge_files(&scene, &reference, &[scene.write("whole.jsonl", &all)], "json");
    assert_eq!(merged, whole, "partitions are read as the topic was");
    assert!(!said.contains("order of its times"), "{said}");
    let told: Value = serde_json::from_str(&whole).expect("JSON");
    assert_eq!(told["summary"]["records"]["late"], 0);

    let shuffled: Vec<Value> = (0..LATER).map(|i| all[i * 337 % LATER].clone()).collect();
    let shuffled = [scene.write("shuffled.jsonl", &shuffled)];
    let (told, said) = judge_files(&scene, &reference, &shuffled, "json");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let late = told["summary"]["records"]["late"].as_u64().expect("a count");
    assert!(late > 400, "most windows had been judged: {late}");
    let warning = format!("{late} of 800 records");
    assert!(said.contains(&warning) && said.contains("Sort each file by `timestamp`"), "{said}");
    assert!(told["summary"]["warnings"].to_string().contains(&warning), "{told}");
    for format in ["table", "html"] {
        let (told, _) = judge_files(&scene, &reference, &shuffled, format);
        assert!(told.contains(&format!("{late} late and left out")), "{told}");
    }
}

#[test]
fn a_reference_says_when_it_learned_from_another_version() {
    let scene = Scene::new();
    let mut mixed = records(0);
    mixed.iter_mut().step_by(4).for_each(|record| record["model"]["version"] = "next".into());
    let (_, table) = scene.fit(&mixed);
    assert!(table.contains("500 of 2000 records name another version than the manifest's"), "{table}");
    assert!(table.contains("most of them `next`"), "{table}");
    assert!(!scene.fit(&records(0)).1.contains("another version"));
}

#[test]
fn an_output_that_cannot_be_written_is_told_before_the_work() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&records(0));
    let before = std::fs::read(&reference).expect("readable");
    let nowhere = reference.with_file_name("no folder").join("told.json");
    let run = |command: &[&str], input: &Path, output: &Path, code: i32| {
        let mut run = driftd();
        run.args(command).arg("-m").arg(&scene.manifest).arg("-i").arg(input).arg("-o").arg(output);
        if command[0] == "backtest" {
            run.arg("-r").arg(&reference);
        }
        fail_with(&mut run, code)
    };
    for command in [&["reference", "fit"][..], &["backtest", "--device", "cpu", "--arl-windows", "2000"]] {
        let told = run(command, Path::new("is not there either"), &nowhere, 1);
        assert!(told.contains("told.json` cannot be written"), "{told}");
        let told = run(command, &reference, &reference, 2);
        assert!(told.contains("is a file that is read"), "{told}");
        assert!(run(command, Path::new("is not there"), &reference.with_file_name("new"), 1).contains("is not there"));
        assert!(!reference.with_file_name("new").exists(), "nothing is left behind");
        let link = reference.with_file_name("link");
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink("not made yet", &link).expect("made");
        }
        run(command, Path::new("is not there"), &link, 1);
        assert!(link.symlink_metadata().is_ok(), "nor is a link taken away");
    }
    assert_eq!(std::fs::read(&reference).expect("readable"), before);
}

#[test]
fn values_that_are_none_are_wrong_arguments() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&records(0));
    for (wrong, said) in [
        (["--margin", "-1"], "a number from 0 up"),
        (["--margin", "NaN"], "a number from 0 up"),
        (["--margin", "inf"], "a number from 0 up"),
        (["--skew-sample", "7"], "a share from 0 to 1"),
        (["--skew-sample", "nan"], "a share from 0 to 1"),
        (["--budget", "abc"], "alarms per time"),
        (["--budget", "1/30d"], "have no length"),
        (["--window", "5x"], "a length such as"),
        (["--window-records", "0"], "0"),
        (["--min-records", "0"], "0"),
        (["--resolve-after", "0"], "0"),
        (["--arl-windows", "0"], "windows"),
        (["--compare", "foo=1"], "is none of budget"),
        (["--compare", "margin=-1"], "a number from 0 up"),
        (["--compare", "resolve-after=0"], "a number from 1 up"),
        (["--compare", "budget"], "expected key=value"),
    ] {
        let mut command = driftd();
        command.args(["backtest", "--device", "cpu", "-m"]).arg(&scene.manifest).arg("-r").arg(&reference);
        command.arg("-i").arg(&reference).arg(format!("{}={}", wrong[0], wrong[1]));
        let told = fail_with(&mut command, 2);
        assert!(told.contains(said), "{wrong:?}: {told}");
    }
    let fit = ["reference", "fit", "-m", "m.yaml", "-i", "x", "-o", "y", "--window", "0s"];
    fail_with(driftd().args(fit), 2);
}
