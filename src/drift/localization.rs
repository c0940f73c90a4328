//! Where in the model it drifted. The questions have a fixed order, and each explains what those after
//! it would find too: a skew moves heads, the encoder moves heads, a mix of classes moves words.
//! `undetermined` is a legal answer, and what one cause does not explain is another.
//!
//! What has moved and what is quiet is asked of `SignalStep::ln_moved`, not of the evidence that alarms, which
//! quiet signals hold more of (docs/decisions/0022).
//!
//! | what drifts | verdict |
//! |---|---|
//! | production's answers are not the exported model's | skew, of the encoder or of single heads |
//! | a head's classes, while the encoder is quiet given them: their mix explains the rest | prior shift of that head |
//! | which answers go together, far more than anything else, and no head given what it answers | link of two heads |
//! | heads, given what they answer, and with them input or encoder | input, or encoder; and a head that answers quite otherwise for the same embeddings |
//! | heads, given what they answer, while input and encoder are quiet | each of those heads |
//! | heads, while input or encoder is neither drifting nor quiet | input, or encoder, if it holds more evidence than a quiet one does; else undetermined |
//! | input or encoder alone | input, or encoder |
//! | which answers go together, and nothing else | link of two heads |
//! | one segment alone | that segment |

use super::cause::{Cause, CauseKind};
use super::detector::SignalStep;
use super::reference::{Reference, SignalReference};
use super::segment::Segment;
use super::signal::{Measure, Scope, SignalKey};
use super::task::TaskKind;
use super::tree::{part_moved, weights};
pub use super::witness::{Found, Witness};
use super::witness::{explains_signal, owns_signal, strongest_of};
use crate::stats::multiplicity::e_bh;
use crate::stats::probability::ln_add;

/// Level at which e-BH names drifting signals once the model has alarmed.
const LEVEL: f64 = 0.1;
/// Where e-BH names none, signals that make up so much of the evidence are named.
pub(super) const MAIN_SHARE: f64 = 0.5;
/// A signal is quiet while its evidence is below this share of the threshold,
const QUIET_SHARE: f64 = 0.05;
/// or, in logarithms, below this share of what it is to explain. What is neither drifting nor quiet makes
/// it too early to say.
const QUIET_EXPONENT: f64 = 0.25;
/// Of what a head's mix of classes holds, in logarithms, more than this within the encoder's regions says that it is
/// not the texts that are mixed otherwise.
const MOSTLY: f64 = 0.5;
/// A quiet part of the tree holds more evidence than this in at most one window of twenty (`months quiet`): once
/// something has alarmed, and the question is only what, it is enough to say that the part has moved as well.
pub(super) const MOVED: f64 = 20.0;
/// A segment with more of the records than this is no place of its own: what moves in it moves the whole.
const MOST_OF_ALL: f64 = 0.5;

/// Says where, from the evidence of one window's steps and the model's threshold A (natural log): at least
/// one cause, the first question's first.
///
/// R/A is an e-value over the A windows in which one false alarm is allowed, so e-BH on it, weighted as
/// the tree is, names the signals that drift.
pub fn localize(reference: &Reference, steps: &[SignalStep], ln_threshold: f64) -> Vec<Found> {
    let mut found = Findings::new(reference, steps, ln_threshold);
    let mut causes = found.skews();
    found.set_aside(&causes);
    if causes.is_empty() || !found.drifting.is_empty() {
        causes.extend(found.others(causes.is_empty()));
    }
    found.with_witnesses(causes)
}

/// The signals that drift, the strongest first, and what they are.
struct Findings<'a> {
    reference: &'a Reference,
    steps: &'a [SignalStep],
    ln_threshold: f64,
    /// ln of each signal's share in the model's evidence, on the scale of what has moved.
    ln_share: Vec<f64>,
    /// Drifting signals that no cause explains so far.
    drifting: Vec<usize>,
    /// All drifting signals.
    all_drifting: Vec<usize>,
    /// Tasks whose heads a skew explains.
    skewed: Vec<usize>,
    /// Whether a skew explains the encoder.
    encoder_skewed: bool,
}

