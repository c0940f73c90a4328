//! A reference without some days of the week says that it does not promise the budget on them.

use driftd::drift::guarantee::GuaranteeStatus;

use super::upgrade::{small_record, small_spec};
use super::*;

/// One record a minute in windows of an hour, for so many days; with its warnings.
fn of_days(days: i64) -> (Reference, Vec<String>) {
    let mut rng = StdRng::seed_from_u64(4);
    let mut records: Vec<FitRecord> = (0..days * 1_440).map(|i| small_record(&mut rng, i * 60, 0.0)).collect();
    let fitted = fit(&plan(&small_spec(), WindowRule::Time(Span::from_secs(3_600))), &mut records).expect("enough");
    (fitted.reference, fitted.warnings)
}

#[test]
fn working_days_promise_nothing_of_weekends() {
    let (five, warnings) = of_days(5);
    let guarantee = five.guarantee();
    assert_eq!(guarantee.status, GuaranteeStatus::Provisional);
    assert!(
        guarantee.reason.contains("holds 5 days") && guarantee.reason.contains("of the week"),
        "{}",
        guarantee.reason
    );
    assert!(warnings.iter().any(|w| w.contains("only 5 days")), "{warnings:?}");
    let (seven, warnings) = of_days(7);
    // It may lack something else.
    assert!(!seven.guarantee().reason.contains("of the week"), "{}", seven.guarantee().reason);
    assert!(!warnings.iter().any(|w| w.contains("of the week")), "{warnings:?}");
}
