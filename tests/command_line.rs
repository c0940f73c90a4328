//! The command line as scripts and people meet it: contracts, exit codes, errors that say what to do.

/// Bad input, case by case.
#[path = "command_line/bad_input.rs"]
mod bad_input;
/// Texts of alerts.
#[path = "command_line/examples.rs"]
mod examples;
/// Windows without records.
#[path = "command_line/gaps.rs"]
mod gaps;
/// What becomes of labels, and what they say.
#[path = "command_line/labels_told.rs"]
mod labels_told;
/// What records lack.
#[path = "command_line/lacking.rs"]
mod lacking;
/// Models that `check` opens.
#[path = "command_line/opened.rs"]
mod opened;
/// Records through a pipe.
#[path = "command_line/pipe.rs"]
mod pipe;
/// What references are fitted to.
#[path = "command_line/reference_input.rs"]
mod reference_input;
/// A silence that names what is not there.
#[path = "command_line/silence_of_nothing.rs"]
mod silence_of_nothing;
/// What is told of an alert.
#[path = "command_line/story.rs"]
mod story;
mod support;
/// Heads that answer token by token.
#[path = "command_line/tokens.rs"]
mod tokens;
/// What a newcomer has to be told.
#[path = "command_line/told.rs"]
mod told;
/// What is given twice.
#[path = "command_line/twice.rs"]
mod twice;
/// Values that the reference never saw.
#[path = "command_line/unlisted.rs"]
mod unlisted;
/// A model whose file one does not have.
#[path = "command_line/without_model.rs"]
mod without_model;

use std::path::Path;

use serde_json::Value;
use support::{driftd, example_manifest, fail_with, simulate, succeed};

#[path = "../examples/assist_records.rs"]
#[allow(dead_code, reason = "its main is for the command line")]
mod assist_records;

fn backtest(manifest: &Path, reference: &Path, input: &Path, more: &[&str]) -> Value {
    let mut command = driftd();
    command.args(["backtest", "--device", "cpu", "--format", "json", "-m"]).arg(manifest);
    command.arg("-r").arg(reference).arg("-i").arg(input).args(more);
    serde_json::from_str(&succeed(&mut command)).expect("JSON")
}

