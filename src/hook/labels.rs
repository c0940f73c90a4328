//! A message as Prometheus knows alerts: labels that say which alert it is and stay the same while it
//! fires, annotations that say how it stands. Whatever changes with every window (evidence, version,
//! window) is an annotation, or each message would be another alert.

use std::collections::BTreeMap;

use super::message::{Event, Message};
use super::words::{Words, cut};

/// An annotation is cut here; Alertmanager itself knows no limit.
const MOST_ANNOTATION: usize = 4_000;
const MOST_LABEL: usize = 200;

/// Names and values of a label or annotation set, in the order in which they are hashed.
pub type Labels = BTreeMap<&'static str, String>;

/// Which alert it is. No value is empty: Alertmanager drops such labels, and another alert would be left.
pub fn labels(message: &Message) -> Labels {
    let data = &message.data;
    let name = match message.event() {
        Event::Pipeline if message.event == "pipeline.data_gap" => "RecordsLost",
        Event::Pipeline if message.event == "endpoint.disabled" => "EndpointDisabled",
        Event::Pipeline => "PipelineTrouble",
        Event::Retraining => "RetrainingRequested",
        _ => "ModelDrift",
    };
    let mut labels: Labels = BTreeMap::from([
        ("alertname", name.to_owned()),
        ("severity", message.severity().name().to_owned()),
        ("detector", "driftd".to_owned()),
        ("model", data.model.name.clone()),
        ("scope", data.cause.kind.clone()),
        ("task", data.cause.task.clone().unwrap_or_default()),
        ("segment", data.cause.segment.clone().unwrap_or_default()),
        ("topic", data.topic.clone()),
        ("endpoint", data.endpoint.clone()),
        ("partition", data.partition.map_or_else(String::new, |p| p.to_string())),
    ]);
    labels.retain(|_, value| !value.is_empty());
    labels.values_mut().for_each(|value| *value = cut(value, MOST_LABEL));
    labels
}

/// How it stands.
pub fn annotations(message: &Message, words: &Words) -> Labels {
    const NAMES: [(&str, &str); 10] = [
        ("What", "description"),
        ("Tasks affected", "tasks_affected"),
        ("Since", "since"),
        ("How sure", "how_sure"),
        ("Signs", "signs"),
        ("What to do", "what_to_do"),
        ("Comment", "comment"),
        ("When", "since"),
        ("Why", "description"),
        ("Retrain", "tasks"),
    ];
    let mut annotations: Labels = BTreeMap::from([
        ("summary", words.title.clone()),
        ("driftd_id", message.about()),
        ("model_version", message.data.model.version.clone()),
        ("dashboard_url", words.link.clone().unwrap_or_default()),
    ]);
    for (name, text) in &words.facts {
        if let Some((_, annotation)) = NAMES.into_iter().find(|(n, _)| n == name) {
            annotations.insert(annotation, text.clone());
        }
    }
    annotations.retain(|_, value| !value.is_empty());
    annotations.values_mut().for_each(|value| *value = cut(value, MOST_ANNOTATION));
    annotations
}

/// Prometheus' fingerprint of a label set: FNV-1a of 64 bits over names and values, each closed by 0xff
/// (`model.LabelSet.Fingerprint` of prometheus/common).
pub fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for (name, value) in labels {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::super::message::samples;
    use super::super::words::words;
    use super::*;

    #[test]
    fn labels_stay_while_evidence_version_and_window_change() {
        let first = samples::alert("drift.alarm.firing");
        let mut later = samples::alert("drift.alarm.updated");
        later["data"]["evidence_ratio"] = serde_json::json!(900.0);
        later["data"]["model"]["version"] = serde_json::json!("13");
        later["data"]["window"]["records"] = serde_json::json!(5);
        let (a, b) = (samples::read(&first), samples::read(&later));
        assert_eq!(labels(&a), labels(&b));
        assert_ne!(annotations(&a, &words(&a, None)), annotations(&b, &words(&b, None)));
        let names: Vec<&str> = labels(&a).into_keys().collect();
        assert_eq!(names, ["alertname", "detector", "model", "scope", "severity", "task"]);
    }

    #[test]
    fn every_fact_of_an_alert_becomes_an_annotation() {
        let message = samples::read(&samples::alert("drift.alarm.firing"));
        let words = words(&message, Some("https://driftd.example"));
        let annotations = annotations(&message, &words);
        assert_eq!(annotations["what_to_do"], words.facts[5].1);
        assert_eq!(annotations["dashboard_url"], "https://driftd.example/#/alerts/al_01JDB3");
        assert_eq!(annotations["model_version"], "12");
    }

    /// What FNV-1a gives for no bytes and for one label, reckoned apart from this code.
    #[test]
    fn fingerprints_are_those_of_prometheus() {
        assert_eq!(fingerprint(&Labels::new()), "cbf29ce484222325");
        let one = Labels::from([("alertname", "ModelDrift".to_owned())]);
        assert_eq!(fingerprint(&one), "d475c3b918be24b0");
    }
}
