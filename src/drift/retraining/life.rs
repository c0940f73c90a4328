//! The life of a retraining request.
//!
//! ```text
//! proposed ──approve──▶ requested ──the target has a run──▶ accepted ──started──▶ running ──▶ succeeded
//!    │                      │                                                        │          failed
//!    ├─ reject ▶ rejected   ├─ dry run ▶ cancelled                                   └───────▶ cancelled
//!    └─ too long ▶ expired  └─ refused for too long ▶ failed        (too long in any of them ▶ expired)
//! ```
//!
//! What a run reports may overtake what we know: a run that was created by a call whose answer was
//! lost reports that it runs while the request is still `requested`. So a report leads on from
//! every state in which the target may have been called.

use serde::{Deserialize, Serialize};

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for a person, or for driftd where it may decide.
    Proposed,
    /// To be started.
    Requested,
    /// The target has a run of it.
    Accepted,
    /// The run has said that it runs.
    Running,
    /// A new model is there.
    Succeeded,
    /// No new model came of it.
    Failed,
    /// A person said no.
    Rejected,
    /// It was called off, or it was a dry run.
    Cancelled,
    /// Nobody decided, or nothing was heard of the run, for too long.
    Expired,
}

/// What a run says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It runs.
    Started,
    /// It is done, and there is a candidate.
    Succeeded,
    /// It is done, and there is none.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

/// What may happen to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A person, or the policy, said yes.
    Approved,
    /// A person said no.
    Rejected,
    /// The target has a run of it.
    Accepted,
    /// The target did not take it for too long.
    GivenUp,
    /// It was only to be shown what would be sent.
    Shown,
    /// The run has reported.
    Reported(Report),
    /// The state's time is over.
    TimeOver,
}

/// Why an event leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// It has happened before.
    #[error("the request is `{}` already", .0.name())]
    Repeated(State),
    /// The request is past it, or has not come to it.
    #[error("the request is `{}`: it cannot become `{}`", from.name(), to.name())]
    Out {
        /// Where it is.
        from: State,
        /// Where it would go.
        to: State,
    },
}

impl State {
    /// All states.
    pub const ALL: [State; 9] = [
        State::Proposed,
        State::Requested,
        State::Accepted,
        State::Running,
        State::Succeeded,
        State::Failed,
        State::Rejected,
        State::Cancelled,
        State::Expired,
    ];

    /// The name in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            State::Proposed => "proposed",
            State::Requested => "requested",
            State::Accepted => "accepted",
            State::Running => "running",
            State::Succeeded => "succeeded",
            State::Failed => "failed",
            State::Rejected => "rejected",
            State::Cancelled => "cancelled",
            State::Expired => "expired",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether the request still holds its model's place: a model has one open request at most.
    pub fn is_open(self) -> bool {
        matches!(self, State::Proposed | State::Requested | State::Accepted | State::Running)
    }

    /// The type of the event that tells of having come here.
    pub fn event(self) -> &'static str {
        match self {
            State::Proposed => "retraining.proposed",
            State::Requested => "retraining.requested",
            State::Accepted => "retraining.accepted",
            State::Running => "retraining.started",
            State::Succeeded => "retraining.succeeded",
            State::Failed => "retraining.failed",
            State::Rejected => "retraining.rejected",
            State::Cancelled => "retraining.cancelled",
            State::Expired => "retraining.expired",
        }
    }
}

impl Report {
    /// All reports.
    pub const ALL: [Report; 4] = [Report::Started, Report::Succeeded, Report::Failed, Report::Cancelled];

    /// The name in a call-back.
    pub fn name(self) -> &'static str {
        match self {
            Report::Started => "started",
            Report::Succeeded => "succeeded",
            Report::Failed => "failed",
            Report::Cancelled => "cancelled",
        }
    }
}

impl Event {
    /// Where it leads, from wherever it may happen.
    pub fn to(self) -> State {
        match self {
            Event::Approved => State::Requested,
            Event::Rejected => State::Rejected,
            Event::Accepted => State::Accepted,
            Event::GivenUp | Event::Reported(Report::Failed) => State::Failed,
            Event::Shown | Event::Reported(Report::Cancelled) => State::Cancelled,
            Event::Reported(Report::Started) => State::Running,
            Event::Reported(Report::Succeeded) => State::Succeeded,
            Event::TimeOver => State::Expired,
        }
    }
}

/// Where an event leads from a state.
///
/// # Errors
/// [`Illegal`] if it cannot happen there; the request stays as it is.
pub fn next(from: State, event: Event) -> Result<State, Illegal> {
    let to = event.to();
    let legal = match event {
        Event::Approved | Event::Rejected => from == State::Proposed,
        Event::Accepted | Event::GivenUp | Event::Shown => from == State::Requested,
        Event::Reported(Report::Started) => matches!(from, State::Requested | State::Accepted),
        Event::Reported(_) => matches!(from, State::Requested | State::Accepted | State::Running),
        Event::TimeOver => from.is_open(),
    };
    match legal {
        true => Ok(to),
        false if from == to => Err(Illegal::Repeated(from)),
        false => Err(Illegal::Out { from, to }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let mut all =
            vec![Event::Approved, Event::Rejected, Event::Accepted, Event::GivenUp, Event::Shown, Event::TimeOver];
        all.extend(Report::ALL.map(Event::Reported));
        all
    }

    #[test]
    fn every_step_is_drawn() {
        let mut steps: Vec<String> = Vec::new();
        for from in State::ALL {
            let to: std::collections::BTreeSet<&str> =
                events().into_iter().filter_map(|e| next(from, e).ok()).map(State::name).collect();
            steps.push(format!("{}: {}", from.name(), to.into_iter().collect::<Vec<_>>().join(" ")));
        }
        assert_eq!(
            steps,
            [
                "proposed: expired rejected requested",
                "requested: accepted cancelled expired failed running succeeded",
                "accepted: cancelled expired failed running succeeded",
                "running: cancelled expired failed succeeded",
                "succeeded: ",
                "failed: ",
                "rejected: ",
                "cancelled: ",
                "expired: ",
            ]
        );
    }

    #[test]
    fn an_end_is_an_end_and_a_repetition_is_told_from_it() {
        for from in State::ALL.into_iter().filter(|s| !s.is_open()) {
            for event in events() {
                assert!(next(from, event).is_err(), "{from:?} {event:?}");
            }
        }
        let started = Event::Reported(Report::Started);
        assert_eq!(next(State::Running, started), Err(Illegal::Repeated(State::Running)));
        let succeeded = Event::Reported(Report::Succeeded);
        assert_eq!(next(State::Succeeded, succeeded), Err(Illegal::Repeated(State::Succeeded)));
        let out = next(State::Failed, succeeded).expect_err("it has failed");
        assert_eq!(out.to_string(), "the request is `failed`: it cannot become `succeeded`");
    }

    #[test]
    fn names_come_back() {
        for state in State::ALL {
            assert_eq!(State::parse(state.name()), Some(state));
            assert_eq!(serde_json::to_value(state).expect("JSON"), state.name());
        }
        for report in Report::ALL {
            assert_eq!(serde_json::to_value(report).expect("JSON"), report.name());
        }
        assert_eq!(State::parse("done"), None);
    }
}
