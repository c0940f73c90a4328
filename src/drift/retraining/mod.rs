//! When to ask for retraining, and for which tasks.

use serde::{Deserialize, Serialize};

use super::alert::{AlertState, Transition};
use super::cause::{Cause, CauseKind};
use super::time::{Span, Timestamp};

/// From the first word to the last: states, and what leads from one to the next.
pub mod life;

/// What a request covers while its alerts stand.
pub mod covering;

/// What training is told, and by which a new model is accepted.
pub mod plan;

/// Who decides about a retraining request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nobody: no requests are made.
    Off,
    /// A person approves what driftd proposes.
    #[default]
    Propose,
    /// driftd requests by itself.
    Auto,
}

/// What asks for retraining.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Only harm: labels show that answers have become worse.
    Harm,
    /// Every drift that training may mend, harmful or not.
    Drift,
    /// Harm is handled as `mode` says; drift alone is only ever proposed.
    #[default]
    Both,
}

/// Why a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Labels show harm.
    Harm,
    /// Drift, harmful or not.
    Drift,
    /// It was time.
    Schedule,
    /// A person wanted it.
    Manual,
}

/// A model's policy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Who decides.
    pub mode: Mode,
    /// What asks.
    pub on: Trigger,
    /// Event time between two requests for one model.
    pub cooldown: Span,
}

/// A retraining request, created at most once for each alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What asks for it.
    pub kind: Kind,
    /// Who decides about it; never [`Mode::Off`].
    pub mode: Mode,
    /// Tasks to retrain.
    pub tasks: Vec<usize>,
    /// Tasks that must not get worse.
    pub protected: Vec<usize>,
    /// When.
    pub at: Timestamp,
}

impl Mode {
    /// The name in the configuration and the store.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Propose => "propose",
            Mode::Auto => "auto",
        }
    }
}

impl Kind {
    /// The name in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Harm => "harm",
            Kind::Drift => "drift",
            Kind::Schedule => "schedule",
            Kind::Manual => "manual",
        }
    }
}

impl Policy {
    /// Who decides about a request of this kind; `None` if none is made.
    pub fn decides(self, kind: Kind) -> Option<Mode> {
        match (self.mode, self.on, kind) {
            (Mode::Off, ..) => None,
            (_, Trigger::Harm, Kind::Drift) => None,
            (Mode::Auto, Trigger::Both, Kind::Drift) => Some(Mode::Propose),
            (mode, ..) => Some(mode),
        }
    }
}

/// The request that a transition asks for under a policy, if any. `harm` says whether labels show
/// harm at this moment; `last` is when the model's latest request was made, and moves when one is
/// made now.
///
/// The cause's tasks are retrained: a head's own, or those an input or encoder shift has reached;
/// the others are protected. An undetermined cause asks for nothing, nor does one that training does not
/// mend, until the alert grows to one that does.
pub fn request(
    policy: Policy,
    transition: &Transition,
    harm: Kind,
    tasks: usize,
    last: &mut Option<Timestamp>,
) -> Option<Request> {
    let cause = &transition.alert.cause;
    let kind = if cause.kind == CauseKind::Concept { Kind::Harm } else { harm };
    let mode = policy.decides(kind)?;
    // An alert that grows asks as well, if nothing was asked since it opened: then it has not asked itself.
    let first = transition.from != AlertState::Firing || last.is_none_or(|last| last < transition.alert.opened_at);
    let cooling = last.is_some_and(|last| transition.at.since(last) < policy.cooldown);
    let retrain = mended(cause);
    if transition.to != AlertState::Firing || !first || cooling || retrain.is_empty() {
        return None;
    }
    *last = Some(transition.at);
    let protected = (0..tasks).filter(|t| !retrain.contains(t)).collect();
    Some(Request { kind, mode, tasks: retrain, protected, at: transition.at })
}

/// The tasks whose training mends a cause.
pub fn mended(cause: &Cause) -> Vec<usize> {
    match (cause.kind, cause.task) {
        (CauseKind::Head, Some(task)) => vec![task],
        // A skew is mended in serving, another mix of classes by new priors: training mends neither.
        (CauseKind::Undetermined | CauseKind::Skew | CauseKind::Version | CauseKind::PriorShift, _) => Vec::new(),
        _ => cause.tasks_affected.clone(),
    }
}

