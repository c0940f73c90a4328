//! Tokens with which a run calls back: one for each request, good for that request alone, until its
//! deadline.
//!
//! A token follows from the deployment's key and the request's id: every try to start a run sends the
//! same one, whichever try succeeds, and nothing but its hash is stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::drift::time::Timestamp;
use crate::store::Token;

/// Begins every token, so that scanners for leaked secrets can know them.
const PREFIX: &str = "drc_";
/// Keys of other uses of HMAC must not give the same tokens.
const PURPOSE: &str = "driftd call-back v1";

/// Makes tokens, and says where runs call back.
#[derive(Clone)]
pub struct Callbacks {
    url: String,
    key: Vec<u8>,
}

impl Callbacks {
    /// For an API that runs reach at `url`, with the deployment's key.
    pub fn new(url: &str, key: Vec<u8>) -> Callbacks {
        Callbacks { url: url.trim_end_matches('/').to_owned(), key }
    }

    /// A request's token.
    pub fn token(&self, request_id: &str) -> SecretString {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(PURPOSE.as_bytes());
        mac.update(&[0]);
        mac.update(request_id.as_bytes());
        SecretString::from(format!("{PREFIX}{}", BASE64.encode(mac.finalize().into_bytes())))
    }

    /// A request's token as it is kept.
    pub fn kept(&self, request_id: &str, expires: Timestamp) -> Token {
        Token { hash: hash(self.token(request_id).expose_secret()), expires }
    }

    /// `callback` of what a hook is told.
    pub fn told(&self, request_id: &str, expires: Timestamp) -> Value {
        json!({
            "url": format!("{}/api/v1/retraining-requests/{request_id}/callback", self.url),
            "token": self.token(request_id).expose_secret(),
            "expires_at": expires,
        })
    }
}

/// SHA-256 in hexadecimal digits.
pub fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a token is the one that was kept; takes as long whatever they differ in.
pub fn is_same(token: &str, kept: &Token) -> bool {
    let given = hash(token);
    given.len() == kept.hash.len() && given.bytes().zip(kept.hash.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_its_requests_own_and_is_known_by_its_hash() {
        let callbacks = Callbacks::new("https://driftd.example/", vec![7; 32]);
        let expires = Timestamp::from_micros(0);
        let token = callbacks.token("rt_1");
        assert!(is_same(token.expose_secret(), &callbacks.kept("rt_1", expires)));
        assert!(!is_same(token.expose_secret(), &callbacks.kept("rt_2", expires)));
        assert!(!is_same("", &callbacks.kept("rt_1", expires)));
        let other = Callbacks::new("https://driftd.example", vec![8; 32]);
        assert!(!is_same(token.expose_secret(), &other.kept("rt_1", expires)));
        let told = callbacks.told("rt_1", expires);
        assert_eq!(told["url"], "https://driftd.example/api/v1/retraining-requests/rt_1/callback");
        assert_eq!(told["token"], token.expose_secret());
        assert!(!callbacks.kept("rt_1", expires).hash.contains(token.expose_secret()));
    }

    #[test]
    fn the_hash_is_sha_256() {
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
