//! What goes into a store and comes out of it: plain data, as the loops and the API see it.

use std::time::Duration;

use super::{Covered, ExampleRow, LabelChanges, Labelled, NewRequest, ShadowChange, ShadowPartial, Texts};
use crate::drift::checkpoint::{CheckpointDelta, Ledger, Partition};
use crate::drift::closing::Reached;
use crate::drift::rollup::Grain;
use crate::drift::time::{Span, Timestamp};
use crate::drift::window::Slot;

/// Tallies of one flush for one window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// Name of the model.
    pub model: String,
    /// Reference whose layout the tallies have.
    pub reference_id: String,
    /// The window.
    pub slot: Slot,
    /// Whether its records came after their window had closed by their own partition.
    pub late: bool,
    /// How many.
    pub records: i64,
    /// Trace context of the flush that wrote it.
    pub trace: Option<String>,
    /// An encoded [`crate::drift::summary::Summary`].
    pub body: Vec<u8>,
    /// Redacted texts, where the model keeps some.
    pub texts: Option<Texts>,
}

/// One flush: tallies and the positions they moved.
#[derive(Clone, Debug)]
pub struct Collected {
    /// Unique: makes the ids of its partials.
    pub flush_id: String,
    /// Tallies.
    pub partials: Vec<Partial>,
    /// Predictions and labels to be joined.
    pub labelled: Labelled,
    /// What was counted of candidates.
    pub shadows: Vec<ShadowPartial>,
    /// Positions.
    pub delta: CheckpointDelta,
    /// Wall clock.
    pub now: Timestamp,
}

/// What became of a flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Everything was applied.
    Applied,
    /// Nothing was: this partition was moved by somebody else.
    Fenced(Partition),
}

/// How far a partition is, and what became of its records.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// What closes windows.
    pub reached: Reached,
    /// How often its topic was created anew.
    pub generation: i64,
    /// Next offset.
    pub next_offset: i64,
    /// Offset at which accounting began.
    pub first_offset: i64,
    /// What became of the records between.
    pub ledger: Ledger,
}

/// A model's course as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCourse {
    /// Compare-and-set counter.
    pub version: i64,
    /// An encoded [`crate::drift::course::Course`].
    pub body: Vec<u8>,
}

/// A partial with the id under which it is consumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPartial {
    /// Its id.
    pub partial_id: String,
    /// The window.
    pub slot: Slot,
    /// Whether its records came late.
    pub late: bool,
    /// Trace context of the flush that wrote it.
    pub trace: Option<String>,
    /// An encoded summary.
    pub body: Vec<u8>,
}

/// Records that were lost before they could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapRow {
    /// Where.
    pub partition: Partition,
    /// How often the topic had been created anew before.
    pub generation: i64,
    /// The first offset lost.
    pub from: i64,
    /// The first offset after it; `None` where nobody knows.
    pub to: Option<i64>,
    /// Reason's name.
    pub reason: String,
    /// The partition's watermark before it.
    pub after: Option<Timestamp>,
    /// Event time of the first record after it, if there is one.
    pub until: Option<Timestamp>,
    /// When it was found, by the wall clock.
    pub found: Timestamp,
}

/// A report row.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportRow {
    /// Name of the model.
    pub model: String,
    /// Reference it was judged against.
    pub reference_id: String,
    /// The window's number.
    pub slot: Slot,
    /// Start.
    pub start: Timestamp,
    /// End, exclusive.
    pub end: Timestamp,
    /// Records.
    pub records: i64,
    /// How often late records changed it.
    pub revision: i64,
    /// Records that came late, among `records`.
    pub late_records: i64,
    /// Whether records of this window may have been lost.
    pub incomplete: bool,
    /// Verdict's name.
    pub verdict: String,
    /// ln evidence, `None` for no evidence at all.
    pub ln_evidence: Option<f64>,
    /// ln threshold.
    pub ln_threshold: f64,
    /// Guarantee as JSON.
    pub guarantee: String,
    /// Evidence by part as JSON.
    pub parts: String,
    /// An encoded summary.
    pub summary: Vec<u8>,
}

/// A statistic row.
#[derive(Clone, Debug, PartialEq)]
pub struct StatisticRow {
    /// Scope's name.
    pub scope: String,
    /// Task's name, empty for none.
    pub task: String,
    /// Segment's name, empty for all records.
    pub segment: String,
    /// Signal's name.
    pub signal: String,
    /// Units.
    pub n: i64,
    /// Statistic, if it was computed.
    pub statistic: Option<f64>,
    /// Degrees of freedom.
    pub degrees_of_freedom: Option<f64>,
    /// ln p-value.
    pub ln_p: Option<f64>,
    /// ln e-value.
    pub ln_e: Option<f64>,
    /// ln evidence of the signal.
    pub ln_evidence: Option<f64>,
    /// Effect as JSON.
    pub effect: String,
    /// Movers as JSON.
    pub movers: String,
    /// Name of how far the budget is promised for this signal.
    pub guarantee: String,
}

