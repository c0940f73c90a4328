//! The judge loop: takes closed windows in order, judges them, and writes report, transitions and
//! messages in one transaction with the course they came from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::drift::course::{Course, Watch};
use crate::drift::judgement::{ClosedWindow, revise};
use crate::drift::reference::Reference;
use crate::drift::summary::Summary;
use crate::drift::time::{Span, Timestamp};
use crate::drift::window::{Slot, WindowRule};
use crate::metrics;
use crate::store::{JudgeStore, Judged, ModelRow, Progress, ReferenceRow, StoredPartial};

/// Judgements to rows and messages.
pub mod rows;

use rows::Receiver;

/// How often windows are looked for without being told.
const EVERY: Duration = Duration::from_secs(1);
/// How long a model stays with one judge.
const LEASE: Duration = Duration::from_secs(30);
/// Windows judged in one step.
const WINDOWS_PER_STEP: i64 = 100;

/// One model as the judge loop needs it.
#[derive(Clone)]
pub struct Judge {
    /// What it is compared with.
    pub reference: Arc<Reference>,
    /// How it is watched.
    pub watch: Watch,
    /// How its stream is cut.
    pub window: WindowRule,
    /// How long a window waits for stragglers.
    pub grace: Span,
    /// A partition without records for so long does not hold windows open.
    pub idle_after: Span,
    /// Who is told.
    pub receivers: Vec<Receiver>,
    /// What readers should know of the model.
    pub model: ModelRow,
}

/// Runs until `shutdown`; woken by `collected` or a timer, wakes `written` when messages wait.
pub async fn run(
    store: Arc<dyn JudgeStore>,
    models: Vec<Judge>,
    collected: Arc<Notify>,
    written: Arc<Notify>,
    shutdown: CancellationToken,
) {
    let holder = uuid::Uuid::now_v7().to_string();
    let mut registered = vec![false; models.len()];
    while !shutdown.is_cancelled() {
        for (judge, registered) in models.iter().zip(&mut registered) {
            match judge.step(store.as_ref(), &holder, registered).await {
                Ok(true) => written.notify_one(),
                Ok(false) => {}
                Err(error) => {
                    metrics::step_failed("judge");
                    tracing::warn!(
                        model = judge.model.name,
                        error = format!("{error:#}"),
                        "judging failed; trying again"
                    );
                }
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = collected.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

impl Judge {
    /// One step: everything that can be judged now. True if messages were written.
    ///
    /// # Errors
    /// If the store fails or holds what does not decode; the step can be done again.
    pub async fn step(&self, store: &dyn JudgeStore, holder: &str, registered: &mut bool) -> anyhow::Result<bool> {
        let now = clock::now();
        if !store.lease(&format!("judge:{}", self.model.name), holder, now, LEASE).await? {
            return Ok(false);
        }
        if !*registered {
            store.register(&self.model, &ReferenceRow::of(&self.reference, now), now).await?;
            *registered = true;
        }
        let progress = store.progress().await?;
        let Some(below) = self.closed_below(&progress, now) else { return Ok(false) };
        let (mut version, mut course) = self.course(store).await?;
        let partials = store.partials(&self.model.name, &self.reference.id, below, WINDOWS_PER_STEP).await?;
        let mut messages = false;
        for (slot, partials) in by_slot(partials) {
            let Some(judged) = self.judge(store, &mut course, version, slot, &partials).await? else { continue };
            messages |= !judged.deliveries.is_empty();
            if !store.commit_judged(&judged).await? {
                anyhow::bail!("another judge has moved the course of `{}`", self.model.name);
            }
            version += 1;
            rows::observe(&judged);
        }
        Ok(messages)
    }

    /// The first slot that is still open: the least watermark of the partitions that are not idle,
    /// less the grace. `None` if nothing is closed, or every partition is idle: then event time
    /// stands still, as it does while the broker is away.
    fn closed_below(&self, progress: &[Progress], now: Timestamp) -> Option<Slot> {
        let active = progress.iter().filter(|p| now.since(p.updated) < self.idle_after);
        let least = active.map(|p| p.watermark).min()??;
        Some(self.window.slot(least.minus(self.grace), 0))
    }

    async fn course(&self, store: &dyn JudgeStore) -> anyhow::Result<(i64, Course)> {
        let Some(stored) = store.course(&self.model.name).await? else {
            return Ok((0, Course::new(&self.reference)));
        };
        match Course::decode(&stored.body) {
            Ok(course) if course.fits(&self.reference) => Ok((stored.version, course)),
            Ok(_) => {
                tracing::info!(
                    model = self.model.name,
                    reference = self.reference.id,
                    "a new reference: evidence starts afresh"
                );
                Ok((stored.version, Course::new(&self.reference)))
            }
            Err(error) => {
                tracing::warn!(model = self.model.name, %error, "evidence starts afresh");
                Ok((stored.version, Course::new(&self.reference)))
            }
        }
    }

    /// Judges one window, or revises it if it was judged before its last records came.
    async fn judge(
        &self,
        store: &dyn JudgeStore,
        course: &mut Course,
        version: i64,
        slot: Slot,
        partials: &[StoredPartial],
    ) -> anyhow::Result<Option<Judged>> {
        let mut summary = Summary::empty(&self.reference);
        for partial in partials {
            summary.merge(&Summary::decode(&partial.body)?)?;
        }
        let Some((start, end)) = self.window.bounds(slot) else { return Ok(None) };
        let now = clock::now();
        let earlier = match course.next_slot {
            Some(next) if slot < next => store.report(&self.model.name, &self.reference.id, slot).await?,
            _ => None,
        };
        let mut judged = if course.next_slot.is_some_and(|next| slot < next) {
            let revision = earlier.as_ref().map_or(0, |e| e.revision + 1);
            if let Some(earlier) = &earlier {
                summary.merge(&Summary::decode(&earlier.summary)?)?;
            }
            let statistics = revise(&self.reference, &summary, self.watch.sensitivity);
            rows::revised(self, slot, (start, end), revision, earlier, &summary, &statistics, now)
        } else {
            let window = ClosedWindow { slot, start, end, summary };
            let outcome = course.advance(&self.reference, &self.watch, &window);
            rows::judged(self, &window, &outcome, now)
        };
        judged.expected_version = version;
        judged.next_slot = course.next_slot;
        judged.course = course.encode();
        judged.consumed = partials.iter().map(|p| p.partial_id.clone()).collect();
        Ok(Some(judged))
    }
}

fn by_slot(partials: Vec<StoredPartial>) -> BTreeMap<Slot, Vec<StoredPartial>> {
    let mut slots: BTreeMap<Slot, Vec<StoredPartial>> = BTreeMap::new();
    for partial in partials {
        slots.entry(partial.slot).or_default().push(partial);
    }
    slots
}
