//! What a request covers while its alerts stand: an alert that has just fired knows little of its drift, and whoever
//! decides about a request decides later (docs/decisions/0058).

use std::collections::BTreeMap;

use super::{Kind, Mode, Policy, mended};
use crate::drift::alert::Alert;
use crate::drift::cause::CauseKind;
use crate::drift::time::{Span, Timestamp};

/// An alert may stand for ever. After so long what it tells of is how traffic is, and no news to train on.
pub const LONGEST: Span = Span::from_secs(30 * 86_400);

/// Until when a request covers the time of its alerts, once the windows up to `judged` are judged. It never shrinks.
pub fn until(start: Timestamp, so_far: Timestamp, judged: Timestamp) -> Timestamp {
    judged.min(start.plus(LONGEST)).max(so_far)
}

/// Whether a request that somebody decides about in this way takes on an alert that fires: training mends it, and
/// driftd does not decide what is for people to decide.
pub fn takes_on(policy: Policy, decides: Mode, alert: &Alert) -> bool {
    let is_harm = alert.cause.kind == CauseKind::Concept || !alert.harmed.is_empty();
    let own = policy.decides(if is_harm { Kind::Harm } else { Kind::Drift });
    !mended(&alert.cause).is_empty() && own.is_some_and(|own| own == decides || decides == Mode::Propose)
}

/// The tasks whose training mends these alerts, each with what the first that names it found.
pub fn tasks<'a>(alerts: impl IntoIterator<Item = &'a Alert>) -> BTreeMap<usize, CauseKind> {
    let mut tasks = BTreeMap::new();
    for alert in alerts {
        for task in mended(&alert.cause) {
            tasks.entry(task).or_insert(alert.cause.kind);
        }
    }
    tasks
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::drift::cause::Cause;
    use crate::drift::retraining::Trigger;

    pub(in crate::drift::retraining) fn alert(kind: CauseKind, task: Option<usize>, affected: &[usize]) -> Alert {
        Alert {
            opened_slot: 1,
            ordinal: 0,
            opened_at: Timestamp::from_micros(0),
            cause: Cause { kind, task, segment: None, tasks_affected: affected.to_vec() },
            ln_evidence: 9.0,
            witnesses: Vec::new(),
            harmed: Vec::new(),
        }
    }

    #[test]
    fn time_grows_with_judged_windows_up_to_a_limit_and_never_shrinks() {
        let at = |days: i64| Timestamp::from_micros(days * 86_400_000_000);
        assert_eq!(until(at(0), at(1), at(2)), at(2));
        assert_eq!(until(at(0), at(2), at(1)), at(2), "a window that was judged late");
        assert_eq!(until(at(0), at(2), at(100)), at(30));
        assert_eq!(until(at(0), at(40), at(100)), at(40), "one that was longer from the beginning");
    }

    #[test]
    fn an_alert_is_taken_on_by_whoever_may_decide_about_it() {
        let takes = |mode, on, decides, alert: &Alert| {
            takes_on(Policy { mode, on, cooldown: Span::from_secs(0) }, decides, alert)
        };
        let (drift, concept) = (alert(CauseKind::Input, None, &[0]), alert(CauseKind::Concept, Some(1), &[1]));
        let (auto, propose) = (Mode::Auto, Mode::Propose);
        assert!(takes(propose, Trigger::Both, propose, &drift));
        assert!(takes(auto, Trigger::Both, propose, &drift) && takes(auto, Trigger::Both, propose, &concept));
        assert!(!takes(auto, Trigger::Both, auto, &drift), "drift alone is only ever proposed");
        assert!(takes(auto, Trigger::Both, auto, &concept) && takes(auto, Trigger::Drift, auto, &drift));
        assert!(!takes(propose, Trigger::Harm, propose, &drift), "it asks for nothing");
        let skew = alert(CauseKind::Skew, Some(0), &[0]);
        assert!(!takes(propose, Trigger::Both, propose, &skew), "serving is mended, not the model");
    }

    #[test]
    fn tasks_are_those_of_all_alerts() {
        let alerts = [alert(CauseKind::Head, Some(2), &[1, 2]), alert(CauseKind::Input, None, &[0, 2])];
        let expected = BTreeMap::from([(0, CauseKind::Input), (2, CauseKind::Head)]);
        assert_eq!(tasks(&alerts), expected);
    }
}
