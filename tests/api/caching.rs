//! What callers may keep, refusals, settings.

use crate::world::{self, WINDOW, at};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_known_is_not_sent_again() {
    let world = world::start().await;
    let (status, headers, models) = world.get("models").await;
    let tag = headers["etag"].to_str().expect("text").to_owned();
    assert_eq!((status, headers["cache-control"].to_str().expect("text")), (200, "private, no-cache"));
    let (status, headers, body) = world.get_with("models", &[("if-none-match", &tag)]).await;
    assert_eq!((status, &body), (304, &serde_json::Value::Null));
    assert_eq!((headers["etag"].to_str().expect("text"), headers.contains_key("cache-control")), (tag.as_str(), true));
    // What changes gets another tag.
    let judged = world::judged(&world.reference, world::WINDOWS, world::WINDOWS, at(2_000));
    driftd::store::JudgeStore::commit_judged(&world.store, &judged).await.expect("judged");
    let (status, headers, changed) = world.get_with("models", &[("if-none-match", &tag)]).await;
    assert_eq!(status, 200);
    assert_ne!((headers["etag"].to_str().expect("text"), &changed), (tag.as_str(), &models));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_cannot_be_revised_is_kept() {
    let world = world::start().await;
    let control = async |path: String| {
        let (status, headers, _) = world.get(&path).await;
        (status, headers["cache-control"].to_str().expect("text").to_owned())
    };
    let (keep, ask) = ("private, max-age=600, immutable".to_owned(), "private, no-cache".to_owned());
    // Records may be two windows late, and four windows were judged.
    for (slot, expected) in [(0, &keep), (1, &keep), (2, &ask), (3, &ask)] {
        let start = at(slot * WINDOW);
        for path in [
            format!("models/m/windows/{start}/statistics"),
            format!("models/m/map?start={start}"),
            format!("models/m/distributions?scope=head&task=intent&signal=confidence&start={start}"),
        ] {
            assert_eq!(control(path.clone()).await, (200, expected.clone()), "{path}");
        }
    }
    assert_eq!(control("models/m/map".into()).await, (200, ask), "the latest is another one soon");
    let (status, refused) = control("models/none".into()).await;
    assert!(status == 404 && ["no-store", "private, no-cache"].contains(&refused.as_str()), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_has_one_shape() {
    let world = world::start().await;
    for (method, path, status) in [
        ("GET", "models?limit=none", 200),
        ("GET", "alerts?limit=none", 400),
        ("GET", "alerts?limit=0", 400),
        ("GET", "alerts?cursor=x", 400),
        ("GET", "nothing", 404),
        ("GET", "models/%ff", 400),
        ("GET", "models/m%00", 400),
        ("DELETE", "models", 405),
        ("POST", "status", 405),
    ] {
        let method: reqwest::Method = method.parse().expect("a method");
        let answer = world::client().request(method.clone(), format!("{}/api/v1/{path}", world.url)).send().await;
        let answer = answer.expect("answers");
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        if status >= 400 {
            assert_eq!(answer.headers()["content-type"], "application/problem+json", "{method} {path}");
            assert_eq!(answer.headers().contains_key("allow"), status == 405, "{method} {path}");
            let problem: serde_json::Value = answer.json().await.expect("JSON");
            assert_eq!(problem["status"], status, "{problem}");
            assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_told() {
    let world = world::start().await;
    let (status, _, found) = world.get("settings").await;
    assert_eq!((status, &found["settings"]["log"]), (200, &"text".into()), "{found}");
    assert_eq!(found["waiting_for_restart"], serde_json::json!([]));
}
