//! Microsoft Teams by a Power Automate workflow: an Adaptive Card 1.2 in a message. A card holds about
//! 28 KB; what comes from outside stands in text runs, in which Teams reads no markdown.

use serde_json::{Value, json};

use super::words::{Words, cut};
use crate::drift::severity::Severity;

const MOST_TITLE: usize = 200;
/// With at most 21 facts of so many characters of up to four bytes, a card stays under 28 KB.
const MOST_FACT: usize = 300;

/// The body of a message; `about` is its stable name.
pub fn body(words: &Words, about: &str) -> Value {
    let color = match (words.over, words.severity) {
        (true, _) => "Good",
        (_, Severity::Critical) => "Attention",
        (_, Severity::Warning) => "Warning",
        (_, Severity::Info) => "Default",
    };
    let run = |text: &str, bold: bool| json!({"type": "TextRun", "text": one_line(text), "weight": if bold { "Bolder" } else { "Default" }});
    let mut body = vec![json!({
        "type": "TextBlock", "text": escaped(&cut(&words.title, MOST_TITLE)), "weight": "Bolder", "size": "Medium",
        "wrap": true, "style": "heading", "color": color,
    })];
    for (name, text) in &words.facts {
        let inlines = [run(&format!("{name}: "), true), run(&cut(text, MOST_FACT), false)];
        body.push(json!({"type": "RichTextBlock", "inlines": inlines}));
    }
    let small = format!("{} · {about}", words.severity_name());
    body.push(json!({"type": "RichTextBlock", "inlines": [
        {"type": "TextRun", "text": one_line(&cut(&small, MOST_TITLE)), "size": "Small", "isSubtle": true}]}));
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.2",
        "msteams": {"width": "full"}, "body": body,
    });
    if let Some(link) = &words.link {
        card["actions"] = json!([{"type": "Action.OpenUrl", "title": "Open in driftd", "url": link}]);
    }
    let attachment =
        json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card});
    json!({"type": "message", "attachments": [attachment]})
}

/// Text blocks read markdown: its marks lose their meaning behind a backslash.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        if "\\`*_[]()<>#!~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::super::message::samples;
    use super::super::words::words;
    use super::*;

    fn told(value: &Value) -> Value {
        let message = samples::read(value);
        body(&words(&message, Some("https://driftd.example")), &message.about())
    }

    #[test]
    fn an_alert_is_a_card_as_workflows_take_it() {
        let body = told(&samples::alert("drift.alarm.firing"));
        let attachment = &body["attachments"][0];
        assert_eq!((&body["type"], &attachment["contentUrl"]), (&json!("message"), &Value::Null));
        assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
        let card = &attachment["content"];
        assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.2")));
        assert_eq!(card["body"][0]["text"], "Drift: support-mtl 12, head intent");
        assert_eq!(card["body"][0]["color"], "Attention");
        assert_eq!(card["actions"][0]["url"], "https://driftd.example/#/alerts/al_01JDB3");
        assert_eq!(
            told(&samples::alert("drift.alarm.resolved"))["attachments"][0]["content"]["body"][0]["color"],
            "Good"
        );
    }

    #[test]
    fn markdown_in_names_has_no_meaning() {
        let body = told(&samples::hostile("[click](https://evil.example) <at>all</at> **b**"));
        let title = body["attachments"][0]["content"]["body"][0]["text"].as_str().expect("a title");
        assert!(
            title.contains("\\[click\\]\\(https://evil.example\\) \\<at\\>") && !title.contains("](https"),
            "{title}"
        );
        let blocks = body["attachments"][0]["content"]["body"].as_array().expect("blocks");
        assert!(blocks[1..].iter().all(|b| b["type"] == "RichTextBlock"), "no other block reads markdown");
    }

    #[test]
    fn a_card_stays_below_the_limit() {
        let long = "\u{1F600}".repeat(20_000);
        let many = vec![words(&samples::read(&samples::hostile(&long)), Some("https://driftd.example")); 400];
        let digest = super::super::digest::digest(many, true, None).expect("many");
        for size in [told(&samples::hostile(&long)).to_string().len(), body(&digest, "x").to_string().len()] {
            assert!(size < 28 << 10, "{size}");
        }
    }
}
