//! Laws of replay sets: any order, any split, floors, halves, and weights that count.

use proptest::prelude::*;

use super::*;

fn stratum(task: u16, class: u32) -> Stratum {
    Stratum { task, class: Some(class), by: By::Answer }
}

/// Record `i` of a world with one common and one rare class of one task, and five even classes of another.
fn row(i: u64, alarm: bool) -> (String, Row) {
    let rare = u32::from(i % 200 == 7);
    let period = if alarm { Period::Alarm } else { Period::Ordinary };
    let strata = vec![stratum(0, rare), stratum(1, (i % 5) as u32)];
    let at = Timestamp::from_micros(i as i64);
    (format!("p{i}"), Row { of: Traits { at, period, strata }, body: i.to_le_bytes().to_vec() })
}

fn sampled(rule: Rule, seed: &str, rows: impl Iterator<Item = (String, Row)>) -> Sampler {
    let mut sampler = Sampler::new(rule, seed);
    rows.for_each(|(id, row)| sampler.push(&id, row.of, || row.body));
    sampler
}

fn share(set: &Set, period: Period, of: Option<Stratum>) -> &Share {
    set.shares.iter().find(|s| s.period == period && s.stratum == of).expect("a share")
}

const RULE: Rule = Rule { size: 400, floor: 20, alarm_share: 0.5, holdout: 0.1 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn neither_order_nor_split_nor_repetition_matters(
        n in 1_u64..1_500,
        size in 1_u32..300,
        floor in 0_u32..30,
        cuts in proptest::collection::vec(0.0..1.0f64, 0..4),
        shuffle in any::<u64>(),
    ) {
        let rule = Rule { size, floor, ..RULE };
        let alarm = |i: u64| i >= n * 2 / 3;
        let whole = sampled(rule, "s", (0..n).map(|i| row(i, alarm(i))));
        let mut order: Vec<u64> = (0..n).collect();
        order.sort_by_key(|i| rank(&shuffle.to_string(), &i.to_string()));
        let mut ends: Vec<usize> = cuts.iter().map(|c| (c * n as f64) as usize).chain([n as usize]).collect();
        ends.sort_unstable();
        let mut merged = Sampler::new(rule, "s");
        let mut start = 0;
        for end in ends {
            merged.merge(&sampled(rule, "s", order[start..end].iter().map(|i| row(*i, alarm(*i)))));
            start = end;
        }
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(merged.finish(), whole.finish());
    }

    #[test]
    fn no_part_is_larger_than_it_may_be(
        before in 0_u64..1_000, after in 0_u64..1_000, size in 1_u32..600, floor in 0_u32..60, share in 0.0..0.5f64,
    ) {
        let rule = Rule { size, floor, alarm_share: share, holdout: 0.0 };
        let rows = (0..before).map(|i| row(i, false)).chain((before..before + after).map(|i| row(i, true)));
        let set = sampled(rule, "s", rows).finish();
        let alarm = set.rows.iter().filter(|p| p.row.of.period == Period::Alarm).count();
        prop_assert!(alarm as f64 <= share * set.rows.len() as f64 + 1e-9, "{alarm} of {}", set.rows.len());
        prop_assert!(set.rows.iter().all(|p| p.probability > 0.0 && p.probability <= 1.0));
        let mut ids: Vec<&str> = set.rows.iter().map(|p| p.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), set.rows.len());
        // Floors come on top of the uniform part by chance, and by no more than they hold.
        let most = u64::from(size) + set.shares.iter().map(|s| s.records.min(u64::from(set.floors[0]))).sum::<u64>();
        prop_assert!(set.rows.len() as u64 <= most);
    }
}

