//! One HTTP client for all hooks: one deadline for the whole exchange, no redirects, no proxy from
//! the environment, answers read to a cap, private networks out of reach for addresses that came by
//! the API. What it says of a failure never contains more of a URL than its host.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Response, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::Attempt;
use super::failing::{failure, find};
use super::guard::{Guarded, Lookup, Refused, SystemLookup, Trust};

/// Longest wait that a receiver may ask for.
const MOST_RETRY_AFTER: Duration = Duration::from_secs(6 * 3_600);
/// An answer is read so far; whatever follows is nobody's.
const MOST_BODY: usize = 64 << 10;
/// So much of an answer is kept for people.
const MOST_KEPT: usize = 2 << 10;
/// Shorter parts of an address are not taken for secrets, or every `/v1` would be blotted out.
const LEAST_SECRET: usize = 8;

/// How a client is set up.
#[derive(Clone)]
pub struct Options {
    /// Who chose the addresses.
    pub trust: Trust,
    /// The whole exchange takes at most so long.
    pub deadline: Duration,
    /// Further certificate authorities, as PEM.
    pub authorities: Option<Vec<u8>>,
    /// Who looks names up.
    pub lookup: Arc<dyn Lookup>,
}

impl Options {
    /// For addresses from the configuration.
    pub fn operator(deadline: Duration) -> Options {
        Options { trust: Trust::Operator, deadline, authorities: None, lookup: Arc::new(SystemLookup) }
    }

    /// For addresses that came by the API.
    pub fn api(deadline: Duration) -> Options {
        Options { trust: Trust::Api, ..Options::operator(deadline) }
    }
}

/// The client; cheap to clone.
#[derive(Clone)]
pub struct Http {
    client: Client,
    trust: Trust,
    deadline: Duration,
}

/// One request.
#[derive(Debug)]
pub struct Call<'a> {
    method: Method,
    url: &'a SecretString,
    headers: Vec<(&'static str, String)>,
    secrets: Vec<String>,
    body: Option<String>,
}

