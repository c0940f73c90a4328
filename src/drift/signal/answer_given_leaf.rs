//! Which values a regression head gives, and which labels a multi-label or a token head, for the same kind of
//! embedding.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::span_count::outside;
use super::within_leaves::{Columns, WithinLeaves};
use super::{Fit, Sample, Scope, SignalKey, key};
use crate::drift::answer::Answer;
use crate::drift::task::{TaskKind, TaskSpec};
use crate::stats::binning::Bins;

/// Values are cut into eight parts of equal mass: of a window of 250 records two fall into each cell of 16 leaves,
/// and finer cuts would spread what moves over more of them.
const OCTILES: [f64; 7] = [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875];
/// Sets of labels with a column of their own, the commonest, as many as classes have; the others share one.
const MOST_SETS: usize = 15;

/// A table of leaves and answers that are no classes.
pub type AnswerGivenLeaf = WithinLeaves<Answers>;

/// What the answers of a head without classes are sorted into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answers {
    /// Values of a regression head.
    Values(Bins),
    /// Which labels a record has, all of them together: a label that comes with others mostly could be given for
    /// another one unseen, were only their number told. Of a token head those that any token has, however many of
    /// each: how long a text is, is not the head's.
    Labels {
        /// The label of tokens outside any span, which is no part of a set.
        outside: Option<u32>,
        /// Number of the head's labels; one past the last stands for those that the manifest does not name.
        labels: u32,
        /// The commonest sets, each sorted.
        sets: Vec<Vec<u32>>,
    },
}

impl Fit for AnswerGivenLeaf {
    fn fit(sample: &Sample) -> Vec<(SignalKey, Self)> {
        let of = |(task, spec): (usize, &TaskSpec)| {
            let labels = spec.classes.len();
            let of_labels =
                |outside| Self::of(sample, task, |answers| Answers::labels(answers, outside, labels as u32));
            let table = match spec.kind {
                TaskKind::Regression => Self::of(sample, task, Answers::values),
                TaskKind::Multilabel => of_labels(None),
                TaskKind::TokenLabels => of_labels(Some(outside(sample, task, labels))),
                TaskKind::Binary | TaskKind::Multiclass => None,
            };
            Some((key(Scope::Head, Some(task), "answer_given_leaf"), table?))
        };
        sample.spec.tasks.iter().enumerate().filter_map(of).collect()
    }
}

impl Answers {
    fn values(answers: &[&Answer]) -> Answers {
        let value = |answer: &&Answer| if let Answer::Value(value) = answer { Some(*value) } else { None };
        let values: Vec<f64> = answers.iter().filter_map(value).collect();
        Answers::Values(Bins::between(&values, &OCTILES))
    }

    fn labels(answers: &[&Answer], outside: Option<u32>, labels: u32) -> Answers {
        let mut counts: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
        for answer in answers {
            if let Answer::Labels { labels: own, .. } | Answer::Tokens { labels: own, .. } = answer {
                *counts.entry(set(own, outside, labels)).or_default() += 1;
            }
        }
        let mut order: Vec<(Vec<u32>, u64)> = counts.into_iter().collect();
        // Stable: of equally frequent sets the first in their own order.
        order.sort_by_key(|(_, count)| Reverse(*count));
        order.truncate(MOST_SETS);
        Answers::Labels { outside, labels, sets: order.into_iter().map(|(set, _)| set).collect() }
    }
}

/// Which labels there are but the one outside, sorted.
fn set(given: &[u32], outside: Option<u32>, labels: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for label in given.iter().map(|label| (*label).min(labels)).filter(|label| Some(*label) != outside) {
        if !found.contains(&label) {
            found.push(label);
        }
    }
    found.sort_unstable();
    found
}

impl Columns for Answers {
    fn count(&self) -> usize {
        match self {
            Answers::Values(bins) => bins.cells(),
            Answers::Labels { sets, .. } => sets.len() + 1,
        }
    }

    fn of(&self, answer: &Answer) -> Option<usize> {
        match (self, answer) {
            (Answers::Values(bins), Answer::Value(value)) => Some(bins.cell(*value)),
            (
                Answers::Labels { outside, labels, sets },
                Answer::Labels { labels: own, .. } | Answer::Tokens { labels: own, .. },
            ) => {
                let own = set(own, *outside, *labels);
                Some(sets.iter().position(|set| *set == own).unwrap_or(sets.len()))
            }
            _ => None,
        }
    }

    fn ordered(&self) -> Option<usize> {
        match self {
            Answers::Values(bins) => Some(bins.ordered()),
            Answers::Labels { .. } => None,
        }
    }

