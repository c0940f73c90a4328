//! A person at a real daemon's dashboard: the model drifts while she looks at it, and what she does
//! about it by mouse and keyboard arrives where it should.

use std::io::BufRead as _;
use std::process::{Command, Stdio};

use driftd::source::producer::Producer;
use serde_json::Value;

use crate::support::texts::QUIET;
use crate::support::{self, driftd, eventually, service, succeed};
use crate::{LONG, examples, setup};

/// What the API answers to the holder of a key.
async fn ask(url: &str, key: &str) -> Option<Value> {
    let answer = reqwest::Client::new().get(url).bearer_auth(key).send().await.ok()?;
    answer.json().await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_a_drift_and_decides() {
    let directory = tempfile::tempdir().expect("a folder");
    let scene = examples::scene(directory.path());
    let (topics, store) = (support::fresh_topics(2).await, support::fresh_database().await);
    let (url, arrivals) = support::receiver().await;
    let mut setup = setup(directory.path(), &scene, &topics, &store, &url, "always");
    setup.retraining = "mode: propose, on: drift";
    setup.auth = "keys";
    setup.model = "examples: {}".into();
    let mut daemon = setup.start();
    daemon.ready(LONG).await;
    let file = setup.write(1, 2);
    let create = |arguments: &[&str]| {
        let mut command = driftd();
        command.args(["keys", "create"]).args(arguments).arg("-c").arg(&file);
        succeed(command.env("TEST_STORE", &store).env("TEST_SECRET", support::SECRET)).trim().to_owned()
    };
    let key = create(&["ada", "--role", "admin", "--scope", "retraining:approve", "--scope", "samples:read"]);
    let readers_key = create(&["bo", "--role", "viewer"]);

    let producer = Producer::connect(&service("KAFKA_BROKERS"), &topics.0).expect("connects");
    let (quiet, drifting) = scene.records.split_at(QUIET);
    producer.send(quiet).await.expect("sent");
    let windows = format!("{}/api/v1/models/support/windows", daemon.api);
    eventually("quiet windows", LONG, || async {
        (ask(&windows, &key).await?["data"].as_array()?.len() > 5).then_some(())
    })
    .await;

    let node =
        format!("{}:{}", support::root().join(".deps/node/bin").display(), std::env::var("PATH").expect("a path"));
    let mut person = Command::new("node");
    person.arg("dashboards/web/tools/real.mjs").args([&daemon.api, &key, &readers_key]).env("PATH", node);
    let mut person =
        person.current_dir(support::root()).stdout(Stdio::piped()).spawn().expect("`node` starts: run `make test`");
    let mut says = std::io::BufReader::new(person.stdout.take().expect("piped")).lines().map_while(Result::ok);
    assert_eq!(says.next().as_deref(), Some("quiet"));
    producer.send(drifting).await.expect("sent");
    assert_eq!(says.next().as_deref(), Some("done"));
    assert!(person.wait().expect("ends").success());

    let request = eventually("the request", LONG, || async { arrivals.first("retraining.requested") }).await;
    assert!(!request["data"]["scope"]["tasks"].as_array().expect("tasks").is_empty(), "{request:#}");
    let audit = ask(&format!("{}/api/v1/audit", daemon.api), &key).await.expect("answers");
    let rows = audit["data"].as_array().expect("rows");
    for action in ["alert.acknowledge", "silence.create", "retraining.approve"] {
        assert!(rows.iter().any(|row| row["action"] == action && row["actor"] == "ada"), "{action}: {audit:#}");
    }
    let readings: Vec<&Value> = rows.iter().filter(|row| row["action"] == "alert.examples").collect();
    assert!(readings.len() == 1 && readings[0]["actor"] == "ada", "one reading, by who clicked: {readings:#?}");
    let silences = ask(&format!("{}/api/v1/silences", daemon.api), &key).await.expect("answers");
    assert_eq!(silences["data"][0]["comment"], "campaign until tomorrow", "{silences:#}");
    daemon.terminate().await;
}
