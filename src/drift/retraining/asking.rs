//! Which alerts ask for retraining, and when.
//!
//! An alert asks as long as it goes on and no request names it: in the window in which it fires where nothing stands in
//! the way, and otherwise in the first that finds the way free. So none is forgotten that fired while another request
//! was open, or too soon after one.

use super::{Kind, Mode, Policy, mended};
use crate::drift::alert::Alert;
use crate::drift::cause::CauseKind;
use crate::drift::time::Timestamp;

/// What alerts ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Request<'a> {
    /// What asks for it.
    pub kind: Kind,
    /// Who decides about it; never [`Mode::Off`].
    pub mode: Mode,
    /// Those that ask, the first leading.
    pub alerts: Vec<&'a Alert>,
    /// Tasks to retrain.
    pub tasks: Vec<usize>,
    /// When.
    pub at: Timestamp,
}

/// The request for which `alerts` ask under a policy, if any: those that go on and that no request names, in their
/// order, of a model that has no open request. `harm` says whether labels show harm in this window; `last` is when alerts
/// of the model asked before.
///
/// The causes' tasks are retrained: a head's own, or those an input or encoder shift has reached. An undetermined cause
/// asks for nothing, nor does one that training does not mend, until the alert grows to one that does. One run mends all
/// that ask for the same and are decided about in the same way.
pub fn request<'a>(
    policy: Policy,
    alerts: impl IntoIterator<Item = &'a Alert>,
    harm: bool,
    last: Option<Timestamp>,
    at: Timestamp,
) -> Option<Request<'a>> {
    if last.is_some_and(|last| at.since(last) < policy.cooldown) {
        return None;
    }
    let mut asked: Option<Request> = None;
    for alert in alerts {
        let is_harm = harm || alert.cause.kind == CauseKind::Concept || !alert.harmed.is_empty();
        let kind = if is_harm { Kind::Harm } else { Kind::Drift };
        let (Some(mode), tasks) = (policy.decides(kind), mended(&alert.cause)) else { continue };
        if tasks.is_empty() {
            continue;
        }
        match &mut asked {
            None => asked = Some(Request { kind, mode, alerts: vec![alert], tasks, at }),
            Some(first) if first.mode == mode && first.kind == kind => {
                first.alerts.push(alert);
                first.tasks.extend(tasks);
                first.tasks.sort_unstable();
                first.tasks.dedup();
            }
            Some(_) => {}
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::retraining::Trigger;
    use crate::drift::retraining::covering::tests::alert;
    use crate::drift::time::Span;

    const AUTO: Policy = Policy { mode: Mode::Auto, on: Trigger::Drift, cooldown: Span::from_secs(10) };

    fn ask(policy: Policy, alerts: &[Alert], last: Option<i64>, at: i64) -> Option<(Kind, Mode, Vec<usize>)> {
        let request = request(policy, alerts, false, last.map(Timestamp::from_micros), Timestamp::from_micros(at))?;
        Some((request.kind, request.mode, request.tasks))
    }

    #[test]
    fn a_head_is_retrained_and_an_unknown_cause_asks_for_nothing() {
        let head = alert(CauseKind::Head, Some(1), &[1, 2]);
        assert_eq!(ask(AUTO, std::slice::from_ref(&head), None, 0), Some((Kind::Drift, Mode::Auto, vec![1])));
        assert_eq!(ask(AUTO, &[alert(CauseKind::Undetermined, None, &[0])], None, 0), None);
        assert_eq!(ask(AUTO, &[alert(CauseKind::Input, None, &[])], None, 0), None, "it has reached no head yet");
        assert_eq!(ask(Policy { mode: Mode::Off, ..AUTO }, &[head], None, 0), None);
    }

    #[test]
    fn a_cooling_model_is_asked_later() {
        let head = [alert(CauseKind::Head, Some(0), &[0])];
        assert_eq!(ask(AUTO, &head, Some(0), 9_999_999), None);
        assert!(ask(AUTO, &head, Some(0), 10_000_000).is_some());
    }

    #[test]
    fn causes_that_ask_at_once_ask_together_for_all_their_tasks() {
        let mut worse = alert(CauseKind::Head, Some(2), &[2]);
        worse.harmed = vec![crate::drift::harm::Harmed { task: 2, classes: Vec::new() }];
        let concept = alert(CauseKind::Concept, Some(0), &[0]);
        let skew = alert(CauseKind::Skew, Some(1), &[1]);
        let all = [skew, worse, concept];
        let made = request(AUTO, &all, false, None, Timestamp::from_micros(0)).expect("asked");
        assert_eq!((made.tasks, made.alerts), (vec![0, 2], vec![&all[1], &all[2]]), "training does not mend a skew");
    }

    #[test]
    fn harm_and_drift_are_handled_as_the_policy_says() {
        let (drift, concept) = (alert(CauseKind::Input, None, &[0]), alert(CauseKind::Concept, Some(0), &[0]));
        let decided = |on, alert: &Alert, harm| {
            let made = request(Policy { on, ..AUTO }, [alert], harm, None, Timestamp::from_micros(0));
            made.map(|request| (request.kind, request.mode))
        };
        assert_eq!(decided(Trigger::Harm, &drift, false), None);
        assert_eq!(decided(Trigger::Harm, &drift, true), Some((Kind::Harm, Mode::Auto)));
        assert_eq!(decided(Trigger::Harm, &concept, false), Some((Kind::Harm, Mode::Auto)));
        assert_eq!(decided(Trigger::Both, &drift, false), Some((Kind::Drift, Mode::Propose)));
        assert_eq!(decided(Trigger::Both, &concept, false), Some((Kind::Harm, Mode::Auto)));
        assert_eq!(decided(Trigger::Drift, &drift, false), Some((Kind::Drift, Mode::Auto)));
        let both = [drift, concept];
        let made = request(Policy { on: Trigger::Both, ..AUTO }, &both, false, None, Timestamp::from_micros(0));
        let made = made.expect("asked");
        assert_eq!((made.mode, made.alerts), (Mode::Propose, vec![&both[0]]), "what is decided otherwise asks later");
    }
}