    fn name(&self, column: usize, task: Option<&TaskSpec>) -> String {
        let label = |label: &u32| {
            task.map_or_else(|| format!("class {label}"), |task| task.class_name(*label as usize).to_owned())
        };
        match self {
            Answers::Values(bins) => bins.name(column),
            Answers::Labels { sets, .. } => match sets.get(column).map(Vec::as_slice) {
                None => "other labels".to_owned(),
                Some([]) => "no label".to_owned(),
                Some(set) => set.iter().map(label).collect::<Vec<_>>().join(" and "),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;
    use crate::drift::answer::{Confidence, Uncertainty};
    use crate::drift::geometry::{Located, Place};
    use crate::drift::observation::Observation;
    use crate::drift::signal::{FOLDS, Signal};
    use crate::drift::task::ModelSpec;
    use crate::stats::hypothesis::Allowance;
    use crate::stats::location::two_sided;

    fn spec(kind: TaskKind, classes: &[&str]) -> ModelSpec {
        let classes = classes.iter().map(|class| (*class).to_owned()).collect();
        let task = TaskSpec { name: "t".into(), kind, classes, threshold: 0.5, temperature: 1.0 };
        ModelSpec {
            name: "m".into(),
            version: "1".into(),
            tasks: vec![task],
            embedding_dimension: None,
            attributes: Vec::new(),
            segments: None,
        }
    }

    fn at(x: f32, answer: Answer) -> Observation {
        let place = Place::At(Located {
            residual_share: 1.0,
            coordinates: vec![x, 0.0],
            distance: x.abs(),
            residual: 0.0,
            projections: Vec::new(),
            centred: Vec::new(),
            nearest: None,
        });
        let answers = vec![Some(answer)];
        Observation {
            input: None,
            text: None,
            attributes: Vec::new(),
            segments: Vec::new(),
            place,
            answers,
            skew: None,
            unlisted: Vec::new(),
        }
    }

    fn tokens(labels: &[u32]) -> Answer {
        let (confidence, uncertainty) = (Confidence::Absent, Uncertainty::default());
        Answer::Tokens { labels: labels.to_vec(), confidence, uncertainty }
    }

    fn learn(spec: &ModelSpec, observations: &[Observation]) -> Option<AnswerGivenLeaf> {
        let folds: Vec<usize> = (0..observations.len()).map(|i| i % FOLDS).collect();
        let (segments, token) = (&[], &|_: u32| None);
        let sample = Sample { spec, observations, folds: &folds, geometry: None, segments, token };
        let mut found = AnswerGivenLeaf::fit(&sample);
        assert!(found.len() <= 1, "one head");
        let (key, signal) = found.pop()?;
        assert_eq!((key.scope, key.task, key.signal.as_str()), (Scope::Head, Some(0), "answer_given_leaf"));
        Some(signal)
    }

    fn cells(signal: &AnswerGivenLeaf, observations: &[Observation]) -> Vec<i64> {
        let mut cells = vec![0; signal.width()];
        observations.iter().for_each(|observation| signal.fold(observation, &mut cells));
        cells
    }

    /// Place and value: the value follows the place, with as much of its own; `mix` moves the places.
    fn valued(rng: &mut StdRng, mix: f64, decimals: Option<i32>) -> (f32, f64) {
        let x = rng.random::<f64>().powf(mix);
        let value = 2.0 * x + rng.random::<f64>();
        (x as f32, decimals.map_or(value, |d| (value * 10_f64.powi(d)).round() / 10_f64.powi(d)))
    }

    fn values(seed: u64, n: usize, mix: f64, decimals: Option<i32>, change: impl Fn(f64) -> f64) -> Vec<Observation> {
        let mut rng = StdRng::seed_from_u64(seed);
        let one = |_| {
            let (x, value) = valued(&mut rng, mix, decimals);
            at(x, Answer::Value(change(value)))
        };
        (0..n).map(one).collect()
    }

    /// ln p of a window of these.
    fn ln_p(signal: &AnswerGivenLeaf, reference: &[f64], window: &[Observation]) -> f64 {
        signal.test(&cells(signal, window), reference, Allowance::EXACT).map_or(0.0, |test| test.ln_p)
    }

    fn floats(cells: &[i64]) -> Vec<f64> {
        cells.iter().map(|c| *c as f64).collect()
    }

    #[test]
    fn a_value_that_changes_within_leaves_is_the_heads() {
        let spec = spec(TaskKind::Regression, &[]);
        for decimals in [None, Some(2), Some(0)] {
            let sample = values(1, 20_000, 1.0, decimals, |v| v);
            let signal = learn(&spec, &sample).expect("has values");
            let reference = floats(&cells(&signal, &sample));
            assert_eq!(reference.iter().sum::<f64>(), 20_000.0, "each record is in one cell");
            let mixed = values(2, 250, 2.0, decimals, |v| v);
            assert!(
                ln_p(&signal, &reference, &mixed) > 0.01_f64.ln(),
                "{decimals:?}: only the places have another mix"
            );
            // The same values in all, each at another place.
            let turned = values(3, 250, 1.0, decimals, |v| 3.0 - v);
            assert!(ln_p(&signal, &reference, &turned) < -50.0, "{decimals:?}: {}", ln_p(&signal, &reference, &turned));
            let no_numbers = values(4, 250, 1.0, decimals, |_| f64::NAN);
            assert!(ln_p(&signal, &reference, &no_numbers) < -50.0, "{decimals:?}");
        }
    }

    #[test]
    fn values_that_crowd_are_cut_between_and_one_value_is_nothing_to_cut() {
        let spec = spec(TaskKind::Regression, &[]);
        let tenths = values(5, 5_000, 1.0, Some(1), |v| v);
        let signal = learn(&spec, &tenths).expect("has values");
        let nearly = values(5, 5_000, 1.0, Some(1), |v| v + 1e-6);
        assert_eq!(cells(&signal, &tenths), cells(&signal, &nearly), "last digits differ by batch");
        // More than half of them at one end.
        let clipped = values(6, 5_000, 1.0, None, |v| v.max(1.6));
        let signal = learn(&spec, &clipped).expect("has values");
        let counted = cells(&signal, &clipped);
        assert_eq!(counted, cells(&signal, &values(6, 5_000, 1.0, None, |v| v.max(1.6) - 1e-6)));
        assert_eq!(learn(&spec, &values(7, 5_000, 1.0, None, |_| 0.5)), None, "a constant");
        assert_eq!(learn(&spec, &values(7, 5_000, 1.0, None, |_| f64::NAN)), None, "no numbers");
        assert_eq!(learn(&spec, &values(8, 479, 1.0, None, |v| v)), None, "too few for 16 leaves");
        assert!(learn(&spec, &values(8, 480, 1.0, None, |v| v)).is_some());
    }

    /// Labels by the place: nothing on the left, a city in two tokens in the middle, and with an order on the right.
    fn labelled(seed: u64, n: usize, mix: f64, change: impl Fn(u32) -> u32) -> Vec<Observation> {
        let mut rng = StdRng::seed_from_u64(seed);
        let one = |_| {
            let x = rng.random::<f64>().powf(mix);
            let kind = if rng.random_bool(0.1) { rng.random_range(0..3) } else { (3.0 * x) as usize };
            let mut labels: Vec<u32> = [&[0, 0, 0][..], &[0, 1, 2, 2], &[3, 0, 1, 2]][kind].to_vec();
            labels.iter_mut().for_each(|label| *label = change(*label));
            // However long the text is.
            labels.extend(vec![0; rng.random_range(0..9)]);
            at(x as f32, tokens(&labels))
        };
        (0..n).map(one).collect()
    }

    #[test]
    fn labels_that_change_within_leaves_are_the_heads() {
        let spec = spec(TaskKind::TokenLabels, &["O", "B-CITY", "I-CITY", "B-ORDER"]);
        let sample = labelled(1, 20_000, 1.0, |label| label);
        let signal = learn(&spec, &sample).expect("has labels");
        let reference = floats(&cells(&signal, &sample));
        let names: Vec<String> = (0..4).map(|cell| signal.cell_name(cell, spec.tasks.first())).collect();
        let expected = ["B-CITY and I-CITY", "B-CITY and I-CITY and B-ORDER", "no label", "other labels"];
        for name in expected {
            assert!(names.contains(&format!("{name} in leaf 1")), "{names:?}");
        }
        assert_eq!(signal.cell_name(4, None).split(" in ").last(), Some("leaf 2"));
        assert!(ln_p(&signal, &reference, &labelled(2, 250, 2.0, |label| label)) > 0.01_f64.ln(), "another mix");
        for (name, change) in [
            ("labels changed for each other", (|label| [0, 3, 2, 1][label as usize]) as fn(u32) -> u32),
            ("one is never given", |label| if label == 3 { 0 } else { label }),
            ("one that no manifest names", |label| if label == 3 { 9 } else { label }),
        ] {
            let broken = ln_p(&signal, &reference, &labelled(3, 250, 1.0, change));
            assert!(broken < -50.0, "{name}: {broken}");
        }
        assert_eq!(learn(&spec, &labelled(4, 5_000, 1.0, |_| 0)), None, "never a span");
    }

    #[test]
    fn a_label_that_mostly_comes_with_others_is_not_lost_among_them() {
        let spec = spec(TaskKind::Multilabel, &["a", "b", "c", "d"]);
        // `a` by the place, and `c` only with it.
        let draw = |seed, n, mix, change: fn(u32) -> u32| -> Vec<Observation> {
            let mut rng = StdRng::seed_from_u64(seed);
            let one = |_| {
                let x = rng.random::<f64>().powf(mix);
                let given = [rng.random_bool(x), rng.random_bool(0.3), rng.random_bool(0.3), rng.random_bool(0.1)];
                let given = [given[0], given[1], given[0] && given[2], given[3]];
                let mut labels: Vec<u32> = (0..4).filter(|label| given[*label as usize]).map(change).collect();
                labels.sort_unstable();
                let (confidence, uncertainty) = (Confidence::Absent, Uncertainty::default());
                at(x as f32, Answer::Labels { labels, confidence, uncertainty })
            };
            (0..n).map(one).collect()
        };
        let sample = draw(1, 20_000, 1.0, |label| label);
        let signal = learn(&spec, &sample).expect("has labels");
        let reference = floats(&cells(&signal, &sample));
        assert!(ln_p(&signal, &reference, &draw(2, 250, 2.0, |label| label)) > 0.01_f64.ln(), "another mix");
        // As many labels as ever, and none of them alone another one.
        let broken = draw(3, 250, 1.0, |label| if label == 2 { 3 } else { label });
        let found = ln_p(&signal, &reference, &broken);
        assert!(found < 1e-4_f64.ln(), "{found}");
    }

    #[test]
    fn heads_with_classes_have_a_signal_of_their_own() {
        let class =
            |class| Answer::Class { class, confidence: Confidence::Absent, uncertainty: Uncertainty::default() };
        let sample: Vec<Observation> = (0..1_000).map(|i| at(i as f32, class(i % 2))).collect();
        assert_eq!(learn(&spec(TaskKind::Multiclass, &["a", "b"]), &sample), None);
        // Nor is anything learned of a head's answers of another kind.
        assert_eq!(learn(&spec(TaskKind::Regression, &[]), &sample), None);
    }

    /// ln p that the middle within leaves moved; 0 for signals without one.
    fn ln_p_of_middle(signal: &AnswerGivenLeaf, reference: &[f64], window: &[Observation]) -> f64 {
        let location = signal.location(&cells(signal, window), reference);
        location.map_or(0.0, |found| two_sided(found.one_sided(window.len() as f64, Allowance::EXACT)))
    }

    /// A shift of 0.3 standard deviations of the values, a fifth of whose variance is within leaves, in windows of 250.
    #[test]
    fn a_small_shift_is_found_by_the_middle() {
        let spec = spec(TaskKind::Regression, &[]);
        let sample = values(1, 40_000, 1.0, None, |v| v);
        let signal = learn(&spec, &sample).expect("has values");
        let reference = floats(&cells(&signal, &sample));
        let deviation = (5.0_f64 / 12.0).sqrt();
        let mut found: Vec<(f64, f64)> = (0..101)
            .map(|seed| values(1_000 + seed, 250, 1.0, None, |v| v + 0.3 * deviation))
            .map(|own| (ln_p(&signal, &reference, &own), ln_p_of_middle(&signal, &reference, &own)))
            .collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let fit = found[50].0;
        found.sort_by(|a, b| a.1.total_cmp(&b.1));
        let middle = found[50].1;
        assert!(middle < 2.0 * fit && middle < -15.0, "ln p: fit {fit:.1}, middle {middle:.1}");
    }

    /// Tests of quiet windows hold their level: in 2,000 windows one of 0.001 is below by chance, five are not.
    #[test]
    fn quiet_windows_hold_the_level() {
        for (kind, classes) in [(TaskKind::Regression, &[][..]), (TaskKind::TokenLabels, &["O", "A", "B", "C"])] {
            let spec = spec(kind, classes);
            let draw = |seed, n, mix| match kind {
                TaskKind::Regression => values(seed, n, mix, Some(2), |v| v),
                _ => labelled(seed, n, mix, |label| label),
            };
            let sample = draw(1, 40_000, 1.0);
            let signal = learn(&spec, &sample).expect("has answers");
            let reference = floats(&cells(&signal, &sample));
            let mut below = [[0; 2]; 2];
            for window in 0..2_000 {
                // Every other one has another mix of places.
                let own = draw(100 + window, 100, if window % 2 == 0 { 1.0 } else { 1.5 });
                let tests = [ln_p(&signal, &reference, &own), ln_p_of_middle(&signal, &reference, &own)];
                for (p, below) in tests.into_iter().zip(&mut below) {
                    below[0] += usize::from(p < 0.05_f64.ln());
                    below[1] += usize::from(p < 0.001_f64.ln());
                }
            }
            // Three standard errors above a twentieth of 2,000, and above a thousandth.
            let most = |below: &[usize; 2]| below[0] <= 130 && below[1] <= 6;
            assert!(below.iter().all(most), "{kind:?}: fit and middle: {below:?} of 2,000 below 0.05 and 0.001");
        }
    }
}
