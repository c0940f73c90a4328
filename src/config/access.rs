//! Where the API is served, and to whom.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::Deserialize;

/// The API and dashboard.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawApi {
    /// `address:port`.
    pub listen: String,
    /// Who may ask.
    pub auth: RawAuth,
    /// With `auth: none`, the API listens on other addresses than this machine's own only where this is
    /// said; everybody may then read, and nobody may write.
    pub allow_unauthenticated: bool,
}

impl Default for RawApi {
    fn default() -> RawApi {
        RawApi { listen: "127.0.0.1:8080".into(), auth: RawAuth::None, allow_unauthenticated: false }
    }
}

/// Who may ask the API.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawAuth {
    /// Whoever is on this machine, as an admin.
    #[default]
    None,
    /// Holders of an API key, from `driftd keys create`.
    Keys,
}

/// How callers of the API prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all, on this machine only.
    Local,
    /// Not at all; everybody may read.
    Open,
    /// By an API key.
    Keys,
}

impl RawApi {
    /// How callers prove who they are, at an address.
    ///
    /// # Errors
    /// Where in the file and what is wrong.
    pub fn auth(&self, listen: SocketAddr) -> Result<Auth, (&'static str, &'static str)> {
        match (&self.auth, self.allow_unauthenticated) {
            (RawAuth::None, true) => Ok(Auth::Open),
            (RawAuth::None, false) if listen.ip().is_loopback() => Ok(Auth::Local),
            (RawAuth::None, false) => Err((
                "/api/listen",
                "nobody would have to say who they are: set `api.auth: keys`, listen on 127.0.0.1, or let everybody read with `api.allow_unauthenticated`",
            )),
            (RawAuth::Keys, false) => Ok(Auth::Keys),
            (RawAuth::Keys, true) => Err((
                "/api/allow_unauthenticated",
                "goes with `auth: none` only: remove it, or nobody would need a key",
            )),
        }
    }
}
