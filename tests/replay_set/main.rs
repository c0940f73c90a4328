//! `driftd replay-set` as scripts meet it, and what a retraining request says of it.

#[path = "../support/mod.rs"]
mod support;

mod bucket;
mod columns;
mod s3;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use driftd::drift::retraining::life::State;
use driftd::drift::retraining::plan::Plan;
use driftd::drift::time::Timestamp;
use driftd::store::{Change, NewRequest, RequestRow, RetrainingStore as _, SqlStore};
use serde_json::{Value, json};
use support::{driftd, example_manifest, fail_with, simulate, succeed};

/// Ten minutes of records, a few a second.
struct World {
    directory: tempfile::TempDir,
    records: Vec<Value>,
}

const START: &str = "2026-03-01T00:00:00Z";
const ALARM: (&str, &str) = ("2026-03-01T00:06:00Z", "2026-03-01T00:09:00Z");

impl World {
    fn new() -> World {
        let directory = tempfile::tempdir().expect("a folder");
        let file = directory.path().join("records.jsonl");
        simulate(&file, 3_000, &["--seed", "3", "--interval", "200ms", "--start", START]);
        let text = std::fs::read_to_string(&file).expect("records");
        World { records: text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, lines: impl Iterator<Item = Value>) -> PathBuf {
        let text = lines.fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        });
        std::fs::write(self.path(name), text).expect("written");
        self.path(name)
    }

    /// Labels of every tenth record, each the first class of `intent`; one of them was corrected.
    fn labels(&self) -> PathBuf {
        let label = |(i, record): (usize, &Value)| {
            let of = |label: &str, revision: u64| {
                json!({"schema": "label/v1", "prediction_id": record["prediction_id"], "task": "intent",
                    "label": label, "revision": revision, "timestamp": "2026-03-02T00:00:00Z"})
            };
            let corrected = (i == 0).then(|| of("invoice", 2));
            [Some(of("refund", 1)), corrected].into_iter().flatten()
        };
        self.write("labels.jsonl", self.records.iter().enumerate().filter(|(i, _)| i % 10 == 0).flat_map(label))
    }

    fn draw(&self, output: &str, inputs: &[&Path], more: &[&str]) -> Command {
        self.draw_to(self.path(output), inputs, more)
    }

    fn draw_to(&self, output: impl AsRef<std::ffi::OsStr>, inputs: &[&Path], more: &[&str]) -> Command {
        let mut command = driftd();
        command.args(["replay-set", "-m"]).arg(example_manifest()).arg("-o").arg(output).args(more);
        for input in inputs {
            command.arg("-i").arg(input);
        }
        command
    }

    fn set(&self, output: &str) -> (Value, Vec<Value>, String) {
        let folder = self.path(output);
        let text = std::fs::read_to_string(folder.join("records.jsonl")).expect("records");
        let manifest = std::fs::read_to_string(folder.join("manifest.json")).expect("a manifest");
        let rows = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (serde_json::from_str(&manifest).expect("JSON"), rows, text)
    }
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes.as_ref()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn share<'a>(manifest: &'a Value, period: &str, task: Option<(&str, &str, &str)>) -> Option<&'a Value> {
    let (task, class, by) = task.map_or((None, None, None), |(t, c, b)| (Some(t), Some(c), Some(b)));
    let all = manifest["strata"].as_array().expect("strata");
    all.iter().find(|s| {
        s["period"] == period && (s["task"].as_str(), s["class"].as_str(), s["by"].as_str()) == (task, class, by)
    })
}

/// Records of the alarm's time.
fn in_alarm(manifest: &Value) -> u64 {
    share(manifest, "alarm", None).expect("told")["records"].as_u64().expect("a count")
}

