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
//! | segments, more than the same signals of all records, while the rest of their tag is quiet | each of those segments, and what moved more records than they hold |
//! | a head's classes, and the encoder, which is quiet given them: their mix explains the rest | prior shift of that head; beside it input, or encoder, where more of the records moved there than have other classes |
//! | which answers go together, far more than anything else, and no head given what it answers or within the encoder's regions | link of two heads |
//! | heads, given what they answer, and with them input or encoder | input, or encoder |
//! | heads within the encoder's regions, by more records than the encoder's own counts show | each of those heads, beside any of the above |
//! | heads, given what they answer, by far the most, and input or encoder, which gathered what would alarm by itself beside earlier alarms | each of those heads, and input, or encoder |
//! | heads, given what they answer, while nothing speaks against input and encoder, or fewer records changed there | each of those heads |
//! | heads, while input or encoder is neither drifting nor quiet | input, or encoder, if it holds more evidence than a quiet one does; else undetermined |
//! | input or encoder alone | input, or encoder |
//! | which answers go together, and nothing else | link of two heads |
//! | one segment, and nothing else | that segment |

/// Input and encoder beside heads that drift far more.
mod beside;
/// Heads that answer otherwise whatever else has moved.
mod by_itself;
/// Drift of segments alone.
mod confined;
/// Another mix of answers.
mod mix;
/// Production's answers beside our own.
mod skewed;

use std::collections::BTreeSet;

pub use self::confined::{is_spread, moves_elsewhere};
use super::cause::{Cause, CauseKind};
use super::detector::SignalStep;
use super::reference::Reference;
use super::signal::{Measure, Scope};
use super::tree::{Part, part_moved, weights};
pub use super::witness::{Found, Witness};
use super::witness::{follows_from_head, owns_signal, strongest_of};
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
/// A quiet part of the tree holds more evidence than this in at most one window of twenty (`months quiet`): once
/// something has alarmed, and the question is only what, it is enough to say that the part has moved as well.
pub(super) const MOVED: f64 = 20.0;
/// A quiet part holds no more than this in most of its windows (`months quiet`). More is no sign that it has moved,
/// but it does not say that it has not,
const STILL: f64 = 2.0;
/// unless it is below this share, in logarithms, of what it is to explain: few shifts that move a head so clearly would
/// show so little where they come from.
const STILL_EXPONENT: f64 = QUIET_EXPONENT * QUIET_EXPONENT;

/// Says where, from the evidence of one window's steps and the model's threshold A (natural log): at least
/// one cause, the first question's first.
///
/// R/A is an e-value over the A windows in which one false alarm is allowed, so e-BH on it, weighted as
/// the tree is, names the signals that drift.
pub fn localize(reference: &Reference, steps: &[SignalStep], ln_threshold: f64) -> Vec<Found> {
    let mut found = Findings::new(reference, steps, ln_threshold);
    let skews = found.skews();
    found.set_aside(&skews);
    let others =
        if skews.is_empty() || !found.drifting.is_empty() { found.others(skews.is_empty()) } else { Vec::new() };
    found.with_witnesses(skews.into_iter().map(Named::plain).chain(others).collect())
}

/// A cause, and whether it stands whatever else is found, or whatever mix of classes is.
struct Named {
    cause: Cause,
    by_itself: bool,
    beyond_mixes: bool,
}

impl Named {
    fn plain(cause: Cause) -> Named {
        Named { cause, by_itself: false, beyond_mixes: false }
    }
}

/// The signals that drift, the strongest first, and what they are.
#[derive(Clone)]
struct Findings<'a> {
    reference: &'a Reference,
    steps: &'a [SignalStep],
    ln_threshold: f64,
    /// ln of each signal's share in the model's evidence, as [`SignalStep::ln_named`] has it.
    ln_share: Vec<f64>,
    /// Drifting signals that no cause explains so far.
    drifting: Vec<usize>,
    /// All drifting signals.
    all_drifting: Vec<usize>,
    /// Tasks whose heads a skew explains.
    skewed: Vec<usize>,
    /// Whether a skew explains the encoder.
    encoder_skewed: bool,
    /// Whether segments account for what moves input and encoder, so that only what drifts for certain is named.
    beside_segments: bool,
}

