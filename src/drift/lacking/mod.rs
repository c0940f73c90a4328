//! What a stream lacks that its reference was learned from: what nothing is known of is not calm, and must not look
//! so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::observation::HeadSource;
use super::reference::{Reference, SignalReference};
use super::signal::Scope;
use counted::{Counted, Units, whole};

/// What the signals count.
mod counted;
/// The same of a daemon's windows, as long as it lasts.
pub mod lasting;

/// Below this part of the reference's share of records that answer a task, or bring an embedding, it is told.
const MUCH_RARER: f64 = 0.5;
/// A share of unusable values is told from this multiple of the reference's up.
const MUCH_MORE: f64 = 2.0;
/// Of the units that have to be seen, one in so many is a handful.
const FEW: f64 = 4.0;
/// Signals of heads that look at the embedding beside an answer.
const OF_EMBEDDINGS: [&str; 4] = ["answer_given_leaf", "class_given_leaf", "features_given_class", "mean_given_class"];
/// Names told one by one.
const SHOWN: usize = 5;
/// Names of unknown classes that are counted; the first are kept.
const MOST_NAMES: usize = 32;

/// Something that is lacked, or given instead of what a signal needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Input, encoder, a head or its skew.
    pub scope: Scope,
    /// The head's task.
    pub task: Option<usize>,
    /// What.
    pub what: What,
    /// Whether nothing of the part could be judged.
    pub silent: bool,
    /// In words.
    pub said: String,
}

/// Kinds of what is lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Texts.
    Texts,
    /// Embeddings, or texts to make them of.
    Embeddings,
    /// Answers of a task.
    Answers,
    /// Something beside the answers, such as probabilities.
    Fields,
    /// Answers to compare with the exported model's.
    Comparisons,
    /// Names of classes that the manifest knows.
    ClassNames,
    /// Confidences that are probabilities.
    Probabilities,
}

/// What was added up over the windows of a stream.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Records folded.
    pub records: u64,
    /// Cells of all signals, as the reference lays them out.
    pub cells: Vec<i64>,
    /// Answers of tasks that the manifest does not name.
    pub unknown_tasks: u64,
    /// Records that name classes that the manifest does not, by task and name.
    pub unknown_classes: UnknownClasses,
}

/// Names of classes that the manifest does not know, with how many records gave them.
#[derive(Clone, Debug, Default)]
pub struct UnknownClasses(BTreeMap<(usize, Box<str>), u64>);

impl UnknownClasses {
    /// Counts the names of a record.
    pub fn add(&mut self, names: Vec<(usize, Box<str>)>) {
        for name in names {
            if self.0.len() < MOST_NAMES || self.0.contains_key(&name) {
                *self.0.entry(name).or_default() += 1;
            }
        }
    }

    /// The names that a task's answers gave most, as ": `a`, `b` and 2 more"; nothing where none is known.
    pub fn told(&self, task: usize) -> String {
        let mut names: Vec<(u64, &str)> =
            self.0.iter().filter(|((t, _), _)| *t == task).map(|((_, name), n)| (*n, name.as_ref())).collect();
        names.sort_by(|(n, a), (m, b)| m.cmp(n).then(a.cmp(b)));
        let names: Vec<&str> = names.into_iter().map(|(_, name)| name).collect();
        if names.is_empty() { String::new() } else { format!(": {}", list(&names)) }
    }
}

/// `a`, `b` and 2 more.
fn list(names: &[&str]) -> String {
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("`{}`{more}", names[..names.len().min(SHOWN)].join("`, `"))
}

/// What could not be judged, and what was given instead of what a signal needs; nothing of an empty stream.
pub fn lacking(reference: &Reference, seen: &Seen) -> Vec<Lack> {
    let counted = Counted::of(reference, seen.records, &seen.cells);
    let Some(counted) = counted.filter(|counted| counted.records > 0) else { return Vec::new() };
    let names = Names { unknown_tasks: seen.unknown_tasks, unknown_classes: &seen.unknown_classes };
    let stream = Stream { reference, counted: &counted, least: Least::NONE, names };
    places(reference).flat_map(|place| stream.lacks(place)).collect()
}

/// A part that may lack something: the input, the encoder, or a task's head.
type Place = (Scope, Option<usize>);

/// All of them.
pub fn places(reference: &Reference) -> impl Iterator<Item = Place> + use<> {
    let heads = (0..reference.spec.tasks.len()).map(|task| (Scope::Head, Some(task)));
    [(Scope::Input, None), (Scope::Encoder, None)].into_iter().chain(heads)
}

