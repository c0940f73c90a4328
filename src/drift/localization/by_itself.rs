//! Heads that answer otherwise by themselves, whatever else has moved: for the same kind of embedding they give
//! other answers than they did.
//!
//! A head is a function of what the encoder makes of a text. If a share of the texts is new, no more than that share
//! gets other answers, and the encoder's own counts move by it as well. So where more of the records changed their
//! answers within the encoder's regions than changed in the encoder's space, the head did it
//! (docs/decisions/0039).

use std::collections::BTreeSet;

use super::Findings;
use crate::drift::signal::{Measure, Scope};
use crate::stats::distance::{Change, change};

impl Findings<'_> {
    /// Tasks of such heads: input and encoder are quiet beside them, or moved too little.
    pub(super) fn heads_by_themselves(&self) -> BTreeSet<usize> {
        let tasks = self.tasks_of(|found, i| {
            let evidence = found.steps[i].ln_moved;
            let is_seen = || found.is_seen(found.reference.signals[i].key.task);
            let is_still = || found.is_quiet_around(i) && found.is_still_before(evidence) && is_seen();
            found.is_within_leaves(i) && (found.is_beyond_the_encoder(i) || is_still())
        });
        tasks.into_iter().collect()
    }

    /// Whether a signal looks at what a head answers within each of the encoder's regions.
    pub(super) fn is_within_leaves(&self, signal: usize) -> bool {
        matches!(self.reference.signals[signal].measure, Measure::ClassGivenLeaf(_) | Measure::AnswerGivenLeaf(_))
    }

    /// Whether what a head reads is looked at in this window: the encoder, or the input where the reference knows no
    /// encoder. Where it is not, whether the other heads, which read the same, were, and are quiet.
    pub(super) fn is_seen(&self, task: Option<usize>) -> bool {
        let of = |scope: Scope| self.all().filter(move |i| self.scope(*i) == scope);
        let read = if of(Scope::Encoder).next().is_some() { Scope::Encoder } else { Scope::Input };
        let others = || of(Scope::Head).filter(|i| self.reference.signals[*i].key.task != task);
        of(read).next().is_none()
            || of(read).any(|i| self.reference.signals[i].measure.as_signal().n(&self.steps[i].cells) > 0)
            || (others().any(|i| self.is_looked_at(i)) && others().all(|i| self.is_quiet(i, f64::NEG_INFINITY)))
    }

    fn is_quiet_around(&self, signal: usize) -> bool {
        let before = |b: &usize| matches!(self.scope(*b), Scope::Input | Scope::Encoder);
        self.all().filter(before).all(|b| self.is_quiet(b, self.steps[signal].ln_moved))
    }

    /// Whether more of the window's records changed by this signal than by any of the encoder's, or where there are
    /// none by any of the input's. What chance adds is taken off the one side and left on the other.
    pub(super) fn is_beyond_the_encoder(&self, signal: usize) -> bool {
        let seen_in = |scope: Scope| {
            let changes = self.all().filter(|b| self.scope(*b) == scope).filter_map(|b| self.change(b));
            changes.map(|change| change.seen).reduce(f64::max)
        };
        let most = seen_in(Scope::Encoder).or_else(|| seen_in(Scope::Input));
        most.zip(self.change(signal)).is_some_and(|(most, own)| own.least() > most)
    }

    /// Share of a signal's units that lie in other cells than expected; `None` where its cells are no counts, or empty.
    pub(super) fn change(&self, signal: usize) -> Option<Change> {
        let (measured, step) = (self.reference.signals[signal].measure.as_signal(), &self.steps[signal]);
        let expected = measured.expected(&step.cells, &step.expected.cells);
        measured.counts().then(|| change(&step.cells, &expected)).flatten()
    }
}
