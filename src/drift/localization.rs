//! Where in the model it drifted. The questions have a fixed order, and each explains what those after
//! it would find too: a skew moves heads, the encoder moves heads, a mix of classes moves words.
//! `undetermined` is a legal answer.
//!
//! | what drifts | verdict |
//! |---|---|
//! | production's answers are not the exported model's | skew, of the encoder or of one head |
//! | a head's classes, while the encoder is quiet given them: their mix explains the rest | prior shift of that head |
//! | heads, given what they answer, and with them input or encoder | input, or encoder |
//! | one head, given what it answers, while input and encoder are quiet | that head |
//! | input or encoder alone | input, or encoder |
//! | which answers go together, and nothing else | link of two heads |
//! | one segment alone | that segment |

use serde::{Deserialize, Serialize};

use super::detector::SignalStep;
use super::reference::Reference;
use super::segment::Segment;
use super::signal::{Measure, Scope};
use super::tree::{model_evidence, weights};
use crate::stats::multiplicity::e_bh;

/// Level at which e-BH names drifting signals once the model has alarmed.
const LEVEL: f64 = 0.1;
/// Where e-BH names none, signals that make up so much of the evidence are named.
const MAIN_SHARE: f64 = 0.5;
/// A signal is quiet while its evidence is below this share of the threshold,
const QUIET_SHARE: f64 = 0.05;
/// or, in logarithms, below this share of what it is to explain. What is neither drifting nor quiet makes
/// it too early to say.
const QUIET_EXPONENT: f64 = 0.25;

/// Kinds of causes that can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// The texts changed, and what the encoder sees with them or not.
    Input,
    /// What the encoder makes of the texts changed, the measured facts about them did not.
    Encoder,
    /// One head answers differently while input and encoder are quiet.
    Head,
    /// A head's classes have another mix; given its answers nothing moved.
    PriorShift,
    /// Two heads' answers go together otherwise, each by itself does not move.
    Link,
    /// Production answers otherwise than the exported model.
    Skew,
    /// One segment of the traffic drifts, the whole does not.
    Segment,
    /// No part stands out.
    Undetermined,
}

/// Where it drifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Which kind of place.
    pub kind: CauseKind,
    /// The head's task, where the place is one head; the first of a link. A skew without one is the
    /// encoder's.
    pub task: Option<usize>,
    /// The segment, for [`CauseKind::Segment`].
    pub segment: Option<Segment>,
    /// Tasks whose heads drift, the cause's own included.
    pub tasks_affected: Vec<usize>,
}

impl CauseKind {
    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            CauseKind::Input => "input",
            CauseKind::Encoder => "encoder",
            CauseKind::Head => "head",
            CauseKind::PriorShift => "prior_shift",
            CauseKind::Link => "link",
            CauseKind::Skew => "skew",
            CauseKind::Segment => "segment",
            CauseKind::Undetermined => "undetermined",
        }
    }
}

impl Cause {
    /// No place yet.
    pub fn undetermined(tasks_affected: Vec<usize>) -> Cause {
        Cause { kind: CauseKind::Undetermined, task: None, segment: None, tasks_affected }
    }

    /// The segment's name; empty if the cause is none.
    pub fn segment_name(&self, reference: &Reference) -> String {
        self.segment.and_then(|segment| reference.name_of_segment(segment)).unwrap_or_default()
    }

