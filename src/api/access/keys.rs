//! Callers who show an API key.

use super::super::problem::Problem;
use super::{Access, Caller, Means, unauthorized};
use crate::access::key::ApiKey;
use crate::metrics;
use crate::store::access::KeyRow;

impl Access {
    /// The caller whose key this is.
    pub(super) async fn by_key(&self, text: &str) -> Result<Caller, Problem> {
        let row = self.valid_key(text).await?;
        if let Err(error) = self.store.touch_key(&row.key_id, self.clock.now()).await {
            tracing::warn!(error = %crate::telemetry::chain(&error), "the last use of a key was not noted");
        }
        Ok(caller(row, Means::Key))
    }

    /// The key of this text, if it is one of ours, neither revoked nor expired. Why a key is refused is
    /// told only to who holds it.
    pub(super) async fn valid_key(&self, text: &str) -> Result<KeyRow, Problem> {
        let unknown = || refuse("unknown_key", "no such API key");
        let key = ApiKey::parse(text).ok_or_else(unknown)?;
        let row = self.store.key(&key.id).await?.ok_or_else(unknown)?;
        if !key.fits(&row.secret_sha256) {
            return Err(unknown());
        }
        if row.is_valid(self.clock.now()) {
            return Ok(row);
        }
        Err(match row.revoked {
            Some(_) => refuse("revoked_key", "the API key was revoked"),
            None => refuse("expired_key", "the API key has expired"),
        })
    }
}

/// The holder of a key.
pub(super) fn caller(row: KeyRow, means: Means) -> Caller {
    Caller { name: row.name, id: format!("key:{}", row.key_id), means, role: row.role, scopes: row.scopes }
}

fn refuse(reason: &'static str, detail: &str) -> Problem {
    metrics::authentication_failed(reason);
    unauthorized(detail)
}
