//! Metrics of a task's performance and of its labels.

use metrics::{counter, gauge};

/// Evidence that a task has become worse, divided by its threshold.
pub fn task_harm(model: &str, task: &str, ratio: f64) {
    gauge!("driftd_task_harm_ratio", "model" => model.to_owned(), "task" => task.to_owned()).set(ratio);
}

/// What a window of a task is estimated to be.
pub fn estimated(model: &str, task: &str, accuracy: f64) {
    let labels = [("model", model.to_owned()), ("task", task.to_owned()), ("source", "estimate".to_owned())];
    gauge!("driftd_task_accuracy_ratio", &labels).set(accuracy);
}

/// What labels say of a window of a task, and how long they took.
pub fn realised(model: &str, task: &str, accuracy: f64, delay_secs: f64) {
    let labels = [("model", model.to_owned()), ("task", task.to_owned()), ("source", "labels".to_owned())];
    gauge!("driftd_task_accuracy_ratio", &labels).set(accuracy);
    gauge!("driftd_label_delay_seconds", "model" => model.to_owned(), "task" => task.to_owned()).set(delay_secs);
}

/// Whether labels contradict what a task is estimated to be.
pub fn estimate_muted(model: &str, task: &str, muted: bool) {
    let gauge = gauge!("driftd_task_estimate_muted", "model" => model.to_owned(), "task" => task.to_owned());
    gauge.set(if muted { 1.0 } else { 0.0 });
}

/// Predictions that wait for labels from now on.
pub fn kept(model: &str, count: u64) {
    counter!("driftd_predictions_kept_total", "model" => model.to_owned()).increment(count);
}

/// Predictions of a task that got their first label.
pub fn joined(model: &str, task: &str, count: u64) {
    counter!("driftd_labels_joined_total", "model" => model.to_owned(), "task" => task.to_owned()).increment(count);
}

/// Labels, by what became of them.
pub fn labels(outcome: &'static str, count: u64) {
    counter!("driftd_labels_total", "outcome" => outcome).increment(count);
}

/// How much of what a part of a model is judged by is lacked: the input, the encoder, or the head of a task.
pub fn lacks(model: &str, scope: &'static str, task: &str, count: usize) {
    let labels = [("model", model.to_owned()), ("scope", scope.to_owned()), ("task", task.to_owned())];
    gauge!("driftd_part_lacks", &labels).set(count as f64);
}

/// A notice beside alerts.
pub fn notice(model: &str, task: &str, notice: &'static str, ratio: f64, stands: bool) {
    let labels = [("model", model.to_owned()), ("task", task.to_owned()), ("notice", notice.to_owned())];
    gauge!("driftd_task_notice_ratio", &labels).set(ratio);
    gauge!("driftd_task_notice_standing", &labels).set(if stands { 1.0 } else { 0.0 });
}
