//! What the API says: rows of the store in the shape that callers read. Evidence is given as it is
//! compared with the threshold, capped where it would overflow a double.

use serde::Serialize;
use serde_json::Value;

use super::parts::{LackView, Parts, read};
use super::people_views::AcknowledgementView;
use super::versions::{OtherVersionsView, VersionView, part_of_skew};
use crate::drift::judgement::Verdict;
use crate::drift::rollup::Grain;
use crate::drift::severity::Severity;
use crate::drift::time::Timestamp;
use crate::store::{
    AcknowledgementRow, AlertRow, DeliveryRow, KeptFacts, ReferenceFacts, ReportRow, RollupRow, Standing,
    TimedStatistic, TransitionRow,
};

/// Larger evidence is shown as this.
const MOST_EVIDENCE: f64 = 1e300;

/// A model in the fleet.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelView {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// `ok`, `warning`, `drift` or `insufficient_data`.
    pub state: String,
    /// The part with the most evidence.
    pub worst: Option<PartView>,
    /// Evidence of the latest window.
    pub evidence: Option<f64>,
    /// Evidence at which it alarms.
    pub threshold: f64,
    /// End of the latest judged window.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_window_end: Option<Timestamp>,
    /// Records over all windows it ever had.
    pub records: i64,
    /// Whether the budget is promised.
    pub guarantee: Value,
    /// What cannot be judged now, whatever the state says of the rest.
    pub not_judged: Vec<LackView>,
    /// Length of a window in seconds: where none has ended for several of them, no records come.
    pub window_secs: f64,
}

/// A part of a model: input, encoder, a head, what its labels prove, its links or its skew, or a segment.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct PartView {
    /// `input`, `encoder`, `head`, `labels`, `link`, `skew` or `segment`.
    pub scope: String,
    /// The head's task.
    pub task: Option<String>,
    /// The segment, as `tag=value`.
    pub segment: Option<String>,
    /// Evidence of the part.
    pub evidence: Option<f64>,
}

/// A model with its parts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ModelDetail {
    /// What the fleet shows of it.
    #[serde(flatten)]
    pub model: ModelView,
    /// Whether redacted texts are kept of its alerts.
    pub examples: bool,
    /// Whether a candidate stands beside it in shadow, or stood there.
    pub shadow: bool,
    /// Encoder and tasks.
    pub manifest: ManifestView,
    /// What it is compared with.
    pub reference: Option<ReferenceView>,
    /// Where the model really runs; null where none is run.
    pub inference: Option<Value>,
    /// False alarms allowed.
    pub budget: String,
}

/// Encoder and tasks.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ManifestView {
    /// The encoder.
    pub encoder: EncoderView,
    /// The tasks, in the manifest's order.
    pub tasks: Value,
}

/// The encoder.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EncoderView {
    /// Length of its embedding.
    pub dimension: Option<i64>,
}

/// A reference.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReferenceView {
    /// Id.
    pub id: String,
    /// `fixed`, `trailing`, `previous_period` or `other_version`.
    pub kind: String,
    /// When it was stored.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Records.
    pub records: i64,
    /// Windows.
    pub windows: i64,
    /// Whether the budget is promised on it.
    pub guarantee: Value,
}

/// A reference with its place among those of its model.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KeptView {
    /// What is known of it.
    #[serde(flatten)]
    pub reference: ReferenceView,
    /// Version of the model it was fitted for.
    pub version: String,
    /// First event time.
    #[schema(value_type = String, format = DateTime)]
    pub first_at: Timestamp,
    /// Last event time.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// Whether it is what a configuration without a file takes.
    pub active: bool,
    /// Whether the daemon judges by it.
    pub in_use: bool,
}

