//! Redacted texts of an alert: of the new topic, nowhere else, and gone with the window where nothing alarmed.

use std::path::Path;

use driftd::source::producer::Producer;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Row as _};

use super::support::{self, eventually, get_json, service, texts};
use super::{LONG, Scene, read, setup};

/// What every text ends with: addresses and numbers that must be nowhere.
pub const TAIL: &str = "canary.ada@mail.example 0170 5550123";

/// A new topic, and a reference that knows how the texts end.
pub(super) fn scene(directory: &Path) -> Scene {
    let (reference, stream) = texts::new_topic(directory, TAIL);
    Scene {
        name: "support",
        reached: "intent",
        manifest: support::example_manifest(),
        reference,
        records: read(&stream),
        window: "2s",
        budget: "1/1d",
    }
}

/// All texts and JSON of a database, table by table, as Postgres prints its rows.
async fn printed(connection: &mut AnyConnection) -> Vec<(String, String)> {
    let tables = "select tablename::text as name from pg_tables where schemaname = 'public'";
    let rows = sqlx::query(tables).fetch_all(&mut *connection).await.expect("reads");
    let mut printed = Vec::new();
    for name in rows.iter().map(|row| row.get::<String, _>("name")) {
        let statement = format!("select coalesce(string_agg(t::text, '; '), '') as text from {name} as t");
        let row = sqlx::query(AssertSqlSafe(statement)).fetch_one(&mut *connection).await.expect("reads");
        printed.push((name, row.get("text")));
    }
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_has_redacted_texts_of_what_is_new() {
    let directory = tempfile::tempdir().expect("a folder");
    let scene = scene(directory.path());
    let is_new = texts::tells_new(&scene.records.iter().map(|(_, record)| texts::of(record)).collect::<Vec<_>>());
    let (topics, store) = (support::fresh_topics(2).await, support::fresh_database().await);
    let (url, arrivals) = support::receiver().await;
    let producer = Producer::connect(&service("KAFKA_BROKERS"), &topics.0).expect("connects");
    let mut setup = setup(directory.path(), &scene, &topics, &store, &url, "always");
    setup.model = "examples: {keep: 6, max_characters: 200, retention: 1d}".into();
    setup.env = vec![("RUST_LOG".into(), "info,driftd=trace,sqlx=trace".into())];
    let mut daemon = setup.start();
    daemon.ready(LONG).await;
    producer.send(&scene.records).await.expect("sent");

    let firing = eventually("the alert", LONG, || async { arrivals.first("drift.alarm.firing") }).await;
    let alert = firing["data"]["alarm_id"].as_str().expect("an id").to_owned();
    let found = get_json(&format!("{}/api/v1/alerts/{alert}/examples", daemon.api)).await.expect("answers");
    let examples = found["data"].as_array().expect("a list").clone();
    assert_eq!(examples.len(), 6, "{found}");
    for example in &examples {
        let text = example["text"].as_str().expect("a text");
        assert!(text.ends_with(" [email] [number]"), "{text}");
        let reason = &example["reasons"][0];
        assert!(reason["current_share"].as_f64() > reason["reference_share"].as_f64(), "{example}");
    }
    let new = examples.iter().filter(|example| is_new(example["text"].as_str().expect("a text"))).count();
    assert!(new >= 5, "they are about the new topic: {found:#}");

    // Nowhere else, and nothing of what was taken out.
    let whole = eventually("all windows", LONG, || async {
        let status = get_json(&format!("{}/api/v1/ledger", daemon.api)).await?;
        let passed: i64 = status["partitions"].as_array()?.iter().filter_map(|p| p["folded"].as_i64()).sum();
        (passed == i64::try_from(scene.records.len()).expect("small")).then_some(status)
    })
    .await;
    let mut connection = AnyConnection::connect(&store).await.expect("connects");
    let metrics = reqwest::get(format!("{}/metrics", daemon.ops)).await.expect("answers").text().await.expect("text");
    let mut told = vec![
        ("metrics".to_owned(), metrics),
        ("messages".to_owned(), format!("{:?}", arrivals.all())),
        ("ledger".to_owned(), whole.to_string()),
        (
            "alert".to_owned(),
            get_json(&format!("{}/api/v1/alerts/{alert}", daemon.api)).await.expect("answers").to_string(),
        ),
    ];
    assert!(daemon.terminate().await.as_secs() < 10);
    told.push(("log".to_owned(), setup.log()));
    told.extend(printed(&mut connection).await);
    // An alert that grew has others by now.
    let rows = sqlx::query("select text from alert_example").fetch_all(&mut connection).await.expect("reads");
    let first = examples.iter().map(|example| example["text"].as_str().expect("a text").to_owned());
    let shown = first.chain(rows.iter().map(|row| row.get::<String, _>("text")));
    let sentences: Vec<String> = shown.filter_map(|text| Some(text.split(" [").next()?.to_owned())).collect();
    for (place, text) in &told {
        assert!(!text.contains("canary") && !text.contains("5550123"), "{place} holds what was to be taken out");
        // Texts that wait for their window's judgement are bytes, which Postgres prints as such.
        let holds = sentences.iter().any(|sentence| text.contains(sentence.as_str()));
        assert_eq!(holds, place == "alert_example", "{place}");
    }
    let left = "select count(*) as n from example_partial e where not exists (
        select 1 from window_partial w where w.partial_id = e.partial_id)";
    let row = sqlx::query(left).fetch_one(&mut connection).await.expect("reads");
    assert_eq!(row.get::<i64, _>("n"), 0, "texts go with the tallies of their window");
    let row = sqlx::query("select count(*) as n from alert_example").fetch_one(&mut connection).await.expect("reads");
    assert!(row.get::<i64, _>("n") <= 6 * 8, "a few for each alert");
}
