//! A receiver: where its messages go and in which form. The form is a pure function of the stored message;
//! here is only which one, and what the answers mean.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::alertmanager::{self, Item};
use super::digest::digest;
use super::http::{Call, Http, Options, SetUpError};
use super::message::{Event, Message};
use super::words::{Words, words};
use super::{Attempt, cloudevents, pagerduty, slack, teams};
use crate::drift::time::Timestamp;
use crate::signature;

/// Form of a webhook's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Standard Webhooks: the message as it is stored.
    #[default]
    Standard,
    /// What Alertmanager sends to webhooks, version 4.
    Alertmanager,
    /// CloudEvents 1.0, structured.
    CloudEvents,
}

/// Where messages go.
#[derive(Clone, Debug)]
pub enum Target {
    /// An HTTP address of somebody's own.
    Webhook {
        /// Where.
        url: SecretString,
        /// Signing key.
        key: Option<Vec<u8>>,
        /// Form of the body.
        style: Style,
        /// Bearer token.
        bearer: Option<SecretString>,
    },
    /// Every instance of an Alertmanager: a cluster's members do not tell each other of alerts.
    Alertmanager {
        /// Where `POST /api/v2/alerts` is taken, one address an instance.
        urls: Vec<SecretString>,
        /// Bearer token.
        bearer: Option<SecretString>,
    },
    /// PagerDuty's Events API v2.
    PagerDuty {
        /// Where.
        url: SecretString,
        /// The integration's key.
        routing_key: SecretString,
    },
    /// A Slack incoming webhook.
    Slack {
        /// Where.
        url: SecretString,
    },
    /// A Teams workflow.
    Teams {
        /// Where.
        url: SecretString,
    },
}

/// A receiver.
#[derive(Clone)]
pub struct Receiver {
    http: Http,
    name: String,
    target: Target,
    public_url: Option<String>,
}

/// What is sent at once: one message, or several where the receiver can take several. The oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// Id of the delivery, the same over all attempts.
    pub id: &'a str,
    /// Stored bodies, and when they were written.
    pub bodies: &'a [(String, Timestamp)],
    /// Whether they waited for a receiver that could not be reached.
    pub late: bool,
}

impl Receiver {
    /// For one endpoint; a whole exchange takes at most `timeout`.
    ///
    /// # Errors
    /// [`SetUpError`] if TLS is not available.
    pub fn new(
        name: &str,
        target: Target,
        public_url: Option<&str>,
        timeout: Duration,
    ) -> Result<Receiver, SetUpError> {
        Receiver::over(name, target, public_url, Options::operator(timeout))
    }

    /// As [`Receiver::new`], by a client with other options.
    ///
    /// # Errors
    /// [`SetUpError`] if TLS is not available or the authorities are not any.
    pub fn over(
        name: &str,
        target: Target,
        public_url: Option<&str>,
        options: Options,
    ) -> Result<Receiver, SetUpError> {
        let http = Http::new(options)?;
        Ok(Receiver { http, name: name.to_owned(), target, public_url: public_url.map(str::to_owned) })
    }

    /// Whether one message can tell of several alerts.
    pub fn takes_several(&self) -> bool {
        match &self.target {
            Target::Webhook { style, .. } => *style == Style::Alertmanager,
            Target::Alertmanager { .. } | Target::Slack { .. } | Target::Teams { .. } => true,
            Target::PagerDuty { .. } => false,
        }
    }

    /// Whether standing alerts must be sent again and again.
    pub fn forgets(&self) -> bool {
        matches!(self.target, Target::Alertmanager { .. })
    }

    /// One attempt to deliver.
    pub async fn send(&self, letter: Letter<'_>, now: Timestamp) -> Attempt {
        match &self.target {
            Target::Webhook { url, key, style, bearer } => {
                let Some((content_type, body)) = self.webhook_body(*style, letter, now) else { return unreadable() };
                let secs = now.micros().div_euclid(1_000_000);
                let mut call = Call::post(url, content_type, body.clone())
                    .header("webhook-id", letter.id.to_owned())
                    .header("webhook-timestamp", secs.to_string());
                if let Some(key) = key {
                    call = call.header("webhook-signature", signature::sign(key, letter.id, secs, &body));
                }
                self.post(with_bearer(call, bearer.as_ref())).await
            }
            Target::Alertmanager { .. } => match items(letter) {
                Some(items) => self.send_alerts(&items, now).await,
                None => unreadable(),
            },
            Target::PagerDuty { url, routing_key } => {
                let Some(item) = items(letter).and_then(|mut items| items.pop()) else { return unreadable() };
                let words = words(&item.message, self.public_url.as_deref());
                let body = pagerduty::body(&item.message, &words, routing_key.expose_secret());
                self.post(json_call(url, &body).hiding(routing_key.expose_secret())).await
            }
            Target::Slack { url } => match self.told(letter) {
                Some((words, about)) => self.post(json_call(url, &slack::body(&words, &about))).await,
                None => unreadable(),
            },
            Target::Teams { url } => match self.told(letter) {
                Some((words, about)) => self.post(json_call(url, &teams::body(&words, &about))).await,
                None => unreadable(),
            },
        }
    }

