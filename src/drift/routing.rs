//! Who is told of an alert, and when nobody is. Pure: the configuration makes the rules, time is an argument.
//!
//! | the alert | who is told |
//! |---|---|
//! | no rules at all | every endpoint that takes alerts |
//! | a rule matches | the rule's endpoints; later rules only if it says `continue` |
//! | no rule matches | every endpoint that takes alerts: what nobody thought of is not lost |
//! | a rule without endpoints matches | nobody |

use std::collections::BTreeSet;

use super::severity::Severity;
use super::time::Span;

/// What rules and silences ask of an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The alert.
    pub alert: String,
    /// Its model.
    pub model: String,
    /// Its cause's kind.
    pub cause: String,
    /// Its cause's own task.
    pub task: Option<String>,
    /// Tasks whose heads drift.
    pub tasks_affected: Vec<String>,
    /// Its segment, as `tag=value`.
    pub segment: Option<String>,
    /// Its severity.
    pub severity: Severity,
}

/// What an alert must be; empty lists stand for anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    /// Models.
    pub models: Vec<String>,
    /// Tasks.
    pub tasks: Vec<String>,
    /// Kinds of causes.
    pub causes: Vec<String>,
    /// Severities.
    pub severities: Vec<Severity>,
    /// Segments, as `tag=value`, or a tag alone for all its values.
    pub segments: Vec<String>,
}

/// What messages are told together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    /// The model.
    Model,
    /// The cause's task.
    Task,
    /// The cause's kind.
    Cause,
    /// The segment.
    Segment,
    /// The severity.
    Severity,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Which alerts.
    pub matcher: Matcher,
    /// Which endpoints.
    pub to: Vec<String>,
    /// What is told together; `None` tells every alert by itself.
    pub group_by: Option<Vec<GroupBy>>,
    /// How long a message waits for others of its group.
    pub wait: Span,
    /// Told again after so long, while nobody has taken it on.
    pub repeat: Option<Span>,
    /// Whether later rules are asked too.
    pub proceed: bool,
}

/// An endpoint that is told, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// Which.
    pub endpoint: String,
    /// Messages with the same key may be told together; empty: each by itself.
    pub group_key: String,
    /// How long it waits for others of its group.
    pub wait: Span,
    /// Told again after so long.
    pub repeat: Option<Span>,
}

impl Matcher {
    /// Whether an alert touches what is meant: for rules. One that affects a task touches it, whatever its
    /// cause.
    pub fn touches(&self, facts: &Facts) -> bool {
        let task = |t: &String| facts.task.as_ref() == Some(t) || facts.tasks_affected.contains(t);
        (self.tasks.is_empty() || self.tasks.iter().any(task)) && self.fits(facts)
    }

    /// Whether an alert lies wholly within what is meant: for silences. A silence of one task must not hide an
    /// alert that reaches another.
    pub fn covers(&self, facts: &Facts) -> bool {
        let mut tasks = facts.task.iter().chain(&facts.tasks_affected).peekable();
        let within = self.tasks.is_empty() || (tasks.peek().is_some() && tasks.all(|t| self.tasks.contains(t)));
        within && self.fits(facts)
    }

    fn fits(&self, facts: &Facts) -> bool {
        let segment = |wanted: &String| {
            let tag = |s: &String| s == wanted || s.split_once('=').is_some_and(|(tag, _)| tag == wanted);
            facts.segment.as_ref().is_some_and(tag)
        };
        (self.models.is_empty() || self.models.contains(&facts.model))
            && (self.causes.is_empty() || self.causes.contains(&facts.cause))
            && (self.severities.is_empty() || self.severities.contains(&facts.severity))
            && (self.segments.is_empty() || self.segments.iter().any(segment))
    }
}

/// Who is told of an alert; `endpoints` are those that take alerts. Each is named once, by its first rule.
pub fn route(rules: &[Rule], endpoints: &[String], facts: &Facts) -> Vec<Dispatch> {
    let mut told: Vec<Dispatch> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut matched = false;
    for rule in rules.iter().filter(|rule| rule.matcher.touches(facts)) {
        matched = true;
        for endpoint in rule.to.iter().filter(|e| endpoints.contains(e)) {
            if seen.insert(endpoint) {
                told.push(Dispatch {
                    endpoint: endpoint.clone(),
                    group_key: rule.group_by.as_deref().map_or_else(String::new, |by| group_key(by, facts)),
                    wait: rule.wait,
                    repeat: rule.repeat,
                });
            }
        }
        if !rule.proceed {
            break;
        }
    }
    if matched {
        return told;
    }
    let plain = |endpoint: &String| Dispatch {
        endpoint: endpoint.clone(),
        group_key: String::new(),
        wait: Span::from_micros(0),
        repeat: None,
    };
    endpoints.iter().map(plain).collect()
}

