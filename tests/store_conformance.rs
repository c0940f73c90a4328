//! One suite that every store must pass: SQLite and a real Postgres, each test on a database of
//! its own.

#[path = "conformance/access.rs"]
mod access;
#[path = "conformance/alerting.rs"]
mod alerting;
#[path = "delivery/doors.rs"]
#[allow(dead_code, reason = "a house of its own is for the tests of delivery")]
mod doors;
#[path = "conformance/examples.rs"]
mod examples;
#[path = "conformance/rounds.rs"]
mod rounds;
#[path = "conformance/shadows.rs"]
mod shadows;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use access::{
    a_write_with_a_key_happens_once, keys_are_kept_used_and_revoked, sessions_end_with_time_number_and_key,
    the_audit_is_read_page_by_page,
};
use alerting::{
    a_failing_endpoint_is_left_alone_and_probed, messages_wait_for_their_group_and_follow_what_was_told,
    one_delivery_may_tell_others_and_any_can_be_sent_again, silences_last_and_end,
    standing_alerts_are_known_by_endpoint,
};
use driftd::drift::allowance::{Limit, Used};
use driftd::drift::checkpoint::{Delta, Ledger, Partition};
use driftd::drift::retraining::Kind;
use driftd::drift::retraining::life::State;
use driftd::drift::rollup::Grain;
use driftd::drift::time::Timestamp;
use driftd::drift::watermark::Watermark;
use driftd::store::*;
use examples::{
    examples_of_an_alert_are_replaced_together_and_read_on_record, texts_go_with_time_and_where_they_are_off,
    texts_wait_for_the_judgement_of_their_window,
};
use rounds::{
    a_clock_that_is_set_back_changes_no_order, the_end_is_the_last_that_is_told_when_a_silence_began_between,
    what_a_silence_held_back_ends_without_a_word, windows_of_one_round_are_told_in_their_order,
};
use shadows::{
    a_candidate_that_the_gate_refused_stands_beside_nothing, what_flushes_count_of_a_candidate_is_added_once,
    what_labels_say_of_a_candidate_comes_with_the_judgement,
};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_micros(secs * 1_000_000)
}

fn partition(number: i32) -> Partition {
    Partition { topic: "t".into(), number }
}

fn flush(id: &str, from: Option<i64>, to: i64, slot: i64) -> Collected {
    let mut watermark = Watermark::default();
    watermark.observe(at(to));
    let ledger = Ledger { folded: to - from.unwrap_or(0), ..Ledger::default() };
    let mut used = Used::default();
    used.take("m", 3, 0.1, Limit { texts: Some(5), rate: 1.0 });
    let delta = Delta { ledger, used, ..Delta::starting(from, to, watermark) };
    let records = ledger.folded;
    let body = vec![0, 255, u8::try_from(to % 200).expect("small")];
    Collected {
        flush_id: id.into(),
        partials: vec![Partial {
            model: "m".into(),
            reference_id: "r".into(),
            slot,
            late: to % 2 == 1,
            records,
            trace: Some(id.to_owned()),
            body,
            texts: None,
        }],
        labelled: Labelled::default(),
        shadows: vec![],
        delta: BTreeMap::from([(partition(0), delta)]),
        now: at(1_000),
    }
}

fn judged(expected_version: i64, consumed: Vec<String>) -> Judged {
    let report = ReportRow {
        model: "m".into(),
        reference_id: "r".into(),
        slot: 5,
        start: at(50),
        end: at(60),
        records: 7,
        revision: 0,
        late_records: 2,
        incomplete: true,
        verdict: "drift".into(),
        ln_evidence: Some(12.5),
        ln_threshold: 9.0,
        guarantee: "{}".into(),
        parts: "[]".into(),
        summary: vec![1, 2, 3],
    };
    let statistic = |signal: &str, statistic| StatisticRow {
        scope: "head".into(),
        task: "intent".into(),
        segment: "channel=mail".into(),
        signal: signal.into(),
        n: 7,
        statistic,
        degrees_of_freedom: Some(3.0),
        ln_p: Some(-1234.5),
        ln_e: None,
        ln_evidence: Some(0.1 + 0.2),
        effect: "{}".into(),
        movers: "[]".into(),
        guarantee: "valid".into(),
    };
    let alert = AlertRow {
        alert_id: "al_1".into(),
        model: "m".into(),
        reference_id: "r".into(),
        state: "firing".into(),
        cause: "head".into(),
        cause_task: Some("intent".into()),
        cause_segment: Some("channel=mail".into()),
        cause_part: Some("version".into()),
        versions: r#"[{"version": "13", "records": 7}]"#.into(),
        tasks_affected: "[\"intent\"]".into(),
        summary: "it's ünusual; drop table alert; --".into(),
        opened: at(60),
        opened_window: at(50),
        resolved: None,
        ln_evidence: Some(12.5),
        ln_threshold: 9.0,
        guarantee: "{}".into(),
        evidence: "[{}]".into(),
    };
    let delivery = |endpoint: &str, n: i32| NewDelivery {
        delivery_id: format!("msg_{endpoint}_{n}"),
        endpoint: endpoint.into(),
        event: "drift.alarm.firing".into(),
        model: "m".into(),
        body: "{}".into(),
        thread: Thread { alert_id: Some("al_1".into()), ..Thread::default() },
    };
    Judged {
        model: "m".into(),
        expected_version,
        reference_id: "r".into(),
        next_slot: Some(6),
        course: vec![9, 9],
        consumed,
        report: Some(report),
        statistics: vec![statistic("predicted_class", Some(0.1)), statistic("confidence", None)],
        alerts: vec![(
            alert,
            TransitionRow {
                transition_id: "tr_1".into(),
                alert_id: "al_1".into(),
                at: at(60),
                from: "pending".into(),
                to: "firing".into(),
                reason: "evidence".into(),
            },
        )],
        request: Some(new_request("rt_1", "m")),
        covered: None,
        deliveries: vec![delivery("a", 1), delivery("b", 1), delivery("a", 2)],
        labels: LabelChanges::default(),
        shadow: None,
        examples: vec![],
        now: at(1_000),
    }
}

fn new_request(id: &str, model: &str) -> NewRequest {
    let row = RequestRow {
        request_id: id.into(),
        model: model.into(),
        version: "12".into(),
        kind: "drift".into(),
        mode: "auto".into(),
        dry_run: false,
        alert_id: "al_1".into(),
        state: State::Proposed,
        tasks: "[\"intent\"]".into(),
        protected_tasks: "[]".into(),
        reason: "x".into(),
        body: "{\"a\":\"ü\"}".into(),
        hook: Some("h".into()),
        covers_until: None,
        created: at(60),
        deadline: Some(at(5_000)),
        run_url: None,
        new_model_version: None,
        result: "{}".into(),
        attempts: 0,
        next_attempt: at(0),
        token: None,
        moves: 1,
    };
    let told = NewDelivery {
        delivery_id: format!("msg_{id}_1"),
        endpoint: "c".into(),
        event: "retraining.proposed".into(),
        model: model.into(),
        body: "{}".into(),
        thread: Thread::default(),
    };
    NewRequest { row, who: "driftd".into(), deliveries: vec![told], audit: None, now: at(1_000) }
}

fn change(id: &str, from: State, to: State, secs: i64) -> Change {
    Change {
        request_id: id.into(),
        from,
        to,
        at: at(secs),
        who: "ada".into(),
        why: "it's ünusual; drop table alert; --".into(),
        deadline: None,
        run_url: None,
        new_model_version: None,
        result: None,
        callback: None,
        gates: None,
        body: None,
        audit: None,
        deliveries: vec![NewDelivery {
            delivery_id: format!("msg_{id}_{}", to.name()),
            endpoint: "c".into(),
            event: to.event().into(),
            model: "m".into(),
            body: "{}".into(),
            thread: Thread::default(),
        }],
    }
}

