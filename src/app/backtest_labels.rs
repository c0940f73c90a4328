//! The labels of a back-test: what they join, what they make of windows, and what evidence they bring.

use std::collections::{BTreeMap, HashMap};

use crate::drift::label::{Label, PARTS};
use crate::drift::labelling::{Arrival, Arrivals};
use crate::drift::losses::Answers;
use crate::drift::matured::{Joined, Kept, Loss, Losses, Outcome, Tally, join};
use crate::drift::observation::Observation;
use crate::drift::performance::by_class::{KnownClass, Missing};
use crate::drift::performance::{Estimate, Performance};
use crate::drift::reference::Reference;
use crate::drift::summary::Summary;
use crate::drift::time::{Span, Timestamp};
use crate::drift::window::{Slot, WindowRule};
use crate::stats::performance::confusion::Confusion;

/// Predictions are kept as long by default (`store.retention.predictions`): the daemon finds none for a later label.
pub const KEPT: Span = Span::from_secs(14 * 86_400);
/// A label waits for its prediction as long by default (`labels.wait`).
pub const WAIT: Span = Span::from_secs(86_400);

/// Labels that were joined at times that are odd.
#[derive(Clone, Copy, Debug, Default)]
pub struct OddTimes {
    /// Later than predictions are kept by default.
    pub late: u64,
    /// Before their predictions.
    pub before: u64,
    /// So long before them that the daemon would have given them up.
    pub given_up: u64,
}

/// Labels of one stream.
#[derive(Default)]
pub struct Labels {
    /// Not given yet, the latest first.
    coming: Vec<(String, Label)>,
    kept: HashMap<String, (Kept, Timestamp, Slot)>,
    joined: HashMap<(String, usize), Joined>,
    waiting: HashMap<String, Vec<Label>>,
    pub(super) tallies: BTreeMap<(Slot, usize), Tally>,
    matured: BTreeMap<Slot, (Losses, Timestamp)>,
    /// Those that no judgement has heard of, by window and task: when they were predicted, and came.
    came: BTreeMap<Slot, Vec<(usize, Timestamp, Timestamp)>>,
    /// Starts of windows that are judged.
    starts: BTreeMap<Slot, Timestamp>,
    pub(super) estimates: Vec<(Slot, Vec<(usize, Estimate)>)>,
    /// Labels that were bet on and their summed losses, by window that was judged, and task.
    losses: Vec<BTreeMap<usize, (u64, f64)>>,
    /// The same answers by class.
    answers: Vec<BTreeMap<usize, Answers>>,
    /// Answers to be expected by true and predicted class, over all windows, by task.
    pub(super) expected: BTreeMap<usize, Confusion>,
    /// Cells over all windows, by task, for heads that are told label by label or class by class.
    pub(super) cells: BTreeMap<usize, Vec<i64>>,
    /// How many labels came to each end.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Labels of tasks that the reference knows none of, by task.
    pub not_watched: BTreeMap<usize, u64>,
    /// Labels that cannot be compared with the answer, by task.
    pub unusable: BTreeMap<usize, u64>,
    /// Labels of predictions without an answer of their task, by task.
    pub unanswered: BTreeMap<usize, u64>,
    /// Labels at times that make one doubt them, or that the daemon would not join.
    pub odd_times: OddTimes,
    /// Labels in records without an id.
    pub without_id: u64,
    /// Predictions with one.
    pub named: u64,
}

impl Labels {
    /// With labels that will be given later.
    pub fn new(mut coming: Vec<(String, Label)>) -> Labels {
        coming.sort_by(|(a, x), (b, y)| (y.at, b).cmp(&(x.at, a)));
        Labels { coming, ..Labels::default() }
    }

    /// Hears of a record, be it `alone` labels, and how many it brings.
    pub fn hear(&mut self, has_id: bool, alone: bool, labels: usize) {
        self.without_id += if has_id { 0 } else { labels as u64 };
        self.named += u64::from(has_id && !alone);
    }

    /// Gives the labels that were given until then. They come in the window `slot` where windows are counted
    /// in records.
    pub fn until(&mut self, time: Timestamp, rule: WindowRule, slot: Slot, reference: &Reference) {
        while let Some((id, label)) = self.coming.pop_if(|(_, label)| label.at <= time) {
            self.give(id, label, rule, slot, reference);
        }
    }

    /// Gives all that are left: the stream has ended, and time goes on. Where windows are counted in records,
    /// they come in windows of their own, as long as those before them were on average.
    pub fn rest(&mut self, rule: WindowRule, from: Timestamp, length: Span, slot: Slot, reference: &Reference) {
        while let Some((id, label)) = self.coming.pop() {
            let later = label.at.since(from).micros() / length.micros().max(1);
            self.give(id, label, rule, slot + later, reference);
        }
    }

