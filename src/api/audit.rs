//! Who changed what, and when.

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ApiState;
use super::access::Caller;
use super::pages::List;
use super::problem::Problem;
use crate::access::Role;
use crate::drift::time::Timestamp;
use crate::store::AuditRow;
use crate::store::access::AuditFilter;

const DEFAULT_LIMIT: i64 = 100;
const MOST: i64 = 500;

/// Which acts.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Asked {
    /// By this caller.
    actor: Option<String>,
    /// This action, such as `alert.acknowledge`.
    action: Option<String>,
    /// To what has this id.
    object: Option<String>,
    /// Rows at most, 1 to 500; 100 by default.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[param(pattern = "^[0-9]{1,18}-[0-9A-Za-z_]+$")]
    cursor: Option<String>,
}

/// One act.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditView {
    /// Id.
    pub id: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What tells callers of one name apart.
    pub actor_id: String,
    /// How they proved who they are: `key`, `session`, `token`, `local`, `none`, `webhook` or `command`.
    pub means: String,
    /// What they did, such as `alert.acknowledge`; of what was refused, method and path.
    pub action: String,
    /// To what: an id, or a path.
    pub object: String,
    /// `done` or `refused`.
    pub outcome: &'static str,
    /// Further facts.
    #[schema(value_type = Object)]
    pub detail: Value,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> AuditView {
        AuditView {
            detail: serde_json::from_str(&row.detail).unwrap_or(Value::Null),
            outcome: row.outcome.name(),
            id: row.audit_id,
            at: row.at,
            actor: row.actor,
            actor_id: row.actor_id,
            means: row.means,
            action: row.action,
            object: row.object,
        }
    }
}

/// What changed the state of driftd, and what was refused, newest first. Needs the role `admin`.
#[utoipa::path(get, path = "/api/v1/audit", tag = "access", params(Asked),
    responses((status = 200, body = List<AuditView>), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 503, body = Problem)))]
pub async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Json<List<AuditView>>, Problem> {
    caller.require(Role::Admin)?;
    let (filter, limit) = asked.filter()?;
    let rows = state.access.store.audits(&filter, limit).await?;
    let full = rows.len() as i64 == limit;
    let next_cursor = rows.last().filter(|_| full).map(|row| format!("{}-{}", row.at.micros(), row.audit_id));
    Ok(Json(List { data: rows.into_iter().map(AuditView::from).collect(), next_cursor }))
}

impl Asked {
    fn filter(self) -> Result<(AuditFilter, i64), Problem> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::wrong("limit", "must be between 1 and 500"));
        }
        for (name, value) in [("actor", &self.actor), ("action", &self.action), ("object", &self.object)] {
            // Postgres holds no such text.
            if value.as_ref().is_some_and(|text| text.contains('\0')) {
                return Err(Problem::wrong(name, "contains a NUL"));
            }
        }
        let before = self.cursor.map(|cursor| {
            let place = cursor.split_once('-').and_then(|(at, id)| Some((at.parse().ok()?, id)));
            let ours = place.filter(|(_, id)| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            ours.map(|(at, id)| (Timestamp::from_micros(at), id.to_owned()))
                .ok_or_else(|| Problem::wrong("cursor", "is not one that this API gave"))
        });
        let before = before.transpose()?;
        Ok((AuditFilter { actor: self.actor, action: self.action, object: self.object, before }, limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_parameters_are_told() {
        let text = |text: &str| Some(text.to_owned());
        for asked in [
            Asked { limit: Some(0), ..Asked::default() },
            Asked { limit: Some(501), ..Asked::default() },
            Asked { actor: text("a\0b"), ..Asked::default() },
            Asked { cursor: text("before-7"), ..Asked::default() },
            Asked { cursor: text("7"), ..Asked::default() },
            Asked { cursor: text("7-au' or 1=1"), ..Asked::default() },
        ] {
            let said = format!("{asked:?}");
            assert_eq!(asked.filter().expect_err(&said).status, 400, "{said}");
        }
        let (filter, limit) = Asked { cursor: text("7-au_0f"), ..Asked::default() }.filter().expect("valid");
        assert_eq!((limit, filter.before), (100, Some((Timestamp::from_micros(7), "au_0f".to_owned()))));
    }
}
