//! Retraining against systems that fail: one run at most, every move told, guards that hold.

#[path = "../support/mod.rs"]
mod support;

mod airflow;
mod api;
mod gate;
mod guards;
mod kubernetes;
mod scene;
mod seeds;
mod target;

use driftd::drift::retraining::life::State;
use scene::{HOOKS, Scene};
use target::Fault;

/// Row 27: the answer to the call that made the run does not come.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_answer_was_lost_is_found_and_not_made_again() {
    for hook in HOOKS {
        let scene = Scene::new(&[("m", hook)]).await;
        let id = scene.approved("m").await;
        for fault in [Fault::Before, Fault::Refused, Fault::HangAfter, Fault::After] {
            // Exchanges before the one that makes the run (a login, a look) go well.
            scene.fail_last_exchange(hook, fault);
            scene.step().await;
            let history = scene.history(&id).await;
            assert_eq!(history.row.state, State::Requested, "{hook} {fault:?}");
            let outcome = &history.attempts.last().expect("a try").outcome;
            match fault {
                Fault::HangAfter => assert_eq!(outcome, "timeout", "{hook}"),
                Fault::Refused => assert_eq!(outcome, "auth_error", "{hook}"),
                _ => assert_eq!(outcome, "server_error", "{hook}"),
            }
            scene.wait(1_000);
        }
        scene.step().await;
        let history = scene.history(&id).await;
        assert_eq!(history.row.state, State::Accepted, "{hook}: {:?}", history.attempts);
        let last = history.attempts.last().expect("tries");
        // A receiver of messages does not say whether it has had one before.
        assert_eq!(last.outcome, if hook == "webhook" { "started" } else { "existed" }, "{hook}");
        assert_eq!(scene.runs(&id), 1, "{hook}");
        assert_eq!(scene.offences(), Vec::<String>::new(), "{hook}");
        assert!(!format!("{history:?}").contains("drc_"), "{hook}: a token is kept nowhere");
        if hook != "webhook" && hook != "kubernetes" {
            assert!(history.row.run_url.expect("a page").starts_with("http"), "{hook}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_needs_no_second_try_where_nothing_fails() {
    for hook in HOOKS {
        let scene = Scene::new(&[("m", hook)]).await;
        let id = scene.approved("m").await;
        scene.step().await;
        scene.step().await;
        let history = scene.history(&id).await;
        let outcomes: Vec<&str> = history.attempts.iter().map(|a| a.outcome.as_str()).collect();
        assert_eq!((history.row.state, outcomes, scene.runs(&id)), (State::Accepted, vec!["started"], 1), "{hook}");
        let order = scene.order(&id);
        assert_eq!(order["scope"]["tasks"][0]["name"], "intent", "{hook}");
        assert_eq!(order["scope"]["protected_tasks"], serde_json::json!(["ner"]), "{hook}");
        assert_eq!(order["acceptance"]["max_regression"]["ner"]["delta"], -0.01, "{hook}");
        assert!(order["callback"]["token"].as_str().is_some_and(|t| t.starts_with("drc_")), "{hook}");
    }
}
