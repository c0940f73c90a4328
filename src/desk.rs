//! What people do about alerts: acknowledge, silence, send again. The API and the command line do the same
//! here, with the same checks; who may is theirs to know.

use serde_json::{Value, json};

use crate::drift::cause::CauseKind;
use crate::drift::severity::Severity;
use crate::drift::time::{Span, Timestamp};
use crate::store::{
    AcknowledgementRow, AlertRow, AttemptRow, AuditRow, DeliveryRow, DeskStore, NewDelivery, SilenceRow, StoreError,
    Thread, Told,
};

/// A comment is a sentence or two.
const MOST_COMMENT: usize = 2_000;
/// A name of a model, task or segment.
const MOST_NAME: usize = 200;
/// A longer silence is forgotten; a rule of routing says for ever.
const MOST_SILENCE: Span = Span::from_secs(90 * 86_400);

/// What somebody asks of the desk that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// There is nothing of this name.
    #[error("no {0} `{1}`")]
    Missing(&'static str, String),
    /// It cannot be now.
    #[error("{0}")]
    Conflict(String),
    /// What they said is not right.
    #[error("`{0}` {1}")]
    Wrong(&'static str, String),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whoever does something: their name, and how the audit is told.
#[derive(Clone, Copy)]
pub struct By<'a> {
    /// Name.
    pub name: &'a str,
    /// Makes the row of the audit of an action, the id of what it is done to, and further facts.
    pub act: &'a (dyn Fn(&str, &str, &Value) -> AuditRow + Sync),
}

/// What somebody says of a silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSilence {
    /// The alert's model; any by default.
    pub model: Option<String>,
    /// Its task.
    pub task: Option<String>,
    /// Its cause's kind.
    pub cause: Option<String>,
    /// Its segment.
    pub segment: Option<String>,
    /// Its severity.
    pub severity: Option<String>,
    /// Why.
    pub comment: String,
    /// From when on; now by default.
    pub starts: Option<Timestamp>,
    /// Until when.
    pub ends: Timestamp,
}

impl NewSilence {
    /// Of everything, from now on.
    pub fn until(ends: Timestamp, comment: &str) -> NewSilence {
        NewSilence {
            model: None,
            task: None,
            cause: None,
            segment: None,
            severity: None,
            comment: comment.to_owned(),
            starts: None,
            ends,
        }
    }
}

/// Takes an alert on: it is not told again while it fires, and whoever was told of it hears who.
///
/// # Errors
/// If there is no such alert, or it does not fire.
pub async fn acknowledge(
    store: &dyn DeskStore,
    alert_id: &str,
    by: By<'_>,
    comment: &str,
    now: Timestamp,
) -> Result<(AlertRow, AcknowledgementRow), DeskError> {
    let comment = words("comment", comment, MOST_COMMENT)?;
    let alert = store.alert(alert_id).await?.ok_or_else(|| DeskError::Missing("alert", alert_id.to_owned()))?;
    if !["firing", "pending"].contains(&alert.state.as_str()) {
        return Err(DeskError::Conflict(format!("the alert is {}: there is nothing to take on", alert.state)));
    }
    let row = AcknowledgementRow { alert_id: alert_id.to_owned(), at: now, by: by.name.to_owned(), comment };
    let told = store.told(alert_id).await?;
    let deliveries: Vec<NewDelivery> =
        told.iter().filter(|t| t.state != "silenced").filter_map(|t| acknowledged(t, &row)).collect();
    let audit = (by.act)("alert.acknowledge", alert_id, &json!({"comment": row.comment}));
    store.acknowledge(&row, &deliveries, &audit).await?;
    Ok((alert, row))
}

/// The message about it, made of what an endpoint was last told. Doing it again makes another one.
fn acknowledged(told: &Told, row: &AcknowledgementRow) -> Option<NewDelivery> {
    let last = &told.delivery;
    let mut body: serde_json::Value = serde_json::from_str(&last.body).ok()?;
    body["type"] = "drift.alarm.acknowledged".into();
    body["timestamp"] = json!(row.at);
    body["data"]["acknowledgement"] = json!({"at": row.at, "by": row.by, "comment": row.comment});
    Some(NewDelivery {
        delivery_id: format!("msg_ack_{}", uuid::Uuid::now_v7().simple()),
        endpoint: last.endpoint.clone(),
        event: "drift.alarm.acknowledged".to_owned(),
        model: last.model.clone(),
        body: body.to_string(),
        thread: Thread {
            alert_id: last.alert_id.clone(),
            group_key: last.group_key.clone(),
            repeat: last.repeat,
            ..Thread::default()
        },
    })
}

