//! Whether somebody wants quiet about an alert: a silence, or a window of maintenance.

use crate::drift::maintenance::Maintenance;
use crate::drift::routing::{Facts, Matcher};
use crate::drift::severity::Severity;
use crate::drift::time::Timestamp;
use crate::store::SilenceRow;

/// What asks for quiet at a moment.
pub struct Mute {
    reasons: Vec<(String, Matcher)>,
}

impl Mute {
    /// From the silences and windows that last now.
    pub fn new(silences: &[SilenceRow], maintenance: &[Maintenance], now: Timestamp) -> Mute {
        let silences = silences
            .iter()
            .filter(|s| s.starts <= now && now < s.ends)
            .map(|s| (format!("silence {} by {}", s.silence_id, s.created_by), matcher(s)));
        let windows =
            maintenance.iter().filter(|m| m.is_on(now)).map(|m| (format!("maintenance {}", m.name), m.matcher.clone()));
        Mute { reasons: silences.chain(windows).collect() }
    }

    /// Who wants quiet about an alert.
    pub fn why(&self, facts: &Facts) -> Option<&str> {
        self.reasons.iter().find(|(_, matcher)| matcher.covers(facts)).map(|(why, _)| why.as_str())
    }
}

fn matcher(silence: &SilenceRow) -> Matcher {
    let one = |value: &Option<String>| value.iter().cloned().collect();
    Matcher {
        models: one(&silence.model),
        tasks: one(&silence.task),
        causes: one(&silence.cause),
        severities: silence.severity.as_deref().and_then(Severity::parse).into_iter().collect(),
        segments: one(&silence.segment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_lasts_from_its_start_to_its_end_and_covers_what_it_names() {
        let at = |secs: i64| Timestamp::from_micros(secs * 1_000_000);
        let silence = SilenceRow {
            silence_id: "sil_1".into(),
            model: Some("support".into()),
            task: None,
            cause: Some("input".into()),
            segment: None,
            severity: None,
            comment: "known".into(),
            created_by: "ada".into(),
            created: at(0),
            starts: at(10),
            ends: at(20),
        };
        let facts = Facts { model: "support".into(), cause: "input".into(), ..Facts::default() };
        let why = |secs: i64, facts: &Facts| {
            Mute::new(std::slice::from_ref(&silence), &[], at(secs)).why(facts).map(str::to_owned)
        };
        assert_eq!(why(10, &facts).as_deref(), Some("silence sil_1 by ada"));
        assert_eq!((why(9, &facts), why(20, &facts)), (None, None));
        assert_eq!(why(15, &Facts { cause: "head".into(), ..facts }), None);
    }
}
