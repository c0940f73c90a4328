//! Every metric driftd has, in one place. Names are `driftd_<what>_<unit>[_total]`; no label grows
//! with traffic. Counters of losses start at zero, so that an alert rule sees them from the start.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::drift::matured::Outcome;
use crate::drift::record::RejectReason;
use crate::health::Part;

/// Those of a task: its performance and its labels.
mod tasks;

pub use tasks::{estimate_muted, estimated, joined, kept, labels, lacks, notice, realised, task_harm};

/// Bounds for the durations of stages, in seconds.
const SECONDS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// Installs the recorder and describes everything; the handle renders the page.
///
/// # Errors
/// If a recorder is installed already.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?;
    describe();
    gauge!("driftd_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    for outcome in ["folded", "folded_late", "label", "other_version", "late", "repeated"] {
        counter!("driftd_records_total", "outcome" => outcome).absolute(0);
    }
    for reason in RejectReason::ALL {
        counter!("driftd_dead_letters_total", "reason" => reason.name()).absolute(0);
    }
    for name in [
        "driftd_gap_records_total",
        "driftd_unknown_tasks_total",
        "driftd_fenced_total",
        "driftd_kafka_errors_total",
        "driftd_inference_failures_total",
        "driftd_requests_limited_total",
    ] {
        counter!(name).absolute(0);
    }
    for outcome in ["compared", "over_limit"] {
        counter!("driftd_skew_texts_total", "outcome" => outcome).absolute(0);
    }
    for reason in ["retention", "topic_recreated"] {
        counter!("driftd_losses_total", "reason" => reason).absolute(0);
    }
    let unjoined = ["unmatched", "without_id", "not_sampled", "not_watched", "unknown_task"];
    for outcome in Outcome::ALL.map(Outcome::name).into_iter().chain(unjoined) {
        counter!("driftd_labels_total", "outcome" => outcome).absolute(0);
    }
    for part in Part::ALL {
        trouble(part.name(), false);
    }
    for reason in ["unknown_key", "revoked_key", "expired_key", "token"] {
        counter!("driftd_authentication_failures_total", "reason" => reason).absolute(0);
    }
    for outcome in ["taken", "unchanged", "refused"] {
        counter!("driftd_config_reloads_total", "outcome" => outcome).absolute(0);
    }
    gauge!("driftd_config_last_reload_successful").set(1.0);
    waiting_settings(0);
    for role in ["collect", "judge", "deliver", "maintain", "retrain"] {
        counter!("driftd_step_failures_total", "role" => role).absolute(0);
    }
    Ok(handle)
}

