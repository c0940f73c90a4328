//! The judge loop: takes closed windows in order, judges them, and writes report, transitions and
//! messages in one transaction with the course they came from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::drift::alert::AlertState;
use crate::drift::closing::Closing;
use crate::drift::course::{Course, Watch, Watching};
use crate::drift::examples::Rule as Keeping;
use crate::drift::judgement::{ClosedWindow, Verdict, revise};
use crate::drift::lacking::lasting::Lacked;
use crate::drift::reference::Reference;
use crate::drift::retraining::plan::Plan;
use crate::drift::routing::Rule;
use crate::drift::summary::Summary;
use crate::drift::time::{Span, Timestamp};
use crate::drift::window::Slot;
use crate::fault;
use crate::health::{Health, Part};
use crate::metrics;
use crate::store::{GapRow, JudgeStore, Judged, LabelChanges, ModelRow, ReferenceRow, StoreError, StoredPartial};
use crate::traces;

/// Who is told of an alert.
mod dispatch;
mod evidence;
/// Texts of alerts.
pub mod examples;
/// Labels on their way into judgement.
pub mod labels;
/// What could not be judged.
mod lacking;
mod requests;
/// Judgements to rows and messages.
pub mod rows;
/// Candidates beside the current model.
pub mod shadow;
mod superseded;

use labels::Labelling;
use rows::Receiver;
use shadow::Shadowing;

/// How often windows are looked for without being told.
const EVERY: Duration = Duration::from_secs(1);
/// One step may take this long before the store counts as silent; what it has written stays.
const STEP: Duration = Duration::from_secs(120);
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
    /// How its stream is cut, and when windows close.
    pub closing: Closing,
    /// How its labels are joined.
    pub labelling: Labelling,
    /// Share of the records that need it that the model is run on.
    pub run_on: f64,
    /// Topics that bring its records; empty for all that were ever read.
    pub topics: Vec<String>,
    /// Who is told.
    pub receivers: Vec<Receiver>,
    /// How its retraining goes.
    pub plan: Plan,
    /// Who of them is told of which alert.
    pub rules: Vec<Rule>,
    /// Windows that ended longer ago are of a backlog.
    pub backfill_after: Option<Span>,
    /// A candidate beside it.
    pub shadowing: Option<Shadowing>,
    /// How examples of what is new are kept; `None` for no texts at all.
    pub examples: Option<Keeping>,
    /// What readers should know of the model.
    pub model: ModelRow,
}

/// What a judge loop works with.
pub struct Doors {
    /// Where tallies come from and judgements go.
    pub store: Arc<dyn JudgeStore>,
    /// Who is told of trouble.
    pub health: Health,
    /// Notified by whoever commits tallies.
    pub collected: Arc<Notify>,
    /// Notified when messages wait.
    pub written: Arc<Notify>,
    /// How each model is watched now, in the order of the models.
    pub watching: Box<dyn Fn() -> Vec<Watching> + Send + Sync>,
}

