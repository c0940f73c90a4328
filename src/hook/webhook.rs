//! Messages by HTTP POST, signed as Standard Webhooks 1.0.0.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::Attempt;
use super::http::{Call, Http, Options, SetUpError};
use crate::drift::time::Timestamp;
use crate::signature;

/// One endpoint.
pub struct Webhook {
    http: Http,
    url: SecretString,
    key: Option<Vec<u8>>,
}

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Client(#[from] SetUpError),
    /// The secret is not one.
    #[error(transparent)]
    Secret(#[from] signature::SecretError),
}

impl Webhook {
    /// For one endpoint; the whole exchange takes at most `timeout`.
    ///
    /// # Errors
    /// [`WebhookError`] if the secret is not one or TLS is not available.
    pub fn new(url: SecretString, secret: Option<&SecretString>, timeout: Duration) -> Result<Webhook, WebhookError> {
        let key = secret.map(|s| signature::key(s.expose_secret())).transpose()?;
        Ok(Webhook { http: Http::new(Options::operator(timeout))?, url, key })
    }

    /// One attempt to deliver a message.
    pub async fn send(&self, id: &str, body: &str, now: Timestamp) -> Attempt {
        let secs = now.micros().div_euclid(1_000_000);
        let mut call = Call::post(&self.url, "application/json", body.to_owned())
            .header("webhook-id", id.to_owned())
            .header("webhook-timestamp", secs.to_string());
        if let Some(key) = &self.key {
            call = call.header("webhook-signature", signature::sign(key, id, secs, body));
        }
        match self.http.send(call).await {
            Ok(answer) => answer.attempt(),
            Err(failure) => failure.attempt(),
        }
    }
}
