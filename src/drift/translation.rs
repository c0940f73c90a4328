//! One model's answers as another's: they may list their tasks and classes in another order.

use super::answer::Answer;
use super::task::{ModelSpec, TaskKind, TaskSpec};

/// How the answers of a model are read as those of the one that it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// By measured task: the model's own, and its classes as the measured task's.
    tasks: Vec<(usize, Vec<u32>)>,
}

impl Translation {
    /// From the tasks of `own` to those of `spec`.
    ///
    /// # Errors
    /// A sentence: what keeps the two from being compared.
    pub fn between(spec: &ModelSpec, own: &ModelSpec) -> Result<Translation, String> {
        let task = |task: &TaskSpec| {
            let index = own.task(&task.name).ok_or_else(|| format!("it has no task `{}`", task.name))?;
            let mine = &own.tasks[index];
            if mine.kind != task.kind {
                return Err(format!("task `{}` is of another kind", task.name));
            }
            let known: Vec<Option<u32>> = mine.classes.iter().map(|class| task.class(class)).collect();
            if task.kind != TaskKind::Regression && !known.iter().any(Option::is_some) {
                return Err(format!("task `{}` has none of the classes", task.name));
            }
            // One past the last is `other` on both sides.
            let other = task.classes.len() as u32;
            Ok((index, known.into_iter().map(|class| class.unwrap_or(other)).chain([other]).collect()))
        };
        Ok(Translation { tasks: spec.tasks.iter().map(task).collect::<Result<_, _>>()? })
    }

    /// Answers by the measured tasks' indices, in their classes; a class that they do not know is `other`.
    pub fn of(&self, own: &[Option<Answer>]) -> Vec<Option<Answer>> {
        self.tasks.iter().map(|(task, classes)| Some(translate(own.get(*task)?.as_ref()?, classes))).collect()
    }
}

fn translate(answer: &Answer, classes: &[u32]) -> Answer {
    let other = classes.last().copied().unwrap_or(0);
    let class = |class: &u32| classes.get(*class as usize).copied().unwrap_or(other);
    let mut answer = answer.clone();
    match &mut answer {
        Answer::Class { class: own, .. } => *own = class(own),
        Answer::Labels { labels, .. } => {
            labels.iter_mut().for_each(|label| *label = class(label));
            labels.sort_unstable();
        }
        Answer::Tokens { labels, .. } => labels.iter_mut().for_each(|label| *label = class(label)),
        Answer::Value(_) => {}
    }
    answer
}
