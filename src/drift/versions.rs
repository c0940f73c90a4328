//! Records that name another version of the model than the manifest: counted by version and window, and told
//! where they are most of the traffic.
//!
//! They are not judged, for the reference says nothing of another model; so a roll-out that nobody told of
//! leaves few records to judge, or none, and would look like calm. The rule counts, it does not test: it is no
//! part of the false-alarm budget.
//!
//! | share of records that name another version | then |
//! |---|---|
//! | more than a half | it alarms |
//! | a quarter to a half | what fires goes on, nothing begins |
//! | less than a quarter | quiet: a canary, an experiment, the tail of a roll-out |
//!
//! Windows are taken together until they hold enough records to say so.

use serde::{Deserialize, Serialize};

use super::names::Names;
use super::reference::Reference;

/// Above this share of the records another version is what production serves.
const MOST: f64 = 0.5;
/// Below this share it does not any more: apart from the other, so that a roll-out that halts at the half is
/// one alert and not many.
const FEW: f64 = 0.25;
/// Records that a share needs: with fewer, three of five would be most of the traffic.
const ENOUGH: u64 = 20;
/// Versions counted by name. A fleet serves two or three; a name for each record is a producer's mistake.
const MOST_NAMES: usize = 16;
/// Versions named in a sentence.
const TOLD: usize = 3;

/// Records that name another version, by its name.
pub type Others = Names<MOST_NAMES>;

/// Records that name another version, among all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// All records, those that name another version included.
    pub records: u64,
    /// Those that do.
    pub others: Others,
}

/// What the versions that records name say about a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There are too few records so far.
    TooFew,
    /// The version that is watched serves.
    Ours,
    /// Others serve a quarter to a half.
    Mixed,
    /// Others serve most of the traffic.
    Others,
}

/// What is carried from one window to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Records that were too few to say anything.
    waiting: Seen,
    /// What was seen when others last served a quarter or more.
    told: Option<Seen>,
}

impl Seen {
    /// One sentence: which versions, how often.
    pub fn summary(&self, reference: &Reference) -> String {
        let Seen { records, others } = self;
        let seen = others.most_seen();
        let mut named: Vec<String> = seen.iter().take(TOLD).map(|(name, n)| format!("`{name}` ({n})")).collect();
        if seen.len() > TOLD {
            named.push("others".to_owned());
        }
        format!(
            "{} of {records} records name another version than the manifest's `{}`: {}; they were not judged",
            others.records,
            reference.spec.version,
            named.join(", "),
        )
    }
}

impl Watched {
    /// Takes a window's records, and what it holds of other versions.
    pub fn step(&mut self, records: u64, others: &Others) -> Standing {
        self.waiting.records += records + others.records;
        self.waiting.others.merge(others);
        if self.waiting.records < ENOUGH {
            return Standing::TooFew;
        }
        let seen = std::mem::take(&mut self.waiting);
        let share = seen.others.records as f64 / seen.records as f64;
        let standing = match share {
            share if share > MOST => Standing::Others,
            share if share >= FEW => Standing::Mixed,
            _ => return Standing::Ours,
        };
        self.told = Some(seen);
        standing
    }

    /// What was seen when others last served a quarter or more.
    pub fn told(&self) -> Option<&Seen> {
        self.told.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn others(counts: &[(&str, u64)]) -> Others {
        let mut others = Others::default();
        for (version, n) in counts {
            (0..*n).for_each(|_| others.add(version));
        }
        others
    }

    #[test]
    fn most_of_the_traffic_is_told_and_a_canary_is_not() {
        for (records, of_others, expected) in [
            (950, 50, Standing::Ours),
            (751, 249, Standing::Ours),
            (750, 250, Standing::Mixed),
            (500, 500, Standing::Mixed),
            (499, 501, Standing::Others),
            (0, 20, Standing::Others),
            (0, 19, Standing::TooFew),
            (0, 0, Standing::TooFew),
        ] {
            let mut watched = Watched::default();
            assert_eq!(watched.step(records, &others(&[("13", of_others)])), expected, "{of_others} beside {records}");
            assert_eq!(watched.told().is_some(), matches!(expected, Standing::Mixed | Standing::Others));
        }
    }

    #[test]
    fn few_records_are_taken_together() {
        let mut watched = Watched::default();
        let five = others(&[("13", 5)]);
        let said: Vec<Standing> = (0..8).map(|_| watched.step(2, &five)).collect();
        let (few, other) = (Standing::TooFew, Standing::Others);
        assert_eq!(said, [few, few, other, few, few, other, few, few]);
        assert_eq!(watched.told().map(|seen| (seen.records, seen.others.records)), Some((21, 15)));
    }
}