/// Adds a silence.
///
/// # Errors
/// Without a comment, with an end that is not after its start and now, or with a name that nothing has.
pub async fn silence(
    store: &dyn DeskStore,
    new: NewSilence,
    by: By<'_>,
    now: Timestamp,
) -> Result<SilenceRow, DeskError> {
    let comment = words("comment", &new.comment, MOST_COMMENT)?;
    if comment.trim().is_empty() {
        return Err(DeskError::Wrong("comment", "is missing: say why, for whoever comes after you".to_owned()));
    }
    let starts = new.starts.unwrap_or(now);
    if new.ends <= now || new.ends <= starts {
        return Err(DeskError::Wrong("ends_at", "must lie in the future and after the start".to_owned()));
    }
    if new.ends.since(starts) > MOST_SILENCE {
        let message = format!("is more than {MOST_SILENCE} after the start: a route without endpoints says for ever");
        return Err(DeskError::Wrong("ends_at", message));
    }
    if let Some(cause) = &new.cause
        && !CauseKind::ALL.iter().any(|kind| kind.name() == cause)
    {
        let known: Vec<&str> = CauseKind::ALL.into_iter().map(CauseKind::name).collect();
        return Err(DeskError::Wrong("cause", format!("must be one of {}", known.join(", "))));
    }
    if let Some(severity) = &new.severity
        && Severity::parse(severity).is_none()
    {
        return Err(DeskError::Wrong("severity", "must be one of info, warning, critical".to_owned()));
    }
    let name = |field: &'static str, value: Option<String>| match value.as_deref().map(str::trim) {
        None | Some("") => Ok(None),
        Some(text) => words(field, text, MOST_NAME).map(Some),
    };
    let row = SilenceRow {
        silence_id: format!("sil_{}", uuid::Uuid::now_v7().simple()),
        model: name("model", new.model)?,
        task: name("task", new.task)?,
        cause: new.cause,
        segment: name("segment", new.segment)?,
        severity: new.severity,
        comment,
        created_by: by.name.to_owned(),
        created: now,
        starts,
        ends: new.ends,
    };
    let what = json!({
        "model": row.model, "task": row.task, "cause": row.cause, "segment": row.segment, "severity": row.severity,
        "comment": row.comment, "starts_at": row.starts, "ends_at": row.ends,
    });
    store.add_silence(&row, &(by.act)("silence.create", &row.silence_id, &what)).await?;
    Ok(row)
}

/// Ends a silence now.
///
/// # Errors
/// If there is none of this id.
pub async fn expire(
    store: &dyn DeskStore,
    silence_id: &str,
    by: By<'_>,
    now: Timestamp,
) -> Result<SilenceRow, DeskError> {
    let ended = store.expire_silence(silence_id, now, &(by.act)("silence.expire", silence_id, &json!({}))).await?;
    ended.ok_or_else(|| DeskError::Missing("silence", silence_id.to_owned()))
}

/// A delivery with its attempts.
///
/// # Errors
/// If there is none of this id.
pub async fn delivery(store: &dyn DeskStore, id: &str) -> Result<(DeliveryRow, Vec<AttemptRow>), DeskError> {
    let row = store.delivery(id).await?.ok_or_else(|| DeskError::Missing("delivery", id.to_owned()))?;
    Ok((row, store.attempts(id).await?))
}

/// Sends a message once more.
///
/// # Errors
/// If there is none of this id, or it waits to be sent anyhow.
pub async fn redeliver(store: &dyn DeskStore, id: &str, by: By<'_>, now: Timestamp) -> Result<(), DeskError> {
    delivery(store, id).await?;
    if store.redeliver(id, now, &(by.act)("delivery.redeliver", id, &json!({}))).await? {
        return Ok(());
    }
    Err(DeskError::Conflict("it waits to be sent already".to_owned()))
}

/// Text that a database can hold, without control characters but line breaks.
fn words(field: &'static str, text: &str, most: usize) -> Result<String, DeskError> {
    if text.chars().count() > most {
        return Err(DeskError::Wrong(field, format!("is longer than {most} characters")));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(DeskError::Wrong(field, "holds control characters".to_owned()));
    }
    Ok(text.to_owned())
}