impl<'a> Call<'a> {
    /// A request without a body.
    pub fn new(method: Method, url: &'a SecretString) -> Call<'a> {
        Call { method, url, headers: Vec::new(), secrets: Vec::new(), body: None }
    }

    /// A POST with a body of a type, such as `application/json`.
    pub fn post(url: &'a SecretString, content_type: &str, body: String) -> Call<'a> {
        let call = Call::new(Method::POST, url).header("content-type", content_type.to_owned());
        Call { body: Some(body), ..call }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: String) -> Call<'a> {
        self.headers.push((name, value));
        self
    }

    /// With a header that nobody may see, also not in an answer that repeats it.
    #[must_use]
    pub fn secret_header(mut self, name: &'static str, value: &str) -> Call<'a> {
        self.secrets.extend(value.split_whitespace().map(str::to_owned));
        self.header(name, value.to_owned())
    }

    /// With a text in the body that nobody may see in an answer.
    #[must_use]
    pub fn hiding(mut self, secret: &str) -> Call<'a> {
        self.secrets.push(secret.to_owned());
        self
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// How long the receiver asked to be left alone.
    pub retry_after: Option<Duration>,
    /// The body up to the cap; less if it did not come in time.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub complete: bool,
    /// The beginning of the body for people, without secrets of ours.
    pub kept: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Failure {
    /// Bounded reason: `timeout`, `unreachable`, `tls_error`, `refused_address`, `bad_request`.
    pub reason: &'static str,
    /// For people; names no more than the host.
    pub detail: String,
}

/// Why a client cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// The HTTP client cannot be built.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
    /// The certificate authorities are not PEM.
    #[error("the certificate authorities are not a PEM file with certificates")]
    Authorities,
}

impl Http {
    /// A client.
    ///
    /// # Errors
    /// [`SetUpError`] if TLS is not available or the authorities are not any.
    pub fn new(options: Options) -> Result<Http, SetUpError> {
        // The provider is installed once for the process; a second call finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let resolver = Guarded { trust: options.trust, lookup: options.lookup };
        let mut builder = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .retry(reqwest::retry::never())
            .dns_resolver(resolver)
            .user_agent(concat!("driftd/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &options.authorities {
            let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(|_| SetUpError::Authorities)?;
            if certificates.is_empty() {
                return Err(SetUpError::Authorities);
            }
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Http { client: builder.build()?, trust: options.trust, deadline: options.deadline })
    }

    /// Sends one request and reads the answer, both within the deadline. A status that came in time
    /// counts even if its body did not.
    ///
    /// # Errors
    /// [`Failure`] if there is no status.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let until = Instant::now() + self.deadline;
        let bad = |detail: &str| Failure { reason: "bad_request", detail: detail.to_owned() };
        let url = Url::parse(call.url.expose_secret()).map_err(|_| bad("the address is not a URL"))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let refused = |why: &Refused| Failure { reason: "refused_address", detail: format!("`{host}`: {why}") };
        self.trust.check(&url).map_err(|why| refused(&why))?;
        let mut secrets = secret_parts(&url);
        secrets.extend(call.secrets);
        let mut headers = HeaderMap::new();
        for (name, value) in call.headers {
            let value =
                HeaderValue::from_str(&value).map_err(|_| bad(&format!("the header `{name}` cannot be sent")))?;
            headers.append(HeaderName::from_static(name), value);
        }
        let mut request = self.client.request(call.method, url).headers(headers);
        if let Some(body) = call.body {
            request = request.body(body);
        }
        match tokio::time::timeout_at(until, request.send()).await {
            Ok(Ok(response)) => Ok(read(response, until, &secrets).await),
            Ok(Err(error)) => Err(match find::<Refused>(&error) {
                Some(why) => refused(why),
                None => failure(&error, &host),
            }),
            Err(_) => {
                let detail = format!("`{host}` gave no answer within {} s", self.deadline.as_secs_f64());
                Err(Failure { reason: "timeout", detail })
            }
        }
    }
}

async fn read(mut response: Response, until: Instant, secrets: &[String]) -> Answer {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok());
    let retry_after = retry_after.and_then(|text| parse_retry_after(text, SystemTime::now()));
    let (mut body, mut complete) = (Vec::new(), false);
    while let Ok(Ok(chunk)) = tokio::time::timeout_at(until, response.chunk()).await {
        let Some(chunk) = chunk else {
            complete = true;
            break;
        };
        let room = MOST_BODY - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            break;
        }
    }
    let kept = keep(&body, secrets);
    Answer { status, retry_after, body, complete, kept }
}

/// Seconds, or a date of HTTP.
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let wait = match text.trim().parse::<u64>() {
        Ok(secs) => Duration::from_secs(secs),
        Err(_) => httpdate::parse_http_date(text.trim()).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(wait.min(MOST_RETRY_AFTER))
}

/// Parts of an address that may be a key to it.
fn secret_parts(url: &Url) -> Vec<String> {
    let mut parts: Vec<String> = url.path_segments().into_iter().flatten().map(str::to_owned).collect();
    parts.extend(url.query().map(str::to_owned));
    parts.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    parts.extend(url.password().map(str::to_owned));
    parts.retain(|part| part.len() >= LEAST_SECRET);
    parts
}

/// The beginning of an answer in a form that can be shown.
fn keep(body: &[u8], secrets: &[String]) -> String {
    let mut text = String::from_utf8_lossy(body).into_owned();
    // The longest first: a query holds its values.
    let mut secrets: Vec<&String> = secrets.iter().filter(|s| !s.is_empty()).collect();
    secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
    for secret in secrets {
        text = text.replace(secret.as_str(), "[hidden]");
    }
    let mut kept: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if kept.len() > MOST_KEPT {
        let end = (0..=MOST_KEPT).rev().find(|i| kept.is_char_boundary(*i)).unwrap_or(0);
        kept.truncate(end);
    }
    kept
}

impl Answer {
    /// Whether the receiver has taken it.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the status says of a message, as in Standard Webhooks: also an error of ours is tried
    /// again, because the receiver may be mended.
    pub fn attempt(&self) -> Attempt {
        let retry = |reason| Attempt::Retry {
            status: Some(self.status),
            after: self.retry_after,
            reason,
            detail: match reason {
                "redirect" => {
                    "it redirects to another address; redirects are not followed: name the last one".to_owned()
                }
                _ => self.kept.trim().to_owned(),
            },
        };
        match self.status {
            200..=299 => Attempt::Delivered { status: self.status },
            410 => Attempt::Gone,
            429 => retry("rate_limited"),
            401 | 403 => retry("auth_error"),
            300..=399 => retry("redirect"),
            400..=499 => retry("client_error"),
            _ => retry("server_error"),
        }
    }
}

