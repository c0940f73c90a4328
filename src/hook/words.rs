//! What a message says to people: what, where, since when, how sure, what to do, and a link. Receivers
//! only set it; none has words of its own.

use super::message::{Data, Event, Message};
use crate::drift::cause::CauseKind;
use crate::drift::severity::Severity;
use crate::drift::time::{Span, Timestamp};

/// Signals named as signs of a drift.
const MOST_SIGNS: usize = 3;
/// Tasks named before the rest is counted.
const MOST_TASKS: usize = 6;

/// A message in words. Names in it are as they came: a receiver escapes what it sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    /// One line.
    pub title: String,
    /// Name and text, in the order in which they are read.
    pub facts: Vec<(&'static str, String)>,
    /// Where more can be seen.
    pub link: Option<String>,
    /// How urgent.
    pub severity: Severity,
    /// Whether it is over.
    pub over: bool,
}

/// A message in words; `public_url` is where people find the dashboard.
pub fn words(message: &Message, public_url: Option<&str>) -> Words {
    let data = &message.data;
    let (title, facts) = match message.event() {
        Event::Retraining => retraining(message),
        Event::Pipeline => pipeline(message),
        event => (title(event, data), facts(message)),
    };
    let link = public_url.map(|url| format!("{}/#/{}", url.trim_end_matches('/'), path(message)));
    Words { title, facts, link, severity: message.severity(), over: message.is_resolved() }
}

impl Words {
    /// The severity's name, or that it is over.
    pub fn severity_name(&self) -> &'static str {
        if self.over { "over" } else { self.severity.name() }
    }
}

fn path(message: &Message) -> String {
    match message.event() {
        Event::Pipeline => "pipeline".to_owned(),
        Event::Retraining => match message.data.reason["alarms"][0].as_str() {
            Some(alert) => format!("alerts/{alert}"),
            None => "alerts".to_owned(),
        },
        _ => format!("alerts/{}", message.data.alarm_id),
    }
}

fn title(event: Event, data: &Data) -> String {
    let (model, place) = (model(data), place(data));
    match event {
        Event::Resolved => format!("Over: {model}, {place}"),
        Event::Updated => format!("Still drifting: {model}, {place}"),
        Event::Acknowledged => {
            let by = data.acknowledgement.as_ref().map_or("somebody", |a| a.by.as_str());
            format!("Taken on by {by}: {model}, {place}")
        }
        _ => format!("Drift: {model}, {place}"),
    }
}

fn model(data: &Data) -> String {
    match data.model.version.as_str() {
        "" => data.model.name.clone(),
        version => format!("{} {version}", data.model.name),
    }
}

/// Where it drifted, in a few words.
fn place(data: &Data) -> String {
    let cause = &data.cause;
    let task = cause.task.as_deref().unwrap_or("a head");
    match kind(data) {
        Some(CauseKind::Input) => "the input".to_owned(),
        Some(CauseKind::Encoder) => "the encoder".to_owned(),
        Some(CauseKind::Head) => format!("head {task}"),
        Some(CauseKind::PriorShift) => format!("the classes of {task}"),
        Some(CauseKind::Link) => format!("the link of {}", list(&cause.tasks_affected)),
        Some(CauseKind::Skew | CauseKind::Version) => match &cause.task {
            _ if cause.is_version() => "another version serves".to_owned(),
            Some(task) => format!("production against the exported model in head {task}"),
            None => "production against the exported model".to_owned(),
        },
        Some(CauseKind::Segment) => format!("segment {}", cause.segment.as_deref().unwrap_or("unknown")),
        Some(CauseKind::Concept) => format!("what is right for {task}"),
        Some(CauseKind::Undetermined) | None => "no part stands out".to_owned(),
    }
}

fn kind(data: &Data) -> Option<CauseKind> {
    CauseKind::ALL.into_iter().find(|kind| kind.name() == data.cause.kind)
}

