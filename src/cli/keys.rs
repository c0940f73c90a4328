//! Arguments of `driftd keys`.

use clap::{Args, Subcommand};

use super::ConfigFile;
use crate::access::{Role, Scope};
use crate::drift::time::Span;

/// `driftd keys`
#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key and print it, this once
    Create(Create),
    /// List all keys, without their secrets
    List(ConfigFile),
    /// Refuse a key from now on, and end the sessions it opened
    Revoke(Revoke),
}

/// `driftd keys create`
#[derive(Debug, Args)]
pub struct Create {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// What people call it: who or what will use it, such as `grafana`
    #[arg(value_parser = parse_name)]
    pub name: String,
    /// viewer reads; operator also acknowledges, silences and sends again; admin also reads the audit
    #[arg(long, default_value = "viewer", value_parser = parse_role)]
    pub role: Role,
    /// samples:read or retraining:approve, which no role contains; may be repeated
    #[arg(long = "scope", value_parser = parse_scope)]
    pub scopes: Vec<Scope>,
    /// How long it is valid, such as 90d, or never
    #[arg(long, default_value = "365d", value_parser = parse_expires)]
    pub expires: Expires,
}

/// How long a key is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expires {
    /// For so long.
    After(Span),
    /// Until it is revoked.
    Never,
}

/// `driftd keys revoke`
#[derive(Debug, Args)]
pub struct Revoke {
    /// The configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// The key's id, from `driftd keys list`: what stands between `driftd_` and the secret
    pub id: String,
}

/// Longer names fill the tables they stand in.
const MOST_NAME: usize = 64;

fn parse_name(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= MOST_NAME && !text.contains(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| format!("expected 1 to {MOST_NAME} characters of text"))
}

fn parse_role(text: &str) -> Result<Role, String> {
    Role::parse(text).ok_or_else(|| "expected viewer, operator or admin".to_owned())
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| "expected samples:read or retraining:approve".to_owned())
}

fn parse_expires(text: &str) -> Result<Expires, String> {
    match (text, Span::parse(text)) {
        ("never", _) => Ok(Expires::Never),
        (_, Some(span)) if span.micros() > 0 => Ok(Expires::After(span)),
        _ => Err("expected a length such as 90d, or never".to_owned()),
    }
}