#[test]
fn a_backtest_keeps_its_contract() {
    let directory = tempfile::tempdir().expect("a folder");
    let reference = support::example_reference(directory.path(), "2s");
    let stream = directory.path().join("stream.jsonl");
    let start = ["--seed", "5", "--interval", "10ms", "--start", "2026-03-02T00:00:00Z"];
    simulate(&stream, 5_000, &[&start[..], &["--drift", "broken_head:intent", "--drift-after", "3000"]].concat());
    let told = backtest(&example_manifest(), &reference, &stream, &["--budget", "1/1d"]);

    let windows = told["windows"].as_array().expect("windows");
    assert_eq!(windows.len(), 25);
    let keys = ["index", "start", "end", "records", "model_evidence", "threshold", "verdict", "statistics"];
    for key in keys.into_iter().chain(["guarantee", "guarantee_reason"]) {
        assert!(!windows[0][key].is_null(), "{key}");
    }
    let keys = ["scope", "task", "signal", "statistic", "p_value", "e_value", "effect", "n"];
    for key in keys.into_iter().chain(["guarantee", "guarantee_reason"]) {
        assert!(windows[0]["statistics"][10].get(key).is_some(), "{key}");
    }
    let alerts = told["alerts"].as_array().expect("alerts");
    assert_eq!(alerts.len(), 1, "one alert for one cause");
    let opened = alerts[0]["opened_window"].as_u64().expect("a window");
    assert!((15..18).contains(&opened), "the drift begins in window 15, the alert opened in {opened}");
    assert_eq!((&alerts[0]["cause"]["kind"], &alerts[0]["cause"]["task"]), (&"skew".into(), &"intent".into()));
    let reason = &told["summary"]["guarantee"]["reason"];
    assert!(reason.as_str().is_some_and(|reason| !reason.is_empty()), "{reason}");
    assert_eq!((&alerts[0]["guarantee_reason"], &windows[0]["guarantee_reason"]), (reason, reason));
    assert_eq!(told["summary"]["records"]["folded"], 5_000);

    let again = backtest(&example_manifest(), &reference, &stream, &["--budget", "1/1d"]);
    assert_eq!(told, again, "the same input gives the same bits");

    // The other two ways to tell it.
    let mut command = driftd();
    command.args(["backtest", "--device", "cpu", "--budget", "1/1d", "-m"]).arg(example_manifest());
    command.arg("-r").arg(&reference).arg("-i").arg(&stream);
    let table = succeed(&mut command);
    assert!(table.contains("otherwise than the exported model in head `intent`"), "{table}");
    let page = succeed(command.args(["--format", "html"]));
    assert!(page.contains("<svg") && page.contains("Alert in window") && !page.contains("http"), "self-contained");
    for part in ["Where, over time", "class=current", "class=whisker", "as a table", "intent served_answer", "All "] {
        assert!(page.contains(part), "{part}");
    }
    for tag in ["svg", "table", "details", "div", "p"] {
        let opened = page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "every <{tag}> is closed");
    }

    // Other settings on the same stream: nothing smaller than a huge margin alarms.
    let other = ["--budget", "1/1d", "--compare", "margin=100,min-records=40", "--compare", "window=4s"];
    let compared = backtest(&example_manifest(), &reference, &stream, &other);
    assert_eq!((&compared["alerts"], &compared["windows"]), (&told["alerts"], &told["windows"]));
    assert_eq!(compared["comparison"][0]["alerts"], Value::Array(vec![]));
    assert_eq!(compared["comparison"][1]["summary"]["windows"], 13);
    assert_eq!(compared["comparison"][1]["alerts"].as_array().map(Vec::len), Some(1));
    let [margin, longer] = [&compared["comparison"][0], &compared["comparison"][1]];
    let told = [("as asked", &compared), ("margin=100,min-records=40", margin), ("window=4s", longer)];
    let mut command = driftd();
    command.args(["backtest", "--device", "cpu", "-m"]).arg(example_manifest()).arg("-r").arg(&reference);
    let table = succeed(command.arg("-i").arg(&stream).args(other));
    let rows: Vec<&str> = table.lines().skip_while(|line| !line.starts_with("settings ")).skip(1).collect();
    assert_eq!(rows.len(), told.len(), "{table}");
    for (row, (name, told)) in rows.iter().zip(told) {
        let cells = row.strip_prefix(name).unwrap_or_else(|| panic!("`{name}` is not in {row}"));
        let cells: Vec<&str> = cells.split_whitespace().collect();
        let number = |at: usize| cells[at].parse::<f64>().unwrap_or_else(|_| panic!("no number in {row}"));
        assert_eq!(number(0), told["summary"]["windows"].as_f64().expect("windows"), "{row}");
        let alerts = told["alerts"].as_array().expect("alerts");
        assert_eq!(number(1), alerts.len() as f64, "{row}");
        assert!(number(2).is_finite() && (number(2) >= 1.0) != alerts.is_empty(), "{row}");
        let opened: Vec<String> = alerts.iter().map(|a| a["opened_window"].to_string()).collect();
        assert_eq!(cells.get(3).copied(), opened.first().map(String::as_str), "{row}");
    }
    let numbers = table.split_whitespace().filter(|word| ["inf", "NaN", "-inf"].contains(word));
    assert_eq!(numbers.count(), 0, "every number is one:\n{table}");
    let mut wrong = driftd();
    wrong.args(["backtest", "--compare", "speed=9", "-m"]).arg(example_manifest());
    let said = fail_with(wrong.arg("-r").arg(&reference).arg("-i").arg(&stream), 2);
    assert!(said.contains("`speed` is none of budget"), "{said}");
}

