//! Examples of what is new: the same from the same records, and of what the alert is about.

use driftd::drift::alert::Alert;
use driftd::drift::cause::Cause;
use driftd::drift::examples::{Drawn, Example, POOL, Rule};

use super::*;

const RULE: Rule = Rule { keep: 5, most_characters: 80, retention: Span::from_secs(3_600) };

/// A record with what it is told apart by.
#[derive(Clone)]
struct Told {
    id: Option<String>,
    time: Timestamp,
    text: InputText,
    observation: Observation,
}

fn told(rng: &mut StdRng, i: i64, shift: Shift) -> Told {
    let record = record(rng, i, shift);
    let class = match &record.joined.answers[0] {
        Some(Answer::Class { class, .. }) => *class,
        _ => unreachable!("the first head gives a class"),
    };
    let (time, observation) = observe(record);
    let text = InputText { text: format!("class {class}, {i} of a{i}@mail.example"), pair: Some("x".repeat(100)) };
    // Some have no id, and some ids come twice.
    let id = (i % 7 != 0).then(|| format!("r{}", i - i64::from(i % 11 == 0)));
    Told { id, time, text, observation }
}

fn draw(records: &[Told]) -> Drawn {
    draw_on(Drawn::default(), records)
}

fn draw_on(mut drawn: Drawn, records: &[Told]) -> Drawn {
    for record in records {
        if let Some(ticket) = drawn.ticket(RULE.most_characters, record.id.as_deref(), record.time, &record.text) {
            drawn.take(ticket, reference(), &record.observation);
        }
    }
    drawn
}

fn summary(records: &[Told]) -> Summary {
    let all: Vec<_> = records.iter().map(|told| (told.time, told.observation.clone())).collect();
    fold(&all)
}

/// The alert of a drift, and the records of the window in which it fired.
fn fired(shift: Shift) -> (Alert, Vec<Told>) {
    let mut rng = StdRng::seed_from_u64(9);
    let mut course = Course::new(reference());
    for slot in 0..20 {
        let now = if slot >= 8 { shift } else { Shift::None };
        let records: Vec<Told> = (0..200).map(|i| told(&mut rng, slot * 50 + i % 50, now)).collect();
        let records: Vec<Told> =
            records.into_iter().enumerate().map(|(i, r)| Told { id: Some(format!("{slot}-{i}")), ..r }).collect();
        let (start, end) = WindowRule::Time(Span::from_secs(50)).bounds(slot).expect("has bounds");
        course.advance(reference(), &WATCH, &ClosedWindow { slot, start, end, summary: summary(&records) });
        if let Some(alert) = course.alerts().firing().next() {
            return (alert.clone(), records);
        }
    }
    panic!("nothing fired");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_split_order_and_repetition_gives_the_same_examples(
        seed in any::<u64>(), n in 0_usize..300, owners in prop::collection::vec(0_usize..4, 300), reversed in any::<bool>(),
    ) {
        let mut rng = StdRng::seed_from_u64(seed);
        let all: Vec<Told> = (0..n).map(|i| told(&mut rng, i as i64, Shift::None)).collect();
        let mut parts: Vec<Vec<Told>> = vec![Vec::new(); 4];
        for (record, owner) in all.iter().zip(&owners) {
            parts[*owner].push(record.clone());
        }
        if reversed {
            parts.reverse();
            parts.iter_mut().for_each(|part| part.reverse());
        }
        let mut merged = Drawn::default();
        for part in parts.iter().chain(&parts[..1]) {
            // Through the store's bytes, as between replicas.
            if let Some(bytes) = draw(part).encode() {
                merged.merge(&Drawn::decode(&bytes).expect("decodes"));
            }
        }
        let whole = draw(&all);
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(merged.encode(), whole.encode());
        let (alert, _) = fired_once();
        let summary = summary(&all);
        let examples = whole.choose(reference(), &summary, alert, RULE.keep);
        prop_assert_eq!(examples, merged.choose(reference(), &summary, alert, RULE.keep));
    }
}

/// Texts of a sample: each ends the same way.
fn texts_in(drawn: &Drawn) -> usize {
    let bytes = drawn.encode().unwrap_or_default();
    bytes.windows(7).filter(|window| window == b"[email]").count()
}

