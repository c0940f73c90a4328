//! Statements about callers.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use super::StoreError;
use super::access::{AccessStore, Answer, AuditFilter, AuditRow, KeyRow, Once, OnceKey, Outcome, SessionRow};
use super::sql::{Columns, SqlStore};
use crate::access::{Role, Scope};
use crate::drift::time::{Span, Timestamp};

/// How exact `last_used` is: a write for every request would cost more than it tells.
const TOUCH_EVERY: Span = Span::from_secs(60);

/// Writes a row of the audit in the transaction of what it tells.
pub(super) async fn write_audit(
    transaction: &mut Transaction<'static, Any>,
    audit: &AuditRow,
) -> Result<(), StoreError> {
    sqlx::query(
        "-- write_audit
        insert into audit (audit_id, at_us, actor, actor_id, means, action, object, outcome, detail)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&audit.audit_id)
    .bind(audit.at.micros())
    .bind(&audit.actor)
    .bind(&audit.actor_id)
    .bind(&audit.means)
    .bind(&audit.action)
    .bind(&audit.object)
    .bind(audit.outcome.name())
    .bind(&audit.detail)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

#[async_trait]
impl AccessStore for SqlStore {
    async fn create_key(&self, key: &KeyRow, audit: &AuditRow) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query(
            "-- create_key
            insert into api_key (key_id, name, secret_sha256, role, scopes, created_us, expires_us, revoked_us, last_used_us)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&key.key_id)
        .bind(&key.name)
        .bind(&key.secret_sha256)
        .bind(key.role.name())
        .bind(key.scopes.iter().map(|s| s.name()).collect::<Vec<_>>().join(" "))
        .bind(key.created.micros())
        .bind(key.expires.map(Timestamp::micros))
        .bind(key.revoked.map(Timestamp::micros))
        .bind(key.last_used.map(Timestamp::micros))
        .execute(&mut *transaction)
        .await?;
        write_audit(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        let rows =
            sqlx::query("-- keys\nselect * from api_key order by created_us, key_id").fetch_all(&self.pool).await?;
        rows.iter().map(key).collect()
    }

    async fn key(&self, key_id: &str) -> Result<Option<KeyRow>, StoreError> {
        let row = sqlx::query("-- key\nselect * from api_key where key_id = $1")
            .bind(key_id)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(key).transpose()
    }

    async fn revoke_key(&self, key_id: &str, audit: &AuditRow) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query(
            "-- revoke_key
            update api_key set revoked_us = $2 where key_id = $1 and revoked_us is null",
        )
        .bind(key_id)
        .bind(audit.at.micros())
        .execute(&mut *transaction)
        .await?;
        if done.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        sqlx::query("-- revoke_key (sessions)\ndelete from access_session where key_id = $1")
            .bind(key_id)
            .execute(&mut *transaction)
            .await?;
        write_audit(&mut transaction, audit).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn touch_key(&self, key_id: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "-- touch_key
            update api_key set last_used_us = $2 where key_id = $1 and (last_used_us is null or last_used_us <= $3)",
        )
        .bind(key_id)
        .bind(now.micros())
        .bind(now.minus(TOUCH_EVERY).micros())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn open_session(&self, session: &SessionRow, most: i64, audit: &AuditRow) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("-- open_session (expired)\ndelete from access_session where expires_us <= $1")
            .bind(session.created.micros())
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "-- open_session
            insert into access_session (session_sha256, key_id, created_us, expires_us) values ($1, $2, $3, $4)",
        )
        .bind(&session.session_sha256)
        .bind(&session.key_id)
        .bind(session.created.micros())
        .bind(session.expires.micros())
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "-- open_session (too many)
            delete from access_session where key_id = $1 and session_sha256 not in (
                select session_sha256 from access_session where key_id = $1 order by created_us desc, session_sha256 limit $2)",
        )
        .bind(&session.key_id)
        .bind(most)
        .execute(&mut *transaction)
        .await?;
        write_audit(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn session(&self, session_sha256: &[u8], now: Timestamp) -> Result<Option<KeyRow>, StoreError> {
        let row = sqlx::query(
            "-- session
            select k.* from access_session s join api_key k on k.key_id = s.key_id
            where s.session_sha256 = $1 and s.expires_us > $2",
        )
        .bind(session_sha256)
        .bind(now.micros())
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(key).transpose()
    }

    async fn close_session(&self, session_sha256: &[u8], audit: &AuditRow) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let done = sqlx::query("-- close_session\ndelete from access_session where session_sha256 = $1")
            .bind(session_sha256)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        write_audit(&mut transaction, audit).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn audit(&self, audit: &AuditRow) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        write_audit(&mut transaction, audit).await?;
        Ok(transaction.commit().await?)
    }

    async fn audits(&self, filter: &AuditFilter, limit: i64) -> Result<Vec<AuditRow>, StoreError> {
        let (at, id) = filter.before.clone().unwrap_or((Timestamp::from_micros(i64::MAX), String::new()));
        let rows = sqlx::query(
            "-- audits
            select audit_id, at_us, actor, actor_id, means, action, object, outcome, detail from audit
            where at_us <= $1 and (at_us < $1 or audit_id < $2)
                and ($3 = '' or actor = $3) and ($4 = '' or action = $4) and ($5 = '' or object = $5)
            order by at_us desc, audit_id desc limit $6",
        )
        .bind(at.micros())
        .bind(id)
        .bind(filter.actor.as_deref().unwrap_or_default())
        .bind(filter.action.as_deref().unwrap_or_default())
        .bind(filter.object.as_deref().unwrap_or_default())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(audit).collect()
    }

    async fn begin_once(
        &self,
        once: &OnceKey,
        fingerprint: &[u8],
        now: Timestamp,
        stale: Timestamp,
        forget: Timestamp,
    ) -> Result<Once, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("-- begin_once (old)\ndelete from idempotency where begun_us < $1")
            .bind(forget.micros())
            .execute(&mut *transaction)
            .await?;
        let begun = sqlx::query(
            "-- begin_once
            insert into idempotency (caller, idempotency_key, fingerprint, begun_us) values ($1, $2, $3, $4)
            on conflict (caller, idempotency_key) do update set begun_us = excluded.begun_us
                where idempotency.status is null and idempotency.begun_us < $5
                    and idempotency.fingerprint = excluded.fingerprint",
        )
        .bind(&once.caller)
        .bind(&once.key)
        .bind(fingerprint)
        .bind(now.micros())
        .bind(stale.micros())
        .execute(&mut *transaction)
        .await?;
        if begun.rows_affected() == 1 {
            transaction.commit().await?;
            return Ok(Once::First);
        }
        let row = sqlx::query(
            "-- begin_once (again)
            select fingerprint, status, content_type, coalesce(body, fingerprint) as body from idempotency
            where caller = $1 and idempotency_key = $2",
        )
        .bind(&once.caller)
        .bind(&once.key)
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        // Released between the two statements: the caller tries again.
        let Some(row) = row else { return Ok(Once::Underway) };
        if row.bytes("fingerprint")? != fingerprint {
            return Ok(Once::Other);
        }
        Ok(match row.maybe_int("status")? {
            None => Once::Underway,
            Some(status) => {
                Once::Again(Answer { status, content_type: row.maybe_text("content_type")?, body: row.bytes("body")? })
            }
        })
    }

    async fn finish_once(&self, once: &OnceKey, answer: &Answer) -> Result<(), StoreError> {
        sqlx::query(
            "-- finish_once
            update idempotency set status = $3, content_type = $4, body = $5 where caller = $1 and idempotency_key = $2",
        )
        .bind(&once.caller)
        .bind(&once.key)
        .bind(answer.status)
        .bind(&answer.content_type)
        .bind(&answer.body)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    async fn release_once(&self, once: &OnceKey) -> Result<(), StoreError> {
        sqlx::query(
            "-- release_once\ndelete from idempotency where caller = $1 and idempotency_key = $2 and status is null",
        )
        .bind(&once.caller)
        .bind(&once.key)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

fn key(row: &AnyRow) -> Result<KeyRow, StoreError> {
    let unknown = |what: &str, name: &str| StoreError::Corrupt(format!("an API key has the {what} `{name}`"));
    let (role, scopes) = (row.text("role")?, row.text("scopes")?);
    let scope = |name| Scope::parse(name).ok_or_else(|| unknown("scope", name));
    Ok(KeyRow {
        key_id: row.text("key_id")?,
        name: row.text("name")?,
        secret_sha256: row.bytes("secret_sha256")?,
        role: Role::parse(&role).ok_or_else(|| unknown("role", &role))?,
        scopes: scopes.split_whitespace().map(scope).collect::<Result<BTreeSet<_>, _>>()?,
        created: row.time("created_us")?,
        expires: row.maybe_time("expires_us")?,
        revoked: row.maybe_time("revoked_us")?,
        last_used: row.maybe_time("last_used_us")?,
    })
}

fn audit(row: &AnyRow) -> Result<AuditRow, StoreError> {
    let outcome = row.text("outcome")?;
    Ok(AuditRow {
        audit_id: row.text("audit_id")?,
        at: row.time("at_us")?,
        actor: row.text("actor")?,
        actor_id: row.text("actor_id")?,
        means: row.text("means")?,
        action: row.text("action")?,
        object: row.text("object")?,
        outcome: [Outcome::Done, Outcome::Refused]
            .into_iter()
            .find(|o| o.name() == outcome)
            .ok_or_else(|| StoreError::Corrupt(format!("a row of the audit has the outcome `{outcome}`")))?,
        detail: row.text("detail")?,
    })
}
