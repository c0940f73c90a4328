//! Alerts that no window can resolve any more: their version, their reference or their course is gone. They are
//! closed, and whoever heard of them is told, in the transaction with which the present course begins.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Judge;
use super::dispatch::{Listener, RESOLVED, listeners};
use super::evidence::EVIDENCE_SHOWN;
use super::rows::{alert_id, json as text, nothing, parsed};
use crate::drift::alert::AlertState;
use crate::drift::course::Course;
use crate::drift::severity::Severity;
use crate::drift::time::Timestamp;
use crate::store::{AlertRow, JudgeStore, Judged, NewDelivery, OpenAlert, TransitionRow, stable_id};

impl Judge {
    /// Closes what the course that goes on here knows nothing of. True if messages were written.
    ///
    /// # Errors
    /// As [`Judge::step`].
    pub(super) async fn close_superseded(&self, store: &dyn JudgeStore, now: Timestamp) -> anyhow::Result<bool> {
        let (mut version, course) = self.course(store).await?;
        let mut open = store.open_alerts(&self.model.name).await?;
        let known = self.known(&course);
        open.retain(|open| !known.contains(&open.alert.alert_id));
        if open.is_empty() {
            return Ok(false);
        }
        let mut judged = nothing(self, now);
        (judged.next_slot, judged.course) = (course.next_slot, course.encode());
        open.into_iter().for_each(|open| self.close(open, &mut judged, now));
        self.commit(store, judged, &mut version, &[]).await
    }

    /// Alerts that the course goes on with.
    fn known(&self, course: &Course) -> BTreeSet<String> {
        course.alerts().open().map(|alert| alert_id(&self.reference, alert)).collect()
    }

    fn close(&self, open: OpenAlert, judged: &mut Judged, now: Timestamp) {
        let OpenAlert { mut alert, version } = open;
        let firing = alert.state == AlertState::Firing.name();
        let to = if firing { AlertState::Resolved } else { AlertState::Inactive }.name();
        let spec = &self.reference.spec;
        let reason = match () {
            () if version != spec.version => format!("superseded by version `{}`", spec.version),
            () if alert.reference_id != self.reference.id => format!("superseded by reference `{}`", self.reference.id),
            () => "its evidence could not be read, and starts afresh".to_owned(),
        };
        let transition = TransitionRow {
            // Its course is over: it ends once.
            transition_id: stable_id("tr", &[&alert.alert_id, "superseded", to]),
            alert_id: alert.alert_id.clone(),
            at: now,
            from: std::mem::replace(&mut alert.state, to.to_owned()),
            to: to.to_owned(),
            reason,
        };
        alert.resolved = Some(now);
        if firing {
            judged.deliveries.extend(self.resolved_messages(&alert, &version, &transition));
        }
        judged.alerts.push((alert, transition));
    }

    fn resolved_messages(&self, alert: &AlertRow, version: &str, transition: &TransitionRow) -> Vec<NewDelivery> {
        let severity = Severity::of_name(&alert.cause);
        let witnesses: Vec<Value> = serde_json::from_str(&alert.evidence).unwrap_or_default();
        let (explained, own): (Vec<Value>, Vec<Value>) = witnesses.into_iter().partition(|w| w["explained"] == true);
        let data = json!({
            "alarm_id": alert.alert_id,
            "transition_id": transition.transition_id,
            "model": {"name": alert.model, "version": version},
            "state": transition.to,
            "severity": severity,
            "summary": alert.summary,
            "cause": {
                "kind": alert.cause, "task": alert.cause_task, "segment": alert.cause_segment,
                "tasks_affected": parsed(&alert.tasks_affected),
            },
            "opened_at": alert.opened,
            "evidence_ratio": alert.ln_evidence.map(|e| (e - alert.ln_threshold).min(300.0).exp()),
            "budget": self.model.budget,
            "guarantee": parsed(&alert.guarantee),
            "evidence": own.iter().take(EVIDENCE_SHOWN).collect::<Vec<_>>(),
            "explained": explained.len(),
            "reason": transition.reason,
            "backfill": false,
        });
        let body = text(&json!({"type": RESOLVED, "timestamp": transition.at, "data": data}));
        let message = |listener: Listener| NewDelivery {
            delivery_id: stable_id("msg", &[&transition.transition_id, &listener.endpoint]),
            endpoint: listener.endpoint,
            event: RESOLVED.to_owned(),
            model: alert.model.clone(),
            body: body.clone(),
            thread: listener.thread,
        };
        let affected: Vec<String> = serde_json::from_str(&alert.tasks_affected).unwrap_or_default();
        listeners(self, alert, affected, severity, true).into_iter().map(message).collect()
    }
}