fn facts(message: &Message) -> Vec<(&'static str, String)> {
    let data = &message.data;
    let mut facts = vec![("What", sentence(&data.summary))];
    let tasks = &data.cause.tasks_affected;
    facts.push(("Tasks affected", if tasks.is_empty() { "none so far".to_owned() } else { list(tasks) }));
    facts.push(("Since", since(data, message.timestamp, message.is_resolved())));
    facts.push(("How sure", how_sure(data)));
    if !data.evidence.is_empty() {
        facts.push(("Signs", signs(data)));
    }
    match message.event() {
        Event::Resolved => facts.push(("What to do", "Nothing: it has been quiet since.".to_owned())),
        Event::Acknowledged => {
            let comment = data.acknowledgement.as_ref().map_or("", |a| a.comment.as_str());
            facts.push(("Comment", if comment.is_empty() { "none".to_owned() } else { comment.to_owned() }));
        }
        _ => facts.push(("What to do", advice(data))),
    }
    facts
}

fn since(data: &Data, at: Timestamp, over: bool) -> String {
    let opened = data.opened_at.unwrap_or(at);
    let begun = minute(opened);
    if over {
        return format!("{begun} to {}, for {}", minute(at), length(at.since(opened)));
    }
    match data.window.records {
        Some(records) => format!("{begun}; {records} records in the latest window"),
        None => begun,
    }
}

/// `2026-11-22 10:20 UTC`
fn minute(time: Timestamp) -> String {
    let text = time.to_string();
    match text.split_once('T') {
        Some((day, clock)) if clock.len() >= 5 => format!("{day} {} UTC", &clock[..5]),
        _ => text,
    }
}

/// The two largest units of a span: `2 h 5 min`.
fn length(span: Span) -> String {
    let minutes = span.micros() / 60_000_000;
    let (days, hours, rest) = (minutes / 1_440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{rest} min"),
        (0, _) => format!("{hours} h {rest} min"),
        _ => format!("{days} d {hours} h"),
    }
}

fn how_sure(data: &Data) -> String {
    if data.cause.is_version() {
        return "Counted from what records name: nothing of the false-alarm budget is spent on it.".to_owned();
    }
    let budget = match data.budget.split_once('/') {
        Some(("1", span)) => format!("one false alarm in {span}"),
        Some((alarms, span)) => format!("{alarms} false alarms in {span}"),
        None => "the false-alarm budget".to_owned(),
    };
    let ratio = match data.evidence_ratio {
        Some(ratio) if ratio > 1_000.0 => "more than 1000 times".to_owned(),
        Some(ratio) if ratio >= 1.95 => format!("{ratio:.0} times"),
        Some(ratio) if ratio >= 1.0 => "as strong as".to_owned(),
        _ => return format!("Budget: {budget}.{}", promise(data)),
    };
    format!("The evidence is {ratio} what {budget} allows.{}", promise(data))
}

fn promise(data: &Data) -> String {
    match data.guarantee.status.as_str() {
        "" | "valid" => String::new(),
        "broken" => format!(" That budget does not hold here: {}.", data.guarantee.reason),
        _ => format!(" That budget is not proven here: {}.", data.guarantee.reason),
    }
}

fn signs(data: &Data) -> String {
    let sign = |e: &super::message::Evidence| {
        let signal = e.signal.replace('_', " ");
        let place = match &e.task {
            Some(task) => format!("{} {task}", e.scope),
            None => e.scope.clone(),
        };
        let most = e.directions.first().map_or_else(String::new, |d| {
            format!(" (most in {}, by {:+.1} standard errors)", d.cell, d.standard_errors)
        });
        match &e.segment {
            Some(segment) => format!("{signal} of {place} in {segment}{most}"),
            None => format!("{signal} of {place}{most}"),
        }
    };
    data.evidence.iter().take(MOST_SIGNS).map(sign).collect::<Vec<_>>().join(", ")
}

