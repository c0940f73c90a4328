//! `driftd keys`: makes, lists and revokes keys of the API. They live in the store, so every replica knows
//! a new key at once and refuses a revoked one with the next request.

use std::fmt::Write as _;

use anyhow::bail;
use serde_json::json;

use super::{runtime, write_output};
use crate::access::key::ApiKey;
use crate::cli::keys::{Create, Expires, Keys, Revoke};
use crate::clock;
use crate::config;
use crate::drift::time::Timestamp;
use crate::store::access::{Actor, KeyRow};
use crate::store::{AccessStore as _, AuditRow, SqlStore};

/// Runs one of the commands.
///
/// # Errors
/// If the configuration is invalid, the store does not answer, or there is no such key.
pub fn main(args: &Keys) -> anyhow::Result<()> {
    let config = match args {
        Keys::Create(args) => &args.config,
        Keys::List(config) => config,
        Keys::Revoke(args) => &args.config,
    };
    let config = config::load(&config.config)?;
    runtime()?.block_on(async {
        let store = SqlStore::open(&config.store.0).await?;
        let done = match args {
            Keys::Create(args) => create(&store, args).await,
            Keys::List(_) => list(&store).await,
            Keys::Revoke(args) => revoke(&store, args).await,
        };
        store.close().await;
        done
    })
}

/// The key alone goes to the output, for scripts; what people should know goes beside it.
async fn create(store: &SqlStore, args: &Create) -> anyhow::Result<()> {
    let (key, now) = (ApiKey::generate(), clock::now());
    let expires = match args.expires {
        Expires::After(span) => Some(now.plus(span)),
        Expires::Never => None,
    };
    let row = KeyRow {
        key_id: key.id.clone(),
        name: args.name.clone(),
        secret_sha256: key.digest(),
        role: args.role,
        scopes: args.scopes.iter().copied().collect(),
        created: now,
        expires,
        revoked: None,
        last_used: None,
    };
    let detail = json!({"name": row.name, "role": row.role, "scopes": row.scopes, "expires": row.expires});
    store.create_key(&row, &act("key.create", &row.key_id, &detail, now)).await?;
    write_output(None, &format!("{}\n", key.reveal()))?;
    let until = expires.map_or("until it is revoked".to_owned(), |at| format!("until {}", second(at)));
    eprintln!("key {} for `{}` ({}), valid {until}; it is shown this once", row.key_id, row.name, row.role.name());
    Ok(())
}

async fn list(store: &SqlStore) -> anyhow::Result<()> {
    let keys = store.keys().await?;
    if keys.is_empty() {
        return write_output(None, "there is no key; `driftd keys create NAME` makes one\n");
    }
    write_output(None, &table(&keys, clock::now()))
}

fn table(keys: &[KeyRow], now: Timestamp) -> String {
    let mut text = format!(
        "{:<17} {:<24} {:<9} {:<32} {:<20} {:<20} {:<20} state\n",
        "key", "name", "role", "scopes", "created", "expires", "last used"
    );
    let maybe = |at: Option<Timestamp>| at.map_or("never".to_owned(), second);
    for key in keys {
        let state = match (key.revoked, key.is_valid(now)) {
            (Some(at), _) => format!("revoked {}", second(at)),
            (None, true) => "valid".to_owned(),
            (None, false) => "expired".to_owned(),
        };
        let scopes = key.scopes.iter().map(|s| s.name()).collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            text,
            "{:<17} {:<24} {:<9} {scopes:<32} {:<20} {:<20} {:<20} {state}",
            key.key_id,
            key.name,
            key.role.name(),
            second(key.created),
            maybe(key.expires),
            maybe(key.last_used),
        );
    }
    text
}

async fn revoke(store: &SqlStore, args: &Revoke) -> anyhow::Result<()> {
    let now = clock::now();
    if store.revoke_key(&args.id, &act("key.revoke", &args.id, &json!({}), now)).await? {
        return write_output(None, &format!("key {} is revoked, and its sessions have ended\n", args.id));
    }
    match store.key(&args.id).await?.and_then(|key| key.revoked) {
        Some(at) => write_output(None, &format!("key {} was revoked {} already\n", args.id, second(at))),
        None => bail!("there is no key `{}`; `driftd keys list` shows their ids", args.id),
    }
}

fn act(action: &str, object: &str, detail: &serde_json::Value, now: Timestamp) -> AuditRow {
    let actor = Actor { name: "command line".to_owned(), id: "command".to_owned(), means: "command" };
    AuditRow::done(&actor, action, object, detail, now)
}

/// To the second, for people.
fn second(time: Timestamp) -> String {
    time.to_string().chars().take(19).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Role, Scope};

    #[test]
    fn a_table_tells_what_each_key_is_worth_and_no_secret() {
        let at = |secs: i64| Timestamp::from_micros(secs * 1_000_000);
        let key = KeyRow {
            key_id: "0123456789abcdef".into(),
            name: "grafana".into(),
            secret_sha256: vec![0xab; 32],
            role: Role::Viewer,
            scopes: [Scope::SamplesRead].into(),
            created: at(0),
            expires: Some(at(60)),
            revoked: None,
            last_used: None,
        };
        let revoked = KeyRow { revoked: Some(at(30)), expires: None, ..key.clone() };
        let told = table(&[key, revoked], at(60));
        let lines: Vec<&str> = told.lines().collect();
        assert!(lines[1].ends_with("expired") && lines[1].contains("samples:read"), "{told}");
        assert!(lines[2].ends_with("revoked 1970-01-01T00:00:30") && !told.contains("abab"), "{told}");
    }
}
