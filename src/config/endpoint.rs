//! Receivers of events: what the file may say of them, and what is valid.

use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::raw::{Secret, SecretRef};
use super::validate::Checker;
use crate::drift::time::Span;

/// Longest time that a whole exchange may take: the lease of a message outlives it.
const MOST_TIMEOUT: Duration = Duration::from_secs(60);

/// A receiver of events.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEndpoint {
    /// Its name in logs, metrics and the store.
    pub name: String,
    /// What it is.
    #[serde(default)]
    pub kind: EndpointKind,
    /// Where to send. Not for `alertmanager`, which has `urls`; `pagerduty` has an address of its own.
    pub url: Option<Secret>,
    /// For `alertmanager`: every instance, such as `http://alertmanager-0:9093`, and no load balancer.
    #[serde(default)]
    pub urls: Vec<Secret>,
    /// For `webhook`: form of the body.
    #[serde(default)]
    pub style: BodyStyle,
    /// For `webhook`: signing secret `whsec_…`; without one, messages are not signed.
    pub secret: Option<SecretRef>,
    /// For `webhook` and `alertmanager`: sent as `Authorization: Bearer …`.
    pub bearer: Option<SecretRef>,
    /// For `pagerduty`: the integration's key.
    pub routing_key: Option<SecretRef>,
    /// What it wants; by default everything that its kind can tell.
    pub events: Option<Vec<EventKind>>,
    /// The whole exchange may take this long.
    #[serde(default = "default_timeout")]
    pub timeout: String,
    /// Undelivered events are given up after this age.
    #[serde(default = "default_max_age")]
    pub max_age: String,
}

/// What a receiver is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// An HTTP address of your own, with messages signed as Standard Webhooks.
    #[default]
    Webhook,
    /// Alertmanager's API v2.
    Alertmanager,
    /// PagerDuty's Events API v2.
    PagerDuty,
    /// A Slack incoming webhook.
    Slack,
    /// A Microsoft Teams workflow.
    Teams,
}

/// Form of a webhook's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BodyStyle {
    /// `{type, timestamp, data}`, as Standard Webhooks has it.
    #[default]
    Standard,
    /// What Alertmanager sends to webhooks (version 4), for its many bridges.
    Alertmanager,
    /// CloudEvents 1.0, structured.
    CloudEvents,
}

/// Kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Alerts that fire, grow or resolve.
    Alerts,
    /// Retraining requests.
    Retraining,
    /// Records that were lost before they could be read, and endpoints that were disabled.
    Pipeline,
}

/// A valid receiver.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name in logs, metrics and the store.
    pub name: String,
    /// Where and in which form.
    pub target: EndpointTarget,
    /// What it wants.
    pub events: Vec<EventKind>,
    /// The whole exchange may take this long.
    pub timeout: Duration,
    /// Undelivered events are given up after this age.
    pub max_age: Span,
}

/// Where messages go and in which form.
#[derive(Clone, Debug)]
pub enum EndpointTarget {
    /// An HTTP address.
    Webhook {
        /// Where.
        url: SecretString,
        /// Signing secret, `whsec_…`.
        secret: Option<SecretString>,
        /// Form of the body.
        style: BodyStyle,
        /// Bearer token.
        bearer: Option<SecretString>,
    },
    /// Alertmanager.
    Alertmanager {
        /// Where each instance takes alerts.
        urls: Vec<SecretString>,
        /// Bearer token.
        bearer: Option<SecretString>,
    },
    /// PagerDuty.
    PagerDuty {
        /// Where, if not at PagerDuty's own address.
        url: Option<SecretString>,
        /// The integration's key.
        routing_key: SecretString,
    },
    /// Slack.
    Slack {
        /// Where.
        url: SecretString,
    },
    /// Teams.
    Teams {
        /// Where.
        url: SecretString,
    },
}

impl EndpointKind {
    /// What a receiver of this kind can tell: one that shows states has no state for a request.
    fn events(self) -> Vec<EventKind> {
        match self {
            EndpointKind::Alertmanager | EndpointKind::PagerDuty => vec![EventKind::Alerts, EventKind::Pipeline],
            EndpointKind::Webhook | EndpointKind::Slack | EndpointKind::Teams => {
                vec![EventKind::Alerts, EventKind::Retraining, EventKind::Pipeline]
            }
        }
    }
}

