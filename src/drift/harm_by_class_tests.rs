use super::*;
use crate::drift::label::PARTS;
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// Where the budget of one false alarm in 2,000 windows has its threshold.
const LN_THRESHOLD: f64 = 7.6;

/// A prediction: how likely the rare class is, and what it is.
#[derive(Clone, Copy)]
struct Prediction {
    p: f64,
    rare: bool,
}

/// One of which the head is as sure as it should be; three in a hundred are of the rare class.
fn prediction(rng: &mut StdRng) -> Prediction {
    let p = match rng.random::<f64>() {
        u if u < 0.92 => 0.004 * rng.random::<f64>(),
        u if u < 0.98 => 0.4 * rng.random::<f64>(),
        _ => 0.6 + 0.4 * rng.random::<f64>(),
    };
    Prediction { p, rare: rng.random::<f64>() < p }
}

impl Prediction {
    fn answer(self) -> bool {
        self.p > 0.5
    }

    /// Its label; `answers` is what the head says, as sure as it is of its own answer.
    fn labelled(self, answers: bool, all: &mut Answers) {
        let loss = (self.p.min(1.0 - self.p) * f64::from(PARTS)).round() as u8;
        all.add(&[(u32::from(self.rare), u32::from(answers))], u32::from(answers), Some(loss));
    }
}

fn known(rng: &mut StdRng) -> Performance {
    let mut counts = [[0_u32; 2]; 2];
    for _ in 0..8_000 {
        let one = prediction(rng);
        counts[usize::from(one.rare)][usize::from(one.answer())] += 1;
    }
    let cells = [(0, 0), (0, 1), (1, 0), (1, 1)];
    let error = f64::from(counts[0][1] + counts[1][0]) / 8_000.0;
    let confusion = cells.map(|(truth, given)| (truth, given, counts[truth as usize][given as usize]));
    Performance::known(0, error, 8_000).confusing(confusion.to_vec())
}

/// What the head answers, and whether that is labelled; `None` for a text that does not come.
type Heard = Option<(bool, bool)>;

/// Windows of a hundred texts until a class is found lost, in at most so many.
fn windows_until(most: u32, seed: u64, hear: impl Fn(Prediction) -> Heard) -> Option<u32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let known = known(&mut rng);
    let mut harm = ClassHarm::default();
    (1..=most).find(|_| {
        let (mut answers, mut cells) = (Answers::default(), vec![0; known.width()]);
        let texts = std::iter::repeat_with(|| prediction(&mut rng)).filter_map(|one| Some((one, hear(one)?)));
        for (one, (given, is_labelled)) in texts.take(100) {
            cells[0] += 1;
            cells[5 + 2 * usize::from(given)] += 1;
            if is_labelled {
                one.labelled(given, &mut answers);
            }
        }
        harm.step(&known, &cells, (!answers.given.is_empty()).then_some(&answers));
        harm.ln() >= LN_THRESHOLD
    })
}

/// Nothing is found to be of the rare class any more: three answers in a hundred are wrong, half of which were.
fn lost(_: Prediction) -> Heard {
    Some((false, true))
}

#[test]
fn a_rare_class_that_is_lost_is_found_and_named() {
    let mut windows: Vec<u32> = (0..9).filter_map(|seed| windows_until(400, seed, lost)).collect();
    windows.sort_unstable();
    assert!(windows.len() == 9 && windows[4] <= 60, "{windows:?}");

    let mut rng = StdRng::seed_from_u64(1);
    let (known, mut harm, mut answers) = (known(&mut rng), ClassHarm::default(), Answers::default());
    (0..10_000).for_each(|_| prediction(&mut rng).labelled(false, &mut answers));
    harm.step(&known, &vec![0; known.width()], Some(&answers));
    let shares: Vec<(u32, f64)> = harm.shares().collect();
    assert!(shares[1].1 > 10.0 && shares[0].1 < 0.0, "{shares:?}");
}

#[test]
fn labels_of_a_head_that_is_as_it_was_prove_nothing() {
    let one_in_four = |one: Prediction| one.p.to_bits().is_multiple_of(4);
    let found =
        |hear: &dyn Fn(Prediction) -> Heard| (0..5).filter(|seed| windows_until(400, *seed, hear).is_some()).count();
    let same = |one: Prediction| Some((one.answer(), true));
    let more = |one: Prediction| (one.rare || one_in_four(one)).then_some((one.answer(), true));
    let is_doubtful = |one: Prediction| (0.1..0.5).contains(&one.p);
    let unsure = |one: Prediction| Some((one.answer(), is_doubtful(one)));
    let flagged = |one: Prediction| Some((one.answer(), one.answer()));
    // Four times as much of it, and only what the head is unsure of is labelled.
    let both = |one: Prediction| (one.rare || one_in_four(one)).then_some((one.answer(), is_doubtful(one)));
    assert_eq!([found(&same), found(&more), found(&unsure), found(&flagged), found(&both)], [0; 5]);
}

#[test]
fn one_bet_alone_would_take_other_labels_for_harm() {
    // What the head is unsure of holds many of the rare class that it misses.
    let (mut rng, mut harm, mut answers) = (StdRng::seed_from_u64(2), ClassHarm::default(), Answers::default());
    let (known, cells) = (known(&mut rng), vec![0; Performance::known(0, 0.1, 1).width()]);
    for one in std::iter::repeat_with(|| prediction(&mut rng)).filter(|one| (0.1..0.5).contains(&one.p)).take(2_000) {
        one.labelled(false, &mut answers);
    }
    harm.step(&known, &cells, Some(&answers));
    let rare = &harm.bets[1];
    assert!(rare.missed.ln() > 20.0 && rare.expected.ln() < 0.0, "{rare:?}");

    // Four times as much of it: more is missing, and no larger share.
    let (mut harm, mut answers) = (ClassHarm::default(), Answers::default());
    for one in std::iter::repeat_with(|| prediction(&mut rng)).take(40_000) {
        if one.rare || one.p.to_bits().is_multiple_of(4) {
            one.labelled(one.answer(), &mut answers);
        }
    }
    harm.step(&known, &cells, Some(&answers));
    let rare = &harm.bets[1];
    assert!(rare.expected.ln() > 20.0 && rare.missed.ln() < 0.0, "{rare:?}");
}
