//! A drift that goes on is one alert, however seldom what finds it looks; and it is over some time after its end.

use driftd::drift::alert::AlertState;

use super::upgrade::{small_reference, small_window};
use super::*;

/// The first window after the reference's.
const FIRST: i64 = 200;

/// The windows in which alerts fired and in which they resolved, of a drift of so many standard errors a window that
/// lasts for so many windows.
fn story(reference: &Reference, errors: f64, lasts: i64, until: i64) -> (Vec<i64>, Vec<i64>) {
    let mut course = Course::new(reference);
    let (mut fired, mut resolved) = (Vec::new(), Vec::new());
    for at in 0..until {
        let window = small_window(reference, FIRST + at, if at < lasts { errors } else { 0.0 });
        for change in course.advance(reference, &WATCH, &window).transitions {
            match (change.from, change.to) {
                (AlertState::Firing, AlertState::Firing) => {}
                (_, AlertState::Firing) => fired.push(at),
                (_, AlertState::Resolved) => resolved.push(at),
                _ => {}
            }
        }
    }
    (fired, resolved)
}

#[test]
fn a_small_drift_that_goes_on_is_one_alert() {
    let reference = Reference::decode(&small_reference().encode()).expect("decodes");
    for errors in [0.6, 0.8, 1.2] {
        let (fired, resolved) = story(&reference, errors, 300, 420);
        println!("{errors} standard errors: fired {fired:?}, resolved {resolved:?}");
        let [fired] = fired.as_slice() else { panic!("{errors} standard errors are one alert: {fired:?}") };
        assert!(*fired < 150, "found while it lasts: {fired}");
        let [over] = resolved.as_slice() else { panic!("over once: {resolved:?}") };
        assert!((300..=410).contains(over), "after its end, and not for ever: {over}");
    }
    let (fired, resolved) = story(&reference, 8.0, 10, 60);
    println!("8 standard errors: fired {fired:?}, resolved {resolved:?}");
    assert_eq!(fired.len(), 1);
    assert!(resolved.iter().all(|over| *over <= 50) && resolved.len() == 1, "{resolved:?}");
}
