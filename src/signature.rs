//! Standard Webhooks 1.0.0 signatures: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What is wrong with a signing secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    /// The prefix is missing.
    #[error("a signing secret begins with `whsec_`")]
    Prefix,
    /// The rest is not base64.
    #[error("a signing secret is base64 after `whsec_`")]
    Encoding,
    /// Too short or too long.
    #[error("a signing secret has 24 to 64 bytes, this one {0}")]
    Length(usize),
}

/// The key inside a `whsec_…` secret.
///
/// # Errors
/// [`SecretError`] says what is wrong, without the secret.
pub fn key(secret: &str) -> Result<Vec<u8>, SecretError> {
    let encoded = secret.strip_prefix("whsec_").ok_or(SecretError::Prefix)?;
    let key = BASE64.decode(encoded).map_err(|_| SecretError::Encoding)?;
    if (24..=64).contains(&key.len()) { Ok(key) } else { Err(SecretError::Length(key.len())) }
}

/// The value of `webhook-signature` for a message at a time in Unix seconds.
pub fn sign(key: &[u8], id: &str, unix_secs: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{unix_secs}.").as_bytes());
    mac.update(body.as_bytes());
    format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of the specification's reference libraries: key bytes 0 … 31.
    #[test]
    fn signature_matches_the_published_vector() {
        let key = key("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").expect("valid");
        let body =
            r#"{"type":"drift.alarm.firing","timestamp":"2026-11-22T10:20:00Z","data":{"alarm_id":"al_01JDB3"}}"#;
        assert_eq!(
            sign(&key, "msg_01JDB3ZK8Q0F", 1_795_342_800, body),
            "v1,k1ZC5/JwVXnugUNCyV/irvvl5Gwxw7H7LhUq/kdHDc4="
        );
    }

    #[test]
    fn wrong_secrets_are_told_apart() {
        assert_eq!(key("secret"), Err(SecretError::Prefix));
        assert_eq!(key("whsec_%%%"), Err(SecretError::Encoding));
        assert_eq!(key("whsec_AAEC"), Err(SecretError::Length(3)));
    }
}
