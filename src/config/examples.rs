//! Texts that show what is new.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::validate::Checker;
use crate::drift::examples::Rule;
use crate::drift::time::Span;

/// Examples of one alert at most: more is reading the traffic, not looking at what is new.
pub const MOST_KEPT: u32 = 20;
/// Characters of an example at least, so that something is said …
const LEAST_CHARACTERS: u32 = 20;
/// … and at most: a hundred texts of an open window are held in memory.
const MOST_CHARACTERS: u32 = 1_000;
/// Characters of an example where nothing else is said: two or three sentences.
pub const CHARACTERS: u32 = 280;
/// Texts are kept for a quarter at most.
const LONGEST: Span = Span::from_secs(90 * 86_400);

/// A few redacted texts for each alert, those that show best what is new. Without this section no text is stored
/// anywhere. E-mail addresses, addresses of pages and machines, long numbers, account numbers and keys are taken out
/// by pattern before a text is stored; names and whatever else is said in words are not: this is no anonymization.
/// They are read with the scope `samples:read` alone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawExamples {
    /// Texts of an alert at most.
    #[schemars(range(min = 1, max = 20))]
    pub keep: u32,
    /// Characters of a text at most; the second text of a pair has as many.
    #[schemars(range(min = 20, max = 1_000))]
    pub max_characters: u32,
    /// How long they are kept: `90d` at most, and no shorter than a window is open.
    pub retention: String,
}

impl Default for RawExamples {
    fn default() -> RawExamples {
        RawExamples { keep: 5, max_characters: CHARACTERS, retention: "7d".into() }
    }
}

impl Checker<'_> {
    /// How a model's examples are kept. Its windows stay open for `open_for`, if that is known.
    pub(super) fn examples(&mut self, i: usize, raw: &RawExamples, open_for: Option<Span>) -> Option<Rule> {
        let at = |key: &str| format!("/models/{i}/examples/{key}");
        let retention = self.positive(&at("retention"), &raw.retention);
        for (key, found, least, most) in [
            ("keep", raw.keep, 1, MOST_KEPT),
            ("max_characters", raw.max_characters, LEAST_CHARACTERS, MOST_CHARACTERS),
        ] {
            if !(least..=most).contains(&found) {
                self.fail(&at(key), format!("found `{found}`, expected {least} to {most}"));
            }
        }
        if retention.is_some_and(|retention| retention > LONGEST) {
            self.fail(&at("retention"), format!("found `{}`, expected `90d` at most", raw.retention));
        }
        if retention.zip(open_for).is_some_and(|(retention, open_for)| retention < open_for) {
            let why = "expected at least `window.length` and `window.grace` together: texts would be gone when their \
                       window is judged";
            self.fail(&at("retention"), format!("found `{}`, {why}", raw.retention));
        }
        let (keep, most_characters) = (raw.keep as usize, raw.max_characters as usize);
        Some(Rule { keep, most_characters, retention: retention? })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::raw::RawConfig;
    use super::super::validate::validate;
    use super::*;
    use crate::document::parse;

    /// What a model's section says, or where it is wrong.
    fn checked(section: &str) -> Result<Option<Rule>, Vec<String>> {
        let text = format!(
            "store: {{url: 'sqlite:x'}}\nkafka: {{brokers: b, topics: [a], start: latest}}\n\
             models:\n  - {{manifest: m.yaml, reference: r.bin{section}}}\n"
        );
        let parsed = parse::<RawConfig>(Path::new("driftd.yaml"), &text);
        let found = parsed.and_then(|document| validate(&document, &|_| None));
        found.map(|config| config.models[0].examples).map_err(|e| e.problems.into_iter().map(|p| p.path).collect())
    }

    #[test]
    fn they_are_off_unless_they_are_asked_for() {
        assert_eq!(checked(""), Ok(None));
        let day = Span::from_secs(86_400);
        let of = |days: i64| Span::from_micros(days * day.micros());
        assert_eq!(checked(", examples: {}"), Ok(Some(Rule { keep: 5, most_characters: 280, retention: of(7) })));
        assert_eq!(
            checked(", examples: {keep: 20, max_characters: 1000, retention: 90d}"),
            Ok(Some(Rule { keep: 20, most_characters: 1_000, retention: of(90) }))
        );
    }

    #[test]
    fn each_bound_is_told_where_it_stands() {
        let retention = ["91d", "0s", "329s"];
        for (key, values) in
            [("keep", &["0", "21"][..]), ("max_characters", &["19", "1001"]), ("retention", &retention)]
        {
            for value in values {
                let found = checked(&format!(", examples: {{{key}: {value}}}"));
                assert_eq!(found, Err(vec![format!("/models/0/examples/{key}")]), "{key}: {value}");
            }
        }
    }
}
