//! Texts without what names or reaches people: e-mail addresses, addresses on the network, long numbers, keys.
//!
//! Patterns find what looks like itself. Names, streets and everything said in words stay: this is redaction and
//! no anonymization. Where a pattern is in doubt it takes more rather than less.
//!
//! | mark | what it stands for |
//! |---|---|
//! | `[email]` | anything with an `@` in it: addresses and names on social networks |
//! | `[url]` | a scheme with `://`, `www.`, or a domain that a path, a query or a port follows |
//! | `[ip]` | IPv4, IPv6 and hardware addresses |
//! | `[number]` | seven digits and more, in groups or not: telephones, cards, accounts, dates of birth |
//! | `[iban]` | account numbers in groups of four |
//! | `[token]` | letters and digits mixed as in keys, passwords and bookings |

use std::fmt;

use serde::{Deserialize, Serialize};

/// This many digits make a number that may be a person's: shorter ones are prices, years and rooms.
const LEAST_DIGITS: usize = 7;
/// Characters between two digits of one number at most, as in `+49 (0) 170`.
const MOST_BETWEEN: usize = 3;
/// Letters and digits in one word from this length on are a key.
const LEAST_TOKEN: usize = 16;
/// … and from this length on where they take turns.
const LEAST_CODE: usize = 8;
/// Changes between letters and digits in such a word, at least: `iPhone15Pro` has two.
const LEAST_TURNS: usize = 3;
/// Letters alone are a key from this length on …
const LEAST_LETTERS: usize = 20;
/// … if capitals follow small letters so often.
const LEAST_HUMPS: usize = 4;
/// An account number has so many characters, ISO 13616.
const IBAN: std::ops::RangeInclusive<usize> = 15..=34;
/// So many times the characters that are kept are looked at: marks are shorter than what they stand for.
const LOOKED_AT: usize = 8;
/// Passes until nothing changes: a second one finds what only a cut made look like a pattern.
const MOST_PASSES: usize = 4;

/// A redacted text. There is no way to make one but to redact, or to read what was redacted before; and none to
/// print it by accident.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Redacted(String);

impl Redacted {
    /// A text without what the patterns find, on one line, at most `most` characters (Unicode scalar values) long.
    pub fn of(text: &str, most: usize) -> Redacted {
        let mut redacted = pass(text, most);
        // Most texts have nothing to take out.
        if redacted == text {
            return Redacted(redacted);
        }
        for _ in 1..MOST_PASSES {
            let again = pass(&redacted, most);
            if again == redacted {
                break;
            }
            redacted = again;
        }
        Redacted(redacted)
    }

    /// A text as a store holds it, which was redacted before it came there.
    pub fn stored(text: String) -> Redacted {
        Redacted(text)
    }

    /// The text: for the store, and for who may read it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redacted({} characters)", self.0.chars().count())
    }
}

fn pass(text: &str, most: usize) -> String {
    let (seen, whole) = visible(text, most.saturating_mul(LOOKED_AT));
    let redacted = numbers(&words(&ibans(&seen)));
    let mut kept: Vec<char> = redacted.chars().collect();
    if whole && kept.len() <= most {
        return redacted;
    }
    kept.truncate(most.saturating_sub(1));
    while kept.last().is_some_and(|c| c.is_whitespace()) {
        kept.pop();
    }
    if most > 0 {
        kept.push('…');
    }
    kept.into_iter().collect()
}

/// The first characters as a reader sees them, and whether these are all: one space for each run of spaces and
/// controls, nothing for what is invisible, ASCII for its full-width twins. A word that is cut in two is left out.
fn visible(text: &str, most: usize) -> (String, bool) {
    let mut seen = String::new();
    let mut taken = 0;
    for c in text.chars() {
        if is_invisible(c) {
            continue;
        }
        if taken >= most {
            // Half a word is no pattern any more.
            let end = seen.rfind(' ').unwrap_or(0);
            seen.truncate(end);
            return (seen, false);
        }
        if c.is_whitespace() || c.is_control() {
            if !seen.is_empty() && !seen.ends_with(' ') {
                seen.push(' ');
                taken += 1;
            }
            continue;
        }
        seen.push(match u32::from(c) {
            wide @ 0xFF01..=0xFF5E => char::from_u32(wide - 0xFEE0).unwrap_or(c),
            _ => c,
        });
        taken += 1;
    }
    if seen.ends_with(' ') {
        seen.pop();
    }
    (seen, true)
}

