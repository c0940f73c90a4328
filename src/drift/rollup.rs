//! Windows merged into hours and days. Merging is addition, so a roll-up has exactly the tallies that
//! one window of that length would have had; no detector sees it.

use super::summary::{LayoutMismatch, Summary};
use super::time::{Span, Timestamp};

/// How long a roll-up is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Grain {
    /// An hour, made of windows.
    Hour,
    /// A day in UTC, made of hours.
    Day,
}

impl Grain {
    /// All grains, the finer one first: the coarser is made of it.
    pub const ALL: [Grain; 2] = [Grain::Hour, Grain::Day];

    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            Grain::Hour => "hour",
            Grain::Day => "day",
        }
    }

    /// Its length.
    pub fn length(self) -> Span {
        match self {
            Grain::Hour => Span::from_secs(3_600),
            Grain::Day => Span::from_secs(86_400),
        }
    }

    /// Start and end of the roll-up that a window belongs to, by the window's start.
    pub fn bounds(self, start: Timestamp) -> (Timestamp, Timestamp) {
        let length = self.length();
        let from = Timestamp::from_micros(start.micros().div_euclid(length.micros()) * length.micros());
        (from, from.plus(length))
    }
}

/// Adds summaries up.
///
/// # Errors
/// [`LayoutMismatch`] if they belong to different references.
pub fn merge(empty: Summary, parts: &[Summary]) -> Result<Summary, LayoutMismatch> {
    let mut whole = empty;
    parts.iter().try_for_each(|part| whole.merge(part))?;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_aligned_before_the_epoch_too() {
        let at = |secs: i64| Timestamp::from_micros(secs * 1_000_000);
        assert_eq!(Grain::Hour.bounds(at(3_601)), (at(3_600), at(7_200)));
        assert_eq!(Grain::Day.bounds(at(-1)), (at(-86_400), at(0)));
    }
}