/// A judged window.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct WindowView {
    /// Its number.
    pub index: i64,
    /// Start.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// End, exclusive.
    #[schema(value_type = String, format = DateTime)]
    pub end: Timestamp,
    /// Records.
    pub records: i64,
    /// Evidence of the model.
    pub evidence: Option<f64>,
    /// Evidence at which it alarms.
    pub threshold: f64,
    /// Verdict.
    pub verdict: String,
    /// How often late records changed it.
    pub revision: i64,
    /// Records that came late, among all; they took no part in the verdict.
    pub late_records: i64,
    /// Whether records of it may have been lost.
    pub incomplete: bool,
    /// Whether the budget is promised.
    pub guarantee: Value,
    /// Evidence by part.
    pub scopes: Vec<PartView>,
    /// What production's numbers differ in while its answers are the exported model's: `embedding`, or the
    /// names of tasks.
    pub harmless_skew: Vec<String>,
    /// Records that name another version than the manifest: beside `records`, and not judged.
    pub other_versions: OtherVersionsView,
    /// What could not be judged.
    pub not_judged: Vec<LackView>,
}

/// Windows merged into an hour or a day.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RollupView {
    /// Hour or day.
    pub grain: Grain,
    /// Start.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// End, exclusive.
    #[schema(value_type = String, format = DateTime)]
    pub end: Timestamp,
    /// Windows in it.
    pub windows: i64,
    /// Records.
    pub records: i64,
    /// Whether records of it may have been lost.
    pub incomplete: bool,
    /// Effect sizes by signal.
    pub statistics: Value,
}

/// A signal in a window.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StatisticView {
    /// Start of the window.
    #[schema(value_type = String, format = DateTime)]
    pub window_start: Timestamp,
    /// End of the window.
    #[schema(value_type = String, format = DateTime)]
    pub window_end: Timestamp,
    /// Part of the model.
    pub scope: String,
    /// The head's task.
    pub task: Option<String>,
    /// The segment of the records, as `tag=value`; null for all records.
    pub segment: Option<String>,
    /// Signal.
    pub signal: String,
    /// Statistic, null while there are too few records.
    pub statistic: Option<f64>,
    /// Degrees of freedom.
    pub degrees_of_freedom: Option<f64>,
    /// p-value; 0 where it is below the smallest double.
    pub p_value: Option<f64>,
    /// Natural log of the p-value.
    pub ln_p_value: Option<f64>,
    /// e-value.
    pub e_value: Option<f64>,
    /// Evidence of the signal over all scales.
    pub evidence: Option<f64>,
    /// Records, labels or tokens judged.
    pub n: i64,
    /// Effect sizes.
    pub effect: Value,
    /// Cells that moved most.
    pub movers: Value,
    /// Whether there were enough records.
    pub sufficient: bool,
    /// `valid`, `provisional` or `broken`: whether the budget is promised for this signal.
    pub guarantee: String,
}

/// An alert.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AlertView {
    /// Id.
    pub id: String,
    /// Model.
    pub model: String,
    /// `pending`, `firing` or `resolved`.
    pub state: String,
    /// How urgent it is by its cause: `info`, `warning` or `critical`.
    pub severity: String,
    /// Where it drifted.
    pub cause: CauseView,
    /// When it opened.
    #[schema(value_type = String, format = DateTime)]
    pub opened_at: Timestamp,
    /// Start of the window in which it opened.
    #[schema(value_type = String, format = DateTime)]
    pub opened_window: Timestamp,
    /// When it resolved.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub resolved_at: Option<Timestamp>,
    /// Evidence when it fired.
    pub evidence: Option<f64>,
    /// Evidence at which it alarms.
    pub threshold: f64,
    /// Whether the budget is promised.
    pub guarantee: Value,
    /// The signals that it rests on, and those that its cause explains (`explained`), the strongest first:
    /// `scope`, `task`, `segment`, `signal`, `ln_evidence`.
    pub witnesses: Value,
    /// Who has taken it on.
    pub acknowledgement: Option<AcknowledgementView>,
    /// Its changes, oldest first.
    pub transitions: Vec<TransitionView>,
}

