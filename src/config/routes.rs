//! Who is told of which alerts, and when nobody is: what the file may say, and what is valid.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::EventKind;
use super::validate::Checker;
use crate::drift::cause::CauseKind;
use crate::drift::maintenance::{Maintenance, minute_of_day};
use crate::drift::routing::{GroupBy, Matcher, Rule};
use crate::drift::severity::Severity;
use crate::drift::time::Span;

/// A longer wait for company would hold back an alert that somebody should see.
const MOST_WAIT: Span = Span::from_secs(600);
/// A shorter one is a flood.
const LEAST_REPEAT: Span = Span::from_secs(60);

/// A rule of routing. The first that matches decides; where none matches, every endpoint is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRoute {
    /// Which alerts; by default all.
    #[serde(default, rename = "match")]
    pub matcher: RawMatch,
    /// Names of endpoints; an empty list tells nobody.
    pub to: Vec<String>,
    /// Alerts that agree in these are told in one message, by receivers that can; an empty list tells all in one.
    /// By default each alert has a message of its own.
    pub group_by: Option<Vec<GroupBy>>,
    /// How long a message waits for others of its group.
    #[serde(default = "default_wait")]
    pub wait: String,
    /// An alert that still fires and that nobody has acknowledged is told again after so long; by default never.
    pub repeat: Option<String>,
    /// Ask the rules below too.
    #[serde(default, rename = "continue")]
    pub proceed: bool,
}

/// What an alert must be; whatever is left out may be anything.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawMatch {
    /// Names of models.
    pub model: Vec<String>,
    /// Names of tasks: the cause's own, or one that it reaches.
    pub task: Vec<String>,
    /// Kinds of causes: `input`, `encoder`, `head`, `prior_shift`, `link`, `skew`, `segment`, `concept`, `undetermined`.
    pub cause: Vec<String>,
    /// Severities.
    pub severity: Vec<Severity>,
    /// Segments, as `tag=value`, or a tag alone.
    pub segment: Vec<String>,
}

/// A time in every week in which alerts are not told. What still fires when it ends is told then.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMaintenance {
    /// Its name in the list of deliveries.
    pub name: String,
    /// Which alerts; by default all. An alert must lie wholly within: one that reaches a task outside is told.
    #[serde(default, rename = "match")]
    pub matcher: RawMatch,
    /// Days on which it begins; by default every day.
    pub days: Option<Vec<Day>>,
    /// Time of day at which it begins, such as `02:00`.
    pub from: String,
    /// Time of day at which it ends; if that is not after `from`, on the next day.
    pub to: String,
    /// Whose clock, such as `Europe/Berlin`.
    #[serde(default = "default_zone")]
    pub time_zone: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Checker<'_> {
    pub(super) fn route(&mut self, i: usize, raw: &RawRoute) -> Option<Rule> {
        let at = |key: &str| format!("/routes/{i}/{key}");
        for name in &raw.to {
            match self.document.content.endpoints.iter().find(|e| e.name == *name) {
                None => self.fail(&at("to"), format!("there is no endpoint `{name}`")),
                Some(e) if e.events.as_ref().is_some_and(|events| !events.contains(&EventKind::Alerts)) => {
                    self.fail(&at("to"), format!("`{name}` does not take `alerts`"));
                }
                Some(_) => {}
            }
        }
        let wait = self.span(&at("wait"), &raw.wait);
        if wait.is_some_and(|w| w > MOST_WAIT) {
            self.fail(&at("wait"), "at most 10m: an alert should not wait longer for company");
        }
        let repeat = match &raw.repeat {
            None => None,
            Some(text) => {
                let repeat = self.span(&at("repeat"), text);
                if repeat.is_some_and(|r| r < LEAST_REPEAT) {
                    self.fail(&at("repeat"), "at least 1m");
                }
                Some(repeat?)
            }
        };
        Some(Rule {
            matcher: self.matcher(&at("match"), &raw.matcher),
            to: raw.to.clone(),
            group_by: raw.group_by.clone(),
            wait: wait?,
            repeat,
            proceed: raw.proceed,
        })
    }

    pub(super) fn maintenance(&mut self, i: usize, raw: &RawMaintenance) -> Option<Maintenance> {
        let at = |key: &str| format!("/maintenance/{i}/{key}");
        let mut minute = |key: &str, text: &str| {
            let found = minute_of_day(text);
            if found.is_none() {
                self.fail(&at(key), format!("found `{text}`, expected a time of day such as `02:00`"));
            }
            found
        };
        let (from, to) = (minute("from", &raw.from), minute("to", &raw.to));
        let zone = jiff::tz::TimeZone::get(&raw.time_zone).ok();
        if zone.is_none() {
            let message =
                format!("`{}` is not known here: take a name such as `Europe/Berlin`, or `UTC`", raw.time_zone);
            self.fail(&at("time_zone"), message);
        }
        let mut days = [raw.days.is_none(); 7];
        raw.days.iter().flatten().for_each(|day| days[*day as usize] = true);
        let matcher = self.matcher(&at("match"), &raw.matcher);
        Some(Maintenance { name: raw.name.clone(), matcher, days, from: from?, to: to?, zone: zone? })
    }

    fn matcher(&mut self, path: &str, raw: &RawMatch) -> Matcher {
        for cause in &raw.cause {
            if !CauseKind::ALL.iter().any(|kind| kind.name() == cause) {
                let known: Vec<&str> = CauseKind::ALL.into_iter().map(CauseKind::name).collect();
                self.fail(&format!("{path}/cause"), format!("found `{cause}`, expected one of {}", known.join(", ")));
            }
        }
        Matcher {
            models: raw.model.clone(),
            tasks: raw.task.clone(),
            causes: raw.cause.clone(),
            severities: raw.severity.clone(),
            segments: raw.segment.clone(),
        }
    }
}

fn default_wait() -> String {
    "0s".into()
}

fn default_zone() -> String {
    "UTC".into()
}