/// What somebody who was woken should do first.
fn advice(data: &Data) -> String {
    let task = data.cause.task.as_deref().unwrap_or("this task");
    match kind(data) {
        Some(CauseKind::Input) => {
            "Look at which tokens, languages or attributes moved. A wrong producer is mended at its source; a new topic \
             needs labels and retraining of the affected tasks."
                .to_owned()
        }
        Some(CauseKind::Encoder) => {
            "Ask what was released: tokenizer, preprocessing or encoder weights. If nothing was, the texts mean \
             something new: label a sample of the affected tasks."
                .to_owned()
        }
        Some(CauseKind::Head) => {
            format!("Ask what was released for {task}: weights, thresholds or class order. Roll it back if it was.")
        }
        Some(CauseKind::PriorShift) => {
            format!("Ask whether the demand has changed; answers may be right. Recalibrate {task} if it stays so.")
        }
        Some(CauseKind::Link) => {
            "Look at the pairs of answers that became common or rare; label a sample of them.".to_owned()
        }
        Some(CauseKind::Skew | CauseKind::Version) if data.cause.is_version() => {
            "Ask whether the roll-out is meant. If it is, give driftd the new version's manifest, model and reference; \
             if it is not, roll back."
                .to_owned()
        }
        Some(CauseKind::Skew | CauseKind::Version) => {
            "Compare the served version, tokenizer and precision with the exported model. Roll back what differs."
                .to_owned()
        }
        Some(CauseKind::Segment) => {
            "Talk to the owner of this segment; the rest of the traffic is well. Label a sample of it.".to_owned()
        }
        Some(CauseKind::Concept) => {
            format!("Check the newest labels of {task}: a changed rule needs retraining, a labelling mistake does not.")
        }
        Some(CauseKind::Undetermined) | None => {
            "Look again when more records have come; the evidence names no part yet.".to_owned()
        }
    }
}

fn retraining(message: &Message) -> (String, Vec<(&'static str, String)>) {
    let data = &message.data;
    let what = message.event.rsplit('.').next().unwrap_or("requested");
    let names = |value: &serde_json::Value| -> Vec<String> {
        let name = |v: &serde_json::Value| v["name"].as_str().or(v.as_str()).map(str::to_owned);
        value.as_array().into_iter().flatten().filter_map(name).collect()
    };
    let title = format!("Retraining {what}: {}", model(data));
    let summary = data.reason["summary"].as_str().unwrap_or_default();
    let mut facts = vec![("Why", sentence(summary)), ("Retrain", list(&names(&data.scope["tasks"])))];
    let protected = names(&data.scope["protected_tasks"]);
    if !protected.is_empty() {
        facts.push(("Must not get worse", list(&protected)));
    }
    facts.push(("Request", data.request_id.clone()));
    (title, facts)
}

fn pipeline(message: &Message) -> (String, Vec<(&'static str, String)>) {
    let data = &message.data;
    let title = match message.event.as_str() {
        "pipeline.data_gap" => "Records were lost before they could be read".to_owned(),
        "endpoint.disabled" => format!("Nobody hears alerts at endpoint `{}` any more", data.endpoint),
        event => format!("driftd: {event}"),
    };
    let mut facts = vec![("What", sentence(&data.summary)), ("When", minute(message.timestamp))];
    let todo = match message.event.as_str() {
        "pipeline.data_gap" => {
            "Windows they may belong to are marked incomplete. Give the topic a longer retention, or driftd more \
             replicas, if it fell behind."
        }
        "endpoint.disabled" => {
            "Take the endpoint out of the configuration, or repair the receiver and restart driftd or send a message \
             again: either enables it."
        }
        _ => return (title, facts),
    };
    facts.push(("What to do", todo.to_owned()));
    (title, facts)
}

fn list(names: &[String]) -> String {
    let shown = names.iter().take(MOST_TASKS).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_TASKS) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return "unknown".to_owned() };
    let mut sentence: String = first.to_uppercase().chain(letters).collect();
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    sentence
}

