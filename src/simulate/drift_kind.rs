//! Kinds of drift, and what each does to a text or a head.

use std::str::FromStr;

use rand::RngExt;
use rand::rngs::StdRng;

use super::grammar::Grammar;

/// What drifts in simulated traffic. Shares are between 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub enum DriftKind {
    /// This share of texts is about a topic that training never saw.
    NewTopic(f64),
    /// One intent comes this many times as often.
    PriorShift(String, f64),
    /// This share of texts has letters swapped, dropped or doubled.
    Typos(f64),
    /// This share of texts is in another language.
    LanguageMix(f64),
    /// One head answers wrongly; the texts stay as they are.
    BrokenHead(String),
}

/// How often a letter of a text with typos is hit.
const TYPO_RATE: f64 = 0.15;

impl FromStr for DriftKind {
    type Err = String;

    fn from_str(text: &str) -> Result<DriftKind, String> {
        let mut parts = text.split(':');
        let kind = parts.next().unwrap_or_default();
        let arguments: Vec<&str> = parts.collect();
        let share = |default: f64| match arguments.as_slice() {
            [] => Ok(default),
            [number] => {
                number.parse().ok().filter(|s| (0.0..=1.0).contains(s)).ok_or(format!("`{number}` is not a share"))
            }
            _ => Err(format!("`{text}` has too many parts")),
        };
        match kind {
            "new_topic" => share(0.4).map(DriftKind::NewTopic),
            "typos" => share(0.6).map(DriftKind::Typos),
            "language_mix" => share(0.3).map(DriftKind::LanguageMix),
            "broken_head" => match arguments.as_slice() {
                [task] => Ok(DriftKind::BrokenHead((*task).to_owned())),
                _ => Err("broken_head wants a task, such as `broken_head:intent`".to_owned()),
            },
            "prior_shift" => match arguments.as_slice() {
                [intent] => Ok(DriftKind::PriorShift((*intent).to_owned(), 4.0)),
                [intent, factor] => {
                    let factor: f64 =
                        factor.parse().ok().filter(|f: &f64| f.is_finite() && *f >= 0.0).ok_or("wrong factor")?;
                    Ok(DriftKind::PriorShift((*intent).to_owned(), factor))
                }
                _ => Err("prior_shift wants an intent, such as `prior_shift:refund:4`".to_owned()),
            },
            _ => Err(format!("`{kind}` is none of new_topic, prior_shift, typos, language_mix, broken_head")),
        }
    }
}

impl DriftKind {
    /// A text under this drift.
    pub fn text(&self, grammar: &Grammar, rng: &mut StdRng) -> String {
        match self {
            DriftKind::NewTopic(share) if rng.random::<f64>() < *share => grammar.unseen_text(rng),
            DriftKind::LanguageMix(share) if rng.random::<f64>() < *share => grammar.foreign_text(rng),
            DriftKind::Typos(share) if rng.random::<f64>() < *share => misspell(&grammar.text(rng), rng),
            DriftKind::PriorShift(intent, factor) => {
                grammar.text_with(rng, |name, i| if name == intent { i.weight * factor } else { i.weight })
            }
            _ => grammar.text(rng),
        }
    }

    /// The task whose head is broken, if one is.
    pub fn broken_task(&self) -> Option<&str> {
        match self {
            DriftKind::BrokenHead(task) => Some(task),
            _ => None,
        }
    }
}

fn misspell(text: &str, rng: &mut StdRng) -> String {
    let mut letters: Vec<char> = Vec::with_capacity(text.len());
    for letter in text.chars() {
        if !letter.is_alphabetic() || rng.random::<f64>() >= TYPO_RATE {
            letters.push(letter);
            continue;
        }
        match rng.random_range(0..3) {
            0 => {}
            1 => letters.extend([letter, letter]),
            _ => {
                let at = letters.len().saturating_sub(1);
                letters.insert(at, letter);
            }
        }
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_parse_with_their_defaults() {
        assert_eq!("new_topic".parse(), Ok(DriftKind::NewTopic(0.4)));
        assert_eq!("typos:0.1".parse(), Ok(DriftKind::Typos(0.1)));
        assert_eq!("prior_shift:refund:2".parse(), Ok(DriftKind::PriorShift("refund".into(), 2.0)));
        assert_eq!("broken_head:intent".parse(), Ok(DriftKind::BrokenHead("intent".into())));
        for wrong in ["", "fire", "typos:2", "broken_head", "prior_shift:refund:x", "new_topic:0.1:0.2"] {
            assert!(wrong.parse::<DriftKind>().is_err(), "{wrong}");
        }
    }
}
