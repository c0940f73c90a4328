//! Changes as they happen.

use std::time::Duration;

use driftd::store::JudgeStore as _;

use crate::world::{self, World, at};

/// Nothing here takes longer.
const LONG: Duration = Duration::from_secs(20);

struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(world: &World, last_id: Option<&str>) -> Stream {
        let mut request = world::client().get(format!("{}/api/v1/events", world.url));
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("answers");
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().expect("a header"))
        );
        assert_eq!(response.headers()["cache-control"], "no-store");
        Stream { response, text: String::new() }
    }

    /// The next event as (id, data); `None` once the stream has ended.
    async fn next(&mut self) -> Option<(String, serde_json::Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field =
                    |name: &str| block.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
                let found = field("id:").zip(field("data:"));
                self.text = rest.to_owned();
                if let Some((id, data)) = found {
                    return Some((id, serde_json::from_str(&data).expect("JSON")));
                }
            }
            let more = tokio::time::timeout(LONG, self.response.chunk()).await.expect("something in time");
            self.text.push_str(std::str::from_utf8(&more.expect("readable")?).expect("UTF-8"));
        }
    }

    async fn until(&mut self, kind: &str, model: Option<&str>) -> String {
        loop {
            let (id, data) = self.next().await.expect("an event");
            if data == serde_json::json!({"type": kind, "model": model}) {
                return id;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_is_heard_and_what_was_missed_is_told() {
    let world = world::start().await;
    let mut stream = Stream::open(&world, None).await;
    // Whoever comes first hears that anything may have changed before.
    stream.until("delivery", None).await;
    let judged = |slot| world::judged(&world.reference, slot, slot, at(2_000));
    assert!(world.store.commit_judged(&judged(world::WINDOWS)).await.expect("judged"));
    let id = stream.until("window", Some("m")).await;
    let mut second = Stream::open(&world, None).await;
    drop(stream);
    assert!(world.store.commit_judged(&judged(world::WINDOWS + 1)).await.expect("judged"));
    second.until("window", Some("m")).await;
    let mut back = Stream::open(&world, Some(&id)).await;
    let (_, data) = back.next().await.expect("an event");
    assert_eq!(data, serde_json::json!({"type": "window", "model": "m"}), "what happened meanwhile, and only that");
    let mut stranger = Stream::open(&world, Some("12-3")).await;
    let (_, data) = stranger.next().await.expect("an event");
    assert_eq!(data["model"], serde_json::Value::Null, "anything may have happened");
    world.shutdown.cancel();
    while back.next().await.is_some() {}
}
