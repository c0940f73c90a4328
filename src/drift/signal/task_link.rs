//! How the answers of two heads go together: their table of classes, compared with the reference's
//! table brought to the window's own margins. What each head does by itself is taken out; what is left
//! is which pairs of answers became more or less common than the two heads explain.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::given_class::{class_of, classes};
use super::{Effect, Fit, Sample, Scope, Signal, SignalKey, key};
use crate::drift::observation::Observation;
use crate::drift::task::{TaskKind, TaskSpec};
use crate::stats::contingency::{match_rows, mutual_information, rake, transpose};
use crate::stats::hypothesis::{Allowance, goodness_of_fit};

/// Classes of a head that have a row of their own, the commonest; the others share one.
const MOST_CLASSES: usize = 15;
/// Pairs watched at most, those that tell most of each other.
const MOST_PAIRS: usize = 15;

/// A table of two heads, row-major.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskLink {
    sides: [Side; 2],
}

/// One head of a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Side {
    task: usize,
    classes: usize,
    /// The table's row (or column) of each class.
    rows: Vec<u8>,
    names: Vec<String>,
}

impl Fit for TaskLink {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let with_classes =
            |t: &usize| !matches!(sample.spec.tasks[*t].kind, TaskKind::TokenLabels | TaskKind::Regression);
        let sides: Vec<Side> =
            (0..sample.spec.tasks.len()).filter(with_classes).filter_map(|task| Side::fit(sample, task)).collect();
        let mut pairs: Vec<(f64, TaskLink)> = Vec::new();
        for (i, a) in sides.iter().enumerate() {
            for b in &sides[i + 1..] {
                let link = TaskLink { sides: [a.clone(), b.clone()] };
                let mut cells = vec![0; link.width()];
                sample.observations.iter().for_each(|o| link.fold(o, &mut cells));
                let cells: Vec<f64> = cells.iter().map(|c| *c as f64).collect();
                if cells.iter().any(|c| *c > 0.0) {
                    pairs.push((mutual_information(&cells, link.columns()), link));
                }
            }
        }
        pairs.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        pairs.truncate(MOST_PAIRS);
        let named = |link: TaskLink| {
            let [a, b] = &link.sides;
            let name = format!("link_with_{}", sample.spec.tasks[b.task].name);
            (key(Scope::Link, Some(a.task), &name), link)
        };
        pairs.into_iter().map(|(_, link)| named(link)).collect()
    }
}

impl Side {
    fn fit(sample: &Sample, task: usize) -> Option<Side> {
        let spec = &sample.spec.tasks[task];
        let classes = classes(spec);
        let mut counts = vec![0_u64; classes];
        sample.answers(task).for_each(|answer| counts[class_of(answer, classes)] += 1);
        let mut order: Vec<usize> = (0..classes).filter(|c| counts[*c] > 0).collect();
        if order.len() < 2 {
            return None;
        }
        order.sort_by_key(|c| (std::cmp::Reverse(counts[*c]), *c));
        order.truncate(MOST_CLASSES);
        let mut rows = vec![order.len() as u8; classes];
        order.iter().enumerate().for_each(|(row, class)| rows[*class] = row as u8);
        let name = |class: usize| match (spec.kind, class) {
            (TaskKind::Multilabel, c) if c == classes - 2 => "none".to_owned(),
            (TaskKind::Multilabel, c) if c == classes - 1 => "several".to_owned(),
            _ => spec.class_name(class).to_owned(),
        };
        let names = order.iter().map(|class| name(*class)).chain(["another".to_owned()]).collect();
        Some(Side { task, classes, rows, names })
    }

    fn row(&self, observation: &Observation) -> Option<usize> {
        let answer = observation.answers.get(self.task)?.as_ref()?;
        Some(usize::from(self.rows[class_of(answer, self.classes)]))
    }
}

impl TaskLink {
    /// Tasks of the pair.
    pub fn tasks(&self) -> [usize; 2] {
        [self.sides[0].task, self.sides[1].task]
    }

    /// Where both heads' classes have another mix: the task whose mix explains the other's, because given its
    /// answers the other's are more as they were than the other way round. `None` where neither is.
    pub fn moved_first(&self, current: &[i64], reference: &[f64]) -> Option<usize> {
        let (rows, columns) = (self.sides[0].names.len(), self.columns());
        let ln_p = |current: &[i64], reference: &[f64], columns: usize| {
            goodness_of_fit(current, &match_rows(reference, current, columns), Allowance::EXACT).map(|test| test.ln_p)
        };
        let given_first = ln_p(current, reference, columns)?;
        let given_second = ln_p(&transpose(current, columns), &transpose(reference, columns), rows)?;
        match given_first.partial_cmp(&given_second)? {
            std::cmp::Ordering::Greater => Some(self.sides[0].task),
            std::cmp::Ordering::Less => Some(self.sides[1].task),
            std::cmp::Ordering::Equal => None,
        }
    }

    fn columns(&self) -> usize {
        self.sides[1].names.len()
    }

    /// The reference's table at the window's margins, as large as it was: what is added to rare cells stays
    /// small beside it.
    fn raked(&self, current: &[i64], reference: &[f64]) -> Vec<f64> {
        let n = current.iter().sum::<i64>().max(1) as f64;
        let size = reference.iter().sum::<f64>() / n;
        rake(reference, current, self.columns()).into_iter().map(|cell| cell * size).collect()
    }
}

impl Signal for TaskLink {
    fn width(&self) -> usize {
        self.sides[0].names.len() * self.columns()
    }

    fn fold(&self, observation: &Observation, cells: &mut [i64]) {
        if let (Some(row), Some(column)) = (self.sides[0].row(observation), self.sides[1].row(observation)) {
            cells[row * self.columns() + column] += 1;
        }
    }

    fn cell_name(&self, cell: usize, _task: Option<&TaskSpec>) -> String {
        let [a, b] = &self.sides;
        format!("{} with {}", a.names[cell / self.columns()], b.names[cell % self.columns()])
    }

    fn expected<'a>(&self, current: &[i64], reference: &'a [f64]) -> Cow<'a, [f64]> {
        Cow::Owned(self.raked(current, reference))
    }

    fn effect(&self, current: &[i64], reference: &[f64]) -> Option<Effect> {
        let floats: Vec<f64> = current.iter().map(|c| *c as f64).collect();
        let raked = self.raked(current, reference);
        let both = floats.iter().any(|c| *c > 0.0) && raked.iter().any(|c| *c > 0.0);
        let of = |table: &[f64]| mutual_information(table, self.columns());
        both.then(|| Effect::MutualInformation(of(&floats) - of(&raked)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finer_answer_explains_the_coarser_one() {
        let side = |task, n: u8| Side {
            task,
            classes: n.into(),
            rows: (0..n).collect(),
            names: vec![String::new(); n.into()],
        };
        let link = TaskLink { sides: [side(3, 4), side(1, 2)] };
        // Classes 0 and 1 answer with 0, 2 and 3 with 1; then class 0 comes twice as often.
        let reference = [900.0, 100.0, 900.0, 100.0, 100.0, 900.0, 100.0, 900.0];
        let current = [180, 20, 90, 10, 10, 90, 10, 90];
        assert_eq!(link.moved_first(&current, &reference), Some(3));
        let turned = TaskLink { sides: [side(1, 2), side(3, 4)] };
        assert_eq!(turned.moved_first(&transpose(&current, 2), &transpose(&reference, 2)), Some(3));
        assert_eq!(link.moved_first(&[0; 8], &reference), None);
    }
}
