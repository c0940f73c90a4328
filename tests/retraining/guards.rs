//! Limits that hold: one open request, budget, kill switch, deadlines, dry runs, schedules; and rows
//! 28 and 29 of the faults.

use driftd::drift::retraining::life::{Report, State};
use driftd::drift::retraining::plan::Plan;
use driftd::drift::time::Span;
use driftd::retrain::word::Refusal;
use driftd::store::{Added, ReadStore as _, RetrainingStore as _};

use serde_json::json;

use crate::scene::Scene;

const PAGE: driftd::store::Page = driftd::store::Page { limit: 500, before_us: i64::MAX };

/// Row 28: flapping drift, fifty causes at once.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_causes_at_once_are_one_request_a_model_within_the_budget() {
    let plans = (0..5).map(|i| (format!("m{i}"), Plan { hook: Some("argo".into()), ..Plan::default() })).collect();
    let scene = Scene::with(plans, 2).await;
    for model in 0..5 {
        let mut made = 0;
        for alert in 0..50 {
            let request = scene.alerted(&format!("m{model}"), &format!("al_{model}_{alert}"));
            made += usize::from(scene.store.add_request(&request).await.expect("answers") == Added::Made);
        }
        assert_eq!(made, 1, "one open request a model");
    }
    for _ in 0..5 {
        scene.step().await;
        scene.wait(60);
    }
    let states = async || {
        let rows = scene.store.requests(None, PAGE).await.expect("read");
        rows.iter().filter(|r| r.state == State::Accepted).count()
    };
    assert_eq!(states().await, 2, "the budget of a day");
    let runs: usize = scene.target.lock().expect("not poisoned").runs.values().map(Vec::len).sum();
    assert_eq!(runs, 2);
    // A person's word does not count, and is not held back.
    let waiting = scene.store.requests(None, PAGE).await.expect("read");
    let waiting = waiting.iter().find(|r| r.state == State::Proposed).expect("three wait");
    scene.desk().approve(&waiting.request_id, "ada", "").await.expect("approved");
    scene.step().await;
    assert_eq!(states().await, 3);
    // A day later there is room again: for the two that still wait.
    scene.wait(86_400 - 300);
    assert_eq!(states().await, 3);
    scene.wait(301);
    scene.step().await;
    let rows = scene.store.requests(None, PAGE).await.expect("read");
    let proposed = rows.iter().filter(|r| r.state == State::Proposed).count();
    assert_eq!(proposed, 0, "{rows:?}");
}

/// A drift that has only begun has few records to train on: driftd waits where it is told to.
#[tokio::test(flavor = "multi_thread")]
async fn driftd_approves_once_enough_of_the_drift_was_seen() {
    let plan = Plan { hook: Some("argo".into()), gather: Span::from_secs(3_600), ..Plan::default() };
    let scene = Scene::with(vec![("m".to_owned(), plan), ("n".to_owned(), Plan::default())], 10).await;
    for (model, minutes, state) in [("m", 59, State::Proposed), ("m", 60, State::Requested), ("n", 5, State::Requested)]
    {
        let mut request = scene.alerted(model, &format!("al_{model}_{minutes}"));
        let start = request.now;
        let window = |end| scene.desk().subjects[model].plan.data("rt", Some((start, end)), "ref");
        request.row.body = json!({"data": window(start.plus(Span::from_secs(300)))}).to_string();
        request.row.covers_until = Some(start.plus(Span::from_secs(minutes * 60)));
        assert_eq!(scene.store.add_request(&request).await.expect("answers"), Added::Made);
        scene.step().await;
        let id = &request.row.request_id;
        assert_eq!(scene.history(id).await.row.state, state, "{model} {minutes}");
        if state == State::Proposed {
            scene.desk().reject(id, "ada", "not so soon").await.expect("rejected");
        }
    }
}

