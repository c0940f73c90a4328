//! A candidate beside the current model, as the judge sees it: what flushes and labels say is added to what is known,
//! and the verdict follows. A candidate is never in the way of its model: what does not decode is told and left out.

use super::Judge;
use super::rows::json;
use crate::drift::gate::Demands;
use crate::drift::gate_report::{GateReport, Side, Verdict};
use crate::drift::shadow::{Pair, Tally};
use crate::drift::time::Timestamp;
use crate::metrics;
use crate::store::{JudgeStore, ShadowChange, ShadowKey, ShadowRow};

/// Partials added in one transaction.
const PARTIALS: i64 = 500;

/// A candidate as the judge needs it.
#[derive(Clone, Debug)]
pub struct Shadowing {
    /// Its id.
    pub candidate_id: String,
    /// The current model, and the candidate.
    pub sides: [Side; 2],
    /// What is asked of it.
    pub demands: Demands,
}

/// What is known of a candidate, and when its row was read.
struct Known<'a> {
    judge: &'a Judge,
    shadowing: &'a Shadowing,
    of: ShadowKey,
    version: i64,
    begun: Timestamp,
    tally: Tally,
}

impl Judge {
    /// Adds what flushes counted of the candidate.
    ///
    /// # Errors
    /// If the store fails, or somebody else has added meanwhile; the step can be done again.
    pub(super) async fn add_shadows(&self, store: &dyn JudgeStore, now: Timestamp) -> anyhow::Result<()> {
        while let Some(mut known) = self.known_shadow(store, now).await? {
            let partials = store.shadow_partials(&known.of, PARTIALS).await?;
            let is_all = (partials.len() as i64) < PARTIALS;
            if partials.is_empty() && known.version > 0 {
                break;
            }
            let mut consumed = Vec::with_capacity(partials.len());
            for (id, body) in partials {
                if let Err(error) = Tally::decode(&body).and_then(|partial| known.tally.merge(&partial)) {
                    tracing::warn!(model = self.model.name, %error, "a flush's count of the candidate is left out");
                }
                consumed.push(id);
            }
            if !store.commit_shadow(&known.change(consumed, now)).await? {
                anyhow::bail!("another judge has added to the shadow of `{}`", self.model.name);
            }
            if is_all {
                break;
            }
        }
        Ok(())
    }

    /// Adds what labels say of the candidate, to be committed with the judgement that they belong to.
    pub(super) async fn add_pairs(
        &self,
        store: &dyn JudgeStore,
        pairs: &[(String, Pair)],
        now: Timestamp,
    ) -> anyhow::Result<Option<ShadowChange>> {
        let Some(shadowing) = &self.shadowing else { return Ok(None) };
        let mine: Vec<Pair> =
            pairs.iter().filter(|(id, _)| *id == shadowing.candidate_id).map(|(_, pair)| *pair).collect();
        if mine.is_empty() {
            return Ok(None);
        }
        let Some(mut known) = self.known_shadow(store, now).await? else { return Ok(None) };
        mine.into_iter().for_each(|pair| known.tally.pair(pair));
        Ok(Some(known.change(Vec::new(), now)))
    }

    async fn known_shadow<'a>(&'a self, store: &dyn JudgeStore, now: Timestamp) -> anyhow::Result<Option<Known<'a>>> {
        let Some(shadowing) = &self.shadowing else { return Ok(None) };
        let of = ShadowKey {
            model: self.model.name.clone(),
            reference_id: self.reference.id.clone(),
            candidate_id: shadowing.candidate_id.clone(),
        };
        let row = store.shadow(&of).await?;
        let (version, begun) = row.as_ref().map_or((0, now), |row| (row.version, row.begun));
        let mut tally = Tally::empty(&self.reference.spec);
        if let Some(row) = row
            && let Err(error) = Tally::decode(&row.tally).and_then(|stored| tally.merge(&stored))
        {
            tracing::warn!(model = self.model.name, %error, "the candidate's evidence starts afresh");
        }
        Ok(Some(Known { judge: self, shadowing, of, version, begun, tally }))
    }
}

impl Known<'_> {
    fn change(self, consumed: Vec<String>, now: Timestamp) -> ShadowChange {
        let Shadowing { sides, demands, .. } = self.shadowing;
        let report = self.tally.report(&self.judge.reference.spec, demands, sides.clone());
        observe(&self.of.model, &report);
        let row = ShadowRow {
            of: self.of,
            version: self.version,
            begun: self.begun,
            updated: now,
            verdict: report.verdict.name().to_owned(),
            labels_needed: report.labels_needed.and_then(|n| i64::try_from(n).ok()),
            report: json(&report),
            tally: self.tally.encode(),
        };
        ShadowChange { row, consumed }
    }
}

fn observe(model: &str, report: &GateReport) {
    for task in &report.tasks {
        let verdict = match task.verdict {
            Verdict::Pass => 1.0,
            Verdict::Undecided => 0.0,
            Verdict::Fail => -1.0,
        };
        metrics::shadow_task(model, &task.task, verdict, task.answers.as_ref().map(|a| a.differ));
    }
}
