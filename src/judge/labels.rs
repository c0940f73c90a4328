//! Labels on their way into judgement: joined with their predictions window by window, in chunks, each in one
//! transaction with the course that remembers what they said.

use std::collections::{BTreeMap, BTreeSet};

use super::{Judge, rows};
use crate::drift::course::{Course, Judged as Outcome};
use crate::drift::joining::{Fate, Joining, Pending};
use crate::drift::label::Label;
use crate::drift::matured::{self, Joined, Kept, MUTING_WINDOWS, Tally, is_muted};
use crate::drift::performance::{Estimate, Performance};
use crate::drift::standing::TaskNotices;
use crate::drift::summary::Summary;
use crate::drift::time::{Span, Timestamp};
use crate::drift::window::Slot;
use crate::metrics;
use crate::store::{
    EstimateRow, JoinRow, JudgeStore, Judged, LabelChanges, PendingRow, RealisedRow, TaskRow, TaskWindow,
};

/// Labels joined in one transaction: a few thousand statements, well below what one may take.
const CHUNK: i64 = 500;

/// How labels are joined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Labelling {
    /// Share of predictions that are kept for labels.
    pub sample: f64,
    /// How long a label waits for its prediction.
    pub wait: Span,
}

/// How many labels of each task came to each end.
pub(super) type Ends = BTreeMap<(usize, &'static str), u64>;

impl Judge {
    /// The first window below `below`, not judged yet, that has labels to try or is to be judged with what
    /// they said.
    pub(super) async fn label_slot(
        &self,
        store: &dyn JudgeStore,
        course: &Course,
        below: Slot,
    ) -> anyhow::Result<Option<Slot>> {
        if self.reference.performance.is_empty() {
            return Ok(None);
        }
        let due = store.first_due(&self.model.name, &self.reference.id).await?;
        // Labels of windows that are judged come late: the next one takes them.
        let due = due.map(|due| course.next_slot.map_or(due, |next| due.max(next)));
        Ok(due.into_iter().chain(course.matured_at()).min().filter(|slot| *slot < below))
    }

    /// Joins some of the labels that are due in a window; `None` if none are left. What is returned is to be
    /// committed with the course, which remembers what they said.
    pub(super) async fn join(
        &self,
        store: &dyn JudgeStore,
        course: &mut Course,
        slot: Slot,
        now: Timestamp,
    ) -> anyhow::Result<Option<(Judged, Ends)>> {
        let (model, reference) = (&self.model.name, self.reference.as_ref());
        let due = store.due_labels(model, &reference.id, slot, CHUNK).await?;
        if due.is_empty() {
            return Ok(None);
        }
        let mut joining = Joining::new(&reference.performance, self.closing.window, self.labelling.wait, slot);
        let keys: Vec<i64> = due.iter().map(|p| p.label.key).collect::<BTreeSet<_>>().into_iter().collect();
        for row in store.kept(&keys, slot).await? {
            joining.know(row.key, row.predicted, Kept::decode(&row.answers)?);
        }
        for row in store.joined(&keys).await? {
            joining.know_joined(row.key, usize::try_from(row.task)?, Joined::decode(&row.body)?);
        }
        let (mut changes, mut ends) = (LabelChanges::default(), Ends::default());
        for row in due {
            let (label_id, pending) = pending(row)?;
            let task = pending.label.task;
            let end = match joining.take(pending) {
                Fate::Waits(due) => {
                    changes.postponed.push((label_id, due));
                    continue;
                }
                Fate::Settled(outcome) => outcome.name(),
                Fate::GivenUp => "unmatched",
            };
            changes.settled.push(label_id);
            *ends.entry((task, end)).or_default() += 1;
        }
        changes.joined = joining.touched().map(join_row).collect::<Result<_, _>>()?;
        changes.realised = self.realised(store, &joining).await?;
        let shadow = self.add_pairs(store, &joining.pairs, now).await?;
        course.mature(slot, &joining.losses);
        course.labelling.arrive(&joining.arrivals);
        Ok(Some((Judged { labels: changes, shadow, next_slot: course.next_slot, ..rows::nothing(self, now) }, ends)))
    }

    /// The tallies that change, as they will be.
    async fn realised(&self, store: &dyn JudgeStore, joining: &Joining<'_>) -> anyhow::Result<Vec<RealisedRow>> {
        let starts: BTreeSet<Timestamp> = joining.changes.iter().map(|(_, change)| change.window).collect();
        let starts: Vec<Timestamp> = starts.into_iter().collect();
        let stored = store.tallies(&self.model.name, &self.reference.id, &starts).await?;
        let mut tallies: BTreeMap<TaskWindow, Tally> = BTreeMap::new();
        for (of, tally) in stored {
            tallies.insert(of, Tally::decode(&tally)?);
        }
        let mut touched: BTreeMap<TaskWindow, usize> = BTreeMap::new();
        for (task, change) in &joining.changes {
            let of = self.task_window(*task, change.window);
            tallies.entry(of.clone()).or_default().apply(change);
            touched.insert(of, *task);
        }
        let row = |(of, task): (TaskWindow, usize)| {
            let tally = &tallies[&of];
            let kind = self.reference.spec.tasks[task].kind;
            let said = tally.realised(kind);
            RealisedRow {
                of,
                labelled: tally.labelled,
                realised: said.as_ref().map(|s| s.accuracy),
                interval: said.as_ref().map(|s| s.interval),
                macro_f1: said.as_ref().and_then(|s| s.macro_f1),
                expected: said.as_ref().and_then(|s| s.expected),
                delay_us: said.as_ref().map(|s| s.delay_us),
                tally: tally.encode(),
            }
        };
        Ok(touched.into_iter().map(row).collect())
    }

    fn task_window(&self, task: usize, start: Timestamp) -> TaskWindow {
        let window = self.closing.window;
        let end = window.bounds(window.slot(start, 0)).map_or(start, |(_, end)| end);
        TaskWindow { task: self.reference.spec.tasks[task].name.clone(), start, end }
    }

    /// What a window is estimated to be, task by task.
    pub(super) fn estimates(&self, summary: &Summary, start: Timestamp) -> Vec<EstimateRow> {
        let row = |p: &Performance| {
            let cells = &summary.cells[p.cells()];
            let estimate: Option<Estimate> = p.estimate(cells);
            EstimateRow {
                of: self.task_window(p.task, start),
                answered: estimate.as_ref().map_or(0, |e| e.n),
                estimate: estimate.as_ref().map(|e| e.accuracy),
                interval: estimate.as_ref().map(|e| e.interval),
                macro_f1: estimate.as_ref().and_then(|e| e.macro_f1),
                cells: p.kept_cells(cells),
            }
        };
        self.reference.performance.iter().map(row).collect()
    }

    /// Tasks whose labels contradict their estimates, until the window that begins at this time.
    pub(super) async fn muted(&self, store: &dyn JudgeStore, until: Timestamp) -> anyhow::Result<Vec<usize>> {
        let mut muted = Vec::new();
        for p in &self.reference.performance {
            if self.is_muted(store, p, until).await? {
                muted.push(p.task);
            }
        }
        Ok(muted)
    }

    /// What is known of each task after a window.
    pub(super) fn tasks(&self, outcome: &Outcome, muted: &[usize]) -> Vec<TaskRow> {
        fn of<T: Clone>(told: &[(usize, T)], task: usize) -> Option<T> {
            told.iter().find(|(of, _)| *of == task).map(|(_, told)| told.clone())
        }
        let row = |p: &Performance| {
            let harm = outcome.harm.tasks.iter().find(|t| t.task == p.task);
            let notices = TaskNotices { labels: of(&outcome.labelling, p.task) };
            TaskRow {
                task: self.reference.spec.tasks[p.task].name.clone(),
                kind: p.kind.to_string(),
                reference_labelled: i64::try_from(p.labelled).unwrap_or(i64::MAX),
                reference_loss: p.loss,
                tolerated_loss: p.tolerated(),
                sample: self.labelling.sample,
                labels: harm.map_or(0, |t| i64::try_from(t.labels).unwrap_or(i64::MAX)),
                ln_evidence: harm.map(|t| t.ln_evidence).filter(|e| e.is_finite()),
                ln_threshold: self.watch.threshold.ln(),
                muted: muted.contains(&p.task),
                notices: serde_json::to_string(&notices).expect("plain data always encodes"),
            }
        };
        self.reference.performance.iter().map(row).collect()
    }

    async fn is_muted(&self, store: &dyn JudgeStore, p: &Performance, until: Timestamp) -> anyhow::Result<bool> {
        let (model, task) = (&self.model.name, &self.reference.spec.tasks[p.task].name);
        let limit = i64::try_from(MUTING_WINDOWS)?;
        let latest = store.recent_tallies(model, &self.reference.id, task, until, limit).await?;
        let latest = latest.iter().map(|tally| Tally::decode(tally)).collect::<Result<Vec<_>, _>>()?;
        Ok(is_muted(latest.iter(), p.into()))
    }

    /// Learns anew how many labels are usual where another share of predictions is kept for them.
    pub(super) fn note_sample(&self, course: &mut Course, at: Timestamp) {
        if course.labelling.sampled(self.labelling.sample, at) {
            tracing::info!(
                model = self.model.name,
                sample = self.labelling.sample,
                "`labels.sample` changed: how many labels are usual is learned anew"
            );
        }
    }

    /// Metrics of a model that begin at zero.
    pub(super) fn start_counting(&self) {
        for p in &self.reference.performance {
            metrics::joined(&self.model.name, &self.reference.spec.tasks[p.task].name, 0);
        }
    }

    /// Metrics of labels whose ends are committed.
    pub(super) fn count(&self, ends: Ends) {
        for ((task, end), count) in ends {
            metrics::labels(end, count);
            if end == matured::Outcome::Joined.name() {
                metrics::joined(&self.model.name, &self.reference.spec.tasks[task].name, count);
            }
        }
    }
}

fn pending(row: PendingRow) -> anyhow::Result<(String, Pending)> {
    let PendingRow { label_id, label: row } = row;
    let label = Label {
        task: usize::try_from(row.task)?,
        value: postcard::from_bytes(&row.value)?,
        revision: row.revision,
        at: row.at,
        retracted: row.retracted,
    };
    Ok((label_id, Pending { key: row.key, heard: row.heard, label }))
}

fn join_row((key, task, joined): (i64, usize, &Joined)) -> anyhow::Result<JoinRow> {
    Ok(JoinRow { key, task: i64::try_from(task)?, predicted: joined.predicted(), body: joined.encode() })
}

/// Metrics of labels that a committed judgement took.
pub(super) fn observe(judged: &Judged) {
    for task in &judged.labels.tasks {
        let ratio = task.ln_evidence.map_or(0.0, |e| (e - task.ln_threshold).min(300.0).exp());
        metrics::task_harm(&judged.model, &task.task, ratio);
        metrics::estimate_muted(&judged.model, &task.task, task.muted);
        if let Ok(notices) = serde_json::from_str::<TaskNotices>(&task.notices) {
            notices.each(|what, ratio, stands| metrics::notice(&judged.model, &task.task, what, ratio, stands));
        }
    }
    for row in &judged.labels.realised {
        if let (Some(accuracy), Some(delay)) = (row.realised, row.delay_us) {
            metrics::realised(&judged.model, &row.of.task, accuracy, delay as f64 / 1e6);
        }
    }
    for row in &judged.labels.estimates {
        if let Some(accuracy) = row.estimate {
            metrics::estimated(&judged.model, &row.of.task, accuracy);
        }
    }
}