/// At most `most` characters; an ellipsis tells that something is missing.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::super::message::samples;
    use super::*;

    fn told(value: &serde_json::Value) -> Words {
        words(&samples::read(value), Some("https://driftd.example/"))
    }

    #[test]
    fn an_alert_says_what_where_since_when_how_sure_and_what_to_do() {
        let words = told(&samples::alert("drift.alarm.firing"));
        assert_eq!(words.title, "Drift: support-mtl 12, head intent");
        let names: Vec<&str> = words.facts.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["What", "Tasks affected", "Since", "How sure", "Signs", "What to do"]);
        let fact = |name: &str| words.facts.iter().find(|(n, _)| *n == name).map(|(_, text)| text.as_str());
        assert_eq!(
            fact("What"),
            Some("Head `intent` answers differently, and input and encoder do not account for it.")
        );
        assert_eq!(fact("Since"), Some("2026-11-22 10:20 UTC; 18212 records in the latest window"));
        assert_eq!(fact("How sure"), Some("The evidence is 14 times what one false alarm in 30d allows."));
        assert_eq!(fact("Signs"), Some("predicted class of head intent"));
        assert!(fact("What to do").expect("has one").starts_with("Ask what was released for intent"));
        assert_eq!(words.link.as_deref(), Some("https://driftd.example/#/alerts/al_01JDB3"));
    }

    #[test]
    fn a_sign_of_a_mean_says_where_it_moved() {
        let mut message = samples::alert("drift.alarm.firing");
        message["data"]["evidence"][0] = serde_json::json!({
            "scope": "encoder", "signal": "encoder_residual_mean",
            "directions": [{"cell": "dimension 7 beyond the principal axes", "standard_errors": 6.04}],
        });
        let expected = "encoder residual mean of encoder (most in dimension 7 beyond the principal axes, by +6.0 \
                        standard errors)";
        assert_eq!(told(&message).facts[4], ("Signs", expected.to_owned()));
    }

    #[test]
    fn a_broken_promise_is_said() {
        let mut message = samples::alert("drift.alarm.firing");
        message["data"]["guarantee"] = serde_json::json!({"status": "broken", "reason": "intent wanders"});
        let words = told(&message);
        assert!(words.facts[3].1.ends_with("That budget does not hold here: intent wanders."), "{:?}", words.facts[3]);
    }

    #[test]
    fn an_end_says_how_long_it_was() {
        let mut message = samples::alert("drift.alarm.resolved");
        message["timestamp"] = serde_json::json!("2026-11-22T12:25:00Z");
        let words = told(&message);
        assert!(words.over && words.title.starts_with("Over: "));
        assert_eq!(words.facts[2].1, "2026-11-22 10:20 UTC to 2026-11-22 12:25 UTC, for 2 h 5 min");
    }

    #[test]
    fn every_cause_has_a_place_and_advice() {
        for kind in CauseKind::ALL {
            let mut message = samples::alert("drift.alarm.firing");
            message["data"]["cause"]["kind"] = serde_json::json!(kind.name());
            let words = told(&message);
            let (name, advice) = words.facts.last().expect("has facts");
            assert!(*name == "What to do" && advice.len() > 40 && advice.ends_with('.'), "{kind:?}: {advice}");
            assert!(words.title.len() > "Drift: support-mtl 12, ".len(), "{kind:?}");
        }
    }

    #[test]
    fn other_messages_have_their_own_words() {
        let gap = told(&samples::gap());
        assert_eq!(gap.title, "Records were lost before they could be read");
        assert_eq!(gap.link.as_deref(), Some("https://driftd.example/#/pipeline"));
        let request = told(&samples::request());
        assert_eq!(request.title, "Retraining requested: support-mtl 12");
        assert!(request.facts.contains(&("Must not get worse", "ner".to_owned())));
        assert_eq!(request.link.as_deref(), Some("https://driftd.example/#/alerts/al_01JDB3"));
    }

    #[test]
    fn cutting_keeps_whole_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