    /// Alerts to every instance. One instance that takes them is enough: it tells people, and the others
    /// get them with the next repetition.
    pub async fn send_alerts(&self, items: &[Item], now: Timestamp) -> Attempt {
        let Target::Alertmanager { urls, bearer } = &self.target else { return unreadable() };
        let alerts: Vec<Value> = items
            .iter()
            .filter(|item| item.message.event() != Event::Retraining)
            .map(|item| alertmanager::alert(item, now, self.public_url.as_deref()))
            .collect();
        let mut instances = tokio::task::JoinSet::new();
        for url in urls {
            let (receiver, url, bearer, alerts) = (self.clone(), url.clone(), bearer.clone(), alerts.clone());
            instances.spawn(async move { receiver.send_to_instance(&url, bearer.as_ref(), &alerts).await });
        }
        let mut failure = None;
        let mut delivered = None;
        while let Some(outcome) = instances.join_next().await {
            match outcome.unwrap_or_else(|_| retry(None, "unreachable")) {
                Attempt::Delivered { status } => delivered = Some(Attempt::Delivered { status }),
                // An instance that says it is gone comes back with the next roll-out.
                Attempt::Gone => {
                    failure = Some(retry(Some(410), "client_error"));
                }
                retry @ Attempt::Retry { .. } => failure = Some(retry),
            }
        }
        delivered.or(failure).unwrap_or_else(unreadable)
    }

    /// Alertmanager says 400 to a batch of which it took all but one; sent one by one, only that one fails.
    async fn send_to_instance(&self, url: &SecretString, bearer: Option<&SecretString>, alerts: &[Value]) -> Attempt {
        let whole = self.post(with_bearer(json_call(url, &Value::from(alerts.to_vec())), bearer)).await;
        if alerts.len() < 2 || !matches!(whole, Attempt::Retry { status: Some(400), .. }) {
            return whole;
        }
        let mut worst = None;
        let mut taken = None;
        for alert in alerts {
            match self.post(with_bearer(json_call(url, &Value::from(vec![alert.clone()])), bearer)).await {
                delivered @ Attempt::Delivered { .. } => taken = Some(delivered),
                other => worst = Some(other),
            }
        }
        worst.or(taken).unwrap_or(whole)
    }

    async fn post(&self, call: Call<'_>) -> Attempt {
        match self.http.send(call).await {
            Ok(answer) => {
                if !answer.is_success() {
                    tracing::warn!(endpoint = self.name, status = answer.status, said = answer.kept, "refused");
                }
                answer.attempt()
            }
            Err(failure) => {
                tracing::warn!(endpoint = self.name, %failure, "not reached");
                failure.attempt()
            }
        }
    }

    fn webhook_body(&self, style: Style, letter: Letter<'_>, now: Timestamp) -> Option<(&'static str, String)> {
        let (newest, _) = letter.bodies.last()?;
        Some(match style {
            Style::Standard => ("application/json", newest.clone()),
            Style::Alertmanager => {
                let items = items(letter)?;
                let body = alertmanager::webhook(&items, now, &self.name, self.public_url.as_deref());
                ("application/json", body.to_string())
            }
            Style::CloudEvents => {
                let message = Message::read(newest).ok()?;
                let mut value: Value = serde_json::from_str(newest).ok()?;
                let body = cloudevents::body(&message, &value["data"].take(), letter.id, self.public_url.as_deref());
                (cloudevents::CONTENT_TYPE, body.to_string())
            }
        })
    }

    /// A letter in words, and what it is about.
    fn told(&self, letter: Letter<'_>) -> Option<(Words, String)> {
        let items = items(letter)?;
        let about = match items.as_slice() {
            [one] => one.message.about(),
            several => format!("{} alerts", several.len()),
        };
        let words = items.iter().map(|item| words(&item.message, self.public_url.as_deref())).collect();
        Some((digest(words, letter.late, self.public_url.as_deref())?, about))
    }
}

/// Those messages of a letter that can be read; `None` if there is none.
fn items(letter: Letter<'_>) -> Option<Vec<Item>> {
    let read = |(body, created): &(String, Timestamp)| {
        Message::read(body).ok().map(|message| Item { message, created: *created })
    };
    let items: Vec<Item> = letter.bodies.iter().filter_map(read).collect();
    (!items.is_empty()).then_some(items)
}

fn json_call<'a>(url: &'a SecretString, body: &Value) -> Call<'a> {
    Call::post(url, "application/json", body.to_string())
}

fn with_bearer<'a>(call: Call<'a>, bearer: Option<&SecretString>) -> Call<'a> {
    match bearer {
        Some(token) => call.secret_header("authorization", &format!("Bearer {}", token.expose_secret())),
        None => call,
    }
}

/// What is stored is not a message, or not one for this kind of receiver: trying again is of no use.
fn unreadable() -> Attempt {
    retry(None, "unreadable")
}

fn retry(status: Option<u16>, reason: &'static str) -> Attempt {
    Attempt::Retry { status, after: None, reason, detail: String::new() }
}
