//! Texts from a grammar file, which the example model's training script reads too.

use std::collections::BTreeMap;
use std::path::Path;

use rand::RngExt;
use rand::rngs::StdRng;
use schemars::JsonSchema;
use serde::Deserialize;

use super::weighted;
use crate::document::{self, Problem, Problems};

/// A grammar of texts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grammar {
    /// Format of this file; 1.
    #[schemars(range(min = 1, max = 1))]
    #[serde(rename = "grammar")]
    _format: u32,
    slots: BTreeMap<String, Slot>,
    openers: Extra,
    closers: Extra,
    angry: Extra,
    /// Classes that the model was trained on.
    pub intents: BTreeMap<String, Intent>,
    /// Topics that it never saw.
    pub unseen: BTreeMap<String, Intent>,
    foreign: Foreign,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Slot {
    #[serde(rename = "entity")]
    _entity: Option<String>,
    values: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Extra {
    share: f64,
    texts: Vec<String>,
    #[serde(rename = "urgency", default)]
    _urgency: f64,
}

/// What people want, and how they say it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// How often it comes.
    #[serde(default)]
    pub weight: f64,
    #[serde(rename = "topics", default)]
    _topics: Vec<String>,
    #[serde(rename = "urgency", default)]
    _urgency: f64,
    templates: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Foreign {
    templates: Vec<String>,
}

impl Grammar {
    /// Reads and checks a grammar file.
    ///
    /// # Errors
    /// [`Problems`]: wrong shape, empty lists, or a template with an unknown slot.
    pub fn load(file: &Path) -> Result<Grammar, Problems> {
        let document = document::read::<Grammar>(file)?;
        let mut problems: Vec<Problem> = Vec::new();
        let grammar = &document.content;
        for (kind, intents) in [("intents", &grammar.intents), ("unseen", &grammar.unseen)] {
            for (name, intent) in intents {
                let at = format!("/{kind}/{name}");
                if intent.templates.is_empty() {
                    problems.push(document.problem(&at, "has no template"));
                }
                for template in &intent.templates {
                    let unknown = placeholders(template).find(|slot| !grammar.slots.contains_key(*slot));
                    if let Some(slot) = unknown {
                        problems.push(document.problem(&at, format!("`{{{slot}}}` is not a slot")));
                    }
                }
            }
        }
        for (name, slot) in grammar.slots.iter().filter(|(_, slot)| slot.values.is_empty()) {
            let _ = slot;
            problems.push(document.problem(&format!("/slots/{name}"), "has no value"));
        }
        if problems.is_empty() { Ok(document.content) } else { Err(Problems { file: file.to_owned(), problems }) }
    }

    /// A text as usual.
    pub fn text(&self, rng: &mut StdRng) -> String {
        self.text_with(rng, |_, intent| intent.weight)
    }

    /// A text of intents weighted otherwise.
    pub fn text_with(&self, rng: &mut StdRng, weight: impl Fn(&str, &Intent) -> f64) -> String {
        let weights = self.intents.iter().map(|(name, intent)| (intent, weight(name, intent)));
        let intent = weighted(rng, weights).expect("a grammar that loaded has intents");
        self.fill(rng, intent)
    }

    /// A text about what the model never saw.
    pub fn unseen_text(&self, rng: &mut StdRng) -> String {
        let intent = weighted(rng, self.unseen.values().map(|intent| (intent, 1.0)));
        intent.map_or_else(String::new, |intent| self.fill(rng, intent))
    }

    /// A text in another language.
    pub fn foreign_text(&self, rng: &mut StdRng) -> String {
        one(rng, &self.foreign.templates).to_owned()
    }

    fn fill(&self, rng: &mut StdRng, intent: &Intent) -> String {
        let mut text = String::new();
        if rng.random::<f64>() < self.openers.share {
            text.push_str(one(rng, &self.openers.texts));
            text.push(' ');
        }
        let mut rest = one(rng, &intent.templates);
        while let Some((before, slot, after)) = next_placeholder(rest) {
            text.push_str(before);
            text.push_str(self.slots.get(slot).map_or("", |slot| one(rng, &slot.values)));
            rest = after;
        }
        text.push_str(rest);
        for extra in [&self.closers, &self.angry] {
            if rng.random::<f64>() < extra.share {
                text.push(' ');
                text.push_str(one(rng, &extra.texts));
            }
        }
        text
    }
}

fn one<'a>(rng: &mut StdRng, texts: &'a [String]) -> &'a str {
    if texts.is_empty() { "" } else { &texts[rng.random_range(0..texts.len())] }
}

fn next_placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('{')?;
    let (slot, after) = rest.split_once('}')?;
    Some((before, slot, after))
}

fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (_, slot, after) = next_placeholder(rest)?;
        rest = after;
        Some(slot)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn the_example_grammar_gives_filled_texts() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/support/grammar.yaml");
        let grammar = Grammar::load(&file).expect("the example loads");
        let mut rng = StdRng::seed_from_u64(1);
        for _ in 0..500 {
            for text in [grammar.text(&mut rng), grammar.unseen_text(&mut rng), grammar.foreign_text(&mut rng)] {
                assert!(!text.is_empty() && !text.contains(['{', '}']), "{text}");
            }
        }
        let of = |seed| grammar.text(&mut StdRng::seed_from_u64(seed));
        assert_eq!(of(5), of(5), "a seed gives the same text");
    }
}