#[test]
fn a_set_is_the_same_in_any_order_and_says_how_it_was_drawn() {
    let world = World::new();
    let (whole, labels) = (world.write("whole.jsonl", world.records.iter().cloned()), world.labels());
    let odd = world.write("odd.jsonl", world.records.iter().rev().step_by(2).cloned());
    let even = world.write("even.jsonl", world.records.iter().rev().skip(1).step_by(2).cloned());
    let labels = labels.to_str().expect("UTF-8");
    let rule = ["--size", "600", "--floor", "10", "--seed", "s", "--labels", labels];
    let alarm = ["--alarm-from", ALARM.0, "--alarm-to", ALARM.1];
    let said = succeed(&mut world.draw("a", &[&whole], &[&rule[..], &alarm].concat()));
    succeed(&mut world.draw("b", &[&odd, &even], &[&rule[..], &alarm].concat()));
    let (manifest, rows, text) = world.set("a");
    assert_eq!((&manifest, &text), (&world.set("b").0, &world.set("b").2), "order and split change nothing");
    assert!(said.contains("drawn") && said.contains("after the alarm's time"), "{said}");

    let file = &manifest["files"][0];
    assert_eq!((file["rows"].as_u64(), file["sha256"].as_str()), (Some(rows.len() as u64), Some(&*sha256(&text))));
    let counts = &manifest["counts"];
    assert_eq!((counts["lines"].as_u64(), counts["after_the_alarm"].as_u64()), (Some(3_000), Some(300)));
    let (held, eligible) = (counts["held_out"].as_u64().expect("a count"), counts["eligible"].as_u64());
    assert!((210..330).contains(&held) && eligible == Some(2_700 - held), "{counts}");

    let alarmed = rows.iter().filter(|row| row["replay"]["period"] == "alarm").count();
    assert!(
        alarmed > 100 && alarmed * 2 <= rows.len() && (430..=620).contains(&rows.len()),
        "{alarmed} of {}",
        rows.len()
    );
    for row in &rows {
        let time = &row["timestamp"].as_str().expect("a time")[..19];
        assert!(time < &ALARM.1[..19] && (time >= &ALARM.0[..19]) == (row["replay"]["period"] == "alarm"), "{row}");
        let (weight, probability) = (row["replay"]["weight"].as_f64(), row["replay"]["probability"].as_f64());
        assert!(weight.zip(probability).is_some_and(|(w, p)| (w * p - 1.0).abs() < 1e-9), "{row}");
        assert!(row.get("input").is_none() && row.get("outputs").is_none(), "no text without being asked: {row}");
    }
    // Labelled records are a tenth; their floor is kept, and a label is what its last revision says.
    let refund = share(&manifest, "ordinary", Some(("intent", "refund", "label"))).expect("a stratum");
    assert!(refund["drawn"].as_u64().is_some_and(|n| n >= 10) && refund["weight"].as_f64() > Some(80.0), "{refund}");
    let corrected = rows.iter().find(|row| row["prediction_id"] == world.records[0]["prediction_id"]);
    if let Some(corrected) = corrected {
        assert_eq!(corrected["labels"]["intent"], "invoice");
    }
    let invoice = share(&manifest, "ordinary", Some(("intent", "invoice", "label")));
    assert_eq!(invoice.is_some(), corrected.is_some(), "one record only: drawn unless it is held out");

    let again = fail_with(&mut world.draw("a", &[&whole], &rule), 1);
    assert!(again.contains("holds a set already"), "{again}");
    for (wrong, why) in [
        (["--alarm-share", "0.7"], "at most half"),
        (["--holdout", "1.5"], "`--holdout`"),
        (["--size", "0"], "`--size`"),
        (["--request", "rt_none"], "driftd.yaml"),
    ] {
        let said = fail_with(&mut world.draw("c", &[&whole], &wrong), if wrong[0] == "--request" { 3 } else { 1 });
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn held_out_records_are_for_references_and_never_for_training() {
    let world = World::new();
    let whole = world.write("whole.jsonl", world.records.iter().cloned());
    succeed(&mut world.draw("replay", &[&whole], &["--size", "100000", "--with-text", "--holdout", "0.4"]));
    succeed(&mut world.draw("reference", &[&whole], &["--reference", "--with-text", "--holdout", "0.4"]));
    succeed(&mut world.draw("bare", &[&whole], &["--reference", "--holdout", "0.4"]));
    let (replay, reference) = (world.set("replay"), world.set("reference"));
    let ids = |rows: &[Value]| -> Vec<String> {
        rows.iter().map(|row| row["prediction_id"].as_str().expect("an id").to_owned()).collect()
    };
    let (trained, held) = (ids(&replay.1), ids(&reference.1));
    assert_eq!(trained.len() + held.len(), 3_000, "each is on one side");
    assert!(held.iter().all(|id| !trained.contains(id)) && held.len() > 1_000, "{}", held.len());
    assert_eq!(reference.0["purpose"], "reference");
    let by_id: BTreeMap<&str, &Value> =
        world.records.iter().map(|r| (r["prediction_id"].as_str().expect("an id"), r)).collect();
    for row in reference.1.iter().chain(&replay.1) {
        let mut row = row.clone();
        let id = row["prediction_id"].as_str().expect("an id").to_owned();
        assert_eq!(row.as_object_mut().and_then(|r| r.remove("replay")).expect("how")["weight"], 1.0);
        assert_eq!(&row, by_id[id.as_str()], "with texts a record stays what it was");
    }
    assert!(world.set("bare").1.iter().all(|row| row.get("input").is_none() && row.get("outputs").is_some()));
    // What is written is what other commands read.
    let output = world.path("reference.bin");
    let mut command = driftd();
    command.args(["reference", "fit", "--device", "cpu", "--threads", "1", "--window", "30s", "-m"]);
    let said = succeed(
        command.arg(example_manifest()).arg("-i").arg(world.path("reference/records.jsonl")).arg("-o").arg(&output),
    );
    assert!(said.contains(&format!("records     {}", held.len())), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_and_its_set_agree() {
    let world = World::new();
    let whole = world.write("whole.jsonl", world.records.iter().cloned());
    let config = world.path("driftd.yaml");
    let text = format!(
        "kafka: {{brokers: 'localhost:1', topics: [a], start: earliest}}\nstore: {{url: '{}'}}\nmodels:\n  - manifest: '{}'\n    \
         retraining: {{replay: {{size: 300, floor: 5, alarm_share: 0.3, holdout: 0.2}}}}\n",
        support::sqlite_url(world.directory.path()),
        example_manifest().display()
    );
    std::fs::write(&config, &text).expect("written");
    succeed(driftd().arg("migrate").arg("-c").arg(&config));

    // One that a person asked for, by the command line: the plan of the configuration is in it.
    let desk = || {
        let mut command = driftd();
        command.args(["retraining", "--json", "-c"]).arg(&config);
        command
    };
    let wish = ["request", "--model", "support", "--task", "intent", "--reason", "new"];
    let asked = succeed(desk().args(wish));
    let asked: Value = serde_json::from_str(&asked).expect("JSON");
    let id = asked["id"].as_str().expect("an id");
    let c = config.to_str().expect("UTF-8");
    succeed(&mut world.draw("asked", &[&whole], &["--request", id, "-c", c]));
    let manifest = world.set("asked").0;
    assert_eq!(manifest["replay"], asked["body"]["data"]["replay"]);
    assert_eq!((&manifest["replay"]["size"], &manifest["window"]), (&json!(300), &Value::Null));
    succeed(desk().args(["reject", id]));

    // One that an alert led to has a window too.
    let time = |text: &str| Timestamp::parse(text).expect("a time");
    let window = (time(ALARM.0), time(ALARM.1));
    let data = Plan::default().data("rt_alarm", Some(window), "ref_1");
    let body = json!({"model": {"name": "support", "version": "1"}, "data": data});
    let store = SqlStore::open(&support::secret(&support::sqlite_url(world.directory.path()))).await.expect("opens");
    let new = NewRequest {
        row: row("rt_alarm", &body),
        who: "driftd".into(),
        deliveries: Vec::new(),
        audit: None,
        now: window.1,
    };
    store.add_request(&new).await.expect("added");
    succeed(&mut world.draw("stored", &[&whole], &["--request", "rt_alarm", "-c", c]));
    let mut told = body.clone();
    told["request_id"] = json!("rt_alarm");
    let file = world.path("request.json");
    std::fs::write(&file, json!({"type": "retraining.requested", "data": told}).to_string()).expect("written");
    succeed(&mut world.draw("told", &[&whole], &["--request", file.to_str().expect("UTF-8")]));
    let (manifest, rows, text) = world.set("stored");
    assert_eq!(
        (&manifest, &text),
        (&world.set("told").0, &world.set("told").2),
        "by its id or by what its hook was told"
    );
    assert_eq!((&manifest["request_id"], &manifest["replay"]), (&json!("rt_alarm"), &body["data"]["replay"]));
    assert_eq!(manifest["window"], body["data"]["window"]);
    assert!(rows.iter().any(|row| row["replay"]["period"] == "alarm"));

    // And its manifest names all that it takes to draw it again without the request.
    let replay = &manifest["replay"];
    let number = |key: &str| replay[key].to_string();
    let (size, floor, share, holdout) = (number("size"), number("floor"), number("alarm_share"), number("holdout"));
    let again = [
        "--seed",
        replay["seed"].as_str().expect("a seed"),
        "--size",
        &size,
        "--floor",
        &floor,
        "--alarm-share",
        &share,
        "--holdout",
        &holdout,
        "--alarm-from",
        ALARM.0,
        "--alarm-to",
        ALARM.1,
    ];
    succeed(&mut world.draw("again", &[&whole], &again));
    assert_eq!(world.set("again").0["files"], manifest["files"]);
    let drawn = world.path("stored/manifest.json");
    succeed(&mut world.draw("from_set", &[&whole], &["--request", drawn.to_str().expect("UTF-8")]));
    assert_eq!(world.set("from_set").0, manifest, "a set's own manifest draws it again");

    // As long as it is open, it covers its alert's time so far; what its hook was told stays what it was.
    let id = store.open_requests().await.expect("read")[0].request_id.clone();
    assert!(store.move_request(&ended(&id)).await.expect("moves"));
    let later = time("2026-03-01T00:09:40Z");
    let mut longer = new.clone();
    longer.row = RequestRow { covers_until: Some(later), ..row("rt_long", &body) };
    store.add_request(&longer).await.expect("added");
    let said = succeed(&mut world.draw("so_far", &[&whole], &["--request", "rt_long", "-c", c]));
    let so_far = world.set("so_far").0;
    assert_eq!(so_far["window"], json!({"start": window.0, "end": later}));
    assert!(said.contains("the alarm's time: 2026-03-01T00:06:00Z to 2026-03-01T00:09:40Z"), "{said}");
    assert!(in_alarm(&so_far) > in_alarm(&manifest), "{so_far}");
    // Options say otherwise, one at a time.
    let until = ["--request", "rt_long", "-c", c, "--alarm-to", ALARM.1];
    succeed(&mut world.draw("until", &[&whole], &until));
    assert_eq!(world.set("until").0["window"], body["data"]["window"]);
    let said = fail_with(&mut world.draw("half", &[&whole], &["--alarm-to", ALARM.1]), 1);
    assert!(said.contains("needs both"), "{said}");

    let mut other = driftd();
    other.args(["replay-set", "--request", "rt_none", "-c", c, "-m"]).arg(example_manifest()).arg("-i").arg(&whole);
    let said = fail_with(other.arg("-o").arg(world.path("none")), 1);
    assert!(said.contains("rt_none"), "{said}");
}

fn ended(id: &str) -> Change {
    Change {
        request_id: id.to_owned(),
        from: State::Proposed,
        to: State::Rejected,
        at: Timestamp::from_micros(2),
        who: "ada".into(),
        why: String::new(),
        deadline: None,
        run_url: None,
        new_model_version: None,
        result: None,
        callback: None,
        gates: None,
        body: None,
        audit: None,
        deliveries: Vec::new(),
    }
}

fn row(id: &str, body: &Value) -> RequestRow {
    RequestRow {
        request_id: id.to_owned(),
        model: "support".into(),
        version: "1".into(),
        kind: "drift".into(),
        mode: "propose".into(),
        dry_run: false,
        alert_id: "al_1".into(),
        state: State::Proposed,
        tasks: "[\"intent\"]".into(),
        protected_tasks: "[]".into(),
        reason: "a test".into(),
        body: body.to_string(),
        hook: None,
        covers_until: None,
        created: Timestamp::from_micros(1),
        deadline: None,
        run_url: None,
        new_model_version: None,
        result: "{}".into(),
        attempts: 0,
        next_attempt: Timestamp::from_micros(0),
        token: None,
        moves: 1,
    }
}
