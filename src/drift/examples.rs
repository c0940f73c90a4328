//! Texts that show best what is new in a window whose records raised an alert, redacted.
//!
//! While a window is open, a uniform sample of its texts is kept: those of the smallest ranks, which follow from
//! the records' ids alone, so that any split, order or repetition gives the same sample. With each text stands in
//! which cells of the counting signals its record fell. When an alert fires, the window's tallies say which cells
//! of the signals that the alert rests on hold more than they should, and the texts are those whose records lie in
//! them: for each signal the mean over the record's cells of ln((current + ½) / (expected + ½)), summed over the
//! signals. That is the logarithm of how much commoner such a record is than in the reference, if signals told of
//! it independently; half a count keeps cells of few records from leading.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::alert::Alert;
use super::distribution::{Cell, Shares};
use super::observation::Observation;
use super::record::InputText;
use super::redaction::Redacted;
use super::reference::{Reference, SignalReference};
use super::signal::SignalKey;
use super::summary::Summary;
use super::time::{Span, Timestamp};
use super::witness::owns_signal;
use crate::stats::bottom_k::BottomK;

/// Texts that are kept of an open window: of what is new in a twentieth of the records, fewer than two are in
/// such a sample with a probability of 4 %.
pub const POOL: usize = 100;
/// Reasons shown for an example.
const REASONS: usize = 3;
/// How samples are written; another way has another number.
const FORMAT: u16 = 1;
/// What ranks follow from, beside the record's identity.
const SEED: &[u8] = b"driftd examples\0";

/// How many texts, how long, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Examples of an alert.
    pub keep: usize,
    /// Characters of a text, after redaction; a second text of a pair has as many.
    pub most_characters: usize,
    /// How long they are kept.
    pub retention: Span,
}

/// A uniform sample of a window's texts, or the part of one that came after what was stored before.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    sample: BottomK<Candidate>,
    /// The smallest ranks of all that were drawn, stored or not: what lies above them is in no sample any more.
    ranks: BottomK<()>,
}

/// A text that may be shown, and the cells that its record fell into.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Candidate {
    text: Redacted,
    pair: Option<Redacted>,
    /// Places in a summary's cells, rising.
    cells: Vec<u32>,
}

/// A record's place in the sample, before it is known into which cells it falls.
#[derive(Debug)]
pub struct Ticket {
    rank: u64,
    key: String,
    text: Redacted,
    pair: Option<Redacted>,
}

/// A text that shows what is new.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The text.
    pub text: Redacted,
    /// The second text of a pair.
    pub pair: Option<Redacted>,
    /// The cells of its record that speak most for it.
    pub reasons: Vec<Because>,
}

/// A cell that holds more than it should.
#[derive(Clone, Debug, PartialEq)]
pub struct Because {
    /// Of which signal.
    pub key: SignalKey,
    /// The cell.
    pub cell: Cell,
}

/// Why stored texts cannot be read. It says nothing of what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("texts that wait for their window's judgement do not decode, or have another format than {FORMAT}")]
pub struct Unreadable;

impl Default for Drawn {
    fn default() -> Drawn {
        Drawn { sample: BottomK::new(POOL), ranks: BottomK::new(POOL) }
    }
}

impl Drawn {
    /// A place in the sample for a record, as things stand; its text is redacted here and at once, to `most`
    /// characters.
    pub fn ticket(&self, most: usize, id: Option<&str>, time: Timestamp, text: &InputText) -> Option<Ticket> {
        let (rank, key) = place(id, time, text);
        let redact = |text: &String| Redacted::of(text, most);
        let ticket =
            || Ticket { rank, text: redact(&text.text), pair: text.pair.as_ref().map(redact), key: key.clone() };
        self.ranks.wants(rank, &key).then(ticket)
    }

