//! Causes that lie in the answers alone: another mix of one head's classes, or of the pairs that two heads answer.

use std::collections::BTreeSet;

use super::Findings;
use crate::drift::cause::CauseKind;
use crate::drift::reference::SignalReference;
use crate::drift::signal::{Measure, Scope};
use crate::drift::task::TaskKind;
use crate::stats::distance::Change;

/// Of what a head's mix of classes or a pair of heads holds, in logarithms, more than this within the encoder's
/// regions says that it is not the texts that are mixed otherwise.
const MOSTLY: f64 = 0.5;

impl Findings<'_> {
    /// The head whose mix of classes explains what the encoder sees: given their class records are where they
    /// were. Of several heads with another mix it is the one given whose answers the others' stay most as they
    /// were, and where that one does not explain the encoder, none does.
    ///
    /// Heads that answer otherwise by themselves say nothing of the texts.
    pub(super) fn prior(&self, by_themselves: &BTreeSet<usize>) -> Option<usize> {
        let is_mix = |i: &usize| {
            let SignalReference { key, measure, .. } = &self.reference.signals[*i];
            measure.is_mix() && key.task.is_none_or(|task| !by_themselves.contains(&task))
        };
        let task = |i: &usize| self.reference.signals[*i].key.task;
        let strongest = self.whole().find(|i| is_mix(i) && self.explains(*i))?;
        let first = task(&strongest)?;
        let others = self.all().filter(|i| is_mix(i) && !self.is_quiet(*i, self.steps[strongest].ln_moved));
        let leader = others
            .clone()
            .filter_map(|i| task(&i))
            .fold(first, |best, other| self.moved_first(best, other).unwrap_or(best));
        let explains = |i: usize| task(&i) == Some(leader) && self.explains(i);
        (leader == first || others.clone().any(explains)).then_some(leader)
    }

    /// Of two heads whose classes have another mix, the one whose mix explains the other's.
    fn moved_first(&self, a: usize, b: usize) -> Option<usize> {
        self.all().find_map(|i| match &self.reference.signals[i].measure {
            Measure::TaskLink(link) if link.tasks() == [a, b] || link.tasks() == [b, a] => {
                link.moved_first(&self.steps[i].cells, &self.steps[i].expected.cells)
            }
            _ => None,
        })
    }

    /// Whether a head's mix of classes may turn out to explain it, though it does not drift yet.
    pub(super) fn may_be_prior(&self) -> bool {
        self.all().any(|i| !self.is_quiet(i, f64::NEG_INFINITY) && self.explains(i))
    }

    /// Whether a signal is of a head's mix of classes, and given these the encoder is quiet.
    fn explains(&self, signal: usize) -> bool {
        let (own, evidence) = (&self.reference.signals[signal], self.steps[signal].ln_moved);
        let is_given = |i: &usize| self.is_given_the_answer(*i) && self.reference.signals[*i].key.task == own.key.task;
        let mut given = self.all().filter(is_given).peekable();
        let of_texts = own.key.task.is_none_or(|task| self.is_of_texts(task, evidence));
        // Labels of tokens say nothing of the record's class, on which the encoder's signals are conditioned.
        let of_records = own.key.task.is_some_and(|t| self.reference.spec.tasks[t].kind != TaskKind::TokenLabels);
        let acquitted = given.peek().is_some() && given.all(|i| self.is_quiet(i, evidence));
        of_records && own.measure.is_mix() && of_texts && acquitted
    }

    /// Input, or encoder, where more of the records moved by one of its counts than another mix of this head's classes
    /// accounts for: whatever the texts of a class are like, no more of them can differ than come oftener or less often.
    pub(super) fn beyond_the_mix_of(&self, task: usize) -> Option<CauseKind> {
        let mixed = |i: &usize| self.is_mix(*i) && self.reference.signals[*i].key.task == Some(task);
        let mixes = self.all().filter(mixed).filter_map(|i| self.change(i));
        let most = mixes.max_by(|a, b| a.seen.total_cmp(&b.seen))?;
        let beyond = |scope: Scope| self.moved_in(scope).any(|change| change.is_beyond(most));
        match () {
            () if beyond(Scope::Input) => Some(CauseKind::Input),
            () if beyond(Scope::Encoder) => Some(CauseKind::Encoder),
            () => None,
        }
    }

    /// Whether input and encoder moved as no mix of any head's classes has them: each is quiet itself, or its head moved
    /// more given its classes, or more of the records moved. A head that errs moves a little given its classes too where
    /// their mix does, since it takes more of the one for the others.
    pub(super) fn is_beyond_mixes(&self) -> bool {
        let shared = || [Scope::Input, Scope::Encoder].into_iter().flat_map(|scope| self.moved_in(scope));
        let cannot = |mix: usize| {
            let (task, evidence) = (self.reference.signals[mix].key.task, self.steps[mix].ln_moved);
            let given = |i: &usize| self.is_given_the_answer(*i) && self.reference.signals[*i].key.task == task;
            let moved_given = self.whole().filter(given).any(|i| self.steps[i].ln_moved > evidence);
            let moved_more = || self.change(mix).is_some_and(|mix| shared().any(|change| change.is_beyond(mix)));
            self.is_quiet(mix, f64::NEG_INFINITY) || moved_given || moved_more()
        };
        self.all().filter(|i| self.is_mix(*i)).all(cannot)
    }

    /// How many records moved by each drifting count of a part.
    fn moved_in(&self, scope: Scope) -> impl Iterator<Item = Change> {
        self.whole().filter(move |i| self.scope(*i) == scope).filter_map(|i| self.change(i))
    }

    /// Whether a signal looks at how often a head's classes come.
    fn is_mix(&self, signal: usize) -> bool {
        self.reference.signals[signal].measure.is_mix()
    }

    /// The link, where the strongest of all signals is one and its heads' classes are as frequent as ever: other
    /// pairs of answers are other texts too, so the encoder sees them, but less.
    pub(super) fn strongest_link(&self) -> Option<[usize; 2]> {
        let first = self.whole().next()?;
        let Measure::TaskLink(link) = &self.reference.signals[first].measure else { return None };
        let evidence = self.steps[first].ln_moved;
        let of_pair = |i: &usize| {
            let SignalReference { key, measure, .. } = &self.reference.signals[*i];
            measure.is_mix() && key.task.is_some_and(|t| link.tasks().contains(&t))
        };
        let as_frequent = self.all().filter(of_pair).all(|i| self.is_quiet(i, evidence));
        let of_texts = link.tasks().into_iter().all(|task| self.is_of_texts(task, evidence));
        (as_frequent && of_texts).then(|| link.tasks())
    }

    /// Whether other texts may be what moves a head's answers: within the encoder's regions they hold little of what
    /// is to be explained.
    fn is_of_texts(&self, task: usize, evidence: f64) -> bool {
        let within = |i: &usize| self.is_within_leaves(*i) && self.reference.signals[*i].key.task == Some(task);
        self.all().filter(within).all(|i| self.steps[i].ln_moved <= MOSTLY * evidence)
    }

    pub(super) fn link(&self) -> Option<[usize; 2]> {
        self.whole().find_map(|i| match &self.reference.signals[i].measure {
            Measure::TaskLink(link) => Some(link.tasks()),
            _ => None,
        })
    }
}
