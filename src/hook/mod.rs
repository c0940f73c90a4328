//! The hook door: signed messages to the outside.
//!
//! Contract: an attempt ends within its deadline with an `Attempt`; whether to try again is said
//! by the receiver's answer and decided by the deliver loop. The message id stays the same over
//! all attempts, so that a receiver can tell a repetition.

/// One HTTP client for all hooks.
pub mod http;

/// Why an exchange came to no answer, in words.
mod failing;

/// The keys of a token issuer.
pub mod key_set;

/// Which addresses a request may reach.
pub mod guard;

/// Signed messages by HTTP POST.
pub mod webhook;

/// Training as a run of an Airflow DAG.
pub mod airflow;

/// Training as an Argo workflow.
pub mod argo;

/// Training as a run of a Kubeflow pipeline.
pub mod kubeflow;

/// Training as a Job made from a suspended CronJob.
pub mod kubernetes;

/// A system whose API we call.
pub mod site;

/// Training by any other call.
pub mod template;

/// Where messages go, and in which form.
pub mod receiver;

/// Several messages as one.
pub mod digest;
/// A message as Prometheus knows alerts.
mod labels;
/// A stored message, read back.
pub mod message;
/// What a message says to people.
pub mod words;

/// Alertmanager, and the body it sends itself.
pub mod alertmanager;
/// CloudEvents.
mod cloudevents;
/// PagerDuty.
pub mod pagerduty;
/// Slack.
mod slack;
/// Microsoft Teams.
mod teams;

/// Training started by a signed message.
pub mod signed;

/// Starting training.
pub mod trainer;

use std::time::Duration;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver has it.
    Delivered {
        /// HTTP status.
        status: u16,
    },
    /// Not now; perhaps later.
    Retry {
        /// HTTP status, if there was an answer.
        status: Option<u16>,
        /// How long the receiver asked to be left alone.
        after: Option<Duration>,
        /// Bounded reason.
        reason: &'static str,
        /// For people: what was wrong, or the beginning of what the receiver said; empty if nothing is known.
        detail: String,
    },
    /// The receiver is gone for good (410).
    Gone,
}
