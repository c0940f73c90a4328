use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::*;

const HOUR: i64 = 3_600;
/// One false notice in so many windows of an hour is allowed.
const BUDGET: f64 = 720.0;

/// How one deployment's predictions are labelled.
#[derive(Clone, Copy)]
struct World {
    seed: u64,
    /// Answers an hour.
    answers: u64,
    /// Mean share of labels.
    share: f64,
    /// How far the share of one hour lies from it: labels come in batches.
    batches: f64,
    /// The same by the hour of the day.
    night: f64,
    /// Median delay in hours.
    delay: f64,
    /// Hours from which on shares and delays are multiplied.
    change: Option<(i64, f64, f64)>,
    hours: i64,
    /// Hours of a window.
    window: i64,
}

const QUIET: World = World {
    seed: 1,
    answers: 100,
    share: 0.3,
    batches: 0.0,
    night: 0.0,
    delay: 4.0,
    change: None,
    hours: 24 * 40,
    window: 1,
};

fn at(hour: i64) -> Timestamp {
    Timestamp::from_micros(hour * HOUR * 1_000_000)
}

/// What is told after each hour.
fn run(world: World) -> Vec<TaskLabels> {
    run_with(world, |labelling| labelling)
}

fn run_with(world: World, mut between: impl FnMut(Labelling) -> Labelling) -> Vec<TaskLabels> {
    let mut rng = StdRng::seed_from_u64(world.seed);
    let mut coming: BTreeMap<i64, Vec<(Timestamp, Timestamp)>> = BTreeMap::new();
    let (mut labelling, mut told) = (Labelling::default(), Vec::new());
    for hour in 0..world.hours {
        let (share, slower) = match world.change {
            Some((from, share, slower)) if hour >= from => (share, slower),
            _ => (1.0, 1.0),
        };
        let night = if hour % 24 < 8 { 1.0 - world.night } else { 1.0 };
        let batch = 1.0 + world.batches * (2.0 * rng.random::<f64>() - 1.0);
        for _ in 0..world.answers {
            if rng.random::<f64>() < world.share * share * night * batch {
                let predicted = at(hour).plus(Span::from_secs(rng.random_range(0..HOUR)));
                // Log-logistic: the median is what it is multiplied by.
                let u: f64 = rng.random_range(0.01..0.99);
                let delay = world.delay * slower * (u / (1.0 - u)).powf(0.4);
                let arrived = predicted.plus(Span::from_secs((delay * HOUR as f64) as i64));
                coming.entry(arrived.micros().div_euclid(HOUR * 1_000_000)).or_default().push((predicted, arrived));
            }
        }
        let mut arrivals = Arrivals::default();
        for (predicted, arrived) in coming.remove(&hour).unwrap_or_default() {
            let window = at(predicted.micros().div_euclid(HOUR * 1_000_000) / world.window * world.window);
            arrivals.add(0, Arrival { window, predicted, arrived });
        }
        labelling.arrive(&arrivals);
        if (hour + 1) % world.window != 0 {
            continue;
        }
        labelling = between(labelling);
        let seen = Seen { start: at(hour + 1 - world.window), end: at(hour + 1), ln_threshold: BUDGET.ln() };
        let of_tasks = labelling.step(seen, &[(0, world.answers * world.window as u64)]);
        assert_eq!((of_tasks.len(), of_tasks[0].0), (1, 0));
        told.extend(of_tasks.into_iter().map(|(_, told)| told));
    }
    told
}

fn changed(told: &TaskLabels) -> [bool; 2] {
    [&told.coverage, &told.delay].map(|signal| signal.as_ref().is_some_and(|signal| signal.changed_since.is_some()))
}

/// Notices that begin, of both signals.
fn notices(told: &[TaskLabels]) -> usize {
    let begins = |pair: &[TaskLabels]| {
        let (before, after) = (changed(&pair[0]), changed(&pair[1]));
        usize::from(after[0] && !before[0]) + usize::from(after[1] && !before[1])
    };
    told.windows(2).map(begins).sum()
}

#[test]
fn what_is_usual_is_learned_from_a_week_whose_labels_have_come() {
    let told = run(QUIET);
    let horizon = told.iter().position(|t| t.horizon_secs.is_some()).expect("it is found");
    assert!((24..24 * 4).contains(&horizon), "known after {horizon} hours");
    let judged = told.iter().position(|t| t.stage == Stage::Judged).expect("it is learned");
    assert!((24 * 8..24 * 14).contains(&judged), "judged after {judged} hours");
    let last = told.last().expect("some");
    let (coverage, delay) = (last.coverage.as_ref().expect("judged"), last.delay.as_ref().expect("judged"));
    assert!((0.27..0.31).contains(&coverage.usual), "{last:?}");
    assert!((3.0..6.1).contains(&(delay.usual / HOUR as f64)), "{last:?}");
    assert!((coverage.latest.expect("looked at") - 0.29).abs() < 0.15 && changed(last) == [false, false], "{last:?}");
}

#[test]
fn labels_that_stop_and_labels_that_come_late_are_told_apart_and_in_time() {
    for (share, slower, expected, within) in
        [(0.0, 1.0, [true, false], 24 * 4), (0.6, 1.0, [true, false], 24 * 6), (1.0, 2.0, [false, true], 24 * 5)]
    {
        let from = 24 * 25;
        let told = run(World { change: Some((from, share, slower)), batches: 0.3, ..QUIET });
        let from = from as usize;
        assert_eq!(notices(&told[..from]), 0, "quiet before");
        let found = told[from..].iter().position(|t| changed(t) != [false, false]).expect("it is found");
        assert!(found < within, "{share} {slower}: found after {found} hours");
        assert!(expected.iter().zip(changed(&told[from + found])).all(|(e, c)| !e || c), "{:?}", told[from + found]);
    }
}