/// Where it drifted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CauseView {
    /// `skew`, `input`, `encoder`, `prior_shift`, `head`, `link`, `segment` or `undetermined`.
    pub kind: String,
    /// Of a skew, which part of production differs: `version` (records name another one), `encoder` or `head`.
    pub part: Option<String>,
    /// Where the part is `version`: versions that records named, the most seen first.
    pub versions: Vec<VersionView>,
    /// The head's task.
    pub task: Option<String>,
    /// The segment, as `tag=value`.
    pub segment: Option<String>,
    /// Tasks whose heads drift.
    pub tasks_affected: Value,
    /// One sentence.
    pub summary: String,
}

/// A change of an alert.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TransitionView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// From this state.
    pub from: String,
    /// To this one.
    pub to: String,
    /// Why.
    pub reason: String,
}

/// A message to an endpoint.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeliveryView {
    /// Id, the message's on the wire.
    pub id: String,
    /// Endpoint.
    pub endpoint: String,
    /// Event type.
    pub event: String,
    /// Model.
    pub model: String,
    /// The alert that it tells of.
    pub alert: Option<String>,
    /// `pending`, `delivered`, `merged` (told by another one), `silenced`, `failed` or `disabled`.
    pub state: String,
    /// Attempts so far.
    pub attempts: i64,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it arrived.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delivered_at: Option<Timestamp>,
    /// Reason of the last failure.
    pub last_error: Option<String>,
}

