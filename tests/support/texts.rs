//! Texts of the example model that all end the same way, and what is new in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Records before the new topic comes.
pub const QUIET: usize = 2_000;

/// A stream of the example model in which a new topic comes, and a reference: every text ends with `tail`. Without
/// production's answers, which were given to texts that ended otherwise: there is one cause, and so one alert.
pub fn new_topic(directory: &Path, tail: &str) -> (PathBuf, PathBuf) {
    let at = |name: &str| directory.join(name);
    let (records, stream, reference) = (at("reference.jsonl"), at("stream.jsonl"), at("reference.bin"));
    let common = ["--inputs-only", "--interval", "10ms", "--start"];
    super::simulate(&records, 12_000, &[&common[..], &["2026-03-01T00:00:00Z", "--seed", "11"]].concat());
    let drift = ["2026-03-02T00:00:00Z", "--seed", "5", "--drift", "new_topic:0.5", "--drift-after"];
    super::simulate(&stream, 2 * QUIET, &[&common[..], &drift, &[&QUIET.to_string()]].concat());
    for file in [&records, &stream] {
        let written = std::fs::read_to_string(file).expect("readable");
        let ended: Vec<String> = written.lines().map(|record| ended(record, tail)).collect();
        std::fs::write(file, ended.join("\n")).expect("written");
    }
    let mut command = super::driftd();
    command.args(["reference", "fit", "--device", "cpu", "--threads", "1", "--window", "2s", "-m"]);
    command.arg(super::example_manifest()).arg("-i").arg(&records).arg("-o").arg(&reference);
    super::succeed(&mut command);
    (reference, stream)
}

fn ended(record: &str, tail: &str) -> String {
    let mut changed: Value = serde_json::from_str(record).expect("JSON");
    changed["input"]["text"] = json!(format!("{} {tail}", of(record)));
    changed.to_string()
}

/// The text of a record.
pub fn of(record: &str) -> String {
    let record: Value = serde_json::from_str(record).expect("JSON");
    record["input"]["text"].as_str().expect("a text").to_owned()
}

/// Words of a text, without numbers, marks and how it ends.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| word.chars().all(char::is_alphabetic))
}

/// Tells texts about the new topic of such a stream, which is about half of the later ones.
pub fn tells_new(texts: &[String]) -> impl Fn(&str) -> bool + use<> {
    let known: BTreeSet<String> = texts[..QUIET].iter().flat_map(|text| words(text)).map(str::to_owned).collect();
    let is_new = move |text: &str| words(text).filter(|word| !known.contains(*word)).count() >= 2;
    let share = texts[QUIET..].iter().filter(|text| is_new(text)).count() as f64 / (texts.len() - QUIET) as f64;
    assert!((0.3..0.7).contains(&share), "{share} of the later texts are about the new topic");
    is_new
}