    /// Takes a record with its place.
    pub fn take(&mut self, ticket: Ticket, reference: &Reference, observation: &Observation) {
        let Ticket { rank, key, text, pair } = ticket;
        self.ranks.push(rank, &key, &());
        self.sample.push(rank, &key, &Candidate { text, pair, cells: cells(reference, observation) });
    }

    /// Takes what was kept elsewhere of the same window.
    pub fn merge(&mut self, other: &Drawn) {
        self.ranks.merge(&other.ranks);
        self.sample.merge(&other.sample);
    }

    /// What is drawn after this was stored: merged with it, it is the sample of all. It takes only what can still be
    /// in that, which is ever less: of `n` records about `POOL · ln(n / POOL)` more than the first, however often
    /// they are stored, and not `POOL` and more each time.
    pub fn stored(self) -> Drawn {
        Drawn { ranks: self.ranks, ..Drawn::default() }
    }

    /// Bytes for the store; `None` if there are no texts.
    pub fn encode(&self) -> Option<Vec<u8>> {
        const WHY: &str = "texts and numbers always encode";
        self.sample.sample(1).next().is_some().then(|| postcard::to_stdvec(&(FORMAT, &self.sample)).expect(WHY))
    }

    /// From the store's bytes.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn decode(bytes: &[u8]) -> Result<Drawn, Unreadable> {
        let (format, body) = postcard::take_from_bytes::<u16>(bytes).map_err(|_| Unreadable)?;
        if format != FORMAT {
            return Err(Unreadable);
        }
        let mut sample = BottomK::new(POOL);
        sample.merge(&postcard::from_bytes(body).map_err(|_| Unreadable)?);
        Ok(Drawn { ranks: sample.keys(), sample })
    }

    /// The texts that show best what an alert is about, the most telling first; none where its cause leaves no
    /// trace in what signals count: labels, and another version of the model.
    pub fn choose(&self, reference: &Reference, summary: &Summary, alert: &Alert, keep: usize) -> Vec<Example> {
        let signals = telling(reference, alert);
        let expected: Vec<_> = signals.iter().map(|signal| signal.expected(&summary.phases)).collect();
        let shares: Vec<(&SignalReference, Shares)> = (signals.iter().zip(&expected))
            .filter_map(|(signal, expected)| {
                let current = &summary.cells[signal.cells()];
                Some((*signal, Shares::of(reference, signal, current, &expected.cells, &summary.unlisted)?))
            })
            .collect();
        let mut ranked: Vec<(f64, &Candidate, Vec<Because>)> = Vec::new();
        for (.., candidate) in self.sample.sample(POOL) {
            let (score, reasons) = candidate.score(&shares);
            if score > 0.0 && !reasons.is_empty() {
                ranked.push((score, candidate, reasons));
            }
        }
        // The sort is stable: of equals, the smaller rank leads.
        ranked.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        let mut told = BTreeSet::new();
        ranked.retain(|(_, candidate, _)| told.insert((&candidate.text, &candidate.pair)));
        let example = |(_, candidate, reasons): (f64, &Candidate, Vec<Because>)| Example {
            text: candidate.text.clone(),
            pair: candidate.pair.clone(),
            reasons,
        };
        ranked.into_iter().take(keep).map(example).collect()
    }
}

impl Candidate {
    fn score(&self, shares: &[(&SignalReference, Shares)]) -> (f64, Vec<Because>) {
        let (mut score, mut speaking) = (0.0, Vec::new());
        for (at, (signal, shares)) in shares.iter().enumerate() {
            let range = signal.cells();
            let own = self.cells.iter().map(|c| *c as usize).filter(|c| range.contains(c)).map(|c| c - range.start);
            let rises: Vec<(usize, f64)> = own.map(|cell| (cell, shares.ln_rise(cell))).collect();
            if rises.is_empty() {
                continue;
            }
            score += rises.iter().map(|(_, rise)| rise).sum::<f64>() / rises.len() as f64;
            speaking.extend(rises.into_iter().filter(|(_, rise)| *rise > 0.0).map(|(cell, rise)| (rise, at, cell)));
        }
        speaking.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
        let because = |(_, at, cell): (f64, usize, usize)| {
            let (signal, shares) = &shares[at];
            let (words, mut cell) = (self.words_in(signal, cell), shares.cell(cell));
            if !words.is_empty() {
                cell.name = words.join(" or ");
            }
            Because { key: signal.key.clone(), cell }
        };
        (score, speaking.into_iter().take(REASONS).map(because).collect())
    }

