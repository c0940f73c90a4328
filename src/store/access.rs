//! What is stored of callers: keys, sessions, the audit, answers to be given again.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::StoreError;
use crate::access::{Role, Scope};
use crate::drift::time::Timestamp;

/// A key of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// By which it is found.
    pub key_id: String,
    /// What people call it; the caller's name in the audit.
    pub name: String,
    /// Of its secret.
    pub secret_sha256: Vec<u8>,
    /// What its holder may do.
    pub role: Role,
    /// What they were granted by name.
    pub scopes: BTreeSet<Scope>,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is refused.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used: Option<Timestamp>,
}

impl KeyRow {
    /// Whether it is neither revoked nor expired.
    pub fn is_valid(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires.is_none_or(|expires| now < expires)
    }
}

/// A session of the dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// Of its token.
    pub session_sha256: Vec<u8>,
    /// The key that it was opened with.
    pub key_id: String,
    /// When it was opened.
    pub created: Timestamp,
    /// From when on it is refused.
    pub expires: Timestamp,
}

/// One act that changed the state, or tried to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    /// Its id.
    pub audit_id: String,
    /// When.
    pub at: Timestamp,
    /// Who: the key's name, the token's subject, or how else the caller is known.
    pub actor: String,
    /// What tells callers of one name apart: `key:` with the key's id, `token:` with the subject.
    pub actor_id: String,
    /// How they proved it: `key`, `session`, `token`, `local`, `none` or `command`.
    pub means: String,
    /// What they did, as `alert.acknowledge`.
    pub action: String,
    /// To what: an id, or empty.
    pub object: String,
    /// Whether it was done or refused.
    pub outcome: Outcome,
    /// Further facts, as a JSON object.
    pub detail: String,
}

impl AuditRow {
    /// An act that was done now; `detail` is a JSON object.
    pub fn done(actor: &Actor, action: &str, object: &str, detail: &serde_json::Value, at: Timestamp) -> AuditRow {
        AuditRow {
            audit_id: format!("au_{}", uuid::Uuid::now_v7().simple()),
            at,
            actor: actor.name.clone(),
            actor_id: actor.id.clone(),
            means: actor.means.to_owned(),
            action: action.to_owned(),
            object: object.to_owned(),
            outcome: Outcome::Done,
            detail: detail.to_string(),
        }
    }
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// As people know them.
    pub name: String,
    /// What tells them from others of the name.
    pub id: String,
    /// How they proved it.
    pub means: &'static str,
}

/// What became of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It changed the state.
    Done,
    /// The caller may not.
    Refused,
}

impl Outcome {
    /// The name in the store and the API.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Refused => "refused",
        }
    }
}

/// Which rows of the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By whom.
    pub actor: Option<String>,
    /// Which action.
    pub action: Option<String>,
    /// To what.
    pub object: Option<String>,
    /// Older than this row: its time and id.
    pub before: Option<(Timestamp, String)>,
}

/// What became of a write that carries a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once {
    /// It is the first: do it, then `finish_once` or `release_once`.
    First,
    /// It was done; this was the answer.
    Again(Answer),
    /// The first is still being done.
    Underway,
    /// Another request has used the key.
    Other,
}

/// An answer to be given again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: i64,
    /// Its `content-type`.
    pub content_type: Option<String>,
    /// Its body.
    pub body: Vec<u8>,
}

/// A write that carries a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnceKey {
    /// Whose: callers do not share keys.
    pub caller: String,
    /// As the caller chose it.
    pub key: String,
}

/// What the API and `driftd keys` ask of a store about callers.
#[async_trait]
pub trait AccessStore: Send + Sync {
    /// Stores a new key.
    async fn create_key(&self, key: &KeyRow, audit: &AuditRow) -> Result<(), StoreError>;
    /// All keys, oldest first.
    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError>;
    /// The key of an id.
    async fn key(&self, key_id: &str) -> Result<Option<KeyRow>, StoreError>;
    /// Revokes a key and ends its sessions; false, and nothing is written, if there is none or it is
    /// revoked already.
    async fn revoke_key(&self, key_id: &str, audit: &AuditRow) -> Result<bool, StoreError>;
    /// Notes that a key was used, at most once a minute.
    async fn touch_key(&self, key_id: &str, now: Timestamp) -> Result<(), StoreError>;

    /// Opens a session; the oldest of the key end where it has more than `most`, and all that have expired.
    async fn open_session(&self, session: &SessionRow, most: i64, audit: &AuditRow) -> Result<(), StoreError>;
    /// The key of a session that has not expired.
    async fn session(&self, session_sha256: &[u8], now: Timestamp) -> Result<Option<KeyRow>, StoreError>;
    /// Ends a session; false if there is none.
    async fn close_session(&self, session_sha256: &[u8], audit: &AuditRow) -> Result<bool, StoreError>;

    /// Writes a row of the audit by itself: for what was refused. What changes the state writes its
    /// row in its own transaction, by `write_audit`.
    async fn audit(&self, audit: &AuditRow) -> Result<(), StoreError>;
    /// Rows of the audit, newest first.
    async fn audits(&self, filter: &AuditFilter, limit: i64) -> Result<Vec<AuditRow>, StoreError>;

    /// Begins a write that carries a key. One that was begun before `stale` and never finished is
    /// begun anew; what was begun before `forget` is forgotten.
    async fn begin_once(
        &self,
        once: &OnceKey,
        fingerprint: &[u8],
        now: Timestamp,
        stale: Timestamp,
        forget: Timestamp,
    ) -> Result<Once, StoreError>;
    /// Keeps the answer of the first.
    async fn finish_once(&self, once: &OnceKey, answer: &Answer) -> Result<(), StoreError>;
    /// Forgets a write that failed, so that it may be tried again.
    async fn release_once(&self, once: &OnceKey) -> Result<(), StoreError>;
}