/// An alert row.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertRow {
    /// Stable id.
    pub alert_id: String,
    /// Name of the model.
    pub model: String,
    /// Reference it was found against.
    pub reference_id: String,
    /// State's name.
    pub state: String,
    /// Cause's kind.
    pub cause: String,
    /// Cause's task.
    pub cause_task: Option<String>,
    /// Cause's segment.
    pub cause_segment: Option<String>,
    /// Which part of production differs, of a skew.
    pub cause_part: Option<String>,
    /// Versions that records named, with their records, as a JSON array; empty but for skews of a version.
    pub versions: String,
    /// Tasks affected as a JSON array.
    pub tasks_affected: String,
    /// One sentence.
    pub summary: String,
    /// When it opened.
    pub opened: Timestamp,
    /// Start of the window in which it opened.
    pub opened_window: Timestamp,
    /// When it resolved.
    pub resolved: Option<Timestamp>,
    /// ln evidence when it fired.
    pub ln_evidence: Option<f64>,
    /// ln threshold.
    pub ln_threshold: f64,
    /// Guarantee as JSON.
    pub guarantee: String,
    /// The signals that led to it and those it explains, as JSON.
    pub evidence: String,
}

/// A transition row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransitionRow {
    /// Stable id.
    pub transition_id: String,
    /// The alert.
    pub alert_id: String,
    /// When.
    pub at: Timestamp,
    /// From this state.
    pub from: String,
    /// To this one.
    pub to: String,
    /// Why.
    pub reason: String,
}

/// A message to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Stable id, the message's id on the wire.
    pub delivery_id: String,
    /// Which endpoint.
    pub endpoint: String,
    /// Event type.
    pub event: String,
    /// Name of the model.
    pub model: String,
    /// The body to send.
    pub body: String,
    /// What it belongs to.
    pub thread: Thread,
}

/// What a message belongs to, and when it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Thread {
    /// The alert that it tells of.
    pub alert_id: Option<String>,
    /// Messages to one endpoint with the same key may be told together; empty: each by itself.
    pub group_key: String,
    /// How long it waits for others of its group.
    pub wait: Span,
    /// Told again after so long, while the alert fires and nobody has taken it on.
    pub repeat: Option<Span>,
    /// Written only if the endpoint was told of the alert before.
    pub follows: bool,
}

/// Everything one judged window changes.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The model's name.
    pub model: String,
    /// The course's version this judgement started from; 0 for none yet.
    pub expected_version: i64,
    /// The reference it was judged against.
    pub reference_id: String,
    /// First window not judged yet.
    pub next_slot: Option<Slot>,
    /// Encoded course after the window.
    pub course: Vec<u8>,
    /// Partials merged into the report, to be removed.
    pub consumed: Vec<String>,
    /// The report; replaces an earlier revision.
    pub report: Option<ReportRow>,
    /// Its statistics.
    pub statistics: Vec<StatisticRow>,
    /// Alerts as they stand, each with its change.
    pub alerts: Vec<(AlertRow, TransitionRow)>,
    /// A retraining request; not made where its model has an open one.
    pub request: Option<NewRequest>,
    /// What the model's open request covers now.
    pub covered: Option<Covered>,
    /// Messages to send.
    pub deliveries: Vec<NewDelivery>,
    /// What labels change.
    pub labels: LabelChanges,
    /// What they say of a candidate.
    pub shadow: Option<ShadowChange>,
    /// Texts that show what alerts are about, by alert and place; they take the place of those before them.
    pub examples: Vec<ExampleRow>,
    /// Wall clock.
    pub now: Timestamp,
}

/// A model's row for readers.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRow {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Active reference.
    pub reference_id: String,
    /// Budget as written.
    pub budget: String,
    /// Windows to one false alarm.
    pub threshold: f64,
    /// Window length in microseconds.
    pub window_us: i64,
    /// Embedding dimension.
    pub embedding_dimension: Option<i64>,
    /// Tasks as JSON.
    pub tasks: String,
    /// Texts kept for an alert; 0 where they are off.
    pub examples: i64,
    /// Where it really runs, as JSON; `None` if this deployment runs no model.
    pub inference: Option<String>,
}

