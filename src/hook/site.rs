//! A system whose API we call: where it is, how we say who we are, how paths are written.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::http::{Answer, Call, Failure, Http, Options, SetUpError};
use super::trainer::Order;

/// How we say who we are.
#[derive(Clone, Debug)]
pub enum Auth {
    /// Not at all.
    None,
    /// A token.
    Token(SecretString),
    /// A token in a file that may change, such as a service account's.
    TokenFile(PathBuf),
    /// User name and password.
    Password(String, SecretString),
}

/// A system's API.
pub struct Site {
    http: Http,
    base: Url,
    /// How we say who we are.
    pub auth: Auth,
}

/// Why a system cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The HTTP client cannot be built.
    #[error(transparent)]
    Client(#[from] SetUpError),
    /// The address is not one.
    #[error("the address is not a URL of the web")]
    Address,
}

/// So much of a body is shown of a dry run.
const MOST_SHOWN: usize = 2 << 10;

impl Site {
    /// For a system at `url`; each exchange takes at most `timeout`.
    ///
    /// # Errors
    /// [`SiteError`] if the address is no URL, or TLS cannot be set up.
    pub fn new(
        url: &SecretString,
        auth: Auth,
        authorities: Option<Vec<u8>>,
        timeout: Duration,
    ) -> Result<Site, SiteError> {
        let base = Url::parse(url.expose_secret()).map_err(|_| SiteError::Address)?;
        if base.cannot_be_a_base() {
            return Err(SiteError::Address);
        }
        let http = Http::new(Options { authorities, ..Options::operator(timeout) })?;
        Ok(Site { http, base, auth })
    }

    /// The address of a path below the system's; each segment is escaped by itself.
    pub fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// An address that people may see.
    pub fn page(&self, segments: &[&str]) -> String {
        let mut url = self.at(segments);
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_query(None);
        url.to_string()
    }

    /// Reads something.
    ///
    /// # Errors
    /// [`Failure`] if there is no answer.
    pub async fn get(&self, url: Url) -> Result<Answer, Failure> {
        let url = SecretString::from(url.to_string());
        let call = self.authorized(Call::new(Method::GET, &url)).await?;
        self.http.send(call).await
    }

    /// Sends a body; secrets of the order are not repeated in what is said of the answer.
    ///
    /// # Errors
    /// [`Failure`] if there is no answer.
    pub async fn post(&self, url: Url, body: &Value, order: &Order) -> Result<Answer, Failure> {
        self.send(url, body, order, None).await
    }

    /// As [`Site::post`], with an `idempotency-key`.
    ///
    /// # Errors
    /// [`Failure`] if there is no answer.
    pub async fn send(&self, url: Url, body: &Value, order: &Order, key: Option<&str>) -> Result<Answer, Failure> {
        let url = SecretString::from(url.to_string());
        let mut call = self.authorized(Call::post(&url, "application/json", body.to_string())).await?;
        if let Some(key) = key {
            call = call.header("idempotency-key", key.to_owned());
        }
        if let Some(token) = order.body["callback"]["token"].as_str() {
            call = call.hiding(token);
        }
        self.http.send(call).await
    }

    /// Sends a body that holds a secret, without saying who we are.
    ///
    /// # Errors
    /// [`Failure`] if there is no answer.
    pub async fn log_in(&self, url: Url, body: &Value, secret: &SecretString) -> Result<Answer, Failure> {
        let url = SecretString::from(url.to_string());
        let call = Call::post(&url, "application/json", body.to_string()).hiding(secret.expose_secret());
        self.http.send(call).await
    }

    /// As [`Site::post`], with a token that was just given.
    ///
    /// # Errors
    /// [`Failure`] if there is no answer.
    pub async fn post_with(&self, url: Url, body: &Value, order: &Order, token: &str) -> Result<Answer, Failure> {
        let url = SecretString::from(url.to_string());
        let mut call = Call::post(&url, "application/json", body.to_string())
            .secret_header("authorization", &format!("Bearer {token}"));
        if let Some(token) = order.body["callback"]["token"].as_str() {
            call = call.hiding(token);
        }
        self.http.send(call).await
    }

    async fn authorized<'a>(&self, call: Call<'a>) -> Result<Call<'a>, Failure> {
        let bearer = |token: &str| format!("Bearer {}", token.trim());
        Ok(match &self.auth {
            Auth::None => call,
            Auth::Token(token) => call.secret_header("authorization", &bearer(token.expose_secret())),
            Auth::TokenFile(file) => match tokio::fs::read_to_string(file).await {
                Ok(token) => call.secret_header("authorization", &bearer(&token)),
                Err(error) => {
                    let detail = format!("the token file `{}` cannot be read: {error}", file.display());
                    return Err(Failure { reason: "auth_error", detail });
                }
            },
            Auth::Password(user, password) => {
                let pair = BASE64.encode(format!("{user}:{}", password.expose_secret()));
                call.secret_header("authorization", &format!("Basic {pair}"))
            }
        })
    }

    /// A call for people to look at: no secrets, the beginning of the body.
    pub fn preview(&self, segments: &[&str], order: &Order, body: impl FnOnce(&Order) -> Value) -> String {
        let mut open = order.clone();
        if let Some(token) = open.body["callback"].get_mut("token") {
            *token = Value::from("[hidden]");
        }
        let body = body(&open).to_string();
        let end = (0..=body.len().min(MOST_SHOWN)).rev().find(|i| body.is_char_boundary(*i)).unwrap_or(0);
        format!("POST {} {}", self.page(segments), &body[..end])
    }
}

/// The JSON of an answer; null if it is none.
pub fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

/// A request's name where only lower-case DNS names are taken.
pub fn dns_name(order: &Order) -> String {
    let letters =
        order.request_id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    format!("driftd-{}", letters.collect::<String>())
}

/// A text as a label's value of Kubernetes: 63 letters, digits, `-`, `_` and `.`, beginning and ending
/// with a letter or digit.
pub fn label(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let short: String = text.chars().take(63).map(safe).collect();
    short.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// The parameters of systems whose parameters are texts.
pub fn parameters(order: &Order) -> [(&'static str, String); 5] {
    [
        ("request_id", order.request_id.clone()),
        ("model", order.model.clone()),
        ("model_version", order.version.clone()),
        ("tasks", order.tasks.join(",")),
        ("payload", order.body.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            request_id: "rt_01JDB4".into(),
            model: "support/mtl ü".into(),
            version: "12".into(),
            tasks: vec!["intent".into(), "ner".into()],
            summary: "intent drifted".into(),
            body: serde_json::json!({"callback": {"token": "drc_secret"}}),
            attempts: 0,
        }
    }

    #[test]
    fn names_are_fit_for_where_they_go() {
        assert_eq!(dns_name(&order()), "driftd-rt-01jdb4");
        assert_eq!(label("support/mtl ü"), "support-mtl");
        assert!(label(&"x".repeat(100)).len() == 63);
    }

    #[test]
    fn segments_cannot_leave_their_place() {
        let url = SecretString::from("https://user:pw@airflow.example/base/?x=1".to_owned());
        let site = Site::new(&url, Auth::None, None, Duration::from_secs(1)).expect("a site");
        assert_eq!(site.at(&["dags", "a/../b?c"]).path(), "/base/dags/a%2F..%2Fb%3Fc");
        assert_eq!(site.page(&["dags"]), "https://airflow.example/base/dags");
        let shown = site.preview(&["dags"], &order(), |order| order.body.clone());
        assert!(shown.contains("[hidden]") && !shown.contains("drc_secret") && !shown.contains("pw"), "{shown}");
    }
}