/// Soft hyphens, joiners, marks of direction: they hide a pattern, or turn a page around.
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c), 0xAD | 0x180E | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x2069 | 0xFEFF | 0xE0000..=0xE007F)
}

fn words(text: &str) -> String {
    let redacted: Vec<String> = text.split(' ').map(word).collect();
    redacted.join(" ")
}

/// What stands between two spaces.
fn word(word: &str) -> String {
    // As most words are. No pattern of words finds anything in these, each of which needs something else or more.
    if word.len() < LEAST_LETTERS && word.chars().all(char::is_alphabetic) {
        return word.to_owned();
    }
    if let Some((start, end)) = address(word) {
        return format!("{}[url]{}", pieces(&word[..start]), pieces(&word[end..]));
    }
    pieces(word)
}

/// Where an address with a scheme, or one of the web, lies in a word.
fn address(word: &str) -> Option<(usize, usize)> {
    let lower = word.to_ascii_lowercase();
    let start = match lower.find("://") {
        Some(at) => {
            let scheme = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
            at - lower[..at].chars().rev().take_while(scheme).count()
        }
        None => lower.match_indices("www.").map(|(at, _)| at).find(|at| {
            let before = lower[..*at].chars().next_back();
            before.is_none_or(|c| !c.is_ascii_alphanumeric())
        })?,
    };
    let end = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '>', '"', '\'', '»', '”', '“']).len();
    Some((start, end.max(start)))
}

/// Parts of a word between brackets, quotes and punctuation, each by itself.
fn pieces(word: &str) -> String {
    let mut redacted = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        let end = rest.find(parts).unwrap_or(rest.len());
        redacted.push_str(&piece(&rest[..end]));
        let after = rest[end..].chars().next().map_or(0, char::len_utf8);
        redacted.push_str(&rest[end..end + after]);
        rest = &rest[end + after..];
    }
    redacted
}

fn parts(c: char) -> bool {
    matches!(
        c,
        '<' | '>'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '"'
            | '|'
            | ','
            | ';'
            | '\''
            | '«'
            | '»'
            | '„'
            | '“'
            | '”'
            | '、'
            | '。'
            | '「'
            | '」'
    )
}

fn piece(piece: &str) -> String {
    match () {
        () if piece.contains('@') && piece.chars().any(char::is_alphanumeric) => "[email]".to_owned(),
        () if is_page(piece) => "[url]".to_owned(),
        () => runs(&runs(piece, in_address, is_address, "[ip]"), in_token, is_token, "[token]"),
    }
}

/// A domain with something behind it, such as `shop.example/orders`.
fn is_page(piece: &str) -> bool {
    let Some(end) = piece.find(['/', '?', '#', ':']) else { return false };
    let (domain, behind) = (&piece[..end], &piece[end + 1..]);
    let (name, top) = domain.rsplit_once('.').unwrap_or_default();
    let letters = top.chars().count() >= 2 && top.chars().all(char::is_alphabetic);
    letters && !behind.is_empty() && name.chars().next_back().is_some_and(char::is_alphanumeric)
}

/// A text with each longest run of some characters that is of a kind replaced by its mark.
fn runs(text: &str, within: fn(char) -> bool, is: fn(&str) -> bool, mark: &str) -> String {
    let mut redacted = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(within) {
        let end = rest[start..].find(|c| !within(c)).map_or(rest.len(), |length| start + length);
        redacted.push_str(&rest[..start]);
        redacted.push_str(if is(&rest[start..end]) { mark } else { &rest[start..end] });
        rest = &rest[end..];
    }
    redacted + rest
}

/// Letters beyond f are taken too, so that a run of them is no address.
fn in_address(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, ':' | '.')
}

/// IPv6, in full or shortened, and hardware addresses.
fn is_address(run: &str) -> bool {
    let run = run.trim_matches('.');
    let hex = run.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'));
    let shortened = run.contains("::") && run.chars().any(|c| c.is_ascii_hexdigit());
    hex && (shortened || run.matches(':').count() >= 5)
}

fn in_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '=' | '~' | '/' | '.' | '%')
}