/// A reference's row for readers.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceRow {
    /// Id.
    pub reference_id: String,
    /// Model.
    pub model: String,
    /// Version.
    pub version: String,
    /// Name of its kind.
    pub kind: String,
    /// Records.
    pub records: i64,
    /// Windows.
    pub windows: i64,
    /// First event time.
    pub first: Timestamp,
    /// Last event time.
    pub last: Timestamp,
    /// Guarantee as JSON.
    pub guarantee: String,
    /// When it was stored.
    pub created: Timestamp,
    /// The encoded reference.
    pub body: Vec<u8>,
}

/// What a roll-up is made of: a window, or an hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its start.
    pub start: Timestamp,
    /// What tells a later revision of it apart.
    pub version: i64,
    /// Windows in it.
    pub windows: i64,
    /// Whether records of it may have been lost.
    pub incomplete: bool,
    /// An encoded summary.
    pub summary: Vec<u8>,
}

/// A roll-up's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupRow {
    /// Name of the model.
    pub model: String,
    /// The reference its windows were judged against.
    pub reference_id: String,
    /// Hour or day.
    pub grain: Grain,
    /// Start.
    pub start: Timestamp,
    /// End, exclusive.
    pub end: Timestamp,
    /// Windows in it.
    pub windows: i64,
    /// Records.
    pub records: i64,
    /// Whether records of it may have been lost.
    pub incomplete: bool,
    /// An encoded summary.
    pub summary: Vec<u8>,
    /// Effects by signal as JSON.
    pub statistics: String,
}

/// What is older may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cutoffs {
    /// Statistics of windows.
    pub statistics: Timestamp,
    /// Windows.
    pub windows: Timestamp,
    /// Roll-ups.
    pub rollups: Timestamp,
    /// Deliveries that are settled.
    pub deliveries: Timestamp,
    /// Tallies for references that are not in use.
    pub partials: Timestamp,
    /// Rows of the audit.
    pub audit: Timestamp,
    /// Predictions that wait for labels.
    pub predictions: Timestamp,
}

/// A claimed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Stable id.
    pub delivery_id: String,
    /// Which endpoint.
    pub endpoint: String,
    /// Event type.
    pub event: String,
    /// Name of the model.
    pub model: String,
    /// The alert that it tells of.
    pub alert_id: Option<String>,
    /// Messages with the same key may be told together; empty: each by itself.
    pub group_key: String,
    /// Told again after so long.
    pub repeat: Option<Span>,
    /// Body.
    pub body: String,
    /// Attempts so far.
    pub attempts: i64,
    /// When it was written.
    pub created: Timestamp,
}

/// How a delivery goes on after an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Done.
    Delivered,
    /// Try again at this time.
    RetryAt(Timestamp),
    /// Given up.
    Failed,
    /// The endpoint is gone: this and everything pending for it is given up.
    Disable,
}

/// One attempt, settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which delivery.
    pub delivery_id: String,
    /// Its endpoint.
    pub endpoint: String,
    /// HTTP status, if there was one.
    pub status: Option<i64>,
    /// Bounded outcome.
    pub outcome: String,
    /// What was wrong, or what the receiver said; empty if nothing is known.
    pub detail: String,
    /// How long it took.
    pub took: Duration,
    /// How it goes on.
    pub settlement: Settlement,
    /// Whether the endpoint failed, and not this message.
    pub endpoint_failed: bool,
    /// Deliveries that were told with it, if it was delivered.
    pub covers: Vec<String>,
    /// Wall clock.
    pub now: Timestamp,
    /// Messages to others, written if this disables the endpoint and nobody had before.
    pub tell: Vec<NewDelivery>,
}

/// A delivery among those that tell an alert, and whether the alert is quiet now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The latest delivery about the alert at its endpoint.
    pub delivery: Delivery,
    /// Its state's name.
    pub state: String,
}

/// A silence: alerts it covers are not told of while it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceRow {
    /// Id.
    pub silence_id: String,
    /// The alert's model; any by default.
    pub model: Option<String>,
    /// Its task.
    pub task: Option<String>,
    /// Its cause's kind.
    pub cause: Option<String>,
    /// Its segment.
    pub segment: Option<String>,
    /// Its severity.
    pub severity: Option<String>,
    /// Why.
    pub comment: String,
    /// Who said so.
    pub created_by: String,
    /// When they did.
    pub created: Timestamp,
    /// From when on.
    pub starts: Timestamp,
    /// Until when, exclusive.
    pub ends: Timestamp,
}

