//! Words of a text, for a model whose tokenizer is not at hand: Unicode's words (UAX #29) in small letters, known by
//! a number that follows from the word alone. So nothing has to be learned or stored to know a word again.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use unicode_segmentation::UnicodeSegmentation;

use super::inference::{Cut, InputFacts};
use super::record::InputText;

/// Names this way to cut texts where a tokenizer would be named by its digest: another way has another name.
pub const NAME: &str = "words/1";
/// Words of a text, or of each part of a pair, that are looked at: a text of ten megabytes costs no more than a long
/// one.
const MOST_WORDS: usize = 4_096;
/// Numbers that words can have: as many as the largest tokenizers have tokens. Two of 50,000 words share theirs with a
/// probability of 1 in 262,144, and one in six shares its own with some other.
const NUMBERS: u64 = 1 << 18;
/// Votes that a word needs before it is told: it is in that many records at least.
const LEAST_VOTES: u32 = 20;

/// The words of a text.
pub fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.unicode_words().map(small)
}

fn small(word: &str) -> Cow<'_, str> {
    let is_small = word.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_small { Cow::Borrowed(word) } else { Cow::Owned(word.to_lowercase()) }
}

/// A word's number: FNV-1a (Fowler, Noll & Vo), whose high bits are folded into the low ones.
pub fn number(word: &str) -> u32 {
    let hash = word
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    ((hash ^ (hash >> 18) ^ (hash >> 36)) % NUMBERS) as u32
}

/// What a text or pair is made of, words in the place of tokens: none is unknown.
pub fn facts(input: &InputText) -> InputFacts {
    let (mut ids, mut truncated) = (Vec::new(), false);
    for part in [Some(&input.text), input.pair.as_ref()].into_iter().flatten() {
        let mut all = words(part);
        ids.extend(all.by_ref().take(MOST_WORDS).map(|word| number(&word)));
        truncated |= all.next().is_some();
    }
    InputFacts { tokens: ids.len() as u32, unknown: 0, truncated, ids, cut: Cut::Words }
}

/// The words behind numbers. Of several with one number, the one that most records hold is kept.
#[derive(Debug, Default)]
pub struct Dictionary {
    by_number: HashMap<u32, (Box<str>, u32)>,
}

impl Dictionary {
    /// Takes the words of a record: each has a vote, for itself or against the word that has its number (Boyer and
    /// Moore's majority vote).
    pub fn add(&mut self, input: &InputText) {
        let parts = [Some(&input.text), input.pair.as_ref()].into_iter().flatten();
        let distinct: BTreeSet<Cow<str>> = parts.flat_map(|part| words(part).take(MOST_WORDS)).collect();
        for word in distinct {
            let (kept, votes) = self.by_number.entry(number(&word)).or_insert_with(|| (word.as_ref().into(), 0));
            match () {
                () if **kept == *word => *votes += 1,
                () if *votes == 0 => (*kept, *votes) = (word.as_ref().into(), 1),
                () => *votes -= 1,
            }
        }
    }

    /// The word behind a number, if enough records hold it.
    pub fn word(&self, number: u32) -> Option<String> {
        let (word, votes) = self.by_number.get(&number)?;
        (*votes >= LEAST_VOTES).then(|| word.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(text: &str) -> InputText {
        InputText { text: text.to_owned(), pair: None }
    }

    #[test]
    fn words_are_unicodes_in_small_letters() {
        for (text, expected) in [
            ("Where IS my Refund?", &["where", "is", "my", "refund"][..]),
            ("don't pay 3.50€ — ÉTÉ", &["don't", "pay", "3.50", "été"]),
            ("где Мой заказ", &["где", "мой", "заказ"]),
            ("退款", &["退", "款"]),
            (" \n?!", &[]),
        ] {
            let found: Vec<Cow<str>> = words(text).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_words_number_is_its_own_and_the_same_for_ever() {
        let facts = facts(&input("Refund the refund"));
        assert_eq!((facts.tokens, facts.unknown, facts.truncated), (3, 0, false));
        assert!(facts.ids[0] == facts.ids[2] && facts.ids[0] != facts.ids[1], "{facts:?}");
        // References name words by these numbers: whoever changes them has to change the name of the cut.
        assert_eq!((number("refund"), number("été"), NAME), (18672, 201354, "words/1"));
        let numbers: BTreeSet<u32> = (0..10_000).map(|i| number(&format!("word{i}"))).collect();
        assert!(numbers.len() > 9_750, "{} of 10000 words have a number of their own", numbers.len());
    }

    #[test]
    fn what_is_too_long_is_looked_at_in_part() {
        let facts = facts(&InputText { text: "a ".repeat(10_000), pair: Some("b".into()) });
        assert_eq!((facts.tokens, facts.truncated), (MOST_WORDS as u32 + 1, true));
    }

    #[test]
    fn a_word_is_told_that_enough_records_hold() {
        let mut dictionary = Dictionary::default();
        (0..LEAST_VOTES).for_each(|_| dictionary.add(&input("Refund")));
        dictionary.add(&input(&"secret ".repeat(100)));
        assert_eq!(dictionary.word(number("refund")).as_deref(), Some("refund"));
        assert_eq!(dictionary.word(number("secret")), None, "one record says it a hundred times");
    }
}