    /// One sentence for people.
    pub fn summary(&self, reference: &Reference) -> String {
        let tasks = |tasks: &[usize]| {
            let names: Vec<String> = tasks.iter().map(|t| format!("`{}`", reference.spec.tasks[*t].name)).collect();
            names.join(", ")
        };
        let reaching = if self.tasks_affected.is_empty() {
            "no head has followed yet".to_owned()
        } else {
            format!("it reaches {}", tasks(&self.tasks_affected))
        };
        let also = |task: usize| {
            let others: Vec<usize> = self.tasks_affected.iter().copied().filter(|t| *t != task).collect();
            if others.is_empty() { String::new() } else { format!("; {} moved too", tasks(&others)) }
        };
        match (self.kind, self.task) {
            (CauseKind::Input, _) => format!("the input changed; {reaching}"),
            (CauseKind::Encoder, _) => {
                format!("what the encoder sees changed while the input's measured facts did not; {reaching}")
            }
            (CauseKind::Head, Some(task)) => {
                format!("head {} answers differently while input and encoder are quiet{}", tasks(&[task]), also(task))
            }
            (CauseKind::PriorShift, Some(task)) => {
                let own = tasks(&[task]);
                format!("the classes of {own} have another mix; given its answers nothing moved{}", also(task))
            }
            (CauseKind::Link, _) => {
                format!("the answers of {} go together otherwise than before", tasks(&self.tasks_affected))
            }
            (CauseKind::Skew, Some(task)) => {
                format!("production answers otherwise than the exported model in head {}", tasks(&[task]))
            }
            (CauseKind::Skew, None) => format!(
                "production answers otherwise than the exported model in several heads, as another tokenizer or \
                 encoder would; {reaching}"
            ),
            (CauseKind::Segment, _) => {
                format!("{} changed while the traffic as a whole did not; {reaching}", self.segment_name(reference))
            }
            (CauseKind::Head | CauseKind::PriorShift | CauseKind::Undetermined, _) => {
                format!("several signals moved a little and none stands out; {reaching}")
            }
        }
    }
}

/// Says where, from the evidence of one window's steps and the model's threshold A (natural log).
///
/// R/A is an e-value over the A windows in which one false alarm is allowed, so e-BH on it, weighted as
/// the tree is, names the signals that drift.
pub fn localize(reference: &Reference, steps: &[SignalStep], ln_threshold: f64) -> Cause {
    let found = Findings::new(reference, steps, ln_threshold);
    let place = |kind, task| Cause { kind, task, segment: None, tasks_affected: found.tasks() };
    let (input, encoder) = (found.has(Scope::Input), found.has(Scope::Encoder));
    let shared = if input { CauseKind::Input } else { CauseKind::Encoder };
    let given = found.tasks_of(Findings::is_given_the_answer);
    let skewed = found.tasks_of(|found, i| found.scope(i) == Scope::Skew);
    match () {
        () if !skewed.is_empty() => {
            let head = (skewed.len() == 1 && !found.embeddings_skewed()).then(|| skewed[0]);
            Cause { tasks_affected: skewed, ..place(CauseKind::Skew, head) }
        }
        () if found.prior().is_some() => place(CauseKind::PriorShift, found.prior()),
        () if given.is_empty() && found.may_be_prior() => Cause::undetermined(found.tasks()),
        () if input || encoder => place(shared, None),
        () if given.len() == 1 && found.is_quiet_before(given[0]) => place(CauseKind::Head, Some(given[0])),
        () if !given.is_empty() => Cause::undetermined(found.tasks()),
        () if found.head().is_some() => place(CauseKind::Head, found.head()),
        () if let Some(pair) = found.link() => {
            Cause { tasks_affected: pair.to_vec(), ..place(CauseKind::Link, Some(pair[0])) }
        }
        () if let Some(segment) = found.segment() => {
            Cause { segment: Some(segment), tasks_affected: found.tasks_in(segment), ..place(CauseKind::Segment, None) }
        }
        () => Cause::undetermined(found.tasks()),
    }
}

/// The signals that drift, the strongest first, and what they are.
struct Findings<'a> {
    reference: &'a Reference,
    steps: &'a [SignalStep],
    ln_threshold: f64,
    drifting: Vec<usize>,
}

