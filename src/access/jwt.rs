//! Bearer tokens of an OIDC issuer: JSON web tokens (RFC 7519) signed by RS256, ES256 or EdDSA and by
//! nothing else. The key decides the algorithm and the header may only agree: a token can neither choose
//! `none` nor have a public key taken for a shared secret (RFC 8725, §2.1 and §3.1). Keys come from the
//! issuer's set alone; what a header says of `jwk`, `jku` or `x5u` is not looked at.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Longer tokens are refused unread: headers of servers end near it.
const MOST_BYTES: usize = 16 << 10;
/// Clocks of the issuer and ours may differ by so much.
pub const LEEWAY_SECS: f64 = 60.0;
/// Keys of a set that are looked at.
const MOST_KEYS: usize = 100;

/// Where an issuer's keys are read.
#[async_trait]
pub trait KeySource: Send + Sync {
    /// The JSON web key set (RFC 7517).
    ///
    /// # Errors
    /// Why it cannot be read, for the log.
    async fn fetch(&self) -> Result<String, String>;
}

/// Public keys of an issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet {
    keys: Vec<(Option<String>, PublicKey)>,
}

#[derive(Clone, Debug)]
enum PublicKey {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// `iss`, to the letter.
    pub issuer: String,
    /// One of `aud`.
    pub audience: String,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no JSON web token.
    #[error("the bearer token is neither an API key nor a JSON web token")]
    Malformed,
    /// Its algorithm is not one of ours, or not its key's.
    #[error("the token must be signed by RS256, ES256 or EdDSA, as its key is")]
    Algorithm,
    /// The issuer has no such key.
    #[error("the token is signed by a key that its issuer does not name")]
    UnknownKey,
    /// The signature does not fit.
    #[error("the token's signature does not fit")]
    Signature,
    /// It is another's.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is for others.
    #[error("the token is not meant for this API")]
    Audience,
    /// Its time is over, or it does not say when that is.
    #[error("the token has expired or does not say when it does")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    Early,
    /// It names nobody.
    #[error("the token has no subject")]
    Subject,
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<RawKey>,
}

#[derive(Deserialize)]
struct RawKey {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

impl KeySet {
    /// The keys of a set that sign tokens in a way of ours; others are passed over, as RFC 7517 §5 asks.
    ///
    /// # Errors
    /// If it is no JSON web key set, or has no key of ours.
    pub fn parse(text: &str) -> Result<KeySet, String> {
        let set: RawSet = serde_json::from_str(text).map_err(|error| format!("not a JSON web key set: {error}"))?;
        let ours = set.keys.into_iter().take(MOST_KEYS).filter_map(|raw| {
            let kid = raw.kid.clone();
            (raw.usage.as_deref().is_none_or(|usage| usage == "sig")).then(|| key(&raw)).flatten().map(|key| (kid, key))
        });
        let keys: Vec<_> = ours.collect();
        if keys.is_empty() {
            return Err("the key set has no key for RS256, ES256 or EdDSA".to_owned());
        }
        Ok(KeySet { keys })
    }

    /// The claims of a token, if it proves its subject now (seconds since 1970).
    ///
    /// # Errors
    /// [`TokenError`] says what is wrong with it.
    pub fn verify(&self, token: &str, expected: &Expected, now_secs: f64) -> Result<Map<String, Value>, TokenError> {
        if token.len() > MOST_BYTES {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = decode(header)?;
        // What the header calls critical has to be understood, and nothing is (RFC 7515, §4.1.11).
        let is_jwt = |typ: &str| ["jwt", "at+jwt", "application/at+jwt"].contains(&typ.to_ascii_lowercase().as_str());
        if header.crit.is_some() || !header.typ.as_deref().is_none_or(is_jwt) {
            return Err(TokenError::Malformed);
        }
        if !["RS256", "ES256", "EdDSA"].contains(&header.alg.as_str()) {
            return Err(TokenError::Algorithm);
        }
        let key = self.find(header.kid.as_deref(), &header.alg)?;
        let signature = BASE64.decode(signature).map_err(|_| TokenError::Malformed)?;
        key.verify(signed.as_bytes(), &signature)?;
        let claims: Map<String, Value> = decode(claims)?;
        check(&claims, expected, now_secs)?;
        Ok(claims)
    }

    /// The key that a header names; without a name, the only one of the algorithm.
    fn find(&self, kid: Option<&str>, algorithm: &str) -> Result<&PublicKey, TokenError> {
        let Some(kid) = kid else {
            let mut fitting = self.keys.iter().filter(|(_, key)| key.algorithm() == algorithm);
            return match (fitting.next(), fitting.next()) {
                (Some((_, key)), None) => Ok(key),
                _ => Err(TokenError::UnknownKey),
            };
        };
        let named = self.keys.iter().find(|(name, _)| name.as_deref() == Some(kid));
        let (_, key) = named.ok_or(TokenError::UnknownKey)?;
        if key.algorithm() == algorithm { Ok(key) } else { Err(TokenError::Algorithm) }
    }
}

impl PublicKey {
    fn algorithm(&self) -> &'static str {
        match self {
            PublicKey::Rsa { .. } => "RS256",
            PublicKey::P256(_) => "ES256",
            PublicKey::Ed25519(_) => "EdDSA",
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        let fits = match self {
            PublicKey::Rsa { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            PublicKey::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            PublicKey::Ed25519(x) => UnparsedPublicKey::new(&ED25519, x).verify(message, signature),
        };
        fits.map_err(|_| TokenError::Signature)
    }
}

fn key(raw: &RawKey) -> Option<PublicKey> {
    let bytes = |text: &Option<String>| text.as_deref().and_then(|text| BASE64.decode(text).ok());
    match (raw.kty.as_str(), raw.crv.as_deref()) {
        ("RSA", _) => Some(PublicKey::Rsa { n: bytes(&raw.n)?, e: bytes(&raw.e)? }),
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes(&raw.x)?, bytes(&raw.y)?);
            (x.len() == 32 && y.len() == 32).then(|| PublicKey::P256([&[4][..], &x, &y].concat()))
        }
        ("OKP", Some("Ed25519")) => bytes(&raw.x).filter(|x| x.len() == 32).map(PublicKey::Ed25519),
        _ => None,
    }
}

fn decode<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, TokenError> {
    let bytes = BASE64.decode(part).map_err(|_| TokenError::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| TokenError::Malformed)
}

fn check(claims: &Map<String, Value>, expected: &Expected, now_secs: f64) -> Result<(), TokenError> {
    if claims.get("iss").and_then(Value::as_str) != Some(&expected.issuer) {
        return Err(TokenError::Issuer);
    }
    let ours = |value: &Value| value.as_str() == Some(&expected.audience);
    if !claims.get("aud").is_some_and(|aud| ours(aud) || aud.as_array().is_some_and(|all| all.iter().any(ours))) {
        return Err(TokenError::Audience);
    }
    if claims.get("exp").and_then(Value::as_f64).is_none_or(|exp| now_secs >= exp + LEEWAY_SECS) {
        return Err(TokenError::Expired);
    }
    match claims.get("nbf").map(Value::as_f64) {
        None => {}
        Some(Some(nbf)) if now_secs >= nbf - LEEWAY_SECS => {}
        Some(_) => return Err(TokenError::Early),
    }
    let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default();
    if subject.is_empty() { Err(TokenError::Subject) } else { Ok(()) }
}

#[cfg(test)]
#[path = "jwt_tests.rs"]
mod tests;