/// What has to be seen at least before something is told.
#[derive(Clone, Copy)]
struct Least {
    /// Units that the reference would have had.
    units: f64,
    /// Share that cannot be used.
    share: f64,
    /// Share of the records that the model is run on: no more can be expected of what it may have to compute.
    run: f64,
}

impl Least {
    /// A whole stream is told as it is.
    const NONE: Least = Least { units: 0.0, share: 0.0, run: 1.0 };
}

/// Names that the manifest does not know, where they are known.
struct Names<'a> {
    unknown_tasks: u64,
    unknown_classes: &'a UnknownClasses,
}

/// A signal of the reference, with what it counted there and here.
#[derive(Clone, Copy)]
struct Measured<'a> {
    name: &'a str,
    /// How many units a record of the reference has, of those records that the model is run on where it has to be.
    rate: f64,
    usual: Units,
    here: Units,
}

struct Stream<'a> {
    reference: &'a Reference,
    counted: &'a Counted,
    least: Least,
    names: Names<'a>,
}

impl<'a> Stream<'a> {
    /// Signals of which the reference knows something.
    fn signals(&self, scope: Scope, task: Option<usize>) -> Vec<Measured<'a>> {
        let reference = self.reference;
        let is_run = scope != Scope::Head || reference.heads == HeadSource::Inference;
        let run = if is_run { self.least.run } else { 1.0 };
        let measured = |(s, here): (&'a SignalReference, &Units)| {
            let usual = Units::of(reference, s, &s.totals);
            Measured {
                name: &s.key.signal,
                rate: run * usual.n as f64 / reference.records.max(1) as f64,
                usual,
                here: *here,
            }
        };
        let of = |(s, _): &(&SignalReference, &Units)| s.key.scope == scope && s.key.task == task;
        let known = whole(reference).zip(&self.counted.units).filter(of).map(measured);
        known.filter(|measured| measured.usual.n > 0).collect()
    }

    /// Units that so many records of the reference would have.
    fn expected(&self, signal: &Measured) -> f64 {
        signal.rate * self.counted.records as f64
    }

    /// Units that the part would have in the reference, by which it is told how much of it there is; `None` for a part
    /// that the reference knows nothing of.
    fn expected_of(&self, (scope, task): Place) -> Option<f64> {
        let signals = self.signals(scope, task);
        let leading = match scope {
            Scope::Head => by_record(&signals),
            _ => signals.first(),
        };
        leading.map(|signal| self.expected(signal))
    }

    /// Names of the signals that nothing was counted for, though something should have been.
    fn empty(&self, signals: &[Measured<'a>]) -> Vec<&'a str> {
        let is_empty = |s: &&Measured| s.here.n == 0 && self.expected(s) >= self.least.units;
        signals.iter().filter(is_empty).map(|s| s.name).collect()
    }

    /// Units of the stream, and how many a record of the reference has, if they are much rarer than there.
    fn much_rarer(&self, signal: &Measured) -> Option<(i64, f64)> {
        let rarer = (signal.here.n as f64) < MUCH_RARER * self.expected(signal);
        rarer.then(|| (signal.here.n, signal.usual.n as f64 / self.reference.records.max(1) as f64))
    }

    /// How many of how many cannot be used, if that is much more than in the reference.
    fn much_more(&self, signal: &Measured) -> Option<Units> {
        let Units { n, unusable } = signal.here;
        // Of few a handful more is chance.
        let usual = MUCH_MORE * signal.usual.share_unusable() * n as f64 + self.least.units / FEW;
        let more = unusable as f64 > usual && signal.here.share_unusable() >= self.least.share;
        more.then_some(signal.here)
    }

    fn lacks(&self, place: Place) -> Vec<Lack> {
        let mut found = Vec::new();
        match place {
            (Scope::Input, _) => self.input(&mut found),
            (Scope::Head, Some(task)) => self.head(task, &mut found),
            _ => self.encoder(&mut found),
        }
        found
    }

    fn no_embeddings(&self) -> bool {
        let signals = self.signals(Scope::Encoder, None);
        !signals.is_empty() && signals.iter().all(|s| s.here.n == 0)
    }

    fn input(&self, found: &mut Vec<Lack>) {
        let signals = self.signals(Scope::Input, None);
        let empty = self.empty(&signals);
        if !empty.is_empty() {
            // Which need a tokenizer, a text needs none.
            let has_text = signals.iter().any(|s| s.name == "character_count" && s.here.n > 0);
            let none = if has_text {
                "no text is cut into tokens, and those of the reference were"
            } else {
                "no record has a text, and those of the reference had"
            };
            let said = format!("{none}: {} of the input could not be judged", list(&empty));
            let silent = empty.len() == signals.len();
            found.push(Lack { scope: Scope::Input, task: None, what: What::Texts, silent, said });
        }
    }

    fn encoder(&self, found: &mut Vec<Lack>) {
        let signals = self.signals(Scope::Encoder, None);
        let (silent, said) = if self.no_embeddings() {
            let empty: Vec<&str> = signals.iter().map(|s| s.name).collect();
            let said = format!(
                "no record has an embedding, and none was made of its text: {} of the encoder could not be judged, nor what \
                 heads answer to an embedding",
                list(&empty)
            );
            (true, said)
        } else if let Some((n, usual)) = signals.first().and_then(|signal| self.much_rarer(signal)) {
            let said = format!(
                "only {n} of {} records have an embedding, and {:.0} % of the reference's had: the encoder was judged by \
                 them alone",
                self.counted.records,
                100.0 * usual
            );
            (false, said)
        } else {
            return;
        };
        found.push(Lack { scope: Scope::Encoder, task: None, what: What::Embeddings, silent, said });
    }

    fn head(&self, task: usize, found: &mut Vec<Lack>) {
        let (name, records) = (&self.reference.spec.tasks[task].name, self.counted.records);
        let signals = self.signals(Scope::Head, Some(task));
        let lack = |what, said| Lack { scope: Scope::Head, task: Some(task), what, silent: false, said };
        match by_record(&signals).and_then(|signal| self.much_rarer(signal)) {
            Some((0, _)) => {
                let unknown = match self.names.unknown_tasks {
                    0 => String::new(),
                    n => format!("; {n} answers are of tasks that the manifest does not name: is it called otherwise?"),
                };
                let said = format!("no record answers task `{name}`: none of its signals could be judged{unknown}");
                found.push(Lack { silent: true, ..lack(What::Answers, said) });
                return;
            }
            Some((n, usual)) => found.push(lack(
                What::Answers,
                format!(
                    "only {n} of {records} records answer task `{name}`, and {:.0} % of the reference's did: it was judged \
                     by them alone",
                    100.0 * usual
                ),
            )),
            None => {
                let mut empty = self.empty(&signals);
                if self.no_embeddings() {
                    empty.retain(|signal| !OF_EMBEDDINGS.contains(signal));
                }
                if !empty.is_empty() {
                    let said = format!(
                        "task `{name}`: its answers lack what the reference's had, such as probabilities: {} could not \
                         be judged",
                        list(&empty)
                    );
                    found.push(lack(What::Fields, said));
                }
            }
        }
        let skews = self.signals(Scope::Skew, Some(task));
        if !skews.is_empty() && skews.iter().all(|s| s.here.n == 0) {
            let said = format!(
                "task `{name}`: no answer could be compared with the exported model's, which takes texts and a \
                 `--skew-sample` above 0: skew could not be judged"
            );
            found.push(Lack { scope: Scope::Skew, silent: true, ..lack(What::Comparisons, said) });
        }
        let named = |name: &str| signals.iter().find(|s| s.name == name);
        if let Some(Units { n, unusable }) = named("predicted_class").and_then(|s| self.much_more(s)) {
            let said = format!(
                "task `{name}`: {unusable} of {n} answers ({:.1} %) name no class of the manifest{}: whatever else is \
                 said of this task rests on it",
                percent(unusable, n),
                self.names.unknown_classes.told(task)
            );
            found.push(lack(What::ClassNames, said));
        }
        if let Some(Units { n, unusable }) = named("confidence").and_then(|s| self.much_more(s)) {
            let said = format!(
                "task `{name}`: {unusable} of {n} confidences ({:.1} %) are no probabilities: scores have to lie between \
                 0 and 1 and, of classes that exclude each other, to add up to 1 (`logits` is another field)",
                percent(unusable, n)
            );
            found.push(lack(What::Probabilities, said));
        }
    }
}

/// The signal of a head that counts records: of a set of labels or of tokens the classes count each one.
fn by_record<'a, 'b>(signals: &'b [Measured<'a>]) -> Option<&'b Measured<'a>> {
    let names = ["label_count", "span_count", "predicted_value", "predicted_class"];
    names.iter().find_map(|name| signals.iter().find(|s| s.name == *name))
}

fn percent(n: i64, of: i64) -> f64 {
    100.0 * n as f64 / of.max(1) as f64
}
