//! What is wrong right now, for the readiness probe: each part of the process says so when it is in
//! trouble, and when it is well again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics;

/// Parts that can be in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The broker or its topics.
    Source,
    /// The dead-letter topic.
    DeadLetters,
    /// The model.
    Model,
    /// The store, as the collect loop sees it.
    Store,
    /// The judge loop.
    Judge,
    /// Retention and roll-ups.
    Maintenance,
}

impl Part {
    /// All parts, for gauges that start at zero.
    pub const ALL: [Part; 6] =
        [Part::Source, Part::DeadLetters, Part::Model, Part::Store, Part::Judge, Part::Maintenance];

    /// The name in metrics and answers.
    pub fn name(self) -> &'static str {
        match self {
            Part::Source => "source",
            Part::DeadLetters => "dead_letters",
            Part::Model => "model",
            Part::Store => "store",
            Part::Judge => "judge",
            Part::Maintenance => "maintenance",
        }
    }
}

/// Troubles of one process; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health {
    troubles: Arc<Mutex<BTreeMap<Part, String>>>,
}

impl Health {
    /// A part is in trouble; the words replace those it said before.
    pub fn trouble(&self, part: Part, words: impl Into<String>) {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).insert(part, words.into());
        metrics::trouble(part.name(), true);
    }

    /// A part is well again.
    pub fn well(&self, part: Part) {
        if self.troubles.lock().unwrap_or_else(PoisonError::into_inner).remove(&part).is_some() {
            metrics::trouble(part.name(), false);
        }
    }

    /// All troubles, one a line; `None` if there are none.
    pub fn told(&self) -> Option<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<String> = troubles.iter().map(|(part, words)| format!("{}: {words}", part.name())).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_come_and_go() {
        let health = Health::default();
        assert_eq!(health.told(), None);
        health.trouble(Part::Model, "out of memory");
        health.trouble(Part::Source, "no broker");
        assert_eq!(health.told().as_deref(), Some("source: no broker\nmodel: out of memory"));
        health.well(Part::Source);
        health.well(Part::Model);
        assert_eq!(health.told(), None);
    }
}
