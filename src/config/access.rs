//! Where the API is served, and to whom.

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
}
