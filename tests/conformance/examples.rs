//! Redacted texts: they come with their window's tallies, go with its judgement, and what an alert keeps of them is
//! read by nobody who is not in the audit.

use driftd::drift::redaction::Redacted;
use driftd::store::access::{Actor, AuditFilter};
use driftd::store::*;

use super::{at, flush, judged};

fn collected(id: &str, from: Option<i64>, to: i64, secs: i64) -> Collected {
    let mut collected = flush(id, from, to, 5);
    collected.partials[0].texts = Some(Texts { body: vec![0, 255, 7], until: at(secs) });
    collected
}

fn row(alert: &str, ordinal: i64, text: &str, found: i64) -> ExampleRow {
    ExampleRow {
        alert_id: alert.into(),
        ordinal,
        model: "m".into(),
        window: at(50),
        text: Redacted::of(text, 40),
        pair: (ordinal == 1).then(|| Redacted::of("l'été 一", 40)),
        reasons: r#"[{"cell": "leaf 3"}]"#.into(),
        found: at(found),
        until: at(found + 100),
    }
}

fn reading(secs: i64) -> AuditRow {
    let actor = Actor { name: "ada".into(), id: "k1".into(), means: "key" };
    AuditRow::done(&actor, "alert.examples", "al_1", &serde_json::json!({}), at(secs))
}

async fn waiting(store: &SqlStore) -> usize {
    store.texts(&["a-0".into(), "b-0".into(), "x-0".into()]).await.expect("read").len()
}

pub async fn texts_wait_for_the_judgement_of_their_window(store: &SqlStore) {
    store.commit_collected(&collected("a", None, 10, 2_000)).await.expect("applied");
    assert!(matches!(
        store.commit_collected(&collected("x", None, 10, 2_000)).await.expect("answers"),
        Commit::Fenced(_)
    ));
    store.commit_collected(&flush("b", Some(10), 20, 5)).await.expect("applied");
    assert_eq!(store.texts(&["a-0".into(), "b-0".into(), "x-0".into()]).await.expect("read"), [vec![0, 255, 7]]);
    assert!(store.texts(&[]).await.expect("read").is_empty());
    let gone = Judged { examples: vec![row("al_1", 0, "x", 10)], ..judged(0, vec!["a-0".into(), "gone".into()]) };
    assert!(!store.commit_judged(&gone).await.expect("answers"), "a partial is gone");
    assert_eq!(waiting(store).await, 1, "so nothing was judged");
    assert!(store.examples("al_1", &reading(11)).await.expect("read").is_empty());
    assert!(store.commit_judged(&judged(0, vec!["a-0".into(), "b-0".into()])).await.expect("judged"));
    assert_eq!(waiting(store).await, 0, "whether or not an alert came of it");
}

pub async fn examples_of_an_alert_are_replaced_together_and_read_on_record(store: &SqlStore) {
    let first = vec![row("al_1", 0, "one", 10), row("al_1", 1, "two", 10), row("al_2", 0, "of another", 10)];
    assert!(store.commit_judged(&Judged { examples: first.clone(), ..judged(0, vec![]) }).await.expect("judged"));
    assert_eq!(store.examples("al_1", &reading(20)).await.expect("read"), first[..2]);
    assert!(store.commit_judged(&judged(1, vec![])).await.expect("judged"));
    assert_eq!(store.examples("al_1", &reading(21)).await.expect("read").len(), 2, "none came to take their place");
    let next = vec![row("al_1", 0, "three", 30)];
    assert!(store.commit_judged(&Judged { examples: next.clone(), ..judged(2, vec![]) }).await.expect("judged"));
    assert_eq!(store.examples("al_1", &reading(31)).await.expect("read"), next);
    assert_eq!(store.examples("al_2", &reading(32)).await.expect("read"), first[2..]);
    assert!(store.examples("al_1", &reading(130)).await.expect("read").is_empty(), "its time is over");
    let filter = AuditFilter { action: Some("alert.examples".into()), ..AuditFilter::default() };
    assert_eq!(store.audits(&filter, 9).await.expect("read").len(), 5, "each reading is in the audit");
}

pub async fn texts_go_with_time_and_where_they_are_off(store: &SqlStore) {
    let on = |secs: i64| [Kept { model: "m".into(), before: Some(at(secs)) }];
    let left = async || store.examples("al_1", &reading(20)).await.expect("read").len();
    store.commit_collected(&collected("a", None, 10, 2_000)).await.expect("applied");
    let kept = Judged { examples: vec![row("al_1", 0, "one", 10)], ..judged(0, vec![]) };
    assert!(store.commit_judged(&kept).await.expect("judged"));
    assert_eq!(store.forget_examples(&on(10), at(109)).await.expect("done"), 0, "nothing is old");
    assert_eq!(store.forget_examples(&[], at(109)).await.expect("done"), 0, "of models that others watch");
    assert_eq!((left().await, waiting(store).await), (1, 1));
    assert_eq!(store.forget_examples(&on(11), at(20)).await.expect("done"), 1, "a shorter retention holds at once");
    assert_eq!((left().await, waiting(store).await), (0, 1));
    assert!(store.commit_judged(&Judged { expected_version: 1, ..kept.clone() }).await.expect("judged"));
    assert_eq!(store.forget_examples(&[], at(110)).await.expect("done"), 1, "its time is over, whoever watches");
    assert_eq!(store.forget_examples(&on(0), at(2_000)).await.expect("done"), 1, "a window that nobody judged");
    store.commit_collected(&collected("b", Some(10), 20, 9_000)).await.expect("applied");
    assert!(store.commit_judged(&Judged { expected_version: 2, ..kept }).await.expect("judged"));
    let off = [Kept { model: "other".into(), before: None }, Kept { model: "m".into(), before: None }];
    assert_eq!(store.forget_examples(&off, at(20)).await.expect("done"), 2, "switched off");
    assert_eq!((left().await, waiting(store).await), (0, 0));
}
