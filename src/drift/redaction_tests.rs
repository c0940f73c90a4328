use proptest::prelude::*;

use super::*;

fn redact(text: &str) -> String {
    Redacted::of(text, 400).as_str().to_owned()
}

#[test]
fn what_reaches_people_is_taken_out() {
    for (text, expected) in [
        ("mail ada.lovelace+x@mail.example.org, please", "mail [email], please"),
        ("me: <bücher@händler.example>!", "me: <[email]>!"),
        ("ask @ada or ada＠example.org", "ask [email] or [email]"),
        ("a zero\u{200b}width a\u{200b}da@exa\u{ad}mple.org", "a zerowidth [email]"),
        ("see https://shop.example/o?id=1 (or www.shop.example).", "see [url] (or [url])."),
        ("shop.example/orders/7 and shop.example:8080", "[url] and [url]"),
        ("host 10.0.0.1:80, fe80::1%eth0 or 2001:db8:0:0:0:0:2:1", "host [ip], [ip]%eth0 or [ip]"),
        ("mac 00:1A:2B:3C:4D:5E", "mac [ip]"),
        ("call +49 (0) 170 123 45 67 now", "call [number] now"),
        ("card 4111-1111-1111-1111, born 24.12.1985", "card [number], born [number]"),
        ("رقم ٠١٢٣٤٥٦٧٨", "رقم [number]"),
        ("to DE89 3704 0044 0532 0130 00 or GB82 WEST 1234 5698 7654 32.", "to [iban] or [iban]."),
        ("compact GB82WEST12345698765432, NO9386011117947", "compact [token], NO[number]"),
        ("key sk_live_4eC39HqLyjWDarjtT1zdp7dc", "key [token]"),
        ("id 123e4567-e89b-12d3-a456-426614174000 code X7K2P9QA", "id [token] code [token]"),
        ("aGVsbG8gV29ybGQgZnJvbSBBZGE", "[token]"),
    ] {
        assert_eq!(redact(text), expected, "{text}");
    }
}

#[test]
fn what_a_text_says_stays() {
    for text in [
        "my card was charged twice for 49,90 € at 10:30, room 1204",
        "the iPhone15ProMax is 5 @ 3 each; C++ std::vec and/or v1.2.3",
        "Donaudampfschifffahrtsgesellschaft — 一言で言うと駄目です。",
        "24/7, 100 % e.g. this/that",
        "",
    ] {
        assert_eq!(redact(text), text);
    }
    assert_eq!(redact(" two\r\n\tlines\u{7} "), "two lines");
}

#[test]
fn a_cut_lies_between_characters_and_is_marked() {
    let cut = |text: &str, most| Redacted::of(text, most).as_str().to_owned();
    assert_eq!(cut("äöüß", 4), "äöüß");
    assert_eq!(cut("äöüßx", 4), "äöü…");
    assert_eq!(cut("one two", 5), "one…");
    assert_eq!((cut("abc", 0), cut("abc", 1)), (String::new(), "…".to_owned()));
    let long = format!("{} me@mail.example", "x ".repeat(10_000));
    assert_eq!(cut(&long, 10), "x x x x x…");
    // A word that is longer than what is looked at is no word that could be told to be harmless.
    assert_eq!(cut(&"ab".repeat(1_000), 10), "…");
}

#[test]
fn it_is_not_printed() {
    assert_eq!(format!("{:?}", Redacted::of("canary", 10)), "Redacted(6 characters)");
}

/// Something that must not be left, and what a reader would find of it.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.]{1,12}@[a-z]{1,10}\\.[a-z]{2,3}",
        "[a-z]{1,8}@[a-zà-ü]{1,10}\\.example",
        "(https?|ftp)://[a-z]{3,10}\\.[a-z]{2}(/[a-zA-Z0-9?=&.-]{0,20})?",
        "www\\.[a-z]{3,10}\\.[a-z]{2}",
        "(25[0-5]|1[0-9]{2}|[1-9][0-9])(\\.(25[0-5]|1[0-9]{2}|[0-9])){3}",
        "[0-9a-f]{1,4}(:[0-9a-f]{1,4}){7}",
        "\\+[1-9][0-9]{1,2}[ /-][0-9]{3}[ -][0-9]{4,8}",
        "[0-9]{4}([ -]?[0-9]{4}){3}",
        "[A-Z]{2}[0-9]{2}( [0-9]{4}){4,6} [0-9]{1,3}",
        "[0-9]{7,20}",
        "[a-zA-Z]{4}[0-9]{4}[a-zA-Z0-9]{12,30}",
    ]
}

proptest! {
    #[test]
    fn any_text_is_redacted_once_and_for_all(text in any::<String>(), most in 0usize..80) {
        let once = Redacted::of(&text, most);
        prop_assert!(once.as_str().chars().count() <= most);
        prop_assert_eq!(&Redacted::of(once.as_str(), most), &once);
    }

    #[test]
    fn any_mix_of_patterns_is_redacted_once_and_for_all(
        parts in prop::collection::vec(prop_oneof![
            secret(), "[ .,:@/+()0-9a-zA-Z_-]{0,12}", "\\PC{0,6}", Just(" ".to_owned()), Just("[number]".to_owned()),
        ], 0..12),
        most in 0usize..120,
    ) {
        let once = Redacted::of(&parts.concat(), most);
        prop_assert!(once.as_str().chars().count() <= most);
        prop_assert_eq!(&Redacted::of(once.as_str(), most), &once);
        let left: Vec<char> = once.as_str().chars().collect();
        prop_assert!(left.split(|c| !c.is_numeric()).all(|run| run.len() < LEAST_DIGITS), "{:?}", once.as_str());
        let beside_at = |pair: &[char]| pair.contains(&'@') && pair.iter().any(|c| c.is_alphanumeric());
        prop_assert!(!left.windows(2).any(beside_at), "{:?}", once.as_str());
        prop_assert!(!once.as_str().contains("://"), "{:?}", once.as_str());
    }

    #[test]
    fn no_secret_is_left(
        before in "[a-zäöü ,.]{0,20}", secret in secret(), after in "[a-zäöü ,.]{0,20}", most in 20usize..200,
    ) {
        let redacted = Redacted::of(&format!("{before} {secret} {after}"), most);
        // Longer than any word of the text around it could be by chance.
        let told: String = secret.chars().take(7).collect();
        prop_assert!(!redacted.as_str().contains(&told), "{:?} in {:?}", told, redacted.as_str());
    }
}