async fn a_request_moves_only_from_where_it_is(store: &SqlStore) {
    let first = new_request("rt_1", "m");
    assert_eq!(store.add_request(&first).await.expect("made"), Added::Made);
    assert_eq!(store.add_request(&first).await.expect("answers"), Added::Exists);
    assert_eq!(store.add_request(&new_request("rt_2", "m")).await.expect("answers"), Added::Busy);
    assert_eq!(store.add_request(&new_request("rt_3", "n")).await.expect("made"), Added::Made);
    assert_eq!(store.open_requests().await.expect("read").len(), 2);
    assert_eq!(store.request("rt_2").await.expect("read"), None);

    // Two decide at once: one of them wins, and the other has written nothing.
    let approved = change("rt_1", State::Proposed, State::Requested, 1_100);
    let rejected = change("rt_1", State::Proposed, State::Rejected, 1_100);
    let (a, b) = tokio::join!(store.move_request(&approved), store.move_request(&rejected));
    let won = [a.expect("answers"), b.expect("answers")];
    assert_eq!(won.iter().filter(|w| **w).count(), 1);
    let history = store.request("rt_1").await.expect("read").expect("is there");
    assert_eq!((history.moves.len(), history.row.moves), (2, 2));
    assert_eq!((history.moves[0].from, history.moves[0].to), (None, State::Proposed));
    assert_eq!((&*history.moves[1].who, &*history.moves[1].why), ("ada", approved.why.as_str()));
    let told = store.deliveries(Some("m"), PAGE).await.expect("read");
    assert_eq!(told.iter().filter(|d| d.event.starts_with("retraining.")).count(), 2, "one a move");

    // The end of one makes room for the next.
    let to = history.row.state;
    if to.is_open() {
        assert!(store.move_request(&change("rt_1", to, State::Failed, 1_200)).await.expect("moves"));
    }
    assert_eq!(store.add_request(&new_request("rt_2", "m")).await.expect("made"), Added::Made);
    assert_eq!(store.latest_request("m", Kind::Drift).await.expect("read"), Some(at(60)));
    assert_eq!(store.latest_request("m", Kind::Schedule).await.expect("read"), None);

    let mut ours = change("rt_2", State::Proposed, State::Requested, 1_300);
    ours.who = "driftd".into();
    assert!(store.move_request(&ours).await.expect("moves"));
    assert_eq!(store.approvals(at(1_300)).await.expect("counts"), 1, "by driftd itself");
    assert_eq!(store.approvals(at(1_301)).await.expect("counts"), 0);
}

async fn an_open_request_covers_more_until_somebody_decides(store: &SqlStore) {
    let covered = |until, body: &str| {
        let proposal = Proposal {
            tasks: "[\"intent\",\"ner\"]".into(),
            protected_tasks: "[\"mood\"]".into(),
            reason: "it grew".into(),
            body: body.into(),
        };
        Some(Covered { request_id: "rt_1".into(), until: at(until), proposal: Some(proposal) })
    };
    let window = |version, covered| Judged { request: None, covered, deliveries: vec![], ..judged(version, vec![]) };
    let open = async || store.requests_since("m", at(1_000_000)).await.expect("read").pop();
    assert_eq!(open().await, None);
    assert!(store.commit_judged(&judged(0, vec![])).await.expect("applied"));
    let first = open().await.expect("it is open");
    assert_eq!((&*first.request_id, first.covers_until), ("rt_1", None));
    assert!(store.commit_judged(&window(1, covered(120, "{\"b\":1}"))).await.expect("applied"));
    let grown = open().await.expect("it is open");
    assert_eq!((&*grown.tasks, &*grown.protected_tasks), ("[\"intent\",\"ner\"]", "[\"mood\"]"));
    assert_eq!((&*grown.reason, &*grown.body, grown.covers_until), ("it grew", "{\"b\":1}", Some(at(120))));

    // An alert that asks while it is open has not read that it is: nothing of its window is written.
    let another = Judged { request: Some(new_request("rt_2", "m")), ..window(2, None) };
    assert!(matches!(store.commit_judged(&another).await, Err(StoreError::Taken)));
    assert_eq!(store.request("rt_2").await.expect("read"), None);

    // Who decides about what it was before has not seen this.
    let approved =
        |body: &str| Change { body: Some(body.into()), ..change("rt_1", State::Proposed, State::Requested, 1_100) };
    assert!(!store.move_request(&approved(&first.body)).await.expect("answers"));
    assert!(store.move_request(&approved(&grown.body)).await.expect("moves"));
    assert!(store.commit_judged(&window(2, covered(180, "{\"c\":1}"))).await.expect("applied"));
    let sent = open().await.expect("it is open");
    assert_eq!((&*sent.body, sent.covers_until), ("{\"b\":1}", Some(at(180))), "what was decided about stays");
    assert!(store.move_request(&change("rt_1", State::Requested, State::Failed, 1_200)).await.expect("moves"));
    assert!(store.commit_judged(&window(3, covered(240, "{\"d\":1}"))).await.expect("applied"));
    let history = store.request("rt_1").await.expect("read").expect("is there");
    assert_eq!(history.row.covers_until, Some(at(180)), "and at its end all of it");
    assert_eq!(open().await, None);
}

async fn what_the_gate_said_is_kept_and_holds_a_move(store: &SqlStore) {
    let gate = |verdict: &str, secs: i64| GateRow {
        request_id: "rt_1".into(),
        at: at(secs),
        verdict: verdict.into(),
        labels_needed: (verdict == "undecided").then_some(812),
        pairs: 4_000,
        pairs_sha256: "ab".into(),
        report: r#"{"verdict":"x"}"#.into(),
    };
    assert!(!store.add_gate(&gate("pass", 1_000), 2).await.expect("answers"), "no such request");
    store.add_request(&new_request("rt_1", "m")).await.expect("made");
    assert!(!store.add_gate(&gate("pass", 1_000), 2).await.expect("answers"), "nothing runs yet");
    assert!(store.move_request(&change("rt_1", State::Proposed, State::Requested, 1_100)).await.expect("moves"));
    let (a, b) = (gate("undecided", 1_200), gate("pass", 1_300));
    assert!(store.add_gate(&a, 2).await.expect("answers"));
    // A success that rests on fewer verdicts than there are does not come about.
    let success = |gates| Change { gates: Some(gates), ..change("rt_1", State::Requested, State::Succeeded, 1_400) };
    assert!(store.add_gate(&b, 2).await.expect("answers"));
    assert!(!store.add_gate(&b, 2).await.expect("answers"), "there are as many as may be");
    assert!(!store.move_request(&success(1)).await.expect("answers"));
    assert!(store.move_request(&success(2)).await.expect("moves"));
    let history = store.request("rt_1").await.expect("read").expect("is there");
    assert_eq!((history.row.state, history.gates), (State::Succeeded, vec![a, b.clone()]));
    assert!(!store.add_gate(&b, 9).await.expect("answers"), "it has ended");
}

async fn a_start_is_claimed_by_one_and_kept(store: &SqlStore) {
    store.add_request(&new_request("rt_1", "m")).await.expect("made");
    let token = Token { hash: "ab".into(), expires: at(9_000) };
    let claim = async |now: i64, until: i64| {
        store.claim_start("rt_1", Some(&token), at(now), at(until)).await.expect("answers")
    };
    assert_eq!(claim(1_050, 1_060).await, None, "nobody has approved it");
    let mut approved = change("rt_1", State::Proposed, State::Requested, 1_100);
    approved.deadline = Some(at(9_000));
    assert!(store.move_request(&approved).await.expect("moves"));
    let row = claim(1_101, 1_160).await.expect("claimed");
    assert_eq!((row.token.as_ref(), row.deadline, row.attempts), (Some(&token), Some(at(9_000)), 0));
    assert_eq!(claim(1_159, 1_200).await, None, "leased");

    let tried = |secs, next: i64, change| Tried {
        request_id: "rt_1".into(),
        at: at(secs),
        hook: "h".into(),
        status: Some(503),
        took: Duration::from_millis(3),
        outcome: "server_error".into(),
        detail: "busy".into(),
        next_attempt: at(next),
        change,
    };
    store.settle_start(&tried(1_110, 1_400, None)).await.expect("settles");
    assert_eq!(claim(1_399, 1_450).await, None, "not yet");
    let later = Token { hash: "cd".into(), expires: at(9_999) };
    let row = store.claim_start("rt_1", Some(&later), at(1_400), at(1_450)).await.expect("answers");
    assert_eq!(row.expect("due").token, Some(token.clone()), "the first token stays: a run may have it");

    // The run calls back before the answer to the call that made it comes.
    let mut running = change("rt_1", State::Requested, State::Running, 1_410);
    running.callback = Some("started".into());
    running.result = Some("{\"metrics\":{}}".into());
    assert!(store.move_request(&running).await.expect("moves"));
    let mut accepted = change("rt_1", State::Requested, State::Accepted, 1_420);
    accepted.run_url = Some("https://runs.example/1".into());
    store.settle_start(&tried(1_420, 1_420, Some(accepted))).await.expect("settles");
    for _ in 0..105 {
        let refused =
            Callback { request_id: "rt_1".into(), at: at(1_430), report: "started".into(), outcome: "forged".into() };
        store.refuse_callback(&refused).await.expect("records");
    }
    let history = store.request("rt_1").await.expect("read").expect("is there");
    assert_eq!((history.row.state, history.row.run_url.as_deref()), (State::Running, Some("https://runs.example/1")));
    assert_eq!((history.row.result.as_str(), history.attempts.len()), ("{\"metrics\":{}}", 2));
    assert_eq!((history.attempts[0].attempt, history.attempts[0].status), (1, Some(503)));
    assert_eq!((history.callbacks[0].outcome.as_str(), history.callbacks.len()), ("taken", 100), "bounded");
    assert_eq!(
        history.moves.iter().map(|m| m.to).collect::<Vec<_>>(),
        [State::Proposed, State::Requested, State::Running]
    );
}