impl<'a> Findings<'a> {
    fn new(reference: &'a Reference, steps: &'a [SignalStep], ln_threshold: f64) -> Findings<'a> {
        let weights = weights(reference);
        let weighted = |(step, weight): (&SignalStep, &f64)| step.ln_named() + weight.ln();
        let ln_share: Vec<f64> = steps.iter().zip(&weights).map(weighted).collect();
        let m = weights.iter().filter(|w| **w > 0.0).count() as f64;
        let ln_e: Vec<f64> = ln_share.iter().map(|ln| ln + m.ln() - ln_threshold).collect();
        let mut drifting = e_bh(&ln_e, LEVEL);
        if drifting.is_empty() {
            let main = ln_share.iter().copied().fold(f64::NEG_INFINITY, ln_add) + MAIN_SHARE.ln();
            drifting = (0..steps.len()).filter(|i| ln_share[*i] >= main && main.is_finite()).collect();
        }
        let all_drifting = drifting.clone();
        let (skewed, encoder_skewed, beside_segments) = (Vec::new(), false, false);
        Findings {
            reference,
            steps,
            ln_threshold,
            ln_share,
            all_drifting,
            drifting,
            skewed,
            encoder_skewed,
            beside_segments,
        }
    }

    /// Causes of what is neither skew nor confined to a segment; `undetermined` only if it must say something.
    fn places(&self, must: bool) -> Vec<Named> {
        let place = |kind, task| Cause { kind, task, segment: None, tasks_affected: self.tasks() };
        let (input, encoder) = (self.has(Scope::Input), self.has(Scope::Encoder));
        let shared = if input { CauseKind::Input } else { CauseKind::Encoder };
        let own = self.heads_by_themselves();
        let given = self.heads_given_their_answers();
        let head = |task: usize| {
            let cause = Cause { tasks_affected: vec![task], ..place(CauseKind::Head, Some(task)) };
            Named { by_itself: own.contains(&task), ..Named::plain(cause) }
        };
        let heads = |tasks: &BTreeSet<usize>| tasks.iter().copied().map(head).collect();
        // Heads by themselves are not reached by what stands beside them.
        let beside = |mut cause: Cause| -> Vec<Named> {
            let others: BTreeSet<usize> = own.iter().copied().filter(|t| cause.task != Some(*t)).collect();
            cause.tasks_affected.retain(|task| !others.contains(task));
            let is_shared = matches!(cause.kind, CauseKind::Input | CauseKind::Encoder);
            let named = Named { beyond_mixes: is_shared && self.is_beyond_mixes(), ..Named::plain(cause) };
            std::iter::once(named).chain(heads(&others)).collect()
        };
        let all: BTreeSet<usize> = given.union(&own).copied().collect();
        match () {
            () if let Some(task) = self.prior(&own)
                && !self.texts_are_still(task) =>
            {
                let beyond = self.beyond_the_mix_of(task);
                let mut named = beside(place(CauseKind::PriorShift, Some(task)));
                // Each of the two is no part of the other.
                named[0].by_itself = beyond.is_some();
                let shared = beyond.map(|kind| Named { beyond_mixes: true, ..Named::plain(place(kind, None)) });
                named.into_iter().chain(shared).collect()
            }
            // A head that answers otherwise by itself does so beside whatever it is linked with.
            () if given.is_empty()
                && let Some(pair) = self.strongest_link()
                && !pair.iter().any(|task| own.contains(task)) =>
            {
                beside(Cause { tasks_affected: pair.to_vec(), ..place(CauseKind::Link, Some(pair[0])) })
            }
            () if given.is_empty() && own.is_empty() && self.may_be_prior() => {
                vec![Named::plain(Cause::undetermined(self.tasks()))]
            }
            () if (input || encoder) && !self.is_dwarfed_by(&given) => beside(place(shared, None)),
            () if self.is_dwarfed_by(&given)
                && let Some(kind) = self.alarms_beside() =>
            {
                let shared = Named::plain(Cause { tasks_affected: Vec::new(), ..place(kind, None) });
                let each = all.iter().copied().map(head).chain([shared]);
                each.map(|named| Named { by_itself: true, ..named }).collect()
            }
            () if all.len() == 1
                && let Some(task) = given.first().copied()
                && self.is_quiet_before(task) =>
            {
                vec![Named { cause: place(CauseKind::Head, Some(task)), ..head(task) }]
            }
            () if !given.is_empty() && given.iter().all(|task| self.is_quiet_before(*task)) => heads(&all),
            () if (!given.is_empty() || self.head().is_some() || self.drifting.is_empty())
                && let Some(kind) = self.moved_as_well() =>
            {
                beside(place(kind, None))
            }
            () if !own.is_empty() => heads(&own),
            () if !given.is_empty() => vec![Named::plain(Cause::undetermined(self.tasks()))],
            () if let Some(task) = self.head().filter(|task| self.is_quiet_before(*task)) => {
                vec![Named::plain(place(CauseKind::Head, Some(task)))]
            }
            () if let Some(pair) = self.link() => {
                vec![Named::plain(Cause { tasks_affected: pair.to_vec(), ..place(CauseKind::Link, Some(pair[0])) })]
            }
            () if let Some(segment) = self.segment() => {
                let tasks_affected = self.tasks_in(segment);
                vec![Named::plain(Cause { segment: Some(segment), tasks_affected, ..place(CauseKind::Segment, None) })]
            }
            () if must => vec![Named::plain(Cause::undetermined(self.tasks()))],
            () => Vec::new(),
        }
    }

    /// Each cause with its own signals; what none of them owns is explained by the first. A cause that rests on
    /// none of those that drift for certain is told with the strongest of its own.
    fn with_witnesses(&self, named: Vec<Named>) -> Vec<Found> {
        let owner = |signal: usize| {
            let task = self.reference.signals[signal].key.task;
            // A head that a segment does not reach moves in it for a reason of its own.
            let reaches = |cause: &Cause| {
                cause.kind != CauseKind::Segment || task.is_none_or(|task| cause.tasks_affected.contains(&task))
            };
            let of = |owns: fn(&Cause, &Reference, usize) -> bool| {
                named.iter().position(|n| owns(&n.cause, self.reference, signal) && reaches(&n.cause))
            };
            let rests = of(owns_signal);
            (rests.or_else(|| of(follows_from_head)).unwrap_or(0), rests.is_none())
        };
        let owners: Vec<(usize, bool)> = self.all_drifting.iter().map(|i| owner(*i)).collect();
        let witness = |signal: usize, explained| Witness {
            signal: signal as u32,
            ln_evidence: self.steps[signal].ln_evidence,
            explained,
        };
        let witnesses = |own: usize, cause: &Cause| {
            let mine = self.all_drifting.iter().zip(&owners).filter(|(_, (owner, _))| *owner == own);
            let mut found: Vec<Witness> = mine.map(|(i, (_, explained))| witness(*i, *explained)).collect();
            if found.iter().all(|w| w.explained) {
                let strongest = strongest_of(cause, self.reference, &self.ln_share).into_iter();
                found.splice(0..0, strongest.map(|signal| witness(signal, false)));
            }
            found
        };
        let causes = || named.iter().enumerate();
        let all: Vec<Vec<Witness>> = causes().map(|(at, named)| witnesses(at, &named.cause)).collect();
        let found = |(Named { cause, by_itself, beyond_mixes }, witnesses)| Found {
            by_itself,
            beyond_mixes,
            ..Found::plain(cause, witnesses)
        };
        named.into_iter().zip(all).map(found).collect()
    }

    fn scope(&self, signal: usize) -> Scope {
        self.reference.signals[signal].key.scope
    }

    /// Drifting signals of all records, or of a segment that is most of them.
    fn whole(&self) -> impl Iterator<Item = usize> {
        self.drifting.iter().copied().filter(|i| self.is_whole(*i))
    }

    fn has(&self, scope: Scope) -> bool {
        self.whole().any(|i| self.scope(i) == scope)
    }

    /// Input or encoder where it does not drift for certain and yet holds more evidence than a quiet one does, over all
    /// of its signals, and gains some in this very window: what is left of a chance of hours ago is no sign of what
    /// moves a head now. Both read the same texts: where both lean at once, half of that in logarithms is as rare.
    fn moved_as_well(&self) -> Option<CauseKind> {
        let parts = part_moved(self.reference, self.steps);
        let of = |scope: Scope| parts.iter().filter(move |(part, _)| part.scope == scope).map(|(_, ln)| *ln);
        let most = |scope: Scope| of(scope).filter(|_| self.gains(scope)).fold(f64::NEG_INFINITY, f64::max);
        let (input, encoder) = (most(Scope::Input), if self.encoder_skewed { 0.0 } else { most(Scope::Encoder) });
        match () {
            () if self.beside_segments => None,
            () if input >= MOVED.ln() => Some(CauseKind::Input),
            () if encoder >= MOVED.ln() => Some(CauseKind::Encoder),
            () if input.min(encoder) >= 0.5 * MOVED.ln() => Some(CauseKind::Input),
            () => None,
        }
    }

    /// Whether the strongest signal of a part gains evidence in this window, or was not looked at in it.
    fn gains(&self, scope: Scope) -> bool {
        let own = self.all().filter(|i| self.scope(*i) == scope);
        let strongest = own.max_by(|a, b| self.steps[*a].ln_moved.total_cmp(&self.steps[*b].ln_moved));
        strongest.is_some_and(|i| self.steps[i].tested.is_none_or(|(_, ln_e)| ln_e > 0.0))
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

    /// Tasks whose heads drift given what they answer.
    fn heads_given_their_answers(&self) -> BTreeSet<usize> {
        self.tasks_of(Findings::is_given_the_answer).into_iter().collect()
    }

    /// Whether a signal looks at a head given what it answers.
    fn is_given_the_answer(&self, signal: usize) -> bool {
        use Measure::{FeaturesGivenClass, MeanGivenClass, UncertaintyGivenClass, UncertaintyMean};
        matches!(
            self.reference.signals[signal].measure,
            FeaturesGivenClass(_) | MeanGivenClass(_) | UncertaintyGivenClass(_) | UncertaintyMean(_)
        )
    }

    /// The head that drifts most, in whatever way.
    fn head(&self) -> Option<usize> {
        self.whole().find(|i| self.scope(*i) == Scope::Head).and_then(|i| self.reference.signals[i].key.task)
    }

    /// Whether input and encoder are quiet beside what drifts in a head, and would not be so if they had moved: more
    /// records have changed in the head than in the encoder's space, or nothing at all speaks against it.
    fn is_quiet_before(&self, task: usize) -> bool {
        let strongest = self.most_moved(task);
        let before = |i: &usize| matches!(self.scope(*i), Scope::Input | Scope::Encoder);
        let quiet = self.all().filter(before).all(|i| self.is_quiet(i, strongest));
        let is_own = |i: &usize| self.reference.signals[*i].key.task == Some(task);
        let is_beyond = || self.whole().filter(is_own).any(|i| self.is_beyond_the_encoder(i));
        quiet && self.is_seen(Some(task)) && (self.is_still_before(strongest) || is_beyond())
    }

    /// Whether the encoder sees the texts that it always saw, beside what drifts in a head. Another mix of answers is
    /// then the head's doing.
    fn texts_are_still(&self, task: usize) -> bool {
        self.all().any(|i| self.scope(i) == Scope::Encoder) && self.is_still_before(self.most_moved(task))
    }

    /// Whether input and encoder hold as little evidence as quiet parts mostly do, by themselves or beside what is to be
    /// explained.
    fn is_still_before(&self, beside: f64) -> bool {
        let of_head = |part: &Part| !matches!(part.scope, Scope::Input | Scope::Encoder);
        let most = STILL.ln().max(STILL_EXPONENT * beside);
        part_moved(self.reference, self.steps).iter().all(|(part, ln)| of_head(part) || *ln <= most)
    }

    /// ln of what the strongest drifting signal of a head holds.
    fn most_moved(&self, task: usize) -> f64 {
        let own = self.whole().filter(|i| self.reference.signals[*i].key.task == Some(task));
        own.map(|i| self.steps[i].ln_moved).fold(f64::NEG_INFINITY, f64::max)
    }

    /// Whether a signal was looked at and found calm, or counts nothing.
    fn is_quiet(&self, signal: usize, beside: f64) -> bool {
        let nothing = || self.reference.signals[signal].measure.as_signal().n(&self.steps[signal].cells) == 0;
        self.is_calm(signal, beside) && (self.is_looked_at(signal) || nothing())
    }

    /// Whether a signal's evidence is next to nothing, by itself or beside another's.
    fn is_calm(&self, signal: usize, beside: f64) -> bool {
        self.steps[signal].ln_moved <= (self.ln_threshold + QUIET_SHARE.ln()).max(QUIET_EXPONENT * beside)
    }

    /// Whether a signal was looked at since evidence last began anew. One that cannot be tested never has any.
    fn is_looked_at(&self, signal: usize) -> bool {
        self.steps[signal].ticked || self.steps[signal].ln_moved > f64::NEG_INFINITY
    }

    /// Signals of all records but those of skewed heads.
    fn all(&self) -> impl Iterator<Item = usize> + Clone {
        let skewed = |task: Option<usize>| task.is_some_and(|t| self.skewed.contains(&t));
        (0..self.steps.len()).filter(move |i| self.is_whole(*i) && !skewed(self.reference.signals[*i].key.task))
    }
}
