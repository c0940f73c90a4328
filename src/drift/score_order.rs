//! Whether the class that an answer names is the one with the largest of its scores: where it hardly ever is not, scores
//! stand in the order of the manifest's classes.

use std::collections::BTreeMap;

use super::task::{ModelSpec, TaskKind, TaskSpec};

/// Tasks of one record that are looked at; later ones are not.
const MOST_TASKS: usize = 64;
/// Fewer answers say nothing.
const FEW: u64 = 20;
/// Up to this share of the answers it may be a rule of production's, or rounding.
const SOME: f64 = 0.05;

/// What the answers of one record say, a bit a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoreOrder {
    compared: u64,
    contrary: u64,
}

/// The same of many records.
#[derive(Clone, Debug, Default)]
pub struct ScoreOrders(BTreeMap<usize, (u64, u64)>);

/// Whether a class follows from the scores, one a class in the order of the manifest. Of two classes the second is
/// answered from the task's threshold on.
pub fn follows(task: &TaskSpec, class: u32, scores: &[f32]) -> bool {
    let Some(own) = scores.get(class as usize) else { return false };
    let follows = scores.iter().all(|score| score <= own);
    match (task.kind, scores) {
        (TaskKind::Binary, [_, second]) if !follows => (*second >= task.threshold) == (class == 1),
        _ => follows,
    }
}

impl ScoreOrder {
    /// Notes the answer of a task.
    pub fn note(&mut self, task: usize, follows: bool) {
        if task < MOST_TASKS {
            self.compared |= 1 << task;
            self.contrary |= u64::from(!follows) << task;
        }
    }
}

impl ScoreOrders {
    /// Takes the next record's.
    pub fn add(&mut self, record: ScoreOrder) {
        let mut left = record.compared;
        while left != 0 {
            let task = left.trailing_zeros() as usize;
            let (compared, contrary) = self.0.entry(task).or_default();
            *compared += 1;
            *contrary += (record.contrary >> task) & 1;
            left &= left - 1;
        }
    }

    /// Says of which tasks the classes do not follow from the scores.
    pub fn told(&self, spec: &ModelSpec) -> Vec<String> {
        let odd = |(_, (compared, contrary)): &(&usize, &(u64, u64))| {
            *compared >= FEW && *contrary as f64 > SOME * *compared as f64
        };
        let told = |(task, (compared, contrary)): (&usize, &(u64, u64))| {
            let TaskSpec { name, kind, .. } = &spec.tasks[*task];
            let or = match kind {
                TaskKind::Binary => ", or is its `threshold` another one",
                _ => "",
            };
            format!(
                "task `{name}`: in {contrary} of {compared} answers ({:.1} %) the `label` is not the class with the \
                 largest of the `scores` or `logits`: are these in the order of the manifest's `classes`{or}? How sure \
                 the head is, is read from them",
                100.0 * *contrary as f64 / *compared as f64
            )
        };
        self.0.iter().filter(odd).map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_follows_from_its_scores_or_not() {
        let task = |kind, threshold| TaskSpec {
            name: "t".into(),
            kind,
            classes: vec!["a".into(), "b".into(), "c".into()],
            threshold,
            temperature: 1.0,
        };
        let (many, two) = (task(TaskKind::Multiclass, 0.5), task(TaskKind::Binary, 0.5));
        let (early, late) = (task(TaskKind::Binary, 0.2), task(TaskKind::Binary, 0.8));
        for (task, class, scores, expected) in [
            (&many, 0, &[0.5, 0.3, 0.2][..], true),
            (&many, 1, &[0.5, 0.3, 0.2], false),
            (&many, 1, &[0.4, 0.4, 0.2], true),
            (&many, 3, &[0.5, 0.3, 0.2], false),
            (&two, 0, &[0.4, 0.6], false),
            (&two, 1, &[0.4, 0.6], true),
            (&early, 1, &[0.7, 0.3], true),
            (&early, 1, &[0.9, 0.1], false),
            (&late, 0, &[0.3, 0.7], true),
            (&late, 0, &[0.1, 0.9], false),
        ] {
            assert_eq!(follows(task, class, scores), expected, "{class} of {scores:?} from {}", task.threshold);
        }
    }

    #[test]
    fn a_few_that_do_not_are_no_other_order() {
        let spec = ModelSpec {
            name: "m".into(),
            version: "1".into(),
            tasks: ["a", "b"]
                .map(|name| TaskSpec {
                    name: name.into(),
                    kind: TaskKind::Multiclass,
                    classes: Vec::new(),
                    threshold: 0.5,
                    temperature: 1.0,
                })
                .into(),
            embedding_dimension: None,
            attributes: Vec::new(),
            segments: None,
        };
        let mut orders = ScoreOrders::default();
        for i in 0..200 {
            let mut record = ScoreOrder::default();
            record.note(0, i >= 10);
            record.note(1, i >= 11);
            record.note(64, false);
            orders.add(record);
        }
        let told = orders.told(&spec);
        assert!(told.len() == 1 && told[0].contains("task `b`: in 11 of 200 answers (5.5 %)"), "{told:?}");
    }
}