    /// Its words in a cell of words that has no name of its own: the text is shown beside them.
    fn words_in(&self, signal: &SignalReference, cell: usize) -> Vec<String> {
        let texts = std::iter::once(&self.text).chain(&self.pair);
        let words = texts.flat_map(|text| signal.measure.as_signal().words_in(cell, text.as_str()));
        words.map(|word| format!("`{word}`")).collect()
    }
}

/// The counting signals that an alert rests on; where it rests on means alone, all those of its cause.
fn telling<'a>(reference: &'a Reference, alert: &Alert) -> Vec<&'a SignalReference> {
    let counting = |signal: &usize| reference.signals.get(*signal).is_some_and(|s| s.measure.as_signal().counts());
    let owned = |signal: &usize| counting(signal) && owns_signal(&alert.cause, reference, *signal);
    let witnessed = alert.witnesses.iter().filter(|w| !w.explained).map(|w| w.signal as usize);
    let mut found: Vec<usize> = witnessed.filter(owned).collect();
    if found.is_empty() {
        found = (0..reference.signals.len()).filter(owned).collect();
    }
    // How rare words are does not say which: their counts do.
    let of = |name: &str| reference.signals.iter().position(|s| s.key.segment.is_none() && s.key.signal == name);
    if let (Some(rarity), Some(counts)) = (of("word_surprisal"), of("word_distribution"))
        && found.contains(&rarity)
    {
        found.push(counts);
    }
    found.sort_unstable();
    let mut signals: Vec<&SignalReference> = found.into_iter().map(|signal| &reference.signals[signal]).collect();
    // Two signals of the same cells say the same of a record.
    let mut told = BTreeSet::new();
    signals.retain(|signal| told.insert(signal.offset));
    signals
}

/// Rank and key of a record: by its id, or what else it is known by. Neither tells what that was.
fn place(id: Option<&str>, time: Timestamp, text: &InputText) -> (u64, String) {
    let digest = Sha256::new().chain_update(SEED);
    let digest = match id {
        Some(id) => digest.chain_update([1]).chain_update(id),
        None => {
            let pair = text.pair.as_deref().unwrap_or_default();
            let digest = digest.chain_update([0]).chain_update(time.micros().to_be_bytes());
            digest.chain_update(&text.text).chain_update([0]).chain_update(pair)
        }
    };
    let digest = digest.finalize();
    let number = |range: std::ops::Range<usize>| {
        u64::from_be_bytes(digest[range].try_into().expect("eight bytes of thirty-two"))
    };
    (number(0..8), format!("{:016x}", number(8..16)))
}

/// Cells of the counting signals that a record falls into. Other signals are not folded for it, nor their cells
/// looked through.
fn cells(reference: &Reference, observation: &Observation) -> Vec<u32> {
    let (mut found, mut own) = (Vec::new(), Vec::new());
    for known in &reference.signals {
        let signal = known.measure.as_signal();
        let applies = known.key.segment.is_none_or(|segment| observation.lies_in(segment));
        if !applies || !signal.counts() || signal.looks_at().is_some() {
            continue;
        }
        let range = known.cells();
        own.clear();
        own.resize(range.len(), 0);
        signal.fold(observation, &mut own);
        let counted = range.zip(&own).filter(|(_, count)| **count > 0);
        found.extend(counted.filter_map(|(cell, _)| u32::try_from(cell).ok()));
    }
    found.sort_unstable();
    found
}
