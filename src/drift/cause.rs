//! What may be the cause of an alert, and which cause explains which.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::reference::Reference;
use super::segment::Segment;

/// Kinds of causes that can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// The texts changed, and what the encoder sees with them or not.
    Input,
    /// What the encoder makes of the texts changed, the measured facts about them did not.
    Encoder,
    /// One head answers differently, and input and encoder do not account for it.
    Head,
    /// A head's classes have another mix; given its answers nothing moved.
    PriorShift,
    /// Two heads' answers go together otherwise, each by itself does not move.
    Link,
    /// Production answers otherwise than the exported model.
    Skew,
    /// One segment of the traffic drifts, the rest does not.
    Segment,
    /// One head's errors rise while everything else is quiet: what is right has changed.
    Concept,
    /// No part stands out.
    Undetermined,
    /// Production answers with another version of the model: a skew that is counted, not found.
    Version,
}

/// Where it drifted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Which kind of place.
    pub kind: CauseKind,
    /// The head's task, where the place is one head; the first of a link. A skew without one is the
    /// encoder's.
    pub task: Option<usize>,
    /// The segment, for [`CauseKind::Segment`].
    pub segment: Option<Segment>,
    /// Tasks whose heads drift, the cause's own included.
    pub tasks_affected: Vec<usize>,
}

impl CauseKind {
    /// All kinds that have a name of their own: a version is a part of `skew`.
    pub const ALL: [CauseKind; 9] = [
        CauseKind::Input,
        CauseKind::Encoder,
        CauseKind::Head,
        CauseKind::PriorShift,
        CauseKind::Link,
        CauseKind::Skew,
        CauseKind::Segment,
        CauseKind::Concept,
        CauseKind::Undetermined,
    ];

    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            CauseKind::Input => "input",
            CauseKind::Encoder => "encoder",
            CauseKind::Head => "head",
            CauseKind::PriorShift => "prior_shift",
            CauseKind::Link => "link",
            CauseKind::Skew | CauseKind::Version => "skew",
            CauseKind::Segment => "segment",
            CauseKind::Concept => "concept",
            CauseKind::Undetermined => "undetermined",
        }
    }
}

impl Cause {
    /// No place yet.
    pub fn undetermined(tasks_affected: Vec<usize>) -> Cause {
        Cause { kind: CauseKind::Undetermined, task: None, segment: None, tasks_affected }
    }

    /// Another version of the model is what production serves.
    pub fn another_version() -> Cause {
        Cause { kind: CauseKind::Version, task: None, segment: None, tasks_affected: Vec::new() }
    }