#[test]
fn references_are_kept_listed_and_activated() {
    let directory = tempfile::tempdir().expect("a folder");
    let reference = support::example_reference(directory.path(), "2s");
    let file = directory.path().join("driftd.yaml");
    let manifest = example_manifest();
    let config = format!(
        "kafka: {{brokers: 'localhost:1', topics: [a], start: earliest}}\nstore: {{url: '{}'}}\nmodels:\n  - {{manifest: '{}', window: {{length: 2s}}}}\n",
        support::sqlite_url(directory.path()),
        manifest.display()
    );
    std::fs::write(&file, &config).expect("written");
    let reference_command = |action: &str| {
        let mut command = driftd();
        command.args(["reference", action, "-c"]).arg(&file);
        command
    };
    assert!(succeed(driftd().arg("check").arg("-c").arg(&file)).contains("active in the store"));
    let none = fail_with(driftd().args(["run", "--roles", "api", "-c"]).arg(&file), 1);
    assert!(none.contains("driftd reference activate"), "{none}");
    assert!(succeed(&mut reference_command("list")).contains("holds no reference"));
    let said = fail_with(reference_command("activate").arg("ref_000000000000"), 1);
    assert!(said.contains("neither a file nor the id"), "{said}");
    let said = succeed(reference_command("activate").arg(&reference));
    let id = said.split(' ').next().expect("the id").to_owned();
    assert!(id.starts_with("ref_") && said.contains("at its next start"), "{said}");
    succeed(reference_command("activate").arg(&id));
    let listed = succeed(&mut reference_command("list"));
    assert!(listed.contains(&id) && listed.contains("fixed") && listed.trim_end().ends_with("active"), "{listed}");

    let pinned = config.replace("window:", &format!("reference: '{}', window:", reference.display()));
    std::fs::write(&file, pinned).expect("written");
    let said = succeed(reference_command("activate").arg(&id));
    assert!(said.contains("which goes first"), "{said}");
}

#[test]
fn a_stream_older_than_its_reference_is_judged_with_a_warning() {
    let directory = tempfile::tempdir().expect("a folder");
    let reference = support::example_reference(directory.path(), "2s");
    let stream = directory.path().join("stream.jsonl");
    simulate(&stream, 1_000, &["--seed", "5", "--interval", "10ms", "--start", "2020-03-02T00:00:00Z"]);
    let told = backtest(&example_manifest(), &reference, &stream, &["--budget", "1/1d"]);
    let warnings = told["summary"]["warnings"].to_string();
    assert!(warnings.contains("before the reference begins"), "{warnings}");
    assert_eq!(told["summary"]["records"]["folded"], 1_000);
    assert!(!warnings.contains("another version"), "{warnings}");
}

