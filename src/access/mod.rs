//! Who may do what: roles that contain each other, and scopes that no role contains.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What claims of a token grant.
pub mod grant;
/// Bearer tokens of an issuer.
pub mod jwt;
/// Keys of the API and tokens of sessions.
pub mod key;

/// What somebody is to the deployment; each contains those before it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Acknowledges, silences, sends again.
    Operator,
    /// Reads the audit.
    Admin,
}

/// What must be granted by name: no role contains it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, utoipa::ToSchema,
)]
pub enum Scope {
    /// Reads samples of records.
    #[serde(rename = "samples:read")]
    SamplesRead,
    /// Approves and rejects retraining requests.
    #[serde(rename = "retraining:approve")]
    RetrainingApprove,
}

/// What an operation asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// At least this role.
    Role(Role),
    /// This scope.
    Scope(Scope),
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

    /// The name in the API, the store and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }

    /// The role of this name.
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl Scope {
    /// All scopes.
    pub const ALL: [Scope; 2] = [Scope::SamplesRead, Scope::RetrainingApprove];

    /// The name in the API, the store and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Scope::SamplesRead => "samples:read",
            Scope::RetrainingApprove => "retraining:approve",
        }
    }

    /// The scope of this name.
    pub fn parse(name: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

impl From<Role> for Need {
    fn from(role: Role) -> Need {
        Need::Role(role)
    }
}

impl From<Scope> for Need {
    fn from(scope: Scope) -> Need {
        Need::Scope(scope)
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Need::Role(role) => write!(f, "the role `{}`", role.name()),
            Need::Scope(scope) => write!(f, "the scope `{}`", scope.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
            assert_eq!(serde_json::to_value(role).expect("JSON"), role.name());
        }
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.name()), Some(scope));
            assert_eq!(serde_json::to_value(scope).expect("JSON"), scope.name());
        }
        assert_eq!((Role::parse("Admin"), Scope::parse("*")), (None, None));
        assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
    }
}