    /// Which part of production differs, where the cause is a skew.
    pub fn part(&self) -> Option<&'static str> {
        match (self.kind, self.task) {
            (CauseKind::Version, _) => Some("version"),
            (CauseKind::Skew, Some(_)) => Some("head"),
            (CauseKind::Skew, None) => Some("encoder"),
            _ => None,
        }
    }

    /// Whether this cause, being so, makes another one be found too: then they are one.
    pub fn explains(&self, other: &Cause) -> bool {
        use CauseKind::{Concept, Encoder, Head, Input, Link, PriorShift, Segment, Skew, Undetermined, Version};
        let reaches = |task: Option<usize>| task.is_some_and(|t| self.tasks_affected.contains(&t));
        let within = other.tasks_affected.iter().all(|t| self.tasks_affected.contains(t));
        match (self.kind, other.kind) {
            (Undetermined, Undetermined) => true,
            (Undetermined, _) => false,
            (_, Undetermined) | (Version, Version) => true,
            (Version, Input) | (_, Version) => false,
            (Version, _) => true,
            (Skew, Skew) => self.task.is_none() || self.task == other.task,
            (Skew, Input) | (_, Skew) => false,
            (Skew, _) if self.task.is_none() => true,
            (Concept, Concept) => self.task == other.task,
            (Concept, _) => false,
            (Skew | Head, Head | PriorShift | Concept) => self.task == other.task,
            (Skew | Head, Link) => other.tasks_affected.iter().any(|t| Some(*t) == self.task),
            (Skew | Head, Segment) => within,
            (Skew | Head, Input | Encoder) => false,
            (Input | Encoder, _) => true,
            (PriorShift | Segment, Head | Concept) => reaches(other.task),
            (PriorShift | Segment, _) => true,
            (Link, Link) => self.tasks_affected.iter().any(|t| other.tasks_affected.contains(t)),
            (Link, Encoder | Segment) => true,
            (Link, _) => false,
        }
    }

    /// Whether two causes are one place, of whatever extent.
    pub fn is_at(&self, other: &Cause) -> bool {
        (self.kind, self.task, self.segment) == (other.kind, other.task, other.segment)
            && (self.kind != CauseKind::Link || self.tasks_affected == other.tasks_affected)
    }

    /// Whether it explains even what is beyond all that input, encoder and other answers move: production serves
    /// another model, the head answers otherwise in a segment, or one of two heads answers otherwise.
    pub fn comprises(&self, other: &Cause) -> bool {
        match self.kind {
            CauseKind::Skew | CauseKind::Version => true,
            CauseKind::Segment => other.kind == CauseKind::Head,
            CauseKind::Head => other.kind == CauseKind::Link,
            _ => false,
        }
    }

    /// Whether this cause takes the place of another that would explain it too. A mix of classes is named only
    /// where the encoder is quiet given them, which says more than that the input or the encoder moved; a segment
    /// only where it shows more than all records do and the others are quiet.
    pub fn displaces(&self, other: &Cause) -> bool {
        use CauseKind::{Encoder, Head, Input, Link, PriorShift, Segment};
        match self.kind {
            PriorShift => matches!(other.kind, Input | Encoder),
            Segment => matches!(other.kind, Input | Encoder | Head | Link | PriorShift) && self.explains(other),
            _ => false,
        }
    }

    /// With more of the cause: further tasks join, and what explains the known place takes it. That two heads go
    /// together otherwise says of neither that it moves.
    pub fn grow(&self, new: &Cause) -> Cause {
        let place = if self.explains(new) { self } else { new };
        let moves = |cause: &&Cause| cause.kind != CauseKind::Link || place.kind == CauseKind::Link;
        let tasks = [self, new].into_iter().filter(moves).flat_map(|cause| &cause.tasks_affected);
        let tasks_affected = tasks.copied().collect::<BTreeSet<usize>>().into_iter().collect();
        Cause { tasks_affected, ..place.clone() }
    }

    /// The segment's name; empty if the cause is none.
    pub fn segment_name(&self, reference: &Reference) -> String {
        self.segment.and_then(|segment| reference.name_of_segment(segment)).unwrap_or_default()
    }

    /// One sentence for people.
    pub fn summary(&self, reference: &Reference) -> String {
        let tasks = |tasks: &[usize]| {
            let names: Vec<String> = tasks.iter().map(|t| format!("`{}`", reference.spec.tasks[*t].name)).collect();
            names.join(", ")
        };
        let reaching = if self.tasks_affected.is_empty() {
            "no head has followed yet".to_owned()
        } else {
            format!("it reaches {}", tasks(&self.tasks_affected))
        };
        let also = |task: usize| {
            let others: Vec<usize> = self.tasks_affected.iter().copied().filter(|t| *t != task).collect();
            if others.is_empty() { String::new() } else { format!("; {} moved too", tasks(&others)) }
        };
        match (self.kind, self.task) {
            (CauseKind::Input, _) => format!("the input changed; {reaching}"),
            (CauseKind::Encoder, _) => {
                format!("what the encoder sees changed while the input's measured facts did not; {reaching}")
            }
            (CauseKind::Head, Some(task)) => {
                format!(
                    "head {} answers differently, and input and encoder do not account for it{}",
                    tasks(&[task]),
                    also(task)
                )
            }
            (CauseKind::PriorShift, Some(task)) => {
                let own = tasks(&[task]);
                format!("the classes of {own} have another mix; given its answers nothing moved{}", also(task))
            }
            (CauseKind::Link, _) => {
                format!("the answers of {} go together otherwise than before", tasks(&self.tasks_affected))
            }
            (CauseKind::Skew, Some(task)) => {
                format!("production answers otherwise than the exported model in head {}", tasks(&[task]))
            }
            (CauseKind::Skew, None) => format!(
                "production answers otherwise than the exported model in several heads, as another tokenizer or \
                 encoder would; {reaching}"
            ),
            (CauseKind::Version, _) => {
                let moved = match self.tasks_affected.as_slice() {
                    [] => String::new(),
                    affected => format!("; {} moved with it", tasks(affected)),
                };
                format!("production answers with another version of the model{moved}")
            }
            (CauseKind::Segment, _) => {
                format!("{} changed while the rest of the traffic did not; {reaching}", self.segment_name(reference))
            }
            (CauseKind::Concept, Some(task)) => {
                let own = tasks(&[task]);
                format!(
                    "the errors of {own} rise by its labels while input, encoder and answers are quiet: what is right \
                     has changed; found from labels alone{}",
                    also(task)
                )
            }
            (CauseKind::Head | CauseKind::PriorShift | CauseKind::Concept | CauseKind::Undetermined, _) => {
                format!("several signals moved a little and none stands out; {reaching}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_says_of_neither_head_that_it_moves() {
        let of = |kind, task, tasks: &[usize]| Cause { kind, task, segment: None, tasks_affected: tasks.to_vec() };
        let link = of(CauseKind::Link, Some(0), &[0, 1]);
        let head = of(CauseKind::Head, Some(1), &[1]);
        assert!(head.explains(&link) && head.comprises(&link));
        assert_eq!(head.grow(&link), head);
        // What is behind it does not reach its heads by that alone.
        assert_eq!(of(CauseKind::Input, None, &[]).grow(&link).tasks_affected, [0; 0]);
        assert_eq!(link.grow(&of(CauseKind::Link, Some(1), &[1, 2])).tasks_affected, [0, 1, 2]);
    }
}