/// Who has taken an alert on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgementRow {
    /// Which alert.
    pub alert_id: String,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What they said.
    pub comment: String,
}

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRow {
    /// Its number, from 1.
    pub attempt: i64,
    /// When it ended.
    pub at: Timestamp,
    /// HTTP status, if there was one.
    pub status: Option<i64>,
    /// How long it took.
    pub took: Span,
    /// Bounded outcome.
    pub outcome: String,
    /// What was wrong, or what the receiver said.
    pub detail: Option<String>,
}

/// Which statistics a reader wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatisticFilter {
    /// Scope's name.
    pub scope: Option<String>,
    /// Task's name.
    pub task: Option<String>,
    /// Segment's name, empty for all records.
    pub segment: Option<String>,
    /// Signal's name.
    pub signal: Option<String>,
}

/// One page of a list: at most `limit` rows strictly before the cursor's time, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Rows at most.
    pub limit: i64,
    /// Only rows before this time (microseconds).
    pub before_us: i64,
}

/// A statistic with its window.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedStatistic {
    /// Start of the window.
    pub start: Timestamp,
    /// End of the window.
    pub end: Timestamp,
    /// The statistic.
    pub row: StatisticRow,
}

/// A delivery for readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Stable id.
    pub delivery_id: String,
    /// Endpoint.
    pub endpoint: String,
    /// Event type.
    pub event: String,
    /// Model.
    pub model: String,
    /// The alert that it tells of.
    pub alert_id: Option<String>,
    /// State's name.
    pub state: String,
    /// Attempts so far.
    pub attempts: i64,
    /// When it was written.
    pub created: Timestamp,
    /// When it arrived.
    pub delivered: Option<Timestamp>,
    /// Bounded reason of the last failure.
    pub last_error: Option<String>,
}

/// A reference with its place among those of its model.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptReference {
    /// Its row.
    pub row: ReferenceRow,
    /// Whether it is what a configuration without a file takes.
    pub active: bool,
    /// Whether the daemon judges by it.
    pub in_use: bool,
}

/// How a model stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The model.
    pub model: ModelRow,
    /// Its latest judged window, if there was one.
    pub latest: Option<LatestWindow>,
    /// Records over all windows it ever had.
    pub records: i64,
    /// Whether an alert of it fires.
    pub is_firing: bool,
}

/// What the latest window says.
#[derive(Clone, Debug, PartialEq)]
pub struct LatestWindow {
    /// Name of the verdict.
    pub verdict: String,
    /// ln of the model's evidence.
    pub ln_evidence: Option<f64>,
    /// Start.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
    /// Evidence of the model's parts as JSON.
    pub parts: String,
    /// Guarantee as JSON.
    pub guarantee: String,
}

/// What is known of a reference without reading all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReferenceFacts {
    /// Id.
    pub reference_id: String,
    /// Version of the model.
    pub version: String,
    /// Name of its kind.
    pub kind: String,
    /// Records.
    pub records: i64,
    /// Windows.
    pub windows: i64,
    /// First event time.
    pub first: Timestamp,
    /// Last event time.
    pub last: Timestamp,
    /// Guarantee as JSON.
    pub guarantee: String,
    /// When it was stored.
    pub created: Timestamp,
}

/// [`ReferenceFacts`] with its place among those of its model.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptFacts {
    /// What is known of it.
    pub facts: ReferenceFacts,
    /// Whether it is what a configuration without a file takes.
    pub active: bool,
    /// Whether the daemon judges by it.
    pub in_use: bool,
}

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Happened {
    /// `window`, `alert`, `request` or `delivery`.
    pub kind: String,
    /// Of which model.
    pub model: String,
    /// What tells it apart from earlier changes of the kind.
    pub mark: String,
}

/// What became of every record, as it is at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Accounts {
    /// How far all partitions are that were ever read.
    pub partitions: Vec<Progress>,
    /// Ledgers of partitions whose topics were created anew since.
    pub closed: Vec<ClosedPartition>,
    /// All losses, the oldest first.
    pub losses: Vec<GapRow>,
    /// Where the folded records are.
    pub held: Held,
}

/// The ledger of a partition whose topic was created anew since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedPartition {
    /// Which.
    pub partition: Partition,
    /// How often the topic had been created anew before.
    pub generation: i64,
    /// First offset.
    pub first_offset: i64,
    /// Next offset.
    pub next_offset: i64,
    /// What became of the records between.
    pub ledger: Ledger,
}

/// Where the folded records are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// In windows that were judged.
    pub judged: i64,
    /// In windows that are open, or that a late record will revise.
    pub open: i64,
    /// In windows that retention has removed.
    pub expired: i64,
}