#[test]
fn what_is_stored_in_between_changes_nothing_but_how_much_is_stored() {
    const FLUSHES: usize = 20;
    let mut rng = StdRng::seed_from_u64(4);
    let all: Vec<Told> = (0..3_000).map(|i| told(&mut rng, i, Shift::None)).collect();
    let (mut merged, mut alone, mut drawn) = (Drawn::default(), 0, Drawn::default());
    let mut stored = Vec::new();
    // Some come in two flushes, as after a crash between the store and the broker.
    for flush in (0..all.len()).step_by(all.len() / FLUSHES) {
        let records = &all[flush.saturating_sub(10)..flush + all.len() / FLUSHES];
        drawn = draw_on(drawn, records);
        stored.push(texts_in(&drawn));
        if let Some(bytes) = drawn.encode() {
            merged.merge(&Drawn::decode(&bytes).expect("decodes"));
        }
        drawn = drawn.stored();
        alone += texts_in(&draw(records));
    }
    assert_eq!(merged.encode(), draw(&all).encode());
    // A hundred, then of n records about a hundred in n.
    let total: usize = stored.iter().sum();
    assert!(stored[0] > POOL && stored[FLUSHES - 1] < 20, "{stored:?}");
    assert!((400..600).contains(&total) && alone == FLUSHES * (POOL + 1), "{total} of {alone}");
}

fn fired_once() -> &'static (Alert, Vec<Told>) {
    static FIRED: OnceLock<(Alert, Vec<Told>)> = OnceLock::new();
    FIRED.get_or_init(|| fired(Shift::Classes))
}

#[test]
fn they_are_of_what_is_new_and_say_why() {
    let (alert, records) = fired_once();
    // Other classes for the same kinds of embedding: no other mix of texts.
    assert_eq!(alert.cause.kind, CauseKind::Head);
    let examples = draw(records).choose(reference(), &summary(records), alert, RULE.keep);
    assert_eq!(examples.len(), RULE.keep);
    for Example { text, pair, reasons } in &examples {
        assert!(text.as_str().starts_with("class 4, ") && text.as_str().ends_with(" of [email]"), "{}", text.as_str());
        assert_eq!(pair.as_ref().map(|p| p.as_str().chars().count()), Some(RULE.most_characters));
        let first = &reasons[0];
        // The class, or the class in a region of the encoder's space.
        let name = (first.key.task, first.cell.name.as_str());
        assert!(name.0 == Some(0) && (name.1 == "c4" || name.1.starts_with("c4 in leaf ")), "{name:?}");
        assert!(first.cell.current_share > 2.0 * first.cell.reference_share);
    }
    let fewer = draw(records).choose(reference(), &summary(records), alert, 2);
    assert_eq!(fewer, examples[..2], "the most telling lead");
}

#[test]
fn a_text_is_shown_once() {
    let (alert, records) = fired_once();
    let same = InputText { text: "the same".into(), pair: None };
    let records: Vec<Told> = records.iter().map(|r| Told { text: same.clone(), ..r.clone() }).collect();
    assert_eq!(draw(&records).choose(reference(), &summary(&records), alert, RULE.keep).len(), 1);
}

#[test]
fn what_signals_do_not_count_has_no_examples() {
    let (alert, records) = fired_once();
    for kind in [CauseKind::Version, CauseKind::Concept] {
        let alert = Alert { cause: Cause { kind, ..alert.cause.clone() }, ..alert.clone() };
        assert_eq!(draw(records).choose(reference(), &summary(records), &alert, RULE.keep), []);
    }
    let quiet = Summary::empty(reference());
    assert_eq!(draw(records).choose(reference(), &quiet, alert, RULE.keep), [], "nothing rose in an empty window");
    assert_eq!(Drawn::default().choose(reference(), &summary(records), alert, RULE.keep), []);
    assert_eq!(Drawn::default().encode(), None);
}

#[test]
fn a_sample_is_bounded_and_damage_is_told_without_its_texts() {
    let mut rng = StdRng::seed_from_u64(3);
    let all: Vec<Told> = (0..2_000).map(|i| told(&mut rng, i, Shift::None)).collect();
    let bytes = draw(&all).encode().expect("has texts");
    // One more than is used, each with two texts of four bytes a character, its cells, rank and key.
    let most = (POOL + 1) * (2 * 4 * RULE.most_characters + 3 * reference().signals.len() * 4 + 40);
    assert!(bytes.len() < most, "{} of {most}", bytes.len());
    assert!(!String::from_utf8_lossy(&bytes).contains("mail.example"));
    let error = Drawn::decode(&bytes[..bytes.len() - 1]).expect_err("damaged");
    assert!(!error.to_string().contains("class"), "{error}");
    assert!(Drawn::decode(&[&[9], &bytes[1..]].concat()).is_err() && Drawn::decode(&[]).is_err());
    assert!(!format!("{:?}", draw(&all)).contains("class 1"));
}