async fn the_kill_switch_keeps_its_newest_word(store: &SqlStore) {
    let turn = |model: &str, secs, paused| Pause {
        model: model.into(),
        at: at(secs),
        paused,
        who: "ada".into(),
        why: "freeze".into(),
    };
    store.pause(&turn("*", 10, true), None).await.expect("turns");
    store.pause(&turn("m", 11, true), None).await.expect("turns");
    // A clock that was set back: the word given later counts.
    store.pause(&turn("m", 5, false), None).await.expect("turns");
    let found = store.pauses().await.expect("read");
    assert_eq!(found.iter().map(|p| (p.model.as_str(), p.paused)).collect::<Vec<_>>(), [("*", true), ("m", false)]);
}

const PAGE: Page = Page { limit: 10, before_us: i64::MAX };

async fn positions_move_only_from_where_they_are(store: &SqlStore) {
    assert_eq!(store.positions(&[partition(0)]).await.expect("read"), []);
    assert_eq!(store.commit_collected(&flush("a", None, 10, 5)).await.expect("new"), Commit::Applied);
    let stored = store.positions(&[partition(0), partition(1)]).await.expect("read");
    assert_eq!(stored.len(), 1);
    assert_eq!((stored[0].1.next_offset, stored[0].1.watermark.reached()), (10, Some(at(10))));
    assert!(!stored[0].1.used.is_empty(), "what was compared is stored with the position");

    // Nobody may begin it a second time, move it from elsewhere, or leave tallies behind.
    for wrong in [flush("b", None, 12, 5), flush("c", Some(9), 12, 5), flush("d", Some(11), 12, 5)] {
        assert_eq!(store.commit_collected(&wrong).await.expect("answers"), Commit::Fenced(partition(0)));
    }
    assert_eq!(store.commit_collected(&flush("e", Some(10), 30, 5)).await.expect("right"), Commit::Applied);
    let partials = store.partials("m", "r", 6, 100).await.expect("read");
    let ids: Vec<&str> = partials.iter().map(|p| p.partial_id.as_str()).collect();
    assert_eq!(ids, ["a-0", "e-0"]);
    assert!(partials.iter().all(|p| !p.late));
    assert_eq!(partials[1].body, [0, 255, 30], "bytes come back as they were");

    let progress = store.partitions().await.expect("read");
    assert_eq!((progress[0].ledger.total(), progress[0].next_offset - progress[0].first_offset), (30, 30));
    assert_eq!((progress[0].reached.watermark, progress[0].reached.moved), (Some(at(30)), at(1_000)));
    assert_eq!(store.held().await.expect("read"), Held { judged: 0, open: 30, expired: 0 });
}

async fn partitions_that_nobody_read_are_known(store: &SqlStore) {
    let first = store.note_topics(&[("t".into(), 3)], at(500)).await.expect("notes");
    assert_eq!(first, [("t".into(), 3)]);
    store.commit_collected(&flush("a", None, 10, 5)).await.expect("applied");
    let reached = store.reached().await.expect("read");
    let told: Vec<_> = reached.iter().map(|r| (r.partition.number, r.watermark, r.moved)).collect();
    assert_eq!(told, [(0, Some(at(10)), at(1_000)), (1, None, at(500)), (2, None, at(500))]);

    // An end is confirmed only while the position stands there.
    store.confirm_idle(&[(partition(0), 9), (partition(1), 0)], at(1_100)).await.expect("confirms");
    assert_eq!(store.reached().await.expect("read")[0].idle, None);
    store.confirm_idle(&[(partition(0), 10)], at(1_100)).await.expect("confirms");
    assert_eq!(store.reached().await.expect("read")[0].idle, Some(at(1_100)));
    store.commit_collected(&flush("b", Some(10), 12, 5)).await.expect("applied");
    assert_eq!(store.reached().await.expect("read")[0].idle, None, "it moved");

    // A topic that was created anew with fewer partitions waits for none of the others.
    store.commit_collected(&moved(2, None, 4, |_| {})).await.expect("applied");
    let first = store.note_topics(&[("t".into(), 1), ("u".into(), 2)], at(600)).await.expect("notes");
    assert_eq!(first, [("t".into(), 3), ("u".into(), 2)], "as many as when they were first read");
    store.note_topics(&[("u".into(), 0)], at(600)).await.expect("notes");
    assert_eq!(store.reached().await.expect("read").len(), 1);
}

/// A flush of one partition without tallies.
fn moved(number: i32, from: Option<i64>, to: i64, change: impl FnOnce(&mut Delta)) -> Collected {
    let mut delta = Delta::starting(from, from.unwrap_or(0), Watermark::default());
    change(&mut delta);
    while delta.to < to {
        delta.pass(delta.to);
        delta.observe(at(delta.to));
        delta.ledger.set_aside += 1;
    }
    let delta = BTreeMap::from([(partition(number), delta)]);
    let flush_id = format!("m{number}-{from:?}-{to}");
    Collected { flush_id, partials: vec![], labelled: Labelled::default(), shadows: vec![], delta, now: at(1_000) }
}

async fn losses_are_kept_and_told_once(store: &SqlStore) {
    store.commit_collected(&moved(0, None, 10, |_| {})).await.expect("applied");
    let lost = moved(0, Some(10), 25, |d| d.lose_until(25));
    assert_eq!(store.commit_collected(&lost).await.expect("applied"), Commit::Applied);
    let gaps = store.gaps().await.expect("read");
    let (gap, watermark) = (gaps[0].clone(), lost.delta[&partition(0)].watermark.reached());
    assert_eq!(
        (gap.from, gap.to, gap.reason.as_str(), gap.after, gap.until),
        (10, Some(25), "retention", watermark, None)
    );
    assert_eq!(store.unannounced_gaps().await.expect("read"), gaps);

    // The first record after it ends it.
    let mut ended = lost.delta[&partition(0)].clone().committed();
    ended.pass(25);
    ended.observe(at(77));
    let ended = Collected { flush_id: "x".into(), delta: BTreeMap::from([(partition(0), ended)]), ..lost.clone() };
    assert_eq!(store.commit_collected(&ended).await.expect("applied"), Commit::Applied);
    assert_eq!(store.gaps().await.expect("read")[0].until, Some(at(77)));

    let message = NewDelivery {
        delivery_id: "msg_gap".into(),
        endpoint: "a".into(),
        event: "pipeline.data_gap".into(),
        model: "m".into(),
        body: "{}".into(),
        thread: Thread::default(),
    };
    for _ in 0..2 {
        store.announce(&gap, std::slice::from_ref(&message), at(1_001)).await.expect("announces");
    }
    assert!(store.unannounced_gaps().await.expect("read").is_empty());
    assert_eq!(store.deliveries(None, PAGE).await.expect("read").len(), 1);
}

