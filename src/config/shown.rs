//! What of the configuration people may see: everything but secrets. Of those it says where they are found,
//! and of addresses only the host, since what follows it may be a secret too.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::raw::{RawConfig, Secret};

const REDACTED: &str = "redacted";
/// Properties of librdkafka whose names hold one of these are secrets, wherever they stand.
const SENSITIVE: [&str; 6] = ["password", "secret", "key", "token", "jaas", "oauthbearer.config"];

/// The configuration with its defaults and without its secrets.
pub(super) fn shown(raw: &RawConfig) -> Value {
    serde_json::to_value(raw).expect("a configuration is plain data with text for keys")
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Secret::Plain(value) => serializer.serialize_str(&address(value)),
            Secret::Elsewhere(place) => place.serialize(serializer),
        }
    }
}

/// As it is shown, so that no log tells it.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Plain(value) => f.write_str(&address(value)),
            Secret::Elsewhere(place) => place.fmt(f),
        }
    }
}

/// Properties whose names tell of no secret are shown as they are.
pub(super) fn properties<S: Serializer>(all: &BTreeMap<String, Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    let is_open = |name: &str| !SENSITIVE.iter().any(|part| name.contains(part));
    serializer.collect_map(all.iter().map(|(name, value)| match value {
        Secret::Plain(plain) if is_open(name) => (name, Value::from(plain.as_str())),
        value => (name, serde_json::to_value(value).unwrap_or_else(|_| REDACTED.into())),
    }))
}

/// Scheme and host of an address; a file of SQLite whole; nothing of anything else.
fn address(value: &str) -> String {
    if value.starts_with("sqlite:") {
        return value.split('?').next().unwrap_or(value).to_owned();
    }
    let Some((scheme, rest)) = value.split_once("://") else { return REDACTED.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::document::parse;

    #[test]
    fn no_secret_is_shown() {
        let text = "
kafka:
  brokers: 'kafka:9092'
  topics: [predictions]
  start: earliest
  properties: {security.protocol: SASL_SSL, sasl.password: hunter2, ssl.key.password: {env: hunter3}}
store: {url: 'postgres://drift:hunter2@db:5432/driftd?sslmode=require'}
models:
  - {manifest: m.yaml, reference: ref.bin}
endpoints:
  - {name: chat, url: 'https://hooks.example/services/hunter2', secret: {file: /run/secrets/hook}}
";
        let document = parse::<RawConfig>(Path::new("driftd.yaml"), text).expect("valid");
        let shown = shown(&document.content);
        assert!(!shown.to_string().contains("hunter2"), "{shown}");
        assert!(!format!("{:?}", document.content.store).contains("hunter2"));
        assert_eq!(shown["store"]["url"], "postgres://db:5432");
        assert_eq!(shown["kafka"]["properties"]["security.protocol"], "SASL_SSL");
        assert_eq!(shown["kafka"]["properties"]["ssl.key.password"]["env"], "hunter3");
        assert_eq!(shown["endpoints"][0]["url"], "https://hooks.example");
        assert_eq!(shown["endpoints"][0]["secret"]["file"], "/run/secrets/hook");
        assert_eq!(shown["models"][0]["budget"], "1/30d", "defaults are filled in");
    }

    #[test]
    fn addresses_lose_what_may_be_secret() {
        for (value, expected) in [
            ("postgres://u:p@h:1/d", "postgres://h:1"),
            ("https://u@h?token=x", "https://h"),
            ("https://h#x", "https://h"),
            ("sqlite:/var/lib/d.db?mode=rwc", "sqlite:/var/lib/d.db"),
            ("hunter2", "redacted"),
        ] {
            assert_eq!(address(value), expected);
        }
    }
}
