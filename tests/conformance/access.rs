//! Keys, sessions, the audit and answers that are given again.

use std::collections::BTreeSet;

use driftd::access::{Role, Scope};
use driftd::store::access::{Actor, Answer, AuditFilter, KeyRow, Once, OnceKey, SessionRow};
use driftd::store::{AccessStore as _, AuditRow, Cutoffs, MaintainStore as _, SqlStore};
use serde_json::json;

use super::at;

fn act(action: &str, object: &str, secs: i64) -> AuditRow {
    let actor = Actor { name: "ada's \"key\"; --".into(), id: "key:1".into(), means: "key" };
    AuditRow::done(&actor, action, object, &json!({"comment": "l'été"}), at(secs))
}

fn a_key(id: &str) -> KeyRow {
    KeyRow {
        key_id: id.into(),
        name: "grafana".into(),
        secret_sha256: vec![0, 255, 7],
        role: Role::Operator,
        scopes: BTreeSet::from([Scope::SamplesRead, Scope::RetrainingApprove]),
        created: at(100),
        expires: Some(at(200)),
        revoked: None,
        last_used: None,
    }
}

pub async fn keys_are_kept_used_and_revoked(store: &SqlStore) {
    let (first, second) = (a_key("a"), KeyRow { scopes: BTreeSet::new(), expires: None, ..a_key("b") });
    store.create_key(&first, &act("key.create", "a", 100)).await.expect("stored");
    store.create_key(&second, &act("key.create", "b", 100)).await.expect("stored");
    store.create_key(&first, &act("key.create", "a", 101)).await.expect_err("an id is given once");
    assert_eq!(store.keys().await.expect("read"), [first.clone(), second]);
    assert_eq!(store.key("a").await.expect("read"), Some(first.clone()));
    assert_eq!(store.key("none").await.expect("read"), None);
    assert!(first.is_valid(at(199)) && !first.is_valid(at(200)), "half-open");

    let used = async || store.key("a").await.expect("read").expect("there").last_used;
    store.touch_key("a", at(110)).await.expect("noted");
    store.touch_key("a", at(169)).await.expect("answers");
    assert_eq!(used().await, Some(at(110)), "to the minute");
    store.touch_key("a", at(170)).await.expect("noted");
    assert_eq!(used().await, Some(at(170)));

    assert!(store.revoke_key("a", &act("key.revoke", "a", 180)).await.expect("revoked"));
    assert!(!store.revoke_key("a", &act("key.revoke", "a", 181)).await.expect("answers"), "once");
    assert!(!store.revoke_key("none", &act("key.revoke", "none", 182)).await.expect("answers"));
    let key = store.key("a").await.expect("read").expect("there");
    assert!(key.revoked == Some(at(180)) && !key.is_valid(at(190)));
    let rows = store.audits(&AuditFilter::default(), 10).await.expect("read");
    let told: Vec<_> = rows.iter().map(|r| (r.action.as_str(), r.object.as_str())).collect();
    assert_eq!(told, [("key.revoke", "a"), ("key.create", "b"), ("key.create", "a")], "only what happened");
}

pub async fn sessions_end_with_time_number_and_key(store: &SqlStore) {
    store.create_key(&a_key("a"), &act("key.create", "a", 100)).await.expect("stored");
    store.create_key(&a_key("b"), &act("key.create", "b", 100)).await.expect("stored");
    let open = async |key: &str, n: u8, created: i64, expires: i64| {
        let session =
            SessionRow { session_sha256: vec![n], key_id: key.into(), created: at(created), expires: at(expires) };
        store.open_session(&session, 2, &act("session.open", key, created)).await.expect("opened");
    };
    let key_of = async |n: u8, now: i64| store.session(&[n], at(now)).await.expect("read").map(|k| k.key_id);
    open("a", 1, 110, 150).await;
    assert_eq!((key_of(1, 149).await, key_of(1, 150).await, key_of(9, 120).await), (Some("a".into()), None, None));
    open("a", 2, 120, 190).await;
    open("b", 5, 121, 190).await;
    open("a", 3, 130, 190).await;
    assert_eq!(
        (key_of(1, 131).await, key_of(2, 131).await, key_of(3, 131).await.is_some()),
        (None, Some("a".into()), true)
    );
    assert_eq!(key_of(5, 131).await, Some("b".into()), "another key's sessions are its own");
    assert!(store.close_session(&[2], &act("session.close", "a", 140)).await.expect("closed"));
    assert!(!store.close_session(&[2], &act("session.close", "a", 141)).await.expect("answers"));
    assert!(store.revoke_key("a", &act("key.revoke", "a", 142)).await.expect("revoked"));
    assert_eq!((key_of(2, 143).await, key_of(3, 143).await, key_of(5, 143).await), (None, None, Some("b".into())));
}

