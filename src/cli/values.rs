//! What values of arguments may be: a wrong one is said at once, with exit code 2.

use crate::config::Budget;
use crate::drift::time::Span;

/// A length of time above none, such as `5m`; as it was written.
///
/// # Errors
/// What was expected.
pub fn span(text: &str) -> Result<String, String> {
    let known = Span::parse(text).is_some_and(|span| span.micros() > 0);
    known.then(|| text.to_owned()).ok_or_else(|| "expected a length such as `5m` or `1h`".to_owned())
}

/// Alarms per time, such as `1/30d`; as it was written.
///
/// # Errors
/// What was expected.
pub fn budget(text: &str) -> Result<String, String> {
    let known = Budget::parse(text).is_some();
    known.then(|| text.to_owned()).ok_or_else(|| "expected alarms per time, such as `1/30d`".to_owned())
}

/// A share, from 0 to 1.
///
/// # Errors
/// What was expected.
pub fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "expected a share from 0 to 1".to_owned())
}

/// An effect size: a number from 0 up.
///
/// # Errors
/// What was expected.
pub fn effect(text: &str) -> Result<f64, String> {
    let effect = text.parse().ok().filter(|effect: &f64| effect.is_finite() && *effect >= 0.0);
    effect.ok_or_else(|| "expected a number from 0 up".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_value_is_refused() {
        for wrong in ["-1", "NaN", "inf", "7", "", "x"] {
            assert!(share(wrong).is_err(), "{wrong}");
            assert!(effect(wrong).is_err() || wrong == "7", "{wrong}");
            assert!(span(wrong).is_err() && budget(wrong).is_err(), "{wrong}");
        }
        assert!(span("0s").is_err() && span("5x").is_err());
        assert_eq!((share("0"), share("1"), effect("0.05"), effect("100")), (Ok(0.0), Ok(1.0), Ok(0.05), Ok(100.0)));
        assert_eq!((span("5m"), budget("1/30d")), (Ok("5m".into()), Ok("1/30d".into())));
    }
}