/// JSON that driftd wrote itself.
pub fn stored(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// A threshold that is stored as its logarithm, without the last digits, which the way there and back changed.
fn threshold(ln: f64) -> f64 {
    const DIGITS: f64 = 12.0;
    let exact = ln.exp();
    let scale = 10_f64.powf(DIGITS - exact.log10().ceil());
    (exact * scale).round() / scale
}

pub(super) fn evidence(ln: Option<f64>) -> Option<f64> {
    ln.map(|ln| ln.exp().min(MOST_EVIDENCE))
}

impl ModelView {
    /// From how a model stands.
    pub fn new(standing: &Standing) -> ModelView {
        let Standing { model, latest, records, is_firing } = standing;
        let strongest = |parts: Vec<PartView>| {
            parts.into_iter().max_by(|a, b| a.evidence.unwrap_or(0.0).total_cmp(&b.evidence.unwrap_or(0.0)))
        };
        let unknown = || serde_json::json!({"status": "provisional", "reason": "no window has been judged yet"});
        let state = match latest {
            // Evidence starts anew after an alarm, so the latest window may look calm while the alert fires.
            _ if *is_firing => Verdict::Drift.name().to_owned(),
            Some(latest) => latest.verdict.clone(),
            None => Verdict::InsufficientData.name().to_owned(),
        };
        let latest = latest.as_ref();
        let Parts { parts, not_judged, .. } = read(latest.map_or("[]", |latest| &latest.parts));
        ModelView {
            name: model.name.clone(),
            version: model.version.clone(),
            state,
            worst: strongest(parts),
            evidence: latest.and_then(|latest| evidence(latest.ln_evidence)),
            threshold: model.threshold,
            last_window_end: latest.map(|latest| latest.end),
            records: *records,
            guarantee: latest.map_or_else(unknown, |latest| stored(&latest.guarantee)),
            not_judged,
            window_secs: model.window_us as f64 / 1e6,
        }
    }
}

impl From<ReferenceFacts> for ReferenceView {
    fn from(facts: ReferenceFacts) -> ReferenceView {
        ReferenceView {
            id: facts.reference_id,
            kind: facts.kind,
            created_at: facts.created,
            records: facts.records,
            windows: facts.windows,
            guarantee: stored(&facts.guarantee),
        }
    }
}

impl From<KeptFacts> for KeptView {
    fn from(KeptFacts { facts, active, in_use }: KeptFacts) -> KeptView {
        KeptView {
            version: facts.version.clone(),
            first_at: facts.first,
            last_at: facts.last,
            reference: facts.into(),
            active,
            in_use,
        }
    }
}

impl From<ReportRow> for WindowView {
    fn from(row: ReportRow) -> WindowView {
        let Parts { parts: scopes, harmless_skew, other_versions, not_judged } = read(&row.parts);
        WindowView {
            index: row.slot,
            start: row.start,
            end: row.end,
            records: row.records,
            evidence: evidence(row.ln_evidence),
            threshold: threshold(row.ln_threshold),
            revision: row.revision,
            late_records: row.late_records,
            incomplete: row.incomplete,
            guarantee: stored(&row.guarantee),
            scopes,
            harmless_skew,
            other_versions,
            not_judged,
            verdict: row.verdict,
        }
    }
}

impl From<RollupRow> for RollupView {
    fn from(row: RollupRow) -> RollupView {
        RollupView {
            grain: row.grain,
            start: row.start,
            end: row.end,
            windows: row.windows,
            records: row.records,
            incomplete: row.incomplete,
            statistics: stored(&row.statistics),
        }
    }
}

impl From<TimedStatistic> for StatisticView {
    fn from(TimedStatistic { start, end, row }: TimedStatistic) -> StatisticView {
        StatisticView {
            window_start: start,
            window_end: end,
            scope: row.scope,
            task: (!row.task.is_empty()).then_some(row.task),
            segment: (!row.segment.is_empty()).then_some(row.segment),
            signal: row.signal,
            sufficient: row.statistic.is_some(),
            statistic: row.statistic,
            degrees_of_freedom: row.degrees_of_freedom,
            p_value: row.ln_p.map(f64::exp),
            ln_p_value: row.ln_p,
            e_value: evidence(row.ln_e),
            evidence: evidence(row.ln_evidence),
            n: row.n,
            effect: stored(&row.effect),
            movers: stored(&row.movers),
            guarantee: row.guarantee,
        }
    }
}

impl AlertView {
    /// From an alert and its transitions.
    pub fn new(
        row: AlertRow,
        transitions: Vec<TransitionRow>,
        acknowledgement: Option<AcknowledgementRow>,
    ) -> AlertView {
        let transition = |t: TransitionRow| TransitionView { at: t.at, from: t.from, to: t.to, reason: t.reason };
        AlertView {
            id: row.alert_id,
            model: row.model,
            state: row.state,
            severity: Severity::of_name(&row.cause).name().to_owned(),
            cause: CauseView {
                part: row.cause_part.or_else(|| part_of_skew(&row.cause, row.cause_task.as_deref())),
                kind: row.cause,
                versions: serde_json::from_str(&row.versions).unwrap_or_default(),
                task: row.cause_task,
                segment: row.cause_segment,
                tasks_affected: stored(&row.tasks_affected),
                summary: row.summary,
            },
            opened_at: row.opened,
            opened_window: row.opened_window,
            resolved_at: row.resolved,
            evidence: evidence(row.ln_evidence),
            threshold: threshold(row.ln_threshold),
            guarantee: stored(&row.guarantee),
            witnesses: stored(&row.evidence),
            acknowledgement: acknowledgement.map(Into::into),
            transitions: transitions.into_iter().map(transition).collect(),
        }
    }
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> DeliveryView {
        DeliveryView {
            id: row.delivery_id,
            endpoint: row.endpoint,
            event: row.event,
            model: row.model,
            alert: row.alert_id,
            state: row.state,
            attempts: row.attempts,
            created_at: row.created,
            delivered_at: row.delivered,
            last_error: row.last_error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::threshold;

    #[test]
    fn a_threshold_comes_back_from_its_logarithm() {
        for exact in [43_200.0_f64, 2_000.0, 8_640.0, 720.0, 1_440.0, 30.5, 1.0] {
            assert_eq!(threshold(exact.ln()), exact);
        }
        assert!((threshold((8_640.0_f64 / 7.0).ln()) - 8_640.0 / 7.0).abs() < 1e-8);
    }
}
