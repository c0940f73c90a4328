//! The keys of a token issuer, from its address or a file.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use secrecy::SecretString;

use super::http::{Call, Http, Options, SetUpError};
use crate::access::jwt::KeySource;

/// A caller waits for it.
const DEADLINE: Duration = Duration::from_secs(5);

/// An address that the operator has chosen.
pub struct KeySetUrl {
    http: Http,
    url: SecretString,
}

impl KeySetUrl {
    /// At this address.
    ///
    /// # Errors
    /// If there is no TLS.
    pub fn new(url: &str) -> Result<KeySetUrl, SetUpError> {
        Ok(KeySetUrl { http: Http::new(Options::operator(DEADLINE))?, url: url.into() })
    }
}

#[async_trait]
impl KeySource for KeySetUrl {
    async fn fetch(&self) -> Result<String, String> {
        let call = Call::new(Method::GET, &self.url).header("accept", "application/json".to_owned());
        let answer = self.http.send(call).await.map_err(|failure| failure.to_string())?;
        match (answer.status, answer.complete) {
            (200, true) => String::from_utf8(answer.body).map_err(|_| "the answer is no text".to_owned()),
            (200, false) => Err("the answer is longer than 64 KiB or did not come in time".to_owned()),
            (status, _) => Err(format!("HTTP status {status}")),
        }
    }
}

/// A file, which may be replaced while we run.
pub struct KeySetFile(pub PathBuf);

#[async_trait]
impl KeySource for KeySetFile {
    async fn fetch(&self) -> Result<String, String> {
        let text = tokio::fs::read_to_string(&self.0).await;
        text.map_err(|error| format!("`{}`: {error}", self.0.display()))
    }
}
