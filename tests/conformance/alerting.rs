//! What people do about alerts, and what becomes of messages: every store does the same.

use std::time::Duration;

use driftd::drift::time::Timestamp;
use driftd::store::access::Actor;
use driftd::store::*;

use super::{PAGE, at, judged};

fn audit() -> AuditRow {
    let actor = Actor { name: "ada".into(), id: "ada".into(), means: "command" };
    AuditRow::done(&actor, "test.act", "x", &serde_json::json!({}), at(1))
}

/// An alert that fires, and three messages of it to two endpoints.
fn changed() -> Judged {
    Judged { request: None, ..judged(0, vec![]) }
}

fn told_by(id: &str, settlement: Settlement, failed: bool, covers: &[&str], now: Timestamp) -> Settled {
    Settled {
        delivery_id: id.into(),
        endpoint: id.split('_').nth(1).expect("named after its endpoint").into(),
        status: None,
        outcome: "timeout".into(),
        detail: "`a` gave no answer".into(),
        took: Duration::from_millis(3),
        settlement,
        endpoint_failed: failed,
        covers: covers.iter().map(|id| (*id).to_owned()).collect(),
        tell: vec![],
        now,
    }
}

pub async fn one_delivery_may_tell_others_and_any_can_be_sent_again(store: &SqlStore) {
    store.commit_judged(&changed()).await.expect("applied");
    let waiting = store.waiting("a", 10).await.expect("read");
    let ids: Vec<&str> = waiting.iter().map(|d| d.delivery_id.as_str()).collect();
    assert_eq!(ids, ["msg_a_1", "msg_a_2"]);
    assert_eq!(waiting[0].alert_id.as_deref(), Some("al_1"));
    assert!(!store.was_told("al_1", "a").await.expect("read"));
    store.settle(&told_by("msg_a_1", Settlement::Delivered, false, &["msg_a_2"], at(2_000))).await.expect("settles");
    assert!(store.was_told("al_1", "a").await.expect("read"));
    assert!(store.waiting("a", 10).await.expect("read").is_empty());
    let row = store.delivery("msg_a_2").await.expect("read").expect("is there");
    assert_eq!((row.state.as_str(), row.attempts, row.delivered), ("merged", 0, Some(at(2_000))));
    assert_eq!(row.alert_id.as_deref(), Some("al_1"));
    assert_eq!(store.delivery("none").await.expect("read"), None);

    store.hush("msg_b_1", "silence sil_1", at(2_000)).await.expect("hushes");
    assert_eq!(store.deliveries_in(Some("silenced"), Some("b"), 9).await.expect("read").len(), 1);
    assert!(!store.was_told("al_1", "b").await.expect("read"));
    assert!(store.redeliver("msg_b_1", at(2_001), &audit()).await.expect("again"));
    assert!(!store.redeliver("msg_b_1", at(2_001), &audit()).await.expect("answers"), "it waits already");
    assert!(!store.redeliver("none", at(2_001), &audit()).await.expect("answers"));
    let claimed = store.claim(at(2_001), at(2_060)).await.expect("claims");
    assert_eq!(claimed.iter().map(|d| d.delivery_id.as_str()).collect::<Vec<_>>(), ["msg_b_1"]);
    let acts = store.audits(&driftd::store::access::AuditFilter::default(), 9).await.expect("read");
    assert_eq!(acts.len(), 1, "what changed nothing leaves no row");
    let attempts = store.attempts("msg_a_1").await.expect("read");
    assert_eq!((attempts.len(), attempts[0].attempt, attempts[0].outcome.as_str()), (1, 1, "timeout"));
    assert_eq!(attempts[0].detail.as_deref(), Some("`a` gave no answer"));
}

pub async fn a_failing_endpoint_is_left_alone_and_probed(store: &SqlStore) {
    store.commit_judged(&changed()).await.expect("applied");
    let due = async |now: i64| {
        let claimed = store.claim(at(now), at(now)).await.expect("claims");
        claimed.into_iter().map(|d| d.endpoint).collect::<std::collections::BTreeSet<_>>()
    };
    let only =
        |endpoints: &[&str]| endpoints.iter().map(|e| (*e).to_owned()).collect::<std::collections::BTreeSet<_>>();
    for failure in 1..=5 {
        let again = Settlement::RetryAt(at(2_000));
        store.settle(&told_by("msg_a_1", again, true, &[], at(2_000 + failure))).await.expect("settles");
    }
    assert_eq!(due(2_006).await, only(&["b"]), "the fifth failure opens its circuit, and no other's");
    assert_eq!(due(2_034).await, only(&["b"]));
    assert_eq!(due(2_036).await, only(&["a", "b"]), "half a minute later it is tried");
    store.settle(&told_by("msg_a_1", Settlement::RetryAt(at(2_000)), true, &[], at(2_040))).await.expect("settles");
    assert_eq!(due(2_099).await, only(&["b"]), "twice as long");
    assert_eq!(due(2_101).await, only(&["a", "b"]));
    store.settle(&told_by("msg_a_1", Settlement::Delivered, false, &[], at(2_101))).await.expect("settles");
    assert_eq!(due(2_101).await, only(&["a", "b"]), "it works: the next one follows at once");
}