async fn a_topic_created_anew_begins_another_ledger(store: &SqlStore) {
    store.commit_collected(&moved(0, None, 10, |_| {})).await.expect("applied");
    let anew = moved(0, Some(10), 3, |d| d.begin_anew(0));
    let wrong = moved(0, Some(9), 3, |d| d.begin_anew(0));
    assert_eq!(store.commit_collected(&wrong).await.expect("answers"), Commit::Fenced(partition(0)));
    assert_eq!(store.commit_collected(&anew).await.expect("answers"), Commit::Applied);
    assert_eq!(store.commit_collected(&anew).await.expect("answers"), Commit::Fenced(partition(0)));
    let now = &store.partitions().await.expect("read")[0];
    assert_eq!((now.generation, now.first_offset, now.next_offset, now.ledger.total()), (1, 0, 3, 3));
    let closed = &store.closed_partitions().await.expect("read")[0];
    assert_eq!((closed.generation, closed.first_offset, closed.next_offset, closed.ledger.total()), (0, 0, 10, 10));
    let gap = &store.gaps().await.expect("read")[0];
    assert_eq!((gap.generation, gap.from, gap.to, gap.reason.as_str()), (1, 10, None, "topic_recreated"));
}

async fn partials_come_in_whole_slots(store: &SqlStore) {
    for (i, slot) in [7, 5, 6, 5, 7].into_iter().enumerate() {
        let from = if i == 0 { None } else { Some(i as i64 * 10) };
        store.commit_collected(&flush(&format!("f{i}"), from, (i as i64 + 1) * 10, slot)).await.expect("applied");
    }
    let slots = async |below, limit| {
        let found = store.partials("m", "r", below, limit).await.expect("read");
        found.into_iter().map(|p| p.slot).collect::<Vec<_>>()
    };
    assert_eq!(slots(100, 2).await, [5, 5, 6]);
    assert_eq!(slots(7, 100).await, [5, 5, 6]);
    assert!(store.partials("m", "other", 100, 9).await.expect("read").is_empty());
}

async fn a_judgement_applies_once(store: &SqlStore) {
    store.commit_collected(&flush("a", None, 10, 5)).await.expect("applied");
    assert_eq!(store.course("m").await.expect("read"), None);
    assert!(store.commit_judged(&judged(0, vec!["a-0".into()])).await.expect("first"));
    let course = store.course("m").await.expect("read").expect("has one");
    assert_eq!((course.version, course.body), (1, vec![9, 9]));
    assert!(store.partials("m", "r", 100, 9).await.expect("read").is_empty(), "consumed");

    assert!(!store.commit_judged(&judged(0, vec![])).await.expect("answers"), "the course has moved on");
    assert!(!store.commit_judged(&judged(1, vec!["a-0".into()])).await.expect("answers"), "the tallies are gone");
    assert_eq!(store.course("m").await.expect("read").expect("has one").version, 1, "nothing of it was applied");

    // What came back has the same bits.
    let expected = judged(0, vec![]);
    let windows = store.windows("m", PAGE).await.expect("read");
    assert_eq!(windows, [ReportRow { summary: vec![], ..expected.report.clone().expect("has one") }]);
    assert_eq!(store.report("m", "r", at(50)).await.expect("read"), expected.report);
    let mut statistics = expected.statistics.clone();
    statistics.reverse();
    let rows: Vec<StatisticRow> =
        store.window_statistics("m", at(50)).await.expect("read").into_iter().map(|s| s.row).collect();
    assert_eq!(rows, statistics, "by signal");
    let filter = StatisticFilter { signal: Some("confidence".into()), ..StatisticFilter::default() };
    assert_eq!(store.statistics("m", &filter, PAGE).await.expect("read").len(), 1);
    let (scope, task, segment) = (Some("head".into()), Some("intent".into()), Some("channel=mail".into()));
    let one = StatisticFilter { scope, task, segment, ..filter };
    assert_eq!(store.statistics("m", &one, PAGE).await.expect("read")[0].row, expected.statistics[1]);
    let other = StatisticFilter { segment: Some(String::new()), ..one };
    assert!(store.statistics("m", &other, PAGE).await.expect("read").is_empty(), "of all records there is none");
    let (alerts, transitions): (Vec<_>, Vec<_>) = expected.alerts.into_iter().unzip();
    assert_eq!(store.alerts(Some("m"), PAGE).await.expect("read"), alerts);
    let open = OpenAlert { alert: alerts[0].clone(), version: String::new() };
    assert_eq!(store.open_alerts("m").await.expect("read"), [open], "its reference is gone");
    assert!(store.open_alerts("other").await.expect("read").is_empty());
    assert_eq!(store.transitions("al_1").await.expect("read"), transitions);
    assert_eq!(store.transitions_of(None, PAGE).await.expect("read"), transitions);
    assert!(store.transitions_of(Some("other"), PAGE).await.expect("read").is_empty());
    assert!(store.transitions_of(None, Page { before_us: 60_000_000, ..PAGE }).await.expect("read").is_empty());
    assert_eq!(store.requests(None, PAGE).await.expect("read"), [expected.request.expect("has one").row]);
    assert!(store.standings(None).await.expect("read").is_empty(), "nobody registered the model");
    assert!(store.alerts(Some("other"), PAGE).await.expect("read").is_empty());
}

/// The request's message would come first by its id.
async fn an_alert_leaves_before_the_request_it_led_to(store: &SqlStore) {
    let alert = |delivery_id: &str| NewDelivery {
        delivery_id: delivery_id.into(),
        endpoint: "c".into(),
        event: "drift.alarm.firing".into(),
        model: "m".into(),
        body: "{}".into(),
        thread: Thread { alert_id: Some("al_1".into()), ..Thread::default() },
    };
    let deliveries = vec![alert("msg_z_1"), alert("msg_z_2")];
    store.commit_judged(&Judged { deliveries, ..judged(0, vec![]) }).await.expect("applied");
    let mut left = Vec::new();
    for secs in [2_000, 2_100, 2_200] {
        for delivery in store.claim(at(secs), at(secs + 10)).await.expect("claims") {
            store
                .settle(&Settled {
                    delivery_id: delivery.delivery_id.clone(),
                    endpoint: "c".into(),
                    settlement: Settlement::Delivered,
                    status: Some(200),
                    took: Duration::from_millis(1),
                    outcome: "delivered".into(),
                    detail: String::new(),
                    endpoint_failed: false,
                    covers: Vec::new(),
                    tell: Vec::new(),
                    now: at(secs),
                })
                .await
                .expect("settles");
            left.push(delivery.delivery_id);
        }
    }
    assert_eq!(left, ["msg_z_1", "msg_z_2", "msg_rt_1_1"]);
}

async fn deliveries_keep_their_order_and_their_lease(store: &SqlStore) {
    store.commit_judged(&Judged { request: None, ..judged(0, vec![]) }).await.expect("applied");
    let ids = |claimed: Vec<Delivery>| claimed.into_iter().map(|d| d.delivery_id).collect::<Vec<_>>();
    let now = at(2_000);
    assert_eq!(ids(store.claim(now, at(2_060)).await.expect("claims")), ["msg_a_1", "msg_b_1"]);
    assert!(store.claim(now, at(2_060)).await.expect("claims").is_empty(), "leased");
    assert_eq!(
        ids(store.claim(at(2_061), at(2_100)).await.expect("claims")),
        ["msg_a_1", "msg_b_1"],
        "the lease ended"
    );

    let settle = |id: &str, endpoint: &str, settlement, now| Settled {
        delivery_id: id.into(),
        endpoint: endpoint.into(),
        status: Some(503),
        outcome: "server_error".into(),
        detail: String::new(),
        took: Duration::from_millis(3),
        settlement,
        endpoint_failed: false,
        covers: vec![],
        tell: vec![],
        now,
    };
    store.settle(&settle("msg_a_1", "a", Settlement::RetryAt(at(3_000)), at(2_062))).await.expect("settles");
    store.settle(&settle("msg_b_1", "b", Settlement::Disable, at(2_062))).await.expect("settles");
    assert!(store.claim(at(2_999), at(3_050)).await.expect("claims").is_empty(), "the younger one waits for the older");
    assert_eq!(ids(store.claim(at(3_000), at(3_060)).await.expect("claims")), ["msg_a_1"]);
    store.settle(&settle("msg_a_1", "a", Settlement::Delivered, at(3_001))).await.expect("settles");
    assert_eq!(ids(store.claim(at(3_001), at(3_060)).await.expect("claims")), ["msg_a_2"]);

    let rows = store.deliveries(Some("m"), PAGE).await.expect("read");
    let state = |id: &str| rows.iter().find(|r| r.delivery_id == id).map(|r| (r.state.clone(), r.attempts));
    assert_eq!(state("msg_a_1"), Some(("delivered".into(), 2)));
    assert_eq!(state("msg_b_1"), Some(("disabled".into(), 1)));
}

