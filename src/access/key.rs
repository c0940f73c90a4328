//! Keys of the API, `driftd_<id>_<secret>`, and tokens of sessions. Both are 256 bits from the system's
//! random numbers, so that a plain SHA-256 of them may be stored: slow hashes are for secrets that
//! people choose and that a dictionary may hold. A key is found by its id and its secret compared in
//! constant time, so that no clock tells how much of a guess was right.

use std::fmt::{self, Write as _};

use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Every key begins with it, so that people and scanners for leaked secrets know one when they see it.
pub const PREFIX: &str = "driftd";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;

/// A key as its holder knows it.
pub struct ApiKey {
    /// By which it is found; no secret.
    pub id: String,
    secret: SecretString,
}

impl ApiKey {
    /// A key that nobody has yet.
    pub fn generate() -> ApiKey {
        ApiKey { id: hex(&random::<ID_BYTES>()), secret: hex(&random::<SECRET_BYTES>()).into() }
    }

    /// The key that a caller has sent; `None` for anything that cannot be one.
    pub fn parse(text: &str) -> Option<ApiKey> {
        let mut parts = text.split('_');
        let (prefix, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let fits = prefix == PREFIX && is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES) && parts.next().is_none();
        fits.then(|| ApiKey { id: id.to_owned(), secret: secret.to_owned().into() })
    }

    /// The whole key, to be shown to its holder once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}_{}_{}", self.id, self.secret.expose_secret())
    }

    /// What is stored of its secret.
    pub fn digest(&self) -> Vec<u8> {
        digest(self.secret.expose_secret())
    }

    /// Whether it is the key of which this was stored.
    pub fn fits(&self, stored: &[u8]) -> bool {
        self.digest().ct_eq(stored).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", self.id)
    }
}

/// The token of a session, which only the browser's cookie holds.
pub struct SessionToken(SecretString);

impl SessionToken {
    /// A token that nobody has yet.
    pub fn generate() -> SessionToken {
        SessionToken(hex(&random::<SECRET_BYTES>()).into())
    }

    /// The token in a cookie; `None` for anything that cannot be one.
    pub fn parse(text: &str) -> Option<SessionToken> {
        is_hex(text, SECRET_BYTES).then(|| SessionToken(text.to_owned().into()))
    }

    /// The cookie's value.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// By which the session is found. A hash that is looked up needs no constant time: whoever would
    /// steer it towards a stored one has to find what hashes to it.
    pub fn digest(&self) -> Vec<u8> {
        digest(self.reveal())
    }

    /// What a page of ours sends with its writes and a foreign page cannot know. It follows from the
    /// token and does not lead back to it.
    pub fn csrf(&self) -> String {
        hex(&digest(&format!("csrf {}", self.reveal())))
    }

    /// Whether a write carries it.
    pub fn csrf_fits(&self, sent: &str) -> bool {
        self.csrf().as_bytes().ct_eq(sent.as_bytes()).into()
    }
}

/// SHA-256 of a text.
pub fn digest(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random numbers, or nothing here is safe");
    bytes
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == bytes * 2 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_fits_only_itself() {
        let (key, other) = (ApiKey::generate(), ApiKey::generate());
        let text = key.reveal();
        assert_eq!(text.len(), "driftd_".len() + 16 + 1 + 64);
        let parsed = ApiKey::parse(&text).expect("a key");
        assert!(parsed.id == key.id && parsed.fits(&key.digest()));
        assert!(!other.fits(&key.digest()) && other.id != key.id);
        assert!(!key.fits(&[]) && !key.fits(&key.digest()[..31]), "of another length");
        let shown = format!("{key:?}");
        assert!(shown.contains(&key.id) && !shown.contains(&text[24..]), "{shown}");
    }

    #[test]
    fn what_is_no_key_is_none() {
        let good = ApiKey::generate().reveal();
        for bad in [
            String::new(),
            good.replacen("driftd", "drifts", 1),
            good.to_uppercase(),
            format!("{good}0"),
            format!("{good}_"),
            good[..good.len() - 1].to_owned(),
            format!("driftd_{}_{}", "é".repeat(8), "0".repeat(64)),
        ] {
            assert!(ApiKey::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_session_and_its_csrf_token_belong_together() {
        let (token, other) = (SessionToken::generate(), SessionToken::generate());
        let parsed = SessionToken::parse(token.reveal()).expect("a token");
        assert_eq!(parsed.digest(), token.digest());
        assert!(token.csrf_fits(&parsed.csrf()) && !token.csrf_fits(&other.csrf()) && !token.csrf_fits(""));
        assert_ne!(token.csrf(), hex(&token.digest()), "what is stored is not what is sent");
        assert!(SessionToken::parse("../x").is_none());
    }
}
