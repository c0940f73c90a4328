//! Production's answers beside our own: a skew of the encoder, or of single heads, and what it explains.

use super::Findings;
use crate::drift::cause::{Cause, CauseKind};
use crate::drift::detector::SignalStep;
use crate::drift::signal::Scope;
use crate::drift::witness::explains_signal;

impl Findings<'_> {
    /// Skews: of the encoder where embeddings differ, or where they are not known and more than one head
    /// does; else of each head.
    pub(super) fn skews(&self) -> Vec<Cause> {
        let mut skewed = self.tasks_of(|found, i| found.scope(i) == Scope::Skew);
        skewed.sort_unstable();
        let of_encoder = self.embeddings_skewed() || (skewed.len() > 1 && !self.embeddings_compared());
        let skew = |task, tasks_affected| Cause { kind: CauseKind::Skew, task, segment: None, tasks_affected };
        match skewed.as_slice() {
            [] => Vec::new(),
            _ if of_encoder => vec![skew(None, skewed)],
            heads => heads.iter().map(|task| skew(Some(*task), vec![*task])).collect(),
        }
    }

    /// Sets aside what the skews explain.
    pub(super) fn set_aside(&mut self, skews: &[Cause]) {
        let explained = |i: &usize| skews.iter().any(|skew| explains_signal(skew, self.reference, *i));
        let rest = self.drifting.iter().copied().filter(|i| !explained(i)).collect();
        self.encoder_skewed = skews.iter().any(|skew| skew.task.is_none());
        self.skewed = skews.iter().flat_map(|skew| skew.tasks_affected.clone()).collect();
        self.drifting = rest;
    }

    /// The steps of the signals that compare embeddings: they have no weight, and their own threshold.
    fn of_embeddings(&self) -> impl Iterator<Item = &SignalStep> {
        let pairs = self.reference.signals.iter().zip(self.steps);
        pairs.filter(|(s, _)| s.key.scope == Scope::Skew && s.key.task.is_none()).map(|(_, step)| step)
    }

    fn embeddings_skewed(&self) -> bool {
        self.of_embeddings().any(|step| step.ln_evidence >= self.ln_threshold)
    }

    fn embeddings_compared(&self) -> bool {
        self.of_embeddings().any(|step| step.cells.iter().any(|records| *records > 0))
    }
}