async fn leases_exclude_each_other(store: &SqlStore) {
    let ttl = Duration::from_secs(30);
    assert!(store.lease("x", "me", at(0), ttl).await.expect("answers"));
    assert!(store.lease("x", "me", at(10), ttl).await.expect("answers"), "renewed");
    assert!(!store.lease("x", "you", at(20), ttl).await.expect("answers"));
    assert!(store.lease("y", "you", at(20), ttl).await.expect("answers"), "another lease");
    assert!(store.lease("x", "you", at(41), ttl).await.expect("answers"), "it ran out");
    // Somebody whose clock was an hour ahead, and who is gone.
    let minutes = |m: i64| Timestamp::from_micros(m * 60_000_000);
    assert!(store.lease("z", "ahead", minutes(60), ttl).await.expect("answers"));
    assert!(!store.lease("z", "you", minutes(56), ttl).await.expect("answers"), "a little ahead is a lease");
    assert!(store.lease("z", "you", minutes(1), ttl).await.expect("answers"));
    assert!(!store.lease("x", "me", at(42), ttl).await.expect("answers"));
}

async fn models_are_registered_and_updated(store: &SqlStore) {
    let model = |version: &str, inference: Option<&str>| ModelRow {
        name: "m".into(),
        version: version.into(),
        reference_id: "r".into(),
        budget: "1/30d".into(),
        threshold: 8_640.0,
        window_us: 300_000_000,
        embedding_dimension: Some(4),
        tasks: "[]".into(),
        examples: if version == "1" { 5 } else { 0 },
        inference: inference.map(Into::into),
    };
    let reference = ReferenceRow {
        reference_id: "r".into(),
        model: "m".into(),
        version: "1".into(),
        kind: "fixed".into(),
        records: 10,
        windows: 2,
        first: at(0),
        last: at(9),
        guarantee: "{}".into(),
        created: at(99),
        body: vec![0, 1, 2],
    };
    store.register(&model("1", Some("{}")), &reference, at(99)).await.expect("registers");
    store.register(&model("2", None), &reference, at(100)).await.expect("registers again");
    let models = store.models().await.expect("read");
    assert_eq!(models, [model("2", Some("{}"))], "a process without a model does not hide where it runs");
    assert_eq!(store.reference("r").await.expect("read"), Some(reference.clone()));
    assert_eq!(store.reference("none").await.expect("read"), None);
    assert_eq!(store.active_reference("m").await.expect("read"), None, "in use, but nobody activated it");
    let second = ReferenceRow { reference_id: "s".into(), kind: "trailing".into(), ..reference.clone() };
    store.activate(&second, at(101)).await.expect("activates");
    store.activate(&second, at(102)).await.expect("again");
    assert_eq!(store.active_reference("m").await.expect("read"), Some(second.clone()));
    let kept = store.references().await.expect("read");
    let told: Vec<_> = kept.iter().map(|k| (k.row.reference_id.as_str(), k.active, k.in_use)).collect();
    assert_eq!(told, [("r", false, true), ("s", true, false)]);
    let facts = store.references_of("m").await.expect("read");
    let told: Vec<_> = facts.iter().map(|k| (k.facts.reference_id.as_str(), k.active, k.in_use)).collect();
    assert_eq!(told, [("r", false, true), ("s", true, false)], "of one time, by id");
    assert_eq!((facts[1].facts.kind.as_str(), facts[1].facts.records, facts[1].facts.first), ("trailing", 10, at(0)));
    assert!(store.references_of("other").await.expect("read").is_empty());
    store.activate(&reference, at(103)).await.expect("and back");
    assert_eq!(store.active_reference("m").await.expect("read"), Some(reference));
    store.ping().await.expect("answers");
}

async fn models_stand_by_their_latest_window(store: &SqlStore) {
    let model = ModelRow {
        name: "m".into(),
        version: "1".into(),
        reference_id: "r".into(),
        budget: "1/30d".into(),
        threshold: 8_640.0,
        window_us: 300_000_000,
        embedding_dimension: None,
        tasks: "[]".into(),
        examples: 0,
        inference: None,
    };
    let reference = ReferenceRow {
        reference_id: "r".into(),
        model: "m".into(),
        version: "1".into(),
        kind: "fixed".into(),
        records: 10,
        windows: 2,
        first: at(0),
        last: at(9),
        guarantee: "{}".into(),
        created: at(99),
        body: vec![],
    };
    store.register(&model, &reference, at(99)).await.expect("registers");
    let stands = async || store.standings(Some("m")).await.expect("read").pop().expect("is there");
    let nothing = Standing { model: model.clone(), latest: None, records: 0, is_firing: false };
    assert_eq!((stands().await, store.standings(Some("n")).await.expect("read")), (nothing, vec![]));
    assert_eq!(store.model("m").await.expect("read"), Some(model));
    assert_eq!(store.model("n").await.expect("read"), None);
    let window = |version: i64, slot: i64, records: i64, verdict: &str| {
        let mut judged = judged(version, vec![]);
        let report = judged.report.as_mut().expect("has one");
        (report.slot, report.start, report.end) = (slot, at(slot * 10), at(slot * 10 + 10));
        (report.records, report.verdict) = (records, verdict.to_owned());
        if version > 0 {
            (judged.alerts, judged.request, judged.deliveries) = (vec![], None, vec![]);
        }
        judged
    };
    for (version, slot, records, verdict) in [(0, 5, 7, "drift"), (1, 6, 3, "ok"), (2, 5, 9, "drift")] {
        assert!(store.commit_judged(&window(version, slot, records, verdict)).await.expect("judged"));
    }
    let Standing { latest: Some(latest), records, is_firing, .. } = stands().await else { panic!("it has a window") };
    assert_eq!((latest.start, latest.end, latest.verdict.as_str()), (at(60), at(70), "ok"), "a revision is not newer");
    assert_eq!((records, is_firing), (12, true), "nine and three: two came late");
}

async fn changes_are_told_apart_by_their_marks(store: &SqlStore) {
    store.commit_judged(&judged(0, vec![])).await.expect("applied");
    let changes = store.changes(at(999)).await.expect("read");
    let of = |kind: &str| changes.iter().filter(|c| c.kind == kind && c.model == "m").count();
    assert_eq!((of("window"), of("alert"), of("request")), (1, 1, 1), "{changes:?}");
    assert!(of("delivery") >= 3, "{changes:?}");
    assert_eq!(store.changes(at(999)).await.expect("read"), changes, "the same marks");
    let later = store.changes(at(1_001)).await.expect("read");
    assert_eq!(later.iter().map(|c| c.kind.as_str()).collect::<Vec<_>>(), ["window"], "how far models are, always");
    assert!(store.commit_judged(&judged(1, vec![])).await.expect("applied"));
    assert_ne!(store.changes(at(1_001)).await.expect("read"), later);
}

