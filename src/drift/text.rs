//! Facts about a text that need no tokenizer.

use serde::{Deserialize, Serialize};
use unicode_script::{Script as Unicode, UnicodeScript};

use super::record::InputText;

/// What a text is like, without the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFacts {
    /// Characters, both parts of a pair together.
    pub characters: u32,
    /// The writing system of most of its letters.
    pub script: Script,
    /// A digest of the text; equal texts have equal ones.
    pub digest: u64,
}

/// Classes of writing systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Script {
    /// No character but white space.
    Empty,
    /// No letter: digits, punctuation, symbols.
    NoLetters,
    /// Latin letters of ASCII only.
    Ascii,
    /// Latin with accents and the like.
    Latin,
    /// Greek.
    Greek,
    /// Cyrillic.
    Cyrillic,
    /// Arabic.
    Arabic,
    /// Hebrew.
    Hebrew,
    /// Scripts of India.
    Indic,
    /// Thai, Lao, Khmer and Burmese.
    SoutheastAsian,
    /// Chinese characters.
    Han,
    /// Japanese syllables.
    Kana,
    /// Korean.
    Hangul,
    /// Any other script.
    Other,
    /// No script has two thirds of the letters.
    Mixed,
}

impl Script {
    /// All classes, in the order of their cells.
    pub const ALL: [Script; 15] = [
        Script::Empty,
        Script::NoLetters,
        Script::Ascii,
        Script::Latin,
        Script::Greek,
        Script::Cyrillic,
        Script::Arabic,
        Script::Hebrew,
        Script::Indic,
        Script::SoutheastAsian,
        Script::Han,
        Script::Kana,
        Script::Hangul,
        Script::Other,
        Script::Mixed,
    ];

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Script::Empty => "empty",
            Script::NoLetters => "no letters",
            Script::Ascii => "plain Latin",
            Script::Latin => "Latin with accents",
            Script::Greek => "Greek",
            Script::Cyrillic => "Cyrillic",
            Script::Arabic => "Arabic",
            Script::Hebrew => "Hebrew",
            Script::Indic => "Indic",
            Script::SoutheastAsian => "Southeast Asian",
            Script::Han => "Han",
            Script::Kana => "Kana",
            Script::Hangul => "Hangul",
            Script::Other => "another script",
            Script::Mixed => "mixed scripts",
        }
    }

    fn of(character: char) -> Script {
        match character.script() {
            Unicode::Latin => Script::Latin,
            Unicode::Greek => Script::Greek,
            Unicode::Cyrillic => Script::Cyrillic,
            Unicode::Arabic => Script::Arabic,
            Unicode::Hebrew => Script::Hebrew,
            Unicode::Devanagari
            | Unicode::Bengali
            | Unicode::Gurmukhi
            | Unicode::Gujarati
            | Unicode::Tamil
            | Unicode::Telugu
            | Unicode::Kannada
            | Unicode::Malayalam
            | Unicode::Sinhala => Script::Indic,
            Unicode::Thai | Unicode::Lao | Unicode::Khmer | Unicode::Myanmar => Script::SoutheastAsian,
            Unicode::Han => Script::Han,
            Unicode::Hiragana | Unicode::Katakana => Script::Kana,
            Unicode::Hangul => Script::Hangul,
            _ => Script::Other,
        }
    }
}

impl TextFacts {
    /// The facts of one text or pair.
    pub fn of(input: &InputText) -> TextFacts {
        let parts = || [Some(input.text.as_str()), input.pair.as_deref()].into_iter().flatten();
        let (mut characters, mut blank, mut ascii) = (0_u32, true, 0_u32);
        let mut scripts = [0_u32; Script::ALL.len()];
        for part in parts() {
            if part.is_ascii() {
                characters = characters.saturating_add(u32::try_from(part.len()).unwrap_or(u32::MAX));
                blank &= part.bytes().all(|byte| char::from(byte).is_whitespace());
                ascii += part.bytes().filter(u8::is_ascii_alphabetic).count() as u32;
                continue;
            }
            for character in part.chars() {
                characters = characters.saturating_add(1);
                blank &= character.is_whitespace();
                if character.is_ascii_alphabetic() {
                    ascii += 1;
                } else if !character.is_ascii() && character.is_alphabetic() {
                    scripts[Script::of(character) as usize] += 1;
                }
            }
        }
        scripts[Script::Latin as usize] += ascii;
        let letters: u32 = scripts.iter().sum();
        let (most, count) =
            Script::ALL.iter().zip(scripts).max_by_key(|(_, n)| *n).map_or((Script::Empty, 0), |(s, n)| (*s, n));
        let script = match () {
            () if blank => Script::Empty,
            () if letters == 0 => Script::NoLetters,
            () if 3 * count < 2 * letters => Script::Mixed,
            () if most == Script::Latin && ascii == letters => Script::Ascii,
            () => most,
        };
        TextFacts { characters, script, digest: digest(parts()) }
    }
}

/// FNV-1a, with a final mix so that its low bits can number buckets (Fowler, Noll & Vo; Stafford).
fn digest<'a>(parts: impl Iterator<Item = &'a str>) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> TextFacts {
        TextFacts::of(&InputText { text: text.into(), pair: None })
    }

    #[test]
    fn scripts_are_told_apart() {
        for (text, script) in [
            ("", Script::Empty),
            (" \n", Script::Empty),
            ("12 + 3?", Script::NoLetters),
            ("where is it", Script::Ascii),
            ("où est-il", Script::Latin),
            ("где он", Script::Cyrillic),
            ("它在哪里", Script::Han),
            ("これはペンです", Script::Kana),
            ("abcd где", Script::Mixed),
            ("\u{b}\u{c}\t", Script::Empty),
            ("\u{1f}", Script::NoLetters),
            ("\u{a0}\u{85}", Script::Empty),
        ] {
            assert_eq!(facts(text).script, script, "{text}");
        }
        assert_eq!(Script::ALL.iter().position(|s| *s == Script::Han), Some(Script::Han as usize));
    }

    #[test]
    fn digests_tell_texts_and_pairs_apart() {
        let pair = TextFacts::of(&InputText { text: "a".into(), pair: Some("b".into()) });
        assert_ne!(pair.digest, facts("ab").digest);
        assert_eq!((facts("ab").digest, facts("añ").characters), (facts("ab").digest, 2));
        let buckets: std::collections::BTreeSet<u64> = (0..64).map(|i| facts(&i.to_string()).digest % 1_024).collect();
        assert!(buckets.len() > 55, "{} of 64 buckets differ", buckets.len());
    }
}