#[test]
fn a_version_that_nobody_released_is_told_and_not_judged() {
    let directory = tempfile::tempdir().expect("a folder");
    let reference = support::example_reference(directory.path(), "2s");
    let stream = directory.path().join("stream.jsonl");
    // Windows of 200 records.
    simulate(&stream, 1_000, &["--seed", "5", "--interval", "10ms", "--start", "2026-06-01T00:00:00Z"]);
    let records = std::fs::read_to_string(&stream).expect("read");
    let (named, other) = (r#""version":"1""#, r#""version":"2""#);
    let mixed: Vec<String> =
        records.lines().enumerate().map(|(i, l)| if i % 4 > 0 { l.replace(named, other) } else { l.into() }).collect();
    std::fs::write(&stream, mixed.join("\n")).expect("written");
    let told = backtest(&example_manifest(), &reference, &stream, &["--budget", "1/1d"]);
    let warnings = told["summary"]["warnings"].to_string();
    assert!(warnings.contains("750 of 1000 records (75.0 %) name another version"), "{warnings}");
    assert_eq!(
        (&told["summary"]["records"]["folded"], &told["summary"]["records"]["other_version"]),
        (&250.into(), &750.into())
    );
    std::fs::write(&stream, records.replace(named, other)).expect("written");
    let told = backtest(&example_manifest(), &reference, &stream, &["--budget", "1/1d"]);
    let warnings = told["summary"]["warnings"].to_string();
    assert!(warnings.contains("1000 of 1000 records (100.0 %)"), "{warnings}");
    let windows = told["windows"].as_array().expect("windows");
    assert!(windows.len() >= 5 && windows.iter().all(|w| w["records"] == 0 && w["verdict"] == "insufficient_data"));
    let alerts = told["alerts"].as_array().expect("alerts");
    let [alert] = alerts.as_slice() else { panic!("one alert: {alerts:#?}") };
    let cause = &alert["cause"];
    assert_eq!(
        (&cause["kind"], &cause["part"], &alert["opened_window"]),
        (&"skew".into(), &"version".into(), &0.into())
    );
    let summary = cause["summary"].as_str().expect("a sentence");
    assert!(
        summary.contains("200 of 200 records name another version than the manifest's `1`: `2` (200)"),
        "{summary}"
    );

    // A canary is told and alarms nobody; a roll-out that is taken back is over three windows later.
    let (first, canary) = (records.lines().take(600), |i: usize| i % 20 == 7);
    let story = |(i, line): (usize, &str)| match (200..400).contains(&i) || canary(i) {
        true => line.replace(named, other),
        false => line.to_owned(),
    };
    let mixed: Vec<String> = first.enumerate().map(story).chain(records.lines().skip(600).map(str::to_owned)).collect();
    std::fs::write(&stream, mixed.join("\n")).expect("written");
    let told = backtest(&example_manifest(), &reference, &stream, &["--budget", "1/1d", "--resolve-after", "2"]);
    let of_versions = |alert: &&Value| alert["cause"]["part"] == "version";
    let alerts: Vec<&Value> = told["alerts"].as_array().expect("alerts").iter().filter(of_versions).collect();
    let [alert] = alerts.as_slice() else { panic!("one alert: {alerts:#?}") };
    assert_eq!((&alert["opened_window"], &alert["resolved_window"]), (&1.into(), &3.into()), "{alert}");
}

#[test]
fn records_without_answers_are_run_through_the_model() {
    let directory = tempfile::tempdir().expect("a folder");
    let records = directory.path().join("inputs.jsonl");
    simulate(&records, 2_000, &["--inputs-only", "--interval", "10ms", "--start", "2026-03-01T00:00:00Z"]);
    let reference = directory.path().join("ref.bin");
    let mut command = driftd();
    command.args(["reference", "fit", "--device", "cpu", "--window-records", "100", "-m"]).arg(example_manifest());
    let table = succeed(command.arg("-i").arg(&records).arg("-o").arg(&reference));
    assert!(table.contains("our own inference") && table.contains("2000 in 20 windows"), "{table}");
    let part = directory.path().join("part.bin");
    let mut command = driftd();
    command.args(["reference", "fit", "--device", "cpu", "--window-records", "100", "--kind", "trailing"]);
    command.args(["--from", "2026-03-01T00:00:05Z", "--to", "2026-03-01T00:00:15Z"]).arg("-i").arg(&records);
    let table = succeed(command.arg("-o").arg(&part).arg("-m").arg(example_manifest()));
    assert!(table.contains("1000 in 10 windows"), "{table}");
    let told = backtest(&example_manifest(), &reference, &records, &["--arl-windows", "2000"]);
    assert_eq!(told["alerts"], Value::Array(vec![]), "what it learned from is normal");
    assert_eq!(told["windows"][3]["records"], 100);
}

/// The real model's streams, where a checkout has them: no alert without drift, an alert with it.
#[test]
fn the_development_streams_are_judged_rightly() {
    let Some(data) = support::development_data() else {
        println!("no development data beside this checkout: the example model's streams stand in, see above");
        return;
    };
    let directory = tempfile::tempdir().expect("a folder");
    let at = |name: &str| directory.path().join(name);
    assist_records::write_manifest(&data, directory.path()).expect("unpacked");
    for stream in ["reference", "no_drift_1", "new_topic_40", "broken_head"] {
        assist_records::convert(&data, stream, &at(&format!("{stream}.jsonl"))).expect("converted");
    }
    let mut command = driftd();
    command.args(["reference", "fit", "--device", "cpu", "--window-records", "250", "-m"]).arg(at("manifest.yaml"));
    succeed(command.arg("-i").arg(at("reference.jsonl")).arg("-o").arg(at("ref.bin")));
    let judge = |stream: &str| {
        let input = at(&format!("{stream}.jsonl"));
        backtest(&at("manifest.yaml"), &at("ref.bin"), &input, &["--arl-windows", "2000"])["alerts"].clone()
    };
    assert_eq!(judge("no_drift_1"), Value::Array(vec![]));
    let onset = 4;
    for (stream, kinds) in [("new_topic_40", ["input", "encoder"]), ("broken_head", ["head", "skew"])] {
        let alerts = judge(stream);
        assert_eq!(alerts.as_array().map(Vec::len), Some(1), "{stream}: {alerts}");
        let opened = alerts[0]["opened_window"].as_u64().expect("a window");
        assert!((onset..onset + 3).contains(&opened), "{stream}: {alerts}");
        assert!(kinds.iter().any(|k| alerts[0]["cause"]["kind"] == *k), "{stream}: {alerts}");
    }
    assert_eq!(judge("broken_head")[0]["cause"]["task"], "domain");
}

#[test]
fn a_wrong_configuration_tells_everything_at_once() {
    let directory = tempfile::tempdir().expect("a folder");
    let file = directory.path().join("driftd.yaml");
    let broken = "kafka: {brokers: b, topics: [a], start: sometime}\nstore: {url: 'sqlite:x'}\nmodel: []\nmodels:\n  - manifest: m.yaml\n    windows: 5m\n";
    std::fs::write(&file, broken).expect("written");
    let said = fail_with(driftd().arg("check").arg("-c").arg(&file), 3);
    for part in [
        ":1: kafka.start: found `sometime`",
        "`earliest`",
        ":3: model: unknown key `model`",
        ":6: models.0.windows: unknown key",
        "reference",
    ] {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    // A key that nobody knows hides nothing of what takes more than the shape to see.
    let broken = "store: {url: 'sqlite:x'}\nstroe: 1\nmodels:\n  - manifest: m.yaml\n    window: {length: soon}\nroutes:\n  - to: [pager]\n";
    std::fs::write(&file, broken).expect("written");
    let said = fail_with(driftd().arg("check").arg("-c").arg(&file), 3);
    for part in ["3 problems", ":2: stroe: unknown key", ":5: models.0.window.length: ", "there is no endpoint `pager`"]
    {
        assert!(said.contains(part), "{part} is not in:\n{said}");
    }
    let said = fail_with(driftd().arg("check").arg("-c").arg(directory.path().join("none.yaml")), 3);
    assert!(said.contains("none.yaml") && said.contains("cannot be read"), "{said}");
}

#[test]
fn a_good_configuration_is_checked_with_all_it_names() {
    let directory = tempfile::tempdir().expect("a folder");
    let reference = support::example_reference(directory.path(), "2s");
    let file = directory.path().join("driftd.yaml");
    let text = |reference: &Path| {
        format!(
            "store: {{url: 'sqlite:x.db'}}\nmodels:\n  - {{manifest: '{}', reference: '{}', window: {{length: 2s}}}}\n",
            example_manifest().display(),
            reference.display()
        )
    };
    std::fs::write(&file, text(&reference)).expect("written");
    let said = succeed(driftd().arg("check").arg("-c").arg(&file));
    assert!(said.contains("model support version 1: 5 tasks") && said.contains("valid"), "{said}");
    std::fs::write(&file, text(&directory.path().join("reference.jsonl"))).expect("written");
    let said = fail_with(driftd().arg("check").arg("-c").arg(&file), 3);
    assert!(said.contains("not a driftd reference"), "{said}");
}

#[test]
fn a_model_that_does_not_answer_its_golden_set_is_refused() {
    let directory = tempfile::tempdir().expect("a folder");
    let at = |name: &str| directory.path().join(name);
    for file in ["model.onnx", "tokenizer.json", "golden.jsonl"] {
        std::fs::copy(support::root().join("examples/support").join(file), at(file)).expect("copied");
    }
    let example = std::fs::read_to_string(example_manifest()).expect("readable");
    let own = "golden:\n  file: golden.jsonl\n";
    assert!(example.ends_with(own), "the example ships its golden set: {example}");
    let with = |golden: &str| {
        std::fs::write(at("manifest.yaml"), example.replace(own, &format!("golden: {golden}\n"))).expect("written");
    };
    let config = format!(
        "store: {{url: 'sqlite:x.db'}}\nmodels:\n  - {{manifest: manifest.yaml, reference: '{}', window: {{length: 2s}}}}\n",
        support::example_reference(directory.path(), "2s").display()
    );
    std::fs::write(at("driftd.yaml"), config).expect("written");
    let check = || {
        let mut command = driftd();
        command.arg("check").arg("-c").arg(at("driftd.yaml"));
        command
    };
    with("{file: golden.jsonl}");
    let said = succeed(&mut check());
    assert!(said.contains("answers its golden set of 51 texts"), "{said}");
    // Without a reference in a file, whose digests and classes would tell first.
    let unpinned = "store: {url: 'sqlite:x.db'}\nmodels:\n  - {manifest: manifest.yaml, window: {length: 2s}}\n";
    std::fs::write(at("store.yaml"), unpinned).expect("written");
    let check_unpinned = || fail_with(driftd().arg("check").arg("-c").arg(at("store.yaml")), 3);
    // Another order of classes is told by the texts that show it, before anything is read.
    let written = std::fs::read_to_string(at("manifest.yaml")).expect("readable");
    std::fs::write(at("manifest.yaml"), written.replace("- calm\n      - angry", "- angry\n      - calm"))
        .expect("written");
    let said = check_unpinned();
    assert!(said.contains("`mood` answers otherwise") && said.contains("the order of classes"), "{said}");
    // So is a tokenizer whose file was saved with another setting.
    with("{file: golden.jsonl}");
    let tokenizer = std::fs::read_to_string(at("tokenizer.json")).expect("readable");
    let cased = tokenizer.replace(r#""lowercase": true"#, r#""lowercase": false"#);
    assert_ne!(cased, tokenizer);
    std::fs::write(at("tokenizer.json"), cased).expect("written");
    let said = check_unpinned();
    assert!(said.contains("check the ONNX file, the tokenizer") && said.contains("of 51 texts"), "{said}");
    std::fs::write(at("tokenizer.json"), tokenizer).expect("written");

    simulate(&at("golden.jsonl"), 12, &["--seed", "3"]);
    let said = succeed(&mut check());
    assert!(said.contains("answers its golden set of 12 texts"), "{said}");

    simulate(&at("broken.jsonl"), 12, &["--seed", "3", "--drift", "broken_head:intent"]);
    with("{file: broken.jsonl}");
    let said = fail_with(&mut check(), 3);
    assert!(said.contains("line 1: `intent` answers otherwise") && said.contains("12 of 12"), "{said}");
    let mut run = driftd();
    run.args(["run", "--roles", "collect", "-c"]).arg(at("driftd.yaml")).current_dir(directory.path());
    let said = fail_with(&mut run, 3);
    assert!(said.contains("does not answer its golden set"), "nothing is read before: {said}");
    simulate(&at("inputs.jsonl"), 300, &["--inputs-only"]);
    let mut fit = driftd();
    fit.args(["reference", "fit", "--device", "cpu", "--window-records", "100", "-m"]).arg(at("manifest.yaml"));
    let said = fail_with(fit.arg("-i").arg(at("inputs.jsonl")).arg("-o").arg(at("ref.bin")), 3);
    assert!(said.contains("does not answer its golden set"), "{said}");

    with("{file: inputs.jsonl, tolerance: {confidence: 0.1}}");
    let said = fail_with(&mut check(), 3);
    assert!(said.contains("line 1: neither answers nor an embedding"), "{said}");
    with("{file: golden.jsonl, tolerance: {confidence: 2}}");
    assert!(fail_with(&mut check(), 3).contains("golden.tolerance.confidence"), "the tolerance is no share");
}

/// The configuration in the README works as it stands, once its environment is set.
#[test]
fn the_readme_shows_a_configuration_that_works() {
    let readme = std::fs::read_to_string(support::root().join("README.md")).expect("readable");
    let (_, rest) = readme.split_once("```yaml\n").expect("the README shows one");
    let (block, _) = rest.split_once("```").expect("it ends");
    let text: Vec<&str> = block.lines().map(|line| line.strip_prefix("   ").unwrap_or(line)).collect();
    let directory = tempfile::tempdir().expect("a folder");
    for file in ["model.onnx", "tokenizer.json", "golden.jsonl", "manifest.yaml"] {
        std::fs::copy(support::root().join("examples/support").join(file), directory.path().join(file))
            .expect("copied");
    }
    support::example_reference(directory.path(), "5m");
    let file = directory.path().join("driftd.yaml");
    std::fs::write(&file, text.join("\n")).expect("written");
    let mut command = driftd();
    command.env("KAFKA_PASSWORD", "x").env("DRIFTD_STORE", "sqlite:x.db").env("WEBHOOK_SECRET", support::SECRET);
    assert!(succeed(command.arg("check").arg("-c").arg(&file)).contains("valid"));
    let said = fail_with(driftd().arg("check").arg("-c").arg(&file), 3);
    assert_eq!(said.matches("is not set").count(), 3, "each missing variable is told:\n{said}");
}

#[test]
fn schemas_and_help_are_published() {
    for flag in ["--schema", "--manifest-schema", "--openapi"] {
        let text = succeed(driftd().args(["check", flag]));
        let value: Value = serde_json::from_str(&text).expect("JSON");
        assert!(value.get("$schema").is_some() || value.get("openapi").is_some(), "{flag}");
    }
    let help = succeed(driftd().arg("--help"));
    for word in [
        "run",
        "check",
        "migrate",
        "inspect",
        "reference",
        "backtest",
        "simulate",
        "demo",
        "gpu-check",
        "keys",
        "Exit codes",
    ] {
        assert!(help.contains(word), "{word}");
    }
    for (flags, file) in [
        ("--openapi", "openapi.json"),
        ("--schema", "config.schema.json"),
        ("--schema config", "config.schema.json"),
        ("--manifest-schema", "manifest.schema.json"),
        ("--schema manifest", "manifest.schema.json"),
        ("--schema records", "records.schema.json"),
    ] {
        let printed = succeed(driftd().arg("check").args(flags.split(' ')));
        let committed = std::fs::read_to_string(support::root().join("docs").join(file)).expect("committed");
        assert!(printed == committed, "run `driftd check {flags} > docs/{file}` and look at what changed");
    }
    let schema = serde_json::from_str(&succeed(driftd().args(["check", "--schema", "records"]))).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    for record in bad_input::records(0) {
        let errors: Vec<String> = schema.iter_errors(&record).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{record}: {errors:?}");
    }
    let openapi: Value = serde_json::from_str(&succeed(driftd().args(["check", "--openapi"]))).expect("JSON");
    assert!(openapi["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")));
}

#[test]
fn keys_are_shown_once_and_listed_without_their_secrets() {
    let directory = tempfile::tempdir().expect("a folder");
    let (file, manifest) = (directory.path().join("driftd.yaml"), example_manifest());
    let store = support::sqlite_url(directory.path());
    let yaml = format!(
        "store: {{url: \"{store}\"}}\nmodels: [{{manifest: {}}}]\napi: {{auth: keys, listen: \"0.0.0.0:8080\"}}\n",
        manifest.display()
    );
    std::fs::write(&file, yaml).expect("written");
    let keys = |args: &[&str]| {
        let mut command = driftd();
        command.arg("keys").arg(args[0]).arg("-c").arg(&file).args(&args[1..]);
        command
    };
    assert!(succeed(&mut keys(&["list"])).contains("there is no key"));
    let printed = succeed(&mut keys(&["create", "grafana", "--role", "operator", "--scope", "retraining:approve"]));
    let key = driftd::access::key::ApiKey::parse(printed.trim()).expect("the key and nothing else");
    let listed = succeed(&mut keys(&["list"]));
    for part in [key.id.as_str(), "grafana", "operator", "retraining:approve", "valid"] {
        assert!(listed.contains(part), "{part} is not in:\n{listed}");
    }
    assert!(!listed.contains(&printed[24..]), "the secret is nowhere");
    assert!(succeed(&mut keys(&["revoke", &key.id])).contains("is revoked"));
    assert!(succeed(&mut keys(&["revoke", &key.id])).contains("already"));
    assert!(succeed(&mut keys(&["list"])).contains("revoked 20"));
    assert!(fail_with(&mut keys(&["revoke", "0123"]), 1).contains("there is no key `0123`"));
    for wrong in [
        &["create", "x", "--role", "root"][..],
        &["create", "x", "--scope", "*"],
        &["create", ""],
        &["create", "x", "--expires", "soon"],
    ] {
        fail_with(&mut keys(wrong), 2);
    }
}

#[test]
fn every_end_has_its_exit_code() {
    let directory = tempfile::tempdir().expect("a folder");
    let missing = directory.path().join("missing");
    fail_with(driftd().arg("dance"), 2);
    fail_with(driftd().args(["simulate", "-n", "1", "--drift", "fire", "-m"]).arg(example_manifest()), 2);
    fail_with(driftd().arg("inspect").arg(&missing), 3);
    let said = fail_with(
        driftd().args(["reference", "fit", "-o", "x", "-i"]).arg(&missing).arg("-m").arg(example_manifest()),
        1,
    );
    assert!(said.contains("missing") && said.contains("cannot be opened"), "{said}");
    let few = directory.path().join("few.jsonl");
    simulate(&few, 10, &[]);
    let said =
        fail_with(driftd().args(["reference", "fit", "-o", "x", "-i"]).arg(&few).arg("-m").arg(example_manifest()), 3);
    assert!(said.contains("10 usable records are too few"), "{said}");
    let mut command = driftd();
    command.env("ORT_DYLIB_PATH", &missing).args(["simulate", "-n", "1", "-m"]).arg(example_manifest());
    let said = fail_with(&mut command, 3);
    assert!(said.contains("ORT_DYLIB_PATH"), "{said}");
    let said = fail_with(
        driftd()
            .args(["simulate", "--brokers", "127.0.0.1:1", "--topic", "t", "-n", "1", "-m"])
            .arg(example_manifest()),
        4,
    );
    assert!(said.contains("no broker answers at `127.0.0.1:1`"), "{said}");
}

#[test]
fn a_machine_without_cuda_says_so() {
    if Path::new("/dev/nvidia0").exists() {
        return; // `make gpu-check` is the test there.
    }
    let said = fail_with(driftd().args(["gpu-check", "--count", "8", "-m"]).arg(example_manifest()), 5);
    assert!(said.contains("CUDA"), "{said}");
}
