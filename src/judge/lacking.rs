//! What could not be judged, as it is stored with a report and told.

use serde_json::{Value, json};

use super::Judge;
use crate::drift::lacking::lasting::{Lacked, Standing};
use crate::drift::lacking::places;
use crate::drift::reference::Reference;
use crate::metrics;

/// As it stands among the parts of a report.
pub(super) fn stored(reference: &Reference, standing: &Standing) -> Value {
    let Standing { lack, since } = standing;
    json!({
        "scope": lack.scope, "task": lack.task.map(|t| &reference.spec.tasks[t].name), "notice": true,
        "lacks": lack.what, "silent": lack.silent, "since": since, "said": lack.said,
    })
}

impl Judge {
    /// Log and metrics of what a window lacked, once its judgement is committed.
    pub(super) fn tell_lacks(&self, lacked: &Lacked) {
        let (model, spec) = (&self.model.name, &self.reference.spec);
        for Standing { lack, since } in &lacked.began {
            tracing::warn!(model, scope = lack.scope.name(), since = %since, lacks = lack.said, "cannot be judged as usual");
        }
        for Standing { lack, since } in &lacked.ended {
            tracing::info!(model, scope = lack.scope.name(), since = %since, lacked = lack.said, "is judged as usual again");
        }
        for (scope, task) in places(&self.reference) {
            let of = |standing: &&Standing| (standing.lack.scope, standing.lack.task) == (scope, task);
            let count = lacked.standing.iter().filter(of).count();
            metrics::lacks(model, scope.name(), task.map_or("", |task| &spec.tasks[task].name), count);
        }
    }
}