#[test]
fn a_rare_class_keeps_its_floor_and_a_set_its_size() {
    let rule = Rule { size: 800, ..RULE };
    let set = sampled(rule, "rt_1", (0..20_000).map(|i| row(i, i >= 15_000))).finish();
    // 1 in 200: two of four hundred without a floor.
    assert_eq!(share(&set, Period::Ordinary, Some(stratum(0, 1))).picked, 20);
    assert_eq!(share(&set, Period::Alarm, Some(stratum(0, 1))).picked, 20);
    let (ordinary, alarm) = (share(&set, Period::Ordinary, None).picked, share(&set, Period::Alarm, None).picked);
    assert!((385..=415).contains(&ordinary) && (260..=ordinary).contains(&alarm), "{ordinary} and {alarm}");
    assert_eq!(set.floors, [20, 20]);
    // Seven classes of a floor each may not take more than half of two hundred.
    let set = sampled(RULE, "rt_1", (0..20_000).map(|i| row(i, i >= 15_000))).finish();
    assert_eq!(set.floors, [14, 14]);
}

#[test]
fn a_small_world_is_drawn_whole() {
    let set = sampled(RULE, "s", (0..150).map(|i| row(i, false))).finish();
    assert_eq!(set.rows.len(), 150);
    assert!(set.rows.iter().all(|p| p.probability == 1.0));
    // What there is not of the alarm's time is taken from before it.
    let set = sampled(RULE, "s", (0..5_000).map(|i| row(i, i >= 4_990))).finish();
    assert_eq!(share(&set, Period::Alarm, None).picked, 10);
    assert!((370..=400).contains(&set.rows.len()), "{}", set.rows.len());
}

#[test]
fn weights_count_every_class() {
    let (n, trials) = (4_000, 200);
    let world: Vec<(String, Row)> = (0..n).map(|i| row(i, i >= 3_000)).collect();
    let mut sums: BTreeMap<(Period, Option<Stratum>), (f64, f64, f64)> = BTreeMap::new();
    for trial in 0..trials {
        let set = sampled(RULE, &format!("s{trial}"), world.iter().cloned()).finish();
        for share in set.shares {
            let sum = sums.entry((share.period, share.stratum)).or_insert((0.0, 0.0, share.records as f64));
            sum.0 += share.weight;
            sum.1 += share.weight * share.weight;
        }
    }
    assert_eq!(sums.len(), 16);
    for (of, (sum, squares, records)) in sums {
        let (mean, trials) = (sum / f64::from(trials), f64::from(trials));
        let error = ((squares / trials - mean * mean).max(0.0) / trials).sqrt();
        assert!((mean - records).abs() <= 4.5 * error + 1e-9, "{of:?}: {mean} ± {error}, {records}");
    }
}

#[test]
fn the_hold_out_has_its_share_and_grows_without_losing_any() {
    let held = |share: f64| -> Vec<u64> { (0..20_000).filter(|i| is_held_out(&format!("p{i}"), share)).collect() };
    let (small, large) = (held(0.1), held(0.3));
    assert!((1_850..2_150).contains(&small.len()), "{}", small.len());
    assert!(small.iter().all(|i| large.contains(i)));
    assert!(held(0.0).is_empty());
}

#[test]
fn a_label_says_more_than_an_answer() {
    use crate::drift::answer::{Confidence, Uncertainty};
    let (confidence, uncertainty) = (Confidence::Absent, Uncertainty::default());
    let answer = |class| Some(Answer::Class { class, confidence, uncertainty });
    let tokens = Some(Gold::Tokens(vec![2, 0, 2]));
    let found = strata(&[Some(Gold::Class(1)), None, tokens, None], &[answer(0), answer(3), None, None]);
    let of = |task, class, by| Stratum { task, class: Some(class), by };
    assert_eq!(found, [of(0, 1, By::Label), of(1, 3, By::Answer), of(2, 0, By::Label), of(2, 2, By::Label)]);
    let number = strata(&[], &[Some(Answer::Value(0.5))]);
    assert_eq!(number, [Stratum { task: 0, class: None, by: By::Answer }]);
}