#[test]
fn what_lasts_as_long_as_was_learned_from_is_usual() {
    let told = run(World { change: Some((24 * 25, 0.4, 1.0)), hours: 24 * 60, ..QUIET });
    assert!(told[24 * 25..24 * 32].iter().any(|t| changed(t)[0]), "it is told");
    let last = told.last().expect("some");
    assert_eq!((changed(last), last.stage), ([false, false], Stage::Judged), "{last:?}");
    assert!((last.coverage.as_ref().expect("judged").usual - 0.12).abs() < 0.02, "{last:?}");
}

#[test]
fn no_label_at_all_is_never_usual() {
    let told = run(World { change: Some((24 * 25, 0.0, 1.0)), hours: 24 * 60, ..QUIET });
    let last = told.last().expect("some");
    let coverage = last.coverage.as_ref().expect("judged");
    assert_eq!((last.stage, coverage.latest), (Stage::Judged, Some(0.0)), "{last:?}");
    let since = coverage.changed_since.expect("it stands");
    assert!((24 * 25..24 * 29).contains(&(since.since(at(0)).micros() / 1_000_000 / HOUR)), "since {since}");
}

#[test]
fn windows_may_be_longer_than_an_hour_and_slow() {
    // (hours of a window, answers an hour, share with a label, days until it is judged at most)
    for (window, answers, share, days) in
        [(1, 100, 1.0, 12), (2, 100, 1.0, 12), (6, 100, 1.0, 12), (21, 12, 1.0, 24), (21, 12, 0.1, 30)]
    {
        let world = World { window, answers, share, hours: 24 * 70, ..QUIET };
        let quiet = run(world);
        let judged = quiet.iter().position(|t| t.stage == Stage::Judged).expect("it is learned") as i64 * window / 24;
        assert!(judged <= days, "windows of {window} h: judged after {judged} days");
        let usual = quiet.last().and_then(|t| t.coverage.as_ref()).expect("judged").usual;
        assert!((usual / share - 1.0).abs() < if share < 1.0 { 0.15 } else { 0.005 }, "windows of {window} h: {usual}");
        assert_eq!(notices(&quiet), 0, "windows of {window} h");
        let stop = run(World { change: Some((24 * 40, 0.0, 1.0)), ..world });
        let found = stop.iter().position(|t| changed(t)[0]).expect("a stop is told") as i64 * window / 24;
        assert!((40..50).contains(&found), "windows of {window} h: told on day {found}");
    }
}

/// Labels become fewer from the hour on in which fewer predictions are kept for them, and not for any other reason.
#[test]
fn another_sample_is_learned_anew_and_is_no_change_of_coverage() {
    let from = 24 * 25;
    let world = World { change: Some((from, 0.4, 1.0)), hours: 24 * 60, ..QUIET };
    let mut hour = 0;
    let told = run_with(world, |mut labelling| {
        let changed = labelling.sampled(if hour < from { 1.0 } else { 0.4 }, at(hour));
        assert_eq!(changed, hour == from, "hour {hour}");
        hour += 1;
        labelling
    });
    assert_eq!(notices(&told), 0);
    let from = from as usize;
    assert_eq!(
        [from - 1, from, told.len() - 1].map(|hour| told[hour].stage),
        [Stage::Judged, Stage::Learning, Stage::Judged]
    );
    assert!(told[from].horizon_secs.is_some(), "how long labels take is still known");
    let usual = told.last().and_then(|t| t.coverage.as_ref()).expect("judged").usual;
    assert!((usual - 0.12).abs() < 0.02, "{usual}");
}

#[test]
fn few_labels_are_gathered_and_none_are_waited_for() {
    let rare = run(World { answers: 100, share: 0.01, hours: 24 * 60, ..QUIET });
    assert_eq!(rare.last().map(|t| (t.stage, changed(t))), Some((Stage::Judged, [false, false])));
    let none = run(World { share: 0.0, hours: 24 * 30, ..QUIET });
    let last = none.last().expect("some");
    assert_eq!((last.stage, last.horizon_secs, &last.coverage), (Stage::Learning, None, &None));
}

#[test]
fn stopping_anywhere_and_going_on_gives_the_same_bits() {
    let world = World { change: Some((24 * 25, 0.3, 1.5)), batches: 0.5, night: 0.3, ..QUIET };
    let whole = run(world);
    let mut hours = 0;
    let again = run_with(world, |labelling| {
        hours += 1;
        if hours % 7 != 0 {
            return labelling;
        }
        let bytes = postcard::to_stdvec(&labelling).expect("encodes");
        postcard::from_bytes(&bytes).expect("decodes")
    });
    assert_eq!(whole, again);
    assert!(notices(&whole) > 0);
}

/// 80 deployments of two months, whose labels come as usual: in batches, fewer at night.
#[test]
fn notices_of_labels_that_come_as_usual_stay_within_the_budget() {
    let hourly = [(0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (0.5, 0.5)].map(|(batches, night)| (batches, night, QUIET));
    let slow = [
        (0.0, 0.0, World { window: 21, answers: 12, share: 0.1, ..QUIET }),
        (0.5, 0.0, World { share: 0.01, ..QUIET }),
    ];
    for (batches, night, like) in hourly.into_iter().chain(slow) {
        let mut windows = 0;
        let told: usize = (0..20)
            .map(|seed| {
                let world = World { seed, batches, night, hours: 24 * 60, ..like };
                let told = run(world);
                windows += told.iter().filter(|t| t.stage == Stage::Judged).count();
                notices(&told)
            })
            .sum();
        let allowed = windows as f64 / BUDGET;
        assert!((told as f64) <= allowed, "batches {batches}, night {night}: {told}, {allowed:.0} allowed");
    }
}