/// Row 29: call-backs that are forged, repeated, out of turn, unknown, too late.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_call_back_changes_nothing_and_is_on_record() {
    let scene = Scene::new(&[("m", "airflow_3"), ("n", "argo")]).await;
    let id = scene.approved("m").await;
    // Before it was started there is no token at all.
    assert!(matches!(scene.call_back(&id, "", "started").await, Err(Refusal::Forged)));
    scene.step().await;
    let token = scene.token(&id);
    let other = scene.approved("n").await;
    scene.step().await;

    let forged = async |id: &str, token: &str| scene.call_back(id, token, "started").await;
    assert!(matches!(forged(&id, "drc_guess").await, Err(Refusal::Forged)));
    assert!(matches!(forged(&other, &token).await, Err(Refusal::Forged)), "another request's token");
    assert!(matches!(forged("rt_none", &token).await, Err(Refusal::Forged)), "nothing is learnt of which there are");
    assert!(matches!(scene.call_back(&id, &token, "done").await, Err(Refusal::Unknown(_))));
    assert_eq!(scene.history(&id).await.row.state, State::Accepted);

    scene.call_back(&id, &token, "started").await.expect("taken");
    let repeated = scene.call_back(&id, &token, "started").await.expect_err("a replay");
    assert_eq!(repeated.to_string(), "the request is `running` already");
    scene.call_back(&id, &token, "succeeded").await.expect("taken");
    for state in ["started", "succeeded", "failed", "cancelled"] {
        assert!(matches!(scene.call_back(&id, &token, state).await, Err(Refusal::Illegal(_))), "{state}");
    }
    let history = scene.history(&id).await;
    assert_eq!(history.row.state, State::Succeeded);
    let outcomes: Vec<&str> = history.callbacks.iter().map(|c| c.outcome.as_str()).collect();
    assert_eq!(
        outcomes,
        [
            "forged",
            "forged",
            "unknown_state",
            "taken",
            "repeated",
            "taken",
            "out_of_turn",
            "repeated",
            "out_of_turn",
            "out_of_turn"
        ]
    );

    // Too late: the request's time is over.
    let token = scene.token(&other);
    scene.wait(86_401);
    assert!(matches!(scene.call_back(&other, &token, "succeeded").await, Err(Refusal::Expired)));
    assert_eq!(scene.history(&other).await.row.state, State::Accepted);
    scene.step().await;
    assert_eq!(scene.history(&other).await.row.state, State::Expired);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_kill_switch_stops_approvals_and_starts_and_nothing_else() {
    let scene = Scene::new(&[("m", "argo"), ("n", "argo"), ("o", "argo")]).await;
    let running = scene.approved("o").await;
    scene.step().await;
    let id = scene.approved("m").await;
    scene.store.add_request(&scene.alerted("n", "al_n")).await.expect("made");
    scene.desk().pause("*", true, "ada", "a freeze").await.expect("paused");
    let before = scene.exchanges();
    for _ in 0..3 {
        scene.step().await;
        scene.wait(60);
    }
    assert_eq!(scene.exchanges(), before, "nothing was called");
    let refused = scene.desk().ask("o", &[], "ada", "x", "k").await.expect_err("paused");
    assert!(refused.to_string().contains("paused by ada: a freeze"), "{refused}");
    scene.call_back(&running, &scene.token(&running), "succeeded").await.expect("what runs may end");

    scene.desk().pause("*", false, "ada", "").await.expect("resumed");
    scene.desk().pause("n", true, "ada", "this one alone").await.expect("paused");
    scene.step().await;
    assert_eq!(scene.history(&id).await.row.state, State::Accepted);
    let waiting = scene.store.requests(Some("n"), PAGE).await.expect("read");
    assert_eq!(waiting[0].state, State::Proposed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_too_long_ends_and_says_why() {
    let scene = Scene::new(&[("m", "nobody"), ("n", "argo"), ("o", "argo")]).await;
    let ask = async |model: &str| scene.desk().ask(model, &[], "ada", "x", "k").await.expect("made").row.request_id;
    let undecided = ask("m").await;
    let refused = scene.approved("n").await;
    let silent = scene.approved("o").await;
    let why = async |id: &str| {
        let history = scene.history(id).await;
        (history.row.state, history.moves.last().expect("moves").why.clone())
    };
    {
        let mut world = scene.target.lock().expect("not poisoned");
        world.faults.extend([crate::target::Fault::Before]);
    }
    scene.step().await;
    // The one whose start failed is the first of the two; from now on every try of it fails.
    let (failed, accepted) = match scene.history(&refused).await.row.state {
        State::Requested => (refused, silent),
        _ => (silent, refused),
    };
    scene.wait(86_401);
    scene.step().await;
    assert_eq!(why(&failed).await, (State::Failed, "`argo` did not take it in 1 tries".into()));
    assert_eq!(why(&accepted).await, (State::Expired, "nothing was heard of the run in time".into()));
    scene.wait(2 * 86_400);
    scene.step().await;
    assert_eq!(why(&undecided).await, (State::Expired, "nobody decided in time".into()));
    // Every place is free again.
    ask("n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_the_call_and_makes_none() {
    for hook in crate::scene::HOOKS {
        let plan = Plan { hook: Some(hook.into()), dry_run: true, ..Plan::default() };
        let scene = Scene::with(vec![("m".into(), plan)], 10).await;
        let id = scene.approved("m").await;
        scene.step().await;
        let history = scene.history(&id).await;
        assert_eq!((history.row.state, scene.exchanges()), (State::Cancelled, 0), "{hook}");
        let shown = &history.attempts[0].detail;
        assert!(shown.starts_with("POST") && !shown.contains("drc_"), "{hook}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_asks_once_a_turn_and_without_a_hook_a_person_closes() {
    let plan = Plan { schedule: Some(Span::from_secs(86_400)), ..Plan::default() };
    let scene = Scene::with(vec![("m".into(), plan)], 10).await;
    scene.step().await;
    assert!(scene.store.requests(None, PAGE).await.expect("read").is_empty(), "not in the turn it began in");
    let day = 86_400 - (1_800_000_000 % 86_400);
    scene.wait(day);
    for _ in 0..3 {
        scene.step().await;
        scene.wait(60);
    }
    let rows = scene.store.requests(None, PAGE).await.expect("read");
    assert_eq!((rows.len(), rows[0].kind.as_str(), rows[0].state), (1, "schedule", State::Requested));
    let id = rows[0].request_id.clone();
    let closed = scene.desk().close(&id, Report::Succeeded, "ada", "by hand").await.expect("closed");
    assert_eq!((closed.row.state, closed.moves.last().expect("moves").who.as_str()), (State::Succeeded, "ada"));
    scene.wait(86_400);
    scene.step().await;
    assert_eq!(scene.store.requests(None, PAGE).await.expect("read").len(), 2, "the next turn");
}
