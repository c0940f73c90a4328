//! Texts that show what alerts are about, from those that the windows' partials kept.

use serde_json::json;

use super::Judge;
use super::rows::{alert_id, json};
use crate::drift::course::Judged as Outcome;
use crate::drift::examples::{Because, Drawn};
use crate::drift::reference::Reference;
use crate::drift::summary::Summary;
use crate::drift::time::Timestamp;
use crate::store::{ExampleRow, JudgeStore, StoreError, StoredPartial};

impl Judge {
    /// Examples of each alert that a window made fire, or showed more of.
    pub(super) async fn examples_of(
        &self,
        store: &dyn JudgeStore,
        outcome: &Outcome,
        summary: &Summary,
        partials: &[StoredPartial],
        now: Timestamp,
    ) -> Result<Vec<ExampleRow>, StoreError> {
        let Some(rule) = self.examples else { return Ok(Vec::new()) };
        if outcome.firing().next().is_none() {
            return Ok(Vec::new());
        }
        let reference = self.reference.as_ref();
        let ids: Vec<String> = partials.iter().map(|partial| partial.partial_id.clone()).collect();
        let mut drawn = Drawn::default();
        for texts in store.texts(&ids).await? {
            match Drawn::decode(&texts) {
                Ok(more) => drawn.merge(&more),
                // Written by another version of driftd: the alert goes on without them.
                Err(error) => tracing::warn!(model = self.model.name, %error, "an alert has fewer examples"),
            }
        }
        let mut rows = Vec::new();
        for alert in outcome.firing() {
            let id = alert_id(reference, alert);
            let examples = drawn.choose(reference, summary, alert, rule.keep);
            rows.extend(examples.into_iter().zip(0..).map(|(example, ordinal)| ExampleRow {
                alert_id: id.clone(),
                ordinal,
                model: self.model.name.clone(),
                window: outcome.report.start,
                text: example.text,
                pair: example.pair,
                reasons: json(&example.reasons.iter().map(|because| reason(reference, because)).collect::<Vec<_>>()),
                found: now,
                until: now.plus(rule.retention),
            }));
        }
        Ok(rows)
    }
}

/// Why a text was chosen, as the store and a back-test's JSON tell it.
pub fn reason(reference: &Reference, Because { key, cell }: &Because) -> serde_json::Value {
    json!({
        "scope": key.scope, "task": reference.task_name(key), "segment": reference.segment_name(key),
        "signal": key.signal, "cell": cell.name,
        "reference_share": cell.reference_share, "current_share": cell.current_share,
    })
}
