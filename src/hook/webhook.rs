//! Messages by HTTP POST, signed, within one deadline, without following redirects.

use std::time::Duration;

use reqwest::{Client, StatusCode, header, redirect};
use secrecy::{ExposeSecret, SecretString};

use super::Attempt;
use crate::drift::time::Timestamp;
use crate::signature;

/// Longest wait that a receiver may ask for.
const MOST_RETRY_AFTER: Duration = Duration::from_secs(6 * 3_600);

/// One endpoint.
pub struct Webhook {
    client: Client,
    url: SecretString,
    key: Option<Vec<u8>>,
}

/// Why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
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
        // The provider is installed once for the process; a second call finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("driftd/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let key = secret.map(|s| signature::key(s.expose_secret())).transpose()?;
        Ok(Webhook { client, url, key })
    }

    /// One attempt to deliver a message.
    pub async fn send(&self, id: &str, body: &str, now: Timestamp) -> Attempt {
        let secs = now.micros().div_euclid(1_000_000);
        let mut request = self
            .client
            .post(self.url.expose_secret())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", secs.to_string());
        if let Some(key) = &self.key {
            request = request.header("webhook-signature", signature::sign(key, id, secs, body));
        }
        match request.body(body.to_owned()).send().await {
            // The body of the answer is never read: nothing in it matters, and it may be endless.
            Ok(answer) => {
                judge(answer.status(), answer.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()))
            }
            Err(error) if error.is_timeout() => Attempt::Retry { status: None, after: None, reason: "timeout" },
            Err(_) => Attempt::Retry { status: None, after: None, reason: "unreachable" },
        }
    }
}

fn judge(status: StatusCode, retry_after: Option<&str>) -> Attempt {
    let code = status.as_u16();
    let after = retry_after.and_then(|v| v.parse::<u64>().ok()).map(|s| Duration::from_secs(s).min(MOST_RETRY_AFTER));
    let retry = |reason| Attempt::Retry { status: Some(code), after, reason };
    match code {
        200..=299 => Attempt::Delivered { status: code },
        410 => Attempt::Gone,
        429 => retry("rate_limited"),
        401 | 403 => retry("auth_error"),
        300..=399 => retry("redirect"),
        400..=499 => retry("client_error"),
        _ => retry("server_error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_by_the_specification() {
        let of = |code: u16, after| judge(StatusCode::from_u16(code).expect("a status"), after);
        assert_eq!(of(204, None), Attempt::Delivered { status: 204 });
        assert_eq!(of(410, None), Attempt::Gone);
        let limited = Attempt::Retry { status: Some(429), after: Some(Duration::from_secs(7)), reason: "rate_limited" };
        assert_eq!(of(429, Some("7")), limited);
        assert!(matches!(of(302, None), Attempt::Retry { reason: "redirect", .. }));
        assert!(matches!(of(503, Some("Wed, 21 Oct 2026 07:28:00 GMT")), Attempt::Retry { after: None, .. }));
        let Attempt::Retry { after, .. } = of(503, Some("99999999")) else { panic!("retry") };
        assert_eq!(after, Some(MOST_RETRY_AFTER));
    }
}