/// Runs until `shutdown`; woken by new tallies or a timer.
pub async fn run(doors: Doors, mut models: Vec<Judge>, shutdown: CancellationToken) {
    let Doors { store, health, collected, written, watching } = doors;
    let holder = uuid::Uuid::now_v7().to_string();
    let mut registered = vec![false; models.len()];
    for model in models.iter().map(|judge| &judge.model) {
        metrics::window_length(&model.name, model.window_us as f64 / 1e6);
    }
    models.iter().for_each(Judge::start_counting);
    while !shutdown.is_cancelled() {
        let changed = rewatch(&mut models, &watching());
        registered.iter_mut().zip(changed).for_each(|(registered, changed)| *registered &= !changed);
        let mut trouble = None;
        for (judge, registered) in models.iter().zip(&mut registered) {
            let step = judge.step(store.as_ref(), &holder, registered, clock::now());
            match tokio::time::timeout(STEP, step).await.unwrap_or_else(|_| Err(StoreError::Silent.into())) {
                Ok(true) => written.notify_one(),
                Ok(false) => {}
                Err(error) => {
                    metrics::step_failed("judge");
                    tracing::warn!(
                        model = judge.model.name,
                        error = format!("{error:#}"),
                        "judging failed; trying again"
                    );
                    trouble = Some(format!("{}: {error:#}", judge.model.name));
                }
            }
        }
        match trouble {
            Some(words) => health.trouble(Part::Judge, words),
            None => health.well(Part::Judge),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = collected.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Watches models as they are to be watched from their next window on; which of them otherwise than before.
pub fn rewatch(models: &mut [Judge], watching: &[Watching]) -> Vec<bool> {
    let rewatch = |(judge, new): (&mut Judge, &Watching)| {
        let changed = (judge.watch, judge.model.budget.as_str()) != (new.watch, new.budget.as_str());
        (judge.watch, judge.model.threshold) = (new.watch, new.watch.threshold);
        judge.model.budget.clone_from(&new.budget);
        changed
    };
    models.iter_mut().zip(watching).map(rewatch).collect()
}

impl Judge {
    /// One step: everything that can be judged now. True if messages were written.
    ///
    /// # Errors
    /// If the store fails or holds what does not decode; the step can be done again.
    pub async fn step(
        &self,
        store: &dyn JudgeStore,
        holder: &str,
        registered: &mut bool,
        now: Timestamp,
    ) -> anyhow::Result<bool> {
        if !store.lease(&format!("judge:{}", self.model.name), holder, now, LEASE).await? {
            return Ok(false);
        }
        let mut messages = false;
        if !*registered {
            store.register(&self.model, &ReferenceRow::of(&self.reference, now), now).await?;
            messages |= self.close_superseded(store, now).await?;
            *registered = true;
        }
        messages |= self.announce_gaps(store, now).await?;
        self.add_shadows(store, now).await?;
        let mut reached = store.reached().await?;
        reached.retain(|r| self.topics.is_empty() || self.topics.contains(&r.partition.topic));
        let Some(below) = self.closing.first_open(&reached, now) else { return Ok(messages) };
        let partials = store.partials(&self.model.name, &self.reference.id, below, WINDOWS_PER_STEP).await?;
        let (mut version, mut course) = self.course(store).await?;
        let mut slots = by_slot(partials);
        // Labels of windows beyond those partials that were read wait for the next step.
        let horizon = match slots.keys().next_back() {
            Some(last) if slots.len() as i64 >= WINDOWS_PER_STEP => last + 1,
            _ => below,
        };
        let mut gaps = None;
        loop {
            let with_records = slots.keys().next().copied();
            let with_labels = self.label_slot(store, &course, horizon).await?;
            let Some(slot) = with_records.into_iter().chain(with_labels).min() else { break };
            if with_labels.is_some_and(|with_labels| with_labels <= slot) {
                while let Some((mut joined, ends)) = self.join(store, &mut course, slot, now).await? {
                    joined.course = course.encode();
                    self.commit(store, joined, &mut version, &[]).await?;
                    self.count(ends);
                }
            }
            let gaps = match &mut gaps {
                Some(gaps) => gaps,
                None => gaps.insert(store.gaps().await?),
            };
            // Late records never take part in the judgement of their window, however early it is
            // judged: so it is the same however late.
            let (late, in_time): (Vec<_>, Vec<_>) =
                slots.remove(&slot).unwrap_or_default().into_iter().partition(|p| p.late);
            // What labels said is judged with the next window, be it one without records.
            let mut alone = in_time.is_empty() && course.matured_at() == Some(slot);
            if alone && self.is_told_of(store, slot).await? {
                // Late records have made its report already, and evidence is never part of a revision.
                course.carry(slot + 1);
                alone = false;
            }
            for (partials, late) in [(in_time, false), (late, true)] {
                if partials.is_empty() && (late || !alone) {
                    continue;
                }
                let judged = self.judge(store, &mut course, slot, &partials, late, gaps, now).await?;
                if let Some((judged, lacked)) = judged {
                    messages |= self.commit(store, judged, &mut version, &partials).await?;
                    lacked.iter().for_each(|lacked| self.tell_lacks(lacked));
                }
            }
        }
        Ok(messages)
    }

    async fn is_told_of(&self, store: &dyn JudgeStore, slot: Slot) -> anyhow::Result<bool> {
        let Some((start, _)) = self.closing.window.bounds(slot) else { return Ok(true) };
        Ok(store.report(&self.model.name, &self.reference.id, start).await?.is_some())
    }

    /// Commits what follows from a version of the course, and moves on to the next one. True if messages
    /// were written.
    async fn commit(
        &self,
        store: &dyn JudgeStore,
        mut judged: Judged,
        version: &mut i64,
        partials: &[StoredPartial],
    ) -> anyhow::Result<bool> {
        judged.expected_version = *version;
        fault::point("before_judgement");
        let started = Instant::now();
        if !store.commit_judged(&judged).await? {
            anyhow::bail!("another judge has moved the course of `{}`", self.model.name);
        }
        metrics::transaction("judge", started.elapsed());
        fault::point("after_judgement");
        *version += 1;
        trace(&judged, partials, started);
        observe(&judged);
        Ok(!judged.deliveries.is_empty() || judged.request.is_some())
    }

    /// Tells of losses, each once.
    async fn announce_gaps(&self, store: &dyn JudgeStore, now: Timestamp) -> anyhow::Result<bool> {
        let mut messages = false;
        for gap in store.unannounced_gaps().await? {
            let deliveries = rows::gap_messages(self, &gap);
            messages |= !deliveries.is_empty();
            store.announce(&gap, &deliveries, now).await?;
        }
        Ok(messages)
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

    /// Judges one window, or revises it if the records came late or it was judged before they came.
    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename it")]
    async fn judge(
        &self,
        store: &dyn JudgeStore,
        course: &mut Course,
        slot: Slot,
        partials: &[StoredPartial],
        late: bool,
        gaps: &[GapRow],
        now: Timestamp,
    ) -> anyhow::Result<Option<(Judged, Option<Lacked>)>> {
        let mut summary = Summary::empty(&self.reference);
        for partial in partials {
            summary.merge(&Summary::decode(&partial.body)?)?;
        }
        let Some((start, end)) = self.closing.window.bounds(slot) else { return Ok(None) };
        let earlier = store.report(&self.model.name, &self.reference.id, start).await?;
        let revises = late || earlier.is_some() || course.next_slot.is_some_and(|next| slot < next);
        let (mut judged, lacked) = if revises {
            let came_late = if late { summary.records } else { 0 };
            if let Some(earlier) = &earlier {
                summary.merge(&Summary::decode(&earlier.summary)?)?;
            }
            let statistics = revise(&self.reference, &summary, self.watch.sensitivity);
            let estimates = self.estimates(&summary, start);
            let revised = rows::revised(self, slot, (start, end), earlier, &summary, came_late, &statistics, now);
            (Judged { labels: LabelChanges { estimates, ..LabelChanges::default() }, ..revised }, None)
        } else {
            let window = ClosedWindow { slot, start, end, summary };
            let muted = self.muted(store, start).await?;
            self.note_sample(course, end);
            course.lacking.run_on(self.run_on);
            let outcome = course.advance(&self.reference, &self.watch, &window);
            let tasks = self.tasks(&outcome, &muted);
            let estimates = self.estimates(&window.summary, start);
            let labels = LabelChanges { estimates, tasks, ..LabelChanges::default() };
            let examples = self.examples_of(store, &outcome, &window.summary, partials, now).await?;
            let (covered, request) = self.requests(store, course, &outcome, now).await?;
            (
                Judged { labels, examples, covered, request, ..rows::judged(self, &window, &outcome, now) },
                Some(outcome.lacked),
            )
        };
        if let Some(report) = &mut judged.report {
            report.incomplete |= gaps.iter().any(|gap| touches(gap, start, end));
        }
        judged.next_slot = course.next_slot;
        judged.course = course.encode();
        judged.consumed = partials.iter().map(|p| p.partial_id.clone()).collect();
        Ok(Some((judged, lacked)))
    }
}

/// The judgement as a span that links to the flushes it was made of.
fn trace(judged: &Judged, partials: &[StoredPartial], started: Instant) {
    let mut links = Vec::new();
    partials.iter().filter_map(|p| p.trace.clone()).for_each(|t| traces::keep(&mut links, t));
    let Some(report) = judged.report.as_ref().filter(|_| !links.is_empty()) else { return };
    let attributes = [
        ("driftd.model", report.model.clone()),
        ("driftd.window.start", report.start.to_string()),
        ("driftd.verdict", report.verdict.clone()),
        ("driftd.records", report.records.to_string()),
    ];
    traces::span("judge", SystemTime::now() - started.elapsed(), &links, attributes);
}

/// Metrics of a committed judgement.
fn observe(judged: &Judged) {
    labels::observe(judged);
    if let Some(report) = &judged.report
        && report.revision == 0
    {
        let verdict = [Verdict::Ok, Verdict::Warning, Verdict::Drift, Verdict::InsufficientData];
        let name = verdict.into_iter().map(Verdict::name).find(|n| *n == report.verdict).unwrap_or("ok");
        let ln_ratio = report.ln_evidence.map_or(f64::NEG_INFINITY, |e| e - report.ln_threshold);
        metrics::judged(&report.model, name, report.end.micros() as f64 / 1e6, ln_ratio);
    }
    for (alert, transition) in &judged.alerts {
        let states = [AlertState::Inactive, AlertState::Pending, AlertState::Firing, AlertState::Resolved];
        let to = states.into_iter().map(AlertState::name).find(|n| *n == transition.to).unwrap_or("inactive");
        metrics::transition(&alert.model, to);
        tracing::info!(
            model = alert.model,
            alert = alert.alert_id,
            from = transition.from,
            to = transition.to,
            cause = alert.summary,
            reason = transition.reason,
            "alert"
        );
    }
}

/// Whether records of a window may lie in a gap.
fn touches(gap: &GapRow, start: Timestamp, end: Timestamp) -> bool {
    gap.after.is_none_or(|after| after < end) && gap.until.unwrap_or(gap.found) >= start
}

fn by_slot(partials: Vec<StoredPartial>) -> BTreeMap<Slot, Vec<StoredPartial>> {
    let mut slots: BTreeMap<Slot, Vec<StoredPartial>> = BTreeMap::new();
    for partial in partials {
        slots.entry(partial.slot).or_default().push(partial);
    }
    slots
}