async fn windows_become_hours_and_days(store: &SqlStore) {
    // Windows of twenty minutes, over a little more than a day.
    let length = 1_200;
    let window = |slot: i64, version: i64| {
        let mut judged = judged(version, vec![]);
        let report = judged.report.as_mut().expect("has one");
        (report.slot, report.start, report.end) = (slot, at(slot * length), at((slot + 1) * length));
        report.incomplete = slot == 4;
        judged.next_slot = Some(slot + 1);
        (judged.alerts, judged.request, judged.deliveries) = (vec![], None, vec![]);
        judged
    };
    for slot in 0..75 {
        assert!(store.commit_judged(&window(slot, slot)).await.expect("judged"));
    }
    let hours = store.unrolled("m", "r", Grain::Hour).await.expect("read");
    assert_eq!((hours.len(), hours[0], hours[24]), (25, at(0), at(24 * 3_600)));
    assert!(store.unrolled("m", "r", Grain::Day).await.expect("read").is_empty(), "made of hours");
    let rollup = |grain: Grain, start, parts: &[Part]| RollupRow {
        model: "m".into(),
        reference_id: "r".into(),
        grain,
        start,
        end: start.plus(grain.length()),
        windows: parts.iter().map(|p| p.windows).sum(),
        records: 7 * parts.iter().map(|p| p.windows).sum::<i64>(),
        incomplete: parts.iter().any(|p| p.incomplete),
        summary: parts.iter().flat_map(|p| p.summary.clone()).collect(),
        statistics: "[]".into(),
    };
    for hour in &hours {
        let parts = store.parts("m", "r", Grain::Hour, *hour).await.expect("read");
        assert_eq!(parts.len(), 3);
        assert!(store.commit_rollup(&rollup(Grain::Hour, *hour, &parts), &parts, at(1)).await.expect("made"));
    }
    assert!(store.unrolled("m", "r", Grain::Hour).await.expect("read").is_empty());
    assert_eq!(store.unrolled("m", "r", Grain::Day).await.expect("read"), [at(0)], "the second day is not over");
    let parts = store.parts("m", "r", Grain::Day, at(0)).await.expect("read");
    let day = rollup(Grain::Day, at(0), &parts);
    assert_eq!((parts.len(), day.windows, day.incomplete), (24, 72, true));
    assert!(store.commit_rollup(&day, &parts, at(2)).await.expect("made"));
    assert_eq!(store.rollups("m", Grain::Day, PAGE).await.expect("read"), std::slice::from_ref(&day));
    assert_eq!(store.rollup("m", Grain::Day, at(0)).await.expect("read"), Some(day));
    assert_eq!(store.rollup("m", Grain::Day, at(3_600)).await.expect("read"), None);
    assert_eq!(store.window("m", at(1_200)).await.expect("read").map(|w| w.slot), Some(1));
    assert_eq!(store.window("m", at(1_201)).await.expect("read"), None);

    // A revision makes its hour and its day again; one that comes between reading and writing is
    // not lost.
    let stale = store.parts("m", "r", Grain::Hour, at(3_600)).await.expect("read");
    let mut revised = window(4, 75);
    revised.report.as_mut().expect("has one").revision = 1;
    assert!(store.commit_judged(&revised).await.expect("revised"));
    assert_eq!(store.unrolled("m", "r", Grain::Hour).await.expect("read"), [at(3_600)]);
    assert!(!store.commit_rollup(&rollup(Grain::Hour, at(3_600), &stale), &stale, at(3)).await.expect("answers"));
    let parts = store.parts("m", "r", Grain::Hour, at(3_600)).await.expect("read");
    assert!(store.commit_rollup(&rollup(Grain::Hour, at(3_600), &parts), &parts, at(3)).await.expect("made"));
    assert_eq!(store.unrolled("m", "r", Grain::Day).await.expect("read"), [at(0)]);
}

async fn what_is_old_goes_and_stays_in_the_ledger(store: &SqlStore) {
    const DAY: i64 = 86_400;
    for (version, day) in [3_i64, 4, 20].into_iter().enumerate() {
        let mut judged = judged(i64::try_from(version).expect("small"), vec![]);
        let report = judged.report.as_mut().expect("has one");
        (report.slot, report.start, report.end) = (day, at(day * DAY), at(day * DAY + 60));
        // The window of the fourth day was judged late: a backlog that was read only then.
        judged.now = at(if day == 4 { 30 * DAY } else { day * DAY + 100 });
        assert!(store.commit_judged(&judged).await.expect("judged"));
    }
    assert_eq!(store.held().await.expect("read"), Held { judged: 21, open: 0, expired: 0 });
    let old = |day: i64| Cutoffs {
        statistics: at(day * DAY),
        windows: at(day * DAY),
        rollups: at(day * DAY),
        deliveries: at(day * DAY),
        partials: at(day * DAY),
        audit: at(day * DAY),
        predictions: at(day * DAY),
    };
    let left = async || store.windows("m", PAGE).await.expect("read").len();
    store.expire(&old(3)).await.expect("nothing is old yet");
    assert_eq!(left().await, 3);
    store.expire(&old(15)).await.expect("expires");
    assert_eq!((left().await, store.held().await.expect("read")), (2, Held { judged: 14, open: 0, expired: 7 }));
    assert!(store.window_statistics("m", at(3 * DAY)).await.expect("read").is_empty());
    assert!(!store.window_statistics("m", at(4 * DAY)).await.expect("read").is_empty());
    store.expire(&old(40)).await.expect("expires");
    assert_eq!((left().await, store.held().await.expect("read")), (0, Held { judged: 0, open: 0, expired: 21 }));

    // A day that was dropped may come back, with records that were very late.
    let mut again = judged(3, vec![]);
    again.report.as_mut().expect("has one").start = at(3 * DAY);
    assert!(store.commit_judged(&again).await.expect("judged"));
    assert_eq!(left().await, 1);

    // Tallies of a reference that nobody is compared with any more.
    store.commit_collected(&flush("a", None, 10, 5)).await.expect("applied");
    store.expire(&old(0)).await.expect("expires");
    assert_eq!(store.held().await.expect("read").open, 10);
    store.expire(&old(1)).await.expect("expires");
    assert_eq!(store.held().await.expect("read"), Held { judged: 7, open: 0, expired: 31 });
    // Deliveries that still wait are never removed.
    assert_eq!(store.deliveries(None, PAGE).await.expect("read").len(), 4);
}

fn kept(key: i64, predicted: i64, heard: i64) -> KeptRow {
    KeptRow { key, predicted: at(predicted), heard, answers: vec![1, u8::try_from(key % 200).expect("small")] }
}

fn label(key: i64, revision: i64, heard: i64) -> LabelRow {
    LabelRow {
        model: "m".into(),
        reference_id: "r".into(),
        key,
        task: 2,
        revision,
        at: at(heard * 10),
        retracted: revision == 3,
        heard,
        value: vec![9, u8::try_from(revision).expect("small")],
    }
}

/// A flush that brings predictions and labels.
fn labelled(from: Option<i64>, to: i64, predictions: Vec<KeptRow>, labels: Vec<LabelRow>) -> Collected {
    Collected { labelled: Labelled { predictions, labels }, partials: vec![], ..flush(&format!("l{to}"), from, to, 5) }
}

async fn labels_and_predictions_come_with_positions(store: &SqlStore) {
    assert_eq!(store.first_due("m", "r").await.expect("read"), None);
    let many: Vec<KeptRow> = (0..1_500).map(|key| kept(key, 100 + key, 10)).collect();
    let labels = vec![label(3, 2, 12), label(3, 0, 11), label(1, 3, 12), label(7, 0, 40)];
    store.commit_collected(&labelled(None, 10, many, labels.clone())).await.expect("applied");
    // A flush that is fenced brings nothing.
    let fenced = labelled(Some(9), 20, vec![kept(9_999, 100, 1)], vec![label(9_999, 0, 1)]);
    assert_eq!(store.commit_collected(&fenced).await.expect("answers"), Commit::Fenced(partition(0)));

    assert_eq!(store.first_due("m", "r").await.expect("read"), Some(11));
    assert_eq!(store.first_due("m", "other").await.expect("read"), None);
    let due = store.due_labels("m", "r", 12, 10).await.expect("read");
    let told: Vec<LabelRow> = due.iter().map(|p| p.label.clone()).collect();
    assert_eq!(
        told,
        [labels[2].clone(), labels[1].clone(), labels[0].clone()],
        "by prediction, then as they supersede"
    );
    assert_eq!(store.due_labels("m", "r", 40, 2).await.expect("read").len(), 2);

    // The same predictions once more, heard earlier and later, and one that nobody may know of yet.
    let again = vec![kept(1, 101, 8), kept(2, 102, 15), kept(5, 90, 20)];
    store.commit_collected(&labelled(Some(10), 20, again, vec![])).await.expect("applied");
    let found = store.kept(&[1, 2, 5, 77_777], 12).await.expect("read");
    assert_eq!(found, [kept(1, 101, 8), kept(2, 102, 10), kept(5, 105, 10)]);
    let found = store.kept(&[5], 20).await.expect("read");
    assert_eq!(found, [kept(5, 90, 20), kept(5, 105, 10)], "all of one id, the earliest first");
    let keys: Vec<i64> = (0..1_500).collect();
    assert_eq!(store.kept(&keys, 10).await.expect("read").len(), 1_500);
}

