//! How far the false-alarm budget is promised on a reference, and why no further.

use serde::{Deserialize, Serialize};

use super::reference::{Reference, SignalReference};

/// Below this many reference windows, variation between windows is known too poorly to promise
/// anything.
pub const WINDOWS_FOR_GUARANTEE: u64 = 100;
/// Days from which is known how far signals go that move together with their neighbours: a shock that lasts a day
/// comes once a day.
const DAYS_FOR_WANDER: i64 = 28;
/// Excursions from which is known how far signals go that wander for days.
const EXCURSIONS_FOR_WANDER: f64 = 8.0;
/// Days that hold each day of the week.
const DAYS_OF_THE_WEEK: i64 = 7;
const DAY_MICROS: i64 = 86_400_000_000;

/// Whether the false-alarm budget is promised, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub struct Guarantee {
    /// How far the promise goes.
    pub status: GuaranteeStatus,
    /// Why, in words.
    pub reason: String,
}

/// How far the promise of the budget goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuaranteeStatus {
    /// The premises were checked and hold.
    Valid,
    /// Too little is known yet.
    Provisional,
    /// A premise was checked and does not hold.
    Broken,
}

impl GuaranteeStatus {
    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            GuaranteeStatus::Valid => "valid",
            GuaranteeStatus::Provisional => "provisional",
            GuaranteeStatus::Broken => "broken",
        }
    }
}

impl Reference {
    /// How far the budget is promised on this reference.
    pub fn guarantee(&self) -> Guarantee {
        let told = |status, reason| Guarantee { status, reason };
        let broken: Vec<&SignalReference> = self.signals.iter().filter(|s| s.broken.is_some()).collect();
        if let [first, rest @ ..] = broken.as_slice() {
            let more = if rest.is_empty() { String::new() } else { format!(", and {} signals more", rest.len()) };
            let why = first.broken.as_deref().unwrap_or_default();
            return told(GuaranteeStatus::Broken, format!("{}: {why}{more}", self.signal_name(&first.key)));
        }
        self.unbroken()
    }

    /// How far the budget is promised for one signal: its own premises may not hold while others' do.
    pub fn guarantee_of(&self, signal: &SignalReference) -> Guarantee {
        match &signal.broken {
            Some(why) => Guarantee { status: GuaranteeStatus::Broken, reason: why.clone() },
            None => self.unbroken(),
        }
    }

    /// Whole days from its first record to its last, to the nearest.
    pub(super) fn days(&self) -> i64 {
        (self.span.1.since(self.span.0).micros() + DAY_MICROS / 2) / DAY_MICROS
    }

    /// Whether it is too short to hold each day of the week, though long enough for those of the day.
    pub(super) fn lacks_weekdays(&self) -> bool {
        self.season.is_some() && self.days() < DAYS_OF_THE_WEEK
    }

    /// As how many independent windows the reference's are worth where signals wander: the middle one of them.
    fn excursions(&self) -> Option<f64> {
        let whole = self.signals.iter().filter(|signal| signal.key.segment.is_none());
        let shortest =
            whole.flat_map(|signal| [&signal.variation, &signal.location]).filter_map(|v| v.at_scale.first());
        let mut known: Vec<f64> =
            shortest.filter(|null| null.wander > 0.0 && null.excursions > 0.0).map(|null| null.excursions).collect();
        known.sort_unstable_by(f64::total_cmp);
        known.get(known.len() / 2).copied()
    }

    /// How far it is promised for signals whose premises hold.
    fn unbroken(&self) -> Guarantee {
        let told = |status, reason| Guarantee { status, reason };
        if self.windows < WINDOWS_FOR_GUARANTEE {
            let reason = format!("the reference holds {} windows, fewer than {WINDOWS_FOR_GUARANTEE}", self.windows);
            return told(GuaranteeStatus::Provisional, reason);
        }
        if self.season.is_none() {
            let reason = "the reference is shorter than two days: a daily season would look like drift".to_owned();
            return told(GuaranteeStatus::Provisional, reason);
        }
        let days = self.days();
        if self.lacks_weekdays() {
            let reason =
                format!("the reference holds {days} days: what other days of the week bring would look like drift");
            return told(GuaranteeStatus::Provisional, reason);
        }
        let wandering = self.signals.iter().filter(|s| s.wanders()).count();
        if wandering > 0 && days < DAYS_FOR_WANDER {
            let reason = format!(
                "{wandering} signals wander, and how far was learned from {days} days, fewer than {DAYS_FOR_WANDER}"
            );
            return told(GuaranteeStatus::Provisional, reason);
        }
        let excursions = self.excursions().filter(|excursions| *excursions < EXCURSIONS_FOR_WANDER);
        if let Some(excursions) = excursions {
            let reason = format!(
                "{wandering} signals wander, and how far was learned from about {excursions:.0} excursions of some days \
                 each, fewer than {EXCURSIONS_FOR_WANDER}"
            );
            return told(GuaranteeStatus::Provisional, reason);
        }
        let also = if wandering == 0 {
            String::new()
        } else {
            format!("; {wandering} of {} signals wander and are judged beyond their wander", self.signals.len())
        };
        let reason = format!("variation between windows was learned from {} reference windows{also}", self.windows);
        told(GuaranteeStatus::Valid, reason)
    }
}
