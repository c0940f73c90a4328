//! Who is told of an alert's change: the rules of the configuration, for the endpoints that take alerts.

use super::Judge;
use crate::drift::routing::{Dispatch, Facts, route};
use crate::drift::severity::Severity;
use crate::store::{AlertRow, Thread};

/// The event that ends an alert.
pub(super) const RESOLVED: &str = "drift.alarm.resolved";

/// An endpoint that is told, and what its message belongs to.
pub(super) struct Listener {
    pub(super) endpoint: String,
    pub(super) thread: Thread,
}

/// Who is told of an alert. Its end goes to whoever heard of it and to nobody else, also if it grew out of
/// their rule.
pub(super) fn listeners(
    judge: &Judge,
    alert: &AlertRow,
    tasks_affected: Vec<String>,
    severity: Severity,
    over: bool,
) -> Vec<Listener> {
    let facts = Facts {
        alert: alert.alert_id.clone(),
        model: alert.model.clone(),
        cause: alert.cause.clone(),
        task: alert.cause_task.clone(),
        tasks_affected,
        segment: alert.cause_segment.clone(),
        severity,
    };
    let takers: Vec<String> = judge.receivers.iter().filter(|r| r.alerts).map(|r| r.endpoint.clone()).collect();
    let mut dispatched = route(&judge.rules, &takers, &facts);
    if over {
        let known = |endpoint: &String| dispatched.iter().any(|d| d.endpoint == *endpoint);
        let others: Vec<String> = takers.into_iter().filter(|e| !known(e)).collect();
        dispatched.extend(route(&[], &others, &facts));
    }
    let thread = |d: Dispatch| Listener {
        endpoint: d.endpoint,
        thread: Thread {
            alert_id: Some(facts.alert.clone()),
            group_key: d.group_key,
            wait: d.wait,
            repeat: d.repeat,
            follows: over,
        },
    };
    dispatched.into_iter().map(thread).collect()
}