fn describe() {
    describe_gauge!("driftd_build_info", "version of this driftd");
    describe_counter!("driftd_records_total", "records taken in, by what became of them");
    describe_counter!("driftd_dead_letters_total", "records refused and dead-lettered, by reason");
    describe_counter!("driftd_gap_records_total", "offsets that Kafka skipped");
    describe_counter!("driftd_skew_texts_total", "texts of the skew sample: compared, or over_limit and not run");
    describe_counter!("driftd_unknown_tasks_total", "answers of tasks that no manifest names");
    describe_counter!("driftd_fenced_total", "flushes refused because another replica had moved a position");
    describe_counter!("driftd_kafka_errors_total", "errors of the Kafka client");
    describe_counter!("driftd_kafka_rebalances_total", "rebalances, by kind");
    describe_gauge!("driftd_source_paused", "1 while reading is paused because a later step is busy");
    describe_gauge!(
        "driftd_kafka_consumer_lag_messages",
        "records that the broker holds and that were not read yet; 0 for partitions that went to another replica"
    );
    describe_gauge!(
        "driftd_partition_watermark_timestamp_seconds",
        Unit::Seconds,
        "event time a partition has reached"
    );
    describe_gauge!("driftd_trouble", "1 while a part of the process cannot do its work; /readyz says why");
    describe_counter!("driftd_losses_total", "times that records were lost before they could be read, by reason");
    describe_histogram!("driftd_transaction_duration_seconds", Unit::Seconds, "one transaction of the store, by name");
    describe_counter!("driftd_rollups_total", "roll-ups of hours and days that were made");
    describe_counter!("driftd_expired_total", "tables and rows that retention removed");
    describe_gauge!(
        "driftd_queue_length",
        "what waits for a step, by stage: batches for collect, calls for the model, messages that are due"
    );
    describe_counter!("driftd_inferences_total", "texts run through the tokenizer or model");
    describe_counter!("driftd_inference_failures_total", "calls of the model that failed");
    describe_histogram!("driftd_inference_duration_seconds", Unit::Seconds, "one gathered batch through the model");
    describe_gauge!("driftd_inference_device_info", "where a model really runs");
    describe_histogram!("driftd_flush_duration_seconds", Unit::Seconds, "one flush, dead letters and commit included");
    describe_gauge!("driftd_open_windows", "windows in memory that wait for the next flush");
    describe_counter!("driftd_windows_judged_total", "windows judged, by verdict");
    describe_gauge!("driftd_window_last_judged_timestamp_seconds", Unit::Seconds, "end of the latest judged window");
    describe_gauge!("driftd_window_length_seconds", Unit::Seconds, "length of a model's windows");
    describe_gauge!("driftd_model_evidence_ratio", "evidence divided by its threshold; 1 is an alarm");
    describe_counter!("driftd_labels_total", "labels, by what became of them");
    describe_gauge!(
        "driftd_label_delay_seconds",
        Unit::Seconds,
        "mean time from prediction to label, of the latest window told of"
    );
    describe_gauge!("driftd_task_accuracy_ratio", "accuracy of a task's latest window, estimated and by labels");
    describe_gauge!("driftd_task_estimate_muted", "1 if labels contradict a task's estimate: it does not count");
    describe_counter!("driftd_predictions_kept_total", "predictions of the sample that wait for labels, by model");
    describe_counter!(
        "driftd_labels_joined_total",
        "predictions of the sample that got their first label, by model and task; divided by those kept, the coverage"
    );
    describe_gauge!("driftd_task_harm_ratio", "evidence that a task has become worse, divided by its threshold");
    describe_gauge!(
        "driftd_task_notice_ratio",
        "evidence of a notice beside alerts (label_coverage, label_delay), divided by its threshold"
    );
    describe_gauge!("driftd_task_notice_standing", "1 while such a notice stands");
    describe_gauge!(
        "driftd_part_lacks",
        "things that a part of a model (input, encoder, the head of a task) cannot be judged by, for production lacks them"
    );
    describe_counter!(
        "driftd_shadow_records_total",
        "records for a candidate beside the current model, by model and outcome: compared, paused, failed"
    );
    describe_gauge!("driftd_shadow_differing_ratio", "share of records that the candidate answers otherwise, by task");
    describe_gauge!("driftd_shadow_verdict", "what is known of a candidate's task: 1 passes, 0 undecided, -1 fails");
    describe_counter!("driftd_alert_transitions_total", "changes of alerts, by new state");
    describe_counter!("driftd_deliveries_total", "attempts to deliver, by outcome");
    describe_counter!("driftd_retraining_moves_total", "moves of retraining requests, by model and new state");
    describe_counter!("driftd_retraining_starts_total", "tries to start a run, by hook and outcome");
    describe_counter!("driftd_retraining_callbacks_refused_total", "call-backs that were refused, by reason");
    describe_counter!("driftd_retraining_held_total", "looks at an approval that a limit held back, by limit");
    describe_counter!(
        "driftd_deliveries_failed_total",
        "messages given up, by reason; `driftd deliveries` sends them again"
    );
    describe_counter!("driftd_step_failures_total", "steps of a loop that failed and are tried again, by role");
    describe_counter!("driftd_authentication_failures_total", "callers of the API who were refused, by reason");
    describe_counter!("driftd_config_reloads_total", "times the configuration was read again, by outcome");
    describe_gauge!("driftd_config_last_reload_successful", "0 while the configuration's file is refused");
    describe_gauge!("driftd_clock_offset_seconds", Unit::Seconds, "how far this clock is ahead of Postgres's");
    describe_gauge!("driftd_config_waiting_settings", "changed settings that wait for a restart");
    describe_counter!("driftd_requests_limited_total", "requests to the API beyond a caller's limit");
    describe_gauge!("driftd_event_listeners", "pages and programs that listen for changes");
    describe_gauge!("driftd_ready", "1 while this process is ready");
}

