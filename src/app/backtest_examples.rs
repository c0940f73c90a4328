//! Redacted texts of the alerts of a back-test, drawn and chosen as the daemon does.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::backtest_html::escape;
use super::backtest_words::place_of;
use crate::config::examples::CHARACTERS;
use crate::drift::alert::Alert;
use crate::drift::course::Judged;
use crate::drift::examples::{Because, Drawn, Example, Ticket};
use crate::drift::observation::Observation;
use crate::drift::record::InputText;
use crate::drift::redaction::Redacted;
use crate::drift::reference::Reference;
use crate::drift::summary::Summary;
use crate::drift::time::Timestamp;
use crate::drift::window::Slot;
use crate::judge::examples::reason;

/// What a reader of texts should know.
const REDACTED: &str = "redacted by pattern: names and other words are left in them";
/// Where an alert has none.
const NONE: &str = "none: the records of its window came without texts, or nothing that is counted tells them apart";

/// Texts of open windows, and of alerts.
#[derive(Default)]
pub struct Texts {
    /// Texts of an alert; 0 for none at all, of which nothing is kept then.
    keep: usize,
    open: BTreeMap<Slot, Drawn>,
    found: BTreeMap<(Slot, u32), Shown>,
}

/// The texts of an alert.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// Index of the window that they are of.
    window: usize,
    examples: Vec<Example>,
}

impl Texts {
    /// For so many texts of an alert.
    pub fn new(keep: usize) -> Texts {
        Texts { keep, ..Texts::default() }
    }

    /// A record's place among the texts of its window: its text is redacted here.
    pub fn ticket(
        &mut self,
        slot: Slot,
        id: Option<&str>,
        time: Timestamp,
        text: Option<&InputText>,
    ) -> Option<Ticket> {
        let text = text.filter(|_| self.keep > 0)?;
        self.open.entry(slot).or_default().ticket(CHARACTERS as usize, id, time, text)
    }

    /// Takes a record with its place.
    pub fn take(&mut self, slot: Slot, ticket: Ticket, reference: &Reference, seen: &Observation) {
        self.open.entry(slot).or_default().take(ticket, reference, seen);
    }

    /// Chooses for the alerts of a window that was judged as the `index`-th, and forgets its other texts.
    pub fn choose(&mut self, slot: Slot, index: usize, reference: &Reference, summary: &Summary, judged: &Judged) {
        let Some(drawn) = self.open.remove(&slot) else { return };
        for alert in judged.firing() {
            let examples = drawn.choose(reference, summary, alert, self.keep);
            // Those of an alert that grows take the place of those before, if there are any.
            if !examples.is_empty() {
                self.found.insert(key(alert), Shown { window: index, examples });
            }
        }
    }

    /// The texts of an alert; `None` if they were not asked for.
    pub fn of(&self, opened: (Slot, u32)) -> Option<Shown> {
        (self.keep > 0).then(|| self.found.get(&opened).cloned().unwrap_or_default())
    }
}

fn key(alert: &Alert) -> (Slot, u32) {
    (alert.opened_slot, alert.ordinal)
}

impl Shown {
    /// A list, the most telling first.
    pub fn json(&self, reference: &Reference) -> Value {
        let reasons = |example: &Example| example.reasons.iter().map(|why| reason(reference, why)).collect::<Vec<_>>();
        let told = |example: &Example| {
            json!({
                "window": self.window, "text": example.text.as_str(),
                "pair": example.pair.as_ref().map(Redacted::as_str), "reasons": reasons(example),
            })
        };
        self.examples.iter().map(told).collect()
    }

    /// Lines below an alert: each text with the reason that speaks most for it.
    pub fn table(&self, reference: &Reference) -> String {
        if self.examples.is_empty() {
            return format!("  texts: {NONE}\n");
        }
        let mut text = format!("  texts of window {}, {REDACTED}\n", self.window);
        for example in &self.examples {
            let pair = example.pair.as_ref().map_or_else(String::new, |pair| format!(" / “{}”", pair.as_str()));
            let why = example.reasons.first().map_or_else(String::new, |why| because(reference, why));
            let _ = writeln!(text, "    “{}”{pair} ({why})", example.text.as_str());
        }
        text
    }

    /// A part of an alert's section.
    pub fn html(&self, reference: &Reference, page: &mut String) {
        page.push_str("<h3>Texts that show best what is new</h3>");
        if self.examples.is_empty() {
            let _ = write!(page, "<p>{NONE}.</p>");
            return;
        }
        let _ = write!(page, "<p>Of window {}, the most telling first, {REDACTED}.</p><ul class=texts>", self.window);
        for example in &self.examples {
            page.push_str("<li>");
            for text in std::iter::once(&example.text).chain(&example.pair) {
                let _ = write!(page, "<blockquote dir=auto>{}</blockquote>", escape(text.as_str()));
            }
            let reasons: Vec<String> = example.reasons.iter().map(|why| because(reference, why)).collect();
            let _ = write!(page, "<small>{}</small></li>", escape(&reasons.join("; ")));
        }
        page.push_str("</ul>");
    }
}

/// Such as `intent predicted_class: refund, 31.0 % instead of 4.0 %`.
fn because(reference: &Reference, Because { key, cell }: &Because) -> String {
    let (now, before) = (100.0 * cell.current_share, 100.0 * cell.reference_share);
    format!("{}: {}, {now:.1} % instead of {before:.1} %", place_of(reference, key), cell.name)
}