async fn what_labels_change_is_written_once(store: &SqlStore) {
    let labels = vec![label(1, 0, 11), label(2, 0, 11)];
    store.commit_collected(&labelled(None, 10, vec![kept(1, 100, 10)], labels)).await.expect("applied");
    let ids: Vec<String> =
        store.due_labels("m", "r", 11, 10).await.expect("read").into_iter().map(|p| p.label_id).collect();
    let of = TaskWindow { task: "intent".into(), start: at(100), end: at(110) };
    let joined = JoinRow { key: 1, task: 2, predicted: at(100), body: vec![4, 5] };
    let realised = RealisedRow {
        of: of.clone(),
        labelled: 1,
        realised: Some(1.0),
        interval: Some((0.2, 1.0)),
        macro_f1: None,
        expected: Some(0.1 + 0.2),
        delay_us: Some(77),
        tally: vec![8, 8],
    };
    let estimate = EstimateRow {
        of: of.clone(),
        answered: 30,
        estimate: Some(0.9),
        interval: Some((0.8, 0.95)),
        macro_f1: Some(0.7),
        cells: vec![0, 255, 7],
    };
    let task = TaskRow {
        task: "intent".into(),
        kind: "multiclass".into(),
        reference_labelled: 400,
        reference_loss: 0.1,
        tolerated_loss: 0.14,
        sample: 0.5,
        labels: 3,
        ln_evidence: Some(2.5),
        ln_threshold: 9.0,
        muted: true,
        notices: r#"{"labels":null}"#.into(),
    };
    let changes = LabelChanges {
        settled: vec![ids[0].clone()],
        postponed: vec![(ids[1].clone(), 17)],
        joined: vec![joined.clone()],
        realised: vec![realised.clone()],
        estimates: vec![],
        tasks: vec![task.clone()],
    };
    let with = |version, labels: &LabelChanges| Judged {
        labels: labels.clone(),
        report: None,
        statistics: vec![],
        ..judged(version, vec![])
    };
    assert!(store.commit_judged(&with(0, &changes)).await.expect("applied"));
    assert!(!store.commit_judged(&with(1, &changes)).await.expect("answers"), "a label is settled once");
    assert_eq!(store.course("m").await.expect("read").expect("has one").version, 1, "nothing of it was applied");

    assert_eq!(store.first_due("m", "r").await.expect("read"), Some(17));
    assert!(store.due_labels("m", "r", 16, 10).await.expect("read").is_empty());
    assert_eq!(store.joined(&[1, 2]).await.expect("read"), std::slice::from_ref(&joined));
    assert_eq!(store.tallies("m", "r", &[at(100), at(110)]).await.expect("read"), [(of.clone(), vec![8, 8])]);
    let recent = async |until| store.recent_tallies("m", "r", "intent", at(until), 20).await.expect("read");
    assert_eq!((recent(100).await, recent(99).await), (vec![vec![8, 8]], vec![]));
    assert_eq!(store.task_rows("m", "r").await.expect("read"), std::slice::from_ref(&task));
    let shown = store.task_points("m", "r", "intent", PAGE).await.expect("read");
    assert_eq!(shown.points[0].realised, Some(realised.clone()));
    assert!(shown.earlier.is_empty() && shown.points[0].estimate.estimate.is_none());
    assert!(shown.points[0].estimate.cells.is_empty(), "not judged yet");

    // The window is judged, and its label corrected: each writes its own half.
    let later = LabelChanges {
        joined: vec![JoinRow { body: vec![6], ..joined.clone() }],
        realised: vec![RealisedRow {
            labelled: 0,
            realised: None,
            interval: None,
            delay_us: None,
            expected: None,
            tally: vec![3],
            ..realised.clone()
        }],
        estimates: vec![estimate.clone()],
        tasks: vec![TaskRow { labels: 2, ln_evidence: None, ..task.clone() }],
        ..LabelChanges::default()
    };
    assert!(store.commit_judged(&with(1, &later)).await.expect("applied"));
    assert_eq!(store.joined(&[1]).await.expect("read")[0].body, [6]);
    assert_eq!(store.tallies("m", "r", &[at(100)]).await.expect("read"), [(of, vec![3])]);
    assert!(recent(200).await.is_empty(), "its label was taken back");
    let shown = store.task_points("m", "r", "intent", PAGE).await.expect("read");
    assert_eq!((shown.points.len(), &shown.points[0].estimate, &shown.points[0].realised), (1, &estimate, &None));
    let rows = store.task_rows("m", "r").await.expect("read");
    assert_eq!((rows[0].labels, rows[0].ln_evidence), (5, None), "labels add up");
}

/// The first row that a connection writes says nothing of what the next ones hold.
async fn a_number_that_was_missing_comes_later(store: &SqlStore) {
    /// Enough for every connection of the pool to have its turn.
    const TURNS: i64 = 20;
    for turn in 0..2 * TURNS {
        let number = |n: f64| (turn >= TURNS).then_some(n);
        let of = TaskWindow { task: "intent".into(), start: at(100 + turn), end: at(101 + turn) };
        let interval = number(0.2).zip(number(0.9));
        let estimate = EstimateRow {
            of: of.clone(),
            answered: 30,
            estimate: number(0.9),
            interval,
            macro_f1: number(0.7),
            cells: vec![],
        };
        let realised = RealisedRow {
            of,
            labelled: 1,
            realised: number(1.0),
            interval,
            macro_f1: number(0.3),
            expected: number(0.1 + 0.2),
            delay_us: None,
            tally: vec![8],
        };
        let task = TaskRow {
            task: "intent".into(),
            kind: "multiclass".into(),
            reference_labelled: 400,
            reference_loss: 0.1,
            tolerated_loss: 0.14,
            sample: 0.5,
            labels: 3,
            ln_evidence: number(2.5),
            ln_threshold: 9.0,
            muted: true,
            notices: "{}".into(),
        };
        let mut judged = judged(turn, vec![]);
        let report = judged.report.as_mut().expect("has one");
        (report.start, report.end, report.ln_evidence) = (at(100 + turn), at(101 + turn), number(12.5));
        for row in &mut judged.statistics {
            (row.statistic, row.degrees_of_freedom, row.ln_p) = (number(0.1), number(3.0), number(-1_234.5));
            (row.ln_e, row.ln_evidence) = (number(1.5), number(0.1 + 0.2));
        }
        for (alert, transition) in &mut judged.alerts {
            (alert.alert_id, alert.ln_evidence) = (format!("al_{turn}"), number(12.5));
            (transition.transition_id, transition.alert_id) = (format!("tr_{turn}"), alert.alert_id.clone());
        }
        (judged.request, judged.deliveries) = (None, vec![]);
        judged.labels = LabelChanges {
            realised: vec![realised.clone()],
            estimates: vec![estimate.clone()],
            tasks: vec![task],
            ..LabelChanges::default()
        };
        assert!(store.commit_judged(&judged).await.expect("applied"), "turn {turn}");
        let read = store.window_statistics("m", at(100 + turn)).await.expect("read");
        assert!(read.iter().all(|s| (s.row.ln_p, s.row.ln_e) == (number(-1_234.5), number(1.5))), "turn {turn}");
        let report = store.report("m", "r", at(100 + turn)).await.expect("read").expect("has one");
        assert_eq!(report.ln_evidence, number(12.5), "turn {turn}");
        let page = Page { limit: 100, ..PAGE };
        let shown = store.task_points("m", "r", "intent", page).await.expect("read");
        let point = shown.points.iter().find(|p| p.estimate.of.start == at(100 + turn)).expect("written");
        assert_eq!((&point.estimate, &point.realised), (&estimate, &Some(realised)), "turn {turn}");
    }
}

