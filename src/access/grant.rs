//! What a token's claims are worth here: which groups of the issuer hold which role and scopes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Role, Scope};

/// What one value of the claim grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The value, to the letter.
    pub value: String,
    /// The role of who has it.
    pub role: Role,
    /// The scopes of who has it.
    pub scopes: BTreeSet<Scope>,
}

/// How claims are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// The claim with the name for the audit; the subject where it is missing.
    pub name_claim: String,
    /// The claim with the values: its name, or a JSON pointer such as `/realm_access/roles`.
    pub roles_claim: String,
    /// What they grant; who has several values has the highest role and all scopes.
    pub grants: Vec<Grant>,
}

/// Who a token speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// As people know them.
    pub name: String,
    /// The subject.
    pub subject: String,
    /// What they may do.
    pub role: Role,
    /// What they were granted by name.
    pub scopes: BTreeSet<Scope>,
}

impl Grants {
    /// What verified claims grant; `None` if that is nothing.
    pub fn of(&self, claims: &Map<String, Value>) -> Option<Granted> {
        let values = match find(claims, &self.roles_claim) {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let held: Vec<&Grant> = self.grants.iter().filter(|grant| values.contains(&grant.value.as_str())).collect();
        let subject = claims.get("sub").and_then(Value::as_str)?;
        let name = find(claims, &self.name_claim).and_then(Value::as_str).filter(|name| !name.is_empty());
        Some(Granted {
            name: name.unwrap_or(subject).to_owned(),
            subject: subject.to_owned(),
            role: held.iter().map(|grant| grant.role).max()?,
            scopes: held.iter().flat_map(|grant| grant.scopes.iter().copied()).collect(),
        })
    }
}

fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let Some(pointer) = name.strip_prefix('/') else { return claims.get(name) };
    let mut parts = pointer.split('/');
    let first = claims.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.get(part))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_grant_what_the_configuration_says_and_no_more() {
        let grant = |value: &str, role, scopes: &[Scope]| Grant {
            value: value.into(),
            role,
            scopes: scopes.iter().copied().collect(),
        };
        let grants = |roles_claim: &str| Grants {
            name_claim: "email".into(),
            roles_claim: roles_claim.into(),
            grants: vec![
                grant("ml", Role::Viewer, &[Scope::RetrainingApprove]),
                grant("sre", Role::Operator, &[]),
                grant("admin", Role::Admin, &[]),
            ],
        };
        let told = |roles_claim: &str, claims: Value| {
            grants(roles_claim).of(claims.as_object().expect("an object")).map(|g| (g.name, g.role, g.scopes.len()))
        };
        for (claim, claims, expected) in [
            ("groups", json!({"sub": "u", "groups": ["ml", "sre", "other"]}), Some(("u", Role::Operator, 1))),
            ("groups", json!({"sub": "u", "email": "a@b", "groups": "sre"}), Some(("a@b", Role::Operator, 0))),
            (
                "/realm_access/roles",
                json!({"sub": "u", "realm_access": {"roles": ["ml"]}}),
                Some(("u", Role::Viewer, 1)),
            ),
            ("https://x/roles", json!({"sub": "u", "https://x/roles": ["admin"]}), Some(("u", Role::Admin, 0))),
            ("groups", json!({"sub": "u", "groups": ["Admin", "ml sre", "admins", ""]}), None),
            (
                "groups",
                json!({"sub": "u", "groups": {"admin": true}, "role": "admin", "scopes": ["samples:read"]}),
                None,
            ),
            ("groups", json!({"sub": "u"}), None),
            ("groups", json!({"groups": ["admin"]}), None),
        ] {
            let expected = expected.map(|(name, role, scopes)| (name.to_owned(), role, scopes));
            assert_eq!(told(claim, claims.clone()), expected, "{claim} of {claims}");
        }
    }
}