/// The request that a window's transitions ask for, with the place of the first that asks. Where several causes fire
/// at once, it is for the tasks of all that ask: one run mends them together.
pub fn request_of_all(
    policy: Policy,
    transitions: &[Transition],
    harm: Kind,
    tasks: usize,
    last: &mut Option<Timestamp>,
) -> Option<(usize, Request)> {
    let before = *last;
    let mut asked: Option<(usize, Request)> = None;
    for (at, transition) in transitions.iter().enumerate() {
        // Each is asked as if it were the first of the window.
        let mut own = before;
        let Some(request) = request(policy, transition, harm, tasks, &mut own) else { continue };
        *last = own;
        match &mut asked {
            None => asked = Some((at, request)),
            Some((_, first)) if first.mode == request.mode && first.kind == request.kind => {
                first.tasks.extend(request.tasks);
                first.tasks.sort_unstable();
                first.tasks.dedup();
                first.protected.retain(|task| !first.tasks.contains(task));
            }
            Some(_) => {}
        }
    }
    asked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::alert::{Alert, Reason};
    use crate::drift::cause::Cause;

    fn fired(kind: CauseKind, task: Option<usize>, affected: &[usize], at: i64) -> Transition {
        let cause = Cause { kind, task, segment: None, tasks_affected: affected.to_vec() };
        let at = Timestamp::from_micros(at);
        Transition {
            alert: Alert {
                opened_slot: 1,
                ordinal: 0,
                opened_at: at,
                cause,
                ln_evidence: 9.0,
                witnesses: Vec::new(),
                harmed: Vec::new(),
            },
            from: AlertState::Pending,
            to: AlertState::Firing,
            reason: Reason::EvidenceReachedThreshold,
            at,
            slot: 1,
            versions: None,
        }
    }

    const AUTO: Policy = Policy { mode: Mode::Auto, on: Trigger::Drift, cooldown: Span::from_secs(10) };

    fn ask(policy: Policy, transition: &Transition, last: &mut Option<Timestamp>) -> Option<Request> {
        request(policy, transition, Kind::Drift, 3, last)
    }

    #[test]
    fn a_head_is_retrained_and_the_others_protected() {
        let made = ask(AUTO, &fired(CauseKind::Head, Some(1), &[1, 2], 0), &mut None).expect("a request");
        assert_eq!((made.tasks, made.protected, made.mode), (vec![1], vec![0, 2], Mode::Auto));
    }

    #[test]
    fn an_unknown_cause_a_cooling_model_and_a_policy_of_off_ask_for_nothing() {
        assert_eq!(ask(AUTO, &fired(CauseKind::Undetermined, None, &[0], 0), &mut None), None);
        let mut last = Some(Timestamp::from_micros(0));
        assert_eq!(ask(AUTO, &fired(CauseKind::Head, Some(0), &[0], 9_999_999), &mut last), None);
        assert!(ask(AUTO, &fired(CauseKind::Head, Some(0), &[0], 10_000_000), &mut last).is_some());
        let off = Policy { mode: Mode::Off, ..AUTO };
        assert_eq!(ask(off, &fired(CauseKind::Head, Some(0), &[0], 0), &mut None), None);
    }

    #[test]
    fn causes_that_fire_at_once_ask_once_and_for_all_their_tasks() {
        let two = [fired(CauseKind::Head, Some(2), &[2], 0), fired(CauseKind::Concept, Some(0), &[0], 0)];
        let mut last = None;
        let both = |transitions: &[Transition], last: &mut _| request_of_all(AUTO, transitions, Kind::Harm, 3, last);
        let (at, request) = both(&two, &mut last).expect("asked");
        assert_eq!((at, request.tasks, request.protected), (0, vec![0, 2], vec![1]));
        assert_eq!(both(&two, &mut last), None, "and then it cools down");
        let skew = [fired(CauseKind::Skew, Some(2), &[2], 0), fired(CauseKind::Head, Some(1), &[1], 0)];
        let (at, request) = both(&skew, &mut None).expect("asked");
        assert_eq!((at, request.tasks), (1, vec![1]), "what training does not mend asks for nothing");
    }

    #[test]
    fn an_alert_asks_once_it_has_reached_a_head_and_only_once() {
        let mut last = Some(Timestamp::from_micros(5));
        let mut seen = |affected: &[usize], from, at| {
            let mut transition = fired(CauseKind::Input, None, affected, at);
            (transition.from, transition.alert.opened_at) = (from, Timestamp::from_micros(20_000_000));
            ask(AUTO, &transition, &mut last).map(|r| r.tasks)
        };
        assert_eq!(seen(&[], AlertState::Pending, 20_000_000), None, "the first window holds few drifted records");
        assert_eq!(seen(&[0, 2], AlertState::Firing, 25_000_000), Some(vec![0, 2]));
        assert_eq!(seen(&[0, 1, 2], AlertState::Firing, 90_000_000), None, "not again, cooled down or not");
        let mut over = fired(CauseKind::Input, None, &[0], 30_000_000);
        (over.from, over.to) = (AlertState::Firing, AlertState::Resolved);
        assert_eq!(ask(AUTO, &over, &mut None), None);
    }

    #[test]
    fn harm_and_drift_are_handled_as_the_policy_says() {
        let drift = fired(CauseKind::Input, None, &[0], 0);
        let concept = fired(CauseKind::Concept, Some(0), &[0], 0);
        let decided = |on, transition, harm| {
            let policy = Policy { on, ..AUTO };
            request(policy, transition, harm, 3, &mut None).map(|r| (r.kind, r.mode))
        };
        assert_eq!(decided(Trigger::Harm, &drift, Kind::Drift), None);
        assert_eq!(decided(Trigger::Harm, &drift, Kind::Harm), Some((Kind::Harm, Mode::Auto)));
        assert_eq!(decided(Trigger::Harm, &concept, Kind::Drift), Some((Kind::Harm, Mode::Auto)));
        assert_eq!(decided(Trigger::Both, &drift, Kind::Drift), Some((Kind::Drift, Mode::Propose)));
        assert_eq!(decided(Trigger::Both, &concept, Kind::Drift), Some((Kind::Harm, Mode::Auto)));
        assert_eq!(decided(Trigger::Drift, &drift, Kind::Drift), Some((Kind::Drift, Mode::Auto)));
        let propose = Policy { mode: Mode::Propose, ..AUTO };
        assert_eq!(propose.decides(Kind::Manual), Some(Mode::Propose));
    }
}