    /// Gives one label.
    pub fn give(&mut self, id: String, label: Label, rule: WindowRule, slot: Slot, reference: &Reference) {
        let Some((kept, predicted, window)) = self.kept.get(&id) else {
            self.waiting.entry(id).or_default().push(label);
            return;
        };
        let (task, at) = (label.task, label.at);
        let known = reference.performance_of(task);
        let scale = known.map_or(1.0, |p| p.scale);
        let window = Timestamp::from_micros(*window);
        let change = match self.joined.get(&(id.clone(), task)) {
            Some(earlier) => Some(earlier.take(label, scale)),
            None => join(kept, *predicted, window, label, scale),
        };
        let Some(change) = change else {
            *self.outcomes.entry(Outcome::Unanswered).or_default() += 1;
            let by_task = if known.is_some() { &mut self.unanswered } else { &mut self.not_watched };
            *by_task.entry(task).or_default() += 1;
            return;
        };
        *self.outcomes.entry(change.outcome).or_default() += 1;
        if change.outcome == Outcome::Unusable {
            *self.unusable.entry(task).or_default() += 1;
        }
        self.odd_times.late += u64::from(at.since(*predicted) > KEPT);
        self.odd_times.before += u64::from(at < *predicted);
        self.odd_times.given_up += u64::from(predicted.since(at) > WAIT);
        self.tallies.entry((change.window.micros(), task)).or_default().apply(&change);
        if let Some(known) = known.filter(|_| change.loss.is_some()) {
            let came = self.came.entry(change.window.micros()).or_default();
            came.push((task, change.joined.predicted(), at));
            let slot = match rule {
                WindowRule::Time(_) => rule.slot(at, 0),
                WindowRule::Records(_) => slot,
            };
            let (losses, last) = self.matured.entry(slot).or_insert_with(|| (Losses::default(), at));
            losses.take(task, known.kind, &change);
            *last = at.max(*last);
        }
        self.joined.insert((id, task), change.joined);
    }

    /// Keeps a prediction, and gives the labels that waited for it.
    pub fn keep(
        &mut self,
        id: Option<String>,
        time: Timestamp,
        slot: Slot,
        observation: &Observation,
        rule: WindowRule,
        reference: &Reference,
    ) {
        let Some((id, kept)) = id.zip(Kept::of(reference, &observation.answers)) else { return };
        // The first prediction of an id is the one that labels speak of.
        self.kept.entry(id.clone()).or_insert((kept, time, slot));
        for label in self.waiting.remove(&id).unwrap_or_default() {
            self.give(id.clone(), label, rule, slot, reference);
        }
    }

    /// The first window in which labels were given that no judgement has taken.
    pub fn first_slot(&self) -> Option<Slot> {
        self.matured.keys().next().copied()
    }

    /// What the labels of a window, and those of earlier ones that nobody took, say; with the last time of one.
    pub fn take(&mut self, slot: Slot) -> (Losses, Option<Timestamp>) {
        let (mut all, mut last) = (Losses::default(), None);
        while let Some(entry) = self.matured.first_entry().filter(|e| *e.key() <= slot) {
            let (losses, at) = entry.remove();
            all.merge(&losses);
            last = last.max(Some(at));
        }
        (all, last)
    }

    /// The labels that came since this was asked, for the windows that are judged, the last of which begins here.
    pub fn arrivals(&mut self, slot: Slot, start: Timestamp) -> Arrivals {
        self.starts.insert(slot, start);
        let mut arrivals = Arrivals::default();
        let later = self.came.split_off(&(slot + 1));
        for (slot, came) in std::mem::replace(&mut self.came, later) {
            let Some(window) = self.starts.get(&slot).copied() else { continue };
            for (task, predicted, arrived) in came {
                arrivals.add(task, Arrival { window, predicted, arrived });
            }
        }
        arrivals
    }

    /// Notes what a window's tallies say without labels.
    pub fn estimate(&mut self, slot: Slot, summary: &Summary, reference: &Reference) {
        let of = |p: &Performance| Some((p.task, p.estimate(&summary.cells[p.cells()])?));
        self.estimates.push((slot, reference.performance.iter().filter_map(of).collect()));
        for performance in &reference.performance {
            let window = performance.expected_confusion(&summary.cells[performance.cells()]).unwrap_or_default();
            let all = self.expected.entry(performance.task).or_default();
            window.into_iter().for_each(|(cell, n)| *all.entry(cell).or_default() += n);
            if performance.is_told_by_label() {
                let all = self.cells.entry(performance.task).or_insert_with(|| vec![0; performance.width()]);
                all.iter_mut().zip(&summary.cells[performance.cells()]).for_each(|(all, cell)| *all += cell);
            }
        }
    }

    /// Notes what a window was judged with.
    pub fn note_losses(&mut self, losses: &Losses) {
        let of_task = |(task, each): (&usize, &BTreeMap<Loss, u64>)| {
            let sum = |of: &dyn Fn(u8) -> f64| each.iter().map(|(loss, n)| *n as f64 * of(loss.found)).sum::<f64>();
            (*task, (sum(&|_| 1.0) as u64, sum(&|loss| f64::from(loss) / f64::from(PARTS))))
        };
        self.losses.push(losses.by_task.iter().map(of_task).collect());
        self.answers.push(losses.by_class.clone());
    }

    /// The labels of a task that some windows were judged with, and their mean loss.
    pub fn error_in(&self, windows: std::ops::RangeInclusive<usize>, task: usize) -> Option<(u64, f64)> {
        let each = self.losses.get(windows)?.iter().filter_map(|losses| losses.get(&task));
        let (n, sum) = each.fold((0, 0.0), |(n, sum), (labels, loss)| (n + labels, sum + loss));
        (n > 0).then(|| (n, sum / n as f64))
    }

    /// How often each class of a head that is known was missing in the labelled answers that some windows were judged
    /// with.
    pub fn missing_in(
        &self,
        windows: std::ops::RangeInclusive<usize>,
        known: &Performance,
    ) -> Vec<(KnownClass, Missing)> {
        let mut all = Answers::default();
        let each = self.answers.get(windows).into_iter().flatten();
        each.filter_map(|answers| answers.get(&known.task)).for_each(|answers| all.merge(answers));
        let missing = known.missing(&all);
        known.known_classes().into_iter().filter_map(|class| Some((class, *missing.get(&class.class)?))).collect()
    }

    /// The id of one of them, the same each time.
    pub fn example_unmatched(&self) -> Option<&str> {
        self.waiting.keys().min().map(String::as_str)
    }

    /// Labels whose prediction never came.
    pub fn unmatched(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }
}
