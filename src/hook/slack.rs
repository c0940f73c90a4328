//! Slack's incoming webhooks: `text` as a fallback and blocks. Limits are Slack's
//! (docs.slack.dev/reference/block-kit/blocks): a header of 150 characters, a section of 3000, 50 blocks.

use serde_json::{Value, json};

use super::words::{Words, cut};

const MOST_HEADER: usize = 150;
/// A section holds 3000 characters; a letter more than is ever needed is left.
const MOST_SECTION: usize = 2_900;
/// One fact is cut here: escaped it is at most five times as long and fits a section.
const MOST_FACT: usize = 500;
const MOST_CONTEXT: usize = 200;

/// The body of a message; `about` is its stable name.
pub fn body(words: &Words, about: &str) -> Value {
    let title = plain(&cut(&words.title, MOST_HEADER));
    let mut blocks = vec![json!({"type": "header", "text": {"type": "plain_text", "text": title, "emoji": false}})];
    let mut section = String::new();
    for (name, text) in &words.facts {
        let line = format!("*{}:* {}", mrkdwn(name), mrkdwn(&cut(text, MOST_FACT)));
        if !section.is_empty() && section.chars().count() + line.chars().count() + 1 > MOST_SECTION {
            blocks.push(section_of(&std::mem::take(&mut section)));
        }
        if !section.is_empty() {
            section.push('\n');
        }
        section.push_str(&line);
    }
    if !section.is_empty() {
        blocks.push(section_of(&section));
    }
    if let Some(link) = &words.link {
        let open = json!({"type": "button", "text": {"type": "plain_text", "text": "Open in driftd"}, "url": link});
        blocks.push(json!({"type": "actions", "elements": [open]}));
    }
    let context = mrkdwn(&cut(&format!("{} · {about}", words.severity_name()), MOST_CONTEXT));
    blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": context, "verbatim": true}]}));
    json!({"text": mrkdwn(&cut(&words.title, MOST_FACT)), "blocks": blocks})
}

/// `verbatim` keeps Slack from making links and mentions of what looks like one.
fn section_of(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}})
}

/// Text from outside inside mrkdwn: nothing in it is a mention, a link or an entity.
fn mrkdwn(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    quiet(&escaped)
}

/// The same where Slack reads no mrkdwn.
fn plain(text: &str) -> String {
    quiet(&text.replace('<', "‹").replace('>', "›"))
}

/// No line breaks, and no `@channel`: an invisible joiner stands behind the sign.
fn quiet(text: &str) -> String {
    let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for everybody in ["channel", "here", "everyone"] {
        text = text.replace(&format!("@{everybody}"), &format!("@\u{2060}{everybody}"));
    }
    text
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

    /// The blocks that Slack documents: header, section, actions with a button, context.
    #[test]
    fn an_alert_has_the_shape_slack_documents() {
        let body = told(&samples::alert("drift.alarm.firing"));
        let kinds: Vec<&str> =
            body["blocks"].as_array().expect("blocks").iter().filter_map(|b| b["type"].as_str()).collect();
        assert_eq!(kinds, ["header", "section", "actions", "context"]);
        assert_eq!(body["text"], "Drift: support-mtl 12, head intent");
        assert_eq!(body["blocks"][0]["text"]["type"], "plain_text");
        assert_eq!(body["blocks"][2]["elements"][0]["url"], "https://driftd.example/#/alerts/al_01JDB3");
        let text = body["blocks"][1]["text"]["text"].as_str().expect("text");
        assert!(text.contains("*How sure:* The evidence is 14 times"), "{text}");
        assert_eq!(body["blocks"][3]["elements"][0]["text"], "critical · al_01JDB3");
    }

    #[test]
    fn nobody_is_mentioned_by_a_name() {
        for name in ["<!channel>", "<@U123>", "@here", "@channel @everyone", "<https://evil.example|click>", "a\n*b*"] {
            let text = told(&samples::hostile(name)).to_string();
            for wrong in ["<!", "<@", "<http", "@here", "@channel", "@everyone", "\\n*b"] {
                assert!(!text.contains(wrong), "{name}: {text}");
            }
        }
    }

    #[test]
    fn limits_hold_whatever_the_names() {
        let body = told(&samples::hostile(&"&".repeat(20_000)));
        assert!(body["blocks"][0]["text"]["text"].as_str().expect("text").chars().count() <= MOST_HEADER);
        let blocks = body["blocks"].as_array().expect("blocks");
        assert!(blocks.len() <= 50);
        for block in blocks.iter().filter(|b| b["type"] == "section") {
            assert!(block["text"]["text"].as_str().expect("text").chars().count() <= 3_000);
        }
    }
}
