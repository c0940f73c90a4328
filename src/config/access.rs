//! Where the API is served, and to whom.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::grant::{Grant, Grants};
use crate::access::jwt::Expected;
use crate::access::{Role, Scope};

/// The API and dashboard.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawApi {
    /// `address:port`.
    pub listen: String,
    /// Who may ask.
    pub auth: RawAuth,
    /// With `auth: none`, the API listens on other addresses than this machine's own only where this is
    /// said; everybody may then read, and nobody may write.
    pub allow_unauthenticated: bool,
    /// How much one caller may ask.
    pub limit: RawLimit,
}

/// How much one caller may ask.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimit {
    /// Requests a second, over a while.
    #[schemars(range(min = 1))]
    pub per_second: u32,
    /// Requests at once.
    #[schemars(range(min = 1))]
    pub burst: u32,
}

impl Default for RawLimit {
    fn default() -> RawLimit {
        RawLimit { per_second: 50, burst: 200 }
    }
}

impl Default for RawApi {
    fn default() -> RawApi {
        RawApi {
            listen: "127.0.0.1:8080".into(),
            auth: RawAuth::None,
            allow_unauthenticated: false,
            limit: RawLimit::default(),
        }
    }
}

/// Who may ask the API.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RawAuth {
    /// Whoever is on this machine, as an admin.
    #[default]
    None,
    /// Holders of an API key, from `driftd keys create`.
    Keys,
    /// Holders of an API key, and of a bearer token of an OpenID Connect issuer.
    Oidc(RawOidc),
}

/// Whose bearer tokens are taken, and what they grant.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOidc {
    /// The issuer, as its tokens say it in `iss`.
    pub issuer: String,
    /// What tokens for this API say in `aud`.
    pub audience: String,
    /// The issuer's JSON web key set: `https://…`, or a file.
    pub key_set: String,
    /// The claim with the name for the audit, such as `email`; the subject where it is missing.
    #[serde(default = "default_name_claim")]
    pub name_claim: String,
    /// The claim with groups or roles: its name, or a JSON pointer such as `/realm_access/roles`.
    #[serde(default = "default_roles_claim")]
    pub roles_claim: String,
    /// What the values of that claim grant; whoever has none of them may do nothing.
    pub grants: Vec<RawGrant>,
}

/// What a value of the claim grants.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawGrant {
    /// The value, to the letter.
    pub value: String,
    /// The role of who has it.
    pub role: Role,
    /// Scopes of who has it; no role contains them.
    #[serde(default)]
    pub scopes: Vec<Scope>,
}

fn default_name_claim() -> String {
    "sub".into()
}

fn default_roles_claim() -> String {
    "groups".into()
}

/// Whose bearer tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oidc {
    /// Issuer and audience.
    pub expected: Expected,
    /// What claims grant.
    pub grants: Grants,
    /// Where the issuer's keys are.
    pub key_set: KeySetAt,
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySetAt {
    /// At an address.
    Url(String),
    /// In a file.
    File(PathBuf),
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
    /// By an API key, or a bearer token of an issuer.
    Oidc(Oidc),
}

impl RawApi {
    /// How much one caller may ask: requests a second, and at once.
    ///
    /// # Errors
    /// Where in the file and what is wrong.
    pub fn limit(&self) -> Result<(f64, f64), (&'static str, &'static str)> {
        match (self.limit.per_second, self.limit.burst) {
            (0, _) => Err(("/api/limit/per_second", "must be at least 1")),
            (_, 0) => Err(("/api/limit/burst", "must be at least 1")),
            (per_second, burst) => Ok((per_second.into(), burst.into())),
        }
    }

    /// How callers prove who they are, at an address.
    ///
    /// # Errors
    /// Where in the file and what is wrong.
    pub fn auth(&self, listen: SocketAddr, directory: &Path) -> Result<Auth, (&'static str, &'static str)> {
        match (&self.auth, self.allow_unauthenticated) {
            (RawAuth::None, true) => Ok(Auth::Open),
            (RawAuth::None, false) if listen.ip().is_loopback() => Ok(Auth::Local),
            (RawAuth::None, false) => Err((
                "/api/listen",
                "nobody would have to say who they are: set `api.auth: keys`, listen on 127.0.0.1, or let everybody read with `api.allow_unauthenticated`",
            )),
            (RawAuth::Keys, false) => Ok(Auth::Keys),
            (RawAuth::Oidc(oidc), false) => oidc.resolve(directory).map(Auth::Oidc),
            (RawAuth::Keys | RawAuth::Oidc(_), true) => Err((
                "/api/allow_unauthenticated",
                "goes with `auth: none` only: remove it, or nobody would need a key",
            )),
        }
    }
}

impl RawOidc {
    fn resolve(&self, directory: &Path) -> Result<Oidc, (&'static str, &'static str)> {
        for (path, text) in [("/api/auth/oidc/issuer", &self.issuer), ("/api/auth/oidc/audience", &self.audience)] {
            if text.is_empty() {
                return Err((path, "must not be empty"));
            }
        }
        if self.grants.is_empty() {
            return Err(("/api/auth/oidc/grants", "grants nothing to anybody: name at least one value with its role"));
        }
        let key_set = match self.key_set.split_once("://") {
            Some(("https", _)) => KeySetAt::Url(self.key_set.clone()),
            Some(("http", rest))
                if ["127.0.0.1:", "localhost:", "[::1]:"].iter().any(|host| rest.starts_with(host)) =>
            {
                KeySetAt::Url(self.key_set.clone())
            }
            Some(_) => {
                let message = "must begin with `https://`, or whoever stands in between chooses the keys";
                return Err(("/api/auth/oidc/key_set", message));
            }
            None => KeySetAt::File(directory.join(&self.key_set)),
        };
        let grant = |raw: &RawGrant| Grant {
            value: raw.value.clone(),
            role: raw.role,
            scopes: raw.scopes.iter().copied().collect(),
        };
        Ok(Oidc {
            expected: Expected { issuer: self.issuer.clone(), audience: self.audience.clone() },
            grants: Grants {
                name_claim: self.name_claim.clone(),
                roles_claim: self.roles_claim.clone(),
                grants: self.grants.iter().map(grant).collect(),
            },
            key_set,
        })
    }
}