impl Failure {
    /// What it means for a message.
    pub fn attempt(&self) -> Attempt {
        Attempt::Retry { status: None, after: None, reason: self.reason, detail: self.detail.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, retry_after: Option<Duration>) -> Answer {
        Answer { status, retry_after, body: Vec::new(), complete: true, kept: String::new() }
    }

    #[test]
    fn answers_are_judged_by_the_specification() {
        assert_eq!(answer(204, None).attempt(), Attempt::Delivered { status: 204 });
        assert_eq!(answer(410, None).attempt(), Attempt::Gone);
        let after = Some(Duration::from_secs(7));
        let limited = Attempt::Retry { status: Some(429), after, reason: "rate_limited", detail: String::new() };
        assert_eq!(answer(429, after).attempt(), limited);
        for (status, reason) in [
            (302, "redirect"),
            (401, "auth_error"),
            (404, "client_error"),
            (503, "server_error"),
            (101, "server_error"),
        ] {
            let Attempt::Retry { reason: found, .. } = answer(status, None).attempt() else { panic!("{status}") };
            assert_eq!(found, reason);
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Wed, 21 Oct 2026 07:28:00 GMT").expect("a date");
        let secs = |text| parse_retry_after(text, now).map(|d| d.as_secs());
        assert_eq!(secs("7"), Some(7));
        assert_eq!(secs(" 3600 "), Some(3_600));
        assert_eq!(secs("Wed, 21 Oct 2026 07:29:30 GMT"), Some(90));
        assert_eq!(secs("Wednesday, 21-Oct-26 07:29:30 GMT"), Some(90), "the obsolete forms count too");
        assert_eq!(secs("Wed Oct 21 07:29:30 2026"), Some(90));
        assert_eq!(secs("Wed, 21 Oct 2020 07:29:30 GMT"), Some(0), "a date in the past is now");
        assert_eq!(secs("99999999"), Some(MOST_RETRY_AFTER.as_secs()));
        assert_eq!(secs("-1"), None);
        assert_eq!(secs("soon"), None);
    }

    #[test]
    fn what_is_kept_holds_no_secret() {
        let url = Url::parse("https://u:passw0rd@hooks.example/services/T0000/XXXXXXXXsecret?token=abcdefgh&v=1");
        let secrets = secret_parts(&url.expect("a URL"));
        let body = b"no such hook: /services/T0000/XXXXXXXXsecret?token=abcdefgh&v=1 passw0rd\x1b[31m";
        let kept = keep(body, &secrets);
        assert_eq!(kept, "no such hook: /[hidden]/T0000/[hidden]?[hidden] [hidden] [31m");
        assert!(keep(&vec![b'x'; 5_000], &[]).len() == MOST_KEPT);
        assert!(keep("ä".repeat(3_000).as_bytes(), &[]).len() <= MOST_KEPT);
    }

    #[tokio::test]
    async fn errors_name_the_host_and_no_more() {
        let http = Http::new(Options::operator(Duration::from_secs(5))).expect("a client");
        let url = SecretString::from("http://127.0.0.1:1/services/very-secret-path".to_owned());
        let failure = http.send(Call::post(&url, "application/json", "{}".into())).await.expect_err("nobody there");
        assert_eq!((failure.reason, failure.detail.contains("127.0.0.1")), ("unreachable", true));
        assert!(!format!("{failure:?}{failure}").contains("secret"), "{failure:?}");
        let guarded = Http::new(Options::api(Duration::from_secs(5))).expect("a client");
        let url = SecretString::from("https://[::ffff:127.0.0.1]/very-secret-path".to_owned());
        let failure = guarded.send(Call::new(Method::GET, &url)).await.expect_err("refused");
        assert_eq!(failure.reason, "refused_address");
        assert!(!failure.detail.contains("secret"), "{}", failure.detail);
    }
}