/// A caller showed something that proves nothing.
pub fn authentication_failed(reason: &'static str) {
    counter!("driftd_authentication_failures_total", "reason" => reason).increment(1);
}

/// A caller asked more than they may.
pub fn limited() {
    counter!("driftd_requests_limited_total").increment(1);
}

/// Records for a candidate beside the current model.
pub fn shadow_records(model: &str, outcome: &'static str, count: u64) {
    counter!("driftd_shadow_records_total", "model" => model.to_owned(), "outcome" => outcome).increment(count);
}

/// What is known of a candidate's task.
pub fn shadow_task(model: &str, task: &str, verdict: f64, differing: Option<f64>) {
    let labels = [("model", model.to_owned()), ("task", task.to_owned())];
    gauge!("driftd_shadow_verdict", &labels).set(verdict);
    if let Some(differing) = differing {
        gauge!("driftd_shadow_differing_ratio", &labels).set(differing);
    }
}

/// One record's outcome.
pub fn record(outcome: &'static str, count: u64) {
    counter!("driftd_records_total", "outcome" => outcome).increment(count);
}

/// One refused record.
pub fn dead_letter(reason: RejectReason) {
    counter!("driftd_dead_letters_total", "reason" => reason.name()).increment(1);
}

/// Offsets skipped.
pub fn gaps(count: u64) {
    counter!("driftd_gap_records_total").increment(count);
}

/// Answers of tasks nobody knows.
pub fn unknown_tasks(count: u64) {
    counter!("driftd_unknown_tasks_total").increment(count);
}

/// A text was chosen to be run only for comparison: `compared`, or `over_limit` and so not run.
pub fn skew_text(outcome: &'static str) {
    counter!("driftd_skew_texts_total", "outcome" => outcome).increment(1);
}

/// A flush was refused.
pub fn fenced() {
    counter!("driftd_fenced_total").increment(1);
}

/// The Kafka client reported an error.
pub fn kafka_error() {
    counter!("driftd_kafka_errors_total").increment(1);
}

/// A rebalance.
pub fn rebalance(kind: &'static str) {
    counter!("driftd_kafka_rebalances_total", "kind" => kind).increment(1);
}

/// Reading was paused or goes on.
pub fn paused(paused: bool) {
    gauge!("driftd_source_paused").set(if paused { 1.0 } else { 0.0 });
}

/// Records of a partition that the broker holds and that were not read yet.
pub fn lag(topic: &str, partition: i32, records: i64) {
    let labels = [("topic", topic.to_owned()), ("partition", partition.to_string())];
    gauge!("driftd_kafka_consumer_lag_messages", &labels).set(records as f64);
}

/// How far a partition's event time is.
pub fn watermark(topic: &str, partition: i32, secs: f64) {
    let labels = [("topic", topic.to_owned()), ("partition", partition.to_string())];
    gauge!("driftd_partition_watermark_timestamp_seconds", &labels).set(secs);
}

/// One round of maintenance.
pub fn maintained(rollups: usize, removed: u64) {
    counter!("driftd_rollups_total").increment(rollups as u64);
    counter!("driftd_expired_total").increment(removed);
}

/// A part of the process is in trouble, or well again.
pub fn trouble(part: &'static str, is: bool) {
    gauge!("driftd_trouble", "part" => part).set(if is { 1.0 } else { 0.0 });
}

/// Records were lost before they could be read, or nobody knows how many.
pub fn lost(reason: &'static str) {
    counter!("driftd_losses_total", "reason" => reason).increment(1);
}

/// One transaction of the store.
pub fn transaction(name: &'static str, took: Duration) {
    histogram!("driftd_transaction_duration_seconds", "name" => name).record(took.as_secs_f64());
}

/// Things that wait for a step.
pub fn queue(stage: &'static str, length: usize) {
    gauge!("driftd_queue_length", "stage" => stage).set(length as f64);
}

