//! How urgent an alert is. It follows from the cause alone, so that everybody can foretell it and an
//! alert's identity at a receiver does not change while it fires.
//!
//! | cause | severity | because |
//! |---|---|---|
//! | skew, head, concept | critical | answers are wrong, or not the released model's |
//! | input, encoder, prior shift, link, segment | warning | the world moved; answers may suffer |
//! | undetermined | info | something moved and nobody can act on it yet |

use serde::{Deserialize, Serialize};

use super::cause::CauseKind;

/// How urgent an alert is, the least first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Info,
    /// Worth a look today.
    Warning,
    /// Worth waking somebody.
    Critical,
}

impl Severity {
    /// All, the least first.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// Of an alert with this cause.
    pub fn of(cause: CauseKind) -> Severity {
        match cause {
            CauseKind::Skew | CauseKind::Version | CauseKind::Head | CauseKind::Concept => Severity::Critical,
            CauseKind::Input | CauseKind::Encoder | CauseKind::PriorShift | CauseKind::Link | CauseKind::Segment => {
                Severity::Warning
            }
            CauseKind::Undetermined => Severity::Info,
        }
    }

    /// Of an alert whose cause has this name; the least for names nobody knows.
    pub fn of_name(cause: &str) -> Severity {
        CauseKind::ALL.into_iter().find(|kind| kind.name() == cause).map_or(Severity::Info, Severity::of)
    }

    /// The name in the API, the configuration and at receivers.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    /// The severity of this name.
    pub fn parse(name: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_causes_are_ranked() {
        for severity in Severity::ALL {
            assert_eq!(Severity::parse(severity.name()), Some(severity));
            assert_eq!(serde_json::to_value(severity).expect("JSON"), severity.name());
        }
        assert_eq!(Severity::of_name("skew"), Severity::Critical);
        assert_eq!(Severity::of_name("input"), Severity::Warning);
        assert_eq!(Severity::of_name("from the future"), Severity::Info);
        assert!(Severity::Critical > Severity::Warning);
    }
}