impl<'a> Findings<'a> {
    fn new(reference: &'a Reference, steps: &'a [SignalStep], ln_threshold: f64) -> Findings<'a> {
        let weights = weights(reference);
        let weighted = |(step, weight): (&SignalStep, &f64)| step.ln_moved + weight.ln();
        let ln_share: Vec<f64> = steps.iter().zip(&weights).map(weighted).collect();
        let m = weights.iter().filter(|w| **w > 0.0).count() as f64;
        let ln_e: Vec<f64> = ln_share.iter().map(|ln| ln + m.ln() - ln_threshold).collect();
        let mut drifting = e_bh(&ln_e, LEVEL);
        if drifting.is_empty() {
            let main = ln_share.iter().copied().fold(f64::NEG_INFINITY, ln_add) + MAIN_SHARE.ln();
            drifting = (0..steps.len()).filter(|i| ln_share[*i] >= main && main.is_finite()).collect();
        }
        let all_drifting = drifting.clone();
        let (skewed, encoder_skewed) = (Vec::new(), false);
        Findings { reference, steps, ln_threshold, ln_share, all_drifting, drifting, skewed, encoder_skewed }
    }

    /// Skews: of the encoder where embeddings differ, or where they are not known and more than one head
    /// does; else of each head.
    fn skews(&self) -> Vec<Cause> {
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
    fn set_aside(&mut self, skews: &[Cause]) {
        let explained = |i: &usize| skews.iter().any(|skew| explains_signal(skew, self.reference, *i));
        let rest = self.drifting.iter().copied().filter(|i| !explained(i)).collect();
        self.encoder_skewed = skews.iter().any(|skew| skew.task.is_none());
        self.skewed = skews.iter().flat_map(|skew| skew.tasks_affected.clone()).collect();
        self.drifting = rest;
    }

    /// Causes of what is not skew; `undetermined` only if it must say something.
    fn others(&self, must: bool) -> Vec<Cause> {
        let place = |kind, task| Cause { kind, task, segment: None, tasks_affected: self.tasks() };
        let (input, encoder) = (self.has(Scope::Input), self.has(Scope::Encoder));
        let shared = if input { CauseKind::Input } else { CauseKind::Encoder };
        let mut given = self.tasks_of(Findings::is_given_the_answer);
        given.sort_unstable();
        let head = |task: &usize| Cause { tasks_affected: vec![*task], ..place(CauseKind::Head, Some(*task)) };
        match () {
            () if self.prior().is_some() => vec![place(CauseKind::PriorShift, self.prior())],
            () if given.is_empty()
                && let Some(pair) = self.strongest_link() =>
            {
                vec![Cause { tasks_affected: pair.to_vec(), ..place(CauseKind::Link, Some(pair[0])) }]
            }
            () if given.is_empty() && self.may_be_prior() => vec![Cause::undetermined(self.tasks())],
            () if input || encoder => {
                let mut causes = vec![place(shared, None)];
                causes.extend(self.heads_by_themselves().iter().map(head));
                causes
            }
            () if let [task] = given.as_slice()
                && self.is_quiet_before(*task) =>
            {
                vec![place(CauseKind::Head, Some(*task))]
            }
            () if !given.is_empty() && given.iter().all(|task| self.is_quiet_before(*task)) => {
                given.iter().map(head).collect()
            }
            () if (!given.is_empty() || self.head().is_some() || self.drifting.is_empty())
                && let Some(kind) = self.moved_as_well() =>
            {
                vec![place(kind, None)]
            }
            () if !given.is_empty() => vec![Cause::undetermined(self.tasks())],
            () if let Some(task) = self.head().filter(|task| self.is_quiet_before(*task)) => {
                vec![place(CauseKind::Head, Some(task))]
            }
            () if let Some(pair) = self.link() => {
                vec![Cause { tasks_affected: pair.to_vec(), ..place(CauseKind::Link, Some(pair[0])) }]
            }
            () if let Some(segment) = self.segment() => {
                let tasks_affected = self.tasks_in(segment);
                vec![Cause { segment: Some(segment), tasks_affected, ..place(CauseKind::Segment, None) }]
            }
            () if must => vec![Cause::undetermined(self.tasks())],
            () => Vec::new(),
        }
    }

    /// Each cause with its own signals; what none of them owns is explained by the first. A cause that rests on
    /// none of those that drift for certain is told with the strongest of its own.
    fn with_witnesses(&self, causes: Vec<Cause>) -> Vec<Found> {
        let owners: Vec<Option<usize>> = self
            .all_drifting
            .iter()
            .map(|i| causes.iter().position(|cause| owns_signal(cause, self.reference, *i)))
            .collect();
        let witness = |signal: usize, explained| Witness {
            signal: signal as u32,
            ln_evidence: self.steps[signal].ln_evidence,
            explained,
        };
        let witnesses = |own: usize, cause: &Cause| {
            let mine = self.all_drifting.iter().zip(&owners).filter(|(_, owner)| owner.unwrap_or(0) == own);
            let mut found: Vec<Witness> = mine.map(|(i, owner)| witness(*i, owner.is_none())).collect();
            if found.iter().all(|w| w.explained) {
                found.splice(
                    0..0,
                    strongest_of(cause, self.reference, &self.ln_share)
                        .into_iter()
                        .map(|signal| witness(signal, false)),
                );
            }
            found
        };
        let each = causes.into_iter().enumerate();
        each.map(|(at, cause)| Found { witnesses: witnesses(at, &cause), cause }).collect()
    }

    fn scope(&self, signal: usize) -> Scope {
        self.reference.signals[signal].key.scope
    }

    /// Drifting signals of all records, or of a segment that is most of them.
    fn whole(&self) -> impl Iterator<Item = usize> {
        self.drifting.iter().copied().filter(|i| self.is_whole(*i))
    }

    fn is_whole(&self, signal: usize) -> bool {
        let SignalReference { key, measure, totals, .. } = &self.reference.signals[signal];
        if key.segment.is_none() {
            return true;
        }
        let whole = SignalKey { segment: None, ..key.clone() };
        let Some(of_all) = self.reference.signals.iter().find(|s| s.key == whole) else { return false };
        let all = of_all.measure.as_signal().n(&of_all.totals);
        measure.as_signal().n(totals) as f64 > MOST_OF_ALL * all as f64
    }

    fn has(&self, scope: Scope) -> bool {
        self.whole().any(|i| self.scope(i) == scope)
    }

    /// Input or encoder where it does not drift for certain and yet holds more evidence than a quiet one does,
    /// over all of its signals.
    fn moved_as_well(&self) -> Option<CauseKind> {
        let parts = part_moved(self.reference, self.steps);
        let moved = |scope: Scope| parts.iter().any(|(p, ln)| p.scope == scope && *ln >= MOVED.ln());
        match () {
            () if moved(Scope::Input) => Some(CauseKind::Input),
            () if moved(Scope::Encoder) && !self.encoder_skewed => Some(CauseKind::Encoder),
            () => None,
        }
    }

    /// Tasks with a drifting signal of some kind, the strongest first.
    fn tasks_of(&self, is: impl Fn(&Self, usize) -> bool) -> Vec<usize> {
        let mut tasks = Vec::new();
        for task in self.whole().filter(|i| is(self, *i)).filter_map(|i| self.reference.signals[i].key.task) {
            if !tasks.contains(&task) {
                tasks.push(task);
            }
        }
        tasks
    }

    /// Tasks whose heads drift, in their order.
    fn tasks(&self) -> Vec<usize> {
        let mut tasks = self.tasks_of(|found, i| found.scope(i) == Scope::Head);
        tasks.sort_unstable();
        tasks
    }

    fn tasks_in(&self, segment: Segment) -> Vec<usize> {
        let keys = self.drifting.iter().map(|i| &self.reference.signals[*i].key);
        let mut tasks: Vec<usize> = keys.filter(|k| k.segment == Some(segment)).filter_map(|k| k.task).collect();
        tasks.sort_unstable();
        tasks.dedup();
        tasks
    }

    /// Whether a signal looks at a head given what it answers.
    fn is_given_the_answer(&self, signal: usize) -> bool {
        use Measure::{FeaturesGivenClass, MeanGivenClass, UncertaintyGivenClass, UncertaintyMean};
        matches!(
            self.reference.signals[signal].measure,
            FeaturesGivenClass(_) | MeanGivenClass(_) | UncertaintyGivenClass(_) | UncertaintyMean(_)
        )
    }

    /// The head whose mix of classes explains what the encoder sees: given their class records are where they
    /// were. Of several heads with another mix it is the one given whose answers the others' stay most as they
    /// were, and where that one does not explain the encoder, none does.
    fn prior(&self) -> Option<usize> {
        let is_mix = |i: &usize| self.reference.signals[*i].measure.is_mix();
        let task = |i: &usize| self.reference.signals[*i].key.task;
        let first = self.whole().find(|i| self.explains(*i)).as_ref().and_then(task)?;
        let others = self.all().filter(|i| is_mix(i) && !self.is_quiet(*i, f64::NEG_INFINITY));
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
    fn may_be_prior(&self) -> bool {
        self.all().any(|i| !self.is_quiet(i, f64::NEG_INFINITY) && self.explains(i))
    }

    /// Whether a signal is of a head's mix of classes, and given these the encoder is quiet.
    fn explains(&self, signal: usize) -> bool {
        let (own, evidence) = (&self.reference.signals[signal], self.steps[signal].ln_moved);
        let is_given = |i: &usize| self.is_given_the_answer(*i) && self.reference.signals[*i].key.task == own.key.task;
        let mut given = self.all().filter(is_given).peekable();
        // A mix that changed within the encoder's regions is not one of other texts.
        let within = |i: &usize| {
            let of_leaves = matches!(self.reference.signals[*i].measure, Measure::ClassGivenLeaf(_));
            of_leaves && self.reference.signals[*i].key.task == own.key.task
        };
        let of_texts = self.all().filter(within).all(|i| self.steps[i].ln_moved <= MOSTLY * evidence);
        // Labels of tokens say nothing of the record's class, on which the encoder's signals are conditioned.
        let of_records = own.key.task.is_some_and(|t| self.reference.spec.tasks[t].kind != TaskKind::TokenLabels);
        let acquitted = given.peek().is_some() && given.all(|i| self.is_quiet(i, evidence));
        of_records && own.measure.is_mix() && of_texts && acquitted
    }

    /// The head that drifts most, in whatever way.
    fn head(&self) -> Option<usize> {
        self.whole().find(|i| self.scope(*i) == Scope::Head).and_then(|i| self.reference.signals[i].key.task)
    }

    /// The link, where the strongest of all signals is one and its heads' classes are as frequent as ever: other
    /// pairs of answers are other texts too, so the encoder sees them, but less.
    fn strongest_link(&self) -> Option<[usize; 2]> {
        let first = self.whole().next()?;
        let Measure::TaskLink(link) = &self.reference.signals[first].measure else { return None };
        let evidence = self.steps[first].ln_moved;
        let of_pair = |i: &usize| {
            let SignalReference { key, measure, .. } = &self.reference.signals[*i];
            measure.is_mix() && key.task.is_some_and(|t| link.tasks().contains(&t))
        };
        self.all().filter(of_pair).all(|i| self.is_quiet(i, evidence)).then(|| link.tasks())
    }

    /// Heads that answer otherwise for the same kinds of embedding, beside which input and encoder are quiet.
    fn heads_by_themselves(&self) -> Vec<usize> {
        let mut tasks = self.tasks_of(|found, i| {
            let before = |b: &usize| matches!(found.scope(*b), Scope::Input | Scope::Encoder);
            let evidence = found.steps[i].ln_moved;
            matches!(found.reference.signals[i].measure, Measure::ClassGivenLeaf(_))
                && found.all().filter(before).all(|b| found.is_quiet(b, evidence))
        });
        tasks.sort_unstable();
        tasks
    }

    fn link(&self) -> Option<[usize; 2]> {
        self.whole().find_map(|i| match &self.reference.signals[i].measure {
            Measure::TaskLink(link) => Some(link.tasks()),
            _ => None,
        })
    }

    fn segment(&self) -> Option<Segment> {
        let part = |i: &&usize| !self.is_whole(**i);
        self.drifting.iter().filter(part).find_map(|i| self.reference.signals[*i].key.segment)
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

    /// Whether input and encoder are quiet beside what drifts in a head.
    fn is_quiet_before(&self, task: usize) -> bool {
        let own = self.whole().filter(|i| self.reference.signals[*i].key.task == Some(task));
        let strongest = own.map(|i| self.steps[i].ln_moved).fold(f64::NEG_INFINITY, f64::max);
        let before = |i: &usize| matches!(self.scope(*i), Scope::Input | Scope::Encoder);
        self.all().filter(before).all(|i| self.is_quiet(i, strongest))
    }

    /// Whether a signal's evidence is next to nothing, by itself or beside another's.
    fn is_quiet(&self, signal: usize, beside: f64) -> bool {
        self.steps[signal].ln_moved <= (self.ln_threshold + QUIET_SHARE.ln()).max(QUIET_EXPONENT * beside)
    }

    /// Signals of all records but those of skewed heads.
    fn all(&self) -> impl Iterator<Item = usize> + Clone {
        let skewed = |task: Option<usize>| task.is_some_and(|t| self.skewed.contains(&t));
        (0..self.steps.len()).filter(move |i| self.is_whole(*i) && !skewed(self.reference.signals[*i].key.task))
    }
}
