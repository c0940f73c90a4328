//! What is sent of what waits for an endpoint. Pure.
//!
//! | the queue | what is sent | what that covers |
//! |---|---|---|
//! | in time, no group | the oldest | nothing else |
//! | in time, a group | the newest of each alert of the group | the older ones of those alerts |
//! | late: the oldest failed, or has waited | the newest of each alert of the whole queue | as above |
//! | the receiver takes one alert at a time | the newest of the oldest's alert | the older ones of it |
//! | the receiver wants every change | the oldest | nothing else |

use std::collections::BTreeMap;

use super::{ACKNOWLEDGED, RESOLVED};
use crate::drift::time::{Span, Timestamp};
use crate::store::Delivery;

/// A message that has waited so long was held up, and what came after it may say more.
const LATE: Span = Span::from_secs(60);
/// Alerts told at once at most; the rest follow.
const MOST_TOGETHER: usize = 100;

/// What a receiver can do with several messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Together {
    /// Every change by itself: programs count on each.
    Never,
    /// The newest of one alert.
    OneAlert,
    /// The newest of several alerts.
    SeveralAlerts,
}

/// What is sent and what is told by it, as places in the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Bodies, the oldest first.
    pub send: Vec<usize>,
    /// Settled with them; the first of the queue is not among these.
    pub covers: Vec<usize>,
    /// Whether the receiver could not be reached for a while.
    pub late: bool,
}

/// Decides; `queue` is everything that waits, the oldest and leased one first.
pub fn plan(queue: &[Delivery], together: Together, now: Timestamp) -> Plan {
    let Some(first) = queue.first() else { return Plan::default() };
    let late = first.attempts > 0 || now.since(first.created) >= LATE;
    let candidate = |d: &Delivery| late || (!first.group_key.is_empty() && d.group_key == first.group_key);
    let mut newest: BTreeMap<&str, usize> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    if together != Together::Never {
        let may_join = |d: &Delivery| candidate(d) || d.alert_id == first.alert_id && late;
        for (i, delivery) in queue.iter().enumerate().filter(|(i, d)| *i == 0 || may_join(d)) {
            let about = delivery.alert_id.as_deref().unwrap_or(&delivery.delivery_id);
            let other = together == Together::OneAlert && !order.is_empty() && order[0] != about;
            // An acknowledgement that stands first is sent as it is; later ones wait their turn.
            if other || (i > 0 && delivery.event == ACKNOWLEDGED) {
                continue;
            }
            if !order.contains(&about) {
                if order.len() == MOST_TOGETHER {
                    continue;
                }
                order.push(about);
            }
            newest.insert(about, i);
        }
    }
    if newest.is_empty() {
        return Plan { send: vec![0], covers: Vec::new(), late };
    }
    let mut send: Vec<usize> = newest.values().copied().collect();
    send.sort_unstable();
    let told = |i: usize, d: &Delivery| {
        let about = d.alert_id.as_deref().unwrap_or(&d.delivery_id);
        newest.get(about).is_some_and(|last| i <= *last) && (i == 0 || may_be_told(d, queue, &newest, about))
    };
    let covers = queue.iter().enumerate().skip(1).filter(|(i, d)| told(*i, d)).map(|(i, _)| i).collect();
    Plan { send, covers, late }
}

/// An acknowledgement is told by the end of its alert only.
fn may_be_told(delivery: &Delivery, queue: &[Delivery], newest: &BTreeMap<&str, usize>, about: &str) -> bool {
    let ends = |i: &usize| queue[*i].event == RESOLVED;
    delivery.event != ACKNOWLEDGED || newest.get(about).is_some_and(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(entries: &[(&str, &str, &str)]) -> Vec<Delivery> {
        let delivery = |(i, (alert, event, group)): (usize, &(&str, &str, &str))| Delivery {
            delivery_id: format!("msg_{i}"),
            endpoint: "e".into(),
            event: format!("drift.alarm.{event}"),
            model: "m".into(),
            alert_id: (!alert.is_empty()).then(|| (*alert).to_owned()),
            group_key: (*group).to_owned(),
            repeat: None,
            body: String::new(),
            attempts: 0,
            created: Timestamp::from_micros(i as i64),
        };
        entries.iter().enumerate().map(delivery).collect()
    }

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    #[test]
    fn in_time_each_message_goes_by_itself() {
        let waiting = queue(&[("a", "firing", ""), ("a", "updated", ""), ("b", "firing", "")]);
        for together in [Together::Never, Together::OneAlert, Together::SeveralAlerts] {
            assert_eq!(plan(&waiting, together, NOW), Plan { send: vec![0], ..Plan::default() }, "{together:?}");
        }
    }

    #[test]
    fn a_group_goes_together() {
        let waiting = queue(&[("a", "firing", "g"), ("x", "firing", "h"), ("a", "updated", "g"), ("b", "firing", "g")]);
        let told = plan(&waiting, Together::SeveralAlerts, NOW);
        assert_eq!((told.send, told.covers, told.late), (vec![2, 3], vec![2, 3], false));
        assert_eq!(plan(&waiting, Together::Never, NOW).send, [0]);
    }

    #[test]
    fn what_waited_for_a_receiver_collapses() {
        let mut waiting = queue(&[
            ("a", "firing", ""),
            ("b", "firing", ""),
            ("a", "updated", ""),
            ("", "gap", ""),
            ("a", "resolved", ""),
        ]);
        waiting[0].attempts = 3;
        let several = plan(&waiting, Together::SeveralAlerts, NOW);
        assert_eq!((several.send, several.covers), (vec![1, 3, 4], vec![1, 2, 3, 4]));
        assert!(several.late);
        let one = plan(&waiting, Together::OneAlert, NOW);
        assert_eq!((one.send, one.covers), (vec![4], vec![2, 4]));
        let never = plan(&waiting, Together::Never, NOW);
        assert_eq!((never.send, never.covers), (vec![0], vec![]));
        waiting[0].attempts = 0;
        let slow = plan(&waiting, Together::SeveralAlerts, NOW.plus(LATE));
        assert_eq!(slow.send, [1, 3, 4], "a slow receiver too");
    }

    #[test]
    fn an_acknowledgement_opens_nothing_and_ends_with_its_alert() {
        let mut waiting = queue(&[("a", "firing", ""), ("a", "acknowledged", "")]);
        waiting[0].attempts = 1;
        assert_eq!(plan(&waiting, Together::OneAlert, NOW), Plan { send: vec![0], covers: vec![], late: true });
        let mut waiting = queue(&[("a", "firing", ""), ("a", "acknowledged", ""), ("a", "resolved", "")]);
        waiting[0].attempts = 1;
        assert_eq!(plan(&waiting, Together::OneAlert, NOW), Plan { send: vec![2], covers: vec![1, 2], late: true });
    }

    #[test]
    fn ten_thousand_alerts_are_told_a_hundred_at_a_time() {
        let names: Vec<String> = (0..10_000).map(|i| format!("al_{i}")).collect();
        let entries: Vec<(&str, &str, &str)> = names.iter().map(|n| (n.as_str(), "firing", "")).collect();
        let mut waiting = queue(&entries);
        waiting[0].attempts = 1;
        let told = plan(&waiting, Together::SeveralAlerts, NOW);
        assert_eq!((told.send.len(), told.covers.len()), (MOST_TOGETHER, MOST_TOGETHER - 1));
    }
}
