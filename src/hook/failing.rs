//! What is said of an exchange that came to no answer: a bounded reason for counters, and words for a person
//! who has to mend it. Neither holds more of an address than its host.

use std::error::Error as _;
use std::fmt::Write as _;

use rustls::CertificateError;

use super::http::Failure;
use crate::drift::time::Timestamp;

/// A certificate may be for a hundred names; so many are told.
const MOST_NAMES: usize = 3;

/// Why there is no answer of `host`.
pub(super) fn failure(error: &reqwest::Error, host: &str) -> Failure {
    let (reason, detail) = if error.is_timeout() {
        ("timeout", format!("`{host}` gave no answer in time"))
    } else if let Some(tls) = find::<rustls::Error>(error) {
        ("tls_error", format!("`{host}`: {}", tls_words(tls)))
    } else if error.is_builder() {
        ("bad_request", "the request cannot be sent".to_owned())
    } else {
        match find::<std::io::Error>(error) {
            Some(io) => ("unreachable", format!("`{host}` cannot be reached: {}", io.kind())),
            None => ("unreachable", format!("`{host}` cannot be reached")),
        }
    };
    // Names in a certificate are a stranger's words.
    let detail = detail.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Failure { reason, detail }
}

/// The first error of a type among an error's causes; those inside an I/O error count.
pub(super) fn find<E: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = inner.and_then(|i| i.downcast_ref()) {
            return Some(found);
        }
        next = match inner {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => cause.source(),
        };
    }
    None
}

fn tls_words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => certificate_words(why),
        rustls::Error::InvalidMessage(_) => {
            "what answers there does not speak TLS: is the address meant to begin with `http://`?".to_owned()
        }
        other => other.to_string(),
    }
}

fn certificate_words(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired => "its certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired at {}", second(not_after.as_secs()))
        }
        CertificateError::NotValidYet => "its certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            let begin = second(not_before.as_secs());
            format!(
                "its certificate is valid from {begin} on: one of the two clocks is wrong, or the certificate is new"
            )
        }
        CertificateError::NotValidForName => "its certificate is for other names".to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let mut text = "its certificate is for other names".to_owned();
            for (i, name) in presented.iter().take(MOST_NAMES).enumerate() {
                let _ = write!(text, "{}`{}`", if i == 0 { ": " } else { ", " }, plain(name));
            }
            if presented.len() > MOST_NAMES {
                let _ = write!(text, " and {} more", presented.len() - MOST_NAMES);
            }
            text
        }
        CertificateError::UnknownIssuer => {
            "its certificate was signed by an authority that is not trusted here; add it to the system's, or name a \
             file with it in `SSL_CERT_FILE`"
                .to_owned()
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        other => format!("its certificate is not valid: {other}"),
    }
}

/// A name as the verifier tells it, `DnsName("a.example")`, without what is around it.
fn plain(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

fn second(unix: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(unix).unwrap_or_default().saturating_mul(1_000_000))
}
