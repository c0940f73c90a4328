//! A set goes to a bucket as it goes to a folder, whole or not at all, and what is wrong is said.

use std::process::Command;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::s3::{BUCKET, KEY, REGION, S3, SECRET};
use super::support::{fail_with, succeed};
use super::{World, sha256};

/// A command that meets this store and nothing else of AWS.
fn at<'a>(command: &'a mut Command, url: &str, key: &str, secret: &str) -> &'a mut Command {
    alone(command)
        .env("AWS_ENDPOINT_URL", url)
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", secret)
}

/// A command that knows nothing of AWS.
fn alone(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_gets_what_a_folder_gets() {
    let world = World::new();
    let whole = world.write("whole.jsonl", world.records.iter().cloned());
    let (store, url) = S3::start().await;
    for (format, file) in [("jsonl", "records.jsonl"), ("parquet", "records.parquet")] {
        let rule = ["--size", "300", "--with-text", "--format", format];
        succeed(&mut world.draw(format, &[&whole], &rule));
        let output = format!("s3://{BUCKET}/to train on/{format}/");
        succeed(at(&mut world.draw_to(&output, &[&whole], &rule), &url, KEY, SECRET));
        {
            let mut inside = store.inside();
            for name in [file, "manifest.json"] {
                let object = inside.objects.get(&format!("/{BUCKET}/to%20train%20on/{format}/{name}"));
                assert!(object == std::fs::read(world.path(format).join(name)).ok().as_ref(), "{name}");
            }
            let paths: Vec<String> =
                inside.log.iter().map(|l| l.replace(&format!("/{BUCKET}/to%20train%20on/{format}/"), "")).collect();
            assert_eq!(paths, ["GET manifest.json", &format!("PUT {file}"), "PUT manifest.json"], "the manifest last");
            inside.log.clear();
        }
        let said = fail_with(at(&mut world.draw_to(&output, &[&whole], &rule), &url, KEY, SECRET), 1);
        assert!(said.contains("holds a set already"), "{said}");
        assert_eq!(store.inside().log.len(), 1, "nothing was written");
        store.inside().log.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_goes_in_parts_and_an_end_in_the_middle_leaves_nothing() {
    let world = World::new();
    let long = "word ".repeat(8_000);
    let records = world.records.iter().take(600).cloned().map(|mut record| {
        record["input"]["text"] = json!(format!("{long}{}", record["input"]["text"]));
        record
    });
    let whole = world.write("long.jsonl", records);
    let (store, url) = S3::start().await;
    let rule = ["--size", "10000", "--with-text"];
    let paths = [format!("/{BUCKET}/a/records.jsonl"), format!("/{BUCKET}/a/manifest.json")];
    let output = format!("s3://{BUCKET}/a");
    for (end, status, code, words) in [
        ("part 2", StatusCode::FORBIDDEN, "AccessDenied", "may not write to bucket `sets`"),
        ("manifest.json", StatusCode::FORBIDDEN, "AccessDenied", "may not write to bucket `sets`"),
    ] {
        store.inside().refuse = Some((end, status, code));
        let said = fail_with(at(&mut world.draw_to(&output, &[&whole], &rule), &url, KEY, SECRET), 1);
        assert!(said.contains(words) && said.contains("s3://sets/a/") && said.contains(code), "{said}");
        let inside = store.inside();
        assert!(!inside.objects.contains_key(&paths[1]), "what has no manifest is no set");
        assert_eq!((inside.objects.contains_key(&paths[0]), inside.parts.len()), (end == "manifest.json", 0), "{end}");
    }
    store.inside().refuse = None;
    store.inside().log.clear();
    succeed(at(&mut world.draw_to(&output, &[&whole], &rule), &url, KEY, SECRET));
    let inside = store.inside();
    let (records, manifest) = (&inside.objects[&paths[0]], &inside.objects[&paths[1]]);
    let manifest: Value = serde_json::from_slice(manifest).expect("JSON");
    assert_eq!(manifest["files"][0]["sha256"], sha256(records));
    assert!(records.len() > 16 << 20 && inside.log.iter().any(|l| l.ends_with("part 2")), "{:?}", inside.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_before_anything_is_drawn() {
    let world = World::new();
    let none = world.path("there are no records here.jsonl");
    let (store, url) = S3::start().await;
    let output = format!("s3://{BUCKET}/p");
    for (output, url, key, secret, words) in [
        ("s3://nowhere/p", url.as_str(), KEY, SECRET, "there is no bucket `nowhere`"),
        (&output, &url, "AKIAWRONG", SECRET, "are not accepted (the store says `InvalidAccessKeyId`"),
        (&output, &url, KEY, "wrong", "are not accepted (the store says `SignatureDoesNotMatch`"),
        (&output, "http://127.0.0.1:1", KEY, SECRET, "bucket `sets` cannot be reached"),
        ("gs://sets/p", &url, KEY, SECRET, "a folder or `s3://bucket/prefix`"),
    ] {
        let code = if output.starts_with("gs") { 2 } else { 1 };
        let said = fail_with(at(&mut world.draw_to(output, &[&none], &[]), url, key, secret), code);
        assert!(said.contains(words) && !said.contains(SECRET), "{said}");
    }
    let mut command = world.draw_to(&output, &[&none], &[]);
    let said = fail_with(alone(&mut command).env("AWS_ENDPOINT_URL", &url), 1);
    assert!(said.contains("there are no credentials for bucket `sets`: set `AWS_ACCESS_KEY_ID`"), "{said}");
    assert!(store.inside().objects.is_empty());
}

/// `scripts/with-s3.sh -- cargo test --test replay_set -- --ignored real_s3`
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an object store of its own: scripts/with-s3.sh"]
async fn real_s3_takes_a_set_once() {
    let url = super::support::service("DRIFTD_TEST_S3");
    let reader = super::support::service("DRIFTD_TEST_S3_READER");
    let world = World::new();
    let long = "word ".repeat(8_000);
    let records = world.records.iter().take(600).cloned().map(|mut record| {
        record["input"]["text"] = json!(format!("{long}{}", record["input"]["text"]));
        record
    });
    let whole = world.write("long.jsonl", records);
    for (format, file) in [("jsonl", "records.jsonl"), ("parquet", "records.parquet")] {
        let rule = ["--size", "10000", "--with-text", "--format", format];
        let output = format!("s3://{BUCKET}/{format}/of {}", uuid::Uuid::now_v7());
        succeed(&mut world.draw(format, &[&whole], &rule));
        succeed(at(&mut world.draw_to(&output, &[&whole], &rule), &url, KEY, SECRET));
        let back = world.path(&format!("{format} back"));
        succeed(Command::new(&reader).arg(&output).arg(&back));
        for name in [file, "manifest.json"] {
            let read = |folder: &std::path::Path| std::fs::read(folder.join(name)).expect("a file");
            assert!(read(&back) == read(&world.path(format)), "{name}");
        }
        let said = fail_with(at(&mut world.draw_to(&output, &[&whole], &rule), &url, KEY, SECRET), 1);
        assert!(said.contains("holds a set already"), "{said}");
    }
    let said = fail_with(at(&mut world.draw_to("s3://nowhere/p", &[&whole], &[]), &url, KEY, SECRET), 1);
    assert!(said.contains("there is no bucket `nowhere`"), "{said}");
}