async fn predictions_go_by_the_day_they_were_made(store: &SqlStore) {
    const DAY: i64 = 86_400;
    let days = vec![kept(1, 3 * DAY, 1), kept(2, 4 * DAY - 1, 1), kept(3, 20 * DAY, 1)];
    let at_day = |day: i64, collected: Collected| Collected { now: at(day * DAY), ..collected };
    store.commit_collected(&at_day(5, labelled(None, 10, days, vec![]))).await.expect("applied");
    // A replay of long ago: its day is old, but in use.
    let replayed = vec![kept(4, 8 * DAY, 1)];
    store.commit_collected(&at_day(19, labelled(Some(10), 20, replayed, vec![]))).await.expect("applied");
    let join = JoinRow { key: 1, task: 0, predicted: at(3 * DAY), body: vec![1] };
    let changes = LabelChanges { joined: vec![join], ..LabelChanges::default() };
    let judged = Judged { labels: changes, report: None, statistics: vec![], now: at(5 * DAY), ..judged(0, vec![]) };
    assert!(store.commit_judged(&judged).await.expect("applied"));
    let expire = async |day: i64| {
        let before = at(day * DAY);
        let long_ago = at(0);
        let cutoffs = Cutoffs {
            statistics: long_ago,
            windows: long_ago,
            rollups: long_ago,
            deliveries: long_ago,
            partials: long_ago,
            audit: long_ago,
            predictions: before,
        };
        store.expire(&cutoffs).await.expect("expires")
    };
    let left = async || {
        let found = store.kept(&[1, 2, 3, 4], 99).await.expect("read");
        found.iter().map(|row| row.key).collect::<Vec<i64>>()
    };
    assert_eq!((expire(3).await, left().await), (0, vec![1, 2, 3, 4]));
    assert_eq!((expire(10).await, left().await), (1, vec![3, 4]), "the day of the replay was touched lately");
    assert!(store.joined(&[1]).await.expect("read").is_empty());
    assert_eq!((expire(20).await, left().await), (1, vec![3]), "and now it was not");
    // A day that was dropped may come back.
    store
        .commit_collected(&at_day(21, labelled(Some(20), 30, vec![kept(5, 3 * DAY, 1)], vec![])))
        .await
        .expect("applied");
    assert_eq!(store.kept(&[5], 99).await.expect("read").len(), 1);
}

/// Two committers race for the same partition again and again: exactly one wins each round.
async fn racing_replicas_never_both_win(store: &SqlStore) {
    store.commit_collected(&flush("start", None, 0, 5)).await.expect("applied");
    let mut next = 0;
    for round in 0..10 {
        let (a, b) = (
            flush(&format!("a{round}"), Some(next), next + 3, 5),
            flush(&format!("b{round}"), Some(next), next + 5, 5),
        );
        let (first, second) = tokio::join!(store.commit_collected(&a), store.commit_collected(&b));
        let won = [first.expect("answers"), second.expect("answers")].map(|c| c == Commit::Applied);
        assert_eq!(won.iter().filter(|w| **w).count(), 1, "round {round}: {won:?}");
        next += if won[0] { 3 } else { 5 };
    }
    let progress = store.partitions().await.expect("read");
    assert_eq!((progress[0].next_offset, progress[0].ledger.total()), (next, next));
}

macro_rules! conformance {
    ($($test:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let directory = tempfile::tempdir().expect("a folder");
                let url = super::support::secret(&super::support::sqlite_url(directory.path()));
                let store = driftd::store::SqlStore::open(&url).await.expect("opens");
                super::$test(&store).await;
                store.close().await;
            })+
        }

        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                let url = super::support::secret(&super::support::fresh_database().await);
                let store = driftd::store::SqlStore::open(&url).await.expect("opens");
                super::$test(&store).await;
                store.close().await;
            })+
        }
    };
}

conformance!(
    positions_move_only_from_where_they_are,
    partitions_that_nobody_read_are_known,
    losses_are_kept_and_told_once,
    a_topic_created_anew_begins_another_ledger,
    partials_come_in_whole_slots,
    a_judgement_applies_once,
    deliveries_keep_their_order_and_their_lease,
    one_delivery_may_tell_others_and_any_can_be_sent_again,
    an_alert_leaves_before_the_request_it_led_to,
    a_failing_endpoint_is_left_alone_and_probed,
    messages_wait_for_their_group_and_follow_what_was_told,
    standing_alerts_are_known_by_endpoint,
    windows_of_one_round_are_told_in_their_order,
    a_clock_that_is_set_back_changes_no_order,
    what_a_silence_held_back_ends_without_a_word,
    the_end_is_the_last_that_is_told_when_a_silence_began_between,
    silences_last_and_end,
    leases_exclude_each_other,
    models_are_registered_and_updated,
    models_stand_by_their_latest_window,
    changes_are_told_apart_by_their_marks,
    windows_become_hours_and_days,
    what_is_old_goes_and_stays_in_the_ledger,
    racing_replicas_never_both_win,
    keys_are_kept_used_and_revoked,
    sessions_end_with_time_number_and_key,
    the_audit_is_read_page_by_page,
    a_write_with_a_key_happens_once,
    a_request_moves_only_from_where_it_is,
    an_open_request_covers_more_until_somebody_decides,
    what_the_gate_said_is_kept_and_holds_a_move,
    a_start_is_claimed_by_one_and_kept,
    the_kill_switch_keeps_its_newest_word,
    labels_and_predictions_come_with_positions,
    what_labels_change_is_written_once,
    a_number_that_was_missing_comes_later,
    predictions_go_by_the_day_they_were_made,
    what_flushes_count_of_a_candidate_is_added_once,
    what_labels_say_of_a_candidate_comes_with_the_judgement,
    a_candidate_that_the_gate_refused_stands_beside_nothing,
    texts_wait_for_the_judgement_of_their_window,
    examples_of_an_alert_are_replaced_together_and_read_on_record,
    texts_go_with_time_and_where_they_are_off,
);

#[tokio::test(flavor = "multi_thread")]
async fn opening_twice_at_once_migrates_once() {
    let url = support::secret(&support::fresh_database().await);
    let (a, b) = tokio::join!(SqlStore::open(&url), SqlStore::open(&url));
    a.expect("opens").ping().await.expect("answers");
    b.expect("opens").ping().await.expect("answers");
}

#[tokio::test(flavor = "multi_thread")]
async fn grafana_views_read_what_was_written() {
    use sqlx::{Connection, Row};
    let url = support::fresh_database().await;
    let store = SqlStore::open(&support::secret(&url)).await.expect("opens");
    store.commit_collected(&flush("a", None, 10, 5)).await.expect("applied");
    let all = Judged { shadow: shadows::change(0), ..judged(0, vec!["a-0".into()]) };
    store.commit_judged(&all).await.expect("applied");
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("connects");
    for (view, rows) in [
        ("retraining_request", 1),
        ("retraining_move", 1),
        ("window", 1),
        ("statistic", 2),
        ("alert", 1),
        ("ledger", 1),
        ("shadow", 1),
    ] {
        let statement = sqlx::AssertSqlSafe(format!("select count(*) as n from driftd_v1.{view}"));
        let row = sqlx::query(statement).fetch_one(&mut connection).await.expect("the view answers");
        assert_eq!(row.get::<i64, _>("n"), rows, "{view}");
    }
    let row = sqlx::query("select (adds_up)::text as adds_up from driftd_v1.ledger")
        .fetch_one(&mut connection)
        .await
        .expect("reads");
    assert_eq!(row.get::<String, _>("adds_up"), "true");
    let row = sqlx::query("select candidate_version, records from driftd_v1.shadow").fetch_one(&mut connection).await;
    let row = row.expect("reads");
    assert_eq!((row.get::<String, _>("candidate_version").as_str(), row.get::<i64, _>("records")), ("2", 7));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_place_and_a_foreign_schema_are_told() {
    let error =
        SqlStore::open(&support::secret("postgres://drift:hunter2@127.0.0.1:1/none")).await.expect_err("nobody there");
    let said = driftd::telemetry::chain(&error);
    assert!(matches!(error, StoreError::Open { .. }) && !said.contains("hunter2"), "{said}");

    use sqlx::{Connection, Executor};
    let url = support::fresh_database().await;
    SqlStore::open(&support::secret(&url)).await.expect("opens").close().await;
    let mut connection = sqlx::AnyConnection::connect(&url).await.expect("connects");
    let future = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                  values (9999, 'from the future', true, '\\x00', 0)";
    connection.execute(future).await.expect("planted");
    let error = SqlStore::open(&support::secret(&url)).await.expect_err("a schema from the future");
    assert!(matches!(error, StoreError::Schema(_)), "{error}");
}
