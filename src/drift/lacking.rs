//! What a stream lacks that its reference was learned from: what nothing is known of is not calm, and must not look
//! so.

use std::collections::BTreeMap;

use super::reference::{Reference, SignalReference};
use super::signal::Scope;

/// Below this part of the reference's share of records that answer a task, or bring an embedding, it is told.
const MUCH_RARER: f64 = 0.5;
/// A share of unusable values is told from this multiple of the reference's up.
const MUCH_MORE: f64 = 2.0;
/// Signals of heads that look at the embedding beside an answer.
const OF_EMBEDDINGS: [&str; 4] = ["answer_given_leaf", "class_given_leaf", "features_given_class", "mean_given_class"];
/// Names told one by one.
const SHOWN: usize = 5;
/// Names of unknown classes that are counted; the first are kept.
const MOST_NAMES: usize = 32;

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
pub fn lacking(reference: &Reference, seen: &Seen) -> Vec<String> {
    let mut found = Vec::new();
    if seen.records == 0 || seen.cells.len() != reference.width() {
        return found;
    }
    let stream = Stream { reference, seen };
    stream.input(&mut found);
    stream.encoder(&mut found);
    for task in 0..reference.spec.tasks.len() {
        stream.head(task, &mut found);
    }
    found
}

struct Stream<'a> {
    reference: &'a Reference,
    seen: &'a Seen,
}

impl<'a> Stream<'a> {
    /// Signals of all records with cells of their own, of which the reference knows something.
    fn signals(&self, scope: Scope, task: Option<usize>) -> Vec<&'a SignalReference> {
        let whole = |s: &&SignalReference| s.key.segment.is_none() && s.measure.as_signal().looks_at().is_none();
        let of = |s: &&SignalReference| s.key.scope == scope && s.key.task == task && n(s, &s.totals) > 0;
        self.reference.signals.iter().filter(whole).filter(of).collect()
    }

    fn cells(&self, signal: &SignalReference) -> &'a [i64] {
        &self.seen.cells[signal.cells()]
    }

    /// Names of the signals that nothing was counted for.
    fn empty(&self, signals: &[&'a SignalReference]) -> Vec<&'a str> {
        signals.iter().filter(|s| n(s, self.cells(s)) == 0).map(|s| s.key.signal.as_str()).collect()
    }

    /// Units of the stream, if they are much rarer among its records than among the reference's.
    fn much_rarer(&self, signal: &SignalReference) -> Option<(i64, f64)> {
        let usual = n(signal, &signal.totals) as f64 / self.reference.records as f64;
        let here = n(signal, self.cells(signal));
        (here as f64 / (self.seen.records as f64) < MUCH_RARER * usual).then_some((here, usual))
    }

    fn no_embeddings(&self) -> bool {
        let signals = self.signals(Scope::Encoder, None);
        !signals.is_empty() && self.empty(&signals).len() == signals.len()
    }

    fn input(&self, found: &mut Vec<String>) {
        let empty = self.empty(&self.signals(Scope::Input, None));
        if !empty.is_empty() {
            found.push(format!(
                "no record has a text, and those of the reference had: {} of the input could not be judged",
                list(&empty)
            ));
        }
    }

    fn encoder(&self, found: &mut Vec<String>) {
        let signals = self.signals(Scope::Encoder, None);
        if self.no_embeddings() {
            found.push(format!(
                "no record has an embedding, nor a text to make one of: {} of the encoder could not be judged, nor what \
                 heads answer to an embedding",
                list(&self.empty(&signals))
            ));
        } else if let Some((n, usual)) = signals.first().and_then(|signal| self.much_rarer(signal)) {
            found.push(format!(
                "only {n} of {} records have an embedding, and {:.0} % of the reference's had: the encoder was judged by \
                 them alone",
                self.seen.records,
                100.0 * usual
            ));
        }
    }

    fn head(&self, task: usize, found: &mut Vec<String>) {
        let (name, records) = (&self.reference.spec.tasks[task].name, self.seen.records);
        let signals = self.signals(Scope::Head, Some(task));
        // Of a set of labels or of tokens the classes count each one, these the records.
        let by_record = ["label_count", "span_count", "predicted_value", "predicted_class"];
        let by_record = by_record.iter().find_map(|name| signals.iter().find(|s| s.key.signal == *name));
        match by_record.and_then(|signal| self.much_rarer(signal)) {
            Some((0, _)) => {
                let unknown = match self.seen.unknown_tasks {
                    0 => String::new(),
                    n => format!("; {n} answers are of tasks that the manifest does not name: is it called otherwise?"),
                };
                found.push(format!("no record answers task `{name}`: none of its signals could be judged{unknown}"));
                return;
            }
            Some((n, usual)) => found.push(format!(
                "only {n} of {records} records answer task `{name}`, and {:.0} % of the reference's did: it was judged by \
                 them alone",
                100.0 * usual
            )),
            None => {
                let mut empty = self.empty(&signals);
                if self.no_embeddings() {
                    empty.retain(|signal| !OF_EMBEDDINGS.contains(signal));
                }
                if !empty.is_empty() {
                    found.push(format!(
                        "task `{name}`: its answers lack what the reference's had, such as probabilities: {} could not \
                         be judged",
                        list(&empty)
                    ));
                }
            }
        }
        let skews = self.signals(Scope::Skew, Some(task));
        if !skews.is_empty() && self.empty(&skews).len() == skews.len() {
            found.push(format!(
                "task `{name}`: no answer could be compared with the exported model's, which takes texts and a \
                 `--skew-sample` above 0: skew could not be judged"
            ));
        }
        let named = |name: &str| signals.iter().find(|s| s.key.signal == name);
        if let Some(signal) = named("predicted_class") {
            // The cell behind those of the classes.
            let other = self.reference.spec.tasks[task].classes.len();
            if let Some((n, of)) = self.much_more(signal, other) {
                found.push(format!(
                    "task `{name}`: {n} of {of} answers ({:.1} %) name no class of the manifest{}: whatever else is \
                     said of this task rests on it",
                    percent(n, of),
                    self.seen.unknown_classes.told(task)
                ));
            }
        }
        if let Some(signal) = named("confidence")
            && let Some((n, of)) = self.much_more(signal, signal.totals.len() - 1)
        {
            found.push(format!(
                "task `{name}`: {n} of {of} confidences ({:.1} %) are no probabilities: scores have to lie between 0 \
                 and 1 and, of classes that exclude each other, to add up to 1 (`logits` is another field)",
                percent(n, of)
            ));
        }
    }

    /// How many of how many lie in a cell of what cannot be used, if that is much more than in the reference.
    fn much_more(&self, signal: &SignalReference, cell: usize) -> Option<(i64, i64)> {
        let share = |cells: &[i64]| cells[cell] as f64 / n(signal, cells).max(1) as f64;
        let cells = self.cells(signal);
        let more = cells[cell] > 0 && share(cells) > MUCH_MORE * share(&signal.totals);
        more.then(|| (cells[cell], n(signal, cells)))
    }
}

fn n(signal: &SignalReference, cells: &[i64]) -> i64 {
    signal.measure.as_signal().n(cells)
}

fn percent(n: i64, of: i64) -> f64 {
    100.0 * n as f64 / of.max(1) as f64
}