pub async fn the_audit_is_read_page_by_page(store: &SqlStore) {
    let mut rows: Vec<AuditRow> = [10, 20, 20, 20, 30].map(|secs| act("alert.acknowledge", "al_1", secs)).into();
    rows[4].action = "silence.create".into();
    rows[0].object = "al_0".into();
    for row in &rows {
        store.audit(row).await.expect("written");
    }
    rows.sort_by(|a, b| (b.at, &b.audit_id).cmp(&(a.at, &a.audit_id)));
    let (mut seen, mut filter) = (Vec::new(), AuditFilter::default());
    loop {
        let page = store.audits(&filter, 2).await.expect("read");
        let Some(last) = page.last() else { break };
        filter.before = Some((last.at, last.audit_id.clone()));
        seen.extend(page);
    }
    assert_eq!(seen, rows, "rows of one time are neither skipped nor told twice");
    let count = async |filter: AuditFilter| store.audits(&filter, 100).await.expect("read").len();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(count(AuditFilter { action: some("silence.create"), ..AuditFilter::default() }).await, 1);
    assert_eq!(count(AuditFilter { object: some("al_1"), ..AuditFilter::default() }).await, 4);
    assert_eq!(count(AuditFilter { actor: some("ada's \"key\"; --"), ..AuditFilter::default() }).await, 5);
    assert_eq!(count(AuditFilter { actor: some("' or 1=1 --"), ..AuditFilter::default() }).await, 0);
    // Retention takes the rows before its time and no others.
    let (never, audit) = (at(0), at(20));
    let old = Cutoffs {
        statistics: never,
        windows: never,
        rollups: never,
        deliveries: never,
        partials: never,
        audit,
        predictions: never,
    };
    assert_eq!(store.expire(&old).await.expect("expires"), 1);
    let left = store.audits(&AuditFilter::default(), 100).await.expect("read");
    assert_eq!(left, rows[..4], "the oldest is gone");
    assert_eq!(store.expire(&old).await.expect("expires"), 0);
}

pub async fn a_write_with_a_key_happens_once(store: &SqlStore) {
    let once = OnceKey { caller: "key:1".into(), key: "k".into() };
    let begin = async |once: &OnceKey, print: &[u8], now: i64| {
        store.begin_once(once, print, at(now), at(now - 60), at(now - 86_400)).await.expect("answers")
    };
    assert_eq!(begin(&once, &[1], 100).await, Once::First);
    assert_eq!(begin(&once, &[1], 159).await, Once::Underway);
    assert_eq!(begin(&once, &[2], 159).await, Once::Other);
    assert_eq!(begin(&once, &[2], 170).await, Once::Other, "another body does not take over");
    assert_eq!(begin(&once, &[1], 170).await, Once::First, "the first one died");
    let answer = Answer { status: 201, content_type: Some("application/json".into()), body: vec![0, 123, 255] };
    store.finish_once(&once, &answer).await.expect("kept");
    assert_eq!(begin(&once, &[1], 500).await, Once::Again(answer.clone()), "and is not done again later");
    assert_eq!(begin(&once, &[2], 500).await, Once::Other);
    store.release_once(&once).await.expect("answers");
    assert_eq!(begin(&once, &[1], 501).await, Once::Again(answer), "what is finished stays");
    let other = OnceKey { caller: "key:2".into(), ..once.clone() };
    assert_eq!(begin(&other, &[2], 502).await, Once::First, "callers do not share keys");
    store.release_once(&other).await.expect("released");
    assert_eq!(begin(&other, &[3], 503).await, Once::First, "a failure may be tried again");
    assert_eq!(begin(&once, &[2], 170 + 86_401).await, Once::First, "after a day it is forgotten");

    let racing = OnceKey { caller: "key:1".into(), key: "race".into() };
    let (a, b) = tokio::join!(begin(&racing, &[1], 600), begin(&racing, &[1], 600));
    assert!([(Once::First, Once::Underway), (Once::Underway, Once::First)].contains(&(a, b)), "exactly one is first");
}