impl<'a> Findings<'a> {
    fn new(reference: &'a Reference, steps: &'a [SignalStep], ln_threshold: f64) -> Findings<'a> {
        let weights = weights(reference);
        let weighted = |(step, weight): (&SignalStep, &f64)| step.ln_evidence + weight.ln();
        let ln_share: Vec<f64> = steps.iter().zip(&weights).map(weighted).collect();
        let m = weights.iter().filter(|w| **w > 0.0).count() as f64;
        let ln_e: Vec<f64> = ln_share.iter().map(|ln| ln + m.ln() - ln_threshold).collect();
        let mut drifting = e_bh(&ln_e, LEVEL);
        if drifting.is_empty() {
            let main = model_evidence(&weights, steps) + MAIN_SHARE.ln();
            drifting = (0..steps.len()).filter(|i| ln_share[*i] >= main && main.is_finite()).collect();
        }
        Findings { reference, steps, ln_threshold, drifting }
    }

    fn scope(&self, signal: usize) -> Scope {
        self.reference.signals[signal].key.scope
    }

    /// Drifting signals of all records.
    fn whole(&self) -> impl Iterator<Item = usize> {
        self.drifting.iter().copied().filter(|i| self.reference.signals[*i].key.segment.is_none())
    }

    fn has(&self, scope: Scope) -> bool {
        self.whole().any(|i| self.scope(i) == scope)
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

    /// The head whose mix of classes moves most, of those whose mix explains what the encoder sees: given
    /// their class it is where it was.
    fn prior(&self) -> Option<usize> {
        self.whole().find(|i| self.explains(*i)).and_then(|i| self.reference.signals[i].key.task)
    }

    /// Whether a head's mix of classes may turn out to explain it, though it does not drift yet.
    fn may_be_prior(&self) -> bool {
        self.all().any(|i| !self.is_quiet(i, f64::NEG_INFINITY) && self.explains(i))
    }

    /// Whether a signal is of a head's mix of classes, and given these the encoder is quiet.
    fn explains(&self, signal: usize) -> bool {
        let (own, evidence) = (&self.reference.signals[signal], self.steps[signal].ln_evidence);
        let is_given = |i: &usize| self.is_given_the_answer(*i) && self.reference.signals[*i].key.task == own.key.task;
        let mut given = self.all().filter(is_given).peekable();
        matches!(own.measure, Measure::PredictedClass(_))
            && given.peek().is_some()
            && given.all(|i| self.is_quiet(i, evidence))
    }

    /// The head that drifts most, in whatever way.
    fn head(&self) -> Option<usize> {
        self.whole().find(|i| self.scope(*i) == Scope::Head).and_then(|i| self.reference.signals[i].key.task)
    }

    fn link(&self) -> Option<[usize; 2]> {
        self.whole().find_map(|i| match &self.reference.signals[i].measure {
            Measure::TaskLink(link) => Some(link.tasks()),
            _ => None,
        })
    }

    fn segment(&self) -> Option<Segment> {
        self.drifting.iter().find_map(|i| self.reference.signals[*i].key.segment)
    }

    /// Whether production's embeddings are not ours: that signal has no weight, and its own threshold.
    fn embeddings_skewed(&self) -> bool {
        let pairs = self.reference.signals.iter().zip(self.steps);
        let skewed = |key: &super::signal::SignalKey| key.scope == Scope::Skew && key.task.is_none();
        pairs.filter(|(s, _)| skewed(&s.key)).any(|(_, step)| step.ln_evidence >= self.ln_threshold)
    }

    /// Whether input and encoder are quiet beside what drifts in a head.
    fn is_quiet_before(&self, task: usize) -> bool {
        let own = self.whole().filter(|i| self.reference.signals[*i].key.task == Some(task));
        let strongest = own.map(|i| self.steps[i].ln_evidence).fold(f64::NEG_INFINITY, f64::max);
        let before = |i: &usize| matches!(self.scope(*i), Scope::Input | Scope::Encoder);
        self.all().filter(before).all(|i| self.is_quiet(i, strongest))
    }

    /// Whether a signal's evidence is next to nothing, by itself or beside another's.
    fn is_quiet(&self, signal: usize, beside: f64) -> bool {
        self.steps[signal].ln_evidence <= (self.ln_threshold + QUIET_SHARE.ln()).max(QUIET_EXPONENT * beside)
    }

    /// Signals of all records.
    fn all(&self) -> impl Iterator<Item = usize> + Clone {
        (0..self.steps.len()).filter(|i| self.reference.signals[*i].key.segment.is_none())
    }
}