/// Texts went through the model.
pub fn inference(texts: usize, took: Duration) {
    counter!("driftd_inferences_total").increment(texts as u64);
    histogram!("driftd_inference_duration_seconds").record(took.as_secs_f64());
}

/// A call of the model failed.
pub fn inference_failed() {
    counter!("driftd_inference_failures_total").increment(1);
}

/// Where a model really runs.
pub fn inference_device(model: &str, provider: &str, device: &'static str) {
    let (model, provider) = (model.to_owned(), provider.to_owned());
    gauge!("driftd_inference_device_info", "model" => model, "provider" => provider, "device" => device).set(1.0);
}

/// A flush.
pub fn flush(took: Duration, open_windows: usize) {
    histogram!("driftd_flush_duration_seconds").record(took.as_secs_f64());
    gauge!("driftd_open_windows").set(open_windows as f64);
}

/// A judged window.
pub fn judged(model: &str, verdict: &'static str, end_secs: f64, ln_ratio: f64) {
    counter!("driftd_windows_judged_total", "model" => model.to_owned(), "verdict" => verdict).increment(1);
    gauge!("driftd_window_last_judged_timestamp_seconds", "model" => model.to_owned()).set(end_secs);
    gauge!("driftd_model_evidence_ratio", "model" => model.to_owned()).set(ln_ratio.exp());
}

/// How long a model's windows are: what is late depends on it.
pub fn window_length(model: &str, secs: f64) {
    gauge!("driftd_window_length_seconds", "model" => model.to_owned()).set(secs);
}

/// A change of an alert.
pub fn transition(model: &str, to: &'static str) {
    counter!("driftd_alert_transitions_total", "model" => model.to_owned(), "to" => to).increment(1);
}

/// An attempt to deliver.
pub fn delivery(endpoint: &str, outcome: &'static str) {
    counter!("driftd_deliveries_total", "endpoint" => endpoint.to_owned(), "outcome" => outcome).increment(1);
}

/// A retraining request has moved.
pub fn retraining_move(model: &str, to: &'static str) {
    counter!("driftd_retraining_moves_total", "model" => model.to_owned(), "to" => to).increment(1);
}

/// A try to start a run.
pub fn retraining_start(hook: &str, outcome: &str) {
    let (hook, outcome) = (hook.to_owned(), outcome.to_owned());
    counter!("driftd_retraining_starts_total", "hook" => hook, "outcome" => outcome).increment(1);
}

/// A call-back was refused.
pub fn retraining_callback(reason: &'static str) {
    counter!("driftd_retraining_callbacks_refused_total", "reason" => reason).increment(1);
}

/// An approval waits because of a limit.
pub fn retraining_held(limit: &'static str) {
    counter!("driftd_retraining_held_total", "limit" => limit).increment(1);
}

/// A message was given up.
pub fn gave_up(endpoint: &str, reason: &'static str) {
    counter!("driftd_deliveries_failed_total", "endpoint" => endpoint.to_owned(), "reason" => reason).increment(1);
}

/// A step failed and is tried again.
pub fn step_failed(role: &'static str) {
    counter!("driftd_step_failures_total", "role" => role).increment(1);
}

/// The configuration was read again.
pub fn reloaded(outcome: &'static str) {
    counter!("driftd_config_reloads_total", "outcome" => outcome).increment(1);
    gauge!("driftd_config_last_reload_successful").set(if outcome == "refused" { 0.0 } else { 1.0 });
}

/// This machine's clock was compared with the store's.
pub fn clock_offset(secs: f64) {
    gauge!("driftd_clock_offset_seconds").set(secs);
}

/// Settings that wait for a restart.
pub fn waiting_settings(count: usize) {
    gauge!("driftd_config_waiting_settings").set(count as f64);
}

/// Pages and programs that listen for changes.
pub fn listeners(count: usize) {
    gauge!("driftd_event_listeners").set(count as f64);
}

/// Whether this process is ready.
pub fn ready(ready: bool) {
    gauge!("driftd_ready").set(if ready { 1.0 } else { 0.0 });
}
