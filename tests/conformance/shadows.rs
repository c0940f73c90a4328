//! Candidates beside the current model: what is counted of them is written once, whoever tries again.

use driftd::drift::retraining::life::State;
use driftd::store::*;

use super::{at, change as moved, flush, judged, new_request};

fn key(candidate: &str) -> ShadowKey {
    ShadowKey { model: "m".into(), reference_id: "r".into(), candidate_id: candidate.into() }
}

fn counted(id: &str, from: Option<i64>, to: i64) -> Collected {
    let partial = |candidate: &str, body: u8| ShadowPartial { of: key(candidate), body: vec![body, 255] };
    Collected { shadows: vec![partial("c", 1), partial("d", 2)], ..flush(id, from, to, 5) }
}

fn row(version: i64, secs: i64) -> ShadowRow {
    ShadowRow {
        of: key("c"),
        version,
        begun: at(1_000),
        updated: at(secs),
        verdict: "undecided".into(),
        labels_needed: (version == 0).then_some(812),
        report: r#"{"candidate": {"version": "2"}, "rows": 7}"#.into(),
        tally: vec![0, 255, u8::try_from(version).expect("small")],
    }
}

/// What is stored after a change.
fn after(row: ShadowRow) -> ShadowRow {
    ShadowRow { version: row.version + 1, ..row }
}

pub async fn what_flushes_count_of_a_candidate_is_added_once(store: &SqlStore) {
    assert_eq!(store.commit_collected(&counted("a", None, 10)).await.expect("applied"), Commit::Applied);
    assert!(matches!(store.commit_collected(&counted("b", None, 10)).await.expect("answers"), Commit::Fenced(_)));
    assert_eq!(store.commit_collected(&counted("e", Some(10), 20)).await.expect("applied"), Commit::Applied);
    let partials = store.shadow_partials(&key("c"), 9).await.expect("read");
    let ids: Vec<String> = partials.iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids, ["a-0", "e-0"], "those of a flush that was fenced are not there");
    assert_eq!(partials[0].1, [1, 255]);
    assert_eq!(store.shadow_partials(&key("d"), 1).await.expect("read").len(), 1);
    assert!(store.shadow_partials(&key("x"), 9).await.expect("read").is_empty());

    assert_eq!(
        (store.shadow(&key("c")).await.expect("read"), store.latest_shadow("m").await.expect("read")),
        (None, None)
    );
    let first = ShadowChange { row: row(0, 1_001), consumed: ids.clone() };
    assert!(store.commit_shadow(&first).await.expect("applied"));
    assert_eq!(store.shadow(&key("c")).await.expect("read"), Some(after(row(0, 1_001))));
    assert!(store.shadow_partials(&key("c"), 9).await.expect("read").is_empty(), "added");

    assert!(!store.commit_shadow(&first).await.expect("answers"), "the partials are gone, and the row has changed");
    let stale = ShadowChange { row: row(0, 1_002), consumed: vec![] };
    assert!(!store.commit_shadow(&stale).await.expect("answers"), "the row has changed");
    let again = ShadowChange { row: row(1, 1_002), consumed: ids };
    assert!(!store.commit_shadow(&again).await.expect("answers"), "the partials are gone");
    assert_eq!(store.shadow(&key("c")).await.expect("read"), Some(after(row(0, 1_001))), "nothing of it was applied");
    assert!(store.commit_shadow(&ShadowChange { row: row(1, 1_002), consumed: vec![] }).await.expect("applied"));

    let other = ShadowRow { of: key("d"), updated: at(1_003), ..row(0, 1_003) };
    assert!(
        store.commit_shadow(&ShadowChange { row: other.clone(), consumed: vec!["a-1".into()] }).await.expect("applied")
    );
    assert_eq!(store.latest_shadow("m").await.expect("read"), Some(after(other)));
    assert_eq!(store.latest_shadow("other").await.expect("read"), None);
    assert_eq!(store.shadow_partials(&key("d"), 9).await.expect("read").len(), 1);
}

/// What labels say, with a judgement.
pub fn change(version: i64) -> Option<ShadowChange> {
    Some(ShadowChange { row: row(version, 1_001), consumed: vec![] })
}

pub async fn what_labels_say_of_a_candidate_comes_with_the_judgement(store: &SqlStore) {
    assert!(store.commit_judged(&Judged { shadow: change(0), ..judged(0, vec![]) }).await.expect("applied"));
    assert_eq!(store.shadow(&key("c")).await.expect("read"), Some(after(row(0, 1_001))));
    let late = Judged { shadow: change(1), ..judged(0, vec![]) };
    assert!(!store.commit_judged(&late).await.expect("answers"), "the course has moved on");
    let stale = Judged { shadow: change(0), ..judged(1, vec![]) };
    assert!(!store.commit_judged(&stale).await.expect("answers"), "the row has changed");
    assert_eq!(store.course("m").await.expect("read").expect("has one").version, 1, "nothing of it was applied");
    assert!(store.commit_judged(&Judged { shadow: change(1), ..judged(1, vec![]) }).await.expect("applied"));
    assert_eq!(store.shadow(&key("c")).await.expect("read"), Some(after(row(1, 1_001))));
}

pub async fn a_candidate_that_the_gate_refused_stands_beside_nothing(store: &SqlStore) {
    let candidate = async |model: &str| store.latest_candidate(model).await.expect("read");
    let expected = |version: &str| Some(CandidateRow { version: version.into(), tasks: vec!["intent".into()] });
    let gate = |verdict: &str, secs: i64| GateRow {
        request_id: "rt_1".into(),
        at: at(secs),
        verdict: verdict.into(),
        labels_needed: None,
        pairs: 9,
        pairs_sha256: "ab".into(),
        report: "{}".into(),
    };
    let brings = |id: &str, from, to, secs| Change { new_model_version: Some("7".into()), ..moved(id, from, to, secs) };
    store.add_request(&new_request("rt_1", "m")).await.expect("made");
    assert!(store.move_request(&moved("rt_1", State::Proposed, State::Requested, 1_100)).await.expect("moves"));
    assert!(store.move_request(&brings("rt_1", State::Requested, State::Running, 1_200)).await.expect("moves"));
    assert_eq!(candidate("m").await, None, "the gate was not asked, and the run goes on");
    for (verdict, secs, there) in [("undecided", 1_300, true), ("fail", 1_400, false), ("pass", 1_500, true)] {
        assert!(store.add_gate(&gate(verdict, secs), 5).await.expect("answers"));
        assert_eq!(candidate("m").await, expected("7").filter(|_| there), "{verdict}");
    }
    assert_eq!(candidate("n").await, None);
    store.add_request(&new_request("rt_2", "n")).await.expect("made");
    assert!(store.move_request(&moved("rt_2", State::Proposed, State::Requested, 1_100)).await.expect("moves"));
    assert!(store.move_request(&brings("rt_2", State::Requested, State::Succeeded, 1_200)).await.expect("moves"));
    assert_eq!(candidate("n").await, expected("7"), "nobody asked the gate");
}
