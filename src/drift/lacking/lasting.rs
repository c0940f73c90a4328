//! What windows lack, as long as it lasts: told when the same is lacked twice in a row, and over when it was there twice
//! in a row.
//!
//! A part is looked at when the reference would have had 40 units of it: in each window where traffic is dense, after
//! several of a task that is seldom answered. So what is rare is not told for having been left out by chance.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counted::Counted;
use super::{Lack, Least, Names, Place, Stream, UnknownClasses, What, places};
use crate::drift::judgement::ClosedWindow;
use crate::drift::reference::Reference;
use crate::drift::signal::Scope;
use crate::drift::time::Timestamp;

/// Units that a part is looked at by, as the reference would have had them: fewer than half of 40 come by chance once
/// in ten thousand looks, and twice in a row never.
const UNITS: f64 = 40.0;
/// Of what cannot be used, a smaller share is no reason to doubt the rest.
const LEAST_SHARE: f64 = 0.01;
/// Looks in a row that something lacks in until it is told, and does not lack in until it is over: one odd window is
/// worth no message, be it without embeddings among others or with a few in the midst of an outage.
const IN_A_ROW: u32 = 2;
/// Windows do not know them.
static NO_NAMES: UnknownClasses = UnknownClasses(BTreeMap::new());

/// What windows lacked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lasting {
    /// Share of the records that the model is run on; `None` before the first window.
    run: Option<f64>,
    gathered: BTreeMap<Place, Gathered>,
    noted: BTreeMap<(Place, What), Noted>,
}

/// Windows of a part that are not enough for a look.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Gathered {
    from: Timestamp,
    counted: Counted,
}

/// Something that was lacked in the latest look, or in one shortly before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Noted {
    since: Timestamp,
    is_told: bool,
    /// Looks in a row that lacked it or, once it is told, did not.
    looks: u32,
    silent: bool,
    said: String,
}

/// Something that is lacked, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What, as in the latest look that lacked it.
    pub lack: Lack,
    /// The start of the first window that lacked it.
    pub since: Timestamp,
}

/// What one window changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacked {
    /// Everything that is lacked now.
    pub standing: Vec<Standing>,
    /// What is told from this window on.
    pub began: Vec<Standing>,
    /// What is over with this window.
    pub ended: Vec<Standing>,
}

impl Lasting {
    /// From now on the model is run on this share of the records that need it.
    pub fn run_on(&mut self, share: f64) {
        self.run = Some(share);
    }

    /// Takes one closed window.
    pub fn step(&mut self, reference: &Reference, window: &ClosedWindow) -> Lacked {
        let mut changed = Lacked::default();
        let Some(counted) = Counted::of(reference, window.summary.records, &window.summary.cells) else {
            return changed;
        };
        for place in places(reference) {
            self.look(reference, place, window.start, &counted, &mut changed);
        }
        changed.standing = self.standing();
        changed
    }

    fn look(&mut self, reference: &Reference, place: Place, start: Timestamp, counted: &Counted, changed: &mut Lacked) {
        let least = Least { units: UNITS, share: LEAST_SHARE, run: self.run.unwrap_or(1.0) };
        let stream = |counted| Stream {
            reference,
            counted,
            least,
            names: Names { unknown_tasks: 0, unknown_classes: &NO_NAMES },
        };
        let mut gathered = match self.gathered.remove(&place) {
            Some(gathered) => gathered,
            None if counted.records == 0 => return,
            None => Gathered { from: start, counted: counted.none() },
        };
        gathered.counted.add(counted);
        match stream(&gathered.counted).expected_of(place) {
            // Nothing is known of it.
            None => {}
            Some(expected) if expected < UNITS => {
                self.gathered.insert(place, gathered);
            }
            Some(_) => {
                let mut lacks = stream(&gathered.counted).lacks(place);
                // How many answers are compared is a setting; texts that stop are told of the input.
                lacks.retain(|lack| lack.scope != Scope::Skew);
                self.take(place, gathered.from, lacks, changed);
            }
        }
    }

    /// One look at a part.
    fn take(&mut self, place: Place, from: Timestamp, lacks: Vec<Lack>, changed: &mut Lacked) {
        let lacked = |what: What| lacks.iter().any(|lack| lack.what == what);
        self.noted.retain(|(of, what), noted| {
            if *of != place || lacked(*what) {
                return true;
            }
            noted.looks = if noted.is_told { noted.looks + 1 } else { IN_A_ROW };
            let is_over = noted.looks >= IN_A_ROW;
            if is_over && noted.is_told {
                changed.ended.push(noted.standing(place, *what));
            }
            !is_over
        });
        for Lack { what, silent, said, .. } in lacks {
            let fresh = Noted { since: from, is_told: false, looks: 0, silent, said: String::new() };
            let noted = self.noted.entry((place, what)).or_insert(fresh);
            (noted.silent, noted.said) = (silent, said);
            if noted.is_told {
                noted.looks = 0;
                continue;
            }
            noted.looks += 1;
            if noted.looks >= IN_A_ROW {
                (noted.is_told, noted.looks) = (true, 0);
                changed.began.push(noted.standing(place, what));
            }
        }
    }

    fn standing(&self) -> Vec<Standing> {
        let told = self.noted.iter().filter(|(_, noted)| noted.is_told);
        told.map(|((place, what), noted)| noted.standing(*place, *what)).collect()
    }
}

impl Noted {
    fn standing(&self, (scope, task): Place, what: What) -> Standing {
        let lack = Lack { scope, task, what, silent: self.silent, said: self.said.clone() };
        Standing { lack, since: self.since }
    }
}

#[cfg(test)]
#[path = "../lasting_tests.rs"]
mod tests;