/// A key of what is told together; values are quoted, so that none can pass for another.
fn group_key(by: &[GroupBy], facts: &Facts) -> String {
    let part = |by: &GroupBy| match by {
        GroupBy::Model => format!("model={:?}", facts.model),
        GroupBy::Task => format!("task={:?}", facts.task.as_deref().unwrap_or_default()),
        GroupBy::Cause => format!("cause={:?}", facts.cause),
        GroupBy::Segment => format!("segment={:?}", facts.segment.as_deref().unwrap_or_default()),
        GroupBy::Severity => format!("severity={:?}", facts.severity.name()),
    };
    format!("{{{}}}", by.iter().map(part).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            alert: "al_1".into(),
            model: "support".into(),
            cause: "head".into(),
            task: Some("intent".into()),
            tasks_affected: vec!["intent".into(), "ner".into()],
            segment: Some("channel=mail".into()),
            severity: Severity::Critical,
        }
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn a_matcher_asks_for_each_fact() {
        let any = Matcher::default();
        let table = [
            (any.clone(), true, true),
            (Matcher { models: strings(&["support"]), ..any.clone() }, true, true),
            (Matcher { models: strings(&["other"]), ..any.clone() }, false, false),
            (Matcher { tasks: strings(&["intent"]), ..any.clone() }, true, false),
            (Matcher { tasks: strings(&["ner"]), ..any.clone() }, true, false),
            (Matcher { tasks: strings(&["intent", "ner"]), ..any.clone() }, true, true),
            (Matcher { tasks: strings(&["sentiment"]), ..any.clone() }, false, false),
            (Matcher { causes: strings(&["input", "head"]), ..any.clone() }, true, true),
            (Matcher { causes: strings(&["input"]), ..any.clone() }, false, false),
            (Matcher { severities: vec![Severity::Critical], ..any.clone() }, true, true),
            (Matcher { severities: vec![Severity::Info], ..any.clone() }, false, false),
            (Matcher { segments: strings(&["channel"]), ..any.clone() }, true, true),
            (Matcher { segments: strings(&["channel=mail"]), ..any.clone() }, true, true),
            (Matcher { segments: strings(&["channel=chat"]), ..any }, false, false),
        ];
        for (matcher, touches, covers) in table {
            assert_eq!((matcher.touches(&facts()), matcher.covers(&facts())), (touches, covers), "{matcher:?}");
        }
        let nowhere = Facts { task: None, tasks_affected: vec![], segment: None, ..facts() };
        let of_task = Matcher { tasks: strings(&["intent"]), ..Matcher::default() };
        assert!(!of_task.covers(&nowhere) && !of_task.touches(&nowhere), "an alert without a task is of no task");
    }

    #[test]
    fn the_first_matching_rule_decides_unless_it_says_continue() {
        let endpoints = strings(&["pager", "chat", "audit"]);
        let rule = |to: &[&str], causes: &[&str], proceed| Rule {
            matcher: Matcher { causes: strings(causes), ..Matcher::default() },
            to: strings(to),
            proceed,
            ..Rule::default()
        };
        let told = |rules: &[Rule]| -> Vec<String> {
            route(rules, &endpoints, &facts()).into_iter().map(|d| d.endpoint).collect()
        };
        let table: [(Vec<Rule>, &[&str]); 7] = [
            (vec![], &["pager", "chat", "audit"]),
            (vec![rule(&["pager"], &["head"], false), rule(&["chat"], &[], false)], &["pager"]),
            (vec![rule(&["pager"], &["head"], true), rule(&["chat", "pager"], &[], false)], &["pager", "chat"]),
            (vec![rule(&["pager"], &["input"], false), rule(&["chat"], &[], false)], &["chat"]),
            (vec![rule(&["pager"], &["input"], false)], &["pager", "chat", "audit"]),
            (vec![rule(&[], &["head"], false)], &[]),
            (vec![rule(&["unknown", "chat"], &[], false)], &["chat"]),
        ];
        for (rules, expected) in table {
            assert_eq!(told(&rules), expected, "{rules:?}");
        }
    }

    #[test]
    fn a_group_is_its_values_and_nothing_else() {
        let by = Some(vec![GroupBy::Model, GroupBy::Severity]);
        let rules = [Rule { to: strings(&["chat"]), group_by: by, ..Rule::default() }];
        let key = |facts: &Facts| route(&rules, &strings(&["chat"]), facts)[0].group_key.clone();
        assert_eq!(key(&facts()), r#"{model="support",severity="critical"}"#);
        assert_eq!(key(&Facts { cause: "input".into(), ..facts() }), key(&facts()));
        assert_ne!(key(&Facts { model: "a\",severity=\"critical".into(), ..facts() }), key(&facts()));
        let together = [Rule { to: strings(&["chat"]), group_by: Some(vec![]), ..Rule::default() }];
        assert_eq!(route(&together, &strings(&["chat"]), &facts())[0].group_key, "{}", "everything together");
    }
}