fn is_token(run: &str) -> bool {
    let count = |is: fn(&char) -> bool| run.chars().filter(is).count();
    let (letters, digits) = (count(char::is_ascii_alphabetic), count(char::is_ascii_digit));
    let mixed = letters >= 2 && digits >= 2;
    let between = |is: fn(char, char) -> bool| run.chars().zip(run.chars().skip(1)).filter(|(a, b)| is(*a, *b)).count();
    let turns = between(|a, b| {
        (a.is_ascii_digit() && b.is_ascii_alphabetic()) || (a.is_ascii_alphabetic() && b.is_ascii_digit())
    });
    let humps = between(|a, b| a.is_ascii_lowercase() && b.is_ascii_uppercase());
    (mixed && letters + digits >= LEAST_TOKEN)
        || (mixed && letters + digits >= LEAST_CODE && turns >= LEAST_TURNS)
        || (letters >= LEAST_LETTERS && humps >= LEAST_HUMPS)
}

/// Account numbers that are written in groups: two letters, two digits, then groups of four.
fn ibans(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut redacted = String::new();
    let mut at = 0;
    while at < chars.len() {
        let begins = at == 0 || !chars[at - 1].is_alphanumeric();
        match begins.then(|| iban(&chars[at..])).flatten() {
            Some(length) => {
                redacted.push_str("[iban]");
                at += length;
            }
            None => {
                redacted.push(chars[at]);
                at += 1;
            }
        }
    }
    redacted
}

/// Length of the account number that the characters begin with.
fn iban(chars: &[char]) -> Option<usize> {
    let [a, b, c, d, ..] = chars else { return None };
    if !(a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit()) {
        return None;
    }
    let (mut end, mut total, mut digits) = (4, 4, 2);
    while let Some(&separator) = chars.get(end) {
        let start = end + usize::from(matches!(separator, ' ' | '-'));
        let group = chars[start..].iter().take_while(|c| c.is_alphanumeric()).count();
        let own = chars[start..start + group].iter().filter(|c| c.is_ascii_digit()).count();
        // The last group may be shorter; letters alone are a word then.
        let fits = group == 4 || (1..4).contains(&group) && own == group;
        if start == end || !fits || total + group > *IBAN.end() {
            break;
        }
        (end, total, digits) = (start + group, total + group, digits + own);
        if group < 4 {
            break;
        }
    }
    (IBAN.contains(&total) && digits >= 2 * 4).then_some(end)
}

fn numbers(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut redacted = String::new();
    let mut at = 0;
    while at < chars.len() {
        let sign = usize::from(matches!(chars[at], '+' | '(') && chars.get(at + 1).is_some_and(|c| c.is_numeric()));
        if !chars[at + sign].is_numeric() {
            redacted.push(chars[at]);
            at += 1;
            continue;
        }
        let number = &chars[at..at + sign + number(&chars[at + sign..])];
        match mark(number) {
            Some(mark) => redacted.push_str(mark),
            None => redacted.extend(number),
        }
        at += number.len();
    }
    redacted
}

/// Length of the number that the characters begin with, to its last digit.
fn number(chars: &[char]) -> usize {
    let mut end = 1;
    while let Some(next) = chars[end..].iter().take(MOST_BETWEEN + 1).position(|c| c.is_numeric()) {
        if !chars[end..end + next].iter().copied().all(is_between) {
            break;
        }
        end += next + 1;
    }
    end
}

fn is_between(c: char) -> bool {
    matches!(c, ' ' | '-' | '‐' | '‑' | '–' | '—' | '.' | '/' | '\\' | '(' | ')' | ',' | ':' | '_' | '*' | '\'' | '·')
}

fn mark(number: &[char]) -> Option<&'static str> {
    let byte = |group: &[char]| (1..=3).contains(&group.len());
    let dotted = |part: &[char]| {
        let groups: Vec<&[char]> = part.split(|c| *c == '.').collect();
        groups.windows(4).any(|four| four.iter().all(|group| byte(group)))
    };
    let digits = number.iter().filter(|c| c.is_numeric()).count();
    match () {
        () if number.split(|c| *c != '.' && !c.is_numeric()).any(dotted) => Some("[ip]"),
        () if digits >= LEAST_DIGITS => Some("[number]"),
        () => None,
    }
}

#[cfg(test)]
#[path = "redaction_tests.rs"]
mod tests;