impl Checker<'_> {
    pub(super) fn endpoint(&mut self, i: usize, raw: &RawEndpoint) -> Option<Endpoint> {
        let at = |key: &str| format!("/endpoints/{i}/{key}");
        let earlier = &self.document.content.endpoints[..i];
        if earlier.iter().any(|e| e.name == raw.name) {
            self.fail(&at("name"), format!("`{}` is named twice", raw.name));
        }
        let target = self.endpoint_target(&at, raw);
        let possible = raw.kind.events();
        let events = raw.events.clone().unwrap_or_else(|| possible.clone());
        if events.iter().any(|event| !possible.contains(event)) {
            self.fail(&at("events"), "a receiver of this kind takes `alerts` and `pipeline` only");
        }
        let timeout = self.positive(&at("timeout"), &raw.timeout);
        let max_age = self.positive(&at("max_age"), &raw.max_age);
        let timeout = timeout.map(Span::to_std).filter(|t| *t <= MOST_TIMEOUT);
        if timeout.is_none() {
            self.fail(&at("timeout"), "must be between 1ms and 60s");
        }
        Some(Endpoint { name: raw.name.clone(), target: target?, events, timeout: timeout?, max_age: max_age? })
    }

    fn endpoint_target(&mut self, at: &dyn Fn(&str) -> String, raw: &RawEndpoint) -> Option<EndpointTarget> {
        let kind = raw.kind;
        let webhook = kind == EndpointKind::Webhook;
        let alertmanager = kind == EndpointKind::Alertmanager;
        for (key, said, fits) in [
            ("url", raw.url.is_some(), !alertmanager),
            ("urls", !raw.urls.is_empty(), alertmanager),
            ("style", raw.style != BodyStyle::Standard, webhook),
            ("secret", raw.secret.is_some(), webhook),
            ("bearer", raw.bearer.is_some(), webhook || alertmanager),
            ("routing_key", raw.routing_key.is_some(), kind == EndpointKind::PagerDuty),
        ] {
            if said && !fits {
                self.fail(&at(key), format!("`{key}` is not for a receiver of this kind"));
            }
        }
        let found = |secret: Option<Option<String>>| -> Option<Option<SecretString>> {
            secret.map_or(Some(None), |found| found.map(|s| Some(SecretString::from(s))))
        };
        let bearer = found(raw.bearer.clone().map(|s| self.secret(&at("bearer"), &Secret::Elsewhere(s))));
        match kind {
            EndpointKind::Alertmanager => {
                if raw.urls.is_empty() {
                    self.fail(&at("urls"), "name every instance, such as `http://alertmanager-0:9093`");
                }
                let urls: Vec<Option<String>> =
                    raw.urls.iter().enumerate().map(|(n, url)| self.address(&at(&format!("urls/{n}")), url)).collect();
                let instance = |url: String| SecretString::from(format!("{}/api/v2/alerts", url.trim_end_matches('/')));
                let urls: Option<Vec<_>> = urls.into_iter().map(|url| url.map(instance)).collect();
                Some(EndpointTarget::Alertmanager { urls: urls.filter(|u| !u.is_empty())?, bearer: bearer? })
            }
            EndpointKind::PagerDuty => {
                let url = found(raw.url.as_ref().map(|url| self.address(&at("url"), url)));
                let Some(key) = raw.routing_key.clone() else {
                    self.fail(&at("routing_key"), "is missing: the integration's key, in a file or in the environment");
                    return None;
                };
                let routing_key = self.secret(&at("routing_key"), &Secret::Elsewhere(key));
                Some(EndpointTarget::PagerDuty { url: url?, routing_key: SecretString::from(routing_key?) })
            }
            EndpointKind::Webhook | EndpointKind::Slack | EndpointKind::Teams => {
                let Some(url) = &raw.url else {
                    self.fail(&at("url"), "is missing");
                    return None;
                };
                let url = self.address(&at("url"), url).map(SecretString::from);
                let secret = raw.secret.clone().map(|s| self.secret(&at("secret"), &Secret::Elsewhere(s)));
                if let Some(Some(secret)) = &secret
                    && let Err(error) = crate::signature::key(secret)
                {
                    self.fail(&at("secret"), error.to_string());
                }
                let (url, secret) = (url?, found(secret)?);
                Some(match kind {
                    EndpointKind::Slack => EndpointTarget::Slack { url },
                    EndpointKind::Teams => EndpointTarget::Teams { url },
                    _ => EndpointTarget::Webhook { url, secret, style: raw.style, bearer: bearer? },
                })
            }
        }
    }

    fn address(&mut self, path: &str, url: &Secret) -> Option<String> {
        let url = self.secret(path, url)?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            self.fail(path, "must begin with `https://` or `http://`");
            return None;
        }
        Some(url)
    }
}

fn default_timeout() -> String {
    "15s".into()
}

fn default_max_age() -> String {
    "72h".into()
}