pub async fn messages_wait_for_their_group_and_follow_what_was_told(store: &SqlStore) {
    store.commit_judged(&changed()).await.expect("applied");
    let message = |id: &str, endpoint: &str, thread: Thread| NewDelivery {
        delivery_id: id.into(),
        endpoint: endpoint.into(),
        event: "drift.alarm.resolved".into(),
        model: "m".into(),
        body: "{}".into(),
        thread: Thread { alert_id: Some("al_1".into()), ..thread },
    };
    let wait = Thread {
        wait: driftd::drift::time::Span::from_secs(30),
        group_key: "{}".into(),
        repeat: Some(driftd::drift::time::Span::from_secs(60)),
        ..Thread::default()
    };
    let follows = Thread { follows: true, ..Thread::default() };
    let fresh =
        [message("msg_c_1", "c", wait), message("msg_d_1", "d", follows.clone()), message("msg_a_3", "a", follows)];
    store.write(&fresh, at(1_500)).await.expect("writes");
    assert_eq!(store.delivery("msg_d_1").await.expect("read"), None, "it was never told");
    assert!(store.delivery("msg_a_3").await.expect("read").is_some());
    let due = async |now: i64| {
        let claimed = store.claim(at(now), at(now)).await.expect("claims");
        claimed.into_iter().map(|d| d.delivery_id).collect::<Vec<_>>()
    };
    assert_eq!(due(1_529).await, ["msg_a_1", "msg_b_1"]);
    assert_eq!(due(1_530).await, ["msg_a_1", "msg_b_1", "msg_c_1"]);
    let waiting = store.waiting("c", 9).await.expect("read");
    assert_eq!(
        (waiting[0].group_key.as_str(), waiting[0].repeat.map(driftd::drift::time::Span::micros)),
        ("{}", Some(60_000_000))
    );
}

pub async fn standing_alerts_are_known_by_endpoint(store: &SqlStore) {
    store.commit_judged(&changed()).await.expect("applied");
    store.settle(&told_by("msg_a_1", Settlement::Delivered, false, &["msg_a_2"], at(2_000))).await.expect("settles");
    store.hush("msg_b_1", "quiet", at(2_000)).await.expect("hushes");
    let ids = |told: Vec<Told>| told.into_iter().map(|t| t.delivery.delivery_id).collect::<Vec<_>>();
    assert_eq!(ids(store.standing("a", at(0)).await.expect("read")), ["msg_a_2"], "the latest");
    assert!(store.standing("b", at(0)).await.expect("read").is_empty(), "silenced");
    assert_eq!(ids(store.untold(at(9_999)).await.expect("read")), ["msg_b_1"]);
    assert_eq!(ids(store.told("al_1").await.expect("read")), ["msg_a_2", "msg_b_1"]);

    assert_eq!(store.acknowledgement("al_1").await.expect("read"), None);
    let mut row =
        AcknowledgementRow { alert_id: "al_1".into(), at: at(2_001), by: "ada".into(), comment: "on it; --".into() };
    store.acknowledge(&row, &[], &audit()).await.expect("acknowledges");
    row.by = "joão".into();
    store.acknowledge(&row, &[], &audit()).await.expect("again");
    assert_eq!(store.acknowledgement("al_1").await.expect("read"), Some(row.clone()));
    let page = Page { limit: 10, before_us: i64::MAX };
    assert_eq!(store.acknowledgements_of(None, page).await.expect("read"), [row]);
    assert_eq!(store.acknowledgements_of(Some("other"), page).await.expect("read"), []);
    assert!(store.untold(at(9_999)).await.expect("read").is_empty(), "somebody has it");
    assert_eq!(store.alert("al_1").await.expect("read").map(|a| a.state), Some("firing".to_owned()));
    assert_eq!(store.alert("none").await.expect("read"), None);

    let mut over = judged(1, vec![]);
    over.alerts[0].0.state = "resolved".into();
    over.alerts[0].1.transition_id = "tr_2".into();
    (over.request, over.now) = (None, at(3_000));
    over.deliveries = vec![NewDelivery {
        delivery_id: "msg_a_9".into(),
        event: "drift.alarm.resolved".into(),
        ..over.deliveries[0].clone()
    }];
    assert!(store.commit_judged(&over).await.expect("applied"));
    assert_eq!(ids(store.standing("a", at(2_999)).await.expect("read")), ["msg_a_9"], "its end, for a while");
    assert!(store.standing("a", at(3_001)).await.expect("read").is_empty());
}

pub async fn silences_last_and_end(store: &SqlStore) {
    let silence = |id: &str, starts, ends| SilenceRow {
        silence_id: id.into(),
        model: Some("m".into()),
        task: None,
        cause: Some("input".into()),
        segment: None,
        severity: None,
        comment: "wir wissen's".into(),
        created_by: "ada".into(),
        created: at(starts),
        starts: at(starts),
        ends: at(ends),
    };
    store.add_silence(&silence("sil_1", 10, 20), &audit()).await.expect("adds");
    store.add_silence(&silence("sil_2", 15, 40), &audit()).await.expect("adds");
    let lasting = async |now: i64| {
        let found = store.silences_at(at(now)).await.expect("read");
        found.into_iter().map(|s| s.silence_id).collect::<Vec<_>>()
    };
    assert_eq!((lasting(9).await.len(), lasting(19).await.len(), lasting(20).await), (0, 2, vec!["sil_2".to_owned()]));
    let ended = store.expire_silence("sil_2", at(25), &audit()).await.expect("ends").expect("is there");
    assert_eq!(ended, silence("sil_2", 15, 25));
    let again = store.expire_silence("sil_2", at(30), &audit()).await.expect("answers").expect("is there");
    assert_eq!(again.ends, at(25), "an end stays where it is");
    assert_eq!(store.expire_silence("none", at(30), &audit()).await.expect("answers"), None);
    let listed = store.silences(PAGE).await.expect("read");
    assert_eq!(listed.iter().map(|s| s.silence_id.as_str()).collect::<Vec<_>>(), ["sil_2", "sil_1"]);
}
